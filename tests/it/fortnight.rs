//! Receivers that fail, flap, hang and are picky, against the real program with its times set short, and a kill in the middle.
//! What two weeks with the real times bring is simulated in `src/node/tests.rs`.

use crate::support::events::identify;
use crate::support::smtp::Smtp;
use crate::support::{Node, Receiver, Reply, Request, Webhook, wait_until};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

/// A warning at the fourth failure, off at the eighth, and not before a second has passed.
const TIMES: [&str; 16] = [
    "--retry-delays",
    "20ms,40ms,60ms,80ms,100ms",
    "--turn-off-after-failures",
    "8",
    "--turn-off-after",
    "1s",
    "--turn-off-rate-deliveries",
    "10000",
    "--quiet-after",
    "100ms",
    "--probe-pause",
    "100ms",
    // The test asks again and again.
    "--calls-per-second",
    "1000000",
    "--calls-burst",
    "1000000",
];

/// A webhook, its receiver, and whether it is turned off for how that behaves.
struct Case {
    name: &'static str,
    receiver: Receiver,
    webhook: Webhook,
    is_turned_off: bool,
}

fn cases(node: &Node) -> Vec<Case> {
    // Each event is accepted at its third attempt.
    let attempts: Mutex<HashMap<String, u32>> = Mutex::default();
    let flaps = move |request: &Request, _: usize| {
        let mut attempts = attempts.lock().unwrap();
        let attempts = attempts.entry(request.header("webhook-id").unwrap().to_owned()).or_default();
        *attempts += 1;
        Reply::Status(if *attempts < 3 { 503 } else { 200 })
    };
    let picky =
        |request: &Request, _: usize| Reply::Status(if request.event() == "visitorCreated" { 404 } else { 200 });
    let receivers = [
        ("steady", Receiver::ok(), false),
        ("flaps", Receiver::by(flaps), false),
        ("picky", Receiver::by(picky), false),
        ("fails", Receiver::always(Reply::Status(500)), true),
        ("refuses", Receiver::always(Reply::Status(410)), true),
        ("resets", Receiver::always(Reply::Reset), true),
        ("hangs", Receiver::always(Reply::Hang), true),
    ];
    let case = |(name, receiver, is_turned_off): (&'static str, Receiver, bool)| {
        let webhook = node.webhook(&receiver.url(), json!({"name": name, "timeout_s": 1}));
        Case { name, receiver, webhook, is_turned_off }
    };
    receivers.map(case).into()
}

fn state(node: &Node, case: &Case) -> Value {
    node.get(&format!("/webhooks/{}", case.webhook.id))
}

fn all_are_off(node: &Node, cases: &[Case]) -> bool {
    let off = node.list("/webhooks").iter().filter(|webhook| webhook["state"] == "turned_off").count();
    off == cases.iter().filter(|case| case.is_turned_off).count()
}

/// Sends events, of two kinds in turn, until this is so; each when the steady receiver has the one before.
fn send_until(node: &Node, cases: &[Case], sent: &mut Vec<String>, is_so: impl Fn() -> bool) {
    wait_until("enough has failed", || {
        let number = sent.len();
        if number.is_multiple_of(2) {
            let name = format!("event {number}");
            node.track(&name);
            cases[0].receiver.wait_for(&name);
            sent.push(name);
        } else {
            node.events(&[identify(&format!("visitor {number}"), "")]);
            sent.push(String::from("visitorCreated"));
        }
        is_so().then_some(())
    });
}

fn audited(node: &Node, action: &str, case: &Case) -> usize {
    node.list(&format!("/audit-log?action={action}&target={}&", case.webhook.id)).len()
}

#[test]
fn whoever_fails_is_turned_off_once_through_a_kill_and_nobody_else() {
    let smtp = Smtp::start();
    let flags = smtp.flags("none");
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(TIMES).collect();
    let mut node = Node::with(&flags, &[]);
    let (token, password) = (node.keys.setup_token(), "correct horse battery");
    let admin = json!({"token": token, "email": "ada@example.com", "name": "Ada", "password": password});
    node.call("POST", "/api/v1/set-up", &[], Some(admin)).expect(201);
    let cases = cases(&node);
    let mut sent = Vec::new();
    send_until(&node, &cases, &mut sent, || !node.list("/audit-log?action=webhook.warned&").is_empty());
    node.kill();
    node.serve();
    send_until(&node, &cases, &mut sent, || all_are_off(&node, &cases));

    let mut incidents = 0;
    for case in &cases {
        let is_off = usize::from(case.is_turned_off);
        let told = || node.list(&format!("/error-log?status=turned_off&webhook={}&", case.webhook.id)).len();
        let times = || [told(), audited(&node, "webhook.turned_off", case)];
        wait_until("the logs tell of it, once", || (times() == [is_off; 2]).then_some(()));
        // One whose row of failures lasts long enough only after the kill is turned off without a warning.
        let warned = audited(&node, "webhook.warned", case);
        assert!(warned <= is_off, "{}", case.name);
        incidents += warned + is_off;
        assert_eq!(state(&node, case)["state"] == "turned_off", case.is_turned_off, "{}", case.name);
    }
    assert_eq!(mails(&smtp, incidents), incidents);
    what_waited_has_ended(&node, &cases, &sent);

    let before: Vec<usize> = cases.iter().map(|case| case.receiver.requests().len()).collect();
    node.track("after it");
    cases[0].receiver.wait_for("after it");
    for (case, before) in cases.iter().zip(before).filter(|(case, _)| case.is_turned_off) {
        assert_eq!(case.receiver.requests().len(), before, "{} is sent nothing more", case.name);
        case.receiver.set(Reply::Status(200));
        let path = format!("/webhooks/{}/turn-on", case.webhook.id);
        node.api("POST", &path, Some(json!({"reviewed_logs": true}))).expect(200);
    }
    node.track("well again");
    cases.iter().for_each(|case| drop(case.receiver.wait_for("well again")));
    assert_eq!(mails(&smtp, incidents), incidents, "one for each, and no more");
}

/// How many mails there are, once there are so many. One that was being handed over when the program was killed comes again,
/// under the same Message-ID.
fn mails(smtp: &Smtp, count: usize) -> usize {
    wait_until("the mails have come", || {
        let mails = smtp.wait(count);
        assert!(mails.iter().all(|mail| mail["to"] == json!(["ada@example.com"])));
        let ids: BTreeSet<String> = mails.iter().map(|mail| mail["headers"]["message-id"].to_string()).collect();
        (ids.len() >= count).then_some(ids.len())
    })
}

/// Nothing waits for a webhook that is off; the others got everything.
fn what_waited_has_ended(node: &Node, cases: &[Case], sent: &[String]) {
    for case in cases {
        wait_until(&format!("nothing waits for {}", case.name), || {
            let rows = node.deliveries(&case.webhook);
            rows.iter().all(|row| row["status"] != "retrying").then_some(())
        });
        let rows = node.deliveries(&case.webhook);
        let count = |status: &str| rows.iter().filter(|row| row["status"] == status).count();
        let visitors = sent.iter().filter(|name| *name == "visitorCreated").count();
        match case.name {
            "steady" | "flaps" => assert_eq!((count("delivered"), rows.len()), (sent.len(), sent.len())),
            "picky" => assert_eq!((count("failed"), count("delivered")), (visitors, sent.len() - visitors)),
            _ => assert_eq!(count("delivered"), 0),
        }
    }
}
