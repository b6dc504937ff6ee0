//! One connection to one receiver: makes a lane's attempts one after the other, waits for the next one with its
//! connection open, and ends when the connection does.

use super::backlog::READ_AGAIN_AFTER;
use super::cell::{LaneCell, Slot};
use super::job::{Event, Job};
use super::scheduler::{AfterSettle, Ended, Scheduler};
use crate::catalog::Webhook;
use crate::deliver::{Line, Message, Outcome, Quiet};
use crate::journal::{Group, Journal, ReadError};
use crate::limits;
use crate::model::{Entry, EventKind, OutcomeEntry, Position, Reason, ShapedOutcome, Verdict};
use std::sync::Arc;

/// Runs until there is nothing to do and the connection has ended.
pub async fn run(scheduler: Arc<Scheduler>, cell: Arc<LaneCell>, first: Job) {
    let _ends_node = scheduler.parts.defects.guard();
    let mut line = Line::new();
    let slot = Arc::new(Slot::default());
    let mut job = first;
    loop {
        match attempt(&scheduler, &cell, &mut line, &job, &slot).await {
            AfterSettle::Next(next) => job = next,
            AfterSettle::End => return,
            AfterSettle::Park => match parked(&scheduler, &cell, &mut line, &slot).await {
                Some(next) => job = next,
                None => return,
            },
        }
    }
}

/// Waits for a job as long as the connection is worth keeping.
async fn parked(scheduler: &Scheduler, cell: &LaneCell, line: &mut Line, slot: &Arc<Slot>) -> Option<Job> {
    tokio::select! {
        () = slot.filled() => slot.take(),
        () = line.closed() => scheduler.unpark(cell, slot),
        () = scheduler.stopping.cancelled() => scheduler.unpark(cell, slot),
    }
}

async fn attempt(
    scheduler: &Arc<Scheduler>,
    cell: &Arc<LaneCell>,
    line: &mut Line,
    job: &Job,
    slot: &Arc<Slot>,
) -> AfterSettle {
    let started_at = scheduler.parts.clock.now();
    let webhook = scheduler.webhook(cell.webhook);
    let event = match &job.event {
        Some(event) => Ok(Some(Arc::clone(event))),
        None => read_event(scheduler, job.position).await,
    };
    if let Err(ReadError::Io(_)) = event {
        // It is not settled: it is made after the next start.
        return AfterSettle::End;
    }
    let (outcome, kind) = match (&webhook, &event) {
        (Some(webhook), Ok(Some(event))) => {
            (send(scheduler, cell, line, job, webhook, &event.message).await, event.kind)
        }
        (None, Ok(Some(event))) => (unsent("the webhook was deleted"), event.kind),
        (_, Ok(None)) => (unsent("the event was erased"), EventKind::TrackEventReceived),
        (_, Err(error)) => (unsent(&error.to_string()), EventKind::TrackEventReceived),
    };
    let cancelled = webhook.is_none() || matches!(event, Ok(None));
    let ended = Ended { outcome: &outcome, started_at, kind, cancelled };
    let slot = line.is_open().then_some(slot);
    scheduler.settle(cell, job, &ended, slot)
}

async fn send(
    scheduler: &Arc<Scheduler>,
    cell: &Arc<LaneCell>,
    line: &mut Line,
    job: &Job,
    webhook: &Arc<Webhook>,
    message: &Message,
) -> Outcome {
    let mut went_quiet = || scheduler.went_quiet(cell, job);
    let parts = &scheduler.parts;
    let after = parts.settings.quiet_after;
    if let Some(peers) = &parts.peers
        && let Some(peer) = peers.of(webhook.id)
    {
        // Its connections are there.
        line.close();
        let quiet = Quiet { after, call: &mut went_quiet };
        // In a box of its own, so that attempts of a node alone have no room for it.
        if let Some(outcome) = Box::pin(peers.attempt(&peer, webhook, message, quiet)).await {
            return outcome;
        }
        // The node was lost meanwhile. Whether it has sent the request is unknown: like after a crash, it is sent again.
    }
    let quiet = Quiet { after, call: &mut went_quiet };
    parts.courier.attempt(line, &webhook.destination, message, quiet).await
}

