//! Carries on what retries need of the journal's oldest part.
//!
//! The journal deletes its oldest part by age and size, and waits for no lane: what a lane has not attempted by then has
//! expired (docs/delivery.md, "Receivers in trouble"). An event of which a delivery is under way, because it is in flight
//! or waits for a retry, is not given up so: before its place is let go of it is written once more at the journal's end.
//! Holding the old part back instead would cost what comes in while the retry waits, which with a receiver's
//! `Retry-After` can be hours of all webhooks' events; this costs the event itself, and only when the journal is so
//! small, or so full, that it loses what is still retried.
//!
//! How it is safe. Places are let go of in this order: lanes give up what they have not begun before the outgrown
//! position, so that nothing new begins there; what is under way there is carried on, and known to be durable because the
//! feeder has met it; from then on a redelivery or a replay that comes too late finds its event gone; what has come just
//! before that is carried on too; and only then the journal is told.

use super::restart::Restart;
use super::scheduler::Scheduler;
use crate::journal::{AppendError, Group, Holder, Journal, ReadError};
use crate::limits;
use crate::model::{CarriedEntry, Entry, Position};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether the journal has outgrown something.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The pause while there is more to carry, or what was carried is not durable yet.
const GO_ON_AFTER: Duration = Duration::from_millis(100);

/// Where the events of deliveries stand.
#[derive(Debug, Default)]
pub struct Carried {
    /// What was accepted before this is gone, unless it was carried on.
    let_go: Position,
    places: HashMap<Position, Position>,
}

impl Carried {
    /// What of what was kept is needed still.
    pub fn restored(restart: &Restart) -> Self {
        let waiting = restart.waiting.iter().map(|waiting| waiting.event);
        let open = restart.marks.iter().flat_map(|mark| mark.open.iter().copied());
        let place = |event| restart.carried.get(&event).map(|at| (event, *at));
        Self { let_go: Position::ZERO, places: waiting.chain(open).filter_map(place).collect() }
    }

    /// An event was carried on to `at`.
    pub fn note(&mut self, event: Position, at: Position) {
        self.places.insert(event, at);
    }

    /// Where to read an event.
    ///
    /// # Errors
    /// [`ReadError::Gone`] when its place was let go of.
    pub fn place_of(&self, event: Position) -> Result<Position, ReadError> {
        match self.places.get(&event) {
            Some(at) => Ok(*at),
            None if event < self.let_go => Err(ReadError::Gone { wanted: event, oldest: self.let_go }),
            None => Ok(event),
        }
    }

    /// Where an event stands, gone or not.
    fn stands_at(&self, event: Position) -> Position {
        self.places.get(&event).copied().unwrap_or(event)
    }
}

/// Does what the module's documentation says, until `stop`. `fed`: what every lane knows of.
pub(super) async fn run(scheduler: Arc<Scheduler>, fed: watch::Receiver<Position>, stop: CancellationToken) {
    let mut carrier = Carrier::new(scheduler, fed);
    loop {
        let pass = tokio::task::spawn_blocking(move || {
            let _ends_node = carrier.scheduler.parts.defects.guard();
            let is_done = carrier.pass();
            (carrier, is_done)
        });
        // A panic ends the node.
        let Ok((returned, is_done)) = pass.await else { return };
        carrier = returned;
        tokio::select! {
            () = tokio::time::sleep(if is_done { LOOK_EVERY } else { GO_ON_AFTER }) => {}
            () = stop.cancelled() => return,
        }
    }
}

pub(super) struct Carrier {
    scheduler: Arc<Scheduler>,
    fed: watch::Receiver<Position>,
    released: Position,
    /// What was written last, and the position before which none of it may stand.
    on_its_way: (Vec<Position>, Position),
    /// What could not be read in this round: its attempt will say why.
    unreadable: HashSet<Position>,
}

impl Carrier {
    pub(super) fn new(scheduler: Arc<Scheduler>, fed: watch::Receiver<Position>) -> Self {
        let (on_its_way, unreadable) = (Default::default(), HashSet::new());
        Self { scheduler, fed, released: Position::ZERO, on_its_way, unreadable }
    }

    /// One step; whether nothing is left to do for now. While the journal cannot be read it lets go of nothing.
    pub(super) fn pass(&mut self) -> bool {
        self.step().unwrap_or_else(|error| {
            tracing::warn!(%error, "what is retried cannot be carried on now; trying again");
            true
        })
    }

