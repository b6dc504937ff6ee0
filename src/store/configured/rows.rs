//! Subscriptions, apps and keys.

use crate::model::{AppId, KeyId, Platform, SubscriptionId, UnixMs, UserId};
use crate::store::StoreError;
use crate::store::db::{Connection, Row, params};

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionRow {
    /// Its id.
    pub id: SubscriptionId,
    /// Its name.
    pub name: String,
    /// Made when.
    pub created_at: UnixMs,
}

/// A product of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppRow {
    /// Whose.
    pub subscription: SubscriptionId,
    /// Unique within the subscription.
    pub id: AppId,
    /// Its name.
    pub name: String,
    /// What kind of product.
    pub platform: Platform,
    /// Origins from which its agent may send.
    pub origins: Vec<String>,
    /// Whether nothing is taken from browsers that ask not to be tracked.
    pub respects_do_not_track: bool,
    /// Public.
    pub agent_key: String,
    /// The agent key before it, and until when it opens.
    pub old_agent_key: Option<(String, UnixMs)>,
    /// SHA-256.
    pub track_secret_hash: [u8; 32],
    /// The hash of the track secret before it, and until when that opens.
    pub old_track_secret: Option<([u8; 32], UnixMs)>,
    /// Made when.
    pub created_at: UnixMs,
}

/// An integration key, without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Unique in the installation.
    pub id: KeyId,
    /// Whose.
    pub subscription: SubscriptionId,
    /// For people.
    pub name: String,
    /// "admin" or "member".
    pub role: String,
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    /// The user who made it.
    pub made_by: Option<UserId>,
    /// Made when.
    pub created_at: UnixMs,
    /// From when on it opens nothing; `None`: never.
    pub expires_at: Option<UnixMs>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<UnixMs>,
}

impl SubscriptionRow {
    /// Writes a new one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn insert(&self, connection: &Connection) -> Result<(), StoreError> {
        let sql = "INSERT INTO subscriptions (id, name, created_at) VALUES ($1, $2, $3)";
        connection.execute(sql, params![self.id.0 as i64, self.name, self.created_at.0])?;
        Ok(())
    }
}

impl AppRow {
    /// Writes a new one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn insert(&self, connection: &Connection) -> Result<(), StoreError> {
        let sql = "INSERT INTO apps (subscription_id, id, name, platform, origins, agent_key, track_secret_hash, \
                   created_at, respects_do_not_track) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let origins = serde_json::Value::from(self.origins.clone()).to_string();
        let hash = hex::encode(self.track_secret_hash);
        let (subscription, platform) = (self.subscription.0 as i64, self.platform.name());
        let at = self.created_at.0;
        let dnt = self.respects_do_not_track;
        connection.execute(
            sql,
            params![subscription, self.id.0, self.name, platform, origins, self.agent_key, hash, at, dnt],
        )?;
        Ok(())
    }

    /// Writes everything that can change.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn update(&self, connection: &Connection) -> Result<(), StoreError> {
        let sql = "UPDATE apps SET name = $1, platform = $2, origins = $3, agent_key = $4, old_agent_key = $5, \
                   old_agent_key_until = $6, track_secret_hash = $7, old_track_secret_hash = $8, \
                   old_track_secret_until = $9, respects_do_not_track = $10 \
                   WHERE subscription_id = $11 AND id = $12";
        let old_key = self.old_agent_key.as_ref();
        let old_secret = self.old_track_secret.as_ref();
        connection.execute(
            sql,
            params![
                self.name,
                self.platform.name(),
                serde_json::Value::from(self.origins.clone()).to_string(),
                self.agent_key,
                old_key.map(|(key, _)| key),
                old_key.map(|(_, until)| until.0),
                hex::encode(self.track_secret_hash),
                old_secret.map(|(hash, _)| hex::encode(hash)),
                old_secret.map(|(_, until)| until.0),
                self.respects_do_not_track,
                self.subscription.0 as i64,
                self.id.0,
            ],
        )?;
        Ok(())
    }
}

