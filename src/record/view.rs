//! What can be asked of the records and what they answer: plain data, times in Unix milliseconds. The API turns the
//! answers into its own JSON.

mod people;

pub use people::{KnownGroup, PersonDetail, PersonSummary};

use crate::filter::Judgement;
use crate::model::{
    AppId, DeliveryId, DeliveryState, EventId, EventKind, Notice, Position, Reason, Replay, ReplayChoice, ReplayEnd,
    ReplayId, SubscriptionId, Timings, UniqueId, UnixMs, WebhookId, Withheld,
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
    /// Only this visitor's.
    pub visitor: Option<String>,
    /// Only this account's.
    pub account: Option<String>,
    /// Only those that this webhook asked for and may be told of: accepted while it was on, of a category that it had chosen, and let
    /// pass by its filter.
    pub webhook: Option<WebhookId>,
    /// Only those that were kept back so, or not at all.
    pub withheld: Option<WithheldAs>,
    /// Only those accepted at or after this.
    pub from: Option<UnixMs>,
    /// Only those accepted before this.
    pub to: Option<UnixMs>,
    /// Where an earlier page ended: its [`Page::next`].
    pub cursor: Option<String>,
    /// Rows at most, 1 to [`crate::limits::PAGE_MAX`].
    pub limit: usize,
}

impl EventQuery {
    /// The newest events that were pushed to whoever asked for them.
    pub fn all_pushed(subscription: SubscriptionId, limit: usize) -> Self {
        Self {
            subscription,
            event: None,
            visitor: None,
            account: None,
            webhook: None,
            withheld: Some(WithheldAs::Not),
            from: None,
            to: None,
            cursor: None,
            limit,
        }
    }
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
    /// The replay that it is part of.
    pub replay: Option<ReplayId>,
}

/// How a webhook did for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FigureStep {
    /// When that began.
    pub at: UnixMs,
    /// Deliveries that succeeded.
    pub delivered: u64,
    /// Deliveries that failed for good.
    pub failed: u64,
    /// Attempts.
    pub attempts: u64,
    /// Attempts that failed.
    pub failed_attempts: u64,
    /// How long attempts took, in milliseconds: half of them less, 95 of 100, 99 of 100. Estimated from counts between
    /// bounds; beyond the last one, that bound.
    pub took_ms: [f64; 3],
    /// The longest that an event had waited for its first attempt, in full minutes.
    pub waited_min: u64,
}

/// What has become of a webhook's deliveries since somebody looked last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newer {
    /// The newest of those that are new, newest first.
    pub rows: Vec<DeliverySummary>,
    /// How many more are new.
    pub skipped: u64,
    /// Whether that is all of them, and not only as many as were counted.
    pub is_complete: bool,
    /// Those that were asked for by their ids, as they are now.
    pub watched: Vec<DeliverySummary>,
    /// Everything up to this place has been looked at.
    pub seen: Position,
}

/// A replay and how far it has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReplayView {
    /// Its id.
    pub id: ReplayId,
    /// What was asked for.
    pub asked: Replay,
    /// How much of its range was looked through, from 0 to 1.
    pub progress: f64,
    /// Deliveries made so far.
    pub sent: u64,
    /// Of these, delivered.
    pub delivered: u64,
    /// Failed for good.
    pub failed: u64,
    /// In flight, or waiting for an attempt.
    pub open: u64,
    /// Neither: the replay ended before them, or their events were erased.
    pub cancelled: u64,
    /// Why and when it ended.
    pub ended: Option<(ReplayEnd, UnixMs)>,
}

/// What a replay is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayAsk {
    /// To which webhook.
    pub webhook: WebhookId,
    /// Whose events.
    pub subscription: SubscriptionId,
    /// Which of them.
    pub choice: ReplayChoice,
    /// Only events of this kind.
    pub kind: Option<EventKind>,
    /// Only what was accepted at or after this.
    pub from: Option<UnixMs>,
    /// Only what was accepted before this.
    pub to: Option<UnixMs>,
    /// It is sent while the webhook is off, too.
    pub forced: bool,
}

