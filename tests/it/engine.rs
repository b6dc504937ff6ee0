//! An event in, a signed request out.

use crate::support::events::{
    CHROME, GUIDE, STEP, guide_seen, identify, nps_response, poll_response, server_track, track,
};
use crate::support::receiver::Request;
use crate::support::{Node, Receiver, Reply, sign, wait_until};
use serde_json::{Value, json};

const SECRET: &str = " It's a Secret to Everybody \u{1f512} ";

/// The body that must have been sent, rebuilt with what only the node knows (names, id, time).
#[track_caller]
fn assert_body(node: &Node, request: &Request, visitor: &str, account: &str, user_agent: &str, properties: &str) {
    let json = request.json();
    let event = request.event();
    let unique_id = json["uniqueId"].as_str().expect("uniqueId");
    assert!(unique_id.len() == 40 && unique_id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{unique_id}");
    let timestamp = json["timestamp"].as_i64().expect("whole seconds");
    let now = crate::support::events::now_ms() / 1000;
    assert!((now - 300..=now).contains(&timestamp), "{timestamp} is not seconds of now ({now})");
    let expected = format!(
        r#"{{"app":{{"id":{},"name":{},"platform":"web"}},"accountId":"{account}","subscription":{{"id":{},"name":{}}},"userAgent":"{user_agent}","event":"{event}","properties":{properties},"timestamp":{timestamp},"visitorId":"{visitor}","uniqueId":"{unique_id}"}}"#,
        node.keys.app_id, json["app"]["name"], node.keys.subscription_id, json["subscription"]["name"],
    );
    assert_eq!(String::from_utf8_lossy(&request.body), expected);
}

fn guide_part() -> String {
    format!(
        r#""guideId":"{GUIDE}","guideProperties":{{"createdAt":1615411012615,"createdByUser":{{"username":"user@example.com"}},"id":"{GUIDE}","lastUpdatedAt":1618322253073,"lastUpdatedByUser":{{"username":"user@example.com"}},"name":"Poll 1 - Test","steps":[{{"id":"{STEP}","lastUpdatedAt":1618322251476,"resetAt":0,"type":"building-block"}}]}},"guideStepId":"{STEP}","language":"en-US""#
    )
}

#[test]
fn each_of_the_eight_events_arrives_exactly_and_signed() {
    let node = Node::start();
    let receiver = Receiver::ok();
    let webhook = node.webhook(&receiver.url(), json!({"secret": SECRET}));
    node.events(&[
        identify("Webhook Visitor", "acme"),
        guide_seen("Webhook Visitor", &["NumberScale", "NPSRating"]),
        poll_response(
            "Webhook Visitor",
            json!([
                {"pollId": "a", "pollType": "PositiveNegative", "response": 1, "duration": 11964},
                {"response": "Open \"Text\" Answer", "pollId": "b", "pollType": "FreeForm", "duration": 2},
            ]),
        ),
        nps_response("Webhook Visitor", json!({"rating": 9, "reason": "Keep up!", "source": "web"})),
        track("Webhook Visitor", "Account Upgraded", json!({"toTier": "pro", "fromTier": "basic"})),
    ]);
    let guide = guide_part();
    let properties = [
        ("visitorCreated", r#"{"browserName":"Chrome","browserVersion":"91.0.4472","sampleGroup":2}"#.to_owned()),
        ("accountCreated", "{}".to_owned()),
        ("guideDisplayed", format!("{{{guide}}}")),
        ("pollDisplayed", format!("{{{guide}}}")),
        ("npsDisplayed", format!("{{{guide}}}")),
        (
            "pollSubmitted",
            format!(
                r#"{{{guide},"pollResponses":[{{"duration":11964,"pollId":"a","pollType":"PositiveNegative","response":1}},{{"duration":2,"pollId":"b","pollType":"FreeForm","response":"Open \"Text\" Answer"}}]}}"#
            ),
        ),
        ("npsSubmitted", format!(r#"{{{guide},"nps":{{"rating":9,"reason":"Keep up!","source":"web"}}}}"#)),
        (
            "trackEventReceived",
            r#"{"eventProperties":{"fromTier":"basic","toTier":"pro"},"name":"Account Upgraded","source":"web"}"#
                .into(),
        ),
    ];
    let requests = receiver.wait(properties.len());
    assert_eq!(requests.len(), properties.len(), "{:?}", receiver.names());
    for (event, properties) in properties {
        let request = requests.iter().find(|request| request.event() == event).expect(event);
        let account = if event == "trackEventReceived" { "" } else { "acme" };
        assert_body(&node, request, "Webhook Visitor", account, CHROME, &properties);
        sign::assert_pendo(request, SECRET);
        sign::assert_standard(request, webhook.signing_key());
    }
    let mut ids: Vec<Value> = requests.iter().map(|request| request.json()["uniqueId"].clone()).collect();
    ids.sort_by_key(Value::to_string);
    ids.dedup();
    assert_eq!(ids.len(), requests.len(), "each event has an id of its own");
}

#[test]
fn a_track_event_of_a_back_end_arrives() {
    let node = Node::start();
    let receiver = Receiver::ok();
    node.webhook(&receiver.url(), json!({}));
    node.try_track(server_track("ann", "Paid", json!({"b": 1, "a": {"z": null, "y": 2.5}}))).expect(200);
    let request = receiver.wait_for("Paid");
    let properties = r#"{"eventProperties":{"a":{"y":2.5,"z":null},"b":1},"name":"Paid","source":"server"}"#;
    let user_agent = request.json()["userAgent"].as_str().unwrap().to_owned();
    assert_body(&node, &request, "ann", "acme", &user_agent, properties);
    assert_eq!(receiver.names(), ["Paid"], "the Track API raises neither visitorCreated nor accountCreated");
}

#[test]
fn headers_and_target_leave_as_promised() {
    let node = Node::start();
    let receiver = Receiver::ok();
    let url = format!("http://{}/a//b/../%7e?x=1&&y={{z}}", receiver.addr);
    node.webhook(&url, json!({"secret": "s", "name": "signed"}));
    node.track("one");
    let request = receiver.wait_for("one");
    assert_eq!(request.line, "POST /a//b/../%7e?x=1&&y={z} HTTP/1.1");
    let spelled = |name: &str| request.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
    assert_eq!(spelled("Content-Type").as_deref(), Some("application/json"));
    assert_eq!(spelled("User-Agent"), Some(format!("Fanfare/{}", env!("CARGO_PKG_VERSION"))));
    assert_eq!(spelled("X-Pendo-Signature"), Some(sign::pendo("s", &request.body)));
    assert_eq!(request.header("Content-Length"), Some(request.body.len().to_string().as_str()));
    assert_eq!(request.header("Host"), Some(receiver.addr.to_string().as_str()));
}

#[test]
fn without_secret_and_standard_headers_a_request_carries_neither() {
    let node = Node::start();
    let receiver = Receiver::ok();
    node.webhook(&receiver.url(), json!({"standard_webhooks": false}));
    node.track("one");
    let request = receiver.wait_for("one");
    for name in ["X-Pendo-Signature", "webhook-id", "webhook-timestamp", "webhook-signature"] {
        assert_eq!(request.header(name), None, "{name}");
    }
}

#[test]
fn retries_and_redeliveries_send_the_same_bytes() {
    let node = Node::with_short_retries();
    let receiver = Receiver::sequence(vec![Reply::Status(500), Reply::Status(503), Reply::Status(200)]);
    let webhook = node.webhook(&receiver.url(), json!({"secret": SECRET}));
    node.try_track(server_track("ann", "one", json!({"x": "\u{2028}<&>"}))).expect(200);
    let delivery = node.settled(&webhook, "delivered");
    let path = format!("/deliveries/{}/redeliver", delivery["id"].as_str().unwrap());
    let redelivery = node.api("POST", &path, None).expect(202).json();
    assert_ne!(redelivery["id"], delivery["id"]);
    let requests = receiver.wait(4);
    for request in &requests {
        assert_eq!(request.body, requests[0].body);
        sign::assert_pendo(request, SECRET);
        sign::assert_standard(request, webhook.signing_key());
    }
    let path = format!("/deliveries/{}", redelivery["id"].as_str().expect("an id"));
    wait_until("the redelivery is shown as delivered", || {
        let answer = node.api("GET", &path, None);
        (answer.status == 200 && answer.json()["status"] == "delivered").then_some(())
    });
}

#[test]
fn first_seen_comes_first_and_once() {
    let node = Node::start();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| node.events(&[guide_seen("bob", &[])]));
        }
    });
    node.events(&[identify("_PENDO_T_x", ""), identify("null", "acme"), identify("  ", "acme")]);
    let mut events: Vec<String> =
        node.taken_in().iter().map(|event| event["event"].as_str().expect("event").to_owned()).collect();
    events.reverse();
    assert_eq!(events[..3], ["visitorCreated", "accountCreated", "guideDisplayed"]);
    assert_eq!(events[3..], ["guideDisplayed"; 7]);
}

