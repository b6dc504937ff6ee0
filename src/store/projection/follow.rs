//! The thread that follows the journal: reads, applies, commits, checkpoints, sweeps, in this order and one at a time.

use super::apply::{Applier, stored_position};
use super::retention::{Sweeper, Swept, Table};
use super::{Error, Shared, open_writer, upkeep};
use crate::clock::Clock;
use crate::journal::{Holder, Journal, ReadError};
use crate::limits::JOURNAL_READ_BYTES;
use crate::model::Position;
use crate::store::Place;
use crate::store::db::{self, Connection};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Most entries of one transaction.
const TRANSACTION_ENTRIES: u64 = 20_000;

/// Longest time that a transaction stays open while entries keep coming.
const TRANSACTION_TIME: Duration = Duration::from_millis(300);

/// Shortest time between two transactions at the head of the journal, while nobody waits for one. A commit costs about
/// as much as applying a hundred entries, so one per event would cost more than the event.
const PACE: Duration = Duration::from_millis(100);

/// Time between synced checkpoints: what a power cut can make the next start read again from the journal.
const SYNC_EVERY: Duration = Duration::from_secs(30);

/// Bytes written at which a checkpoint does not wait for its time, so that the write-ahead log stays small.
const SYNC_BYTES: u64 = 64 * 1024 * 1024;

/// Pause after an error before trying again, and between looks when nothing comes.
const PAUSE: Duration = Duration::from_secs(1);

/// Writes the projection. Owns the only connection that writes.
pub(super) struct Follower {
    pub(super) place: Place,
    pub(super) db: Connection,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) sweeper: Sweeper,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) applier: Applier,
    pub(super) position: Position,
    pub(super) committed_at: Option<Instant>,
    pub(super) unsynced_bytes: u64,
    pub(super) synced_at: Option<Instant>,
    pub(super) swept_at: Option<Instant>,
}

impl Follower {
    /// Follows the journal until told to stop.
    pub(super) fn run(mut self, runtime: &tokio::runtime::Runtime) {
        let _gone = Gone(Arc::clone(&self.shared));
        let _ends_node = self.shared.defects.guard();
        let mut durable = self.journal.durable();
        while !*self.stop.borrow() {
            durable.mark_unchanged();
            self.serve_requests();
            match self.round() {
                Ok(true) => self.shared.solve(),
                Ok(false) => {
                    self.shared.solve();
                    runtime.block_on(self.wait(&mut durable));
                }
                Err(error) => {
                    self.recover(&error);
                    runtime.block_on(self.pause(PAUSE));
                }
            }
        }
        if let Err(error) = self.sync() {
            tracing::warn!(%error, "the last checkpoint of the records failed; the next start reads more of the journal");
        }
    }

    /// One transaction and what is due after it; whether more is there already.
    fn round(&mut self) -> Result<bool, Error> {
        let behind = self.transaction()?;
        self.sync_if_due()?;
        let more = self.sweep_if_due()?;
        Ok(behind || more)
    }

    fn transaction(&mut self) -> Result<bool, Error> {
        let durable = *self.journal.durable().borrow();
        if durable <= self.position {
            return Ok(false);
        }
        let began = Instant::now();
        let transaction = self.db.transaction()?;
        let mut position = self.position;
        let mut damage = None;
        while position < durable && self.applier.applied() < TRANSACTION_ENTRIES && began.elapsed() < TRANSACTION_TIME {
            match read_on(&transaction, &mut self.applier, &*self.journal, position) {
                Ok(next) if next == position => break,
                Ok(next) => position = next,
                Err(ReadFailure::Damaged { after, error }) => {
                    // What came before the damage is good: it is kept, and the damage reported.
                    position = after;
                    damage = Some(error);
                    break;
                }
                Err(ReadFailure::Store(error)) => return Err(error.into()),
                Err(ReadFailure::Journal(error)) => {
                    damage = Some(error);
                    break;
                }
            }
        }
        self.applier.flush(&transaction)?;
        transaction.commit()?;
        self.position = position;
        self.committed_at = Some(Instant::now());
        self.shared.publish(position);
        match damage {
            Some(error) => self.skip_what_is_gone(error),
            None => Ok(position < *self.journal.durable().borrow()),
        }
    }

