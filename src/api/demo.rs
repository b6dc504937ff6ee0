//! The demo page: a page of a product with the browser agent in it, for the first look and for trying out guides
//! (docs/agent.md). It is an application like any other: a strict policy, and nothing but what any page may do.

use super::console::escaped;
use crate::catalog::{App, Catalog};
use crate::model::Platform;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};
use std::sync::Arc;

const PAGE: &str = include_str!("demo/page.html");
const SCRIPT: &str = include_str!("demo/demo.js");
const STYLE: &str = include_str!("demo/demo.css");

/// What stands in the page where the agent key goes.
const KEY: &str = "AGENT_KEY";

/// Only the agent and the page's own files, and they may talk to nobody but this server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The routes of the page.
pub fn router(catalog: Arc<Catalog>) -> Router {
    let file =
        |kind: &'static str, text: &'static str| get(move || async move { ([(header::CONTENT_TYPE, kind)], text) });
    Router::new()
        .route("/demo", get(page))
        .route("/demo/demo.js", file("text/javascript; charset=utf-8", SCRIPT))
        .route("/demo/demo.css", file("text/css; charset=utf-8", STYLE))
        .with_state(catalog)
}

async fn page(State(catalog): State<Arc<Catalog>>) -> Response {
    let current = catalog.current();
    // The installation's first: an agent key is public, and stands in every page of that app.
    let web = current.apps.values().filter(|app| app.platform == Platform::Web);
    let Some(app) = web.min_by_key(|app| first(app)) else {
        return (StatusCode::NOT_FOUND, "There is no web app yet. `fanfare init` makes one.\n").into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, PAGE.replacen(KEY, &escaped(&app.agent_key), 1)).into_response()
}

fn first(app: &App) -> (u64, i64) {
    (app.subscription.id.0, app.id.0)
}
