//! One webhook's lane: what it still has to send, what is in flight, what waits for its time. Pure: time is an
//! argument, no IO, no locks.
//!
//! A lane is *at the head* while it is handed every event as it becomes durable. When it cannot keep up it *falls
//! behind*: it remembers a position and reads the journal from there. Close to the head again it *joins*: it reads up
//! to a position from which on it is handed events again.
//!
//! A lane whose receiver gives no answer is *narrowed*: it starts one attempt at a time, a probe, until one is answered
//! (docs/delivery.md, "A receiver that gives no answer").
//!
//! What a replay sends has a place of its own, beside the retries: it takes a part of the lane's requests at most, and
//! never two in a row while something new waits.
//!
//! How fast it goes and whether it keeps each visitor's order is its webhook's [`Pace`], which may change at any time.

mod figures;
mod order;
mod outgrown;
mod pace;
mod queue;
mod read_plan;
mod reading;
mod receiver;
mod replayed;
mod silence;
mod turns;
mod undone;

pub use self::pace::Pace;
pub use self::read_plan::{Eras, ReadPlan};
pub use self::undone::{Expired, Undone};

use self::figures::InFlight;
use self::order::Order;
use self::queue::Queue;
use self::receiver::Receiver;
use self::replayed::Replayed;
use super::bucket::Bucket;
use super::job::{Event, Job, Part, Visitor, Waiting};
use crate::filter::Interest;
use crate::model::{Backlog, DeliveryId, LaneMark, Position, SubscriptionId, UnixMs, Verdict, WebhookId};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

/// Where a lane that is behind reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reading {
    next: Position,
    /// Set once the lane has joined: events at or after this position are handed to it.
    until: Option<Position>,
}

/// Bounds of one lane.
#[derive(Debug, Clone, Copy)]
pub struct LaneLimits {
    /// Waiting retries at which no new event is attempted.
    pub waiting: usize,
    /// The longest pause between probes.
    pub probe_pause: Duration,
    /// The oldest event that is still attempted.
    pub backlog_max_age: Duration,
    /// The most bytes of bodies that may wait for the lane.
    pub backlog_max_bytes: u64,
    /// The most events that are parked behind earlier ones of their visitors.
    pub parked: usize,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Lane {
    webhook: WebhookId,
    subscription: SubscriptionId,
    limits: LaneLimits,
    on: bool,
    eras: Eras,
    /// Matched events, in order, not yet attempted.
    queue: Queue,
    /// Handed over after joining; they follow when reading is done.
    joined: Queue,
    reading: Option<Reading>,
    /// Everything before this was read.
    handed_from: Position,
    read_running: bool,
    /// False once the lane went back behind what the running read started from: its events would leave a hole.
    read_valid: bool,
    /// First attempts that are not settled: in flight, or waiting after a restart.
    open: Vec<Position>,
    waiting: BinaryHeap<Reverse<Waiting>>,
    replayed: Replayed,
    in_flight: Vec<InFlight>,
    pace: Pace,
    bucket: Bucket,
    /// Where each visitor's events stand, while their order is asked for.
    order: Option<Box<Order>>,
    receiver: Receiver,
    /// First attempts that ended before a restart, at or after the position where the lane resumes. It may meet an event
    /// more than once (handed over, left to the journal, read), so they are kept until the lane is past the last one.
    settled: BTreeSet<Position>,
    /// The journal is being fed again after a restart.
    refeeding: bool,
    /// What the lane left to the journal and has not read yet.
    behind: Backlog,
    /// When the first of these was accepted, or at the latest one before it.
    behind_since: Option<UnixMs>,
    expired: Vec<Expired>,
    dirty: bool,
}

impl Lane {
    /// A lane at the head. `eras`: from the position after which on which events are wanted, oldest first.
    pub fn new(webhook: WebhookId, subscription: SubscriptionId, eras: Eras, limits: LaneLimits) -> Self {
        Self {
            webhook,
            subscription,
            limits,
            on: true,
            eras,
            queue: Queue::default(),
            joined: Queue::default(),
            reading: None,
            handed_from: Position::ZERO,
            read_running: false,
            read_valid: false,
            open: Vec::new(),
            waiting: BinaryHeap::new(),
            replayed: Replayed::default(),
            in_flight: Vec::new(),
            pace: Pace::default(),
            bucket: Bucket::default(),
            order: None,
            receiver: Receiver::default(),
            settled: BTreeSet::new(),
            refeeding: false,
            behind: Backlog::default(),
            behind_since: None,
            expired: Vec::new(),
            dirty: true,
        }
    }

