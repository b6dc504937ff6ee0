//! Two nodes on the same PostgreSQL and NATS servers: one is active, the other stands by.

use crate::support::node::SHORT_RETRIES;
use crate::support::{Node, Receiver, Reply, events, http, wait_until};
use serde_json::json;
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Sends events, each to the first node that takes it, until told to stop; the names of those that were taken.
struct Sender {
    nodes: Vec<SocketAddr>,
    track_secret: String,
    next: AtomicUsize,
    stop: AtomicBool,
    acked: Mutex<BTreeSet<String>>,
}

impl Sender {
    fn to(nodes: &[&Node]) -> Self {
        Self {
            nodes: nodes.iter().map(|node| node.addr).collect(),
            track_secret: nodes[0].keys.track_secret.clone(),
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            acked: Mutex::default(),
        }
    }

    fn run(&self) {
        while !self.stop.load(Ordering::SeqCst) {
            let name = format!("event {}", self.next.fetch_add(1, Ordering::SeqCst));
            let body = json!({"type": "track", "event": name, "visitorId": "v"}).to_string();
            let headers =
                [("x-pendo-integration-key", self.track_secret.as_str()), ("Content-Type", "application/json")];
            let taken = self.nodes.iter().any(|node| {
                // No answer is what the end of a node looks like from here.
                http::call(*node, "POST", "/data/track", &headers, body.as_bytes()).is_ok_and(|a| a.status == 200)
            });
            if taken {
                self.acked.lock().unwrap().insert(name);
            }
        }
    }

    /// Waits until this many more were taken.
    fn wait_for_more(&self, more: usize) {
        let wanted = self.acked.lock().unwrap().len() + more;
        wait_until("events are taken", || (self.acked.lock().unwrap().len() >= wanted).then_some(()));
    }
}

fn flaky() -> Receiver {
    let failed = AtomicUsize::new(0);
    Receiver::by(move |_, _| Reply::Status(if failed.fetch_add(1, Ordering::SeqCst) % 5 == 4 { 503 } else { 200 }))
}

/// Every event that was taken arrives, and a repeat is the same.
fn assert_all_arrive(sender: &Sender, receiver: &Receiver) {
    let acked = sender.acked.lock().unwrap().clone();
    wait_until("everything that was taken arrives", || {
        let names: BTreeSet<String> = receiver.names().into_iter().collect();
        acked.is_subset(&names).then_some(())
    });
    let mut bodies: HashMap<String, Vec<u8>> = HashMap::new();
    for request in receiver.requests() {
        let body = bodies.entry(request.name()).or_insert_with(|| request.body.clone());
        assert_eq!(*body, request.body, "a repeat has the same bytes");
    }
}

#[test]
fn the_one_that_stands_by_goes_on_when_the_active_one_is_killed_or_stops() {
    let mut first = Node::clustered(&SHORT_RETRIES);
    let receiver = flaky();
    let webhook = first.webhook(&receiver.url(), json!({}));
    let mut second = first.beside();
    let why = wait_until("it stands by", || second.not_ready());
    assert!(why.contains("stands by"), "{why}");
    assert_eq!(second.call("GET", "/healthz", &[], None).status, 200);
    assert_eq!(second.try_track(json!({})).status, 503);
    let sender = Arc::new(Sender::to(&[&first, &second]));
    std::thread::scope(|scope| {
        (0..4).for_each(|_| drop(scope.spawn(|| sender.run())));
        sender.wait_for_more(300);
        first.kill();
        second.wait_until_ready();
        sender.wait_for_more(300);
        // And back, in peace.
        let mut third = first.beside();
        wait_until("it stands by", || third.not_ready());
        second.stop();
        third.wait_until_ready();
        third.switch(&webhook, true);
        sender.stop.store(true, Ordering::SeqCst);
        first = third;
    });
    assert_all_arrive(&sender, &receiver);
    first.track("the end");
    receiver.wait_for("the end");
    let path = format!("/webhooks/{}/deliveries?status=delivered&", webhook.id);
    let taken = sender.acked.lock().unwrap().len();
    wait_until("the records of all three are one", || (first.list(&path).len() > taken).then_some(()));
}

#[test]
fn one_that_was_frozen_finds_that_another_one_goes_on() {
    let mut first = Node::clustered(&SHORT_RETRIES);
    let receiver = flaky();
    first.webhook(&receiver.url(), json!({}));
    let mut second = first.beside();
    wait_until("it stands by", || second.not_ready());
    (0..20).for_each(|n| first.track(&format!("before {n}")));
    first.freeze(true);
    second.wait_until_ready();
    (0..20).for_each(|n| second.track(&format!("meanwhile {n}")));
    first.freeze(false);
    // It writes down where its lanes stand, or what it is sent, and is refused.
    let _ = first.try_track(json!({"type": "track", "event": "too late", "visitorId": "v"}));
    assert!(!first.ended().success(), "it says that it was not asked to end");
    assert!(first.log().contains("another node writes the journal now"), "{}", first.log());
    for n in 0..20 {
        receiver.wait_for(&format!("before {n}"));
        receiver.wait_for(&format!("meanwhile {n}"));
    }
}

#[test]
fn an_installation_moves_from_files_to_servers() {
    let mut node = Node::embedded(&["--retry-delays", "300s"], &[]);
    let tries = AtomicUsize::new(0);
    let receiver = Receiver::by(move |request, _| {
        let refused = request.name() == "waits" && tries.fetch_add(1, Ordering::SeqCst) == 0;
        Reply::Status(if refused { 503 } else { 200 })
    });
    let webhook = node.webhook(&receiver.url(), json!({"auth": {"type": "bearer", "token": "s3cret"}}));
    for name in ["one", "two \u{0} three"] {
        node.track(name);
        receiver.wait_for(name);
    }
    node.track("waits");
    node.settled(&webhook, "retrying");
    node.events(&[events::identify("ann", "acme")]);
    // Three track events, and two first sightings.
    let deliveries = wait_until("all are on record", || Some(node.deliveries(&webhook)).filter(|all| all.len() == 5));
    let (events_before, audit) = (node.list("/events"), node.list("/audit-log"));
    node.stop();
    node.move_to_servers();
    assert_eq!(node.deliveries(&webhook), deliveries);
    assert_eq!((node.list("/events"), node.list("/audit-log")), (events_before, audit));
    node.events(&[events::identify("ann", "acme")]);
    let retrying = deliveries.iter().find(|delivery| delivery["status"] == "retrying").unwrap();
    node.api("POST", &format!("/deliveries/{}/redeliver", retrying["id"].as_str().unwrap()), None).expect(202);
    node.track("after");
    assert_eq!(receiver.wait_for("after").header("authorization"), Some("Bearer s3cret"), "secrets open");
    wait_until("what waited is sent", || {
        (receiver.names().iter().filter(|name| *name == "waits").count() >= 2).then_some(())
    });
    let created = receiver.requests().iter().filter(|request| request.event() == "visitorCreated").count();
    assert_eq!(created, 1, "who was seen is known");
}
