//! What can be asked of the records and what they answer: plain data, times in Unix milliseconds. The API turns the
//! answers into its own JSON.

use crate::model::{
    AppId, DeliveryId, DeliveryState, EventId, EventKind, Reason, SubscriptionId, Timings, UniqueId, UnixMs, WebhookId,
    Withheld,
};
use bytes::Bytes;

/// Which deliveries of a webhook to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryQuery {
    /// Whose.
    pub subscription: SubscriptionId,
    /// Of which webhook.
    pub webhook: WebhookId,
    /// Only those in this state.
    pub status: Option<DeliveryState>,
    /// Only those of this event.
    pub event: Option<EventKind>,
    /// Only those whose event was accepted (or whose redelivery was asked for) at or after this.
    pub from: Option<UnixMs>,
    /// Only those before this.
    pub to: Option<UnixMs>,
    /// Where an earlier page ended: its [`Page::next`].
    pub cursor: Option<String>,
    /// Rows at most, 1 to [`crate::limits::PAGE_MAX`].
    pub limit: usize,
}

/// Which events of a subscription to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventQuery {
    /// Whose.
    pub subscription: SubscriptionId,
    /// Only these.
    pub event: Option<EventKind>,
    /// Only those accepted at or after this.
    pub from: Option<UnixMs>,
    /// Only those accepted before this.
    pub to: Option<UnixMs>,
    /// Where an earlier page ended: its [`Page::next`].
    pub cursor: Option<String>,
    /// Rows at most, 1 to [`crate::limits::PAGE_MAX`].
    pub limit: usize,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows. Fewer than asked for, even none, does not mean the end: only `next` says that.
    pub data: Vec<T>,
    /// Where to go on; `None` at the end. Opaque to everybody but the records.
    pub next: Option<String>,
}

/// Events of a webhook that ended together without an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeSummary {
    /// [`DeliveryState::Cancelled`] or [`DeliveryState::Expired`].
    pub status: DeliveryState,
    /// The first event of the range, inclusive.
    pub from: EventId,
    /// The last event of the range, inclusive.
    pub to: EventId,
    /// How many of them the webhook had asked for, where it was counted.
    pub events: Option<u64>,
    /// How many waiting retries ended with it.
    pub retries: u64,
    /// When.
    pub at: UnixMs,
}

/// A delivery in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliverySummary {
    /// Its id, which names its webhook.
    pub id: DeliveryId,
    /// The event it carries.
    pub event: EventId,
    /// What happened.
    pub kind: EventKind,
    /// `uniqueId`.
    pub unique_id: UniqueId,
    /// Where it stands.
    pub status: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// When its event was accepted, or the redelivery was asked for.
    pub created_at: UnixMs,
    /// When its last attempt began; `None` before the first.
    pub last_attempt_at: Option<UnixMs>,
    /// When the next attempt is due, while it is retrying.
    pub next_attempt_at: Option<UnixMs>,
    /// The last attempt's status; 0 when none was received, 408 for a timeout of our own.
    pub response_status: Option<u16>,
    /// Why the last attempt ended as it did.
    pub reason: Option<Reason>,
    /// From the start of the last attempt to its end, in microseconds.
    pub total_us: Option<u32>,
    /// Set when a person asked for this delivery.
    pub redelivery: bool,
}

/// A delivery with everything known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryDetail {
    /// What the list shows of it.
    pub summary: DeliverySummary,
    /// The bytes that each attempt sent; `None` when the event has left the journal.
    pub request_body: Option<Bytes>,
    /// Its attempts, first to last.
    pub attempts: Vec<AttemptView>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptView {
    /// 1 for the first.
    pub attempt: u32,
    /// When it began.
    pub started_at: UnixMs,
    /// The status received; 408 for a timeout of our own; 0 when there was none.
    pub status: u16,
    /// Why it ended as it did.
    pub reason: Reason,
    /// More about the reason; "" when there is nothing to add.
    pub detail: String,
    /// How long its parts took.
    pub timings: Timings,
    /// Request headers as sent, `Name: value` joined by "\r\n", secret values masked.
    pub request_headers: String,
    /// Response headers as received, in the same form; "" when there were none.
    pub response_headers: String,
    /// The kept part of the response's body.
    pub response_body: Bytes,
    /// The body was longer than what was kept.
    pub response_cut: bool,
}

/// An event in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSummary {
    /// Its id.
    pub id: EventId,
    /// Of which app.
    pub app: AppId,
    /// What happened.
    pub kind: EventKind,
    /// `uniqueId`.
    pub unique_id: UniqueId,
    /// Who did it.
    pub visitor_id: String,
    /// For which account; "" for none.
    pub account_id: String,
    /// When it happened.
    pub occurred_at: UnixMs,
    /// When it was accepted.
    pub accepted_at: UnixMs,
    /// Set when it is kept but pushed to nobody.
    pub withheld: Option<Withheld>,
}

/// An event with its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventDetail {
    /// What the list shows of it.
    pub summary: EventSummary,
    /// The body as it is sent.
    pub body: Bytes,
}

/// How a webhook is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WebhookStats {
    /// When it last answered 2xx.
    pub last_success_at: Option<UnixMs>,
    /// When an attempt last failed.
    pub last_error_at: Option<UnixMs>,
    /// Deliveries that succeeded within the last 24 hours.
    pub delivered_24h: u64,
    /// Deliveries that failed for good within the last 24 hours.
    pub failed_24h: u64,
    /// Deliveries that wait for their next attempt.
    pub waiting_retries: u64,
}
