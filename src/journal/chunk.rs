//! Entries on their way out of the journal.

use super::ReadError;
use crate::model::{Entry, Position};
use bytes::Bytes;

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

    /// The entries with their positions, decoded one by one, borrowing from the chunk.
    pub fn entries(&self) -> Entries<'_> {
        Entries { chunk: self, group: 0, offset: 0, index: 0, without_outcomes: false }
    }

    /// The same without outcomes, which are most of a busy journal and are not even decoded.
    pub fn entries_but_outcomes(&self) -> Entries<'_> {
        Entries { without_outcomes: true, ..self.entries() }
    }
}

/// Iterates over a chunk's entries.
#[derive(Debug)]
pub struct Entries<'a> {
    chunk: &'a Chunk,
    group: usize,
    offset: usize,
    index: u64,
    without_outcomes: bool,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(Position, Entry<'a>), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (first, bytes) = self.chunk.groups.get(self.group)?;
            if self.offset >= bytes.len() {
                (self.group, self.offset, self.index) = (self.group + 1, 0, 0);
                continue;
            }
            let position = first.plus(self.index);
            let Some(payload) = entry_at(bytes, self.offset) else {
                self.group = usize::MAX;
                return Some(Err(undecodable(position, "an entry's length points past its group")));
            };
            self.offset += 4 + payload.len();
            self.index += 1;
            if position < self.chunk.from || (self.without_outcomes && Entry::is_outcome(payload)) {
                continue;
            }
            return Some(match postcard::from_bytes(payload) {
                Ok(entry) => Ok((position, entry)),
                Err(error) => Err(undecodable(position, &error.to_string())),
            });
        }
    }
}

fn entry_at(bytes: &[u8], offset: usize) -> Option<&[u8]> {
    let length = u32::from_le_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?) as usize;
    bytes.get(offset + 4..offset + 4 + length)
}

/// The checksum matched, so these bytes are what some version wrote: most likely a newer one.
fn undecodable(position: Position, what: &str) -> ReadError {
    ReadError::Damaged { file: String::from("(entry)"), offset: position.0, what: what.to_owned() }
}
