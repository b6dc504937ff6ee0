//! The sparse index of first-attempt successes: a row for up to [`ROW_SUCCESSES`] of them per webhook.
//!
//! The newest row of a webhook is open: every transaction writes it again with what has been added, so that the rows
//! and the position that they belong to are always of one transaction, and nothing waits in memory for a full row.

use super::codec::{Success, push_success, successes};
use super::int;
use crate::model::{Position, UnixMs, WebhookId};
use crate::store::db::{self, Connection, OptionalExtension, Row, params};
use std::collections::HashMap;
use std::time::Duration;

/// Successes of a row. More make reading one cost more, fewer make more rows: at 256 a row has about 1 KB.
pub(super) const ROW_SUCCESSES: usize = 256;

/// Longest time that a row spans, so that retention by age is late by at most this.
const ROW_SPAN: Duration = Duration::from_secs(24 * 3600);

/// Open rows that are kept in memory after a transaction, of at most 2 KB each; others are read again when their
/// webhook goes on, which makes a success of such a webhook cost twice as much.
const OPEN_ROWS: usize = 16 * 1024;

/// The open rows of all webhooks.
#[derive(Debug, Default)]
pub(super) struct SuccessIndex {
    open: HashMap<WebhookId, OpenRow>,
    dirty: Vec<WebhookId>,
}

#[derive(Debug)]
struct OpenRow {
    first: Position,
    last: Success,
    min_event: Position,
    max_event: Position,
    first_at: UnixMs,
    last_at: UnixMs,
    count: usize,
    blob: Vec<u8>,
    dirty: bool,
}

impl SuccessIndex {
    /// Adds a success of `webhook` that ended at `at`.
    pub(super) fn add(&mut self, db: &Connection, webhook: WebhookId, success: Success, at: UnixMs) -> db::Result<()> {
        if !self.open.contains_key(&webhook)
            && let Some(row) = newest_row(db, webhook)?
        {
            self.open.insert(webhook, row);
        }
        match self.open.get_mut(&webhook) {
            Some(row) if row.takes(at) => row.push(success, at),
            Some(row) => {
                if row.dirty {
                    row.write(db, webhook)?;
                }
                *row = OpenRow { dirty: row.dirty, ..OpenRow::of(success, at) };
            }
            None => {
                self.open.insert(webhook, OpenRow::of(success, at));
            }
        }
        if let Some(row) = self.open.get_mut(&webhook)
            && !row.dirty
        {
            row.dirty = true;
            self.dirty.push(webhook);
        }
        Ok(())
    }

    /// Writes every row that has changed.
    pub(super) fn flush(&mut self, db: &Connection) -> db::Result<()> {
        for webhook in &self.dirty {
            if let Some(row) = self.open.get_mut(webhook) {
                row.write(db, *webhook)?;
                row.dirty = false;
            }
        }
        if self.open.len() > OPEN_ROWS {
            let recent: std::collections::HashSet<_> = self.dirty.iter().take(OPEN_ROWS).copied().collect();
            self.open.retain(|webhook, _| recent.contains(webhook));
        }
        self.dirty.clear();
        Ok(())
    }

    /// Forgets what is in memory: after a rollback, and after rows have been deleted.
    pub(super) fn forget(&mut self) {
        self.open.clear();
        self.dirty.clear();
    }
}

impl OpenRow {
    fn of(success: Success, at: UnixMs) -> Self {
        let mut blob = Vec::with_capacity(64);
        push_success(&mut blob, None, success);
        Self {
            first: success.outcome,
            last: success,
            min_event: success.event,
            max_event: success.event,
            first_at: at,
            last_at: at,
            count: 1,
            blob,
            dirty: false,
        }
    }

    fn takes(&self, at: UnixMs) -> bool {
        self.count < ROW_SUCCESSES && at.since(self.first_at) < ROW_SPAN
    }

    fn push(&mut self, success: Success, at: UnixMs) {
        push_success(&mut self.blob, Some(self.last), success);
        self.last = success;
        self.min_event = self.min_event.min(success.event);
        self.max_event = self.max_event.max(success.event);
        self.first_at = self.first_at.min(at);
        self.last_at = self.last_at.max(at);
        self.count += 1;
    }

    fn write(&self, db: &Connection, webhook: WebhookId) -> db::Result<()> {
        db.prepare_cached(
            "INSERT INTO successes (first_outcome, last_outcome, webhook, min_event, max_event, first_at, last_at,
                 count, successes)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (first_outcome) DO UPDATE SET last_outcome = excluded.last_outcome,
                 min_event = excluded.min_event, max_event = excluded.max_event, first_at = excluded.first_at,
                 last_at = excluded.last_at, count = excluded.count, successes = excluded.successes",
        )?
        .execute_later(params![
            int(self.first.0),
            int(self.last.outcome.0),
            int(webhook.0),
            int(self.min_event.0),
            int(self.max_event.0),
            self.first_at.0,
            self.last_at.0,
            int(self.count as u64),
            self.blob,
        ])?;
        Ok(())
    }
}

fn newest_row(db: &Connection, webhook: WebhookId) -> db::Result<Option<OpenRow>> {
    let row = db
        .prepare_cached(
            "SELECT first_outcome, min_event, max_event, first_at, last_at, successes FROM successes
             WHERE webhook = $1 ORDER BY first_outcome DESC LIMIT 1",
        )?
        .query_row([int(webhook.0)], open_row)
        .optional()?;
    Ok(row.flatten())
}

/// A row whose blob is damaged is left as it is, and a new one begun.
fn open_row(row: &Row<'_>) -> db::Result<Option<OpenRow>> {
    let blob: Vec<u8> = row.get(5)?;
    let Some((last, count)) = successes(&blob).and_then(|all| Some((*all.last()?, all.len()))) else {
        return Ok(None);
    };
    Ok(Some(OpenRow {
        first: super::position(row.get(0)?),
        last,
        min_event: super::position(row.get(1)?),
        max_event: super::position(row.get(2)?),
        first_at: UnixMs(row.get(3)?),
        last_at: UnixMs(row.get(4)?),
        count,
        blob,
        dirty: false,
    }))
}
