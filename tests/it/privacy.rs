//! People whose data is not processed, and people who are forgotten.

use crate::support::{Node, Receiver, Reply, events, wait_until};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Long enough to be found by no accident.
const ANN: &str = "ann-9f31c7d2@example.com";
const ACME: &str = "acme-inc-5b8e21";

/// Answers what it was sent, so that answers hold what must go too.
fn echo(status: u16) -> impl Fn(&crate::support::receiver::Request, usize) -> Reply + Send + Sync {
    move |request, _| {
        let visitor = request.json()["visitorId"].as_str().unwrap().to_owned();
        Reply::Full(status, vec![("X-Visitor", visitor)], request.body.clone())
    }
}

fn forget(node: &Node, path: &str) -> Value {
    node.api("POST", &format!("{path}/forget"), None).expect(202).json()
}

fn done(node: &Node, job: &Value) -> Value {
    wait_until("the job is done", || {
        let job = node.get(&format!("/forget-jobs/{}", job["id"].as_str().unwrap()));
        (job["state"] == "done").then_some(job)
    })
}

/// Everything that a node may keep of somebody: visits, metadata, events that were delivered, failed and wait.
fn live(node: &Node, visitor: &str, account: &str) {
    let mut identify = events::identify(visitor, account);
    identify["visitor"] = json!({"email": visitor});
    let mut track = events::track(visitor, "Clicked", json!({"by": visitor}));
    track["accountId"] = json!(account);
    node.events(&[identify, track]);
    node.try_track(events::server_track(visitor, "Bought", json!({"for": visitor}))).expect(200);
    let rows = json!([{"visitorId": visitor, "values": {"mail": visitor}}]);
    node.api("POST", "/metadata/visitor/crm/value?create=true", Some(rows)).expect(200);
    let rows = json!([{"accountId": account, "values": {"name": account}}]);
    node.api("POST", "/metadata/account/crm/value?create=true", Some(rows)).expect(200);
}

/// A webhook whose log keeps each body that it sends.
fn shaped() -> Value {
    let template = r#"{"event":"{{ event }}","visitorId":"{{ visitorId }}","uniqueId":"{{ uniqueId }}","accountId":"{{ accountId }}","shaped":{{ properties | tojson }}}"#;
    json!({"format": {"template": template}})
}

fn small_journal() -> Node {
    Node::with(&["--journal-segment-size", "4MiB", "--retry-delays", "300s,300s"], &[])
}

#[test]
fn nothing_of_them_is_processed() {
    let mut node = Node::start();
    let receiver = Receiver::ok();
    node.webhook(&receiver.url(), json!({}));
    let rule = node.api("POST", "/do-not-process", Some(json!({"kind": "visitor", "id": ANN}))).expect(201).json();
    node.api("POST", "/do-not-process", Some(json!({"kind": "account", "id": ACME}))).expect(201);
    let everything = |visitor: &str, account: &str| {
        node.events(&[events::identify(visitor, account), events::nps_response(visitor, json!({"rating": 9}))]);
        node.try_track(events::server_track(visitor, "Bought", json!({}))).expect(200);
    };
    everything(ANN, "other");
    let mut of_acme = events::server_track("bob", "Bought", json!({}));
    of_acme["accountId"] = json!(ACME);
    node.try_track(of_acme).expect(200);
    node.events(&[events::identify("bob", ACME)]);
    node.track("End");
    receiver.wait_for("End");
    assert_eq!(receiver.names(), ["End"]);
    assert_eq!(node.taken_in().len(), 1);
    for path in [format!("/visitors/{ANN}"), String::from("/visitors/bob"), format!("/accounts/{ACME}")] {
        node.api("GET", &path, None).expect(404);
    }
    assert_eq!(node.metric("fanfare_intake_not_processed_total"), Some(5.0));
    // The rule does not itself keep who they are, and it holds after a crash.
    node.restart();
    node.events(&[events::identify(ANN, "other")]);
    assert_eq!(node.taken_in().len(), 1);
    assert_eq!(node.holding(ANN), Vec::<String>::new());
    node.api("DELETE", &format!("/do-not-process/{}", rule["id"].as_str().unwrap()), None).expect(204);
    node.events(&[events::identify(ANN, "other")]);
    receiver.wait_for("visitorCreated");
}