#[test]
fn categories_choose() {
    let node = Node::start();
    let (all, tracks, people) = (Receiver::ok(), Receiver::ok(), Receiver::ok());
    node.webhook(&all.url(), json!({}));
    node.webhook(&tracks.url(), json!({"categories": ["track_events"]}));
    node.webhook(&people.url(), json!({"categories": ["visitors", "accounts"]}));
    node.events(&[identify("ann", "acme"), track("ann", "t", json!({})), guide_seen("ann", &["NPSRating"])]);
    let sorted = |receiver: &Receiver, count| {
        receiver.wait(count);
        let mut names = receiver.names();
        names.sort();
        names
    };
    assert_eq!(sorted(&all, 5), ["accountCreated", "guideDisplayed", "npsDisplayed", "t", "visitorCreated"]);
    assert_eq!(sorted(&tracks, 1), ["t"]);
    assert_eq!(sorted(&people, 2), ["accountCreated", "visitorCreated"]);
}

#[test]
fn only_events_accepted_while_on_are_sent() {
    let node = Node::start();
    let (receiver, witness) = (Receiver::ok(), Receiver::ok());
    node.webhook(&witness.url(), json!({}));
    let webhook = node.create(json!({"url": receiver.url()}));
    assert_eq!(webhook.created["enabled"], false);
    assert_eq!(webhook.created["state"], "off");
    node.track("before");
    node.switch(&webhook, true);
    node.track("while");
    receiver.wait_for("while");
    node.switch(&webhook, false);
    node.track("after");
    node.switch(&webhook, true);
    node.track("again");
    receiver.wait_for("again");
    witness.wait(4);
    assert_eq!(receiver.names(), ["while", "again"]);
}

#[test]
fn an_edit_counts_from_the_next_attempt() {
    let node = Node::with(&["--retry-delays", "1s,1s,1s,1s,1s"], &[]);
    let (old, new) = (Receiver::always(Reply::Status(500)), Receiver::ok());
    let webhook = node.webhook(&old.url(), json!({"secret": "old"}));
    node.track("one");
    sign::assert_pendo(&old.wait(1)[0], "old");
    node.patch(&webhook, json!({"url": new.url(), "secret": "new"}));
    let request = new.wait_for("one");
    sign::assert_pendo(&request, "new");
    assert_eq!(request.body, old.requests()[0].body);
}
