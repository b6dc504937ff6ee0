//! A receiver that was down while many events came, and is back.

use super::PATIENCE;
use crate::child::{Generator, Receiver};
use crate::generate::GenerateSpec;
use crate::options::Options;
use crate::receive::{Behaviour, ReceiveSpec};
use crate::report::Report;
use crate::server::{Server, free_address};
use anyhow::{Result, bail};
use serde_json::json;
use std::time::{Duration, Instant};

/// The events that were attempted while the receiver was down wait for their retries; these come soon and often, so
/// that the last of the backlog does not wait ten minutes for its turn, and none fails for good during the outage.
const RETRIES: usize = 100;

/// Deliveries and server CPU at one moment of the drain.
#[derive(Debug, Clone, Copy)]
struct Sample {
    delivered: u64,
    cpu_us: u64,
}

/// Accepts the backlog, starts the receiver, watches the drain.
pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    let events: u64 = options.pick(1_000_000, 100_000);
    report.stage("backlog: accepting while the receiver is down");
    let delays = vec!["3s"; RETRIES].join(",");
    let mut server = Server::start(options, &["--retry-delays", &delays])?;
    let listen = free_address()?;
    server.webhook(&format!("http://{listen}/0"), &json!({}))?;
    let spec = GenerateSpec {
        addr: server.addr,
        others: Vec::new(),
        shape: server.batch(100),
        connections: 4,
        rate: None,
        seconds: 3600.0,
        events: Some(events),
        first: 0,
        stride: 1,
        resilient: false,
        acked: None,
    };
    let sent = Generator::start(&spec)?.finish()?;
    report.add("backlog.accepted_per_s", sent.accepted_per_s(), "/s");
    report.add("backlog.rss_mib", server.rss_kib()? as f64 / 1024.0, "MiB");

    report.stage("backlog: draining");
    let up = Instant::now();
    let mut receiver = Receiver::start(&ReceiveSpec { listen, behaviour: Behaviour::Accept, secret: None })?;
    let samples = watch(&server, &mut receiver, sent.accepted)?;
    let received = receiver.report()?;
    let span = received.last_us.saturating_sub(received.first_us).max(1);
    report.add("backlog.seconds_until_drained", up.elapsed().as_secs_f64(), "s");
    report.add("backlog.drained_per_s", received.delivered as f64 * 1e6 / span as f64, "/s");
    report.relate("backlog.drained_per_s", "raw.post.per_s");
    let first = cpu_us_per_delivery(&samples, 0.0, 0.1, sent.accepted);
    let last = cpu_us_per_delivery(&samples, 0.9, 0.999, sent.accepted);
    report.add("backlog.cpu_us_per_delivery.first_tenth", first, "us");
    report.add("backlog.cpu_us_per_delivery.last_tenth", last, "us");
    report.add("backlog.last_to_first_tenth", last / first, "x");
    report.require(received.broken == 0, || format!("{} deliveries were damaged", received.broken));
    report.require(received.repeats == 0, || format!("{} deliveries came twice without a crash", received.repeats));
    server.stop()
}

/// Samples until everything has arrived.
fn watch(server: &Server, receiver: &mut Receiver, wanted: u64) -> Result<Vec<Sample>> {
    let mut samples: Vec<Sample> = Vec::new();
    let mut progress = Instant::now();
    loop {
        let sample = Sample { delivered: receiver.report()?.delivered, cpu_us: server.cpu_us()? };
        if samples.last().is_none_or(|last| last.delivered != sample.delivered) {
            progress = Instant::now();
        }
        samples.push(sample);
        if sample.delivered >= wanted {
            return Ok(samples);
        }
        if progress.elapsed() > PATIENCE {
            bail!("{} of {wanted} events of the backlog were delivered, then none for {PATIENCE:?}", sample.delivered);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The server's CPU per delivery between two shares of the whole.
fn cpu_us_per_delivery(samples: &[Sample], from: f64, to: f64, total: u64) -> f64 {
    let at = |share: f64| samples.iter().find(|sample| sample.delivered as f64 >= total as f64 * share);
    // The probes before the first delivery are not part of the first tenth.
    let start = if from == 0.0 { samples.iter().rfind(|sample| sample.delivered == 0) } else { at(from) };
    let (Some(start), Some(end)) = (start, at(to)) else { return f64::NAN };
    (end.cpu_us - start.cpu_us) as f64 / (end.delivered - start.delivered).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_a_tenth_leaves_the_rest_out() {
        let sample = |delivered, cpu_us| Sample { delivered, cpu_us };
        let samples =
            [sample(0, 5), sample(0, 100), sample(100, 1100), sample(900, 5000), sample(999, 7000), sample(1000, 9000)];
        assert_eq!(cpu_us_per_delivery(&samples, 0.0, 0.1, 1000), 10.0);
        assert!((cpu_us_per_delivery(&samples, 0.9, 0.999, 1000) - 2000.0 / 99.0).abs() < 1e-9);
    }
}
