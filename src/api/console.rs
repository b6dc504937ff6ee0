//! What a browser gets: the console, where the program was built with it, else a page that says what is missing.

mod page;

use crate::clock::Random;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use page::{InlineStyles, Page};
use rust_embed::RustEmbed;
use std::borrow::Cow;
use std::sync::Arc;

pub(super) use page::escaped;
pub use page::home;

/// What `npm run build` has made. There may be nothing: the program can be built without Node.
#[derive(RustEmbed)]
#[folder = "console/dist/site/"]
#[allow_missing = true]
struct Built;

/// The complete pages of a program without the console: nothing is loaded from anywhere.
const WITHOUT: &str = include_str!("console/without_console.html");
const LINK_WITHOUT: &str = include_str!("console/link_without_console.html");

/// Where the links lead that `init` prints and mails carry. Whoever follows one in a program without the console is told
/// how to do the same without it.
const LINKS: [&str; 4] = ["setup", "invitation", "password-reset", "email-change"];

/// The console's other pages, and what is below them: the server knows none of it, the console's router does. Everything
/// else stays a 404. A test holds this against the console's router.
const PLACES: [&str; 19] = [
    "sign-in",
    "webhooks",
    "deliveries",
    "error-log",
    "events",
    "apps",
    "keys",
    "users",
    "audit-log",
    "exclusions",
    "inspector",
    "start",
    "mails",
    "profile",
    "visitors",
    "accounts",
    "privacy",
    "guides",
    API_REFERENCE,
];

/// The page whose library writes styles into what it shows. Only there they are let in, so the console loads it anew.
const API_REFERENCE: &str = "api-reference";

/// For the pages without the console: only their own style may apply, nothing may run, and nobody may frame them.
const WITHOUT_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A name that contains a digest of what it names never changes its meaning.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// The icon has no such name.
const AN_HOUR: &str = "public, max-age=3600";

/// One of the console's files, by its path in what was built.
type Files = fn(&str) -> Option<Cow<'static, [u8]>>;

/// What the handlers share.
struct Console {
    files: Files,
    page: Option<Page>,
    random: Arc<dyn Random>,
}

/// The routes of the console. `public_url` is how browsers reach the installation; its path is what the console's own
/// paths begin with, when a proxy in front has put the installation below one.
pub fn router(public_url: &str, random: Arc<dyn Random>) -> Router {
    routes(public_url, random, |path| Built::get(path).map(|file| file.data))
}

fn routes(public_url: &str, random: Arc<dyn Random>, files: Files) -> Router {
    let page = files("index.html").map(|html| Page::new(&String::from_utf8_lossy(&html), public_url));
    let everywhere = |router: Router<Arc<Console>>, place: &&str| {
        let styles = if *place == API_REFERENCE { InlineStyles::Allowed } else { InlineStyles::Refused };
        let page = || shown(WITHOUT, styles);
        router.route(&format!("/{place}"), page()).route(&format!("/{place}/{{*rest}}"), page())
    };
    let linked = |router: Router<Arc<Console>>, link: &str| {
        router.route(&format!("/{link}"), shown(LINK_WITHOUT, InlineStyles::Refused))
    };
    let router = Router::new()
        .route("/", shown(WITHOUT, InlineStyles::Refused))
        .route("/assets/{name}", get(asset))
        .route("/icon.svg", get(icon));
    let router = PLACES.iter().fold(router, everywhere);
    LINKS.into_iter().fold(router, linked).with_state(Arc::new(Console { files, page, random }))
}

/// The console, or what stands in its place.
fn shown(without: &'static str, styles: InlineStyles) -> MethodRouter<Arc<Console>> {
    get(async move |State(console): State<Arc<Console>>| match &console.page {
        Some(page) => page.answer(&*console.random, styles),
        None => html(without, HeaderValue::from_static(WITHOUT_POLICY)).into_response(),
    })
}

/// A page. It is asked for each time: it names the files of this very build.
fn html(text: impl IntoResponse, policy: HeaderValue) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    ];
    (headers, text)
}

async fn asset(State(console): State<Arc<Console>>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    file(&console, &format!("assets/{name}"), &headers, FOREVER)
}

async fn icon(State(console): State<Arc<Console>>, headers: HeaderMap) -> Response {
    file(&console, "icon.svg", &headers, AN_HOUR)
}

/// A file as it was built: compressed where the build has done that and the browser takes it.
fn file(console: &Console, path: &str, asked: &HeaderMap, keep: &'static str) -> Response {
    let Some(plain) = (console.files)(path) else { return StatusCode::NOT_FOUND.into_response() };
    let compressed = takes_gzip(asked).then(|| (console.files)(&format!("{path}.gz"))).flatten();
    let encoding = compressed.is_some().then_some((header::CONTENT_ENCODING, "gzip"));
    let headers =
        [(header::CONTENT_TYPE, type_of(path)), (header::CACHE_CONTROL, keep), (header::VARY, "accept-encoding")];
    (headers, axum::response::AppendHeaders(encoding), bytes(compressed.unwrap_or(plain))).into_response()
}

/// A file as a body: without a copy where it is part of the program.
pub(super) fn bytes(file: Cow<'static, [u8]>) -> Bytes {
    match file {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    }
}

/// Whether `Accept-Encoding` names gzip, and not with the weight of 0 that refuses it.
pub(super) fn takes_gzip(asked: &HeaderMap) -> bool {
    let values = asked.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map(str::parse::<f32>);
        is_gzip && !matches!(weight, Some(Ok(0.0) | Err(_)))
    })
}

fn type_of(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
