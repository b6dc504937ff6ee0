//! A receiver that does as it is told and remembers every request as it came.

use super::http::{find_header, parse_head};
use super::wait_until;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What is done with a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Answers with this status and an empty body.
    Status(u16),
    /// Answers with status, headers and body.
    Full(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Answers like the other once this is set.
    When(Arc<AtomicBool>, Box<Reply>),
    /// Never answers.
    Hang,
    /// Resets the connection.
    Reset,
    /// Closes in the middle of the head.
    CloseEarly,
    /// Sends a head at once, then a byte of the body a second, without end.
    Drip,
    /// Sends what is not HTTP.
    Garbage,
    /// Answers 200 with a body of this many bytes.
    Huge(u64),
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// When all of it had come.
    pub at: Instant,
    /// `POST /path?query HTTP/1.1`.
    pub line: String,
    /// Headers, spelled and ordered as they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// A header's value, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find_header(&self.headers, name)
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    /// The body's `event`.
    #[track_caller]
    pub fn event(&self) -> String {
        self.json()["event"].as_str().expect("event").to_owned()
    }

    /// The name of a track event, or the other events' own.
    #[track_caller]
    pub fn name(&self) -> String {
        let json = self.json();
        json["properties"]["name"].as_str().or(json["event"].as_str()).expect("a name").to_owned()
    }
}

type Script = dyn Fn(&Request, usize) -> Reply + Send + Sync;

/// A receiver on a port of its own.
pub struct Receiver {
    shared: Arc<Shared>,
    pub addr: SocketAddr,
    /// The certificate (PEM) of a TLS receiver.
    pub certificate: Option<String>,
}

struct Shared {
    script: Mutex<Arc<Script>>,
    requests: Mutex<Vec<Request>>,
    tls: Option<Arc<ServerConfig>>,
    closed: AtomicBool,
}

impl Receiver {
    /// Answers everything with 200.
    pub fn ok() -> Self {
        Self::always(Reply::Status(200))
    }

    /// Does always the same.
    pub fn always(reply: Reply) -> Self {
        Self::by(move |_, _| reply.clone())
    }

    /// Does one after the other; the last for ever.
    pub fn sequence(replies: Vec<Reply>) -> Self {
        Self::by(move |_, number| replies[number.min(replies.len() - 1)].clone())
    }

    /// Does what `script` says of a request and its number (from 0).
    pub fn by(script: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(script, None, None)
    }

    /// Answers 200 over TLS, with a self-signed certificate for `name`.
    pub fn tls(name: &str) -> Self {
        Self::tls_for(name, None)
    }

    /// The same, to clients that show this certificate (DER), or one that was signed with it, and to no others.
    pub fn mutual(name: &str, client: &[u8]) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(client.to_vec().into()).unwrap();
        Self::tls_for(name, Some(roots))
    }

    fn tls_for(name: &str, clients: Option<RootCertStore>) -> Self {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = match clients {
            None => WebPkiClientVerifier::no_client_auth(),
            Some(roots) => {
                let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
                builder.build().unwrap()
            }
        };
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        Self::listen(|_, _| Reply::Status(200), Some(Arc::new(config)), Some(made.cert.pem()))
    }

    fn listen(
        script: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static,
        tls: Option<Arc<ServerConfig>>,
        certificate: Option<String>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Mutex::new(Arc::new(script)),
            requests: Mutex::default(),
            tls,
            closed: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if of_thread.closed.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&of_thread);
                // A connection's error is for the node to notice, not for the receiver.
                std::thread::spawn(move || drop(shared.connection(stream)));
            }
        });
        Self { shared, addr, certificate }
    }

    /// A URL of it.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.addr)
    }

    /// From now on it does always this.
    pub fn set(&self, reply: Reply) {
        *self.shared.script.lock().unwrap() = Arc::new(move |_, _| reply.clone());
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Waits until there were at least so many requests; all of them.
    #[track_caller]
    pub fn wait(&self, count: usize) -> Vec<Request> {
        wait_until(&format!("{count} requests at the receiver"), || Some(self.requests()).filter(|r| r.len() >= count))
    }

    /// Waits until a request carries an event of this name.
    #[track_caller]
    pub fn wait_for(&self, name: &str) -> Request {
        wait_until(&format!("{name} at the receiver"), || self.requests().into_iter().find(|r| r.name() == name))
    }

    /// The names of the events that came, in order of arrival.
    pub fn names(&self) -> Vec<String> {
        self.requests().iter().map(Request::name).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        // Wakes the listening thread, so that it ends; that nobody listens any more is fine.
        drop(TcpStream::connect(self.addr));
    }
}

trait Stream: Read + Write + Send {
    /// Makes the end of this connection a reset.
    fn reset(self: Box<Self>);
}

impl Stream for TcpStream {
    fn reset(self: Box<Self>) {
        // The standard library cannot set SO_LINGER; tokio can.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        self.set_nonblocking(true).unwrap();
        tokio::net::TcpStream::from_std(*self).unwrap().set_zero_linger().unwrap();
    }
}

