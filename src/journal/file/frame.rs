//! A frame: one appended group in a segment file.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | magic |
//! | 4 | 4 | CRC-32C over the segment's seed (its salt and id), bytes 8 to 40, and the payload |
//! | 8 | 4 | payload bytes |
//! | 12 | 4 | number of entries |
//! | 16 | 8 | position of the first entry |
//! | 24 | 8 | last position that was durable before the write that brought this frame |
//! | 32 | 8 | when it was written, Unix ms |
//! | 40 | | payload: the group's entries, each after its length; then zeros up to a multiple of 8 |
//!
//! All numbers are little-endian. Salt, id and position in the checksum keep bytes of another segment, or of another
//! place in this one, from ever passing as a frame. The durable position tells damage from a torn write: when a frame
//! cannot be read but a later one says that it was durable, it was not torn.

use crate::model::{Position, UnixMs};

/// Bytes before the payload.
pub(super) const HEAD_BYTES: usize = 40;

/// Frames begin at multiples of this.
pub(super) const ALIGN: usize = 8;

const MAGIC: u32 = u32::from_le_bytes(*b"FanG");

/// A frame's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Position of the first entry.
    pub(super) first: Position,
    /// Number of entries, at least 1.
    pub(super) count: u32,
    /// Bytes of the payload.
    pub(super) length: u32,
    /// The last position that was durable before this frame's write began.
    pub(super) synced: Position,
    /// When it was written.
    pub(super) written_at: UnixMs,
}

impl Head {
    /// Position of the last entry.
    pub(super) fn last(&self) -> Position {
        Position(self.first.0 + u64::from(self.count) - 1)
    }

    /// Bytes of the whole frame, padding included.
    pub(super) fn frame_bytes(&self) -> usize {
        frame_bytes(self.length as usize)
    }
}

/// Bytes of a frame with so many bytes of payload.
pub(super) fn frame_bytes(payload: usize) -> usize {
    (HEAD_BYTES + payload).next_multiple_of(ALIGN)
}

/// What the checksums of a segment start from.
pub(super) fn seed(salt: u64, id: u64) -> u32 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&salt.to_le_bytes());
    bytes[8..].copy_from_slice(&id.to_le_bytes());
    crc32c::crc32c(&bytes)
}

/// Adds a frame to `buffer`, whose length is a multiple of [`ALIGN`] before and after.
pub(super) fn encode(seed: u32, head: Head, payload: &[u8], buffer: &mut Vec<u8>) {
    let mut bytes = [0; HEAD_BYTES];
    bytes[..4].copy_from_slice(&MAGIC.to_le_bytes());
    bytes[8..12].copy_from_slice(&head.length.to_le_bytes());
    bytes[12..16].copy_from_slice(&head.count.to_le_bytes());
    bytes[16..24].copy_from_slice(&head.first.0.to_le_bytes());
    bytes[24..32].copy_from_slice(&head.synced.0.to_le_bytes());
    bytes[32..40].copy_from_slice(&head.written_at.0.to_le_bytes());
    let crc = checksum(seed, &bytes, payload);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    buffer.extend_from_slice(&bytes);
    buffer.extend_from_slice(payload);
    buffer.resize(buffer.len().next_multiple_of(ALIGN), 0);
}

fn checksum(seed: u32, head: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &head[8..HEAD_BYTES]), payload)
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// There are fewer bytes than the frame has: this many are needed.
    Short(usize),
    /// No frame begins here.
    NoMagic,
    /// The head cannot be: a length or count that nobody writes.
    Nonsense,
    /// The checksum does not match.
    Checksum,
}

impl Fault {
    /// What is wrong, for a person.
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Short(_) => "the file ends within a group",
            Self::NoMagic => "no group begins here",
            Self::Nonsense => "a group's length or count cannot be right",
            Self::Checksum => "a group's checksum does not match",
        }
    }
}

/// Reads the head at the start of `bytes`, unchecked: believe it only after [`check`].
pub(super) fn head(bytes: &[u8]) -> Result<Head, Fault> {
    let Some(bytes) = bytes.first_chunk::<HEAD_BYTES>() else { return Err(Fault::Short(HEAD_BYTES)) };
    if u32_at(bytes, 0) != MAGIC {
        return Err(Fault::NoMagic);
    }
    let head = Head {
        length: u32_at(bytes, 8),
        count: u32_at(bytes, 12),
        first: Position(u64_at(bytes, 16)),
        synced: Position(u64_at(bytes, 24)),
        written_at: UnixMs(u64_at(bytes, 32) as i64),
    };
    // Every entry has a length of 4 bytes; positions stay below 2^63, and the first one is 1.
    let possible = head.count > 0
        && u64::from(head.length) >= 4 * u64::from(head.count)
        && head.first > Position::ZERO
        && head.first.0 < 1 << 62
        && head.synced < head.first;
    if possible { Ok(head) } else { Err(Fault::Nonsense) }
}

/// Reads and checks the frame at the start of `bytes`.
pub(super) fn check(seed: u32, bytes: &[u8]) -> Result<Head, Fault> {
    let head = head(bytes)?;
    let end = HEAD_BYTES + head.length as usize;
    let Some(payload) = bytes.get(HEAD_BYTES..end) else { return Err(Fault::Short(head.frame_bytes())) };
    if checksum(seed, bytes, payload) == u32_at(bytes, 4) { Ok(head) } else { Err(Fault::Checksum) }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(payload: &[u8], first: u64, count: u32) -> (Head, Vec<u8>) {
        let head = Head {
            first: Position(first),
            count,
            length: payload.len() as u32,
            synced: Position(first - 1),
            written_at: UnixMs(1_700_000_000_000),
        };
        let mut bytes = Vec::new();
        encode(seed(1, 2), head, payload, &mut bytes);
        (head, bytes)
    }

    proptest! {
        #[test]
        fn a_frame_reads_back_as_written(
            payload in prop::collection::vec(any::<u8>(), 4..300), first in 1_u64..1 << 40,
        ) {
            let (head, bytes) = frame(&payload, first, 1);
            prop_assert_eq!(bytes.len(), head.frame_bytes());
            prop_assert_eq!(check(seed(1, 2), &bytes), Ok(head));
            prop_assert_eq!(&bytes[HEAD_BYTES..HEAD_BYTES + payload.len()], &payload[..]);
            prop_assert!(check(seed(1, 3), &bytes).is_err(), "of another segment");
            prop_assert!(check(seed(2, 2), &bytes).is_err(), "of another salt");
        }

        #[test]
        fn one_flipped_bit_is_noticed(
            payload in prop::collection::vec(any::<u8>(), 4..100), at in any::<prop::sample::Index>(), bit in 0..8,
        ) {
            let (_, mut bytes) = frame(&payload, 7, 1);
            // The padding is not part of what is read.
            let at = at.index(HEAD_BYTES + payload.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert!(check(seed(1, 2), &bytes).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = check(seed(1, 2), &bytes);
        }
    }
}
