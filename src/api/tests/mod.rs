//! The API over its real router and a real store; journal, records and receivers are held in the test's hand.

mod access;
mod apps;
mod audit_log;
mod deliveries;
mod exclusions;
mod guides;
mod keys;
mod people;
mod permissions;
mod privacy;
mod replays;
mod support;
mod visitors;
mod webhooks;

use super::openapi_json;
use serde_json::Value;

#[test]
fn the_openapi_document_says_how_every_call_fails() {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let documented = document["paths"].as_object().unwrap();
    assert!(documented.len() > 20);
    for (path, methods) in documented {
        for (method, call) in methods.as_object().unwrap() {
            let answers = call["responses"].as_object().unwrap();
            assert!(answers.contains_key("422") && answers.len() >= 3, "{method} {path}");
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
