//! A webhook's figures, as charts show them.

use crate::support::{Node, Receiver, Reply, Webhook, wait_until};
use serde_json::{Value, json};

/// The figures of the last day, added up.
fn sums(node: &Node, webhook: &Webhook, query: &str) -> (u64, u64, u64, u64) {
    let figures = node.get(&format!("/webhooks/{}/figures{query}", webhook.id));
    let sum = |name: &str| figures["data"].as_array().unwrap().iter().map(|step| step[name].as_u64().unwrap()).sum();
    (sum("delivered"), sum("failed"), sum("attempts"), sum("failed_attempts"))
}

#[test]
fn figures_count_what_was_attempted() {
    let node = Node::with(&["--retry-delays", "50ms"], &[]);
    let receiver =
        Receiver::sequence(vec![Reply::Status(200), Reply::Status(503), Reply::Status(200), Reply::Status(404)]);
    let webhook = node.webhook(&receiver.url(), json!({}));
    assert_eq!(sums(&node, &webhook, ""), (0, 0, 0, 0));
    for name in ["good", "late", "bad"] {
        node.track(name);
    }
    wait_until("all is counted", || (sums(&node, &webhook, "").2 == 4).then_some(()));
    for query in ["", "?step_min=1", "?step_min=1440"] {
        assert_eq!(sums(&node, &webhook, query), (2, 1, 4, 2), "{query}");
    }
    let figures = node.get(&format!("/webhooks/{}/figures?step_min=1440", webhook.id));
    let took = |step: &Value, name: &str| step[name].as_f64().unwrap();
    for step in figures["data"].as_array().unwrap() {
        assert!(0.0 < took(step, "p50_ms") && took(step, "p50_ms") <= took(step, "p99_ms"), "{step}");
        assert_eq!(step["waited_min"], 0, "{step}");
    }
    let elsewhere = "?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z";
    assert_eq!(sums(&node, &webhook, elsewhere), (0, 0, 0, 0));
}

#[test]
fn figures_have_a_bound() {
    let node = Node::start();
    let webhook = node.webhook("http://127.0.0.1:9/", json!({}));
    let ask = |query: &str| node.api("GET", &format!("/webhooks/{}/figures?{query}", webhook.id), None).status;
    let year = "from=2025-01-01T00:00:00Z&to=2026-01-01T00:00:00Z";
    for (query, status) in [
        ("step_min=0", 400),
        ("step_min=1441", 400),
        ("step_min=x", 400),
        ("from=yesterday", 400),
        (&format!("{year}&step_min=60")[..], 400),
        (&format!("{year}&step_min=1440")[..], 200),
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", 200),
    ] {
        assert_eq!(ask(query), status, "{query}");
    }
}
