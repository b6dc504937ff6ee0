//! Segment as a webhook's other end (docs/segment.md).

use crate::support::{Node, Segment, Webhook, events, node::SHORT_RETRIES};
use serde_json::{Value, json};

const WRITE_KEY: &str = "aBcD3fGh1jKlMn0pQrStUvWxYz123456";

fn to(segment: &Segment, settings: Value) -> Value {
    let mut body = json!({"name": "warehouse", "type": "segment", "endpoint": segment.endpoint(),
        "write_key": WRITE_KEY, "categories": "all"});
    body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    body
}

fn webhook(node: &Node, segment: &Segment) -> Webhook {
    let created = node.api("POST", "/webhooks", Some(to(segment, json!({})))).expect(201).json();
    let webhook = Webhook { id: created["id"].as_str().unwrap().to_owned(), created };
    node.switch(&webhook, true);
    webhook
}

#[test]
fn each_of_the_eight_events_is_a_track_call() {
    let (node, segment) = (Node::start(), Segment::start(WRITE_KEY));
    webhook(&node, &segment);
    node.events(&[
        events::identify("ann", "acme"),
        events::guide_seen("ann", &["NumberScale", "NPSRating"]),
        events::poll_response(
            "ann",
            json!([{"pollId": "p", "pollType": "FreeForm", "response": "\"é\"", "duration": 5}]),
        ),
        events::nps_response("ann", json!({"rating": 9, "reason": "", "source": "web"})),
        events::track("_PENDO_T_abc", "Clicked", json!({"n": 1.5, "big": 9_007_199_254_740_993_u64})),
    ]);
    node.track("Bought");
    let accepted = segment.accepted(9);
    assert_eq!((accepted.len(), segment.dropped()), (9, vec![]));
    let mut names: Vec<&str> = accepted.iter().map(|message| message["event"].as_str().unwrap()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 8, "{names:?}");
    // What is done to the configuration is an event too, which this webhook has not asked for.
    for row in node.list("/events").iter().filter(|row| row["event"] != "auditRecorded") {
        let event = node.get(&format!("/events/{}", row["id"].as_str().unwrap()));
        let body: Value = serde_json::from_str(event["body"].as_str().unwrap()).unwrap();
        let message = accepted.iter().find(|message| message["messageId"] == body["uniqueId"]).expect("each event");
        for (theirs, ours) in [("event", "event"), ("properties", "properties")] {
            assert_eq!(message[theirs], body[ours]);
        }
        let at: jiff::Timestamp = message["timestamp"].as_str().unwrap().parse().unwrap();
        assert_eq!(at.as_second(), body["timestamp"]);
        let anonymous = body["visitorId"] == "_PENDO_T_abc";
        let (who, nobody) = if anonymous { ("anonymousId", "userId") } else { ("userId", "anonymousId") };
        assert_eq!((&message[who], message.get(nobody)), (&body["visitorId"], None));
        let context = &message["context"];
        let known = |text: &Value| text.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        assert_eq!(context["groupId"].as_str().map(str::to_owned), known(&body["accountId"]));
        assert_eq!(context["userAgent"].as_str().map(str::to_owned), known(&body["userAgent"]));
        let app = json!({"name": body["app"]["name"], "namespace": body["app"]["id"].to_string()});
        assert_eq!(context["app"], app);
        assert_eq!(context["integration"], json!({"name": "Fanfare", "version": env!("CARGO_PKG_VERSION")}));
    }
    for request in segment.receiver.requests() {
        let names: Vec<String> = request.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        assert!(!names.iter().any(|name| name.starts_with("x-pendo") || name.starts_with("webhook-")), "{names:?}");
        assert_eq!(request.header("content-type"), Some("application/json"));
        let body = String::from_utf8(request.body.clone()).unwrap();
        let order = [
            "{\"type\":\"track\",\"event\":",
            ",\"properties\":{",
            ",\"context\":{",
            ",\"timestamp\":\"",
            ",\"messageId\":\"",
        ];
        let places: Vec<usize> = order.iter().map(|mark| body.find(mark).expect(mark)).collect();
        assert!(places[0] == 0 && places.is_sorted(), "{body}");
    }
}

