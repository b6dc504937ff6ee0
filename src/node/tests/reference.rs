//! What docs/delivery.md promises, worked out from what was seen between Fanfare and the receivers. It knows nothing of how
//! Fanfare does it: no queue, no lane, no projection, only the rules and the facts in their order.

use super::receivers::{Answer, Fact, Seen};
use crate::model::UnixMs;
use std::collections::{BTreeMap, VecDeque};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;

/// Before the second attempt, the third, and so on.
const DELAYS: [i64; 5] = [SECOND, 5 * SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE];

/// What is done about a failing webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Done {
    Warned,
    TurnedOffForARow,
    TurnedOffForItsRate,
}

/// What became of an event at a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Delivered,
    Failed,
    Cancelled,
    /// Its next attempt is to come.
    Waits,
}

/// One event on its way to one webhook.
#[derive(Debug)]
struct Delivery {
    attempts: usize,
    under_way: bool,
    /// It began after the receiver had fallen silent.
    is_probe: bool,
    fate: Fate,
    due: Option<Due>,
}

/// When the next attempt may begin.
#[derive(Debug, Clone, Copy)]
struct Due {
    /// The last one ended then.
    since: UnixMs,
    /// Not before.
    from: UnixMs,
    /// Not after, if nothing has held up the webhook meanwhile.
    to: UnixMs,
}

/// One webhook.
#[derive(Debug, Default)]
struct Webhook {
    on: bool,
    deliveries: BTreeMap<String, Delivery>,
    /// The receiver gives no answer.
    silent: bool,
    /// Until then something has held up everything: the receiver was silent or rested, the webhook was off, or the node down.
    held_up_at: Option<UnixMs>,
    rests_until: Option<UnixMs>,
    row: u32,
    row_since: Option<UnixMs>,
    warned: bool,
    last_hour: VecDeque<(UnixMs, bool)>,
}

/// What should have happened.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// What was done, when, and about which webhook.
    pub(super) done: Vec<(UnixMs, usize, Done)>,
    /// By webhook: each event, how many attempts it took, and what became of it.
    pub(super) fates: Vec<BTreeMap<String, (usize, Fate)>>,
}

/// Follows the facts, and panics at the first that breaks a rule.
pub(super) fn follow(seen: &[Seen], webhooks: usize) -> Expected {
    let mut all: Vec<Webhook> = (0..webhooks).map(|_| Webhook::default()).collect();
    let mut expected = Expected::default();
    for Seen { at, fact } in seen {
        let (receiver, done) = match fact {
            Fact::On(receiver) => {
                all[*receiver].switch_on(*at);
                (receiver, None)
            }
            Fact::Began(receiver, event) => {
                all[*receiver].begin(*at, event, *receiver);
                (receiver, None)
            }
            Fact::Silent(receiver, _) => {
                all[*receiver].fall_silent(*at);
                (receiver, None)
            }
            Fact::Broken(receiver, event) => {
                all[*receiver].break_off(*at, event);
                (receiver, None)
            }
            Fact::Ended(receiver, event, answer) => (receiver, all[*receiver].end(*at, event, *answer)),
        };
        expected.done.extend(done.map(|done| (*at, *receiver, done)));
    }
    let fates = |webhook: &Webhook| {
        webhook.deliveries.iter().map(|(event, one)| (event.clone(), (one.attempts, one.fate))).collect()
    };
    expected.fates = all.iter().map(fates).collect();
    expected
}

impl Webhook {
    fn switch_on(&mut self, at: UnixMs) {
        assert!(!self.on);
        *self = Self { on: true, deliveries: std::mem::take(&mut self.deliveries), ..Self::default() };
        self.held_up_at = Some(at);
    }

    fn begin(&mut self, at: UnixMs, event: &str, receiver: usize) {
        let what = format!("webhook {receiver}, event {event}, at {at:?}");
        assert!(self.on, "{what}: sent to a webhook that is off");
        assert!(self.rests_until.is_none_or(|until| at >= until), "{what}: sent before the rest was over");
        if self.silent {
            let probed = self.deliveries.values().any(|other| other.under_way && other.is_probe);
            assert!(!probed, "{what}: a second probe at a time");
        }
        let new = Delivery { attempts: 0, under_way: false, is_probe: false, fate: Fate::Waits, due: None };
        let delivery = self.deliveries.entry(event.to_owned()).or_insert(new);
        assert!(!delivery.under_way, "{what}: twice at a time");
        assert_eq!(delivery.fate, Fate::Waits, "{what}: it was over");
        assert!(delivery.attempts <= DELAYS.len(), "{what}: more than six attempts");
        if let Some(Due { since, from, to }) = delivery.due {
            assert!(at >= from, "{what}: too soon, due at {from:?}");
            let is_held_up = self.silent || self.held_up_at.is_some_and(|until| until >= since);
            assert!(is_held_up || at <= to, "{what}: too late, due until {to:?}");
        }
        (delivery.under_way, delivery.is_probe) = (true, self.silent);
        delivery.attempts += 1;
    }

