//! Ordered webhooks: each visitor's events one after the other, retries included.

use crate::support::events::{batch, server_track, track};
use crate::support::receiver::Request;
use crate::support::{Node, Receiver, Reply, Webhook, http, wait_until};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SHORT_DELAYS: [&str; 2] = ["--retry-delays", "10ms,20ms,50ms,50ms,50ms"];

/// What a receiver knows of a visitor's event.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    failures: u32,
    over: bool,
}

/// A receiver's book: what came, and what must not have.
#[derive(Debug, Default)]
struct Book {
    seen: HashMap<(String, u64), Seen>,
    /// Requests that are being answered, by visitor.
    open: HashMap<String, u32>,
    wrong: Vec<String>,
    random: u64,
    /// When the last one was over.
    last: Option<Instant>,
}

impl Book {
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.random >> 33
    }

    /// An event comes: it must be alone of its visitor, and the one before it must be over when it is seen first.
    fn comes(&mut self, visitor: &str, number: u64, ordered: bool) {
        let open = self.open.entry(visitor.to_owned()).or_default();
        *open += 1;
        if *open > 1 && ordered {
            self.wrong.push(format!("{visitor} {number} came beside another one"));
        }
        let is_first = !self.seen.contains_key(&(visitor.to_owned(), number));
        let before = number.checked_sub(1).map(|before| self.seen.get(&(visitor.to_owned(), before)).copied());
        if ordered && is_first && before.is_some_and(|before| !before.unwrap_or_default().over) {
            self.wrong.push(format!("{visitor} {number} came before the one before it was over"));
        }
        self.seen.entry((visitor.to_owned(), number)).or_default();
    }

    /// One in five fails, none more than three times.
    fn fails(&mut self, visitor: &str, number: u64) -> bool {
        let fails = self.random().is_multiple_of(5);
        let seen = self.seen.entry((visitor.to_owned(), number)).or_default();
        if fails && seen.failures < 3 && !seen.over {
            seen.failures += 1;
            return true;
        }
        false
    }

    fn ends(&mut self, visitor: &str, number: u64, over: bool) {
        *self.open.entry(visitor.to_owned()).or_default() -= 1;
        let seen = self.seen.entry((visitor.to_owned(), number)).or_default();
        if over && !seen.over {
            seen.over = true;
            self.last = Some(Instant::now());
        }
    }

    fn over(&self) -> usize {
        self.seen.values().filter(|seen| seen.over).count()
    }
}

/// Visitor and number of a track event.
fn of(request: &Request) -> Option<(String, u64)> {
    let body = request.json();
    let number = body["properties"]["eventProperties"]["n"].as_u64()?;
    Some((body["visitorId"].as_str()?.to_owned(), number))
}

/// A receiver that keeps a book. `answer_ms`: how long it takes for an answer.
fn bookkeeper(ordered: bool, answer_ms: u64) -> (Receiver, Arc<Mutex<Book>>) {
    let book = Arc::new(Mutex::new(Book { random: 7, ..Book::default() }));
    let kept = Arc::clone(&book);
    let receiver = Receiver::by(move |request, _| {
        let Some((visitor, number)) = of(request) else { return Reply::Status(200) };
        let fails = {
            let mut book = kept.lock().unwrap();
            book.comes(&visitor, number, ordered);
            book.fails(&visitor, number)
        };
        std::thread::sleep(Duration::from_millis(answer_ms));
        kept.lock().unwrap().ends(&visitor, number, !fails);
        Reply::Status(if fails { 500 } else { 200 })
    });
    (receiver, book)
}

fn settings(ordered: bool) -> Value {
    json!({"ordered": ordered, "categories": ["track_events"], "concurrency": 32})
}

