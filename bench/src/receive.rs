//! `receive`: a receiver that costs as little as a receiver can. One thread, no HTTP library; per delivery one read, a
//! scan of about a kilobyte and one write.

#[path = "receive/seen.rs"]
mod seen;

pub use seen::{Arrival, ReceiveReport, read_arrivals};

use crate::wire::{Complete, complete_message, header};
use anyhow::{Context, Result};
use ring::hmac;
use seen::Seen;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::io::BufRead;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// What a receiver is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReceiveSpec {
    /// Where to listen; port 0 for any.
    pub listen: SocketAddr,
    /// How it answers.
    pub behaviour: Behaviour,
    /// When set, each delivery's X-Pendo-Signature must match this secret.
    pub secret: Option<String>,
}

/// How a receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Behaviour {
    /// 200 at once.
    Accept,
    /// 500 at once, always.
    Fail,
    /// 500 for the first attempt of every tenth event, else 200.
    FailSometimes,
    /// 200 after this many milliseconds.
    Slow(u64),
    /// Reads and never answers.
    Hang,
    /// Does not listen: connections are refused.
    Refuse,
}

/// How long a receiver that is to listen again may have to wait for its address.
const LISTEN_PATIENCE: Duration = Duration::from_secs(10);

const ACCEPTED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const FAILED: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno";

/// The subcommand: the spec as JSON in the first argument; prints the address, then answers lines on stdin.
pub fn main(arguments: &[String]) -> Result<()> {
    let spec: ReceiveSpec = serde_json::from_str(arguments.first().context("receive needs its spec")?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, serve(spec))
}

struct Receiver {
    behaviour: Cell<Behaviour>,
    key: Option<hmac::Key>,
    seen: RefCell<Seen>,
}

async fn serve(spec: ReceiveSpec) -> Result<()> {
    let mut listener = listen(spec.listen, spec.behaviour).await?;
    let addr = listener.as_ref().map_or(Ok(spec.listen), TcpListener::local_addr)?;
    println!("{}", serde_json::to_string(&addr)?);
    let receiver = Rc::new(Receiver {
        behaviour: Cell::new(spec.behaviour),
        key: spec.secret.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())),
        seen: RefCell::new(Seen::new()),
    });
    let mut connections = JoinSet::new();
    let mut commands = commands();
    loop {
        tokio::select! {
            accepted = accept(listener.as_ref()) => {
                let stream = accepted?;
                let receiver = Rc::clone(&receiver);
                // A connection's error is the other side's affair: a server that was killed, for one.
                connections.spawn_local(async move { drop(connection(&receiver, stream).await) });
            }
            Some(_) = connections.join_next() => {}
            command = commands.recv() => {
                let Some(command) = command else { return Ok(()) };
                if let Some(behaviour) = command.strip_prefix("behave ") {
                    // Like a restart: what is open ends.
                    receiver.behaviour.set(serde_json::from_str(behaviour)?);
                    connections.shutdown().await;
                    drop(listener.take());
                    listener = listen(addr, receiver.behaviour.get()).await?;
                }
                println!("{}", answer(&receiver, &command)?);
            }
        }
    }
}

/// Listens, unless connections are to be refused.
async fn listen(addr: SocketAddr, behaviour: Behaviour) -> Result<Option<TcpListener>> {
    if behaviour == Behaviour::Refuse {
        return Ok(None);
    }
    let began = Instant::now();
    loop {
        match TcpListener::bind(addr).await {
            Ok(listener) => return Ok(Some(listener)),
            Err(_) if began.elapsed() < LISTEN_PATIENCE => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(error) => return Err(error).with_context(|| format!("listening on {addr}")),
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> std::io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

/// Lines of stdin. The thread ends with the process.
fn commands() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn answer(receiver: &Receiver, command: &str) -> Result<String> {
    let mut seen = receiver.seen.borrow_mut();
    Ok(match command.split_once(' ') {
        Some(("save", path)) => seen.save(path.as_ref()).is_ok().to_string(),
        Some(("behave", _)) => true.to_string(),
        _ if command == "reset" => {
            *seen = Seen::new();
            true.to_string()
        }
        _ => serde_json::to_string(&seen.report())?,
    })
}

async fn connection(receiver: &Receiver, mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 16 * 1024];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let mut taken = 0;
        while let Some(message) = complete_message(&buffer[taken..filled]).map_err(std::io::Error::other)? {
            let bytes = &buffer[taken..taken + message.end];
            respond(receiver, &mut stream, bytes, message).await?;
            taken += message.end;
        }
        buffer.copy_within(taken..filled, 0);
        filled -= taken;
        if filled == buffer.len() {
            buffer.resize(buffer.len() * 2, 0);
        }
    }
}

async fn respond(receiver: &Receiver, stream: &mut TcpStream, bytes: &[u8], message: Complete) -> std::io::Result<()> {
    match receiver.behaviour.get() {
        Behaviour::Hang => return std::future::pending().await,
        Behaviour::Slow(milliseconds) => tokio::time::sleep(Duration::from_millis(milliseconds)).await,
        Behaviour::Accept | Behaviour::Fail | Behaviour::FailSometimes | Behaviour::Refuse => {}
    }
    let signed = receiver.key.as_ref().is_none_or(|key| signature_matches(key, bytes, message));
    let (head, body) = (&bytes[..message.body], &bytes[message.body..]);
    let accepted = receiver.seen.borrow_mut().delivery(receiver.behaviour.get(), lane(head), body, signed);
    stream.write_all(if accepted { ACCEPTED } else { FAILED }).await
}

/// `POST /7 HTTP/1.1` is for lane 7.
fn lane(head: &[u8]) -> usize {
    let digits = head.strip_prefix(b"POST /").unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |lane, digit| lane * 10 + usize::from(digit - b'0'))
}

fn signature_matches(key: &hmac::Key, bytes: &[u8], message: Complete) -> bool {
    let Some(value) = header(&bytes[..message.body], b"x-pendo-signature") else { return false };
    let mut tag = [0_u8; 32];
    let digits = value.chunks_exact(2).filter_map(crate::wire::read_hex);
    let mut count = 0;
    for (place, byte) in tag.iter_mut().zip(digits) {
        *place = byte as u8;
        count += 1;
    }
    value.len() == 64 && count == 32 && hmac::verify(key, &bytes[message.body..], &tag).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_names_the_lane() {
        assert_eq!(lane(b"POST /17 HTTP/1.1\r\n"), 17);
        assert_eq!(lane(b"POST / HTTP/1.1\r\n"), 0);
    }

    /// The known vector of docs/events.md.
    #[test]
    fn signatures_are_verified() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"It's a Secret to Everybody");
        let signed = |signature: &str| {
            let text = format!(
                "POST /0 HTTP/1.1\r\nX-Pendo-Signature: {signature}\r\nContent-Length: 13\r\n\r\nHello, World!"
            );
            let message = complete_message(text.as_bytes()).unwrap().unwrap();
            signature_matches(&key, text.as_bytes(), message)
        };
        let right = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert!(signed(right));
        assert!(!signed(&right.replace('7', "8")));
        assert!(!signed(&right[..62]));
        assert!(!signed(""));
    }
}
