//! Visits and metadata that agents tell of.

use super::support::{NOW, Rig, item};
use serde_json::json;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0";

#[tokio::test]
async fn a_visit_a_minute_is_written_and_all_metadata() {
    let rig = Rig::new();
    let track = |visitor: &str| item("track", &json!({"visitorId": visitor, "name": "n", "userAgent": FIREFOX}));
    rig.items(&[
        track("v"),
        track("v"),
        item("identify", &json!({"visitor": {"name": "Ada"}, "account": {"plan": "pro", "seats": 1.50}})),
    ])
    .await;
    rig.items(&[track("v"), track("w"), track("_PENDO_T_1"), track("null")]).await;
    let visits = rig.visits();
    let who: Vec<_> = visits.iter().map(|visit| (visit.0.as_str(), visit.4.as_str(), visit.5.as_str())).collect();
    assert_eq!(
        who,
        [("v", "", ""), ("v", "{\"name\":\"Ada\"}", "{\"plan\":\"pro\",\"seats\":1.5}"), ("w", "", "")],
        "the others are nobody, or were here just now"
    );
    assert_eq!((visits[0].3.as_str(), visits[1].3.as_str()), ("Firefox 115.0.0", "Chrome 91.0.4472"));
    assert_eq!(visits[0].2, NOW.0 - 1000);
    let at = NOW.0 + 61_000;
    rig.clock.set(crate::model::UnixMs(at));
    rig.items(&[item("track", &json!({"visitorId": "v", "name": "n", "browserTime": at}))]).await;
    assert_eq!(rig.visits().last().unwrap().2, at);
    assert_eq!(rig.visits().len(), 4);
}

#[tokio::test]
async fn metadata_that_cannot_be_kept_is_named() {
    let rig = Rig::new();
    let identify = |visitor: serde_json::Value| item("identify", &json!({"visitorId": "v", "visitor": visitor}));
    let answer = rig.items(&[identify(json!("Ada")), identify(json!({"bio": "x".repeat(40_000)}))]).await;
    assert_eq!(answer.reason(0), "visitor must be an object");
    assert_eq!(answer.reason(1), "visitor is larger than 32768 bytes");
    assert!(rig.visits().is_empty() && rig.names().is_empty());
}
