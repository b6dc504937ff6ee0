//! What the journal counts.

use super::Labels;
use crate::journal::{COMMIT_BOUNDS_US, JournalStats};
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Why the journal refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Too much waits to be written.
    Overloaded,
    /// The disk is full.
    Full,
    /// The disk reports errors.
    Failing,
    /// Anything else: closing, a group too large.
    Other,
}

/// Of the journal.
#[derive(Debug)]
pub struct JournalMetrics {
    /// Bytes appended.
    pub bytes: Counter,
    /// How long writes took, each with its sync.
    commits: Arc<Commits>,
    /// Bytes that wait to be written.
    pub pending_bytes: Gauge,
    /// Bytes that its segments take on the disk.
    pub disk_bytes: Gauge,
    /// Writes, syncs and preparations of segments that failed.
    pub failures: Counter,
    /// The last durable position.
    pub durable_position: Gauge,
    /// The oldest position that can be read.
    pub oldest_position: Gauge,
    /// Segments deleted by age or size.
    pub dropped_segments: Counter,
    refused: [Counter; 4],
}

impl JournalMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        const WHY: [&str; 4] = ["overloaded", "full", "failing", "other"];
        let refused = Family::<Labels<1>, Counter>::default();
        let metrics = Self {
            bytes: Counter::default(),
            commits: Arc::default(),
            pending_bytes: Gauge::default(),
            disk_bytes: Gauge::default(),
            failures: Counter::default(),
            durable_position: Gauge::default(),
            oldest_position: Gauge::default(),
            dropped_segments: Counter::default(),
            refused: std::array::from_fn(|why| refused.get_or_create_owned(&[("reason", WHY[why])])),
        };
        registry.register_with_unit("appended", "Bytes appended", Unit::Bytes, metrics.bytes.clone());
        registry.register_collector(Box::new(Arc::clone(&metrics.commits)));
        let help = "Bytes that wait to be written";
        registry.register_with_unit("pending", help, Unit::Bytes, metrics.pending_bytes.clone());
        let help = "Bytes that the segments take on the disk";
        registry.register_with_unit("disk", help, Unit::Bytes, metrics.disk_bytes.clone());
        registry.register("failures", "Writes, syncs and preparations that failed", metrics.failures.clone());
        registry.register("durable_position", "The last durable position", metrics.durable_position.clone());
        registry.register("oldest_position", "The oldest position kept", metrics.oldest_position.clone());
        registry.register("dropped_segments", "Segments deleted by age or size", metrics.dropped_segments.clone());
        registry.register("refused", "Appends refused, by reason", refused);
        metrics
    }

    /// Shows the journal's own figures.
    pub fn show(&self, stats: &JournalStats) {
        self.bytes.inner().store(stats.written_bytes, Ordering::Relaxed);
        *self.commits.0.lock() = (Duration::from_micros(stats.commit_us_total), stats.commit_us);
        self.failures.inner().store(stats.failures, Ordering::Relaxed);
        self.dropped_segments.inner().store(stats.retired, Ordering::Relaxed);
        self.pending_bytes.set(stats.pending_bytes as i64);
        self.disk_bytes.set(stats.bytes as i64);
        self.durable_position.set(stats.durable.0 as i64);
        self.oldest_position.set(stats.oldest.0 as i64);
    }

    /// Appends refused for this reason.
    pub fn refused(&self, why: Refusal) -> &Counter {
        &self.refused[why as usize]
    }
}

/// How long writes took together, and how many took up to each of [`COMMIT_BOUNDS_US`]. The journal counts them itself.
#[derive(Debug, Default)]
struct Commits(Mutex<(Duration, [u64; COMMIT_BOUNDS_US.len() + 1])>);

impl Collector for Commits {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (took, counts) = *self.0.lock();
        let bounds = COMMIT_BOUNDS_US.iter().map(|us| *us as f64 / 1e6).chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(counts).collect();
        let help = "How long writes took, each with its sync";
        let mut metric =
            encoder.encode_descriptor("commit_duration", help, Some(&Unit::Seconds), MetricType::Histogram)?;
        metric.encode_histogram::<[(&str, &str); 0]>(took.as_secs_f64(), counts.iter().sum(), &buckets, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Metrics;

    #[test]
    fn the_journals_own_counts_are_a_histogram() {
        let metrics = Metrics::new();
        let mut stats = JournalStats { commit_us_total: 2_500_000, retired: 3, ..JournalStats::default() };
        (stats.commit_us[0], stats.commit_us[3], stats.commit_us[10]) = (4, 2, 1);
        metrics.journal.show(&stats);
        let text = metrics.encode().unwrap();
        for expected in [
            "# TYPE fanfare_journal_commit_duration_seconds histogram\n",
            "fanfare_journal_commit_duration_seconds_sum 2.5\n",
            "fanfare_journal_commit_duration_seconds_count 7\n",
            "fanfare_journal_commit_duration_seconds_bucket{le=\"0.0001\"} 4\n",
            "fanfare_journal_commit_duration_seconds_bucket{le=\"0.001\"} 6\n",
            "fanfare_journal_commit_duration_seconds_bucket{le=\"+Inf\"} 7\n",
            "fanfare_journal_dropped_segments_total 3\n",
        ] {
            assert!(text.contains(expected), "{expected} is missing in\n{text}");
        }
    }
}
