//! What grows too old or too large is deleted, a few rows at a time.

use super::apply::MINUTE_MS;
use super::{Meta, add_meta, get_meta, int, position};
use crate::config::{IntakeSettings, RecordSettings};
use crate::model::{Position, UnixMs};
use rusqlite::{Connection, params};
use std::time::Duration;

/// Rows of one table that one sweep deletes at most: some milliseconds of work between two transactions.
const SWEEP_ROWS: i64 = 1000;

/// Free pages that are given back to the file system at a time.
const VACUUM_PAGES: i64 = 2000;

/// The bounds that the projection keeps.
#[derive(Debug, Clone)]
pub(super) struct Sweeper {
    max_age: Duration,
    max_bytes: u64,
    item_ttl: Duration,
    item_count: i64,
}

/// What one sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Swept {
    /// Deliveries and rows of successes that were deleted.
    pub(super) rows: u64,
    /// More is waiting to be deleted.
    pub(super) more: bool,
}

impl Sweeper {
    pub(super) fn new(records: &RecordSettings, intake: &IntakeSettings) -> Self {
        Self {
            max_age: records.max_age,
            max_bytes: records.max_bytes,
            item_ttl: intake.item_id_ttl,
            item_count: i64::try_from(intake.item_id_count).unwrap_or(i64::MAX),
        }
    }

    /// Deletes what is too old, in one transaction of its own; what is too much, oldest first. Waiting retries stay.
    pub(super) fn sweep(&self, db: &Connection, now: UnixMs, journal_oldest: Position) -> rusqlite::Result<Swept> {
        let transaction = db.unchecked_transaction()?;
        let cutoff = if used_bytes(db)? > self.max_bytes { UnixMs(i64::MAX) } else { now.before(self.max_age) };
        let deliveries = delete_deliveries(db, cutoff)?;
        let successes = delete_successes(db, cutoff, journal_oldest)?;
        // Beyond the bound of bytes all of it counts as too old, but then only for one round.
        let small = delete_small(db, now.before(self.max_age), journal_oldest)?;
        let items = self.delete_items(db, now)?;
        let rows = (deliveries + successes) as u64;
        if rows > 0 {
            add_meta(db, Meta::Dropped, int(rows))?;
        }
        transaction.commit()?;
        give_back(db)?;
        let more = [deliveries, successes, small, items].into_iter().any(|rows| rows as i64 >= SWEEP_ROWS)
            || (rows > 0 && used_bytes(db)? > self.max_bytes);
        Ok(Swept { rows, more })
    }

    /// Item ids are kept for their time, and never more than their number.
    fn delete_items(&self, db: &Connection, now: UnixMs) -> rusqlite::Result<usize> {
        let old = now.before(self.item_ttl);
        let mut excess = get_meta(db, Meta::Items)?.saturating_sub(self.item_count);
        let mut keys = Vec::new();
        let mut deleted = 0;
        let mut statement =
            db.prepare_cached("SELECT first_position, last_at, count FROM items ORDER BY first_position LIMIT $1")?;
        let mut rows = statement.query([SWEEP_ROWS])?;
        while let Some(row) = rows.next()? {
            let (key, last_at, count): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if last_at >= old.0 && excess < count {
                break;
            }
            excess -= count;
            deleted += count;
            keys.push(key);
        }
        if deleted > 0 {
            add_meta(db, Meta::Items, -deleted)?;
        }
        delete(db, "DELETE FROM items WHERE first_position = $1", &keys)
    }
}

/// Bytes that the tables and indexes take, without the pages that are free, and without the people: these stay.
pub(super) fn used_bytes(db: &Connection) -> rusqlite::Result<u64> {
    let pragma = |sql: &str| db.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0));
    let pages = pragma("PRAGMA page_count")? - pragma("PRAGMA freelist_count")?;
    Ok(u64::try_from(pages * pragma("PRAGMA page_size")? - get_meta(db, Meta::PeopleBytes)?).unwrap_or(0))
}

