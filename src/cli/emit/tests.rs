//! Against a stand-in for intake that answers as docs/intake.md says.

use super::*;
use crate::cli::client::PATIENCE;
use crate::http::{Limits, serve};
use crate::observe::HttpMetrics;
use axum::routing::post;
use axum::{Json, Router};
use http::HeaderMap;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

async fn emitted(arguments: &[&str]) -> anyhow::Result<(bool, String)> {
    let batch = |headers: HeaderMap, Json(body): Json<Value>| async move {
        if headers["x-fanfare-agent-key"] != "right" {
            return (StatusCode::UNAUTHORIZED, Json(json!({"title": "Unauthorized", "detail": "wrong agent key"})));
        }
        let count = body["events"].as_array().unwrap().len();
        let rejected: Vec<Value> = (1..count).take(1).map(|i| json!({"index": i, "reason": "because"})).collect();
        (StatusCode::OK, Json(json!({"accepted": count - rejected.len(), "rejected": rejected})))
    };
    let track = |Json(body): Json<Value>| async move { Json(json!({"ok": body["visitorId"].is_string()})) };
    let router = Router::new().route("/in/data/events", post(batch)).route("/in/data/track", post(track));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}/in/", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let limits = Limits::new(10, PATIENCE);
    let task = tokio::spawn(serve(listener, router, limits, HttpMetrics::default(), stop.clone()));
    let matches = command().try_get_matches_from([&["emit", "--server", &server], arguments].concat())?;
    let mut out = Vec::new();
    let all_taken = Plan::of(&matches)?.run(&mut out).await?;
    stop.cancel();
    task.await.unwrap();
    Ok((all_taken, String::from_utf8(out).unwrap()))
}

#[tokio::test]
async fn what_was_accepted_and_rejected_is_said() {
    let (all_taken, text) = emitted(&["all", "--agent-key", "right"]).await.unwrap();
    assert!(!all_taken);
    assert!(text.contains("accepted 4 of 5: identify, track, guideSeen, pollResponse, npsResponse\n"), "{text}");
    assert!(text.contains("rejected track: because\n"), "{text}");
}

#[tokio::test]
async fn each_round_is_about_somebody_new() {
    let (all_taken, text) = emitted(&["visitorCreated", "--agent-key", "right", "--count", "3"]).await.unwrap();
    let people: std::collections::HashSet<&str> = text.lines().filter(|line| line.starts_with("visitor ")).collect();
    assert_eq!((all_taken, people.len()), (true, 3), "{text}");
}

#[tokio::test]
async fn a_wrong_key_is_said_and_fails() {
    let (all_taken, text) = emitted(&["all", "--agent-key", "wrong"]).await.unwrap();
    assert!(!all_taken && text.contains("answered 401 Unauthorized: wrong agent key"), "{text}");
}

#[tokio::test]
async fn the_track_api_needs_its_secret_only() {
    let (all_taken, text) = emitted(&["trackEventReceived", "--track-secret", "s"]).await.unwrap();
    assert!(all_taken && text.contains("/data/track accepted a track event"), "{text}");
}

#[tokio::test]
async fn a_missing_key_and_an_https_server_are_explained() {
    let error = emitted(&["guideDisplayed", "--track-secret", "s"]).await.unwrap_err().to_string();
    assert!(error.contains("--agent-key"), "{error}");
    let matches = command().try_get_matches_from(["emit", "all", "--server", "https://f.example"]).unwrap();
    assert!(Plan::of(&matches).err().unwrap().to_string().contains("plain HTTP"));
}
