//! One way to speak to either engine: statements with `$1`, `$2` …, values in, rows out.
//!
//! It is shaped like rusqlite, of whose calls the statements of this program were written, and blocks as rusqlite does:
//! callers in async code use [`super::Shared`], or a thread of their own. Statements are text that both engines take.
//! SQLite numbers `$1`, `$2` … by where they first stand, so each statement names them in ascending order. What differs
//! (types in a schema, how a file is compacted) is asked of [`Connection::engine`] where it is needed.

mod postgres;
mod statement;
mod value;

pub use postgres::{PostgresPlace, PostgresServer};
pub use statement::{MappedRows, Row, Rows, Statement};
pub use value::{FromValue, Owned, Params, ToValue, Value, ValueRef, values};

use crate::model::OutOfReach;
use std::ops::Deref;

/// Values of several types for a statement.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$(&$value as &dyn $crate::store::db::ToValue),*] as &[&dyn $crate::store::db::ToValue]
    };
}

pub(crate) use params;

/// What can go wrong with a statement.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite says no.
    #[error("SQLite: {0}")]
    Sqlite(rusqlite::Error),
    /// PostgreSQL says no.
    #[error("PostgreSQL: {}", postgres::describe(.0))]
    Postgres(tokio_postgres::Error),
    /// PostgreSQL cannot be reached, or the connection was lost. Whether a commit under way took place is unknown.
    #[error("PostgreSQL cannot be reached")]
    Unreachable(#[source] OutOfReach),
    /// A row was expected, and there is none.
    #[error("a row is missing")]
    NoRow,
    /// A column holds another type than it is read as.
    #[error("column {0} holds another type than expected")]
    Type(usize),
    /// A value cannot be written.
    #[error("a value cannot be written: {0}")]
    Value(String),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::QueryReturnedNoRows => Self::NoRow,
            error => Self::Sqlite(error),
        }
    }
}

/// What a statement leads to.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Which engine a connection speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

/// A connection to a store: used by one call at a time.
#[derive(Debug)]
pub struct Connection(Inner);

#[derive(Debug)]
enum Inner {
    Sqlite(rusqlite::Connection),
    Postgres(postgres::Session),
}

impl From<rusqlite::Connection> for Connection {
    fn from(connection: rusqlite::Connection) -> Self {
        Self(Inner::Sqlite(connection))
    }
}

impl Connection {
    /// Connects to the server; its statements find the tables of this place.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Postgres`].
    pub fn to_server(server: &PostgresServer, place: &PostgresPlace) -> Result<Self> {
        Ok(Self(Inner::Postgres(server.connect(place)?)))
    }

    /// Which engine it speaks to.
    pub fn engine(&self) -> Engine {
        match &self.0 {
            Inner::Sqlite(_) => Engine::Sqlite,
            Inner::Postgres(_) => Engine::Postgres,
        }
    }

    /// Makes the schema of its place, where there is none, in the transaction under way: two that make it at once would both
    /// fail. A file is one by itself.
    ///
    /// # Errors
    /// [`Error`].
    pub fn make_schema(&self) -> Result<()> {
        match &self.0 {
            Inner::Sqlite(_) => Ok(()),
            Inner::Postgres(session) => session.make_schema(),
        }
    }

    /// Whether it is of no use any more: another one has to be made.
    pub fn is_broken(&self) -> bool {
        match &self.0 {
            Inner::Sqlite(_) => false,
            Inner::Postgres(session) => session.is_closed(),
        }
    }

    /// Prepares a statement, once for the connection's life.
    ///
    /// # Errors
    /// [`Error`], here and below: what the engine says of the statement.
    pub fn prepare_cached(&self, sql: &str) -> Result<Statement<'_>> {
        Ok(match &self.0 {
            Inner::Sqlite(connection) => Statement::sqlite(connection.prepare_cached(sql)?),
            Inner::Postgres(session) => Statement::postgres(session, session.prepare(sql)?),
        })
    }

    /// Runs a statement; how many rows it has changed.
    ///
    /// # Errors
    /// [`Error`].
    pub fn execute(&self, sql: &str, params: impl Params) -> Result<usize> {
        self.prepare_cached(sql)?.execute(params)
    }

    /// Runs statements without values.
    ///
    /// # Errors
    /// [`Error`].
    pub fn execute_batch(&self, sql: &str) -> Result<()> {
        match &self.0 {
            Inner::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            Inner::Postgres(session) => session.batch(sql),
        }
    }

    /// The first row that a statement finds.
    ///
    /// # Errors
    /// [`Error::NoRow`] when there is none.
    pub fn query_row<T>(&self, sql: &str, params: impl Params, read: impl FnOnce(&Row<'_>) -> Result<T>) -> Result<T> {
        self.prepare_cached(sql)?.query_row(params, read)
    }

    /// Begins to write: alone among all that write here, in this process or another, until it is committed. Dropped, it
    /// has done nothing.
    ///
    /// # Errors
    /// [`Error`].
    pub fn transaction(&self) -> Result<Transaction<'_>> {
        match &self.0 {
            Inner::Sqlite(connection) => connection.execute_batch("BEGIN IMMEDIATE")?,
            Inner::Postgres(session) => session.begin()?,
        }
        Ok(Transaction { connection: self, is_over: false })
    }

    /// Begins to read: all statements see the same picture. It is dropped when it is over.
    ///
    /// # Errors
    /// [`Error`].
    pub fn snapshot(&self) -> Result<Transaction<'_>> {
        self.execute_batch(match self.engine() {
            Engine::Sqlite => "BEGIN DEFERRED",
            Engine::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        })?;
        Ok(Transaction { connection: self, is_over: false })
    }

    /// What breaks off the statement that this connection is at.
    pub fn interrupt_handle(&self) -> Interrupt {
        Interrupt(match &self.0 {
            Inner::Sqlite(connection) => InterruptOf::Sqlite(connection.get_interrupt_handle()),
            Inner::Postgres(session) => InterruptOf::Postgres(session.interrupt_handle()),
        })
    }
}

/// Breaks off the statement that a connection is at.
pub struct Interrupt(InterruptOf);

enum InterruptOf {
    Sqlite(rusqlite::InterruptHandle),
    Postgres(postgres::Interrupt),
}

impl std::fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interrupt")
    }
}

impl Interrupt {
    /// Breaks it off; without effect when there is none.
    pub fn interrupt(&self) {
        match &self.0 {
            InterruptOf::Sqlite(handle) => handle.interrupt(),
            InterruptOf::Postgres(handle) => handle.interrupt(),
        }
    }
}

/// Statements that belong together.
#[derive(Debug)]
pub struct Transaction<'a> {
    connection: &'a Connection,
    is_over: bool,
}

impl Transaction<'_> {
    /// Makes what was done hold.
    ///
    /// # Errors
    /// [`Error`]: with SQLite nothing of it holds then; with PostgreSQL that is unknown when the connection was lost.
    pub fn commit(mut self) -> Result<()> {
        self.connection.execute_batch("COMMIT")?;
        self.is_over = true;
        Ok(())
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        match &self.connection.0 {
            // It fails when the engine has rolled back by itself: nothing holds then either.
            Inner::Sqlite(connection) => drop(connection.execute_batch("ROLLBACK")),
            Inner::Postgres(session) => session.rollback(),
        }
    }
}

/// A missing row as `None`.
pub trait OptionalExtension<T> {
    /// See the trait.
    ///
    /// # Errors
    /// Every other error.
    fn optional(self) -> Result<Option<T>>;
}

impl<T> OptionalExtension<T> for Result<T> {
    fn optional(self) -> Result<Option<T>> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(Error::NoRow) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
