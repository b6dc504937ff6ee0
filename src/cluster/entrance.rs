//! Where another node comes in: an upgrade of a request, and a handshake in which each side shows that it holds the
//! master key. The handshake's numbers are thought of anew each time, so that what was heard once opens nothing again.

use super::LINK_PATH;
use super::link::PROTOCOL;
use super::peers::Peers;
use crate::clock::Random;
use crate::limits::PEER_SILENCE;
use crate::seal::{PeerKey, Side};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// What the one that comes in is called.
const NODE: HeaderName = HeaderName::from_static("fanfare-node");
/// The number that this side has thought of.
const NUMBER: HeaderName = HeaderName::from_static("fanfare-number");
/// The active node's proof.
const PROOF: HeaderName = HeaderName::from_static("fanfare-proof");

/// Lets other nodes in.
pub struct Entrance {
    /// Where they are kept.
    pub peers: Arc<Peers>,
    /// For numbers.
    pub random: Arc<dyn Random>,
    /// When it is cancelled, links end.
    pub stop: CancellationToken,
    /// Handshakes at a time: anybody may begin one.
    pub handshakes: Arc<Semaphore>,
}

impl Entrance {
    /// Answers the request of another node, and goes on with what becomes of its connection.
    pub(super) fn open(&self, mut request: Request<Body>) -> Response {
        let headers = request.headers();
        if headers.get(header::UPGRADE).is_none_or(|protocol| protocol != PROTOCOL) {
            let why = format!("nodes of this version speak {PROTOCOL}");
            return (StatusCode::UPGRADE_REQUIRED, [(header::UPGRADE, PROTOCOL)], why).into_response();
        }
        let (Some(name), Some(theirs)) = (text(headers, &NODE), number(headers)) else {
            return (StatusCode::BAD_REQUEST, "a node says what it is called, and a number").into_response();
        };
        let Ok(handshake) = Arc::clone(&self.handshakes).try_acquire_owned() else {
            return (StatusCode::SERVICE_UNAVAILABLE, "too many handshakes at a time").into_response();
        };
        let numbers = [theirs, self.random.id()];
        let proof = self.peers.proof(numbers);
        let link = (name.to_owned(), numbers);
        let (peers, stop) = (Arc::clone(&self.peers), self.stop.clone());
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            // A connection that ended before is another node's business.
            let Ok(Ok(upgraded)) = tokio::time::timeout(PEER_SILENCE, upgrade).await else { return };
            peers.keep(TokioIo::new(upgraded), link, Some(handshake), stop).await;
        });
        let said = [
            (header::CONNECTION, String::from("upgrade")),
            (header::UPGRADE, String::from(PROTOCOL)),
            (NUMBER, format!("{:016x}", numbers[1])),
            (PROOF, proof),
        ];
        (StatusCode::SWITCHING_PROTOCOLS, axum::response::AppendHeaders(said)).into_response()
    }
}

/// A link to the active node, and what is to be shown on it first.
pub struct Entered<S> {
    /// Behind the handshake.
    pub stream: S,
    /// This side's proof.
    pub proof: String,
    /// Drives nothing any more once the connection is upgraded, and ends with this.
    pub driver: AbortOnDropHandle<()>,
}

/// Goes in at the active node's address, under this name.
///
/// # Errors
/// It is not there, is not active, speaks another version, or does not hold the master key.
pub async fn enter(
    active: &str,
    name: &str,
    key: &PeerKey,
    random: &dyn Random,
) -> io::Result<Entered<impl AsyncRead + AsyncWrite + Send + 'static + use<>>> {
    let stream = TcpStream::connect(active).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let driver = AbortOnDropHandle::new(tokio::spawn(async move { drop(connection.with_upgrades().await) }));
    let own = random.id();
    let request = Request::get(LINK_PATH)
        .header(header::HOST, active)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, PROTOCOL)
        .header(NODE, HeaderValue::from_str(name).map_err(io::Error::other)?)
        .header(NUMBER, format!("{own:016x}"));
    let request = request.body(Empty::<bytes::Bytes>::new()).map_err(io::Error::other)?;
    let answer = sender.send_request(request).await.map_err(io::Error::other)?;
    match answer.status() {
        StatusCode::SWITCHING_PROTOCOLS => {}
        StatusCode::UPGRADE_REQUIRED => {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "it is of another version"));
        }
        status => return Err(io::Error::other(format!("it answers {status}"))),
    }
    let Some(theirs) = number(answer.headers()) else { return Err(io::Error::other("it says no number")) };
    let numbers = [own, theirs];
    if !text(answer.headers(), &PROOF).is_some_and(|proof| key.proves(Side::Active, numbers, proof)) {
        return Err(io::Error::other("it does not hold the same master key"));
    }
    let upgraded = hyper::upgrade::on(answer).await.map_err(io::Error::other)?;
    Ok(Entered { stream: TokioIo::new(upgraded), proof: key.proof(Side::Peer, numbers), driver })
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().filter(|text| !text.is_empty())
}

fn number(headers: &HeaderMap) -> Option<u64> {
    u64::from_str_radix(text(headers, &NUMBER)?, 16).ok()
}
