//! What a browser gets at `/`: in a build without the console, a page that says so and where to go instead.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

/// The page, complete: nothing is loaded from anywhere.
const PAGE: &str = include_str!("console/without_console.html");

/// Only the page's own style may apply, nothing may run, and nobody may frame it.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The routes of the console.
pub fn router() -> Router {
    Router::new().route("/", get(page))
}

async fn page() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_page_is_static_and_locked_down() {
        let response = page().await.into_response();
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"));
        assert!(PAGE.contains("href=\"/api/openapi.json\""));
        assert!(!PAGE.contains("<script") && !PAGE.contains("src="));
    }
}
