//! A hundred customers with ten webhooks each, of which nine go bad.
//!
//! Each event of a customer goes to all ten of its webhooks, so the 900 that hang, fail or refuse are sent as many events
//! as the 100 healthy ones, and each healthy one shares every event of its own with nine bad ones. One event for all 1,000
//! webhooks would be a burst that no installation sees, and would hide the healthy ones' latency in it.
//!
//! *Half load* is half of the events a second that the server delivers flat out while all 1,000 webhooks are healthy,
//! measured at the beginning of the run.
//!
//! A round measures the healthy ones at that load without the 900 (they are switched off), and with them: from the moment
//! at which 900 healthy webhooks go bad together, and again when the server knows them. A shared machine drifts, so each
//! round's measurements are compared with each other, and the medians of the rounds are reported.

use super::{Load, Measured, Sequence, measure, median, receiver};
use crate::child::Receiver;
use crate::options::Options;
use crate::receive::{Behaviour, ReceiveSpec};
use crate::report::{Budget, Report};
use crate::server::{Server, Subscription, free_listen_address};
use crate::watch::{Peaks, Watcher, wait_for_records};
use crate::wire::Shape;
use anyhow::Result;
use serde_json::json;

const SUBSCRIPTIONS: usize = 100;

/// How receivers go bad, and how many of them each customer has of each kind.
const BAD: [Behaviour; 3] = [Behaviour::Hang, Behaviour::Fail, Behaviour::Refuse];
const BAD_OF_EACH: usize = 3;
const WEBHOOKS_OF_EACH: usize = 1 + BAD.len() * BAD_OF_EACH;

/// Enough that a stall of the server for some milliseconds does not slow the generator down.
const CONNECTIONS: usize = 128;

/// Flat out: each connection has one request in flight.
const FLAT_OUT_CONNECTIONS: usize = 64;

/// What is measured is how the others fare while the 900 are bad, so they are not turned off for it; and the runner makes
/// its webhooks faster than a key is normally allowed to call.
const SETTINGS: [&str; 8] = [
    "--turn-off-after-failures",
    "1000000",
    "--turn-off-rate-deliveries",
    "1000000000",
    "--calls-per-second",
    "1000000",
    "--calls-burst",
    "1000000",
];

/// The default of `concurrency_total`.
const IN_FLIGHT: f64 = 2048.0;

/// As many connections may be kept open unused as may be in flight. Beside them: the generator, the runner, the journal's
/// and the store's files, the runtime.
const OPEN_FILES: f64 = 2.0 * IN_FLIGHT + CONNECTIONS as f64 + 128.0;

/// By so much the server may grow while the 900 are bad: 2,048 connections with a request each, at 32 KiB (64 MiB), the
/// waiting retries of 300 webhooks (1,000 of 64 bytes each, 18 MiB), 16 MiB of the journal's newest part, and as much again
/// for what the allocator keeps.
const GROWTH_MIB: f64 = 200.0;

/// Measures some rounds.
pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    report.stage("outage: 1,000 webhooks, all healthy, flat out");
    let mut crowd = Crowd::start(options)?;
    crowd.find_half_load(report)?;
    let mut rounds = Vec::new();
    for number in 1..=options.pick(5, 2) {
        report.stage(&format!("outage: round {number}"));
        rounds.push(crowd.round(report)?);
    }
    crowd.tell(&rounds, report);
    crowd.server.stop()
}

/// How long is measured, in seconds.
#[derive(Debug, Clone, Copy)]
struct Times {
    flat_out: f64,
    measured: f64,
    onset: f64,
    settling: f64,
}

/// What a round found.
#[derive(Debug)]
struct Round {
    without: Measured,
    onset: Measured,
    steady: Measured,
    before: Peaks,
    peaks: Peaks,
}

/// One of a round's runs.
type Run = fn(&Round) -> &Measured;

