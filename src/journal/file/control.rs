//! What the callers, the writer thread and the keeper thread share, under one short lock.

use super::DiskFile;
use super::disk::Disk;
use super::library::Library;
use super::segment::Header;
use crate::clock::Clock;
use crate::config::JournalSettings;
use crate::journal::stats::Counters;
use crate::journal::waiting::{Gate, Queued};
use crate::journal::{AppendError, Holder};
use crate::limits;
use crate::model::Position;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use tokio::sync::watch;

/// A segment file made ahead.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) id: u64,
    pub(super) salt: u64,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn DiskFile>,
}

/// Where the next segment's file stands.
#[derive(Debug)]
pub(super) enum SpareSlot {
    /// The keeper shall make one, or is making it.
    Wanted,
    /// It is there.
    Ready(Spare),
    /// It could not be made; the keeper tries again by and by.
    Failed(AppendError),
}

/// What the writer thread is doing. A wake-up is a system call: it is made only for a writer that waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriterState {
    /// Writing, or about to look at what waits.
    Awake,
    /// Nothing waits.
    Asleep,
    /// What waits may wait a little longer for more.
    Pausing,
}

#[derive(Debug)]
pub(super) struct Control {
    pub(super) waiting: Vec<Queued>,
    pub(super) gate: Gate,
    /// An append is among what waits.
    pub(super) append_waits: bool,
    pub(super) writer_is: WriterState,
    pub(super) spare: SpareSlot,
    pub(super) next_id: u64,
    /// The writer shall go on in a new segment as soon as there is one.
    pub(super) rotate: bool,
    /// Segments to be sealed.
    pub(super) full: Vec<u64>,
    /// Before what each holder needs nothing.
    pub(super) released: [Position; Holder::ALL.len()],
    pub(super) keeper_stops: bool,
}

/// Everything that is shared.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: JournalSettings,
    pub(super) library: Library,
    pub(super) durable: watch::Sender<Position>,
    pub(super) counters: Counters,
    pub(super) control: Mutex<Control>,
    /// Wakes the writer.
    pub(super) writer: Condvar,
    /// Wakes the keeper.
    pub(super) keeper: Condvar,
}

impl Control {
    pub(super) fn new(next_id: u64) -> Self {
        Self {
            waiting: Vec::new(),
            gate: Gate::default(),
            append_waits: false,
            writer_is: WriterState::Awake,
            spare: SpareSlot::Wanted,
            next_id,
            rotate: false,
            full: Vec::new(),
            released: [Position::ZERO; Holder::ALL.len()],
            keeper_stops: false,
        }
    }

    /// Adds to what waits; says whether the writer has to be woken for it.
    pub(super) fn put(&mut self, queued: Queued) -> bool {
        let first_append = queued.reply.is_some() && !self.append_waits;
        self.append_waits |= first_append;
        self.gate.waiting_bytes += queued.group.bytes().len();
        self.waiting.push(queued);
        let wake = match self.writer_is {
            WriterState::Awake => false,
            WriterState::Asleep => true,
            WriterState::Pausing => first_append || self.is_urgent(),
        };
        if wake {
            self.writer_is = WriterState::Awake;
        }
        wake
    }

    /// Takes all that waits.
    pub(super) fn take_waiting(&mut self) -> std::vec::Drain<'_, Queued> {
        self.append_waits = false;
        self.waiting.drain(..)
    }

    /// Whether what waits should be written without waiting for more.
    pub(super) fn is_urgent(&self) -> bool {
        self.gate.closing || self.gate.waiting_bytes >= limits::JOURNAL_URGENT_BYTES
    }

    /// Takes the spare, if it is there, and asks for another.
    pub(super) fn take_spare(&mut self) -> Option<Spare> {
        if !matches!(self.spare, SpareSlot::Ready(_)) {
            return None;
        }
        match std::mem::replace(&mut self.spare, SpareSlot::Wanted) {
            SpareSlot::Ready(spare) => Some(spare),
            SpareSlot::Wanted | SpareSlot::Failed(_) => None,
        }
    }
}

impl Shared {
    /// Makes `spare` the segment that begins at `first`. Once this returns `Ok`, everything beyond `previous` in older
    /// segments is dead.
    pub(super) fn begin(&self, spare: &Spare, first: Position, previous: Position) -> io::Result<Header> {
        let (bytes, begun_at) = (self.settings.segment_bytes, self.clock.now());
        let header = Header { id: spare.id, salt: spare.salt, first, previous, bytes, begun_at };
        header.write(&*spare.file)?;
        spare.file.sync()?;
        Ok(header)
    }
}

/// What a caller is told of the system's error.
pub(super) fn refusal_of(error: &io::Error) -> AppendError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => AppendError::Full,
        _ => AppendError::Failing(error.to_string()),
    }
}