/// Reads the event of a retry back from the journal; `None` when it was erased. Where the journal cannot be read now, it
/// waits until it can: [`ReadError::Io`] only when the node stops meanwhile.
async fn read_event(scheduler: &Scheduler, position: Position) -> Result<Option<Arc<Event>>, ReadError> {
    let mut at = scheduler.carried.read().place_of(position)?;
    loop {
        let read = read_at(scheduler, at).await;
        if let Err(error @ ReadError::Io(_)) = read {
            tracing::warn!(%error, %position, "the event of a retry cannot be read; trying again");
            let again = scheduler.parts.clock.now().after(READ_AGAIN_AFTER);
            tokio::select! {
                () = scheduler.parts.clock.wait(again) => continue,
                () = scheduler.stopping.cancelled() => return Err(error),
            }
        }
        let Err(ReadError::Gone { .. }) = read else { return read };
        // It may have been carried on, and its old place deleted, after the place was looked up.
        let now_at = scheduler.carried.read().place_of(position)?;
        if now_at == at {
            return read;
        }
        at = now_at;
    }
}

async fn read_at(scheduler: &Scheduler, at: Position) -> Result<Option<Arc<Event>>, ReadError> {
    let journal = Arc::clone(&scheduler.parts.journal);
    match tokio::task::spawn_blocking(move || event_at(journal.as_ref(), at)).await {
        Ok(event) => event.map(|event| event.map(Arc::new)),
        Err(_) => Err(ReadError::Io(std::io::Error::other("the reading thread ended"))),
    }
}

/// The event at a position, or the one that was carried on to there; `None` when it was erased.
///
/// # Errors
/// [`ReadError::Gone`] when it is no longer retained; the others as the journal says.
pub(super) fn event_at(journal: &dyn Journal, position: Position) -> Result<Option<Event>, ReadError> {
    let chunk = journal.read(position, 1)?;
    match chunk.entries().next().transpose()? {
        Some((at, Entry::Event(entry))) if at == position => Ok(Some(Event::from_entry(at, &entry))),
        Some((at, Entry::Carried(carried))) if at == position => {
            Ok(Some(Event::from_entry(carried.event, &carried.entry)))
        }
        Some((at, Entry::Erased)) if at == position => Ok(None),
        _ => Err(ReadError::Gone { wanted: position, oldest: journal.oldest() }),
    }
}

fn unsent(why: &str) -> Outcome {
    Outcome::unsent(Reason::CannotSend, why)
}

/// The journal's record of an attempt, with the body that was sent where that is not the event's own. Of a forgotten person's event only that it was made is kept: an answer may repeat
/// what it was sent.
pub(super) fn outcome_group(job: &Job, ended: &Ended<'_>, verdict: Verdict, forgotten: bool) -> Group {
    let outcome = ended.outcome;
    let kept = |text| if forgotten { "" } else { text };
    let entry = OutcomeEntry {
        delivery: job.delivery,
        event: job.position,
        kind: ended.kind,
        attempt: job.attempt,
        started_at: ended.started_at,
        verdict,
        status: outcome.status,
        reason: outcome.reason,
        detail: kept(&outcome.detail),
        timings: outcome.timings,
        request_headers: kept(&outcome.request_headers),
        response_headers: kept(&outcome.response_headers),
        response_body: if forgotten { b"" } else { &outcome.response_body },
        response_cut: outcome.response_cut,
    };
    match &outcome.request_body {
        Some(body) if !forgotten => {
            let request_body = &body[..body.len().min(limits::SENT_BODY_KEPT_BYTES)];
            let request_cut = request_body.len() < body.len();
            Group::of(&Entry::ShapedOutcome(ShapedOutcome { outcome: entry, request_body, request_cut }))
        }
        _ => Group::of(&Entry::Outcome(entry)),
    }
}
