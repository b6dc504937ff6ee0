//! `fanfare.db`: what is configured, as rows. What the rows mean, and what of them is sealed, is
//! [`crate::catalog`]'s to know.
//!
//! Every statement is text that PostgreSQL would take too. SQLite numbers `$1`, `$2` … by where they first stand, so
//! each statement names them in ascending order.

pub mod audit;
mod exclusions;
mod guides;
mod mails;
mod people;
mod privacy;
mod rows;
mod webhooks;

pub use audit::{AuditChain, AuditEntry, AuditQuery, AuditRow};
pub use exclusions::ExclusionRow;
pub use guides::GuideRow;
pub use mails::{MailRow, MailState};
pub use people::{
    Credentials, LinkKind, LinkRow, SessionRow, UserRow, recovery_codes, set_recovery_codes, use_recovery_code,
};
pub use privacy::{DoNotProcessRow, ForgetJobRow, ForgetState, PersonKeyRow};
pub use rows::{AppRow, KeyRow, SubscriptionRow};
pub use webhooks::WebhookRow;

use super::{Migration, StoreError};
use crate::model::{SubscriptionId, UserId};
use crate::store::db::{Connection, OptionalExtension, params};

/// The schema's steps.
pub const MIGRATIONS: &[Migration] = &[
    Migration { name: "1_first.sql", sql: include_str!("../migrations/configured/1_first.sql") },
    Migration { name: "2_audit_and_keys.sql", sql: include_str!("../migrations/configured/2_audit_and_keys.sql") },
    Migration { name: "3_app_keys.sql", sql: include_str!("../migrations/configured/3_app_keys.sql") },
    Migration { name: "4_people.sql", sql: include_str!("../migrations/configured/4_people.sql") },
    Migration { name: "5_provider.sql", sql: include_str!("../migrations/configured/5_provider.sql") },
    Migration { name: "6_exclusions.sql", sql: include_str!("../migrations/configured/6_exclusions.sql") },
    Migration { name: "7_guides.sql", sql: include_str!("../migrations/configured/7_guides.sql") },
    Migration { name: "8_privacy.sql", sql: include_str!("../migrations/configured/8_privacy.sql") },
    Migration { name: "9_receivers.sql", sql: include_str!("../migrations/configured/9_receivers.sql") },
    Migration { name: "10_mails.sql", sql: include_str!("../migrations/configured/10_mails.sql") },
    Migration { name: "11_do_not_track.sql", sql: include_str!("../migrations/configured/11_do_not_track.sql") },
];

/// Everything there is, in one consistent picture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configured {
    /// All subscriptions.
    pub subscriptions: Vec<SubscriptionRow>,
    /// All apps.
    pub apps: Vec<AppRow>,
    /// All users.
    pub users: Vec<UserRow>,
    /// All integration keys.
    pub keys: Vec<KeyRow>,
    /// All exclusions, oldest first.
    pub exclusions: Vec<ExclusionRow>,
    /// All guides, oldest first.
    pub guides: Vec<GuideRow>,
    /// The keys of people's hashes.
    pub person_keys: Vec<PersonKeyRow>,
    /// Whose data is not processed, oldest rule first.
    pub do_not_process: Vec<DoNotProcessRow>,
    /// All webhooks.
    pub webhooks: Vec<WebhookRow>,
}

/// Reads everything.
///
/// # Errors
/// [`StoreError`].
pub fn load(connection: &Connection) -> Result<Configured, StoreError> {
    let snapshot = connection.snapshot()?;
    Ok(Configured {
        subscriptions: rows::subscriptions(&snapshot)?,
        apps: rows::apps(&snapshot)?,
        users: people::users(&snapshot)?,
        keys: rows::keys(&snapshot)?,
        exclusions: exclusions::all(&snapshot)?,
        guides: guides::all(&snapshot)?,
        person_keys: privacy::keys(&snapshot)?,
        do_not_process: privacy::rules(&snapshot)?,
        webhooks: webhooks::all(&snapshot)?,
    })
}

