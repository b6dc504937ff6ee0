//! Three NATS servers, PostgreSQL and two nodes under load, and one thing after the other done to them. Afterwards everything that
//! got a 2xx has reached every receiver.

use crate::child::{Generator, Receiver};
use crate::crash::{Kill, RECEIVERS, SECRET, acknowledged, drain, judge};
use crate::generate::GenerateSpec;
use crate::network::Network;
use crate::options::Options;
use crate::receive::{Arrival, ReceiveSpec, read_arrivals};
use crate::report::Report;
use crate::server::{Server, free_ports};
use crate::servers::{Daemon, Place, Servers};
use crate::wire::now_us;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Events per second of each of the two generators: many are in flight, and the disks of three replicas on one machine follow.
const RATE: u64 = 300;

/// How long the cluster may take until it takes events again.
const PATIENCE: Duration = Duration::from_secs(60);

/// What each is told to do between two things that are done to the cluster.
const BETWEEN: Duration = Duration::from_millis(1500);

/// Room of the disk that is filled.
const DISK: &str = "4g";

/// Something that is done to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    KillActive,
    KillOther,
    KillNats(usize),
    KillPostgres,
    KillAll,
    FreezeOther,
    FreezeActive,
    StopActive,
    CutNats,
    CutActive,
    FillDisk,
}

/// What any machine can do.
const ANYWHERE: [Deed; 10] = [
    Deed::KillActive,
    Deed::KillNats(0),
    Deed::KillOther,
    Deed::KillNats(1),
    Deed::KillPostgres,
    Deed::StopActive,
    Deed::KillNats(2),
    Deed::FreezeOther,
    Deed::FreezeActive,
    Deed::KillAll,
];

/// What takes root: namespaces and mounts.
const AS_ROOT: [Deed; 3] = [Deed::CutNats, Deed::CutActive, Deed::FillDisk];

/// Each deed once, twice with everything that takes root when it is not to be quick.
pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    report.stage("chaos");
    let mut cluster = Cluster::start(options)?;
    let generators = cluster.generators()?;
    let deeds = if options.quick { ANYWHERE.to_vec() } else { [&ANYWHERE[..], &AS_ROOT, &ANYWHERE, &AS_ROOT].concat() };
    let mut kills = Vec::new();
    for deed in &deeds {
        std::thread::sleep(BETWEEN);
        let (killed_us, began) = (now_us(), Instant::now());
        if let Err(error) = cluster.suffer(*deed) {
            cluster.nodes.iter_mut().for_each(|node| node.keep = options.keep);
            return Err(error.context(format!("{deed:?}; the nodes' logs end so:\n{}", cluster.logs())));
        }
        kills.push(Kill { killed_us, restarted_us: now_us() });
        eprintln!("  {deed:?}: all is well again after {:?}", began.elapsed());
    }
    std::thread::sleep(BETWEEN);
    let sent = generators.into_iter().map(Generator::stop).collect::<Result<Vec<_>>>()?;
    drain(&mut cluster.receivers, &sent)?;
    let acked = acknowledged(cluster.nodes[0].home(), &["acked-0", "acked-1"])?;
    report.add("chaos.deeds", deeds.len() as f64, "");
    report.add("chaos.acknowledged", acked.len() as f64, "events");
    report.add("chaos.refused", sent.iter().map(|sent| sent.refused_total()).sum::<u64>() as f64, "events");
    report.add("chaos.unanswered", sent.iter().map(|sent| sent.unanswered).sum::<u64>() as f64, "events");
    let pause = sent.iter().map(|sent| sent.longest_pause_us).max().unwrap_or(0);
    report.add("chaos.longest_interruption_of_intake_ms", pause as f64 / 1000.0, "ms");
    for ((name, _), receiver) in RECEIVERS.iter().zip(&mut cluster.receivers) {
        let path = cluster.nodes[0].home().join(name);
        receiver.save(&path)?;
        let arrivals = read_arrivals(&path)?;
        let pause = longest_pause(&arrivals);
        report.add(&format!("chaos.{name}.longest_interruption_of_delivery_ms"), pause as f64 / 1000.0, "ms");
        judge(&format!("chaos.{name}"), receiver, &arrivals, &acked, &kills, report)?;
    }
    for node in &cluster.nodes {
        report.require(node.panics().is_empty(), || format!("a node panicked: {:?}", node.panics()));
    }
    if options.keep && !report.is_whole() {
        cluster.nodes.iter_mut().for_each(|node| node.keep = true);
    }
    Ok(())
}

