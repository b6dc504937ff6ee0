//! Filters: what arrives, from where on a change holds, and what is told of it.

use crate::support::{Node, Receiver, Reply, Webhook, events, wait_until};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const NPS: &str = "event == 'npsSubmitted' && properties.nps.rating <= 6";

/// A track event with this number among its properties.
fn numbered(node: &Node, name: &str, number: u64) {
    node.try_track(events::server_track("ann", name, json!({"n": number}))).expect(200);
}

/// What the explanation of an event says of a webhook, once it gives this reason.
#[track_caller]
fn explained(node: &Node, event: &str, webhook: &Webhook, reason: &str) -> Value {
    wait_until(&format!("the reason is {reason}"), || {
        let told = node.get(&format!("/events/{event}/explain?webhook={}", webhook.id))["data"][0].clone();
        (told["reason"] == reason).then_some(told)
    })
}

/// The id of the event named so.
fn id_of(node: &Node, name: &str) -> String {
    let rows = node.list("/events");
    let is_named = |row: &&Value| {
        let event = node.get(&format!("/events/{}", row["id"].as_str().unwrap()));
        event["body"].as_str().unwrap().contains(&format!("\"name\":\"{name}\""))
    };
    rows.iter().find(is_named).expect("the event is listed")["id"].as_str().unwrap().to_owned()
}

#[test]
fn only_what_passes_arrives() {
    let node = Node::start();
    let (receiver, witness) = (Receiver::ok(), Receiver::ok());
    let webhook = node.webhook(&receiver.url(), json!({"filter": NPS}));
    node.webhook(&witness.url(), json!({"categories": ["nps"]}));
    for rating in [9, 3, 7, 6] {
        node.events(&[events::nps_response("ann", json!({"rating": rating, "reason": "", "source": "web"}))]);
    }
    node.track("not asked for");
    witness.wait(4);
    let ratings: Vec<Value> =
        receiver.wait(2).iter().map(|request| request.json()["properties"]["nps"]["rating"].clone()).collect();
    let mut sorted: Vec<_> = ratings.iter().map(|rating| rating.as_u64().unwrap()).collect();
    sorted.sort_unstable();
    assert_eq!(sorted, [3, 6]);
    assert_eq!(node.get(&format!("/webhooks/{}", webhook.id))["filter"], NPS);
    // What a webhook had asked for is read from the records, which follow a moment later.
    let mine = || node.list(&format!("/events?webhook={}&", webhook.id));
    wait_until("the list shows what passed", || (mine().len() == 2).then_some(()));
    node.patch(&webhook, json!({"filter": null}));
    node.track("everything now");
    receiver.wait_for("everything now");
    assert_eq!(receiver.requests().len(), 3);
}

