//! Who must not be processed, and who is being forgotten.

use super::note_dropped;
use super::rows::{number, read};
use crate::model::{DoNotProcessId, ForgetJobId, PersonHash, PersonKind, Position, SubscriptionId, UnixMs};
use crate::store::StoreError;
use crate::store::db::{self, Connection, Row, params};

/// The key of a subscription's hashes, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonKeyRow {
    /// Whose.
    pub subscription: SubscriptionId,
    /// The key.
    pub key_sealed: String,
}

/// A rule: nothing of this person is processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoNotProcessRow {
    /// Unique in the installation.
    pub id: DoNotProcessId,
    /// Whose.
    pub subscription: SubscriptionId,
    /// A visitor or an account.
    pub kind: PersonKind,
    /// Who.
    pub person: PersonHash,
    /// Made when.
    pub created_at: UnixMs,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForgetState {
    /// Not begun.
    Waiting,
    /// At work, or to be gone on with after a restart.
    Running,
    /// Everything is erased.
    Done,
}

/// A job that forgets somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgetJobRow {
    /// Unique in the installation.
    pub id: ForgetJobId,
    /// Whose.
    pub subscription: SubscriptionId,
    /// A visitor or an account.
    pub kind: PersonKind,
    /// Who.
    pub person: PersonHash,
    /// Their id, sealed, until the job is done.
    pub person_sealed: Option<String>,
    /// Where it stands.
    pub state: ForgetState,
    /// What was accepted up to here is erased; set once the person is no longer known.
    pub cut: Option<Position>,
    /// Asked for when.
    pub asked_at: UnixMs,
    /// Done when.
    pub done_at: Option<UnixMs>,
    /// Entries of the journal that were erased so far.
    pub erased_entries: u64,
    /// Why it does not get on, if it does not.
    pub problem: Option<String>,
}

impl ForgetState {
    /// Its name in the API and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Waiting, Self::Running, Self::Done].into_iter().find(|state| state.name() == name)
    }
}

impl PersonKeyRow {
    /// Writes it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn insert(&self, connection: &Connection) -> Result<(), StoreError> {
        let sql = "INSERT INTO person_keys (id, key_sealed) VALUES ($1, $2)";
        connection.execute(sql, params![self.subscription.0 as i64, self.key_sealed])?;
        Ok(())
    }
}

impl DoNotProcessRow {
    /// Writes a new one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn insert(&self, connection: &Connection) -> Result<(), StoreError> {
        let sql = "INSERT INTO do_not_process (id, subscription_id, kind, person_hash, created_at)
                   VALUES ($1, $2, $3, $4, $5)";
        let (id, subscription) = (self.id.0 as i64, self.subscription.0 as i64);
        let values = params![id, subscription, self.kind.name(), self.person.to_string(), self.created_at.0];
        connection.execute(sql, values)?;
        Ok(())
    }

    /// Deletes one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn delete(connection: &Connection, id: DoNotProcessId) -> Result<(), StoreError> {
        connection.execute("DELETE FROM do_not_process WHERE id = $1", [id.0 as i64])?;
        Ok(())
    }
}

