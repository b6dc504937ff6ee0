//! How many events a second go all the way, and what each costs the server, for one webhook and for ten.

use super::{Load, Measured, Sequence, measure, receiver};
use crate::child::Receiver;
use crate::options::Options;
use crate::receive::Behaviour;
use crate::report::{Budget, Report};
use crate::server::Server;
use crate::wire::Shape;
use anyhow::Result;
use serde_json::json;

const SINGLE_CONNECTIONS: usize = 64;
const BATCH_CONNECTIONS: usize = 4;
const BATCH_ITEMS: usize = 100;
const FAN_OUT: u64 = 10;

/// Measures single events, batches, then the same single events to ten webhooks.
pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    report.stage("throughput");
    let mut bench = Bench {
        server: Server::start(options, &[])?,
        receiver: receiver(Behaviour::Accept)?,
        sequence: Sequence::default(),
        seconds: options.pick(10.0, 2.0),
    };
    bench.server.webhook(&bench.receiver.url(0), &json!({}))?;
    bench.load(bench.server.single(), 1.0, 1, report)?;

    let run = bench.load(bench.server.single(), bench.seconds, 1, report)?;
    let one_us = rates(report, "throughput.single", &run, Some((45.0, 20_000.0)));
    let run = bench.load(bench.server.batch(BATCH_ITEMS), bench.seconds, 1, report)?;
    rates(report, "throughput.batch100", &run, None);
    report.add("throughput.rss_mib", bench.server.rss_kib()? as f64 / 1024.0, "MiB");

    for lane in 1..FAN_OUT {
        bench.server.webhook(&bench.receiver.url(lane as usize), &json!({}))?;
    }
    let run = bench.load(bench.server.single(), bench.seconds / 2.0, FAN_OUT, report)?;
    let ten_us = rates(report, "throughput.fanout10", &run, None);
    let further = (ten_us - one_us) / (FAN_OUT - 1) as f64;
    report.add_budgeted("throughput.cpu_us_per_further_webhook", further, "us", Budget::AtMost(20.0));
    report.relate("throughput.cpu_us_per_further_webhook", "raw.post.cpu_us");
    bench.server.stop()
}

struct Bench {
    server: Server,
    receiver: Receiver,
    sequence: Sequence,
    seconds: f64,
}

impl Bench {
    fn load(&mut self, shape: Shape, seconds: f64, fan_out: u64, report: &mut Report) -> Result<Measured> {
        let connections = if shape.items() == 1 { SINGLE_CONNECTIONS } else { BATCH_CONNECTIONS };
        let load = Load { shape, connections, rate: None, seconds, events: None };
        measure(&self.server, &mut self.receiver, &mut self.sequence, load, fan_out, report)
    }
}

/// Adds a run's figures; its CPU per event.
fn rates(report: &mut Report, name: &str, run: &Measured, budget: Option<(f64, f64)>) -> f64 {
    let cpu_us = run.cpu_us_per_event();
    let delivered = format!("{name}.delivered_per_s");
    let cpu = format!("{name}.cpu_us_per_event");
    report.add(&format!("{name}.accepted_per_s"), run.sent.accepted_per_s(), "/s");
    match budget {
        Some((most_us, least_per_s)) => {
            report.add_budgeted(&delivered, run.delivered_per_s(), "/s", Budget::AtLeast(least_per_s));
            report.add_budgeted(&cpu, cpu_us, "us", Budget::AtMost(most_us));
        }
        None => {
            report.add(&delivered, run.delivered_per_s(), "/s");
            report.add(&cpu, cpu_us, "us");
        }
    }
    report.add(&format!("{name}.refused"), run.sent.refused_total() as f64, "events");
    report.relate(&delivered, "raw.post.per_s");
    report.relate(&cpu, "raw.post_and_append.cpu_us");
    cpu_us
}
