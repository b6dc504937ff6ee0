//! What a lane knows of its receiver: whether it answers and takes what it is sent, and when one that does not answer may be probed.

use crate::dispatch::budget::Share;
use crate::limits;
use crate::model::UnixMs;
use std::time::Duration;

/// The shortest pause between two probes; each probe without an answer doubles it.
const PROBE_PAUSE_MIN: Duration = Duration::from_millis(100);

/// Whether a receiver answers, and whether a probe is under way.
#[derive(Debug, Default)]
pub struct Receiver {
    state: State,
    probed: bool,
    /// Answers since it last accepted something.
    errors: u32,
    /// It has asked for no requests before this.
    rests_until: Option<UnixMs>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// Not known yet: nothing was sent since the lane was made.
    #[default]
    Unproven,
    /// The last that was heard of it was an answer.
    Answering,
    /// It gives no answer: one probe at a time, the next one with a new event not before `next_at`.
    Silent { pause: Duration, next_at: UnixMs },
}

impl Receiver {
    /// How it is doing: as one of which share its lane is counted.
    pub fn share(&self) -> Share {
        match self.state {
            State::Silent { .. } => Share::Troubled,
            _ if self.errors >= limits::TROUBLE_AFTER_ERRORS => Share::Troubled,
            State::Unproven => Share::Unproven,
            State::Answering => Share::Good,
        }
    }

    /// Whether it gives no answer.
    pub fn is_silent(&self) -> bool {
        matches!(self.state, State::Silent { .. })
    }

    /// Whether it gives no answer and is being asked: nothing else begins.
    pub fn is_probed(&self) -> bool {
        self.is_silent() && self.probed
    }

    /// It asks for no requests before `until`. Of several such wishes the latest one holds; whether this is it.
    pub fn asked_for_rest(&mut self, until: UnixMs) -> bool {
        let is_later = Some(until) > self.rests_until;
        self.rests_until = self.rests_until.max(Some(until));
        is_later
    }

    /// Whether nothing may be sent to it, because it has asked for that.
    pub fn rests(&self, now: UnixMs) -> bool {
        self.rest_ends(now).is_some()
    }

    /// When it may be sent something again, while it may not.
    pub fn rest_ends(&self, now: UnixMs) -> Option<UnixMs> {
        self.rests_until.filter(|until| now < *until)
    }

    /// Whether an attempt of a new event may begin.
    pub fn may_begin(&self, now: UnixMs) -> bool {
        match self.state {
            State::Silent { next_at, .. } => !self.probed && now >= next_at,
            State::Unproven | State::Answering => true,
        }
    }

    /// When one that gives no answer may be probed with a new event.
    pub fn next_probe(&self) -> Option<UnixMs> {
        match self.state {
            State::Silent { next_at, .. } => Some(next_at),
            State::Unproven | State::Answering => None,
        }
    }

    /// An attempt begins.
    pub fn begin(&mut self, probe: bool) {
        self.probed = probe;
    }

    /// An attempt has ended.
    pub fn end(&mut self, probe: bool) {
        self.probed &= !probe;
    }

    /// It has answered; `accepted`: it took what it was sent.
    pub fn answered(&mut self, accepted: bool) {
        self.state = State::Answering;
        self.errors = if accepted { 0 } else { self.errors.saturating_add(1) };
    }

    /// It had not answered before a restart: it may be probed at once.
    pub fn was_silent(&mut self, now: UnixMs, longest_pause: Duration) {
        self.state = State::Silent { pause: PROBE_PAUSE_MIN.min(longest_pause), next_at: now };
    }

    /// It has not answered; whether that says something new.
    ///
    /// The attempts that were in flight when it fell silent end one by one: they neither lengthen the pause nor keep
    /// the first probe from starting, or the lane would be without a probe for a whole timeout.
    pub fn fell_silent(&mut self, probe: bool, now: UnixMs, longest_pause: Duration) -> bool {
        let pause = match self.state {
            State::Silent { .. } if !probe => return false,
            State::Silent { pause, .. } => (pause * 2).min(longest_pause),
            State::Unproven | State::Answering => PROBE_PAUSE_MIN.min(longest_pause),
        };
        self.state = State::Silent { pause, next_at: now.after(pause) };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_in_a_row_are_trouble_and_one_acceptance_ends_it() {
        let mut receiver = Receiver::default();
        assert_eq!(receiver.share(), Share::Unproven);
        for _ in 1..limits::TROUBLE_AFTER_ERRORS {
            receiver.answered(false);
            assert_eq!(receiver.share(), Share::Good, "errors are answers");
        }
        receiver.answered(true);
        receiver.answered(false);
        assert_eq!(receiver.share(), Share::Good, "they were not in a row");
        (1..limits::TROUBLE_AFTER_ERRORS).for_each(|_| receiver.answered(false));
        assert_eq!(receiver.share(), Share::Troubled);
        receiver.fell_silent(false, UnixMs(0), Duration::from_secs(1));
        receiver.answered(false);
        assert_eq!(receiver.share(), Share::Troubled, "that it answers is no end of it");
        receiver.answered(true);
        assert_eq!(receiver.share(), Share::Good);
    }

    #[test]
    fn no_answer_is_trouble_at_once() {
        let mut receiver = Receiver::default();
        receiver.fell_silent(false, UnixMs(0), Duration::from_secs(1));
        assert_eq!(receiver.share(), Share::Troubled);
        receiver.answered(true);
        assert_eq!(receiver.share(), Share::Good);
    }
}