impl ForgetJobRow {
    /// Writes it, new or in place of what it was.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn write(&self, connection: &Connection) -> Result<(), StoreError> {
        let sql =
            "INSERT INTO forget_jobs (id, subscription_id, kind, person_hash, person_sealed, state, cut, asked_at,
                       done_at, erased_entries, problem)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
                   ON CONFLICT (id) DO UPDATE SET person_sealed = excluded.person_sealed, state = excluded.state,
                       cut = excluded.cut, done_at = excluded.done_at, erased_entries = excluded.erased_entries,
                       problem = excluded.problem";
        connection.prepare_cached(sql)?.execute(params![
            self.id.0 as i64,
            self.subscription.0 as i64,
            self.kind.name(),
            self.person.to_string(),
            self.person_sealed,
            self.state.name(),
            self.cut.map(|cut| cut.0 as i64),
            self.asked_at.0,
            self.done_at.map(|at| at.0),
            self.erased_entries as i64,
            self.problem,
        ])?;
        Ok(())
    }

    /// How many of a subscription's jobs are not done.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn count_open(connection: &Connection, subscription: SubscriptionId) -> Result<usize, StoreError> {
        let sql = "SELECT COUNT(*) FROM forget_jobs WHERE subscription_id = $1 AND state <> 'done'";
        let count: i64 = connection.query_row(sql, [subscription.0 as i64], |row| row.get(0))?;
        Ok(count as usize)
    }

    /// Deletes a subscription's jobs that are done, but for the newest.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn keep_newest(connection: &Connection, subscription: SubscriptionId, count: usize) -> Result<(), StoreError> {
        let sql = "DELETE FROM forget_jobs WHERE subscription_id = $1 AND state = 'done' AND id NOT IN
                       (SELECT id FROM forget_jobs WHERE subscription_id = $1 AND state = 'done'
                        ORDER BY asked_at DESC, id DESC LIMIT $2)";
        let beyond = connection.execute(sql, params![subscription.0 as i64, count as i64])?;
        note_dropped(connection, "forget_jobs", beyond)
    }

    /// The job with this id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn find(connection: &Connection, id: ForgetJobId) -> Result<Option<Self>, StoreError> {
        let sql = format!("{JOBS} WHERE id = $1");
        Ok(read_with(connection, &sql, params![id.0 as i64])?.pop())
    }

    /// The oldest jobs that are not done.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn next(connection: &Connection, most: usize) -> Result<Vec<Self>, StoreError> {
        let sql = format!("{JOBS} WHERE state <> 'done' ORDER BY asked_at, id LIMIT $1");
        read_with(connection, &sql, params![most as i64])
    }

    /// The job for this person that is not begun, if there is one: what comes in until it begins is erased too.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn waiting_for(
        connection: &Connection,
        (subscription, kind, person): (SubscriptionId, PersonKind, PersonHash),
    ) -> Result<Option<Self>, StoreError> {
        let sql = format!("{JOBS} WHERE subscription_id = $1 AND kind = $2 AND person_hash = $3 AND state = 'waiting'");
        let values = params![subscription.0 as i64, kind.name(), person.to_string()];
        Ok(read_with(connection, &sql, values)?.pop())
    }

    /// A subscription's jobs, newest first, from the one behind `after` on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn page(
        connection: &Connection,
        subscription: SubscriptionId,
        after: Option<(UnixMs, ForgetJobId)>,
        limit: usize,
    ) -> Result<Vec<Self>, StoreError> {
        let sql = format!(
            "{JOBS} WHERE subscription_id = $1 AND (asked_at < $2 OR (asked_at = $2 AND id < $3))
             ORDER BY asked_at DESC, id DESC LIMIT $4"
        );
        let (at, id) = after.map_or((i64::MAX, i64::MAX), |(at, id)| (at.0, id.0 as i64));
        read_with(connection, &sql, params![subscription.0 as i64, at, id, limit as i64])
    }
}

const JOBS: &str = "SELECT id, subscription_id, kind, person_hash, person_sealed, state, cut, asked_at, done_at,
                        erased_entries, problem FROM forget_jobs";

fn read_with(connection: &Connection, sql: &str, values: impl db::Params) -> Result<Vec<ForgetJobRow>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(job(&row)?);
    }
    Ok(found)
}

fn job(row: &Row<'_>) -> Result<ForgetJobRow, StoreError> {
    let state = ForgetState::from_name(&row.get::<String>(5)?);
    Ok(ForgetJobRow {
        id: ForgetJobId(number(row, 0)?),
        subscription: SubscriptionId(number(row, 1)?),
        kind: kind(row, 2)?,
        person: person(row, 3)?,
        person_sealed: row.get(4)?,
        state: state.ok_or(StoreError::Unreadable("forget_jobs.state"))?,
        cut: row.get::<Option<i64>>(6)?.map(|cut| Position(cut as u64)),
        asked_at: UnixMs(row.get(7)?),
        done_at: row.get::<Option<i64>>(8)?.map(UnixMs),
        erased_entries: row.get::<i64>(9)? as u64,
        problem: row.get(10)?,
    })
}

pub(super) fn keys(connection: &Connection) -> Result<Vec<PersonKeyRow>, StoreError> {
    read(connection, "SELECT id, key_sealed FROM person_keys ORDER BY id", |row| {
        Ok(PersonKeyRow { subscription: SubscriptionId(number(row, 0)?), key_sealed: row.get(1)? })
    })
}

pub(super) fn rules(connection: &Connection) -> Result<Vec<DoNotProcessRow>, StoreError> {
    let sql = "SELECT id, subscription_id, kind, person_hash, created_at FROM do_not_process ORDER BY created_at, id";
    read(connection, sql, |row| {
        Ok(DoNotProcessRow {
            id: DoNotProcessId(number(row, 0)?),
            subscription: SubscriptionId(number(row, 1)?),
            kind: kind(row, 2)?,
            person: person(row, 3)?,
            created_at: UnixMs(row.get(4)?),
        })
    })
}

fn kind(row: &Row<'_>, column: usize) -> Result<PersonKind, StoreError> {
    PersonKind::from_name(&row.get::<String>(column)?).ok_or(StoreError::Unreadable("kind"))
}

fn person(row: &Row<'_>, column: usize) -> Result<PersonHash, StoreError> {
    row.get::<String>(column)?.parse().map_err(|_| StoreError::Unreadable("person_hash"))
}
