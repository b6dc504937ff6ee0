//! The HTTP server: an accept loop of our own around hyper, because each bound that protects intake from its clients
//! (how many, how slow, how long) has to be set here.
//!
//! One task per connection, none per request. What a request costs beyond hyper and the router is one extension (the
//! peer's address) and no allocation of ours: the timers of a body or of a response that stalls are made only when it
//! stalls.

mod linger;
mod stall;

use crate::observe::HttpMetrics;
use axum::Router;
use axum::extract::ConnectInfo;
use axum::extract::Request;
use http::{HeaderName, HeaderValue, header};
use hyper::body::Incoming;
use hyper::service::Service as _;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use linger::Rest;
use stall::{TimedBody, TimedIo};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What clients may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at a time. At this number none is accepted until one has ended.
    pub connections: usize,
    /// From the end of one response (or from connecting) to the end of the next request's head. It bounds idle
    /// connections and slow heads alike, and is longer than the 60 s that load balancers keep theirs, so that the
    /// server does not close a connection just when the balancer uses it.
    pub head: Duration,
    /// From a body's first missing byte to its end.
    pub body: Duration,
    /// Paths that begin so have another time for their body.
    pub slow_bodies: Option<(&'static str, Duration)>,
    /// How long a client may take none of a response's bytes.
    pub write: Duration,
    /// After the signal to stop, how long requests in flight may go on.
    pub stop: Duration,
}

impl Limits {
    /// The usual limits, with the two that are settings.
    pub fn new(connections: usize, stop: Duration) -> Self {
        let (head, body, write) = (Duration::from_secs(75), Duration::from_secs(30), Duration::from_secs(30));
        Self { connections, head, body, slow_bodies: None, write, stop }
    }

    fn body_of(&self, path: &str) -> Duration {
        match self.slow_bodies {
            Some((prefix, limit)) if path.starts_with(prefix) => limit,
            _ => self.body,
        }
    }
}

/// The most bytes of a request's head, and what a connection buffers of a body at a time.
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// The pauses after a failed accept: out of file descriptors, nothing gets better by asking again at once.
const ACCEPT_PAUSE_MIN: Duration = Duration::from_millis(5);
const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Serves `router` on `listener` until `stop` is cancelled, then lets requests in flight end, for at most
/// [`Limits::stop`]. The peer's address is a [`ConnectInfo<SocketAddr>`] among the request's extensions.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    metrics: HttpMetrics,
    stop: CancellationToken,
) {
    let permits = Arc::new(Semaphore::new(limits.connections));
    let abort = CancellationToken::new();
    let tasks = TaskTracker::new();
    let shared = Arc::new(Shared { limits, metrics, stop: stop.clone(), abort: abort.clone() });
    let service = TowerToHyperService::new(router);
    let accepting = async {
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            let (stream, peer) = accept(&listener, &shared.metrics).await;
            tasks.spawn(connection(stream, peer, service.clone(), Arc::clone(&shared), permit));
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = accepting => {}
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(shared.limits.stop, tasks.wait()).await.is_err() {
        tracing::warn!(connections = tasks.len(), "requests still in flight are cut off: the time to stop is over");
        abort.cancel();
        tasks.wait().await;
    }
}

/// What all connections share.
struct Shared {
    limits: Limits,
    metrics: HttpMetrics,
    stop: CancellationToken,
    abort: CancellationToken,
}

/// The next connection. Errors that belong to one connection are skipped; others wait, longer each time.
async fn accept(listener: &TcpListener, metrics: &HttpMetrics) -> (TcpStream, SocketAddr) {
    let mut pause = ACCEPT_PAUSE_MIN;
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                metrics.accept_errors.inc();
                tracing::error!(%error, pause_ms = pause.as_millis(), "cannot accept connections");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(ACCEPT_PAUSE_MAX);
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Serves one connection to its end.
async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: TowerToHyperService<Router>,
    shared: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
) {
    let _open = shared.metrics.opened();
    // Without it a small answer waits for the client's delayed acknowledgement, 40 ms.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let (limits, rest) = (shared.limits.clone(), Rest::default());
    let io = TokioIo::new(TimedIo::new(stream, limits.write, rest.clone()));
    let bodies = rest.clone();
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let body_timeout = limits.body_of(request.uri().path());
        let mut request: Request<TimedBody> = request.map(|body| TimedBody::new(body, body_timeout, bodies.clone()));
        request.extensions_mut().insert(ConnectInfo(peer));
        let responding = router.call(request);
        async move { responding.await.map(secured) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(shared.limits.head).max_buf_size(READ_BUFFER_BYTES);
    let result = {
        let mut connection = pin!(builder.serve_connection(io, service).with_upgrades());
        tokio::select! {
            result = connection.as_mut() => result,
            () = shared.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    result = connection => result,
                    () = shared.abort.cancelled() => Ok(()),
                }
            }
        }
    };
    // A client that goes away or talks nonsense is its own business; it must not fill the log.
    if let Err(error) = result {
        tracing::debug!(%peer, %error, "connection ended");
    }
    shared.abort.run_until_cancelled(rest.close()).await;
}

/// What every answer says to browsers, unless it says so itself: guess no type, load nothing, run nothing, frame nothing,
/// tell nobody where you came from.
fn secured<B>(mut response: http::Response<B>) -> http::Response<B> {
    const HEADERS: [(HeaderName, HeaderValue); 3] = [
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

#[cfg(test)]
mod tests;
