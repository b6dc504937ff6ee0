//! The embedded journal: segment files of our own.
//!
//! - [`disk`]: the system calls, as a seam. [`frame`]: one group's bytes. [`segment`]: a file's bytes.
//! - [`recovery`]: what is found at start. [`writer`]: the thread that makes durable. [`keeper`]: the thread that makes
//!   files ahead and removes old ones. [`library`]: reading. [`erase`]: taking entries out for good. [`verify`]: looking
//!   at a journal from outside.

mod control;
mod disk;
#[cfg(test)]
mod disk_memory;
mod erase;
mod frame;
mod keeper;
mod library;
mod recovery;
mod retention;
mod segment;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

pub use disk::{Disk, DiskFile, SystemDisk};
pub use recovery::{OpenError, Place, RecoveryReport};
pub use verify::{SegmentReport, VerifyReport, Visit, verify, walk};

use super::stats::{self, JournalStats};
use super::waiting::{Answer, Queued, answered};
use super::{AppendError, Backend, Chunk, Group, Holder, Journal, ReadError};
use crate::clock::{Clock, Random, SystemRandom};
use crate::config::JournalSettings;
use crate::limits;
use crate::model::Position;
use control::{Control, Shared};
use keeper::Keeper;
use library::{Library, Segment};
use recovery::Survey;
use segment::Contents;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use writer::{Active, Writer};

/// A journal in a directory.
#[derive(Debug)]
pub struct FileJournal {
    shared: Arc<Shared>,
    report: RecoveryReport,
    group_limit: usize,
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    writer: JoinHandle<Option<u64>>,
    keeper: JoinHandle<()>,
    /// Keeps other processes out. Held until the threads have ended.
    _lock: Box<dyn Send + Sync>,
}

impl std::fmt::Debug for Threads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Threads").finish_non_exhaustive()
    }
}

impl FileJournal {
    /// Opens the journal in `dir`, making it where there is none, and brings what a crash left into order.
    ///
    /// # Errors
    /// [`OpenError`]: in use, damaged where acknowledged entries would be lost silently, or the system's.
    pub fn open(
        dir: &Path,
        settings: &JournalSettings,
        clock: Arc<dyn Clock>,
        disk: Arc<dyn Disk>,
    ) -> Result<Self, OpenError> {
        if settings.segment_bytes < limits::JOURNAL_SEGMENT_MIN_BYTES {
            return Err(OpenError::SegmentTooSmall(limits::JOURNAL_SEGMENT_MIN_BYTES));
        }
        let lock = disk.lock(dir)?.ok_or_else(|| OpenError::InUse(dir.to_owned()))?;
        let mut survey = recovery::survey(&*disk, dir)?;
        recovery::write_again(&*disk, &survey)?;
        let (next, durable) = (survey.next_position(), survey.report.last);
        let shared = Arc::new(Shared {
            library: Library::new(Arc::clone(&disk), dir.to_owned(), Vec::new(), durable),
            disk,
            dir: dir.to_owned(),
            clock,
            settings: settings.clone(),
            durable: watch::Sender::new(durable),
            counters: stats::Counters::default(),
            control: Mutex::new(Control::new(survey.next_id + 1)),
            writer: Condvar::new(),
            keeper: Condvar::new(),
        });
        let active = begin_first(&shared, &mut survey, next)?;
        let threads = start(&shared, Writer::new(Arc::clone(&shared), active, next, durable), lock)?;
        let group_limit = writer::group_limit(settings.segment_bytes);
        Ok(Self { shared, report: survey.report, group_limit, threads: Mutex::new(Some(threads)) })
    }

    /// What was found when it was opened.
    pub fn report(&self) -> &RecoveryReport {
        &self.report
    }

    /// Removes the segments that retention no longer keeps. The journal does this by itself every few seconds and
    /// after each full segment.
    pub fn retire(&self) {
        keeper::retire(&self.shared);
    }
}

/// Begins the segment that this run writes to, and then puts the old ones into order.
fn begin_first(shared: &Arc<Shared>, survey: &mut Survey, next: Position) -> Result<Active, OpenError> {
    let spare = keeper::make_spare(shared, survey.next_id, SystemRandom::default().id())?;
    let header = shared.begin(&spare, next, survey.report.last)?;
    recovery::settle(&*shared.disk, &shared.dir, survey)?;
    for found in survey.segments.drain(..) {
        shared.library.begin(if found.sealed {
            Segment::sealed(&found.header, &found.contents, found.file_bytes)
        } else {
            Segment::live(&found.header, found.contents, found.file)
        });
    }
    shared.library.begin(Segment::live(&header, Contents::none(&header), Arc::clone(&spare.file)));
    Ok(Active::new(&header, spare.file))
}

