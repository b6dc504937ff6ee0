//! The management API: who may, what is answered, what is never shown.

use crate::support::http::Answer;
use crate::support::{Node, Receiver, wait_until};
use serde_json::{Value, json};

#[track_caller]
fn assert_problem(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    answer.json()
}

#[test]
fn a_key_is_needed() {
    let node = Node::start();
    let call = |headers: &[(&str, &str)]| node.call("GET", "/api/v1/webhooks", headers, None);
    assert_problem(&call(&[]), 401);
    assert_problem(&call(&[("Authorization", "Bearer wrong")]), 401);
    assert_problem(&call(&[("x-pendo-integration-key", &node.keys.track_secret)]), 401);
    assert_problem(&call(&[("x-pendo-integration-key", &node.keys.agent_key)]), 401);
    assert_eq!(call(&[("x-pendo-integration-key", &node.keys.integration_key)]).status, 200);
    assert_eq!(call(&[("Authorization", &format!("Bearer {}", node.keys.integration_key))]).status, 200);
}

#[test]
fn wrong_keys_are_throttled_and_valid_ones_are_not() {
    let node = Node::with(&["--wrong-keys-per-minute", "5"], &[]);
    let wrong = || node.call("GET", "/api/v1/webhooks", &[("Authorization", "Bearer wrong")], None).status;
    let statuses: Vec<u16> = (0..20).map(|_| wrong()).collect();
    assert_eq!(statuses[..5], [401; 5]);
    assert!(statuses.contains(&429), "{statuses:?}");
    node.get("/webhooks");
}

#[test]
fn a_webhook_s_life() {
    let node = Node::start();
    let webhook = node.create(json!({"url": "https://example.com/hook", "secret": "12345678abcd"}));
    let created = &webhook.created;
    for (field, value) in [
        ("name", json!("test")),
        ("type", json!("url")),
        ("url", json!("https://example.com/hook")),
        ("categories", json!("all")),
        ("enabled", json!(false)),
        ("state", json!("off")),
        ("timeout_s", json!(300)),
        ("concurrency", json!(32)),
        ("standard_webhooks", json!(true)),
        ("secret_set", json!(true)),
    ] {
        assert_eq!(created[field], value, "{field}");
    }
    let path = format!("/webhooks/{}", webhook.id);
    let changes = json!({"name": "other", "categories": ["nps", "guides"], "timeout_s": 10, "enabled": true});
    let patched = node.patch(&webhook, changes);
    assert_eq!(patched["name"], "other");
    assert_eq!(patched["categories"], json!(["guides", "nps"]));
    assert_eq!(patched["state"], "on");
    let read = node.get(&path);
    assert_eq!(read["updated_at"], patched["updated_at"]);
    assert!(!read.to_string().contains("12345678abcd"), "a secret is never read back: {read}");
    assert_eq!(node.patch(&webhook, json!({"secret": null}))["secret_set"], false);
    assert_eq!(node.list("/webhooks").len(), 1);
    assert_eq!(node.api("DELETE", &path, None).status, 204);
    assert_problem(&node.api("GET", &path, None), 404);
    assert_eq!(node.list("/webhooks").len(), 0);
}

#[test]
fn what_cannot_be_a_webhook_is_refused_with_a_reason() {
    let node = Node::start();
    let cases = [
        (json!({"url": "ftp://example.com"}), "http"),
        (json!({"url": "http://u:p@example.com"}), "user"),
        (json!({"url": "http://example.com/#x"}), "fragment"),
        (json!({"url": "http://example.com", "categories": ["nothing"]}), "categor"),
        (json!({"url": "http://example.com", "timeout_s": 0}), "timeout_s"),
        (json!({"url": "http://example.com", "timeout_s": 301}), "timeout_s"),
        (json!({"url": "http://example.com", "type": "pigeon"}), "type"),
        (json!({}), "url"),
    ];
    for (settings, word) in cases {
        let mut body = json!({"name": "x", "type": "url", "categories": "all"});
        body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let answer = node.api("POST", "/webhooks", Some(body));
        assert!(matches!(answer.status, 400 | 422), "{settings}: {answer:?}");
        let problem = assert_problem(&answer, answer.status);
        assert!(problem.to_string().to_lowercase().contains(word), "{settings}: {problem}");
    }
    assert_eq!(node.list("/webhooks").len(), 0);
}

