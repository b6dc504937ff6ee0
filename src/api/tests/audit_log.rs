use super::support::{MEMBER, Node, OTHER, SECRET};
use serde_json::{Value, json};

async fn entries(node: &Node, query: &str) -> Vec<Value> {
    let page = node.get(&format!("/api/v1/audit-log{query}")).await.ok(200);
    page["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn every_change_is_there_with_who_from_where_before_and_after() {
    let node = Node::new();
    let id = node.webhook(&node.admin).await;
    let path = format!("/api/v1/webhooks/{id}");
    node.call("PATCH", &path, Some(json!({"enabled": true, "name": "New"}))).await.ok(200);
    node.call("PATCH", &path, Some(json!({"name": "New"}))).await.ok(200);
    node.call("PATCH", &path, Some(json!({"secret": "another secret"}))).await.ok(200);
    assert_eq!(node.call("DELETE", &path, None).await.status, 204);
    let log = entries(&node, "").await;
    let actions: Vec<_> = log.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["webhook.deleted", "webhook.changed", "webhook.changed", "webhook.created"]);
    let changed = &log[2];
    assert_eq!(changed["before"], json!({"name": "CRM", "state": "off"}));
    assert_eq!(changed["after"], json!({"name": "New", "state": "on"}));
    assert_eq!(changed["target"], id);
    assert_eq!((&changed["actor"]["kind"], &changed["actor"]["name"]), (&json!("key"), &json!("init")));
    assert_eq!(changed["actor"]["address"], "192.0.2.7");
    assert_eq!(log[1]["after"], json!({"secret": "changed"}));
    assert_eq!((&log[3]["before"], &log[3]["after"]["secret"]), (&json!({}), &json!("set")));
    assert!(!json!(log).to_string().contains(SECRET));
}

#[tokio::test]
async fn it_is_read_in_pages_and_by_filters_and_only_by_its_own_subscription() {
    let node = Node::new();
    for _ in 0..5 {
        node.webhook(&node.admin).await;
    }
    node.webhook(OTHER).await;
    assert_eq!(
        node.call_as(MEMBER, "GET", "/api/v1/audit-log", None).await.ok(200)["data"].as_array().unwrap().len(),
        5
    );
    let other = node.call_as(OTHER, "GET", "/api/v1/audit-log", None).await.ok(200);
    assert_eq!((other["data"].as_array().unwrap().len(), &other["next"]), (1, &Value::Null));
    let (mut seen, mut query) = (Vec::new(), String::from("?limit=2"));
    loop {
        let page = node.get(&format!("/api/v1/audit-log{query}")).await.ok(200);
        seen.extend(page["data"].as_array().unwrap().iter().map(|entry| entry["seq"].as_u64().unwrap()));
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=2&cursor={next}");
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
    assert_eq!(entries(&node, "?action=webhook.created&actor=init").await.len(), 5);
    assert!(entries(&node, "?action=key.created").await.is_empty());
    assert!(entries(&node, "?to=2021-07-20T17:58:20Z").await.is_empty());
    for wrong in ["cursor=x", "cursor=a", "limit=0", "from=now", "who=me"] {
        node.get(&format!("/api/v1/audit-log?{wrong}")).await.problem(400, "wrong_query");
    }
}

#[tokio::test]
async fn the_export_is_the_whole_list() {
    let node = Node::new();
    for number in 0..501 {
        let body = json!({"name": format!("key {number}"), "role": "member"});
        node.call("POST", "/api/v1/keys", Some(body)).await.ok(201);
    }
    node.webhook(OTHER).await;
    let export = node.get("/api/v1/audit-log.json").await;
    assert_eq!(export.headers["content-type"], "application/json");
    let rows = export.ok(200);
    let seqs: Vec<_> = rows.as_array().unwrap().iter().map(|row| row["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=501).rev().collect::<Vec<_>>());
    assert_eq!(entries(&node, "?limit=1").await[0], rows[0], "an entry looks as it does in the list");
    let none = node.get("/api/v1/audit-log.json?action=webhook.created").await;
    assert_eq!(none.ok(200), json!([]));
    node.get("/api/v1/audit-log.json?limit=5").await.problem(400, "wrong_query");
}
