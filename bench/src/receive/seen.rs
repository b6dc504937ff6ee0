//! What a receiver has seen: which events, how often, how late.

use super::Behaviour;
use crate::histogram::Histogram;
use crate::wire::{Scanner, now_us};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::Path;

/// Most repeats that are remembered one by one.
const REPEATS_KEPT: usize = 100_000;

/// A receiver's counts, as it prints them. Times are microseconds, absolute ones since the epoch.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ReceiveReport {
    /// Requests of any kind.
    pub requests: u64,
    /// Events accepted for the first time, per lane.
    pub delivered: u64,
    /// Requests for an event that this lane had accepted before.
    pub repeats: u64,
    /// Requests whose body was not what was sent, or whose signature does not match.
    pub broken: u64,
    /// Requests answered with an error on purpose.
    pub refused: u64,
    /// When the first one of them came.
    pub first_us: u64,
    /// When the last one of them came.
    pub last_us: u64,
    /// Half of them arrived within this time after they were sent.
    pub p50_us: u64,
    /// 99 % of them did.
    pub p99_us: u64,
    /// All of them did.
    pub max_us: u64,
}

/// One event at one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// The event.
    pub sequence: u64,
    /// When it was accepted first.
    pub first_us: u64,
    /// When it came again; 0 for the entry of the first arrival.
    pub again_us: u64,
}

/// The counts while they are made.
#[derive(Debug)]
pub struct Seen {
    report: ReceiveReport,
    latencies: Histogram,
    /// Per lane and sequence number: milliseconds from `origin_us` to the first arrival, plus one; 0 for none.
    lanes: Vec<Vec<u32>>,
    refused_once: HashSet<(usize, u64)>,
    repeats: Vec<Arrival>,
    scanner: Scanner,
    origin_us: u64,
}

impl Seen {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            report: ReceiveReport::default(),
            latencies: Histogram::default(),
            lanes: Vec::new(),
            refused_once: HashSet::new(),
            repeats: Vec::new(),
            scanner: Scanner::default(),
            origin_us: now_us(),
        }
    }

    /// Counts one request; says whether it is answered with 2xx.
    pub fn delivery(&mut self, behaviour: Behaviour, lane: usize, body: &[u8], signed: bool) -> bool {
        let now = now_us();
        self.report.requests += 1;
        let marks = self.scanner.marks(body).filter(|_| signed);
        let Some(marks) = marks else {
            self.report.broken += 1;
            return true;
        };
        if self.refuses(behaviour, lane, marks.sequence) {
            self.report.refused += 1;
            return false;
        }
        if self.report.delivered == 0 {
            self.report.first_us = now;
        }
        self.report.last_us = now;
        if self.is_first(lane, marks.sequence, now) {
            self.report.delivered += 1;
            self.latencies.record(now.saturating_sub(marks.time_us));
        }
        true
    }

    /// The counts so far.
    pub fn report(&self) -> ReceiveReport {
        ReceiveReport {
            p50_us: self.latencies.quantile(0.5),
            p99_us: self.latencies.quantile(0.99),
            max_us: self.latencies.max(),
            ..self.report.clone()
        }
    }

    /// Writes the first lane's arrivals and repeats: three little-endian u64 each.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        let firsts = self
            .lanes
            .first()
            .into_iter()
            .flatten()
            .enumerate()
            .filter(|(_, at)| **at != 0)
            .map(|(sequence, at)| Arrival { sequence: sequence as u64, first_us: self.time_us(*at), again_us: 0 });
        let mut bytes = Vec::new();
        for arrival in firsts.chain(self.repeats.iter().copied()) {
            for value in [arrival.sequence, arrival.first_us, arrival.again_us] {
                bytes.extend_from_slice(&value.to_le_bytes());
            }
        }
        std::fs::write(path, bytes)
    }

    fn refuses(&mut self, behaviour: Behaviour, lane: usize, sequence: u64) -> bool {
        match behaviour {
            Behaviour::Fail => true,
            Behaviour::FailSometimes => sequence % 10 == 3 && self.refused_once.insert((lane, sequence)),
            Behaviour::Accept | Behaviour::Slow(_) | Behaviour::Hang | Behaviour::Refuse => false,
        }
    }

    fn is_first(&mut self, lane: usize, sequence: u64, now: u64) -> bool {
        if self.lanes.len() <= lane {
            self.lanes.resize_with(lane + 1, Vec::new);
        }
        let index = sequence as usize;
        let arrivals = &mut self.lanes[lane];
        if arrivals.len() <= index {
            arrivals.resize((index + 1).next_power_of_two(), 0);
        }
        if arrivals[index] == 0 {
            arrivals[index] = ((now - self.origin_us.min(now)) / 1000) as u32 + 1;
            return true;
        }
        let first_us = self.time_us(self.lanes[lane][index]);
        self.report.repeats += 1;
        if self.repeats.len() < REPEATS_KEPT {
            self.repeats.push(Arrival { sequence, first_us, again_us: now });
        }
        false
    }

    fn time_us(&self, stored: u32) -> u64 {
        self.origin_us + u64::from(stored - 1) * 1000
    }
}

/// Reads what [`Seen::save`] wrote.
pub fn read_arrivals(path: &Path) -> Result<Vec<Arrival>> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let values: Vec<u64> =
        bytes.chunks_exact(8).filter_map(|chunk| chunk.try_into().ok()).map(u64::from_le_bytes).collect();
    Ok(values
        .chunks_exact(3)
        .map(|triple| Arrival { sequence: triple[0], first_us: triple[1], again_us: triple[2] })
        .collect())
}
