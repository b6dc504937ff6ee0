//! Forgetting visitors and accounts: the jobs that were asked for, those that wait together in one go (docs/privacy.md).
//!
//! Each job first makes its person unknown: whoever comes under this id from then on is new, and what was accepted up
//! to that position, the cut, is to go. Then their entries are erased from the journal, and with each event what came of
//! it; then what lanes hold of them; then what was recorded meanwhile; and then the records, which are compacted. Each
//! step can be done again: a job that a crash broke off begins anew with the cut that it had.

use crate::catalog::{Catalog, ChangeError, ForgetState, ForgetWork};
use crate::clock::Clock;
use crate::dispatch::Scheduler;
use crate::intake::{self, Intake, Whose};
use crate::journal::{AppendError, Erase, EraseError, Group, Journal};
use crate::model::{CarriedEntry, Entry, Items, PersonKind, Position, ShapedOutcome, SubscriptionId};
use crate::store::projection::{self, Projection};
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long after a failure a job is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(10);

/// Jobs that are worked on together: the journal is read once for all of them.
const JOBS_AT_ONCE: usize = 1000;

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
        let outcome = tokio::select! {
            outcome = next(&parts, &stop) => outcome,
            () = stop.cancelled() => {
                // Compacting the records may take longer than stopping may.
                parts.projection.break_off_erasing();
                return;
            }
        };
        let pause = match outcome {
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

/// Works on the oldest jobs; false when there are none.
async fn next(parts: &Arc<Parts>, stop: &CancellationToken) -> Result<bool, ForgetError> {
    let mut works = parts.catalog.next_forget_works(JOBS_AT_ONCE).await?;
    if works.is_empty() {
        return Ok(false);
    }
    let outcome = forget(parts, &mut works, stop).await;
    if let Err(error) = &outcome
        && !stop.is_cancelled()
    {
        let problem = with_new_causes(error);
        for work in &mut works {
            work.job.problem = Some(problem.clone());
            parts.catalog.keep_forget_work(work).await?;
        }
    }
    outcome.map(|()| true)
}

/// An error with what is behind it, in one line. Unlike [`crate::model::with_causes`] it leaves out a cause that the text
/// before ends with: an admin reads it, and the store's errors repeat theirs.
fn with_new_causes(error: &ForgetError) -> String {
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

async fn forget(parts: &Arc<Parts>, works: &mut [ForgetWork], stop: &CancellationToken) -> Result<(), ForgetError> {
    for work in &mut *works {
        work.job.state = ForgetState::Running;
        work.job.problem = None;
        if work.job.cut.is_none() {
            work.job.cut = Some(make_unknown(parts, work).await?);
        }
        parts.catalog.keep_forget_work(work).await?;
    }
    let known_as = anonymous_ids(parts, works).await?;
    let people = Arc::new(People::of(works, known_as));
    tracing::info!(jobs = works.len(), cut = %people.last_cut, "forgetting: erasing what was accepted so far");

    let gone = Gone { carried: carried(parts).await?, ..Gone::default() };
    let erased = erase(parts, (Position(1), people.last_cut), (gone, &people), stop).await?;
    erased.tell(works);
    for work in &mut *works {
        parts.catalog.keep_forget_work(work).await?;
    }
    let gone: Vec<Position> = erased.events.iter().map(|(position, _)| *position).collect();
    let subscriptions: HashSet<_> = works.iter().map(|work| work.job.subscription).collect();
    subscriptions.into_iter().for_each(|subscription| parts.scheduler.forget(subscription, &gone));

    // What lanes have recorded of these events until they were told stands before this entry.
    let barrier = Items { accepted_at: parts.clock.now(), fingerprints: Vec::new() };
    let end = parts.journal.append(Group::of(&Entry::Items(barrier))).await?;
    let erased = erase(parts, (people.last_cut.next(), end), (erased, &people), stop).await?;
    erased.tell(works);

    let projection = Arc::clone(&parts.projection);
    let visitors = people.visitors(works);
    blocking(move || Ok(projection.erase(gone, visitors, end)?)).await?;
    for work in &mut *works {
        work.job.state = ForgetState::Done;
        work.job.done_at = Some(parts.clock.now());
        parts.catalog.keep_forget_work(work).await?;
        tracing::info!(job = %work.job.id, entries = work.job.erased_entries, "forgotten");
    }
    Ok(())
}

/// Where events were accepted that were carried on, by where they stand.
async fn carried(parts: &Parts) -> Result<HashMap<Position, Position>, ForgetError> {
    let projection = Arc::clone(&parts.projection);
    let carried = blocking(move || Ok(projection.carried()?)).await?;
    Ok(carried.into_iter().map(|(event, at)| (at, event)).collect())
}

/// Under which ids visitors were here before they had a name, by the places of their jobs: what they did then is theirs.
async fn anonymous_ids(parts: &Parts, works: &[ForgetWork]) -> Result<Vec<Vec<String>>, ForgetError> {
    let projection = Arc::clone(&parts.projection);
    let people: Vec<_> =
        works.iter().map(|work| (work.job.subscription, work.job.kind, work.person_id.clone())).collect();
    blocking(move || {
        // What was merged until the last of them was made unknown.
        projection.catch_up()?;
        let of = |(subscription, kind, id): (SubscriptionId, PersonKind, String)| match kind {
            PersonKind::Visitor => projection.anonymous_ids(subscription, &id),
            PersonKind::Account => Ok(Vec::new()),
        };
        Ok(people.into_iter().map(of).collect::<Result<_, _>>()?)
    })
    .await
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

/// Whom the jobs forget, each up to their cut.
struct People {
    /// Jobs, by their places, of each subscription's visitors and accounts.
    jobs: HashMap<(SubscriptionId, PersonKind), HashMap<String, usize>>,
    cuts: Vec<Position>,
    last_cut: Position,
}

impl People {
    fn of(works: &[ForgetWork], known_as: Vec<Vec<String>>) -> Self {
        let cuts: Vec<Position> = works.iter().map(|work| work.job.cut.unwrap_or_default()).collect();
        let last_cut = cuts.iter().copied().max().unwrap_or_default();
        let mut jobs: HashMap<_, HashMap<_, _>> = HashMap::new();
        for (place, work) in works.iter().enumerate() {
            let of = jobs.entry((work.job.subscription, work.job.kind)).or_default();
            of.insert(work.person_id.clone(), place);
        }
        for (place, ids) in known_as.into_iter().enumerate() {
            let of = jobs.entry((works[place].job.subscription, PersonKind::Visitor)).or_default();
            // Somebody else's own job comes first.
            for id in ids {
                of.entry(id).or_insert(place);
            }
        }
        Self { jobs, cuts, last_cut }
    }

    /// The visitors among them, each with their cut.
    fn visitors(&self, works: &[ForgetWork]) -> Vec<(SubscriptionId, String, Position)> {
        let visitors = works.iter().zip(&self.cuts).filter(|(work, _)| work.job.kind == PersonKind::Visitor);
        visitors.map(|(work, cut)| (work.job.subscription, work.person_id.clone(), *cut)).collect()
    }

    /// The job that an entry belongs to, if it belongs to one.
    fn job_of(&self, position: Position, entry: &Entry<'_>) -> Option<usize> {
        let job = match entry {
            Entry::Event(event) => self.job_for_either(event.subscription, event.visitor_id, event.account_id),
            // It belongs to where it was accepted.
            Entry::Carried(CarriedEntry { event, entry }) => {
                let job = self.job_for_either(entry.subscription, entry.visitor_id, entry.account_id);
                return job.filter(|job| *event <= self.cuts[*job]);
            }
            Entry::Visit(visit) => self.job_for_either(visit.subscription, visit.visitor_id, visit.account_id),
            Entry::Metadata(metadata) => self.job_for(metadata.subscription, metadata.kind, metadata.id),
            Entry::Guide(guide) => self.job_for(guide.subscription, PersonKind::Visitor, guide.visitor_id),
            Entry::Merged(merged) => self.job_for(merged.subscription, PersonKind::Visitor, merged.visitor_id),
            Entry::Held(held) => {
                let (visitor_id, account_id) = intake::who_rated(held.draft)?;
                self.job_for_either(held.subscription, &visitor_id, &account_id)
            }
            _ => None,
        };
        // What comes after the cut is somebody new.
        job.filter(|job| position <= self.cuts[*job])
    }

    fn job_for_either(&self, subscription: SubscriptionId, visitor_id: &str, account_id: &str) -> Option<usize> {
        let visitor = self.job_for(subscription, PersonKind::Visitor, visitor_id);
        visitor.or_else(|| self.job_for(subscription, PersonKind::Account, account_id))
    }

    fn job_for(&self, subscription: SubscriptionId, kind: PersonKind, id: &str) -> Option<usize> {
        self.jobs.get(&(subscription, kind))?.get(id).copied()
    }
}

/// What was erased.
#[derive(Default)]
struct Gone {
    /// Where events were accepted that were carried on, by where they stand now: of one that is erased nothing else tells.
    carried: HashMap<Position, Position>,
    /// Where the entries stood that may have been events, in order, and whose job that was.
    events: Vec<(Position, Option<usize>)>,
    /// How many entries for each job.
    counts: HashMap<usize, u64>,
}

impl Gone {
    /// The job whose event this was, if it is gone.
    fn job_of(&self, event: Position) -> Option<Option<usize>> {
        let place = self.events.binary_search_by_key(&event, |(position, _)| *position).ok()?;
        Some(self.events[place].1)
    }

    fn note(&mut self, position: Position, job: Option<usize>) {
        let event = self.carried.get(&position).copied().unwrap_or(position);
        if let Err(place) = self.events.binary_search_by_key(&event, |(event, _)| *event) {
            self.events.insert(place, (event, job));
        }
    }

    fn count(&mut self, job: Option<usize>) {
        if let Some(job) = job {
            *self.counts.entry(job).or_default() += 1;
        }
    }

    /// Writes what was counted into the jobs.
    fn tell(&self, works: &mut [ForgetWork]) {
        for (place, work) in works.iter_mut().enumerate() {
            work.job.erased_entries = work.erased_before + self.counts.get(&place).copied().unwrap_or_default();
        }
    }
}

/// Erases what is the people's of a range, and what came of the events that are gone; all that is gone now. An entry that
/// was erased before may have been an event of theirs, by a job that was broken off: what came of it goes too.
async fn erase(
    parts: &Arc<Parts>,
    range: (Position, Position),
    (gone, people): (Gone, &Arc<People>),
    stop: &CancellationToken,
) -> Result<Gone, ForgetError> {
    let (eraser, people, stop) = (Arc::clone(&parts.eraser), Arc::clone(people), stop.clone());
    blocking(move || {
        let mut gone = gone;
        eraser.erase(range, &mut |position, entry| {
            if stop.is_cancelled() {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(match entry {
                Entry::Outcome(outcome) | Entry::ShapedOutcome(ShapedOutcome { outcome, .. }) => {
                    match gone.job_of(outcome.event) {
                        Some(job) => {
                            gone.count(job);
                            true
                        }
                        None => false,
                    }
                }
                Entry::Erased => {
                    gone.note(position, None);
                    false
                }
                entry => match people.job_of(position, entry) {
                    Some(job) => {
                        if let Entry::Carried(carried) = entry {
                            gone.carried.insert(position, carried.event);
                        }
                        gone.note(position, Some(job));
                        gone.count(Some(job));
                        true
                    }
                    None => false,
                },
            })
        })?;
        Ok(gone)
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ForgetError> + Send + 'static,
) -> Result<T, ForgetError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(ForgetError::Interrupted))
}
