//! Exclusions.

use super::rows::{number, read};
use crate::model::{ExclusionId, ExclusionKind, SubscriptionId, UnixMs};
use crate::store::StoreError;
use crate::store::db::{Connection, params};

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExclusionRow {
    /// Unique in the installation.
    pub id: ExclusionId,
    /// Whose.
    pub subscription: SubscriptionId,
    /// What it looks at.
    pub kind: ExclusionKind,
    /// What it matches; unique with the kind.
    pub pattern: String,
    /// Made when.
    pub created_at: UnixMs,
}

impl ExclusionRow {
    /// Writes a new one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn insert(&self, connection: &Connection) -> Result<(), StoreError> {
        let sql = "INSERT INTO exclusions (id, subscription_id, kind, pattern, created_at) VALUES ($1, $2, $3, $4, $5)";
        let (id, subscription) = (self.id.0 as i64, self.subscription.0 as i64);
        let values = params![id, subscription, self.kind.name(), self.pattern, self.created_at.0];
        connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    /// Deletes one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn delete(connection: &Connection, id: ExclusionId) -> Result<(), StoreError> {
        connection.execute("DELETE FROM exclusions WHERE id = $1", [id.0 as i64])?;
        Ok(())
    }
}

pub(super) fn all(connection: &Connection) -> Result<Vec<ExclusionRow>, StoreError> {
    let sql = "SELECT id, subscription_id, kind, pattern, created_at FROM exclusions ORDER BY created_at, id";
    read(connection, sql, |row| {
        let kind = ExclusionKind::from_name(&row.get::<String>(2)?);
        Ok(ExclusionRow {
            id: ExclusionId(number(row, 0)?),
            subscription: SubscriptionId(number(row, 1)?),
            kind: kind.ok_or(StoreError::Unreadable("exclusions.kind"))?,
            pattern: row.get(3)?,
            created_at: UnixMs(row.get(4)?),
        })
    })
}
