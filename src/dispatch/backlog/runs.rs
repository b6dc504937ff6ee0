//! What was read for lanes lately, for all of them: lanes that are behind mostly fell behind together, and read the same
//! stretch of the journal one after the other. Of a busy journal most are outcomes, of which no lane needs any, so only
//! events are kept.

use crate::journal::{Chunk, Journal, ReadError};
use crate::limits;
use crate::model::Position;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What was not asked for in so many calls of [`Runs::grow_old`] is let go of.
const OLD: u32 = 10;

/// Runs of events. See the module's documentation.
#[derive(Debug, Default)]
pub struct Runs {
    kept: Mutex<Kept>,
    /// Held while the journal is read, so that who wants the same finds it.
    reading: Mutex<()>,
}

#[derive(Debug, Default)]
struct Kept {
    /// By their first position.
    runs: BTreeMap<Position, Arc<Chunk>>,
    /// The longest kept first.
    order: VecDeque<Position>,
    bytes: usize,
    /// Since the last question.
    age: u32,
    /// What was read in another era is not kept any more.
    era: u64,
}

impl Runs {
    /// The events from `from` on, as far as some run goes that has this position.
    pub fn find(&self, from: Position) -> Option<Arc<Chunk>> {
        let mut kept = self.kept.lock();
        kept.age = 0;
        let (_, run) = kept.runs.range(..=from).next_back()?;
        (from < run.next()).then(|| Arc::clone(run))
    }

    /// The same, read from the journal where nobody has read it yet. Blocking.
    ///
    /// # Errors
    /// As [`Journal::read`].
    pub fn read(&self, journal: &dyn Journal, from: Position) -> Result<Arc<Chunk>, ReadError> {
        if let Some(run) = self.find(from) {
            return Ok(run);
        }
        let _reading = self.reading.lock();
        // Somebody may have read it meanwhile.
        if let Some(run) = self.find(from) {
            return Ok(run);
        }
        let era = self.kept.lock().era;
        let run = Arc::new(journal.read(from, limits::JOURNAL_READ_BYTES)?.only_events()?);
        let mut kept = self.kept.lock();
        if kept.era == era && run.next() > from {
            kept.put(&run);
        }
        Ok(run)
    }

    /// Something was erased from the journal: nothing that was read before is kept.
    pub fn clear(&self) {
        let mut kept = self.kept.lock();
        *kept = Kept { era: kept.era + 1, ..Kept::default() };
    }

    /// To be called once a second: what nobody needs any more takes no memory.
    pub fn grow_old(&self) {
        let mut kept = self.kept.lock();
        kept.age = kept.age.saturating_add(1);
        if kept.age == OLD && !kept.runs.is_empty() {
            *kept = Kept { era: kept.era, age: OLD, ..Kept::default() };
        }
    }
}

impl Kept {
    fn put(&mut self, run: &Arc<Chunk>) {
        self.bytes += run.bytes();
        self.order.push_back(run.from());
        // None begins there: it would have been found.
        self.runs.insert(run.from(), Arc::clone(run));
        while self.bytes > limits::BACKLOG_BYTES {
            let Some(run) = self.order.pop_front().and_then(|oldest| self.runs.remove(&oldest)) else { return };
            self.bytes -= run.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Entry;
    use crate::store::projection::memory::MemoryJournal;

    /// Events with entries of no meaning between them: 1, 4, 7 and so on are events.
    fn journal(events: usize, body: &[u8]) -> MemoryJournal {
        let journal = MemoryJournal::new();
        for _ in 0..events {
            journal.accept(body);
            journal.add(&Entry::Erased);
            journal.add(&Entry::Erased);
        }
        journal
    }

    fn positions(run: &Chunk, from: u64) -> Vec<u64> {
        run.entries_since(Position(from)).map(|entry| entry.unwrap().0.0).collect()
    }

    #[test]
    fn what_was_read_once_is_found_from_any_position_in_it_and_holds_events_only() {
        let (journal, runs) = (journal(3, b"{}"), Runs::default());
        assert!(runs.find(Position(1)).is_none());
        let run = runs.read(&journal, Position(1)).unwrap();
        assert_eq!((positions(&run, 1), run.next()), (vec![1, 4, 7], Position(10)));
        for (from, left) in [(2, vec![4, 7]), (4, vec![4, 7]), (9, vec![])] {
            let found = runs.find(Position(from)).unwrap();
            assert!(Arc::ptr_eq(&run, &found));
            assert_eq!(positions(&found, from), left, "from {from}");
        }
        assert!(runs.find(Position(10)).is_none());
        assert!(runs.read(&journal, Position(10)).unwrap().is_empty());
        journal.accept(b"{}");
        assert_eq!(positions(&runs.read(&journal, Position(10)).unwrap(), 10), [10], "the end was not kept as such");
    }

    #[test]
    fn what_is_erased_or_needed_by_nobody_is_not_kept() {
        let (journal, runs) = (journal(3, b"{}"), Runs::default());
        runs.read(&journal, Position(1)).unwrap();
        runs.clear();
        assert!(runs.find(Position(1)).is_none());
        runs.read(&journal, Position(1)).unwrap();
        (1..OLD).for_each(|_| runs.grow_old());
        assert!(runs.find(Position(1)).is_some(), "somebody asks in time");
        (0..OLD).for_each(|_| runs.grow_old());
        assert!(runs.find(Position(1)).is_none());
        assert_eq!(runs.kept.lock().bytes, 0);
    }

    #[test]
    fn the_longest_kept_go_first_when_there_is_no_room() {
        let body = vec![b' '; limits::JOURNAL_READ_BYTES];
        let count = limits::BACKLOG_BYTES / limits::JOURNAL_READ_BYTES + 2;
        let (journal, runs) = (journal(count, &body), Runs::default());
        // Each a run of its own.
        for event in 0..count as u64 {
            runs.read(&journal, Position(1 + 3 * event)).unwrap();
        }
        let kept = runs.kept.lock();
        assert!(kept.bytes <= limits::BACKLOG_BYTES && kept.runs.len() == kept.order.len());
        drop(kept);
        assert!(runs.find(Position(1)).is_none());
        assert!(runs.find(Position(3 * count as u64 - 2)).is_some());
    }
}
