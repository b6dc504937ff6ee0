//! Webhooks one by one, as many as a setting allows.
//!
//! A label that grows with what customers make is what a metrics server dies of, so only so many webhooks are shown: those
//! whose oldest undelivered event is the oldest, of equals those with the most waiting retries, then those with the lowest
//! id. So a webhook in trouble is never the one that is left out, and while nobody is in trouble it is always the same
//! ones. What is counted belongs to the webhook and not to the series: a series that was left out for a while comes back
//! with a value that has only grown, which is what `rate()` expects. There is no series for "all others": its sum would
//! fall whenever a webhook comes to be shown, and each fall would look like a restart. Totals are the families without
//! the label; they count every webhook.

use crate::model::{AttemptClass, WebhookId};
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use std::cmp::Reverse;
use std::fmt;
use std::time::Duration;

/// What a webhook's lane has done since it was made: at the start, or when the webhook was switched on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneTally {
    /// Attempts by what they say of the receiver, in the order of [`AttemptClass::ALL`].
    pub attempts: [u64; AttemptClass::ALL.len()],
    /// Deliveries that ended with a 2xx.
    pub delivered: u64,
    /// Deliveries that have failed for good.
    pub failed: u64,
}

/// A webhook's lane at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneFigures {
    /// Which webhook.
    pub webhook: WebhookId,
    /// How old its oldest undelivered event is; zero when it has none.
    pub queue_age: Duration,
    /// Deliveries that wait for their next attempt.
    pub waiting_retries: usize,
    /// Events that are known to wait for their first attempt.
    pub backlog_events: u64,
    /// It is sent one probe at a time because its receiver gives no answer.
    pub is_narrowed: bool,
    /// It waits because its receiver has asked for a pause.
    pub is_paused: bool,
    /// What it has done.
    pub tally: LaneTally,
}

/// The webhooks that are shown.
#[derive(Debug, Default)]
pub struct WebhookMetrics {
    shown: Mutex<Shown>,
}

#[derive(Debug, Default)]
struct Shown {
    lanes: Vec<LaneFigures>,
    left_out: usize,
}

impl WebhookMetrics {
    /// Shows these, or as many of them as `most` allows.
    pub fn show(&self, lanes: Vec<LaneFigures>, most: usize) {
        let shown = choose(lanes, most);
        *self.shown.lock() = shown;
    }
}

/// See the module's documentation.
fn choose(mut lanes: Vec<LaneFigures>, most: usize) -> Shown {
    let left_out = lanes.len().saturating_sub(most);
    if left_out > 0 {
        lanes.select_nth_unstable_by_key(most, |lane| {
            (Reverse(lane.queue_age), Reverse(lane.waiting_retries), lane.webhook)
        });
        lanes.truncate(most);
    }
    lanes.sort_unstable_by_key(|lane| lane.webhook);
    Shown { lanes, left_out }
}

impl Collector for WebhookMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let shown = self.shown.lock();
        let ids = shown.lanes.iter().map(|lane| lane.webhook.to_string()).collect();
        Encoding { encoder, lanes: &shown.lanes, ids }.all(shown.left_out)
    }
}

/// One round of writing.
struct Encoding<'a, 'e> {
    encoder: DescriptorEncoder<'e>,
    lanes: &'a [LaneFigures],
    ids: Vec<String>,
}

