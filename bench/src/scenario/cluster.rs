//! The same on servers: what an event costs each process, for one node and for two, and how PostgreSQL is spared.

use super::{Load, Measured, Sequence, measure, receiver};
use crate::child::Receiver;
use crate::options::Options;
use crate::receive::Behaviour;
use crate::report::Report;
use crate::server::{Server, free_listen_address};
use crate::servers::Servers;
use crate::watch::wait_for_records;
use anyhow::{Context, Result};
use serde_json::json;
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 64;
const FAN_OUT: u64 = 10;

/// How long nodes may take to find each other.
const NODES_PATIENCE: Duration = Duration::from_secs(30);

/// Events per second for latency: what three replicas, their nodes, the generator and the receiver leave room for on two
/// cores.
const RATE: u64 = 2_000;

/// Measures on one NATS server with one node, then on three with one node and with two.
pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    one_setup(options, report, "cluster.nats1.node1", (1, 1))?;
    one_setup(options, report, "cluster.nats3.node1", (3, 1))?;
    one_setup(options, report, "cluster.nats3.node2", (3, 2))?;
    many_webhooks(options, report)
}

/// Ten thousand webhooks over two nodes: each has its half, and all of it is the one's when the other is lost.
fn many_webhooks(options: &Options, report: &mut Report) -> Result<()> {
    const EVENTS: u64 = 10;
    report.stage("cluster.webhooks");
    let count = options.pick(10_000, 200);
    let servers = Servers::start(&options.dir, 1)?;
    // A connection that fails among thousands that are made at once is made again soon.
    let soon = ["--retry-delays", "1s,1s,1s,1s,1s,1s,1s,1s"];
    let flags = [&["--calls-per-second", "1000000", "--calls-burst", "10000000"][..], &soon].concat();
    let mut first = Server::start_on(options, &flags, servers.environment(), free_listen_address()?)?;
    let mut second = first.beside(options, free_listen_address()?, Vec::new())?;
    wait_for_peers(&mut first, 1)?;
    let mut receiver = receiver(Behaviour::Accept)?;
    let mut sequence = Sequence::default();
    for lane in 0..count {
        first.webhook(&receiver.url(lane), &json!({}))?;
    }
    let mut send = |server: &Server, report: &mut Report| {
        let load = Load { shape: server.single(), connections: 1, rate: None, seconds: 60.0, events: Some(EVENTS) };
        measure(server, &mut receiver, &mut sequence, load, count as u64, report)
    };
    let run = send(&first, report)?;
    report.add("cluster.webhooks.count", count as f64, "");
    report.add("cluster.webhooks.delivered_per_s", run.delivered_per_s(), "/s");
    let metrics = second.api.text("/metrics")?;
    let made = metrics.lines().find_map(|line| line.strip_prefix("fanfare_cluster_attempts_made_total "));
    let made: f64 = made.context("the other node counts no attempts")?.parse()?;
    report.add("cluster.webhooks.share_of_the_other_node", made / (EVENTS * count as u64) as f64, "");
    report.add("cluster.webhooks.active_rss_mib", first.rss_kib()? as f64 / 1024.0, "MiB");
    report.add("cluster.webhooks.other_rss_mib", second.rss_kib()? as f64 / 1024.0, "MiB");
    second.kill()?;
    let run = send(&first, report)?;
    report.add("cluster.webhooks.delivered_per_s_when_the_other_is_lost", run.delivered_per_s(), "/s");
    first.stop()
}

