//! Who is in which stretch of the journal, so that the events of one visitor or account are found without reading it
//! all: a row for some thousand events, holding a 32-bit hash of everybody who is in one of them.
//!
//! Like the rows of successes, the newest row is written again by every transaction that adds to it.

use super::{Error, Projection, int, position};
use crate::model::{EventEntry, PersonKind, Position, SubscriptionId};
use crate::store::db::{self, Connection, params};
use std::collections::HashSet;

/// Events of a stretch. More make a search read more of the journal in vain, fewer make more rows.
const STRETCH_EVENTS: usize = 4096;

/// Rows that one look-up looks at, at most: some megabytes.
const LOOK_UP_ROWS: i64 = 256;

/// The stretch that is still added to.
#[derive(Debug, Default)]
pub(super) struct Stretches {
    range: Option<(Position, Position)>,
    events: usize,
    people: HashSet<u32>,
    blob: Vec<u8>,
    dirty: bool,
}

/// Where to go on looking for somebody's events, backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stretch {
    /// From here to there, both inclusive, there may be some.
    Found(Position, Position),
    /// None at or above this position.
    NotFrom(Position),
    /// Nothing is known of what lies below.
    Unknown,
}

/// The hash under which stretches know somebody.
pub fn person_hash(subscription: SubscriptionId, kind: PersonKind, id: &str) -> u32 {
    let start = crc32c::crc32c(&[kind as u8]);
    crc32c::crc32c_append(crc32c::crc32c_append(start, &subscription.0.to_le_bytes()), id.as_bytes())
}

impl Stretches {
    /// Notes who is in an event.
    pub(super) fn event(&mut self, position: Position, event: &EventEntry<'_>) {
        let first = self.range.map_or(position, |(first, _)| first);
        self.range = Some((first, position));
        self.events += 1;
        self.dirty = true;
        for (kind, id) in [(PersonKind::Visitor, event.visitor_id), (PersonKind::Account, event.account_id)] {
            let hash = person_hash(event.subscription, kind, id);
            if self.people.insert(hash) {
                self.blob.extend_from_slice(&hash.to_le_bytes());
            }
        }
    }

    /// Writes the stretch, if something has come to it.
    pub(super) fn flush(&mut self, db: &Connection) -> db::Result<()> {
        let Some((first, last)) = self.range.filter(|_| self.dirty) else { return Ok(()) };
        db.prepare_cached(
            "INSERT INTO stretches (first_position, last_position, people) VALUES ($1, $2, $3)
             ON CONFLICT (first_position) DO UPDATE SET last_position = excluded.last_position,
                 people = excluded.people",
        )?
        .execute_later(params![int(first.0), int(last.0), self.blob])?;
        self.dirty = false;
        if self.events >= STRETCH_EVENTS {
            self.forget();
        }
        Ok(())
    }

    /// The next event begins another stretch.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

impl Projection {
    /// The newest stretch that begins below `end` and holds everybody of `people` (by [`person_hash`]). Looks at a
    /// bounded number of rows.
    ///
    /// # Errors
    /// [`Error`].
    pub fn stretch_below(&self, end: Position, people: &[u32]) -> Result<Stretch, Error> {
        let sql = "SELECT first_position, last_position, people FROM stretches
                   WHERE first_position < $1 ORDER BY first_position DESC LIMIT $2";
        self.read(|db| {
            let mut statement = db.prepare_cached(sql)?;
            let mut rows = statement.query([int(end.0), LOOK_UP_ROWS])?;
            let mut looked_at = Stretch::Unknown;
            while let Some(row) = rows.next()? {
                let first = position(row.get(0)?);
                let blob = row.blob(2)?;
                if people.iter().all(|hash| blob.chunks_exact(4).any(|there| there == hash.to_le_bytes())) {
                    return Ok(Stretch::Found(first, position(row.get(1)?)));
                }
                looked_at = Stretch::NotFrom(first);
            }
            Ok(looked_at)
        })
    }
}
