//! Which pages may send batches (docs/intake.md): those of the app's origins, and the installation's own.

use crate::catalog::App;
use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// Whether a batch with this Origin may be taken. A server sends none; a page of this installation may always send.
pub fn is_allowed(app: &App, origin: &str, headers: &HeaderMap, public_origin: &str) -> bool {
    let same = |listed: &str| listed.trim_end_matches('/').eq_ignore_ascii_case(origin);
    same(public_origin) || app.origins.iter().any(|listed| same(listed)) || is_same_origin(origin, headers)
}

/// A browser sends Origin with every POST, to the page's own host too, under whatever name that was reached.
fn is_same_origin(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
}

/// The answer to a preflight. It decides nothing: it cannot know the app, because a browser asks without the key. The
/// batch that follows is judged by its app's origins.
pub fn preflight(request_headers: &HeaderMap) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let origin = request_headers.get(header::ORIGIN).cloned();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("content-type, x-fanfare-agent-key"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    if let Some(origin) = origin {
        allow(&mut response, origin);
    }
    response
}

/// Lets the page of this origin read the answer.
pub fn allow(response: &mut Response, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    // Cross-origin scripts see this header only when it is named: the agent waits as long as it is told.
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
}
