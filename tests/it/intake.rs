//! What comes in: accepted, refused, held, repeated.

use crate::support::events::{batch, guide_seen, identify, now_ms, nps_response, poll_response, server_track, track};
use crate::support::http::Answer;
use crate::support::{Node, Receiver, wait_until};
use serde_json::{Value, json};

const DAY_MS: i64 = 24 * 3600 * 1000;

#[track_caller]
fn assert_problem(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let problem = answer.json();
    assert_eq!(problem["status"], status, "{problem}");
    assert!(problem["title"].is_string(), "{problem}");
    problem
}

#[test]
fn the_track_api_names_what_is_wrong() {
    let node = Node::start();
    let whole = server_track("ann", "e", json!({}));
    for field in ["type", "event", "visitorId"] {
        let mut body = whole.clone();
        body.as_object_mut().unwrap().remove(field);
        let problem = assert_problem(&node.try_track(body), 400);
        assert!(problem.to_string().contains(field), "{problem}");
    }
    let mut old = whole.clone();
    old["timestamp"] = json!(now_ms() - 7 * DAY_MS - 60_000);
    assert_problem(&node.try_track(old), 422);
    let mut recent = whole.clone();
    recent["timestamp"] = json!(now_ms() - 7 * DAY_MS + 3_600_000);
    assert_eq!(node.try_track(recent).status, 200);

    let text = whole.to_string();
    let key = ("x-pendo-integration-key", node.keys.track_secret.as_str());
    let post = |headers: &[(&str, &str)], body: &[u8]| node.raw("POST", "/data/track", headers, body);
    let json_type = ("Content-Type", "application/json");
    assert_problem(&post(&[json_type], text.as_bytes()), 401);
    assert_problem(&post(&[json_type, ("x-pendo-integration-key", "wrong")], text.as_bytes()), 401);
    assert_problem(&post(&[json_type, ("x-pendo-integration-key", &node.keys.integration_key)], text.as_bytes()), 401);
    assert_problem(&post(&[key, ("Content-Type", "text/html")], text.as_bytes()), 415);
    assert_problem(&post(&[key, json_type], b"{\"type\":"), 400);
    assert_problem(&post(&[key, json_type], b"[]"), 400);
    assert_problem(&post(&[key, json_type], &vec![b' '; (1 << 20) + 1]), 413);
    assert!(node.taken_in().len() == 1, "what was refused is not kept");
}

#[test]
fn a_batch_is_judged_item_by_item() {
    let node = Node::start();
    let mut old = track("ann", "old", json!({}));
    old["browserTime"] = json!(now_ms() - 8 * DAY_MS);
    let mut unknown_guide = guide_seen("ann", &[]);
    unknown_guide.as_object_mut().unwrap().remove("guideProperties");
    let items = [
        track("ann", "good", json!({})),
        old,
        json!({"type": "nonsense", "visitorId": "ann"}),
        unknown_guide,
        nps_response("ann", json!({"rating": 11, "reason": ""})),
        track("ann", "good too", json!({})),
    ];
    let answer = node.try_events(batch(&items)).expect(200).json();
    assert_eq!(answer["accepted"], 2, "{answer}");
    let rejected = answer["rejected"].as_array().unwrap();
    let indices: Vec<u64> = rejected.iter().map(|item| item["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, [1, 2, 3, 4], "{answer}");
    assert!(rejected.iter().all(|item| item["reason"].as_str().is_some_and(|reason| !reason.is_empty())), "{answer}");
}

#[test]
fn a_batch_that_cannot_be_read_is_refused_whole() {
    let node = Node::start();
    let key = ("x-fanfare-agent-key", node.keys.agent_key.as_str());
    let json_type = ("Content-Type", "application/json");
    let post = |headers: &[(&str, &str)], body: &[u8]| node.raw("POST", "/data/events", headers, body);
    assert_problem(&post(&[key, json_type], b"{\"events\":["), 400);
    assert_problem(&post(&[json_type], b"{}"), 401);
    assert_problem(&post(&[("x-fanfare-agent-key", "wrong"), json_type], b"{}"), 401);
    assert_problem(&post(&[key, json_type], &vec![b' '; (1 << 20) + 1]), 413);
    let items: Vec<Value> = (0..501).map(|_| json!({"type": "track"})).collect();
    let answer = node.try_events(batch(&items));
    assert!((400..500).contains(&answer.status), "501 items: {answer:?}");
}

#[test]
fn a_beacon_and_a_foreign_origin() {
    let node = Node::start();
    let body = batch(&[identify("ann", "")]).to_string();
    let target = format!("/data/events?key={}", node.keys.agent_key);
    let plain = ("Content-Type", "text/plain;charset=UTF-8");
    let own = format!("http://{}", node.addr);
    let post = |headers: &[(&str, &str)]| node.raw("POST", &target, headers, body.as_bytes());
    post(&[plain]).expect(200);
    let answer = post(&[plain, ("Origin", &own)]).expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(own.as_str()));
    let answer = post(&[plain, ("Origin", "https://evil.example")]);
    assert_eq!(answer.status, 403);
    assert_eq!(answer.header("access-control-allow-origin"), None);

    let ask = |origin: &str| {
        let headers = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "content-type,x-fanfare-agent-key"),
        ];
        node.raw("OPTIONS", &target, &headers, b"")
    };
    let answer = ask(&own);
    assert!((200..300).contains(&answer.status), "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), Some(own.as_str()));
    let allowed = answer.header("access-control-allow-headers").unwrap_or_default().to_ascii_lowercase();
    assert!(allowed.contains("x-fanfare-agent-key") && allowed.contains("content-type"), "{allowed}");
}

