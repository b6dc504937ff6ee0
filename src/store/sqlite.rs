//! Opening a SQLite file, bringing its schema up to date, and keeping its blocking calls off the async runtime.

use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a statement waits for another connection's lock before it fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Prepared statements kept per connection.
const STATEMENT_CACHE: usize = 128;

/// How much a committed transaction is worth when the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Every commit is on disk when it returns. For what exists nowhere else.
    Full,
    /// A commit survives a crash of the process, but not always one of the machine; the file stays consistent. For
    /// what can be derived again from the journal.
    Normal,
}

/// One step of a schema. Steps are numbered from 1 by their place in the list, are never changed once released, and
/// only lead forward.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// What it is called, for messages: the name of its file.
    pub name: &'static str,
    /// Its statements.
    pub sql: &'static str,
}

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file could not be opened or created.
    #[error("cannot open {path}")]
    Open {
        /// Which file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A step of the schema failed; the file is as it was before the step.
    #[error("cannot bring the store's schema up to date: step {name} failed")]
    Migrate {
        /// Which step.
        name: &'static str,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A newer release has written the file.
    #[error(
        "the store has schema version {found}, but this release knows only {known}: start the release that wrote it, \
         or a newer one"
    )]
    Newer {
        /// The file's version.
        found: usize,
        /// The newest version known here.
        known: usize,
    },
    /// A statement failed.
    #[error("the store failed")]
    Sqlite(#[from] rusqlite::Error),
    /// A value in the store cannot be what this release or an earlier one wrote.
    #[error("the store holds a value that no release writes: {0}")]
    Unreadable(&'static str),
    /// The call did not run to its end: it panicked, or the runtime is going down.
    #[error("the store's call was interrupted")]
    Interrupted,
}

/// Opens or creates the file for reading and writing: WAL, foreign keys on, waiting for locks.
///
/// # Errors
/// [`StoreError::Open`] names the file.
pub fn open(path: &Path, sync: Sync) -> Result<Connection, StoreError> {
    let failed = |source| StoreError::Open { path: path.to_owned(), source };
    let connection = Connection::open(path).map_err(failed)?;
    configure(&connection, sync).map_err(failed)?;
    Ok(connection)
}

/// Opens an existing file for reading only, so that a reader can neither write nor create by accident.
///
/// # Errors
/// [`StoreError::Open`] names the file.
pub fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let failed = |source| StoreError::Open { path: path.to_owned(), source };
    // Not SQLITE_OPEN_READ_ONLY: a WAL reader must be able to make the shared-memory file. query_only refuses writes.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    configure(&connection, Sync::Normal).map_err(failed)?;
    connection.pragma_update(None, "query_only", true).map_err(failed)?;
    Ok(connection)
}

fn configure(connection: &Connection, sync: Sync) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match sync {
        Sync::Full => "FULL",
        Sync::Normal => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "foreign_keys", true)
}

/// Applies the steps that the file does not have yet, each in a transaction of its own together with the file's new
/// version (`user_version`). Two processes that do so at once do it one after the other.
///
/// # Errors
/// [`StoreError::Newer`] when the file has steps that are not in the list, [`StoreError::Migrate`] when one fails.
pub fn migrate(connection: &mut Connection, migrations: &[Migration]) -> Result<(), StoreError> {
    loop {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found = version(&transaction)?;
        if found > migrations.len() {
            return Err(StoreError::Newer { found, known: migrations.len() });
        }
        let Some(next) = migrations.get(found) else { return Ok(()) };
        let failed = |source| StoreError::Migrate { name: next.name, source };
        transaction.execute_batch(next.sql).map_err(failed)?;
        transaction.pragma_update(None, "user_version", found as i64 + 1).map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
}

/// How many steps the file has.
fn version(connection: &Connection) -> Result<usize, StoreError> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    usize::try_from(version).map_err(|_| StoreError::Unreadable("user_version"))
}

/// A connection that async code may use: each call runs on the runtime's threads for blocking work, one at a time.
#[derive(Debug, Clone)]
pub struct Shared(Arc<Mutex<Connection>>);

impl Shared {
    /// Shares this connection.
    pub fn new(connection: Connection) -> Self {
        Self(Arc::new(Mutex::new(connection)))
    }

    /// Runs `work` with the connection and waits for its end. A call whose future is dropped still runs to its end.
    ///
    /// # Errors
    /// What `work` returns; [`StoreError::Interrupted`] when it did not run to its end.
    pub async fn call<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    {
        let shared = Arc::clone(&self.0);
        // A panic inside a transaction has rolled it back while unwinding, so the connection is good to go on with.
        let run = move || work(&mut shared.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(run).await.unwrap_or_else(|_| Err(StoreError::Interrupted.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let (_dir, mut connection) = scratch();
        migrate(&mut connection, &STEPS[..1]).unwrap();
        migrate(&mut connection, &STEPS).unwrap();
        migrate(&mut connection, &STEPS).unwrap();
        let rows: i64 = connection.query_row("SELECT count(*) FROM t WHERE b = 'x'", [], |row| row.get(0)).unwrap();
        assert_eq!((rows, version(&connection).unwrap()), (1, 2));
    }

    #[test]
    fn a_newer_schema_is_refused_and_a_failed_step_leaves_nothing() {
        let (_dir, mut connection) = scratch();
        let bad = Migration { name: "2_bad.sql", sql: "CREATE TABLE u (a INTEGER); SELECT nonsense;" };
        let error = migrate(&mut connection, &[STEPS[0], bad]).unwrap_err();
        assert!(matches!(error, StoreError::Migrate { name: "2_bad.sql", .. }), "{error}");
        assert_eq!(version(&connection).unwrap(), 1);
        assert!(connection.prepare("SELECT * FROM u").is_err(), "the failed step's table is gone");
        migrate(&mut connection, &STEPS).unwrap();
        let error = migrate(&mut connection, &STEPS[..1]).unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 2, known: 1 }), "{error}");
    }

    #[test]
    fn the_pragmas_hold() {
        let (dir, connection) = scratch();
        let value = |name: &str| -> String {
            let read = |row: &rusqlite::Row<'_>| Ok(format!("{:?}", row.get_ref(0)?));
            connection.pragma_query_value(None, name, read).unwrap()
        };
        assert!(value("synchronous").contains('2') && value("foreign_keys").contains('1'));
        assert_eq!(value("journal_mode"), r#"Text([119, 97, 108])"#.to_owned(), "wal");
        let reader = open_reader(&dir.path().join("t.db")).unwrap();
        assert!(reader.execute_batch("CREATE TABLE x (a)").is_err(), "a reader cannot write");
        assert!(open_reader(&dir.path().join("absent.db")).is_err(), "a reader creates nothing");
    }

    #[tokio::test]
    async fn a_call_that_panics_leaves_the_connection_usable() {
        let (_dir, connection) = scratch();
        let shared = Shared::new(connection);
        let broken: Result<(), StoreError> = shared.call(|_| panic!("on purpose")).await;
        assert!(matches!(broken, Err(StoreError::Interrupted)));
        let one: i64 =
            shared.call(|c| c.query_row("SELECT 1", [], |row| row.get(0)).map_err(StoreError::from)).await.unwrap();
        assert_eq!(one, 1);
    }
}
