//! Deriving again what the retained journal can derive.

use super::{Error, Meta, Projection, add_meta, int, open_writer, set_meta};
use crate::clock::Clock;
use crate::config::{IntakeSettings, RecordSettings};
use crate::journal::Journal;
use crate::model::Position;
use crate::store::Place;
use crate::store::db::{self, Connection};
use std::sync::Arc;

impl Projection {
    /// Deletes what the journal still tells, then tells it again; returns when that is done. Who was seen, and rows of
    /// what is older than the journal, stay: nothing else remembers them. The minute at which the journal begins loses
    /// the counts of its older part.
    ///
    /// Nothing else may have the database open for writing. When it is interrupted, the next start goes on with it.
    ///
    /// # Errors
    /// [`Error`].
    pub fn rebuild(
        place: &Place,
        journal: Arc<dyn Journal>,
        records: &RecordSettings,
        intake: &IntakeSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let db = open_writer(place)?;
        let durable = *journal.durable().borrow();
        clear(&db, journal.oldest(), durable)?;
        drop(db);
        let projection = Self::open(place, journal, records, intake, clock)?;
        projection.catch_up()?;
        Ok(projection)
    }
}

/// Takes the tables back to where the journal begins, position included, in one transaction.
fn clear(db: &Connection, oldest: Position, durable: Position) -> db::Result<()> {
    let transaction = db.transaction()?;
    let from = int(oldest.0);
    let items: i64 =
        db.query_row("SELECT COALESCE(SUM(count), 0) FROM items WHERE first_position >= $1", [from], |row| row.get(0))?;
    if items > 0 {
        add_meta(db, Meta::Items, -items)?;
    }
    // Of a replay that was asked for before the journal begins, what the journal tells is counted anew.
    db.execute(
        "UPDATE replays SET sent = replays.sent - again.sent, delivered = replays.delivered - again.delivered,
             failed = replays.failed - again.failed
         FROM (SELECT replay, COUNT(*) AS sent, SUM(CASE WHEN state = 'delivered' THEN 1 ELSE 0 END) AS delivered,
                   SUM(CASE WHEN state = 'failed' THEN 1 ELSE 0 END) AS failed
               FROM deliveries WHERE listed >= $1 AND replay IS NOT NULL GROUP BY replay) AS again
         WHERE again.replay = replays.position AND replays.position < $1",
        [from],
    )?;
    db.execute(
        "UPDATE replays SET ended = NULL, ended_at = NULL, ended_position = NULL WHERE ended_position >= $1",
        [from],
    )?;
    for sql in [
        "DELETE FROM items WHERE first_position >= $1",
        "DELETE FROM held WHERE position >= $1",
        "DELETE FROM attempts WHERE position >= $1",
        "DELETE FROM attempts WHERE delivery >= $1",
        "DELETE FROM deliveries WHERE listed >= $1",
        "DELETE FROM successes WHERE last_outcome >= $1",
        "DELETE FROM minutes WHERE last_position >= $1",
        "DELETE FROM marks WHERE position >= $1",
        "DELETE FROM switches WHERE position >= $1",
        "DELETE FROM ranges WHERE position >= $1",
        "DELETE FROM stretches WHERE last_position >= $1",
        "DELETE FROM incidents WHERE position >= $1",
        "DELETE FROM notices WHERE position >= $1",
        "DELETE FROM replays WHERE position >= $1",
        "DELETE FROM carried WHERE at >= $1",
    ] {
        db.execute(sql, [from])?;
    }
    // Counted anew from where the journal begins.
    db.execute_batch("DELETE FROM health;")?;
    if oldest <= Position(1) {
        // The journal is whole, so it tells of every lane and every webhook.
        db.execute_batch("DELETE FROM lanes; DELETE FROM webhooks;")?;
    }
    // A journal that has lost its end is adopted as it is.
    let position = Position(oldest.0.saturating_sub(1)).min(durable);
    db.execute("DELETE FROM meta WHERE name = $1", [Meta::Position.name()])?;
    if position > Position::ZERO {
        set_meta(db, Meta::Position, int(position.0))?;
    }
    transaction.commit()
}