#[test]
fn an_item_id_is_taken_once_through_a_kill() {
    let mut node = Node::start();
    let receiver = Receiver::ok();
    node.webhook(&receiver.url(), json!({"categories": ["track_events"]}));
    let mut item = track("ann", "once", json!({}));
    item["id"] = json!("order/4711");
    node.events(&[item.clone(), item.clone()]);
    node.events(std::slice::from_ref(&item));
    receiver.wait_for("once");
    for _ in 0..2 {
        node.restart();
        node.events(std::slice::from_ref(&item));
    }
    node.events(&[track("ann", "last", json!({}))]);
    receiver.wait_for("last");
    let accepted = node.list("/events").iter().filter(|event| event["event"] == "trackEventReceived").count();
    assert_eq!(accepted, 2, "`once` and `last`");
}

#[test]
fn nps_waits_for_its_reason() {
    let node = Node::with(&["--nps-window", "1s"], &[]);
    let receiver = Receiver::ok();
    node.webhook(&receiver.url(), json!({"categories": ["nps"]}));
    let nps = |visitor: &str| {
        receiver.requests().iter().map(|request| request.json()).find(|json| json["visitorId"] == visitor)
    };
    node.events(&[nps_response("both", json!({"rating": 9, "reason": "", "source": "web"}))]);
    let json = wait_until("rating and reason leave together", || nps("both"));
    assert_eq!(json["properties"]["nps"], json!({"rating": 9, "reason": "", "source": "web"}));

    node.events(&[nps_response("alone", json!({"rating": 3}))]);
    let json = wait_until("the rating alone leaves", || nps("alone"));
    assert_eq!(json["properties"]["nps"], json!({"rating": 3, "reason": "", "source": "web"}));
    let late = node.try_events(batch(&[nps_response("alone", json!({"reason": "late"}))])).expect(200).json();
    assert_eq!(late["accepted"], 0, "{late}");
    assert_eq!(late["rejected"][0]["index"], 0, "{late}");
}

#[test]
fn a_reason_joins_its_rating_through_a_kill() {
    let mut node = Node::with(&["--nps-window", "30s"], &[]);
    let receiver = Receiver::ok();
    node.webhook(&receiver.url(), json!({"categories": ["nps"]}));
    node.events(&[nps_response("ann", json!({"rating": 7, "source": "email"}))]);
    node.restart();
    node.events(&[nps_response("ann", json!({"reason": "because", "source": "email"}))]);
    let requests = receiver.wait(1);
    let expected = json!({"rating": 7, "reason": "because", "source": "email"});
    assert_eq!(requests[0].json()["properties"]["nps"], expected);
}

#[test]
fn poll_items_of_one_submit_are_one_event() {
    let node = Node::start();
    let receiver = Receiver::ok();
    node.webhook(&receiver.url(), json!({"categories": ["polls"]}));
    let answer =
        |poll: &str, choice: &str| json!([{"pollId": poll, "pollType": "PickList", "response": choice, "duration": 1}]);
    node.events(&[poll_response("ann", answer("p", "x")), poll_response("ann", answer("q", "y"))]);
    node.events(&[poll_response("bob", answer("p", "z"))]);
    let requests = receiver.wait(2);
    let of = |visitor: &str| requests.iter().map(|r| r.json()).find(|json| json["visitorId"] == visitor).unwrap();
    assert_eq!(of("ann")["properties"]["pollResponses"].as_array().unwrap().len(), 2);
    assert_eq!(of("bob")["properties"]["pollResponses"].as_array().unwrap().len(), 1);
    assert_eq!(receiver.requests().len(), 2);
}

#[test]
fn an_old_agent_s_polls_are_kept_and_not_pushed() {
    let node = Node::start();
    let receiver = Receiver::ok();
    node.webhook(&receiver.url(), json!({"categories": ["polls", "nps", "track_events"]}));
    for version in [json!("2.32.9"), Value::Null] {
        let body = json!({"agentVersion": version, "events": [guide_seen("ann", &["FreeForm", "NPSRating"])]});
        assert_eq!(node.try_events(body).expect(200).json()["accepted"], 1);
    }
    node.events(&[track("ann", "last", json!({}))]);
    receiver.wait_for("last");
    assert_eq!(receiver.names(), ["last"]);
    let kept = node.list("/events").iter().filter(|event| event["event"] == "pollDisplayed").count();
    assert_eq!(kept, 2);
}

#[test]
fn a_future_time_becomes_now() {
    let node = Node::start();
    let receiver = Receiver::ok();
    node.webhook(&receiver.url(), json!({"categories": ["track_events"]}));
    let mut item = track("ann", "future", json!({}));
    item["browserTime"] = json!(now_ms() + DAY_MS);
    node.events(&[item]);
    let timestamp = receiver.wait_for("future").json()["timestamp"].as_i64().unwrap();
    assert!(timestamp <= now_ms() / 1000, "{timestamp}");
}
