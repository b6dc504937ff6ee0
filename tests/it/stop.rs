//! SIGTERM: nothing is lost, and the program ends with 0.

use crate::support::{Node, Receiver, Reply};
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn requests_in_flight_finish_before_the_end() {
    let mut node = Node::start();
    let open = Arc::new(AtomicBool::new(false));
    let receiver = Receiver::always(Reply::When(Arc::clone(&open), Box::new(Reply::Status(200))));
    let webhook = node.webhook(&receiver.url(), json!({}));
    node.track("one");
    receiver.wait(1);
    node.terminate();
    open.store(true, Ordering::SeqCst);
    let status = node.ended();
    assert!(status.success(), "{status}\n{}", node.log());
    node.serve();
    let delivery = node.settled(&webhook, "delivered");
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 1, "{delivery:#}");
    node.track("two");
    receiver.wait_for("two");
    assert_eq!(receiver.names(), ["one", "two"], "what was answered before the end does not come again");
}

#[test]
fn what_hangs_is_parked_and_comes_again() {
    let mut node = Node::with(&["--stop-timeout", "1s"], &[]);
    let receiver = Receiver::always(Reply::Hang);
    node.webhook(&receiver.url(), json!({"concurrency": 1}));
    node.track("one");
    node.track("two");
    receiver.wait(1);
    node.stop();
    receiver.set(Reply::Status(200));
    node.serve();
    receiver.wait_for("one");
    receiver.wait_for("two");
}

#[test]
fn a_stop_under_load_loses_nothing() {
    let mut node = Node::start();
    let receiver = Receiver::ok();
    node.webhook(&receiver.url(), json!({}));
    let names: Vec<String> = (0..200).map(|number| format!("event {number}")).collect();
    names.iter().for_each(|name| node.track(name));
    node.stop();
    let after_first = receiver.requests().len();
    node.serve();
    for name in &names {
        receiver.wait_for(name);
    }
    let distinct: HashSet<String> = receiver.names().into_iter().collect();
    assert_eq!(distinct.len(), names.len());
    assert_eq!(receiver.requests().len(), names.len(), "{after_first} before the stop; none of them comes again");
}

#[test]
fn an_idle_node_ends_at_once_and_twice() {
    let mut node = Node::start();
    node.stop();
    node.serve();
    node.stop();
}

#[test]
fn init_changes_nothing_the_second_time() {
    let node = Node::start();
    let again = node.command(&["init", "--json"]);
    assert!(!again.status.success());
    assert_eq!(node.get("/webhooks")["data"], json!([]));
}
