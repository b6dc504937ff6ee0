//! A receiver that hangs or fails costs nobody but its own webhook.

use crate::support::{Node, Receiver, Reply};
use serde_json::json;

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
