//! Which segments may go: whole ones, from the oldest on, by age and by size, and never beyond what was released.

use crate::model::{Position, UnixMs};
use std::time::Duration;

/// What is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Now.
    pub(super) now: UnixMs,
    /// A segment whose newest entry is older may go.
    pub(super) max_age: Duration,
    /// While all segments together take more, the oldest may go.
    pub(super) max_bytes: u64,
    /// Everything before this position is no longer needed.
    pub(super) released: Position,
}

/// What decides about a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Age {
    /// Its last position, if it has one.
    pub(super) last: Option<Position>,
    /// When its newest entry was written.
    pub(super) newest: UnixMs,
    /// What it takes on the disk.
    pub(super) bytes: u64,
    /// Whether it is sealed.
    pub(super) closed: bool,
}

/// How many segments, counted from the oldest, may go.
pub(super) fn expendable(rules: &Rules, segments: Vec<Age>) -> usize {
    let mut total: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let mut count = 0;
    for segment in segments {
        let released = segment.closed && segment.last.is_none_or(|last| last < rules.released);
        let unwanted = total > rules.max_bytes || segment.newest < rules.now.before(rules.max_age);
        if !(released && unwanted) {
            break;
        }
        total -= segment.bytes;
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(now: i64, max_bytes: u64, released: u64) -> Rules {
        Rules { now: UnixMs(now), max_age: Duration::from_millis(100), max_bytes, released: Position(released) }
    }

    /// Three sealed segments of 10 bytes and 10 positions, written at 10, 20 and 30, and an open one.
    fn segments() -> Vec<Age> {
        let age =
            |n: u64| Age { last: Some(Position(n * 10)), newest: UnixMs(n as i64 * 10), bytes: 10, closed: n < 4 };
        (1..=4).map(age).collect()
    }

    #[test]
    fn the_oldest_go_by_age_and_by_size_but_not_before_they_are_released() {
        let cases = [
            (rules(50, 1000, 1000), 0, "young and small"),
            (rules(115, 1000, 1000), 1, "one is too old"),
            (rules(9999, 1000, 1000), 3, "all are too old, but one is open"),
            (rules(50, 25, 1000), 2, "too many bytes"),
            (rules(9999, 1, 0), 0, "nothing is released"),
            (rules(9999, 1, 20), 1, "position 20 is still needed"),
            (rules(9999, 1, 21), 2, "position 21 is still needed"),
        ];
        for (rules, expected, why) in cases {
            assert_eq!(expendable(&rules, segments()), expected, "{why}");
        }
    }
}
