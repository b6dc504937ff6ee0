//! Where events stand that were carried on to the journal's end because a delivery of theirs was under way.

use super::{Error, Projection, int, position};
use crate::model::Position;
use crate::store::db::{self, Connection, OptionalExtension};
use std::collections::HashMap;

impl Projection {
    /// Where each event stands that was carried on, by where it was accepted.
    ///
    /// # Errors
    /// [`Error`].
    pub fn carried(&self) -> Result<HashMap<Position, Position>, Error> {
        self.read(|db| {
            let mut statement = db.prepare_cached("SELECT event, at FROM carried")?;
            let rows = statement.query_map((), |row| Ok((position(row.get(0)?), position(row.get(1)?))))?;
            Ok(rows.collect::<db::Result<_>>()?)
        })
    }

    /// Where an event stands, if it was carried on.
    ///
    /// # Errors
    /// [`Error`].
    pub fn carried_to(&self, event: Position) -> Result<Option<Position>, Error> {
        self.read(|db| Ok(find(db, event)?))
    }
}

pub(super) fn find(db: &Connection, event: Position) -> db::Result<Option<Position>> {
    let mut statement = db.prepare_cached("SELECT at FROM carried WHERE event = $1")?;
    Ok(statement.query_row([int(event.0)], |row| row.get(0)).optional()?.map(position))
}

/// An event was carried on, perhaps not for the first time.
pub(super) fn note(db: &Connection, at: Position, event: Position) -> db::Result<()> {
    let sql = "INSERT INTO carried (event, at) VALUES ($1, $2) ON CONFLICT (event) DO UPDATE SET at = excluded.at";
    db.prepare_cached(sql)?.execute_later([int(event.0), int(at.0)])?;
    Ok(())
}