#[test]
fn lists_are_paged() {
    let node = Node::start();
    let receiver = Receiver::ok();
    let webhook = node.webhook(&receiver.url(), json!({"name": "first"}));
    for number in 0..7 {
        node.track(&format!("event {number}"));
    }
    receiver.wait(7);
    wait_until("all deliveries are shown", || (node.deliveries(&webhook).len() == 7).then_some(()));
    for path in ["/events?event=trackEventReceived&".to_owned(), format!("/webhooks/{}/deliveries?", webhook.id)] {
        let mut ids = Vec::new();
        let mut page = node.get(&format!("{path}limit=3"));
        loop {
            let rows = page["data"].as_array().unwrap();
            assert!(rows.len() <= 3);
            ids.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            page = node.get(&format!("{path}limit=3&cursor={next}"));
        }
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!((ids.len(), count), (7, 7), "{path}");
        assert_problem(&node.api("GET", &format!("{path}cursor=nonsense"), None), 400);
    }
}

#[test]
fn ids_of_others_and_nonsense_are_not_found() {
    let node = Node::start();
    for path in ["/webhooks/wh_0000000000000001", "/webhooks/x", "/deliveries/dlv_0000000000000001_1", "/deliveries/x"]
    {
        assert_problem(&node.api("GET", path, None), 404);
    }
    let path = "/deliveries/dlv_0000000000000001_1/redeliver";
    assert_problem(&node.api("POST", path, None), 404);
    assert_problem(&node.api("GET", "/nothing", None), 404);
}

#[test]
fn a_test_sends_a_ping_with_unsaved_values() {
    let node = Node::start();
    let receiver = Receiver::ok();
    let body = json!({"name": "x", "type": "url", "url": receiver.url(), "categories": "all", "secret": "s"});
    let answer = node.api("POST", "/webhooks/test", Some(body)).expect(200).json();
    assert_eq!(answer["status"], 200, "{answer:#}");
    let request = receiver.wait(1).remove(0);
    crate::support::sign::assert_pendo(&request, "s");
    let json = request.json();
    assert_eq!(json["event"], "ping");
    assert_eq!(json["app"], json!({"id": -323_232, "name": "webhook-test", "platform": "web"}));
    assert_eq!(json["accountId"], "Webhook Account");
    assert_eq!(json["visitorId"], "Webhook Visitor");
    assert_eq!(json["properties"], json!({}));
    assert_eq!(json["subscription"]["id"], node.keys.subscription_id);
    let saved = node.create(json!({"url": receiver.url()}));
    node.api("POST", &format!("/webhooks/{}/test", saved.id), None).expect(200);
    assert_eq!(receiver.wait(2).len(), 2);
    assert!(node.taken_in().is_empty(), "a test is no event");
}

#[test]
fn the_api_describes_itself_and_its_health() {
    let node = Node::start();
    let get = |target: &str| node.call("GET", target, &[], None);
    let document = get("/api/openapi.json").expect(200).json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    for path in ["/api/v1/webhooks", "/api/v1/webhooks/{id}", "/api/v1/deliveries/{id}/redeliver"] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    get("/healthz").expect(200);
    get("/readyz").expect(200);
    let metrics = get("/metrics").expect(200);
    assert!(String::from_utf8(metrics.body).unwrap().contains("fanfare_"));
}

#[test]
fn every_answer_is_locked_down_for_browsers() {
    let node = Node::start();
    let paths = ["/api/v1/webhooks", "/api/openapi.json", "/nowhere", "/metrics", "/healthz"];
    for path in paths.into_iter().chain(["/data/track", "/data/events"]) {
        let answer = node.call("GET", path, &[], None);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        let policies: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "content-security-policy").collect();
        assert_eq!(policies.len(), 1, "{path}");
        let policy = &policies[0].1;
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("script-src"), "{path}: nothing may run");
    }
    node.try_track(json!({"type": "track", "event": "e", "visitorId": "v"})).expect(200);
}
