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
mod signing_keys;
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
fn every_call_has_a_name_of_its_own_and_the_body_that_it_takes() {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
    let ids: Vec<_> = operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    let unique: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!((unique.len(), ids.len() > 50), (ids.len(), true), "{ids:?}");
    // Two types of one name would stand in the document as one of them.
    for (path, method, field) in
        [("/api/v1/password-reset", "put", "token"), ("/api/v1/guides/{id}/reset", "post", "steps")]
    {
        let content = &document["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"];
        let reference = content.to_string();
        let name = reference.rsplit('/').next().unwrap().split('"').next().unwrap();
        assert!(!document["components"]["schemas"][name]["properties"][field].is_null(), "{path}: {reference}");
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
