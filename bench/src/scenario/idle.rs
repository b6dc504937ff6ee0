//! Many webhooks that want nothing of what happens.

use super::latency::half_load;
use super::{Sequence, receiver};
use crate::options::Options;
use crate::receive::Behaviour;
use crate::report::{Budget, Report};
use crate::server::Server;
use anyhow::Result;
use serde_json::json;

/// The runner makes its webhooks faster than a key is normally allowed to call.
const UNTHROTTLED: [&str; 4] = ["--calls-per-second", "1000000", "--calls-burst", "1000000"];

/// Measures memory per webhook, and an event's cost without and with them.
pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    let count: u64 = options.pick(10_000, 1_000);
    report.stage("idle webhooks");
    let mut server = Server::start(options, &UNTHROTTLED)?;
    let mut receiver = receiver(Behaviour::Accept)?;
    let mut sequence = Sequence::default();
    server.webhook(&receiver.url(0), &json!({}))?;
    let seconds = options.pick(8.0, 2.0);
    half_load(options, &server, &mut receiver, &mut sequence, 1.0, report)?;
    let without = half_load(options, &server, &mut receiver, &mut sequence, seconds, report)?;
    let before_kib = server.rss_kib()?;
    for _ in 0..count {
        server.webhook("http://127.0.0.1:9/", &json!({"categories": ["nps"]}))?;
    }
    let rss_kib = server.rss_kib()?.saturating_sub(before_kib) as f64 / count as f64;
    let with = half_load(options, &server, &mut receiver, &mut sequence, seconds, report)?;
    report.add("idle.webhooks", count as f64, "webhooks");
    report.add_budgeted("idle.rss_kib_per_webhook", rss_kib, "KiB", Budget::AtMost(4.0));
    report.add("idle.cpu_us_per_event.without", without.cpu_us_per_event(), "us");
    report.add("idle.cpu_us_per_event.with", with.cpu_us_per_event(), "us");
    let change = (with.cpu_us_per_event() / without.cpu_us_per_event() - 1.0) * 100.0;
    report.add_budgeted("idle.change_of_cost", change, "%", Budget::AtMost(10.0));
    server.stop()
}
