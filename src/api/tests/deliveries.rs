use super::support::{MEMBER, NOW, Node, OTHER, delivery, event};
use crate::journal::AppendError;
use crate::model::{DeliveryState, EventId, Position, WebhookId};
use crate::record::view::RangeSummary;
use serde_json::{Value, json};

/// A node with a webhook that is on, an event, and a delivery of it.
async fn delivered() -> (Node, WebhookId, String) {
    let node = Node::new();
    let id = node.webhook(&node.admin).await;
    node.call("PATCH", &format!("/api/v1/webhooks/{id}"), Some(json!({"enabled": true}))).await.ok(200);
    let webhook: WebhookId = id.parse().unwrap();
    let detail = delivery(webhook, 0x4d);
    let delivery_id = detail.summary.id.to_string();
    node.records.deliveries.lock().unwrap().push((node.subscription, detail));
    node.records.events.lock().unwrap().push((node.subscription, event(0x4d)));
    (node, webhook, delivery_id)
}

#[tokio::test]
async fn a_delivery_is_listed_and_read_with_its_attempts() {
    let (node, webhook, id) = delivered().await;
    let row = json!({"id": id, "webhook_id": webhook.to_string(), "event_id": "evt_4d", "event": "npsSubmitted",
        "unique_id": "07".repeat(20), "status": "retrying", "attempt_count": 1, "created_at": "2021-07-20T17:58:20Z",
        "last_attempt_at": "2021-07-20T17:58:20Z", "next_attempt_at": "2021-07-20T17:58:21Z", "response_status": null,
        "reason": "connection_refused", "sentence": "Nothing accepts connections at the receiver's address and port.",
        "total_ms": 2.5, "redelivery": false, "replay_id": null});
    let list = node.call_as(MEMBER, "GET", &format!("/api/v1/webhooks/{webhook}/deliveries"), None).await.ok(200);
    assert_eq!(list, json!({"data": [row], "next": "more", "ranges": []}));
    let mut detail = node.call_as(MEMBER, "GET", &format!("/api/v1/deliveries/{id}"), None).await.ok(200);
    let attempts = detail.as_object_mut().unwrap().remove("attempts").unwrap();
    let (body, encoding) = (detail["request_body"].take(), detail["request_body_encoding"].take());
    assert_eq!((body, encoding), (json!("{}"), Value::Null));
    let expected = json!([{"attempt": 1, "started_at": "2021-07-20T17:58:20Z", "status": 503,
        "reason": "server_error", "sentence": "The receiver reported an error of its own.", "detail": "",
        "request_headers": [{"name": "webhook-id", "value": "07"}],
        "request_body": null, "request_body_encoding": null, "request_body_cut": false,
        "response": {"headers": [{"name": "retry-after", "value": "1"}], "body": "busy", "body_encoding": null,
            "body_cut": true},
        "timings": {"dns_ms": null, "connect_ms": 1.5, "tls_ms": null, "first_byte_ms": 2.0, "total_ms": 2.5}}]);
    assert_eq!(attempts, expected);
    for (key, value) in row.as_object().unwrap() {
        assert_eq!(&detail[key], value, "{key}");
    }
}

#[tokio::test]
async fn ranges_without_an_attempt_come_with_the_first_page() {
    let (node, webhook, _) = delivered().await;
    let range = RangeSummary {
        status: DeliveryState::Cancelled,
        from: EventId(Position(0x10)),
        to: EventId(Position(0x1f)),
        events: Some(3),
        retries: 2,
        at: NOW,
    };
    *node.records.ranges.lock().unwrap() = vec![range];
    let shown = json!([{"status": "cancelled", "first_event_id": "evt_10", "last_event_id": "evt_1f", "events": 3,
        "retries": 2, "at": "2021-07-20T17:58:20Z"}]);
    let path = format!("/api/v1/webhooks/{webhook}/deliveries");
    let with = ["", "?status=cancelled", "?from=2021-07-20T17:58:20Z"];
    let without = ["?cursor=c", "?status=expired", "?to=2021-07-20T17:58:20Z", "?from=2021-07-20T17:58:21Z"];
    for (queries, expected) in [(&with[..], shown), (&without[..], json!([]))] {
        for query in queries {
            assert_eq!(node.get(&format!("{path}{query}")).await.ok(200)["ranges"], expected, "{query}");
        }
    }
}

