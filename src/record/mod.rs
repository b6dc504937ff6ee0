//! Deliveries, attempts and events as the API shows them: rows and counts from the projection, bodies and everything
//! of a success from the journal.

mod deliveries;
mod errors;
mod events;
mod explain;
mod figures;
mod live;
mod lookup;
mod notices;
mod people;
mod replays;
pub mod view;

pub use explain::Explained;
pub use replays::Chosen;

use crate::clock::Clock;
use crate::journal::{Journal, ReadError};
use crate::model::{ClosedWhy, DeliveryState, EventId, Position, WebhookId};
use crate::store::projection::{self, Projection, Range};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use view::{RangeSummary, WebhookStats};

/// How far back a webhook's counts go.
const STATS_SPAN: Duration = Duration::from_secs(24 * 3600);

/// Ranges of a webhook that are shown at most.
const RANGES: usize = 100;

/// What is known of deliveries and events. All calls block on short reads of database and journal.
#[derive(Clone)]
pub struct Records {
    projection: Arc<Projection>,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
}

/// Why records cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The cursor is not one that a page has given.
    #[error("the cursor is not one that an earlier page has given")]
    Cursor,
    /// The store fails.
    #[error("the records cannot be read")]
    Store(#[from] projection::Error),
    /// The journal fails.
    #[error("the journal cannot be read")]
    Journal(#[from] ReadError),
    /// A kept attempt cannot be decoded.
    #[error("a kept attempt is damaged")]
    Damaged,
}

impl Records {
    /// Records over this projection and the journal that it follows.
    pub fn new(projection: Arc<Projection>, journal: Arc<dyn Journal>, clock: Arc<dyn Clock>) -> Self {
        Self { projection, journal, clock }
    }

    /// How a webhook is doing. Deliveries that a person asked for are not counted.
    ///
    /// # Errors
    /// [`RecordError::Store`].
    pub fn webhook_stats(&self, webhook: WebhookId) -> Result<WebhookStats, RecordError> {
        let counts = self.projection.counts(webhook, self.clock.now().before(STATS_SPAN))?;
        let health = self.projection.health(webhook)?;
        Ok(WebhookStats {
            last_success_at: counts.last_success_at,
            last_error_at: counts.last_error_at,
            delivered_24h: counts.delivered,
            failed_24h: counts.failed,
            waiting_retries: counts.waiting,
            failures_in_a_row: health.failures_in_a_row,
            failing_since: health.failing_since,
            warned: health.warned,
        })
    }

    /// Tells that something new is on record. A hint: what it is, the records say.
    pub fn changes(&self) -> watch::Receiver<Position> {
        self.projection.projected_changes()
    }

    /// The newest ranges of a webhook's events that ended without an attempt, newest first.
    ///
    /// # Errors
    /// [`RecordError::Store`].
    pub fn ranges(&self, webhook: WebhookId) -> Result<Vec<RangeSummary>, RecordError> {
        Ok(self.projection.ranges(webhook, RANGES)?.into_iter().map(summary).collect())
    }
}

impl Records {
    /// Where a page begins that is put together from several reads: all of them see what stands before it, so that nothing
    /// is passed over which was written between two of them.
    fn page_start(&self, cursor: Option<&str>) -> Result<Position, RecordError> {
        let projected = self.projection.projected();
        Ok(place(cursor)?.min(Position(projected.0 + 1)))
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("projection", &self.projection).finish_non_exhaustive()
    }
}

fn summary(range: Range) -> RangeSummary {
    let status = match range.why {
        ClosedWhy::Cancelled => DeliveryState::Cancelled,
        ClosedWhy::Expired => DeliveryState::Expired,
    };
    let Range { events, retries, at, .. } = range;
    RangeSummary { status, from: EventId(range.from), to: EventId(range.to), events, retries, at }
}

/// A page's end, written for people who should not read it: everything before this place comes next.
fn cursor(place: Position) -> String {
    format!("c{:x}", place.0)
}

/// The place where a page begins: below the cursor's, or at the newest.
fn place(cursor: Option<&str>) -> Result<Position, RecordError> {
    let Some(cursor) = cursor else { return Ok(Position(i64::MAX as u64)) };
    let digits = cursor.strip_prefix('c').filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    let place = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).filter(|p| *p <= i64::MAX as u64);
    place.map(Position).ok_or(RecordError::Cursor)
}

#[cfg(test)]
mod tests;
