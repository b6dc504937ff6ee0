//! No secret can be read back: not from a file of the data directory, not from the log, not from any answer.

use crate::support::proxy::Proxy;
use crate::support::{Node, Receiver, Reply, Webhook};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

const SECRET: &str = "a webhook's very own secret \u{e9}";
const NEXT_SECRET: &str = "and the one that came after it";
const PROXY_PASSWORD: &str = "the password for the proxy";
const HEADER: &str = "a-key-that-a-gateway-wants";
const TOKEN: &str = "a-token-in-a-header-of-its-own";
const WRITE_KEY: &str = "aBcD3fGh1jKlMn0pQrStUvWxYz123456";

/// Somebody signed in, and every secret of people that there is.
struct People {
    cookie: String,
    secrets: Vec<String>,
}

fn people(node: &Node) -> People {
    let password = "correct horse battery";
    let token = node.keys.setup_token().to_owned();
    let admin = json!({"token": token, "email": "ada@example.com", "name": "Ada", "password": password});
    let signed_in = node.call("POST", "/api/v1/set-up", &[], Some(admin)).expect(201);
    let cookie = signed_in.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let csrf = signed_in.json()["csrf_token"].as_str().unwrap().to_owned();
    let as_ada = [("Cookie", cookie.as_str()), ("X-CSRF-Token", csrf.as_str())];
    let call = |method: &str, path: &str, body: serde_json::Value| {
        node.call(method, &format!("/api/v1/session/{path}"), &as_ada, Some(body))
    };
    let seed = call("POST", "second-factor", json!({"current_password": password})).expect(201).json();
    let seed = seed["secret"].as_str().unwrap();
    let secret = totp_rs::Secret::try_from_base32(seed).unwrap();
    let raw: String = hex::encode(secret.as_ref());
    let totp = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    let code = totp.generate(crate::support::events::now_ms() as u64 / 1000).to_string();
    let codes = call("PUT", "second-factor", json!({"code": code})).expect(200).json();
    let recovery = codes["recovery_codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned());
    call("PUT", "email", json!({"current_password": password, "email": "new@example.com"})).expect(202);
    let mia = json!({"email": "mia@example.com", "name": "Mia", "role": "member"});
    node.api("POST", "/users", Some(mia)).expect(201);
    let outbox = node.command(&["operator", "mail", "--json", "--listen", &node.addr.to_string()]);
    let outbox = String::from_utf8(outbox.stdout).unwrap();
    let links = outbox.split("token=").skip(1).map(|rest| rest.split("\\n").next().unwrap().to_owned());
    let links: Vec<String> = links.collect();
    assert_eq!(links.len(), 2, "{outbox}");
    let session = cookie.split_once('=').unwrap().1.to_owned();
    // A wrong password must not be kept either, for it may be a right one mistyped, or another account's.
    let wrong = json!({"email": "new@example.com", "password": "correct horse batter"});
    node.call("POST", "/api/v1/session", &[], Some(wrong)).expect(401);
    let mut secrets = vec![token, password.to_owned(), session, seed.to_owned(), raw];
    secrets.push(String::from("correct horse batter"));
    secrets.extend(recovery.chain(links));
    People { cookie, secrets }
}

/// What a webhook is let in with, and everything secret of it.
fn credentials(node: &Node, receiver: &Receiver) -> Vec<String> {
    let token = "a token that nobody but the receiver may see";
    let server = Receiver::by(move |_, _| {
        let body = json!({"access_token": "an-access-token-of-a-token-server", "token_type": "Bearer"});
        Reply::Full(200, vec![], body.to_string().into_bytes())
    });
    let refusing = Receiver::by(|request, _| {
        // It repeats what it was sent, as some do in their errors.
        let asked = String::from_utf8_lossy(&request.body).into_owned();
        Reply::Full(400, vec![], json!({"error": "invalid_client", "error_description": asked}).to_string().into())
    });
    let client_secret = "the-client-secret-of-a-webhook";
    let oauth2 = |url: String, in_body: bool| json!({"type": "oauth2", "token_url": url, "client_id": "c", "client_secret": client_secret, "in_body": in_body});
    let made = rcgen::generate_simple_self_signed(vec![String::from("client.example")]).unwrap();
    let private_key = made.signing_key.serialize_pem();
    let certificate = json!({"certificate": made.cert.pem(), "private_key": private_key});
    let password = "the password of a basic webhook";
    for settings in [
        json!({"auth": {"type": "bearer", "token": token}}),
        json!({"auth": {"type": "basic", "username": "ada", "password": password}}),
        json!({"auth": oauth2(server.url(), false)}),
        json!({"auth": oauth2(refusing.url(), true)}),
        json!({"url": "https://127.0.0.1:9/", "client_certificate": certificate}),
    ] {
        let webhook = node.webhook(&receiver.url(), settings);
        node.api("POST", &format!("/webhooks/{}/test", webhook.id), None).expect(200);
    }
    assert!(!server.requests().is_empty() && !refusing.requests().is_empty());
    let key_line = private_key.lines().nth(1).unwrap();
    let basic = BASE64_STANDARD.encode(format!("ada:{password}"));
    let all = [token, "an-access-token-of-a-token-server", client_secret, key_line, password, &basic];
    all.map(str::to_owned).to_vec()
}

/// Every GET that the OpenAPI document names, with the id of something that is there; but for the one without an end, which
/// shows what the list of deliveries does.
fn every_get(node: &Node, ids: &[(&str, String)]) -> Vec<String> {
    let document = node.call("GET", "/api/openapi.json", &[], None).expect(200).json();
    let paths = document["paths"].as_object().unwrap().iter().filter(|(_, calls)| calls["get"].is_object());
    let paths = paths.filter(|(path, _)| !path.ends_with("/deliveries/live"));
    let with_id = |template: &str| {
        let kind = template.split('/').nth(3).unwrap();
        match ids.iter().find(|(of, _)| *of == kind) {
            Some((_, id)) => template.replace("{id}", id),
            None => {
                assert!(!template.contains("{id}"), "what is the id of {kind}?");
                template.to_owned()
            }
        }
    };
    paths.map(|(template, _)| with_id(template)).collect()
}

/// A node that logs what it can, and sends through this proxy. Small journal files: each is searched byte by byte.
fn talkative(proxy: &Proxy) -> Node {
    let through = format!("http://ada@{}", proxy.addr);
    let flags = ["--log", "debug", "--journal-segment-size", "4MiB", "--proxy", &through, "--no-proxy", ""];
    Node::with(&flags, &[("FANFARE_PROXY_PASSWORD", PROXY_PASSWORD)])
}

/// Every GET, as the holder of a key and as somebody who has signed in.
fn assert_no_answer_shows(node: &Node, cookie: &str, ids: &[(&str, String)], secrets: &[String]) {
    let mut answered = 0;
    for path in every_get(node, ids) {
        let key = format!("Bearer {}", node.keys.integration_key);
        for with in [("Authorization", key.as_str()), ("Cookie", cookie)] {
            let answer = node.call("GET", &path, &[with], None);
            answered += usize::from(answer.status == 200);
            let shown = String::from_utf8_lossy(&answer.body).into_owned();
            assert_eq!(secrets.iter().find(|secret| shown.contains(secret.as_str())), None, "GET {path} shows it");
        }
    }
    assert!(answered > 30, "only {answered} answers were looked at");
}

#[test]
fn secrets_are_in_no_file_no_log_and_no_answer() {
    let proxy = Proxy::new("ada", PROXY_PASSWORD);
    let mut node = talkative(&proxy);
    let receiver = Receiver::always(Reply::Status(400));
    let headers = json!({"X-Api-Key": HEADER, "Authorization": format!("Bearer {TOKEN}")});
    let format = json!({"template": r#"{"event":"{{ event }}","properties":{{ properties | tojson }}}"#});
    let webhook = node.webhook(&receiver.url(), json!({"secret": SECRET, "headers": headers, "format": format}));
    let endpoint = format!("http://{}", receiver.addr);
    let segment = json!({"name": "s", "type": "segment", "endpoint": endpoint, "write_key": WRITE_KEY});
    let segment = node.api("POST", "/webhooks", Some(segment)).expect(201).json();
    let segment = Webhook { id: segment["id"].as_str().unwrap().to_owned(), created: segment };
    node.switch(&segment, true);
    let signing_key = webhook.created["signing_key"].as_str().unwrap().strip_prefix("whsec_").unwrap().to_owned();
    let key = node.api("POST", "/keys", Some(json!({"name": "k", "role": "admin"}))).expect(201).json();
    let path = format!("/apps/{}/rotate-track-secret", node.keys.app_id);
    let rotated = node.api("POST", &path, None).expect(200).json();
    node.track("one");
    node.settled(&webhook, "failed");
    node.settled(&segment, "failed");
    let basic = receiver.requests().into_iter().find(|request| request.line.contains("/v1/track")).unwrap();
    let basic = basic.header("authorization").unwrap().strip_prefix("Basic ").unwrap().to_owned();
    node.api("POST", &format!("/webhooks/{}/test", webhook.id), None).expect(200);
    let rotation = format!("/webhooks/{}/signing-key/rotate", webhook.id);
    let next_key = node.api("POST", &rotation, None).expect(200).json()["signing_key"].as_str().unwrap().to_owned();
    node.patch(&webhook, json!({"secret": NEXT_SECRET, "secret_overlap_s": 3600}));
    let credentials = credentials(&node, &receiver);
    node.track("two");
    receiver.wait_for("two");
    assert!(!proxy.asked().is_empty());
    let people = people(&node);
    let rule = json!({"kind": "visitor", "pattern": "x"});
    let exclusion = node.api("POST", "/exclusions", Some(rule)).expect(201).json();
    let job = node.api("POST", "/visitors/_PENDO_T_x/forget", None).expect(202).json();
    let guide = node.api("POST", "/guides", Some(json!({"name": "G", "steps": [{}]}))).expect(201).json();
    // A wrong key must not be repeated to the log either, for it may be a right one mistyped.
    let guess = [("Authorization", "Bearer ff_key_almost_right")];
    node.call("GET", "/api/v1/keys", &guess, None).expect(401);

    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut secrets = vec![SECRET.to_owned(), NEXT_SECRET.to_owned(), signing_key, basic];
    secrets.extend([HEADER, TOKEN, WRITE_KEY].map(ToOwned::to_owned));
    secrets.extend([text(&key["key"]), text(&rotated["track_secret"])]);
    secrets.extend([node.keys.integration_key.clone(), node.keys.track_secret.clone()]);
    secrets.extend([next_key.strip_prefix("whsec_").unwrap().to_owned(), PROXY_PASSWORD.to_owned()]);
    secrets.push(BASE64_STANDARD.encode(format!("ada:{PROXY_PASSWORD}")));
    secrets.extend(credentials);
    secrets.extend(people.secrets);
    let ids = [
        ("webhooks", webhook.id.clone()),
        ("deliveries", text(&node.deliveries(&webhook)[0]["id"])),
        ("events", text(&node.list("/events")[0]["id"])),
        ("keys", text(&key["id"])),
        ("apps", node.keys.app_id.to_string()),
        ("users", text(&node.list("/users")[0]["id"])),
        ("exclusions", text(&exclusion["id"])),
        ("guides", text(&guide["id"])),
        ("forget-jobs", text(&job["id"])),
        ("visitors", String::from("somebody")),
        ("accounts", String::from("acme")),
    ];
    assert_no_answer_shows(&node, &people.cookie, &ids, &secrets);
    node.kill();
    secrets.push(String::from("ff_key_almost_right"));
    let log = node.log();
    assert!(log.contains("DEBUG"), "{log}");
    assert!(!node.holding("Mia").is_empty(), "what is no secret is found where it is kept");
    for secret in &secrets {
        assert!(!log.contains(secret.as_str()), "the log shows {secret}");
        assert_eq!(node.holding(secret), Vec::<String>::new(), "where {secret} is kept");
    }
}

#[test]
fn other_users_of_the_machine_read_nothing_of_what_is_kept() {
    use std::os::unix::fs::PermissionsExt;
    let mut node = Node::embedded(&[], &[]);
    let receiver = Receiver::ok();
    let webhook = node.webhook(&receiver.url(), json!({}));
    node.track("private");
    node.settled(&webhook, "delivered");
    node.restart();
    for folder in [node.data_dir(), node.data_dir().join("journal")] {
        let kept: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(!kept.is_empty());
        for path in kept.into_iter().chain([folder]) {
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
        }
    }
}