    fn fall_silent(&mut self, at: UnixMs) {
        (self.silent, self.held_up_at) = (true, Some(at));
    }

    /// One is answered: the silence is over, and what was a probe in it is a request like any other.
    fn answer(&mut self, at: UnixMs) {
        (self.silent, self.held_up_at) = (false, Some(at));
        self.deliveries.values_mut().for_each(|one| one.is_probe = false);
    }

    /// It is made again: that it was made does not count.
    fn break_off(&mut self, at: UnixMs, event: &str) {
        self.held_up_at = Some(at);
        let delivery = self.deliveries.get_mut(event).unwrap();
        (delivery.under_way, delivery.due) = (false, None);
        delivery.attempts -= 1;
    }

    fn end(&mut self, at: UnixMs, event: &str, answer: Answer) -> Option<Done> {
        let answered = matches!(answer, Answer::Status(_) | Answer::Rest(_));
        let on = self.on;
        let delivery = self.deliveries.get_mut(event).unwrap();
        delivery.under_way = false;
        let delay = DELAYS.get(delivery.attempts - 1);
        delivery.fate = match (answer, delay) {
            (Answer::Status(200..300), _) => Fate::Delivered,
            (Answer::Status(status), _) if status < 500 => Fate::Failed,
            (_, None) => Fate::Failed,
            (_, Some(_)) if !on => Fate::Cancelled,
            (answer, Some(delay)) => {
                let rest = if let Answer::Rest(seconds) = answer { seconds as i64 * SECOND } else { 0 };
                let bound = |tenths: i64| UnixMs(at.0 + (delay * tenths / 10).max(rest));
                delivery.due = Some(Due { since: at, from: bound(8), to: UnixMs(bound(12).0 + 1) });
                Fate::Waits
            }
        };
        let (fate, is_probe) = (delivery.fate, delivery.is_probe);
        if let Answer::Rest(seconds) = answer {
            let until = UnixMs(at.0 + seconds as i64 * SECOND);
            (self.rests_until, self.held_up_at) = (self.rests_until.max(Some(until)), Some(until));
        }
        match answered {
            true if self.silent => self.answer(at),
            true => {}
            false => self.fall_silent(at),
        }
        if on { self.count(at, fate, is_probe) } else { None }
    }

    /// The two rules, and the warning at half of the first one.
    fn count(&mut self, at: UnixMs, fate: Fate, is_probe: bool) -> Option<Done> {
        let ended = matches!(fate, Fate::Delivered | Fate::Failed);
        if ended {
            self.last_hour.push_back((at, fate == Fate::Failed));
        }
        if fate == Fate::Delivered {
            (self.row, self.row_since, self.warned) = (0, None, false);
            return None;
        }
        if !ended && !is_probe {
            return None;
        }
        self.row += 1;
        let lasts = at.0 - self.row_since.get_or_insert(at).0;
        self.last_hour.retain(|(when, _)| at.0 - when.0 < 60 * MINUTE);
        let failed = self.last_hour.iter().filter(|(_, failed)| *failed).count();
        let done = if self.row >= 20 && lasts >= 10 * MINUTE {
            Done::TurnedOffForARow
        } else if ended && self.last_hour.len() >= 100 && failed * 2 > self.last_hour.len() {
            Done::TurnedOffForItsRate
        } else if !self.warned && self.row >= 10 && lasts >= 5 * MINUTE {
            self.warned = true;
            return Some(Done::Warned);
        } else {
            return None;
        };
        self.turn_off();
        Some(done)
    }

    fn turn_off(&mut self) {
        self.on = false;
        let waiting = self.deliveries.values_mut().filter(|one| one.fate == Fate::Waits && !one.under_way);
        waiting.for_each(|one| one.fate = Fate::Cancelled);
    }
}
