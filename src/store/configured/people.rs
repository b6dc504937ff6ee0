//! Users, their sessions, and the links that they are sent.

use super::note_dropped;
use super::rows::{number, optional_number, read};
use crate::model::{SubscriptionId, UnixMs, UserId};
use crate::store::StoreError;
use crate::store::db::{Connection, OptionalExtension, Row, params};

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// Unique in the installation.
    pub id: UserId,
    /// A member of what.
    pub subscription: SubscriptionId,
    /// Unique within the subscription, in lower case.
    pub email: String,
    /// For people.
    pub name: String,
    /// "admin" or "member".
    pub role: String,
    /// Whether there is a password, or somebody at the provider: not before the invitation was followed.
    pub can_sign_in: bool,
    /// Who they are at the OpenID Connect provider.
    pub provider_subject: Option<String>,
    /// Whether the second factor is in force.
    pub has_second_factor: bool,
    /// Signed in last when.
    pub last_sign_in_at: Option<UnixMs>,
    /// Removed when.
    pub removed_at: Option<UnixMs>,
    /// Made when.
    pub created_at: UnixMs,
}

/// What a person signs in with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Argon2id, as a PHC string.
    pub password_hash: Option<String>,
    /// The second factor's seed, sealed.
    pub totp_sealed: Option<String>,
    /// A seed that waits for its first code, sealed.
    pub totp_pending_sealed: Option<String>,
    /// The time step of the last code that was taken.
    pub totp_step: Option<u64>,
}

/// A browser that somebody has signed in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// SHA-256 of the token in its cookie, in hex.
    pub hash: String,
    /// Whose.
    pub user: UserId,
    /// Signed in when.
    pub created_at: UnixMs,
    /// Last used when, to the minute.
    pub last_used_at: UnixMs,
    /// Ends when, however much it is used.
    pub expires_at: UnixMs,
    /// Signed in from which IP address.
    pub address: String,
    /// With which browser.
    pub user_agent: String,
}

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// Sets the first password.
    Invitation,
    /// Sets another password.
    PasswordReset,
    /// Proves that the new e-mail address is theirs.
    EmailChange,
}

/// A link that works once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRow {
    /// SHA-256 of its token, in hex.
    pub hash: String,
    /// What it is for.
    pub kind: LinkKind,
    /// Whose.
    pub user: UserId,
    /// The new address, for a change of e-mail.
    pub email: Option<String>,
    /// Made when.
    pub created_at: UnixMs,
    /// Opens until when.
    pub expires_at: UnixMs,
}

impl LinkKind {
    /// Its name in the store, and the path of its page.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invitation => "invitation",
            Self::PasswordReset => "password_reset",
            Self::EmailChange => "email_change",
        }
    }
}

impl UserRow {
    /// Writes a new one, without credentials.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn insert(&self, connection: &Connection) -> Result<(), StoreError> {
        let sql = "INSERT INTO users (id, subscription_id, email, name, role, created_at) \
                   VALUES ($1, $2, $3, $4, $5, $6)";
        let (id, subscription) = (self.id.0 as i64, self.subscription.0 as i64);
        connection.execute(sql, params![id, subscription, self.email, self.name, self.role, self.created_at.0])?;
        Ok(())
    }

    /// Writes what can change of it, credentials excepted.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn update(&self, connection: &Connection) -> Result<(), StoreError> {
        let sql = "UPDATE users SET email = $1, name = $2, role = $3, last_sign_in_at = $4, removed_at = $5, \
                   provider_subject = $6 WHERE id = $7";
        let (signed_in, removed) = (self.last_sign_in_at.map(|at| at.0), self.removed_at.map(|at| at.0));
        let (subject, id) = (&self.provider_subject, self.id.0 as i64);
        connection.execute(sql, params![self.email, self.name, self.role, signed_in, removed, subject, id])?;
        Ok(())
    }
}

