//! What can be read: the durable entries, recent ones in memory, the others in segment files.
//!
//! Only what is durable is ever put in here, so nothing else can be read.

use super::disk::{Disk, read_fully};
use super::frame::{self, Fault};
use super::retention::{self, Age};
use super::segment::{self, Contents, HEADER_BYTES, Header, INDEX_SPACING_BYTES, IndexEntry};
use super::{DiskFile, lock};
use crate::journal::{Chunk, ReadError};
use crate::limits;
use crate::model::{Position, UnixMs};
use bytes::Bytes;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A durable group.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) head: frame::Head,
    pub(super) payload: Bytes,
}

/// A segment's file and index, ready to be read.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: Arc<dyn DiskFile>,
    seed: u32,
    index: Mutex<Vec<IndexEntry>>,
}

/// A segment as the library knows it.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) id: u64,
    first: Position,
    last: Option<Position>,
    end: u64,
    newest: UnixMs,
    frames: u64,
    file_bytes: u64,
    /// Its file and index, as long as it has no footer on disk from which they could be opened again.
    live: Option<Arc<Opened>>,
}

impl Segment {
    /// A segment with a footer, opened when it is read.
    pub(super) fn sealed(header: &Header, contents: &Contents, file_bytes: u64) -> Self {
        Self {
            id: header.id,
            first: header.first,
            last: contents.last,
            end: contents.end,
            newest: contents.newest,
            frames: contents.frames,
            file_bytes,
            live: None,
        }
    }

    /// A segment without a footer: the one being written, or a damaged one.
    pub(super) fn live(header: &Header, contents: Contents, file: Arc<dyn DiskFile>) -> Self {
        let mut segment = Self::sealed(header, &contents, header.bytes);
        let index = Mutex::new(contents.index);
        segment.live = Some(Arc::new(Opened { file, seed: header.seed(), index }));
        segment
    }
}

#[derive(Debug, Default)]
struct Shelves {
    segments: VecDeque<Segment>,
    tail: VecDeque<Entered>,
    tail_bytes: usize,
    durable: Position,
}

/// Everything that can be read.
#[derive(Debug)]
pub(super) struct Library {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    shelves: Mutex<Shelves>,
    /// Segments opened for reading, the one used last at the end.
    opened: Mutex<Vec<(u64, Arc<Opened>)>>,
    /// Held while sealed files are removed or replaced, so that nothing that was removed comes back.
    files: Mutex<()>,
}

/// What a group in memory costs beside its bytes.
const GROUP_OVERHEAD_BYTES: usize = 128;

impl Library {
    pub(super) fn new(disk: Arc<dyn Disk>, dir: PathBuf, segments: Vec<Segment>, durable: Position) -> Self {
        let shelves = Shelves { segments: segments.into(), durable, ..Shelves::default() };
        Self { disk, dir, shelves: Mutex::new(shelves), opened: Mutex::default(), files: Mutex::default() }
    }

    /// Adds a segment at the end: the next one to be written.
    pub(super) fn begin(&self, segment: Segment) {
        lock(&self.shelves).segments.push_back(segment);
    }

    /// Shows what the newest segment now holds durably: these groups, up to byte `end`.
    pub(super) fn enter(&self, groups: impl Iterator<Item = Entered>) {
        let mut shelves = lock(&self.shelves);
        let shelves = &mut *shelves;
        let Some(segment) = shelves.segments.back_mut() else { return };
        let Some(live) = &segment.live else { return };
        let mut index = lock(&live.index);
        for group in groups {
            if index.last().is_none_or(|entry| segment.end - entry.offset >= INDEX_SPACING_BYTES) {
                index.push(IndexEntry { first: group.head.first, offset: segment.end });
            }
            segment.end += group.head.frame_bytes() as u64;
            segment.last = Some(group.head.last());
            segment.newest = group.head.written_at;
            segment.frames += 1;
            shelves.durable = group.head.last();
            shelves.tail_bytes += group.payload.len() + GROUP_OVERHEAD_BYTES;
            shelves.tail.push_back(group);
        }
        while shelves.tail_bytes > limits::JOURNAL_TAIL_BYTES {
            let Some(oldest) = shelves.tail.pop_front() else { break };
            shelves.tail_bytes -= oldest.payload.len() + GROUP_OVERHEAD_BYTES;
        }
    }