/// The longest time between two first arrivals.
fn longest_pause(arrivals: &[Arrival]) -> u64 {
    let mut times: Vec<u64> = arrivals.iter().map(|arrival| arrival.first_us).collect();
    times.sort_unstable();
    times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
}

/// The things that are dropped first end first.
struct Cluster {
    nodes: Vec<Server>,
    receivers: Vec<Receiver>,
    servers: Servers,
    /// A disk of its own for the first NATS server.
    disk: Option<Disk>,
    /// The last NATS server and the last node are in its namespaces.
    network: Option<Network>,
}

impl Cluster {
    fn start(options: &Options) -> Result<Self> {
        let as_root = !options.quick;
        let mut network = if as_root { Some(Network::new()?) } else { None };
        let disk = if as_root { Some(Disk::mount(options)?) } else { None };
        let own = if as_root { Network::own() } else { Ipv4Addr::LOCALHOST };
        let mut places = vec![Place { ip: own, ..Place::default() }; 3];
        places[0].store = disk.as_ref().map(|disk| disk.0.join("nats"));
        let (mut last, mut before) = (own, Vec::new());
        if let Some(network) = &mut network {
            let number = network.join()?;
            places[2] = Place { ip: Network::address(number), before: network.before(number), store: None };
            let number = network.join()?;
            (last, before) = (Network::address(number), network.before(number));
        }
        let servers = Servers::start_at(&options.dir, &places, own)?;
        let ports = free_ports(2)?;
        let flags = ["--retry-delays", "1s,1s,1s,1s,1s"];
        let first = Server::start_on(options, &flags, servers.environment(), SocketAddr::from((own, ports[0])))?;
        let mut cluster = Self { nodes: vec![first], receivers: Vec::new(), servers, disk, network };
        for (name, behaviour) in RECEIVERS {
            let spec = ReceiveSpec { listen: (own, 0).into(), behaviour, secret: Some(SECRET.into()) };
            let receiver = Receiver::start(&spec)?;
            // What is not answered counts as failed, and not as a reason to turn a webhook off.
            cluster.nodes[0].webhook(&receiver.url(0), &json!({"secret": SECRET, "name": name}))?;
            cluster.receivers.push(receiver);
        }
        let second = cluster.nodes[0].beside(options, SocketAddr::from((last, ports[1])), before)?;
        cluster.nodes.push(second);
        Ok(cluster)
    }

    /// Each goes to the next node when one is gone, and begins with another one.
    fn generators(&self) -> Result<Vec<Generator>> {
        let start = |n: usize| {
            Generator::start(&GenerateSpec {
                addr: self.nodes[n].addr,
                others: vec![self.nodes[1 - n].addr],
                shape: self.nodes[0].single(),
                connections: 16,
                rate: Some(RATE),
                seconds: f64::MAX,
                events: None,
                first: n as u64,
                stride: 2,
                resilient: true,
                acked: Some(self.nodes[0].home().join(format!("acked-{n}"))),
            })
        };
        (0..self.nodes.len()).map(start).collect()
    }

