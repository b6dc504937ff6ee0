//! A lane whose receiver gives no answer, or asks for a rest.

use super::Lane;
use crate::model::UnixMs;

impl Lane {
    /// An attempt (a probe or not) had no byte for the quiet time, or ended without an answer.
    pub fn narrow(&mut self, probe: bool, now: UnixMs) {
        if self.receiver.fell_silent(probe, now, self.limits.probe_pause) {
            self.leave_queue_to_journal();
        }
    }

    /// What was known of the receiver before a restart: that it gives no answer, and until when it has asked for a rest.
    pub fn recall_receiver(&mut self, is_silent: bool, rests_until: Option<UnixMs>, now: UnixMs) {
        if is_silent {
            self.receiver.was_silent(now, self.limits.probe_pause);
            self.leave_queue_to_journal();
        }
        if let Some(until) = rests_until {
            self.pause(until);
        }
    }

    /// The receiver asks for no requests before `until`; whether that is later than what it has asked for before.
    pub fn pause(&mut self, until: UnixMs) -> bool {
        self.receiver.asked_for_rest(until)
    }
}
