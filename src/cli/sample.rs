//! Sample items for `fanfare emit`, in the form that the browser agent sends (docs/intake.md).

use crate::model::{EventKind, UnixMs};
use serde_json::{Value, json};

/// Who the samples are about. Fresh in each round, so that the first-seen events fire.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub visitor_id: String,
    pub account_id: String,
}

/// The items that raise `kind`, or all eight kinds once. A new person's first item also raises `visitorCreated` and
/// `accountCreated`, whatever it is.
pub(super) fn agent_items(kind: Option<EventKind>, person: &Person, now: UnixMs) -> Vec<Value> {
    let items = match kind {
        None => vec![
            json!({"type": "identify", "visitor": {"plan": "trial"}, "account": {"name": "Sample Ltd"}}),
            track(),
            guide_seen(&["PickList", "NPSRating"]),
            poll_response(),
            nps_response(),
        ],
        Some(EventKind::VisitorCreated | EventKind::AccountCreated) => vec![json!({"type": "identify"})],
        Some(EventKind::TrackEventReceived) => vec![track()],
        Some(EventKind::GuideDisplayed) => vec![guide_seen(&[])],
        Some(EventKind::PollDisplayed) => vec![guide_seen(&["PickList"])],
        Some(EventKind::NpsDisplayed) => vec![guide_seen(&["NPSRating"])],
        Some(EventKind::PollSubmitted) => vec![poll_response()],
        Some(EventKind::NpsSubmitted) => vec![nps_response()],
    };
    items.into_iter().map(|item| about(item, person, now)).collect()
}

/// The body of a Track API call.
pub(super) fn track_call(person: &Person, now: UnixMs) -> Value {
    json!({
        "type": "track",
        "event": "Invoice Paid",
        "visitorId": person.visitor_id,
        "accountId": person.account_id,
        "timestamp": now.0,
        "properties": {"amount": 129, "currency": "EUR"},
    })
}

fn about(mut item: Value, person: &Person, now: UnixMs) -> Value {
    item["visitorId"] = person.visitor_id.as_str().into();
    item["accountId"] = person.account_id.as_str().into();
    item["browserTime"] = now.0.into();
    item
}

fn track() -> Value {
    json!({"type": "track", "name": "Account Upgraded", "properties": {"plan": "pro", "seats": 12}})
}

fn guide_seen(step_poll_types: &[&str]) -> Value {
    on_step(json!({"type": "guideSeen", "stepPollTypes": step_poll_types}))
}

fn poll_response() -> Value {
    let answer = json!({"pollId": "sample-poll", "pollType": "PickList", "response": "Very useful", "duration": 4200});
    on_step(json!({"type": "pollResponse", "responses": [answer]}))
}

fn nps_response() -> Value {
    on_step(json!({"type": "npsResponse", "rating": 9, "reason": "It just works", "source": "web"}))
}

/// The guide travels with the item, because a new installation knows none.
fn on_step(mut item: Value) -> Value {
    item["guideId"] = "sample-guide".into();
    item["guideStepId"] = "sample-step".into();
    item["language"] = "en-US".into();
    item["guideProperties"] = json!({
        "id": "sample-guide",
        "name": "Welcome tour",
        "createdAt": 1_735_689_600_000_i64,
        "createdByUser": {"username": "guides@example.com"},
        "lastUpdatedAt": 1_735_776_000_000_i64,
        "lastUpdatedByUser": {"username": "guides@example.com"},
        "steps": [{"id": "sample-step", "lastUpdatedAt": 1_735_776_000_000_i64, "resetAt": 0, "type": "building-block"}],
    });
    item
}
