use super::support::{Answer, MEMBER, Node, OTHER, event};
use crate::model::{Entry, PersonKind};
use serde_json::{Value, json};

const VISITORS: &str = "/api/v1/metadata/visitor/custom/value";

fn know(node: &Node, ids: &[&str]) {
    node.records.people.lock().unwrap().extend(ids.iter().map(|id| (node.subscription, (*id).to_owned())));
}

/// The metadata that was journalled: of whom, in which group, which values.
fn journalled(node: &Node) -> Vec<(PersonKind, String, String, String)> {
    node.journal.each_entry(|entry| match entry {
        Entry::Metadata(m) => Some((m.kind, m.id.to_owned(), m.group.to_owned(), m.values.to_owned())),
        _ => None,
    })
}

async fn set(node: &Node, path: &str, rows: Value) -> Answer {
    node.call("POST", path, Some(rows)).await
}

#[tokio::test]
async fn each_row_of_a_batch_has_an_outcome_of_its_own() {
    let node = Node::new();
    know(&node, &["v", "w", "x"]);
    let long = "x".repeat(40_000);
    let rows = json!([
        {"visitorId": "v", "values": {"plan": "pro", "seats": 7, "rate": 1.50, "on": true, "tags": ["a", 1], "old": null}},
        {"visitorId": "nobody", "values": {"plan": "pro"}},
        {"visitorId": "w", "values": {"address": {"city": "Bern"}}},
        {"visitorId": "w", "values": {"rows": [[1]]}},
        {"visitorId": "w", "values": "pro"},
        {"visitorId": "w"},
        {"visitorId": 7, "values": {}},
        {"accountId": "v", "values": {}},
        {"visitorId": "_PENDO_T_x", "values": {}},
        {"visitorId": "x", "values": {"bio": long}},
        {"visitorId": "x", "values": {"": 1}},
        "v",
        {"visitorId": "x", "values": {"ünicode": "ä\u{1F600}"}, "more": 1},
    ]);
    let result = set(&node, VISITORS, rows).await.ok(200);
    let counts = ["total", "updated", "failed"].map(|name| result[name].as_u64().unwrap());
    assert_eq!((counts, &result["kind"]), ([13, 2, 11], &json!("visitor")));
    assert_eq!(result["missing"], json!(["nobody"]));
    let errors: Vec<_> =
        result["errors"].as_array().unwrap().iter().map(|e| (&e["id"], e["reason"].as_str().unwrap())).collect();
    let kinds = "must be text, a number, true or false, a list of these, or null";
    let (address, rows) = (format!("address {kinds}"), format!("rows {kinds}"));
    assert_eq!(
        errors,
        [
            (&json!("w"), address.as_str()),
            (&json!("w"), rows.as_str()),
            (&json!("w"), "values must be an object"),
            (&json!("w"), "values must be an object"),
            (&json!(7), "visitorId must be a string"),
            (&Value::Null, "visitorId is missing"),
            (&json!("_PENDO_T_x"), "visitorId names nobody"),
            (&json!("x"), "the values have more than 32768 bytes"),
            (&json!("x"), "a field's name has 1 to 256 bytes"),
            (&Value::Null, "the row is not an object"),
        ]
    );
    let values =
        |id: &str, values: &str| (PersonKind::Visitor, id.to_owned(), String::from("custom"), values.to_owned());
    assert_eq!(
        journalled(&node),
        [
            values("v", r#"{"old":null,"on":true,"plan":"pro","rate":1.5,"seats":7,"tags":["a",1]}"#),
            values("x", "{\"ünicode\":\"ä\u{1F600}\"}"),
        ]
    );
}

#[tokio::test]
async fn unknown_ids_are_made_when_asked_for() {
    let node = Node::new();
    let path = "/api/v1/metadata/account/crm/value";
    let rows = json!([{"accountId": "acme::east", "values": {"tier": 1}}]);
    let result = set(&node, path, rows.clone()).await.ok(200);
    assert_eq!((&result["updated"], &result["missing"]), (&json!(0), &json!(["acme::east"])));
    assert!(journalled(&node).is_empty());
    let result = set(&node, &format!("{path}?create=true"), rows).await.ok(200);
    assert_eq!((&result["updated"], &result["failed"]), (&json!(1), &json!(0)));
    assert_eq!(journalled(&node)[0].0, PersonKind::Account);
    assert_eq!(set(&node, path, json!([])).await.ok(200)["total"], 0);
}

#[tokio::test]
async fn what_is_no_batch_is_refused_as_a_whole() {
    let node = Node::new();
    for (path, body, status, code) in [
        (VISITORS, json!({"visitorId": "v"}), 400, "unreadable"),
        (VISITORS, json!(vec![json!({}); 10_001]), 400, "unreadable"),
        ("/api/v1/metadata/visitor/auto/value", json!([]), 400, "wrong_query"),
        ("/api/v1/metadata/visitor/a-b/value", json!([]), 400, "wrong_query"),
        ("/api/v1/metadata/page/custom/value", json!([]), 404, "no_such_path"),
        ("/api/v1/metadata/visitor/custom/value?create=maybe", json!([]), 400, "wrong_query"),
    ] {
        set(&node, path, body).await.problem(status, code);
    }
    node.call_as(MEMBER, "POST", VISITORS, Some(json!([]))).await.problem(403, "forbidden");
    *node.records.broken.lock().unwrap() = true;
    assert!(journalled(&node).is_empty());
}

#[tokio::test]
async fn one_value_is_set_of_somebody_known() {
    let node = Node::new();
    know(&node, &["v/w"]);
    let value = async |path: &str, value: Value| node.call("PUT", &format!("{VISITORS}/{path}"), Some(value)).await;
    let result = value("v%2Fw/plan", json!("pro")).await.ok(200);
    assert_eq!((&result["total"], &result["updated"]), (&json!(1), &json!(1)));
    value("v%2Fw/plan", json!(null)).await.ok(200);
    value("v%2Fw/plan", json!({"a": 1})).await.problem(422, "wrong_field");
    value("nobody/plan", json!("pro")).await.problem(404, "not_found");
    let values: Vec<_> = journalled(&node).into_iter().map(|(_, id, _, values)| (id, values)).collect();
    assert_eq!(
        values.iter().map(|(id, v)| (id.as_str(), v.as_str())).collect::<Vec<_>>(),
        [("v/w", r#"{"plan":"pro"}"#), ("v/w", r#"{"plan":null}"#)]
    );
}

#[tokio::test]
async fn somebody_is_read_with_what_is_known() {
    let node = Node::new();
    know(&node, &["acme::east"]);
    let account = node.get("/api/v1/accounts/acme::east").await.ok(200);
    assert_eq!((&account["id"], &account["parent_id"]), (&json!("acme::east"), &json!("acme")));
    assert_eq!(account["metadata"], json!({"agent": {"plan": "pro"}}));
    assert_eq!(node.get("/api/v1/visitors/acme%3A%3Aeast").await.ok(200)["first_visit"], Value::Null);
    node.get("/api/v1/visitors/nobody").await.problem(404, "not_found");
    node.call_as(OTHER, "GET", "/api/v1/accounts/acme::east", None).await.problem(404, "not_found");
}

#[tokio::test]
async fn an_event_is_explained_for_each_webhook() {
    let node = Node::new();
    node.records.events.lock().unwrap().push((node.subscription, event(0x4d)));
    let mut webhooks = [node.webhook(&node.admin).await, node.webhook(&node.admin).await];
    webhooks.sort();
    let path = "/api/v1/events/evt_4d/explain";
    let first = node.get(&format!("{path}?limit=1")).await.ok(200);
    assert_eq!((&first["data"][0]["webhook_id"], &first["event"]["id"]), (&json!(webhooks[0]), &json!("evt_4d")));
    assert_eq!(first["data"][0]["reason"], "on_its_way");
    let rest = node.get(&format!("{path}?cursor={}", first["next"].as_str().unwrap())).await.ok(200);
    assert_eq!((&rest["data"][0]["webhook_id"], &rest["next"]), (&json!(webhooks[1]), &Value::Null));
    let one = node.get(&format!("{path}?webhook={}", webhooks[1])).await.ok(200);
    assert_eq!((one["data"].as_array().unwrap().len(), &one["data"][0]["webhook_id"]), (1, &json!(webhooks[1])));
    node.get(&format!("{path}?cursor=x")).await.problem(400, "wrong_query");
    node.get("/api/v1/events/evt_4e/explain").await.problem(404, "not_found");
    node.get(&format!("{path}?webhook=wh_0000000000000001")).await.problem(404, "not_found");
}

#[tokio::test]
async fn failures_are_asked_for_by_webhook_event_and_status() {
    let node = Node::new();
    let webhook = node.webhook(&node.admin).await;
    for (status, shown) in [("failed", "Failed"), ("retrying", "Retrying"), ("503", "Answered(503)")] {
        let path = format!("/api/v1/error-log?webhook={webhook}&event=pollSubmitted&status={status}");
        assert_eq!(node.get(&path).await.ok(200), json!({"data": [], "next": null}));
        let asked = node.records.asked.lock().unwrap().pop().unwrap();
        assert!(asked.contains(shown) && asked.contains("PollSubmitted") && asked.contains("WebhookId("), "{asked}");
    }
    for query in ["status=gone", "status=5", "event=x", "cursor=wrong", "limit=0"] {
        node.get(&format!("/api/v1/error-log?{query}")).await.problem(400, "wrong_query");
    }
    node.get("/api/v1/error-log?webhook=wh_0000000000000001").await.problem(404, "not_found");
}

#[tokio::test]
async fn events_are_asked_for_by_who_and_what() {
    let node = Node::new();
    let webhook = node.webhook(&node.admin).await;
    let path = format!("/api/v1/events?visitor=v%26w&account=a::b&webhook={webhook}&withheld=agent_too_old");
    node.get(&path).await.ok(200);
    let asked = node.records.asked.lock().unwrap().pop().unwrap();
    for part in ["visitor: Some(\"v&w\")", "account: Some(\"a::b\")", "webhook: Some(WebhookId(", "Some(AgentTooOld)"] {
        assert!(asked.contains(part), "{asked}");
    }
    node.get("/api/v1/events?withheld=maybe").await.problem(400, "wrong_query");
    node.get("/api/v1/events?webhook=wh_0000000000000001").await.problem(404, "not_found");
}
