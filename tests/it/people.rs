//! People over the real program: set-up, invitation by real mail, sign-in, removal.

use crate::support::http::Answer;
use crate::support::smtp::{Asks, Smtp};
use crate::support::{Node, wait_until};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";

/// A node that sends its mail through this server.
fn node_with(smtp: &Smtp, security: &str, more: &[&str], environment: &[(&str, &str)]) -> Node {
    let flags = smtp.flags(security);
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(more.iter().copied()).collect();
    Node::with(&flags, environment)
}

fn invite(node: &Node, email: &str) -> Value {
    node.api("POST", "/users", Some(json!({"email": email, "name": "Mia", "role": "member"}))).expect(201).json()
}

/// The token of the link in a mail.
fn token(mail: &Value) -> String {
    mail["text"].as_str().unwrap().split_once("token=").expect("a link").1.lines().next().unwrap().to_owned()
}

/// The cookie that an answer sets, as a browser sends it back.
fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

#[test]
fn from_the_set_up_link_to_an_invited_member() {
    let smtp = Smtp::start();
    let node = node_with(&smtp, "none", &["--public-url", "https://fanfare.example.com/"], &[]);
    let admin =
        json!({"token": node.keys.setup_token(), "email": "ada@example.com", "name": "Ada", "password": PASSWORD});
    let signed_in = node.call("POST", "/api/v1/set-up", &[], Some(admin)).expect(201);
    let (ada, csrf) = (cookie(&signed_in), signed_in.json()["csrf_token"].as_str().unwrap().to_owned());
    assert!(ada.starts_with("__Host-fanfare_session="), "behind https the cookie is for https: {ada}");
    let as_ada = [("Cookie", ada.as_str()), ("X-CSRF-Token", csrf.as_str())];
    let mia = json!({"email": "mia@example.com", "name": "Mia \u{fc}", "role": "member"});
    let invited = node.call("POST", "/api/v1/users", &as_ada, Some(mia)).expect(201).json();

    let mail = smtp.wait(1).remove(0);
    assert_eq!(mail["to"], json!(["mia@example.com"]));
    assert_eq!(mail["headers"]["from"], "Fanfare <mail@example.com>");
    assert_eq!(mail["headers"]["subject"], "ada@example.com invites you to Fanfare");
    assert!(mail["headers"]["message-id"].as_str().unwrap().ends_with("@example.com>"));
    let link = format!("https://fanfare.example.com/invitation?token={}", token(&mail));
    assert!(mail["text"].as_str().unwrap().contains(&link));
    assert!(mail["html"].as_str().unwrap().contains("<a href="));

    let body = json!({"token": token(&mail), "password": PASSWORD});
    let accepted = node.call("POST", "/api/v1/invitation", &[], Some(body)).expect(201);
    let mia = cookie(&accepted);
    let read = |path: &str| node.call("GET", path, &[("Cookie", &mia)], None);
    assert_eq!(read("/api/v1/session").expect(200).json()["user"]["id"], invited["id"]);
    read("/api/v1/webhooks").expect(200);
    let path = format!("/api/v1/users/{}", invited["id"].as_str().unwrap());
    node.call("DELETE", &path, &as_ada, None).expect(204);
    read("/api/v1/webhooks").expect(401);
}

#[test]
fn a_session_and_a_queued_mail_survive_a_crash() {
    let smtp = Smtp::start();
    let mut node = Node::start();
    let admin =
        json!({"token": node.keys.setup_token(), "email": "ada@example.com", "name": "Ada", "password": PASSWORD});
    let ada = cookie(&node.call("POST", "/api/v1/set-up", &[], Some(admin)).expect(201));
    invite(&node, "mia@example.com");
    node.kill();
    node.add_flags(&smtp.flags("none"));
    node.serve();
    node.call("GET", "/api/v1/session", &[("Cookie", &ada)], None).expect(200);
    assert_eq!(smtp.wait(1)[0]["to"], json!(["mia@example.com"]));
    wait_until("it is logged", || node.log().contains("mail sent").then_some(()));
    node.restart();
    invite(&node, "ben@example.com");
    assert_eq!(smtp.wait(2)[1]["to"], json!(["ben@example.com"]), "what was sent is not sent again");
}

#[test]
fn mail_goes_out_with_tls_and_a_password() {
    for security in ["starttls", "tls"] {
        let smtp = Smtp::that(Asks { security, login: Some(("fan", "p\u{e4}ss")), ..Asks::default() });
        let certificate = smtp.certificate();
        let flags = ["--smtp-user", "fan", "--ca-file", certificate.to_str().unwrap()];
        let node = node_with(&smtp, security, &flags, &[("FANFARE_SMTP_PASSWORD", "p\u{e4}ss")]);
        invite(&node, "mia@example.com");
        let mail = smtp.wait(1).remove(0);
        assert_eq!((&mail["tls"], &mail["user"]), (&json!(true), &json!("fan")), "{security}: {mail}");
        assert!(!node.log().contains("p\u{e4}ss"));
    }
}

#[test]
fn without_tls_where_it_is_asked_for_nothing_is_sent() {
    let smtp = Smtp::start();
    let node = node_with(&smtp, "starttls", &[], &[]);
    invite(&node, "mia@example.com");
    wait_until("the refusal is logged", || node.log().contains("mail not taken").then_some(()));
    assert!(smtp.wait(0).is_empty());
}

#[test]
fn a_refused_mail_is_tried_again_and_a_final_refusal_is_not() {
    let soon = ["--mail-retry-delays", "50ms,50ms,50ms"];
    let smtp = Smtp::that(Asks { refuses: (2, 451), ..Asks::default() });
    let node = node_with(&smtp, "none", &soon, &[]);
    invite(&node, "mia@example.com");
    let said = smtp.wait(3);
    assert!(said[0]["refused"].is_array() && said[1]["refused"].is_array() && said[2]["text"].is_string(), "{said:?}");

    let smtp = Smtp::that(Asks { refuses: (1, 550), ..Asks::default() });
    let node = node_with(&smtp, "none", &soon, &[]);
    invite(&node, "mia@example.com");
    smtp.wait(1);
    invite(&node, "ben@example.com");
    assert_eq!(smtp.wait(2)[1]["to"], json!(["ben@example.com"]), "the first one was given up");
}
