//! What was said of failing webhooks: that their owners were warned, and that they were turned off.

use super::{Error, Projection, int, position};
use crate::model::{IncidentKind, Notice, Position, SubscriptionId, UnixMs, WebhookId};
use crate::store::db::{self, Connection, OptionalExtension, params};

/// Which notices to list, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoticeFilter {
    /// Whose.
    pub subscription: SubscriptionId,
    /// Only of this webhook.
    pub webhook: Option<WebhookId>,
    /// Only warnings, or only those of a turning off.
    pub is_warning: Option<bool>,
    /// Only those at or after this.
    pub from: Option<UnixMs>,
    /// Only those before this.
    pub to: Option<UnixMs>,
    /// Only those that stand before this.
    pub before: Position,
    /// Only those that stand here or behind.
    pub first: Position,
    /// Rows at most.
    pub limit: usize,
}

/// A notice, and where it stands in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptNotice {
    /// Where.
    pub position: Position,
    /// What was said.
    pub notice: Notice,
}

/// Keeps a notice. Of an incident that was said twice, because its webhook was not yet known to be turned off when the
/// process ended, the first place stays and the last words hold: they were written with what was done.
pub(super) fn insert(db: &Connection, position: Position, notice: &Notice) -> db::Result<()> {
    // Plain data: encoding it into memory has no way to fail.
    let bytes = postcard::to_stdvec(notice).unwrap_or_default();
    db.prepare_cached(
        "INSERT INTO notices (position, incident, webhook, subscription, is_warning, at, notice)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (incident) DO UPDATE SET notice = excluded.notice, at = excluded.at",
    )?
    .execute_later(params![
        int(position.0),
        int(notice.incident.0),
        int(notice.webhook.0),
        int(notice.subscription.0),
        notice.kind == IncidentKind::Warning,
        notice.at.0,
        bytes
    ])?;
    Ok(())
}

impl Projection {
    /// Notices, newest first.
    ///
    /// # Errors
    /// [`Error`].
    pub fn notices(&self, filter: &NoticeFilter) -> Result<Vec<KeptNotice>, Error> {
        let sql = "SELECT position, notice FROM notices
                   WHERE subscription = $1 AND position < $2 AND position >= $3 AND (CAST($4 AS BIGINT) IS NULL OR webhook = $4)
                       AND (CAST($5 AS BOOLEAN) IS NULL OR is_warning = $5)
                       AND (CAST($6 AS BIGINT) IS NULL OR at >= $6) AND (CAST($7 AS BIGINT) IS NULL OR at < $7)
                   ORDER BY position DESC LIMIT $8";
        self.read(|db| {
            let mut statement = db.prepare_cached(sql)?;
            let mut rows = statement.query(params![
                int(filter.subscription.0),
                int(filter.before.0),
                int(filter.first.0),
                filter.webhook.map(|webhook| int(webhook.0)),
                filter.is_warning,
                filter.from.map(|at| at.0),
                filter.to.map(|at| at.0),
                int(filter.limit as u64),
            ])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let bytes = row.blob(1)?;
                let notice = postcard::from_bytes(bytes).map_err(|_| Error::Damaged { table: "notices" })?;
                found.push(KeptNotice { position: position(row.get(0)?), notice });
            }
            Ok(found)
        })
    }

    /// The encoded outcome of an attempt that has a row, by where it stands in the journal.
    ///
    /// # Errors
    /// [`Error`].
    pub fn attempt_at(&self, outcome: Position) -> Result<Option<Vec<u8>>, Error> {
        self.read(|db| {
            let mut statement = db.prepare_cached("SELECT outcome FROM attempts WHERE position = $1")?;
            Ok(statement.query_row([int(outcome.0)], |row| row.get(0)).optional()?)
        })
    }
}
