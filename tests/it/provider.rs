//! Signing in with an OpenID Connect provider, a real one.

use crate::support::http::Answer;
use crate::support::provider::Provider;
use crate::support::{Node, http};
use serde_json::json;

const BEGIN: &str = "/api/v1/session/provider";
const CALLBACK: &str = "/api/v1/session/provider/callback";

struct Pair {
    provider: Provider,
    node: Node,
}

impl Pair {
    fn start() -> Self {
        let provider = Provider::start(CALLBACK);
        let flags = provider.flags();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let node = Node::with(&flags, &[("FANFARE_OIDC_CLIENT_SECRET", &provider.client_secret)]);
        Self { provider, node }
    }

    fn invite(&self, email: &str, role: &str) -> String {
        let user = json!({"email": email, "name": "Somebody", "role": role});
        self.node.api("POST", "/users", Some(user)).expect(201).json()["id"].as_str().unwrap().to_owned()
    }

    /// Leaves for the provider: its URL, and the cookie to come back with.
    fn begin(&self) -> (String, String) {
        let away = self.node.call("GET", BEGIN, &[], None).expect(303);
        let cookie = away.header("set-cookie").unwrap();
        assert!(cookie.contains("HttpOnly; SameSite=Lax"), "{cookie}");
        (away.header("location").unwrap().to_owned(), cookie.split(';').next().unwrap().to_owned())
    }

    fn back(&self, target: &str, cookie: &str) -> Answer {
        self.node.call("GET", target, &[("Cookie", cookie)], None)
    }

    /// The whole way.
    fn sign_in(&self, subject: &str) -> Answer {
        let (url, cookie) = self.begin();
        self.back(&self.provider.sign_in(&url, subject), &cookie)
    }
}

/// The session that an answer gives, as a browser sends it back.
fn session(answer: &Answer) -> String {
    let set = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    let found = set.map(|(_, value)| value).find(|value| value.starts_with("fanfare_session="));
    let value = found.unwrap_or_else(|| panic!("no session: {answer:?}"));
    assert!(value.contains("SameSite=Strict"), "{value}");
    value.split(';').next().unwrap().to_owned()
}

#[test]
fn who_was_invited_signs_in_without_a_password() {
    let pair = Pair::start();
    let methods = pair.node.call("GET", "/api/v1/sign-in-methods", &[], None).expect(200).json();
    assert_eq!(methods, json!({"password": true, "provider": {"name": "single sign-on", "path": BEGIN}}));
    let id = pair.invite("ada@example.com", "admin");
    pair.provider.knows("ada-1", json!({"email": "Ada@Example.com", "email_verified": true}));
    let signed_in = pair.sign_in("ada-1").expect(303);
    assert_eq!(signed_in.header("location"), Some("/"));
    let me = pair.node.call("GET", "/api/v1/session", &[("Cookie", &session(&signed_in))], None).expect(200).json();
    assert_eq!((&me["user"]["id"], &me["user"]["state"]), (&json!(id), &json!("active")));
    let owner = pair.node.list("/keys").into_iter().find(|key| key["name"] == "init").unwrap();
    assert_eq!(owner["made_by"], "ada@example.com", "the first admin, however they come in");

    // From then on it is the subject that counts: addresses change hands.
    pair.provider.knows("ada-1", json!({"email": "ada@elsewhere.example", "email_verified": true}));
    pair.sign_in("ada-1").expect(303);
    pair.provider.knows("eve-1", json!({"email": "ada@example.com", "email_verified": true}));
    let refused = pair.sign_in("eve-1").expect(403);
    assert_eq!(refused.json()["code"], "not_invited");
    let actions: Vec<_> =
        pair.node.list("/audit-log").iter().map(|row| row["after"]["second_factor"].clone()).collect();
    assert_eq!(actions.iter().filter(|after| **after == "provider").count(), 2, "{actions:?}");
}

#[test]
fn nobody_comes_in_by_an_address_that_the_provider_does_not_vouch_for() {
    let pair = Pair::start();
    pair.invite("ada@example.com", "admin");
    for (subject, claims) in [
        ("one", json!({"email": "ada@example.com", "email_verified": false})),
        ("two", json!({"email": "ada@example.com"})),
        ("three", json!({"email": "nobody@example.com", "email_verified": true})),
        ("four", json!({"email_verified": true})),
    ] {
        pair.provider.knows(subject, claims);
        assert_eq!(pair.sign_in(subject).expect(403).json()["code"], "not_invited", "{subject}");
    }
    assert_eq!(pair.node.list("/users")[0]["state"], "invited");
}

#[test]
fn a_sign_in_ends_once_in_the_browser_that_began_it() {
    let pair = Pair::start();
    pair.invite("ada@example.com", "admin");
    pair.provider.knows("ada-1", json!({"email": "ada@example.com", "email_verified": true}));
    let (url, cookie) = pair.begin();
    let target = pair.provider.sign_in(&url, "ada-1");
    let (_, other) = pair.begin();
    for wrong in ["", "fanfare_sign_in=v1.AAAA", other.as_str()] {
        let refused = pair.back(&target, wrong).expect(409);
        assert_eq!(refused.json()["code"], "not_pending", "{wrong}");
    }
    pair.back(&format!("{CALLBACK}?error=access_denied"), &cookie).expect(502);
    pair.back(CALLBACK, &cookie).expect(409);
    pair.back(&target, &cookie).expect(303);
    let again = pair.back(&target, &cookie).expect(502);
    assert!(again.json()["detail"].as_str().unwrap().contains("refused"), "{again:?}");
    let forged = target.replace("code=", "code=x");
    pair.back(&forged, &cookie).expect(502);
}

#[test]
fn a_provider_that_fails_is_said_to() {
    let pair = Pair::start();
    let addr = pair.provider.addr;
    drop(pair.provider);
    assert!(http::call(addr, "GET", "/", &[], b"").is_err(), "it is gone");
    let failed = pair.node.call("GET", BEGIN, &[], None).expect(502).json();
    assert_eq!(failed["code"], "provider_failed");
    let without = Node::start();
    assert_eq!(without.call("GET", BEGIN, &[], None).expect(404).json()["code"], "no_provider");
    let methods = without.call("GET", "/api/v1/sign-in-methods", &[], None).expect(200).json();
    assert_eq!(methods["provider"], serde_json::Value::Null);
}
