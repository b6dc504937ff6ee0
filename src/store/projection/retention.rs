//! What grows too old or too large is deleted, a few rows at a time.

use super::apply::MINUTE_MS;
use super::{Meta, add_meta, get_meta, guides, int, position, upkeep};
use crate::config::{IntakeSettings, RecordSettings};
use crate::limits;
use crate::model::{Position, UnixMs};
use crate::store::db::{self, Connection, OptionalExtension};
use std::time::Duration;

/// Rows of one table that one sweep deletes at most: some milliseconds of work between two transactions.
const SWEEP_ROWS: i64 = 1000;

/// The bounds that the projection keeps.
#[derive(Debug, Clone)]
pub(super) struct Sweeper {
    max_age: Duration,
    max_bytes: u64,
    item_ttl: Duration,
    item_count: i64,
}

/// The tables that retention deletes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Deliveries that failed, waited or were asked for.
    Deliveries,
    /// Their attempts.
    Attempts,
    /// The index of successes, some hundred a row.
    Successes,
    /// Counts of each webhook and minute.
    Minutes,
    /// Where in the journal each minute begins.
    Marks,
    /// Ranges of events that were cancelled or have expired.
    Ranges,
    /// Who is in which stretch of the journal.
    Stretches,
    /// Incidents of failing webhooks.
    Incidents,
    /// What was said of failing webhooks.
    Notices,
    /// Replays that are over.
    Replays,
    /// Ids of items, some hundred a row.
    Items,
    /// Where events stand that were carried on.
    Carried,
    /// What anonymous visitors have done with guides.
    Guides,
    /// Who anonymous visitors turned out to be.
    Merged,
    /// When webhooks were on, and for what.
    Switches,
    /// How lanes stood, of webhooks that were deleted.
    Lanes,
    /// How webhooks were doing that were deleted.
    Health,
    /// When webhooks that were deleted last succeeded and failed.
    Webhooks,
}

impl Table {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 18] = [
        Self::Deliveries,
        Self::Attempts,
        Self::Successes,
        Self::Minutes,
        Self::Marks,
        Self::Ranges,
        Self::Stretches,
        Self::Incidents,
        Self::Notices,
        Self::Replays,
        Self::Items,
        Self::Carried,
        Self::Guides,
        Self::Merged,
        Self::Switches,
        Self::Lanes,
        Self::Health,
        Self::Webhooks,
    ];

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deliveries => "deliveries",
            Self::Attempts => "attempts",
            Self::Successes => "successes",
            Self::Minutes => "minutes",
            Self::Marks => "marks",
            Self::Ranges => "ranges",
            Self::Stretches => "stretches",
            Self::Incidents => "incidents",
            Self::Notices => "notices",
            Self::Replays => "replays",
            Self::Items => "items",
            Self::Carried => "carried",
            Self::Guides => "guides",
            Self::Merged => "merged",
            Self::Switches => "switches",
            Self::Lanes => "lanes",
            Self::Health => "health",
            Self::Webhooks => "webhooks",
        }
    }
}

/// Rows that were deleted, table by table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped([u64; Table::ALL.len()]);

impl Dropped {
    /// Of this table.
    pub fn of(&self, table: Table) -> u64 {
        self.0[table as usize]
    }

    pub(super) fn add(&mut self, table: Table, rows: usize) {
        self.0[table as usize] += rows as u64;
    }
}

