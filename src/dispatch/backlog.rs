//! Reading the journal for a lane that has fallen behind.

mod runs;

pub use runs::Runs;

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

/// How long it takes until what could not be read is read again.
pub const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Reads in a thread of its own when it is the lane's turn, then hands over what was read.
pub fn spawn_read(scheduler: Arc<Scheduler>, cell: Arc<LaneCell>, plan: ReadPlan) {
    let workers = scheduler.workers.clone();
    workers.spawn(async move {
        let _turn = scheduler.reads.acquire().await;
        // A read that is not made any more is made after the next start.
        if !scheduler.stopping.is_cancelled() {
            let scheduler = Arc::clone(&scheduler);
            // A panic in it ends the node.
            let _ = tokio::task::spawn_blocking(move || read_for(&scheduler, &cell, &plan)).await;
        }
    });
}

fn read_for(scheduler: &Arc<Scheduler>, cell: &Arc<LaneCell>, plan: &ReadPlan) {
    let _ends_node = scheduler.parts.defects.guard();
    let read = read(scheduler.parts.journal.as_ref(), &scheduler.runs, plan);
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
                scheduler.look_again_at(cell, now.after(READ_AGAIN_AFTER));
                return;
            }
        }
    }
    scheduler.go_on(cell, state, now);
}

struct Read {
    events: Vec<Event>,
    next: Position,
    /// Filters that had no answer.
    failures: u64,
}

/// Reads until the plan's room is filled, or one read's worth was looked at; what others have read costs little.
fn read(journal: &dyn Journal, runs: &Runs, plan: &ReadPlan) -> Result<Read, ReadError> {
    let mut read = Read { events: Vec::new(), next: plan.from, failures: 0 };
    let (mut looks, mut bytes) = (0, 0);
    let mut run = runs.read(journal, plan.from)?;
    loop {
        for entry in run.entries_since(read.next) {
            let (position, entry) = entry?;
            let Entry::Event(entry) = entry else { continue };
            if entry.withheld.is_some() {
                continue;
            }
            looks += 1;
            match plan.judge(position, &entry) {
                Judgement::Wanted if read.events.len() == plan.room || bytes >= limits::JOURNAL_READ_BYTES => {
                    read.next = position;
                    return Ok(read);
                }
                Judgement::Wanted => {
                    bytes += entry.body.len();
                    read.events.push(Event::from_entry(position, &entry));
                }
                Judgement::Failed(failure) => read.failures += u64::from(!failure.is_missing()),
                Judgement::OtherCategory | Judgement::Filtered => {}
            }
        }
        read.next = run.next();
        match runs.find(read.next) {
            Some(next) if looks < limits::BACKLOG_LOOKS => run = next,
            _ => return Ok(read),
        }
    }
}
