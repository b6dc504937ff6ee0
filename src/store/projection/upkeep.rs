//! What the engines do differently with their files: making commits durable, giving space back, leaving nothing of what
//! was deleted.

use super::{Error, Shared};
use crate::store::db::{self, Connection, Engine};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Free pages that are given back to the file system at a time.
const VACUUM_PAGES: i64 = 2000;

/// How SQLite numbers `auto_vacuum = INCREMENTAL`.
const AUTO_VACUUM_INCREMENTAL: i64 = 2;

/// How often compacting tries to empty the write-ahead log while readers are in the way, and how long it waits between.
const TRUNCATE_TRIES: usize = 600;
const TRUNCATE_PAUSE: Duration = Duration::from_millis(100);

/// The tables that hold what is known of people.
const OF_PEOPLE: [&str; 8] = ["attempts", "deliveries", "held", "people", "metadata", "guides", "merged", "stretches"];

/// Before the schema is brought up to date: what a file has to be set to.
pub(super) fn prepare(db: &Connection) -> db::Result<()> {
    if db.engine() == Engine::Postgres {
        return Ok(());
    }
    let vacuum: i64 = db.query_row("PRAGMA auto_vacuum", (), |row| row.get(0))?;
    if vacuum != AUTO_VACUUM_INCREMENTAL {
        // Only a file without tables takes this at once; VACUUM makes any other take it.
        db.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; VACUUM;")?;
    }
    db.execute_batch("PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY;")
}

/// Makes everything durable that was committed; whether it is. With a reader in the way a file's write-ahead log is copied
/// in part, perhaps unsynced.
pub(super) fn sync(db: &Connection) -> db::Result<bool> {
    match db.engine() {
        Engine::Sqlite => {
            db.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |row| Ok(row.get::<i64>(1)? == row.get::<i64>(2)?))
        }
        // Only a transaction that has a number waits for the log, and for all of it that came before.
        Engine::Postgres => db
            .execute_batch("BEGIN; SET LOCAL synchronous_commit = on; SELECT pg_current_xact_id(); COMMIT")
            .map(|()| true),
    }
}

/// Bytes that rows and indexes take, without what is free. Of a server's tables that is about what their statistics say.
pub(super) fn table_bytes(db: &Connection) -> db::Result<i64> {
    let number = |sql: &str| db.prepare_cached(sql)?.query_row((), |row| row.get::<i64>(0));
    match db.engine() {
        Engine::Sqlite => {
            let pages = number("PRAGMA page_count")? - number("PRAGMA freelist_count")?;
            Ok(pages * number("PRAGMA page_size")?)
        }
        // 28 bytes before each row, and about as much again in its indexes.
        Engine::Postgres => number(
            "SELECT CAST(COALESCE(SUM(rows.n_live_tup * (2 * 28 + columns.width)), 0) AS BIGINT)
             FROM pg_stat_user_tables AS rows
             JOIN (SELECT tablename, SUM(avg_width) AS width FROM pg_stats
                   WHERE schemaname = current_schema() GROUP BY tablename) AS columns
                 ON columns.tablename = rows.relname
             WHERE rows.schemaname = current_schema()",
        ),
    }
}

/// Makes the file smaller by some of its free pages; a few are left for what comes next. A server does so by itself.
pub(super) fn give_back(db: &Connection) -> db::Result<()> {
    if db.engine() == Engine::Postgres {
        return Ok(());
    }
    let free: i64 = db.query_row("PRAGMA freelist_count", (), |row| row.get(0))?;
    if free > VACUUM_PAGES {
        let mut statement = db.prepare_cached(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
        let mut rows = statement.query(())?;
        while rows.next()?.is_some() {}
    }
    Ok(())
}

/// Does the work with commits that are on disk when they return, which the projection's own are not.
pub(super) fn durably<T>(db: &Connection, work: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
    let (on, off) = match db.engine() {
        Engine::Sqlite => ("PRAGMA synchronous = FULL", "PRAGMA synchronous = NORMAL"),
        Engine::Postgres => ("SET synchronous_commit = on", "SET synchronous_commit = off"),
    };
    db.execute_batch(on)?;
    let outcome = work(db);
    db.execute_batch(off)?;
    outcome
}

/// Copies what is kept, so that nothing of what was deleted is left in the files.
pub(super) fn compact(db: &Connection, shared: &Shared) -> Result<(), Error> {
    match db.engine() {
        Engine::Sqlite => compact_file(db, shared),
        Engine::Postgres => {
            // Copying a large table takes longer than a statement may, and no two may share a transaction.
            db.execute_batch("SET statement_timeout = 0")?;
            let outcome = OF_PEOPLE.iter().try_for_each(|table| db.execute_batch(&format!("VACUUM FULL {table}")));
            db.execute_batch("SET statement_timeout = '60s'")?;
            Ok(outcome?)
        }
    }
}

fn compact_file(db: &Connection, shared: &Shared) -> Result<(), Error> {
    // The copy may be large: not in memory.
    db.execute_batch("PRAGMA temp_store = FILE; VACUUM; PRAGMA temp_store = MEMORY;")?;
    for _ in 0..TRUNCATE_TRIES {
        let busy: i64 = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0))?;
        if busy == 0 {
            return Ok(());
        }
        if shared.requests_end.load(Ordering::SeqCst) {
            break;
        }
        std::thread::sleep(TRUNCATE_PAUSE);
    }
    Err(Error::Stuck(String::from("readers keep the write-ahead log from being emptied")))
}
