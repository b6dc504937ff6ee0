//! What is measured, one scenario a file.

pub mod backlog;
pub mod cluster;
pub mod exclusions;
pub mod fairness;
pub mod filter;
pub mod idle;
pub mod latency;
pub mod outage;
pub mod raw;
pub mod shapes;
pub mod throughput;

use crate::child::{Generator, Receiver};
use crate::generate::{GenerateResult, GenerateSpec};
use crate::options::Options;
use crate::receive::{Behaviour, ReceiveReport, ReceiveSpec};
use crate::report::Report;
use crate::server::Server;
use crate::wire::Shape;
use anyhow::Result;
use std::time::Duration;

/// How long no delivery may arrive before the rest counts as lost.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Everything but the crash run, raw limits first, so that the others can be related to them.
pub fn all(options: &Options, report: &mut Report) -> Result<()> {
    raw::run(options, report)?;
    throughput::run(options, report)?;
    latency::run(options, report)?;
    fairness::run(options, report)?;
    outage::run(options, report)?;
    backlog::run(options, report)?;
    idle::run(options, report)?;
    exclusions::run(options, report)?;
    filter::run(options, report)?;
    shapes::run(options, report)?;
    cluster::run(options, report)
}

/// A receiver on any port.
pub fn receiver(behaviour: Behaviour) -> Result<Receiver> {
    Receiver::start(&ReceiveSpec { listen: ([127, 0, 0, 1], 0).into(), behaviour, secret: None })
}

/// One generator's run against a server, through to the last delivery.
#[derive(Debug)]
pub struct Load {
    /// Single events or batches.
    pub shape: Shape,
    /// Connections of the generator.
    pub connections: usize,
    /// Events per second, or as fast as possible.
    pub rate: Option<u64>,
    /// How long.
    pub seconds: f64,
    /// At most so many events.
    pub events: Option<u64>,
}

/// What a [`Load`] did.
#[derive(Debug)]
pub struct Measured {
    /// At the generator.
    pub sent: GenerateResult,
    /// At the receiver.
    pub received: ReceiveReport,
    /// CPU of the server from the first request to the last delivery.
    pub server_cpu_us: u64,
}

impl Measured {
    /// Deliveries per second, from the first request to the last arrival.
    pub fn delivered_per_s(&self) -> f64 {
        let span = self.received.last_us.saturating_sub(self.sent.started_us).max(1);
        self.received.delivered as f64 * 1e6 / span as f64
    }

    /// Server CPU per accepted event.
    pub fn cpu_us_per_event(&self) -> f64 {
        self.server_cpu_us as f64 / self.sent.accepted.max(1) as f64
    }
}

/// Sequence numbers of a server's runs follow each other, so that an event that strays from one run into the next is
/// counted there as what it is.
#[derive(Debug, Default)]
pub struct Sequence(u64);

/// Sends a load and waits until `fan_out` deliveries of each accepted event have arrived.
pub fn measure(
    server: &Server,
    receiver: &mut Receiver,
    sequence: &mut Sequence,
    load: Load,
    fan_out: u64,
    report: &mut Report,
) -> Result<Measured> {
    receiver.reset()?;
    let cpu_before = server.cpu_us()?;
    let spec = GenerateSpec {
        addr: server.addr,
        others: Vec::new(),
        shape: load.shape,
        connections: load.connections,
        rate: load.rate,
        seconds: load.seconds,
        events: load.events,
        first: sequence.0,
        stride: 1,
        resilient: false,
        acked: None,
    };
    let sent = Generator::start(&spec)?.finish()?;
    sequence.0 += sent.sent;
    let received = receiver.wait_for(sent.accepted * fan_out, PATIENCE)?;
    let server_cpu_us = server.cpu_us()? - cpu_before;
    report.require(received.broken == 0, || format!("{} deliveries were damaged", received.broken));
    report.require(received.repeats == 0, || format!("{} deliveries came twice without a crash", received.repeats));
    report.require(received.delivered == sent.accepted * fan_out, || {
        format!("{} deliveries of {} accepted events", received.delivered, sent.accepted)
    });
    report.require(sent.partial == 0, || format!("{} batches were accepted in part", sent.partial));
    let other: u64 = sent.refused.iter().filter(|(status, _)| **status != 503).map(|(_, count)| count).sum();
    report.require(other == 0, || format!("events were refused: {:?}", sent.refused));
    Ok(Measured { sent, received, server_cpu_us })
}

/// The median of a few runs.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
