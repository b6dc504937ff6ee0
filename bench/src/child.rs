//! The generator and the receivers as processes of their own. Each answers a line on its stdin with a line of JSON, and
//! ends when its stdin closes, so that none outlives the runner.

use crate::generate::{GenerateResult, GenerateSpec};
use crate::receive::{Behaviour, ReceiveReport, ReceiveSpec};
use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A subcommand of this program, running.
#[derive(Debug)]
pub struct Helper {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Helper {
    /// Starts `fanfare-bench <command> <spec as JSON>`.
    pub fn spawn(command: &str, spec: &impl Serialize) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(command)
            .arg(serde_json::to_string(spec)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {command}"))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("the helper has no stdout")?;
        Ok(Self { child, stdin, stdout: BufReader::new(stdout) })
    }

    /// Sends one line.
    pub fn send(&mut self, line: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().context("the helper was already told to end")?;
        writeln!(stdin, "{line}").context("a helper process has ended early")
    }

    /// Reads one line of JSON.
    pub fn receive<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line)? == 0 {
            bail!("a helper process has ended without an answer");
        }
        serde_json::from_str(&line).with_context(|| format!("a helper's answer {line:?}"))
    }

    /// Closes its stdin and waits for its end.
    pub fn end(mut self) -> Result<()> {
        drop(self.stdin.take());
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Helper {
    /// An error on the way must not leave a process behind.
    fn drop(&mut self) {
        drop(self.stdin.take());
        // Already gone is fine: `end` waited for it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A running receiver.
#[derive(Debug)]
pub struct Receiver {
    helper: Helper,
    /// Where it listens.
    pub addr: SocketAddr,
}

impl Receiver {
    /// Starts one and waits until it listens.
    pub fn start(spec: &ReceiveSpec) -> Result<Self> {
        let mut helper = Helper::spawn("receive", spec)?;
        let addr = helper.receive().context("the receiver's address")?;
        Ok(Self { helper, addr })
    }

    /// The URL of one of its lanes.
    pub fn url(&self, lane: usize) -> String {
        format!("http://{}/{lane}", self.addr)
    }

    /// What it has seen so far.
    pub fn report(&mut self) -> Result<ReceiveReport> {
        self.helper.send("report")?;
        self.helper.receive()
    }

    /// Forgets what it has seen.
    pub fn reset(&mut self) -> Result<()> {
        self.helper.send("reset")?;
        self.helper.receive::<bool>().map(drop)
    }

    /// Behaves like this from now on; its open connections end, as at a restart.
    pub fn behave(&mut self, behaviour: Behaviour) -> Result<()> {
        self.helper.send(&format!("behave {}", serde_json::to_string(&behaviour)?))?;
        self.helper.receive::<bool>().map(drop)
    }

    /// Writes what it has seen of each sequence number to a file, see [`crate::receive::read_arrivals`].
    pub fn save(&mut self, path: &Path) -> Result<()> {
        self.helper.send(&format!("save {}", path.display()))?;
        if self.helper.receive::<bool>()? { Ok(()) } else { bail!("the receiver could not write {}", path.display()) }
    }

    /// Waits until it has seen `wanted` deliveries; fails when `patience` passes without a new one.
    pub fn wait_for(&mut self, wanted: u64, patience: Duration) -> Result<ReceiveReport> {
        let mut last = (0, Instant::now());
        loop {
            let report = self.report()?;
            if report.delivered >= wanted {
                return Ok(report);
            }
            if report.delivered != last.0 {
                last = (report.delivered, Instant::now());
            }
            if last.1.elapsed() > patience {
                bail!("only {} of {wanted} deliveries arrived, and none for {patience:?}", report.delivered);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A running generator.
#[derive(Debug)]
pub struct Generator(Helper);

impl Generator {
    /// Starts one; it sends at once.
    pub fn start(spec: &GenerateSpec) -> Result<Self> {
        Helper::spawn("generate", spec).map(Self)
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Result<GenerateResult> {
        let result = self.0.receive()?;
        self.0.end()?;
        Ok(result)
    }

    /// Tells it to send nothing more, then waits for its end.
    pub fn stop(mut self) -> Result<GenerateResult> {
        self.0.send("stop")?;
        self.finish()
    }
}
