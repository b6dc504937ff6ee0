use super::support::{MEMBER, NOW, Node, OTHER};
use crate::model::UnixMs;
use serde_json::{Value, json};

const KEYS: &str = "/api/v1/keys";

async fn made(node: &Node, body: Value) -> Value {
    node.call("POST", KEYS, Some(body)).await.ok(201)
}

#[tokio::test]
async fn a_key_is_shown_once_opens_what_its_role_may_and_nothing_once_revoked() {
    let node = Node::new();
    let created = made(&node, json!({"name": "reports", "role": "member"})).await;
    let (id, key) = (created["id"].as_str().unwrap(), created["key"].as_str().unwrap());
    assert!(key.starts_with("ff_key_") && key.len() == 50, "{created}");
    let shown = node.get(&format!("{KEYS}/{id}")).await.ok(200);
    assert_eq!(
        shown,
        json!({"id": id, "name": "reports", "role": "member", "made_by": null, "expires_at": null,
               "last_used_at": null, "created_at": "2021-07-20T17:58:20Z"})
    );
    node.call_as(key, "GET", "/api/v1/webhooks", None).await.ok(200);
    node.call_as(key, "POST", "/api/v1/webhooks", Some(json!({}))).await.problem(403, "forbidden");
    assert_eq!(node.get(&format!("{KEYS}/{id}")).await.ok(200)["last_used_at"], "2021-07-20T17:58:20Z");
    let key = key.to_owned();
    let (node, path) = (node.restart(), format!("{KEYS}/{id}"));
    node.call_as(&key, "GET", "/api/v1/webhooks", None).await.ok(200);
    assert_eq!(node.call("DELETE", &path, None).await.status, 204);
    node.call_as(&key, "GET", "/api/v1/webhooks", None).await.problem(401, "wrong_key");
    node.get(&path).await.problem(404, "not_found");
    node.restart().call_as(&key, "GET", "/api/v1/webhooks", None).await.problem(401, "wrong_key");
}

#[tokio::test]
async fn an_expired_key_says_so() {
    let node = Node::new();
    let created = made(&node, json!({"name": "k", "role": "admin", "expires_at": "2021-07-20T18:00:00Z"})).await;
    let key = created["key"].as_str().unwrap();
    node.call_as(key, "GET", KEYS, None).await.ok(200);
    node.clock.set(UnixMs(NOW.0 + 100_000));
    let detail = node.call_as(key, "GET", KEYS, None).await.problem(401, "key_expired");
    assert!(detail.contains("2021-07-20T18:00:00Z"), "{detail}");
}

#[tokio::test]
async fn wrong_values_are_named() {
    let node = Node::new();
    for (body, field) in [
        (json!({"role": "member"}), "name"),
        (json!({"name": " ", "role": "member"}), "name"),
        (json!({"name": "k"}), "role"),
        (json!({"name": "k", "role": "owner"}), "role"),
        (json!({"name": "k", "role": "member", "expires_at": "tomorrow"}), "expires_at"),
        (json!({"name": "k", "role": "member", "expires_at": "2020-01-01T00:00:00Z"}), "expires_at"),
        (json!({"name": "k", "role": "member", "key": "mine"}), "key"),
    ] {
        let answer = node.call("POST", KEYS, Some(body.clone())).await;
        answer.problem(422, "wrong_field");
        assert_eq!(answer.ok(422)["field"], field, "{body}");
    }
    assert_eq!(node.get(KEYS).await.ok(200)["data"].as_array().unwrap().len(), 2, "nothing was made");
}

#[tokio::test]
async fn members_read_only_and_nobody_reaches_another_subscription() {
    let node = Node::new();
    let id = made(&node, json!({"name": "k", "role": "member"})).await["id"].as_str().unwrap().to_owned();
    let path = format!("{KEYS}/{id}");
    node.call_as(MEMBER, "GET", &path, None).await.ok(200);
    node.call_as(MEMBER, "DELETE", &path, None).await.problem(403, "forbidden");
    node.call_as(OTHER, "GET", &path, None).await.problem(404, "not_found");
    node.call_as(OTHER, "DELETE", &path, None).await.problem(404, "not_found");
    let others = node.call_as(OTHER, "GET", KEYS, None).await.ok(200);
    assert_eq!(others["data"].as_array().unwrap().len(), 1);
    assert_eq!(others["data"][0]["made_by"], "ada@example.com");
    let by_other = node.call_as(OTHER, "POST", KEYS, Some(json!({"name": "n", "role": "admin"}))).await.ok(201);
    assert_eq!(by_other["made_by"], "ada@example.com", "a key's maker is who made the key that made it");
}

#[tokio::test]
async fn a_key_cannot_revoke_itself() {
    let node = Node::new();
    let keys = node.get(KEYS).await.ok(200);
    let own = keys["data"].as_array().unwrap().iter().find(|key| key["name"] == "init").unwrap();
    let path = format!("{KEYS}/{}", own["id"].as_str().unwrap());
    node.call("DELETE", &path, None).await.problem(409, "own_key");
}
