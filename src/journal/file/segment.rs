//! A segment file: a header of one page, frames, and, once it is sealed, a footer that ends the file.
//!
//! The header stands in its page twice (at 0 and at 2048), so that one bad sector does not cost the segment. It is
//! durable before the first frame is written, and it says what the last durable position was: whatever stands beyond
//! that position in an older segment was abandoned, and is dead from then on.
//!
//! | header | bytes | | trailer | bytes | |
//! |---|---|---|---|---|---|
//! | 0 | 8 | magic and format version | 0 | 8 | magic |
//! | 8 | 4 | CRC-32C of bytes 12 to 64 | 8 | 4 | CRC-32C over the seed, the index and bytes 12 to 48 |
//! | 16 | 8 | segment id, as in the file's name | 12 | 4 | number of index entries |
//! | 24 | 8 | salt | 16 | 8 | where the frames end |
//! | 32 | 8 | first position that may be in it | 24 | 8 | last position in it |
//! | 40 | 8 | last durable position before it | 32 | 8 | when the last frame was written |
//! | 48 | 8 | bytes allocated | 40 | 8 | number of frames |
//! | 56 | 8 | when it was begun | | | |
//!
//! The footer is the sparse index (16 bytes an entry: a frame's first position, its offset) and then the trailer.

use super::disk::{DiskFile, read_fully, write_fully};
use super::frame::{self, Fault, Head};
use crate::model::{Position, UnixMs};
use std::io;
use std::path::{Path, PathBuf};

/// Where frames begin.
pub(super) const HEADER_BYTES: u64 = 4096;

/// An index entry is written for the first frame after so many bytes. It bounds what a read of one position reads.
pub(super) const INDEX_SPACING_BYTES: u64 = 16 * 1024;

const HEADER_MAGIC: &[u8; 8] = b"FanJrn\0\x01";
const TRAILER_MAGIC: &[u8; 8] = b"FanEnd\0\x01";
const HEADER_FIELDS: usize = 64;
const HEADER_COPIES: [usize; 2] = [0, 2048];
const TRAILER_BYTES: usize = 48;
const INDEX_ENTRY_BYTES: usize = 16;
const WINDOW_BYTES: usize = 256 * 1024;

/// What a segment says about itself at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: u64,
    pub(super) salt: u64,
    /// The first position that may be in it.
    pub(super) first: Position,
    /// The last durable position before it.
    pub(super) previous: Position,
    /// Bytes allocated. A file that is shorter and has no footer was cut.
    pub(super) bytes: u64,
    pub(super) begun_at: UnixMs,
}

/// Where a frame stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IndexEntry {
    pub(super) first: Position,
    pub(super) offset: u64,
}

/// What frames a segment holds: read from its footer, or found by scanning it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) index: Vec<IndexEntry>,
    /// Where the frames end.
    pub(super) end: u64,
    /// The last position, `None` when there are no frames.
    pub(super) last: Option<Position>,
    /// When the last frame was written.
    pub(super) newest: UnixMs,
    pub(super) frames: u64,
}

impl Contents {
    /// Of a segment without frames.
    pub(super) fn none(header: &Header) -> Self {
        Self { index: Vec::new(), end: HEADER_BYTES, last: None, newest: header.begun_at, frames: 0 }
    }

    /// Takes note of a frame that stands at the end.
    pub(super) fn add(&mut self, head: &Head) {
        let due = self.index.last().is_none_or(|entry| self.end - entry.offset >= INDEX_SPACING_BYTES);
        if due {
            self.index.push(IndexEntry { first: head.first, offset: self.end });
        }
        self.end += head.frame_bytes() as u64;
        self.last = Some(head.last());
        self.newest = head.written_at;
        self.frames += 1;
    }
}

/// The file name of a segment.
pub(super) fn path(dir: &Path, id: u64) -> PathBuf {
    dir.join(format!("{id:016x}.seg"))
}

/// The id in a segment's file name.
pub(super) fn id_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

/// Where frames must end in a segment of so many bytes, so that its footer still fits.
pub(super) fn data_limit(segment_bytes: u64) -> u64 {
    let entries = segment_bytes / INDEX_SPACING_BYTES + 2;
    (segment_bytes - entries * INDEX_ENTRY_BYTES as u64 - TRAILER_BYTES as u64) / frame::ALIGN as u64
        * frame::ALIGN as u64
}

impl Header {
    /// What its frames' checksums start from.
    pub(super) fn seed(&self) -> u32 {
        frame::seed(self.salt, self.id)
    }

    fn encode(&self) -> Vec<u8> {
        let mut fields = [0; HEADER_FIELDS];
        fields[..8].copy_from_slice(HEADER_MAGIC);
        let numbers = [self.id, self.salt, self.first.0, self.previous.0, self.bytes, self.begun_at.0 as u64];
        put_numbers(&mut fields[16..], &numbers);
        let crc = crc32c::crc32c(&fields[12..]);
        fields[8..12].copy_from_slice(&crc.to_le_bytes());
        let mut page = vec![0; HEADER_BYTES as usize];
        for copy in HEADER_COPIES {
            page[copy..copy + HEADER_FIELDS].copy_from_slice(&fields);
        }
        page
    }

