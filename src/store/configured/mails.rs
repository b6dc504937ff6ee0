//! The queue of mails.

use super::note_dropped;
use super::rows::number;
use crate::model::{SubscriptionId, UnixMs};
use crate::store::StoreError;
use crate::store::db::{Connection, Params, Row, params};

/// A mail on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailRow {
    /// Unique in the installation; its Message-ID follows from it, so that a mail sent twice shows as one.
    pub id: u64,
    /// In which subscription; `None` of what an older version queued.
    pub subscription: Option<SubscriptionId>,
    /// To whom.
    pub recipient: String,
    /// Its subject, which holds no secret.
    pub subject: String,
    /// Its texts, sealed; `None` once it was sent.
    pub body_sealed: Option<String>,
    /// waiting, sent or failed.
    pub state: MailState,
    /// Attempts so far.
    pub attempts: u32,
    /// Not before then.
    pub next_attempt_at: UnixMs,
    /// Why the last attempt failed; "" when none did.
    pub last_error: String,
    /// Queued when.
    pub created_at: UnixMs,
    /// Changed when.
    pub updated_at: UnixMs,
}

/// What became of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailState {
    /// Will be sent, or sent again.
    Waiting,
    /// A server has taken it.
    Sent,
    /// Given up.
    Failed,
}

impl MailState {
    /// Its name in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }

    fn from_name(name: &str) -> Result<Self, StoreError> {
        let found = [Self::Waiting, Self::Sent, Self::Failed].into_iter().find(|state| state.name() == name);
        found.ok_or(StoreError::Unreadable("mails.state"))
    }
}

const COLUMNS: &str = "id, recipient, subject, body_sealed, state, attempts, next_attempt_at, last_error, created_at, \
                       updated_at, subscription_id";

impl MailRow {
    /// Whether it will be sent, or sent again.
    pub fn is_waiting(&self) -> bool {
        self.state == MailState::Waiting
    }

    /// Queues a new one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn insert(&self, connection: &Connection) -> Result<(), StoreError> {
        let sql = format!("INSERT INTO mails ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)");
        connection.prepare_cached(&sql)?.execute(params![
            self.id as i64,
            self.recipient,
            self.subject,
            self.body_sealed,
            self.state.name(),
            self.attempts,
            self.next_attempt_at.0,
            self.last_error,
            self.created_at.0,
            self.updated_at.0,
            self.subscription.map(|id| id.0 as i64),
        ])?;
        Ok(())
    }

    /// Writes what became of it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn update(&self, connection: &Connection) -> Result<(), StoreError> {
        let sql = "UPDATE mails SET body_sealed = $1, state = $2, attempts = $3, next_attempt_at = $4, \
                   last_error = $5, updated_at = $6 WHERE id = $7";
        let (state, next, at) = (self.state.name(), self.next_attempt_at.0, self.updated_at.0);
        let values = params![self.body_sealed, state, self.attempts, next, self.last_error, at, self.id as i64];
        connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    /// The waiting ones, the next first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn waiting(connection: &Connection, limit: usize) -> Result<Vec<Self>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM mails WHERE state = 'waiting' ORDER BY next_attempt_at, id LIMIT $1");
        Self::read(connection, &sql, params![limit as i64])
    }

    /// How many wait.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn count_waiting(connection: &Connection) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM mails WHERE state = 'waiting'";
        connection.prepare_cached(sql)?.query_row((), |row| Ok(number(row, 0)))?
    }

    /// All of them, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn newest(connection: &Connection, limit: usize) -> Result<Vec<Self>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM mails ORDER BY created_at DESC, id LIMIT $1");
        Self::read(connection, &sql, params![limit as i64])
    }

    /// Those of a subscription, newest first: behind the one that `behind` names by time and id, if it names one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn of_subscription(
        connection: &Connection,
        subscription: SubscriptionId,
        behind: Option<(UnixMs, u64)>,
        limit: usize,
    ) -> Result<Vec<Self>, StoreError> {
        let (at, id) = behind.map_or((i64::MAX, 0), |(at, id)| (at.0, id as i64));
        let sql = format!(
            "SELECT {COLUMNS} FROM mails WHERE subscription_id = $1 AND (created_at < $2 OR created_at = $2 AND id > $3) \
             ORDER BY created_at DESC, id LIMIT $4"
        );
        Self::read(connection, &sql, params![subscription.0 as i64, at, id, limit as i64])
    }

    /// Has one that was not sent yet sent now, as if it were new. Whether there was such a one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn try_again(
        connection: &Connection,
        (subscription, id): (SubscriptionId, u64),
        now: UnixMs,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE mails SET state = 'waiting', attempts = 0, next_attempt_at = $1, updated_at = $1 \
                   WHERE id = $2 AND subscription_id = $3 AND state <> 'sent'";
        Ok(connection.execute(sql, params![now.0, id as i64, subscription.0 as i64])? == 1)
    }

    /// Forgets those that ended before that time, and the oldest beyond `keep`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn prune(connection: &Connection, ended_before: UnixMs, keep: usize) -> Result<(), StoreError> {
        let sql = "DELETE FROM mails WHERE state <> 'waiting' AND updated_at < $1";
        let old = connection.execute(sql, [ended_before.0])?;
        let sql = "DELETE FROM mails WHERE id IN (SELECT id FROM mails ORDER BY created_at DESC, id LIMIT 9223372036854775807 OFFSET $1)";
        let beyond = connection.execute(sql, [keep as i64])?;
        note_dropped(connection, "mails", old + beyond)
    }

    fn read(connection: &Connection, sql: &str, values: impl Params) -> Result<Vec<Self>, StoreError> {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(values)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(Self::of(&row)?);
        }
        Ok(found)
    }

    fn of(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: number(row, 0)?,
            recipient: row.get(1)?,
            subject: row.get(2)?,
            body_sealed: row.get(3)?,
            state: MailState::from_name(&row.get::<String>(4)?)?,
            attempts: row.get(5)?,
            next_attempt_at: UnixMs(row.get(6)?),
            last_error: row.get(7)?,
            created_at: UnixMs(row.get(8)?),
            updated_at: UnixMs(row.get(9)?),
            subscription: row.get::<Option<i64>>(10)?.map(|id| SubscriptionId(id as u64)),
        })
    }
}
