//! Over real sockets: what clients do badly, many of them, and stopping.

use super::*;
use crate::observe::Metrics;
use axum::body::Bytes;
use axum::routing::{get, post};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

const SOON: Duration = Duration::from_secs(10);

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
    metrics: Arc<Metrics>,
}

fn limits() -> Limits {
    Limits {
        slow_bodies: None,
        connections: 1000,
        head: Duration::from_millis(300),
        body: Duration::from_millis(300),
        write: Duration::from_millis(300),
        stop: Duration::from_millis(500),
    }
}

async fn start(router: Router, limits: Limits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let metrics = Arc::new(Metrics::new());
    let task = tokio::spawn(serve(listener, router, limits, metrics.http.clone(), stop.clone()));
    Server { address, stop, task, metrics }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn stopped(self) {
        self.stop.cancel();
        timeout(SOON, self.task).await.unwrap().unwrap();
    }
}

fn echo() -> Router {
    Router::new()
        .route("/", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() }))
        .route("/", post(|body: Bytes| async move { body }))
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A reset counts as an end: what was received before is what matters.
    let _reset_or_end = timeout(SOON, stream.read_to_end(&mut text)).await.expect("the server closes the connection");
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_request_is_answered_and_knows_its_peer() {
    let server = start(echo(), limits()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let response = read_to_end(&mut stream).await;
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n") && response.ends_with("127.0.0.1"), "{response}");
    server.stopped().await;
}

#[tokio::test]
async fn a_slow_head_and_an_idle_connection_are_closed() {
    let server = start(echo(), limits()).await;
    let mut idle = server.connect().await;
    let mut slow = server.connect().await;
    slow.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
    let mut after_one = server.connect().await;
    after_one.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let begun = Instant::now();
    assert_eq!(read_to_end(&mut idle).await, "");
    read_to_end(&mut slow).await;
    assert!(read_to_end(&mut after_one).await.ends_with("127.0.0.1"));
    assert!(begun.elapsed() >= Duration::from_millis(200));
    server.stopped().await;
}

#[tokio::test]
async fn a_dripping_body_does_not_outlive_its_time() {
    let server = start(echo(), limits()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n").await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let drip = tokio::spawn(async move {
        let mut sent = 0;
        while sent < 900 && writer.write_all(b"x").await.is_ok() {
            sent += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        sent
    });
    let mut response = Vec::new();
    let _reset_or_end = timeout(SOON, reader.read_to_end(&mut response)).await.expect("cut off");
    assert!(!String::from_utf8_lossy(&response).contains(" 200 "));
    assert!(timeout(SOON, drip).await.unwrap().unwrap() < 900);
    server.stopped().await;
}

#[tokio::test]
async fn a_client_that_takes_no_response_is_cut_off() {
    let large = Router::new().route("/", get(|| async { vec![b'x'; 64 << 20] }));
    let server = start(large, limits()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let metrics = Arc::clone(&server.metrics);
    until(|| metrics.http.connections.get() == 1).await;
    until(|| metrics.http.connections.get() == 0).await;
    server.stopped().await;
}

/// Waits for a state that another task brings about, without guessing how long that takes.
async fn until(state: impl Fn() -> bool) {
    let wait = async {
        while !state() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(SOON, wait).await.expect("the state was never reached");
}

#[tokio::test]
async fn many_connections_are_served_and_the_bound_holds() {
    let busy = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let counters = (Arc::clone(&busy), Arc::clone(&most));
    let handler = move || {
        let (busy, most) = (Arc::clone(&counters.0), Arc::clone(&counters.1));
        async move {
            most.fetch_max(busy.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            busy.fetch_sub(1, Ordering::SeqCst);
        }
    };
    // More clients at once than a kernel may take: one that it drops or resets before it got a byte comes again.
    let bound = Limits { connections: 8, head: SOON, body: SOON, write: SOON, ..limits() };
    let server = start(Router::new().route("/", get(handler)), bound).await;
    let address = server.address;
    let clients = (0..200).map(|_| {
        tokio::spawn(async move {
            loop {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let sent = stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
                let answer = read_to_end(&mut stream).await;
                if sent.is_ok() && !answer.is_empty() {
                    break answer;
                }
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        assert!(client.await.unwrap().starts_with("HTTP/1.1 200 OK"));
    }
    assert!(most.load(Ordering::SeqCst) <= 8);
    server.stopped().await;
}

#[tokio::test]
async fn stopping_lets_a_request_in_flight_end_and_closes_idle_connections() {
    let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let gates = (Arc::clone(&entered), Arc::clone(&leave));
    let handler = move || {
        let (entered, leave) = (Arc::clone(&gates.0), Arc::clone(&gates.1));
        async move {
            entered.notify_one();
            leave.notified().await;
            "done"
        }
    };
    let patient = Limits { head: SOON, stop: SOON, ..limits() };
    let server = start(Router::new().route("/", get(handler)), patient).await;
    let mut idle = server.connect().await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    entered.notified().await;
    server.stop.cancel();
    assert_eq!(read_to_end(&mut idle).await, "");
    assert!(!server.task.is_finished());
    leave.notify_one();
    assert!(read_to_end(&mut busy).await.ends_with("done"));
    server.stopped().await;
}

#[tokio::test]
async fn a_request_that_never_ends_is_cut_off_at_the_stop_timeout() {
    let entered = Arc::new(Notify::new());
    let gate = Arc::clone(&entered);
    let handler = move || {
        let gate = Arc::clone(&gate);
        async move {
            gate.notify_one();
            std::future::pending::<()>().await;
        }
    };
    let server = start(Router::new().route("/", get(handler)), limits()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    entered.notified().await;
    let address = server.address;
    server.stopped().await;
    assert_eq!(read_to_end(&mut stream).await, "");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn who_still_sends_when_the_answer_is_there_hears_it() {
    let refuse = Router::new().route("/", post(|| async { http::StatusCode::PAYLOAD_TOO_LARGE }));
    let server = start(refuse, limits()).await;
    let body = vec![b'x'; 4 * 1024 * 1024];
    for _ in 0..30 {
        let mut stream = server.connect().await;
        let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body).await.expect("all of it is taken");
        let response = read_to_end(&mut stream).await;
        assert!(response.starts_with("HTTP/1.1 413 "), "{response}");
    }
    server.stopped().await;
}

#[tokio::test]
async fn who_sends_without_end_is_not_heard_for_ever() {
    let refuse = Router::new().route("/", post(|| async { http::StatusCode::PAYLOAD_TOO_LARGE }));
    let server = start(refuse, limits()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    let chunk = [b"10000\r\n", &[b'x'; 0x10000][..], b"\r\n"].concat();
    let sending = async { while stream.write_all(&chunk).await.is_ok() {} };
    timeout(SOON, sending).await.expect("the server closes the connection");
    server.stopped().await;
}
