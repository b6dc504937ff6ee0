//! The inspector (docs/inspector.md): the address at which it receives, and `/inspector`, which shows what has arrived.

use super::answer::rfc3339;
use super::auth::{Admin, Caller};
use super::problem::ApiError;
use super::{Api, paths};
use crate::inspector::{Arrival, PREFIX};
use crate::limits;
use crate::model::{SubscriptionId, UnixMs};
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;
use utoipa::ToSchema;

/// Headers whose values are shown. Others may be a webhook's own, and those are secrets.
const SHOWN: [&str; 11] = [
    "accept",
    "content-length",
    "content-type",
    "host",
    "user-agent",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-pendo-signature",
];

/// What stands for the value of any other header.
const HIDDEN: &str = "(not shown)";

/// What has arrived.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Inspector)]
pub struct InspectorJson {
    /// A webhook with this URL sends to the inspector. With `?status=503` it is answered so, to try out failing.
    pub url: String,
    /// How many requests have arrived since the server's start.
    pub received: u64,
    /// The newest of them, newest first: at most 100.
    pub requests: Vec<ArrivalJson>,
}

/// A request that has arrived.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InspectedRequest)]
pub struct ArrivalJson {
    /// Counts from 1.
    pub number: u64,
    /// When.
    pub at: String,
    /// Usually POST.
    pub method: String,
    /// The query with its `?`, or "".
    pub query: String,
    /// In the order of arrival.
    pub headers: Vec<InspectedHeader>,
    /// The body as text, up to 16 KiB of it.
    pub body: String,
    /// How many bytes the body had.
    pub body_bytes: usize,
}

/// A header that has arrived.
#[derive(Debug, Serialize, ToSchema)]
pub struct InspectedHeader {
    /// In lower case.
    pub name: String,
    /// "(not shown)" where it may be a secret.
    pub value: String,
}

impl ArrivalJson {
    fn of(arrival: &Arrival) -> Self {
        let header = |(name, value): &(String, String)| InspectedHeader { name: name.clone(), value: value.clone() };
        Self {
            number: arrival.number,
            at: rfc3339(arrival.at),
            method: arrival.method.clone(),
            query: arrival.query.clone(),
            headers: arrival.headers.iter().map(header).collect(),
            body: String::from_utf8_lossy(&arrival.body).into_owned(),
            body_bytes: arrival.body_bytes,
        }
    }
}

/// Shows the inspector's address, and the newest requests that have arrived there.
#[utoipa::path(
    get,
    path = paths::INSPECTOR,
    tag = "inspector",
    responses((status = 200, body = InspectorJson), ApiError)
)]
pub async fn read(caller: Caller, State(api): State<Arc<Api>>) -> Json<InspectorJson> {
    let (inspector, subscription) = (&api.parts.inspector, caller.subscription.id);
    let (received, newest) = inspector.newest(subscription);
    let url = format!("{}{}", api.parts.public_url.trim_end_matches('/'), inspector.path(subscription));
    Json(InspectorJson { url, received, requests: newest.iter().map(|arrival| ArrivalJson::of(arrival)).collect() })
}

/// Forgets what has arrived.
#[utoipa::path(delete, path = paths::INSPECTOR, tag = "inspector", responses((status = 204), ApiError))]
pub async fn clear(Admin(caller): Admin, State(api): State<Arc<Api>>) -> StatusCode {
    api.parts.inspector.clear(caller.subscription.id);
    StatusCode::NO_CONTENT
}

/// The route of the addresses themselves.
pub(super) fn router() -> Router<Arc<Api>> {
    Router::new().route(&format!("{PREFIX}{{subscription}}/{{token}}"), any(receive))
}

async fn receive(
    State(api): State<Arc<Api>>,
    Path((subscription, token)): Path<(u64, String)>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let subscription = SubscriptionId(subscription);
    let is_there = api.parts.catalog.current().subscriptions.contains_key(&subscription);
    if !is_there || !api.parts.inspector.knows(subscription, &token) {
        return ApiError::NoRoute.into_response();
    }
    let query = query.unwrap_or_default();
    let answered = status(&query);
    let Some((body, body_bytes)) = beginning(body).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let arrival = Arrival {
        number: 0,
        at: UnixMs(0),
        method: method.to_string(),
        query: if query.is_empty() { query } else { format!("?{query}") },
        headers: headers.iter().map(|(name, value)| shown(name.as_str(), value.as_bytes())).collect(),
        body,
        body_bytes,
    };
    let number = api.parts.inspector.keep(subscription, arrival);
    (answered, Json(json!({"received": number}))).into_response()
}

/// The status that the query asks for; 200 when it asks for none that can be given.
fn status(query: &str) -> StatusCode {
    let asked = query.split('&').find_map(|pair| pair.strip_prefix("status="));
    let status = asked.and_then(|status| status.parse::<u16>().ok()).filter(|status| (200..600).contains(status));
    status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::OK)
}

fn shown(name: &str, value: &[u8]) -> (String, String) {
    let value = if SHOWN.contains(&name) { String::from_utf8_lossy(value).into_owned() } else { HIDDEN.to_owned() };
    (name.to_owned(), value)
}

/// The beginning of a body, and how long it is; `None` when it is too long or does not end.
async fn beginning(mut body: Body) -> Option<(Bytes, usize)> {
    let (mut kept, mut length) = (BytesMut::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        length += data.len();
        if length > limits::INTAKE_BODY_BYTES {
            return None;
        }
        let room = limits::INSPECTED_BODY_BYTES - kept.len();
        kept.extend_from_slice(&data[..data.len().min(room)]);
    }
    Some((kept.freeze(), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_may_ask_for_a_status() {
        let cases = [
            ("", 200),
            ("status=503", 503),
            ("a=b&status=404", 404),
            ("status=100", 200),
            ("status=x", 200),
            ("status=", 200),
        ];
        for (query, expected) in cases {
            assert_eq!(status(query).as_u16(), expected, "{query}");
        }
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        assert_eq!(shown("x-pendo-signature", b"abc").1, "abc");
        for name in ["authorization", "cookie", "x-api-key"] {
            assert_eq!(shown(name, b"hush").1, HIDDEN);
        }
    }
}
