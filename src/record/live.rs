//! What is new of a webhook's deliveries, for those who look on: a short look at the newest rows each time, however much
//! has happened meanwhile.

use super::deliveries::filter;
use super::view::{DeliveryQuery, Newer};
use super::{RecordError, Records};
use crate::limits::LIVE_COUNTED;
use crate::model::{DeliveryId, Position};
use crate::store::projection::{Listed, RowFilter};

impl Records {
    /// What has come since `seen`, at most as many rows as the query asks for, and how `watched` stand. Without `seen`:
    /// the newest rows, of which none was skipped.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn newer(
        &self,
        query: &DeliveryQuery,
        seen: Option<Position>,
        watched: &[DeliveryId],
    ) -> Result<Newer, RecordError> {
        let mut newer = match seen {
            None => self.newest(query)?,
            Some(seen) => self.since(query, seen)?,
        };
        for id in watched {
            newer.watched.extend(self.summary(query.subscription, *id)?);
        }
        Ok(newer)
    }

    fn newest(&self, query: &DeliveryQuery) -> Result<Newer, RecordError> {
        let lines = self.projection.list(&filter(query)?)?.lines;
        let seen = lines.first().map_or(Position::ZERO, Listed::place);
        let rows = self.summaries(query, &lines)?;
        Ok(Newer { rows, skipped: 0, is_complete: true, watched: Vec::new(), seen })
    }

    fn since(&self, query: &DeliveryQuery, seen: Position) -> Result<Newer, RecordError> {
        let nothing = Newer { rows: Vec::new(), skipped: 0, is_complete: true, watched: Vec::new(), seen };
        // Mostly there is nothing: that is seen by the newest row alone.
        let first = self.projection.list(&RowFilter { limit: 1, ..filter(query)? })?;
        if first.lines.first().is_none_or(|line| line.place() <= seen) {
            return Ok(nothing);
        }
        let page = self.projection.list(&RowFilter { limit: LIVE_COUNTED, ..filter(query)? })?;
        let reaches_back = page.next.is_none_or(|next| next <= seen);
        let mut lines = page.lines;
        let is_complete = reaches_back || lines.last().is_none_or(|line| line.place() <= seen);
        lines.retain(|line| line.place() > seen);
        let skipped = lines.len().saturating_sub(query.limit);
        lines.truncate(query.limit);
        let seen = lines.first().map_or(seen, Listed::place);
        Ok(Newer { rows: self.summaries(query, &lines)?, skipped: skipped as u64, is_complete, seen, ..nothing })
    }
}
