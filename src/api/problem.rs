//! Every way in which a call can fail, and how it is told: `application/problem+json` (RFC 9457).

use crate::catalog::{ChangeError, InvalidValue};
use crate::journal::AppendError;
use crate::model::WebhookId;
use crate::record::RecordError;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response as Documented, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// No credential.
    #[error("a key is missing: send Authorization: Bearer <key>, or the header x-pendo-integration-key")]
    NoKey,
    /// A key that nobody has.
    #[error("this key is not known")]
    WrongKey,
    /// Too many of them from one address.
    #[error("too many wrong keys have come from this address")]
    TooManyWrongKeys(Duration),
    /// A valid key's rate.
    #[error("this key makes more calls than it may")]
    TooManyCalls(Duration),
    /// The role does not allow it.
    #[error("only an admin may do this; the key's role is member")]
    Forbidden,
    /// No such thing in the caller's subscription.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// No such path.
    #[error("there is nothing at this path; GET /api/openapi.json lists what there is")]
    NoRoute,
    /// The path exists, with other methods.
    #[error("this path does not take this method; the Allow header lists those that it takes")]
    Method,
    /// The body is not JSON by its own account.
    #[error("the body must be JSON: send Content-Type: application/json")]
    ContentType,
    /// The body is too large.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// The body is not a JSON object.
    #[error("the body cannot be read: {0}")]
    Unreadable(String),
    /// The query string is wrong.
    #[error("{0}")]
    Query(String),
    /// A field of the body is unknown or wrong.
    #[error("{field}: {problem}")]
    Field {
        /// Which.
        field: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The webhook was turned off by Fanfare.
    #[error(
        "the webhook was turned off after repeated failures, and setting enabled does not lead out of that: review its \
         log, then turn it on with POST /api/v1/webhooks/{0}/turn-on"
    )]
    TurnedOff(WebhookId),
    /// Nothing can be sent to a webhook that is off.
    #[error("the webhook is off: turn it on, then redeliver")]
    WebhookOff,
    /// The webhook of a delivery was deleted.
    #[error("the delivery's webhook was deleted, so nothing can be sent to it")]
    WebhookGone,
    /// The event has left the journal.
    #[error("the delivery's event is no longer kept, so it cannot be sent again")]
    EventGone,
    /// The subscription has all the webhooks that it may have.
    #[error("the subscription has {0} webhooks, and may not have more")]
    TooManyWebhooks(usize),
    /// The key's time is over.
    #[error("the key expired at {0}: use another one, or make a new one")]
    KeyExpired(String),
    /// A key cannot revoke itself.
    #[error("this is the key that the call was made with: revoke it with another admin's key, so that one is left")]
    OwnKey,
    /// The subscription has all the keys that it may have.
    #[error("the subscription has {0} keys, and may not have more: revoke those that are not used")]
    TooManyKeys(usize),
    /// The subscription has all the apps that it may have.
    #[error("the subscription has {0} apps, and may not have more")]
    TooManyApps(usize),
    /// Too many tests wait for their receivers.
    #[error("too many tests are waiting for their receivers")]
    TooManyTests,
    /// The journal does not take it now.
    #[error("{0}; try again")]
    Journal(AppendError),
    /// Our own fault. The cause is in the log, not in the answer.
    #[error("something went wrong inside; the log of the server says what")]
    Internal,
}

