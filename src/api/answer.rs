//! What the API answers: our types as JSON. Times are RFC 3339, ids are text, bodies are text or base64.

use crate::model::{DeliveryState, Timings, UnixMs, Withheld};
use crate::record::view::{
    AttemptView, DeliveryDetail, DeliverySummary, EventDetail, EventSummary, Page, RangeSummary,
};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use utoipa::ToSchema;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    /// The rows. Fewer than asked for does not mean the end: only `next` says that.
    pub data: Vec<T>,
    /// The next page's `cursor`; null at the end.
    pub next: Option<String>,
}

impl<T> List<T> {
    /// A page's rows, each as it is shown.
    pub fn of<R>(page: Page<R>, show: impl Fn(R) -> T) -> Self {
        Self { data: page.data.into_iter().map(show).collect(), next: page.next }
    }
}

/// A delivery in a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryJson {
    /// `dlv_…`
    pub id: String,
    /// The webhook that it goes to.
    pub webhook_id: String,
    /// The event that it carries.
    pub event_id: String,
    /// The event's name.
    pub event: &'static str,
    /// `uniqueId`, the same in every delivery of the event.
    pub unique_id: String,
    /// delivered, retrying, failed, cancelled or expired.
    pub status: &'static str,
    /// Attempts so far.
    pub attempt_count: u32,
    /// When the event was accepted or the redelivery asked for.
    pub created_at: String,
    /// When the last attempt began.
    pub last_attempt_at: Option<String>,
    /// When the next attempt is due, while it is retrying.
    pub next_attempt_at: Option<String>,
    /// The last status received; 408 for a timeout of our own; null when there was none.
    pub response_status: Option<u16>,
    /// Why the last attempt ended as it did, for programs.
    pub reason: Option<&'static str>,
    /// The same, for people.
    pub sentence: Option<&'static str>,
    /// How long the last attempt took.
    pub total_ms: Option<f64>,
    /// Whether a person asked for it.
    pub redelivery: bool,
    /// The replay that it is part of; null when it is part of none.
    pub replay_id: Option<String>,
}

impl DeliveryJson {
    /// A delivery as it is shown.
    pub fn of(row: &DeliverySummary) -> Self {
        Self {
            id: row.id.to_string(),
            webhook_id: row.id.webhook.to_string(),
            event_id: row.event.to_string(),
            event: row.kind.name(),
            unique_id: row.unique_id.to_string(),
            status: row.status.name(),
            attempt_count: row.attempts,
            created_at: rfc3339(row.created_at),
            last_attempt_at: row.last_attempt_at.map(rfc3339),
            next_attempt_at: row.next_attempt_at.filter(|_| row.status == DeliveryState::Retrying).map(rfc3339),
            response_status: row.response_status.filter(|status| *status != 0),
            reason: row.reason.map(crate::model::Reason::code),
            sentence: row.reason.map(crate::model::Reason::sentence),
            total_ms: row.total_us.map(milliseconds),
            redelivery: row.redelivery,
            replay_id: row.replay.map(|id| id.to_string()),
        }
    }
}

/// A page of a webhook's deliveries.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryList {
    /// What was attempted, newest first.
    #[serde(flatten)]
    pub list: List<DeliveryJson>,
    /// With the first page: the newest ranges of events that ended without an attempt, newest first.
    pub ranges: Vec<RangeJson>,
}

/// Events that ended together without an attempt.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Range)]
pub struct RangeJson {
    /// cancelled or expired.
    pub status: &'static str,
    /// The first event of the range.
    pub first_event_id: String,
    /// The last event of the range.
    pub last_event_id: String,
    /// How many events of the range the webhook had asked for; null where that was not counted.
    pub events: Option<u64>,
    /// How many waiting retries ended with it.
    pub retries: u64,
    /// When the webhook was turned off, or the events fell out of its backlog.
    pub at: String,
}

impl RangeJson {
    /// A range as it is shown.
    pub fn of(range: &RangeSummary) -> Self {
        Self {
            status: range.status.name(),
            first_event_id: range.from.to_string(),
            last_event_id: range.to.to_string(),
            events: range.events,
            retries: range.retries,
            at: rfc3339(range.at),
        }
    }
}

/// A delivery with everything known of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryDetail)]
pub struct DeliveryDetailJson {
    /// What the list shows of it.
    #[serde(flatten)]
    pub delivery: DeliveryJson,
    /// The event's body, which each attempt sent that has no `request_body` of its own; null when the event is no longer
    /// kept.
    pub request_body: Option<String>,
    /// "base64" when `request_body` is not text.
    pub request_body_encoding: Option<&'static str>,
    /// Its attempts, first to last.
    pub attempts: Vec<AttemptJson>,
}

