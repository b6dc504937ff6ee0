//! What the machine and the libraries allow: a signed POST loop, and appends to the journal alone, one after the other (so
//! that their rate is what one client gets; their CPU is the limit that others are compared with).

use super::receiver;
use crate::child::Helper;
use crate::options::Options;
use crate::receive::Behaviour;
use crate::report::Report;
use crate::wire::{Marks, delivered_body, now_us};
use anyhow::{Context, Result};
use bytes::Bytes;
use fanfare::clock::SystemClock;
use fanfare::config::JournalSettings;
use fanfare::journal::file::{FileJournal, SystemDisk};
use fanfare::journal::{Group, Holder, Journal};
use fanfare::model::{Entry, HeldEntry, SubscriptionId, UnixMs};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use ring::hmac;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// Connections of the POST loop: as many as a webhook has requests in flight.
const CONNECTIONS: usize = 32;

/// The append loop's journal: the segments of the default settings, and few of them.
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
const JOURNAL_BYTES: u64 = 4 * SEGMENT_BYTES;

#[derive(Debug, Serialize, Deserialize)]
struct PostSpec {
    addr: SocketAddr,
    seconds: f64,
}

#[derive(Debug, Serialize, Deserialize)]
struct AppendSpec {
    path: PathBuf,
    group: usize,
    seconds: f64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Done {
    count: u64,
    seconds: f64,
    cpu_us: u64,
}

/// Measures both, each in a process of its own.
pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    report.stage("raw limits");
    let seconds = options.pick(5.0, 1.5);
    let mut target = receiver(Behaviour::Accept)?;
    let mut helper = Helper::spawn("post", &PostSpec { addr: target.addr, seconds })?;
    let done: Done = helper.receive()?;
    helper.end()?;
    let received = target.report()?;
    report.require(received.delivered == done.count && received.broken == 0, || {
        format!("the raw loop sent {} and the receiver took {received:?}", done.count)
    });
    let post_us = done.cpu_us as f64 / done.count.max(1) as f64;
    report.add("raw.post.per_s", done.count as f64 / done.seconds, "/s");
    report.add("raw.post.cpu_us", post_us, "us");
    let mut append_us = f64::NAN;
    for group in [1, 10, 100] {
        let path = options.dir.join(format!("fanfare-bench-append-{}", std::process::id()));
        let result = append(&AppendSpec { path: path.clone(), group, seconds: seconds / 3.0 });
        // Also after an error; that it is not there is fine.
        drop(std::fs::remove_dir_all(path));
        let done = result?;
        append_us = done.cpu_us as f64 / done.count.max(1) as f64;
        report.add(&format!("raw.append.group{group}.per_s"), done.count as f64 / done.seconds, "/s");
        report.add(&format!("raw.append.group{group}.cpu_us"), append_us, "us");
    }
    report.add("raw.post_and_append.cpu_us", post_us + append_us, "us");
    Ok(())
}

fn append(spec: &AppendSpec) -> Result<Done> {
    let mut helper = Helper::spawn("append", spec)?;
    let done = helper.receive()?;
    helper.end()?;
    Ok(done)
}

/// `append`: groups of one-kilobyte entries through Fanfare's journal alone, one append after the other.
pub fn append_main(arguments: &[String]) -> Result<()> {
    let spec: AppendSpec = serde_json::from_str(arguments.first().context("append needs its spec")?)?;
    let settings =
        JournalSettings { segment_bytes: SEGMENT_BYTES, max_age: Duration::from_secs(3600), max_bytes: JOURNAL_BYTES };
    let journal = FileJournal::open(&spec.path, &settings, Arc::new(SystemClock), Arc::new(SystemDisk))?;
    let draft = vec![b'f'; 1024];
    let (subscription, due) = (SubscriptionId(1), UnixMs(0));
    let entry = Entry::Held(HeldEntry { subscription, due, item: None, draft: &draft });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (began, cpu_before) = (Instant::now(), own_cpu_us()?);
    let mut count = 0;
    while began.elapsed().as_secs_f64() < spec.seconds {
        let mut group = Group::new();
        (0..spec.group).for_each(|_| group.push(&entry));
        let last = runtime.block_on(journal.append(group))?;
        Holder::ALL.into_iter().for_each(|holder| journal.release(holder, last));
        count += spec.group as u64;
    }
    print_done(count, began, cpu_before)
}

/// `post`: sends signed bodies on raw hyper connections, one request after the other on each.
pub fn post_main(arguments: &[String]) -> Result<()> {
    let spec: PostSpec = serde_json::from_str(arguments.first().context("post needs its spec")?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, post(spec))
}

async fn post(spec: PostSpec) -> Result<()> {
    let (began, cpu_before) = (Instant::now(), own_cpu_us()?);
    let end = began + Duration::from_secs_f64(spec.seconds);
    let next = Rc::new(Cell::new(0));
    let tasks: Vec<_> =
        (0..CONNECTIONS).map(|_| tokio::task::spawn_local(post_loop(spec.addr, end, Rc::clone(&next)))).collect();
    for task in tasks {
        task.await??;
    }
    print_done(next.get(), began, cpu_before)
}

async fn post_loop(addr: SocketAddr, end: Instant, next: Rc<Cell<u64>>) -> Result<()> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"It's a Secret to Everybody");
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Its error is the sender's error too.
    tokio::task::spawn_local(async move { drop(connection.await) });
    while Instant::now() < end {
        let sequence = next.replace(next.get() + 1);
        let body = delivered_body(Marks { sequence, time_us: now_us() });
        let request = Request::post("/0")
            .header("Host", addr.to_string())
            .header("Content-Type", "application/json")
            .header("X-Pendo-Signature", hex(hmac::sign(&key, body.as_bytes()).as_ref()))
            .body(Full::new(Bytes::from(body)))?;
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        response.into_body().collect().await?;
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    let mut text = vec![0; bytes.len() * 2];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        crate::wire::write_hex(pair, u64::from(*byte));
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn print_done(count: u64, began: Instant, cpu_before: u64) -> Result<()> {
    let done = Done { count, seconds: began.elapsed().as_secs_f64(), cpu_us: own_cpu_us()? - cpu_before };
    println!("{}", serde_json::to_string(&done)?);
    Ok(())
}

/// CPU time of this process, all threads: the kernel's nanoseconds, which the server's figure would use too if the
/// kernel summed them up for another process.
fn own_cpu_us() -> Result<u64> {
    let mut total = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let stat = std::fs::read_to_string(task?.path().join("schedstat"))?;
        total += stat.split(' ').next().context("schedstat")?.parse::<u64>()?;
    }
    Ok(total / 1000)
}
