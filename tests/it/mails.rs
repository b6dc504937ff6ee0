//! The outbox, as a subscription's people see it.

use crate::support::smtp::{Asks, Smtp};
use crate::support::{Node, wait_until};
use serde_json::{Value, json};

fn invite(node: &Node, email: &str) {
    let user = json!({"email": email, "name": "Somebody", "role": "member"});
    node.api("POST", "/users", Some(user)).expect(201);
}

fn recipients(mails: &[Value]) -> Vec<&str> {
    mails.iter().map(|mail| mail["to"].as_str().unwrap()).collect()
}

#[test]
fn without_a_mail_server_mail_waits_where_its_people_see_it_and_nobody_else() {
    let node = Node::start();
    assert_eq!(node.get("/mails"), json!({"data": [], "next": null}));
    let everybody: Vec<_> = (0..5).map(|number| format!("u{number}@example.com")).collect();
    everybody.iter().for_each(|email| invite(&node, email));

    let (mut paged, mut next) = (Vec::new(), String::new());
    loop {
        let page = node.get(&format!("/mails?limit=2{next}"));
        paged.extend(page["data"].as_array().unwrap().clone());
        let Some(cursor) = page["next"].as_str() else { break };
        next = format!("&cursor={cursor}");
    }
    let mut seen = recipients(&paged);
    seen.sort_unstable();
    assert_eq!(seen, everybody);
    for mail in &paged {
        assert_eq!((&mail["state"], &mail["attempts"]), (&json!("waiting"), &json!(0)));
        assert!(!mail.to_string().contains("token"), "the link stays sealed: {mail}");
    }
    node.api("GET", "/mails?cursor=x", None).expect(400);

    let created = ["operator", "subscriptions", "create", "--name", "Globex", "--json"];
    let listen = node.addr.to_string();
    let made = node.command(&[created.as_slice(), &["--listen", &listen]].concat());
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let bearer = format!("Bearer {}", made["integration_key"].as_str().unwrap());
    let other = node.call("GET", "/api/v1/mails", &[("authorization", &bearer)], None).expect(200);
    assert_eq!(other.json()["data"], json!([]), "what one customer's people are told is not shown to another's");
}

#[test]
fn what_was_given_up_is_sent_when_somebody_asks_for_it() {
    let smtp = Smtp::that(Asks { refuses: (1, 550), ..Asks::default() });
    let flags = smtp.flags("none");
    let node = Node::with(&flags.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    invite(&node, "ann@example.com");
    let state = |wanted: &str| {
        wait_until(&format!("the mail is {wanted}"), || {
            let mail = node.list("/mails").swap_remove(0);
            (mail["state"] == wanted).then_some(mail)
        })
    };
    let failed = state("failed");
    assert!(failed["last_error"].as_str().unwrap().contains("550"), "{failed}");
    assert_eq!(failed["next_attempt_at"], Value::Null);
    let again = format!("/mails/{}/try-again", failed["id"].as_str().unwrap());
    node.api("POST", &again, None).expect(202);
    assert_eq!(state("sent")["attempts"], 1);
    assert_eq!(smtp.wait(2)[1]["to"], json!(["ann@example.com"]));
    node.api("POST", &again, None).expect(404);
    node.api("POST", "/mails/0123456789abcdef/try-again", None).expect(404);
}
