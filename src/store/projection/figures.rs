//! What is counted of each webhook, minute by minute.

use super::apply::MINUTE_MS;
use super::{Error, Projection, int};
use crate::model::{OutcomeEntry, Position, UnixMs, Verdict, WebhookId};
use crate::store::db::{self, Connection};

/// Attempts are counted by how long they took: up to the first of these milliseconds, up to the second and so on, and
/// beyond the last. They are as fine as a chart of what is usual needs.
pub const TOOK_BOUNDS_MS: [u32; 11] = [2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10000];

/// One count more than bounds.
pub const TOOK_COUNTS: usize = TOOK_BOUNDS_MS.len() + 1;

/// What a stretch of time adds up to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Deliveries that succeeded.
    pub delivered: u64,
    /// Deliveries that failed for good.
    pub failed: u64,
    /// Attempts.
    pub attempts: u64,
    /// Attempts that failed.
    pub failed_attempts: u64,
    /// Attempts by how long they took ([`TOOK_BOUNDS_MS`]).
    pub took: [u64; TOOK_COUNTS],
    /// The longest that an event had waited for its first attempt, in full minutes: it was at least so long.
    pub waited_min: u64,
}

/// What is added up for one minute of one webhook.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Minute {
    figures: Figures,
    total_us: u64,
    last_position: Position,
}

impl Minute {
    pub(super) fn add(&mut self, position: Position, outcome: &OutcomeEntry<'_>, waited_min: u64) {
        let delivered = outcome.verdict == Verdict::Delivered;
        let figures = &mut self.figures;
        figures.delivered += u64::from(delivered);
        figures.failed += u64::from(outcome.verdict == Verdict::Failed);
        figures.attempts += 1;
        figures.failed_attempts += u64::from(!delivered);
        figures.took[TOOK_BOUNDS_MS.partition_point(|bound| bound * 1000 < outcome.timings.total_us)] += 1;
        figures.waited_min = figures.waited_min.max(waited_min);
        self.total_us += u64::from(outcome.timings.total_us);
        self.last_position = position;
    }

    pub(super) fn write(&self, db: &Connection, webhook: WebhookId, minute: i64) -> db::Result<()> {
        let Figures { delivered, failed, attempts, failed_attempts, took, waited_min } = self.figures;
        let first = [delivered, failed, attempts, failed_attempts, self.total_us, self.last_position.0].map(int);
        let values = [int(webhook.0), minute].into_iter().chain(first);
        let values = values.chain(took.into_iter().map(int)).chain([int(waited_min)]).collect::<Vec<_>>();
        db.prepare_cached(WRITE)?.execute_later(db::values(&values))?;
        Ok(())
    }
}

const WRITE: &str = "
    INSERT INTO minutes (webhook, minute, delivered, failed, attempts, failed_attempts, total_us, last_position,
             took_0, took_1, took_2, took_3, took_4, took_5,
             took_6, took_7, took_8, took_9, took_10, took_11, waited_max)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8,
             $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
         ON CONFLICT (webhook, minute) DO UPDATE SET delivered = minutes.delivered + excluded.delivered,
             failed = minutes.failed + excluded.failed, attempts = minutes.attempts + excluded.attempts,
             failed_attempts = minutes.failed_attempts + excluded.failed_attempts,
             total_us = minutes.total_us + excluded.total_us, last_position = excluded.last_position,
             took_0 = minutes.took_0 + excluded.took_0, took_1 = minutes.took_1 + excluded.took_1, took_2 = minutes.took_2 + excluded.took_2,
             took_3 = minutes.took_3 + excluded.took_3, took_4 = minutes.took_4 + excluded.took_4, took_5 = minutes.took_5 + excluded.took_5,
             took_6 = minutes.took_6 + excluded.took_6, took_7 = minutes.took_7 + excluded.took_7, took_8 = minutes.took_8 + excluded.took_8,
             took_9 = minutes.took_9 + excluded.took_9, took_10 = minutes.took_10 + excluded.took_10, took_11 = minutes.took_11 + excluded.took_11,
             waited_max = CASE WHEN minutes.waited_max > excluded.waited_max
                 THEN minutes.waited_max ELSE excluded.waited_max END";

/// How many minutes lie between the minute in which an event was accepted and that of its first attempt, without the
/// one that may have begun just between them.
pub(super) fn waited_min(accepted_minute: i64, started_at: UnixMs) -> u64 {
    u64::try_from(started_at.0.div_euclid(MINUTE_MS) - accepted_minute - 1).unwrap_or(0)
}

impl Projection {
    /// What a webhook's minutes from that of `from` until that of `to` add up to, in steps of so many minutes that are
    /// counted from 1970 on. Steps without an attempt are left out.
    ///
    /// # Errors
    /// [`Error`].
    pub fn figures(
        &self,
        webhook: WebhookId,
        (from, to): (UnixMs, UnixMs),
        step_min: i64,
    ) -> Result<Vec<(UnixMs, Figures)>, Error> {
        let minute = |at: UnixMs| at.0.div_euclid(MINUTE_MS);
        let sql = "SELECT minute - minute % $1, SUM(delivered), SUM(failed), SUM(attempts), SUM(failed_attempts),
                       SUM(took_0), SUM(took_1), SUM(took_2), SUM(took_3),
                       SUM(took_4), SUM(took_5), SUM(took_6), SUM(took_7),
                       SUM(took_8), SUM(took_9), SUM(took_10), SUM(took_11),
                       MAX(waited_max)
                   FROM minutes WHERE webhook = $2 AND minute >= $3 AND minute < $4
                   GROUP BY minute - minute % $1 ORDER BY 1";
        self.read(|db| {
            let mut statement = db.prepare_cached(sql)?;
            let rows = statement.query_map([step_min, int(webhook.0), minute(from), minute(to)], |row| {
                let number = |index| row.get::<i64>(index).map(|number| number as u64);
                let mut took = [0; TOOK_COUNTS];
                for (index, count) in took.iter_mut().enumerate() {
                    *count = number(5 + index)?;
                }
                let figures = Figures {
                    delivered: number(1)?,
                    failed: number(2)?,
                    attempts: number(3)?,
                    failed_attempts: number(4)?,
                    took,
                    waited_min: number(5 + TOOK_COUNTS)?,
                };
                Ok((UnixMs(row.get::<i64>(0)? * MINUTE_MS), figures))
            })?;
            Ok(rows.collect::<db::Result<_>>()?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_waited_for_the_full_minutes_between() {
        let at = |minute: i64, second: i64| UnixMs(minute * MINUTE_MS + second * 1000);
        // The same minute, and the border of one: nobody knows of more than a moment.
        assert_eq!((waited_min(100, at(100, 59)), waited_min(100, at(101, 0))), (0, 0));
        assert_eq!((waited_min(100, at(102, 0)), waited_min(100, at(115, 30))), (1, 14));
        // A clock that was set back.
        assert_eq!(waited_min(100, at(90, 0)), 0);
    }
}