/// Everything that takes part.
struct Crowd {
    server: Server,
    subscriptions: Vec<Subscription>,
    healthy: Receiver,
    bad: Vec<Receiver>,
    /// The webhooks that go bad, by subscription.
    webhooks: Vec<Vec<String>>,
    sequence: Sequence,
    times: Times,
    rate: u64,
}

impl Crowd {
    fn start(options: &Options) -> Result<Self> {
        let mut bad = Vec::new();
        for _ in BAD {
            // They will cease to listen, and shall find their port free again.
            let listen = free_listen_address()?;
            bad.push(Receiver::start(&ReceiveSpec { listen, behaviour: Behaviour::Accept, secret: None })?);
        }
        let mut crowd = Self {
            server: Server::start(options, &SETTINGS)?,
            subscriptions: Vec::new(),
            healthy: receiver(Behaviour::Accept)?,
            bad,
            webhooks: Vec::new(),
            sequence: Sequence::default(),
            times: options.pick(
                Times { flat_out: 8.0, measured: 10.0, onset: 10.0, settling: 20.0 },
                Times { flat_out: 2.0, measured: 3.0, onset: 3.0, settling: 3.0 },
            ),
            rate: 0,
        };
        for number in 0..SUBSCRIPTIONS {
            crowd.subscribe(number)?;
        }
        Ok(crowd)
    }

    fn subscribe(&mut self, number: usize) -> Result<()> {
        let subscription = self.server.subscribe(&format!("customer {number}"))?;
        self.server.api.act_as(&subscription.integration_key);
        self.server.webhook(&self.healthy.url(0), &json!({}))?;
        let mut webhooks = Vec::new();
        for receiver in &self.bad {
            for lane in 0..BAD_OF_EACH {
                webhooks.push(self.server.webhook(&receiver.url(lane), &json!({}))?);
            }
        }
        self.webhooks.push(webhooks);
        self.subscriptions.push(subscription);
        Ok(())
    }

    /// How many events a second go to ten webhooks each, all of them healthy; half of that is the load from now on.
    fn find_half_load(&mut self, report: &mut Report) -> Result<()> {
        self.all_healthy(1.0, None, report)?;
        let (run, last_us) = self.all_healthy(self.times.flat_out, None, report)?;
        let span_us = last_us.saturating_sub(run.sent.started_us).max(1);
        let events_per_s = run.sent.accepted as f64 * 1e6 / span_us as f64;
        self.rate = ((events_per_s / 2.0) as u64).max(1);
        report.add("outage.flat_out_deliveries_per_s", events_per_s * WEBHOOKS_OF_EACH as f64, "/s");
        report.add("outage.rate", self.rate as f64, "events/s");
        Ok(())
    }

    /// A run that all receivers must take; when the last delivery arrived.
    fn all_healthy(&mut self, seconds: f64, rate: Option<u64>, report: &mut Report) -> Result<(Measured, u64)> {
        self.bad.iter_mut().try_for_each(Receiver::reset)?;
        let run = self.run(seconds, rate, report)?;
        let mut last_us = run.received.last_us;
        for receiver in &mut self.bad {
            let all = receiver.wait_for(run.sent.accepted * BAD_OF_EACH as u64, super::PATIENCE)?;
            last_us = last_us.max(all.last_us);
        }
        Ok((run, last_us))
    }

    /// What the healthy ones get.
    fn run(&mut self, seconds: f64, rate: Option<u64>, report: &mut Report) -> Result<Measured> {
        let secrets = self.subscriptions.iter().map(|subscription| subscription.track_secret.clone()).collect();
        let connections = if rate.is_some() { CONNECTIONS } else { FLAT_OUT_CONNECTIONS };
        let load = Load { shape: Shape::Track { secrets }, connections, rate, seconds, events: None };
        measure(&self.server, &mut self.healthy, &mut self.sequence, load, 1, report)
    }

