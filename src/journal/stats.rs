//! Figures for metrics.

use crate::model::Position;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds, in microseconds, of the buckets of [`JournalStats::commit_us`]; the last bucket has none.
pub const COMMIT_BOUNDS_US: [u64; 10] = [100, 200, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 200_000, 1_000_000];

/// The journal's figures at one moment. Counts are since it was opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JournalStats {
    /// The last durable position.
    pub durable: Position,
    /// The oldest position that can be read.
    pub oldest: Position,
    /// Segments, the one being written included.
    pub segments: usize,
    /// Bytes that they take on the disk.
    pub bytes: u64,
    /// Bytes that wait to be written.
    pub pending_bytes: usize,
    /// Writes, each with its sync, that succeeded.
    pub commits: u64,
    /// Groups in them.
    pub groups: u64,
    /// Bytes in them.
    pub written_bytes: u64,
    /// Time that they took, in microseconds.
    pub commit_us_total: u64,
    /// How many commits took up to each of [`COMMIT_BOUNDS_US`] (not cumulative), and how many longer.
    pub commit_us: [u64; COMMIT_BOUNDS_US.len() + 1],
    /// Writes, syncs and preparations of segments that failed.
    pub failures: u64,
    /// Segments removed by retention.
    pub retired: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) groups: AtomicU64,
    pub(crate) written_bytes: AtomicU64,
    pub(crate) commit_us_total: AtomicU64,
    pub(crate) commit_us: [AtomicU64; COMMIT_BOUNDS_US.len() + 1],
    pub(crate) failures: AtomicU64,
    pub(crate) retired: AtomicU64,
}

impl Counters {
    pub(crate) fn commit(&self, groups: usize, bytes: usize, took: Duration) {
        let us = took.as_micros() as u64;
        let bucket = COMMIT_BOUNDS_US.partition_point(|bound| *bound < us);
        self.commit_us[bucket].fetch_add(1, Ordering::Relaxed);
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.groups.fetch_add(groups as u64, Ordering::Relaxed);
        self.written_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.commit_us_total.fetch_add(us, Ordering::Relaxed);
    }

    pub(crate) fn fill(&self, stats: &mut JournalStats) {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        stats.commits = get(&self.commits);
        stats.groups = get(&self.groups);
        stats.written_bytes = get(&self.written_bytes);
        stats.commit_us_total = get(&self.commit_us_total);
        stats.failures = get(&self.failures);
        stats.retired = get(&self.retired);
        for (slot, counter) in stats.commit_us.iter_mut().zip(&self.commit_us) {
            *slot = get(counter);
        }
    }
}