impl DeliveryDetailJson {
    /// A delivery as it is shown.
    pub fn of(detail: &DeliveryDetail) -> Self {
        let body = detail.request_body.as_deref().map(text_or_base64);
        let (request_body, request_body_encoding) =
            body.map_or((None, None), |(text, encoding)| (Some(text), encoding));
        Self {
            delivery: DeliveryJson::of(&detail.summary),
            request_body,
            request_body_encoding,
            attempts: detail.attempts.iter().map(AttemptJson::of).collect(),
        }
    }
}

/// One attempt.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub struct AttemptJson {
    /// 1 for the first.
    pub attempt: u32,
    /// When it began.
    pub started_at: String,
    /// The status received; 408 for a timeout of our own; null when there was none.
    pub status: Option<u16>,
    /// Why it ended as it did, for programs.
    pub reason: &'static str,
    /// The same, for people.
    pub sentence: &'static str,
    /// More about the reason; "" when there is nothing to add.
    pub detail: String,
    /// As sent.
    pub request_headers: Vec<HeaderJson>,
    /// The kept part of what it sent, where that is not the delivery's `request_body`: for Segment, or because of the
    /// webhook's format.
    pub request_body: Option<String>,
    /// "base64" when `request_body` is not text.
    pub request_body_encoding: Option<&'static str>,
    /// Whether it sent more than what is kept.
    pub request_body_cut: bool,
    /// What came back.
    pub response: ResponseJson,
    /// How long its parts took.
    pub timings: TimingsJson,
}

impl AttemptJson {
    /// An attempt as it is shown.
    pub fn of(attempt: &AttemptView) -> Self {
        let sent = attempt.request_body.as_deref().map(|body| kept_text(body, attempt.request_cut));
        let (request_body, request_body_encoding) =
            sent.map_or((None, None), |(text, encoding)| (Some(text), encoding));
        Self {
            attempt: attempt.attempt,
            started_at: rfc3339(attempt.started_at),
            status: Some(attempt.status).filter(|status| *status != 0),
            reason: attempt.reason.code(),
            sentence: attempt.reason.sentence(),
            detail: attempt.detail.clone(),
            request_headers: headers(&attempt.request_headers),
            request_body,
            request_body_encoding,
            request_body_cut: attempt.request_cut,
            response: ResponseJson::of(&attempt.response_headers, &attempt.response_body, attempt.response_cut),
            timings: TimingsJson::of(attempt.timings),
        }
    }
}

/// One header line.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Header)]
pub struct HeaderJson {
    /// As on the wire.
    pub name: String,
    /// Its value; secret ones masked.
    pub value: String,
}

/// What came back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Response)]
pub struct ResponseJson {
    /// As received; empty when there were none.
    pub headers: Vec<HeaderJson>,
    /// The kept part of the body.
    pub body: String,
    /// "base64" when `body` is not text.
    pub body_encoding: Option<&'static str>,
    /// Whether the body was longer than what is kept.
    pub body_cut: bool,
}

impl ResponseJson {
    /// A response as it is shown.
    pub fn of(header_lines: &str, body: &[u8], body_cut: bool) -> Self {
        let (body, body_encoding) = kept_text(body, body_cut);
        Self { headers: headers(header_lines), body, body_encoding, body_cut }
    }
}

/// Milliseconds from the start of an attempt to the end of each part; null for a part that did not happen.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Timings)]
pub struct TimingsJson {
    /// Resolving the name.
    pub dns_ms: Option<f64>,
    /// The TCP connection.
    pub connect_ms: Option<f64>,
    /// The TLS handshake.
    pub tls_ms: Option<f64>,
    /// The response's first byte.
    pub first_byte_ms: Option<f64>,
    /// Everything.
    pub total_ms: f64,
}

impl TimingsJson {
    /// Timings as they are shown.
    pub fn of(timings: Timings) -> Self {
        Self {
            dns_ms: timings.dns_us.map(milliseconds),
            connect_ms: timings.connect_us.map(milliseconds),
            tls_ms: timings.tls_us.map(milliseconds),
            first_byte_ms: timings.first_byte_us.map(milliseconds),
            total_ms: milliseconds(timings.total_us),
        }
    }
}

