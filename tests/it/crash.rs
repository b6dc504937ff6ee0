//! kill -9 under load, the short form. `make crash` runs the long one.

use crate::support::events::server_track;
use crate::support::{Node, Receiver, Reply, http, sign, wait_until};
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const KILLS: u64 = 4;
const SENDERS: usize = 4;
const SECRET: &str = "It's a Secret to Everybody";

/// What is acknowledged between two kills at least, so that each kill meets a busy node.
const EVENTS_PER_ROUND: usize = 60;

#[test]
fn what_was_acknowledged_arrives_through_kills() {
    let mut node = Node::with(&["--retry-delays", "200ms,200ms,200ms,200ms,200ms,200ms,200ms"], &[]);
    let healthy = Receiver::ok();
    let failing = Receiver::by(|_, number| Reply::Status(if number % 5 == 2 { 500 } else { 200 }));
    node.webhook(&healthy.url(), json!({"secret": SECRET}));
    node.webhook(&failing.url(), json!({"secret": SECRET}));
    let (acked, stop, next) = (Mutex::new(HashSet::new()), AtomicBool::new(false), AtomicU64::new(0));
    let (addr, secret) = (node.addr, node.keys.track_secret.clone());
    let send = || {
        while !stop.load(Ordering::SeqCst) {
            let number = next.fetch_add(1, Ordering::SeqCst);
            let body = server_track("ann", &format!("event {number}"), json!({"n": number})).to_string();
            let headers = [("x-pendo-integration-key", secret.as_str()), ("Content-Type", "application/json")];
            // No answer is what a kill looks like from here.
            if http::call(addr, "POST", "/data/track", &headers, body.as_bytes()).is_ok_and(|a| a.status == 200) {
                acked.lock().unwrap().insert(format!("event {number}"));
            }
        }
    };
    std::thread::scope(|scope| {
        (0..SENDERS).for_each(|_| drop(scope.spawn(send)));
        for kill in 0..KILLS {
            let wanted = acked.lock().unwrap().len() + EVENTS_PER_ROUND + 13 * kill as usize;
            wait_until("the node takes events", || (acked.lock().unwrap().len() >= wanted).then_some(()));
            node.kill();
            node.verify_journal();
            if node.is_embedded() {
                assert_sound(&node);
            }
            node.serve();
        }
        stop.store(true, Ordering::SeqCst);
    });
    let acked = acked.into_inner().unwrap();
    for receiver in [&healthy, &failing] {
        wait_until("everything acknowledged arrives", || {
            let names: HashSet<String> = receiver.names().into_iter().collect();
            acked.is_subset(&names).then_some(())
        });
    }
    let mut bodies: HashMap<String, Vec<u8>> = HashMap::new();
    for request in healthy.requests().iter().chain(&failing.requests()) {
        sign::assert_pendo(request, SECRET);
        let body = bodies.entry(request.name()).or_insert_with(|| request.body.clone());
        assert_eq!(*body, request.body, "a repeat has the same bytes");
    }
    let repeats = healthy.requests().len() - healthy.names().into_iter().collect::<HashSet<_>>().len();
    // Each kill can repeat what was in flight, and what had ended since the last checkpoint.
    assert!(repeats < acked.len() / 2, "{repeats} repeats of {} events", acked.len());
}

/// SQLite's own check of each database, on a copy with its log: opening the original would repair it.
fn assert_sound(node: &Node) {
    let copy = tempfile::TempDir::new().unwrap();
    for entry in std::fs::read_dir(node.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".db") || name.ends_with(".db-wal") {
            std::fs::copy(&path, copy.path().join(name)).unwrap();
        }
    }
    let mut checked = 0;
    for entry in std::fs::read_dir(copy.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "db") {
            let database = rusqlite::Connection::open(&path).unwrap();
            let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
            assert_eq!(verdict, "ok", "{}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 0, "there are databases to check");
}
