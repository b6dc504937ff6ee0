//! Replays: what was asked for, how far each has come, and what is known of the events that one may send.

use super::{Error, Projection, int, position};
use crate::model::{DeliveryState, Position, Replay, ReplayEnd, ReplayEnded, UnixMs, WebhookId};
use crate::store::db::{self, Connection, OptionalExtension, Row, params};
use std::collections::{HashMap, HashSet};

/// A replay and how far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayRow {
    /// Where its entry stands: its id.
    pub position: Position,
    /// What was asked for.
    pub asked: Replay,
    /// The last event that was sent, or the place before the first.
    pub last_event: Position,
    /// Deliveries made.
    pub sent: u64,
    /// Of these, delivered.
    pub delivered: u64,
    /// Failed for good.
    pub failed: u64,
    /// Not ended: in flight, or waiting for an attempt.
    pub open: u64,
    /// Why and when it ended.
    pub ended: Option<(ReplayEnd, UnixMs)>,
}

/// What became of a webhook's events in a stretch of the journal, as far as it was not a success at once.
#[derive(Debug, Clone, Default)]
pub struct Before {
    /// The deliveries that have a row, by their event.
    pub states: HashMap<Position, DeliveryState>,
    /// Events that were delivered later, because a person asked for it.
    pub delivered_again: HashSet<Position>,
    /// Ranges of events that were never attempted, both ends inclusive.
    pub ranges: Vec<(Position, Position)>,
}

impl ReplayRow {
    /// Deliveries that ended without having been delivered or having failed.
    pub fn cancelled(&self) -> u64 {
        self.sent.saturating_sub(self.delivered + self.failed + self.open)
    }
}

const COLUMNS: &str = "position, asked, last_event, sent, delivered, failed, ended, ended_at, \
    (SELECT COUNT(*) FROM deliveries WHERE replay = replays.position AND next_attempt_at IS NOT NULL)";

impl Projection {
    /// The replays that are not over, oldest first.
    ///
    /// # Errors
    /// [`Error`].
    pub fn open_replays(&self) -> Result<Vec<ReplayRow>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM replays WHERE ended IS NULL ORDER BY position");
        self.read(|db| collect(&mut db.prepare_cached(&sql)?.query(())?))
    }

    /// The replays of a webhook below `before`, newest first.
    ///
    /// # Errors
    /// [`Error`].
    pub fn replays(&self, webhook: WebhookId, before: Position, limit: usize) -> Result<Vec<ReplayRow>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM replays WHERE webhook = $1 AND position < $2 ORDER BY position DESC LIMIT $3"
        );
        let values = [int(webhook.0), int(before.0), int(limit as u64)];
        self.read(|db| collect(&mut db.prepare_cached(&sql)?.query(values)?))
    }

    /// One replay.
    ///
    /// # Errors
    /// [`Error`].
    pub fn replay(&self, at: Position) -> Result<Option<ReplayRow>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM replays WHERE position = $1");
        self.read(|db| db.prepare_cached(&sql)?.query_row([int(at.0)], |row| Ok(read(row))).optional()?.transpose())
    }

    /// The oldest event of which a waiting retry was cancelled when the webhook was switched off at `off`.
    ///
    /// # Errors
    /// [`Error`].
    pub fn first_cancelled(&self, webhook: WebhookId, off: Position) -> Result<Option<Position>, Error> {
        let sql = "SELECT MIN(event) FROM deliveries
                   WHERE webhook = $1 AND state = 'cancelled' AND origin = event AND event < $2
                     AND updated_at >= (SELECT at FROM switches WHERE position = $2)";
        let values = [int(webhook.0), int(off.0)];
        let event: Option<i64> = self.read(|db| Ok(db.prepare_cached(sql)?.query_row(values, |row| row.get(0))?))?;
        Ok(event.map(position))
    }

    /// What became of a webhook's events between two places, both inclusive.
    ///
    /// # Errors
    /// [`Error`].
    pub fn before(&self, webhook: WebhookId, first: Position, last: Position) -> Result<Before, Error> {
        let values = [int(webhook.0), int(first.0), int(last.0)];
        self.read(|db| {
            let snapshot = db.snapshot()?;
            let mut before = Before::default();
            let mut statement = snapshot.prepare_cached(
                "SELECT event, state FROM deliveries WHERE webhook = $1 AND origin BETWEEN $2 AND $3 AND origin = event",
            )?;
            let mut rows = statement.query(values)?;
            while let Some(row) = rows.next()? {
                let state: String = row.get(1)?;
                let state = DeliveryState::from_name(&state).ok_or(Error::Damaged { table: "deliveries" })?;
                before.states.insert(position(row.get(0)?), state);
            }
            let again = "SELECT event FROM deliveries
                         WHERE webhook = $1 AND event BETWEEN $2 AND $3 AND origin <> event AND state = 'delivered'";
            let mut statement = snapshot.prepare_cached(again)?;
            for event in statement.query_map(values, |row| row.get(0))? {
                before.delivered_again.insert(position(event?));
            }
            let mut statement = snapshot.prepare_cached(
                "SELECT first_position, last_position FROM ranges
                 WHERE webhook = $1 AND last_position >= $2 AND first_position <= $3",
            )?;
            for range in statement.query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))? {
                let (first, last) = range?;
                before.ranges.push((position(first), position(last)));
            }
            Ok(before)
        })
    }
}

