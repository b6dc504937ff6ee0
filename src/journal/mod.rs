//! The ordered, durable log of what was accepted and of what became of it.
//!
//! # What every journal guarantees
//!
//! 1. [`Journal::append`] resolves with `Ok` only after the whole group is durable. A group is all or nothing, through
//!    a crash too, and its entries have consecutive positions.
//! 2. An append that resolved with an error is not in the journal and never will be, also after a restart.
//! 3. Positions only grow, in the order in which groups became durable. A gap is possible, a repeat is not.
//! 4. [`Journal::read`] shows durable entries only, all of them, in order, from the oldest retained one on.
//! 5. [`Journal::durable`] changes after the entries can be read. It is a hint: subscribe, then read.
//! 6. Nothing that cannot be read back is guessed: a damaged entry is an error that names its place.

mod chunk;
#[cfg(test)]
pub(crate) mod contract;
pub mod file;
mod group;
pub mod jetstream;
mod stats;
mod waiting;

pub use chunk::{Chunk, Entries};
pub use group::Group;
pub use stats::{COMMIT_BOUNDS_US, JournalStats};

use crate::model::{Entry, Position};
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The seam: what the stages above need of a journal.
pub trait Journal: Send + Sync + 'static {
    /// Appends a group of entries; resolves with the position of its first entry once it is durable.
    ///
    /// The group is queued at the call, not at the first poll, so groups become durable in the order of the calls.
    fn append(&self, group: Group) -> Pin<Box<dyn Future<Output = Result<Position, AppendError>> + Send>>;

    /// Appends what must not be refused (outcomes, checkpoints) without waiting for it. While the disk fails, it waits
    /// in memory and is written first when the disk is back; callers stop producing while [`Journal::accepting`] says
    /// no.
    fn record(&self, group: Group);

    /// Reads durable entries from the first one at or after `from`: at most about `budget` bytes, at least one group
    /// where there is one. An empty chunk means that nothing at or after `from` is durable yet. Blocking: short when
    /// the entries are in memory, file reads otherwise.
    ///
    /// # Errors
    /// [`ReadError`].
    fn read(&self, from: Position, budget: usize) -> Result<Chunk, ReadError>;

    /// The last durable position.
    fn durable(&self) -> watch::Receiver<Position>;

    /// The oldest position that can still be read (the next one to come, when the journal is empty).
    fn oldest(&self) -> Position;

    /// Why appends are refused at the moment, if they are.
    fn accepting(&self) -> Result<(), AppendError>;

    /// Where what is to be kept by age and size begins: everything before it is deleted once each holder has let go of it.
    fn outgrown(&self) -> Position;

    /// Tells retention that `holder` needs nothing before `position` any more. Nothing at or after the lowest of what the
    /// holders have told last is ever deleted.
    fn release(&self, holder: Holder, position: Position);
}

/// What a node asks of whatever its journal is kept on.
pub trait Backend: Journal + Erase {
    /// Its figures.
    fn stats(&self) -> JournalStats;

    /// Takes nothing more, and makes durable what waits. Blocking. Also done when it is dropped.
    fn close(&self);

    /// Cancelled when the journal is another node's, and this one has to stop.
    fn lost(&self) -> CancellationToken;
}

/// Who may need what the journal holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The records, until it is in a synced checkpoint of the store.
    Records,
    /// The lanes, until what they retry was carried on.
    Lanes,
}

impl Holder {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Records, Self::Lanes];
}

/// What is asked of each entry, in order, those that were erased before among them: whether it is to be erased, or
/// whether to stop here.
pub type Pick<'a> = &'a mut dyn FnMut(Position, &Entry<'_>) -> ControlFlow<(), bool>;

/// What forgetting a person needs of a journal.
pub trait Erase: Send + Sync + 'static {
    /// Erases what is picked of the durable entries from the first to the last position, both inclusive, and says how
    /// many that were. An erased entry keeps its position and reads as [`Entry::Erased`]. When this returns, neither the
    /// journal's files nor its memory hold any of it; chunks that were read before still do. Blocking, and as long as
    /// reading all of it takes. After an error, or a crash, some may be erased and some not: it can be done again.
    ///
    /// # Errors
    /// [`EraseError`].
    fn erase(&self, range: (Position, Position), pick: Pick<'_>) -> Result<u64, EraseError>;
}

/// Why entries could not be erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The caller wanted to stop.
    #[error("it was stopped")]
    Stopped,
    /// What is being written to could not be sealed in time.
    #[error("the newest part of the journal could not be sealed")]
    Unsealed,
    /// The bytes do not match their checksum.
    #[error("the journal is damaged in {file} at byte {offset}: {what}")]
    Damaged {
        /// The segment's file name.
        file: String,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// An entry cannot be decoded.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The operating system says no.
    #[error("rewriting a part of the journal")]
    Io(#[from] std::io::Error),
}

/// Why a group was not appended. None of these leaves a part of it behind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// More waits to be written than may wait.
    #[error("more events are waiting to be written than the journal takes at a time")]
    Overloaded,
    /// The disk is full.
    #[error("the journal's disk is full")]
    Full,
    /// The disk reports errors.
    #[error("the journal cannot be written: {0}")]
    Failing(String),
    /// The journal is closing.
    #[error("the journal is closing")]
    Closed,
    /// The group is larger than the journal takes.
    #[error("a group of {0} bytes is larger than the journal takes")]
    TooLarge(usize),
}

/// Why entries could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The position is older than what is retained.
    #[error("position {wanted} is older than the journal, which starts at {oldest}")]
    Gone {
        /// What was asked for.
        wanted: Position,
        /// What there is.
        oldest: Position,
    },
    /// The bytes do not match their checksum or cannot be decoded.
    #[error("the journal is damaged in {file} at byte {offset}: {what}")]
    Damaged {
        /// The segment's file name.
        file: String,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// The operating system says no.
    #[error("reading the journal")]
    Io(#[from] std::io::Error),
}