    /// The oldest position that can be read, or the next one to come.
    pub(super) fn oldest(&self) -> Position {
        oldest(&lock(&self.shelves))
    }

    /// Number of segments and the bytes that they take.
    pub(super) fn size(&self) -> (usize, u64) {
        let shelves = lock(&self.shelves);
        (shelves.segments.len(), shelves.segments.iter().map(|segment| segment.file_bytes).sum())
    }

    /// Number of segments without a footer.
    #[cfg(test)]
    pub(super) fn unsealed(&self) -> usize {
        lock(&self.shelves).segments.iter().filter(|segment| segment.live.is_some()).count()
    }

    /// See [`crate::journal::Journal::read`].
    pub(super) fn read(&self, wanted: Position, budget: usize) -> Result<Chunk, ReadError> {
        // Nothing was ever before position 1, so nothing before it can be gone.
        let from = wanted.max(Position(1));
        let (id, end, live) = {
            let shelves = lock(&self.shelves);
            let oldest = oldest(&shelves);
            if from < oldest {
                return Err(ReadError::Gone { wanted, oldest });
            }
            if from > shelves.durable {
                return Ok(Chunk::new(Vec::new(), wanted, wanted));
            }
            if shelves.tail.front().is_some_and(|group| group.head.first <= from) {
                return Ok(read_tail(&shelves.tail, from, budget));
            }
            let segment = holder(&shelves.segments, from).ok_or_else(missing)?;
            (segment.id, segment.end, segment.live.clone())
        };
        let opened = match live {
            Some(opened) => opened,
            None => self.open(id, wanted)?,
        };
        SegmentRead { opened: &opened, id, end, from, budget }.run()
    }

