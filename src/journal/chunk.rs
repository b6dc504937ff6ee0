//! Entries on their way out of the journal.

use super::ReadError;
use crate::model::{Entry, Position};
use bytes::{Bytes, BytesMut};

/// What a group takes in memory beside its bytes.
const GROUP_BYTES: usize = size_of::<(Position, Bytes)>();

/// Of an entry's length, which stands before it.
const LENGTH_BYTES: usize = 4;

/// A run of durable groups, as [`super::Journal::read`] returns it.
#[derive(Debug, Clone, Default)]
pub struct Chunk {
    groups: Vec<(Position, Bytes)>,
    from: Position,
    next: Position,
}

impl Chunk {
    /// A chunk of groups (position of the group's first entry; entries, each after its length) that shows entries at
    /// or after `from`; `next` is where the read after this one continues.
    pub fn new(groups: Vec<(Position, Bytes)>, from: Position, next: Position) -> Self {
        Self { groups, from, next }
    }

    /// Where to continue: the position after the chunk's last one; the position asked for, when the chunk is empty.
    pub fn next(&self) -> Position {
        self.next
    }

    /// Whether nothing was there to read.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The position that was asked for.
    pub fn from(&self) -> Position {
        self.from
    }

    /// What it holds in memory, about.
    pub fn bytes(&self) -> usize {
        self.groups.iter().map(|(_, bytes)| bytes.len() + GROUP_BYTES).sum::<usize>() + GROUP_BYTES
    }

    /// The entries with their positions, decoded one by one, borrowing from the chunk.
    pub fn entries(&self) -> Entries<'_> {
        self.entries_since(self.from)
    }

    /// Those at or after `from`.
    pub fn entries_since(&self, from: Position) -> Entries<'_> {
        let group = self.groups.partition_point(|(first, _)| *first <= from).saturating_sub(1);
        let encoded = Encoded { groups: &self.groups, from: from.max(self.from), group, offset: 0, index: 0 };
        Entries { encoded, without_outcomes: false }
    }

    /// The same without outcomes, which are most of a busy journal and are not even decoded.
    pub fn entries_but_outcomes(&self) -> Entries<'_> {
        Entries { without_outcomes: true, ..self.entries() }
    }

    /// The same stretch of the journal with its events only. They are copied, so that nothing else of it stays in memory.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] when what is left out, too, is not what it should be.
    pub fn only_events(&self) -> Result<Self, ReadError> {
        let (mut copied, mut places) = (BytesMut::new(), Vec::new());
        for entry in self.entries().encoded {
            let (position, entry) = entry?;
            let payload = &entry[LENGTH_BYTES..];
            if Entry::is_event(payload) {
                places.push((position, copied.len()..copied.len() + entry.len()));
                copied.extend_from_slice(entry);
            } else if !Entry::is_outcome(payload) {
                decode(position, payload)?;
            }
        }
        let copied = copied.freeze();
        let groups = places.into_iter().map(|(position, place)| (position, copied.slice(place))).collect();
        Ok(Self { groups, ..*self })
    }
}

/// Iterates over a chunk's entries.
#[derive(Debug)]
pub struct Entries<'a> {
    encoded: Encoded<'a>,
    without_outcomes: bool,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(Position, Entry<'a>), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (position, entry) = match self.encoded.next()? {
                Ok(found) => found,
                Err(error) => return Some(Err(error)),
            };
            let payload = &entry[LENGTH_BYTES..];
            if !(self.without_outcomes && Entry::is_outcome(payload)) {
                return Some(decode(position, payload).map(|entry| (position, entry)));
            }
        }
    }
}

/// The entries as they are, each after its length.
#[derive(Debug)]
struct Encoded<'a> {
    groups: &'a [(Position, Bytes)],
    from: Position,
    group: usize,
    offset: usize,
    index: u64,
}

impl<'a> Iterator for Encoded<'a> {
    type Item = Result<(Position, &'a [u8]), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (first, bytes) = self.groups.get(self.group)?;
            if self.offset >= bytes.len() {
                (self.group, self.offset, self.index) = (self.group + 1, 0, 0);
                continue;
            }
            let position = first.plus(self.index);
            let Some(entry) = entry_at(bytes, self.offset) else {
                self.group = usize::MAX;
                return Some(Err(undecodable(position, "an entry's length points past its group")));
            };
            self.offset += entry.len();
            self.index += 1;
            if position >= self.from {
                return Some(Ok((position, entry)));
            }
        }
    }
}

fn entry_at(bytes: &[u8], offset: usize) -> Option<&[u8]> {
    let length: [u8; LENGTH_BYTES] = bytes.get(offset..offset + LENGTH_BYTES)?.try_into().ok()?;
    bytes.get(offset..offset + LENGTH_BYTES + u32::from_le_bytes(length) as usize)
}

fn decode(position: Position, payload: &[u8]) -> Result<Entry<'_>, ReadError> {
    postcard::from_bytes(payload).map_err(|error| undecodable(position, &error.to_string()))
}

/// The checksum matched, so these bytes are what some version wrote: most likely a newer one.
fn undecodable(position: Position, what: &str) -> ReadError {
    ReadError::Damaged { file: String::from("(entry)"), offset: position.0, what: what.to_owned() }
}
