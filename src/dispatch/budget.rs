//! Who may have how many requests in flight, over all lanes, and how often receivers in trouble are asked.
//!
//! Lanes are counted apart by what is known of their receivers: those that answer, those of which nothing is known yet, and
//! those in trouble, which give no answer or have refused all that they were sent lately. The last two kinds get at most half
//! of the places, in turn, so that no set of bad receivers takes the place of good ones; and all in trouble together begin so
//! many requests a second at most, in turn too, so that what fails does not take the machine's time from what succeeds. When
//! places become scarce a lane keeps to one until others have had theirs. Pure: the caller holds the lock.

use super::bucket::Bucket;
use crate::model::{UnixMs, WebhookId};
use std::collections::VecDeque;

/// From which share a lane's requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// The receiver answers, and accepts some of what it is sent.
    Good,
    /// It is not known whether it does.
    Unproven,
    /// It gives no answer, or has accepted nothing for some time.
    Troubled,
}

/// Those that may have all places come first.
const IN_TURN: [Share; 3] = [Share::Good, Share::Unproven, Share::Troubled];

/// Places in flight. See the module's documentation.
#[derive(Debug)]
pub struct Budget {
    total: usize,
    /// Places taken, by share.
    taken: [usize; IN_TURN.len()],
    /// Lanes that wait for a place, by share.
    waiting: [VecDeque<WebhookId>; IN_TURN.len()],
    troubled_per_s: u32,
    troubled: Bucket,
    /// For when somebody was told to come back.
    alarm: Option<UnixMs>,
}

impl Budget {
    /// A budget of `total` places, at least two. Lanes in trouble begin `troubled_per_s` requests a second together.
    pub fn new(total: usize, troubled_per_s: u32) -> Self {
        Self {
            total: total.max(2),
            taken: [0; IN_TURN.len()],
            waiting: Default::default(),
            troubled_per_s,
            troubled: Bucket::default(),
            alarm: None,
        }
    }

    /// Places taken.
    pub fn in_flight(&self) -> usize {
        self.taken.iter().sum()
    }

    /// Takes a place for a lane that holds `held` already. When there is none, a lane that holds none is to wait its
    /// turn ([`Budget::queue`]); one that holds some goes on with these.
    pub fn take(&mut self, share: Share, held: usize, now: UnixMs) -> bool {
        let granted = !self.is_scarce(share)
            && self.has_place(share)
            && (held == 0
                || match share {
                    Share::Good => self.in_flight() < self.total - self.total / 4,
                    Share::Unproven | Share::Troubled => self.not_good() < self.total / 4,
                })
            && self.may_begin(share, now);
        if granted {
            self.begin(share, now);
            self.taken[share as usize] += 1;
        }
        granted
    }

    /// Whether a lane goes on with a place that it has, for its next request.
    pub fn keep(&mut self, share: Share, now: UnixMs) -> bool {
        let kept = !self.is_scarce(share) && self.may_begin(share, now);
        if kept {
            self.begin(share, now);
        }
        kept
    }

    fn has_place(&self, share: Share) -> bool {
        let share_has = share == Share::Good || self.not_good() < self.total / 2;
        share_has && self.in_flight() < self.total
    }

    fn not_good(&self) -> usize {
        self.taken[Share::Unproven as usize] + self.taken[Share::Troubled as usize]
    }

    fn may_begin(&mut self, share: Share, now: UnixMs) -> bool {
        share != Share::Troubled || self.opens_at(now).is_none()
    }

    fn opens_at(&mut self, now: UnixMs) -> Option<UnixMs> {
        self.troubled.set_rate(Some(self.troubled_per_s), now);
        self.troubled.opens_at(now)
    }

    fn begin(&mut self, share: Share, now: UnixMs) {
        if share == Share::Troubled {
            self.troubled.take(now);
        }
    }

    /// Remembers that a lane has something to send and no place. The caller queues a lane once.
    pub fn queue(&mut self, share: Share, lane: WebhookId) {
        self.waiting[share as usize].push_back(lane);
    }

    /// Gives a place back.
    pub fn give_back(&mut self, share: Share) {
        self.taken[share as usize] -= 1;
    }

    /// A lane with `held` places in flight has changed its share.
    pub fn reassign(&mut self, from: Share, to: Share, held: usize) {
        self.taken[from as usize] -= held;
        self.taken[to as usize] += held;
    }

    /// Takes a free place for the lane whose turn it is. `None` when nobody waits or there is no place.
    pub fn serve_next(&mut self, now: UnixMs) -> Option<(WebhookId, Share)> {
        for share in IN_TURN {
            if self.is_scarce(share)
                && self.has_place(share)
                && self.may_begin(share, now)
                && let Some(lane) = self.waiting[share as usize].pop_front()
            {
                self.begin(share, now);
                self.taken[share as usize] += 1;
                return Some((lane, share));
            }
        }
        None
    }

