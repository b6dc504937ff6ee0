//! Whether a node that is not the active one says that it is ready.

use crate::limits::PEER_PATIENCE;
use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// How long a node whose active one is gone counts on the next one: less than what it is asked is kept. Whoever spreads
/// requests by who is ready must not find all nodes gone at once.
const SUCCESSOR_COMES: Duration = Duration::from_secs(PEER_PATIENCE.as_secs() / 2);

/// Whether the active node answers, whatever it says.
#[derive(Debug, Default)]
pub(super) struct Reach(Mutex<Reached>);

#[derive(Debug, Default)]
enum Reached {
    /// It has never.
    #[default]
    Never,
    /// It does.
    Now,
    /// It did not long ago; until then this node counts on the next one.
    Until(Instant),
}

impl Reach {
    /// What was found at the last look.
    pub(super) fn set(&self, answers: bool) {
        let mut reached = self.0.lock();
        match *reached {
            _ if answers => *reached = Reached::Now,
            Reached::Now => *reached = Reached::Until(Instant::now() + SUCCESSOR_COMES),
            Reached::Never | Reached::Until(_) => {}
        }
    }

    /// Whether what is asked of this node now will most likely be answered.
    pub(super) fn is_ready(&self) -> bool {
        match *self.0.lock() {
            Reached::Never => false,
            Reached::Now => true,
            Reached::Until(at) => Instant::now() < at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_whose_active_node_is_gone_is_ready_for_a_while() {
        let reach = Reach::default();
        reach.set(false);
        assert!(!reach.is_ready(), "there was none yet");
        reach.set(true);
        assert!(reach.is_ready());
        for _ in 0..2 {
            reach.set(false);
            assert!(reach.is_ready());
            tokio::time::advance(SUCCESSOR_COMES / 2).await;
        }
        assert!(!reach.is_ready(), "further looks make it no longer");
        reach.set(true);
        assert!(reach.is_ready());
    }
}