/// Whether `init` has been here.
///
/// # Errors
/// [`StoreError`].
pub fn initialised(connection: &Connection) -> Result<bool, StoreError> {
    Ok(connection.query_row("SELECT count(*) FROM subscriptions", (), |row| row.get::<i64>(0))? > 0)
}

/// A single named value.
///
/// # Errors
/// [`StoreError`].
pub fn meta(connection: &Connection, name: &str) -> Result<Option<String>, StoreError> {
    Ok(connection.query_row("SELECT value FROM meta WHERE name = $1", [name], |row| row.get(0)).optional()?)
}

/// Deletes a named value; whether it had this one.
///
/// # Errors
/// [`StoreError`].
pub fn delete_meta(connection: &Connection, name: &str, value: &str) -> Result<bool, StoreError> {
    Ok(connection.execute("DELETE FROM meta WHERE name = $1 AND value = $2", params![name, value])? > 0)
}

/// The subscription that `init` made.
///
/// # Errors
/// [`StoreError`].
pub fn first_subscription(connection: &Connection) -> Result<SubscriptionId, StoreError> {
    let sql = "SELECT id FROM subscriptions ORDER BY created_at, id LIMIT 1";
    connection.query_row(sql, (), |row| Ok(rows::number(row, 0)))?.map(SubscriptionId)
}

/// The ids of all subscriptions.
///
/// # Errors
/// [`StoreError`].
pub fn subscription_ids(connection: &Connection) -> Result<Vec<SubscriptionId>, StoreError> {
    rows::read(connection, "SELECT id FROM subscriptions ORDER BY id", |row| Ok(SubscriptionId(rows::number(row, 0)?)))
}

/// The sealed values of a column, with their rows' ids.
///
/// # Errors
/// [`StoreError`].
pub fn sealed_values(
    connection: &Connection,
    table: &'static str,
    column: &'static str,
) -> Result<Vec<(u64, String)>, StoreError> {
    let sql = format!("SELECT id, {column} FROM {table} WHERE {column} IS NOT NULL ORDER BY id");
    rows::read(connection, &sql, |row| Ok((rows::number(row, 0)?, row.get(1)?)))
}

/// Replaces a sealed value.
///
/// # Errors
/// [`StoreError`].
pub fn set_sealed_value(
    connection: &Connection,
    (table, column): (&'static str, &'static str),
    id: u64,
    value: &str,
) -> Result<(), StoreError> {
    let sql = format!("UPDATE {table} SET {column} = $1 WHERE id = $2");
    connection.prepare_cached(&sql)?.execute(params![value, id as i64])?;
    Ok(())
}

/// Deletes a subscription with its apps, keys and users. Its webhooks must be gone.
///
/// # Errors
/// [`StoreError`].
pub fn remove_subscription(connection: &Connection, id: SubscriptionId) -> Result<(), StoreError> {
    const USERS: &str = "(SELECT id FROM users WHERE subscription_id = $1)";
    for table in ["sessions", "links", "recovery_codes"] {
        connection.execute(&format!("DELETE FROM {table} WHERE user_id IN {USERS}"), [id.0 as i64])?;
    }
    connection.execute("DELETE FROM person_keys WHERE id = $1", [id.0 as i64])?;
    for table in ["exclusions", "guides", "do_not_process", "forget_jobs", "integration_keys", "users", "apps"] {
        connection.execute(&format!("DELETE FROM {table} WHERE subscription_id = $1"), [id.0 as i64])?;
    }
    connection.execute("DELETE FROM subscriptions WHERE id = $1", [id.0 as i64])?;
    Ok(())
}

/// Makes a user the maker of a subscription's keys, and the owner of its webhooks, that have none.
///
/// # Errors
/// [`StoreError`].
pub fn give_to(connection: &Connection, subscription: SubscriptionId, user: UserId) -> Result<(), StoreError> {
    let of = params![user.0 as i64, subscription.0 as i64];
    connection
        .execute("UPDATE integration_keys SET made_by = $1 WHERE subscription_id = $2 AND made_by IS NULL", of)?;
    connection.execute("UPDATE webhooks SET owner = $1 WHERE subscription_id = $2 AND owner IS NULL", of)?;
    Ok(())
}