/// An error as it is told (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Always "about:blank": `code` tells errors apart.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The status in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// A stable name in snake case, for programs.
    pub code: &'static str,
    /// What is wrong and what to do, for people.
    pub detail: String,
    /// The body's field that is wrong, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl ApiError {
    /// An error of ours: logged here, once, with its cause; the caller learns only that it happened.
    pub fn internal(error: &dyn std::error::Error) -> Self {
        let cause = error.source().map(ToString::to_string);
        tracing::error!(error = %error, cause, "a management call failed");
        Self::Internal
    }

    /// A wrong field.
    pub fn field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Field { field: field.into(), problem: problem.into() }
    }

    /// The table: status and code of each error.
    fn row(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoKey => (StatusCode::UNAUTHORIZED, "no_key"),
            Self::WrongKey => (StatusCode::UNAUTHORIZED, "wrong_key"),
            Self::TooManyWrongKeys(_) => (StatusCode::TOO_MANY_REQUESTS, "too_many_wrong_keys"),
            Self::TooManyCalls(_) => (StatusCode::TOO_MANY_REQUESTS, "too_many_calls"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::NoRoute => (StatusCode::NOT_FOUND, "no_such_path"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::ContentType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json"),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::Unreadable(_) => (StatusCode::BAD_REQUEST, "unreadable"),
            Self::Query(_) => (StatusCode::BAD_REQUEST, "wrong_query"),
            Self::Field { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "wrong_field"),
            Self::TurnedOff(_) => (StatusCode::CONFLICT, "turned_off"),
            Self::WebhookOff => (StatusCode::CONFLICT, "webhook_off"),
            Self::WebhookGone => (StatusCode::CONFLICT, "webhook_deleted"),
            Self::EventGone => (StatusCode::GONE, "event_gone"),
            Self::TooManyWebhooks(_) => (StatusCode::CONFLICT, "too_many_webhooks"),
            Self::KeyExpired(_) => (StatusCode::UNAUTHORIZED, "key_expired"),
            Self::OwnKey => (StatusCode::CONFLICT, "own_key"),
            Self::TooManyKeys(_) => (StatusCode::CONFLICT, "too_many_keys"),
            Self::TooManyApps(_) => (StatusCode::CONFLICT, "too_many_apps"),
            Self::TooManyTests => (StatusCode::TOO_MANY_REQUESTS, "too_many_tests"),
            Self::Journal(AppendError::TooLarge(_)) | Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
            Self::Journal(_) => (StatusCode::SERVICE_UNAVAILABLE, "journal_unavailable"),
        }
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyWrongKeys(wait) | Self::TooManyCalls(wait) => Some(wait.as_millis().div_ceil(1000) as u64),
            Self::TooManyTests | Self::Journal(_) => Some(1),
            _ => None,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.row();
        let field = match &self {
            Self::Field { field, .. } => Some(field.clone()),
            _ => None,
        };
        let title = status.canonical_reason().unwrap_or_default();
        let detail = self.to_string();
        let problem = Problem { kind: "about:blank", title, status: status.as_u16(), code, detail, field };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some(seconds) = self.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// In the OpenAPI document: what every call may answer instead.
impl IntoResponses for ApiError {
    fn responses() -> BTreeMap<String, RefOr<Documented>> {
        let described = |what: &str| {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            ResponseBuilder::new().description(what).content("application/problem+json", content).build()
        };
        let caller = ("4XX", "The call is wrong; `code` and `detail` say how.");
        let server = ("5XX", "Fanfare cannot do it now; try again.");
        [caller, server].into_iter().map(|(status, what)| (status.to_owned(), RefOr::T(described(what)))).collect()
    }
}

impl From<InvalidValue> for ApiError {
    fn from(invalid: InvalidValue) -> Self {
        Self::field(invalid.field, invalid.problem)
    }
}

impl From<RecordError> for ApiError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Cursor => Self::Query(String::from("cursor: it does not belong to this list")),
            error => Self::internal(&error),
        }
    }
}

impl ApiError {
    /// What a failed change of an app means to the caller.
    pub fn from_app_change(error: ChangeError) -> Self {
        match error {
            ChangeError::NotFound => Self::NotFound("app"),
            ChangeError::TooMany(count) => Self::TooManyApps(count),
            other => Self::from_change(other),
        }
    }

    /// What a failed change of a key means to the caller.
    pub fn from_key_change(error: ChangeError) -> Self {
        match error {
            ChangeError::NotFound => Self::NotFound("key"),
            ChangeError::TooMany(count) => Self::TooManyKeys(count),
            other => Self::from_change(other),
        }
    }

    /// What a failed change of a webhook means to the caller.
    pub fn from_change(error: ChangeError) -> Self {
        match error {
            ChangeError::NotFound => Self::NotFound("webhook"),
            ChangeError::Invalid(invalid) => invalid.into(),
            ChangeError::TurnedOff(id) => Self::TurnedOff(id),
            ChangeError::TooMany(count) => Self::TooManyWebhooks(count),
            ChangeError::Journal(error) => Self::Journal(error),
            ChangeError::Store(error) => Self::internal(&error),
        }
    }
}
