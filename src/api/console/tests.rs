//! The console's answers, with files of a build that never was.

use super::*;
use crate::clock::SeededRandom;
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use std::fs;

const INDEX: &str = r#"<head><base href="/" /><meta name="csp-nonce" content="" /></head>"#;

fn some(path: &str) -> Option<Cow<'static, [u8]>> {
    let file: &[u8] = match path {
        "index.html" => INDEX.as_bytes(),
        "icon.svg" => b"<svg/>",
        "assets/a-1.js" => b"let a;",
        "assets/a-1.js.gz" => b"pressed",
        "assets/b-2.css" => b"b {}",
        _ => return None,
    };
    Some(Cow::Borrowed(file))
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

async fn ask(router: &Router, path: &str, accepted: &str) -> Answer {
    let request = Request::get(path).header("accept-encoding", accepted).body(Body::empty()).unwrap();
    let response = TowerToHyperService::new(router.clone()).call(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    Answer { status: parts.status, headers: parts.headers, text }
}

fn router_at(public_url: &str, files: Files) -> Router {
    routes(public_url, Arc::new(SeededRandom::new(1)), files)
}

#[tokio::test]
async fn only_the_api_reference_may_style_itself_and_nothing_may_run_there_either() {
    let router = router_at("https://example.com", some);
    let policy = async |path: &str| {
        let answer = ask(&router, path, "gzip").await;
        answer.headers["content-security-policy"].to_str().unwrap().to_owned()
    };
    let (reference, other) = (policy("/api-reference").await, policy("/webhooks").await);
    assert!(
        reference.contains("style-src 'self' 'unsafe-inline';") && !other.contains("unsafe"),
        "{reference} {other}"
    );
    assert!(reference.contains("script-src 'self';") && reference.contains("connect-src 'self';"), "{reference}");
}

#[tokio::test]
async fn every_place_is_the_page_with_a_nonce_of_its_own() {
    let router = router_at("https://example.com", some);
    let mut nonces = Vec::new();
    for path in ["/", "/setup?token=x", "/webhooks", "/webhooks/wh_1/edit", "/sign-in"] {
        let answer = ask(&router, path, "gzip").await;
        assert_eq!((answer.status, answer.header("cache-control")), (StatusCode::OK, Some("no-cache")), "{path}");
        let nonce = answer.text.split_once("content=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
        assert!(nonce.len() >= 22, "{}", answer.text);
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains(&format!("style-src 'self' 'nonce-{nonce}'")), "{policy}");
        nonces.push(nonce);
    }
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), 5);
    assert_eq!(ask(&router, "/nowhere", "gzip").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn files_keep_for_ever_and_come_compressed_to_those_who_take_it() {
    let router = router_at("https://example.com", some);
    let pressed = ask(&router, "/assets/a-1.js", "br, gzip;q=0.5").await;
    assert_eq!((pressed.text.as_str(), pressed.header("content-encoding")), ("pressed", Some("gzip")));
    assert_eq!(pressed.headers["content-type"], "text/javascript; charset=utf-8");
    assert_eq!(pressed.headers["cache-control"], FOREVER);
    for refused in ["", "gzip;q=0", "br"] {
        let plain = ask(&router, "/assets/a-1.js", refused).await;
        assert_eq!((plain.text.as_str(), plain.headers.get("content-encoding")), ("let a;", None), "{refused}");
        assert_eq!(plain.headers["vary"], "accept-encoding");
    }
    let alone = ask(&router, "/assets/b-2.css", "gzip").await;
    assert_eq!((alone.text.as_str(), alone.headers.get("content-encoding")), ("b {}", None));
    let icon = ask(&router, "/icon.svg", "").await;
    assert_eq!((icon.header("content-type"), icon.header("cache-control")), (Some("image/svg+xml"), Some(AN_HOUR)));
    for path in ["/assets/nothing.js", "/assets/..%2Findex.html", "/index.html"] {
        assert_eq!(ask(&router, path, "gzip").await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn the_page_says_below_which_path_it_is() {
    for (public_url, base) in [
        ("https://example.com", "/"),
        ("http://127.0.0.1:8080/", "/"),
        ("https://example.com/tools/fanfare", "/tools/fanfare/"),
        ("https://example.com/a&\"b/", "/a&amp;&quot;b/"),
    ] {
        let page = ask(&router_at(public_url, some), "/events", "").await;
        assert!(page.text.contains(&format!("<base href=\"{base}\" />")), "{public_url}: {}", page.text);
    }
}

#[tokio::test]
async fn without_the_console_static_pages_say_what_to_do() {
    let router = router_at("https://example.com", |_| None);
    for (path, says) in [("/", "/api/openapi.json"), ("/webhooks/wh_1", "no web console"), ("/setup", "/api/v1/set-up")]
    {
        let answer = ask(&router, path, "gzip").await;
        assert!(answer.text.contains(says), "{path}: {}", answer.text);
        assert!(!answer.text.contains("<script") && !answer.text.contains("src="));
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("script-src"), "{policy}");
    }
    assert_eq!(ask(&router, "/assets/a-1.js", "gzip").await.status, StatusCode::NOT_FOUND);
}

#[test]
fn the_source_of_the_page_has_what_the_server_fills_in() {
    let source = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/console/index.html")).unwrap();
    let page = Page::new(&source, "https://example.com/below").answer(&SeededRandom::new(1), InlineStyles::Refused);
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("'nonce-"));
    assert_eq!((source.matches(page::BASE).count(), source.matches(page::NONCE).count()), (1, 1));
}

#[test]
fn every_page_of_the_console_s_router_is_a_place() {
    let source = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/console/src/app/router.tsx")).unwrap();
    let paths = source.split(['"', '`']).filter_map(|text| text.strip_prefix('/')).filter(|path| !path.is_empty());
    let firsts: Vec<_> = paths.filter_map(|path| path.split('/').next()).collect();
    assert!(firsts.contains(&"webhooks"));
    for first in firsts {
        assert!(PLACES.contains(&first) || LINKS.contains(&first), "the server does not know the page /{first}");
    }
}
