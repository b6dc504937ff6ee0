//! What is known, derived from the journal: who was seen, which deliveries failed or wait, how lanes stand, how many
//! were delivered. One thread follows the journal and writes `records.db` in large transactions, each of which also
//! carries the position up to which it has applied the journal. So a crash, or a power cut that takes the database
//! back to an older state, costs nothing: the next start reads on from the position that it finds.
//!
//! A success at the first attempt, which is nearly all that happens, has no row: it is one of some hundred in a row of
//! the sparse index, and read back from the journal.

mod apply;
mod carried;
mod codec;
mod erase;
mod figures;
mod follow;
mod gone;
mod guides;
mod health;
#[cfg(test)]
pub(crate) mod history;
mod list;
#[cfg(test)]
pub(crate) mod memory;
mod notices;
mod people;
mod read;
mod rebuild;
mod replays;
mod retention;
mod schema;
mod stretches;
mod successes;
#[cfg(test)]
mod tests;
mod upkeep;

pub use codec::Success;
pub use figures::{Figures, TOOK_BOUNDS_MS, TOOK_COUNTS};
pub use health::{Health, Incident, KeptReceiver};
pub use list::KeptAttempt;
pub use notices::{KeptNotice, NoticeFilter};
pub use people::PersonRow;
pub use read::{Counts, DeliveryRow, Held, LaneRestart, Listed, ListedPage, Range, RowFilter, WaitingRetry};
pub use replays::{Before, ReplayRow};
pub use retention::{Dropped, Table};
pub use schema::MIGRATIONS;
pub use stretches::{Stretch, person_hash};

use crate::clock::Clock;
use crate::config::{IntakeSettings, RecordSettings};
use crate::defect::Defects;
use crate::journal::{Journal, ReadError};
use crate::model::Position;
use crate::store::db::{self, Connection, Interrupt, OptionalExtension, params};
use crate::store::{Part, Place, StoreError, migrate};
use follow::Follower;
use read::Readers;
use retention::Sweeper;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// Why the projection could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine says no.
    #[error("the records' database fails")]
    Sql(#[from] db::Error),
    /// The file cannot be opened or brought up to date.
    #[error("the records' database cannot be opened")]
    Store(#[from] StoreError),
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Journal(#[from] ReadError),
    /// A row holds what this version does not understand.
    #[error("a row of the table {table} is damaged")]
    Damaged {
        /// Which table.
        table: &'static str,
    },
    /// The journal ends before the position that was projected: it is another journal, or has lost its end.
    #[error(
        "the records go up to position {projected}, but the journal ends at {durable}; `fanfare store rebuild` adopts the journal as it is"
    )]
    AheadOfJournal {
        /// What the database says.
        projected: Position,
        /// What the journal says.
        durable: Position,
    },
    /// The thread could not be started, or the file not be prepared.
    #[error("the records cannot be opened")]
    Io(#[from] std::io::Error),
    /// The projection makes no progress.
    #[error("the records cannot catch up with the journal: {0}")]
    Stuck(String),
}

/// What the projection has done and how it stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Entries of the journal that are not yet projected.
    pub lag: u64,
    /// Rows that retention has deleted since the start.
    pub dropped: Dropped,
    /// Entries that the journal had deleted before they could be projected, since the start.
    pub missed: u64,
    /// Whether the last thing that was tried failed.
    pub failing: bool,
}

