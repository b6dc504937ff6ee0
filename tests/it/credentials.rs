//! By what receivers and we know each other: keys that are rotated, tokens, certificates; and the proxy between us.

use crate::support::proxy::Proxy;
use crate::support::receiver::Request;
use crate::support::sign::{assert_pendo, assert_standard_by, signing_key};
use crate::support::{Node, Receiver, Reply, Webhook, wait_until};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

const SECRET: &str = "the first secret, with an \u{e9}";
const NEXT_SECRET: &str = "the second secret";

fn rotate(node: &Node, webhook: &Webhook, overlap_s: u64) -> String {
    let path = format!("/webhooks/{}/signing-key/rotate", webhook.id);
    let rotated = node.api("POST", &path, Some(json!({"overlap_s": overlap_s}))).expect(200).json();
    rotated["signing_key"].as_str().unwrap().to_owned()
}

/// Waits until the webhook shows that an overlap is over.
#[track_caller]
fn wait_for_end(node: &Node, webhook: &Webhook, field: &str) {
    wait_until("the overlap is over", || node.get(&format!("/webhooks/{}", webhook.id))[field].is_null().then_some(()));
}

#[track_caller]
fn sent(node: &Node, receiver: &Receiver, name: &str) -> Request {
    node.track(name);
    receiver.wait_for(name)
}

#[test]
fn a_rotated_signing_key_signs_until_its_time_is_over() {
    let (node, receiver) = (Node::start(), Receiver::ok());
    let webhook = node.webhook(&receiver.url(), json!({}));
    let first = signing_key(webhook.signing_key());
    let second = signing_key(&rotate(&node, &webhook, 3600));
    assert_standard_by(&sent(&node, &receiver, "during"), &[&second, &first]);
    // Moved by another rotation: the one before it ends at once.
    let third = signing_key(&rotate(&node, &webhook, 1));
    wait_for_end(&node, &webhook, "old_signing_key_until");
    assert_standard_by(&sent(&node, &receiver, "after"), &[&third]);
    let fourth = signing_key(&rotate(&node, &webhook, 0));
    assert_standard_by(&sent(&node, &receiver, "at once"), &[&fourth]);
}

#[test]
fn a_replaced_secret_can_be_checked_until_its_time_is_over() {
    let (mut node, receiver) = (Node::start(), Receiver::ok());
    let webhook = node.webhook(&receiver.url(), json!({"secret": SECRET}));
    let key = signing_key(webhook.signing_key());
    node.patch(&webhook, json!({"secret": NEXT_SECRET, "secret_overlap_s": 3600}));
    for name in ["during", "under another master key"] {
        let request = sent(&node, &receiver, name);
        assert_pendo(&request, NEXT_SECRET);
        assert_standard_by(&request, &[&key, NEXT_SECRET.as_bytes(), SECRET.as_bytes()]);
        if node.is_embedded() {
            node.stop();
            assert!(node.command(&["master-key", "rotate"]).status.success());
            node.serve();
        }
    }
    node.patch(&webhook, json!({"secret_overlap_s": 1}));
    wait_for_end(&node, &webhook, "old_secret_until");
    let request = sent(&node, &receiver, "after");
    assert_pendo(&request, NEXT_SECRET);
    assert_standard_by(&request, &[&key]);
    let refused = json!({"secret": "x", "secret_overlap_s": 60, "standard_webhooks": false});
    node.api("PATCH", &format!("/webhooks/{}", webhook.id), Some(refused)).expect(422);
}

/// Gives the tokens token-0, token-1 and so on.
fn token_server() -> Receiver {
    let given = AtomicUsize::new(0);
    Receiver::by(move |_, _| {
        let token = format!("token-{}", given.fetch_add(1, Ordering::SeqCst));
        let body = json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600});
        Reply::Full(200, vec![("Content-Type", "application/json".into())], body.to_string().into_bytes())
    })
}

fn oauth2(token_url: &str) -> Value {
    json!({"auth": {"type": "oauth2", "token_url": token_url, "client_id": "fanfare", "client_secret": "s3cret"}})
}

