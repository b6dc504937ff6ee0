//! Reading the journal for a lane that has fallen behind.

use super::cell::LaneCell;
use super::job::Event;
use super::lane::ReadPlan;
use super::scheduler::Scheduler;
use crate::filter::Judgement;
use crate::journal::{Journal, ReadError};
use crate::limits;
use crate::model::{Entry, Position};
use std::sync::Arc;
use std::time::Duration;

/// How long a lane waits before it reads again what could not be read.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Reads in a thread of its own, then hands over what was read.
pub fn spawn_read(scheduler: Arc<Scheduler>, cell: Arc<LaneCell>, plan: ReadPlan) {
    let workers = scheduler.workers.clone();
    workers.spawn_blocking(move || {
        let read = read(scheduler.parts.journal.as_ref(), &plan);
        let mut state = cell.state.lock();
        let now = scheduler.parts.clock.now();
        match read {
            Ok(read) => {
                scheduler.parts.metrics.dispatch.filter_failures.inc_by(read.failures);
                let refused = read.events.into_iter().find_map(|event| {
                    let position = event.position;
                    (!state.lane.take_read(Arc::new(event), now)).then_some(position)
                });
                state.lane.read_done(refused.unwrap_or(read.next), scheduler.feeding());
            }
            Err(error) => {
                state.lane.read_done(plan.from, scheduler.feeding());
                if let ReadError::Gone { oldest, .. } = error {
                    state.lane.lost_until(oldest);
                } else {
                    // A damaged journal is never skipped by guessing: the lane waits for the operator.
                    tracing::error!(webhook = %cell.webhook, %error, "a lane cannot read its backlog");
                    scheduler.look_again_at(&cell, now.after(READ_AGAIN_AFTER));
                    return;
                }
            }
        }
        scheduler.go_on(&cell, state, now);
    });
}

struct Read {
    events: Vec<Event>,
    next: Position,
    /// Filters that had no answer.
    failures: u64,
}

/// Reads until the plan's room is filled or one read's worth was looked at.
fn read(journal: &dyn Journal, plan: &ReadPlan) -> Result<Read, ReadError> {
    let chunk = journal.read(plan.from, limits::JOURNAL_READ_BYTES)?;
    let (mut events, mut failures) = (Vec::new(), 0);
    for entry in chunk.entries_but_outcomes() {
        let (position, entry) = entry?;
        let Entry::Event(entry) = entry else { continue };
        if entry.withheld.is_some() {
            continue;
        }
        match plan.judge(position, &entry) {
            Judgement::Wanted if events.len() == plan.room => return Ok(Read { events, next: position, failures }),
            Judgement::Wanted => events.push(Event::from_entry(position, &entry)),
            Judgement::Failed(failure) => failures += u64::from(!failure.is_missing()),
            Judgement::OtherCategory | Judgement::Filtered => {}
        }
    }
    Ok(Read { events, next: chunk.next(), failures })
}
