//! What intake must know again after a restart, taken from the journal.

use crate::model::{Entry, Position, UnixMs};
use std::collections::{BTreeMap, VecDeque};

/// What was known before the start.
pub struct Restored {
    /// Fingerprints of items' ids with the times at which they were accepted, oldest first.
    pub item_ids: Box<dyn Iterator<Item = (u64, UnixMs)> + Send>,
    /// Ratings that were held and not closed.
    pub held: Vec<RestoredHeld>,
}

impl Default for Restored {
    fn default() -> Self {
        Self { item_ids: Box::new(std::iter::empty()), held: Vec::new() }
    }
}

/// A rating that was held and not closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredHeld {
    /// Its entry in the journal.
    pub position: Position,
    /// When it leaves without a reason.
    pub due: UnixMs,
    /// What intake wrote about it.
    pub draft: Vec<u8>,
}

/// Collects what intake must know again from the journal's entries, shown in order.
#[derive(Debug, Default)]
pub struct Recall {
    most_ids: usize,
    item_ids: VecDeque<(u64, UnixMs)>,
    held: BTreeMap<Position, RestoredHeld>,
    /// The time of the last entry that has one.
    latest: UnixMs,
}

impl Recall {
    /// Keeps the last `most_ids` ids.
    pub fn new(most_ids: usize) -> Self {
        Self { most_ids, ..Self::default() }
    }

    /// Looks at one entry.
    pub fn observe(&mut self, position: Position, entry: &Entry<'_>) {
        match entry {
            Entry::Event(event) => {
                self.latest = event.accepted_at;
                event.item.into_iter().for_each(|id| self.remember(id));
                if let Some(closed) = event.closes {
                    self.held.remove(&closed);
                }
            }
            Entry::Items(items) => {
                self.latest = items.accepted_at;
                items.fingerprints.iter().for_each(|id| self.remember(*id));
            }
            Entry::Held(held) => {
                // It has no time of acceptance of its own; it is due a moment after it.
                self.latest = self.latest.max(held.due);
                held.item.into_iter().for_each(|id| self.remember(id));
                let draft = held.draft.to_vec();
                self.held.insert(position, RestoredHeld { position, due: held.due, draft });
            }
            Entry::Outcome(_)
            | Entry::CategorySwitch(_)
            | Entry::ShapedOutcome(_)
            | Entry::Switch(_)
            | Entry::Audited(_)
            | Entry::Checkpoint(_)
            | Entry::Replay(_)
            | Entry::Resend(_)
            | Entry::ReplayEnded(_)
            | Entry::Receiver(_)
            | Entry::Closed(_)
            | Entry::Redelivery(_)
            | Entry::Visit(_)
            | Entry::Metadata(_)
            | Entry::Carried(_)
            | Entry::Notice(_)
            | Entry::Guide(_)
            | Entry::Merged(_)
            | Entry::Erased => {}
        }
    }

    /// What was found.
    pub fn finish(self) -> Restored {
        Restored { item_ids: Box::new(self.item_ids.into_iter()), held: self.held.into_values().collect() }
    }

    fn remember(&mut self, id: u64) {
        if self.item_ids.len() >= self.most_ids {
            self.item_ids.pop_front();
        }
        if self.most_ids > 0 {
            self.item_ids.push_back((id, self.latest));
        }
    }
}
