//! kill -9 at random moments under load: what got a 2xx reaches every receiver, and only what was in flight comes
//! twice.

use crate::child::{Generator, Receiver};
use crate::generate::{GenerateResult, GenerateSpec};
use crate::options::Options;
use crate::receive::{Arrival, Behaviour, ReceiveSpec, read_arrivals};
use crate::report::Report;
use crate::server::Server;
use crate::wire::{Shape, now_us};
use anyhow::{Context, Result, bail};
use fanfare::clock::{Random, SeededRandom};
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// What the receivers check signatures with.
pub const SECRET: &str = "It's a Secret to Everybody";

/// Events per second of each of the two generators: enough to have many in flight, less than the slow receiver takes.
const RATE: u64 = 1_000;

/// From readiness to the kill.
const SHORTEST_ROUND_MS: u64 = 100;
const LONGEST_ROUND_MS: u64 = 2_000;

/// Without progress for so long, the drain has ended. Longer than the retries' delays together.
const DRAINED_AFTER: Duration = Duration::from_secs(30);

/// The receivers, by name.
pub const RECEIVERS: [(&str, Behaviour); 3] =
    [("healthy", Behaviour::Accept), ("failing", Behaviour::FailSometimes), ("slow", Behaviour::Slow(10))];

/// Kills, restarts, checks after each kill, drains, compares.
pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    report.stage("crash");
    let mut server = Server::start(options, &["--retry-delays", "1s,1s,1s,1s,1s"])?;
    let mut receivers = Vec::new();
    for (name, behaviour) in RECEIVERS {
        let spec = ReceiveSpec { listen: ([127, 0, 0, 1], 0).into(), behaviour, secret: Some(SECRET.into()) };
        let receiver = Receiver::start(&spec)?;
        server.webhook(&receiver.url(0), &json!({"secret": SECRET, "name": name}))?;
        receivers.push(receiver);
    }
    let generators = [
        Generator::start(&load(&server, server.single(), 0, "acked-single"))?,
        Generator::start(&load(&server, server.batch(10), 1, "acked-batch"))?,
    ];
    let kills = kill_rounds(options, &mut server, report)?;
    let mut sent = Vec::new();
    for generator in generators {
        sent.push(generator.stop()?);
    }
    drain(&mut receivers, &sent)?;
    let acked = acknowledged(server.home(), &["acked-single", "acked-batch"])?;
    report.add("crash.rounds", kills.len() as f64, "kills");
    report.add("crash.acknowledged", acked.len() as f64, "events");
    report.add("crash.unanswered", sent.iter().map(|sent| sent.unanswered).sum::<u64>() as f64, "events");
    for ((name, _), receiver) in RECEIVERS.iter().zip(&mut receivers) {
        let path = server.home().join(name);
        receiver.save(&path)?;
        judge(&format!("crash.{name}"), receiver, &read_arrivals(&path)?, &acked, &kills, report)?;
    }
    report.require(sent.iter().all(|sent| sent.partial == 0), || "a batch was accepted in part".into());
    report.require(server.panics().is_empty(), || format!("the server panicked: {:?}", server.panics()));
    server.keep = options.keep && !report.is_whole();
    server.stop()
}

fn load(server: &Server, shape: Shape, first: u64, acked: &str) -> GenerateSpec {
    GenerateSpec {
        addr: server.addr,
        others: Vec::new(),
        shape,
        connections: 16,
        rate: Some(RATE),
        seconds: f64::MAX,
        events: None,
        first,
        stride: 2,
        resilient: true,
        acked: Some(server.home().join(acked)),
    }
}

/// When a server was killed, and when the next one was started. What the first had sent can reach a busy receiver a
/// little after its death, but not after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kill {
    /// When something was done to it.
    pub killed_us: u64,
    /// When it went on.
    pub restarted_us: u64,
}

/// The moments of the kills.
fn kill_rounds(options: &Options, server: &mut Server, report: &mut Report) -> Result<Vec<Kill>> {
    let random = SeededRandom::new(options.seed);
    let mut kills = Vec::new();
    let mut slowest = Duration::ZERO;
    for round in 1..=options.rounds {
        let wait_ms = SHORTEST_ROUND_MS + random.id() % (LONGEST_ROUND_MS - SHORTEST_ROUND_MS);
        std::thread::sleep(Duration::from_millis(wait_ms));
        let killed_us = now_us();
        server.kill()?;
        let found = inspect(server)?;
        report.require(found.is_empty(), || format!("after kill {round}: {}", found.join("; ")));
        kills.push(Kill { killed_us, restarted_us: now_us() });
        let began = Instant::now();
        server.serve().with_context(|| format!("starting again after kill {round}"))?;
        slowest = slowest.max(began.elapsed());
        eprintln!("  kill {round} of {} after {wait_ms} ms, ready again in {:?}", options.rounds, began.elapsed());
    }
    report.add("crash.slowest_restart_ms", slowest.as_secs_f64() * 1000.0, "ms");
    Ok(kills)
}

/// What is wrong with the data directory of a server that was killed.
fn inspect(server: &Server) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let verify =
        Command::new(server.bin()).args(["journal", "verify", "--data-dir"]).arg(server.data_dir()).output()?;
    if !verify.status.success() {
        let text = [verify.stdout, verify.stderr].concat();
        found.push(format!("journal verify: {}", String::from_utf8_lossy(&text).trim()));
    }
    let copy = server.home().join("copy");
    std::fs::create_dir(&copy)?;
    for database in databases(&server.data_dir())? {
        if let Some(fault) = integrity(&database, &copy)? {
            found.push(format!("{}: {fault}", database.display()));
        }
    }
    std::fs::remove_dir_all(&copy)?;
    Ok(found)
}

