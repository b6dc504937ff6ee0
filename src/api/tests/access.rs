use super::support::{Answer, MEMBER, NOW, Node, OTHER, request};
use crate::model::UnixMs;
use axum::body::Body;

#[tokio::test]
async fn a_key_is_taken_from_either_header() {
    let node = Node::new();
    let status = async |name: &str, value: String| {
        let request = request("GET", "/api/v1/webhooks").header(name, value).body(Body::empty()).unwrap();
        node.send(request).await.status.as_u16()
    };
    let key = &node.admin;
    assert_eq!(status("x-pendo-integration-key", key.clone()).await, 200);
    assert_eq!(status("authorization", format!("bearer {key}")).await, 200);
    assert_eq!(status("authorization", format!("Basic {key}")).await, 401);
    assert_eq!(status("authorization", String::from("Bearer ")).await, 401);
    assert_eq!(status("x-pendo-integration-key", "x".repeat(5000)).await, 401);
    assert_eq!(status("x-pendo-integration-key", key.to_uppercase()).await, 401);
}

#[tokio::test]
async fn wrong_keys_are_throttled_by_address_and_never_slow_a_valid_one() {
    let node = Node::new();
    let guess = async |peer: Option<&str>| {
        let mut request = request("GET", "/api/v1/webhooks").header("authorization", "Bearer guess");
        if let Some(address) = peer {
            request = request.header("x-forwarded-for", address);
        }
        node.send(request.body(Body::empty()).unwrap()).await
    };
    for _ in 0..100 {
        guess(None).await.problem(401, "wrong_key");
    }
    let throttled = guess(None).await;
    throttled.problem(429, "too_many_wrong_keys");
    assert_eq!(throttled.headers["retry-after"], "1");
    guess(Some("203.0.113.9")).await.problem(429, "too_many_wrong_keys");
    node.get("/api/v1/webhooks").await.ok(200);
    node.clock.set(UnixMs(NOW.0 + 600));
    guess(None).await.problem(401, "wrong_key");
    guess(None).await.problem(429, "too_many_wrong_keys");
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_is_counted_alone() {
    let node = Node::new();
    let guess = async |forwarded: &str| {
        let peer: std::net::SocketAddr = "10.1.2.3:9".parse().unwrap();
        let request = request("GET", "/api/v1/webhooks").extension(axum::extract::ConnectInfo(peer));
        let request = request.header("authorization", "Bearer guess").header("x-forwarded-for", forwarded);
        node.send(request.body(Body::empty()).unwrap()).await.status.as_u16()
    };
    for _ in 0..100 {
        assert_eq!(guess("1.1.1.1, 203.0.113.9, 10.0.0.1").await, 401);
    }
    assert_eq!(guess("2.2.2.2, 203.0.113.9").await, 429, "what stands further left is the client's own claim");
    assert_eq!(guess("203.0.113.10").await, 401);
}

#[tokio::test]
async fn a_valid_key_has_its_burst_then_its_rate() {
    let node = Node::new();
    let call = async |key: &str| node.call_as(key, "GET", "/api/v1/events/evt_1", None).await;
    for _ in 0..1000 {
        call(MEMBER).await.problem(404, "not_found");
    }
    let limited = call(MEMBER).await;
    limited.problem(429, "too_many_calls");
    assert_eq!(limited.headers["retry-after"], "1");
    let standing = |answer: &Answer| {
        ["limit", "remaining", "reset"]
            .map(|name| answer.headers[format!("ratelimit-{name}")].to_str().unwrap().to_owned())
    };
    assert_eq!(standing(&limited), ["1000", "0", "10"]);
    assert_eq!(standing(&call(OTHER).await), ["1000", "999", "1"]);
    call(OTHER).await.problem(404, "not_found");
    node.clock.set(UnixMs(NOW.0 + 10));
    call(MEMBER).await.problem(404, "not_found");
    call(MEMBER).await.problem(429, "too_many_calls");
}

#[tokio::test]
async fn a_body_must_be_a_json_object_of_bounded_size() {
    let node = Node::new();
    let post = async |content_type: &str, body: Vec<u8>| {
        let request = request("POST", "/api/v1/webhooks").header("authorization", format!("Bearer {}", node.admin));
        node.send(request.header("content-type", content_type).body(Body::from(body)).unwrap()).await
    };
    let fine = br#"{"name":"n","url":"http://h/"}"#.to_vec();
    post("text/plain", fine.clone()).await.problem(415, "not_json");
    post("application/json; charset=utf-8", fine.clone()).await.ok(201);
    for broken in ["{", "[]", "7", "null", "\"It's a Sec", "{\"name\":\"n\"} x", "\u{0}"] {
        let detail = post("application/json", broken.into()).await.problem(400, "unreadable");
        assert!(!detail.contains("Sec"), "{detail}");
    }
    post("application/json", vec![b'{', 0xff, b'}']).await.problem(400, "unreadable");
    post("application/json", vec![b' '; 64 * 1024 + 1]).await.problem(413, "too_large");
    let empty = post("application/json", Vec::new()).await;
    assert_eq!(empty.problem(422, "wrong_field"), "name: is required");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let node = Node::new();
    for path in ["/api", "/api/", "/api/v1", "/api/v1/nothing", "/api/v1/webhooks/x/nothing", "/api/v1/events/a/b"] {
        node.get(path).await.problem(404, "no_such_path");
    }
    for id in ["x", "wh_0000000000000001", "wh_ffffffffffffffff", "%00", "wh_00000000000000zz"] {
        node.get(&format!("/api/v1/webhooks/{id}")).await.problem(404, "not_found");
    }
    node.get("/api/v1/webhooks/%ff").await.problem(404, "no_such_path");
    let answer = node.call("PUT", "/api/v1/webhooks", None).await;
    answer.problem(405, "method_not_allowed");
    let mut allowed: Vec<&str> = answer.headers["allow"].to_str().unwrap().split(',').map(str::trim).collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
}

#[tokio::test]
async fn no_answer_is_kept() {
    let node = Node::new();
    for (method, path) in [("GET", "/api/v1/webhooks"), ("GET", "/api/nowhere"), ("PUT", "/api/v1/webhooks")] {
        assert_eq!(node.call(method, path, None).await.headers["cache-control"], "no-store");
    }
}
