//! A journal in memory, for tests.

use crate::journal::{AppendError, Chunk, Group, Holder, Journal, ReadError};
use crate::model::{AppId, Entry, EventEntry, EventKind, Position, SubscriptionId, UniqueId, UnixMs};
use bytes::Bytes;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use tokio::sync::watch;

/// Groups in memory; durable at once.
#[derive(Debug)]
pub(crate) struct MemoryJournal {
    groups: Mutex<Vec<(Position, Bytes, u32)>>,
    oldest: Mutex<Position>,
    outgrown: Mutex<Position>,
    released: Mutex<[Position; Holder::ALL.len()]>,
    durable: watch::Sender<Position>,
    reads: AtomicUsize,
    /// One read in so many fails.
    one_fails_in: AtomicUsize,
    refuses: AtomicBool,
}

impl MemoryJournal {
    pub(crate) fn new() -> Self {
        Self {
            groups: Mutex::new(Vec::new()),
            oldest: Mutex::new(Position(1)),
            outgrown: Mutex::new(Position(1)),
            released: Mutex::default(),
            durable: watch::channel(Position::ZERO).0,
            reads: AtomicUsize::new(0),
            one_fails_in: AtomicUsize::new(usize::MAX),
            refuses: AtomicBool::new(false),
        }
    }

    /// From now on it says that it accepts nothing, or that it does.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::SeqCst);
    }

    /// From now on one read in so many fails.
    pub(crate) fn fail_one_read_in(&self, reads: usize) {
        self.one_fails_in.store(reads, Ordering::SeqCst);
    }

    /// Appends a track event of subscription 1 with this body; where it stands.
    pub(crate) fn accept(&self, body: &[u8]) -> Position {
        self.add(&Entry::Event(EventEntry {
            subscription: SubscriptionId(1),
            app: AppId::FIRST,
            kind: EventKind::TrackEventReceived,
            unique_id: UniqueId([1; 20]),
            visitor_id: "v",
            account_id: "",
            occurred_at: UnixMs(1),
            accepted_at: UnixMs(2),
            withheld: None,
            item: None,
            closes: None,
            body,
        }))
    }

    /// Appends one entry; where it stands.
    pub(crate) fn add(&self, entry: &Entry<'_>) -> Position {
        self.add_group(&Group::of(entry))
    }

    /// Appends a group; where its first entry stands.
    pub(crate) fn add_group(&self, group: &Group) -> Position {
        let mut groups = self.groups();
        let first = groups.last().map_or(Position(1), |(first, _, count)| first.plus(u64::from(*count)));
        groups.push((first, Bytes::copy_from_slice(group.bytes()), group.count()));
        drop(groups);
        self.durable.send_replace(Position(first.0 + u64::from(group.count()) - 1));
        first
    }

    /// Forgets everything before `oldest`, as retention does.
    pub(crate) fn forget_before(&self, oldest: Position) {
        *self.oldest.lock().unwrap() = oldest;
        self.groups().retain(|(first, _, count)| first.plus(u64::from(*count)) > oldest);
    }

    /// Wants to delete everything before `outgrown`.
    pub(crate) fn outgrow(&self, outgrown: Position) {
        *self.outgrown.lock().unwrap() = outgrown;
    }

    /// What this holder has released.
    pub(crate) fn released(&self, holder: Holder) -> Position {
        self.released.lock().unwrap()[holder as usize]
    }

    fn groups(&self) -> MutexGuard<'_, Vec<(Position, Bytes, u32)>> {
        self.groups.lock().unwrap()
    }
}

impl Journal for MemoryJournal {
    fn append(&self, group: Group) -> Pin<Box<dyn Future<Output = Result<Position, AppendError>> + Send>> {
        let position = self.add_group(&group);
        Box::pin(async move { Ok(position) })
    }

    fn record(&self, group: Group) {
        self.add_group(&group);
    }

    fn read(&self, from: Position, budget: usize) -> Result<Chunk, ReadError> {
        let number = self.reads.fetch_add(1, Ordering::SeqCst) + 1;
        if number.is_multiple_of(self.one_fails_in.load(Ordering::SeqCst)) {
            return Err(ReadError::Io(std::io::Error::other("not now")));
        }
        let oldest = self.oldest();
        if from < oldest {
            return Err(ReadError::Gone { wanted: from, oldest });
        }
        let groups = self.groups();
        let start = groups.partition_point(|(first, _, count)| first.plus(u64::from(*count)) <= from);
        let (mut found, mut bytes, mut next) = (Vec::new(), 0, from);
        for (first, group, count) in groups.iter().skip(start) {
            if !found.is_empty() && bytes + group.len() > budget {
                break;
            }
            bytes += group.len();
            next = first.plus(u64::from(*count));
            found.push((*first, group.clone()));
        }
        Ok(Chunk::new(found, from, next))
    }

    fn durable(&self) -> watch::Receiver<Position> {
        self.durable.subscribe()
    }

    fn oldest(&self) -> Position {
        *self.oldest.lock().unwrap()
    }

    fn accepting(&self) -> Result<(), AppendError> {
        if self.refuses.load(Ordering::SeqCst) { Err(AppendError::Failing(String::from("not now"))) } else { Ok(()) }
    }

    fn outgrown(&self) -> Position {
        *self.outgrown.lock().unwrap()
    }

    fn release(&self, holder: Holder, position: Position) {
        self.released.lock().unwrap()[holder as usize] = position;
    }
}
