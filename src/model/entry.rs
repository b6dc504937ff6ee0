//! What the journal holds. Entries are encoded with postcard, whose bytes depend on the order of variants and fields:
//! add at the end of [`Entry`] only, and never change a struct that a release has written (write a new variant).

mod people;

pub use people::{GuideDid, GuideEntry, MergedEntry, MetadataEntry, VisitEntry};

use super::{
    AppId, CategorySet, DeliveryId, EventKind, Notice, Position, Reason, Selection, SubscriptionId, Timings, UniqueId,
    UnixMs, Verdict, WebhookId, Withheld,
};
use serde::{Deserialize, Serialize};

/// One entry. Borrowed where the bytes are many, so that reading a journal copies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Entry<'a> {
    /// An accepted event.
    #[serde(borrow)]
    Event(EventEntry<'a>),
    /// One attempt's end.
    #[serde(borrow)]
    Outcome(OutcomeEntry<'a>),
    /// A [`Entry::Switch`] as it was before webhooks had filters. It is read, and no longer written.
    CategorySwitch(CategorySwitch),
    /// How far lanes have come.
    Checkpoint(Checkpoint),
    /// An NPS rating that waits for its reason.
    #[serde(borrow)]
    Held(HeldEntry<'a>),
    /// Deliveries that ended without an attempt, as a range.
    Closed(Closed),
    /// A person asked for one more delivery of an event.
    Redelivery(Redelivery),
    /// Items that were taken without an event of their own to carry their ids.
    Items(Items),
    /// Somebody was in the app.
    #[serde(borrow)]
    Visit(VisitEntry<'a>),
    /// Metadata of a visitor or an account, set through the Metadata API.
    #[serde(borrow)]
    Metadata(MetadataEntry<'a>),
    /// What stood here was erased, because a person was forgotten.
    Erased,
    /// Events are to be sent to a webhook once more, together. Its own position names the replay.
    Replay(Replay),
    /// One more delivery of an event, as part of a replay. Its own position is the delivery's `origin`.
    Resend(Resend),
    /// A replay is over.
    ReplayEnded(ReplayEnded),
    /// What a webhook is told of changed: from this entry's position on, this decides.
    Switch(Switch),
    /// The events of the audit log's entries up to this one stand before it.
    Audited(Audited),
    /// One attempt's end, and the body that it sent because the event's own was given another form.
    #[serde(borrow)]
    ShapedOutcome(ShapedOutcome<'a>),
    /// What a lane has learnt of its receiver, beside what outcomes tell.
    Receiver(ReceiverNews),
    /// An event, once more, because a delivery of it is under way and its first place is about to be deleted.
    #[serde(borrow)]
    Carried(CarriedEntry<'a>),
    /// A failing webhook's owner was warned, or it was turned off.
    Notice(Notice),
    /// A visitor has done something with a guide.
    #[serde(borrow)]
    Guide(GuideEntry<'a>),
    /// An anonymous visitor turned out to be somebody.
    #[serde(borrow)]
    Merged(MergedEntry<'a>),
}

impl<'a> Entry<'a> {
    /// An erased entry begins with this byte, and what follows it means nothing: so it can take the place of an entry
    /// of any length.
    pub const ERASED_BYTE: u8 = 10;

    /// What a webhook is told of from here on, where the entry says so, in whichever form.
    pub fn switch(&self) -> Option<Switch> {
        match self {
            Self::Switch(switch) => Some(switch.clone()),
            Self::CategorySwitch(switch) => Some(Switch::from(*switch)),
            _ => None,
        }
    }

    /// Whether these encoded bytes are an outcome: postcard writes the variant's number first.
    pub fn is_outcome(encoded: &[u8]) -> bool {
        matches!(encoded.first(), Some(&(OUTCOME | SHAPED_OUTCOME)))
    }

    /// Whether an encoded entry is an event, at the place where it was accepted.
    pub fn is_event(encoded: &[u8]) -> bool {
        encoded.first() == Some(&EVENT)
    }

    /// The outcome that it is, in either form.
    pub fn outcome(&self) -> Option<&OutcomeEntry<'a>> {
        match self {
            Self::Outcome(outcome) => Some(outcome),
            Self::ShapedOutcome(shaped) => Some(&shaped.outcome),
            _ => None,
        }
    }
}

/// With what encoded events begin.
const EVENT: u8 = 0;
/// With what encoded outcomes begin.
const OUTCOME: u8 = 1;
/// See [`OUTCOME`].
const SHAPED_OUTCOME: u8 = 16;

/// An accepted event, with the bytes that every plain-format attempt sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventEntry<'a> {
    /// The customer.
    pub subscription: SubscriptionId,
    /// The product.
    pub app: AppId,
    /// What happened.
    pub kind: EventKind,
    /// `uniqueId`.
    pub unique_id: UniqueId,
    /// Who did it.
    pub visitor_id: &'a str,
    /// For which account; "" for none.
    pub account_id: &'a str,
    /// When it happened.
    pub occurred_at: UnixMs,
    /// When it was accepted.
    pub accepted_at: UnixMs,
    /// Set when it is kept but pushed to nobody.
    pub withheld: Option<Withheld>,
    /// Fingerprint of the item's own id and app, for the first event that an item brought: it is not taken twice.
    pub item: Option<u64>,
    /// The held rating that this event closes.
    pub closes: Option<Position>,
    /// The body as it is sent.
    pub body: &'a [u8],
}

/// An event that was carried on to the journal's end. For everybody but who delivers it, it stands where it stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedEntry<'a> {
    /// Where it was accepted: by this it is known.
    pub event: Position,
    /// The event.
    #[serde(borrow)]
    pub entry: EventEntry<'a>,
}

/// What one attempt did and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeEntry<'a> {
    /// Which delivery.
    pub delivery: DeliveryId,
    /// The event's position.
    pub event: Position,
    /// What happened, repeated here so that a log needs no second look-up.
    pub kind: EventKind,
    /// 1 for the first attempt.
    pub attempt: u8,
    /// When the attempt began.
    pub started_at: UnixMs,
    /// What follows.
    pub verdict: Verdict,
    /// The status that was received; 408 for a timeout of our own; 0 when there was none.
    pub status: u16,
    /// Why.
    pub reason: Reason,
    /// More about the reason (the resolver's words, the certificate's fault); "" when there is nothing to add.
    pub detail: &'a str,
    /// How long its parts took.
    pub timings: Timings,
    /// Request headers as sent, `Name: value` lines joined by "\r\n"; values that are secrets masked.
    pub request_headers: &'a str,
    /// Response headers as received, in the same form; "" when there were none.
    pub response_headers: &'a str,
    /// The kept part of the response's body.
    pub response_body: &'a [u8],
    /// The body was longer than what was kept.
    pub response_cut: bool,
}

/// What one attempt did, and what it sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShapedOutcome<'a> {
    /// What it did. It stands first: the records keep both kinds of outcomes in one column, and read it from either.
    #[serde(borrow)]
    pub outcome: OutcomeEntry<'a>,
    /// The kept part of the body that was sent.
    pub request_body: &'a [u8],
    /// The body was longer than what was kept.
    pub request_cut: bool,
}

/// What a webhook is sent from a position on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// Which webhook.
    pub webhook: WebhookId,
    /// Whose events.
    pub subscription: SubscriptionId,
    /// Whether it is sent events at all. Off also cancels what waits.
    pub on: bool,
    /// Which events.
    pub selection: Selection,
    /// When.
    pub at: UnixMs,
}

/// A [`Switch`] that knows of categories only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategorySwitch {
    /// Which webhook.
    pub webhook: WebhookId,
    /// Whose events.
    pub subscription: SubscriptionId,
    /// Whether it is sent events at all. Off also cancels what waits.
    pub on: bool,
    /// Which categories.
    pub categories: CategorySet,
    /// When.
    pub at: UnixMs,
}

impl From<CategorySwitch> for Switch {
    fn from(CategorySwitch { webhook, subscription, on, categories, at }: CategorySwitch) -> Self {
        Self { webhook, subscription, on, selection: categories.into(), at }
    }
}

/// How far the lanes have come, so that a restart resumes there. Lanes that have not changed since the checkpoint
/// before are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Every lane that is at the head has dispatched all events up to and including this position.
    pub head: Position,
    /// The lanes that have changed.
    pub lanes: Vec<LaneMark>,
}

