//! Whose turn it is in a lane that keeps each visitor's order; in every other lane it is everybody's.

use super::order::{First, Order};
use super::replayed::take_out;
use super::{Lane, Pace};
use crate::dispatch::job::{Event, Job, Part, Visitor, Waiting};
use crate::model::{DeliveryId, Position, UnixMs};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Lane {
    /// Goes on at this pace, which its webhook has now. Whether it was another one before.
    pub fn adopt(&mut self, pace: Pace, now: UnixMs) -> bool {
        self.bucket.set_rate(pace.rate_per_s, now);
        if self.pace == pace {
            return false;
        }
        match (self.order.take(), pace.ordered) {
            (None, true) => self.begin_order(),
            (Some(order), false) => self.end_order(*order, now),
            (order, _) => self.order = order,
        }
        self.pace = pace;
        true
    }

    /// From now on each visitor's events are in order: what begins waits for what is on its way.
    fn begin_order(&mut self) {
        let mut order = Order::default();
        for flight in &self.in_flight {
            if let Some(visitor) = flight.visitor {
                order.begin(visitor, flight.part);
                order.fly(visitor);
            }
        }
        self.order = Some(Box::new(order));
        let mut waiting = take_out(&mut self.waiting, |_| true);
        waiting.extend(self.replayed.take_out(|_| true));
        // What was attempted has had its turn; the rest has it in the journal's order.
        waiting.sort_unstable_by_key(|waiting| (waiting.attempts == 0, waiting.event, waiting.delivery));
        let moved: BTreeSet<_> = waiting.iter().map(|waiting| waiting.delivery.origin).collect();
        self.open.retain(|open| !moved.contains(open));
        waiting.into_iter().for_each(|waiting| self.wait(waiting));
        self.dirty = true;
    }

    /// What was parked goes as it comes.
    fn end_order(&mut self, order: Order, now: UnixMs) {
        let (waiting, firsts) = order.dissolve();
        waiting.into_iter().for_each(|waiting| self.put(waiting));
        for First { position, since, visitor, .. } in firsts {
            self.put(self.first_attempt(position, now, (since, Some(visitor))));
        }
        self.dirty = true;
    }

    /// The first attempt of an event that is not in memory.
    pub(super) fn first_attempt(
        &self,
        event: Position,
        due: UnixMs,
        (since, visitor): (UnixMs, Option<Visitor>),
    ) -> Waiting {
        let delivery = DeliveryId { webhook: self.webhook, origin: event };
        Waiting { due, delivery, event, attempts: 0, replay: None, since, visitor }
    }

    /// A delivery that waits for its time. First attempts come in order.
    pub fn wait(&mut self, waiting: Waiting) {
        match &mut self.order {
            Some(order) => order.wait(waiting).into_iter().for_each(|waiting| self.put(waiting)),
            None => self.put(waiting),
        }
    }

    /// A delivery goes when it is due.
    pub(super) fn put(&mut self, waiting: Waiting) {
        if waiting.attempts == 0 && waiting.part() == Part::Live {
            self.open.push(waiting.event);
        }
        if waiting.replay.is_some() {
            self.replayed.wait(waiting);
        } else {
            self.waiting.push(std::cmp::Reverse(waiting));
        }
    }

    /// What is due, unless its visitor has a request in flight.
    pub(super) fn pass(&mut self, due: Waiting) -> Option<Waiting> {
        match &mut self.order {
            Some(order) => order.pass(due),
            None => Some(due),
        }
    }

    /// Whether the turn of an event that was parked has come.
    pub(super) fn has_turn(&self) -> bool {
        self.order.as_ref().is_some_and(|order| order.has_ready())
    }

    /// The next event whose turn has come.
    pub(super) fn take_turn(&mut self) -> Option<First> {
        self.order.as_mut().and_then(|order| order.take_ready())
    }

    /// Whether the next event of the queue can be begun or parked.
    pub(super) fn admits(&self, next: &Event) -> bool {
        match (&self.order, next.visitor) {
            (Some(order), Some(visitor)) => order.has_room(self.limits.parked) || !order.blocks(visitor),
            _ => true,
        }
    }

    /// Whether this event of the queue has to wait for others of its visitor's: then it is parked.
    pub(super) fn parks(&mut self, event: &Arc<Event>) -> bool {
        let (Some(order), Some(visitor)) = (&mut self.order, event.visitor) else { return false };
        if !order.blocks(visitor) {
            order.begin(visitor, Part::Live);
            return false;
        }
        // A lane that waits for its receiver keeps no events in memory.
        order.park(event, visitor, !self.receiver.is_silent());
        self.dirty = true;
        true
    }

    /// An attempt has ended. `over`: so has its delivery.
    pub(super) fn land(&mut self, job: &Job, over: bool) {
        let (Some(order), Some(visitor)) = (&mut self.order, job.visitor) else { return };
        order.land(visitor, job.part(), over).into_iter().for_each(|waiting| self.put(waiting));
    }

    /// Takes out what waits and is gone, by its event and its replay. Returns how many these were.
    pub(super) fn take_out(&mut self, is_gone: impl Fn(Position, Option<Position>) -> bool) -> u64 {
        let gone = |waiting: &Waiting| is_gone(waiting.event, waiting.replay);
        let mut out = take_out(&mut self.waiting, gone);
        out.extend(self.replayed.take_out(gone));
        let mut count = out.len();
        if let Some(order) = &mut self.order {
            let (parked, mut free) = order.remove(&is_gone);
            out.iter().for_each(|waiting| free.extend(order.give_up(waiting)));
            count += parked;
            free.into_iter().for_each(|waiting| self.put(waiting));
        }
        count as u64
    }
}