    /// Entries that the journal no longer holds cannot be projected: the loss is told, once, and the rest goes on.
    /// Anything else is not guessed at.
    fn skip_what_is_gone(&mut self, error: ReadError) -> Result<bool, Error> {
        let ReadError::Gone { oldest, .. } = error else { return Err(error.into()) };
        tracing::error!(from = %self.position.next(), to = %oldest, "the journal is gone before it was recorded");
        self.shared.missed(oldest.0.saturating_sub(self.position.next().0));
        self.position = Position(oldest.0.saturating_sub(1)).max(self.position);
        Ok(true)
    }

    /// Whatever was in memory belongs to a transaction that was rolled back.
    fn recover(&mut self, error: &Error) {
        self.applier.forget();
        if self.db.is_broken() {
            match open_writer(&self.place) {
                Ok(db) => {
                    self.shared.interrupt_by(db.interrupt_handle());
                    self.db = db;
                }
                // It was told when it was lost.
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "no connection for the records yet");
                }
            }
        }
        if let Ok(stored) = stored_position(&self.db) {
            self.position = stored;
        }
        if self.shared.fail(error.to_string()) {
            tracing::error!(error = error as &dyn std::error::Error, position = %self.position, "records cannot be written; trying again");
        }
    }

    fn sync_if_due(&mut self) -> Result<(), Error> {
        let due = self.synced_at.is_none_or(|at| at.elapsed() >= SYNC_EVERY);
        let at_head = self.position >= *self.journal.durable().borrow();
        self.unsynced_bytes += self.applier.take_written_bytes();
        if (due && at_head) || self.unsynced_bytes >= SYNC_BYTES { self.sync() } else { Ok(()) }
    }

    /// Makes what was committed durable, and lets go of the journal before it.
    fn sync(&mut self) -> Result<(), Error> {
        self.synced_at = Some(Instant::now());
        if !upkeep::sync(&self.db)? {
            return Ok(());
        }
        self.unsynced_bytes = 0;
        self.journal.release(Holder::Records, self.position.next());
        Ok(())
    }

    fn sweep_if_due(&mut self) -> Result<bool, Error> {
        if self.swept_at.is_some_and(|at| at.elapsed() < PAUSE) {
            return Ok(false);
        }
        let Swept { dropped, more } = self.sweeper.sweep(&self.db, self.clock.now(), self.journal.oldest())?;
        if [Table::Successes, Table::Items, Table::Stretches].into_iter().any(|table| dropped.of(table) > 0) {
            self.applier.forget_rows();
        }
        self.shared.dropped(&dropped);
        self.swept_at = if more { None } else { Some(Instant::now()) };
        Ok(more)
    }

    /// Waits for something new, then for the pace, unless somebody waits for the records.
    async fn wait(&mut self, durable: &mut watch::Receiver<Position>) {
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            changed = durable.changed() => if changed.is_err() {
                // The journal is closed: nothing will come, and only the word to stop is waited for.
                tokio::time::sleep(PACE).await;
            },
            _ = self.stop.changed() => return,
            () = shared.requested.notified() => return,
            () = tokio::time::sleep(PAUSE) => return,
        }
        let since = self.committed_at.map_or(PACE, |at| at.elapsed());
        tokio::select! {
            () = shared.hurried.notified() => {}
            () = self.pause(PACE.saturating_sub(since)) => {}
        }
    }

    async fn pause(&mut self, time: Duration) {
        let _ = tokio::time::timeout(time, self.stop.changed()).await;
    }
}

/// Says so when the thread ends, by a panic too: nobody waits for a projection that no longer comes.
struct Gone(Arc<Shared>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.fail(String::from("the thread that writes the records has ended"));
        self.0.end_requests();
    }
}

enum ReadFailure {
    Store(db::Error),
    Journal(ReadError),
    Damaged { after: Position, error: ReadError },
}

/// Applies one chunk; where it ended.
fn read_on(
    db: &Connection,
    applier: &mut Applier,
    journal: &dyn Journal,
    position: Position,
) -> Result<Position, ReadFailure> {
    let chunk = journal.read(position.next(), JOURNAL_READ_BYTES).map_err(ReadFailure::Journal)?;
    let mut after = position;
    for entry in chunk.entries() {
        match entry {
            Ok((at, entry)) => {
                applier.apply(db, journal, at, &entry).map_err(ReadFailure::Store)?;
                after = at;
            }
            Err(error) => return Err(ReadFailure::Damaged { after, error }),
        }
    }
    Ok(after)
}
