//! What a lane knows of its receiver: whether it answers, and when one that does not may be probed.

use crate::model::UnixMs;
use std::time::Duration;

/// The shortest pause between two probes; each probe without an answer doubles it.
const PROBE_PAUSE_MIN: Duration = Duration::from_millis(100);

/// Whether a receiver answers, and whether a probe is under way.
#[derive(Debug, Default)]
pub struct Receiver {
    state: State,
    probed: bool,
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
    /// Whether it is known to answer.
    pub fn is_answering(&self) -> bool {
        self.state == State::Answering
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

    /// It has answered, whatever it said.
    pub fn answered(&mut self) {
        self.state = State::Answering;
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