/// The projection: one thread that writes, some connections that read.
pub struct Projection {
    shared: Arc<Shared>,
    journal: Arc<dyn Journal>,
    readers: Readers,
    stop: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread tells everyone.
#[derive(Debug)]
struct Shared {
    projected: watch::Sender<Position>,
    dropped: Mutex<Dropped>,
    missed: AtomicU64,
    problem: Mutex<Option<String>>,
    /// Breaks off the statement that the writing thread is at.
    interrupt: Mutex<Interrupt>,
    /// What others want done on the thread that writes.
    requests: Mutex<Vec<erase::Request>>,
    requested: Notify,
    /// Somebody waits for what is durable now.
    hurried: Notify,
    /// A request is under way.
    serving: AtomicBool,
    /// No request is begun any more, and the one under way is to be broken off.
    requests_end: AtomicBool,
    defects: Defects,
}

impl Projection {
    /// Opens or creates the records of the store at `place` and starts to follow `journal`.
    ///
    /// # Errors
    /// [`Error`]; [`Error::AheadOfJournal`] when database and journal do not belong together.
    pub fn open(
        place: &Place,
        journal: Arc<dyn Journal>,
        records: &RecordSettings,
        intake: &IntakeSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let db = open_writer(place)?;
        let position = apply::stored_position(&db)?;
        let durable = *journal.durable().borrow();
        if position > durable {
            return Err(Error::AheadOfJournal { projected: position, durable });
        }
        let readers = Readers::open(place)?;
        let shared = Arc::new(Shared::at(position, db.interrupt_handle()));
        let (stop, stopped) = watch::channel(false);
        let follower = Follower {
            place: place.clone(),
            db,
            journal: Arc::clone(&journal),
            shared: Arc::clone(&shared),
            clock,
            sweeper: Sweeper::new(records, intake),
            stop: stopped,
            applier: apply::Applier::new(records.health.clone()),
            position,
            committed_at: None,
            unsynced_bytes: 0,
            synced_at: None,
            swept_at: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let thread = std::thread::Builder::new().name(String::from("records")).spawn(move || follower.run(&runtime))?;
        Ok(Self { shared, journal, readers, stop, thread: Mutex::new(Some(thread)) })
    }

    /// Whether the thread that writes has ended by a panic; for others whom the node cannot do without, too.
    pub fn defects(&self) -> Defects {
        self.shared.defects.clone()
    }

    /// Blocks until everything that is durable now is projected, and tells how it goes.
    ///
    /// # Errors
    /// [`Error::Stuck`] when nothing has been projected for ten seconds and there is a reason.
    pub fn catch_up(&self) -> Result<(), Error> {
        let target = *self.journal.durable().borrow();
        let mut seen = self.projected();
        let (mut moved_at, mut told_at) = (Instant::now(), Instant::now());
        if seen < target {
            self.hurry();
        }
        while seen < target {
            std::thread::sleep(Duration::from_millis(2));
            let projected = self.projected();
            if projected > seen {
                (seen, moved_at) = (projected, Instant::now());
            }
            if let Some(problem) = self.problem().filter(|_| moved_at.elapsed() > Duration::from_secs(10)) {
                return Err(Error::Stuck(problem));
            }
            if told_at.elapsed() > Duration::from_secs(2) {
                tracing::info!(position = %seen, %target, "the records catch up with the journal");
                told_at = Instant::now();
            }
        }
        Ok(())
    }

    /// What is durable is wanted now: the next transaction does not wait for its time.
    pub fn hurry(&self) {
        self.shared.hurried.notify_one();
    }

    /// Everything up to here is projected and can be read.
    pub fn projected(&self) -> Position {
        *self.shared.projected.borrow()
    }

    /// Tells of each new [`Projection::projected`].
    pub fn projected_changes(&self) -> watch::Receiver<Position> {
        self.shared.projected.subscribe()
    }

    /// How it stands.
    pub fn stats(&self) -> Stats {
        let durable = self.journal.durable().borrow().0;
        Stats {
            lag: durable.saturating_sub(self.projected().0),
            dropped: *self.shared.dropped.lock().unwrap_or_else(PoisonError::into_inner),
            missed: self.shared.missed.load(Ordering::Relaxed),
            failing: self.problem().is_some(),
        }
    }

    /// Why nothing is projected at the moment, if so.
    pub fn problem(&self) -> Option<String> {
        self.shared.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops following after the transaction under way, with a last synced checkpoint. Blocks until it is done.
    pub fn stop(&self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic of the thread was reported by the panic hook, and by `problem` since.
            let _ = thread.join();
        }
    }
}

impl Drop for Projection {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for Projection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Projection").field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl Shared {
    fn at(position: Position, interrupt: Interrupt) -> Self {
        Self {
            interrupt: Mutex::new(interrupt),
            projected: watch::channel(position).0,
            dropped: Mutex::default(),
            missed: AtomicU64::new(0),
            problem: Mutex::new(None),
            requests: Mutex::default(),
            requested: Notify::new(),
            hurried: Notify::new(),
            serving: AtomicBool::new(false),
            requests_end: AtomicBool::new(false),
            defects: Defects::default(),
        }
    }

