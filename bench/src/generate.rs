//! `generate`: sends events as fast as the server takes them, or at a fixed rate whatever the server does.
//!
//! At a fixed rate the events of one millisecond are due together at its start, and each carries the time when it was
//! due, not when a connection became free: a server that stalls cannot hide it.

use crate::histogram::Histogram;
use crate::wire::{Shape, Template, complete_message, find, now_us};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::BufRead;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// What a generator is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GenerateSpec {
    /// The server.
    pub addr: SocketAddr,
    /// Others that take the same: a connection whose server is gone, or refuses, goes to the next one, as it would behind a
    /// load balancer.
    pub others: Vec<SocketAddr>,
    /// Single events or batches.
    pub shape: Shape,
    /// How many connections, each with at most one request in flight.
    pub connections: usize,
    /// Events per second; `None` for as fast as possible.
    pub rate: Option<u64>,
    /// How long to send.
    pub seconds: f64,
    /// How many events to send at most.
    pub events: Option<u64>,
    /// The first sequence number, and the distance to the next.
    pub first: u64,
    /// See `first`.
    pub stride: u64,
    /// Reconnect when the server goes away, instead of ending.
    pub resilient: bool,
    /// Where to write the acknowledged sequence numbers, one little-endian u64 each.
    pub acked: Option<PathBuf>,
}

/// How long a sender waits for an answer, and for a connection: then it turns to another server, where there is one.
const PATIENCE: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(5);

/// What became of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct GenerateResult {
    /// Events that were sent or were being sent.
    pub sent: u64,
    /// Events answered with 2xx.
    pub accepted: u64,
    /// Events answered with something else, by status.
    pub refused: BTreeMap<u16, u64>,
    /// Events whose request got no answer.
    pub unanswered: u64,
    /// Answers with 2xx that did not say that everything was accepted.
    pub partial: u64,
    /// The longest time between two answers with 2xx.
    pub longest_pause_us: u64,
    /// When the first request was sent.
    pub started_us: u64,
    /// When the last answer came.
    pub ended_us: u64,
    /// From due to the answer: half of the requests took at most this.
    pub answer_p50_us: u64,
    /// And 99 % at most this.
    pub answer_p99_us: u64,
}

impl GenerateResult {
    /// Accepted events per second.
    pub fn accepted_per_s(&self) -> f64 {
        self.accepted as f64 * 1e6 / self.ended_us.saturating_sub(self.started_us).max(1) as f64
    }

    /// Events refused with any status.
    pub fn refused_total(&self) -> u64 {
        self.refused.values().sum()
    }
}

/// The subcommand: the spec as JSON in the first argument; prints the result.
pub fn main(arguments: &[String]) -> Result<()> {
    let spec: GenerateSpec = serde_json::from_str(arguments.first().context("generate needs its spec")?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = tokio::task::LocalSet::new().block_on(&runtime, generate(spec))?;
    println!("{}", serde_json::to_string(&result)?);
    Ok(())
}

struct Run {
    spec: GenerateSpec,
    stop: Arc<AtomicBool>,
    due: Option<Arc<Semaphore>>,
    began: Instant,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    result: GenerateResult,
    answers: Histogram,
    acked: Vec<u64>,
    /// When the last 2xx came.
    accepted_us: u64,
}

async fn generate(spec: GenerateSpec) -> Result<GenerateResult> {
    let stop = stop_on_stdin();
    let due = spec.rate.map(|rate| pace(rate / spec.shape.items() as u64, Arc::clone(&stop)));
    let started_us = now_us();
    let run = Rc::new(Run { stop, due, began: Instant::now(), state: RefCell::default(), spec });
    let tasks: Vec<_> = (0..run.spec.connections)
        .map(|_| {
            let run = Rc::clone(&run);
            tokio::task::spawn_local(async move { run.sender(started_us).await })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    run.stop.store(true, Ordering::Relaxed);
    let state = run.state.take();
    if let Some(path) = &run.spec.acked {
        let bytes: Vec<u8> = state.acked.iter().flat_map(|sequence| sequence.to_le_bytes()).collect();
        std::fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))?;
    }
    let ended_us = state.result.ended_us.max(started_us);
    let (answer_p50_us, answer_p99_us) = (state.answers.quantile(0.5), state.answers.quantile(0.99));
    Ok(GenerateResult { started_us, ended_us, answer_p50_us, answer_p99_us, ..state.result })
}

/// Set when a line comes on stdin or when it closes.
fn stop_on_stdin() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    std::thread::spawn(move || {
        let mut line = String::new();
        // An unreadable stdin ends the run as a closed one does.
        drop(std::io::stdin().lock().read_line(&mut line));
        flag.store(true, Ordering::Relaxed);
    });
    stop
}

