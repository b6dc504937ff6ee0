//! Why a request was not taken, and how that is told: `application/problem+json` (RFC 9457).

use super::canonical::append_string;
use super::fields::FieldError;
use super::first_seen::{SeenError, TooManyNew};
use crate::journal::AppendError;
use crate::limits;
use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use std::io::Write;

/// Why a request was not taken. Nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No key.
    #[error("the key is missing: send it in the header {0}")]
    NoKey(&'static str),
    /// A key that no app has.
    #[error("no app has this key")]
    WrongKey,
    /// An origin that the app does not list.
    #[error("the app does not list the origin {0}")]
    Origin(String),
    /// Not POST.
    #[error("only POST is answered here")]
    Method,
    /// Not JSON by its own account.
    #[error("the body must be JSON: send Content-Type: application/json")]
    ContentType,
    /// A body over the limit.
    #[error("the body is larger than {} bytes", limits::INTAKE_BODY_BYTES)]
    TooLarge,
    /// More items than a batch may have.
    #[error("the batch holds more than {} items; send it in parts", limits::BATCH_ITEMS)]
    TooManyItems,
    /// What would be journalled is larger than the journal takes at a time.
    #[error("the batch brings more than is written at a time; send it in parts")]
    TooMuch,
    /// Not JSON, or not of the right shape: where and why.
    #[error("the body cannot be read: {0}")]
    Unreadable(String),
    /// The connection broke before the body was complete.
    #[error("the body ended too early")]
    Incomplete,
    /// A field is missing or wrong.
    #[error("{0}")]
    Field(#[from] FieldError),
    /// An event from too long ago.
    #[error("timestamp is older than {} days", limits::EVENT_AGE_DAYS)]
    TooOld,
    /// An event that would be too large to send.
    #[error("the event would be larger than {} bytes", limits::EVENT_BODY_BYTES)]
    EventTooLarge,
    /// The journal cannot take it.
    #[error("{0}; try again")]
    Append(AppendError),
    /// The store cannot be asked.
    #[error("{0}; try again")]
    Seen(#[from] SeenError),
    /// The store has fallen behind.
    #[error("{0}; try again")]
    TooManyNew(#[from] TooManyNew),
    /// More ratings wait for their reason than may.
    #[error("more NPS ratings are waiting for their reason than may; try again")]
    TooManyHeld,
    /// The program is stopping.
    #[error("the server is stopping; try again")]
    Stopping,
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::TooLarge(_) => Self::TooMuch,
            other => Self::Append(other),
        }
    }
}

impl Refusal {
    /// The answer's status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoKey(_) | Self::WrongKey => StatusCode::UNAUTHORIZED,
            Self::Origin(_) => StatusCode::FORBIDDEN,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge | Self::TooManyItems | Self::TooMuch | Self::EventTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unreadable(_) | Self::Incomplete | Self::Field(_) => StatusCode::BAD_REQUEST,
            Self::TooOld => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Append(_) | Self::Seen(_) | Self::TooManyNew(_) | Self::TooManyHeld | Self::Stopping => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// The answer.
    pub fn response(&self) -> Response {
        let status = self.status();
        let mut body = b"{\"type\":\"about:blank\",\"title\":".to_vec();
        append_string(&mut body, status.canonical_reason().unwrap_or_default());
        let _ = write!(body, ",\"status\":{},\"detail\":", status.as_u16());
        append_string(&mut body, &self.to_string());
        body.push(b'}');
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match status {
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            // The rest of the body is not read: the connection cannot be used again.
            StatusCode::PAYLOAD_TOO_LARGE => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}