    /// Which webhook's lane this is.
    pub fn webhook(&self) -> WebhookId {
        self.webhook
    }

    /// What is wanted now.
    pub fn interest(&self) -> Interest {
        self.eras.back().map_or_else(Interest::nothing, |(_, interest)| interest.clone())
    }

    /// Whether the webhook is still on.
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// From the position after `since` on, other events are wanted. A lane at the head has no more use for what held
    /// before.
    pub fn change(&mut self, since: Position, interest: Interest) {
        self.eras.push_back((since, interest));
        self.forget_eras_before(self.next().unwrap_or(since.next()));
    }

    /// What held only before `resume` decides nothing any more.
    fn forget_eras_before(&mut self, resume: Position) {
        while self.eras.len() > 1 && self.eras[1].0 < resume {
            self.eras.pop_front();
        }
    }

    /// Resumes after a restart where `mark` says; of what follows it, the first attempts of `settled` have ended.
    pub fn resume(&mut self, mark: &LaneMark, settled: BTreeSet<Position>) {
        self.reading = mark.next.map(|next| Reading { next, until: None });
        self.behind = mark.behind;
        self.settled = settled;
        self.settled.extend(&mark.settled);
        self.open = mark.open.iter().copied().filter(|position| !self.settled.contains(position)).collect();
        self.refeeding = true;
        self.dirty = true;
    }

    /// Feeding the journal again after a restart is over. What waited for a retry is waiting already; the first attempts
    /// that the restart found open do from now on. `about` says of an event since when it is to be delivered, and whose it
    /// is, if that matters.
    pub fn end_refeed(&mut self, now: UnixMs, about: impl Fn(Position) -> (UnixMs, Option<Visitor>)) {
        self.refeeding = false;
        self.forget_settled();
        let mut open = std::mem::take(&mut self.open);
        open.sort_unstable();
        open.into_iter().for_each(|event| self.wait(self.first_attempt(event, now, about(event))));
    }

    /// Drops what the lane will not meet again.
    fn forget_settled(&mut self) {
        if !self.refeeding {
            self.settled = self.next().map(|next| self.settled.split_off(&next)).unwrap_or_default();
        }
    }

    /// The first position that the lane has not begun; `None` when it has begun all that it was handed.
    fn next(&self) -> Option<Position> {
        self.queue.first().or(self.reading.map(|reading| reading.next))
    }

    /// A replay is over: what of it waits is cancelled. Returns how many these were.
    pub fn end_replay(&mut self, replay: Position) -> u64 {
        self.replayed.end(replay);
        self.take_out(|_, of| of == Some(replay))
    }

    /// The ranges that fell out of the backlog since the last call.
    pub fn take_expired(&mut self) -> Vec<Expired> {
        std::mem::take(&mut self.expired)
    }

    fn is_too_old(&self, event: &Event, now: UnixMs) -> bool {
        now.since(event.accepted_at) > self.limits.backlog_max_age
    }

    fn expire(&mut self, from: Position, to: Position, events: Option<u64>) {
        self.dirty = true;
        match (self.expired.last_mut(), events) {
            (Some(Expired { to: end, events: Some(count), .. }), Some(more)) => (*end, *count) = (to, *count + more),
            // What was counted is not mixed with what was not.
            _ => self.expired.push(Expired { from, to, events }),
        }
    }

    /// The next attempt to make, if one may be made now.
    pub fn take(&mut self, now: UnixMs) -> Option<Job> {
        if !self.can_take(now) {
            return None;
        }
        let replayed = if self.may_replay(now) { self.take_replayed(now) } else { None };
        let mut job = replayed.or_else(|| self.take_due(now)).or_else(|| self.take_new(now))?;
        self.replayed.note_taken(&job);
        job.probe = self.is_narrowed();
        self.receiver.begin(job.probe);
        self.in_flight.push(InFlight::of(&job));
        self.bucket.take(now);
        if let (Some(order), Some(visitor)) = (&mut self.order, job.visitor) {
            order.fly(visitor);
        }
        self.dirty = true;
        Some(job)
    }

