//! The order of an ordered webhook: of each visitor one request at a time, and no event before those before it are over,
//! retries included. Pure, like the lane that asks it.
//!
//! What it knows of is on its way: what is in flight, waits for its retry, or is parked behind one of these. Everything
//! else is still in the lane's queue or in the journal.
//!
//! Live events are in order among themselves, and a replay's among themselves: a replay sends again what is long over, and
//! live events do not wait for it. What a person asks for once more goes at any time. None of these is in flight together
//! with another one of the same visitor.

use crate::dispatch::job::{Event, Part, Visitor, Waiting};
use crate::limits;
use crate::model::{Position, UnixMs};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Order {
    lines: HashMap<Visitor, Line>,
    /// First attempts whose turn has come, in the order in which it came.
    ready: VecDeque<First>,
    /// First attempts that are parked, of all lines.
    parked: usize,
    /// Bytes of the bodies of `ready` and of what is parked.
    bytes: usize,
    /// Held back, of all lines.
    held: usize,
    /// A replay's that wait for their turn, of all lines.
    replays: usize,
}

/// An event that waits for its first attempt.
#[derive(Debug)]
pub struct First {
    /// Where it stands.
    pub position: Position,
    /// Whose it is.
    pub visitor: Visitor,
    /// When it was accepted.
    pub since: UnixMs,
    /// It, where it is in memory.
    pub event: Option<Arc<Event>>,
}

/// One visitor's.
#[derive(Debug, Default)]
struct Line {
    /// Requests in flight: one, unless several were when order was asked for.
    in_flight: usize,
    /// Live events that have had their turn and are not over.
    begun: usize,
    /// The live events behind these, in order.
    parked: VecDeque<First>,
    /// A replay's that have had their turn and are not over.
    replays_begun: usize,
    /// A replay's behind these, in order.
    replays: VecDeque<Waiting>,
    /// What was due while another request was in flight.
    held: Vec<Waiting>,
}

impl Line {
    fn begun(&mut self, part: Part) -> Option<&mut usize> {
        match part {
            Part::Live => Some(&mut self.begun),
            Part::Replayed => Some(&mut self.replays_begun),
            Part::Again => None,
        }
    }

    fn is_over(&self) -> bool {
        self.in_flight + self.begun + self.replays_begun == 0
            && self.parked.is_empty()
            && self.replays.is_empty()
            && self.held.is_empty()
    }
}

impl Order {
    /// Whether a new event of this visitor has to wait.
    pub fn blocks(&self, visitor: Visitor) -> bool {
        self.lines.get(&visitor).is_some_and(|line| line.begun + line.in_flight > 0 || !line.parked.is_empty())
    }

    /// Whether one more may be parked, when `most` may be.
    pub fn has_room(&self, most: usize) -> bool {
        self.unattempted() < most
    }

    /// How many events wait for their first attempt.
    pub fn unattempted(&self) -> usize {
        self.parked + self.ready.len()
    }

    /// Which these are, in any order.
    pub fn positions(&self) -> impl Iterator<Item = Position> {
        self.firsts().map(|first| first.position)
    }

    /// The events of all that is kept back here.
    pub fn events(&self) -> impl Iterator<Item = Position> {
        let kept_back = self.lines.values().flat_map(|line| line.replays.iter().chain(&line.held));
        self.positions().chain(kept_back.map(|waiting| waiting.event))
    }

    fn firsts(&self) -> impl Iterator<Item = &First> {
        self.ready.iter().chain(self.lines.values().flat_map(|line| &line.parked))
    }

    /// Since when the oldest of these, or of what is held back, waits; what a replay sends is old from the start.
    pub fn oldest(&self) -> Option<UnixMs> {
        let held = self.lines.values().flat_map(|line| &line.held).filter(|held| held.replay.is_none());
        self.firsts().map(|first| first.since).chain(held.map(|held| held.since)).min()
    }

    /// Bytes of the bodies that are kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Deliveries other than first attempts of live events that are kept back here.
    pub fn kept_back(&self) -> usize {
        self.held + self.replays
    }

    /// What may come to wait for a retry, beside what is in flight.
    pub fn occupied(&self) -> usize {
        self.held + self.ready.len()
    }

    /// Whether somebody's turn for a first attempt has come.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// A new event waits behind what its visitor has on the way. Its body stays in memory when `keep` says so and there is
    /// room for it.
    pub fn park(&mut self, event: &Arc<Event>, visitor: Visitor, keep: bool) {
        let bytes = event.message.body.len();
        let kept = keep && self.bytes + bytes <= limits::LANE_PARKED_BYTES;
        self.bytes += if kept { bytes } else { 0 };
        self.parked += 1;
        self.lines.entry(visitor).or_default().parked.push_back(First {
            position: event.position,
            visitor,
            since: event.accepted_at,
            event: kept.then(|| Arc::clone(event)),
        });
    }

    /// A delivery of this visitor's has its turn.
    pub fn begin(&mut self, visitor: Visitor, part: Part) {
        if let Some(begun) = self.lines.entry(visitor).or_default().begun(part) {
            *begun += 1;
        }
    }

    /// A request of this visitor's is in flight.
    pub fn fly(&mut self, visitor: Visitor) {
        self.lines.entry(visitor).or_default().in_flight += 1;
    }