#[test]
fn ten_thousand_events_of_a_hundred_visitors_come_in_order_at_half_the_speed_at_least() {
    const EVENTS: u64 = 10_000;
    const VISITORS: u64 = 100;
    let node = Node::with(&SHORT_DELAYS, &[]);
    let (receiver, ordered) = bookkeeper(true, 1);
    let (other, unordered) = bookkeeper(false, 1);
    node.webhook(&receiver.url(), settings(true));
    node.webhook(&other.url(), settings(false));
    let began = Instant::now();
    for start in (0..EVENTS).step_by(500) {
        let item = |n: u64| track(&format!("v{}", n % VISITORS), "e", json!({"n": n / VISITORS}));
        let items: Vec<Value> = (start..start + 500).map(item).collect();
        node.try_events(batch(&items)).expect(200);
    }
    for book in [&ordered, &unordered] {
        wait_until("all are over", || (book.lock().unwrap().over() as u64 == EVENTS).then_some(()));
    }
    let (ordered, unordered) = (ordered.lock().unwrap(), unordered.lock().unwrap());
    assert_eq!(ordered.wrong, [""; 0]);
    let retried = ordered.seen.values().filter(|seen| seen.failures > 0).count();
    assert!(retried as u64 > EVENTS / 10, "only {retried} were retried");
    // Both ran at the same time on the same machine, so that what slows it down slows both down.
    let took = |book: &Book| book.last.unwrap().duration_since(began);
    assert!(took(&ordered) <= 2 * took(&unordered), "{:?}, unordered {:?}", took(&ordered), took(&unordered));
}

#[test]
fn after_a_final_failure_the_visitors_next_event_goes_on() {
    let node = Node::with(&["--retry-delays", "50ms,50ms"], &[]);
    let receiver = Receiver::by(|request, _| match request.name().as_str() {
        "refused" => Reply::Status(400),
        "failing" => Reply::Status(503),
        _ => Reply::Status(200),
    });
    let webhook = node.webhook(&receiver.url(), settings(true));
    let items = ["refused", "failing", "fine"].map(|name| track("ann", name, json!({})));
    node.events(&items);
    node.events(&[track("ben", "somebody else's", json!({}))]);
    receiver.wait_for("fine");
    let ofann: Vec<String> = receiver.names().into_iter().filter(|name| name != "somebody else's").collect();
    assert_eq!(ofann, ["refused", "failing", "failing", "failing", "fine"]);
    receiver.wait_for("somebody else's");
    let states = |state: &str| node.deliveries(&webhook).iter().filter(|row| row["status"] == state).count();
    wait_until("two have failed", || (states("failed") == 2 && states("delivered") == 2).then_some(()));
}

#[test]
fn others_are_not_held_up_and_first_sightings_come_first() {
    let node = Node::with(&["--retry-delays", "300s"], &[]);
    let receiver = Receiver::by(|request, _| {
        let is_anns = request.json()["visitorId"] == "ann";
        Reply::Status(if is_anns && request.event() == "trackEventReceived" { 503 } else { 200 })
    });
    node.webhook(&receiver.url(), json!({"ordered": true}));
    node.events(&[track("ann", "fails", json!({})), track("ann", "waits", json!({}))]);
    receiver.wait_for("fails");
    for n in 0..20 {
        node.events(&[track(&format!("v{n}"), &format!("event {n}"), json!({})), track("ann", "waits too", json!({}))]);
        receiver.wait_for(&format!("event {n}"));
    }
    let requests = receiver.requests();
    assert!(!requests.iter().any(|request| request.name().starts_with("waits")), "{:?}", receiver.names());
    for n in 0..20 {
        let of_visitor = |request: &&Request| request.json()["visitorId"] == format!("v{n}");
        let events: Vec<String> = requests.iter().filter(of_visitor).map(Request::event).collect();
        assert_eq!(events, ["visitorCreated", "trackEventReceived"]);
    }
}

#[test]
fn what_waits_for_its_retry_holds_up_its_visitor_after_a_kill_too() {
    let mut node = Node::with(&["--retry-delays", "2s,2s,2s,2s,2s,2s,2s,2s"], &[]);
    let receiver = Receiver::always(Reply::Status(503));
    let webhook = node.webhook(&receiver.url(), settings(true));
    node.events(&["first", "second", "third"].map(|name| track("ann", name, json!({}))));
    node.settled(&webhook, "retrying");
    node.kill();
    receiver.set(Reply::Status(200));
    node.serve();
    node.events(&[track("ann", "fourth", json!({})), track("ben", "not ann's", json!({}))]);
    receiver.wait_for("not ann's");
    receiver.wait_for("fourth");
    let names: Vec<String> = receiver.names().into_iter().filter(|name| name != "not ann's").collect();
    let mut seen = names.clone();
    seen.dedup();
    assert_eq!(seen, ["first", "second", "third", "fourth"], "{names:?}");
}

