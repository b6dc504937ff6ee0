//! The journal on NATS JetStream: one stream, one entry a message, one node that writes.
//!
//! - [`stream`]: what is asked of the servers, and what their answers mean. [`writer`]: the task that publishes.
//!   [`tail`]: the newest entries in memory. [`retention`]: what is deleted when.
//!
//! A position is a message's sequence. A message that was erased is gone, and its position a gap. The driver is async and
//! lives on a runtime of its own, so that reads may block where they are asked for, as those of files do.

mod import;
mod pages;
mod retention;
mod stream;
mod tail;
mod writer;

#[cfg(test)]
mod tests;

pub use import::{ImportError, import};

use super::stats::{Counters, JournalStats};
use super::waiting::{Answer, Gate, Queued, answered};
use super::{AppendError, Backend, Chunk, Erase, EraseError, Group, Holder, Journal, Pick, ReadError};
use crate::blocking::{Driver, wait};
use crate::clock::{Clock, Random, SystemRandom};
use crate::config::{JournalSettings, NatsSettings};
use crate::limits;
use crate::model::{Entry, Position};
use bytes::Bytes;
use pages::{Page, Pages};
use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stream::{Extent, Stream, Unpublished};
use tail::Tail;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use writer::{TakenOver, Writer};

/// How long closing waits for what is still to be published.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// Who asks for little is given it out of a run of about so many bytes.
const AHEAD_BYTES: usize = 64 * 1024;

/// How often a read that found nothing where there is something is tried again, and how long it waits between.
const READ_TRIES: usize = 20;
const READ_PAUSE: Duration = Duration::from_millis(100);

/// Why the journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No server answers as it should.
    #[error("the NATS servers cannot be reached: {0}")]
    Unreachable(String),
    /// JetStream of an older server cannot publish several messages as one.
    #[error("the NATS server is version {0}, and 2.12 or later is needed; Debian's own package is older")]
    OldServer(String),
    /// The stream cannot be made, or not be made as it should be.
    #[error(
        "the stream {name} cannot be made with {replicas} replicas: {why}; a single server needs --journal-replicas 1, and JetStream has to be on"
    )]
    Stream {
        /// Which.
        name: String,
        /// What the server says.
        why: String,
        /// How many replicas were asked for.
        replicas: usize,
    },
    /// The system's.
    #[error("the journal's runtime cannot be started")]
    Io(#[from] io::Error),
}

/// A journal on JetStream.
pub struct JetStreamJournal {
    shared: Arc<Shared>,
    stream: Stream,
    entry_limit: usize,
    /// Held while something is fetched: who wants the same waits, and finds it; and what is published does not stand behind
    /// what hundreds of readers have asked for.
    fetching: parking_lot::Mutex<()>,
    driver: Driver,
    writer: Mutex<Option<JoinHandle<()>>>,
    stop: CancellationToken,
    taken_over: CancellationToken,
}

impl std::fmt::Debug for JetStreamJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JetStreamJournal").finish_non_exhaustive()
    }
}

/// What callers, the writer and the keeper share.
#[derive(Debug)]
struct Shared {
    control: Mutex<Control>,
    tail: Mutex<Tail>,
    pages: Mutex<Pages>,
    durable: watch::Sender<Position>,
    oldest: AtomicU64,
    outgrown: AtomicU64,
    disk_bytes: AtomicU64,
    counters: Counters,
    settings: JournalSettings,
    clock: Arc<dyn Clock>,
    /// Something waits to be published, or the journal closes.
    more: Notify,
    /// Something waits that somebody waits for.
    urgent: Notify,
}

#[derive(Debug, Default)]
struct Control {
    waiting: VecDeque<Queued>,
    gate: Gate,
    released: [Position; Holder::ALL.len()],
}