fn start(shared: &Arc<Shared>, writer: Writer, lock: Box<dyn Send + Sync>) -> io::Result<Threads> {
    let keeper = Keeper::new(Arc::clone(shared));
    let keeper = thread::Builder::new().name(String::from("journal-keeper")).spawn(move || keeper.run())?;
    let guarded = {
        let shared = Arc::clone(shared);
        move || {
            let _closed_at_end = RefuseAtEnd(shared);
            writer.run()
        }
    };
    let writer = thread::Builder::new().name(String::from("journal-writer")).spawn(guarded)?;
    Ok(Threads { writer, keeper, _lock: lock })
}

/// When the writer ends, for whatever reason, nothing is taken any more.
struct RefuseAtEnd(Arc<Shared>);

impl Drop for RefuseAtEnd {
    fn drop(&mut self) {
        let mut control = lock(&self.0.control);
        control.gate.closing = true;
        control.gate.refusal = Some(AppendError::Closed);
        control.waiting.clear();
    }
}

impl Drop for FileJournal {
    fn drop(&mut self) {
        self.close();
    }
}

impl Backend for FileJournal {
    fn stats(&self) -> JournalStats {
        let (segments, bytes) = self.shared.library.size();
        let mut stats = JournalStats {
            durable: *self.shared.durable.borrow(),
            oldest: self.oldest(),
            segments,
            bytes,
            pending_bytes: lock(&self.shared.control).gate.waiting_bytes,
            ..JournalStats::default()
        };
        self.shared.counters.fill(&mut stats);
        stats
    }

    fn close(&self) {
        let Some(threads) = lock(&self.threads).take() else { return };
        lock(&self.shared.control).gate.closing = true;
        self.shared.writer.notify_one();
        let unsealed = threads.writer.join().unwrap_or_else(|_| {
            tracing::error!("the journal's writer ended in a panic");
            None
        });
        let spare = {
            let mut control = lock(&self.shared.control);
            control.full.extend(unsealed);
            control.keeper_stops = true;
            control.take_spare()
        };
        self.shared.keeper.notify_one();
        if threads.keeper.join().is_err() {
            tracing::error!("the journal's keeper ended in a panic");
        }
        if let Some(spare) = spare {
            // If it stays, the next start removes it.
            let _gone_or_not = self.shared.disk.remove(&spare.path);
        }
    }

    fn lost(&self) -> CancellationToken {
        // Its lock keeps others out as long as it is open.
        CancellationToken::new()
    }
}

impl Journal for FileJournal {
    fn append(&self, group: Group) -> Pin<Box<dyn Future<Output = Result<Position, AppendError>> + Send>> {
        answered(self.enqueue(group))
    }

    fn record(&self, group: Group) {
        if group.is_empty() {
            return;
        }
        if group.bytes().len() > self.group_limit {
            tracing::error!(bytes = group.bytes().len(), "a record larger than a journal segment was dropped");
            return;
        }
        let control = lock(&self.shared.control);
        if control.gate.is_shut() {
            tracing::error!("a record came after the journal had closed; it was dropped");
            return;
        }
        self.put(control, Queued { group, reply: None });
    }

    fn read(&self, from: Position, budget: usize) -> Result<Chunk, ReadError> {
        self.shared.library.read(from, budget)
    }

    fn durable(&self) -> watch::Receiver<Position> {
        self.shared.durable.subscribe()
    }

    fn oldest(&self) -> Position {
        self.shared.library.oldest()
    }

    fn accepting(&self) -> Result<(), AppendError> {
        lock(&self.shared.control).gate.accepting()
    }

    fn outgrown(&self) -> Position {
        keeper::outgrown(&self.shared)
    }

    fn release(&self, holder: Holder, position: Position) {
        lock(&self.shared.control).released[holder as usize] = position;
    }
}

impl FileJournal {
    fn enqueue(&self, group: Group) -> Result<Answer, AppendError> {
        let length = group.bytes().len();
        if length > self.group_limit {
            return Err(AppendError::TooLarge(length));
        }
        let (reply, answer) = oneshot::channel();
        let control = lock(&self.shared.control);
        control.gate.admit(length)?;
        if group.is_empty() {
            // Nothing to make durable: it would stand where the next entry will.
            let _held = reply.send(Ok(self.shared.durable.borrow().next()));
            return Ok(answer);
        }
        self.put(control, Queued { group, reply: Some(reply) });
        Ok(answer)
    }

    fn put(&self, mut control: MutexGuard<'_, Control>, queued: Queued) {
        let wake = control.put(queued);
        drop(control);
        if wake {
            self.shared.writer.notify_one();
        }
    }
}

/// Takes a lock. A thread that panicked while it held it has left nothing half-done that another could not read: every
/// critical section here leaves whole values behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