    /// Whether [`Lane::take`] would give something, or find something that is too old or that has to wait.
    pub fn can_take(&self, now: UnixMs) -> bool {
        if !self.on
            || self.in_flight.len() >= self.pace.concurrency
            || self.receiver.is_probed()
            || self.rests_until(now).is_some()
        {
            return false;
        }
        self.has_due(now) || self.has_new_to_take(now) || self.may_replay(now)
    }

    /// Until when nothing may be sent: the receiver has asked for that, or its rate is reached.
    fn rests_until(&self, now: UnixMs) -> Option<UnixMs> {
        self.receiver.rest_ends(now).max(self.bucket.opens_at(now))
    }

    fn has_due(&self, now: UnixMs) -> bool {
        self.waiting.peek().is_some_and(|Reverse(waiting)| waiting.due <= now)
    }

    fn has_new_to_take(&self, now: UnixMs) -> bool {
        let may_begin = self.receiver.may_begin(now);
        may_begin
            && (self.has_turn()
                || (self.room_for_new() && self.queue.events.front().is_some_and(|next| self.admits(next))))
    }

    /// Whether the turn is a replay's. A narrowed lane probes with one only when it has nothing else to probe with.
    fn may_replay(&self, now: UnixMs) -> bool {
        if self.replayed.waiting() == 0 {
            return false;
        }
        let others = self.has_due(now) || self.has_new_to_take(now);
        if self.is_narrowed() && (others || self.has_new() || !self.receiver.may_begin(now)) {
            return false;
        }
        self.replayed.has_turn(now, self.pace.concurrency, others)
    }

    fn take_replayed(&mut self, now: UnixMs) -> Option<Job> {
        while let Some(waiting) = self.replayed.take(now) {
            if let Some(waiting) = self.pass(waiting) {
                return Some(waiting.job());
            }
        }
        None
    }

    fn take_due(&mut self, now: UnixMs) -> Option<Job> {
        while self.has_due(now) {
            let Reverse(waiting) = self.waiting.pop()?;
            if let Some(waiting) = self.pass(waiting) {
                return Some(waiting.job());
            }
        }
        None
    }

    fn take_new(&mut self, now: UnixMs) -> Option<Job> {
        if !self.receiver.may_begin(now) {
            return None;
        }
        if let Some(first) = self.take_turn() {
            return Some(self.begin(first.position, first.since, Some(first.visitor), first.event));
        }
        if !self.room_for_new() {
            return None;
        }
        if !self.settled.is_empty() {
            self.forget_settled();
        }
        while self.queue.events.front().is_some_and(|next| self.admits(next)) {
            let event = self.queue.pop()?;
            if self.is_too_old(&event, now) {
                self.expire(event.position, event.position, Some(1));
            } else if !self.parks(&event) {
                return Some(self.begin(event.position, event.accepted_at, event.visitor, Some(event)));
            }
        }
        None
    }

    fn begin(&mut self, position: Position, since: UnixMs, visitor: Option<Visitor>, event: Option<Arc<Event>>) -> Job {
        self.open.push(position);
        let delivery = DeliveryId { webhook: self.webhook, origin: position };
        Job { delivery, position, attempt: 1, event, probe: false, replay: None, since, visitor }
    }

    /// What is in flight may come back as a retry, so it counts against the bound too.
    fn room_for_new(&self) -> bool {
        let turns = self.order.as_ref().map_or(0, |order| order.occupied());
        self.waiting.len() + self.in_flight.len() + turns < self.limits.waiting
    }

