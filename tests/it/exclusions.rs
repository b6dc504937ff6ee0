//! Whose events are kept but pushed to nobody.

use crate::support::{Node, Receiver, events};
use serde_json::{Value, json};

fn exclude(node: &Node, kind: &str, pattern: &str) -> String {
    let rule = node.api("POST", "/exclusions", Some(json!({"kind": kind, "pattern": pattern}))).expect(201).json();
    rule["id"].as_str().unwrap().to_owned()
}

/// The events that are kept, oldest first: name, visitor, and the rule that excludes them.
fn kept(node: &Node) -> Vec<(String, String, Value)> {
    let shown = |row: &Value| {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        (text("event"), text("visitor_id"), row["excluded_by"].clone())
    };
    node.taken_in().iter().rev().map(shown).collect()
}

#[test]
fn who_is_excluded_is_kept_and_shown_but_not_sent_and_not_seen() {
    let mut node = Node::start();
    let receiver = Receiver::ok();
    node.webhook(&receiver.url(), json!({"concurrency": 1}));
    let rule = exclude(&node, "visitor", "test-*");
    node.events(&[
        events::identify("test-1", "acme"),
        events::track("test-1", "Clicked", json!({})),
        events::guide_seen("test-1", &["NPSRating"]),
        events::nps_response("test-1", json!({"rating": 9, "reason": "r"})),
        events::track("ann", "Clicked", json!({})),
    ]);
    node.try_track(events::server_track("test-2", "Bought", json!({}))).expect(200);
    receiver.wait_for("Clicked");
    let excluded: Vec<_> = kept(&node).into_iter().filter(|(_, visitor, _)| visitor.starts_with("test-")).collect();
    let names: Vec<&str> = excluded.iter().map(|(name, _, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["trackEventReceived", "guideDisplayed", "npsDisplayed", "npsSubmitted", "trackEventReceived"],
        "nobody was seen for the first time"
    );
    assert!(excluded.iter().all(|(_, _, by)| *by == json!(rule)), "{excluded:?}");
    let row = node.list("/events").into_iter().find(|row| row["visitor_id"] == "test-1").unwrap();
    assert_eq!(row["withheld"], "excluded");

    // After a crash the rule holds still; without it the visitor is seen for the first time, and nothing is sent again.
    node.restart();
    node.events(&[events::track("test-1", "Again", json!({}))]);
    node.api("DELETE", &format!("/exclusions/{rule}"), None).expect(204);
    node.events(&[events::track("test-1", "Free", json!({}))]);
    receiver.wait_for("Free");
    let sent: Vec<_> = receiver.requests().iter().map(|request| request.json()).collect();
    let of_test: Vec<_> = sent.iter().filter(|json| json["visitorId"].as_str().unwrap().starts_with("test-")).collect();
    let names: Vec<_> = of_test.iter().map(|json| json["event"].as_str().unwrap()).collect();
    assert_eq!(names.iter().filter(|name| **name == "visitorCreated").count(), 1, "{names:?}");
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn accounts_addresses_and_hosts_are_judged_by_what_the_request_says() {
    let node = Node::with(&["--trusted-proxy", "127.0.0.1"], &[]);
    let account = exclude(&node, "account", "acme::*");
    let network = exclude(&node, "ip", "203.0.113.0/24");
    let host = exclude(&node, "host", "*.staging.example.com");
    let agent_key = node.keys.agent_key.clone();
    let send = |from: &str, origin: &str, item: Value| {
        let mut headers = vec![("x-fanfare-agent-key", agent_key.as_str()), ("X-Forwarded-For", from)];
        if !origin.is_empty() {
            headers.push(("Origin", origin));
        }
        node.call("POST", "/data/events", &headers, Some(events::batch(&[item]))).expect(200);
    };
    let track = |visitor: &str, account: &str, url: Option<&str>| {
        let mut item = events::track(visitor, "t", json!({}));
        item["accountId"] = json!(account);
        if let Some(url) = url {
            item["url"] = json!(url);
        }
        item
    };
    let origin = "https://a.staging.example.com";
    let app = format!("/apps/{}", node.keys.app_id);
    node.api("PATCH", &app, Some(json!({"origins": [origin]}))).expect(200);
    send("198.51.100.1", "", track("free", "acme", None));
    send("198.51.100.1", "", track("by-account", "acme::child", None));
    send("203.0.113.9", "", track("by-network", "", None));
    send("198.51.100.1", origin, track("by-origin", "", None));
    send("198.51.100.1", "", track("by-page", "", Some("https://b.staging.example.com/x")));
    send("198.51.100.1", origin, track("page-goes-before-origin", "", Some("https://example.com/")));
    let server = |visitor: &str, context: Value| {
        let call = json!({"type": "track", "event": "t", "visitorId": visitor, "context": context});
        let headers =
            [("x-pendo-integration-key", node.keys.track_secret.as_str()), ("X-Forwarded-For", "203.0.113.9")];
        node.call("POST", "/data/track", &headers, Some(call)).expect(200);
    };
    server("the-servers-own-address-is-nobodys", json!({"ip": "198.51.100.1"}));
    server("by-context-ip", json!({"ip": "203.0.113.77"}));
    server("by-context-url", json!({"url": "https://c.staging.example.com/"}));
    server("nonsense", json!({"ip": "nowhere", "url": "nowhere"}));
    let found: Vec<_> = kept(&node).into_iter().filter(|(name, _, _)| name == "trackEventReceived").collect();
    let by = |visitor: &str| {
        let rows: Vec<_> = found.iter().filter(|(_, of, _)| of == visitor).collect();
        assert_eq!(rows.len(), 1, "{visitor}: {found:?}");
        rows[0].2.clone()
    };
    for (visitor, rule) in [
        ("free", Value::Null),
        ("by-account", json!(account)),
        ("by-network", json!(network)),
        ("by-origin", json!(host)),
        ("by-page", json!(host)),
        ("page-goes-before-origin", Value::Null),
        ("the-servers-own-address-is-nobodys", Value::Null),
        ("by-context-ip", json!(network)),
        ("by-context-url", json!(host)),
        ("nonsense", Value::Null),
    ] {
        assert_eq!(by(visitor), rule, "{visitor}");
    }
}
