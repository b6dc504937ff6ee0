//! What a lane that has fallen behind reads of the journal.

use crate::filter::{Facts, Interest, Judgement};
use crate::model::{EventEntry, Position, SubscriptionId};
use std::collections::VecDeque;

/// Which events are wanted after which position, oldest first. The first era also holds for everything before it: a
/// lane never looks at what lies before its webhook was switched on.
pub type Eras = VecDeque<(Position, Interest)>;

/// What a lane that is behind wants to read.
#[derive(Debug, Clone)]
pub struct ReadPlan {
    /// The first position.
    pub from: Position,
    /// How many events it takes at most.
    pub room: usize,
    pub(super) subscription: SubscriptionId,
    pub(super) eras: Eras,
}

impl ReadPlan {
    /// What the lane says to the event at `position`, by what was in force there. Nobody's lane asks for another
    /// subscription's events.
    pub fn judge(&self, position: Position, entry: &EventEntry<'_>) -> Judgement {
        let era = self.eras.iter().rev().find(|(since, _)| *since < position).or(self.eras.front());
        match era {
            Some((_, interest)) if entry.subscription == self.subscription => interest.judge(&Facts::of(entry)),
            _ => Judgement::OtherCategory,
        }
    }
}