    /// When those who wait are to be served again although nothing has ended; told once for each such time.
    pub fn next_alarm(&mut self, now: UnixMs) -> Option<UnixMs> {
        if !self.is_scarce(Share::Troubled) || !self.has_place(Share::Troubled) {
            return None;
        }
        // As soon as one may begin; those that may then too are served with it.
        let at = self.opens_at(now)?;
        if self.alarm.is_some_and(|alarm| now < alarm && alarm <= at) {
            return None;
        }
        self.alarm = Some(at);
        Some(at)
    }

    /// Whether lanes of this share wait for a place.
    fn is_scarce(&self, share: Share) -> bool {
        !self.waiting[share as usize].is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = UnixMs(0);

    fn budget(total: usize) -> Budget {
        Budget::new(total, 1_000_000)
    }

    #[test]
    fn lanes_that_are_not_good_get_half_at_most() {
        for share in [Share::Unproven, Share::Troubled] {
            let mut budget = budget(100);
            let granted = (0..1000).filter(|_| budget.take(share, 0, NOW)).count();
            assert_eq!(granted, 50);
            assert!(!budget.take(Share::Unproven, 0, NOW) && !budget.take(Share::Troubled, 0, NOW));
            assert_eq!((0..1000).filter(|_| budget.take(Share::Good, 0, NOW)).count(), 50);
            assert!(!budget.take(Share::Good, 0, NOW));
        }
    }

    #[test]
    fn a_lane_keeps_to_one_place_when_places_are_scarce() {
        let mut budget = self::budget(100);
        assert_eq!((0..1000).filter(|held| budget.take(Share::Good, *held, NOW)).count(), 75);
        assert!(budget.take(Share::Good, 0, NOW), "another lane still gets its first place");
        let mut budget = self::budget(100);
        assert_eq!((0..1000).filter(|held| budget.take(Share::Troubled, *held, NOW)).count(), 25);
    }

    #[test]
    fn waiting_lanes_are_served_in_turn_and_the_good_ones_first() {
        let mut budget = budget(2);
        assert!(budget.take(Share::Good, 0, NOW) && budget.take(Share::Troubled, 0, NOW));
        budget.queue(Share::Troubled, WebhookId(1));
        budget.queue(Share::Good, WebhookId(2));
        budget.queue(Share::Good, WebhookId(3));
        assert_eq!(budget.serve_next(NOW), None);
        budget.give_back(Share::Good);
        assert!(!budget.take(Share::Good, 0, NOW), "nobody overtakes those that wait");
        assert_eq!(budget.serve_next(NOW), Some((WebhookId(2), Share::Good)));
        budget.give_back(Share::Troubled);
        assert_eq!(budget.serve_next(NOW), Some((WebhookId(3), Share::Good)));
        budget.give_back(Share::Good);
        assert_eq!(budget.serve_next(NOW), Some((WebhookId(1), Share::Troubled)));
        assert_eq!(budget.serve_next(NOW), None);
    }

    #[test]
    fn a_lane_that_falls_silent_takes_its_places_along() {
        let mut budget = budget(4);
        assert!((0..3).all(|held| budget.take(Share::Good, held, NOW)));
        budget.reassign(Share::Good, Share::Troubled, 3);
        assert!(!budget.take(Share::Troubled, 0, NOW));
        assert!(budget.take(Share::Good, 0, NOW));
    }

    #[test]
    fn lanes_in_trouble_share_a_rate_and_others_do_not_feel_it() {
        let mut budget = Budget::new(1000, 100);
        assert_eq!((0..50).filter(|_| budget.take(Share::Troubled, 0, NOW)).count(), 10, "a tenth of a second's worth");
        assert!(!budget.keep(Share::Troubled, NOW), "neither may one go on with its place");
        assert!(budget.take(Share::Good, 0, NOW) && budget.keep(Share::Good, NOW));
        assert!(budget.take(Share::Unproven, 0, NOW));
        (1..=3).for_each(|lane| budget.queue(Share::Troubled, WebhookId(lane)));
        assert_eq!(budget.next_alarm(NOW), Some(UnixMs(10)));
        assert_eq!(budget.next_alarm(UnixMs(1)), None, "one alarm is enough");
        assert_eq!(budget.serve_next(UnixMs(9)), None);
        assert_eq!(budget.serve_next(UnixMs(10)), Some((WebhookId(1), Share::Troubled)));
        assert_eq!(budget.serve_next(UnixMs(10)), None);
        assert_eq!(budget.next_alarm(UnixMs(10)), Some(UnixMs(20)));
        assert!(!budget.take(Share::Troubled, 0, UnixMs(25)), "nobody overtakes those that wait");
        assert_eq!(budget.serve_next(UnixMs(30)), Some((WebhookId(2), Share::Troubled)));
        assert_eq!(budget.serve_next(UnixMs(30)), Some((WebhookId(3), Share::Troubled)));
        assert_eq!(budget.next_alarm(UnixMs(30)), None, "nobody waits");
    }
}
