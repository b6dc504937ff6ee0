//! One HTTP request: guard, connect, sign, send, read, classify. Knows nothing of stored webhooks, lanes or retries.

mod client;
mod connect;
mod failure;
pub mod guard;
mod line;
mod request;
pub mod resolve;
mod response;
pub mod sign;
mod tls;
mod watch;
mod wire;

pub use client::{Client, ClientConfig};
pub use guard::Guard;
pub use line::Line;
pub use resolve::{Resolver, SystemResolver};
pub use tls::{Tls, TlsError};
pub use watch::Quiet;

#[cfg(test)]
mod tests;

use crate::model::{Endpoint, Reason, Secret, SigningKey, Timings};
use bytes::Bytes;
use std::time::Duration;

/// Everything about a destination that a request needs, made once when its webhook changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Where to.
    pub endpoint: Endpoint,
    /// The key of `X-Pendo-Signature`; no secret, no header.
    pub secret: Option<Secret>,
    /// The keys of `webhook-signature`, newest first; empty when the three headers are off.
    pub signing_keys: Vec<SigningKey>,
    /// The total deadline, from the start of resolving to the last byte of the response.
    pub timeout: Duration,
}

/// What to send.
#[derive(Debug, Clone)]
pub struct Message {
    /// `webhook-id`: the event's uniqueId in hex.
    pub unique_id: String,
    /// The body, sent and signed as it is.
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
    /// Response headers as received, in the same form.
    pub response_headers: String,
    /// The kept part of the response's body.
    pub response_body: Bytes,
    /// The body was longer than what was kept.
    pub response_cut: bool,
}