#[test]
fn a_limit_is_waited_for_and_nothing_is_doubled() {
    let (node, segment) = (Node::with(&SHORT_RETRIES, &[]), Segment::start(WRITE_KEY));
    segment.limit(2);
    let webhook = webhook(&node, &segment);
    node.track("one");
    assert_eq!(segment.accepted(1).len(), 1);
    let delivery = node.settled(&webhook, "delivered");
    let attempts = delivery["attempts"].as_array().unwrap();
    let statuses: Vec<&Value> = attempts.iter().map(|attempt| &attempt["status"]).collect();
    assert_eq!(statuses, [429, 429, 200]);
    let times: Vec<_> = segment.receiver.requests().iter().map(|request| request.at).collect();
    assert!(times.windows(2).all(|pair| (pair[1] - pair[0]).as_millis() >= 1000), "Retry-After says a second");
    // Every attempt is one message: a redelivery too, which Segment knows by its messageId.
    let path = format!("/deliveries/{}/redeliver", delivery["id"].as_str().unwrap());
    node.api("POST", &path, None).expect(202);
    crate::support::wait_until("Segment has dropped the repeat", || (!segment.dropped().is_empty()).then_some(()));
    assert_eq!((segment.accepted(1).len(), segment.dropped()), (1, vec![String::from("repeated messageId")]));
}

#[test]
fn what_segment_would_refuse_for_its_size_is_not_sent() {
    let (node, segment) = (Node::start(), Segment::start(WRITE_KEY));
    let webhook = webhook(&node, &segment);
    node.try_track(events::server_track("ann", "Large", json!({"p": "x".repeat(40_000)}))).expect(200);
    let failed = node.settled(&webhook, "failed");
    let attempt = &failed["attempts"][0];
    assert_eq!((failed["attempt_count"].as_u64(), attempt["reason"].as_str()), (Some(1), Some("cannot_send")));
    assert!(attempt["detail"].as_str().unwrap().contains("32 KB"), "{attempt}");
    node.track("Small");
    segment.accepted(1);
    assert_eq!(segment.receiver.requests().len(), 1);
    assert_eq!(node.list("/error-log")[0]["detail"], attempt["detail"]);
}

#[test]
fn the_log_shows_what_segment_was_sent_and_not_by_what_it_was_let_in() {
    let (mut node, segment) = (Node::start(), Segment::start(WRITE_KEY));
    let webhook = webhook(&node, &segment);
    node.track("one");
    let request = segment.receiver.wait(1)[0].clone();
    let sent = String::from_utf8(request.body).unwrap();
    let path = |delivery: &Value| format!("/deliveries/{}", delivery["id"].as_str().unwrap());
    let shows = |node: &Node, delivery: &Value| {
        let attempt = &delivery["attempts"][0];
        assert_eq!((attempt["request_body"].as_str(), &attempt["request_body_cut"]), (Some(&*sent), &json!(false)));
        assert!(delivery["request_body"].as_str().unwrap().contains("\"uniqueId\""));
        let header = json!({"name": "Authorization", "value": "Basic ***"});
        assert!(attempt["request_headers"].as_array().unwrap().contains(&header), "{attempt}");
        let text = node.api("GET", &format!("{}/text", path(delivery)), None).expect(200);
        assert!(String::from_utf8(text.body).unwrap().contains(&sent));
        let log = node.get(&format!("/webhooks/{}/log.json", webhook.id));
        assert_eq!(log[0]["attempts"][0]["request_body"], sent.as_str());
    };
    // A success at once has no row: it is read from the journal.
    let delivery = node.settled(&webhook, "delivered");
    shows(&node, &delivery);
    node.restart();
    shows(&node, &node.get(&path(&delivery)));
    // What has a row shows the same.
    segment.limit(1);
    let again = node.api("POST", &format!("{}/redeliver", path(&delivery)), None).expect(202).json();
    let again = crate::support::wait_until("it is sent again", || {
        let again = node.api("GET", &path(&again), None);
        (again.status == 200).then(|| again.json()).filter(|again| again["status"] == "delivered")
    });
    shows(&node, &again);
    assert_eq!(node.list("/error-log")[0]["request_body"], sent.as_str());
}

