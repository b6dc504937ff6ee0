//! One attempt, from its start to its outcome (docs/delivery.md).

use super::connect::{self, Way};
use super::failure::Failure;
use super::guard::Guard;
use super::line::{Line, Open};
use super::proxy::Proxy;
use super::request::{Prepared, headers_as_sent};
use super::resolve::Resolver;
use super::response;
use super::tls::Tls;
use super::watch::{Elapsed, Quiet, Watch};
use super::wire::{Heard, Stream, Wire};
use super::{Authorization, Courier, Destination, Message, Outcome, TokenSource};
use crate::clock::Clock;
use crate::defect::caught;
use crate::limits;
use crate::model::{Phase, Reason, Scheme, Timings, UnixMs};
use bytes::BytesMut;
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::body::{Body, Incoming};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What a client is made of.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// What may be connected to.
    pub guard: Guard,
    /// How names become addresses.
    pub resolver: Arc<dyn Resolver>,
    /// How receivers are authenticated.
    pub tls: Tls,
    /// Through which receivers and token servers are reached.
    pub proxy: Option<Arc<Proxy>>,
    /// How long an unused connection is kept at most.
    pub keep_alive: Duration,
    /// For `webhook-timestamp` and dates in `Retry-After`.
    pub clock: Arc<dyn Clock>,
}

/// Makes attempts. Holds no connections: these belong to [`Line`]s.
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) config: ClientConfig,
}

impl Client {
    /// A client of these parts.
    pub fn new(config: ClientConfig) -> Self {
        Self { config }
    }

    /// Makes one attempt, as [`Courier::attempt`] says.
    ///
    /// A request that was certainly not processed, because the kept connection turned out to be closed, is sent again
    /// once on a fresh one within the same attempt. Dropping the future closes the connection.
    pub async fn attempt(
        &self,
        line: &mut Line,
        destination: &Arc<Destination>,
        message: &Message,
        quiet: Quiet<'_>,
    ) -> Outcome {
        let started = Instant::now();
        let mut seen = Seen::default();
        if let Err(failure) = line.turn_to(destination, started) {
            return seen.into_outcome(started, Err(failure));
        }
        let shaped = match shaped(destination, message) {
            Ok(shaped) => shaped,
            Err(failure) => return seen.into_outcome(started, Err(failure)),
        };
        let message = shaped.as_ref().unwrap_or(message);
        let Line { prepared: Some(prepared), open, timer } = line else {
            return seen.into_outcome(started, Err(Failure::new(Reason::CannotSend, "")));
        };
        let now = self.config.clock.now();
        let watch = Watch::start(timer, started, destination.timeout, quiet.after, quiet.call);
        let mut attempt = Attempt { client: self, prepared, message, now, watch, started, seen: &mut seen };
        let ended = attempt.run(open).await;
        let outcome = seen.into_outcome(started, ended);
        Outcome { request_body: shaped.map(|message| message.body), ..outcome }
    }
}

impl Courier for Client {
    fn attempt<'a>(
        &'a self,
        line: &'a mut Line,
        destination: &'a Arc<Destination>,
        message: &'a Message,
        quiet: Quiet<'a>,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        Box::pin(async move {
            if let Some(outcome) = caught(Self::attempt(self, line, destination, message, quiet)).await {
                return outcome;
            }
            // Nobody waits for an end that never comes; and what is left of the connection is not used any more.
            line.close();
            let why = "making the request failed by a defect of Fanfare, which the log shows";
            Outcome::unsent(Reason::CannotSend, why)
        })
    }
}

/// The message in the destination's form; nothing when it is sent as it is.
fn shaped(destination: &Destination, message: &Message) -> Result<Option<Message>, Failure> {
    let Some(form) = &destination.form else { return Ok(None) };
    let body = form.shape(&message.body).map_err(|error| Failure::new(Reason::CannotSend, error.to_string()))?;
    Ok(Some(Message { unique_id: message.unique_id.clone(), body }))
}

/// What was sent, and what was seen of a response, complete or not.
#[derive(Debug, Default)]
struct Seen {
    sent: String,
    timings: Timings,
    status: Option<StatusCode>,
    headers: String,
    retry_after: Option<Duration>,
    body: BytesMut,
    body_bytes: usize,
}