/// One lane's progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneMark {
    /// Which lane.
    pub webhook: WebhookId,
    /// The next position to look at, for a lane that has fallen behind; `None` at the head.
    pub next: Option<Position>,
    /// Events before `next` (or the head) whose first attempt has not ended.
    pub open: Vec<Position>,
    /// Events from `next` on whose first attempt has ended: a lane that resumed after a crash has yet to pass them.
    pub settled: Vec<Position>,
    /// How many of its events are known to wait from `next` on, and the bytes of their bodies.
    pub behind: Backlog,
}

/// Events that wait for their first attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Backlog {
    /// How many.
    pub events: u64,
    /// The bytes of their bodies.
    pub bytes: u64,
}

/// An NPS rating that waits for its reason, durably.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldEntry<'a> {
    /// The customer.
    pub subscription: SubscriptionId,
    /// When it leaves without a reason.
    pub due: UnixMs,
    /// Fingerprint of the item's own id and app.
    pub item: Option<u64>,
    /// Everything that the event needs, as intake wrote it (JSON, intake's own).
    pub draft: &'a [u8],
}

/// A range of a webhook's events that will not be attempted, and its waiting retries if `retries` is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// Which webhook.
    pub webhook: WebhookId,
    /// Why.
    pub why: ClosedWhy,
    /// First position of the range, inclusive.
    pub from: Position,
    /// Last position of the range, inclusive.
    pub to: Position,
    /// How many matching events of the range were not attempted, where it was counted.
    pub events: Option<u64>,
    /// The webhook's waiting retries ended with it.
    pub retries: bool,
    /// When.
    pub at: UnixMs,
}