/// What a webhook missed since it went off last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Missed {
    /// When the first of these events was accepted; `None` when there are none.
    pub since: Option<UnixMs>,
    /// How many events.
    pub events: u64,
    /// Whether all were counted; otherwise there are at least so many.
    pub is_complete: bool,
}

/// A delivery with everything known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryDetail {
    /// What the list shows of it.
    pub summary: DeliverySummary,
    /// The event's body, which each attempt sent that does not say otherwise; `None` when the event has left the journal.
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
    /// The kept part of what it sent, where that is not the event's body.
    pub request_body: Option<Bytes>,
    /// It sent more than what was kept.
    pub request_cut: bool,
    /// Response headers as received, in the same form; "" when there were none.
    pub response_headers: String,
    /// The kept part of the response's body.
    pub response_body: Bytes,
    /// The body was longer than what was kept.
    pub response_cut: bool,
}

impl EventQuery {
    /// All events of a subscription.
    pub fn of(subscription: SubscriptionId) -> Self {
        Self {
            subscription,
            event: None,
            visitor: None,
            account: None,
            webhook: None,
            withheld: None,
            from: None,
            to: None,
            cursor: None,
            limit: crate::limits::PAGE_DEFAULT,
        }
    }
}

/// How an event was kept back, if it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithheldAs {
    /// It was not: it goes to whoever asked for it.
    Not,
    /// A rule excludes it.
    Excluded,
    /// The agent was too old.
    AgentTooOld,
}

impl WithheldAs {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Not, Self::Excluded, Self::AgentTooOld];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Not => "no",
            Self::Excluded => "excluded",
            Self::AgentTooOld => "agent_too_old",
        }
    }

    /// The way with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|withheld| withheld.name() == name)
    }

    /// How an event with this mark was kept back.
    pub fn of(withheld: Option<&Withheld>) -> Self {
        match withheld {
            None => Self::Not,
            Some(Withheld::Excluded { .. }) => Self::Excluded,
            Some(Withheld::AgentTooOld) => Self::AgentTooOld,
        }
    }
}

/// What became of an event for one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Which webhook.
    pub webhook: WebhookId,
    /// Why it was told of the event, or was not.
    pub why: Why,
    /// The filter that did not let it pass.
    pub filter: Option<String>,
    /// Why the filter has no answer.
    pub failure: Option<String>,
    /// The delivery, once its first attempt has ended.
    pub delivery: Option<Box<DeliverySummary>>,
}

/// An event that a filter was tried against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The event.
    pub event: EventSummary,
    /// What the filter says.
    pub judgement: Judgement,
}

/// Why a webhook was told of an event, or was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// An exclusion matched.
    Excluded,
    /// Poll and NPS events need a newer agent.
    AgentTooOld,
    /// The webhook was off, or not there yet.
    Off,
    /// The webhook had not chosen the event's category.
    CategoryNotChosen,
    /// The webhook's filter does not let it pass.
    Filtered,
    /// The webhook's filter has no answer, so it does not pass.
    FilterFailed,
    /// It was delivered.
    Delivered,
    /// It failed for good.
    Failed,
    /// It is tried again.
    Retrying,
    /// The webhook was turned off before it was delivered.
    TurnedOff,
    /// It fell out of the webhook's backlog.
    Expired,
    /// Its first attempt has not ended.
    OnItsWay,
    /// It is older than the journal, and no delivery of it is on record.
    OlderThanJournal,
}