    /// A delivery that waits for its time, or did before a restart; returned is what may go when it is due. First attempts
    /// have to come in order.
    pub fn wait(&mut self, waiting: Waiting) -> Vec<Waiting> {
        let Some(visitor) = waiting.visitor else { return vec![waiting] };
        let part = waiting.part();
        let line = self.lines.entry(visitor).or_default();
        match part {
            Part::Live if waiting.attempts == 0 => {
                let position = waiting.event;
                line.parked.push_back(First { position, visitor, since: waiting.since, event: None });
                self.parked += 1;
            }
            Part::Replayed if waiting.attempts == 0 => {
                line.replays.push_back(waiting);
                self.replays += 1;
            }
            part => {
                self.begin(visitor, part);
                return vec![waiting];
            }
        }
        self.advance(visitor)
    }

    /// The next first attempt whose turn has come.
    pub fn take_ready(&mut self) -> Option<First> {
        while let Some(first) = self.ready.pop_front() {
            let line = self.lines.entry(first.visitor).or_default();
            if line.in_flight == 0 {
                self.bytes -= body_bytes(&first);
                return Some(first);
            }
            // Something else of this visitor's was faster.
            line.begun -= 1;
            line.parked.push_front(first);
            self.parked += 1;
        }
        None
    }

    /// Something is due: returned, unless its visitor has another request in flight; then it waits for the end of that.
    pub fn pass(&mut self, due: Waiting) -> Option<Waiting> {
        let line = due.visitor.and_then(|visitor| self.lines.get_mut(&visitor));
        let Some(line) = line.filter(|line| line.in_flight > 0) else { return Some(due) };
        line.held.push(due);
        self.held += 1;
        None
    }

    /// A request has ended. `over`: so has its delivery. Returned is what may go now, when it is due.
    pub fn land(&mut self, visitor: Visitor, part: Part, over: bool) -> Vec<Waiting> {
        if let Some(line) = self.lines.get_mut(&visitor) {
            line.in_flight = line.in_flight.saturating_sub(1);
            if over {
                end(line, part);
            }
        }
        self.advance(visitor)
    }

    /// A delivery that waited for its time is not wanted any more. Returned is what may go now, when it is due.
    pub fn give_up(&mut self, waiting: &Waiting) -> Vec<Waiting> {
        let Some(visitor) = waiting.visitor else { return Vec::new() };
        if let Some(line) = self.lines.get_mut(&visitor) {
            end(line, waiting.part());
        }
        self.advance(visitor)
    }

    /// Drops what `is_gone` says, by the event and the replay. Returned is how many these were, and what may go now, when
    /// it is due.
    pub fn remove(&mut self, is_gone: impl Fn(Position, Option<Position>) -> bool) -> (usize, Vec<Waiting>) {
        let before = self.unattempted() + self.kept_back();
        let lines = &mut self.lines;
        self.ready.retain(|first| {
            let gone = is_gone(first.position, None);
            if let (true, Some(line)) = (gone, lines.get_mut(&first.visitor)) {
                end(line, Part::Live);
            }
            !gone
        });
        for line in lines.values_mut() {
            line.parked.retain(|first| !is_gone(first.position, None));
            line.replays.retain(|waiting| !is_gone(waiting.event, waiting.replay));
            let (gone, held) = line.held.drain(..).partition(|held| is_gone(held.event, held.replay));
            line.held = held;
            let gone: Vec<Waiting> = gone;
            gone.iter().for_each(|waiting| end(line, waiting.part()));
        }
        self.count();
        let left = self.unattempted() + self.kept_back();
        let visitors: Vec<Visitor> = self.lines.keys().copied().collect();
        (before - left, visitors.into_iter().flat_map(|visitor| self.advance(visitor)).collect())
    }

    /// Keeps no body in memory any more.
    pub fn drop_bodies(&mut self) {
        let parked = self.lines.values_mut().flat_map(|line| &mut line.parked);
        self.ready.iter_mut().chain(parked).for_each(|first| first.event = None);
        self.bytes = 0;
    }

    /// Order is not asked for any more: all that is kept back here.
    pub fn dissolve(self) -> (Vec<Waiting>, Vec<First>) {
        let (mut waiting, mut firsts) = (Vec::new(), Vec::from(self.ready));
        for line in self.lines.into_values() {
            waiting.extend(line.replays);
            waiting.extend(line.held);
            firsts.extend(line.parked);
        }
        firsts.sort_unstable_by_key(|first| first.position);
        (waiting, firsts)
    }

    /// Gives turns to those of this visitor's whose time has come.
    fn advance(&mut self, visitor: Visitor) -> Vec<Waiting> {
        let Some(line) = self.lines.get_mut(&visitor) else { return Vec::new() };
        let mut free = Vec::new();
        if line.in_flight == 0 {
            self.held -= line.held.len();
            free.append(&mut line.held);
            if line.begun == 0
                && let Some(first) = line.parked.pop_front()
            {
                line.begun = 1;
                self.parked -= 1;
                self.ready.push_back(first);
            }
        }
        if line.replays_begun == 0
            && let Some(waiting) = line.replays.pop_front()
        {
            line.replays_begun = 1;
            self.replays -= 1;
            free.push(waiting);
        }
        if line.is_over() {
            self.lines.remove(&visitor);
        }
        free
    }

    /// Counts anew.
    fn count(&mut self) {
        let lines = || self.lines.values();
        self.parked = lines().map(|line| line.parked.len()).sum();
        self.replays = lines().map(|line| line.replays.len()).sum();
        self.held = lines().map(|line| line.held.len()).sum();
        self.bytes = self.firsts().map(body_bytes).sum();
    }
}

fn end(line: &mut Line, part: Part) {
    if let Some(begun) = line.begun(part) {
        *begun = begun.saturating_sub(1);
    }
}

fn body_bytes(first: &First) -> usize {
    first.event.as_ref().map_or(0, |event| event.message.body.len())
}

#[cfg(test)]
mod tests;
