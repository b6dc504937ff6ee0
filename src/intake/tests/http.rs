//! Requests as such: keys, types, sizes, origins, and what is answered.

use super::support::{Rig, events_request, track_request};
use crate::journal::AppendError;
use crate::limits;
use ::http::{Method, Request, StatusCode, header};
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use std::sync::atomic::Ordering;

const CALL: &str = r#"{"type":"track","event":"E","visitorId":"v"}"#;

#[tokio::test]
async fn a_track_call_becomes_one_event() {
    let rig = Rig::new();
    let call = r#" {"type":"track","event":"Account Upgraded","visitorId":"Webhook Visitor","accountId":"Webhook Account",
        "timestamp":1626804144123,"properties":{"toTier":"pro","fromTier":"basic"},"more":1,
        "context":{"ip":"1.2.3.4","userAgent":"UA \"x\"","url":"u","title":"t"}}"#;
    let answer = rig.track(call).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, r#"{"status":"ok"}"#));
    let entries = rig.entries();
    let unique_id = entries[0].json()["uniqueId"].as_str().unwrap().to_owned();
    assert_eq!(
        entries[0].body,
        format!(
            r#"{{"app":{{"id":-323232,"name":"test_application","platform":"web"}},"accountId":"Webhook Account","subscription":{{"id":4802463602049999,"name":"test_application"}},"userAgent":"UA \"x\"","event":"trackEventReceived","properties":{{"eventProperties":{{"fromTier":"basic","toTier":"pro"}},"name":"Account Upgraded","source":"server"}},"timestamp":1626804144,"visitorId":"Webhook Visitor","uniqueId":"{unique_id}"}}"#
        )
    );
    assert!(unique_id.len() == 40 && unique_id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
    assert_eq!(rig.names(), ["trackEventReceived"], "a server's call is nobody's first sighting");
    rig.track(CALL).await;
    let second = rig.entries()[1].json();
    assert_eq!(second["properties"]["eventProperties"], serde_json::json!({}));
    assert_eq!((&second["timestamp"], &second["userAgent"]), (&1_626_804_144.into(), &"".into()));
    assert_ne!(second["uniqueId"], unique_id);
}