    fn step(&mut self) -> io::Result<bool> {
        let journal = Arc::clone(&self.scheduler.parts.journal);
        let outgrown = journal.outgrown().min(self.fed.borrow().next());
        // A full disk takes records still, and only letting go makes space on it.
        let refuses = !matches!(journal.accepting(), Ok(()) | Err(AppendError::Full));
        if outgrown <= self.released || refuses {
            return Ok(true);
        }
        let needed = self.scheduler.under_way_before(outgrown);
        if self.is_on_its_way(&needed) || self.carry(&needed, outgrown)? {
            return Ok(false);
        }
        self.scheduler.carried.write().let_go = outgrown;
        let needed = self.scheduler.under_way_before(outgrown);
        if self.carry(&needed, outgrown)? {
            return Ok(false);
        }
        self.scheduler.carried.write().places.retain(|event, _| needed.contains(event));
        self.unreadable.clear();
        self.released = outgrown;
        journal.release(Holder::Lanes, outgrown);
        Ok(true)
    }

    /// Whether the feeder has not met all that was written last. What was forgotten meanwhile it never will.
    fn is_on_its_way(&self, needed: &BTreeSet<Position>) -> bool {
        let (events, outgrown) = &self.on_its_way;
        let carried = self.scheduler.carried.read();
        events.iter().any(|event| needed.contains(event) && carried.stands_at(*event) < *outgrown)
    }

    /// Writes some of what is needed and would be gone; whether there was any.
    fn carry(&mut self, needed: &BTreeSet<Position>, outgrown: Position) -> io::Result<bool> {
        let scheduler = Arc::clone(&self.scheduler);
        // Nothing is erased between reading an event and writing it.
        let _carrying = scheduler.carrying.lock();
        let (mut written, mut group, mut bytes) = (Vec::new(), Group::new(), 0);
        for event in needed.iter().copied() {
            let at = scheduler.carried.read().stands_at(event);
            if at >= outgrown || self.unreadable.contains(&event) {
                continue;
            }
            let before = group.bytes().len();
            if !self.push(&mut group, event, at)? {
                continue;
            }
            written.push(event);
            bytes += group.bytes().len() - before;
            if group.bytes().len() >= limits::JOURNAL_URGENT_BYTES {
                scheduler.parts.journal.record(std::mem::take(&mut group));
            }
            if bytes >= limits::CARRIED_AT_ONCE_BYTES {
                break;
            }
        }
        if !group.is_empty() {
            scheduler.parts.journal.record(group);
        }
        scheduler.parts.metrics.dispatch.carried.inc_by(written.len() as u64);
        self.on_its_way = (written, outgrown);
        Ok(!self.on_its_way.0.is_empty())
    }

    /// Adds an event that stands at `at`; whether it is there and sound.
    fn push(&mut self, group: &mut Group, event: Position, at: Position) -> io::Result<bool> {
        let pushed = match push(self.scheduler.parts.journal.as_ref(), group, event, at) {
            Ok(pushed) => pushed,
            Err(ReadError::Io(error)) => return Err(error),
            Err(error) => {
                tracing::error!(%error, %event, "an event that is being retried cannot be carried on");
                false
            }
        };
        if !pushed {
            self.unreadable.insert(event);
        }
        Ok(pushed)
    }
}

/// False: it was erased.
fn push(journal: &dyn Journal, group: &mut Group, event: Position, at: Position) -> Result<bool, ReadError> {
    let chunk = journal.read(at, 1)?;
    match chunk.entries().next().transpose()? {
        Some((found, Entry::Event(entry))) if found == at => group.push(&Entry::Carried(CarriedEntry { event, entry })),
        Some((found, Entry::Carried(carried))) if found == at => group.push(&Entry::Carried(carried)),
        _ => return Ok(false),
    }
    Ok(true)
}

impl Scheduler {
    /// The events before `outgrown` of which a delivery is under way; lanes give up what they have not begun there.
    fn under_way_before(self: &Arc<Self>, outgrown: Position) -> BTreeSet<Position> {
        let mut events = BTreeSet::new();
        for cell in self.all() {
            let mut state = cell.state.lock();
            state.lane.let_go(outgrown);
            events.extend(state.lane.under_way_before(outgrown));
            self.go_on(&cell, state, self.parts.clock.now());
        }
        events
    }
}

#[cfg(test)]
mod tests;
