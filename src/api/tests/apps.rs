use super::support::{MEMBER, NOW, Node, OTHER};
use crate::clock::Clock;
use crate::model::UnixMs;
use serde_json::{Value, json};

const APPS: &str = "/api/v1/apps";

/// Which of these open an app at intake now: the agent key, the track secret.
fn opens(node: &Node, agent_key: &str, track_secret: &str) -> (bool, bool) {
    let (current, now) = (node.catalog.current(), node.clock.now());
    let agent = current.app_of_agent_key(agent_key, now).is_some();
    (agent, current.app_of_track_secret(track_secret.as_bytes(), now).is_some())
}

fn text<'a>(app: &'a Value, field: &str) -> &'a str {
    app[field].as_str().unwrap()
}

#[tokio::test]
async fn the_first_app_is_there_and_another_can_be_made_and_edited() {
    let node = Node::new();
    let first = node.get(APPS).await.ok(200);
    assert_eq!((&first["data"][0]["id"], &first["data"][0]["name"]), (&json!(-323_232), &json!("Shop")));
    let body = json!({"name": "Docs", "platform": "web", "origins": ["https://docs.example.com"]});
    let made = node.call("POST", APPS, Some(body)).await.ok(201);
    assert_eq!(opens(&node, text(&made, "agent_key"), text(&made, "track_secret")), (true, true));
    let path = format!("{APPS}/{}", made["id"]);
    let shown = node.get(&path).await.ok(200);
    assert!(shown.get("track_secret").is_none(), "{shown}");
    let edited = node.call("PATCH", &path, Some(json!({"origins": []}))).await.ok(200);
    assert_eq!((&edited["name"], &edited["origins"]), (&json!("Docs"), &json!([])));
    let node = node.restart();
    assert_eq!(node.get(&path).await.ok(200), edited);
    let log = node.get("/api/v1/audit-log").await.ok(200);
    assert_eq!(log["data"][0]["after"], json!({"origins": []}));
    assert!(!log.to_string().contains(text(&made, "track_secret")));
}

#[tokio::test]
async fn rotated_keys_open_for_their_overlap_and_no_longer() {
    let node = Node::new();
    let made = node.call("POST", APPS, Some(json!({"name": "Docs"}))).await.ok(201);
    let (old_key, old_secret) = (text(&made, "agent_key"), text(&made, "track_secret"));
    let path = format!("{APPS}/{}", made["id"]);
    let overlap = Some(json!({"overlap_s": 60}));
    let rotated = node.call("POST", &format!("{path}/rotate-agent-key"), overlap).await.ok(200);
    assert_eq!(rotated["old_agent_key_until"], "2021-07-20T17:59:20Z");
    let with_secret = node.call("POST", &format!("{path}/rotate-track-secret"), None).await.ok(200);
    assert_eq!(with_secret["old_track_secret_until"], "2021-07-21T17:58:20Z");
    let (new_key, new_secret) = (text(&rotated, "agent_key"), text(&with_secret, "track_secret"));
    assert!(old_key != new_key && old_secret != new_secret);
    let node = node.restart();
    for (after_ms, old) in [(59_999, (true, true)), (60_000, (false, true)), (86_400_000, (false, false))] {
        node.clock.set(UnixMs(NOW.0 + after_ms));
        assert_eq!(opens(&node, old_key, old_secret), old, "after {after_ms} ms");
        assert_eq!(opens(&node, new_key, new_secret), (true, true));
    }
    let shown = node.get(&path).await.ok(200);
    assert_eq!((&shown["old_agent_key_until"], &shown["old_track_secret_until"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn wrong_values_are_named_and_nobody_else_reaches_an_app() {
    let node = Node::new();
    let path = format!("{APPS}/-323232");
    for (body, field) in [
        (json!({}), "name"),
        (json!({"name": "a", "platform": "tv"}), "platform"),
        (json!({"name": "a", "origins": ["example.com"]}), "origins"),
        (json!({"name": "a", "origins": ["https://example.com/path"]}), "origins"),
        (json!({"name": "a", "agent_key": "mine"}), "agent_key"),
    ] {
        let answer = node.call("POST", APPS, Some(body.clone())).await;
        assert_eq!(answer.ok(422)["field"], field, "{body}");
    }
    let too_long = node.call("POST", &format!("{path}/rotate-agent-key"), Some(json!({"overlap_s": 2_592_001}))).await;
    assert_eq!(too_long.ok(422)["field"], "overlap_s");
    node.call_as(MEMBER, "GET", &path, None).await.ok(200);
    node.call_as(MEMBER, "PATCH", &path, Some(json!({"name": "x"}))).await.problem(403, "forbidden");
    let made = node.call("POST", APPS, Some(json!({"name": "Docs"}))).await.ok(201);
    let path = format!("{APPS}/{}", made["id"]);
    node.call_as(OTHER, "GET", &path, None).await.problem(404, "not_found");
    node.call_as(OTHER, "PATCH", &path, Some(json!({"name": "x"}))).await.problem(404, "not_found");
    node.call_as(OTHER, "POST", &format!("{path}/rotate-agent-key"), None).await.problem(404, "not_found");
    assert_eq!(node.call_as(OTHER, "GET", APPS, None).await.ok(200)["data"], json!([]));
}
