//! The server under test: a data directory of its own, started, watched and ended by the runner.

use crate::http::Client;
use crate::options::Options;
use crate::wire::Shape;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a server may take until it is ready, or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A data directory and the server that runs on it.
#[derive(Debug)]
pub struct Server {
    bin: PathBuf,
    home: PathBuf,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    /// What is put before the command: a network namespace, mostly.
    before: Vec<String>,
    keys: Keys,
    child: Option<Child>,
    /// Keep the directory when this is dropped.
    pub keep: bool,
    /// Where it listens.
    pub addr: SocketAddr,
    /// The management API.
    pub api: Client,
}

#[derive(Debug, Clone)]
struct Keys {
    integration_key: String,
    track_secret: String,
    agent_key: String,
}

/// A subscription of the server, by its keys.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Of its app.
    pub track_secret: String,
    /// For the management API.
    pub integration_key: String,
}

impl Server {
    /// Prepares a new data directory and starts a server on it with additional flags.
    pub fn start(options: &Options, flags: &[&str]) -> Result<Self> {
        Self::start_on(options, flags, Vec::new(), free_address()?)
    }

    /// The same with further environment, and where it is to listen.
    pub fn start_on(
        options: &Options,
        flags: &[&str],
        environment: Vec<(String, String)>,
        addr: SocketAddr,
    ) -> Result<Self> {
        let home = new_directory(&options.dir)?;
        let bin = std::path::absolute(&options.server_bin)?;
        if !bin.is_file() {
            bail!("there is no server at {}: build it first, or name it with --server-bin", bin.display());
        }
        let mut init = Command::new(&bin);
        init.arg("init").arg("--data-dir").arg(home.join("data")).arg("--json");
        let init = init.envs(environment.iter().cloned()).output()?;
        if !init.status.success() {
            bail!("fanfare init failed: {}", String::from_utf8_lossy(&init.stderr));
        }
        let answer: Value = serde_json::from_slice(&init.stdout).context("init's answer")?;
        let text = |name: &str| answer[name].as_str().map(str::to_owned).with_context(|| format!("init: no {name}"));
        let integration_key = text("integration_key")?;
        let mut server = Self {
            api: Client::new(addr, &integration_key),
            keys: Keys { integration_key, track_secret: text("track_secret")?, agent_key: text("agent_key")? },
            flags: flags.iter().map(ToString::to_string).collect(),
            environment,
            before: Vec::new(),
            child: None,
            keep: false,
            bin,
            home,
            addr,
        };
        server.serve()?;
        Ok(server)
    }

    /// One more node on the same servers, which listens there. `before` is put before its command.
    pub fn beside(&self, options: &Options, addr: SocketAddr, before: Vec<String>) -> Result<Self> {
        let mut server = Self {
            api: Client::new(addr, &self.keys.integration_key),
            keys: self.keys.clone(),
            flags: self.flags.clone(),
            environment: self.environment.clone(),
            before,
            child: None,
            keep: false,
            bin: self.bin.clone(),
            home: new_directory(&options.dir)?,
            addr,
        };
        server.serve()?;
        Ok(server)
    }

    /// Starts the server on its data directory and waits until it is ready.
    pub fn serve(&mut self) -> Result<()> {
        self.spawn()?;
        self.wait_until_ready()
    }

