//! The writer thread: everything that waits becomes durable with one write and one sync.
//!
//! A failed write or sync is the end of its segment: nobody knows what of it reached the disk, and a second sync may
//! claim success without it. The segment is left, and a new one's header says where it ended. Only when that header is
//! durable are the failed appends answered, since until then a crash could still bring them back.

use super::control::{Control, Shared, Spare, SpareSlot, WriterState, refusal_of};
use super::frame::{self, Head};
use super::library::{Entered, Segment};
use super::segment::{self, Contents, Header};
use super::{DiskFile, disk, lock};
use crate::journal::AppendError;
use crate::journal::waiting::{Queued, Reply};
use crate::limits;
use crate::model::Position;
use bytes::Bytes;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The segment being written.
#[derive(Debug)]
pub(super) struct Active {
    id: u64,
    seed: u32,
    file: Arc<dyn DiskFile>,
    /// Where the next frame goes.
    offset: u64,
}

impl Active {
    pub(super) fn new(header: &Header, file: Arc<dyn DiskFile>) -> Self {
        Self { id: header.id, seed: header.seed(), file, offset: segment::HEADER_BYTES }
    }
}

/// A group in the write at hand.
#[derive(Debug)]
struct Framed {
    head: Head,
    payload: Bytes,
    reply: Option<Reply>,
}

#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    active: Active,
    /// The active segment must not be written to any more.
    abandoned: Option<AppendError>,
    /// The next position to give.
    next: Position,
    durable: Position,
    backlog: VecDeque<Queued>,
    buffer: Vec<u8>,
    framed: Vec<Framed>,
    /// Appends whose write failed, to be answered when they cannot come back any more.
    doomed: Vec<Reply>,
    /// Bytes that no longer wait.
    done_bytes: usize,
    /// Groups wait for a segment that cannot be had at the moment.
    stuck: bool,
    /// When the last write began.
    began: Instant,
}

/// What of a segment only records may use, so that outcomes still have room when the disk is full.
pub(super) fn reserve_bytes(segment_bytes: u64) -> u64 {
    (segment_bytes / 8).min(limits::JOURNAL_WRITE_BYTES as u64)
}

