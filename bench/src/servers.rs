//! PostgreSQL and NATS servers as processes of the runner's own, on loopback, in a directory that goes with them. They sync to
//! their disk as they do by default.

use crate::server::{Process, free_ports};
use anyhow::{Context, Result, bail};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// The master key of the nodes on them: nothing is sealed with it that outlives a run.
const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The servers of one cluster.
#[derive(Debug)]
pub struct Servers {
    dir: PathBuf,
    /// NATS servers, of which each has every message.
    pub nats: Vec<Daemon>,
    /// The database.
    pub postgres: Daemon,
}

/// A server that can be killed and started again.
#[derive(Debug)]
pub struct Daemon {
    /// What it is called in reports.
    pub name: String,
    /// Where it listens.
    pub addr: SocketAddr,
    command: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
}

impl Servers {
    /// Starts this many NATS servers and a PostgreSQL server.
    pub fn start(parent: &Path, nats: usize) -> Result<Self> {
        let places: Vec<Place> = (0..nats).map(|_| Place::default()).collect();
        Self::start_at(parent, &places, Ipv4Addr::LOCALHOST)
    }

    /// Starts a NATS server at each of these places, and a PostgreSQL server that listens at this address.
    pub fn start_at(parent: &Path, nats: &[Place], postgres: Ipv4Addr) -> Result<Self> {
        let dir = parent.join(format!("fanfare-servers-{}-{}", std::process::id(), nats.len()));
        std::fs::create_dir(&dir).with_context(|| format!("making {}", dir.display()))?;
        let started = Self::start_in(&dir, nats, postgres);
        if started.is_err() {
            drop(std::fs::remove_dir_all(&dir));
        }
        started
    }

    fn start_in(dir: &Path, places: &[Place], listens: Ipv4Addr) -> Result<Self> {
        let postgres = postgres(dir, listens)?;
        let mut servers = Self { dir: dir.to_owned(), nats: nats(dir, places)?, postgres };
        servers.all().try_for_each(Daemon::start)?;
        servers.postgres.wait_for_postgres()?;
        servers.postgres.sql("postgres", "CREATE DATABASE fanfare")?;
        Ok(servers)
    }

