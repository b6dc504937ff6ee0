//! The API over its real router and a real store; journal, records and receivers are held in the test's hand.

mod access;
mod apps;
mod audit_log;
mod deliveries;
mod keys;
mod support;
mod webhooks;

use super::{openapi_json, paths};
use serde_json::Value;

#[test]
fn the_openapi_document_names_every_route() {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let routes: [(&str, &[&str]); 16] = [
        (paths::WEBHOOKS, &["get", "post"]),
        (paths::WEBHOOKS_TEST, &["post"]),
        (paths::WEBHOOK, &["delete", "get", "patch"]),
        (paths::WEBHOOK_TEST, &["post"]),
        (paths::WEBHOOK_DELIVERIES, &["get"]),
        (paths::DELIVERY, &["get"]),
        (paths::REDELIVER, &["post"]),
        (paths::APPS, &["get", "post"]),
        (paths::APP, &["get", "patch"]),
        (paths::APP_ROTATE_AGENT_KEY, &["post"]),
        (paths::APP_ROTATE_TRACK_SECRET, &["post"]),
        (paths::KEYS, &["get", "post"]),
        (paths::KEY, &["delete", "get"]),
        (paths::AUDIT_LOG, &["get"]),
        (paths::EVENTS, &["get"]),
        (paths::EVENT, &["get"]),
    ];
    let documented = document["paths"].as_object().unwrap();
    assert_eq!(documented.len(), routes.len());
    for (path, methods) in routes {
        let mut found: Vec<&str> = documented[path].as_object().unwrap().keys().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, methods, "{path}");
        for method in methods {
            let answers = documented[path][method]["responses"].as_object().unwrap();
            assert!(answers.contains_key("4XX") && answers.len() >= 3, "{method} {path}");
        }
    }
}

#[test]
fn every_schema_that_the_document_refers_to_is_in_it() {
    let text = openapi_json();
    let document: Value = serde_json::from_str(&text).unwrap();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let references: Vec<&str> =
        text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(references.len() > 10);
    for name in references {
        assert!(schemas.contains_key(name), "{name}");
    }
    assert!(schemas["Webhook"]["properties"]["secret"].is_null(), "a secret is written but never read");
}
