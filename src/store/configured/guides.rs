//! Guides.

use super::rows::{number, read};
use crate::model::{GuideState, SubscriptionId, UnixMs};
use crate::store::StoreError;
use crate::store::db::{Connection, params};

/// A guide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuideRow {
    /// Whose.
    pub subscription: SubscriptionId,
    /// Unique in the subscription.
    pub id: String,
    /// Whether it is shown.
    pub state: GuideState,
    /// Everything else, as JSON.
    pub content: String,
    /// Made when.
    pub created_at: UnixMs,
}

impl GuideRow {
    /// Writes it, new or in place of what it was.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn write(&self, connection: &Connection) -> Result<(), StoreError> {
        let sql = "INSERT INTO guides (subscription_id, id, state, content, created_at) VALUES ($1, $2, $3, $4, $5)
                   ON CONFLICT (subscription_id, id) DO UPDATE SET state = excluded.state, content = excluded.content";
        let subscription = self.subscription.0 as i64;
        let values = params![subscription, self.id, self.state.name(), self.content, self.created_at.0];
        connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }
}

pub(super) fn all(connection: &Connection) -> Result<Vec<GuideRow>, StoreError> {
    let sql = "SELECT subscription_id, id, state, content, created_at FROM guides ORDER BY created_at, id";
    read(connection, sql, |row| {
        let state = GuideState::from_name(&row.get::<String>(2)?);
        Ok(GuideRow {
            subscription: SubscriptionId(number(row, 0)?),
            id: row.get(1)?,
            state: state.ok_or(StoreError::Unreadable("guides.state"))?,
            content: row.get(3)?,
            created_at: UnixMs(row.get(4)?),
        })
    })
}
