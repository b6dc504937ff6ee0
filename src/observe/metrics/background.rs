//! What is done beside the way of an event: acting on failing webhooks, mail, replays.

use super::Labels;
use crate::model::ReplayEnd;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::Ordering;

/// Why a webhook was turned off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnOff {
    /// Too many failed deliveries in a row.
    FailuresInARow,
    /// Too large a part of its deliveries failed.
    FailureRate,
}

/// Of acting on webhooks whose deliveries fail.
#[derive(Debug)]
pub struct HealthMetrics {
    /// Webhooks whose owner was warned.
    pub warnings: Counter,
    turned_off: [Counter; 2],
}

impl HealthMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        const WHY: [&str; 2] = ["failures_in_a_row", "failure_rate"];
        let turned_off = Family::<Labels<1>, Counter>::default();
        let metrics = Self {
            warnings: Counter::default(),
            turned_off: std::array::from_fn(|why| turned_off.get_or_create_owned(&[("reason", WHY[why])])),
        };
        registry.register("warnings", "Webhooks whose owner was warned", metrics.warnings.clone());
        registry.register("turned_off", "Webhooks turned off because their deliveries fail", turned_off);
        metrics
    }

    /// Webhooks turned off for this reason.
    pub fn turned_off(&self, why: TurnOff) -> &Counter {
        &self.turned_off[why as usize]
    }
}

/// Of mail.
#[derive(Debug, Default)]
pub struct MailMetrics {
    queued: Counter,
    sent: Counter,
    failed: Counter,
    waiting: Gauge,
}

impl MailMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("queued", "Mails queued", metrics.queued.clone());
        registry.register("sent", "Mails that a server has taken", metrics.sent.clone());
        registry.register("failed", "Mails given up", metrics.failed.clone());
        registry.register("waiting", "Mails that wait to be sent, or sent again", metrics.waiting.clone());
        metrics
    }

    /// Shows the queue's own figures: mails queued, sent and given up since the start, and those that wait.
    pub fn show(&self, [queued, sent, failed]: [u64; 3], waiting: u64) {
        self.queued.inner().store(queued, Ordering::Relaxed);
        self.sent.inner().store(sent, Ordering::Relaxed);
        self.failed.inner().store(failed, Ordering::Relaxed);
        self.waiting.set(waiting as i64);
    }
}

/// Of replays.
#[derive(Debug)]
pub struct ReplayMetrics {
    /// Replays that are under way or wait for their turn.
    pub under_way: Gauge,
    /// Events that they have handed to their webhooks' lanes.
    pub events: Counter,
    ended: [Counter; ReplayEnd::ALL.len()],
}

impl ReplayMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let ended = Family::<Labels<1>, Counter>::default();
        let metrics = Self {
            under_way: Gauge::default(),
            events: Counter::default(),
            ended: ReplayEnd::ALL.map(|end| ended.get_or_create_owned(&[("end", end.name())])),
        };
        let help = "Replays under way or waiting for their turn";
        registry.register("under_way", help, metrics.under_way.clone());
        registry.register("events", "Events sent once more by replays", metrics.events.clone());
        registry.register("ended", "Replays that are over, by why", ended);
        metrics
    }

    /// Replays that ended so.
    pub fn ended(&self, end: ReplayEnd) -> &Counter {
        &self.ended[end as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Metrics;

    #[test]
    fn every_reason_and_every_end_counts_for_itself() {
        let metrics = Metrics::new();
        metrics.health.turned_off(TurnOff::FailureRate).inc();
        metrics.replay.ended(ReplayEnd::WebhookOff).inc();
        metrics.mail.show([3, 2, 1], 7);
        let text = metrics.encode().unwrap();
        for expected in [
            "fanfare_health_turned_off_total{reason=\"failure_rate\"} 1\n",
            "fanfare_health_turned_off_total{reason=\"failures_in_a_row\"} 0\n",
            "fanfare_replay_ended_total{end=\"webhook_off\"} 1\n",
            "fanfare_replay_ended_total{end=\"done\"} 0\n",
            "fanfare_mail_sent_total 2\n",
            "fanfare_mail_waiting 7\n",
        ] {
            assert!(text.contains(expected), "{expected} is missing in\n{text}");
        }
    }
}
