//! From due to received, at half load.

use super::{Load, Measured, Sequence, measure, receiver};
use crate::child::Receiver;
use crate::options::Options;
use crate::receive::Behaviour;
use crate::report::{Budget, Report};
use crate::server::Server;
use anyhow::Result;
use serde_json::json;

/// Enough that a stall of the server for some milliseconds does not slow the generator down.
const CONNECTIONS: usize = 128;

/// Measures at the half-load rate.
pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    report.stage("latency at half load");
    let mut server = Server::start(options, &[])?;
    let mut receiver = receiver(Behaviour::Accept)?;
    let mut sequence = Sequence::default();
    server.webhook(&receiver.url(0), &json!({}))?;
    half_load(options, &server, &mut receiver, &mut sequence, 1.0, report)?;
    let run = half_load(options, &server, &mut receiver, &mut sequence, options.pick(20.0, 3.0), report)?;
    report.add("latency.rate", run.sent.accepted_per_s(), "/s");
    report.add("latency.p50_ms", run.received.p50_us as f64 / 1000.0, "ms");
    report.add_budgeted("latency.p99_ms", run.received.p99_us as f64 / 1000.0, "ms", Budget::AtMost(10.0));
    report.add("latency.max_ms", run.received.max_us as f64 / 1000.0, "ms");
    report.add("latency.accepted_p50_ms", run.sent.answer_p50_us as f64 / 1000.0, "ms");
    report.add("latency.accepted_p99_ms", run.sent.answer_p99_us as f64 / 1000.0, "ms");
    report.add("latency.cpu_us_per_event", run.cpu_us_per_event(), "us");
    report.add("latency.rss_mib", server.rss_kib()? as f64 / 1024.0, "MiB");
    server.stop()
}

/// One run at the half-load rate.
pub fn half_load(
    options: &Options,
    server: &Server,
    receiver: &mut Receiver,
    sequence: &mut Sequence,
    seconds: f64,
    report: &mut Report,
) -> Result<Measured> {
    let load =
        Load { shape: server.single(), connections: CONNECTIONS, rate: Some(options.rate), seconds, events: None };
    measure(server, receiver, sequence, load, 1, report)
}
