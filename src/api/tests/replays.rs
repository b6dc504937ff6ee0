//! Asking for replays, without anything behind the API.

use super::support::{MEMBER, Node, replay};
use crate::limits;
use serde_json::json;

#[tokio::test]
async fn a_replay_is_asked_for_through_the_journal() {
    let node = Node::new();
    let id = node.webhook(&node.admin).await;
    let path = format!("/api/v1/webhooks/{id}/replays");
    node.call("PATCH", &format!("/api/v1/webhooks/{id}"), Some(json!({"enabled": true}))).await.ok(200);
    let asked = node.call("POST", &path, Some(json!({"status": "failed", "event": "pollSubmitted"}))).await;
    assert_eq!(asked.headers["location"], format!("{path}/{}", asked.ok(202)["id"].as_str().unwrap()));
    let entries = node.journal.entries();
    assert!(entries[1].contains("Replay") && entries[1].contains("PollSubmitted"), "{entries:?}");
    node.call_as(MEMBER, "POST", &path, Some(json!({"status": "failed"}))).await.problem(403, "forbidden");
}

#[tokio::test]
async fn a_subscription_has_so_many_replays_at_a_time() {
    let node = Node::new();
    let id = node.webhook(&node.admin).await;
    let path = format!("/api/v1/webhooks/{id}/replays");
    let webhook = id.parse().unwrap();
    let one = |n| replay(node.subscription, webhook, n as u64);
    *node.records.replays.lock().unwrap() = (1..=limits::REPLAYS).map(one).collect();
    let body = json!({"status": "failed", "force": true});
    node.call("POST", &path, Some(body)).await.problem(409, "too_many_replays");
    assert!(node.journal.entries().is_empty());
    node.call("DELETE", &path, None).await;
    assert_eq!(node.journal.entries().len(), limits::REPLAYS, "each of them is ended");
}
