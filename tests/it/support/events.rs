//! What an agent and a back end send.

use serde_json::{Value, json};

/// The user agent of the agent's requests.
pub const CHROME: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/91.0.4472.164 Safari/537.36";

/// Now, in Unix milliseconds.
pub fn now_ms() -> i64 {
    use fanfare::clock::{Clock, SystemClock};
    SystemClock.now().0
}

/// A batch of an agent new enough for everything.
pub fn batch(items: &[Value]) -> Value {
    json!({"agentVersion": "2.33.0", "events": items})
}

/// `visitor` of `account` says who they are.
pub fn identify(visitor: &str, account: &str) -> Value {
    json!({"type": "identify", "visitorId": visitor, "accountId": account, "browserTime": now_ms()})
}

/// A track event from the browser.
pub fn track(visitor: &str, name: &str, properties: Value) -> Value {
    json!({"type": "track", "visitorId": visitor, "accountId": "", "browserTime": now_ms(), "name": name,
        "properties": properties})
}

/// A track event as the Track API takes it.
pub fn server_track(visitor: &str, name: &str, properties: Value) -> Value {
    json!({"type": "track", "event": name, "visitorId": visitor, "accountId": "acme", "properties": properties})
}

/// A step is seen. It names a guide that only the item describes.
pub fn guide_seen(visitor: &str, poll_types: &[&str]) -> Value {
    json!({"type": "guideSeen", "visitorId": visitor, "accountId": "acme", "browserTime": now_ms(),
        "guideId": GUIDE, "guideStepId": STEP, "language": "en-US", "stepPollTypes": poll_types,
        "guideProperties": guide_properties()})
}

/// Answers to polls are submitted.
pub fn poll_response(visitor: &str, responses: Value) -> Value {
    json!({"type": "pollResponse", "visitorId": visitor, "accountId": "acme", "browserTime": now_ms(),
        "guideId": GUIDE, "guideStepId": STEP, "language": "en-US", "responses": responses,
        "guideProperties": guide_properties()})
}

/// An NPS answer with what `extra` says (rating, reason, source).
pub fn nps_response(visitor: &str, extra: Value) -> Value {
    let mut item = json!({"type": "npsResponse", "visitorId": visitor, "accountId": "acme", "browserTime": now_ms(),
        "guideId": GUIDE, "guideStepId": STEP, "language": "en-US", "guideProperties": guide_properties()});
    item.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    item
}

/// The guide of these events.
pub const GUIDE: &str = "Kg92trd4yOzpDb2inI5eTOdcR0U";
/// Its step.
pub const STEP: &str = "UgG7AtWEXNuvHBBcTqSQ8NxGvAU";

/// What the items say of the guide.
pub fn guide_properties() -> Value {
    json!({
        "createdAt": 1_615_411_012_615_i64,
        "createdByUser": {"username": "user@example.com"},
        "id": GUIDE,
        "lastUpdatedAt": 1_618_322_253_073_i64,
        "lastUpdatedByUser": {"username": "user@example.com"},
        "name": "Poll 1 - Test",
        "steps": [{"id": STEP, "lastUpdatedAt": 1_618_322_251_476_i64, "resetAt": 0, "type": "building-block"}],
    })
}
