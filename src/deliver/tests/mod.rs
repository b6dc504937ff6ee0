//! Attempts against real sockets on 127.0.0.1, with receivers written by hand so that each can misbehave as it likes.

mod answers;
mod lines;
mod mutual;
mod proxies;
mod proxy;
mod receiver;
mod secure;
mod tokens;

use super::*;
use crate::clock::ManualClock;
use crate::model::UnixMs;
use receiver::Receiver;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

/// 2021-07-20T18:36:43Z.
const NOW: UnixMs = UnixMs(1_626_806_203_000);

/// Gives its answers in turn, the last one for ever.
#[derive(Debug)]
struct Names(Mutex<Vec<Vec<IpAddr>>>);

impl Names {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(Self(Mutex::new(answers.iter().rev().map(parse).collect())))
    }
}

impl Resolver for Names {
    fn resolve<'a>(&'a self, host: &'a str) -> resolve::Lookup<'a> {
        Box::pin(async move {
            if host == "never.test" {
                std::future::pending::<()>().await;
            }
            if host == "missing.test" {
                return Err(std::io::Error::other("Name or service not known"));
            }
            let mut answers = self.0.lock().unwrap();
            Ok(if answers.len() > 1 { answers.pop().unwrap() } else { answers.last().cloned().unwrap_or_default() })
        })
    }
}

fn client_with(guard: Guard, resolver: Arc<dyn Resolver>) -> Client {
    let clock = Arc::new(ManualClock::at(NOW));
    let tls = secure::trusting_nobody(clock.clone());
    Client::new(ClientConfig { guard, resolver, tls, proxy: None, keep_alive: Duration::from_secs(60), clock })
}

/// A client that may go to loopback, where every name points to.
fn client() -> Client {
    client_with(Guard::new(true, vec![]), Names::new(&[&["127.0.0.1"]]))
}

fn destination(url: &str) -> Destination {
    Destination::plain(Endpoint::parse(url).unwrap(), Duration::from_secs(20))
}

fn within(milliseconds: u64, url: &str) -> Destination {
    Destination { timeout: Duration::from_millis(milliseconds), ..destination(url) }
}

fn message(body: &'static str) -> Message {
    Message {
        unique_id: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        body: Bytes::from_static(body.as_bytes()),
    }
}

async fn send(client: &Client, line: &mut Line, destination: &Destination) -> Outcome {
    let quiet = Quiet { after: Duration::from_secs(10), call: &mut || {} };
    client.attempt(line, &Arc::new(destination.clone()), &message(r#"{"event":"ping"}"#), quiet).await
}

/// Until the receiver's close is noticed, which may be the case already.
async fn until_closed(line: &mut Line) {
    if line.is_open() {
        line.closed().await;
    }
}

/// What comes of one attempt at a receiver that answers with these bytes and closes.
async fn outcome_of(answer: impl Into<Vec<u8>>) -> Outcome {
    let receiver = Receiver::answering(answer).await;
    send(&client(), &mut Line::new(), &destination(&receiver.url("/"))).await
}

fn assert_failed(outcome: &Outcome, reason: Reason, words: &str) {
    let status = if reason == Reason::TimedOut { 408 } else { 0 };
    assert_eq!((outcome.reason, outcome.status), (reason, status), "{outcome:?}");
    assert!(outcome.detail.contains(words), "{:?} lacks {words:?}", outcome.detail);
    assert_eq!(outcome.retry_after, None);
}
