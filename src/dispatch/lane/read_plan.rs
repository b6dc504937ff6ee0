//! What a lane that has fallen behind reads of the journal.

use crate::model::{CategorySet, EventKind, Position, SubscriptionId};
use std::collections::VecDeque;

/// Which categories are wanted after which position, oldest first. The first era also holds for everything before it: a
/// lane never looks at what lies before its webhook was switched on.
pub type Eras = VecDeque<(Position, CategorySet)>;

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
    /// Whether the lane wants the event at `position`, by the categories in force there.
    pub fn wants(&self, position: Position, subscription: SubscriptionId, kind: EventKind) -> bool {
        let era = self.eras.iter().rev().find(|(since, _)| *since < position).or(self.eras.front());
        self.subscription == subscription && era.is_some_and(|(_, categories)| categories.contains(kind.category()))
    }
}
