//! Why an attempt got no complete answer: a reason for programs, and details for the person who runs the receiver.

use super::tls;
use crate::model::{Phase, Reason, with_causes};
use std::error::Error;
use std::io;
use std::time::Duration;

/// An attempt without a complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    pub(super) detail: String,
}

impl Failure {
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    pub(super) fn timed_out(phase: Phase, timeout: Duration) -> Self {
        let doing = match phase {
            Phase::Authorization => "waiting for a token of the token server",
            Phase::Dns => "resolving the host's name",
            Phase::Connect => "opening the TCP connection",
            Phase::Tls => "in the TLS handshake",
            Phase::FirstByte => "waiting for the response",
            Phase::Body => "reading the response's body",
        };
        Self::new(Reason::TimedOut, format!("still {doing} after {timeout:?}"))
    }

    pub(super) fn from_connect(error: &io::Error, address: std::net::SocketAddr) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::ConnectionRefused => Reason::ConnectionRefused,
            _ => Reason::ConnectFailed,
        };
        Self::new(reason, format!("{address}: {error}"))
    }

    /// From hyper, whose errors are sorted by what caused them: the network, TLS below, or what was read.
    pub(super) fn from_hyper(error: &hyper::Error, phase: Phase, host: &str) -> Self {
        let during = match phase {
            Phase::Body => "before the response's body was complete",
            _ => "before it had answered",
        };
        if let Some(error) = cause::<rustls::Error>(error) {
            return tls::rustls_failure(error, host);
        }
        if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            return Self::new(Reason::ConnectionClosed, format!("the receiver closed the connection {during}"));
        }
        match cause::<io::Error>(error).map(|io| (io.kind(), io)) {
            Some((
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted,
                _,
            )) => Self::new(Reason::ConnectionClosed, format!("the receiver reset the connection {during}")),
            Some((io::ErrorKind::UnexpectedEof, _)) => {
                Self::new(Reason::ConnectionClosed, format!("the receiver closed the connection {during}"))
            }
            Some((io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::Other, io)) => {
                Self::new(Reason::BrokenResponse, format!("the response's body is broken: {io}"))
            }
            Some((_, io)) => Self::new(Reason::ConnectionClosed, format!("the connection failed {during}: {io}")),
            None => Self::new(Reason::BrokenResponse, with_causes(error)),
        }
    }
}

/// The first error of this type in the chain. An io::Error hides what it wraps from `source()`, so it is looked into.
fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inside {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}
