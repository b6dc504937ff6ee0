//! Why the store could not do what was asked.

use super::db;
use std::path::PathBuf;

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
    /// The file of certificates that are trusted cannot be read.
    #[error("the file of trusted certificates {path} cannot be read")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// A step of the schema failed; the store is as it was before the step.
    #[error("cannot bring the store's schema up to date: step {name} failed")]
    Migrate {
        /// Which step.
        name: &'static str,
        /// What the engine says.
        source: db::Error,
    },
    /// A newer release has written the store.
    #[error(
        "the store has schema version {found}, but this release knows only {known}: start the release that wrote it, \
         or a newer one"
    )]
    Newer {
        /// The store's version.
        found: usize,
        /// The newest version known here.
        known: usize,
    },
    /// A statement failed.
    #[error("the store failed")]
    Sql(#[from] db::Error),
    /// A table that was moved has other rows afterwards.
    #[error("the table {table} has {rows} rows, and {there} of them were found where they were moved to")]
    Unequal {
        /// Which.
        table: String,
        /// How many were moved.
        rows: u64,
        /// How many there are.
        there: u64,
    },
    /// A value in the store cannot be what this release or an earlier one wrote.
    #[error("the store holds a value that no release writes: {0}")]
    Unreadable(&'static str),
    /// What no node may be active beside was begun while one is.
    #[error("a node is active{}: stop all nodes first", .0.as_ref().map_or_else(String::new, |at| format!(" at {at}")))]
    Active(Option<String>),
    /// The node that was active before has connections that do not end.
    #[error("connections of the node that was active before do not end; PostgreSQL was told to end them")]
    Lingering,
    /// The call did not run to its end: it panicked, or the runtime is going down.
    #[error("the store's call was interrupted")]
    Interrupted,
}
