//! What lanes hand to workers: events ready to be sent, and attempts to make.

use crate::deliver::Message;
use crate::model::{DeliveryId, EventEntry, EventKind, PersonKind, Position, SubscriptionId, UnixMs, is_anonymous};
use bytes::Bytes;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

/// Whose event it is, as far as a lane must know: the same for all events of one visitor. That two visitors share one is
/// possible and harmless: the one waits for the other then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Visitor(u64);

impl Visitor {
    /// The visitor with this id within a subscription; `None` for ids that name nobody.
    pub fn of(visitor_id: &str) -> Option<Self> {
        if !PersonKind::Visitor.is_somebody(visitor_id) && !is_anonymous(visitor_id) {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        hasher.write(visitor_id.as_bytes());
        Some(Self(hasher.finish()))
    }
}

/// What a delivery is beside the others of its webhook: what order asks of it depends on that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The delivery that the event itself brought about.
    Live,
    /// One of a replay.
    Replayed,
    /// One more that a person asked for.
    Again,
}

impl Part {
    fn of(delivery: DeliveryId, event: Position, replay: Option<Position>) -> Self {
        match replay {
            Some(_) => Self::Replayed,
            None if delivery.origin == event => Self::Live,
            None => Self::Again,
        }
    }
}

/// An accepted event, ready to be sent, shared by all lanes that want it.
#[derive(Debug)]
pub struct Event {
    /// Its place in the journal.
    pub position: Position,
    /// Whose it is.
    pub subscription: SubscriptionId,
    /// What happened.
    pub kind: EventKind,
    /// Whose it is within the subscription.
    pub visitor: Option<Visitor>,
    /// When it was accepted.
    pub accepted_at: UnixMs,
    /// What is sent.
    pub message: Message,
}

impl Event {
    /// The event of a journal entry.
    pub fn from_entry(position: Position, entry: &EventEntry<'_>) -> Self {
        Self {
            position,
            subscription: entry.subscription,
            kind: entry.kind,
            visitor: Visitor::of(entry.visitor_id),
            accepted_at: entry.accepted_at,
            message: Message { unique_id: entry.unique_id.to_string(), body: Bytes::copy_from_slice(entry.body) },
        }
    }
}

/// A delivery that waits for its time: a retry, a redelivery, or a first attempt that a restart found unfinished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Waiting {
    /// When it may start.
    pub due: UnixMs,
    /// Which delivery.
    pub delivery: DeliveryId,
    /// Of which event.
    pub event: Position,
    /// How many attempts it has behind it.
    pub attempts: u8,
    /// The replay that it is part of.
    pub replay: Option<Position>,
    /// Since when it is to be delivered: when the event was accepted, or one more delivery asked for.
    pub since: UnixMs,
    /// Whose event it is, where that is known.
    pub visitor: Option<Visitor>,
}

impl Waiting {
    /// That attempt's delivery, when it is due again.
    pub fn of(job: &Job, due: UnixMs) -> Self {
        let Job { delivery, position: event, attempt: attempts, replay, since, visitor, .. } = *job;
        Self { due, delivery, event, attempts, replay, since, visitor }
    }

    /// Its next attempt. The event is read from the journal.
    pub fn job(self) -> Job {
        let Self { delivery, event: position, attempts, replay, since, visitor, .. } = self;
        Job { delivery, position, attempt: attempts + 1, event: None, probe: false, replay, since, visitor }
    }

    /// What it is beside the others.
    pub fn part(&self) -> Part {
        Part::of(self.delivery, self.event, self.replay)
    }
}

/// One attempt to make.
#[derive(Debug, Clone)]
pub struct Job {
    /// Which delivery.
    pub delivery: DeliveryId,
    /// The event's place in the journal.
    pub position: Position,
    /// 1 for the first attempt.
    pub attempt: u8,
    /// The event, where it is in memory; a retry reads it from the journal.
    pub event: Option<Arc<Event>>,
    /// Whether it asks a silent receiver for a sign of life.
    pub probe: bool,
    /// The replay that it is part of.
    pub replay: Option<Position>,
    /// See [`Waiting::since`].
    pub since: UnixMs,
    /// Whose event it is, where that is known.
    pub visitor: Option<Visitor>,
}

impl Job {
    /// What it is beside the others.
    pub fn part(&self) -> Part {
        Part::of(self.delivery, self.position, self.replay)
    }
}
