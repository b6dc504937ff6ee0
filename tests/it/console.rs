//! The console as the program serves it: built into it, or said to be missing.

use crate::support::Node;
use crate::support::http::Answer;
use std::path::Path;

fn get(node: &Node, path: &str) -> Answer {
    node.raw("GET", path, &[("Accept-Encoding", "gzip")], &[])
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

/// Whether there was a built console when the program was built: cargo builds it again when that changes.
fn is_built() -> bool {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("console/dist/site/index.html").exists()
}

#[test]
fn the_console_is_in_the_program_when_it_was_built() {
    let node = Node::start();
    let page = text(&get(&node, "/").expect(200));
    assert_eq!(page.contains("<div id=\"root\">"), is_built(), "{page}");
    assert_eq!(page.contains("This build has no web console"), !is_built(), "{page}");
}

#[test]
fn every_page_is_locked_down() {
    let node = Node::start();
    for path in ["/", "/setup?token=x", "/webhooks/wh_0000000000000001", "/sign-in?next=%2Fevents"] {
        let answer = get(&node, path).expect(200);
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-cache"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        let policy = answer.header("content-security-policy").unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; "), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert_eq!(policy.contains("script-src 'self';"), is_built(), "{path}: {policy}");
        assert_eq!(policy.contains("'unsafe-inline'"), !is_built(), "{path}: {policy}");
        assert!(!policy.contains("unsafe-eval"), "{path}: {policy}");
    }
}

#[test]
fn what_the_page_names_is_there_and_keeps() {
    let node = Node::start();
    let page = text(&get(&node, "/events").expect(200));
    let names = page.split('"').filter_map(|part| part.strip_prefix("./assets/"));
    let names: Vec<_> = names.map(str::to_owned).collect();
    assert_eq!(names.is_empty(), !is_built(), "{page}");
    for name in names {
        let answer = get(&node, &format!("/assets/{name}")).expect(200);
        assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"), "{name}");
        let plain = node.raw("GET", &format!("/assets/{name}"), &[], &[]).expect(200);
        let is_pressed = answer.header("content-encoding") == Some("gzip");
        assert_eq!(plain.body.len() > answer.body.len(), is_pressed, "{name}");
        // What is only a few words would grow by it.
        assert!(is_pressed || plain.body.len() < 300, "{name}");
        assert!(plain.header("content-encoding").is_none(), "{name}");
        assert!(plain.header("content-type").unwrap().starts_with("text/"), "{name}");
    }
}

#[test]
fn below_a_path_of_a_proxy_the_page_says_so() {
    let node = Node::with(&["--public-url", "https://example.com/tools/fanfare"], &[]);
    let page = text(&get(&node, "/").expect(200));
    assert_eq!(page.contains("<base href=\"/tools/fanfare/\" />"), is_built(), "{page}");
}

#[test]
fn what_is_no_page_is_none() {
    let node = Node::start();
    get(&node, "/nowhere").expect(404);
    get(&node, "/assets/nothing.js").expect(404);
    let answer = get(&node, "/api/nowhere").expect(404);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
}