    fn open(&self, id: u64, wanted: Position) -> Result<Arc<Opened>, ReadError> {
        {
            let mut cache = lock(&self.opened);
            if let Some(at) = cache.iter().position(|(cached, _)| *cached == id) {
                let found = cache.remove(at);
                let opened = found.1.clone();
                cache.push(found);
                return Ok(opened);
            }
        }
        let opened = match open_sealed(&*self.disk, &segment::path(&self.dir, id), id) {
            // Retention was faster.
            Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ReadError::Gone { wanted, oldest: self.oldest() });
            }
            other => Arc::new(other?),
        };
        let mut cache = lock(&self.opened);
        if cache.len() >= limits::JOURNAL_OPEN_SEGMENTS {
            cache.remove(0);
        }
        cache.push((id, opened.clone()));
        Ok(opened)
    }

    /// Writes a segment's footer, so that a start need not scan it. One without entries is removed instead.
    pub(super) fn seal(&self, id: u64) -> io::Result<()> {
        let (opened, contents) = {
            let shelves = lock(&self.shelves);
            let Some(segment) = shelves.segments.iter().find(|segment| segment.id == id) else { return Ok(()) };
            let Some(opened) = segment.live.clone() else { return Ok(()) };
            let index = lock(&opened.index).clone();
            let Segment { end, last, newest, frames, .. } = *segment;
            (opened, Contents { index, end, last, newest, frames })
        };
        if contents.last.is_none() {
            lock(&self.shelves).segments.retain(|segment| segment.id != id);
            return self.disk.remove(&segment::path(&self.dir, id));
        }
        let file_bytes = segment::seal(&*opened.file, opened.seed, &contents)?;
        if let Some(segment) = lock(&self.shelves).segments.iter_mut().find(|segment| segment.id == id) {
            (segment.file_bytes, segment.live) = (file_bytes, None);
        }
        Ok(())
    }

    /// The segments with entries in a range of positions, oldest first.
    pub(super) fn segments_between(&self, from: Position, through: Position) -> Vec<u64> {
        let shelves = lock(&self.shelves);
        let within = |s: &&Segment| s.first <= through && s.last.is_some_and(|last| last >= from);
        shelves.segments.iter().filter(within).map(|segment| segment.id).collect()
    }

    /// Whether a segment without a footer holds something at or before a position.
    pub(super) fn is_unsealed_through(&self, through: Position) -> bool {
        let shelves = lock(&self.shelves);
        let is_unsealed = |s: &Segment| s.live.is_some() && s.last.is_some() && s.first <= through;
        shelves.segments.iter().any(is_unsealed)
    }

    /// What stands at or before a position is read from its segment from now on.
    pub(super) fn drop_tail_through(&self, through: Position) {
        let mut shelves = lock(&self.shelves);
        while shelves.tail.front().is_some_and(|group| group.head.first <= through) {
            let Some(group) = shelves.tail.pop_front() else { break };
            shelves.tail_bytes -= group.payload.len() + GROUP_OVERHEAD_BYTES;
        }
    }

    /// Puts a file in a sealed segment's place, unless retention has removed it meanwhile.
    pub(super) fn replace(&self, id: u64, by: &Path, path: &Path) -> io::Result<()> {
        let _files = lock(&self.files);
        if !lock(&self.shelves).segments.iter().any(|segment| segment.id == id) {
            return self.disk.remove(by);
        }
        self.disk.rename(by, path)?;
        lock(&self.opened).retain(|(opened, _)| *opened != id);
        self.disk.sync_dir(&self.dir)
    }

    /// The first position that retention keeps by these rules.
    pub(super) fn outgrown(&self, rules: &retention::Rules) -> Position {
        let shelves = lock(&self.shelves);
        let count = retention::expendable(rules, ages(&shelves.segments));
        let last = shelves.segments.range(..count).rev().find_map(|segment| segment.last);
        last.map_or_else(|| oldest(&shelves), Position::next)
    }

    /// Removes the segments that retention no longer keeps, and says how many.
    pub(super) fn retire(&self, rules: &retention::Rules) -> io::Result<usize> {
        let _files = lock(&self.files);
        let removed: Vec<u64> = {
            let mut shelves = lock(&self.shelves);
            let count = retention::expendable(rules, ages(&shelves.segments));
            shelves.segments.drain(..count).map(|segment| segment.id).collect()
        };
        lock(&self.opened).retain(|(id, _)| !removed.contains(id));
        for id in &removed {
            self.disk.remove(&segment::path(&self.dir, *id))?;
            // One by one, so that a crash never leaves a hole in the chain.
            self.disk.sync_dir(&self.dir)?;
        }
        Ok(removed.len())
    }
}

fn ages(segments: &VecDeque<Segment>) -> Vec<Age> {
    let age = |segment: &Segment| Age {
        last: segment.last,
        newest: segment.newest,
        bytes: segment.file_bytes,
        closed: segment.live.is_none(),
    };
    segments.iter().map(age).collect()
}

fn oldest(shelves: &Shelves) -> Position {
    shelves.segments.front().map_or(shelves.durable.next(), |segment| segment.first)
}

/// The first segment with an entry at or after `from`. One may be empty: the newest, or one that failed at once.
fn holder(segments: &VecDeque<Segment>, from: Position) -> Option<&Segment> {
    let start = segments.partition_point(|segment| segment.first <= from).saturating_sub(1);
    segments.range(start..).find(|segment| segment.last.is_some_and(|last| last >= from))
}

fn missing() -> ReadError {
    ReadError::Io(io::Error::other("no segment holds a position that is durable"))
}