    fn decode(fields: &[u8]) -> Option<Self> {
        let crc = u32::from_le_bytes(fields.get(8..12)?.try_into().ok()?);
        if &fields[..8] != HEADER_MAGIC || crc32c::crc32c(&fields[12..]) != crc {
            return None;
        }
        Some(Self {
            id: number(fields, 16),
            salt: number(fields, 24),
            first: Position(number(fields, 32)),
            previous: Position(number(fields, 40)),
            bytes: number(fields, 48),
            begun_at: UnixMs(number(fields, 56) as i64),
        })
    }

    /// Writes it. Not yet durable.
    pub(super) fn write(&self, file: &dyn DiskFile) -> io::Result<()> {
        write_fully(file, &self.encode(), 0)
    }

    /// Reads the header of the segment with this id; `None` when neither copy is whole.
    pub(super) fn read(file: &dyn DiskFile, id: u64) -> io::Result<Option<Self>> {
        let mut page = vec![0; HEADER_BYTES as usize];
        let read = read_fully(file, &mut page, 0)?;
        let copies = HEADER_COPIES.into_iter().filter_map(|at| page[..read].get(at..at + HEADER_FIELDS));
        Ok(copies.filter_map(Self::decode).find(|header| header.id == id))
    }
}

/// Seals a segment: writes its footer after the frames, makes it durable and cuts the file there.
/// Returns the file's size.
pub(super) fn seal(file: &dyn DiskFile, seed: u32, contents: &Contents) -> io::Result<u64> {
    let footer = encode_footer(seed, contents);
    write_fully(file, &footer, contents.end)?;
    file.sync()?;
    let size = contents.end + footer.len() as u64;
    file.truncate(size)?;
    Ok(size)
}

fn encode_footer(seed: u32, contents: &Contents) -> Vec<u8> {
    let mut bytes = vec![0; contents.index.len() * INDEX_ENTRY_BYTES + TRAILER_BYTES];
    let (index, trailer) = bytes.split_at_mut(contents.index.len() * INDEX_ENTRY_BYTES);
    for (slot, entry) in index.chunks_exact_mut(INDEX_ENTRY_BYTES).zip(&contents.index) {
        put_numbers(slot, &[entry.first.0, entry.offset]);
    }
    trailer[..8].copy_from_slice(TRAILER_MAGIC);
    trailer[12..16].copy_from_slice(&(contents.index.len() as u32).to_le_bytes());
    let last = contents.last.unwrap_or_default();
    put_numbers(&mut trailer[16..], &[contents.end, last.0, contents.newest.0 as u64, contents.frames]);
    let crc = footer_checksum(seed, index, trailer);
    trailer[8..12].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn footer_checksum(seed: u32, index: &[u8], trailer: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(seed, index), &trailer[12..])
}

/// Reads a segment's footer; `None` when the file does not end with a whole one.
pub(super) fn read_footer(file: &dyn DiskFile, seed: u32) -> io::Result<Option<Contents>> {
    let size = file.size()?;
    let Some(trailer_at) = size.checked_sub(TRAILER_BYTES as u64) else { return Ok(None) };
    let mut trailer = [0; TRAILER_BYTES];
    read_fully(file, &mut trailer, trailer_at)?;
    let count = u32::from_le_bytes([trailer[12], trailer[13], trailer[14], trailer[15]]);
    let (end, index_bytes) = (number(&trailer, 16), u64::from(count) * INDEX_ENTRY_BYTES as u64);
    // Checked before memory is reserved: the numbers are not yet known to be right.
    if &trailer[..8] != TRAILER_MAGIC || end < HEADER_BYTES || end.checked_add(index_bytes) != Some(trailer_at) {
        return Ok(None);
    }
    let mut index = vec![0; index_bytes as usize];
    read_fully(file, &mut index, end)?;
    if footer_checksum(seed, &index, &trailer).to_le_bytes() != trailer[8..12] {
        return Ok(None);
    }
    let entries = index.chunks_exact(INDEX_ENTRY_BYTES);
    Ok(Some(Contents {
        index: entries.map(|e| IndexEntry { first: Position(number(e, 0)), offset: number(e, 8) }).collect(),
        end,
        last: Some(Position(number(&trailer, 24))).filter(|last| *last > Position::ZERO),
        newest: UnixMs(number(&trailer, 32) as i64),
        frames: number(&trailer, 40),
    }))
}

/// Why a scan ended before the position that it was to reach, or before the file's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stop {
    pub(super) offset: u64,
    pub(super) fault: Fault,
}

/// Goes through a segment's frames one by one, checking each.
#[derive(Debug)]
pub(super) struct Frames<'a> {
    file: &'a dyn DiskFile,
    seed: u32,
    /// The next position, once a frame was seen.
    expected: Position,
    offset: u64,
    end: u64,
    window: Vec<u8>,
    window_at: u64,
}