    /// Does it, and mends it after a while.
    fn suffer(&mut self, deed: Deed) -> Result<()> {
        match deed {
            Deed::KillActive | Deed::KillOther => {
                let active = self.active()?;
                let node = if deed == Deed::KillActive { active } else { 1 - active };
                self.nodes[node].kill()?;
                self.wait_for_active(1 - node)?;
                self.nodes[node].spawn()?;
            }
            Deed::StopActive => {
                let active = self.active()?;
                self.nodes[active].process()?.signal("TERM")?;
                self.wait_for_active(1 - active)?;
                self.nodes[active].wait_until_ended()?;
                self.nodes[active].spawn()?;
            }
            Deed::KillNats(n) => {
                self.servers.nats[n].kill()?;
                std::thread::sleep(BETWEEN);
                self.servers.nats[n].start()?;
            }
            Deed::KillPostgres => {
                self.servers.postgres.kill()?;
                std::thread::sleep(BETWEEN);
                self.servers.postgres.start()?;
                self.servers.postgres.wait_for_postgres()?;
            }
            Deed::KillAll => {
                self.nodes.iter_mut().try_for_each(Server::kill)?;
                self.servers.all().try_for_each(Daemon::kill)?;
                self.servers.all().try_for_each(Daemon::start)?;
                self.servers.postgres.wait_for_postgres()?;
                self.nodes.iter_mut().try_for_each(Server::spawn)?;
            }
            Deed::FreezeOther => {
                let active = self.active()?;
                let process = self.nodes[1 - active].process()?;
                process.signal("STOP")?;
                std::thread::sleep(Duration::from_secs(6));
                process.signal("CONT")?;
            }
            Deed::FreezeActive => {
                let active = self.active()?;
                self.nodes[active].process()?.signal("STOP")?;
                self.wait_for_active(1 - active)?;
                self.nodes[active].process()?.signal("CONT")?;
                self.restart_replaced(active)?;
            }
            Deed::CutNats => self.cut(0, Duration::from_secs(10))?,
            Deed::CutActive => {
                if self.active()? == 0 {
                    self.suffer(Deed::KillActive)?;
                }
                self.cut(1, Duration::from_secs(30))?;
                self.restart_replaced(1)?;
            }
            Deed::FillDisk => {
                let disk = self.disk.as_ref().context("no disk to fill")?;
                disk.fill()?;
                std::thread::sleep(Duration::from_secs(10));
                disk.free()?;
                // It does without its stream from then on, until somebody looks after it.
                self.servers.nats[0].kill()?;
                self.servers.nats[0].start()?;
            }
        }
        self.wait_until_well()
    }

    /// Starts a node again that was replaced: it ends when it finds that out.
    fn restart_replaced(&mut self, node: usize) -> Result<()> {
        self.nodes[node].wait_until_ended()?;
        self.nodes[node].spawn()
    }

    fn cut(&self, number: usize, time: Duration) -> Result<()> {
        let network = self.network.as_ref().context("no network to cut")?;
        network.cut(number, true)?;
        std::thread::sleep(time);
        network.cut(number, false)
    }

    fn logs(&self) -> String {
        let of_node = |node: &Server| format!("--- {}\n{}\n", node.addr, node.log_end());
        let of_server = |server: &Daemon| format!("--- {}\n{}\n", server.name, server.log_end());
        self.nodes.iter().map(of_node).chain(self.servers.nats.iter().map(of_server)).collect()
    }

    fn is_active(&mut self, node: usize) -> bool {
        let metrics = self.nodes[node].api.text("/metrics");
        metrics.is_ok_and(|text| text.contains("fanfare_cluster_active 1\n"))
    }

    fn active(&mut self) -> Result<usize> {
        let began = Instant::now();
        loop {
            if let Some(node) = (0..self.nodes.len()).find(|node| self.is_active(*node)) {
                return Ok(node);
            }
            ensure!(began.elapsed() < PATIENCE, "no node is active after {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn wait_for_active(&mut self, node: usize) -> Result<()> {
        let began = Instant::now();
        while !self.is_active(node) {
            self.nodes[node].spawn_if_ended()?;
            ensure!(began.elapsed() < PATIENCE, "node {node} is not active after {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Every node answers, and the active one has the other one beside it.
    fn wait_until_well(&mut self) -> Result<()> {
        let began = Instant::now();
        loop {
            // As what keeps it running would: one ends when another one was active before it had its hold again.
            self.nodes.iter_mut().try_for_each(Server::spawn_if_ended)?;
            let active = self.active()?;
            let metrics = self.nodes[active].api.text("/metrics").unwrap_or_default();
            if metrics.contains("fanfare_cluster_peers 1\n") && self.nodes.iter_mut().all(Server::is_ready) {
                return Ok(());
            }
            ensure!(began.elapsed() < PATIENCE, "the nodes do not find each other");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A small disk in memory.
struct Disk(PathBuf);

impl Disk {
    fn mount(options: &Options) -> Result<Self> {
        let path = options.dir.join(format!("fanfare-disk-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        let size = format!("size={DISK}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path).status()?;
        ensure!(mounted.success(), "a disk to fill needs root");
        Ok(Self(path))
    }

    fn fill(&self) -> Result<()> {
        // It ends with an error when nothing more fits, and has written as much as fits then.
        let to = format!("of={}", self.filler().display());
        Command::new("dd").args(["if=/dev/zero", "bs=64k", &to]).stderr(Stdio::null()).status()?;
        Ok(())
    }

    fn free(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.filler())?)
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Best effort on the way out: its server has been killed before.
        drop(Command::new("umount").arg(&self.0).status());
        drop(std::fs::remove_dir(&self.0));
    }
}