    /// Starts the server and does not wait for it.
    pub fn spawn(&mut self) -> Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(self.log())?;
        let (program, arguments) = match self.before.split_first() {
            Some((before, arguments)) => {
                (PathBuf::from(before), [arguments, &[self.bin.display().to_string()]].concat())
            }
            None => (self.bin.clone(), Vec::new()),
        };
        let child = Command::new(program)
            .args(arguments)
            .envs(self.environment.iter().cloned())
            .args(["serve", "--listen", &self.addr.to_string(), "--allow-private", "--data-dir"])
            .arg(self.data_dir())
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until it is ready.
    pub fn wait_until_ready(&mut self) -> Result<()> {
        let began = Instant::now();
        while !self.is_ready() {
            if let Some(status) = self.child.as_mut().context("no server")?.try_wait()? {
                bail!("the server ended with {status} while starting:\n{}", self.log_end());
            }
            if began.elapsed() > PATIENCE {
                bail!("the server was not ready after {PATIENCE:?}:\n{}", self.log_end());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Makes one more subscription.
    pub fn subscribe(&self, name: &str) -> Result<Subscription> {
        let made = Command::new(&self.bin)
            .args(["operator", "subscriptions", "create", "--json", "--name", name, "--data-dir"])
            .arg(self.data_dir())
            .args(["--server", &format!("http://{}", self.addr)])
            .output()?;
        if !made.status.success() {
            bail!("making a subscription failed: {}", String::from_utf8_lossy(&made.stderr));
        }
        let answer: Value = serde_json::from_slice(&made.stdout).context("the new subscription")?;
        let text = |name: &str| answer[name].as_str().map(str::to_owned).with_context(|| format!("no {name}"));
        Ok(Subscription { track_secret: text("track_secret")?, integration_key: text("integration_key")? })
    }

    /// Creates a webhook that is on.
    pub fn webhook(&mut self, url: &str, settings: &Value) -> Result<String> {
        let place = if settings["type"] == "segment" { "endpoint" } else { "url" };
        let mut body = json!({"name": "bench", "type": "url", place: url, "categories": ["track_events"]});
        if let (Some(body), Some(settings)) = (body.as_object_mut(), settings.as_object()) {
            body.extend(settings.clone());
        }
        let created = self.api.call("POST", "/api/v1/webhooks", Some(&body))?;
        let id = created["id"].as_str().context("the created webhook has no id")?.to_owned();
        self.switch(&id, true)?;
        Ok(id)
    }

    /// Makes exclusions of a CSV file.
    pub fn exclude(&mut self, csv: &str) -> Result<()> {
        let (status, answer) = self.api.send("POST", "/api/v1/exclusions.csv", "text/csv", csv)?;
        if status != 200 {
            bail!("the exclusions were answered with {status}: {answer}");
        }
        Ok(())
    }

    /// Switches a webhook on or off.
    pub fn switch(&mut self, webhook: &str, on: bool) -> Result<()> {
        let path = format!("/api/v1/webhooks/{webhook}");
        self.api.call("PATCH", &path, Some(&json!({"enabled": on}))).map(drop)
    }

    /// Single events through the Track API.
    pub fn single(&self) -> Shape {
        Shape::Track { secrets: vec![self.keys.track_secret.clone()] }
    }

    /// Batches as the agent sends them.
    pub fn batch(&self, items: usize) -> Shape {
        Shape::Batch { key: self.keys.agent_key.clone(), items }
    }

    /// CPU time that the server has used since its start.
    pub fn cpu_us(&self) -> Result<u64> {
        self.process()?.cpu_us()
    }

    /// Resident memory in KiB.
    pub fn rss_kib(&self) -> Result<u64> {
        self.process()?.rss_kib()
    }

    /// What the kernel tells of the server.
    pub fn process(&self) -> Result<Process> {
        Ok(Process(self.child.as_ref().context("the server is not running")?.id()))
    }

    /// kill -9.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Whether it says that it is ready.
    pub fn is_ready(&mut self) -> bool {
        matches!(self.api.exchange("GET", "/readyz", None), Ok((200, _)))
    }

    /// Starts it again where it has ended by itself.
    pub fn spawn_if_ended(&mut self) -> Result<()> {
        if self.child.as_mut().context("no server")?.try_wait()?.is_some() {
            self.spawn()?;
        }
        Ok(())
    }

    /// Waits until it has ended by itself.
    pub fn wait_until_ended(&mut self) -> Result<()> {
        let began = Instant::now();
        while self.child.as_mut().context("the server is not running")?.try_wait()?.is_none() {
            if began.elapsed() > PATIENCE {
                bail!("the server had not ended after {PATIENCE:?}:\n{}", self.log_end());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.child = None;
        Ok(())
    }

    /// SIGTERM; it must end with 0 in time.
    pub fn stop(mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        Process::of(child.id()).signal("TERM")?;
        let began = Instant::now();
        loop {
            match child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("the server ended with {status} after SIGTERM:\n{}", self.log_end()),
                None if began.elapsed() > PATIENCE => {
                    child.kill()?;
                    child.wait()?;
                    bail!("the server had not ended {PATIENCE:?} after SIGTERM");
                }
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Where the runner keeps what belongs to this server.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.home.join("data")
    }

    /// The program.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// Lines of the log that tell of a panic.
    pub fn panics(&self) -> Vec<String> {
        let log = std::fs::read(self.log()).unwrap_or_default();
        String::from_utf8_lossy(&log).lines().filter(|line| line.contains("panicked at")).map(str::to_owned).collect()
    }

    fn log(&self) -> PathBuf {
        self.home.join("server.log")
    }

    /// What it has logged last.
    pub fn log_end(&self) -> String {
        let log = std::fs::read(self.log()).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(4000)..]).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Best effort on the way out: an error here would hide the one that led here.
        drop(self.kill());
        if self.keep {
            eprintln!("kept {}", self.home.display());
        } else {
            drop(std::fs::remove_dir_all(&self.home));
        }
    }
}

/// What the kernel counts CPU time in.
const US_PER_TICK: u64 = 10_000;

/// A process, as the kernel's accounting knows it.
#[derive(Debug, Clone, Copy)]
pub struct Process(u32);

impl Process {
    /// The process with this number.
    pub fn of(pid: u32) -> Self {
        Self(pid)
    }

    /// Whether it is there.
    pub fn is_there(self) -> bool {
        Path::new(&self.file("stat")).exists()
    }

    /// The processes that it has started and that run.
    pub fn children(self) -> Result<Vec<Self>> {
        let mut children = Vec::new();
        for task in std::fs::read_dir(self.file("task"))? {
            // A thread may have ended meanwhile.
            let text = std::fs::read_to_string(task?.path().join("children")).unwrap_or_default();
            children.extend(text.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Self));
        }
        Ok(children)
    }

    /// CPU time of it and of all processes that it has started, those that have ended too.
    pub fn family_cpu_us(self) -> Result<u64> {
        let ended = self.ticks([16, 17])? * US_PER_TICK;
        // One that ends right now is counted with its parent the next time.
        let running: u64 = self.children()?.into_iter().filter_map(|child| child.cpu_us().ok()).sum();
        Ok(self.cpu_us()? + ended + running)
    }

    /// Sends it a signal, by its name without SIG.
    pub fn signal(self, name: &str) -> Result<()> {
        // The standard library sends SIGKILL only; `kill` is everywhere. One that has ended needs no signal.
        Command::new("kill").args([&format!("-{name}"), &self.0.to_string()]).stderr(Stdio::null()).status()?;
        Ok(())
    }

    /// CPU time that it has used (a hundredth of a second fine).
    pub fn cpu_us(self) -> Result<u64> {
        Ok(self.ticks([14, 15])? * US_PER_TICK)
    }

    /// The sum of two fields of its `stat`.
    fn ticks(self, fields: [usize; 2]) -> Result<u64> {
        let stat = std::fs::read_to_string(self.file("stat"))?;
        // The command's name stands in brackets and may hold anything; the fields after it are numbered from 3.
        let all: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |number: usize| -> Result<u64> { Ok(all.get(number - 3).context("short stat")?.parse()?) };
        Ok(ticks(fields[0])? + ticks(fields[1])?)
    }

    /// Resident memory in KiB.
    pub fn rss_kib(self) -> Result<u64> {
        self.status("VmRSS")
    }

    /// Its threads.
    pub fn threads(self) -> Result<u64> {
        self.status("Threads")
    }

    /// Open files: connections, mostly.
    pub fn open_files(self) -> Result<u64> {
        Ok(std::fs::read_dir(self.file("fd"))?.count() as u64)
    }

    fn status(self, name: &str) -> Result<u64> {
        let status = std::fs::read_to_string(self.file("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
        line.trim_start_matches(':').trim().trim_end_matches("kB").trim().parse().with_context(|| name.to_owned())
    }

    fn file(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0))
    }
}

/// An address that is free now.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// An address that is free now and whose port the kernel gives to no outgoing connection, so that it can be left and
/// taken again.
pub fn free_listen_address() -> Result<SocketAddr> {
    free_ports(1).map(|ports| ([127, 0, 0, 1], ports[0]).into())
}

/// Several such ports, free on every address.
pub fn free_ports(count: usize) -> Result<Vec<u16>> {
    const PORTS: std::ops::Range<u16> = 15_000..30_000;
    /// Behind those that were given before: they may not be taken yet.
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id() + GIVEN.fetch_add(count as u32, Ordering::Relaxed);
    let first = PORTS.start + (begin % PORTS.len() as u32) as u16;
    let all = (first..PORTS.end).chain(PORTS.start..first);
    let free: Vec<u16> = all.filter(|port| TcpListener::bind(("0.0.0.0", *port)).is_ok()).take(count).collect();
    if free.len() < count {
        bail!("fewer than {count} ports of {PORTS:?} are free");
    }
    Ok(free)
}

/// A directory that nobody else has, named after this process.
fn new_directory(parent: &Path) -> Result<PathBuf> {
    for number in 0.. {
        let path = parent.join(format!("fanfare-bench-{}-{number}", std::process::id()));
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok(std::path::absolute(path)?),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("making {}", path.display())),
        }
    }
    bail!("no free name in {}", parent.display())
}
