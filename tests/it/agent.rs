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

#[test]
fn an_app_that_respects_do_not_track_takes_nothing_from_who_asks_for_that() {
    let node = Node::start();
    let target = format!("/data/events?key={}", node.keys.agent_key);
    let send = |header: &str, value: &str| node.raw("POST", &target, &[(header, value)], BATCH.as_bytes()).expect(200);
    let app = format!("/apps/{}", node.list("/apps")[0]["id"]);
    assert_eq!(node.get(&app)["respect_do_not_track"], false);
    node.api("PATCH", &app, Some(json!({"respect_do_not_track": "yes"}))).expect(422);
    let changed = node.api("PATCH", &app, Some(json!({"respect_do_not_track": true}))).expect(200).json();
    assert_eq!(changed["respect_do_not_track"], true);

    for header in ["DNT", "Sec-GPC"] {
        assert_eq!(send(header, "1").json(), json!({"accepted": 3, "rejected": [], "doNotTrack": true}));
    }
    assert_eq!(node.metric("fanfare_intake_not_processed_total"), Some(6.0));
    node.raw("POST", &target, &[("DNT", "1")], b"{").expect(400);
    assert_eq!(node.taken_in(), Vec::<serde_json::Value>::new(), "nothing is kept");
    node.api("GET", "/visitors/ada", None).expect(404);

    assert_eq!(send("DNT", "0").json(), json!({"accepted": 3, "rejected": []}));
    node.api("PATCH", &app, Some(json!({"respect_do_not_track": false}))).expect(200);
    let answer = send("DNT", "1").json();
    assert_eq!(answer, json!({"accepted": 3, "rejected": []}));
}
