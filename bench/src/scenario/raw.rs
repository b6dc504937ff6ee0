//! What the machine and the libraries allow, without Fanfare: a signed POST loop and an append loop.

use super::receiver;
use crate::child::Helper;
use crate::options::Options;
use crate::receive::Behaviour;
use crate::report::Report;
use crate::wire::{Marks, delivered_body, now_us};
use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use ring::hmac;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// Connections of the POST loop: as many as a webhook has requests in flight.
const CONNECTIONS: usize = 32;

/// Bytes of the file that the append loop writes over and over.
const FILE_BYTES: u64 = 64 * 1024 * 1024;

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
        drop(std::fs::remove_file(path));
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

/// `append`: writes groups of one-kilobyte records into a preallocated file, one write and one fdatasync per group.
pub fn append_main(arguments: &[String]) -> Result<()> {
    let spec: AppendSpec = serde_json::from_str(arguments.first().context("append needs its spec")?)?;
    let file = std::fs::File::create(&spec.path)?;
    let zeros = vec![0; 1024 * 1024];
    for offset in (0..FILE_BYTES).step_by(zeros.len()) {
        file.write_all_at(&zeros, offset)?;
    }
    file.sync_all()?;
    let group = vec![b'f'; 1024 * spec.group];
    let (began, cpu_before) = (Instant::now(), own_cpu_us()?);
    let (mut offset, mut count) = (0, 0);
    while began.elapsed().as_secs_f64() < spec.seconds {
        if offset + group.len() as u64 > FILE_BYTES {
            offset = 0;
        }
        file.write_all_at(&group, offset)?;
        file.sync_data()?;
        offset += group.len() as u64;
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
