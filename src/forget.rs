//! Forgetting a visitor or an account: the jobs that were asked for, one after the other (docs/privacy.md).
//!
//! Each job first makes the person unknown: whoever comes under this id from then on is new, and what was accepted up
//! to that position, the cut, is to go. Then their entries are erased from the journal, and with each event what came of
//! it; then what lanes hold of them; then what was recorded meanwhile; and then the records, which are compacted. Each
//! step can be done again: a job that a crash broke off begins anew with the cut that it had.

use crate::catalog::{Catalog, ChangeError, ForgetState, ForgetWork};
use crate::clock::Clock;
use crate::dispatch::Scheduler;
use crate::intake::{Intake, Whose};
use crate::journal::{AppendError, Erase, EraseError, Group, Journal};
use crate::model::{Entry, Items, Position};
use crate::store::projection::{self, Projection};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long after a failure a job is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(10);

/// What a job works on.
pub struct Parts {
    /// Where the jobs are kept.
    pub catalog: Arc<Catalog>,
    /// Who knows who was seen.
    pub intake: Arc<Intake>,
    /// What was accepted, and what became of it.
    pub journal: Arc<dyn Journal>,
    /// The same, to erase from.
    pub eraser: Arc<dyn Erase>,
    /// What lanes hold.
    pub scheduler: Arc<Scheduler>,
    /// The records.
    pub projection: Arc<Projection>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Why a job does not get on.
#[derive(Debug, thiserror::Error)]
enum ForgetError {
    #[error(transparent)]
    Catalog(#[from] ChangeError),
    #[error(transparent)]
    Erase(#[from] EraseError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Records(#[from] projection::Error),
    #[error("the step was interrupted")]
    Interrupted,
}

/// Works off the jobs until `stop`. One that is under way then goes on after the next start.
pub async fn run(parts: Arc<Parts>, stop: CancellationToken) {
    loop {
        let pause = match next(&parts, &stop).await {
            Ok(true) => continue,
            Ok(false) => None,
            Err(_) if stop.is_cancelled() => return,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "forgetting a person failed; trying again");
                Some(RETRY_PAUSE)
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = async { match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => parts.catalog.forget_asked().await,
            }} => {}
        }
    }
}

/// Works on the oldest job; false when there is none.
async fn next(parts: &Arc<Parts>, stop: &CancellationToken) -> Result<bool, ForgetError> {
    let Some(mut work) = parts.catalog.next_forget_work().await? else { return Ok(false) };
    let outcome = forget(parts, &mut work, stop).await;
    if let Err(error) = &outcome
        && !stop.is_cancelled()
    {
        work.job.problem = Some(with_causes(error));
        parts.catalog.keep_forget_work(&mut work).await?;
    }
    outcome.map(|()| true)
}

/// An error with what is behind it, in one line.
fn with_causes(error: &ForgetError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(behind) = cause {
        let more = behind.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = behind.source();
    }
    text
}

async fn forget(parts: &Arc<Parts>, work: &mut ForgetWork, stop: &CancellationToken) -> Result<(), ForgetError> {
    work.job.state = ForgetState::Running;
    work.job.problem = None;
    let cut = match work.job.cut {
        Some(cut) => cut,
        None => make_unknown(parts, work).await?,
    };
    work.job.cut = Some(cut);
    parts.catalog.keep_forget_work(work).await?;
    tracing::info!(job = %work.job.id, %cut, "forgetting a person: erasing what was accepted so far");

    let subscription = work.job.subscription;
    let theirs = theirs(work);
    let (erased, gone) = erase(parts, (Position(1), cut), Vec::new(), (Some(theirs), stop)).await?;
    work.job.erased_entries += erased;
    parts.catalog.keep_forget_work(work).await?;
    parts.scheduler.forget(subscription, &gone);

    // What lanes have recorded of these events until they were told stands before this entry.
    let barrier = Items { accepted_at: parts.clock.now(), fingerprints: Vec::new() };
    let end = parts.journal.append(Group::of(&Entry::Items(barrier))).await?;
    let (erased, gone) = erase(parts, (cut.next(), end), gone, (None, stop)).await?;
    work.job.erased_entries += erased;

    let projection = Arc::clone(&parts.projection);
    blocking(move || Ok(projection.erase(gone, end)?)).await?;
    work.job.state = ForgetState::Done;
    work.job.done_at = Some(parts.clock.now());
    parts.catalog.keep_forget_work(work).await?;
    tracing::info!(job = %work.job.id, entries = work.job.erased_entries, "a person is forgotten");
    Ok(())
}

/// Takes the person out of what is known of people; the position up to which they are to be erased.
async fn make_unknown(parts: &Arc<Parts>, work: &ForgetWork) -> Result<Position, ForgetError> {
    let (subscription, kind) = (work.job.subscription, work.job.kind);
    let whose = Whose { subscription, kind, id: &work.person_id };
    let forget_known = async |cut: Position| {
        let (projection, id) = (Arc::clone(&parts.projection), work.person_id.clone());
        blocking(move || Ok(projection.forget_person(subscription, (kind, &id), cut)?)).await
    };
    parts.intake.forget(&whose, forget_known).await
}

/// Whether an entry is the person's.
type Theirs = Box<dyn Fn(&Entry<'_>) -> bool + Send>;

fn theirs(work: &ForgetWork) -> Theirs {
    let (subscription, kind, id) = (work.job.subscription, work.job.kind, work.person_id.clone());
    Box::new(move |entry| {
        let whose = Whose { subscription, kind, id: &id };
        match entry {
            Entry::Event(event) => whose.has(event.subscription, event.visitor_id, event.account_id),
            Entry::Visit(visit) => whose.has(visit.subscription, visit.visitor_id, visit.account_id),
            Entry::Metadata(metadata) => {
                metadata.subscription == subscription && metadata.kind == kind && metadata.id == id
            }
            Entry::Held(held) => held.subscription == subscription && whose.has_held(held.draft),
            _ => false,
        }
    })
}

/// Erases what is the person's of a range, and what came of the events that are `gone`; how many entries that were, and
/// all that is gone now, in order. An entry that was erased before may have been an event of theirs, by a job that was
/// broken off: what came of it goes too.
async fn erase(
    parts: &Arc<Parts>,
    range: (Position, Position),
    gone: Vec<Position>,
    (theirs, stop): (Option<Theirs>, &CancellationToken),
) -> Result<(u64, Vec<Position>), ForgetError> {
    let (eraser, stop) = (Arc::clone(&parts.eraser), stop.clone());
    blocking(move || {
        let mut gone = gone;
        let erased = eraser.erase(range, &mut |position, entry| {
            if stop.is_cancelled() {
                return ControlFlow::Break(());
            }
            let wanted = match entry {
                Entry::Outcome(outcome) => return ControlFlow::Continue(gone.binary_search(&outcome.event).is_ok()),
                Entry::Erased => true,
                entry => theirs.as_ref().is_some_and(|theirs| theirs(entry)),
            };
            if wanted && gone.last().is_none_or(|last| *last < position) {
                gone.push(position);
            }
            ControlFlow::Continue(wanted)
        })?;
        Ok((erased, gone))
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ForgetError> + Send + 'static,
) -> Result<T, ForgetError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(ForgetError::Interrupted))
}
