//! What a lane has to send of replays.

use crate::dispatch::job::{Job, Waiting};
use crate::model::{Position, UnixMs};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Replays take at most one in this many of the requests that a lane may have in flight.
const SHARE: usize = 4;

/// Deliveries of replays that wait, and the turn that they have beside everything else.
#[derive(Debug, Default)]
pub struct Replayed {
    waiting: BinaryHeap<Reverse<Waiting>>,
    in_flight: usize,
    /// The last that was taken was a replay's.
    was_last: bool,
    /// Replays that are over while something of theirs may be in flight: it is not retried.
    over: Vec<Position>,
}

impl Replayed {
    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The events of those that wait.
    pub fn events(&self) -> impl Iterator<Item = Position> {
        self.waiting.iter().map(|Reverse(waiting)| waiting.event)
    }

    /// One more.
    pub fn wait(&mut self, waiting: Waiting) {
        self.waiting.push(Reverse(waiting));
    }

    /// Whether one may be taken now. `others`: something that is no replay's could be taken too.
    pub fn has_turn(&self, now: UnixMs, concurrency: usize, others: bool) -> bool {
        self.next_due().is_some_and(|due| due <= now)
            && self.in_flight < (concurrency / SHARE).max(1)
            && !(others && self.was_last)
    }

    /// The next one: those that were asked for first come first, in the order in which their events were accepted.
    pub fn take(&mut self, now: UnixMs) -> Option<Waiting> {
        if self.next_due()? > now {
            return None;
        }
        self.waiting.pop().map(|Reverse(waiting)| waiting)
    }

    /// Something was taken, a replay's or not.
    pub fn note_taken(&mut self, job: &Job) {
        self.was_last = job.replay.is_some();
        self.in_flight += usize::from(self.was_last);
    }

    /// Something that was taken has ended; whether it is part of a replay that is over.
    pub fn note_settled(&mut self, job: &Job) -> bool {
        let Some(replay) = job.replay else { return false };
        self.in_flight = self.in_flight.saturating_sub(1);
        let is_over = self.over.contains(&replay);
        if self.in_flight == 0 {
            self.over.clear();
        }
        is_over
    }

    /// The replay is over: what of it is in flight is not retried.
    pub fn end(&mut self, replay: Position) {
        if self.in_flight > 0 {
            self.over.push(replay);
        }
    }

    /// Takes out those that are gone, of what waits.
    pub fn take_out(&mut self, is_gone: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
        take_out(&mut self.waiting, is_gone)
    }

    /// When the next one is due.
    pub fn next_due(&self) -> Option<UnixMs> {
        self.waiting.peek().map(|Reverse(waiting)| waiting.due)
    }
}

/// Takes out of `waiting` what is gone.
pub fn take_out(waiting: &mut BinaryHeap<Reverse<Waiting>>, is_gone: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
    let all = std::mem::take(waiting).into_iter().map(|Reverse(waiting)| waiting);
    let (gone, kept): (Vec<_>, Vec<_>) = all.partition(is_gone);
    *waiting = kept.into_iter().map(Reverse).collect();
    gone
}