impl JetStreamJournal {
    /// Connects to the servers, makes the stream where there is none, and becomes its writer: whoever was that before
    /// learns it with its next commit. Blocking.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        nats: &NatsSettings,
        settings: &JournalSettings,
        ca_file: Option<&Path>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let driver = Driver::start("nats")?;
        let (nats, ca_file) = (nats.clone(), ca_file.map(Path::to_owned));
        let name = format!("{:016x}", SystemRandom::default().id());
        let opening = {
            let name = name.clone();
            async move {
                let stream = Stream::open(&nats, ca_file.as_deref()).await?;
                let extent = claim(&stream, &name).await.map_err(OpenError::Unreachable)?;
                Ok::<_, OpenError>((stream, extent))
            }
        };
        let (stream, extent) = driver.run(opening).map_err(OpenError::Unreachable)??;
        let shared = Arc::new(Shared::of(extent, settings, clock));
        let (stop, taken_over) = (CancellationToken::new(), CancellationToken::new());
        let writer =
            Writer { shared: Arc::clone(&shared), stream: stream.clone(), last: extent.last, name, commits: 0 };
        let writer = driver.spawn(publish(writer, taken_over.clone()));
        driver.spawn(retention::run(Arc::clone(&shared), stream.clone(), stop.clone()));
        let entry_limit = stream.entry_limit();
        let writer = Mutex::new(Some(writer));
        let fetching = parking_lot::Mutex::default();
        Ok(Self { shared, stream, entry_limit, fetching, driver, writer, stop, taken_over })
    }

    /// Runs something on the runtime of the driver, and blocks for it.
    fn ask<T: Send + 'static>(&self, work: impl Future<Output = Result<T, String>> + Send + 'static) -> io::Result<T> {
        let done = self.driver.run(work).and_then(|done| done);
        done.map_err(|why| io::Error::other(format!("the journal's servers: {why}")))
    }

    /// What is not in the tail any more: about as many bytes as asked for, but at least one entry where there is one.
    fn fetch(&self, from: Position, budget: usize) -> io::Result<Vec<(Position, Bytes)>> {
        let kept = self.shared.pages().find(from);
        let page = match kept {
            Some(page) => page,
            None => self.fetch_once(from, budget.max(AHEAD_BYTES))?,
        };
        let start = page.partition_point(|(position, _)| *position < from);
        Ok(within(&page[start..], budget))
    }

    fn fetch_once(&self, from: Position, budget: usize) -> io::Result<Page> {
        let _fetching = self.fetching.lock();
        if let Some(page) = self.shared.pages().find(from) {
            return Ok(page);
        }
        let page = Arc::new(self.fetch_page(from, budget)?);
        self.shared.pages().keep(Arc::clone(&page));
        Ok(page)
    }

    /// A replica that is behind may have nothing yet, or skip what it has not got; the leader decides whether there is
    /// something.
    fn fetch_page(&self, from: Position, budget: usize) -> io::Result<Vec<(Position, Bytes)>> {
        for _ in 0..READ_TRIES {
            let stream = self.stream.clone();
            let found = self.ask(async move { stream.fetch(from, budget).await })?;
            let first = found.first().map(|first| first.position);
            let entries = || found.into_iter().map(|kept| (kept.position, kept.entry)).collect();
            if first == Some(from) {
                return Ok(entries());
            }
            let stream = self.stream.clone();
            match self.ask(async move { stream.next(from).await })? {
                Some(next) if first == Some(next.position) => return Ok(entries()),
                Some(next) => return Ok(vec![(next.position, next.entry)]),
                // Whoever said so may be behind as well.
                None => std::thread::sleep(READ_PAUSE),
            }
        }
        // That it was erased may be said only where something behind it is there; the very end is in memory.
        Err(io::Error::other("the journal's servers do not show what they have acknowledged"))
    }

    fn enqueue(&self, group: Group) -> Result<Answer, AppendError> {
        let length = group.bytes().len();
        let too_large =
            group.largest_entry() > self.entry_limit || group.count() as usize > limits::JOURNAL_GROUP_ENTRIES;
        if too_large || length > limits::JOURNAL_PENDING_BYTES {
            return Err(AppendError::TooLarge(length));
        }
        let (reply, answer) = oneshot::channel();
        let mut control = self.shared.control();
        control.gate.admit(length)?;
        if group.is_empty() {
            // Nothing to make durable: it would stand where the next entry will.
            let _held = reply.send(Ok(self.shared.durable.borrow().next()));
            return Ok(answer);
        }
        control.put(Queued { group, reply: Some(reply) });
        drop(control);
        self.shared.more.notify_one();
        self.shared.urgent.notify_one();
        Ok(answer)
    }
}

