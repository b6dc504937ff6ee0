//! Webhooks.

use super::rows::{number, optional_number, read};
use crate::model::{Category, CategorySet, Position, SubscriptionId, UnixMs, UserId, WebhookId, WebhookState};
use crate::store::sqlite::StoreError;
use rusqlite::{Connection, params};

/// A webhook, its secrets sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRow {
    /// Unique in the installation.
    pub id: WebhookId,
    /// Whose.
    pub subscription: SubscriptionId,
    /// For people.
    pub name: String,
    /// As entered.
    pub url: String,
    /// On, off, or turned off by Fanfare.
    pub state: WebhookState,
    /// What it is sent.
    pub categories: CategorySet,
    /// The position from which `state` and `categories` hold.
    pub since: Position,
    /// The total deadline in seconds.
    pub timeout_s: u32,
    /// Requests in flight at most.
    pub concurrency: u32,
    /// Whether the three Standard Webhooks headers are sent.
    pub standard_webhooks: bool,
    /// The secret, if there is one.
    pub secret_sealed: Option<String>,
    /// The signing key, once the three headers have been on.
    pub signing_key_sealed: Option<String>,
    /// The user who made it.
    pub owner: Option<UserId>,
    /// Made when.
    pub created_at: UnixMs,
    /// Changed when.
    pub updated_at: UnixMs,
}

impl WebhookRow {
    /// Writes a new one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn insert(&self, connection: &Connection) -> Result<(), StoreError> {
        let sql = "INSERT INTO webhooks (id, subscription_id, kind, name, url, state, categories, since, timeout_s, \
                   concurrency, standard_webhooks, secret_sealed, signing_key_sealed, owner, created_at, updated_at) \
                   VALUES ($1, $2, 'url', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
        connection.prepare_cached(sql)?.execute(params![
            self.id.0 as i64,
            self.subscription.0 as i64,
            self.name,
            self.url,
            self.state.name(),
            category_names(self.categories),
            self.since.0 as i64,
            self.timeout_s,
            self.concurrency,
            i64::from(self.standard_webhooks),
            self.secret_sealed,
            self.signing_key_sealed,
            self.owner.map(|id| id.0 as i64),
            self.created_at.0,
            self.updated_at.0,
        ])?;
        Ok(())
    }

    /// Writes everything that can change.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn update(&self, connection: &Connection) -> Result<(), StoreError> {
        let sql = "UPDATE webhooks SET name = $1, url = $2, state = $3, categories = $4, since = $5, timeout_s = $6, \
                   concurrency = $7, standard_webhooks = $8, secret_sealed = $9, signing_key_sealed = $10, \
                   updated_at = $11 WHERE id = $12";
        connection.prepare_cached(sql)?.execute(params![
            self.name,
            self.url,
            self.state.name(),
            category_names(self.categories),
            self.since.0 as i64,
            self.timeout_s,
            self.concurrency,
            i64::from(self.standard_webhooks),
            self.secret_sealed,
            self.signing_key_sealed,
            self.updated_at.0,
            self.id.0 as i64,
        ])?;
        Ok(())
    }

    /// Writes what a switch changes and nothing else.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn switch(
        connection: &Connection,
        id: WebhookId,
        (state, categories): (WebhookState, CategorySet),
        (since, at): (Position, UnixMs),
    ) -> Result<(), StoreError> {
        let sql = "UPDATE webhooks SET state = $1, categories = $2, since = $3, updated_at = $4 WHERE id = $5";
        let (state, categories) = (state.name(), category_names(categories));
        connection.prepare_cached(sql)?.execute(params![state, categories, since.0 as i64, at.0, id.0 as i64])?;
        Ok(())
    }

    /// Deletes one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn delete(connection: &Connection, id: WebhookId) -> Result<(), StoreError> {
        connection.execute("DELETE FROM webhooks WHERE id = $1", [id.0 as i64])?;
        Ok(())
    }
}

pub(super) fn all(connection: &Connection) -> Result<Vec<WebhookRow>, StoreError> {
    let sql = "SELECT id, subscription_id, name, url, state, categories, since, timeout_s, concurrency, \
               standard_webhooks, secret_sealed, signing_key_sealed, owner, created_at, updated_at \
               FROM webhooks WHERE kind = 'url' ORDER BY id";
    read(connection, sql, |row| {
        Ok(WebhookRow {
            id: WebhookId(number(row, 0)?),
            subscription: SubscriptionId(number(row, 1)?),
            name: row.get(2)?,
            url: row.get(3)?,
            state: state(&row.get::<_, String>(4)?)?,
            categories: categories(&row.get::<_, String>(5)?)?,
            since: Position(number(row, 6)?),
            timeout_s: row.get(7)?,
            concurrency: row.get(8)?,
            standard_webhooks: row.get::<_, i64>(9)? != 0,
            secret_sealed: row.get(10)?,
            signing_key_sealed: row.get(11)?,
            owner: optional_number(row, 12)?.map(UserId),
            created_at: UnixMs(row.get(13)?),
            updated_at: UnixMs(row.get(14)?),
        })
    })
}

fn state(name: &str) -> Result<WebhookState, StoreError> {
    WebhookState::from_name(name).ok_or(StoreError::Unreadable("webhooks.state"))
}

/// "all" as such, so that a later release's categories join by themselves; else names, which outlive any numbering.
fn category_names(set: CategorySet) -> String {
    match set {
        CategorySet::All => String::from("all"),
        CategorySet::Some(_) => set.iter().map(Category::name).collect::<Vec<_>>().join(","),
    }
}

fn categories(names: &str) -> Result<CategorySet, StoreError> {
    if names == "all" {
        return Ok(CategorySet::All);
    }
    let chosen: Option<Vec<Category>> = names.split(',').map(Category::from_name).collect();
    chosen.map(CategorySet::of).ok_or(StoreError::Unreadable("webhooks.categories"))
}