#[tokio::test]
async fn filters_reach_the_records_and_wrong_ones_are_named() {
    let (node, webhook, _) = delivered().await;
    let path = format!("/api/v1/webhooks/{webhook}/deliveries");
    let query = "status=failed&event=guideDisplayed&from=2021-07-20T17:58:20Z&to=2021-07-20T19:58:20.5%2B02:00\
                 &limit=7&cursor=c";
    node.get(&format!("{path}?{query}")).await.ok(200);
    let asked = node.records.asked.lock().unwrap().pop().unwrap();
    let from = format!("from: Some(UnixMs({}))", NOW.0);
    let to = format!("to: Some(UnixMs({}))", NOW.0 + 500);
    for part in ["Some(Failed)", "Some(GuideDisplayed)", &from, &to, "limit: 7", "cursor: Some(\"c\")"] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
    for wrong in ["status=late", "event=ping", "from=yesterday", "to=2021-07-20", "limit=0", "cursor=wrong", "a=b"] {
        let detail = node.get(&format!("{path}?{wrong}")).await.problem(400, "wrong_query");
        assert!(detail.contains(wrong.split('=').next().unwrap()), "{wrong}: {detail}");
    }
}

#[tokio::test]
async fn events_are_listed_and_read() {
    let (node, _, _) = delivered().await;
    let row = json!({"id": "evt_4d", "app_id": -323_232, "event": "npsSubmitted", "unique_id": "07".repeat(20),
        "visitor_id": "v", "account_id": "a::b", "occurred_at": "2021-07-20T17:58:19.995Z",
        "accepted_at": "2021-07-20T17:58:20Z", "withheld": "agent_too_old", "excluded_by": null});
    let list = node.call_as(MEMBER, "GET", "/api/v1/events?event=npsSubmitted&limit=3", None).await.ok(200);
    assert_eq!(list, json!({"data": [row], "next": null}));
    assert!(node.records.asked.lock().unwrap().pop().unwrap().contains("Some(NpsSubmitted)"));
    let read = node.get("/api/v1/events/evt_4d").await.ok(200);
    assert_eq!((&read["body"], &read["id"]), (&json!(r#"{"event":"npsSubmitted"}"#), &json!("evt_4d")));
    for (path, status, code) in [
        ("/api/v1/events/evt_4e", 404, "not_found"),
        ("/api/v1/events/nonsense", 404, "not_found"),
        ("/api/v1/events?status=failed", 400, "wrong_query"),
        ("/api/v1/events?cursor=wrong", 400, "wrong_query"),
    ] {
        node.get(path).await.problem(status, code);
    }
}

#[tokio::test]
async fn redelivering_makes_a_new_delivery_through_the_journal() {
    let (node, webhook, id) = delivered().await;
    let path = format!("/api/v1/deliveries/{id}/redeliver");
    let answer = node.call("POST", &path, None).await;
    let new = format!("dlv_{:016x}_2", webhook.0);
    assert_eq!(answer.ok(202), json!({ "id": new }));
    assert_eq!(answer.headers["location"], format!("/api/v1/deliveries/{new}"));
    let entries = node.journal.entries();
    assert_eq!(entries.len(), 2, "switching on, then the redelivery");
    assert!(entries[1].contains("Redelivery") && entries[1].contains("Position(77)"), "{entries:?}");
    node.journal.refuse(Some(AppendError::Overloaded));
    node.call("POST", &path, None).await.problem(503, "journal_unavailable");
}

#[tokio::test]
async fn what_cannot_be_redelivered_is_told_why() {
    let (node, webhook, id) = delivered().await;
    let path = format!("/api/v1/deliveries/{id}/redeliver");
    for nonsense in ["nonsense", "dlv_1_2", "dlv_0000000000000001_4d"] {
        node.call("POST", &format!("/api/v1/deliveries/{nonsense}/redeliver"), None).await.problem(404, "not_found");
        node.get(&format!("/api/v1/deliveries/{nonsense}")).await.problem(404, "not_found");
    }
    node.call_as(OTHER, "POST", &path, None).await.problem(404, "not_found");
    node.records.events.lock().unwrap().clear();
    node.call("POST", &path, None).await.problem(410, "event_gone");
    let toggle = format!("/api/v1/webhooks/{webhook}");
    node.call("PATCH", &toggle, Some(json!({"enabled": false}))).await.ok(200);
    assert!(node.call("POST", &path, None).await.problem(409, "webhook_off").contains("turn it on"));
    node.call("DELETE", &toggle, None).await;
    node.call("POST", &path, None).await.problem(409, "webhook_deleted");
    assert!(!node.journal.entries().iter().any(|entry| entry.contains("Redelivery")));
}
