//! On, off, edited, deleted, restarted: what is still sent and what is not.

use crate::support::{Node, Receiver, Reply, wait_until};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const SECOND_RETRIES: [&str; 2] = ["--retry-delays", "1s,1s,1s,1s,1s"];

#[test]
fn off_cancels_waiting_retries() {
    let node = Node::with(&SECOND_RETRIES, &[]);
    let receiver = Receiver::always(Reply::Status(500));
    let webhook = node.webhook(&receiver.url(), json!({}));
    node.track("cancelled");
    node.settled(&webhook, "retrying");
    node.switch(&webhook, false);
    node.settled(&webhook, "cancelled");
    node.switch(&webhook, true);
    node.track("later");
    // The retry of the later event is due after the cancelled one would have been.
    wait_until("the later event is retried", || {
        (receiver.names().iter().filter(|name| *name == "later").count() >= 2).then_some(())
    });
    assert_eq!(receiver.names().iter().filter(|name| *name == "cancelled").count(), 1);
}

#[test]
fn off_lets_requests_in_flight_finish_and_sends_nothing_more() {
    let node = Node::start();
    let open = Arc::new(AtomicBool::new(false));
    let receiver = Receiver::always(Reply::When(Arc::clone(&open), Box::new(Reply::Status(200))));
    let webhook = node.webhook(&receiver.url(), json!({"concurrency": 1}));
    for name in ["in flight", "waiting 1", "waiting 2"] {
        node.track(name);
    }
    let first = receiver.wait(1)[0].name();
    node.switch(&webhook, false);
    open.store(true, Ordering::SeqCst);
    let delivered = node.settled(&webhook, "delivered");
    assert_eq!(delivered["attempts"].as_array().unwrap().len(), 1);
    node.switch(&webhook, true);
    node.track("later");
    receiver.wait_for("later");
    assert_eq!(receiver.names(), [first, "later".into()]);
    let log = node.get(&format!("/webhooks/{}/deliveries?limit=500", webhook.id)).to_string();
    assert!(log.contains("cancelled"), "events that were never attempted are in the log: {log}");
}

#[test]
fn a_deleted_webhook_is_sent_nothing() {
    let node = Node::with(&SECOND_RETRIES, &[]);
    let (receiver, witness) = (Receiver::always(Reply::Status(500)), Receiver::always(Reply::Status(500)));
    let webhook = node.webhook(&receiver.url(), json!({}));
    let witnessing = node.webhook(&witness.url(), json!({}));
    node.track("one");
    node.settled(&webhook, "retrying");
    node.settled(&witnessing, "retrying");
    let path = format!("/webhooks/{}", webhook.id);
    assert_eq!(node.api("DELETE", &path, None).status, 204);
    assert_eq!(node.api("GET", &path, None).status, 404);
    assert_eq!(node.api("PATCH", &path, Some(json!({"enabled": true}))).status, 404);
    // The witness's third request comes at least one retry delay after the deleted webhook's second would have.
    let seen = receiver.requests().len();
    let witnessed = witness.requests().len();
    witness.wait(witnessed + 2);
    assert!(receiver.requests().len() <= seen + 1, "at most the one that was in flight");
}

#[test]
fn categories_change_at_their_place() {
    let node = Node::start();
    let receiver = Receiver::ok();
    let webhook = node.webhook(&receiver.url(), json!({"categories": ["track_events"]}));
    node.track("before");
    node.patch(&webhook, json!({"categories": ["guides"]}));
    node.track("between");
    node.patch(&webhook, json!({"categories": "all"}));
    node.track("after");
    receiver.wait_for("before");
    receiver.wait_for("after");
    assert_eq!(receiver.names().len(), 2, "{:?}", receiver.names());
}

#[test]
fn waiting_retries_survive_a_kill() {
    let mut node = Node::with(&SECOND_RETRIES, &[]);
    let receiver = Receiver::sequence(vec![Reply::Status(500), Reply::Status(200)]);
    let webhook = node.webhook(&receiver.url(), json!({}));
    node.track("one");
    node.settled(&webhook, "retrying");
    node.restart();
    let requests = receiver.wait(2);
    assert_eq!(requests[0].body, requests[1].body);
    let delivery = node.settled(&webhook, "delivered");
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 2, "{delivery:#}");
}

#[test]
fn a_switch_holds_after_a_kill() {
    let mut node = Node::start();
    let (receiver, witness) = (Receiver::ok(), Receiver::ok());
    let webhook = node.webhook(&receiver.url(), json!({}));
    node.webhook(&witness.url(), json!({}));
    node.switch(&webhook, false);
    node.restart();
    assert_eq!(node.get(&format!("/webhooks/{}", webhook.id))["state"], "off");
    node.track("one");
    witness.wait_for("one");
    node.switch(&webhook, true);
    node.track("two");
    receiver.wait_for("two");
    assert_eq!(receiver.names(), ["two"]);
}

#[test]
fn what_was_missed_while_the_receiver_was_down_comes_when_it_is_back() {
    let node = Node::with(&["--retry-delays", "1s,1s,1s,1s,1s,1s,1s,1s,1s,1s", "--probe-pause", "200ms"], &[]);
    let receiver = Receiver::always(Reply::Reset);
    node.webhook(&receiver.url(), json!({"concurrency": 2}));
    let names: Vec<String> = (0..20).map(|number| format!("event {number:02}")).collect();
    for name in &names {
        node.track(name);
    }
    receiver.wait(1);
    receiver.set(Reply::Status(200));
    for name in &names {
        receiver.wait_for(name);
    }
}