/// Releases each millisecond's requests at its start. A thread, because the kernel's timer is ten times finer than the
/// runtime's.
fn pace(requests_per_s: u64, stop: Arc<AtomicBool>) -> Arc<Semaphore> {
    let due = Arc::new(Semaphore::new(0));
    let semaphore = Arc::clone(&due);
    std::thread::spawn(move || {
        let began = Instant::now();
        let mut released = 0;
        for tick in 1_u64.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let at = Duration::from_millis(tick);
            std::thread::sleep(at.saturating_sub(began.elapsed()));
            let wanted = tick * requests_per_s / 1000;
            semaphore.add_permits((wanted - released) as usize);
            released = wanted;
        }
        semaphore.close();
    });
    due
}

impl Run {
    async fn sender(&self, started_us: u64) -> Result<()> {
        let mut template = Template::new(&self.spec.shape, &self.spec.addr.to_string());
        let mut connection = Connection::default();
        let servers: Vec<SocketAddr> = [&[self.spec.addr][..], &self.spec.others].concat();
        let mut servers = servers.iter().copied().cycle();
        let mut server = self.spec.addr;
        while let Some((first, due_us)) = self.next_request(started_us).await {
            let request = template.patch(due_us, |index| first + index as u64 * self.spec.stride);
            match connection.exchange(server, request).await {
                Ok(answer) => {
                    self.answered(first, due_us, answer);
                    if answer.status == 503 {
                        server = servers.next().unwrap_or(server);
                        if !self.spec.others.is_empty() {
                            connection = Connection::default();
                        }
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
                Err(error) => {
                    self.state.borrow_mut().result.unanswered += self.spec.shape.items() as u64;
                    connection = Connection::default();
                    server = servers.next().unwrap_or(server);
                    if !self.spec.resilient {
                        return Err(error).context("the server gave no answer");
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
        Ok(())
    }

    /// The next request's first sequence number and the time it is due; `None` when enough was sent.
    async fn next_request(&self, started_us: u64) -> Option<(u64, u64)> {
        if let Some(due) = &self.due {
            due.acquire().await.ok()?.forget();
        }
        let items = self.spec.shape.items() as u64;
        let mut state = self.state.borrow_mut();
        let over = self.stop.load(Ordering::Relaxed)
            || self.began.elapsed().as_secs_f64() >= self.spec.seconds
            || self.spec.events.is_some_and(|events| state.result.sent >= events);
        if over {
            return None;
        }
        let index = state.next;
        state.next += 1;
        state.result.sent += items;
        let due_us = match self.spec.rate {
            Some(rate) => started_us + due_tick(index, rate / items) * 1000,
            None => now_us(),
        };
        Some((self.spec.first + index * items * self.spec.stride, due_us))
    }

    fn answered(&self, first: u64, due_us: u64, answer: Answer) {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let items = self.spec.shape.items() as u64;
        let now = now_us();
        state.result.ended_us = now;
        if !(200..300).contains(&answer.status) {
            *state.result.refused.entry(answer.status).or_default() += items;
            return;
        }
        if state.result.accepted > 0 {
            state.result.longest_pause_us = state.result.longest_pause_us.max(now.saturating_sub(state.accepted_us));
        }
        state.accepted_us = now;
        state.result.accepted += items;
        state.result.partial += u64::from(!answer.whole);
        state.answers.record(state.result.ended_us.saturating_sub(due_us));
        if self.spec.acked.is_some() {
            state.acked.extend((0..items).map(|index| first + index * self.spec.stride));
        }
    }
}

/// The millisecond in which request `index` is released: the first tick with `tick * rate / 1000 > index`.
fn due_tick(index: u64, requests_per_s: u64) -> u64 {
    ((index + 1) * 1000).div_ceil(requests_per_s.max(1))
}

#[derive(Debug, Clone, Copy)]
struct Answer {
    status: u16,
    /// Nothing was rejected.
    whole: bool,
}

#[derive(Default)]
struct Connection {
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

impl Connection {
    /// A server may be frozen or cut off.
    async fn exchange(&mut self, addr: SocketAddr, request: &[u8]) -> Result<Answer> {
        tokio::time::timeout(PATIENCE, self.exchange_patiently(addr, request)).await?
    }

    async fn exchange_patiently(&mut self, addr: SocketAddr, request: &[u8]) -> Result<Answer> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = tokio::time::timeout(CONNECT, TcpStream::connect(addr)).await??;
                stream.set_nodelay(true)?;
                none.insert(stream)
            }
        };
        stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if stream.read_buf(&mut self.buffer).await? == 0 {
                anyhow::bail!("the server closed the connection");
            }
            if let Some(message) = complete_message(&self.buffer).map_err(anyhow::Error::msg)? {
                let digits = self.buffer.get(9..12).unwrap_or_default();
                let status = crate::wire::read_digits(digits).context("the answer has no status")? as u16;
                let body = &self.buffer[message.body..message.end];
                return Ok(Answer { status, whole: find(body, b"\"reason\"").is_none() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_due_in_the_tick_that_releases_it() {
        for rate in [1, 7, 999, 1000, 1001, 10_000] {
            let mut released = 0;
            for tick in 1..3000 {
                let wanted = tick * rate / 1000;
                for index in released..wanted {
                    assert_eq!(due_tick(index, rate), tick, "rate {rate}, request {index}");
                }
                released = wanted;
            }
        }
    }
}