/// Why deliveries ended without an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClosedWhy {
    /// The webhook was turned off or deleted.
    Cancelled,
    /// They fell out of the webhook's backlog.
    Expired,
}

/// One more delivery of an event to a webhook. Its own position is the delivery's `origin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redelivery {
    /// To which webhook.
    pub webhook: WebhookId,
    /// Of which event.
    pub event: Position,
    /// When it was asked for.
    pub at: UnixMs,
}

/// A replay as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// To which webhook.
    pub webhook: WebhookId,
    /// Whose events.
    pub subscription: SubscriptionId,
    /// Which of its events.
    pub choice: ReplayChoice,
    /// Only events of this kind.
    pub kind: Option<EventKind>,
    /// First position of the range, inclusive.
    pub first: Position,
    /// Last position of the range, inclusive.
    pub last: Position,
    /// Only what was accepted at or after this.
    pub from: Option<UnixMs>,
    /// Only what was accepted before this.
    pub to: Option<UnixMs>,
    /// It is sent while the webhook is off, too.
    pub forced: bool,
    /// When it was asked for.
    pub at: UnixMs,
}

/// Which events a replay sends, by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayChoice {
    /// All that the webhook asks for.
    All,
    /// Those whose delivery failed for good.
    Failed,
    /// Those that were never delivered because the webhook was off, or were cancelled or expired.
    Missed,
}

impl ReplayChoice {
    /// Its name in the API and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Failed => "failed",
            Self::Missed => "missed",
        }
    }

    /// The choice with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::All, Self::Failed, Self::Missed].into_iter().find(|choice| choice.name() == name)
    }
}

