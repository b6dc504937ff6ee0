//! What a lane leaves undone.

use crate::model::Position;

/// Events that fell out of a lane's backlog, as one range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    /// First position, inclusive.
    pub from: Position,
    /// Last position, inclusive.
    pub to: Position,
    /// How many of the lane's events, where it could be counted.
    pub events: Option<u64>,
}

/// What a lane that is being closed leaves undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undone {
    /// The first position that was not attempted; `None` when all were.
    pub from: Option<Position>,
    /// How many events, as far as it was counted.
    pub events: u64,
    /// How many deliveries waited for their time.
    pub waiting: u64,
}
