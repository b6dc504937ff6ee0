//! A webhook's pace: requests a second, and requests in flight.

use crate::support::events::track;
use crate::support::{Node, Receiver, Reply};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

fn events(node: &Node, count: u64) {
    let items: Vec<Value> = (0..count).map(|n| track("ann", &format!("event {n}"), json!({}))).collect();
    node.events(&items);
}

fn settings(rate_per_s: Value) -> Value {
    json!({"rate_limit_per_s": rate_per_s, "categories": ["track_events"]})
}

#[test]
fn never_more_than_the_burst_and_the_rate_with_retries_and_replays() {
    const RATE: u32 = 40;
    const BURST: u32 = 4;
    let node = Node::with(&["--retry-delays", "10ms"], &[]);
    // Every other request fails, and is made again.
    let receiver = Receiver::by(|_, number| Reply::Status(if number % 2 == 0 { 500 } else { 200 }));
    let webhook = node.webhook(&receiver.url(), settings(json!(RATE)));
    let began = Instant::now();
    events(&node, 40);
    node.api("POST", &format!("/webhooks/{}/replays", webhook.id), Some(json!({"from": "2020-01-01T00:00:00Z"})))
        .expect(202);
    let requests = receiver.wait(100);
    for (index, request) in requests.iter().enumerate() {
        let most = f64::from(BURST) + f64::from(RATE) * request.at.duration_since(began).as_secs_f64();
        assert!((index + 1) as f64 <= most, "request {index} came after {:?}", request.at.duration_since(began));
    }
}

#[test]
fn another_rate_holds_at_once() {
    let node = Node::start();
    let receiver = Receiver::ok();
    let webhook = node.webhook(&receiver.url(), settings(json!(1)));
    // At one a second these would take longer than this test waits.
    events(&node, 300);
    receiver.wait(2);
    node.patch(&webhook, json!({"rate_limit_per_s": 1000}));
    receiver.wait(300);
    node.patch(&webhook, json!({"rate_limit_per_s": 1}));
    let began = Instant::now();
    events(&node, 300);
    let slow = receiver.wait(302);
    // The bucket that was full of tens of requests is one of one request now.
    let came = slow.iter().skip(300).filter(|request| request.at.duration_since(began).as_millis() < 500).count();
    assert!(came <= 1, "{came} requests came in half a second");
    assert_eq!(node.patch(&webhook, json!({"rate_limit_per_s": null}))["rate_limit_per_s"], Value::Null);
    receiver.wait(600);
}

#[test]
fn more_requests_in_flight_are_allowed_at_once_although_nothing_else_happens() {
    // A receiver that is silent for long would be sent one request at a time.
    let node = Node::with(&["--quiet-after", "300s"], &[]);
    let open = Arc::new(AtomicBool::new(false));
    let receiver = Receiver::always(Reply::When(Arc::clone(&open), Box::new(Reply::Status(200))));
    let webhook = node.webhook(&receiver.url(), json!({"concurrency": 1, "categories": ["track_events"]}));
    events(&node, 20);
    receiver.wait(1);
    node.patch(&webhook, json!({"concurrency": 5}));
    assert_eq!(receiver.wait(5).len(), 5);
    open.store(true, Ordering::SeqCst);
    receiver.wait(20);
}