    fn round(&mut self, report: &mut Report) -> Result<Round> {
        let Times { measured, onset, settling, .. } = self.times;
        let rate = Some(self.rate);
        self.switch(false)?;
        wait_for_records(&self.server)?;
        self.run(1.0, rate, report)?;
        let without = self.run(measured, rate, report)?;
        self.bad.iter_mut().try_for_each(|receiver| receiver.behave(Behaviour::Accept))?;
        self.switch(true)?;
        let watcher = Watcher::start(&self.server)?;
        self.all_healthy(2.0, rate, report)?;
        let before = watcher.stop()?;

        let watcher = Watcher::start(&self.server)?;
        for (receiver, behaviour) in self.bad.iter_mut().zip(BAD) {
            receiver.behave(behaviour)?;
        }
        let onset = self.run(onset, rate, report)?;
        self.run(settling, rate, report)?;
        let steady = self.run(measured, rate, report)?;
        let round = Round { without, onset, steady, before, peaks: watcher.stop()? };
        let p99_ms = |run: &Measured| run.received.p99_us as f64 / 1000.0;
        let (without, onset, steady) = (p99_ms(&round.without), p99_ms(&round.onset), p99_ms(&round.steady));
        eprintln!("  p99 without {without:.2} ms, at the onset {onset:.2} ms, steady {steady:.2} ms");
        Ok(round)
    }

    fn switch(&mut self, on: bool) -> Result<()> {
        for (subscription, webhooks) in self.subscriptions.iter().zip(&self.webhooks) {
            self.server.api.act_as(&subscription.integration_key);
            for webhook in webhooks {
                self.server.switch(webhook, on)?;
            }
        }
        Ok(())
    }

    fn tell(&self, rounds: &[Round], report: &mut Report) {
        let of = |value: &dyn Fn(&Round) -> f64| median(rounds.iter().map(value).collect());
        let runs: [(&str, Run); 3] =
            [("without", |round| &round.without), ("onset", |round| &round.onset), ("steady", |round| &round.steady)];
        for (name, run) in runs {
            let ms = |value: &dyn Fn(&Measured) -> u64| of(&|round| value(run(round)) as f64 / 1000.0);
            report.add(&format!("outage.p50_ms.{name}"), ms(&|run| run.received.p50_us), "ms");
            report.add(&format!("outage.p99_ms.{name}"), ms(&|run| run.received.p99_us), "ms");
            report.add(&format!("outage.cpu_us_per_event.{name}"), of(&|round| run(round).cpu_us_per_event()), "us");
        }
        for (name, run) in &runs[1..] {
            let p99 = |run: &Measured| run.received.p99_us as f64;
            let change = of(&|round| (p99(run(round)) / p99(&round.without) - 1.0) * 100.0);
            report.add_budgeted(&format!("outage.{name}_changes_p99"), change, "%", Budget::AtMost(10.0));
        }
        let most =
            |value: &dyn Fn(&Peaks) -> u64| rounds.iter().map(|round| value(&round.peaks)).max().unwrap_or(0) as f64;
        let before_kib = rounds.first().map_or(0, |round| round.before.rss_kib) as f64;
        let growth = (most(&|peaks| peaks.rss_kib) - before_kib) / 1024.0;
        report.add("outage.rss_mib.before", before_kib / 1024.0, "MiB");
        report.add_budgeted("outage.rss_growth_mib", growth, "MiB", Budget::AtMost(GROWTH_MIB));
        let files = most(&|peaks| peaks.open_files);
        report.add_budgeted("outage.open_files", files, "files", Budget::AtMost(OPEN_FILES));
        let in_flight = most(&|peaks| peaks.in_flight);
        report.add_budgeted("outage.in_flight", in_flight, "requests", Budget::AtMost(IN_FLIGHT));
        report.add("outage.waiting_retries", most(&|peaks| peaks.waiting_retries), "retries");
        report.add("outage.narrowed", most(&|peaks| peaks.narrowed), "webhooks");
        report.add("outage.projection_lag", most(&|peaks| peaks.projection_lag), "entries");
        report.add("outage.threads", most(&|peaks| peaks.threads), "threads");
    }
}