/// Tables whose rows are deleted by age or number.
pub const PRUNED: [&str; 4] = ["sessions", "links", "mails", "forget_jobs"];

/// How many rows of each of [`PRUNED`] were deleted so far.
///
/// # Errors
/// [`StoreError`].
pub fn dropped(connection: &Connection) -> Result<Vec<(&'static str, u64)>, StoreError> {
    PRUNED.into_iter().map(|table| Ok((table, dropped_of(connection, table)?))).collect()
}

/// Adds to what [`dropped`] tells, in the transaction that deletes.
fn note_dropped(connection: &Connection, table: &'static str, rows: usize) -> Result<(), StoreError> {
    if rows == 0 {
        return Ok(());
    }
    let sum = dropped_of(connection, table)? + rows as u64;
    set_meta(connection, &dropped_name(table), &sum.to_string())
}

fn dropped_of(connection: &Connection, table: &str) -> Result<u64, StoreError> {
    let kept = meta(connection, &dropped_name(table))?;
    kept.map_or(Ok(0), |sum| sum.parse().map_err(|_| StoreError::Unreadable("meta.dropped")))
}

fn dropped_name(table: &str) -> String {
    format!("dropped.{table}")
}

/// Sets a named value.
///
/// # Errors
/// [`StoreError`].
pub fn set_meta(connection: &Connection, name: &str, value: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    connection.execute(sql, params![name, value])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrate;
    use crate::store::sqlite::{Sync, open};

    /// A store as the first release's schema has it, with a row in every table.
    const FIRST: &str = include_str!("../migrations/configured/fixture_1.sql");

    fn scratch() -> (tempfile::TempDir, Connection) {
        let dir = tempfile::tempdir().unwrap();
        let connection = open(&dir.path().join("fanfare.db"), Sync::Full).unwrap();
        (dir, connection)
    }

    #[test]
    fn an_empty_file_gets_the_whole_schema() {
        let (_dir, connection) = scratch();
        migrate(&connection, MIGRATIONS).unwrap();
        assert_eq!(load(&connection).unwrap(), Configured::default());
        assert!(!initialised(&connection).unwrap());
        set_meta(&connection, "a", "1").unwrap();
        set_meta(&connection, "a", "2").unwrap();
        assert_eq!(meta(&connection, "a").unwrap().as_deref(), Some("2"));
        assert_eq!(meta(&connection, "b").unwrap(), None);
    }

    #[test]
    fn the_first_releases_file_is_read_as_it_was_written() {
        let (_dir, connection) = scratch();
        connection.execute_batch(FIRST).unwrap();
        migrate(&connection, MIGRATIONS).unwrap();
        assert!(initialised(&connection).unwrap());
        let found = load(&connection).unwrap();
        let sizes = [found.apps.len(), found.users.len(), found.keys.len(), found.webhooks.len()];
        assert_eq!((found.subscriptions.len(), sizes), (1, [1, 1, 1, 2]));
        let webhook = &found.webhooks[0];
        assert_eq!((webhook.name.as_str(), webhook.since.0, webhook.standard_webhooks), ("CRM", 77, true));
        assert_eq!(found.apps[0].origins, ["https://example.com"]);
    }

    #[test]
    fn a_value_that_no_release_writes_is_an_error_and_no_guess() {
        for (column, value) in [("categories", "guides,weather"), ("categories", ","), ("since", "-1")] {
            let (_dir, connection) = scratch();
            connection.execute_batch(FIRST).unwrap();
            migrate(&connection, MIGRATIONS).unwrap();
            connection.execute(&format!("UPDATE webhooks SET {column} = $1"), [value]).unwrap();
            assert!(matches!(load(&connection), Err(StoreError::Unreadable(_))), "{column} = {value}");
        }
    }
}