#[test]
fn bearer_and_basic_open_what_is_shut() {
    let (node, receiver) = (Node::start(), Receiver::ok());
    let webhook = node.webhook(&receiver.url(), json!({"auth": {"type": "bearer", "token": "s3cret"}}));
    assert_eq!(sent(&node, &receiver, "bearer").header("authorization"), Some("Bearer s3cret"));
    let basic = json!({"type": "basic", "username": "ada", "password": "s3cret"});
    assert_eq!(node.patch(&webhook, json!({"auth": basic}))["auth"]["password"], true);
    assert_eq!(sent(&node, &receiver, "basic").header("authorization"), Some("Basic YWRhOnMzY3JldA=="));
    // What is shown can be written back, and keeps the password.
    node.patch(&webhook, json!({"auth": {"type": "basic", "username": "bob", "password": true}}));
    assert_eq!(sent(&node, &receiver, "bob").header("authorization"), Some("Basic Ym9iOnMzY3JldA=="));
    node.patch(&webhook, json!({"auth": null}));
    assert_eq!(sent(&node, &receiver, "nobody").header("authorization"), None);
}

#[test]
fn a_token_is_kept_until_the_receiver_refuses_it() {
    let (node, server) = (Node::start(), token_server());
    let withdrawn = AtomicUsize::new(0);
    let receiver = Receiver::by(move |request, _| {
        let token: usize = request.header("authorization").unwrap().rsplit('-').next().unwrap().parse().unwrap();
        if request.name() == "withdrawn" {
            withdrawn.store(1, Ordering::SeqCst);
        }
        Reply::Status(if token < withdrawn.load(Ordering::SeqCst) { 401 } else { 200 })
    });
    let webhook = node.webhook(&receiver.url(), oauth2(&server.url()));
    for name in ["one", "two"] {
        assert_eq!(sent(&node, &receiver, name).header("authorization"), Some("Bearer token-0"));
    }
    assert_eq!(server.requests().len(), 1);
    let asked = &server.requests()[0];
    assert_eq!(asked.header("authorization"), Some("Basic ZmFuZmFyZTpzM2NyZXQ="));
    assert_eq!(asked.body, b"grant_type=client_credentials");
    node.track("withdrawn");
    let deliveries = wait_until("all are delivered", || {
        let rows = node.deliveries(&webhook);
        (rows.iter().filter(|row| row["status"] == "delivered").count() == 3).then_some(rows)
    });
    assert!(deliveries.iter().all(|row| row["attempt_count"] == 1), "{deliveries:?}");
    let tokens: Vec<_> =
        receiver.requests().iter().map(|request| request.header("authorization").unwrap().to_owned()).collect();
    assert_eq!(tokens[2..], ["Bearer token-0", "Bearer token-1"]);
}