fn read_tail(tail: &VecDeque<Entered>, from: Position, budget: usize) -> Chunk {
    let start = tail.partition_point(|group| group.head.last() < from);
    let (mut groups, mut bytes, mut next) = (Vec::new(), 0, from);
    for group in tail.range(start..) {
        if !groups.is_empty() && bytes + group.payload.len() > budget {
            break;
        }
        bytes += group.payload.len();
        next = group.head.last().next();
        groups.push((group.head.first, group.payload.clone()));
    }
    Chunk::new(groups, from, next)
}

fn open_sealed(disk: &dyn Disk, path: &Path, id: u64) -> Result<Opened, ReadError> {
    let file = disk.open(path, false)?;
    let damaged = |offset: u64, what: &str| damaged(id, offset, what);
    let header = Header::read(&*file, id)?.ok_or_else(|| damaged(0, "the header does not match its checksum"))?;
    let contents = segment::read_footer(&*file, header.seed())?;
    let contents = contents.ok_or_else(|| damaged(HEADER_BYTES, "the footer does not match its checksum"))?;
    Ok(Opened { file, seed: header.seed(), index: Mutex::new(contents.index) })
}

fn damaged(id: u64, offset: u64, what: &str) -> ReadError {
    ReadError::Damaged { file: format!("{id:016x}.seg"), offset, what: what.to_owned() }
}

/// One read of a segment file.
struct SegmentRead<'a> {
    opened: &'a Opened,
    id: u64,
    /// Where its durable frames end.
    end: u64,
    from: Position,
    budget: usize,
}

impl SegmentRead<'_> {
    fn run(&self) -> Result<Chunk, ReadError> {
        let mut offset = self.start();
        let ahead = self.budget.min(limits::JOURNAL_READ_BYTES).max(INDEX_SPACING_BYTES as usize);
        let mut window = self.window(offset, ahead + INDEX_SPACING_BYTES as usize)?;
        let (mut at, mut bytes, mut expected) = (0, 0, None);
        let (mut groups, mut next) = (Vec::new(), self.from);
        while offset < self.end {
            let head = match frame::check(self.opened.seed, &window[at..]) {
                Ok(head) if expected.is_none_or(|expected| head.first == expected) => head,
                Ok(_) => return Err(damaged(self.id, offset, Fault::Nonsense.what())),
                Err(Fault::Short(_)) if !groups.is_empty() => break,
                Err(Fault::Short(needed)) if at > 0 || needed > window.len() => {
                    if needed as u64 > self.end - offset {
                        return Err(damaged(self.id, offset, Fault::Short(needed).what()));
                    }
                    (window, at) = (self.window(offset, needed.max(ahead))?, 0);
                    continue;
                }
                Err(fault) => return Err(damaged(self.id, offset, fault.what())),
            };
            expected = Some(head.last().next());
            let length = head.length as usize;
            if head.last() >= self.from {
                if !groups.is_empty() && bytes + length > self.budget {
                    break;
                }
                let start = at + frame::HEAD_BYTES;
                groups.push((head.first, window.slice(start..start + length)));
                (bytes, next) = (bytes + length, head.last().next());
            }
            at += head.frame_bytes();
            offset += head.frame_bytes() as u64;
            if at > window.len() {
                at = window.len();
            }
        }
        if groups.is_empty() {
            return Err(damaged(self.id, self.end, "entries that were acknowledged are missing"));
        }
        Ok(Chunk::new(groups, self.from, next))
    }

    /// The offset of a frame at or before the position.
    fn start(&self) -> u64 {
        let index = lock(&self.opened.index);
        let after = index.partition_point(|entry| entry.first <= self.from);
        index.get(after.saturating_sub(1)).map_or(HEADER_BYTES, |entry| entry.offset)
    }

    fn window(&self, offset: u64, bytes: usize) -> Result<Bytes, ReadError> {
        let mut window = vec![0; bytes.min((self.end - offset) as usize)];
        let read = read_fully(&*self.opened.file, &mut window, offset)?;
        if read < window.len() {
            return Err(damaged(self.id, offset + read as u64, "the file was cut"));
        }
        Ok(window.into())
    }
}
