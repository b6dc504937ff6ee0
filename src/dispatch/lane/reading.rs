//! How a lane comes by its events: handed over at the head, read from the journal when it is behind.

use super::{Lane, Queue, ReadPlan, Reading};
use crate::dispatch::job::Event;
use crate::limits;
use crate::model::{Backlog, Position, UnixMs};
use std::sync::Arc;

impl Lane {
    /// Hands over the next event of the journal that the lane wants. The caller hands over in order and skips none.
    /// Returns false when the lane has no room (or is behind): it will read it from the journal.
    pub fn hand(&mut self, event: &Arc<Event>, memory_left: bool) -> bool {
        if event.position < self.handed_from || self.settled.contains(&event.position) {
            return true;
        }
        self.dirty = true;
        let joined = self.reading.and_then(|reading| reading.until);
        let room = memory_left && self.queue.events.len() + self.joined.events.len() < self.capacity();
        match (self.reading, joined) {
            (None, _) if room => self.queue.push(Arc::clone(event)),
            (Some(_), Some(until)) if event.position < until => return true,
            (Some(_), Some(_)) if room => self.joined.push(Arc::clone(event)),
            _ => {
                self.fall_behind(event);
                return false;
            }
        }
        true
    }

    /// A narrowed lane keeps one event in memory: the next probe. The rest waits in the journal.
    pub(super) fn capacity(&self) -> usize {
        if self.is_narrowed() { 1 } else { limits::LANE_QUEUE_EVENTS }
    }

    /// `event` is the first one that the lane leaves to the journal, or one more of them.
    fn fall_behind(&mut self, event: &Event) {
        self.note_behind(1, event.message.body.len());
        self.behind_since.get_or_insert(event.accepted_at);
        let next = self.reading.map_or(event.position, |reading| reading.next);
        self.reading = Some(Reading { next, until: None });
        let joined = std::mem::take(&mut self.joined);
        self.note_behind(joined.events.len(), joined.bytes);
    }

    /// That many more events wait in the journal.
    pub(super) fn note_behind(&mut self, events: usize, bytes: usize) {
        self.behind.events += events as u64;
        self.behind.bytes += bytes as u64;
    }

    /// What to read next, when the lane is behind and has room for what it would read. Marks the read as running:
    /// [`Lane::read_done`] must follow.
    pub fn start_read(&mut self, now: UnixMs) -> Option<ReadPlan> {
        let reading = self.reading.filter(|_| self.wants_to_read(now))?;
        self.read_running = true;
        self.read_valid = true;
        let room = self.capacity() - self.queue.events.len();
        Some(ReadPlan { from: reading.next, room, subscription: self.subscription, eras: self.eras.clone() })
    }

    /// Whether [`Lane::start_read`] would say what to read.
    pub fn wants_to_read(&self, now: UnixMs) -> bool {
        let has_room = if self.is_narrowed() {
            self.queue.events.is_empty() && self.receiver.may_begin(now)
        } else {
            self.queue.events.len() < limits::LANE_QUEUE_EVENTS / 4 && self.room_for_new()
        };
        self.on && self.reading.is_some() && !self.read_running && has_room
    }

    /// Takes an event that was read at `position`; false when there is no room and reading must stop before it.
    pub fn take_read(&mut self, event: Arc<Event>, now: UnixMs) -> bool {
        let capacity = self.capacity();
        let Some(reading) = self.reading.as_mut().filter(|_| self.read_valid) else { return false };
        let position = event.position;
        if position < reading.next || reading.until.is_some_and(|until| position >= until) {
            return reading.until.is_none_or(|until| position < until);
        }
        if self.queue.events.len() >= capacity {
            return false;
        }
        reading.next = position.next();
        self.behind_since = Some(event.accepted_at);
        self.dirty = true;
        if self.settled.contains(&position) {
            return true;
        }
        let bytes = event.message.body.len() as u64;
        let too_much = self.behind.bytes > self.limits.backlog_max_bytes;
        self.behind.events = self.behind.events.saturating_sub(1);
        self.behind.bytes = self.behind.bytes.saturating_sub(bytes);
        if too_much || self.is_too_old(&event, now) {
            self.expire(position, position, Some(1));
        } else {
            self.queue.push(event);
        }
        true
    }

    /// The read is over: everything before `next` was looked at. `feeding` is the last position that lanes at the head
    /// are being handed; a lane that comes near it joins.
    pub fn read_done(&mut self, next: Position, feeding: Position) {
        self.read_running = false;
        let Some(reading) = self.reading.as_mut().filter(|_| self.read_valid) else { return };
        let next = reading.until.map_or(next, |until| next.min(until));
        if next > reading.next {
            reading.next = next;
            self.dirty = true;
        }
        if reading.until.is_none() && reading.next.plus(4 * limits::LANE_QUEUE_EVENTS as u64) > feeding {
            // The read may have come further than the hand-over, which then follows from there.
            reading.until = Some(feeding.next().max(reading.next));
        }
        if let Some(until) = reading.until.filter(|until| reading.next >= *until) {
            self.handed_from = until;
            self.reading = None;
            self.behind = Backlog::default();
            self.behind_since = None;
            let resume = self.queue.first().unwrap_or(next);
            self.queue.append(std::mem::take(&mut self.joined));
            self.forget_eras_before(resume);
        }
        self.forget_settled();
    }

    /// A lane that waits for its receiver keeps no events in memory.
    pub(super) fn leave_queue_to_journal(&mut self) {
        if let Some(order) = &mut self.order {
            order.drop_bodies();
        }
        let Some(first) = self.next() else { return };
        self.behind_since = self.oldest_new();
        self.dirty = true;
        self.read_valid = false;
        self.note_behind(self.queue.events.len() + self.joined.events.len(), self.queue.bytes + self.joined.bytes);
        self.queue = Queue::default();
        self.joined = Queue::default();
        // What was read ahead of the feeder is left again: it may be handed over after all.
        self.handed_from = self.handed_from.min(first);
        self.reading = Some(Reading { next: first, until: None });
    }
}
