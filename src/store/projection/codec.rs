//! The blobs of the projection: many small facts in one row. Numbers are LEB128, differences zigzag-coded.

use crate::model::{EventKind, Position, UnixMs};

/// A first-attempt success as the sparse index keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Success {
    /// Where the outcome stands in the journal.
    pub outcome: Position,
    /// Where the event stands in the journal.
    pub event: Position,
    /// What happened.
    pub kind: EventKind,
}

/// Bits of a coded success that hold the kind.
const KIND_BITS: u32 = 5;

/// Appends a success to a row's blob; `before` is the success before it in the same row.
pub(super) fn push_success(blob: &mut Vec<u8>, before: Option<Success>, success: Success) {
    let (outcome, event) = before.map_or((0, 0), |before| (before.outcome.0, before.event.0));
    push(blob, success.outcome.0 - outcome);
    // Events lie below 2^63 and differ little from their neighbour, so the shift loses nothing in 128 bits.
    let distance = u128::from(zigzag(success.event.0 as i64 - event as i64));
    push_wide(blob, distance << KIND_BITS | success.kind as u128);
}

/// The successes of a row, oldest first; `None` when the blob is not one.
pub(super) fn successes(mut blob: &[u8]) -> Option<Vec<Success>> {
    let mut found = Vec::new();
    let (mut outcome, mut event) = (0_u64, 0_i64);
    while !blob.is_empty() {
        outcome = outcome.checked_add(pull(&mut blob)?)?;
        let packed = pull_wide(&mut blob)?;
        event = event.checked_add(unzigzag(u64::try_from(packed >> KIND_BITS).ok()?))?;
        let kind = *EventKind::ALL.get((packed & ((1 << KIND_BITS) - 1)) as usize)?;
        found.push(Success { outcome: Position(outcome), event: Position(event as u64), kind });
    }
    Some(found)
}

/// Appends an item's fingerprint and its time; `before` is the time of the item before it in the same row.
pub(super) fn push_item(blob: &mut Vec<u8>, before: UnixMs, fingerprint: u64, at: UnixMs) {
    blob.extend_from_slice(&fingerprint.to_le_bytes());
    push(blob, zigzag(at.0.wrapping_sub(before.0)));
}

/// The items of a row, oldest first; `None` when the blob is not one.
pub(super) fn items(mut blob: &[u8]) -> Option<Vec<(u64, UnixMs)>> {
    let mut found = Vec::new();
    let mut at = 0_i64;
    while !blob.is_empty() {
        let (fingerprint, rest) = blob.split_first_chunk::<8>()?;
        blob = rest;
        at = at.wrapping_add(unzigzag(pull(&mut blob)?));
        found.push((u64::from_le_bytes(*fingerprint), UnixMs(at)));
    }
    Some(found)
}

/// A list of positions in any order.
pub(super) fn pack_positions(positions: &[Position]) -> Vec<u8> {
    let mut blob = Vec::with_capacity(positions.len() * 2);
    let mut before = 0;
    for position in positions {
        push(&mut blob, zigzag(position.0 as i64 - before));
        before = position.0 as i64;
    }
    blob
}

/// What [`pack_positions`] packed; `None` when the blob is not that.
pub(super) fn unpack_positions(mut blob: &[u8]) -> Option<Vec<Position>> {
    let mut found = Vec::new();
    let mut at = 0_i64;
    while !blob.is_empty() {
        at = at.checked_add(unzigzag(pull(&mut blob)?))?;
        found.push(Position(u64::try_from(at).ok()?));
    }
    Some(found)
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

fn push(blob: &mut Vec<u8>, number: u64) {
    push_wide(blob, u128::from(number));
}

fn push_wide(blob: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        blob.push(number as u8 | 0x80);
        number >>= 7;
    }
    blob.push(number as u8);
}

fn pull(blob: &mut &[u8]) -> Option<u64> {
    u64::try_from(pull_wide(blob)?).ok()
}

fn pull_wide(blob: &mut &[u8]) -> Option<u128> {
    let mut number = 0_u128;
    for shift in (0..77).step_by(7) {
        let (byte, rest) = blob.split_first()?;
        *blob = rest;
        number |= u128::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn successes_read_back(steps in prop::collection::vec((1_u64..1 << 40, 0_u64..1 << 62, 0_usize..9), 0..300)) {
            let mut blob = Vec::new();
            let mut all: Vec<Success> = Vec::new();
            let mut outcome = 0;
            for (step, event, kind) in steps {
                outcome += step;
                let kind = EventKind::ALL[kind];
                let success = Success { outcome: Position(outcome), event: Position(event), kind };
                push_success(&mut blob, all.last().copied(), success);
                all.push(success);
            }
            prop_assert_eq!(successes(&blob), Some(all));
        }

        #[test]
        fn items_read_back(all in prop::collection::vec((any::<u64>(), any::<i64>()), 0..50)) {
            let mut blob = Vec::new();
            let mut before = UnixMs(0);
            for (fingerprint, at) in &all {
                push_item(&mut blob, before, *fingerprint, UnixMs(*at));
                before = UnixMs(*at);
            }
            let all: Vec<_> = all.into_iter().map(|(fingerprint, at)| (fingerprint, UnixMs(at))).collect();
            prop_assert_eq!(items(&blob), Some(all));
        }

        #[test]
        fn positions_read_back(all in prop::collection::vec(0_u64..i64::MAX as u64, 0..50)) {
            let all: Vec<_> = all.into_iter().map(Position).collect();
            prop_assert_eq!(unpack_positions(&pack_positions(&all)), Some(all));
        }

        #[test]
        fn nonsense_is_none_or_something_but_never_a_panic(blob in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = (successes(&blob), items(&blob), unpack_positions(&blob));
        }
    }
}
