//! Several nodes on the same PostgreSQL and NATS servers: one is active, the others help it and stand ready.

use crate::support::node::SHORT_RETRIES;
use crate::support::{Node, Receiver, Relay, Reply, Webhook, events, http, wait_until};
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
    // By its id: what a node had taken without having answered is sent to the next one, and is another event.
    let mut bodies: HashMap<String, Vec<u8>> = HashMap::new();
    for request in receiver.requests() {
        let id = request.json()["uniqueId"].as_str().unwrap().to_owned();
        let body = bodies.entry(id).or_insert_with(|| request.body.clone());
        assert_eq!(*body, request.body, "a repeat has the same bytes");
    }
}

#[test]
fn a_node_beside_the_active_one_answers_whatever_is_asked() {
    let first = Node::clustered(&["--wrong-keys-per-minute", "5"]);
    let receiver = Receiver::ok();
    let webhook = first.webhook(&receiver.url(), json!({}));
    let mut second = first.beside();
    second.wait_until_ready();
    second.track("by the second");
    receiver.wait_for("by the second");
    first.track("by the first");
    receiver.wait_for("by the first");
    let on_record = || Some(first.deliveries(&webhook)).filter(|deliveries| deliveries.len() == 2);
    let deliveries = wait_until("both are on record", on_record);
    assert_eq!(second.deliveries(&webhook), deliveries);
    second.patch(&webhook, json!({"name": "renamed"}));
    assert_eq!(first.get(&format!("/webhooks/{}", webhook.id))["name"], "renamed");
    assert_eq!(second.try_track(json!({"type": "track"})).status, 400, "errors are the active node's");
    let large = vec![b'x'; 3 * 1024 * 1024];
    let headers =
        [("x-pendo-integration-key", second.keys.track_secret.as_str()), ("Content-Type", "application/json")];
    assert_eq!(second.raw("POST", "/data/track", &headers, &large).status, 413);
    assert!(second.metric("fanfare_cluster_passed_on_total").unwrap() >= 5.0);
    assert_eq!(
        (first.metric("fanfare_cluster_active"), second.metric("fanfare_cluster_active")),
        (Some(1.0), Some(0.0))
    );
    // Only a node's word counts for whom a request came from.
    let guess = |node: &Node, client: &str| {
        let headers = [("Authorization", "Bearer fan_wrong"), ("fanfare-client", client)];
        node.call("GET", "/api/v1/webhooks", &headers, None).status
    };
    let guesses =
        (0..10).map(|n| guess(if n % 2 == 0 { &first } else { &second }, &format!("1790000000000 203.0.113.{n} 00")));
    let statuses: Vec<u16> = guesses.collect();
    assert!(statuses.starts_with(&[401; 5]) && statuses[5..].iter().all(|status| *status == 429), "{statuses:?}");
}

#[test]
fn nobody_else_is_taken_for_a_node() {
    let node = Node::clustered(&[]);
    let link = |upgrade: &str, more: &[(&str, &str)]| {
        let headers = [&[("Connection", "upgrade"), ("Upgrade", upgrade)][..], more].concat();
        node.raw("GET", "/cluster/link", &headers, b"").status
    };
    assert_eq!(node.call("GET", "/cluster/link", &[], None).status, 426);
    assert_eq!(link("websocket", &[]), 426);
    assert_eq!(link("fanfare-link/1", &[]), 400);
    // What is upgraded shows nothing, and is shown nothing.
    assert_eq!(link("fanfare-link/1", &[("fanfare-node", "x"), ("fanfare-number", "1")]), 101);
    wait_until("it is turned away", || (node.metric("fanfare_cluster_turned_away_total") == Some(1.0)).then_some(()));
    assert_eq!(node.metric("fanfare_cluster_peers"), Some(0.0));
    assert_eq!(
        Node::embedded(&[], &[]).call("GET", "/cluster/link", &[], None).status,
        404,
        "a node alone has no link"
    );
}

/// Webhooks of one node, told apart by their tokens, whose receiver can be made to wait.
struct Spread {
    first: Node,
    webhooks: Vec<Webhook>,
    receiver: Receiver,
    waits: Arc<AtomicBool>,
}