impl Why {
    /// Its name in the API.
    pub fn code(self) -> &'static str {
        match self {
            Self::Excluded => "excluded",
            Self::AgentTooOld => "agent_too_old",
            Self::Off => "webhook_off",
            Self::CategoryNotChosen => "category_not_chosen",
            Self::Filtered => "filtered",
            Self::FilterFailed => "filter_failed",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Retrying => "retrying",
            Self::TurnedOff => "turned_off_in_between",
            Self::Expired => "expired",
            Self::OnItsWay => "on_its_way",
            Self::OlderThanJournal => "older_than_journal",
        }
    }

    /// The same as a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Excluded => "An exclusion matched when the event came in, so it was pushed to nobody.",
            Self::AgentTooOld => {
                "The agent was older than 2.33.0 or named no version. Poll and NPS events of such agents are not pushed."
            }
            Self::Off => "The webhook was off, or not there yet, when the event was accepted.",
            Self::CategoryNotChosen => "The webhook had not chosen the event's category when the event was accepted.",
            Self::Filtered => {
                "The webhook's filter, as it was when the event was accepted, does not let the event pass."
            }
            Self::FilterFailed => {
                "The webhook's filter, as it was when the event was accepted, has no answer for the event, so the event \
                 does not pass."
            }
            Self::Delivered => "The receiver accepted the event.",
            Self::Failed => "The delivery failed for good. Its attempts say why.",
            Self::Retrying => "The last attempt failed, and the next one is waiting for its time.",
            Self::TurnedOff => "The webhook was turned off before the event was delivered, which cancelled it.",
            Self::Expired => "The event waited for its first attempt until it fell out of the webhook's backlog.",
            Self::OnItsWay => "The first attempt has not ended yet.",
            Self::OlderThanJournal => {
                "The event is older than the journal, and no failed or waiting delivery of it is on record."
            }
        }
    }
}

/// Which failures of a subscription to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorQuery {
    /// Whose.
    pub subscription: SubscriptionId,
    /// Only of this webhook.
    pub webhook: Option<WebhookId>,
    /// Only of this event.
    pub event: Option<EventKind>,
    /// Only those that ended so.
    pub status: Option<ErrorStatus>,
    /// Where an earlier page ended: its [`Page::next`].
    pub cursor: Option<String>,
    /// Rows at most, 1 to [`crate::limits::PAGE_MAX`].
    pub limit: usize,
}

/// How a failed attempt ended, or what else is in the error log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorStatus {
    /// It is tried again.
    Retrying,
    /// It was the last.
    Failed,
    /// The receiver answered with this status; 408 is also a timeout of our own.
    Answered(u16),
    /// Not an attempt: a webhook was turned off.
    TurnedOff,
    /// Not an attempt: a webhook's owner was warned.
    Warned,
}

/// What stands in the error log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorItem {
    /// A failed attempt.
    Attempt(Box<ErrorEntry>),
    /// What was done about a failing webhook.
    Notice(NoticeView),
}

/// What stands in a webhook's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogItem {
    /// A delivery with all its attempts.
    Delivery(Box<DeliveryDetail>),
    /// What was done about it because it was failing.
    Notice(NoticeView),
}

/// What was done about a failing webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeView {
    /// What, why, and who was told.
    pub notice: Notice,
    /// For each of its answers, the beginning of what the receiver wrote, as far as that is still kept.
    pub excerpts: Vec<Option<Excerpt>>,
}

/// The beginning of a response's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The bytes, at most [`crate::limits::EXCERPT_BYTES`].
    pub body: Bytes,
    /// There was more.
    pub is_cut: bool,
}

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorEntry {
    /// Of which delivery.
    pub delivery: DeliveryId,
    /// Which event it carries.
    pub event: EventId,
    /// What happened.
    pub kind: EventKind,
    /// When it is tried again; `None` when it was the last attempt.
    pub next_attempt_at: Option<UnixMs>,
    /// Everything else.
    pub attempt: AttemptView,
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
    /// Deliveries that have failed since the last that was delivered, as far as the webhook was on.
    pub failures_in_a_row: u64,
    /// When the first of them failed.
    pub failing_since: Option<UnixMs>,
    /// Its owner has been warned of them.
    pub warned: bool,
}

impl WebhookStats {
    /// The same for a webhook that was switched on at this moment: what decides about turning it off begins anew.
    pub fn begun_anew(self) -> Self {
        Self { failures_in_a_row: 0, failing_since: None, warned: false, ..self }
    }
}