fn databases(data_dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(data_dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "db") {
            found.push(path);
        }
    }
    if found.is_empty() {
        bail!("no database in {}", data_dir.display());
    }
    Ok(found)
}

/// SQLite's own check, made on a copy: opening the original would repair it, and that is the server's to do.
fn integrity(database: &Path, copy: &Path) -> Result<Option<String>> {
    let name = database.file_name().context("a database without a name")?.to_string_lossy().into_owned();
    for suffix in ["", "-wal"] {
        let source = database.with_file_name(format!("{name}{suffix}"));
        if source.exists() {
            std::fs::copy(&source, copy.join(format!("{name}{suffix}")))?;
        }
    }
    const CHECK: &str =
        "import sqlite3,sys\nfor row in sqlite3.connect(sys.argv[1]).execute('pragma integrity_check'): print(row[0])";
    let output = Command::new("python3").args(["-c", CHECK]).arg(copy.join(&name)).output()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let fault = || format!("{text} {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok((!output.status.success() || text != "ok").then(fault))
}

/// Waits until nothing more comes, at least everything that was accepted.
pub fn drain(receivers: &mut [Receiver], sent: &[GenerateResult]) -> Result<()> {
    let accepted: u64 = sent.iter().map(|sent| sent.accepted).sum();
    for receiver in receivers {
        let mut last = (0, Instant::now());
        // What was sent without an answer may or may not have been accepted, so the count alone proves nothing.
        while last.1.elapsed() < DRAINED_AFTER {
            let report = receiver.report()?;
            if report.requests != last.0 {
                last = (report.requests, Instant::now());
            }
            if report.delivered >= accepted && last.1.elapsed() > Duration::from_secs(5) {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    Ok(())
}

/// The sequence numbers that generators have left in these files.
pub fn acknowledged(home: &Path, names: &[&str]) -> Result<HashSet<u64>> {
    let mut acked = HashSet::new();
    for name in names {
        let bytes = std::fs::read(home.join(name))?;
        acked.extend(bytes.chunks_exact(8).filter_map(|chunk| chunk.try_into().ok()).map(u64::from_le_bytes));
    }
    Ok(acked)
}

/// Compares what arrived with what was acknowledged.
pub fn judge(
    name: &str,
    receiver: &mut Receiver,
    arrivals: &[Arrival],
    acked: &HashSet<u64>,
    kills: &[Kill],
    report: &mut Report,
) -> Result<()> {
    let counts = receiver.report()?;
    let arrived: HashSet<u64> = arrivals.iter().map(|arrival| arrival.sequence).collect();
    let mut lost: Vec<u64> = acked.difference(&arrived).copied().collect();
    lost.sort_unstable();
    let repeats = Repeats::of(arrivals, kills);
    report.add(&format!("{name}.lost"), lost.len() as f64, "events");
    report.add(&format!("{name}.unacknowledged_delivered"), arrived.difference(acked).count() as f64, "events");
    report.add(&format!("{name}.repeats"), counts.repeats as f64, "requests");
    report.add(&format!("{name}.repeats_most_per_kill"), repeats.most_per_kill as f64, "requests");
    report.add(&format!("{name}.repeat_oldest_ms"), repeats.oldest_ms as f64, "ms before the kill");
    report.require(lost.is_empty(), || format!("{name}: {} events are lost, first {:?}", lost.len(), lost.first()));
    report.require(counts.broken == 0, || format!("{name}: {} requests with wrong bytes or signature", counts.broken));
    report.require(repeats.without_kill == 0, || {
        format!("{name}: {} events came twice with no kill between", repeats.without_kill)
    });
    Ok(())
}

/// How the repeats lie to the kills.
#[derive(Debug, Default, PartialEq, Eq)]
struct Repeats {
    /// No kill between the two arrivals.
    without_kill: u64,
    /// Most repeats that one kill caused.
    most_per_kill: u64,
    /// How long before the kill that made it come again the oldest one had arrived.
    oldest_ms: u64,
}

impl Repeats {
    fn of(arrivals: &[Arrival], kills: &[Kill]) -> Self {
        let mut repeats = Self::default();
        let mut per_kill: HashMap<Kill, u64> = HashMap::new();
        for arrival in arrivals.iter().filter(|arrival| arrival.again_us != 0) {
            let between = |kill: &Kill| arrival.first_us <= kill.restarted_us && kill.killed_us <= arrival.again_us;
            let kill = kills.iter().copied().find(between);
            let Some(kill) = kill else {
                repeats.without_kill += 1;
                continue;
            };
            *per_kill.entry(kill).or_default() += 1;
            repeats.oldest_ms = repeats.oldest_ms.max(kill.killed_us.saturating_sub(arrival.first_us) / 1000);
        }
        repeats.most_per_kill = per_kill.into_values().max().unwrap_or(0);
        repeats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_belong_to_the_kill_between_the_arrivals() {
        let arrival = |first_us, again_us| Arrival { sequence: 1, first_us, again_us };
        let kill = Kill { killed_us: 50_000, restarted_us: 55_000 };
        let arrivals = [
            arrival(1_000, 0),
            arrival(1_000, 90_000),
            arrival(40_000, 60_000),
            arrival(54_000, 60_000),
            arrival(60_000, 70_000),
        ];
        let repeats = Repeats::of(&arrivals, &[kill]);
        assert_eq!(repeats, Repeats { without_kill: 1, most_per_kill: 3, oldest_ms: 49 });
    }
}
