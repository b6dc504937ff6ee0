//! What nobody else comes by to clean: rows that are over although nothing new takes their place, and what is known of
//! webhooks that were deleted (docs/operations.md, "Space").

use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::store::StoreError;
use crate::store::projection::{self, Projection};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often.
const EVERY: Duration = Duration::from_secs(3600);

/// What it works on.
pub struct Parts {
    /// What is configured.
    pub catalog: Arc<Catalog>,
    /// What is known.
    pub projection: Arc<Projection>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How long records are kept.
    pub records_max_age: Duration,
}

/// Why it could not be done.
#[derive(Debug, thiserror::Error)]
enum UpkeepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Records(#[from] projection::Error),
}

/// Cleans at once and then every hour, until `stop`.
pub async fn run(parts: Parts, stop: CancellationToken) {
    loop {
        let cleaned = tokio::select! {
            cleaned = clean(&parts) => cleaned,
            () = stop.cancelled() => return,
        };
        if let Err(error) = cleaned {
            tracing::warn!(error = &error as &dyn std::error::Error, "cleaning up failed; the next time is in an hour");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn clean(parts: &Parts) -> Result<(), UpkeepError> {
    parts.catalog.prune().await?;
    let existing: HashSet<_> = parts.catalog.current().webhooks.keys().copied().collect();
    let (projection, old) = (Arc::clone(&parts.projection), parts.clock.now().before(parts.records_max_age));
    let forgotten = tokio::task::spawn_blocking(move || projection.forget_webhooks(existing, old));
    Ok(forgotten.await.unwrap_or_else(|_| Err(projection::Error::Stuck(String::from("it was interrupted"))))?)
}
