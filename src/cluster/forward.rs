//! Passes a request on to the active node, as it came.

use super::CLIENT;
use crate::clock::Clock;
use crate::limits::PEER_KEPT_BODY_BYTES;
use crate::seal::MasterKey;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, Request, Uri, Version, header, request};
use http_body_util::{BodyExt, Full};
use hyper::body::Body as _;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Shorter than a server keeps an idle connection, so that none is closed just when it is used.
const IDLE: Duration = Duration::from_secs(30);

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(2);

/// What belongs to one connection (RFC 9110, 7.6.1) and is not passed on.
const OF_A_CONNECTION: [header::HeaderName; 6] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Passes requests on.
pub struct Forwarder {
    client: Client<HttpConnector, Body>,
    key: Arc<MasterKey>,
    clock: Arc<dyn Clock>,
}

/// A request, ready to be passed on.
pub struct Held {
    head: request::Parts,
    body: HeldBody,
}

enum HeldBody {
    /// It can be passed on again.
    Kept(Bytes),
    /// It goes through as it comes, once.
    Once(Body),
    /// It went through.
    Gone,
}

/// Why there is no answer.
pub enum NotPassed {
    /// The node was not there: nothing was sent to it.
    NotThere,
    /// It is not known what became of the request.
    Unknown(String),
}

impl Forwarder {
    /// One without connections.
    pub fn new(key: Arc<MasterKey>, clock: Arc<dyn Clock>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
        Self { client: builder.build(connector), key, clock }
    }

    /// Passes a request on to the node at this address.
    ///
    /// # Errors
    /// [`NotPassed`]; after [`NotPassed::NotThere`] the same may be tried again, unless [`Held::is_gone`].
    pub async fn pass(&self, to: &str, held: &mut Held) -> Result<Response, NotPassed> {
        let mut request = Request::new(held.body.take());
        request.headers_mut().clone_from(&held.head.headers);
        *request.method_mut() = held.head.method.clone();
        *request.version_mut() = Version::HTTP_11;
        let target = held.head.uri.path_and_query().map_or("/", |target| target.as_str());
        let uri = format!("http://{to}{target}");
        *request.uri_mut() = Uri::try_from(uri).map_err(|error| NotPassed::Unknown(error.to_string()))?;
        if let Some(ConnectInfo(client)) = held.head.extensions.get::<ConnectInfo<SocketAddr>>()
            && let Ok(word) = HeaderValue::from_str(&self.key.peers().word(client.ip(), self.clock.now()))
        {
            request.headers_mut().insert(CLIENT, word);
        }
        let answered = self.client.request(request).await.map_err(|error| {
            if error.is_connect() { NotPassed::NotThere } else { NotPassed::Unknown(error.to_string()) }
        })?;
        let mut answer = answered.map(Body::new);
        OF_A_CONNECTION.iter().for_each(|name| drop(answer.headers_mut().remove(name)));
        Ok(answer)
    }
}

impl Held {
    /// Takes what of the request is to be passed on.
    ///
    /// # Errors
    /// The body did not come.
    pub async fn take(request: Request<Body>) -> Result<Self, axum::Error> {
        let (mut head, body) = request.into_parts();
        OF_A_CONNECTION.iter().for_each(|name| drop(head.headers.remove(name)));
        // Only this node says whom the request came from.
        head.headers.remove(CLIENT);
        let length = head.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let is_short = body.is_end_stream() || length.is_some_and(|length: usize| length <= PEER_KEPT_BODY_BYTES);
        let body = if is_short { HeldBody::Kept(body.collect().await?.to_bytes()) } else { HeldBody::Once(body) };
        Ok(Self { head, body })
    }

    /// Whether its body went through, so that it cannot be passed on again.
    pub fn is_gone(&self) -> bool {
        matches!(self.body, HeldBody::Gone)
    }

    /// The request, for this node itself.
    pub fn into_request(mut self) -> Request<Body> {
        let body = self.body.take();
        Request::from_parts(self.head, body)
    }
}

impl HeldBody {
    fn take(&mut self) -> Body {
        match self {
            Self::Kept(bytes) => Body::new(Full::new(bytes.clone())),
            Self::Once(body) => {
                let body = std::mem::take(body);
                *self = Self::Gone;
                body
            }
            Self::Gone => Body::empty(),
        }
    }
}