#[tokio::test]
async fn a_track_call_that_is_not_taken_is_told_why() {
    let rig = Rig::new();
    let week_old = format!(
        r#"{{"type":"track","event":"E","visitorId":"v","timestamp":{}}}"#,
        super::support::NOW.0 - 604_800_001
    );
    let long = format!(r#"{{"type":"track","event":"E","visitorId":"{}"}}"#, "x".repeat(1025));
    let deep = format!(
        r#"{{"type":"track","event":"E","visitorId":"v","properties":{{"a":{}{}}}}}"#,
        "[".repeat(64),
        "]".repeat(64)
    );
    let grown =
        format!(r#"{{"type":"track","event":"E","visitorId":"v","properties":{{"a":[0{}]}}}}"#, ",1e20".repeat(60_000));
    let cases = [
        ("", 400, "not a JSON object"),
        ("[]", 400, "not a JSON object"),
        ("{", 400, "line 1 column 1"),
        ("{\"type\":\"track\"\n,}", 400, "line 2 column 2"),
        (r#"{"event":"E","visitorId":"v"}"#, 400, "type is missing"),
        (r#"{"type":"page","event":"E","visitorId":"v"}"#, 400, "type must be one of track"),
        (r#"{"type":"track","visitorId":"v"}"#, 400, "event is missing"),
        (r#"{"type":"track","event":"","visitorId":"v"}"#, 400, "event must not be empty"),
        (r#"{"type":"track","event":7,"visitorId":"v"}"#, 400, "event must be a string"),
        (r#"{"type":"track","event":"E"}"#, 400, "visitorId is missing"),
        (r#"{"type":"track","event":"E","visitorId":null}"#, 400, "visitorId is missing"),
        (r#"{"type":"track","event":"E","visitorId":5}"#, 400, "visitorId must be a string"),
        (r#"{"type":"track","event":"E","visitorId":"\ud800"}"#, 400, "visitorId holds half of a surrogate pair"),
        (&long, 400, "visitorId is longer than 1024 bytes"),
        (r#"{"type":"track","event":"E","visitorId":"v","accountId":[]}"#, 400, "accountId must be a string"),
        (r#"{"type":"track","event":"E","visitorId":"v","properties":[]}"#, 400, "properties must be an object"),
        (r#"{"type":"track","event":"E","visitorId":"v","properties":{"a":1e400}}"#, 400, "too large for JSON"),
        (&deep, 400, "nested deeper than 64"),
        (&grown, 413, "larger than"),
        (r#"{"type":"track","event":"E","visitorId":"v","context":1}"#, 400, "context must be an object"),
        (r#"{"type":"track","event":"E","visitorId":"v","context":{"userAgent":1}}"#, 400, "context.userAgent must"),
        (r#"{"type":"track","event":"E","visitorId":"v","timestamp":1.5}"#, 400, "timestamp must be a whole number"),
        (r#"{"type":"track","event":"E","event":"F","visitorId":"v"}"#, 400, "duplicate field `event`"),
        (&week_old, 422, "timestamp is older than 7 days"),
    ];
    for (body, status, detail) in cases {
        let answer = rig.track(body).await;
        assert_eq!(answer.status.as_u16(), status, "{body:.200}");
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
        let problem = answer.json();
        assert_eq!(problem["status"], status);
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{body:.200}: {}", answer.text);
    }
    let answer = rig.send(track_request(vec![b'{', 0xff])).await;
    assert!(answer.status == 400 && answer.text.contains("not UTF-8 at byte 1"), "{}", answer.text);
    assert_eq!(rig.journal.appends(), 0);
}

#[tokio::test]
async fn keys_types_and_methods_are_checked() {
    let rig = Rig::new();
    let with = |path: &str, headers: &[(&str, &str)], body: &str| {
        let mut request = Request::post(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::from(body.to_owned())).unwrap()
    };
    let (json, text) =
        (("content-type", "application/json; charset=utf-8"), ("content-type", "text/plain;charset=UTF-8"));
    let (key, agent) = (("x-pendo-integration-key", "track-secret"), ("x-fanfare-agent-key", "agent-key"));
    let empty = r#"{"events":[]}"#;
    let cases = [
        (with("/data/track", &[json, key], CALL), 200),
        (with("/data/track", &[key, ("content-type", "application/vnd.x+json")], CALL), 200),
        (with("/data/track", &[json], CALL), 401),
        (with("/data/track", &[json, ("x-pendo-integration-key", "agent-key")], CALL), 401),
        (with("/data/track", &[text, key], CALL), 415),
        (with("/data/track", &[key], CALL), 415),
        (with("/data/track", &[key, ("content-type", "application/x-www-form-urlencoded")], CALL), 415),
        (with("/data/events", &[json, agent], empty), 200),
        (with("/data/events", &[text, agent], empty), 200),
        (with("/data/events?key=agent-key", &[text], empty), 200),
        (with("/data/events?a=b&key=agent-key", &[], empty), 200),
        (with("/data/events?key=track-secret", &[text], empty), 401),
        (with("/data/events", &[json], empty), 401),
        (with("/data/events", &[agent, ("content-type", "application/xml")], empty), 415),
        (with("/data/events", &[json, agent], "nonsense"), 400),
        (with("/data/events", &[json, agent], "{}"), 400),
        (with("/data/events", &[json, agent], r#"{"events":{}}"#), 400),
        (Request::get("/data/track").body(Body::empty()).unwrap(), 405),
        (Request::put("/data/events").body(Body::empty()).unwrap(), 405),
    ];
    for (request, status) in cases {
        let what = format!("{request:?}");
        let answer = rig.send(request).await;
        assert_eq!(answer.status.as_u16(), status, "{what} {}", answer.text);
        if status != 200 {
            assert_eq!(answer.json()["status"], status);
        }
    }
}

#[tokio::test]
async fn bodies_and_batches_have_their_limits() {
    let rig = Rig::new();
    let padded = |bytes: usize| format!("{}{CALL}", " ".repeat(bytes - CALL.len()));
    assert_eq!(rig.track(&padded(limits::INTAKE_BODY_BYTES)).await.status, 200);
    assert_eq!(rig.track(&padded(limits::INTAKE_BODY_BYTES + 1)).await.status, 413);
    // Chunked: no length is announced.
    for (chunks, status) in [(16, 200), (17, 413)] {
        let mut parts = vec![Ok::<_, std::io::Error>(Frame::data(Bytes::from(padded(65_536))))];
        parts.extend((1..chunks).map(|_| Ok(Frame::data(Bytes::from(vec![b' '; 65_536])))));
        let body = Body::new(StreamBody::new(stream::iter(parts)));
        assert_eq!(rig.send(track_request(body)).await.status.as_u16(), status);
    }
    let broken = stream::iter([Ok(Frame::data(Bytes::from("{"))), Err(std::io::Error::other("reset"))]);
    assert_eq!(rig.send(track_request(Body::new(StreamBody::new(broken)))).await.status, 400);
    let batch = |items: usize| format!(r#"{{"events":[0{}]}}"#, ",0".repeat(items - 1));
    let answer = rig.send(events_request(batch(500))).await;
    assert_eq!((answer.status.as_u16(), answer.json()["rejected"].as_array().unwrap().len()), (200, 500));
    let answer = rig.send(events_request(batch(501))).await;
    assert!(answer.status == 413 && answer.text.contains("more than 500 items"), "{}", answer.text);
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_as_a_whole() {
    let rig = Rig::new();
    let items = [super::support::item("identify", &serde_json::json!({"id": "1"}))];
    rig.journal.fail_every(1);
    for (error, status) in [
        (AppendError::Overloaded, 503),
        (AppendError::Full, 503),
        (AppendError::Failing(String::from("EIO")), 503),
        (AppendError::Closed, 503),
        (AppendError::TooLarge(5), 413),
    ] {
        *crate::intake::keys::lock(&rig.journal.error) = error;
        for answer in [rig.track(CALL).await, rig.items(&items).await] {
            assert_eq!(answer.status.as_u16(), status);
            assert_eq!(answer.headers.contains_key(header::RETRY_AFTER), status == 503);
            assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
        }
    }
    rig.journal.fail_every(0);
    rig.store.broken.store(true, Ordering::SeqCst);
    assert_eq!(rig.items(&items).await.status, 503);
    assert_eq!(rig.journal.group_count(), 0);
    rig.store.broken.store(false, Ordering::SeqCst);
    assert_eq!(rig.items(&items).await.json()["accepted"], 1);
    assert_eq!(rig.names(), ["visitorCreated", "accountCreated"], "nothing was used up by what failed");
}

#[tokio::test]
async fn pages_of_listed_origins_may_send() {
    let rig = Rig::new();
    for (origin, host, status) in [
        (Some("https://app.test"), "fanfare.test", 200),
        (Some("https://fanfare.test"), "internal", 200),
        (Some("http://localhost:8080"), "localhost:8080", 200),
        (Some("https://evil.test"), "fanfare.test", 403),
        (Some("http://app.test"), "fanfare.test", 403),
        (Some("https://app.test.evil"), "fanfare.test", 403),
        (Some("null"), "fanfare.test", 403),
        (None, "fanfare.test", 200),
    ] {
        let mut request = events_request(r#"{"events":[]}"#);
        request.headers_mut().insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            request.headers_mut().insert(header::ORIGIN, origin.parse().unwrap());
        }
        let answer = rig.send(request).await;
        assert_eq!(answer.status.as_u16(), status, "{origin:?}");
        let allowed = answer.headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).map(|value| value.to_str().unwrap());
        assert_eq!(allowed, origin.filter(|_| status == 200), "{origin:?}");
    }
    // An error is readable for the page too.
    let mut request = events_request("nonsense");
    request.headers_mut().insert(header::ORIGIN, "https://app.test".parse().unwrap());
    let answer = rig.send(request).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN]),
        (400, &"https://app.test".parse().unwrap())
    );

    let preflight = Request::builder()
        .method(Method::OPTIONS)
        .uri("/data/events")
        .header(header::ORIGIN, "https://app.test")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .body(Body::empty());
    let answer = rig.send(preflight.unwrap()).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(answer.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.test");
    assert_eq!(answer.headers[header::ACCESS_CONTROL_ALLOW_HEADERS], "content-type, x-fanfare-agent-key");
    assert_eq!(answer.headers[header::VARY], "Origin");
}
