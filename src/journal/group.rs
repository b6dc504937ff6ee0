//! Entries on their way into the journal.

use crate::model::Entry;

/// Entries that become durable together or not at all, already encoded.
///
/// Encoding happens where the group is made, so that the one writer has only to frame and copy.
#[derive(Debug, Clone, Default)]
pub struct Group {
    bytes: Vec<u8>,
    count: u32,
}

impl Group {
    /// A group with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// A group of one entry.
    pub fn of(entry: &Entry<'_>) -> Self {
        let mut group = Self::new();
        group.push(entry);
        group
    }

    /// Adds an entry: its length (u32, little-endian), then its bytes.
    #[expect(clippy::expect_used, reason = "encoding plain data into memory has no way to fail")]
    pub fn push(&mut self, entry: &Entry<'_>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = postcard::to_extend(entry, bytes).expect("entries are plain data");
        let length = (self.bytes.len() - start - 4) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
        self.count += 1;
    }

    /// How many entries it holds.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Its entries, each after its length.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its entries as shared bytes, without a copy.
    pub(crate) fn into_bytes(self) -> bytes::Bytes {
        self.bytes.into()
    }

    /// Its entries as shared bytes, each after its length, without a copy.
    pub(crate) fn into_entries(self) -> Vec<bytes::Bytes> {
        let lengths: Vec<_> = self.lengths().collect();
        let mut rest = self.into_bytes();
        lengths.into_iter().map(|length| rest.split_to(length)).collect()
    }

    /// Bytes of the largest entry, its length's included.
    pub(crate) fn largest_entry(&self) -> usize {
        self.lengths().max().unwrap_or(0)
    }

    /// Bytes of each entry, its length's included.
    fn lengths(&self) -> impl Iterator<Item = usize> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let length = 4 + u32::from_le_bytes(*rest.first_chunk()?) as usize;
            rest = rest.get(length..)?;
            Some(length)
        })
    }

    /// The group of `count` entries that [`Group::into_bytes`] made these bytes of.
    pub(crate) fn from_bytes(bytes: bytes::Bytes, count: u32) -> Self {
        Self { bytes: bytes.into(), count }
    }

    /// Whether nothing was added yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}
