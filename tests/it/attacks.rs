//! What somebody hostile sends to the management API and to the log.

use crate::support::{Node, events};
use serde_json::json;

const FORGED: &str = "FORGED line";

#[test]
fn a_body_can_be_neither_too_large_nor_too_deep() {
    let node = Node::start();
    let post = |path: &str, body: &[u8]| {
        let key = format!("Bearer {}", node.keys.integration_key);
        node.raw("POST", path, &[("Authorization", &key), ("Content-Type", "application/json")], body)
    };
    for path in ["/api/v1/webhooks", "/api/v1/session", "/api/v1/password-reset", "/api/operator/v1/subscriptions"] {
        for deep in ["[", "{\"a\":", "[[{\"name\":"] {
            let status = post(path, deep.repeat(100_000).as_bytes()).status;
            assert!(matches!(status, 400 | 401), "{path}: {status}");
        }
        let large = format!("{{\"name\":\"{}\"}}", "x".repeat(2 * 1024 * 1024));
        post(path, large.as_bytes()).expect(413);
    }
    assert!(node.list("/webhooks").is_empty());
}

#[test]
fn nothing_that_is_sent_starts_a_line_of_the_log_or_of_a_header() {
    let node = Node::with(&["--log", "debug"], &[]);
    let evil = format!("x\r\n{FORGED}\u{2028}{FORGED}\u{1b}[31m");
    for (field, body) in [
        ("url", json!({"name": "n", "url": format!("http://h/{evil}")})),
        ("name", json!({"name": evil, "url": "http://h/"})),
    ] {
        let answer = node.api("POST", "/webhooks", Some(body)).expect(422);
        assert_eq!(answer.json()["field"], field);
    }
    let sign_in = json!({"email": evil, "password": evil, "code": evil});
    node.call("POST", "/api/v1/session", &[("User-Agent", "FORGED\tagent")], Some(sign_in)).expect(401);
    node.call("POST", "/api/v1/password-reset", &[], Some(json!({"email": evil}))).expect(202);
    node.call(
        "POST",
        "/api/v1/set-up",
        &[],
        Some(json!({"token": evil, "email": evil, "name": evil, "password": evil})),
    )
    .expect(410);
    let user = json!({"email": evil, "name": "n", "role": "member"});
    node.api("POST", "/users", Some(user)).expect(422);
    node.api("POST", "/apps", Some(json!({"name": "n", "origins": [evil]}))).expect(422);
    node.track(&evil);
    node.try_events(events::batch(&[events::identify(&evil, &evil)])).expect(200);
    let escaped = "/api/v1/webhooks/x%0d%0aFORGED%20line";
    let key = format!("Bearer {}", node.keys.integration_key);
    let answer = node.call("GET", escaped, &[("Authorization", &key)], None).expect(404);
    assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("FORGED")), "{answer:?}");
    let log = node.log();
    assert!(log.contains("DEBUG"), "the log says what it can");
    for line in log.split(['\n', '\r', '\u{2028}']) {
        assert!(!line.starts_with("FORGED"), "{line}");
    }
    assert!(!log.contains("\u{1b}[31m"));
}

#[test]
fn a_session_that_somebody_else_chose_is_not_taken_over() {
    let node = Node::start();
    let chosen = "fanfare_session=chosen-by-somebody-else";
    let password = "correct horse battery";
    let admin =
        json!({"token": node.keys.setup_token(), "email": "ada@example.com", "name": "Ada", "password": password});
    node.call("POST", "/api/v1/set-up", &[("Cookie", chosen)], Some(admin)).expect(201);
    let sign_in = json!({"email": "ada@example.com", "password": password});
    let signed_in = node.call("POST", "/api/v1/session", &[("Cookie", chosen)], Some(sign_in)).expect(201);
    assert!(!signed_in.header("set-cookie").unwrap().contains("chosen"));
    node.call("GET", "/api/v1/session", &[("Cookie", chosen)], None).expect(401);
    // A form of another site cannot sign anybody in: browsers ask before they send JSON elsewhere, and nobody says yes.
    let form = b"{\"email\":\"ada@example.com\",\"password\":\"correct horse battery\"}";
    node.raw("POST", "/api/v1/session", &[("Content-Type", "text/plain")], form).expect(415);
    let preflight = [("Origin", "https://evil.example"), ("Access-Control-Request-Method", "POST")];
    let asked = node.raw("OPTIONS", "/api/v1/session", &preflight, b"");
    assert!(asked.status >= 400 && asked.header("access-control-allow-origin").is_none(), "{asked:?}");
}
