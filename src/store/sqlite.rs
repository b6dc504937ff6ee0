//! Opening a SQLite file.

use super::StoreError;
use super::db::Connection;
use crate::limits;
use rusqlite::OpenFlags;
use std::path::Path;
use std::time::Duration;

/// How long a statement waits for another connection's lock before it fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How much a committed transaction is worth when the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Every commit is on disk when it returns. For what exists nowhere else.
    Full,
    /// A commit survives a crash of the process, but not always one of the machine; the file stays consistent. For
    /// what can be derived again from the journal.
    Normal,
}

/// Opens or creates the file for reading and writing: WAL, foreign keys on, waiting for locks.
///
/// # Errors
/// [`StoreError::Open`] names the file.
pub fn open(path: &Path, sync: Sync) -> Result<Connection, StoreError> {
    let failed = |source| StoreError::Open { path: path.to_owned(), source };
    let connection = rusqlite::Connection::open(path).map_err(failed)?;
    configure(&connection, sync).map_err(failed)?;
    Ok(connection.into())
}

/// Opens an existing file for reading only, so that a reader can neither write nor create by accident.
///
/// # Errors
/// [`StoreError::Open`] names the file.
pub fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let failed = |source| StoreError::Open { path: path.to_owned(), source };
    // Not SQLITE_OPEN_READ_ONLY: a WAL reader must be able to make the shared-memory file. query_only refuses writes.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = rusqlite::Connection::open_with_flags(path, flags).map_err(failed)?;
    configure(&connection, Sync::Normal).map_err(failed)?;
    connection.pragma_update(None, "query_only", true).map_err(failed)?;
    Ok(connection.into())
}

fn configure(connection: &rusqlite::Connection, sync: Sync) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(limits::STATEMENTS);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match sync {
        Sync::Full => "FULL",
        Sync::Normal => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "foreign_keys", true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pragmas_hold() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let connection = open(&path, Sync::Full).unwrap();
        let number =
            |name: &str| -> i64 { connection.query_row(&format!("PRAGMA {name}"), (), |row| row.get(0)).unwrap() };
        assert_eq!((number("synchronous"), number("foreign_keys")), (2, 1));
        let mode: String = connection.query_row("PRAGMA journal_mode", (), |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
        let reader = open_reader(&path).unwrap();
        assert!(reader.execute_batch("CREATE TABLE x (a)").is_err(), "a reader cannot write");
        assert!(open_reader(&dir.path().join("absent.db")).is_err(), "a reader creates nothing");
    }
}
