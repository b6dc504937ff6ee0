//! `make bench` and `make crash`: what Fanfare costs, how fast it is, and that it loses nothing.
//!
//! The runner starts the real server, a load generator and receivers, each as a process of its own, so that the
//! kernel's accounting tells their CPU apart:
//!
//! ```text
//! generate ──HTTP──> fanfare serve ──HTTP──> receive
//!     └──────────────── runner ─────────────────┘   one JSON line per question and answer
//! ```
//!
//! Every event carries its sequence number, its send time and a check value in its properties ([`wire`]), so the
//! receiver alone can tell what is missing, repeated, damaged or late.

mod chaos;
mod child;
mod crash;
mod generate;
mod histogram;
mod http;
mod network;
mod options;
mod receive;
mod report;
mod scenario;
mod server;
mod servers;
mod watch;
mod wire;

use anyhow::{Result, bail};
use options::Options;
use report::Report;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fanfare-bench: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs one subcommand; false when something was lost or broken.
fn run(arguments: &[String]) -> Result<bool> {
    let Some((command, rest)) = arguments.split_first() else { bail!("{}", options::USAGE) };
    match command.as_str() {
        "generate" => generate::main(rest).map(|()| true),
        "receive" => receive::main(rest).map(|()| true),
        "post" => scenario::raw::post_main(rest).map(|()| true),
        "append" => scenario::raw::append_main(rest).map(|()| true),
        "help" | "--help" | "-h" => {
            println!("{}", options::USAGE);
            Ok(true)
        }
        name => measure(name, &Options::parse(rest)?),
    }
}

fn measure(name: &str, options: &Options) -> Result<bool> {
    let mut report = Report::new(options.quick);
    match name {
        "all" => scenario::all(options, &mut report)?,
        "raw" => scenario::raw::run(options, &mut report)?,
        "throughput" => {
            scenario::raw::run(options, &mut report)?;
            scenario::throughput::run(options, &mut report)?;
        }
        "latency" => scenario::latency::run(options, &mut report)?,
        "fairness" => scenario::fairness::run(options, &mut report)?,
        "outage" => scenario::outage::run(options, &mut report)?,
        "backlog" => {
            scenario::raw::run(options, &mut report)?;
            scenario::backlog::run(options, &mut report)?;
        }
        "idle" => scenario::idle::run(options, &mut report)?,
        "exclusions" => scenario::exclusions::run(options, &mut report)?,
        "filter" => scenario::filter::run(options, &mut report)?,
        "shapes" => scenario::shapes::run(options, &mut report)?,
        "cluster" => {
            scenario::raw::run(options, &mut report)?;
            scenario::throughput::run(options, &mut report)?;
            scenario::cluster::run(options, &mut report)?;
        }
        "crash" => crash::run(options, &mut report)?,
        "chaos" => chaos::run(options, &mut report)?,
        other => bail!("unknown command {other:?}\n{}", options::USAGE),
    }
    report.finish(options.json.as_deref())
}