/// Waits for nothing: whether the servers answer now, and have the stream, or can make it. Blocking.
///
/// # Errors
/// [`OpenError`].
pub fn reach(nats: &NatsSettings, ca_file: Option<&Path>) -> Result<(), OpenError> {
    let (nats, ca_file) = (nats.clone(), ca_file.map(Path::to_owned));
    let opened = Driver::start("nats")?.run(async move { Stream::open(&nats, ca_file.as_deref()).await.map(|_| ()) });
    opened.map_err(OpenError::Unreachable)?
}

/// About as many bytes as asked for, but at least one entry.
fn within(entries: &[(Position, Bytes)], budget: usize) -> Vec<(Position, Bytes)> {
    let mut bytes = 0;
    let fits = |(_, entry): &&(Position, Bytes)| {
        bytes += entry.len();
        bytes <= budget
    };
    let count = entries.iter().take_while(fits).count().max(1);
    entries.iter().take(count).cloned().collect()
}

/// Becomes the writer: with a message of no meaning behind the last one, so that nobody who knows another end can write.
async fn claim(stream: &Stream, name: &str) -> Result<Extent, String> {
    let group = Group::of(&Entry::Erased).into_bytes();
    for attempt in 0..READ_TRIES {
        let extent = stream.extent().await?;
        match stream.publish(std::slice::from_ref(&group), extent.last, &format!("{name}-claim-{attempt}")).await {
            Ok(position) => return Ok(Extent { last: position, ..extent }),
            Err(Unpublished::Refused(error)) => return Err(error.to_string()),
            Err(Unpublished::Unknown(why)) => tracing::warn!(why, "becoming the journal's writer; trying again"),
            Err(Unpublished::WrongEnd) => {}
        }
    }
    Err(String::from("another node goes on writing"))
}

async fn publish(writer: Writer, taken_over: CancellationToken) {
    let shared = Arc::clone(&writer.shared);
    let ended = tokio::spawn(writer.run()).await;
    {
        let mut control = shared.control();
        control.gate.closing = true;
        control.gate.refusal = Some(AppendError::Closed);
        control.waiting.clear();
    }
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(TakenOver)) => {
            tracing::error!("another node writes the journal now; this one stops");
            taken_over.cancel();
        }
        Err(error) => {
            tracing::error!(%error, "the journal's writer ended");
            taken_over.cancel();
        }
    }
}

impl Control {
    fn put(&mut self, queued: Queued) {
        self.gate.waiting_bytes += queued.group.bytes().len();
        self.waiting.push_back(queued);
    }
}

impl Shared {
    fn of(extent: Extent, settings: &JournalSettings, clock: Arc<dyn Clock>) -> Self {
        Self {
            control: Mutex::default(),
            tail: Mutex::new(Tail::from(extent.last.next())),
            pages: Mutex::default(),
            durable: watch::Sender::new(extent.last),
            oldest: AtomicU64::new(extent.oldest.0),
            outgrown: AtomicU64::new(extent.oldest.0),
            disk_bytes: AtomicU64::new(extent.bytes),
            counters: Counters::default(),
            settings: settings.clone(),
            clock,
            more: Notify::new(),
            urgent: Notify::new(),
        }
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closing(&self) -> bool {
        self.control().gate.closing
    }
}

impl Journal for JetStreamJournal {
    fn append(&self, group: Group) -> Pin<Box<dyn Future<Output = Result<Position, AppendError>> + Send>> {
        answered(self.enqueue(group))
    }

