//! Acts on the incidents that the records find: warns owners, turns webhooks off. It follows the journal at a distance and
//! slows no lane down.

use crate::catalog::{Acted, Catalog, ChangeError, Told};
use crate::journal::Journal;
use crate::model::{IncidentKind, Position};
use crate::observe::{Metrics, TurnOff};
use crate::store::StoreError;
use crate::store::projection::{self, Incident, Projection};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Incidents that are read together.
const AT_ONCE: usize = 100;

/// Answers that a mail and the error log show.
const ANSWERS: usize = 3;

/// The pause after a failure.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// What it works with.
pub struct Parts {
    /// Where webhooks are turned off.
    pub catalog: Arc<Catalog>,
    /// Where that is said first.
    pub journal: Arc<dyn Journal>,
    /// Where incidents are found.
    pub projection: Arc<Projection>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// Why nothing could be done.
#[derive(Debug, thiserror::Error)]
enum HealthError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Change(#[from] ChangeError),
    #[error(transparent)]
    Records(#[from] projection::Error),
    #[error("reading the records was interrupted")]
    Interrupted,
}

/// Acts on each incident in its turn, until `stop`.
pub async fn run(parts: Parts, stop: CancellationToken) {
    let mut projected = parts.projection.projected_changes();
    let mut done = None;
    loop {
        projected.mark_unchanged();
        let pause = match act(&parts, &mut done, &stop).await {
            Ok(()) => Duration::MAX,
            Err(error) => {
                // What failed may have been kept as done all the same: the store knows.
                done = None;
                tracing::warn!(error = &error as &dyn std::error::Error, "an incident could not be acted on");
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

/// Acts on all incidents that there are. `done`: up to which position that was done, once it is known.
async fn act(parts: &Parts, done: &mut Option<Position>, stop: &CancellationToken) -> Result<(), HealthError> {
    loop {
        let after = match *done {
            Some(after) => after,
            None => parts.catalog.incidents_done(parts.projection.projected()).await?,
        };
        *done = Some(after);
        let incidents = incidents_after(parts, after).await?;
        if incidents.is_empty() {
            return Ok(());
        }
        for told in incidents {
            if stop.is_cancelled() {
                return Ok(());
            }
            let Incident { position, kind, .. } = told.incident;
            let acted = parts.catalog.act_on(Arc::clone(&parts.journal), told).await?;
            *done = Some(position);
            count(&parts.metrics, acted, kind);
        }
    }
}

fn count(metrics: &Metrics, acted: Acted, kind: IncidentKind) {
    match (acted, kind) {
        (Acted::TurnedOff, IncidentKind::FailureRate) => drop(metrics.health.turned_off(TurnOff::FailureRate).inc()),
        (Acted::TurnedOff, _) => drop(metrics.health.turned_off(TurnOff::FailuresInARow).inc()),
        (Acted::Warned, _) => drop(metrics.health.warnings.inc()),
        (Acted::PassedOver, _) => {}
    }
}

async fn incidents_after(parts: &Parts, done: Position) -> Result<Vec<Told>, HealthError> {
    let projection = Arc::clone(&parts.projection);
    let read = tokio::task::spawn_blocking(move || {
        let incidents = projection.incidents_after(done, AT_ONCE)?.into_iter();
        incidents.map(|incident| told(&projection, incident)).collect()
    });
    read.await.unwrap_or(Err(HealthError::Interrupted))
}

fn told(projection: &Projection, incident: Incident) -> Result<Told, HealthError> {
    let stands = projection.health(incident.webhook)?.stands(incident.kind);
    let answers = projection.last_failures(incident.webhook, ANSWERS)?;
    Ok(Told { answers, stands, incident })
}