impl Seen {
    fn into_outcome(self, started: Instant, ended: Result<StatusCode, Failure>) -> Outcome {
        let (status, reason, mut detail) = match ended {
            Ok(status) => (status.as_u16(), response::classify(status), String::new()),
            Err(Failure { reason: Reason::TimedOut, detail }) => (408, Reason::TimedOut, detail),
            Err(Failure { reason, detail }) => (0, reason, detail),
        };
        if let (false, Some(status)) = (reason.answered(), self.status) {
            detail = format!("{detail} (status {}, {} bytes of the body)", status.as_u16(), self.body_bytes);
        }
        Outcome {
            status,
            reason,
            detail,
            retry_after: self.retry_after.filter(|_| reason.answered()),
            timings: Timings { total_us: micros(started.elapsed()), ..self.timings },
            request_headers: self.sent,
            request_body: None,
            response_headers: self.headers,
            response_cut: self.body_bytes > self.body.len(),
            response_body: self.body.freeze(),
        }
    }

    /// Forgets a response that another request's takes the place of.
    fn begin_again(&mut self) {
        *self = Self { sent: std::mem::take(&mut self.sent), timings: self.timings, ..Self::default() };
    }

    fn take(&mut self, data: &[u8]) {
        let room = limits::RESPONSE_KEPT_BYTES - self.body.len();
        self.body.extend_from_slice(&data[..data.len().min(room)]);
        self.body_bytes += data.len();
    }
}

/// Why an exchange over a connection gave no response.
enum Broken {
    /// The receiver had closed the connection before it was used: nothing of a response came.
    Stale(Failure),
    /// Anything else.
    Failed(Failure),
}

impl Broken {
    fn into_failure(self) -> Failure {
        match self {
            Self::Stale(failure) | Self::Failed(failure) => failure,
        }
    }
}

/// One attempt under way.
struct Attempt<'a> {
    client: &'a Client,
    prepared: &'a Prepared,
    message: &'a Message,
    now: UnixMs,
    watch: Watch<'a>,
    started: Instant,
    seen: &'a mut Seen,
}

