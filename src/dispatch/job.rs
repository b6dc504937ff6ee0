//! What lanes hand to workers: events ready to be sent, and attempts to make.

use crate::deliver::Message;
use crate::model::{DeliveryId, EventEntry, EventKind, Position, SubscriptionId, UnixMs};
use bytes::Bytes;
use std::sync::Arc;

/// An accepted event, ready to be sent, shared by all lanes that want it.
#[derive(Debug)]
pub struct Event {
    /// Its place in the journal.
    pub position: Position,
    /// Whose it is.
    pub subscription: SubscriptionId,
    /// What happened.
    pub kind: EventKind,
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
}

impl Waiting {
    /// Its next attempt. The event is read from the journal.
    pub fn job(self) -> Job {
        let Self { delivery, event: position, attempts, replay, since, .. } = self;
        Job { delivery, position, attempt: attempts + 1, event: None, probe: false, replay, since }
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
}
