use super::support::{MEMBER, NOW, Node, OTHER};
use crate::model::UnixMs;
use serde_json::{Value, json};

const RULES: &str = "/api/v1/do-not-process";
const JOBS: &str = "/api/v1/forget-jobs";

fn know(node: &Node, id: &str) {
    node.records.people.lock().unwrap().push((node.subscription, id.to_owned()));
}

#[tokio::test]
async fn a_rules_life() {
    let node = Node::new();
    know(&node, "ann");
    assert_eq!(node.get(RULES).await.ok(200), json!({"data": [], "next": null}));
    let ann = json!({"kind": "visitor", "id": "ann"});
    let rule = node.call("POST", RULES, Some(ann.clone())).await.ok(201);
    node.call("POST", RULES, Some(ann)).await.problem(409, "same_rule");
    node.clock.set(UnixMs(NOW.0 + 1));
    let acme = node.call("POST", RULES, Some(json!({"kind": "account", "id": "ann"}))).await.ok(201);
    assert_ne!(rule["person"], acme["person"], "an account is another than the visitor of the same name");
    assert!(!rule.to_string().contains("ann") && rule["person"].as_str().unwrap().len() == 32);
    assert_eq!(node.get("/api/v1/visitors/ann").await.ok(200)["do_not_process"], true);

    let node = node.restart();
    know(&node, "ann");
    assert_eq!(node.get(RULES).await.ok(200)["data"], json!([rule, acme]));
    assert_eq!(node.get(&format!("{RULES}?visitor=ann")).await.ok(200)["data"], json!([rule]));
    assert_eq!(node.get(&format!("{RULES}?visitor=bob")).await.ok(200)["data"], json!([]));
    assert_eq!(node.get(&format!("{RULES}?limit=1")).await.ok(200)["next"], acme["id"]);
    let rows = json!([{"visitorId": "ann", "values": {"a": 1}}]);
    let result = node.call("POST", "/api/v1/metadata/visitor/custom/value", Some(rows)).await.ok(200);
    assert_eq!(result["errors"], json!([{"id": "ann", "reason": "must not be processed"}]));
    let path = format!("{RULES}/{}", rule["id"].as_str().unwrap());
    node.call_as(OTHER, "DELETE", &path, None).await.problem(404, "not_found");
    node.call_as(MEMBER, "DELETE", &path, None).await.problem(403, "forbidden");
    node.call("DELETE", &path, None).await.ok(204);
    node.call("DELETE", &path, None).await.problem(404, "not_found");
    assert_eq!(node.get("/api/v1/visitors/ann").await.ok(200)["do_not_process"], false);
    let log = node.get("/api/v1/audit-log").await.text;
    assert!(
        log.contains(&format!("visitor:{}", rule["person"].as_str().unwrap())) && !log.contains("\"ann\""),
        "{log}"
    );
}

#[tokio::test]
async fn what_names_nobody_is_no_rule() {
    let node = Node::new();
    for (body, field) in [
        (json!({"id": "ann"}), "kind"),
        (json!({"kind": "page", "id": "ann"}), "kind"),
        (json!({"kind": "visitor"}), "id"),
        (json!({"kind": "visitor", "id": " "}), "id"),
        (json!({"kind": "visitor", "id": "x".repeat(1025)}), "id"),
        (json!({"kind": "visitor", "id": "ann", "more": 1}), "more"),
    ] {
        let answer = node.call("POST", RULES, Some(body)).await;
        answer.problem(422, "wrong_field");
        assert_eq!(answer.json()["field"], field);
    }
}

#[tokio::test]
async fn to_forget_somebody_is_a_job_that_can_be_watched() {
    let node = Node::new();
    know(&node, "ann");
    let asked = node.call("POST", "/api/v1/visitors/ann/forget", None).await.ok(202);
    let job = |path: &str, name: &str| format!("{path}/{}", asked[name].as_str().unwrap());
    assert_eq!(
        (&asked["state"], &asked["done_at"], &asked["kind"]),
        (&json!("waiting"), &Value::Null, &json!("visitor"))
    );
    assert_eq!(node.get(&job(JOBS, "id")).await.ok(200), asked);
    let again = node.call("POST", "/api/v1/visitors/ann/forget", None).await.ok(202);
    assert_eq!(again["id"], asked["id"], "the one that waits serves for both");
    node.call("POST", "/api/v1/visitors/nobody/forget", None).await.problem(404, "not_found");
    let anonymous = node.call("POST", "/api/v1/visitors/_PENDO_T_x/forget", None).await.ok(202);
    let listed = node.get(&format!("{JOBS}?limit=1")).await.ok(200);
    let ids = [&listed["data"][0]["id"], &listed["next"]];
    assert_eq!(ids[0], ids[1]);
    let rest = node.get(&format!("{JOBS}?cursor={}", ids[1].as_str().unwrap())).await.ok(200);
    let mut all = vec![ids[0].clone(), rest["data"][0]["id"].clone()];
    all.sort_by_key(Value::to_string);
    let mut expected = vec![asked["id"].clone(), anonymous["id"].clone()];
    expected.sort_by_key(Value::to_string);
    assert_eq!((all, &rest["next"]), (expected, &Value::Null));
    node.get(&format!("{JOBS}?cursor=fgt_0000000000000001")).await.problem(400, "wrong_query");
    node.call_as(OTHER, "GET", &job(JOBS, "id"), None).await.problem(404, "not_found");
    let mut works = node.catalog.next_forget_works(10).await.unwrap();
    works.sort_by(|a, b| a.person_id.cmp(&b.person_id));
    assert_eq!(works.iter().map(|work| work.person_id.as_str()).collect::<Vec<_>>(), ["_PENDO_T_x", "ann"]);
    assert!(!node.get("/api/v1/audit-log").await.text.contains("\"ann\""));
}
