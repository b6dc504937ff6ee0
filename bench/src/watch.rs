//! Watches what the server takes while something else is measured.

use crate::http::Client;
use crate::server::{Process, Server};
use anyhow::{Context, Result, anyhow, bail};
use std::net::SocketAddr;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Time between two looks. Each reads the server's metrics, which costs it a fraction of a millisecond.
const EVERY: Duration = Duration::from_millis(250);

/// How long the records may take to catch up.
const PATIENCE: Duration = Duration::from_secs(120);

/// The most that was seen of each.
#[derive(Debug, Clone, Copy, Default)]
pub struct Peaks {
    /// Resident memory in KiB.
    pub rss_kib: u64,
    /// Open files: connections, mostly.
    pub open_files: u64,
    /// Threads.
    pub threads: u64,
    /// Requests in flight to receivers.
    pub in_flight: u64,
    /// Retries that wait for their time.
    pub waiting_retries: u64,
    /// Lanes that probe a silent receiver.
    pub narrowed: u64,
    /// Entries of the journal that the records have not taken in.
    pub projection_lag: u64,
}

impl Peaks {
    /// The larger of each.
    pub fn or(self, other: Self) -> Self {
        Self {
            rss_kib: self.rss_kib.max(other.rss_kib),
            open_files: self.open_files.max(other.open_files),
            threads: self.threads.max(other.threads),
            in_flight: self.in_flight.max(other.in_flight),
            waiting_retries: self.waiting_retries.max(other.waiting_retries),
            narrowed: self.narrowed.max(other.narrowed),
            projection_lag: self.projection_lag.max(other.projection_lag),
        }
    }
}

/// Waits until the records have taken in everything that the journal holds.
pub fn wait_for_records(server: &Server) -> Result<()> {
    let (process, began) = (server.process()?, Instant::now());
    let mut client = Client::new(server.addr, "");
    while look(process, &mut client)?.projection_lag > 0 {
        if began.elapsed() > PATIENCE {
            bail!("the records are still behind after {PATIENCE:?}");
        }
        std::thread::sleep(EVERY);
    }
    Ok(())
}

/// A thread that looks again and again.
#[derive(Debug)]
pub struct Watcher {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<Result<Peaks>>,
}

impl Watcher {
    /// Begins.
    pub fn start(server: &Server) -> Result<Self> {
        let (process, addr) = (server.process()?, server.addr);
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new().spawn(move || watch(process, addr, &stopped))?;
        Ok(Self { stop, thread })
    }

    /// Ends; the most that was seen.
    pub fn stop(self) -> Result<Peaks> {
        drop(self.stop);
        self.thread.join().map_err(|_| anyhow!("the watching thread panicked"))?
    }
}

fn watch(process: Process, addr: SocketAddr, stopped: &mpsc::Receiver<()>) -> Result<Peaks> {
    let mut peaks = Peaks::default();
    let mut client = Client::new(addr, "");
    loop {
        peaks = peaks.or(look(process, &mut client)?);
        if stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Disconnected) {
            return Ok(peaks);
        }
    }
}

fn look(process: Process, client: &mut Client) -> Result<Peaks> {
    let metrics = client.text("/metrics")?;
    let metric = |name: &str| -> Result<u64> {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).with_context(|| format!("no metric {name}"))
    };
    Ok(Peaks {
        rss_kib: process.rss_kib()?,
        open_files: process.open_files()?,
        threads: process.threads()?,
        in_flight: metric("fanfare_dispatch_in_flight")?,
        waiting_retries: metric("fanfare_dispatch_waiting_retries")?,
        narrowed: metric("fanfare_dispatch_lanes_narrowed")?,
        projection_lag: metric("fanfare_projection_lag")?,
    })
}
