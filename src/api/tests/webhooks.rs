use super::support::{MEMBER, NOW, Node, OTHER, SECRET};
use crate::journal::AppendError;
use crate::limits;
use crate::model::{CategorySet, Secret, UnixMs, WebhookId, WebhookState};
use crate::record::view::WebhookStats;
use crate::store::sqlite::{Sync, open};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

fn minimal() -> Value {
    json!({"name": "CRM", "url": "https://example.com/hook?x=1"})
}

#[tokio::test]
async fn a_webhook_is_created_off_and_shown_in_full() {
    let node = Node::new();
    let body = json!({"name": "CRM", "type": "url", "url": "https://example.com/a//b?x", "secret": SECRET,
        "categories": ["nps", "guides"], "enabled": true, "timeout_s": 10, "concurrency": 4, "audit": false,
        "filter": null, "format": null, "headers": {}, "auth": null, "ordered": true, "rate_limit_per_s": 20});
    let answer = node.call("POST", "/api/v1/webhooks", Some(body)).await;
    let mut created = answer.ok(201);
    let id = created["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.headers["location"], format!("/api/v1/webhooks/{id}"));
    let key = created.as_object_mut().unwrap().remove("signing_key").unwrap();
    assert!(key.as_str().unwrap().starts_with("whsec_"));
    let expected = json!({"id": id, "name": "CRM", "type": "url", "url": "https://example.com/a//b?x",
        "categories": ["guides", "nps"], "enabled": false, "state": "off", "owner": null, "timeout_s": 10,
        "audit": false, "filter": null, "format": null, "headers": {}, "auth": null, "client_certificate": null, "ordered": true,
        "rate_limit_per_s": 20, "concurrency": 4, "standard_webhooks": true, "secret_set": true,
        "secret_last4": "body", "old_secret_until": null, "old_signing_key_until": null, "health": {"last_success_at": null, "delivered_24h": 0, "failed_24h": 0,
        "success_rate_24h": null, "failures_in_a_row": 0, "failing_since": null, "warned": false,
            "waiting_retries": 0}, "last_error_at": null, "created_at": "2021-07-20T17:58:20Z",
        "updated_at": "2021-07-20T17:58:20Z"});
    assert_eq!(created, expected);
    let path = format!("/api/v1/webhooks/{id}");
    assert_eq!(node.get(&path).await.ok(200), expected, "and the signing key is not shown again");
    assert_eq!(node.restart().get(&path).await.ok(200), expected);
}

#[tokio::test]
async fn what_is_left_out_has_its_default() {
    let node = Node::new();
    let created = node.call("POST", "/api/v1/webhooks", Some(minimal())).await.ok(201);
    for (field, value) in [
        ("categories", json!("all")),
        ("timeout_s", json!(300)),
        ("concurrency", json!(32)),
        ("standard_webhooks", json!(true)),
        ("ordered", json!(false)),
        ("rate_limit_per_s", Value::Null),
        ("secret_set", json!(false)),
        ("secret_last4", Value::Null),
    ] {
        assert_eq!(created[field], value, "{field}");
    }
    let owned = node.call_as(OTHER, "POST", "/api/v1/webhooks", Some(minimal())).await.ok(201);
    assert_eq!(owned["owner"], json!({"id": "usr_0000000000000005", "name": "Ada", "email": "ada@example.com"}));
}

#[tokio::test]
async fn health_comes_from_the_records() {
    let node = Node::new();
    let id = node.webhook(&node.admin).await;
    *node.records.stats.lock().unwrap() = WebhookStats {
        last_success_at: Some(NOW),
        last_error_at: Some(UnixMs(NOW.0 + 5)),
        delivered_24h: 3,
        failed_24h: 2,
        waiting_retries: 1,
        failures_in_a_row: 12,
        failing_since: Some(NOW),
        warned: true,
    };
    let shown = node.get(&format!("/api/v1/webhooks/{id}")).await.ok(200);
    let health = json!({"last_success_at": "2021-07-20T17:58:20Z", "delivered_24h": 3, "failed_24h": 2,
        "success_rate_24h": 0.6, "waiting_retries": 1, "failures_in_a_row": 12,
        "failing_since": "2021-07-20T17:58:20Z", "warned": true});
    assert_eq!((&shown["health"], &shown["last_error_at"]), (&health, &json!("2021-07-20T17:58:20.005Z")));
    *node.records.broken.lock().unwrap() = true;
    let detail = node.get(&format!("/api/v1/webhooks/{id}")).await.problem(500, "internal");
    assert!(!detail.contains("damaged"), "causes stay in the log");
}

#[tokio::test]
async fn what_was_turned_off_is_turned_on_by_review_within_a_fortnight() {
    let node = Node::new();
    let id = node.webhook(&node.admin).await;
    let path = format!("/api/v1/webhooks/{id}/turn-on");
    let turn_on = async |body| node.call("POST", &path, Some(body)).await;
    turn_on(json!({"reviewed_logs": true})).await.problem(409, "not_turned_off");
    let sql = format!("UPDATE webhooks SET state = 'turned_off' WHERE id = {}", id.parse::<WebhookId>().unwrap().0);
    open(&node.dir.path().join("fanfare.db"), Sync::Full).unwrap().execute_batch(&sql).unwrap();
    let node = node.restart();
    let turn_on = async |body| node.call("POST", &path, Some(body)).await;
    turn_on(json!({})).await.problem(422, "wrong_field");
    turn_on(json!({"reviewed_logs": false})).await.problem(422, "wrong_field");
    turn_on(json!({"reviewed_logs": true})).await.problem(409, "operator_needed");
    let day = 24 * 3600 * 1000;
    node.records.stats.lock().unwrap().last_error_at = Some(UnixMs(NOW.0 - 14 * day - 1));
    turn_on(json!({"reviewed_logs": true})).await.problem(409, "operator_needed");
    node.records.stats.lock().unwrap().last_error_at = Some(UnixMs(NOW.0 - 14 * day));
    node.call_as(MEMBER, "POST", &path, Some(json!({"reviewed_logs": true}))).await.problem(403, "forbidden");
    assert_eq!(turn_on(json!({"reviewed_logs": true})).await.ok(200)["state"], "on");
}

#[tokio::test]
async fn a_successful_test_offers_to_turn_on_what_was_turned_off() {
    let node = Node::new();
    let id = node.webhook(&node.admin).await;
    let path = format!("/api/v1/webhooks/{id}/test");
    assert_eq!(node.call("POST", &path, None).await.ok(200)["turn_on"], Value::Null, "it is off, by a person");
    let sql = format!("UPDATE webhooks SET state = 'turned_off' WHERE id = {}", id.parse::<WebhookId>().unwrap().0);
    open(&node.dir.path().join("fanfare.db"), Sync::Full).unwrap().execute_batch(&sql).unwrap();
    let node = node.restart();
    let day = 24 * 3600 * 1000;
    node.records.stats.lock().unwrap().last_error_at = Some(UnixMs(NOW.0 - 14 * day));
    let offer = async |body| node.call("POST", &path, body).await.ok(200)["turn_on"].clone();
    let admin = offer(None).await;
    assert_eq!((&admin["by"], &admin["is_saved"]), (&json!("admin"), &json!(true)));
    assert_eq!(admin["call"], json!(format!("POST /api/v1/webhooks/{id}/turn-on")));
    assert!(!admin["sentence"].as_str().unwrap().contains("saved"));
    let other = offer(Some(json!({"url": "http://example.com/repaired"}))).await;
    assert_eq!(other["is_saved"], false);
    assert!(other["sentence"].as_str().unwrap().contains("save it first"));
    node.records.stats.lock().unwrap().last_error_at = Some(UnixMs(NOW.0 - 14 * day - 1));
    let operator = offer(None).await;
    assert_eq!(operator["by"], "operator");
    assert_eq!(operator["call"], json!(format!("fanfare operator webhooks turn-on {id}")));
    *node.receiver.fails.lock().unwrap() = true;
    assert_eq!(offer(None).await, Value::Null, "the receiver is not repaired");
    *node.receiver.fails.lock().unwrap() = false;
    let unsaved = json!({"type": "url", "url": "http://example.com/", "categories": "all"});
    let unsaved = node.call("POST", "/api/v1/webhooks/test", Some(unsaved)).await.ok(200);
    assert_eq!(unsaved["turn_on"], Value::Null, "there is none to turn on");
}

#[tokio::test]
async fn every_wrong_value_is_refused_by_name() {
    let node = Node::new();
    let id = node.webhook(&node.admin).await;
    let cases = [
        ("name", json!(""), "empty"),
        ("name", json!(7), "must be a string, not another number"),
        ("name", json!(null), "not null"),
        ("type", json!("kafka"), "\"segment\""),
        ("type", json!(1), "a string"),
        ("url", json!("ftp://h/"), "http://"),
        ("url", json!("http://u:p@h/"), "user name"),
        ("url", json!("http://h/#f"), "fragment"),
        ("url", json!(["http://h/"]), "a list"),
        ("secret", json!(12345), "a string or null"),
        ("categories", json!([]), "at least one"),
        ("categories", json!(["weather"]), "track_events"),
        ("categories", json!("guides"), "a list"),
        ("categories", json!(null), "null"),
        ("categories", json!([1]), "none of"),
        ("timeout_s", json!(0), "from 1 to 300"),
        ("timeout_s", json!(301), "from 1 to 300"),
        ("timeout_s", json!(1.5), "whole number"),
        ("timeout_s", json!("10"), "whole number from 1 to 300, not a string"),
        ("concurrency", json!(0), "from 1 to 1000"),
        ("concurrency", json!(-1), "whole number"),
        ("standard_webhooks", json!("yes"), "true or false"),
        ("enabled", json!(1), "true or false"),
        ("audit", json!("yes"), "true or false"),
        ("filter", json!("event == 'x'"), "line 1, column 10: event is never \"x\""),
        ("filter", json!("event ==\n"), "line 2, column 1: the filter ends here"),
        ("filter", json!("true || evnt"), "line 1, column 9: unknown name evnt; did you mean event?"),
        ("filter", json!(7), "a string or null, not another number"),
        ("format", json!("slack"), "an object"),
        ("headers", json!({"webhook-id": "b"}), "set by Fanfare"),
        ("auth", json!("x"), "must be an object, not a string"),
        ("client_certificate", json!(7), "must be an object"),
        ("ordered", json!(1), "true or false"),
        ("ordered", json!(null), "not null"),
        ("rate_limit_per_s", json!(0), "from 1 to 100000"),
        ("rate_limit_per_s", json!(100_001), "from 1 to 100000"),
        ("rate_limit_per_s", json!(0.5), "whole number or null"),
        ("state", json!("on"), "can only be read"),
        ("id", json!("wh_1"), "can only be read"),
        ("colour", json!("red"), "is not a field"),
    ];
    for (field, value, says) in cases {
        let mut body = minimal();
        body[field] = value.clone();
        let create = node.call("POST", "/api/v1/webhooks", Some(body.clone())).await;
        let patch = node.call("PATCH", &format!("/api/v1/webhooks/{id}"), Some(json!({ field: value }))).await;
        let test = node.call("POST", &format!("/api/v1/webhooks/{id}/test"), Some(json!({ field: value }))).await;
        for answer in [create, patch, test] {
            let detail = answer.problem(422, "wrong_field");
            assert!(detail.contains(says), "{field} = {value}: {detail}");
            assert_eq!(answer.json()["field"], field);
        }
    }
    for missing in ["name", "url"] {
        let mut body = minimal();
        body.as_object_mut().unwrap().remove(missing);
        let answer = node.call("POST", "/api/v1/webhooks", Some(body)).await;
        assert_eq!(answer.problem(422, "wrong_field"), format!("{missing}: is required"));
    }
    assert_eq!(node.catalog.current().webhooks.len(), 1);
    assert_eq!(node.receiver.sent.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn editing_changes_what_is_named_and_the_toggle_goes_through_the_journal() {
    let node = Node::new();
    let id = node.webhook(&node.admin).await;
    let path = format!("/api/v1/webhooks/{id}");
    let on = node.call("PATCH", &path, Some(json!({"enabled": true}))).await.ok(200);
    assert_eq!((&on["enabled"], &on["state"], &on["secret_set"]), (&json!(true), &json!("on"), &json!(true)));
    assert_eq!(node.journal.entries().len(), 1);
    node.clock.set(UnixMs(NOW.0 + 1000));
    let renamed = node.call("PATCH", &path, Some(json!({"name": "New", "secret": null}))).await.ok(200);
    let expected = (&json!("New"), &json!(false), &json!("2021-07-20T17:58:21Z"));
    assert_eq!((&renamed["name"], &renamed["secret_set"], &renamed["updated_at"]), expected);
    assert_eq!(node.journal.entries().len(), 1);
    node.call("PATCH", &path, Some(json!({"categories": ["visitors"]}))).await.ok(200);
    node.call("PATCH", &path, Some(json!({"enabled": false, "secret": "new secret"}))).await.ok(200);
    let entries = node.journal.entries();
    assert!(entries[1].contains("Some(16)") && entries[2].contains("on: false"), "{entries:?}");
    let current = node.catalog.current();
    let stored = current.webhooks.values().next().unwrap();
    assert_eq!((stored.state, stored.since.0), (WebhookState::Off, 3));
    assert_eq!(stored.destination.secret, Some(Secret::new("new secret")));
    assert_ne!(stored.values.categories, CategorySet::All);
    node.call("PATCH", &path, Some(json!({}))).await.ok(200);
}

#[tokio::test]
async fn a_signing_key_made_by_an_edit_is_shown_once() {
    let node = Node::new();
    let body = json!({"name": "n", "url": "http://h/", "standard_webhooks": false});
    let created = node.call("POST", "/api/v1/webhooks", Some(body)).await.ok(201);
    assert!(created.get("signing_key").is_none());
    let path = format!("/api/v1/webhooks/{}", created["id"].as_str().unwrap());
    let edited = node.call("PATCH", &path, Some(json!({"standard_webhooks": true}))).await.ok(200);
    assert!(edited["signing_key"].as_str().unwrap().starts_with("whsec_"));
    let again = node.call("PATCH", &path, Some(json!({"standard_webhooks": true}))).await.ok(200);
    assert!(again.get("signing_key").is_none());
}

#[tokio::test]
async fn turned_off_is_answered_with_409_that_names_turn_on() {
    let node = Node::new();
    let id = node.webhook(&node.admin).await;
    node.sql("UPDATE webhooks SET state = 'turned_off'");
    let node = node.restart();
    let path = format!("/api/v1/webhooks/{id}");
    let shown = node.get(&path).await.ok(200);
    assert_eq!((&shown["enabled"], &shown["state"]), (&json!(false), &json!("turned_off")));
    for enabled in [true, false] {
        let answer = node.call("PATCH", &path, Some(json!({"enabled": enabled}))).await;
        assert!(answer.problem(409, "turned_off").contains(&format!("/api/v1/webhooks/{id}/turn-on")));
    }
}

#[tokio::test]
async fn a_journal_that_refuses_is_503_and_nothing_changes() {
    let node = Node::new();
    let id = node.webhook(&node.admin).await;
    let path = format!("/api/v1/webhooks/{id}");
    node.journal.refuse(Some(AppendError::Full));
    let answer = node.call("PATCH", &path, Some(json!({"enabled": true}))).await;
    answer.problem(503, "journal_unavailable");
    assert_eq!(answer.headers["retry-after"], "1");
    node.call("DELETE", &path, None).await.problem(503, "journal_unavailable");
    assert_eq!(node.get(&path).await.ok(200)["state"], "off");
}

#[tokio::test]
async fn deleting_is_for_good() {
    let node = Node::new();
    let id = node.webhook(&node.admin).await;
    let path = format!("/api/v1/webhooks/{id}");
    assert_eq!(node.call("DELETE", &path, None).await.status, 204);
    for method in ["GET", "PATCH", "DELETE"] {
        node.call(method, &path, None).await.problem(404, "not_found");
    }
    node.get(&format!("{path}/deliveries")).await.problem(404, "not_found");
    let node = node.restart();
    assert_eq!(node.get("/api/v1/webhooks").await.ok(200), json!({"data": [], "next": null}));
}

#[tokio::test]
async fn the_list_is_paged_oldest_first() {
    let node = Node::new();
    let mut made = Vec::new();
    for at in 0..5 {
        node.clock.set(UnixMs(NOW.0 + at / 2));
        made.push(node.webhook(&node.admin).await);
    }
    node.webhook(OTHER).await;
    let (mut seen, mut path) = (Vec::new(), String::from("/api/v1/webhooks?limit=2"));
    loop {
        let page = node.call_as(MEMBER, "GET", &path, None).await.ok(200);
        let rows = page["data"].as_array().unwrap();
        seen.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        assert_eq!(rows.len(), 2);
        path = format!("/api/v1/webhooks?limit=2&cursor={next}");
    }
    assert_eq!(seen.len(), 5);
    seen.sort();
    made.sort();
    assert_eq!(seen, made);
    for query in ["limit=0", "limit=501", "limit=x", "cursor=nonsense", "colour=red"] {
        let detail = node.get(&format!("/api/v1/webhooks?{query}")).await.problem(400, "wrong_query");
        assert!(detail.contains(query.split('=').next().unwrap()), "{detail}");
    }
}

#[tokio::test]
async fn a_test_sends_the_values_of_the_form_and_saves_nothing() {
    let node = Node::new();
    let body = json!({"url": "http://h/unsaved", "secret": SECRET, "timeout_s": 300});
    let result = node.call("POST", "/api/v1/webhooks/test", Some(body)).await.ok(200);
    let expected = json!({"delivered": true, "status": 200, "reason": "accepted",
        "sentence": "The receiver accepted the event.", "detail": "details",
        "request": {"headers": [{"name": "Content-Type", "value": "application/json"},
            {"name": "X-Pendo-Signature", "value": "ab"}], "body": "{\"event\":\"ping\",\"of\":\"Acme\"}",
            "body_encoding": null},
        "response": {"headers": [{"name": "server", "value": "x"}], "body": "/w==", "body_encoding": "base64",
            "body_cut": false},
        "timings": {"dns_ms": null, "connect_ms": 1.5, "tls_ms": null, "first_byte_ms": 2.0, "total_ms": 2.5}});
    assert_eq!(result, expected);
    {
        let sent = node.receiver.sent.lock().unwrap();
        let (destination, message) = &sent[0];
        assert_eq!(destination.endpoint.path_and_query, "/unsaved");
        assert_eq!(destination.secret, Some(Secret::new(SECRET)));
        assert_eq!(destination.signing_keys.len(), 1);
        assert_eq!(destination.timeout, Duration::from_secs(30), "a test does not wait for five minutes");
        assert_eq!(message.unique_id, "09".repeat(20));
    }
    assert!(node.catalog.current().webhooks.is_empty());
    assert!(node.journal.entries().is_empty(), "and it is counted for nothing");
    let missing = node.call("POST", "/api/v1/webhooks/test", Some(json!({"name": "n"}))).await;
    assert_eq!(missing.problem(422, "wrong_field"), "url: is required");
}

#[tokio::test]
async fn a_stored_webhooks_test_merges_the_form_over_what_is_stored() {
    let node = Node::new();
    let id = node.webhook(&node.admin).await;
    let path = format!("/api/v1/webhooks/{id}/test");
    node.call("POST", &path, None).await.ok(200);
    let body = json!({"url": "http://h/new", "timeout_s": 5});
    let sample = node.call("POST", &format!("{path}?event=npsSubmitted"), Some(body)).await.ok(200);
    assert!(sample["request"]["body"].as_str().unwrap().contains("npsSubmitted"));
    node.call("POST", &path, Some(json!({"secret": "", "standard_webhooks": false}))).await.ok(200);
    let stored_key = node.catalog.current().webhooks.values().next().unwrap().keys.signing_key.clone().unwrap();
    {
        let sent = node.receiver.sent.lock().unwrap();
        let [(plain, _), (merged, _), (bare, _)] = &sent[..] else { panic!("three tests were sent") };
        assert_eq!((&*plain.endpoint.host, &plain.secret), ("example.com", &Some(Secret::new(SECRET))));
        assert_eq!((&*merged.endpoint.host, merged.timeout), ("h", Duration::from_secs(5)));
        assert_eq!((&merged.secret, &merged.signing_keys), (&Some(Secret::new(SECRET)), &vec![stored_key]));
        assert!(bare.secret.is_none() && bare.signing_keys.is_empty());
    }
    *node.receiver.fails.lock().unwrap() = true;
    let failed = node.call("POST", &path, None).await.ok(200);
    let expected = (&json!(false), &Value::Null, &json!("connection_refused"));
    assert_eq!((&failed["delivered"], &failed["status"], &failed["reason"]), expected);
    let detail = node.call("POST", &format!("{path}?event=weather"), None).await.problem(400, "wrong_query");
    assert!(detail.contains("guideDisplayed"), "{detail}");
    assert_eq!(node.catalog.current().webhooks.values().next().unwrap().values.timeout_s, 300);
}

#[tokio::test]
async fn tests_that_wait_are_bounded() {
    let node = Arc::new(Node::new());
    let hold = Arc::new(tokio::sync::Notify::new());
    *node.receiver.hold.lock().unwrap() = Some(Arc::clone(&hold));
    let body = json!({"url": "http://h/"});
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..limits::TESTS_IN_FLIGHT {
        let (node, body) = (Arc::clone(&node), body.clone());
        waiting.spawn(async move { node.call("POST", "/api/v1/webhooks/test", Some(body)).await.status });
    }
    while node.receiver.sent.lock().unwrap().len() < limits::TESTS_IN_FLIGHT {
        tokio::task::yield_now().await;
    }
    node.call("POST", "/api/v1/webhooks/test", Some(body.clone())).await.problem(429, "too_many_tests");
    tokio::task::yield_now().await;
    hold.notify_waiters();
    assert!(waiting.join_all().await.into_iter().all(|status| status == 200));
    *node.receiver.hold.lock().unwrap() = None;
    node.call("POST", "/api/v1/webhooks/test", Some(body)).await.ok(200);
}