impl Spread {
    fn new(count: usize) -> Self {
        let first = Node::clustered(&SHORT_RETRIES);
        let waits = Arc::new(AtomicBool::new(false));
        let receiver = Receiver::by({
            let waits = Arc::clone(&waits);
            move |_, _| {
                while waits.load(Ordering::SeqCst) {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                Reply::Status(200)
            }
        });
        let token = |n: usize| json!({"auth": {"type": "bearer", "token": format!("token {n}")}});
        let webhooks = (0..count).map(|n| first.webhook(&receiver.url(), token(n))).collect();
        Self { first, webhooks, receiver, waits }
    }

    /// One more node, once the first one gives it attempts.
    fn beside(&self, peers: f64) -> Node {
        let mut node = self.first.beside();
        node.wait_until_ready();
        self.wait_for_peers(peers);
        node
    }

    fn wait_for_peers(&self, count: f64) {
        wait_until("the nodes know each other", || {
            (self.first.metric("fanfare_cluster_peers") == Some(count)).then_some(())
        });
    }

    fn tokens(&self, name: &str) -> Vec<String> {
        let told = self.receiver.requests().into_iter().filter(|request| request.name() == name);
        told.map(|request| request.header("authorization").unwrap().to_owned()).collect()
    }

    /// Waits until each webhook was told of it.
    fn arrived(&self, name: &str) {
        wait_until("each webhook is told", || {
            let tokens: BTreeSet<_> = self.tokens(name).into_iter().collect();
            (tokens.len() == self.webhooks.len()).then_some(())
        });
    }

    fn send(&self, name: &str) {
        self.first.track(name);
        self.arrived(name);
    }

    /// Sends an event that waits at the receiver for all webhooks at once.
    fn send_and_hold(&self, name: &str) {
        self.waits.store(true, Ordering::SeqCst);
        self.first.track(name);
        wait_until("all of it is in flight", || {
            (self.first.metric("fanfare_dispatch_in_flight").unwrap() >= self.webhooks.len() as f64).then_some(())
        });
    }

    fn go_on(&self) {
        self.waits.store(false, Ordering::SeqCst);
    }
}

#[test]
fn webhooks_are_spread_over_the_nodes_and_move_when_one_comes_or_goes() {
    let spread = Spread::new(40);
    let made = |node: &Node| node.metric("fanfare_cluster_attempts_made_total").unwrap();
    let mut second = spread.beside(1.0);
    (0..5).for_each(|n| spread.send(&format!("both {n}")));
    let part = made(&second) / (5 * spread.webhooks.len()) as f64;
    assert!((0.2..0.8).contains(&part), "the second one made {part} of the attempts");
    assert_eq!(spread.first.metric("fanfare_cluster_attempts_given_total"), Some(made(&second)));
    let third = spread.beside(2.0);
    spread.send("three");
    assert!(made(&third) > 0.0, "the third one has its part");
    // A change is seen by the very next attempt, wherever it is made.
    for (n, webhook) in spread.webhooks.iter().enumerate() {
        spread.first.patch(webhook, json!({"auth": {"type": "bearer", "token": format!("new token {n}")}}));
    }
    spread.send("changed");
    assert!(spread.tokens("changed").iter().all(|token| token.starts_with("Bearer new token")));
    spread.send_and_hold("in flight");
    second.kill();
    spread.wait_for_peers(1.0);
    spread.go_on();
    spread.arrived("in flight");
}

#[test]
fn a_node_that_stops_in_peace_ends_what_it_has_begun() {
    let spread = Spread::new(40);
    let mut second = spread.beside(1.0);
    spread.send_and_hold("begun");
    second.terminate();
    wait_until("it begins nothing more", || second.log().contains("stopping").then_some(()));
    spread.first.track("left to the first");
    spread.go_on();
    assert!(second.ended().success());
    for name in ["begun", "left to the first"] {
        spread.arrived(name);
        assert_eq!(spread.tokens(name).len(), spread.webhooks.len(), "{name}: nothing comes twice");
    }
    spread.send("alone");
}

#[test]
fn one_goes_on_when_the_active_one_is_killed() {
    let mut first = Node::clustered(&SHORT_RETRIES);
    let receiver = flaky();
    let webhook = first.webhook(&receiver.url(), json!({}));
    let mut second = first.beside();
    second.wait_until_ready();
    let sender = Arc::new(Sender::to(&[&first, &second]));
    std::thread::scope(|scope| {
        (0..4).for_each(|_| drop(scope.spawn(|| sender.run())));
        sender.wait_for_more(300);
        first.kill();
        wait_until("it goes on", || {
            assert_eq!(second.call("GET", "/readyz", &[], None).status, 200, "what comes meanwhile waits");
            (second.metric("fanfare_cluster_active") == Some(1.0)).then_some(())
        });
        sender.wait_for_more(300);
        sender.stop.store(true, Ordering::SeqCst);
    });
    assert_all_arrive(&sender, &receiver);
    second.track("the end");
    receiver.wait_for("the end");
    let path = format!("/webhooks/{}/deliveries?status=delivered&", webhook.id);
    let taken = sender.acked.lock().unwrap().len();
    wait_until("the records of both are one", || (second.list(&path).len() > taken).then_some(()));
}

#[test]
fn restarting_one_after_the_other_refuses_nothing() {
    let nodes = Node::clustered(&SHORT_RETRIES);
    let receiver = flaky();
    nodes.webhook(&receiver.url(), json!({}));
    let (mut first, mut second, mut third) = (nodes.beside(), nodes.beside(), nodes.beside());
    let mut active = nodes;
    [&mut first, &mut second, &mut third].into_iter().for_each(Node::wait_until_ready);
    // One node is asked all the time; it is restarted when it is the others' turn to be asked.
    let sender = Arc::new(Sender::to(&[&third]));
    std::thread::scope(|scope| {
        (0..4).for_each(|_| drop(scope.spawn(|| sender.run())));
        sender.wait_for_more(200);
        active.stop();
        sender.wait_for_more(200);
        first.stop();
        sender.wait_for_more(200);
        first = second.beside();
        first.wait_until_ready();
        second.stop();
        sender.wait_for_more(200);
        sender.stop.store(true, Ordering::SeqCst);
    });
    let (asked, taken) = (sender.next.load(Ordering::SeqCst), sender.acked.lock().unwrap().len());
    assert_eq!(taken, asked, "every event was taken");
    assert_all_arrive(&sender, &receiver);
    let times = receiver.requests().iter().filter(|request| request.name() == "event 0").count();
    assert!(times <= 2, "a restart in peace repeats nothing: {times}");
    third.track("after");
    receiver.wait_for("after");
}

#[test]
fn one_that_was_frozen_finds_that_another_one_goes_on() {
    let mut first = Node::clustered(&SHORT_RETRIES);
    let receiver = flaky();
    let webhook = first.webhook(&receiver.url(), json!({}));
    let mut second = first.beside();
    second.wait_until_ready();
    (0..20).for_each(|n| first.track(&format!("before {n}")));
    first.freeze(true);
    // What it was asked before it wakes, it finds before it can know that it was replaced.
    let (addr, key) = (first.addr, format!("Bearer {}", first.keys.integration_key));
    let path = format!("/api/v1/webhooks/{}", webhook.id);
    let asked = std::thread::spawn(move || {
        let headers = [("Authorization", key.as_str()), ("Content-Type", "application/json")];
        http::call(addr, "PATCH", &path, &headers, br#"{"name": "too late"}"#).map(|answer| answer.status)
    });
    wait_until("it goes on", || (second.metric("fanfare_cluster_active") == Some(1.0)).then_some(()));
    second.patch(&webhook, json!({"name": "meanwhile"}));
    (0..20).for_each(|n| second.track(&format!("meanwhile {n}")));
    first.freeze(false);
    // It writes down where its lanes stand, or what it is sent, and is refused.
    let _ = first.try_track(json!({"type": "track", "event": "too late", "visitorId": "v"}));
    assert!(!first.ended().success(), "it says that it was not asked to end");
    // Of store and journal, the one that it asks first tells it.
    let told = ["another node writes the journal now", "another node has taken this one's place"];
    assert!(told.iter().any(|told| first.log().contains(told)), "{}", first.log());
    let answer = asked.join().unwrap();
    assert!(matches!(answer, Err(_) | Ok(503)), "it changed nothing, and says so: {answer:?}");
    second.patch(&webhook, json!({"url": receiver.url()}));
    let names = |entry: &serde_json::Value| entry["after"]["name"] == "too late";
    assert!(!second.list("/audit-log").iter().any(names), "nothing was written behind the other one's back");
    for n in 0..20 {
        receiver.wait_for(&format!("before {n}"));
        receiver.wait_for(&format!("meanwhile {n}"));
    }
}

#[test]
fn one_goes_on_when_the_active_one_alone_does_not_reach_the_journal() {
    let mut first = Node::clustered(&SHORT_RETRIES);
    let receiver = flaky();
    first.webhook(&receiver.url(), json!({}));
    let relay = Relay::to_nats();
    first.set_environment(&[("FANFARE_JOURNAL", &relay.url())]);
    first.restart();
    let mut second = first.beside();
    second.kill();
    second.set_environment(&[]);
    second.serve();
    first.track("before");
    relay.cut();
    // What it is asked now it can neither take nor refuse, until it ends.
    let _ = second.try_track(json!({"type": "track", "event": "meanwhile", "visitorId": "v"}));
    wait_until("the other one goes on", || (second.metric("fanfare_cluster_active") == Some(1.0)).then_some(()));
    second.track("after");
    for name in ["before", "after"] {
        receiver.wait_for(name);
    }
    assert!(!first.ended().success(), "it says that it was not asked to end");
    let log = first.log();
    let told = log.lines().find(|line| line.contains("this node does not reach the journal, and another one does"));
    assert!(told.is_some_and(|line| line.contains(&second.addr.to_string())), "{log}");
}

#[test]
fn what_must_have_the_store_alone_waits_until_the_nodes_are_stopped() {
    let mut node = Node::clustered(&[]);
    let receiver = Receiver::ok();
    let webhook = node.webhook(&receiver.url(), json!({}));
    for command in [["store", "rebuild"], ["master-key", "rotate"]] {
        let refused = node.command(&command);
        assert!(!refused.status.success());
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(told.contains(&format!("a node is active at {}: stop all nodes first", node.addr)), "{told}");
    }
    node.track("undisturbed");
    receiver.wait_for("undisturbed");
    node.settled(&webhook, "delivered");
    node.stop();
    let rebuilt = node.command(&["store", "rebuild"]);
    assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
    node.serve();
    assert_eq!(node.deliveries(&webhook).len(), 1);
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
