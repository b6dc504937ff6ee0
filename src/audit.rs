//! Tells webhooks that asked for it of each entry of the audit log (docs/events.md, "auditRecorded").
//!
//! It follows the log by its numbers. Events and the number up to which the log was told go into the journal together, so
//! that a crash at any moment neither leaves an entry out nor tells it twice; the configuration keeps the number too, for
//! when the journal has let go of the entry that says it.

use crate::catalog::{App, AuditRow, Catalog, Snapshot};
use crate::clock::Clock;
use crate::intake::body::{self, Audit, Envelope, Properties};
use crate::journal::{AppendError, Group, Journal};
use crate::model::{AppId, Audited, Entry, EventEntry, EventKind};
use crate::observe::Metrics;
use crate::store::StoreError;
use crate::store::projection::{self, Projection};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Entries that are told together.
const AT_ONCE: usize = 100;

/// The pause after a failure.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// What it works with.
pub struct Parts {
    /// Where the log is.
    pub catalog: Arc<Catalog>,
    /// Where events go.
    pub journal: Arc<dyn Journal>,
    /// Who knows what the journal says.
    pub projection: Arc<Projection>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// Why nothing could be told.
#[derive(Debug, thiserror::Error)]
enum AuditError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Records(#[from] projection::Error),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error("reading the records was interrupted")]
    Interrupted,
}

/// Tells each entry in its turn, until `stop`.
pub async fn run(parts: Parts, stop: CancellationToken) {
    let mut told = None;
    loop {
        let written = parts.catalog.audit_written();
        let pause = match tell(&parts, &mut told).await {
            Ok(()) => Duration::MAX,
            Err(error) => {
                // What failed may be in the journal all the same: the records know.
                told = None;
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the audit log could not be told; trying again"
                );
                RETRY_PAUSE
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            () = written, if pause == Duration::MAX => {}
        }
    }
}

/// Tells all entries that there are. `told`: up to which number that was done, once it is known.
async fn tell(parts: &Parts, told: &mut Option<u64>) -> Result<(), AuditError> {
    loop {
        let after = match *told {
            Some(after) => after,
            None => parts.catalog.audit_told(in_journal(parts).await?).await?,
        };
        *told = Some(after);
        let rows = parts.catalog.audit_after(after, AT_ONCE).await?;
        let Some(last) = rows.last().map(|row| row.seq) else { return Ok(()) };
        let mut group = Group::new();
        let events = push(parts, &rows, &mut group);
        group.push(&Entry::Audited(Audited { seq: last }));
        parts.journal.append(group).await?;
        parts.metrics.intake.event(EventKind::AuditRecorded).inc_by(events);
        parts.catalog.set_audit_told(last).await?;
        *told = Some(last);
    }
}

/// Up to which number the journal says that the log was told.
async fn in_journal(parts: &Parts) -> Result<Option<u64>, AuditError> {
    let projection = Arc::clone(&parts.projection);
    let asked = tokio::task::spawn_blocking(move || {
        projection.catch_up()?;
        projection.audited()
    });
    Ok(asked.await.map_err(|_| AuditError::Interrupted)??)
}

/// The events of these entries; how many. A subscription that is gone has nobody to be told.
fn push(parts: &Parts, rows: &[AuditRow], group: &mut Group) -> u64 {
    let current = parts.catalog.current();
    let mut events = 0;
    for row in rows {
        let Some(app) = first_app(&current, row) else { continue };
        let kind = EventKind::AuditRecorded;
        let unique_id = body::audit_id(app.subscription.id, app.id, &row.hash);
        let entry = &row.entry;
        let envelope =
            Envelope { visitor_id: &entry.actor_name, ..Envelope::of(app, kind.name(), entry.at, unique_id) };
        let audit = Audit {
            action: &entry.action,
            actor: (&entry.actor_kind, &entry.actor_id, &entry.actor_name),
            before: &entry.before,
            after: &entry.after,
            at: entry.at,
            target: &entry.target,
        };
        group.push(&Entry::Event(EventEntry {
            subscription: app.subscription.id,
            app: app.id,
            kind,
            unique_id,
            visitor_id: &entry.actor_name,
            account_id: "",
            occurred_at: entry.at,
            accepted_at: parts.clock.now(),
            withheld: None,
            item: None,
            closes: None,
            body: &body::write(&envelope, Properties::Audit(&audit)),
        }));
        events += 1;
    }
    events
}

fn first_app<'a>(current: &'a Snapshot, row: &AuditRow) -> Option<&'a Arc<App>> {
    current.apps.get(&(row.entry.subscription, AppId::FIRST))
}
