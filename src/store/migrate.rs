//! Bringing a schema up to date.

use super::StoreError;
use super::db::{Connection, Engine, Result};

/// One step of a schema. Steps are numbered from 1 by their place in the list, are never changed once released, and
/// only lead forward.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// What it is called, for messages: the name of its file.
    pub name: &'static str,
    /// Its statements, as SQLite takes them.
    pub sql: &'static str,
}

/// Applies the steps that the store does not have yet, each in a transaction of its own together with the store's new
/// version. Two processes that do so at once do it one after the other.
///
/// # Errors
/// [`StoreError::Newer`] when the store has steps that are not in the list, [`StoreError::Migrate`] when one fails.
pub fn migrate(connection: &Connection, migrations: &[Migration]) -> Result<(), StoreError> {
    loop {
        let transaction = connection.transaction()?;
        let found = version(&transaction)?;
        if found > migrations.len() {
            return Err(StoreError::Newer { found, known: migrations.len() });
        }
        let Some(next) = migrations.get(found) else { return Ok(()) };
        let failed = |source| StoreError::Migrate { name: next.name, source };
        transaction.execute_batch(&statements(next.sql, connection.engine())).map_err(failed)?;
        set_version(&transaction, found + 1).map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
}

/// The statements of a step as this engine takes them. A schema is where the two differ: SQLite's row number, which a key
/// is that is declared INTEGER, and its tables without one; bytes; and texts that compare byte by byte.
fn statements(sql: &str, engine: Engine) -> String {
    match engine {
        Engine::Sqlite => sql.to_owned(),
        Engine::Postgres => [
            ("INTEGER PRIMARY KEY", "BIGINT PRIMARY KEY"),
            (" BLOB", " BYTEA"),
            (" WITHOUT ROWID", ""),
            (" TEXT", " TEXT COLLATE \"C\""),
        ]
        .iter()
        .fold(sql.to_owned(), |sql, (sqlite, postgres)| sql.replace(sqlite, postgres)),
    }
}

/// How many steps the store has.
fn version(connection: &Connection) -> Result<usize, StoreError> {
    let sql = match connection.engine() {
        Engine::Sqlite => "PRAGMA user_version",
        Engine::Postgres => {
            connection.make_schema()?;
            connection.execute_batch("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")?;
            "SELECT COALESCE(MAX(version), 0) FROM schema_version"
        }
    };
    let version: i64 = connection.query_row(sql, (), |row| row.get(0))?;
    usize::try_from(version).map_err(|_| StoreError::Unreadable("the schema's version"))
}

fn set_version(connection: &Connection, version: usize) -> Result<()> {
    connection.execute_batch(&match connection.engine() {
        Engine::Sqlite => format!("PRAGMA user_version = {version}"),
        Engine::Postgres => format!("INSERT INTO schema_version VALUES ({version})"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::{Sync, open};

    const STEPS: [Migration; 2] = [
        Migration { name: "1_first.sql", sql: "CREATE TABLE t (a INTEGER PRIMARY KEY);" },
        Migration { name: "2_second.sql", sql: "ALTER TABLE t ADD COLUMN b TEXT; INSERT INTO t VALUES (1, 'x');" },
    ];

    fn scratch() -> (tempfile::TempDir, Connection) {
        let dir = tempfile::tempdir().unwrap();
        let connection = open(&dir.path().join("t.db"), Sync::Full).unwrap();
        (dir, connection)
    }

    #[test]
    fn steps_are_applied_once_and_in_order() {
        let (_dir, connection) = scratch();
        migrate(&connection, &STEPS[..1]).unwrap();
        migrate(&connection, &STEPS).unwrap();
        migrate(&connection, &STEPS).unwrap();
        let rows: i64 = connection.query_row("SELECT count(*) FROM t WHERE b = 'x'", (), |row| row.get(0)).unwrap();
        assert_eq!((rows, version(&connection).unwrap()), (1, 2));
    }

    #[test]
    fn a_newer_schema_is_refused_and_a_failed_step_leaves_nothing() {
        let (_dir, connection) = scratch();
        let bad = Migration { name: "2_bad.sql", sql: "CREATE TABLE u (a INTEGER); SELECT nonsense;" };
        let error = migrate(&connection, &[STEPS[0], bad]).unwrap_err();
        assert!(matches!(error, StoreError::Migrate { name: "2_bad.sql", .. }), "{error}");
        assert_eq!(version(&connection).unwrap(), 1);
        assert!(connection.prepare_cached("SELECT * FROM u").is_err(), "the failed step's table is gone");
        migrate(&connection, &STEPS).unwrap();
        let error = migrate(&connection, &STEPS[..1]).unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 2, known: 1 }), "{error}");
    }
}
