//! Webhooks.

use super::rows::{number, optional_number, read};
use crate::model::{
    Category, CategorySet, Position, Selection, SubscriptionId, UnixMs, UserId, WebhookId, WebhookKind, WebhookState,
};
use crate::store::StoreError;
use crate::store::db::{Connection, Row, params};

/// A webhook, its secrets sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRow {
    /// Unique in the installation.
    pub id: WebhookId,
    /// Whose.
    pub subscription: SubscriptionId,
    /// Any URL, or Segment.
    pub kind: WebhookKind,
    /// For people.
    pub name: String,
    /// As entered; a Segment webhook's endpoint.
    pub url: String,
    /// On, off, or turned off by Fanfare.
    pub state: WebhookState,
    /// What it is sent.
    pub categories: CategorySet,
    /// Whether it is sent administrative changes too.
    pub audit: bool,
    /// Which of these events it is sent.
    pub filter: Option<String>,
    /// The position from which state, categories, `audit` and `filter` hold.
    pub since: Position,
    /// The total deadline in seconds.
    pub timeout_s: u32,
    /// Requests in flight at most.
    pub concurrency: u32,
    /// Requests a second at most.
    pub rate_limit_per_s: Option<u32>,
    /// Whether each visitor's events arrive in order.
    pub ordered: bool,
    /// Whether the three Standard Webhooks headers are sent.
    pub standard_webhooks: bool,
    /// What bodies are turned into, as JSON.
    pub format: Option<String>,
    /// The secret, or a Segment webhook's write key, if there is one.
    pub secret_sealed: Option<String>,
    /// The secret before it, and until when it is shown to receivers too.
    pub old_secret_sealed: Option<(String, UnixMs)>,
    /// The signing key, once the three headers have been on.
    pub signing_key_sealed: Option<String>,
    /// The signing key before it, and until when it signs too.
    pub old_signing_key_sealed: Option<(String, UnixMs)>,
    /// Further headers, as JSON.
    pub headers_sealed: Option<String>,
    /// How the receiver is shown who is asking, as JSON.
    pub auth_sealed: Option<String>,
    /// Certificate and key for mutual TLS, as JSON.
    pub client_certificate_sealed: Option<String>,
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
        let sql = "INSERT INTO webhooks (id, subscription_id, kind, url, state, categories, since, name, timeout_s, \
                   concurrency, standard_webhooks, owner, created_at, updated_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
        connection.prepare_cached(sql)?.execute(params![
            self.id.0 as i64,
            self.subscription.0 as i64,
            self.kind.name(),
            self.url,
            self.state.name(),
            category_names(self.categories),
            self.since.0 as i64,
            self.name,
            self.timeout_s,
            self.concurrency,
            i64::from(self.standard_webhooks),
            self.owner.map(|id| id.0 as i64),
            self.created_at.0,
            self.updated_at.0,
        ])?;
        self.update(connection)
    }

    /// Writes everything that can change.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn update(&self, connection: &Connection) -> Result<(), StoreError> {
        let sql = "UPDATE webhooks SET name = $1, url = $2, state = $3, categories = $4, audit = $5, filter = $6, \
                   since = $7, timeout_s = $8, concurrency = $9, rate_limit_per_s = $10, ordered = $11, \
                   standard_webhooks = $12, format = $13, secret_sealed = $14, old_secret_sealed = $15, \
                   old_secret_until = $16, signing_key_sealed = $17, old_signing_key_sealed = $18, \
                   old_signing_key_until = $19, headers_sealed = $20, auth_sealed = $21, \
                   client_certificate_sealed = $22, updated_at = $23 WHERE id = $24";
        let (old_secret, old_secret_until) = split(self.old_secret_sealed.as_ref());
        let (old_key, old_key_until) = split(self.old_signing_key_sealed.as_ref());
        connection.prepare_cached(sql)?.execute(params![
            self.name,
            self.url,
            self.state.name(),
            category_names(self.categories),
            i64::from(self.audit),
            self.filter,
            self.since.0 as i64,
            self.timeout_s,
            self.concurrency,
            self.rate_limit_per_s,
            i64::from(self.ordered),
            i64::from(self.standard_webhooks),
            self.format,
            self.secret_sealed,
            old_secret,
            old_secret_until,
            self.signing_key_sealed,
            old_key,
            old_key_until,
            self.headers_sealed,
            self.auth_sealed,
            self.client_certificate_sealed,
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
        (state, selection): (WebhookState, &Selection),
        (since, at): (Position, UnixMs),
    ) -> Result<(), StoreError> {
        let sql = "UPDATE webhooks SET state = $1, categories = $2, audit = $3, filter = $4, since = $5, \
                   updated_at = $6 WHERE id = $7";
        let Selection { categories, audit, filter } = selection;
        let (state, categories, audit) = (state.name(), category_names(*categories), i64::from(*audit));
        let values = params![state, categories, audit, filter, since.0 as i64, at.0, id.0 as i64];
        connection.prepare_cached(sql)?.execute(values)?;
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
    let sql = "SELECT id, subscription_id, kind, name, url, state, categories, audit, filter, since, timeout_s, \
               concurrency, rate_limit_per_s, ordered, standard_webhooks, format, secret_sealed, old_secret_sealed, \
               old_secret_until, signing_key_sealed, old_signing_key_sealed, old_signing_key_until, headers_sealed, \
               auth_sealed, client_certificate_sealed, owner, created_at, updated_at FROM webhooks ORDER BY id";
    read(connection, sql, |row| {
        Ok(WebhookRow {
            id: WebhookId(number(row, 0)?),
            subscription: SubscriptionId(number(row, 1)?),
            kind: kind(&row.get::<String>(2)?)?,
            name: row.get(3)?,
            url: row.get(4)?,
            state: state(&row.get::<String>(5)?)?,
            categories: categories(&row.get::<String>(6)?)?,
            audit: row.get::<i64>(7)? != 0,
            filter: row.get(8)?,
            since: Position(number(row, 9)?),
            timeout_s: row.get(10)?,
            concurrency: row.get(11)?,
            rate_limit_per_s: row.get(12)?,
            ordered: row.get::<i64>(13)? != 0,
            standard_webhooks: row.get::<i64>(14)? != 0,
            format: row.get(15)?,
            secret_sealed: row.get(16)?,
            old_secret_sealed: joined(row, 17)?,
            signing_key_sealed: row.get(19)?,
            old_signing_key_sealed: joined(row, 20)?,
            headers_sealed: row.get(22)?,
            auth_sealed: row.get(23)?,
            client_certificate_sealed: row.get(24)?,
            owner: optional_number(row, 25)?.map(UserId),
            created_at: UnixMs(row.get(26)?),
            updated_at: UnixMs(row.get(27)?),
        })
    })
}

/// A sealed value and the time until which it holds, as two columns.
fn split(old: Option<&(String, UnixMs)>) -> (Option<&str>, Option<i64>) {
    (old.map(|(sealed, _)| sealed.as_str()), old.map(|(_, until)| until.0))
}

/// The same from the column `first` and the one behind it.
fn joined(row: &Row<'_>, first: usize) -> Result<Option<(String, UnixMs)>, StoreError> {
    let sealed: Option<String> = row.get(first)?;
    let until: Option<i64> = row.get(first + 1)?;
    Ok(sealed.zip(until.map(UnixMs)))
}

fn kind(name: &str) -> Result<WebhookKind, StoreError> {
    WebhookKind::from_name(name).ok_or(StoreError::Unreadable("webhooks.kind"))
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
    // A webhook that asks for the audit log alone has none.
    let names = names.split(',').filter(|_| !names.is_empty());
    let chosen: Option<Vec<Category>> = names.map(Category::from_name).collect();
    chosen.map(CategorySet::of).ok_or(StoreError::Unreadable("webhooks.categories"))
}