/// What one sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Swept {
    /// Rows that were deleted.
    pub(super) dropped: Dropped,
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
    pub(super) fn sweep(&self, db: &Connection, now: UnixMs, journal_oldest: Position) -> db::Result<Swept> {
        let transaction = db.transaction()?;
        let (is_too_much, old) = (used_bytes(db)? > self.max_bytes, now.before(self.max_age));
        // Beyond the bound of bytes all of it counts as too old, but then only for one round.
        let cutoff = if is_too_much { UnixMs(i64::MAX) } else { old };
        let mut dropped = Dropped::default();
        let is_full = [
            delete_deliveries(db, cutoff, &mut dropped)?,
            delete_successes(db, cutoff, journal_oldest, &mut dropped)?,
            delete_small(db, self.small_cutoff(db, now, is_too_much)?, journal_oldest, &mut dropped)?,
            self.delete_items(db, now, &mut dropped)?,
            delete_anonymous(db, now, journal_oldest, &mut dropped)?,
        ];
        transaction.commit()?;
        upkeep::give_back(db)?;
        let has_dropped = dropped != Dropped::default();
        let more = is_full.contains(&true) || (has_dropped && used_bytes(db)? > self.max_bytes);
        Ok(Swept { dropped, more })
    }

    /// Up to when counts, marks and ranges go: by age, and beyond the bound of bytes with the deliveries that they tell of.
    /// The minute that is still counted stays.
    fn small_cutoff(&self, db: &Connection, now: UnixMs, is_too_much: bool) -> db::Result<UnixMs> {
        let old = now.before(self.max_age);
        if !is_too_much {
            return Ok(old);
        }
        let delivery = "SELECT updated_at FROM deliveries WHERE next_attempt_at IS NULL ORDER BY listed LIMIT 1";
        let success = "SELECT last_at FROM successes ORDER BY first_outcome LIMIT 1";
        let mut oldest = now.0 - MINUTE_MS;
        for sql in [delivery, success] {
            let at: Option<i64> = db.prepare_cached(sql)?.query_row((), |row| row.get(0)).optional()?;
            oldest = at.map_or(oldest, |at| at.min(oldest));
        }
        Ok(UnixMs(oldest).max(old))
    }

    /// Item ids are kept for their time, and never more than their number.
    fn delete_items(&self, db: &Connection, now: UnixMs, dropped: &mut Dropped) -> db::Result<bool> {
        let old = now.before(self.item_ttl);
        let mut excess = get_meta(db, Meta::Items)?.saturating_sub(self.item_count);
        let mut keys = Vec::new();
        let mut ids = 0;
        let mut statement =
            db.prepare_cached("SELECT first_position, last_at, count FROM items ORDER BY first_position LIMIT $1")?;
        let mut rows = statement.query([SWEEP_ROWS])?;
        while let Some(row) = rows.next()? {
            let (key, last_at, count): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if last_at >= old.0 && excess < count {
                break;
            }
            excess -= count;
            ids += count;
            keys.push(key);
        }
        if ids > 0 {
            add_meta(db, Meta::Items, -ids)?;
        }
        dropped.add(Table::Items, delete(db, "DELETE FROM items WHERE first_position = $1", &keys)?);
        Ok(keys.len() as i64 >= SWEEP_ROWS)
    }
}

/// Bytes that the tables and indexes take, without the pages that are free, and without the people: these stay.
pub(super) fn used_bytes(db: &Connection) -> db::Result<u64> {
    Ok(u64::try_from(upkeep::table_bytes(db)? - get_meta(db, Meta::PeopleBytes)?).unwrap_or(0))
}

/// Looks at the oldest rows only and stops at the first that is young enough, so that a sweep that finds nothing
/// costs nothing. A delivery that is retried again and again holds back younger ones by at most its retries' time.
fn delete_deliveries(db: &Connection, cutoff: UnixMs, dropped: &mut Dropped) -> db::Result<bool> {
    let mut keys = Vec::new();
    let mut statement = db.prepare_cached(
        "SELECT listed, updated_at FROM deliveries WHERE next_attempt_at IS NULL ORDER BY listed LIMIT $1",
    )?;
    let mut rows = statement.query([SWEEP_ROWS])?;
    while let Some(row) = rows.next()? {
        if row.get::<i64>(1)? >= cutoff.0 {
            break;
        }
        keys.push(row.get(0)?);
    }
    dropped.add(Table::Attempts, delete(db, "DELETE FROM attempts WHERE delivery = $1", &keys)?);
    dropped.add(Table::Deliveries, delete(db, "DELETE FROM deliveries WHERE listed = $1", &keys)?);
    Ok(keys.len() as i64 >= SWEEP_ROWS)
}

/// A success is read from the journal, so its place in the index goes when the journal's part goes.
fn delete_successes(
    db: &Connection,
    cutoff: UnixMs,
    journal_oldest: Position,
    dropped: &mut Dropped,
) -> db::Result<bool> {
    let mut keys = Vec::new();
    let mut statement = db
        .prepare_cached("SELECT first_outcome, last_outcome, last_at FROM successes ORDER BY first_outcome LIMIT $1")?;
    let mut rows = statement.query([SWEEP_ROWS])?;
    while let Some(row) = rows.next()? {
        let gone = position(row.get(1)?) < journal_oldest;
        if !gone && row.get::<i64>(2)? >= cutoff.0 {
            break;
        }
        keys.push(row.get(0)?);
    }
    dropped.add(Table::Successes, delete(db, "DELETE FROM successes WHERE first_outcome = $1", &keys)?);
    Ok(keys.len() as i64 >= SWEEP_ROWS)
}