/// Looks at the oldest rows only and stops at the first that is young enough, so that a sweep that finds nothing
/// costs nothing. A delivery that is retried again and again holds back younger ones by at most its retries' time.
fn delete_deliveries(db: &Connection, cutoff: UnixMs) -> rusqlite::Result<usize> {
    let mut keys = Vec::new();
    let mut statement = db.prepare_cached(
        "SELECT listed, updated_at FROM deliveries WHERE next_attempt_at IS NULL ORDER BY listed LIMIT $1",
    )?;
    let mut rows = statement.query([SWEEP_ROWS])?;
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(1)? >= cutoff.0 {
            break;
        }
        keys.push(row.get(0)?);
    }
    delete(db, "DELETE FROM attempts WHERE delivery = $1", &keys)?;
    delete(db, "DELETE FROM deliveries WHERE listed = $1", &keys)
}

/// A success is read from the journal, so its place in the index goes when the journal's part goes.
fn delete_successes(db: &Connection, cutoff: UnixMs, journal_oldest: Position) -> rusqlite::Result<usize> {
    let mut keys = Vec::new();
    let mut statement = db
        .prepare_cached("SELECT first_outcome, last_outcome, last_at FROM successes ORDER BY first_outcome LIMIT $1")?;
    let mut rows = statement.query([SWEEP_ROWS])?;
    while let Some(row) = rows.next()? {
        let gone = position(row.get(1)?) < journal_oldest;
        if !gone && row.get::<_, i64>(2)? >= cutoff.0 {
            break;
        }
        keys.push(row.get(0)?);
    }
    delete(db, "DELETE FROM successes WHERE first_outcome = $1", &keys)
}

/// Counts, marks and ranges go by age only, and stretches with the journal: they are small.
fn delete_small(db: &Connection, cutoff: UnixMs, journal_oldest: Position) -> rusqlite::Result<usize> {
    let minute = cutoff.0.div_euclid(MINUTE_MS);
    let minutes = db
        .prepare_cached(
            "DELETE FROM minutes WHERE (webhook, minute) IN
                 (SELECT webhook, minute FROM minutes WHERE minute < $1 ORDER BY minute LIMIT $2)",
        )?
        .execute(params![minute, SWEEP_ROWS])?;
    let marks = db
        .prepare_cached(
            "DELETE FROM marks WHERE minute IN (SELECT minute FROM marks WHERE minute < $1 ORDER BY minute LIMIT $2)",
        )?
        .execute(params![minute, SWEEP_ROWS])?;
    let ranges = db
        .prepare_cached(
            "DELETE FROM ranges WHERE at < $1 AND position IN (SELECT position FROM ranges ORDER BY position LIMIT $2)",
        )?
        .execute(params![cutoff.0, SWEEP_ROWS])?;
    let stretches = db
        .prepare_cached(
            "DELETE FROM stretches WHERE first_position IN
                 (SELECT first_position FROM stretches WHERE last_position < $1 ORDER BY first_position LIMIT $2)",
        )?
        .execute([int(journal_oldest.0), SWEEP_ROWS])?;
    let incidents = db
        .prepare_cached(
            "DELETE FROM incidents
             WHERE at < $1 AND position IN (SELECT position FROM incidents ORDER BY position LIMIT $2)",
        )?
        .execute(params![cutoff.0, SWEEP_ROWS])?;
    let replays = db
        .prepare_cached(
            "DELETE FROM replays WHERE ended_at < $1 AND position IN (SELECT position FROM replays ORDER BY position LIMIT $2)",
        )?
        .execute(params![cutoff.0, SWEEP_ROWS])?;
    Ok(minutes.max(marks).max(ranges).max(stretches).max(incidents).max(replays))
}

fn delete(db: &Connection, sql: &str, keys: &[i64]) -> rusqlite::Result<usize> {
    let mut statement = db.prepare_cached(sql)?;
    for key in keys {
        statement.execute([key])?;
    }
    Ok(keys.len())
}

/// Makes the file smaller by some of its free pages; a few are left for what comes next.
fn give_back(db: &Connection) -> rusqlite::Result<()> {
    let free: i64 = db.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
    if free > VACUUM_PAGES {
        let mut statement = db.prepare(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(())
}
