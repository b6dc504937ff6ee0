//! A receiver that hangs or fails costs nobody but its own webhook.

use crate::support::{Node, Receiver, Reply, wait_until};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

const EVENTS: usize = 300;

#[test]
fn healthy_receivers_get_everything_while_others_hang_and_fail() {
    // Few requests in flight in total, so that the hanging ones would use all of them up if they could.
    let node = Node::with(&["--concurrency-total", "16"], &[]);
    let hanging: Vec<Receiver> = (0..4).map(|_| Receiver::always(Reply::Hang)).collect();
    let (failing, healthy) = (Receiver::always(Reply::Status(500)), Receiver::ok());
    for receiver in hanging.iter().chain([&failing, &healthy]) {
        node.webhook(&receiver.url(), json!({}));
    }
    for number in 0..EVENTS {
        node.track(&format!("event {number}"));
    }
    let requests = healthy.wait(EVENTS);
    assert_eq!(requests.len(), EVENTS);
    for receiver in &hanging {
        let count = receiver.requests().len();
        assert!(count >= 1, "a hanging receiver is tried");
        assert!(count <= 16, "{count} requests hang at once");
    }
    assert!(!failing.requests().is_empty());
}

/// Every kind of bad receiver at once, with few requests in flight and a slow pace for those in trouble.
#[test]
fn every_kind_of_bad_receiver_at_once_holds_up_no_healthy_one() {
    let node = Node::with(&["--concurrency-total", "16", "--troubled-per-s", "10"], &[]);
    let wait = vec![("retry-after", String::from("1"))];
    let bad = [
        Reply::Hang,
        Reply::Drip,
        Reply::Reset,
        Reply::CloseEarly,
        Reply::Garbage,
        Reply::Status(404),
        Reply::Status(500),
        Reply::Full(429, wait, Vec::new()),
    ];
    let bad = bad.map(Receiver::always);
    let gone = node.webhook("http://127.0.0.1:1/nobody", json!({}));
    let healthy: Vec<Receiver> = (0..2).map(|_| Receiver::ok()).collect();
    for receiver in bad.iter().chain(&healthy) {
        node.webhook(&receiver.url(), json!({"timeout_s": 2}));
    }
    for number in 0..EVENTS {
        node.track(&format!("event {number}"));
    }
    for receiver in &healthy {
        assert_eq!(receiver.wait(EVENTS).len(), EVENTS);
    }
    assert!(node.metric("fanfare_dispatch_in_flight").unwrap() <= 16.0);
    assert!(node.metric("fanfare_dispatch_lanes_narrowed").unwrap() >= 1.0);
    assert!(!node.list(&format!("/webhooks/{}/deliveries", gone.id)).is_empty(), "the log says what it met");
}

/// While all that a receiver answers are errors, its events wait in the journal; the first one that it accepts ends that.
#[test]
fn a_receiver_in_trouble_is_asked_slowly_and_goes_on_at_once_when_it_recovers() {
    let node = Node::with(&["--troubled-per-s", "5", "--retry-delays", "100ms"], &[]);
    let receiver = Receiver::always(Reply::Status(500));
    node.webhook(&receiver.url(), json!({}));
    let names: Vec<String> = (0..EVENTS).map(|number| format!("event {number}")).collect();
    let began = Instant::now();
    names.iter().for_each(|name| node.track(name));
    let before = receiver.wait(20).len();
    let most = 10 + 32 + 1 + (began.elapsed().as_secs_f64() * 5.0).ceil() as usize;
    assert!(before <= most, "{before} requests, of which {most} may have begun until it was known, and since");
    receiver.set(Reply::Status(200));
    receiver.wait_for(names.last().unwrap());
    let arrived = receiver.names();
    assert!(names.iter().all(|name| arrived.contains(name)), "none is lost");
}

/// They read the journal in turn, and each what others have read.
#[test]
fn webhooks_that_fell_behind_together_all_catch_up_each_in_order() {
    const WEBHOOKS: usize = 100;
    const EACH: usize = 40;
    let node = Node::with(&["--quiet-after", "100ms"], &[]);
    let open = Arc::new(AtomicBool::new(false));
    let receiver = Receiver::always(Reply::When(Arc::clone(&open), Box::new(Reply::Status(200))));
    for number in 0..WEBHOOKS {
        node.webhook(&format!("{}/{number}", receiver.url()), json!({"concurrency": 1}));
    }
    node.track("event 0");
    let all = |metric: &str| (node.metric(metric) == Some(WEBHOOKS as f64)).then_some(());
    wait_until("they are silent", || all("fanfare_dispatch_lanes_narrowed"));
    let names: Vec<String> = (0..EACH).map(|number| format!("event {number}")).collect();
    names[1..].iter().for_each(|name| node.track(name));
    wait_until("they are behind", || all("fanfare_dispatch_lanes_behind"));
    open.store(true, Ordering::SeqCst);
    let requests = receiver.wait(WEBHOOKS * EACH);
    let mut arrived: HashMap<&str, Vec<String>> = HashMap::new();
    requests.iter().for_each(|request| arrived.entry(&request.line).or_default().push(request.name()));
    assert_eq!(arrived.len(), WEBHOOKS);
    arrived.iter().for_each(|(line, got)| assert_eq!(*got, names, "{line}"));
}
