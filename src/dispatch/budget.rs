//! Who may have how many requests in flight, over all lanes.
//!
//! Lanes whose receivers answer and lanes whose receivers do not (or are not known to) are counted apart: the second
//! kind gets at most half of the total, in turn, so that no set of bad receivers takes the place of good ones. When
//! places become scarce a lane keeps to one until others have had theirs. Pure: the caller holds the lock.

use crate::model::WebhookId;
use std::collections::VecDeque;

/// From which share a lane's requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// The receiver answers.
    Answering,
    /// It does not, or it is not known to.
    Unanswering,
}

/// Places in flight. See the module's documentation.
#[derive(Debug)]
pub struct Budget {
    total: usize,
    answering: usize,
    unanswering: usize,
    waiting_answering: VecDeque<WebhookId>,
    waiting_unanswering: VecDeque<WebhookId>,
}

impl Budget {
    /// A budget of `total` places, at least two.
    pub fn new(total: usize) -> Self {
        Self {
            total: total.max(2),
            answering: 0,
            unanswering: 0,
            waiting_answering: VecDeque::new(),
            waiting_unanswering: VecDeque::new(),
        }
    }

    /// Places taken.
    pub fn in_flight(&self) -> usize {
        self.answering + self.unanswering
    }

    /// Takes a place for a lane that holds `held` already. When there is none, a lane that holds none is to wait its
    /// turn ([`Budget::queue`]); one that holds some goes on with these.
    pub fn take(&mut self, share: Share, held: usize) -> bool {
        let granted = !self.is_scarce(share)
            && self.has_place(share)
            && (held == 0
                || match share {
                    Share::Answering => self.in_flight() < self.total - self.total / 4,
                    Share::Unanswering => self.unanswering < self.total / 4,
                });
        if granted {
            *self.count(share) += 1;
        }
        granted
    }

    fn has_place(&self, share: Share) -> bool {
        let share_has = match share {
            Share::Answering => true,
            Share::Unanswering => self.unanswering < self.total / 2,
        };
        share_has && self.in_flight() < self.total
    }

    /// Remembers that a lane has something to send and no place. The caller queues a lane once.
    pub fn queue(&mut self, share: Share, lane: WebhookId) {
        self.waiters(share).push_back(lane);
    }

    /// Gives a place back.
    pub fn give_back(&mut self, share: Share) {
        *self.count(share) -= 1;
    }

    /// A lane with `held` places in flight has changed its share.
    pub fn reassign(&mut self, from: Share, to: Share, held: usize) {
        *self.count(from) -= held;
        *self.count(to) += held;
    }

    /// Takes a free place for the lane whose turn it is. `None` when nobody waits or there is no place.
    pub fn serve_next(&mut self) -> Option<(WebhookId, Share)> {
        for share in [Share::Answering, Share::Unanswering] {
            if self.has_place(share)
                && let Some(lane) = self.waiters(share).pop_front()
            {
                *self.count(share) += 1;
                return Some((lane, share));
            }
        }
        None
    }

    /// Whether lanes of this share wait for a place.
    pub fn is_scarce(&self, share: Share) -> bool {
        match share {
            Share::Answering => !self.waiting_answering.is_empty(),
            Share::Unanswering => !self.waiting_unanswering.is_empty(),
        }
    }

    fn count(&mut self, share: Share) -> &mut usize {
        match share {
            Share::Answering => &mut self.answering,
            Share::Unanswering => &mut self.unanswering,
        }
    }

    fn waiters(&mut self, share: Share) -> &mut VecDeque<WebhookId> {
        match share {
            Share::Answering => &mut self.waiting_answering,
            Share::Unanswering => &mut self.waiting_unanswering,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_without_answers_get_half_at_most() {
        let mut budget = Budget::new(100);
        let granted = (0..1000).filter(|_| budget.take(Share::Unanswering, 0)).count();
        assert_eq!(granted, 50);
        assert_eq!((0..1000).filter(|_| budget.take(Share::Answering, 0)).count(), 50);
        assert!(!budget.take(Share::Answering, 0));
    }

    #[test]
    fn a_lane_keeps_to_one_place_when_places_are_scarce() {
        let mut budget = Budget::new(100);
        assert_eq!((0..1000).filter(|held| budget.take(Share::Answering, *held)).count(), 75);
        assert!(budget.take(Share::Answering, 0), "another lane still gets its first place");
        let mut budget = Budget::new(100);
        assert_eq!((0..1000).filter(|held| budget.take(Share::Unanswering, *held)).count(), 25);
    }

    #[test]
    fn waiting_lanes_are_served_in_turn_and_the_answering_ones_first() {
        let mut budget = Budget::new(2);
        assert!(budget.take(Share::Answering, 0) && budget.take(Share::Unanswering, 0));
        budget.queue(Share::Unanswering, WebhookId(1));
        budget.queue(Share::Answering, WebhookId(2));
        budget.queue(Share::Answering, WebhookId(3));
        assert_eq!(budget.serve_next(), None);
        budget.give_back(Share::Answering);
        assert!(!budget.take(Share::Answering, 0), "nobody overtakes those that wait");
        assert_eq!(budget.serve_next(), Some((WebhookId(2), Share::Answering)));
        budget.give_back(Share::Unanswering);
        assert_eq!(budget.serve_next(), Some((WebhookId(3), Share::Answering)));
        budget.give_back(Share::Answering);
        assert_eq!(budget.serve_next(), Some((WebhookId(1), Share::Unanswering)));
        assert_eq!(budget.serve_next(), None);
    }

    #[test]
    fn a_lane_that_falls_silent_takes_its_places_along() {
        let mut budget = Budget::new(4);
        assert!((0..3).all(|held| budget.take(Share::Answering, held)));
        budget.reassign(Share::Answering, Share::Unanswering, 3);
        assert!(!budget.take(Share::Unanswering, 0));
        assert!(budget.take(Share::Answering, 0));
    }
}