    fn record(&self, group: Group) {
        if group.is_empty() {
            return;
        }
        if group.largest_entry() > self.entry_limit || group.count() as usize > limits::JOURNAL_GROUP_ENTRIES {
            tracing::error!(bytes = group.bytes().len(), "a record larger than a message may be was dropped");
            return;
        }
        let mut control = self.shared.control();
        if control.gate.is_shut() {
            // Where it is another node's, that one makes these records.
            if !self.lost().is_cancelled() {
                tracing::error!("a record came after the journal had closed; it was dropped");
            }
            return;
        }
        control.put(Queued { group, reply: None });
        drop(control);
        self.shared.more.notify_one();
    }

    fn read(&self, from: Position, budget: usize) -> Result<Chunk, ReadError> {
        let durable = *self.shared.durable.borrow();
        let oldest = self.oldest();
        if from < oldest {
            return Err(ReadError::Gone { wanted: from, oldest });
        }
        if from > durable {
            return Ok(Chunk::new(Vec::new(), from, from));
        }
        let in_memory = self.shared.tail().read(from, budget);
        let mut found = match in_memory {
            Some(found) => found,
            None => self.fetch(from, budget)?,
        };
        // What was erased reads as such, where somebody asks for it.
        if found.first().is_none_or(|(first, _)| *first > from) {
            found.insert(0, (from, Group::of(&Entry::Erased).into_bytes()));
        }
        let next = found.last().map_or(from, |(position, _)| position.next());
        Ok(Chunk::new(found, from, next))
    }

    fn durable(&self) -> watch::Receiver<Position> {
        self.shared.durable.subscribe()
    }

    fn oldest(&self) -> Position {
        Position(self.shared.oldest.load(Ordering::Relaxed))
    }

    fn accepting(&self) -> Result<(), AppendError> {
        self.shared.control().gate.accepting()
    }

    fn outgrown(&self) -> Position {
        Position(self.shared.outgrown.load(Ordering::Relaxed))
    }

    fn release(&self, holder: Holder, position: Position) {
        self.shared.control().released[holder as usize] = position;
    }
}

impl Erase for JetStreamJournal {
    fn erase(&self, (first, last): (Position, Position), pick: Pick<'_>) -> Result<u64, EraseError> {
        let (mut from, mut erased) = (first.max(self.oldest()), 0);
        while from <= last {
            let chunk = self.read(from, limits::JOURNAL_READ_BYTES)?;
            if chunk.is_empty() {
                break;
            }
            for item in chunk.entries() {
                let (position, entry) = item?;
                if position > last {
                    break;
                }
                match pick(position, &entry) {
                    ControlFlow::Continue(true) => {}
                    ControlFlow::Continue(false) => continue,
                    ControlFlow::Break(()) => return Err(EraseError::Stopped),
                }
                let stream = self.stream.clone();
                self.ask(async move { stream.delete(position).await })?;
                self.shared.tail().erase(position);
                erased += 1;
            }
            from = chunk.next();
        }
        // Also what a reader is fetching meanwhile.
        let _fetching = self.fetching.lock();
        self.shared.pages().clear();
        Ok(erased)
    }
}

impl Backend for JetStreamJournal {
    fn stats(&self) -> JournalStats {
        let mut stats = JournalStats {
            durable: *self.shared.durable.borrow(),
            oldest: self.oldest(),
            segments: 1,
            bytes: self.shared.disk_bytes.load(Ordering::Relaxed),
            pending_bytes: self.shared.control().gate.waiting_bytes,
            ..JournalStats::default()
        };
        self.shared.counters.fill(&mut stats);
        stats
    }

    fn close(&self) {
        let Some(writer) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        self.shared.control().gate.closing = true;
        self.shared.more.notify_one();
        self.shared.urgent.notify_one();
        self.stop.cancel();
        let ended = wait(self.driver.spawn(async move { tokio::time::timeout(CLOSE_PATIENCE, writer).await }));
        if !matches!(ended, Ok(Ok(Ok(())))) {
            tracing::error!("what waited for the journal was not all published");
        }
    }

    fn lost(&self) -> CancellationToken {
        self.taken_over.clone()
    }
}

impl Drop for JetStreamJournal {
    fn drop(&mut self) {
        self.close();
    }
}