#[test]
fn through_kills_no_event_is_seen_before_the_one_before_it_succeeded() {
    const VISITORS: u64 = 10;
    let mut node = Node::with(&SHORT_DELAYS, &[]);
    let (receiver, book) = bookkeeper(true, 1);
    node.webhook(&receiver.url(), settings(true));
    let (stop, next, acked) = (AtomicBool::new(false), AtomicU64::new(0), Mutex::new(0_u64));
    let (addr, secret) = (node.addr, node.keys.track_secret.clone());
    let headers = [("x-pendo-integration-key", secret.as_str()), ("Content-Type", "application/json")];
    // One sender a visitor, and what was not acknowledged is sent again under the same number: it may be there already.
    let send = || {
        let visitor = next.fetch_add(1, Ordering::SeqCst);
        for number in 0.. {
            let body = server_track(&format!("v{visitor}"), "e", json!({"n": number})).to_string();
            while http::call(addr, "POST", "/data/track", &headers, body.as_bytes()).is_err() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
            }
            *acked.lock().unwrap() += 1;
            if stop.load(Ordering::SeqCst) {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        (0..VISITORS).for_each(|_| drop(scope.spawn(send)));
        for kill in 1..=4 {
            wait_until("some are over", || (book.lock().unwrap().over() > 100 * kill).then_some(()));
            node.restart();
        }
        stop.store(true, Ordering::SeqCst);
    });
    let acked = *acked.lock().unwrap() as usize;
    wait_until("all that was acknowledged is over", || (book.lock().unwrap().over() >= acked).then_some(()));
    let book = book.lock().unwrap();
    // A request that was in flight when the node was killed may still be being answered when it is made again.
    let wrong: Vec<&String> = book.wrong.iter().filter(|wrong| !wrong.ends_with("beside another one")).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

fn replayed(node: &Node, webhook: &Webhook, asked: Value) -> Value {
    let path = format!("/webhooks/{}/replays", webhook.id);
    let asked = node.api("POST", &path, Some(asked)).expect(202).json();
    wait_until("the replay is over", || {
        let replay = node.get(&format!("{path}/{}", asked["id"].as_str().unwrap()));
        (replay["state"] != "running").then_some(replay)
    })
}

#[test]
fn a_replay_keeps_each_visitors_order_too() {
    let node = Node::with(&[&SHORT_DELAYS[..], &["--replay-rate-per-s", "100000"]].concat(), &[]);
    let receiver = Receiver::always(Reply::Status(400));
    let webhook = node.webhook(&receiver.url(), settings(true));
    let items: Vec<Value> = (0..80_u64).map(|n| track(&format!("v{}", n % 5), "e", json!({"n": n / 5}))).collect();
    node.events(&items);
    receiver.wait(80);
    let (second, book) = bookkeeper(true, 1);
    node.patch(&webhook, json!({"url": second.url()}));
    wait_until("all have failed", || (node.deliveries(&webhook).len() == 80).then_some(()));
    let done = replayed(&node, &webhook, json!({"status": "failed"}));
    assert_eq!((&done["state"], &done["delivered"]), (&json!("done"), &json!(80)));
    let book = book.lock().unwrap();
    assert_eq!((book.wrong.clone(), book.over()), (vec![], 80));
}

#[test]
fn order_is_switched_on_and_off_while_events_wait() {
    let node = Node::with(&["--retry-delays", "300s"], &[]);
    let receiver = Receiver::by(|request, _| Reply::Status(if request.name() == "fails" { 503 } else { 200 }));
    let webhook = node.webhook(&receiver.url(), settings(false));
    node.events(&[track("ann", "fails", json!({})), track("ann", "passes it", json!({}))]);
    receiver.wait_for("passes it");
    node.settled(&webhook, "retrying");
    assert_eq!(node.patch(&webhook, json!({"ordered": true}))["ordered"], true);
    node.events(&[track("ann", "waits", json!({})), track("ben", "does not", json!({}))]);
    receiver.wait_for("does not");
    assert!(!receiver.names().contains(&String::from("waits")));
    node.patch(&webhook, json!({"ordered": false}));
    receiver.wait_for("waits");
}
