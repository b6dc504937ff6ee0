//! What a hanging and a failing receiver do to a healthy one.

use super::latency::half_load;
use super::{Sequence, median, receiver};
use crate::options::Options;
use crate::receive::Behaviour;
use crate::report::{Budget, Report};
use crate::server::Server;
use anyhow::Result;
use serde_json::json;

/// Which neighbours the healthy webhook has, by name and (hanging, failing).
const COMPANIES: [(&str, bool, bool); 3] =
    [("alone", false, false), ("hanging", true, false), ("hanging_and_failing", true, true)];

/// Measures the healthy receiver's p99 alone and in each company, in turn, several times, because a shared machine
/// drifts; medians are compared.
pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    report.stage("fairness");
    let mut server = Server::start(options, &[])?;
    let mut healthy = receiver(Behaviour::Accept)?;
    let (hanging, failing) = (receiver(Behaviour::Hang)?, receiver(Behaviour::Fail)?);
    let mut sequence = Sequence::default();
    server.webhook(&healthy.url(0), &json!({}))?;
    let neighbours = [server.webhook(&hanging.url(0), &json!({}))?, server.webhook(&failing.url(0), &json!({}))?];
    let mut p99_ms: [Vec<f64>; 3] = Default::default();
    for _ in 0..options.pick(5, 2) {
        for (values, (_, hangs, fails)) in p99_ms.iter_mut().zip(COMPANIES) {
            server.switch(&neighbours[0], hangs)?;
            server.switch(&neighbours[1], fails)?;
            half_load(options, &server, &mut healthy, &mut sequence, 1.0, report)?;
            let run = half_load(options, &server, &mut healthy, &mut sequence, options.pick(8.0, 2.0), report)?;
            values.push(run.received.p99_us as f64 / 1000.0);
        }
    }
    let [alone, with_hanging, with_both] = p99_ms.map(median);
    for ((name, _, _), value) in COMPANIES.into_iter().zip([alone, with_hanging, with_both]) {
        report.add(&format!("fairness.p99_ms.{name}"), value, "ms");
    }
    let percent = |value: f64| (value / alone - 1.0) * 100.0;
    report.add_budgeted("fairness.hanging_changes_p99", percent(with_hanging), "%", Budget::AtMost(10.0));
    report.add("fairness.both_change_p99", percent(with_both), "%");
    server.stop()
}