/// One step of [`Frames`].
#[derive(Debug)]
pub(super) enum Step<'w> {
    /// A whole frame, with its place and its payload.
    Frame(u64, Head, &'w [u8]),
    /// What stands here is no frame that belongs here.
    Stop(Stop),
    /// The end that was asked for.
    End,
}

impl<'a> Frames<'a> {
    /// The frames from the header to `end`.
    pub(super) fn new(file: &'a dyn DiskFile, header: &Header, end: u64) -> Self {
        let (seed, expected) = (header.seed(), header.first);
        Self { file, seed, expected, offset: HEADER_BYTES, end, window: Vec::new(), window_at: HEADER_BYTES }
    }

    /// The next step. After a stop or the end it repeats itself.
    pub(super) fn step(&mut self) -> io::Result<Step<'_>> {
        if self.offset >= self.end {
            return Ok(Step::End);
        }
        let fault = match self.check_here()? {
            Ok(head) if head.first == self.expected => {
                let (at, start) = (self.offset, (self.offset - self.window_at) as usize + frame::HEAD_BYTES);
                self.offset += head.frame_bytes() as u64;
                self.expected = head.last().next();
                return Ok(Step::Frame(at, head, &self.window[start..start + head.length as usize]));
            }
            Ok(_) => Fault::Nonsense,
            Err(fault) => fault,
        };
        Ok(Step::Stop(Stop { offset: self.offset, fault }))
    }

    fn check_here(&mut self) -> io::Result<Result<Head, Fault>> {
        let checked = frame::check(self.seed, self.rest_of_window());
        let Err(Fault::Short(needed)) = checked else { return Ok(checked) };
        if needed as u64 > self.end - self.offset {
            return Ok(checked);
        }
        self.window.resize(needed.max(WINDOW_BYTES), 0);
        self.window_at = self.offset;
        let read = read_fully(self.file, &mut self.window, self.offset)?;
        self.window.truncate(read);
        match frame::check(self.seed, &self.window) {
            // The head was beyond the window, so the length was not known yet.
            Err(Fault::Short(more)) if more > needed && more as u64 <= self.end - self.offset => {
                self.window.resize(more, 0);
                let read = read_fully(self.file, &mut self.window, self.offset)?;
                self.window.truncate(read);
                Ok(frame::check(self.seed, &self.window))
            }
            other => Ok(other),
        }
    }

    fn rest_of_window(&self) -> &[u8] {
        self.window.get((self.offset - self.window_at) as usize..).unwrap_or_default()
    }
}

/// What a scan found.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) contents: Contents,
    /// `None` when the scan ended where it should: at the fence, or at the end of the file.
    pub(super) stop: Option<Stop>,
    /// What was durable when the last frame was written: everything after it came with the last write.
    pub(super) synced: Position,
}

/// Scans a segment from its start up to `fence`, the position that its successor calls the last durable one.
pub(super) fn scan(file: &dyn DiskFile, header: &Header, fence: Option<Position>) -> io::Result<Scan> {
    let mut frames = Frames::new(file, header, file.size()?);
    let mut scan = Scan { contents: Contents::none(header), stop: None, synced: header.previous };
    loop {
        if fence.is_some_and(|fence| scan.contents.last.unwrap_or(header.previous) >= fence) {
            return Ok(scan);
        }
        match frames.step()? {
            Step::Frame(_, head, _) => {
                scan.contents.add(&head);
                scan.synced = head.synced;
            }
            Step::Stop(stop) => {
                scan.stop = Some(stop);
                return Ok(scan);
            }
            Step::End => return Ok(scan),
        }
    }
}

/// What stands behind the place where a scan stopped.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remains {
    /// Bytes up to the last one that is not zero.
    pub(super) torn_bytes: u64,
    /// A whole frame that was written when the missing position was durable already: then it is not torn but damaged.
    pub(super) proof_of_damage: Option<u64>,
}

/// Looks behind the place where a scan stopped, for what `missing`, the position expected there, may have been.
pub(super) fn remains(file: &dyn DiskFile, seed: u32, offset: u64, missing: Position) -> io::Result<Remains> {
    let mut bytes = vec![0; file.size()?.saturating_sub(offset) as usize];
    let read = read_fully(file, &mut bytes, offset)?;
    let used = bytes[..read].iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    // A frame may end in zeros: look at it whole.
    let proves = |at: &usize| frame::check(seed, &bytes[*at..read]).is_ok_and(|head| head.synced >= missing);
    let proof = (0..used).step_by(frame::ALIGN).find(proves);
    Ok(Remains { torn_bytes: used as u64, proof_of_damage: proof.map(|at| offset + at as u64) })
}

fn put_numbers(bytes: &mut [u8], numbers: &[u64]) {
    for (slot, number) in bytes.chunks_exact_mut(8).zip(numbers) {
        slot.copy_from_slice(&number.to_le_bytes());
    }
}

fn number(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}
