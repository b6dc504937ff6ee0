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
use std::time::{Duration, Instant};

/// How long a server may take until it is ready, or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A data directory and the server that runs on it.
#[derive(Debug)]
pub struct Server {
    bin: PathBuf,
    home: PathBuf,
    flags: Vec<String>,
    keys: Keys,
    child: Option<Child>,
    /// Keep the directory when this is dropped.
    pub keep: bool,
    /// Where it listens.
    pub addr: SocketAddr,
    /// The management API.
    pub api: Client,
}

#[derive(Debug)]
struct Keys {
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
        let home = new_directory(&options.dir)?;
        let bin = std::path::absolute(&options.server_bin)?;
        if !bin.is_file() {
            bail!("there is no server at {}: build it first, or name it with --server-bin", bin.display());
        }
        let init = Command::new(&bin).arg("init").arg("--data-dir").arg(home.join("data")).arg("--json").output()?;
        if !init.status.success() {
            bail!("fanfare init failed: {}", String::from_utf8_lossy(&init.stderr));
        }
        let answer: Value = serde_json::from_slice(&init.stdout).context("init's answer")?;
        let text = |name: &str| answer[name].as_str().map(str::to_owned).with_context(|| format!("init: no {name}"));
        let addr = free_address()?;
        let mut server = Self {
            api: Client::new(addr, &text("integration_key")?),
            keys: Keys { track_secret: text("track_secret")?, agent_key: text("agent_key")? },
            flags: flags.iter().map(ToString::to_string).collect(),
            child: None,
            keep: false,
            bin,
            home,
            addr,
        };
        server.serve()?;
        Ok(server)
    }

    /// Starts the server on its data directory and waits until it is ready.
    pub fn serve(&mut self) -> Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(self.log())?;
        let child = Command::new(&self.bin)
            .args(["serve", "--listen", &self.addr.to_string(), "--allow-private", "--data-dir"])
            .arg(self.data_dir())
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        let began = Instant::now();
        while !matches!(self.api.exchange("GET", "/readyz", None), Ok((200, _))) {
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

    /// SIGTERM; it must end with 0 in time.
    pub fn stop(mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        // The standard library sends SIGKILL only; `kill` is everywhere.
        Command::new("kill").arg(child.id().to_string()).status()?;
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

    fn log_end(&self) -> String {
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

/// A process, as the kernel's accounting knows it.
#[derive(Debug, Clone, Copy)]
pub struct Process(u32);

impl Process {
    /// CPU time that it has used (a hundredth of a second fine).
    pub fn cpu_us(self) -> Result<u64> {
        let stat = std::fs::read_to_string(self.file("stat"))?;
        // The command's name stands in brackets and may hold anything; the fields after it are numbered from 3.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |number: usize| -> Result<u64> { Ok(fields.get(number - 3).context("short stat")?.parse()?) };
        const US_PER_TICK: u64 = 10_000;
        Ok((ticks(14)? + ticks(15)?) * US_PER_TICK)
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
    const PORTS: std::ops::Range<u16> = 15_000..30_000;
    let first = PORTS.start + (std::process::id() % PORTS.len() as u32) as u16;
    for port in (first..PORTS.end).chain(PORTS.start..first) {
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return Ok(listener.local_addr()?);
        }
    }
    bail!("no port of {PORTS:?} is free")
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