/// One event of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resend {
    /// To which webhook.
    pub webhook: WebhookId,
    /// Of which event.
    pub event: Position,
    /// As part of which replay.
    pub replay: Position,
    /// It is sent while the webhook is off, too.
    pub forced: bool,
    /// When.
    pub at: UnixMs,
}

/// The end of a replay. What of it still waits for an attempt is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayEnded {
    /// Which one.
    pub replay: Position,
    /// To which webhook.
    pub webhook: WebhookId,
    /// Why.
    pub end: ReplayEnd,
    /// When.
    pub at: UnixMs,
}

/// News of a webhook's receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiverNews {
    /// Whose.
    pub webhook: WebhookId,
    /// What is new.
    pub is: ReceiverIs,
    /// When.
    pub at: UnixMs,
}

/// How a receiver is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReceiverIs {
    /// It has sent no byte for the quiet time: while it is awaited, nothing but one probe at a time is sent to it.
    Silent,
    /// It has asked for no requests before this.
    Resting {
        /// When the rest is over.
        until: UnixMs,
    },
}

/// Why a replay is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayEnd {
    /// Each of its events was delivered, or has failed for good.
    Done,
    /// A person cancelled it.
    Cancelled,
    /// Its webhook was turned off or deleted.
    WebhookOff,
}

impl ReplayEnd {
    /// Every end, in the order of its declaration.
    pub const ALL: [Self; 3] = [Self::Done, Self::Cancelled, Self::WebhookOff];

    /// Its name in the API and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::WebhookOff => "webhook_off",
        }
    }

    /// The end with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|end| end.name() == name)
    }
}

/// How far the audit log was told. It stands in one group with the events that tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audited {
    /// The number of the last entry that was told.
    pub seq: u64,
}