/// Counts, marks, ranges and what is over, by age; what stands for parts of the journal, with them.
fn delete_small(db: &Connection, cutoff: UnixMs, journal_oldest: Position, dropped: &mut Dropped) -> db::Result<bool> {
    let (minute, oldest) = (cutoff.0.div_euclid(MINUTE_MS), int(journal_oldest.0));
    let mut is_full = false;
    for (table, before, sql) in [
        (
            Table::Minutes,
            minute,
            "DELETE FROM minutes WHERE (webhook, minute) IN
                 (SELECT webhook, minute FROM minutes WHERE minute < $1 ORDER BY minute LIMIT $2)",
        ),
        (
            Table::Marks,
            minute,
            "DELETE FROM marks WHERE minute IN (SELECT minute FROM marks WHERE minute < $1 ORDER BY minute LIMIT $2)",
        ),
        (
            Table::Ranges,
            cutoff.0,
            "DELETE FROM ranges
             WHERE at < $1 AND position IN (SELECT position FROM ranges ORDER BY position LIMIT $2)",
        ),
        (
            Table::Stretches,
            oldest,
            "DELETE FROM stretches WHERE first_position IN
                 (SELECT first_position FROM stretches WHERE last_position < $1 ORDER BY first_position LIMIT $2)",
        ),
        (
            Table::Incidents,
            cutoff.0,
            "DELETE FROM incidents
             WHERE at < $1 AND position IN (SELECT position FROM incidents ORDER BY position LIMIT $2)",
        ),
        (
            Table::Notices,
            cutoff.0,
            "DELETE FROM notices
             WHERE at < $1 AND position IN (SELECT position FROM notices ORDER BY position LIMIT $2)",
        ),
        (
            Table::Replays,
            cutoff.0,
            "DELETE FROM replays
             WHERE ended_at < $1 AND position IN (SELECT position FROM replays ORDER BY position LIMIT $2)",
        ),
        (
            Table::Carried,
            oldest,
            "DELETE FROM carried WHERE at < $1 AND event IN (SELECT event FROM carried ORDER BY event LIMIT $2)",
        ),
    ] {
        let rows = db.prepare_cached(sql)?.execute([before, SWEEP_ROWS])?;
        dropped.add(table, rows);
        is_full |= rows as i64 >= SWEEP_ROWS;
    }
    Ok(is_full)
}

/// What anonymous visitors have done with guides goes when it is old: most of them never come again. Who they turned out
/// to be is known as long as the journal tells of them.
fn delete_anonymous(db: &Connection, now: UnixMs, journal_oldest: Position, dropped: &mut Dropped) -> db::Result<bool> {
    let old = now.before(limits::ANONYMOUS_GUIDES).0;
    let mut is_full = false;
    for (table, before, sql) in [
        (
            Table::Guides,
            old,
            "DELETE FROM guides WHERE (subscription, visitor_id, guide_id, step_id) IN
                 (SELECT subscription, visitor_id, guide_id, step_id FROM guides
                  WHERE at < $1 AND visitor_id >= '_PENDO_T_' AND visitor_id < '_PENDO_T`' ORDER BY at LIMIT $2)",
        ),
        (
            Table::Merged,
            int(journal_oldest.0),
            "DELETE FROM merged WHERE (subscription, visitor_id, anonymous_id) IN
                 (SELECT subscription, visitor_id, anonymous_id FROM merged WHERE position < $1
                  ORDER BY position LIMIT $2)",
        ),
    ] {
        let rows = db.prepare_cached(sql)?.execute([before, SWEEP_ROWS])?;
        if rows > 0 {
            add_meta(db, Meta::PeopleBytes, -(rows as i64) * guides::ROW_BYTES)?;
        }
        dropped.add(table, rows);
        is_full |= rows as i64 >= SWEEP_ROWS;
    }
    Ok(is_full)
}

/// Deletes by key; how many rows that were.
fn delete(db: &Connection, sql: &str, keys: &[i64]) -> db::Result<usize> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = 0;
    for key in keys {
        rows += statement.execute([key])?;
    }
    Ok(rows)
}