impl Stream for StreamOwned<ServerConnection, TcpStream> {
    fn reset(self: Box<Self>) {
        Box::new(self.sock).reset();
    }
}

impl Shared {
    fn connection(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some(config) => {
                let session = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
                Box::new(StreamOwned::new(session, stream))
            }
        };
        let mut buffer = Vec::new();
        while let Some(request) = read_request(&mut *stream, &mut buffer)? {
            let script = Arc::clone(&self.script.lock().unwrap());
            let number = {
                let mut requests = self.requests.lock().unwrap();
                requests.push(request.clone());
                requests.len() - 1
            };
            match script(&request, number) {
                Reply::Reset => {
                    stream.reset();
                    return Ok(());
                }
                reply => {
                    let last = request.header("connection") == Some("close");
                    if !perform(&mut *stream, reply)? || last {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }
}

/// Does it; false when the connection is over.
fn perform(stream: &mut dyn Stream, reply: Reply) -> std::io::Result<bool> {
    match reply {
        Reply::Status(status) => perform(stream, Reply::Full(status, Vec::new(), Vec::new())),
        Reply::Full(status, headers, body) => {
            let mut head = format!("HTTP/1.1 {status} Whatever\r\n");
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            // A 204 has no body and no Content-Length (RFC 9110, 8.6).
            if status != 204 {
                head.push_str(&format!("Content-Length: {}\r\n", body.len()));
            }
            stream.write_all(&[head.as_bytes(), b"\r\n", &body].concat())?;
            Ok(true)
        }
        Reply::When(open, then) => {
            wait_until("the test lets the receiver answer", || open.load(Ordering::SeqCst).then_some(()));
            perform(stream, *then)
        }
        Reply::Hang => {
            // Until the other side gives up.
            stream.read_exact(&mut [0])?;
            Ok(false)
        }
        Reply::Reset => Ok(false),
        Reply::CloseEarly => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le")?;
            Ok(false)
        }
        Reply::Drip => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")?;
            loop {
                stream.write_all(b".")?;
                std::thread::sleep(Duration::from_secs(1));
            }
        }
        Reply::Garbage => {
            stream.write_all(b"\x16\x03\x01 this is not HTTP at all\r\n\r\n")?;
            Ok(false)
        }
        Reply::Huge(bytes) => {
            stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n").as_bytes())?;
            let block = vec![b'x'; 1024 * 1024];
            let mut left = bytes;
            while left > 0 {
                let part = left.min(block.len() as u64);
                stream.write_all(&block[..part as usize])?;
                left -= part;
            }
            Ok(false)
        }
    }
}

/// The next request; `None` when the other side has closed.
fn read_request(stream: &mut dyn Stream, buffer: &mut Vec<u8>) -> std::io::Result<Option<Request>> {
    let mut part = [0; 16 * 1024];
    loop {
        if let Some((request, end)) = parse_request(buffer) {
            buffer.drain(..end);
            return Ok(Some(request));
        }
        let read = stream.read(&mut part)?;
        if read == 0 {
            return Ok(None);
        }
        buffer.extend_from_slice(&part[..read]);
    }
}

fn parse_request(buffer: &[u8]) -> Option<(Request, usize)> {
    let head_end = buffer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (line, headers) = parse_head(&buffer[..head_end])?;
    let length: usize = find_header(&headers, "content-length")?.parse().ok()?;
    let body = buffer.get(head_end + 4..head_end + 4 + length)?.to_vec();
    Some((Request { at: Instant::now(), line, headers, body }, head_end + 4 + length))
}

/// The receiver does as it is told; seen with the client of these tests, without a node.
#[test]
fn a_receiver_does_as_it_is_told() {
    use super::http::call;
    let send = |receiver: &Receiver| call(receiver.addr, "POST", "/x?y", &[("X-Name", "v")], b"{\"event\":\"e\"}");
    let receiver = Receiver::sequence(vec![
        Reply::Full(503, vec![("Retry-After", "2".into())], b"no".to_vec()),
        Reply::Status(204),
        Reply::Huge(3),
    ]);
    let answer = send(&receiver).unwrap();
    assert_eq!((answer.status, answer.header("retry-after"), &answer.body[..]), (503, Some("2"), &b"no"[..]));
    assert_eq!(send(&receiver).unwrap().status, 204);
    assert_eq!(send(&receiver).unwrap().body, b"xxx");
    for reply in [Reply::Reset, Reply::CloseEarly, Reply::Garbage] {
        receiver.set(reply.clone());
        assert!(send(&receiver).is_err(), "{reply:?}");
    }
    receiver.set(Reply::Reset);
    assert_eq!(send(&receiver).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    let requests = receiver.wait(7);
    assert_eq!(requests[0].line, "POST /x?y HTTP/1.1");
    assert!(requests[0].headers.contains(&("X-Name".into(), "v".into())));
    assert_eq!(requests[0].name(), "e");
}