#[test]
fn without_a_token_there_is_no_delivery() {
    let (node, receiver) = (Node::with_short_retries(), Receiver::ok());
    let busy = Reply::Status(503);
    let body = json!({"access_token": "late", "token_type": "Bearer"}).to_string().into_bytes();
    let server = Receiver::sequence(vec![busy.clone(), busy, Reply::Full(200, vec![], body)]);
    let webhook = node.webhook(&receiver.url(), oauth2(&server.url()));
    node.track("late");
    let delivery = node.settled(&webhook, "delivered");
    let attempts = delivery["attempts"].as_array().unwrap();
    let reasons: Vec<_> = attempts.iter().map(|attempt| attempt["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["auth_unavailable", "auth_unavailable", "accepted"]);

    let refusing = Receiver::always(Reply::Full(401, vec![], b"{\"error\":\"invalid_client\"}".to_vec()));
    let webhook = node.webhook(&receiver.url(), oauth2(&refusing.url()));
    node.track("never");
    let delivery = node.settled(&webhook, "failed");
    let attempts = delivery["attempts"].as_array().unwrap();
    assert_eq!((attempts.len(), &attempts[0]["reason"]), (1, &json!("auth_failed")));
    assert!(attempts[0]["detail"].as_str().unwrap().contains("answered 401 (invalid_client)"), "{delivery:#}");
}

#[test]
fn a_token_server_on_a_private_address_is_refused() {
    let (node, server) = (Node::guarded(&[]), token_server());
    let at = |host: &str| format!("http://{host}:{}/token", server.addr.port());
    for (host, words) in [("127.0.0.1", "127.0.0.1 is a loopback address"), ("localhost", "localhost resolves to ")] {
        let webhook = node.create(json!({"url": "https://example.com/"}).merged(&oauth2(&at(host))));
        let tested = node.api("POST", &format!("/webhooks/{}/test", webhook.id), None).expect(200).json();
        assert_eq!(tested["reason"], "address_refused", "{tested:#}");
        let detail = tested["detail"].as_str().unwrap();
        assert!(detail.starts_with("the token server") && detail.contains(words), "{detail}");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn a_client_certificate_is_checked_when_it_is_set_and_shown_to_who_asks() {
    let made = rcgen::generate_simple_self_signed(vec![String::from("client.example")]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let receiver = Receiver::mutual("localhost", made.cert.der());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), receiver.certificate.as_ref().unwrap()).unwrap();
    let node = Node::with(&["--ca-file", file.path().to_str().unwrap()], &[]);
    let url = format!("https://localhost:{}/hook", receiver.addr.port());

    let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let mut past = rcgen::CertificateParams::new(vec![String::from("client.example")]).unwrap();
    past.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let past = past.self_signed(&made.signing_key).unwrap().pem();
    for (certificate, key, field) in [
        ("nothing", key.as_str(), "client_certificate.certificate"),
        (past.as_str(), key.as_str(), "client_certificate.certificate"),
        (certificate.as_str(), "nothing", "client_certificate.private_key"),
        (certificate.as_str(), other.as_str(), "client_certificate.private_key"),
    ] {
        let body =
            json!({"name": "x", "url": url, "client_certificate": {"certificate": certificate, "private_key": key}});
        let refused = node.api("POST", "/webhooks", Some(body)).expect(422).json();
        assert_eq!(refused["field"], field, "{refused}");
    }

    let both = json!({"client_certificate": {"certificate": certificate, "private_key": key}});
    let webhook = node.webhook(&url, both);
    sent(&node, &receiver, "one");
    let shown = node.get(&format!("/webhooks/{}", webhook.id));
    assert_eq!(shown["client_certificate"], json!({"certificate": certificate, "private_key": true}));
    let anonymous = json!({"client_certificate": null});
    let tested = node.api("POST", &format!("/webhooks/{}/test", webhook.id), Some(anonymous)).expect(200).json();
    assert_eq!(tested["reason"], "tls_failed", "{tested:#}");
    assert!(tested["detail"].as_str().unwrap().contains("client certificate"), "{tested:#}");
}

fn through(proxy: &Proxy) -> [String; 2] {
    [format!("--proxy=http://ada@{}", proxy.addr), String::from("--no-proxy=")]
}

const PASSWORD: [(&str, &str); 1] = [("FANFARE_PROXY_PASSWORD", "s3cret")];

#[test]
fn everything_goes_through_the_proxy() {
    let (proxy, server) = (Proxy::new("ada", "s3cret"), token_server());
    let (plain, tls) = (Receiver::ok(), Receiver::tls("localhost"));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), tls.certificate.as_ref().unwrap()).unwrap();
    let flags = through(&proxy);
    let flags: Vec<&str> =
        flags.iter().map(String::as_str).chain(["--ca-file", file.path().to_str().unwrap()]).collect();
    let node = Node::with(&flags[..], &PASSWORD);
    node.webhook(&plain.url(), oauth2(&server.url()));
    node.webhook(&format!("https://localhost:{}/hook", tls.addr.port()), json!({}));
    let host = plain.addr.to_string();
    assert_eq!(sent(&node, &plain, "one").header("host"), Some(host.as_str()));
    let name = format!("localhost:{}", tls.addr.port());
    assert_eq!(tls.wait_for("one").header("host"), Some(name.as_str()));
    let asked = proxy.asked();
    for address in [server.addr, plain.addr, tls.addr] {
        assert!(asked.contains(&address.to_string()), "{address} in {asked:?}");
    }
}

#[test]
fn the_guard_holds_through_the_proxy() {
    let (proxy, receiver) = (Proxy::new("ada", "s3cret"), Receiver::ok());
    let flags = through(&proxy);
    let node = Node::that(&flags.iter().map(String::as_str).collect::<Vec<_>>(), &PASSWORD);
    for host in ["127.0.0.1", "localhost", "0x7f.1"] {
        let webhook = node.create(json!({"url": format!("http://{host}:{}/hook", receiver.addr.port())}));
        let tested = node.api("POST", &format!("/webhooks/{}/test", webhook.id), None).expect(200).json();
        assert_eq!(tested["reason"], "address_refused", "{tested:#}");
    }
    assert!(proxy.asked().is_empty() && receiver.requests().is_empty());
}

#[test]
fn a_proxy_that_resolves_is_trusted_with_names_only() {
    let (proxy, receiver) = (Proxy::new("ada", "s3cret"), Receiver::ok());
    let flags = [&through(&proxy)[..], &[String::from("--proxy-resolves")]].concat();
    let node = Node::that(&flags.iter().map(String::as_str).collect::<Vec<_>>(), &PASSWORD);
    let test = |host: &str| {
        let webhook = node.create(json!({"url": format!("http://{host}:{}/hook", receiver.addr.port())}));
        node.api("POST", &format!("/webhooks/{}/test", webhook.id), None).expect(200).json()
    };
    assert_eq!(test("only-the-proxy-knows.invalid")["reason"], "accepted");
    assert_eq!(proxy.asked(), [format!("only-the-proxy-knows.invalid:{}", receiver.addr.port())]);
    assert_eq!(test("127.0.0.1")["reason"], "address_refused");
    assert_eq!(test("127.1")["reason"], "address_refused");
    assert_eq!(test("localhost")["reason"], "address_refused");
    assert_eq!(receiver.requests().len(), 1);
}

#[test]
fn a_proxy_that_refuses_is_told_apart_from_the_receiver() {
    let (proxy, receiver) = (Proxy::new("ada", "another password"), Receiver::ok());
    let flags = through(&proxy);
    let node = Node::with(&flags.iter().map(String::as_str).collect::<Vec<_>>(), &PASSWORD);
    let webhook = node.create(json!({"url": receiver.url()}));
    let tested = node.api("POST", &format!("/webhooks/{}/test", webhook.id), None).expect(200).json();
    assert_eq!(tested["reason"], "proxy_failed", "{tested:#}");
    assert!(!tested.to_string().contains("s3cret"), "{tested:#}");
}

trait Merged {
    fn merged(self, other: &Self) -> Self;
}

impl Merged for Value {
    fn merged(mut self, other: &Self) -> Self {
        self.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        self
    }
}

#[test]
fn a_secret_is_sent_to_no_other_server_than_it_was_entered_for() {
    let (node, receiver, other) = (Node::start(), Receiver::ok(), Receiver::ok());
    let bearer = |token: Value| json!({"type": "bearer", "token": token});
    let webhook = node.webhook(
        &receiver.url(),
        json!({"auth": bearer(json!("s3cret-token")), "headers": {"X-Tenant-Key": "s3cret-header"}}),
    );
    let path = format!("/webhooks/{}", webhook.id);
    let refused = |call: &str, path: &str, body: Value, what: &str| {
        let problem = node.api(call, path, Some(body)).expect(422).json();
        assert_eq!(problem["field"], "url");
        assert!(problem["detail"].as_str().unwrap().contains(what), "{problem}");
    };
    let elsewhere = |more: Value| {
        let mut body = json!({"url": other.url()});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    refused("PATCH", &path, elsewhere(json!({})), "the secret of auth");
    refused("PATCH", &path, elsewhere(json!({"auth": bearer(json!(true))})), "the secret of auth");
    refused("PATCH", &path, elsewhere(json!({"auth": null})), "the values of the headers");
    // A test of what is not saved is no way around it.
    refused(
        "POST",
        &format!("{path}/test"),
        elsewhere(json!({"headers": {"X-Tenant-Key": true}})),
        "the secret of auth",
    );
    assert!(other.requests().is_empty(), "nothing was sent there");

    node.patch(&webhook, json!({"url": format!("{}?more", receiver.url())}));
    assert_eq!(sent(&node, &receiver, "same server").header("x-tenant-key"), Some("s3cret-header"));
    let again = json!({"auth": bearer(json!("s3cret-token")), "headers": {"X-Tenant-Key": "s3cret-header"}});
    node.patch(&webhook, elsewhere(again));
    assert_eq!(sent(&node, &other, "entered again").header("authorization"), Some("Bearer s3cret-token"));

    let webhook = node.webhook(&receiver.url(), oauth2("https://id.example.com/token"));
    let moved =
        json!({"auth": {"type": "oauth2", "token_url": other.url(), "client_id": "fanfare", "client_secret": true}});
    let problem = node.api("PATCH", &format!("/webhooks/{}", webhook.id), Some(moved)).expect(422).json();
    assert_eq!(problem["field"], "auth.token_url");
}