impl KeyRow {
    /// Writes a new one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn insert(&self, connection: &Connection) -> Result<(), StoreError> {
        let sql = "INSERT INTO integration_keys (id, subscription_id, name, role, hash, made_by, created_at, \
                   expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let (id, subscription) = (self.id.0 as i64, self.subscription.0 as i64);
        let (hash, made_by) = (hex::encode(self.hash), self.made_by.map(|id| id.0 as i64));
        let (at, expires) = (self.created_at.0, self.expires_at.map(|at| at.0));
        connection.execute(sql, params![id, subscription, self.name, self.role, hash, made_by, at, expires])?;
        Ok(())
    }

    /// Deletes one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn delete(connection: &Connection, id: KeyId) -> Result<(), StoreError> {
        connection.execute("DELETE FROM integration_keys WHERE id = $1", [id.0 as i64])?;
        Ok(())
    }

    /// Notes when one was last used.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn used(connection: &Connection, id: KeyId, at: UnixMs) -> Result<(), StoreError> {
        let sql = "UPDATE integration_keys SET last_used_at = $1 WHERE id = $2";
        connection.prepare_cached(sql)?.execute(params![at.0, id.0 as i64])?;
        Ok(())
    }
}

pub(super) fn subscriptions(connection: &Connection) -> Result<Vec<SubscriptionRow>, StoreError> {
    read(connection, "SELECT id, name, created_at FROM subscriptions ORDER BY id", |row| {
        Ok(SubscriptionRow { id: SubscriptionId(number(row, 0)?), name: row.get(1)?, created_at: UnixMs(row.get(2)?) })
    })
}

pub(super) fn apps(connection: &Connection) -> Result<Vec<AppRow>, StoreError> {
    let sql = "SELECT subscription_id, id, name, platform, origins, agent_key, track_secret_hash, created_at, \
               old_agent_key, old_agent_key_until, old_track_secret_hash, old_track_secret_until, respects_do_not_track \
               FROM apps ORDER BY subscription_id, id";
    read(connection, sql, |row| {
        let old_key: Option<String> = row.get(8)?;
        let old_key_until: Option<i64> = row.get(9)?;
        let old_hash = row.get::<Option<String>>(10)?.map(|text| hash(&text)).transpose()?;
        let old_hash_until: Option<i64> = row.get(11)?;
        Ok(AppRow {
            old_agent_key: old_key.zip(old_key_until.map(UnixMs)),
            old_track_secret: old_hash.zip(old_hash_until.map(UnixMs)),
            subscription: SubscriptionId(number(row, 0)?),
            id: AppId(row.get(1)?),
            name: row.get(2)?,
            platform: platform(&row.get::<String>(3)?)?,
            origins: serde_json::from_str(&row.get::<String>(4)?)
                .map_err(|_| StoreError::Unreadable("apps.origins"))?,
            respects_do_not_track: row.get(12)?,
            agent_key: row.get(5)?,
            track_secret_hash: hash(&row.get::<String>(6)?)?,
            created_at: UnixMs(row.get(7)?),
        })
    })
}

pub(super) fn keys(connection: &Connection) -> Result<Vec<KeyRow>, StoreError> {
    let sql = "SELECT id, subscription_id, name, role, hash, made_by, created_at, expires_at, last_used_at \
               FROM integration_keys ORDER BY id";
    read(connection, sql, |row| {
        Ok(KeyRow {
            id: KeyId(number(row, 0)?),
            subscription: SubscriptionId(number(row, 1)?),
            name: row.get(2)?,
            role: row.get(3)?,
            hash: hash(&row.get::<String>(4)?)?,
            made_by: optional_number(row, 5)?.map(UserId),
            created_at: UnixMs(row.get(6)?),
            expires_at: row.get::<Option<i64>>(7)?.map(UnixMs),
            last_used_at: row.get::<Option<i64>>(8)?.map(UnixMs),
        })
    })
}

/// All rows of a statement without parameters.
pub(super) fn read<T>(
    connection: &Connection,
    sql: &str,
    mut each: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(())?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(each(&row)?);
    }
    Ok(all)
}

/// A number that is never negative.
pub(super) fn number(row: &Row<'_>, column: usize) -> Result<u64, StoreError> {
    u64::try_from(row.get::<i64>(column)?).map_err(|_| StoreError::Unreadable("a number below zero"))
}

pub(super) fn optional_number(row: &Row<'_>, column: usize) -> Result<Option<u64>, StoreError> {
    let value: Option<i64> = row.get(column)?;
    value.map(|n| u64::try_from(n).map_err(|_| StoreError::Unreadable("a number below zero"))).transpose()
}

fn hash(text: &str) -> Result<[u8; 32], StoreError> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| StoreError::Unreadable("a hash"))?;
    Ok(bytes)
}

fn platform(name: &str) -> Result<Platform, StoreError> {
    Platform::from_name(name).ok_or(StoreError::Unreadable("apps.platform"))
}