#[test]
fn who_is_forgotten_is_in_no_file_and_new_when_seen_again() {
    let mut node = small_journal();
    let (good, bad, busy) = (Receiver::by(echo(200)), Receiver::by(echo(400)), Receiver::by(echo(503)));
    let delivered = node.webhook(&good.url(), json!({}));
    let failed = node.webhook(&bad.url(), shaped());
    let waiting = node.webhook(&busy.url(), json!({}));
    for n in 0..20 {
        live(&node, &format!("visitor {n}"), "globex");
        if n % 4 == 0 {
            live(&node, ANN, ACME);
        }
    }
    for receiver in [&good, &bad, &busy] {
        receiver.wait(2 * 25 + 21 + 2);
    }
    wait_until("the last is on record", || (node.deliveries(&waiting).len() == 73).then_some(()));
    assert!(!node.holding(ANN).is_empty() && !node.holding(ACME).is_empty());
    // Forgetting is itself an administrative change, of which there is an event.
    let of_others =
        |node: &Node| -> Vec<Value> { node.taken_in().into_iter().filter(|row| row["visitor_id"] != ANN).collect() };
    let before = of_others(&node);

    let job = done(&node, &forget(&node, &format!("/visitors/{ANN}")));
    assert!(job["erased_entries"].as_u64().unwrap() > 30 && job["done_at"].is_string(), "{job}");
    assert_eq!(node.holding(ANN), Vec::<String>::new());
    node.api("GET", &format!("/visitors/{ANN}"), None).expect(404);
    assert!(!node.list("/events").iter().any(|row| row["visitor_id"] == ANN));
    assert_eq!(of_others(&node), before, "everybody else's events are as they were");
    for webhook in [&delivered, &failed, &waiting] {
        let rows = node.deliveries(webhook);
        assert!(rows.len() >= before.len(), "{} of {}", rows.len(), before.len());
    }
    let retrying = node.deliveries(&waiting).into_iter().filter(|row| row["status"] == "retrying").count();
    assert_eq!(retrying, before.len(), "what waited of hers is cancelled");
    assert!(!node.get("/audit-log").to_string().contains(ANN));

    // The account is another's to forget.
    assert!(!node.holding(ACME).is_empty());
    let job = forget(&node, &format!("/accounts/{ACME}"));
    // Asked to stop in the middle, the node stops, and goes on with it after the next start.
    node.stop();
    node.serve();
    done(&node, &job);
    assert_eq!(node.holding(ACME), Vec::<String>::new());

    // Through a kill: the journal is whole, and she is new.
    node.kill();
    node.verify_journal();
    node.serve();
    let created = |name: &str, id: &str| {
        let key = if name == "visitorCreated" { "visitorId" } else { "accountId" };
        good.requests().iter().filter(|r| r.event() == name && r.json()[key] == id).count()
    };
    assert_eq!((created("visitorCreated", ANN), created("accountCreated", ACME)), (1, 1));
    node.events(&[events::identify(ANN, ACME), events::identify(ANN, ACME)]);
    wait_until("she is new", || (created("visitorCreated", ANN) == 2).then_some(()));
    node.track("End");
    good.wait_for("End");
    assert_eq!((created("visitorCreated", ANN), created("accountCreated", ACME)), (2, 2));
    let visitor = node.get(&format!("/visitors/{ANN}"));
    assert_eq!(visitor["metadata"], json!({}), "{visitor}");
}

#[test]
fn a_job_that_is_killed_goes_on_and_what_is_in_flight_leaves_no_trace() {
    let mut node = small_journal();
    let open = Arc::new(AtomicBool::new(false));
    let slow = {
        let open = Arc::clone(&open);
        Receiver::by(move |request, number| Reply::When(Arc::clone(&open), Box::new(echo(200)(request, number))))
    };
    let good = Receiver::by(echo(200));
    let mut settings = shaped();
    settings["concurrency"] = json!(2);
    node.webhook(&slow.url(), settings);
    node.webhook(&good.url(), json!({}));
    for n in 0..30 {
        live(&node, if n % 2 == 0 { ANN } else { "bob" }, "globex");
    }
    slow.wait(2);
    good.wait_for("Bought");
    let job = forget(&node, &format!("/visitors/{ANN}"));
    node.restart();
    slow.wait(3);
    done(&node, &job);
    open.store(true, Ordering::SeqCst);
    // What was in flight ends, and what waited in memory behind it is not sent.
    let bobs = |receiver: &Receiver| {
        let ids = receiver
            .requests()
            .into_iter()
            .filter(|r| r.json()["visitorId"] == "bob")
            .map(|r| r.json()["uniqueId"].to_string());
        ids.collect::<HashSet<_>>().len()
    };
    wait_until("all of his arrives", || (bobs(&slow) == 2 * 15 + 1).then_some(()));
    let anns = slow.requests().iter().filter(|request| request.json()["visitorId"] == ANN).count();
    assert!(anns <= 4, "{anns} were sent: those that were in flight, before the kill and after it");
    node.stop();
    assert_eq!(node.holding(ANN), Vec::<String>::new());
}

#[test]
fn many_are_forgotten_together() {
    let node = small_journal();
    let receiver = Receiver::by(echo(200));
    let webhook = node.webhook(&receiver.url(), json!({}));
    let who = |n: usize| format!("visitor-{n:04}@example.com");
    let items = |n: usize| vec![events::identify(&who(n), ACME), events::track(&who(n), "Clicked", json!({}))];
    node.events(&(0..200).flat_map(items).collect::<Vec<_>>()[..400]);
    receiver.wait(401);
    wait_until("all is on record", || (node.deliveries(&webhook).len() == 401).then_some(()));
    let jobs: Vec<Value> = (0..100).map(|n| forget(&node, &format!("/visitors/{}", who(n)))).collect();
    let done: Vec<Value> = jobs.iter().map(|job| done(&node, job)).collect();
    assert!(done.iter().all(|job| job["erased_entries"].as_u64().unwrap() >= 5), "{:?}", done[0]);
    // Looking through everything on servers takes its time.
    for n in (0..100).step_by(if node.is_embedded() { 1 } else { 20 }) {
        assert_eq!(node.holding(&who(n)), Vec::<String>::new(), "{n}");
        assert!(!node.holding(&who(n + 100)).is_empty(), "{n}");
    }
    node.events(&items(7));
    let created = || {
        receiver.requests().iter().filter(|r| r.event() == "visitorCreated" && r.json()["visitorId"] == who(7)).count()
    };
    wait_until("they are new", || (created() == 2).then_some(()));
    assert_eq!(node.get(&format!("/visitors/{}", who(107)))["events"].as_array().unwrap().len(), 2);
}
