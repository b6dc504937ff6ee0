//! The audit log as the operator meets it.

use crate::support::{Node, Receiver, Request, Webhook, wait_until};
use serde_json::{Value, json};
use std::collections::HashSet;

/// `fanfare audit verify` with these arguments: whether it found the log whole, and what it said.
fn verify(node: &Node, arguments: &[&str]) -> (bool, String) {
    let output = node.command(&[&["audit", "verify"], arguments].concat());
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_changed_or_cut_log_is_found() {
    let mut node = Node::embedded(&[], &[]);
    assert!(verify(&node, &[]).1.starts_with("whole: 0 entries"));
    let webhook = node.create(json!({"url": "https://example.com/"}));
    node.patch(&webhook, json!({"name": "renamed"}));
    let (whole, said) = verify(&node, &[]);
    assert!(whole && said.starts_with("whole: 2 entries"), "also while the server runs: {said}");
    let head = said.split_once("head ").unwrap().1.lines().next().unwrap().to_owned();
    assert!(verify(&node, &["--head", &head]).0);

    node.kill();
    let store = rusqlite::Connection::open(node.data_dir().join("fanfare.db")).unwrap();
    store.execute("DELETE FROM audit_log WHERE seq = 2", []).unwrap();
    assert!(verify(&node, &[]).0, "the chain itself does not tell that its end is missing");
    let (whole, said) = verify(&node, &["--head", &head]);
    assert!(!whole && said.contains(&head), "{said}");
    store.execute("UPDATE audit_log SET actor_name = 'somebody else'", []).unwrap();
    let (whole, said) = verify(&node, &[]);
    assert!(!whole && said.contains("entry 1"), "{said}");
}

/// The audit log's actions and targets, oldest first.
fn logged(node: &Node) -> Vec<(Value, Value)> {
    let mut rows = node.list("/audit-log");
    rows.reverse();
    rows.iter().map(|row| (row["action"].clone(), row["target"].clone())).collect()
}

/// The same of the events that a receiver was told.
fn told(requests: &[Request]) -> Vec<(Value, Value)> {
    let properties = |request: &Request| request.json()["properties"].clone();
    requests.iter().map(properties).map(|entry| (entry["action"].clone(), entry["target"].clone())).collect()
}

/// The events' names, each once.
fn unique_ids(requests: &[Request]) -> HashSet<String> {
    requests.iter().map(|request| request.json()["uniqueId"].as_str().unwrap().to_owned()).collect()
}

/// A webhook for the audit log alone. Its own creation was told before it is switched on, to nobody.
fn auditing(node: &Node, receiver: &Receiver) -> Webhook {
    let webhook = node.create(json!({"url": receiver.url(), "audit": true, "categories": [], "concurrency": 1}));
    wait_until("its creation is told", || (node.list("/events?event=auditRecorded&").len() == 1).then_some(()));
    node.switch(&webhook, true);
    webhook
}

#[test]
fn a_webhook_that_asks_is_told_of_each_change_and_nobody_else() {
    let node = Node::start();
    let (auditor, everything) = (Receiver::ok(), Receiver::ok());
    let webhook = auditing(&node, &auditor);
    node.webhook(&everything.url(), json!({"name": "everything", "secret": "s3cret!"}));
    node.track("one");
    everything.wait_for("one");
    let requests = auditor.wait(3);
    assert_eq!(told(&requests), logged(&node)[1..], "from its own switching on");
    assert_eq!(everything.names(), ["one"], "all categories do not bring it");

    let created = requests[1].json();
    let keys: Vec<_> = created["properties"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["action", "actor", "after", "at", "before", "target"]);
    let properties = &created["properties"];
    assert_eq!((&properties["action"], &properties["after"]["secret"]), (&json!("webhook.created"), &json!("set")));
    assert_eq!(properties["actor"]["kind"], "key");
    assert_eq!((&created["visitorId"], &created["accountId"]), (&properties["actor"]["name"], &json!("")));
    assert_eq!((&created["event"], &created["app"]["id"]), (&json!("auditRecorded"), &json!(-323_232)));
    let body = String::from_utf8(requests[1].body.clone()).unwrap();
    assert!(!body.contains("s3cret!"), "{body}");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap().to_string().len(), body.len());

    assert_eq!(node.list("/events?event=auditRecorded&").len(), logged(&node).len());
    node.api("GET", &format!("/visitors/{}", created["visitorId"].as_str().unwrap()), None).expect(404);

    // A filter sorts administrative changes too, and without `audit` there are none any more.
    node.patch(&webhook, json!({"filter": "properties.action.startsWith('app.')"}));
    node.patch(&webhook, json!({"name": "not told"}));
    let app = json!({"name": "Shop", "platform": "web"});
    node.api("POST", "/apps", Some(app)).expect(201);
    wait_until("the app is told", || (told(&auditor.requests()).last().unwrap().0 == "app.created").then_some(()));
    node.patch(&webhook, json!({"audit": false, "filter": null, "categories": ["track_events"]}));
    node.track("two");
    auditor.wait_for("two");
    assert_eq!(auditor.requests().len(), 5, "{:?}", told(&auditor.requests()));
    node.api("PATCH", &format!("/webhooks/{}", webhook.id), Some(json!({"categories": []}))).expect(422);
}

#[test]
fn each_entry_is_told_once_through_kills() {
    let mut node = Node::start();
    let auditor = Receiver::ok();
    let webhook = auditing(&node, &auditor);
    for round in 0..4 {
        for change in 0..5 {
            node.patch(&webhook, json!({"name": format!("name {round} {change}")}));
        }
        // At any moment between the log, the journal and the receiver.
        node.restart();
    }
    let entries = logged(&node).len();
    wait_until("every entry is an event", || {
        let events = node.list("/events?event=auditRecorded&");
        assert!(events.len() <= entries, "{} events of {entries} entries", events.len());
        (events.len() == entries).then_some(())
    });
    let mut ids = HashSet::new();
    assert!(node.list("/events?event=auditRecorded&").iter().all(|event| ids.insert(event["unique_id"].to_string())));
    // All but the creation, which came before it was on. What was in flight at a kill may come twice, as ever.
    wait_until("all are delivered", || (unique_ids(&auditor.requests()).len() == entries - 1).then_some(()));
}

#[test]
fn a_sample_of_it_is_sent_as_a_test() {
    let node = Node::start();
    let receiver = Receiver::ok();
    let body = json!({"type": "url", "url": receiver.url(), "audit": true, "categories": []});
    let result = node.api("POST", "/webhooks/test?event=auditRecorded", Some(body)).expect(200).json();
    assert_eq!(result["delivered"], true, "{result}");
    assert_eq!(receiver.wait(1)[0].json()["properties"]["action"], "webhook.changed");
}