fn collect(rows: &mut db::Rows<'_>) -> Result<Vec<ReplayRow>, Error> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(&row)?);
    }
    Ok(found)
}

fn read(row: &Row<'_>) -> Result<ReplayRow, Error> {
    const DAMAGED: Error = Error::Damaged { table: "replays" };
    let asked = row.blob(1)?;
    let number = |index| row.get::<i64>(index).map(|number| number as u64);
    let ended: Option<String> = row.get(6)?;
    let ended = match ended {
        Some(name) => Some((ReplayEnd::from_name(&name).ok_or(DAMAGED)?, UnixMs(row.get(7)?))),
        None => None,
    };
    Ok(ReplayRow {
        position: position(row.get(0)?),
        asked: postcard::from_bytes(asked).map_err(|_| DAMAGED)?,
        last_event: position(row.get(2)?),
        sent: number(3)?,
        delivered: number(4)?,
        failed: number(5)?,
        open: number(8)?,
        ended,
    })
}

/// A replay was asked for.
pub(super) fn insert(db: &Connection, at: Position, replay: &Replay) -> db::Result<()> {
    let asked = postcard::to_stdvec(replay).map_err(|error| db::Error::Value(error.to_string()))?;
    db.prepare_cached(
        "INSERT INTO replays (position, webhook, subscription, asked, last_event, sent, delivered, failed)
         VALUES ($1, $2, $3, $4, $5, 0, 0, 0) ON CONFLICT (position) DO NOTHING",
    )?
    .execute_later(params![
        int(at.0),
        int(replay.webhook.0),
        int(replay.subscription.0),
        asked,
        int(replay.first.0.saturating_sub(1)),
    ])?;
    Ok(())
}

/// Whether it has ended.
pub(super) fn is_over(db: &Connection, replay: Position) -> db::Result<bool> {
    let mut statement = db.prepare_cached("SELECT ended IS NOT NULL FROM replays WHERE position = $1")?;
    Ok(statement.query_row([int(replay.0)], |row| row.get(0)).optional()?.unwrap_or(false))
}

/// One of its events is sent.
pub(super) fn note_sent(db: &Connection, replay: Position, event: Position) -> db::Result<()> {
    db.prepare_cached("UPDATE replays SET last_event = $1, sent = sent + 1 WHERE position = $2")?
        .execute_later([int(event.0), int(replay.0)])?;
    Ok(())
}

/// One of its deliveries, by its row, came to this state. Those that are cancelled are what is left.
pub(super) fn note_state(db: &Connection, (replay, delivery): (Position, i64), state: DeliveryState) -> db::Result<()> {
    let sql = match state {
        DeliveryState::Delivered => "UPDATE replays SET delivered = delivered + 1 WHERE position = $1",
        DeliveryState::Failed => "UPDATE replays SET failed = failed + 1 WHERE position = $1",
        // An attempt may end after the replay's end was written and before its lane knows of it: it is not retried.
        DeliveryState::Retrying if is_over(db, replay)? => return cancel(db, delivery),
        DeliveryState::Retrying | DeliveryState::Cancelled | DeliveryState::Expired => return Ok(()),
    };
    db.prepare_cached(sql)?.execute_later([int(replay.0)])?;
    Ok(())
}

fn cancel(db: &Connection, delivery: i64) -> db::Result<()> {
    db.prepare_cached("UPDATE deliveries SET state = $1, next_attempt_at = NULL WHERE listed = $2")?
        .execute_later(params![DeliveryState::Cancelled.name(), delivery])?;
    Ok(())
}

/// A replay is over; what of it waits is cancelled.
pub(super) fn end(db: &Connection, at: Position, ended: &ReplayEnded) -> db::Result<()> {
    db.prepare_cached(
        "UPDATE deliveries SET state = $1, next_attempt_at = NULL, updated_at = $2
         WHERE replay = $3 AND next_attempt_at IS NOT NULL",
    )?
    .execute_later(params![DeliveryState::Cancelled.name(), ended.at.0, int(ended.replay.0)])?;
    db.prepare_cached(
        "UPDATE replays SET ended = $1, ended_at = $2, ended_position = $3 WHERE position = $4 AND ended IS NULL",
    )?
    .execute_later(params![ended.end.name(), ended.at.0, int(at.0), int(ended.replay.0)])?;
    Ok(())
}