impl Credentials {
    /// A user's.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn of(connection: &Connection, user: UserId) -> Result<Self, StoreError> {
        let sql = "SELECT password_hash, totp_sealed, totp_pending_sealed, totp_step FROM users WHERE id = $1";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([user.0 as i64])?;
        let Some(row) = rows.next()? else { return Ok(Self::default()) };
        Ok(Self {
            password_hash: row.get(0)?,
            totp_sealed: row.get(1)?,
            totp_pending_sealed: row.get(2)?,
            totp_step: optional_number(&row, 3)?,
        })
    }

    /// Makes these a user's.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn write(&self, connection: &Connection, user: UserId) -> Result<(), StoreError> {
        let sql = "UPDATE users SET password_hash = $1, totp_sealed = $2, totp_pending_sealed = $3, totp_step = $4 \
                   WHERE id = $5";
        let step = self.totp_step.map(|step| step as i64);
        let (sealed, pending) = (&self.totp_sealed, &self.totp_pending_sealed);
        connection.execute(sql, params![self.password_hash, sealed, pending, step, user.0 as i64])?;
        Ok(())
    }
}

/// Replaces a user's recovery codes by these hashes.
///
/// # Errors
/// [`StoreError`].
pub fn set_recovery_codes(connection: &Connection, user: UserId, hashes: &[String]) -> Result<(), StoreError> {
    connection.execute("DELETE FROM recovery_codes WHERE user_id = $1", [user.0 as i64])?;
    for hash in hashes {
        let sql = "INSERT INTO recovery_codes (user_id, hash) VALUES ($1, $2)";
        connection.prepare_cached(sql)?.execute(params![user.0 as i64, hash])?;
    }
    Ok(())
}

/// Takes a recovery code away; whether there was one with this hash.
///
/// # Errors
/// [`StoreError`].
pub fn use_recovery_code(connection: &Connection, user: UserId, hash: &str) -> Result<bool, StoreError> {
    let sql = "DELETE FROM recovery_codes WHERE user_id = $1 AND hash = $2";
    Ok(connection.execute(sql, params![user.0 as i64, hash])? > 0)
}

/// How many recovery codes a user has left.
///
/// # Errors
/// [`StoreError`].
pub fn recovery_codes(connection: &Connection, user: UserId) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) FROM recovery_codes WHERE user_id = $1";
    connection.query_row(sql, [user.0 as i64], |row| Ok(number(row, 0)))?
}

impl SessionRow {
    /// Writes a new one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn insert(&self, connection: &Connection) -> Result<(), StoreError> {
        let sql = "INSERT INTO sessions (hash, user_id, created_at, last_used_at, expires_at, address, user_agent) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        connection.execute(
            sql,
            params![
                self.hash,
                self.user.0 as i64,
                self.created_at.0,
                self.last_used_at.0,
                self.expires_at.0,
                self.address,
                self.user_agent,
            ],
        )?;
        Ok(())
    }

    /// The one with this hash.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn find(connection: &Connection, hash: &str) -> Result<Option<Self>, StoreError> {
        let sql = "SELECT hash, user_id, created_at, last_used_at, expires_at, address, user_agent \
                   FROM sessions WHERE hash = $1";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([hash])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        Ok(Some(Self {
            hash: row.get(0)?,
            user: UserId(number(&row, 1)?),
            created_at: UnixMs(row.get(2)?),
            last_used_at: UnixMs(row.get(3)?),
            expires_at: UnixMs(row.get(4)?),
            address: row.get(5)?,
            user_agent: row.get(6)?,
        }))
    }

    /// Notes when one was last used.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn used(connection: &Connection, hash: &str, at: UnixMs) -> Result<(), StoreError> {
        let sql = "UPDATE sessions SET last_used_at = $1 WHERE hash = $2";
        connection.prepare_cached(sql)?.execute(params![at.0, hash])?;
        Ok(())
    }

    /// Ends one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn delete(connection: &Connection, hash: &str) -> Result<(), StoreError> {
        connection.execute("DELETE FROM sessions WHERE hash = $1", [hash])?;
        Ok(())
    }

    /// Ends all of a user's but the one with this hash.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn delete_of(connection: &Connection, user: UserId, but: Option<&str>) -> Result<(), StoreError> {
        let sql = "DELETE FROM sessions WHERE user_id = $1 AND hash <> $2";
        connection.execute(sql, params![user.0 as i64, but.unwrap_or_default()])?;
        Ok(())
    }

    /// Deletes those that opened nothing any more at that time, and a user's oldest beyond `keep`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn prune(connection: &Connection, user: UserId, keep: usize, now: UnixMs) -> Result<(), StoreError> {
        Self::prune_ended(connection, now)?;
        let sql = "DELETE FROM sessions WHERE user_id = $1 AND hash NOT IN \
                   (SELECT hash FROM sessions WHERE user_id = $2 ORDER BY created_at DESC, hash LIMIT $3)";
        let beyond = connection.execute(sql, params![user.0 as i64, user.0 as i64, keep as i64])?;
        note_dropped(connection, "sessions", beyond)
    }

    /// Deletes those that opened nothing any more at that time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn prune_ended(connection: &Connection, now: UnixMs) -> Result<(), StoreError> {
        let ended = connection.execute("DELETE FROM sessions WHERE expires_at <= $1", [now.0])?;
        note_dropped(connection, "sessions", ended)
    }
}

