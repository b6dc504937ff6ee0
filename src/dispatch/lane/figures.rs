//! What a lane tells of itself: to whoever decides for it, and to metrics.

use super::Lane;
use crate::dispatch::budget::Share;
use crate::dispatch::job::{Job, Part, Visitor};
use crate::model::{Backlog, DeliveryId, Position, UnixMs};
use std::cmp::Reverse;

/// An attempt that has begun and has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InFlight {
    /// The event's place in the journal.
    pub(super) event: Position,
    /// Since when it is to be delivered; `None` when a replay sends it.
    since: Option<UnixMs>,
    pub(super) delivery: DeliveryId,
    pub(super) part: Part,
    pub(super) visitor: Option<Visitor>,
}

impl InFlight {
    pub(super) fn of(job: &Job) -> Self {
        let Job { delivery, position: event, visitor, .. } = *job;
        Self { event, since: job.replay.is_none().then_some(job.since), delivery, part: job.part(), visitor }
    }
}

impl Lane {
    /// Requests in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether nothing is under way whose end would have the lane looked at.
    pub fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && !self.read_running
    }

    /// What decides from which share of the total its attempts are taken.
    pub fn share(&self) -> Share {
        self.receiver.share()
    }

    /// Whether the lane starts one probe at a time.
    pub fn is_narrowed(&self) -> bool {
        self.receiver.is_silent()
    }

    /// Whether the lane waits because its receiver has asked it to.
    pub fn is_paused(&self, now: UnixMs) -> bool {
        self.receiver.rests(now)
    }

    /// Whether the lane reads the journal.
    pub fn is_behind(&self) -> bool {
        self.reading.is_some()
    }

    /// Deliveries that wait for their time.
    pub fn waiting(&self) -> usize {
        let kept_back = self.order.as_ref().map_or(0, |order| order.kept_back());
        self.waiting.len() + self.replayed.waiting() + kept_back
    }

    /// Since when the oldest event waits that is not delivered and has not failed for good: it was not attempted yet, is in
    /// flight, or waits for a retry. Of what a person asks to be sent again, a redelivery counts from when it was asked
    /// for, and a replay not at all: its events are old from the start. It looks at all that waits, a thousand retries at
    /// most by default: cheap enough for whoever asks every few seconds, and no work on the way of an event.
    pub fn oldest_undelivered(&self) -> Option<UnixMs> {
        let retried = self.waiting.iter().map(|Reverse(waiting)| waiting.since);
        let in_flight = self.in_flight.iter().filter_map(|begun| begun.since);
        let parked = self.order.as_ref().and_then(|order| order.oldest());
        self.oldest_new().into_iter().chain(parked).chain(retried).chain(in_flight).min()
    }

    /// When the oldest event that the lane has not begun was accepted, as far as it is known.
    pub(super) fn oldest_new(&self) -> Option<UnixMs> {
        self.queue.events.front().map(|event| event.accepted_at).or(self.behind_since)
    }

    /// What is known to wait for a first attempt, from where the lane goes on.
    pub fn backlog(&self) -> Backlog {
        let queued = self.queue.events.len() + self.joined.events.len();
        let bytes = self.behind.bytes + (self.queue.bytes + self.joined.bytes) as u64;
        Backlog { events: self.behind.events + queued as u64, bytes }
    }

    /// How many events are known to wait for their first attempt: what is parked too.
    pub fn unattempted(&self) -> u64 {
        self.backlog().events + self.order.as_ref().map_or(0, |order| order.unattempted() as u64)
    }

    /// Bytes of event bodies that it keeps in memory.
    pub fn queued_bytes(&self) -> usize {
        let parked = self.order.as_ref().map_or(0, |order| order.bytes());
        self.queue.bytes + self.joined.bytes + parked
    }
}
