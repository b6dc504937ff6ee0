//! What a browser gets at `/`: in a build without the console, a page that says so and where to go instead.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

/// The pages, complete: nothing is loaded from anywhere.
const PAGE: &str = include_str!("console/without_console.html");
const LINK_PAGE: &str = include_str!("console/link_without_console.html");

/// Where the links lead that `init` prints and mails carry.
const LINKS: [&str; 4] = ["/setup", "/invitation", "/password-reset", "/email-change"];

/// Only the page's own style may apply, nothing may run, and nobody may frame it.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The routes of the console.
pub fn router() -> Router {
    let home = Router::new().route("/", get(async || page(PAGE)));
    LINKS.into_iter().fold(home, |router, path| router.route(path, get(async || page(LINK_PAGE))))
}

fn page(text: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_are_static_and_locked_down() {
        let response = page(LINK_PAGE).into_response();
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"));
        assert!(PAGE.contains("href=\"/api/openapi.json\""));
        for page in [PAGE, LINK_PAGE] {
            assert!(!page.contains("<script") && !page.contains("src="));
        }
    }
}
