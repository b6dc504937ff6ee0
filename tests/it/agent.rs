//! The browser agent's side of `POST /data/events`: the very batch that its own tests say that it sends.

use crate::support::{Node, Receiver, wait_until};
use serde_json::json;

/// Held against what the agent sends by `agent/tests/batch.test.ts`.
const BATCH: &str = include_str!("../../agent/tests/batch.json");

#[test]
fn what_the_agent_sends_is_taken_and_counts_once() {
    let node = Node::start();
    let receiver = Receiver::ok();
    node.webhook(&receiver.url(), json!({"ordered": true}));
    // In the way that asks no browser for permission first; by fetch, and by a beacon when the page was left.
    let target = format!("/data/events?key={}", node.keys.agent_key);
    let own = format!("http://{}", node.addr);
    for _ in 0..2 {
        let headers = [("Content-Type", "text/plain;charset=UTF-8"), ("Origin", own.as_str())];
        let answer = node.raw("POST", &target, &headers, BATCH.as_bytes()).expect(200).json();
        assert_eq!(answer, json!({"accepted": 3, "rejected": []}));
    }
    node.track("the last");
    receiver.wait_for("the last");
    let count = |name: &str| receiver.names().iter().filter(|told| *told == name).count();
    wait_until("everything is told", || (receiver.requests().len() >= 5).then_some(()));
    for name in ["visitorCreated", "accountCreated", "Looked Around", "Signed In"] {
        assert_eq!(count(name), 1, "{name}: {:?}", receiver.names());
    }
    let signed_in = receiver.wait_for("Signed In").json();
    assert_eq!((&signed_in["visitorId"], &signed_in["accountId"]), (&json!("ada"), &json!("acme")));
    assert_eq!(signed_in["properties"]["eventProperties"], json!({"by": "password", "tries": 2}));
    assert_eq!(signed_in["properties"]["source"], "web");
    let looked = receiver.wait_for("Looked Around").json();
    assert!(looked["visitorId"].as_str().unwrap().starts_with("_PENDO_T_") && looked["accountId"] == "", "{looked}");
    let kept = wait_until("what is known of the visitor", || {
        let ada = node.get("/visitors/ada");
        ada.to_string().contains("\"plan\":\"pro\"").then_some(ada)
    });
    assert_eq!(kept["id"], "ada");
    assert!(node.get("/accounts/acme").to_string().contains("\"seats\":5"), "what is known of the account");
}