/// An event in a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventJson {
    /// `evt_…`
    pub id: String,
    /// Of which app.
    pub app_id: i64,
    /// Its name.
    pub event: &'static str,
    /// `uniqueId`.
    pub unique_id: String,
    /// Who did it.
    pub visitor_id: String,
    /// For which account; "" for none.
    pub account_id: String,
    /// When it happened.
    pub occurred_at: String,
    /// When it was accepted.
    pub accepted_at: String,
    /// excluded or agent_too_old: why it is kept but pushed to nobody; null when it is pushed.
    pub withheld: Option<&'static str>,
    /// The exclusion rule that matched.
    pub excluded_by: Option<String>,
}

impl EventJson {
    /// An event as it is shown.
    pub fn of(row: &EventSummary) -> Self {
        let (withheld, excluded_by) = match row.withheld {
            None => (None, None),
            Some(Withheld::Excluded { rule }) => (Some("excluded"), Some(format!("exc_{rule:016x}"))),
            Some(Withheld::AgentTooOld) => (Some("agent_too_old"), None),
        };
        Self {
            id: row.id.to_string(),
            app_id: row.app.0,
            event: row.kind.name(),
            unique_id: row.unique_id.to_string(),
            visitor_id: row.visitor_id.clone(),
            account_id: row.account_id.clone(),
            occurred_at: rfc3339(row.occurred_at),
            accepted_at: rfc3339(row.accepted_at),
            withheld,
            excluded_by,
        }
    }
}

/// An event with its body.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventDetail)]
pub struct EventDetailJson {
    /// What the list shows of it.
    #[serde(flatten)]
    pub event: EventJson,
    /// The body exactly as it is sent and signed.
    pub body: String,
}

impl EventDetailJson {
    /// An event as it is shown. Intake writes bodies as JSON, so they are text.
    pub fn of(detail: &EventDetail) -> Self {
        Self { event: EventJson::of(&detail.summary), body: String::from_utf8_lossy(&detail.body).into_owned() }
    }
}

/// A time as the API shows it.
pub fn rfc3339(time: UnixMs) -> String {
    time.rfc3339()
}

fn milliseconds(us: u32) -> f64 {
    f64::from(us) / 1000.0
}

/// Header lines joined by "\r\n", taken apart.
pub fn headers(lines: &str) -> Vec<HeaderJson> {
    let line = |line: &str| {
        let (name, value) = line.split_once(": ").or_else(|| line.split_once(':'))?;
        Some(HeaderJson { name: name.to_owned(), value: value.to_owned() })
    };
    lines.split("\r\n").filter_map(line).collect()
}

/// The kept part of a body as text; `None` when it is none.
pub fn excerpt(body: &[u8], cut: bool) -> Option<String> {
    let (text, encoding) = kept_text(body, cut);
    encoding.is_none().then_some(text)
}

/// The kept part of a body: a cut in the middle of a character does not make text binary.
fn kept_text(body: &[u8], cut: bool) -> (String, Option<&'static str>) {
    match std::str::from_utf8(body) {
        Err(error) if cut && error.error_len().is_none() => text_or_base64(&body[..error.valid_up_to()]),
        _ => text_or_base64(body),
    }
}

/// Text when it is UTF-8, else base64.
pub fn text_or_base64(bytes: &[u8]) -> (String, Option<&'static str>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (BASE64_STANDARD.encode(bytes), Some("base64")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_text_or_base64_and_a_cut_character_stays_text() {
        let show = |body: &[u8], cut| {
            let shown = ResponseJson::of("A: 1\r\nB:2\r\nnonsense", body, cut);
            (shown.body, shown.body_encoding)
        };
        assert_eq!(show("grün".as_bytes(), false), (String::from("grün"), None));
        assert_eq!(show(b"\xff\x00", false), (String::from("/wA="), Some("base64")));
        assert_eq!(show(&"grün".as_bytes()[..3], true), (String::from("gr"), None));
        assert_eq!(show(&"grün".as_bytes()[..3], false).1, Some("base64"));
        let names: Vec<String> =
            headers("A: 1\r\nB:2\r\nnonsense").into_iter().map(|h| h.name + "=" + &h.value).collect();
        assert_eq!(names, ["A=1", "B=2"]);
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(rfc3339(UnixMs(1_626_803_875_123)), "2021-07-20T17:57:55.123Z");
        assert_eq!(rfc3339(UnixMs(i64::MAX)), "1970-01-01T00:00:00Z");
    }
}
