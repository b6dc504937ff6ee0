//! The newest entries in memory, for readers at the head.

use crate::limits;
use crate::model::Position;
use bytes::Bytes;
use std::collections::VecDeque;

/// The newest entries, in order. There may be gaps: of what was erased.
#[derive(Debug)]
pub(super) struct Tail {
    entries: VecDeque<(Position, Bytes)>,
    bytes: usize,
    /// Everything at or after this one is here.
    from: Position,
}

impl Tail {
    /// Nothing yet; what comes is at or after this position.
    pub(super) fn from(from: Position) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, from }
    }

    pub(super) fn push(&mut self, position: Position, entry: Bytes) {
        self.bytes += entry.len();
        self.entries.push_back((position, entry));
        while self.bytes > limits::JOURNAL_TAIL_BYTES {
            let Some((oldest, entry)) = self.entries.pop_front() else { return };
            self.bytes -= entry.len();
            self.from = oldest.next();
        }
    }

    /// Entries from this position on, about as many bytes as asked for; `None` when some of them are not here.
    pub(super) fn read(&self, from: Position, budget: usize) -> Option<Vec<(Position, Bytes)>> {
        if from < self.from {
            return None;
        }
        let start = self.entries.partition_point(|(position, _)| *position < from);
        let mut bytes = 0;
        let within = |(_, entry): &&(Position, Bytes)| {
            let is_within = bytes == 0 || bytes + entry.len() <= budget;
            bytes += entry.len();
            is_within
        };
        Some(self.entries.iter().skip(start).take_while(within).cloned().collect())
    }

    pub(super) fn erase(&mut self, position: Position) {
        let at = self.entries.partition_point(|(kept, _)| *kept < position);
        if self.entries.get(at).is_some_and(|(kept, _)| *kept == position)
            && let Some((_, entry)) = self.entries.remove(at)
        {
            self.bytes -= entry.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_bound_is_not_here_any_more() {
        let mut tail = Tail::from(Position(5));
        let large = Bytes::from(vec![0; limits::JOURNAL_TAIL_BYTES / 4]);
        for position in 5..10 {
            tail.push(Position(position), large.clone());
        }
        assert_eq!(tail.read(Position(5), 1), None);
        let positions = |from: u64, budget: usize| -> Vec<u64> {
            tail.read(Position(from), budget).unwrap().iter().map(|(position, _)| position.0).collect()
        };
        assert_eq!(positions(6, 1), [6], "at least one");
        assert_eq!(positions(7, large.len() * 2), [7, 8]);
        assert_eq!(positions(10, 1), [] as [u64; 0]);
    }

    #[test]
    fn what_is_erased_leaves_a_gap() {
        let mut tail = Tail::from(Position(1));
        (1..4).for_each(|position| tail.push(Position(position), Bytes::from_static(b"x")));
        tail.erase(Position(2));
        tail.erase(Position(2));
        let left: Vec<_> = tail.read(Position(1), 100).unwrap().iter().map(|(position, _)| position.0).collect();
        assert_eq!(left, [1, 3]);
    }
}