    fn publish(&self, position: Position) {
        self.projected.send_if_modified(|projected| std::mem::replace(projected, position) != position);
    }

    /// Breaks off the statement that the writing thread is at.
    fn interrupt(&self) {
        self.interrupt.lock().unwrap_or_else(PoisonError::into_inner).interrupt();
    }

    /// The writing thread has another connection.
    fn interrupt_by(&self, interrupt: Interrupt) {
        *self.interrupt.lock().unwrap_or_else(PoisonError::into_inner) = interrupt;
    }

    fn dropped(&self, rows: &Dropped) {
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        Table::ALL.into_iter().for_each(|table| dropped.add(table, rows.of(table) as usize));
    }

    fn missed(&self, entries: u64) {
        self.missed.fetch_add(entries, Ordering::Relaxed);
    }

    /// Keeps the problem; whether it is a new one, so that it is logged once.
    fn fail(&self, problem: String) -> bool {
        let mut kept = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        kept.replace(problem) != *kept
    }

    fn solve(&self) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The single numbers that the database keeps.
#[derive(Debug, Clone, Copy)]
enum Meta {
    /// Everything up to here is applied.
    Position,
    /// The newest checkpoint's `head`.
    Head,
    /// Where the newest checkpoint entry stands.
    Checkpoint,
    /// How many item ids are kept.
    Items,
    /// Up to which entry the audit log was told.
    Audited,
    /// About how many bytes visitors and accounts take: they are not retention's.
    PeopleBytes,
}

impl Meta {
    fn name(self) -> &'static str {
        match self {
            Self::Position => "position",
            Self::Head => "head",
            Self::Checkpoint => "checkpoint",
            Self::Items => "items",
            Self::Audited => "audited",
            Self::PeopleBytes => "people_bytes",
        }
    }
}

fn set_meta(db: &Connection, meta: Meta, value: i64) -> db::Result<()> {
    db.prepare_cached(
        "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )?
    .execute(params![meta.name(), value])?;
    Ok(())
}

fn add_meta(db: &Connection, meta: Meta, value: i64) -> db::Result<()> {
    db.prepare_cached(
        "INSERT INTO meta (name, value) VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET value = meta.value + excluded.value",
    )?
    .execute(params![meta.name(), value])?;
    Ok(())
}

fn get_meta(db: &Connection, meta: Meta) -> db::Result<i64> {
    let value = db
        .prepare_cached("SELECT value FROM meta WHERE name = $1")?
        .query_row([meta.name()], |row| row.get(0))
        .optional()?;
    Ok(value.unwrap_or(0))
}

/// The writing connection. A transaction is not synced when it commits: that is what the position is for. A checkpoint
/// is, in the right order, so that the file is whole after a power cut.
fn open_writer(place: &Place) -> Result<Connection, Error> {
    let db = place.open(Part::Records)?;
    upkeep::prepare(&db)?;
    migrate(&db, schema::MIGRATIONS)?;
    Ok(db)
}

/// Positions and ids lie below 2^63, so that every store can keep them in a signed column.
fn int(number: u64) -> i64 {
    number as i64
}

fn position(number: i64) -> Position {
    Position(number as u64)
}