    /// An attempt ended. `verdict` is what the retry rules say; returned is what becomes of the delivery, since a lane
    /// that is off retries nothing. `answered`: `None` when the attempt says nothing about the receiver.
    pub fn settle(&mut self, job: &Job, verdict: Verdict, answered: Option<bool>, now: UnixMs) -> Verdict {
        if let Some(index) = self.in_flight.iter().position(|flight| flight.delivery == job.delivery) {
            self.in_flight.swap_remove(index);
        }
        self.dirty = true;
        let is_first = job.attempt == 1 && job.part() == Part::Live;
        if is_first && let Some(index) = self.open.iter().position(|open| *open == job.position) {
            self.open.swap_remove(index);
        }
        match answered {
            Some(true) => self.receiver.answered(verdict == Verdict::Delivered),
            Some(false) => self.narrow(job.probe, now),
            None => {}
        }
        self.receiver.end(job.probe);
        let is_over = self.replayed.note_settled(job);
        let verdict = match verdict {
            Verdict::Retry { .. } if !self.on || is_over => Verdict::Cancelled,
            verdict => verdict,
        };
        let retry = match verdict {
            Verdict::Retry { due } => Some(Waiting::of(job, due)),
            Verdict::Delivered | Verdict::Failed | Verdict::Cancelled => None,
        };
        self.land(job, retry.is_none());
        retry.into_iter().for_each(|retry| self.put(retry));
        verdict
    }

    /// When the lane should be looked at again although nothing happened to it.
    pub fn next_due(&self, now: UnixMs) -> Option<UnixMs> {
        if !self.on || self.receiver.is_probed() {
            return None;
        }
        let retry = self.waiting.peek().map(|Reverse(waiting)| waiting.due);
        let next_probe = self.receiver.next_probe();
        let probe = next_probe.filter(|_| self.has_turn() || (self.has_new() && self.room_for_new()));
        let replay = match next_probe {
            Some(_) if self.has_new() => None,
            Some(next_probe) => self.replayed.next_due().map(|due| due.max(next_probe)),
            None => self.replayed.next_due(),
        };
        let due = retry.into_iter().chain(probe).chain(replay).min();
        // New events, which are due at any time, wait for the end of a rest too.
        let rest = self.rests_until(now);
        let new = rest.filter(|_| self.has_turn() || self.has_new());
        due.map(|due| rest.map_or(due, |rest| due.max(rest))).into_iter().chain(new).min()
    }

    fn has_new(&self) -> bool {
        self.reading.is_some() || !self.queue.events.is_empty()
    }

    /// The webhook was turned off or deleted: nothing more starts, what is in flight ends.
    pub fn close(&mut self) -> Undone {
        self.on = false;
        self.dirty = true;
        let parked = self.order.as_ref().and_then(|order| order.positions().min());
        let from = parked.into_iter().chain(self.next()).min();
        let undone = Undone { from, events: self.unattempted(), waiting: self.waiting() as u64 };
        self.queue = Queue::default();
        self.joined = Queue::default();
        self.waiting = BinaryHeap::new();
        self.replayed = Replayed::default();
        self.order = None;
        self.reading = None;
        undone
    }

    /// The events at these positions, in order, are no longer in the journal: what waits of them is cancelled, and what
    /// is in memory is read from the journal again, without them. Returned are those that are in flight, and how many
    /// were cancelled.
    pub fn forget(&mut self, gone: &[Position]) -> (Vec<Position>, u64) {
        let is_gone = |position: Position| gone.binary_search(&position).is_ok();
        let cancelled = self.take_out(|event, _| is_gone(event));
        let in_flight: Vec<_> =
            self.in_flight.iter().map(|flight| flight.event).filter(|event| is_gone(*event)).collect();
        self.open.retain(|position| !is_gone(*position) || in_flight.contains(position));
        self.leave_queue_to_journal();
        self.dirty = true;
        (in_flight, cancelled)
    }

    /// How far the lane has come, for a checkpoint.
    pub fn mark(&self) -> LaneMark {
        let next = self.next();
        let settled = next.into_iter().flat_map(|next| self.settled.range(next..)).copied().collect();
        // What is queued is read again after a restart.
        let behind = if next.is_some() { self.backlog() } else { Backlog::default() };
        let parked = self.order.iter().flat_map(|order| order.positions());
        let open = self.open.iter().copied().chain(parked).collect();
        LaneMark { webhook: self.webhook, next, open, settled, behind }
    }

    /// Whether anything that [`Lane::mark`] shows may have changed since the last call.
    pub fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    /// Whose events.
    pub fn subscription(&self) -> SubscriptionId {
        self.subscription
    }
}

#[cfg(test)]
mod tests;