#[test]
fn a_wrong_filter_is_refused_with_its_place() {
    let node = Node::start();
    let webhook = node.create(json!({"url": "http://127.0.0.1:9/"}));
    for (method, path) in [("PATCH", format!("/webhooks/{}", webhook.id)), ("POST", "/webhooks/try-filter".into())] {
        let answer = node.api(method, &path, Some(json!({"filter": "visitorId == 'a' &&\n  evnt == 'b'"})));
        let problem = answer.expect(422).json();
        assert_eq!(problem["field"], "filter", "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("line 2, column 3"), "{problem}");
    }
}

#[test]
fn a_change_holds_from_its_place_for_a_lane_that_is_behind_and_through_a_kill() {
    let mut node = Node::with(&["--retry-delays", "1s,1s,1s,1s,1s,1s,1s,1s,1s,1s", "--probe-pause", "200ms"], &[]);
    let open = Arc::new(AtomicBool::new(false));
    let shut = Reply::When(Arc::clone(&open), Box::new(Reply::Status(200)));
    let receiver = Receiver::always(shut);
    let webhook =
        node.webhook(&receiver.url(), json!({"filter": "properties.eventProperties.n < 10", "concurrency": 1}));
    let witness = Receiver::ok();
    node.webhook(&witness.url(), json!({}));
    numbered(&node, "first", 1);
    receiver.wait(1);
    // More than a lane keeps in memory, and than it keeps while its receiver is silent: it reads them from the journal.
    let low: Vec<String> = (0..20).map(|number| format!("low {number}")).collect();
    for name in &low {
        numbered(&node, name, 5);
        numbered(&node, &format!("high before {name}"), 50);
    }
    node.patch(&webhook, json!({"filter": "properties.eventProperties.n >= 10"}));
    numbered(&node, "low after", 5);
    numbered(&node, "high after", 50);
    witness.wait_for("high after");
    node.restart();
    open.store(true, Ordering::SeqCst);
    for name in low.iter().chain([&String::from("high after")]) {
        receiver.wait_for(name);
    }
    let names = receiver.names();
    assert!(!names.iter().any(|name| name.starts_with("high before") || name == "low after"), "{names:?}");

    let told = explained(&node, &id_of(&node, "low after"), &webhook, "filtered");
    assert_eq!((&told["filter"], &told["filter_error"]), (&json!("properties.eventProperties.n >= 10"), &Value::Null));
    let told = explained(&node, &id_of(&node, "high before low 0"), &webhook, "filtered");
    assert_eq!(told["filter"], "properties.eventProperties.n < 10");
    explained(&node, &id_of(&node, "low 0"), &webhook, "delivered");
}

#[test]
fn a_filter_without_an_answer_is_told_and_counted() {
    let node = Node::start();
    let (receiver, witness) = (Receiver::ok(), Receiver::ok());
    let webhook = node.webhook(&receiver.url(), json!({"filter": "properties.eventProperties.n > 'a'"}));
    node.webhook(&witness.url(), json!({}));
    numbered(&node, "a number", 1);
    node.track("none");
    witness.wait(2);
    let told = explained(&node, &id_of(&node, "a number"), &webhook, "filter_failed");
    assert!(told["filter_error"].as_str().unwrap().contains("a whole number and a text have no order"), "{told}");
    let told = explained(&node, &id_of(&node, "none"), &webhook, "filtered");
    assert_eq!(told["filter_error"], "the event has no n");
    let metrics = String::from_utf8(node.raw("GET", "/metrics", &[], b"").expect(200).body).unwrap();
    assert!(metrics.contains("fanfare_dispatch_filter_failures_total 1\n"), "{metrics}");
    assert!(receiver.requests().is_empty());
}

#[test]
fn a_filter_is_tried_against_the_newest_events() {
    let node = Node::start();
    for number in 0..120 {
        numbered(&node, &format!("event {number}"), number);
    }
    node.events(&[events::identify("eve", "acme")]);
    let tried = |body: Value| node.api("POST", "/webhooks/try-filter", Some(body)).expect(200).json();
    let answer = tried(json!({"filter": "properties.eventProperties.n >= 110"}));
    assert_eq!((answer["passed"].as_u64(), answer["data"].as_array().unwrap().len()), (Some(10), 100));
    assert_eq!(answer["data"][0]["event"], "accountCreated", "newest first: {}", answer["data"][0]);
    assert_eq!(answer["data"][0]["error"], "the event has no eventProperties");
    let track = &answer["data"][2];
    assert_eq!((&track["passes"], &track["error"], &track["visitor_id"]), (&json!(true), &Value::Null, &json!("ann")));
    let visitors = tried(json!({"filter": "visitorId == 'eve'", "categories": ["visitors"]}));
    assert_eq!((visitors["passed"].as_u64(), visitors["data"].as_array().unwrap().len()), (Some(1), 1));
}

#[test]
fn what_was_missed_and_replayed_goes_by_the_filter() {
    let node = Node::start();
    let receiver = Receiver::ok();
    let webhook = node.webhook(&receiver.url(), json!({"filter": "properties.eventProperties.n >= 2"}));
    node.switch(&webhook, false);
    for number in 0..4 {
        numbered(&node, &format!("event {number}"), number);
    }
    assert_eq!(node.get(&format!("/webhooks/{}/missed", webhook.id))["events"], 2);
    node.switch(&webhook, true);
    node.api("POST", &format!("/webhooks/{}/replays", webhook.id), Some(json!({"status": "missed"}))).expect(202);
    receiver.wait_for("event 2");
    receiver.wait_for("event 3");
    wait_until("the replay is over", || {
        let replays = node.get(&format!("/webhooks/{}/replays", webhook.id));
        (replays["data"][0]["state"] == "done").then_some(())
    });
    assert_eq!(receiver.requests().len(), 2);
}