impl Attempt<'_> {
    async fn run(&mut self, kept: &mut Option<Open>) -> Result<StatusCode, Failure> {
        match &self.prepared.destination.authorization {
            // In a box of its own, so that attempts without a token have no room for it.
            Some(Authorization::Token(source)) => Box::pin(self.run_with_token(kept, source)).await,
            _ => self.send(kept, None).await,
        }
    }

    /// A token that was kept may have been withdrawn: on a 401 it is given up, and the request made again with a new one,
    /// once.
    async fn run_with_token(&mut self, kept: &mut Option<Open>, source: &TokenSource) -> Result<StatusCode, Failure> {
        let config = &self.client.config;
        for again in [true, false] {
            let token = self.part(Phase::Authorization, source.token(config, self.started)).await?;
            let status = self.send(kept, Some(&token.value)).await?;
            if status != StatusCode::UNAUTHORIZED {
                return Ok(status);
            }
            let forget = async {
                source.forget(&token).await;
                Ok(())
            };
            self.part(Phase::Authorization, forget).await?;
            if !again || token.asked_at >= self.started {
                return Ok(status);
            }
            self.seen.begin_again();
        }
        Ok(StatusCode::UNAUTHORIZED)
    }

    /// Sends the message over the kept connection, or over a new one.
    async fn send(&mut self, kept: &mut Option<Open>, token: Option<&HeaderValue>) -> Result<StatusCode, Failure> {
        let mut headers = self.prepared.headers(self.message, self.now, token);
        self.seen.sent = headers_as_sent(&headers);
        if let Some(open) = kept.take() {
            match self.exchange(open, headers, kept).await {
                // The same headers once more, which is rare, instead of a copy for each request.
                Err(Broken::Stale(_)) => headers = self.prepared.headers(self.message, self.now, token),
                Err(Broken::Failed(failure)) => return Err(failure),
                Ok(status) => return Ok(status),
            }
        }
        let open = self.connect().await?;
        self.exchange(open, headers, kept).await.map_err(Broken::into_failure)
    }

    /// Resolves, judges, connects, shakes hands.
    async fn connect(&mut self) -> Result<Open, Failure> {
        let config = &self.client.config;
        let Destination { endpoint, identity, .. } = &*self.prepared.destination;
        let way = self.part(Phase::Dns, connect::way(config, &endpoint.host)).await?;
        if !matches!(way, Way::Named(_)) && endpoint.host.parse::<std::net::IpAddr>().is_err() {
            self.seen.timings.dns_us = Some(micros(self.started.elapsed()));
        }
        let tcp = self.part(Phase::Connect, connect::open(config, &way, endpoint)).await?;
        self.seen.timings.connect_us = Some(micros(self.started.elapsed()));
        let stream = match endpoint.scheme {
            Scheme::Http => Stream::Plain(tcp),
            Scheme::Https => {
                let stream =
                    self.part(Phase::Tls, config.tls.connect(&endpoint.host, tcp, identity.as_deref())).await?;
                self.seen.timings.tls_us = Some(micros(self.started.elapsed()));
                Stream::Tls(Box::new(stream))
            }
        };
        let heard = Heard::new();
        let open = Open::new(Wire::new(stream, heard.clone()), heard).await;
        open.map_err(|error| Failure::from_hyper(&error, Phase::FirstByte, &endpoint.host))
    }

    /// A part of the attempt during which no response can come.
    async fn part<T>(&mut self, phase: Phase, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let timeout = self.prepared.destination.timeout;
        self.watch.over(None, work).await.unwrap_or_else(|Elapsed| Err(Failure::timed_out(phase, timeout)))
    }

    /// Sends the request, reads the response, and puts the connection into `kept` if it can be used again.
    async fn exchange(
        &mut self,
        mut open: Open,
        headers: HeaderMap,
        kept: &mut Option<Open>,
    ) -> Result<StatusCode, Broken> {
        let request = self.prepared.request(headers, self.message.body.clone());
        let heard = open.heard.clone();
        let answered = self.watch.over(Some(&heard), open.send(request)).await;
        self.seen.timings.first_byte_us = heard.at().map(|at| micros(at.duration_since(self.started)));
        let response = match answered {
            Err(Elapsed) => return Err(Broken::Failed(self.timed_out(Phase::FirstByte))),
            Ok(Err(failed)) => return Err(self.broken(failed.error(), &heard)),
            Ok(Ok(response)) => response,
        };
        let (head, mut incoming) = response.into_parts();
        self.seen.status = Some(head.status);
        self.seen.headers = response::headers_as_text(&head.headers);
        self.seen.retry_after = response::retry_after(head.status, &head.headers, self.client.config.clock.now());
        if self.read(&mut open, &mut incoming).await.map_err(Broken::Failed)? {
            let said = response::keep_alive(&head.headers).map(|s| s.saturating_sub(Duration::from_secs(1)));
            let unused = self.client.config.keep_alive;
            *kept = open.keep(said.map_or(unused, |said| said.min(unused)));
        }
        Ok(head.status)
    }

    /// Reads the body; false when it was longer than what is read, so that the connection cannot be used again.
    async fn read(&mut self, open: &mut Open, body: &mut Incoming) -> Result<bool, Failure> {
        let heard = open.heard.clone();
        while !body.is_end_stream() {
            let frame = match self.watch.over(Some(&heard), open.next_frame(body)).await {
                Err(Elapsed) => return Err(self.timed_out(Phase::Body)),
                Ok(None) => break,
                Ok(Some(Err(error))) => return Err(Failure::from_hyper(&error, Phase::Body, self.host())),
                Ok(Some(Ok(frame))) => frame,
            };
            if let Some(data) = frame.data_ref() {
                self.seen.take(data);
            }
            if self.seen.body_bytes >= limits::RESPONSE_READ_BYTES {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn timed_out(&self, phase: Phase) -> Failure {
        Failure::timed_out(phase, self.prepared.destination.timeout)
    }

    fn host(&self) -> &str {
        &self.prepared.destination.endpoint.host
    }

    fn broken(&self, error: &hyper::Error, heard: &Heard) -> Broken {
        let failure = Failure::from_hyper(error, Phase::FirstByte, self.host());
        let stale = heard.at().is_none() && failure.reason == Reason::ConnectionClosed;
        if stale { Broken::Stale(failure) } else { Broken::Failed(failure) }
    }
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
