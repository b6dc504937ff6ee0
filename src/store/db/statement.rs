//! Prepared statements and the rows that they find.

use super::postgres::{self, Session};
use super::value::{FromValue, Params, Value, ValueRef};
use super::{Error, Result};
use rusqlite::types::{ToSqlOutput, ValueRef as SqliteRef};
use std::marker::PhantomData;
use std::vec;

/// A prepared statement.
pub struct Statement<'a>(Inner<'a>);

enum Inner<'a> {
    Sqlite(rusqlite::CachedStatement<'a>),
    Postgres(&'a Session, tokio_postgres::Statement),
}

impl<'a> Statement<'a> {
    pub(super) fn sqlite(statement: rusqlite::CachedStatement<'a>) -> Self {
        Self(Inner::Sqlite(statement))
    }

    pub(super) fn postgres(session: &'a Session, statement: tokio_postgres::Statement) -> Self {
        Self(Inner::Postgres(session, statement))
    }

    /// Runs it; how many rows it has changed.
    ///
    /// # Errors
    /// [`Error`], here and below: what the engine says.
    pub fn execute(&mut self, params: impl Params) -> Result<usize> {
        let values = params.to_values();
        match &mut self.0 {
            Inner::Sqlite(statement) => Ok(statement.execute(rusqlite::params_from_iter(values.iter()))?),
            Inner::Postgres(session, statement) => session.execute(statement, &values),
        }
    }

    /// Runs it without waiting for what it says: with a server, statements that need no answer go there one behind the other.
    /// An error is told by the commit of the transaction that it belongs to, or by a statement before that.
    ///
    /// # Errors
    /// [`Error`]: with a file at once.
    pub fn execute_later(&mut self, params: impl Params) -> Result<()> {
        let values = params.to_values();
        match &mut self.0 {
            Inner::Sqlite(statement) => {
                statement.execute(rusqlite::params_from_iter(values.iter()))?;
                Ok(())
            }
            Inner::Postgres(session, statement) => session.execute_later(statement, &values),
        }
    }

    /// The rows that it finds, one after the other.
    ///
    /// # Errors
    /// [`Error`].
    pub fn query(&mut self, params: impl Params) -> Result<Rows<'_>> {
        let values = params.to_values();
        Ok(Rows(match &mut self.0 {
            Inner::Sqlite(statement) => Found::Sqlite(statement.query(rusqlite::params_from_iter(values.iter()))?),
            Inner::Postgres(session, statement) => Found::Postgres(session.query(statement, &values)?, None),
        }))
    }

    /// The rows that it finds, each read by `read`.
    ///
    /// # Errors
    /// [`Error`].
    pub fn query_map<T, F>(&mut self, params: impl Params, read: F) -> Result<MappedRows<'_, T, F>>
    where
        F: FnMut(&Row<'_>) -> Result<T>,
    {
        Ok(MappedRows { rows: self.query(params)?, read, what: PhantomData })
    }

    /// The first row that it finds.
    ///
    /// # Errors
    /// [`Error::NoRow`] when there is none.
    pub fn query_row<T>(&mut self, params: impl Params, read: impl FnOnce(&Row<'_>) -> Result<T>) -> Result<T> {
        let mut rows = self.query(params)?;
        let row = rows.next()?.ok_or(Error::NoRow)?;
        read(&row)
    }

    /// Whether it finds a row.
    ///
    /// # Errors
    /// [`Error`].
    pub fn exists(&mut self, params: impl Params) -> Result<bool> {
        Ok(self.query(params)?.next()?.is_some())
    }
}

/// Rows that were found. Those of a file are read as they are asked for.
pub struct Rows<'a>(Found<'a>);

enum Found<'a> {
    Sqlite(rusqlite::Rows<'a>),
    /// The second is the newest, which the caller looks at.
    Postgres(vec::IntoIter<tokio_postgres::Row>, Option<tokio_postgres::Row>),
}

impl Rows<'_> {
    /// The next one.
    ///
    /// # Errors
    /// [`Error`].
    #[expect(clippy::should_implement_trait, reason = "a row borrows from the rows, which no iterator allows")]
    pub fn next(&mut self) -> Result<Option<Row<'_>>> {
        Ok(match &mut self.0 {
            Found::Sqlite(rows) => rows.next()?.map(|row| Row(RowOf::Sqlite(row))),
            Found::Postgres(rows, newest) => {
                *newest = rows.next();
                newest.as_ref().map(|row| Row(RowOf::Postgres(row)))
            }
        })
    }
}

/// Rows, each read as it is asked for.
pub struct MappedRows<'a, T, F> {
    rows: Rows<'a>,
    read: F,
    what: PhantomData<T>,
}

impl<T, F: FnMut(&Row<'_>) -> Result<T>> Iterator for MappedRows<'_, T, F> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        match self.rows.next() {
            Ok(row) => row.map(|row| (self.read)(&row)),
            Err(error) => Some(Err(error)),
        }
    }
}

/// One row.
pub struct Row<'a>(RowOf<'a>);

enum RowOf<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
}

impl Row<'_> {
    /// The value in this column, the first being 0.
    ///
    /// # Errors
    /// [`Error::Type`] when it is of another type.
    pub fn get<T: FromValue>(&self, column: usize) -> Result<T> {
        T::from_value(self.get_ref(column)?).ok_or(Error::Type(column))
    }

    /// The value in this column, as it lies there.
    ///
    /// # Errors
    /// [`Error::Type`] when it is of a type that no column of ours has.
    pub fn get_ref(&self, column: usize) -> Result<ValueRef<'_>> {
        match self.0 {
            RowOf::Sqlite(row) => match row.get_ref(column)? {
                SqliteRef::Null => Ok(ValueRef::Null),
                SqliteRef::Integer(number) => Ok(ValueRef::Integer(number)),
                SqliteRef::Text(text) => {
                    std::str::from_utf8(text).map(|text| ValueRef::Text(text.into())).map_err(|_| Error::Type(column))
                }
                SqliteRef::Blob(bytes) => Ok(ValueRef::Blob(bytes)),
                SqliteRef::Real(_) => Err(Error::Type(column)),
            },
            RowOf::Postgres(row) => postgres::value(row, column),
        }
    }

    /// The bytes in this column.
    ///
    /// # Errors
    /// [`Error::Type`] when it holds something else.
    pub fn blob(&self, column: usize) -> Result<&[u8]> {
        self.get_ref(column)?.as_blob(column)
    }
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => SqliteRef::Null,
            Self::Bool(yes) => SqliteRef::Integer(i64::from(*yes)),
            Self::Integer(number) => SqliteRef::Integer(*number),
            Self::Text(text) => SqliteRef::Text(text.as_bytes()),
            Self::Blob(bytes) => SqliteRef::Blob(bytes),
        }))
    }
}
