//! As many exclusions as there may be, none of which matches.

use super::latency::half_load;
use super::{Sequence, receiver};
use crate::options::Options;
use crate::receive::Behaviour;
use crate::report::{Budget, Report};
use crate::server::Server;
use anyhow::Result;
use serde_json::json;
use std::fmt::Write as _;

const RULES: usize = 10_000;

/// Measures an event's cost without and with them: ids, prefixes, suffixes, networks, and parts in the middle.
pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    report.stage("exclusions");
    let mut server = Server::start(options, &[])?;
    let mut receiver = receiver(Behaviour::Accept)?;
    let mut sequence = Sequence::default();
    server.webhook(&receiver.url(0), &json!({}))?;
    let seconds = options.pick(8.0, 2.0);
    half_load(options, &server, &mut receiver, &mut sequence, 1.0, report)?;
    let without = half_load(options, &server, &mut receiver, &mut sequence, seconds, report)?;
    server.exclude(&rules())?;
    let with = half_load(options, &server, &mut receiver, &mut sequence, seconds, report)?;
    report.add("exclusions.rules", RULES as f64, "rules");
    report.add("exclusions.cpu_us_per_event.without", without.cpu_us_per_event(), "us");
    report.add("exclusions.cpu_us_per_event.with", with.cpu_us_per_event(), "us");
    let change = (with.cpu_us_per_event() / without.cpu_us_per_event() - 1.0) * 100.0;
    report.add_budgeted("exclusions.change_of_cost", change, "%", Budget::AtMost(10.0));
    server.stop()
}

fn rules() -> String {
    let mut csv = String::from("kind,pattern\n");
    for number in 0..RULES {
        let _ = match number % 5 {
            _ if number < 2_000 => writeln!(csv, "visitor,*nobody-{number}*"),
            0 => writeln!(csv, "visitor,nobody-{number}"),
            1 => writeln!(csv, "visitor,nobody-{number}-*"),
            2 => writeln!(csv, "account,*-nobody-{number}"),
            3 => writeln!(csv, "host,*.nobody-{number}.example.com"),
            _ => writeln!(csv, "ip,198.18.{}.{}/32", number / 256, number % 256),
        };
    }
    csv
}