/// The largest group: one that fits into a new segment before the reserve.
pub(super) fn group_limit(segment_bytes: u64) -> usize {
    let room = segment::data_limit(segment_bytes) - reserve_bytes(segment_bytes) - segment::HEADER_BYTES;
    (room as usize - frame::HEAD_BYTES - frame::ALIGN).min(limits::JOURNAL_PENDING_BYTES)
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, active: Active, next: Position, durable: Position) -> Self {
        Self {
            shared,
            active,
            abandoned: None,
            next,
            durable,
            backlog: VecDeque::new(),
            buffer: Vec::new(),
            framed: Vec::new(),
            doomed: Vec::new(),
            done_bytes: 0,
            stuck: false,
            began: Instant::now(),
        }
    }

    /// Works until the journal closes; says which segment is left to be sealed, if it is whole.
    pub(super) fn run(mut self) -> Option<u64> {
        while self.take_waiting() {
            self.stuck = !self.write_backlog();
        }
        if self.stuck {
            self.try_once_more();
        }
        self.give_up();
        self.abandoned.is_none().then_some(self.active.id)
    }

    /// Waits until there is something to do and takes it; false when the journal closes and nothing waits any more.
    fn take_waiting(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut control = lock(&shared.control);
        control.gate.waiting_bytes -= std::mem::take(&mut self.done_bytes);
        loop {
            let spare_there = matches!(control.spare, SpareSlot::Ready(_));
            if spare_there && !self.stuck {
                // There is room again.
                control.gate.refusal = None;
            }
            let rotate = control.rotate && spare_there && !self.stuck;
            if rotate || !control.waiting.is_empty() || (self.stuck && spare_there) {
                control = pause(&shared, control, self.began);
                self.backlog.extend(control.take_waiting());
                return true;
            }
            if control.gate.closing {
                return false;
            }
            control = sleep(&shared, control);
        }
    }

    /// Writes what it can; false when something is left that needs a segment which cannot be had now.
    fn write_backlog(&mut self) -> bool {
        if self.is_to_rotate() && !self.begin_successor() {
            return false;
        }
        loop {
            if self.abandoned.is_some() && !self.begin_successor() {
                return false;
            }
            if self.backlog.is_empty() {
                return true;
            }
            self.frame_backlog();
            if !self.buffer.is_empty() {
                self.commit();
            } else if !self.backlog.is_empty() && !self.begin_successor() {
                return false;
            }
        }
    }

    /// Whether somebody wants the segment sealed ahead of its time, and there is one to go on in.
    fn is_to_rotate(&self) -> bool {
        let mut control = lock(&self.shared.control);
        if !matches!(control.spare, SpareSlot::Ready(_)) {
            return false;
        }
        std::mem::take(&mut control.rotate) && self.active.offset > segment::HEADER_BYTES
    }

    /// Frames as much of the backlog as one write takes and the segment holds.
    fn frame_backlog(&mut self) {
        let written_at = self.shared.clock.now();
        let limit = segment::data_limit(self.shared.settings.segment_bytes);
        let no_spare = self.no_spare();
        let append_limit = limit - reserve_bytes(self.shared.settings.segment_bytes);
        while let Some(queued) = self.backlog.front() {
            let length = queued.group.bytes().len();
            let end = self.active.offset + (self.buffer.len() + frame::frame_bytes(length)) as u64;
            let refused = no_spare.as_ref().filter(|_| queued.reply.is_some() && end > append_limit);
            if refused.is_none() && (end > limit || self.buffer.len() >= limits::JOURNAL_WRITE_BYTES) {
                return;
            }
            let Some(queued) = self.backlog.pop_front() else { return };
            if let Some(reason) = refused {
                self.refuse(queued, reason.clone());
                continue;
            }
            let count = queued.group.count();
            let head = Head { first: self.next, count, length: length as u32, synced: self.durable, written_at };
            self.next = head.last().next();
            frame::encode(self.active.seed, head, queued.group.bytes(), &mut self.buffer);
            self.framed.push(Framed { head, payload: queued.group.into_bytes(), reply: queued.reply });
        }
    }

    fn no_spare(&self) -> Option<AppendError> {
        match &lock(&self.shared.control).spare {
            SpareSlot::Failed(reason) => Some(reason.clone()),
            SpareSlot::Wanted | SpareSlot::Ready(_) => None,
        }
    }

    /// Answers an append of which nothing was written, and refuses what comes after it.
    fn refuse(&mut self, queued: Queued, reason: AppendError) {
        self.done_bytes += queued.group.bytes().len();
        lock(&self.shared.control).gate.refusal = Some(reason.clone());
        if let Some(reply) = queued.reply {
            // A caller that has gone away needs no answer.
            let _gone = reply.send(Err(reason));
        }
    }

    fn commit(&mut self) {
        self.began = Instant::now();
        let (file, offset) = (&self.active.file, self.active.offset);
        let written = disk::write_fully(&**file, &self.buffer, offset).and_then(|()| file.sync());
        match written {
            Ok(()) => {
                self.shared.counters.commit(self.framed.len(), self.buffer.len(), self.began.elapsed());
                self.active.offset += self.buffer.len() as u64;
                self.publish();
            }
            Err(error) => self.abandon(&error),
        }
        self.buffer.clear();
        self.buffer.shrink_to(limits::JOURNAL_WRITE_BYTES);
    }

    /// First readable, then known to be durable, then answered: so whoever is told can read it.
    fn publish(&mut self) {
        let groups = self.framed.iter().map(|f| Entered { head: f.head, payload: f.payload.clone() });
        self.shared.library.enter(groups);
        self.durable = Position(self.next.0 - 1);
        self.shared.durable.send_replace(self.durable);
        for framed in self.framed.drain(..) {
            self.done_bytes += framed.payload.len();
            if let Some(reply) = framed.reply {
                let _gone = reply.send(Ok(framed.head.first));
            }
        }
    }

    /// The segment ends here. Its appends will be answered, its records written again.
    fn abandon(&mut self, error: &io::Error) {
        self.shared.counters.failures.fetch_add(1, Ordering::Relaxed);
        let segment = format!("{:016x}", self.active.id);
        tracing::error!(%error, %segment, "writing the journal failed; its segment is abandoned");
        self.abandoned = Some(refusal_of(error));
        for framed in self.framed.drain(..).rev() {
            match framed.reply {
                Some(reply) => {
                    self.done_bytes += framed.payload.len();
                    self.doomed.push(reply);
                }
                None => {
                    let group = crate::journal::Group::from_bytes(framed.payload, framed.head.count);
                    self.backlog.push_front(Queued { group, reply: None });
                }
            }
        }
    }

    /// Goes on in a new segment, because this one is full or was abandoned. False when there is none at the moment.
    fn begin_successor(&mut self) -> bool {
        let spare = match self.wait_for_spare() {
            Ok(spare) => spare,
            Err(reason) => {
                self.refuse_appends(&reason);
                return false;
            }
        };
        match self.shared.begin(&spare, self.next, self.durable) {
            Ok(header) => self.switch_to(&header, spare),
            Err(error) => {
                self.not_begun(&spare, &error);
                return false;
            }
        }
        true
    }

    /// The header may be on the disk all the same: what was written to the old segment now could be lost.
    fn not_begun(&mut self, spare: &Spare, error: &io::Error) {
        self.shared.counters.failures.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%error, file = %spare.path.display(), "a journal segment could not be begun");
        let reason = refusal_of(error);
        self.abandoned = Some(reason.clone());
        // Whether it goes or stays, it holds nothing.
        let _gone_or_not = self.shared.disk.remove(&spare.path);
        lock(&self.shared.control).spare = SpareSlot::Failed(reason.clone());
        self.shared.keeper.notify_one();
        self.refuse_appends(&reason);
    }

    fn wait_for_spare(&self) -> Result<Spare, AppendError> {
        let mut control = lock(&self.shared.control);
        loop {
            if let Some(spare) = control.take_spare() {
                self.shared.keeper.notify_one();
                return Ok(spare);
            }
            if let SpareSlot::Failed(reason) = &control.spare {
                return Err(reason.clone());
            }
            control = sleep(&self.shared, control);
        }
    }

    fn switch_to(&mut self, header: &Header, spare: Spare) {
        let old = std::mem::replace(&mut self.active, Active::new(header, Arc::clone(&spare.file)));
        self.shared.library.begin(Segment::live(header, Contents::none(header), spare.file));
        let mut control = lock(&self.shared.control);
        control.full.push(old.id);
        control.gate.refusal = None;
        drop(control);
        self.shared.keeper.notify_one();
        // What failed is dead now, after a crash too.
        let reason = self.abandoned.take().unwrap_or(AppendError::Closed);
        for reply in self.doomed.drain(..) {
            let _gone = reply.send(Err(reason.clone()));
        }
    }

    /// Refuses all appends: nothing of those that wait was written. Records go on waiting.
    fn refuse_appends(&mut self, reason: &AppendError) {
        let mut control = lock(&self.shared.control);
        control.gate.refusal = Some(reason.clone());
        self.backlog.extend(control.take_waiting());
        drop(control);
        let (appends, records) = self.backlog.drain(..).partition(|queued| queued.reply.is_some());
        self.backlog = records;
        let appends: VecDeque<Queued> = appends;
        for queued in appends {
            self.refuse(queued, reason.clone());
        }
    }

    /// The keeper may be pausing between its tries, and the disk may be back already.
    fn try_once_more(&mut self) {
        {
            let mut control = lock(&self.shared.control);
            if matches!(control.spare, SpareSlot::Failed(_)) {
                control.spare = SpareSlot::Wanted;
            }
            self.backlog.extend(control.take_waiting());
        }
        self.shared.keeper.notify_one();
        self.stuck = !self.write_backlog();
    }

    /// The journal closes although not everything could be written.
    fn give_up(&mut self) {
        if self.stuck && !self.backlog.is_empty() {
            tracing::error!(groups = self.backlog.len(), "the journal closes with records that could not be written");
        }
        for reply in self.doomed.drain(..) {
            let what = String::from("the journal closed on a failing disk; whether this was written is not known");
            let _gone = reply.send(Err(AppendError::Failing(what)));
        }
        self.refuse_appends(&AppendError::Closed);
    }
}

fn sleep<'a>(shared: &Shared, mut control: MutexGuard<'a, Control>) -> MutexGuard<'a, Control> {
    control.writer_is = WriterState::Asleep;
    let mut control = shared.writer.wait(control).unwrap_or_else(PoisonError::into_inner);
    control.writer_is = WriterState::Awake;
    control
}

/// Lets what waits become more: for as long as writes keep their distance, and records, for which nobody waits, for a
/// moment longer.
fn pause<'a>(shared: &Shared, mut control: MutexGuard<'a, Control>, last_began: Instant) -> MutexGuard<'a, Control> {
    let for_appends = last_began + Duration::from_micros(limits::JOURNAL_WRITE_DISTANCE_US);
    let for_records = Instant::now() + Duration::from_micros(limits::JOURNAL_RECORD_PAUSE_US);
    while !control.is_urgent() {
        let until = if control.append_waits { for_appends } else { for_records };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        control.writer_is = WriterState::Pausing;
        let woken = shared.writer.wait_timeout(control, left).unwrap_or_else(PoisonError::into_inner);
        control = woken.0;
        control.writer_is = WriterState::Awake;
    }
    control
}
