//! What is deleted by age and size, and what never is.

use crate::support::{Node, Receiver, Reply, Webhook, events, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Every table of both databases has its line in docs/operations.md, so that none can grow unnoticed; and those that
/// retention deletes from are counted.
#[test]
fn every_table_is_accounted_for() {
    let node = Node::embedded(&[], &[]);
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
    for (file, heading) in
        [("records.db", "| in `records.db` | stays |"), ("fanfare.db", "| in `fanfare.db` | stays |")]
    {
        let rows = docs.split_once(heading).unwrap_or_else(|| panic!("docs/operations.md has no {heading}")).1;
        let rows = rows.trim_start().lines().take_while(|line| line.starts_with('|')).skip(1);
        let named: BTreeSet<String> = rows
            .flat_map(|row| {
                row.split('|').nth(1).unwrap().split(", ").map(|name| name.trim().trim_matches('`').to_owned())
            })
            .collect();
        assert_eq!(named, tables(&node.data_dir().join(file)), "{file}");
    }
    let metrics = node.metrics();
    for table in ["deliveries", "attempts", "successes", "minutes", "switches", "carried", "items", "lanes"] {
        let series = format!("fanfare_projection_dropped_rows_total{{table=\"{table}\"}} ");
        assert!(metrics.contains(&series), "{series} is missing");
    }
    for table in ["sessions", "links", "mails", "forget_jobs"] {
        let series = format!("fanfare_store_dropped_rows_total{{table=\"{table}\"}} ");
        assert!(metrics.contains(&series), "{series} is missing");
    }
}

fn tables(database: &Path) -> BTreeSet<String> {
    let store = rusqlite::Connection::open(database).unwrap();
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let mut statement = store.prepare(sql).unwrap();
    let names = statement.query_map([], |row| row.get(0)).unwrap();
    names.collect::<Result<_, _>>().unwrap()
}

/// The journal keeps two full files; retries go on for longer than anything here takes.
fn small_journal() -> Node {
    let delays = ["3s"; 99].join(",");
    let flags = ["--journal-segment-size", "4MiB", "--journal-max-size", "8MiB", "--retry-delays", &delays];
    Node::with(&flags, &[])
}

/// Fills the journal with `mib` MiB of events that no webhook of these tests wants.
fn fill(node: &Node, mib: usize) {
    let item = events::track("filler", "Filler", json!({"text": "x".repeat(9000)}));
    let items = vec![item; 100];
    for _ in 0..mib {
        node.events(&items);
    }
}

/// Where the event of a delivery stands in the journal: its id says so.
fn position_of(delivery: &Value) -> f64 {
    let id = delivery["event_id"].as_str().unwrap().strip_prefix("evt_").unwrap();
    u64::from_str_radix(id, 16).unwrap() as f64
}

fn wait_until_gone(node: &Node, position: f64) {
    wait_until("the journal has deleted the event's part", || {
        node.metric("fanfare_journal_oldest_position").filter(|oldest| *oldest > position)
    });
}

fn body_of(receiver: &Receiver, visitor: &str) -> Vec<Vec<u8>> {
    let requests = receiver.requests().into_iter().filter(|request| request.json()["visitorId"] == visitor);
    requests.map(|request| request.body).collect()
}

#[test]
fn the_event_of_a_delivery_that_is_retried_is_never_dropped() {
    const FORGOTTEN: &str = "dora-71c0aa93@example.com";
    let mut node = small_journal();
    let (failing, open) = (Receiver::always(Reply::Status(503)), Arc::new(AtomicBool::new(false)));
    let hanging = Receiver::always(Reply::When(Arc::clone(&open), Box::new(Reply::Status(503))));
    let guides = json!({"categories": ["guides"], "concurrency": 4});
    let fails = node.webhook(&failing.url(), guides);
    let hangs = node.webhook(&hanging.url(), json!({"categories": ["guides"], "concurrency": 1}));
    for visitor in ["ann", FORGOTTEN, "bob"] {
        node.events(&[events::guide_seen(visitor, &[])]);
    }
    let waiting = wait_until("all three wait for a retry", || {
        let rows = node.deliveries(&fails);
        (rows.len() == 3 && rows.iter().all(|row| row["status"] == "retrying")).then_some(rows)
    });
    hanging.wait(1);
    let last = waiting.iter().map(position_of).fold(0.0, f64::max);
    fill(&node, 24);
    wait_until_gone(&node, last);
    // One of the hanging receiver's was in flight; what it had not begun has expired, as a backlog does.
    assert!(node.metric("fanfare_dispatch_carried_total") >= Some(3.0));
    assert!(node.metric("fanfare_dispatch_expired_total") >= Some(1.0));
    wait_until("the journal waits for no retry", || {
        node.metric("fanfare_journal_disk_bytes").filter(|bytes| *bytes <= f64::from(20 << 20))
    });
    let before = failing.requests().len();
    wait_until("the retries go on", || (failing.requests().len() > before + 6).then_some(()));
    open.store(true, Ordering::SeqCst);
    hanging.wait(3);
    assert_eq!(node.deliveries(&fails).len(), 3);

    // A person whose event is retried is forgotten wherever it stands by now.
    let forgotten = node.api("POST", &format!("/visitors/{FORGOTTEN}/forget"), None).expect(202).json();
    wait_until("the job is done", || {
        let job = node.get(&format!("/forget-jobs/{}", forgotten["id"].as_str().unwrap()));
        (job["state"] == "done").then_some(())
    });
    node.restart();
    failing.set(Reply::Status(200));
    hanging.set(Reply::Status(200));
    for (webhook, receiver, visitors) in [(&fails, &failing, vec!["ann", "bob"]), (&hangs, &hanging, vec!["ann"])] {
        let delivered = delivered(&node, webhook, visitors.len());
        for visitor in visitors {
            let bodies = body_of(receiver, visitor);
            assert!(bodies.len() > 2 && bodies.iter().all(|body| *body == bodies[0]), "the same bytes each time");
        }
        for row in delivered {
            let detail = node.get(&format!("/deliveries/{}", row["id"].as_str().unwrap()));
            assert!(detail["request_body"].is_string(), "{detail}");
        }
    }
    assert_eq!(node.holding(FORGOTTEN), Vec::<String>::new());
    let states: Vec<Value> = node.deliveries(&fails).iter().map(|row| row["status"].clone()).collect();
    assert!(states.contains(&json!("cancelled")), "what waited of the forgotten person: {states:?}");
}

fn delivered(node: &Node, webhook: &Webhook, count: usize) -> Vec<Value> {
    wait_until("they are delivered after all", || {
        let rows: Vec<_> = node.deliveries(webhook).into_iter().filter(|row| row["status"] == "delivered").collect();
        (rows.len() == count).then_some(rows)
    })
}