#[test]
fn a_test_is_a_track_call_and_says_what_its_success_means() {
    let (node, segment) = (Node::start(), Segment::start(WRITE_KEY));
    let tested = node.api("POST", "/webhooks/test", Some(to(&segment, json!({})))).expect(200).json();
    assert_eq!((&tested["delivered"], &tested["status"]), (&json!(true), &json!(200)));
    assert!(tested["detail"].as_str().unwrap().contains("write key"), "{tested}");
    let message = segment.accepted(1).remove(0);
    assert_eq!((&message["event"], &message["properties"]), (&json!("ping"), &json!({})));
    assert_eq!(message["context"]["app"], json!({"name": "webhook-test", "namespace": "-323232"}));
    assert_eq!(serde_json::from_str::<Value>(tested["request"]["body"].as_str().unwrap()).unwrap(), message);
    // Segment itself does not tell a wrong key: the test's words must.
    let wrong =
        node.api("POST", "/webhooks/test", Some(to(&segment, json!({"write_key": "wrong"})))).expect(200).json();
    assert_eq!((&wrong["delivered"], &wrong["detail"]), (&json!(true), &tested["detail"]));
    assert_eq!(segment.dropped(), ["unknown write key"]);
    let stored = webhook(&node, &segment);
    let path = format!("/webhooks/{}/test?event=npsSubmitted", stored.id);
    node.api("POST", &path, None).expect(200);
    assert_eq!(segment.accepted(2)[1]["event"], "npsSubmitted");
}

#[test]
fn a_segment_webhook_is_configured_by_its_own_fields() {
    let (node, segment) = (Node::start(), Segment::start(WRITE_KEY));
    let mut body = to(&segment, json!({}));
    body.as_object_mut().unwrap().remove("endpoint");
    let created = node.api("POST", "/webhooks", Some(body)).expect(201).json();
    assert_eq!(created["endpoint"], "https://api.segment.io");
    assert_eq!((&created["type"], &created["write_key_set"]), (&json!("segment"), &json!(true)));
    assert_eq!((&created["write_key_last4"], &created["standard_webhooks"]), (&json!("3456"), &json!(false)));
    for absent in ["url", "secret_set", "secret_last4", "signing_key", "write_key"] {
        assert_eq!(created.get(absent), None, "{absent}");
    }
    let path = format!("/webhooks/{}", created["id"].as_str().unwrap());
    let region = json!({"endpoint": "https://events.eu1.segmentapis.com", "headers": {"X-Gateway": "g"}});
    let patched = node.api("PATCH", &path, Some(region)).expect(200).json();
    assert_eq!(patched["endpoint"], "https://events.eu1.segmentapis.com");
    let elsewhere = node.api("PATCH", &path, Some(json!({"endpoint": "https://proxy.example", "headers": {}})));
    assert!(elsewhere.expect(422).json()["detail"].as_str().unwrap().contains("enter the write key again"));
    for (change, field) in [
        (json!({"write_key": null}), "write_key"),
        (json!({"write_key": "a:b"}), "write_key"),
        (json!({"endpoint": "https://api.segment.io/v1/track"}), "endpoint"),
        (json!({"endpoint": "nowhere"}), "endpoint"),
        (json!({"url": "https://h"}), "url"),
        (json!({"secret": "s"}), "secret"),
        (json!({"type": "url"}), "type"),
        (json!({"type": "kafka"}), "type"),
        (json!({"format": {"preset": "slack"}}), "format"),
        (json!({"standard_webhooks": true}), "standard_webhooks"),
        (json!({"headers": {"Authorization": "Basic x"}}), "headers"),
    ] {
        let problem = node.api("PATCH", &path, Some(change.clone())).expect(422).json();
        assert_eq!(problem["field"], field, "{change}: {problem}");
    }
    assert_eq!(node.get(&path)["endpoint"], "https://events.eu1.segmentapis.com");
}