impl Encoding<'_, '_> {
    fn all(&mut self, left_out: usize) -> Result<(), fmt::Error> {
        let help = "Age of the oldest event that is neither delivered nor has failed for good";
        self.gauge("queue_age", help, Some(&Unit::Seconds), |lane| lane.queue_age.as_secs_f64())?;
        let help = "Retries that wait for their time";
        self.gauge("waiting_retries", help, None, |lane| lane.waiting_retries as f64)?;
        let help = "Events known to wait for their first attempt";
        self.gauge("backlog_events", help, None, |lane| lane.backlog_events as f64)?;
        let help = "1 while its receiver gives no answer and is sent one probe at a time";
        self.gauge("narrowed", help, None, |lane| f64::from(u8::from(lane.is_narrowed)))?;
        let help = "1 while its receiver has asked for a pause";
        self.gauge("paused", help, None, |lane| f64::from(u8::from(lane.is_paused)))?;
        let classes = AttemptClass::ALL.map(AttemptClass::name);
        self.counter("attempts", "Attempts by how they ended", ("outcome", classes), |lane| lane.tally.attempts)?;
        let results = ("result", ["delivered", "failed"]);
        let help = "Deliveries that have ended";
        self.counter("deliveries", help, results, |lane| [lane.tally.delivered, lane.tally.failed])?;
        let help = "Webhooks beyond those that are shown one by one";
        let mut metric = self.encoder.encode_descriptor("left_out", help, None, MetricType::Gauge)?;
        metric.encode_gauge(&left_out)
    }

    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: impl Fn(&LaneFigures) -> f64,
    ) -> Result<(), fmt::Error> {
        let mut metric = self.encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (lane, id) in self.lanes.iter().zip(&self.ids) {
            metric.encode_family(&[("webhook", id.as_str())])?.encode_gauge(&value(lane))?;
        }
        Ok(())
    }

    fn counter<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        (label, values): (&str, [&str; N]),
        counts: impl Fn(&LaneFigures) -> [u64; N],
    ) -> Result<(), fmt::Error> {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (lane, id) in self.lanes.iter().zip(&self.ids) {
            for (value, count) in values.into_iter().zip(counts(lane)) {
                let labels = [("webhook", id.as_str()), (label, value)];
                metric.encode_family(&labels)?.encode_counter::<[(&str, &str); 0], _, u64>(&count, None)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Metrics;

    fn lane(webhook: u64, age_s: u64, waiting_retries: usize) -> LaneFigures {
        LaneFigures {
            webhook: WebhookId(webhook),
            queue_age: Duration::from_secs(age_s),
            waiting_retries,
            backlog_events: 3,
            is_narrowed: webhook == 1,
            is_paused: webhook == 2,
            tally: LaneTally { attempts: [10 + webhook, 2, 1], delivered: 10, failed: 2 },
        }
    }

    fn chosen(lanes: Vec<LaneFigures>, most: usize) -> (Vec<u64>, usize) {
        let shown = choose(lanes, most);
        (shown.lanes.iter().map(|lane| lane.webhook.0).collect(), shown.left_out)
    }

    #[test]
    fn those_in_most_trouble_are_shown_and_otherwise_always_the_same() {
        let quiet = || (1..=9).rev().map(|webhook| lane(webhook, 0, 0)).collect::<Vec<_>>();
        assert_eq!(chosen(quiet(), 9), ((1..=9).collect(), 0));
        assert_eq!(chosen(quiet(), 3), (vec![1, 2, 3], 6));
        let mut some = quiet();
        some.extend([lane(20, 7, 0), lane(21, 900, 0), lane(22, 0, 5)]);
        assert_eq!(chosen(some.clone(), 3), (vec![20, 21, 22], 9));
        assert_eq!(chosen(some, 4), (vec![1, 20, 21, 22], 8), "the place of the last goes first");
        assert_eq!(chosen(quiet(), 0), (vec![], 9));
    }

    #[test]
    fn each_webhook_has_its_series_and_no_more_than_are_allowed() {
        let metrics = Metrics::new();
        metrics.webhooks.show(vec![lane(1, 90, 4), lane(2, 0, 0), lane(3, 0, 0)], 2);
        let text = metrics.encode().unwrap();
        for expected in [
            "# TYPE fanfare_webhook_queue_age_seconds gauge\n",
            "fanfare_webhook_queue_age_seconds{webhook=\"wh_0000000000000001\"} 90.0\n",
            "fanfare_webhook_waiting_retries{webhook=\"wh_0000000000000001\"} 4.0\n",
            "fanfare_webhook_backlog_events{webhook=\"wh_0000000000000001\"} 3.0\n",
            "fanfare_webhook_narrowed{webhook=\"wh_0000000000000001\"} 1.0\n",
            "fanfare_webhook_paused{webhook=\"wh_0000000000000002\"} 1.0\n",
            "# TYPE fanfare_webhook_attempts counter\n",
            "fanfare_webhook_attempts_total{webhook=\"wh_0000000000000002\",outcome=\"delivered\"} 12\n",
            "fanfare_webhook_attempts_total{webhook=\"wh_0000000000000002\",outcome=\"no_answer\"} 1\n",
            "fanfare_webhook_deliveries_total{webhook=\"wh_0000000000000002\",result=\"failed\"} 2\n",
            "fanfare_webhook_left_out 1\n",
        ] {
            assert!(text.contains(expected), "{expected} is missing in\n{text}");
        }
        let series = text.lines().filter(|line| line.contains("webhook=")).count();
        assert_eq!(series, 2 * 10, "ten series a webhook: what the setting's comment says");
        metrics.webhooks.show(vec![], 2);
        assert!(!metrics.encode().unwrap().contains("webhook="), "one that was switched off is not shown any more");
    }
}