impl LinkRow {
    /// Writes a new one in place of all others of its kind and user.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn replace(&self, connection: &Connection) -> Result<(), StoreError> {
        Self::delete_of(connection, self.user, Some(self.kind))?;
        self.insert(connection)
    }

    /// Writes a new one beside the others, and forgets those of anybody that have ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn insert(&self, connection: &Connection) -> Result<(), StoreError> {
        Self::prune(connection, self.created_at)?;
        let sql = "INSERT INTO links (hash, kind, user_id, email, created_at, expires_at) \
                   VALUES ($1, $2, $3, $4, $5, $6)";
        let user = self.user.0 as i64;
        let (kind, from, until) = (self.kind.name(), self.created_at.0, self.expires_at.0);
        connection.execute(sql, params![self.hash, kind, user, self.email, from, until])?;
        Ok(())
    }

    /// Deletes those that open nothing any more at that time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn prune(connection: &Connection, now: UnixMs) -> Result<(), StoreError> {
        let ended = connection.execute("DELETE FROM links WHERE expires_at <= $1", [now.0])?;
        note_dropped(connection, "links", ended)
    }

    /// The one of this kind with this hash.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn find(connection: &Connection, kind: LinkKind, hash: &str) -> Result<Option<Self>, StoreError> {
        let sql = "SELECT hash, user_id, email, created_at, expires_at FROM links WHERE hash = $1 AND kind = $2";
        let found = connection.query_row(sql, params![hash, kind.name()], |row| {
            Ok(Self {
                hash: row.get(0)?,
                kind,
                user: UserId(row.get::<i64>(1)? as u64),
                email: row.get(2)?,
                created_at: UnixMs(row.get(3)?),
                expires_at: UnixMs(row.get(4)?),
            })
        });
        Ok(found.optional()?)
    }

    /// Whether a user was made a link of this kind at or after that time, which was not used yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn made_since(
        connection: &Connection,
        user: UserId,
        kind: LinkKind,
        since: UnixMs,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM links WHERE user_id = $1 AND kind = $2 AND created_at >= $3";
        let found = connection.query_row(sql, params![user.0 as i64, kind.name(), since.0], |_| Ok(())).optional()?;
        Ok(found.is_some())
    }

    /// Deletes a user's links, all or those of one kind.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn delete_of(connection: &Connection, user: UserId, kind: Option<LinkKind>) -> Result<(), StoreError> {
        let sql = "DELETE FROM links WHERE user_id = $1 AND kind = COALESCE($2, kind)";
        connection.execute(sql, params![user.0 as i64, kind.map(LinkKind::name)])?;
        Ok(())
    }
}

pub(super) fn users(connection: &Connection) -> Result<Vec<UserRow>, StoreError> {
    let sql = "SELECT id, subscription_id, email, name, role, \
               password_hash IS NOT NULL OR provider_subject IS NOT NULL, provider_subject, totp_sealed IS NOT NULL, \
               last_sign_in_at, removed_at, created_at FROM users ORDER BY id";
    read(connection, sql, user)
}

fn user(row: &Row<'_>) -> Result<UserRow, StoreError> {
    Ok(UserRow {
        id: UserId(number(row, 0)?),
        subscription: SubscriptionId(number(row, 1)?),
        email: row.get(2)?,
        name: row.get(3)?,
        role: row.get(4)?,
        can_sign_in: row.get(5)?,
        provider_subject: row.get(6)?,
        has_second_factor: row.get(7)?,
        last_sign_in_at: row.get::<Option<i64>>(8)?.map(UnixMs),
        removed_at: row.get::<Option<i64>>(9)?.map(UnixMs),
        created_at: UnixMs(row.get(10)?),
    })
}
