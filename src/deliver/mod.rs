//! One HTTP request: guard, connect, sign, send, read, classify. Knows nothing of stored webhooks, lanes or retries.

mod authorization;
mod client;
mod connect;
mod failure;
mod form;
pub mod guard;
mod identity;
mod line;
mod proxy;
mod request;
pub mod resolve;
mod response;
pub mod sign;
mod tls;
mod token;
mod watch;
mod wire;

pub use authorization::{Authorization, AuthorizationError};
pub use client::{Client, ClientConfig};
pub use form::{Form, FormError};
pub use guard::Guard;
pub use identity::{ClientIdentity, IdentityError};
pub use line::Line;
pub use proxy::{Proxy, ProxyKind};
pub use resolve::{Resolver, SystemResolver};
pub use tls::{Tls, TlsError};
pub use token::TokenSource;
pub use watch::Quiet;

#[cfg(test)]
mod tests;

use crate::model::{Endpoint, Header, Old, Reason, Secret, SigningKey, Timings};
use bytes::Bytes;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Makes attempts: all that dispatch and tests of webhooks know of the network.
///
/// The future's box costs an attempt 0.12 µs of some 20, and makes a worker that waits with its connection open 5 KB
/// smaller: an attempt's state is there only while there is one.
pub trait Courier: Send + Sync + 'static {
    /// Makes one attempt over this line. It ends at the destination's timeout at the latest, and always with an
    /// outcome. `quiet` is called once if the receiver has been silent for its time; the attempt goes on. Dropping the
    /// future breaks the attempt off.
    fn attempt<'a>(
        &'a self,
        line: &'a mut Line,
        destination: &'a Arc<Destination>,
        message: &'a Message,
        quiet: Quiet<'a>,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;
}

/// Everything about a destination that a request needs, made once when its webhook changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Where to.
    pub endpoint: Endpoint,
    /// The key of `X-Pendo-Signature`; no secret, no header.
    pub secret: Option<Secret>,
    /// The keys of `webhook-signature`, newest first; empty when the three headers are off.
    pub signing_keys: Vec<SigningKey>,
    /// Keys that sign beside these until their time is over, which is looked at for each attempt.
    pub ending_keys: Vec<Old<SigningKey>>,
    /// What shows the receiver who is asking.
    pub authorization: Option<Authorization>,
    /// By what a receiver with mutual TLS knows us.
    pub identity: Option<Arc<ClientIdentity>>,
    /// The total deadline, from the start of resolving to the last byte of the response.
    pub timeout: Duration,
    /// What bodies are turned into; nothing: they are sent as they are.
    pub form: Option<Arc<Form>>,
    /// Further headers. Their values are secrets.
    pub headers: Vec<Header>,
}

impl Destination {
    /// Whether a connection made for the other serves this one too: it goes to the same place, as the same client.
    fn shares_connections_with(&self, other: &Self) -> bool {
        self.endpoint.same_peer(&other.endpoint) && self.identity == other.identity
    }

    /// A destination that wants neither signatures nor anything else.
    pub fn plain(endpoint: Endpoint, timeout: Duration) -> Self {
        Self {
            endpoint,
            secret: None,
            signing_keys: Vec::new(),
            ending_keys: Vec::new(),
            authorization: None,
            identity: None,
            timeout,
            form: None,
            headers: Vec::new(),
        }
    }
}

/// What to send.
#[derive(Debug, Clone)]
pub struct Message {
    /// `webhook-id`: the event's uniqueId in hex.
    pub unique_id: String,
    /// The event's body. Without a form it is sent and signed as it is.
    pub body: Bytes,
}

/// How one attempt ended. What follows from it is dispatch's to decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The status of a complete response; 408 for a timeout of our own; 0 otherwise, also when a response broke off
    /// after its status (`detail` names it then).
    pub status: u16,
    /// Why.
    pub reason: Reason,
    /// More about the reason; "" when there is nothing to add.
    pub detail: String,
    /// The receiver's Retry-After on 429 and 503, at most an hour.
    pub retry_after: Option<Duration>,
    /// How long its parts took.
    pub timings: Timings,
    /// Request headers as sent, `Name: value` joined by "\r\n", secret values masked.
    pub request_headers: String,
    /// The body that was sent, where a form was given to it.
    pub request_body: Option<Bytes>,
    /// Response headers as received, in the same form.
    pub response_headers: String,
    /// The kept part of the response's body.
    pub response_body: Bytes,
    /// The body was longer than what was kept.
    pub response_cut: bool,
}

impl Outcome {
    /// Of an attempt that nothing came of: no request, no answer.
    pub fn unsent(reason: Reason, detail: &str) -> Self {
        Self {
            status: 0,
            reason,
            detail: detail.to_owned(),
            retry_after: None,
            timings: Timings::default(),
            request_headers: String::new(),
            request_body: None,
            response_headers: String::new(),
            response_body: Bytes::new(),
            response_cut: false,
        }
    }
}