fn one_setup(options: &Options, report: &mut Report, name: &str, (nats, nodes): (usize, usize)) -> Result<()> {
    report.stage(name);
    let servers = Servers::start(&options.dir, nats)?;
    let mut first = Server::start_on(options, &[], servers.environment(), free_listen_address()?)?;
    let others = (1..nodes).map(|_| first.beside(options, free_listen_address()?, Vec::new()));
    let others = others.collect::<Result<Vec<_>>>()?;
    wait_for_peers(&mut first, others.len())?;
    let mut bench =
        Bench { servers, first, others, receiver: receiver(Behaviour::Accept)?, sequence: Sequence::default() };
    bench.first.webhook(&bench.receiver.url(0), &json!({}))?;
    bench.load(options, report, &format!("{name}.single"), 1, None)?;
    bench.load(options, report, &format!("{name}.latency"), 1, Some(RATE))?;
    for lane in 1..FAN_OUT {
        bench.first.webhook(&bench.receiver.url(lane as usize), &json!({}))?;
    }
    bench.load(options, report, &format!("{name}.fanout10"), FAN_OUT, None)?;
    bench.others.into_iter().try_for_each(Server::stop)?;
    bench.first.stop()
}

fn wait_for_peers(active: &mut Server, count: usize) -> Result<()> {
    let (wanted, began) = (format!("fanfare_cluster_peers {count}\n"), Instant::now());
    while !active.api.text("/metrics")?.contains(&wanted) {
        anyhow::ensure!(began.elapsed() < NODES_PATIENCE, "the nodes do not find each other");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

struct Bench {
    servers: Servers,
    first: Server,
    others: Vec<Server>,
    receiver: Receiver,
    sequence: Sequence,
}

/// CPU time by who has used it.
struct Used {
    others: u64,
    nats: u64,
    postgres: u64,
    transactions: u64,
}

impl Bench {
    fn used(&self) -> Result<Used> {
        Ok(Used {
            others: self.others.iter().map(Server::cpu_us).sum::<Result<u64>>()?,
            nats: self.servers.nats_cpu_us()?,
            postgres: self.servers.postgres.process()?.family_cpu_us()?,
            transactions: self.servers.transactions()?,
        })
    }

    fn send(&mut self, seconds: f64, (fan_out, rate): (u64, Option<u64>), report: &mut Report) -> Result<Measured> {
        let load = Load { shape: self.first.single(), connections: CONNECTIONS, rate, seconds, events: None };
        let run = measure(&self.first, &mut self.receiver, &mut self.sequence, load, fan_out, report)?;
        wait_for_records(&self.first)?;
        Ok(run)
    }

    fn load(
        &mut self,
        options: &Options,
        report: &mut Report,
        name: &str,
        fan_out: u64,
        rate: Option<u64>,
    ) -> Result<()> {
        // What a run leaves for the records is that run's.
        self.send(0.5, (fan_out, rate), report)?;
        let before = self.used()?;
        let run = self.send(options.pick(6.0, 1.5), (fan_out, rate), report)?;
        let after = self.used()?;
        let per_event = |from: u64, to: u64| (to - from) as f64 / run.sent.accepted.max(1) as f64;
        if rate.is_some() {
            report.add(&format!("{name}.p50_ms"), run.received.p50_us as f64 / 1000.0, "ms");
            report.add(&format!("{name}.p99_ms"), run.received.p99_us as f64 / 1000.0, "ms");
            return Ok(());
        }
        report.add(&format!("{name}.delivered_per_s"), run.delivered_per_s(), "/s");
        let active = format!("{name}.active_cpu_us_per_event");
        report.add(&active, run.cpu_us_per_event(), "us");
        if fan_out == 1 {
            report.relate(&format!("{name}.delivered_per_s"), "throughput.single.delivered_per_s");
            report.relate(&active, "throughput.single.cpu_us_per_event");
        } else {
            report.relate(&format!("{name}.delivered_per_s"), "throughput.fanout10.delivered_per_s");
            report.relate(&active, "throughput.fanout10.cpu_us_per_event");
        }
        if !self.others.is_empty() {
            report.add(&format!("{name}.other_cpu_us_per_event"), per_event(before.others, after.others), "us");
        }
        report.add(&format!("{name}.nats_cpu_us_per_event"), per_event(before.nats, after.nats), "us");
        report.add(&format!("{name}.postgres_cpu_us_per_event"), per_event(before.postgres, after.postgres), "us");
        let transactions = per_event(before.transactions, after.transactions) * 1000.0;
        report.add(&format!("{name}.postgres_transactions_per_1000_events"), transactions, "");
        Ok(())
    }
}
