use super::support::{MEMBER, Node, OTHER, request};
use axum::body::Body;
use serde_json::{Value, json};

const EXCLUSIONS: &str = "/api/v1/exclusions";
const CSV: &str = "/api/v1/exclusions.csv";

async fn make(node: &Node, kind: &str, pattern: &str) -> Value {
    node.call("POST", EXCLUSIONS, Some(json!({"kind": kind, "pattern": pattern}))).await.ok(201)
}

async fn import(node: &Node, csv: &str) -> super::support::Answer {
    let request = request("POST", CSV).header("authorization", format!("Bearer {}", node.admin));
    node.send(request.header("content-type", "text/csv").body(Body::from(csv.to_owned())).unwrap()).await
}

#[tokio::test]
async fn a_rules_life() {
    let node = Node::new();
    assert_eq!(node.get(EXCLUSIONS).await.ok(200), json!({"data": [], "next": null}));
    let made = make(&node, "visitor", "test-*").await;
    let path = format!("{EXCLUSIONS}/{}", made["id"].as_str().unwrap());
    assert_eq!((&made["kind"], &made["pattern"]), (&json!("visitor"), &json!("test-*")));
    node.call("POST", EXCLUSIONS, Some(json!({"kind": "visitor", "pattern": "test-*"})))
        .await
        .problem(409, "same_exclusion");
    make(&node, "account", "test-*").await;
    assert_eq!(make(&node, "host", "*.Example.COM").await["pattern"], "*.example.com");
    assert_eq!(make(&node, "ip", "10.1.2.3/16").await["pattern"], "10.1.0.0/16");
    assert_eq!(make(&node, "ip", "2001:DB8::1").await["pattern"], "2001:db8::1");
    let node = node.restart();
    assert_eq!(node.get(&path).await.ok(200), made);
    assert_eq!(node.get(EXCLUSIONS).await.ok(200)["data"].as_array().unwrap().len(), 5);
    node.call_as(MEMBER, "GET", &path, None).await.ok(200);
    node.call_as(OTHER, "GET", &path, None).await.problem(404, "not_found");
    node.call_as(OTHER, "DELETE", &path, None).await.problem(404, "not_found");
    node.call("DELETE", &path, None).await.ok(204);
    node.call("DELETE", &path, None).await.problem(404, "not_found");
    let log = node.get("/api/v1/audit-log?action=exclusion.deleted").await.ok(200);
    assert_eq!(log["data"][0]["before"], json!({"kind": "visitor", "pattern": "test-*"}));
}

#[tokio::test]
async fn what_cannot_be_a_rule_is_named() {
    let node = Node::new();
    for (kind, pattern, field) in [
        ("page", "x", "kind"),
        ("visitor", "", "pattern"),
        ("visitor", "*", "pattern"),
        ("visitor", "a\nb", "pattern"),
        ("account", &"x".repeat(1025), "pattern"),
        ("host", "https://example.com", "pattern"),
        ("host", "example.com:80", "pattern"),
        ("ip", "10.1.2", "pattern"),
        ("ip", "10.0.0.0/33", "pattern"),
    ] {
        let answer = node.call("POST", EXCLUSIONS, Some(json!({"kind": kind, "pattern": pattern}))).await;
        answer.problem(422, "wrong_field");
        assert_eq!(answer.json()["field"], field, "{kind} {pattern}");
    }
}

#[tokio::test]
async fn many_come_and_go_as_csv_all_or_none() {
    let node = Node::new();
    make(&node, "visitor", "ann").await;
    let file = "\u{feff}kind,pattern\nvisitor,ann\nvisitor,\"a,\"\"b\"\"\"\nip , 10.0.0.0/8\n";
    assert_eq!(import(&node, file).await.ok(200), json!({"total": 3, "made": 2}));
    assert_eq!(import(&node, file).await.ok(200), json!({"total": 3, "made": 0}));
    let exported = node.get(CSV).await;
    assert_eq!(exported.headers["content-type"], "text/csv; charset=utf-8");
    let mut lines: Vec<&str> = exported.text.lines().collect();
    lines[2..].sort_unstable();
    assert_eq!(lines, ["kind,pattern", "visitor,ann", "ip,10.0.0.0/8", "visitor,\"a,\"\"b\"\"\""]);
    for (file, field, words) in [
        ("visitor,x\n", "line 1", "kind,pattern"),
        ("kind,pattern\nvisitor,x\npage,y\n", "line 3", "visitor, account, ip, host"),
        ("kind,pattern\nvisitor,x\nip,nowhere\n", "line 3", "address"),
        ("kind,pattern\nvisitor\n", "line 2", "two columns"),
    ] {
        let answer = import(&node, file).await;
        assert!(answer.problem(422, "wrong_field").contains(words), "{}", answer.text);
        assert_eq!(answer.json()["field"], field);
    }
    node.call("POST", CSV, Some(json!({}))).await.problem(415, "not_csv");
    assert_eq!(node.get(EXCLUSIONS).await.ok(200)["data"].as_array().unwrap().len(), 3, "no half of a file was taken");
}

#[tokio::test]
async fn ten_thousand_rules_and_no_more() {
    let node = Node::new();
    let rows: String = (0..9_999).map(|number| format!("visitor,v{number}-*\n")).collect();
    // Larger than the test's body bound: in two parts.
    let rows: Vec<&str> = rows.lines().collect();
    let mut made = 0;
    for part in rows.chunks(2_500) {
        let answer = import(&node, &format!("kind,pattern\n{}\n", part.join("\n"))).await.ok(200);
        made += answer["made"].as_u64().unwrap();
    }
    assert_eq!(made, 9_999);
    make(&node, "account", "last").await;
    let answer = node.call("POST", EXCLUSIONS, Some(json!({"kind": "account", "pattern": "more"}))).await;
    answer.problem(409, "too_many_exclusions");
    let (mut seen, mut query) = (0, String::from("?limit=500"));
    loop {
        let page = node.get(&format!("{EXCLUSIONS}{query}")).await.ok(200);
        seen += page["data"].as_array().unwrap().len();
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=500&cursor={next}");
    }
    assert_eq!(seen, 10_000);
    node.get(&format!("{EXCLUSIONS}?cursor=nonsense")).await.problem(400, "wrong_query");
}
