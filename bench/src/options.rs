//! The runner's command line.

use anyhow::{Context, Result, bail};
use std::path::PathBuf;

/// Shown by `help` and after a wrong call.
pub const USAGE: &str = "\
fanfare-bench <all|throughput|latency|fairness|outage|backlog|idle|exclusions|filter|shapes|cluster|raw|crash|chaos> [options]
  --quick             shorter runs and smaller numbers
  --json PATH         write the figures as JSON too
  --server-bin PATH   the server to measure (target/release/fanfare)
  --dir PATH          where data directories are made (the system's temporary directory)
  --rate N            events per second of the half-load runs (10000)
  --rounds N          crash: how many times the server is killed (50)
  --seed S            crash: seed of the random moments (1)
  --keep              crash: keep the data directory when something is wrong";

/// What the runner was asked to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// Shorter runs and smaller numbers.
    pub quick: bool,
    /// Where to write the figures.
    pub json: Option<PathBuf>,
    /// The server.
    pub server_bin: PathBuf,
    /// Parent of the data directories.
    pub dir: PathBuf,
    /// Events per second of the half-load runs.
    pub rate: u64,
    /// Kills of the crash run.
    pub rounds: u32,
    /// Seed of the crash run.
    pub seed: u64,
    /// Keep the data directory of a crash run that found something.
    pub keep: bool,
}

impl Options {
    /// Reads the options after the subcommand.
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            quick: false,
            json: None,
            server_bin: PathBuf::from("target/release/fanfare"),
            dir: std::env::temp_dir(),
            rate: 10_000,
            rounds: 50,
            seed: 1,
            keep: false,
        };
        let mut rest = arguments.iter();
        while let Some(flag) = rest.next() {
            let mut value = || rest.next().with_context(|| format!("{flag} needs a value"));
            match flag.as_str() {
                "--quick" => options.quick = true,
                "--keep" => options.keep = true,
                "--json" => options.json = Some(PathBuf::from(value()?)),
                "--server-bin" => options.server_bin = PathBuf::from(value()?),
                "--dir" => options.dir = PathBuf::from(value()?),
                "--rate" => options.rate = value()?.parse().context("--rate takes a whole number")?,
                "--rounds" => options.rounds = value()?.parse().context("--rounds takes a whole number")?,
                "--seed" => options.seed = value()?.parse().context("--seed takes a whole number")?,
                other => bail!("unknown option {other:?}\n{USAGE}"),
            }
        }
        Ok(options)
    }

    /// `full`, or `quick` with `--quick`.
    pub fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}
