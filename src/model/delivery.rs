//! What became of a delivery and of each of its attempts.

use super::UnixMs;
use serde::{Deserialize, Serialize};

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Answered with 2xx.
    Delivered,
    /// An attempt failed; the next one is waiting for its time.
    Retrying,
    /// Failed for good.
    Failed,
    /// The webhook was turned off or deleted before it could be delivered.
    Cancelled,
    /// It fell out of the webhook's backlog before it was attempted.
    Expired,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Delivered, Self::Retrying, Self::Failed, Self::Cancelled, Self::Expired];

    /// Its name in the API and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retrying => "retrying",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// The state with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// What one attempt means for its delivery, once the retry rules have spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Done.
    Delivered,
    /// Failed; the next attempt is due then.
    Retry {
        /// When the next attempt may start.
        due: UnixMs,
    },
    /// Failed for good.
    Failed,
    /// Failed, and no retry because the webhook is off or gone.
    Cancelled,
}

/// How far an attempt came before it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Resolving the host's name.
    Dns,
    /// Opening the TCP connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Sending the request or waiting for the first byte.
    FirstByte,
    /// Reading the response.
    Body,
    /// Being given a token for the receiver.
    Authorization,
}

/// Why an attempt ended as it did. [`Reason::code`] is for programs, [`Reason::sentence`] for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The receiver answered 2xx.
    Accepted,
    /// 3xx: redirects are not followed.
    Redirected,
    /// 4xx other than 429.
    Refused,
    /// 429.
    TooManyRequests,
    /// 5xx.
    ServerError,
    /// A status outside 200-599.
    UnexpectedStatus,
    /// The host's name could not be resolved.
    DnsFailed,
    /// Nothing listens there.
    ConnectionRefused,
    /// The network is unreachable, or connecting failed in another way.
    ConnectFailed,
    /// The certificate is not trusted, expired or for another name.
    CertificateInvalid,
    /// The TLS handshake failed in another way.
    TlsFailed,
    /// The receiver reset or closed the connection before a complete answer.
    ConnectionClosed,
    /// What came back is not HTTP.
    BrokenResponse,
    /// Nothing complete within the timeout.
    TimedOut,
    /// The address guard refuses the address.
    AddressRefused,
    /// The message cannot be sent as this webhook asks (a template error, an oversize message).
    CannotSend,
    /// The token server refuses, or gives what is no token.
    AuthFailed,
    /// The token server gives no answer, or has an error of its own.
    AuthUnavailable,
    /// The proxy cannot be reached, or does not do what it is asked.
    ProxyFailed,
}

/// What an attempt says of its receiver, in the coarsest terms: what metrics tell apart webhook by webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptClass {
    /// It took the event.
    Delivered,
    /// It answered, and did not take it.
    Refused,
    /// It gave no answer, or was not asked.
    NoAnswer,
}

impl AttemptClass {
    /// Every class.
    pub const ALL: [Self; 3] = [Self::Delivered, Self::Refused, Self::NoAnswer];

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::NoAnswer => "no_answer",
        }
    }
}

impl Reason {
    /// A stable name in snake case.
    pub fn code(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Redirected => "redirected",
            Self::Refused => "refused",
            Self::TooManyRequests => "too_many_requests",
            Self::ServerError => "server_error",
            Self::UnexpectedStatus => "unexpected_status",
            Self::DnsFailed => "dns_failed",
            Self::ConnectionRefused => "connection_refused",
            Self::ConnectFailed => "connect_failed",
            Self::CertificateInvalid => "certificate_invalid",
            Self::TlsFailed => "tls_failed",
            Self::ConnectionClosed => "connection_closed",
            Self::BrokenResponse => "broken_response",
            Self::TimedOut => "timed_out",
            Self::AddressRefused => "address_refused",
            Self::CannotSend => "cannot_send",
            Self::AuthFailed => "auth_failed",
            Self::AuthUnavailable => "auth_unavailable",
            Self::ProxyFailed => "proxy_failed",
        }
    }

    /// What happened and, where something can be done, what to do, for a person who runs the receiver.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Accepted => "The receiver accepted the event.",
            Self::Redirected => {
                "The receiver answered with a redirect. Redirects are not followed: enter the final URL in the webhook."
            }
            Self::Refused => "The receiver refused the event. It is not sent again by itself.",
            Self::TooManyRequests => "The receiver asked for fewer requests.",
            Self::ServerError => "The receiver reported an error of its own.",
            Self::UnexpectedStatus => "The receiver answered with a status that is not known.",
            Self::DnsFailed => "The receiver's host name could not be resolved. Check the URL's spelling and its DNS.",
            Self::ConnectionRefused => "Nothing accepts connections at the receiver's address and port.",
            Self::ConnectFailed => "No connection to the receiver could be made.",
            Self::CertificateInvalid => "The receiver's TLS certificate is not valid for this host.",
            Self::TlsFailed => "The TLS handshake with the receiver failed.",
            Self::ConnectionClosed => "The receiver closed the connection before it had answered.",
            Self::BrokenResponse => "What the receiver sent back is not a valid HTTP response.",
            Self::TimedOut => "The receiver had not answered completely when the webhook's timeout was over.",
            Self::AddressRefused => {
                "The receiver's address is not allowed. The operator can allow it with --allow-private or --allow-net."
            }
            Self::CannotSend => "The event could not be put into the form that this webhook asks for.",
            Self::AuthFailed => {
                "The token server gave no token for the receiver. Check the webhook's token URL, client id and secret."
            }
            Self::AuthUnavailable => {
                "The token server, which gives access to the receiver, did not answer as it should."
            }
            Self::ProxyFailed => "The proxy that this installation sends through did not connect to the receiver.",
        }
    }

    /// What it says of the receiver.
    pub fn class(self) -> AttemptClass {
        match self {
            Self::Accepted => AttemptClass::Delivered,
            reason if reason.answered() => AttemptClass::Refused,
            _ => AttemptClass::NoAnswer,
        }
    }

    /// What an attempt says of its receiver: that it answers (which widens a lane that has narrowed to probes), that it
    /// does not, or, when nothing was sent to it, nothing.
    pub fn says_of_receiver(self) -> Option<bool> {
        match self {
            Self::AddressRefused | Self::CannotSend | Self::AuthFailed => None,
            reason => Some(reason.answered()),
        }
    }

    /// Whether the receiver gave an answer of any kind.
    pub fn answered(self) -> bool {
        matches!(
            self,
            Self::Accepted
                | Self::Redirected
                | Self::Refused
                | Self::TooManyRequests
                | Self::ServerError
                | Self::UnexpectedStatus
        )
    }
}

/// How long each part of an attempt took, in microseconds from the start of the attempt to the end of the part.
/// A part that did not happen (a connection kept alive needs no DNS, no connect, no TLS) is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Timings {
    /// Resolving the name.
    pub dns_us: Option<u32>,
    /// The TCP connection.
    pub connect_us: Option<u32>,
    /// The TLS handshake.
    pub tls_us: Option<u32>,
    /// The first byte of the response.
    pub first_byte_us: Option<u32>,
    /// Everything, from the start of the attempt to its end.
    pub total_us: u32,
}