    /// How a node is told of them.
    pub fn environment(&self) -> Vec<(String, String)> {
        let urls: Vec<String> = self.nats.iter().map(|server| format!("nats://{}", server.addr)).collect();
        let pairs = [
            ("FANFARE_STORE", format!("postgres://fanfare@{}/fanfare", self.postgres.addr)),
            ("FANFARE_MASTER_KEY", String::from(MASTER_KEY)),
            ("FANFARE_JOURNAL", urls.join(",")),
            ("FANFARE_JOURNAL_REPLICAS", self.nats.len().to_string()),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// Each of them.
    pub fn all(&mut self) -> impl Iterator<Item = &mut Daemon> {
        self.nats.iter_mut().chain([&mut self.postgres])
    }

    /// CPU time that the NATS servers have used.
    pub fn nats_cpu_us(&self) -> Result<u64> {
        self.nats.iter().map(|server| server.process()?.cpu_us()).sum()
    }

    /// Transactions of the database.
    pub fn transactions(&self) -> Result<u64> {
        let sql = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'fanfare'";
        Ok(self.postgres.sql("postgres", sql)?.trim().parse()?)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // Best effort on the way out: an error here would hide the one that led here.
        self.all().for_each(|daemon| drop(daemon.kill()));
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

impl Daemon {
    /// Starts it, for the first time or again.
    pub fn start(&mut self) -> Result<()> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log)?;
        let (program, arguments) = self.command.split_first().context("no command")?;
        let child =
            Command::new(program).args(arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        self.child = Some(child.with_context(|| format!("starting {program}"))?);
        let began = Instant::now();
        while TcpStream::connect(self.addr).is_err() {
            let ended = self.child.as_mut().context("it was not started")?.try_wait()?;
            if ended.is_some() || began.elapsed() > PATIENCE {
                bail!("{} does not start:\n{}", self.name, self.log_end());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// kill -9, of all its processes.
    pub fn kill(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let children = Process::of(child.id()).children()?;
        child.kill()?;
        child.wait()?;
        for process in &children {
            process.signal("KILL")?;
        }
        // What they hold must be free before it starts again.
        let began = Instant::now();
        while children.iter().any(|process| process.is_there()) && began.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// What the kernel tells of it.
    pub fn process(&self) -> Result<Process> {
        Ok(Process::of(self.child.as_ref().with_context(|| format!("{} is not running", self.name))?.id()))
    }

    /// Waits until the database answers.
    pub fn wait_for_postgres(&self) -> Result<()> {
        let began = Instant::now();
        while let Err(error) = self.sql("postgres", "SELECT 1") {
            if began.elapsed() > PATIENCE {
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Asks the database; the answer's text.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let url = format!("postgres://fanfare@{}/{database}", self.addr);
        let output = Command::new(postgres_program("psql")?).args(["-X", "-A", "-t", "-c", sql, &url]).output()?;
        if !output.status.success() {
            bail!("psql: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// What it has logged last.
    pub fn log_end(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(2000)..]).into_owned()
    }
}

/// Where a NATS server runs.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its address.
    pub ip: Ipv4Addr,
    /// What is put before its command: a network namespace.
    pub before: Vec<String>,
    /// Where it keeps its messages, when not beside the others.
    pub store: Option<PathBuf>,
}

impl Default for Place {
    fn default() -> Self {
        Self { ip: Ipv4Addr::LOCALHOST, before: Vec::new(), store: None }
    }
}

fn nats(dir: &Path, places: &[Place]) -> Result<Vec<Daemon>> {
    let program = nats_program()?;
    let ports = free_ports(2 * places.len())?;
    let (clients, routes) = ports.split_at(places.len());
    let all_routes = places.iter().zip(routes).map(|(place, port)| format!("\"nats://{}:{port}\"", place.ip));
    let all_routes = all_routes.collect::<Vec<_>>().join(", ");
    let one = |(n, place): (usize, &Place)| {
        let config = dir.join(format!("nats-{n}.conf"));
        let store = place.store.clone().unwrap_or_else(|| dir.join(format!("nats-{n}")));
        let (ip, port) = (place.ip, clients[n]);
        let mut text = format!(
            "server_name: nats-{n}\nlisten: \"{ip}:{port}\"\nmax_payload: 4MB\n\
             jetstream {{ store_dir: \"{}\", max_file_store: 20GB, limits {{ batch {{ max_msgs: 5000 }} }} }}\n",
            store.display()
        );
        if places.len() > 1 {
            text += &format!("cluster {{ name: bench, listen: \"{ip}:{}\", routes: [{all_routes}] }}\n", routes[n]);
        }
        std::fs::write(&config, text)?;
        let command = [program.display().to_string(), String::from("-c"), config.display().to_string()];
        let command = [place.before.clone(), command.into()].concat();
        let (name, log) = (format!("nats-{n}"), dir.join(format!("nats-{n}.log")));
        Ok(Daemon { name, addr: SocketAddr::from((ip, port)), command, log, child: None })
    };
    places.iter().enumerate().map(one).collect()
}

fn postgres(dir: &Path, listens: Ipv4Addr) -> Result<Daemon> {
    let data = dir.join("postgres");
    let addr = SocketAddr::from((listens, free_ports(1)?[0]));
    let as_user = as_postgres(dir)?;
    let run = |command: Vec<String>| [as_user.clone(), command].concat();
    let path = |path: &Path| path.display().to_string();
    let init = run(vec![path(&postgres_program("initdb")?), String::from("-D"), path(&data)]);
    let output = Command::new(&init[0])
        .args(&init[1..])
        .args(["-A", "trust", "-U", "fanfare", "-E", "UTF8", "--no-locale"])
        .output()
        .with_context(|| format!("running {}", init[0]))?;
    if !output.status.success() {
        bail!("initdb failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    // Also for those who come from another namespace.
    let hba = std::fs::OpenOptions::new().append(true).open(data.join("pg_hba.conf"));
    hba?.write_all(b"host all all samenet trust\n")?;
    let command = vec![path(&postgres_program("postgres")?), String::from("-D"), path(&data)];
    let settings = [
        format!("port={}", addr.port()),
        format!("listen_addresses={listens}"),
        format!("unix_socket_directories={}", dir.display()),
    ];
    let settings = settings.into_iter().flat_map(|setting| [String::from("-c"), setting]);
    let command = run(command.into_iter().chain(settings).collect());
    Ok(Daemon { name: String::from("postgres"), addr, command, log: dir.join("postgres.log"), child: None })
}

/// PostgreSQL refuses to run as root: what is put before its commands then.
fn as_postgres(dir: &Path) -> Result<Vec<String>> {
    let id = |arguments: &[&str]| -> Result<String> {
        Ok(String::from_utf8(Command::new("id").args(arguments).output()?.stdout)?.trim().to_owned())
    };
    if id(&["-u"])? != "0" {
        return Ok(Vec::new());
    }
    let user =
        id(&["-u", "postgres"])?.parse().context("there is no user postgres, and PostgreSQL does not run as root")?;
    std::os::unix::fs::chown(dir, Some(user), None)?;
    let command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"];
    Ok(command.map(String::from).into())
}

/// A program of PostgreSQL's, which Debian keeps out of the path.
fn postgres_program(name: &str) -> Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin").join(name)).collect();
    found.retain(|path| path.is_file());
    found.sort();
    found.pop().or_else(|| in_path(name)).with_context(|| format!("{name} is missing (Debian: postgresql)"))
}

fn nats_program() -> Result<PathBuf> {
    let tools = std::env::var_os("TOOLS")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/fanfare-tools")));
    let installed = tools.map(|tools| tools.join("python/bin/nats-server")).filter(|path| path.is_file());
    installed.or_else(|| in_path("nats-server")).context("nats-server is missing: `make tools` installs it")
}

fn in_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}