/// Ids of items that no event carries: those of an answer or a reason that became part of another item's event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Items {
    /// When they were accepted.
    pub accepted_at: UnixMs,
    /// Fingerprints of their ids and app.
    pub fingerprints: Vec<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of a released format may not change: this is what release 0.1 wrote.
    #[test]
    fn encoding_is_fixed() {
        let entry = Entry::Event(EventEntry {
            subscription: SubscriptionId(4_802_463_602_049_999),
            app: AppId::FIRST,
            kind: EventKind::TrackEventReceived,
            unique_id: UniqueId([7; 20]),
            visitor_id: "v",
            account_id: "",
            occurred_at: UnixMs(1),
            accepted_at: UnixMs(2),
            withheld: None,
            item: Some(9),
            closes: None,
            body: b"{}",
        });
        let bytes = postcard::to_stdvec(&entry).unwrap();
        assert_eq!(
            hex::encode(&bytes),
            "00cf87b0888bfac308bfba27070707070707070707070707070707070707070707017600020400010900027b7d"
        );
        assert_eq!(postcard::from_bytes::<Entry<'_>>(&bytes).unwrap(), entry);
        assert!(!Entry::is_outcome(&bytes) && Entry::is_event(&bytes));
        // One that is carried on is the same behind the place where it was accepted.
        let Entry::Event(entry) = entry else { panic!("{entry:?}") };
        let carried = postcard::to_stdvec(&Entry::Carried(CarriedEntry { event: Position(77), entry })).unwrap();
        assert_eq!(hex::encode(&carried), format!("124d{}", hex::encode(&bytes[1..])));
    }

    #[test]
    fn both_forms_of_a_switch_are_read() {
        let (webhook, subscription, at) = (WebhookId(300), SubscriptionId(1000), UnixMs(5));
        let old = CategorySwitch { webhook, subscription, on: true, categories: CategorySet::Some(5), at };
        let bytes = postcard::to_stdvec(&Entry::CategorySwitch(old)).unwrap();
        assert_eq!(hex::encode(&bytes), "02ac02e8070101050a", "what release 0.1 wrote");
        let entry: Entry<'_> = postcard::from_bytes(&bytes).unwrap();
        let selection = Selection { categories: CategorySet::Some(5), audit: false, filter: None };
        assert_eq!(entry.switch(), Some(Switch { webhook, subscription, on: true, selection, at }));

        let filter = Some(String::from("true"));
        let selection = Selection { categories: CategorySet::All, audit: true, filter };
        let new = Entry::Switch(Switch { webhook, subscription, on: false, selection, at });
        let bytes = postcard::to_stdvec(&new).unwrap();
        assert_eq!(hex::encode(&bytes), "0eac02e8070000010104747275650a");
        assert_eq!(postcard::from_bytes::<Entry<'_>>(&bytes).unwrap(), new);
        assert_eq!(hex::encode(postcard::to_stdvec(&Entry::Audited(Audited { seq: 300 })).unwrap()), "0fac02");
    }

    #[test]
    fn what_is_told_of_guides_is_fixed() {
        let (subscription, at) = (SubscriptionId(1000), UnixMs(5));
        let entry =
            |did| Entry::Guide(GuideEntry { subscription, visitor_id: "v", guide_id: "g", step_id: "s", did, at });
        for (did, bytes) in [
            (GuideDid::Ended, "14e80701760167017300 0a"),
            (GuideDid::Snoozed { until: UnixMs(7) }, "14e80701760167017301 0e0a"),
            (GuideDid::Answered, "14e80701760167017302 0a"),
        ] {
            let encoded = postcard::to_stdvec(&entry(did)).unwrap();
            assert_eq!(hex::encode(&encoded), bytes.replace(' ', ""));
            assert_eq!(postcard::from_bytes::<Entry<'_>>(&encoded).unwrap(), entry(did));
        }
        let merged = Entry::Merged(MergedEntry { subscription, anonymous_id: "_", visitor_id: "v", at });
        assert_eq!(hex::encode(postcard::to_stdvec(&merged).unwrap()), "15e807015f01760a");
    }

    #[test]
    fn an_erased_entry_takes_the_place_of_any_other() {
        assert_eq!(postcard::to_stdvec(&Entry::Erased).unwrap(), [Entry::ERASED_BYTE]);
        assert_eq!(postcard::from_bytes::<Entry<'_>>(&[Entry::ERASED_BYTE, 0, 0, 0]).unwrap(), Entry::Erased);
    }

    #[test]
    fn an_outcome_is_known_by_its_first_byte() {
        let outcome = OutcomeEntry {
            delivery: DeliveryId { webhook: WebhookId(1), origin: Position(2) },
            event: Position(2),
            kind: EventKind::GuideDisplayed,
            attempt: 1,
            started_at: UnixMs(3),
            verdict: Verdict::Delivered,
            status: 200,
            reason: Reason::Accepted,
            detail: "",
            timings: Timings { dns_us: None, connect_us: None, tls_us: None, first_byte_us: None, total_us: 4 },
            request_headers: "",
            response_headers: "",
            response_body: b"",
            response_cut: false,
        };
        let shaped = ShapedOutcome { outcome: outcome.clone(), request_body: b"sent", request_cut: true };
        assert!(Entry::is_outcome(&postcard::to_stdvec(&Entry::Outcome(outcome.clone())).unwrap()));
        let encoded = postcard::to_stdvec(&Entry::ShapedOutcome(shaped.clone())).unwrap();
        assert!(Entry::is_outcome(&encoded));
        let read: Entry<'_> = postcard::from_bytes(&encoded).unwrap();
        assert_eq!((read.outcome(), &read), (Some(&outcome), &Entry::ShapedOutcome(shaped.clone())));
        // The records read the outcome from the beginning of either.
        let encoded = postcard::to_stdvec(&shaped).unwrap();
        let (read, rest) = postcard::take_from_bytes::<OutcomeEntry<'_>>(&encoded).unwrap();
        assert_eq!((read, rest), (outcome, &b"\x04sent\x01"[..]));
        let items = Entry::Items(Items { accepted_at: UnixMs(1), fingerprints: vec![1] });
        assert!(!Entry::is_outcome(&postcard::to_stdvec(&items).unwrap()));
    }
}
