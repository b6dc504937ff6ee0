//! Works off replays: chooses their events, and has them sent at a limited pace (docs/delivery.md, "Replays").
//!
//! Everything about a replay stands in the journal: that it was asked for, each event that it sends, and its end. So after
//! a crash it goes on behind the last event that it had sent, and sends none twice.

use crate::catalog::{Catalog, Snapshot};
use crate::clock::Clock;
use crate::filter::Interest;
use crate::journal::{AppendError, Group, Journal};
use crate::limits;
use crate::model::{Entry, Position, ReplayEnd, ReplayEnded, Resend, WebhookId};
use crate::observe::Metrics;
use crate::record::{Chosen, RecordError, Records};
use crate::store::projection::{self, Projection, ReplayRow};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The time between two steps.
const STEP: Duration = Duration::from_millis(100);

/// Stretches of the journal that one step looks at for one replay.
const STRETCHES: usize = 16;

/// The pause after a failure.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// What it works with.
pub struct Parts {
    /// What webhooks ask for.
    pub catalog: Arc<Catalog>,
    /// Where everything is said.
    pub journal: Arc<dyn Journal>,
    /// Which replays there are.
    pub projection: Arc<Projection>,
    /// What became of events.
    pub records: Records,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Events that one replay sends each second at most.
    pub rate_per_s: usize,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// Why a step could not be made.
#[derive(Debug, thiserror::Error)]
enum ReplayError {
    #[error(transparent)]
    Store(#[from] projection::Error),
    #[error(transparent)]
    Records(#[from] RecordError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error("reading the records was interrupted")]
    Interrupted,
}

/// Works off what there is until `stop`.
pub async fn run(parts: Parts, stop: CancellationToken) {
    let mut runner = Runner { parts: Arc::new(parts), looked: HashMap::new(), appended: Position::ZERO };
    let mut projected = runner.parts.projection.projected_changes();
    loop {
        projected.mark_unchanged();
        let pause = match runner.step().await {
            Ok(true) => STEP,
            Ok(false) => Duration::MAX,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "replays do not get on; trying again");
                RETRY_PAUSE
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            changed = projected.changed(), if pause == Duration::MAX => if changed.is_err() {
                return;
            },
        }
    }
}

struct Runner {
    parts: Arc<Parts>,
    /// Up to where each replay under way has looked, which is further than the last event that it sent.
    looked: HashMap<Position, Position>,
    /// The last entry that was written: a step begins when the records know of it.
    appended: Position,
}

impl Runner {
    /// A step of each replay whose turn it is; whether there are any.
    async fn step(&mut self) -> Result<bool, ReplayError> {
        if self.parts.projection.projected() < self.appended {
            return Ok(true);
        }
        let projection = Arc::clone(&self.parts.projection);
        let open = blocking(move || Ok(projection.open_replays()?)).await?;
        self.parts.metrics.replay.under_way.set(open.len() as i64);
        self.looked.retain(|replay, _| open.iter().any(|row| row.position == *replay));
        // Those of one webhook go one after the other.
        let mut webhooks = HashSet::new();
        for row in open.iter().filter(|row| webhooks.insert(row.asked.webhook)) {
            self.advance(row).await?;
        }
        Ok(!open.is_empty())
    }

    async fn advance(&mut self, row: &ReplayRow) -> Result<(), ReplayError> {
        let interest = match wanted(&self.parts.catalog.current(), row) {
            Ok(interest) => interest,
            Err(end) => return self.end(row, end).await,
        };
        let room = limits::REPLAY_WINDOW.saturating_sub(row.open as usize);
        let most = room.min((self.parts.rate_per_s / 10).max(1));
        // Until the records know of what is sent in this step, `row` says nothing of it.
        let mut has_sent = false;
        let mut from = self.looked.get(&row.position).copied().unwrap_or(row.last_event.next());
        for _ in 0..STRETCHES {
            if from > row.asked.last || most == 0 {
                break;
            }
            let (parts, asked, interest) = (Arc::clone(&self.parts), row.asked, interest.clone());
            let Chosen { events, next, .. } =
                blocking(move || Ok(parts.records.choose(&asked, &interest, from, most)?)).await?;
            from = next;
            if !events.is_empty() {
                self.send(row, &events).await?;
                has_sent = true;
                break;
            }
        }
        self.looked.insert(row.position, from);
        if from > row.asked.last && row.open == 0 && !has_sent {
            self.end(row, ReplayEnd::Done).await?;
        }
        Ok(())
    }

    async fn send(&mut self, row: &ReplayRow, events: &[Position]) -> Result<(), ReplayError> {
        let at = self.parts.clock.now();
        let (webhook, forced) = (row.asked.webhook, row.asked.forced);
        let mut group = Group::default();
        for event in events {
            group.push(&Entry::Resend(Resend { webhook, event: *event, replay: row.position, forced, at }));
        }
        let first = self.parts.journal.append(group).await?;
        self.appended = Position(first.0 + events.len() as u64 - 1);
        Ok(())
    }

    async fn end(&mut self, row: &ReplayRow, end: ReplayEnd) -> Result<(), ReplayError> {
        let (replay, webhook, at) = (row.position, row.asked.webhook, self.parts.clock.now());
        let entry = Entry::ReplayEnded(ReplayEnded { replay, webhook, end, at });
        self.appended = self.parts.journal.append(Group::of(&entry)).await?;
        Ok(())
    }
}

/// What the webhook asks for, or why its replay is over.
fn wanted(snapshot: &Snapshot, row: &ReplayRow) -> Result<Interest, ReplayEnd> {
    let webhook: WebhookId = row.asked.webhook;
    match snapshot.webhooks.get(&webhook) {
        Some(webhook) if webhook.is_on() || row.asked.forced => Ok(webhook.interest.clone()),
        _ => Err(ReplayEnd::WebhookOff),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ReplayError> + Send + 'static,
) -> Result<T, ReplayError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(ReplayError::Interrupted))
}
