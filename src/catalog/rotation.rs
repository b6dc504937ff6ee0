//! Another master key: everything sealed is opened with the old one and sealed with the new one, all or nothing.

use super::CatalogError;
use super::audit::{Actor, Deed};
use crate::clock::{Clock, Random};
use crate::model::{ForgetJobId, SubscriptionId, UserId, WebhookId};
use crate::seal::{self, MasterKey};
use crate::store::configured;
use crate::store::db::Connection;
use crate::store::{Part, Place, StoreError};
use serde_json::Map;

/// A column that holds sealed values.
struct Sealed {
    table: &'static str,
    column: &'static str,
    /// The place that the value of this row is bound to.
    place: fn(u64) -> String,
}

/// All of them. A test compares this with the schema.
const SEALED: [Sealed; 12] = [
    Sealed { table: "webhooks", column: "secret_sealed", place: |id| of_webhook(id, "secret") },
    Sealed { table: "webhooks", column: "old_secret_sealed", place: |id| of_webhook(id, "old_secret") },
    Sealed { table: "webhooks", column: "signing_key_sealed", place: |id| of_webhook(id, "signing_key") },
    Sealed { table: "webhooks", column: "old_signing_key_sealed", place: |id| of_webhook(id, "old_signing_key") },
    Sealed { table: "webhooks", column: "headers_sealed", place: |id| of_webhook(id, "headers") },
    Sealed { table: "webhooks", column: "auth_sealed", place: |id| of_webhook(id, "auth") },
    Sealed { table: "webhooks", column: "client_certificate_sealed", place: |id| of_webhook(id, "client_certificate") },
    Sealed { table: "users", column: "totp_sealed", place: |id| seal::place("users", UserId(id), "totp") },
    Sealed { table: "users", column: "totp_pending_sealed", place: |id| seal::place("users", UserId(id), "totp") },
    Sealed {
        table: "person_keys",
        column: "key_sealed",
        place: |id| seal::place("person_keys", SubscriptionId(id), "key"),
    },
    Sealed {
        table: "forget_jobs",
        column: "person_sealed",
        place: |id| seal::place("forget_jobs", ForgetJobId(id), "person"),
    },
    Sealed {
        table: "mails",
        column: "body_sealed",
        place: |id| seal::place("mails", format_args!("{id:016x}"), "body"),
    },
];

fn of_webhook(id: u64, column: &str) -> String {
    seal::place("webhooks", WebhookId(id), column)
}

/// Whether what the store holds is sealed with this key.
///
/// # Errors
/// [`CatalogError`].
pub fn is_sealed_with(place: &Place, key: &MasterKey) -> Result<bool, CatalogError> {
    let connection = place.open(Part::Configured)?;
    Ok(key.check(configured::meta(&connection, seal::CHECK)?.as_deref()).is_ok())
}

/// Seals everything in the store with `new`; how many values that were. The server must be stopped. Blocking.
///
/// # Errors
/// [`CatalogError::MasterKey`] when `old` is not the key that holds. With any error the old key holds still.
pub fn rotate(
    place: &Place,
    (old, new): (&MasterKey, &MasterKey),
    (clock, random): (&dyn Clock, &dyn Random),
) -> Result<usize, CatalogError> {
    if !place.may_exist() {
        return Err(CatalogError::NotInitialised(place.to_string()));
    }
    let connection = super::init::open(place)?;
    let transaction = connection.transaction().map_err(StoreError::from)?;
    old.check(configured::meta(&transaction, seal::CHECK)?.as_deref())?;
    let mut values = 0;
    for sealed in &SEALED {
        values += reseal(&transaction, sealed, (old, new), random)?;
    }
    configured::set_meta(&transaction, seal::CHECK, &new.seal_check(random))?;
    for subscription in configured::subscription_ids(&transaction)? {
        let deed = Deed { subscription, at: clock.now(), action: "master_key.rotated", target: "" };
        configured::audit::append(&transaction, &deed.by(&Actor::operator(), Map::new(), Map::new()))?;
    }
    transaction.commit().map_err(StoreError::from)?;
    Ok(values)
}

fn reseal(
    connection: &Connection,
    Sealed { table, column, place }: &Sealed,
    (old, new): (&MasterKey, &MasterKey),
    random: &dyn Random,
) -> Result<usize, CatalogError> {
    let rows = configured::sealed_values(connection, table, column)?;
    for (id, value) in &rows {
        let place = place(*id);
        let opened = old.open(&place, value)?;
        configured::set_sealed_value(connection, (table, column), *id, &new.seal(&place, opened.expose(), random))?;
    }
    Ok(rows.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sealed_column_of_the_schema_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let connection = crate::catalog::init::open(&dir.path().into()).unwrap();
        let sql = "SELECT m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c \
                   WHERE m.type = 'table' AND c.name LIKE '%sealed%' ORDER BY 1";
        let mut statement = connection.prepare_cached(sql).unwrap();
        let found: Vec<String> = statement.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let mut known: Vec<_> = SEALED.iter().map(|sealed| format!("{}.{}", sealed.table, sealed.column)).collect();
        known.sort();
        assert_eq!(found, known);
    }
}
