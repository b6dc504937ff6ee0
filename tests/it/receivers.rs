//! What docs/receivers.md shows is run against what the program really sends: each language's functions, the receivers
//! built on frameworks, and the published verifiers of Standard Webhooks.

mod cases;
mod frameworks;
mod languages;
mod page;

use crate::support::{Node, Receiver, Webhook, events};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cases::Case;
use serde_json::json;
use std::collections::BTreeSet;

/// A secret with everything in it that a shell, a template or a trim could spoil.
const SECRET: &str = " It's a \"$ecret\" \\n %41 &amp; {{x}} \u{1f3ba} e\u{301} ";

/// What comes in its place.
const NEXT_SECRET: &str = "\u{1f511} next";

/// One of each of the eight events, with texts that are not ASCII.
fn send_all(node: &Node) -> usize {
    let (visitor, account) = ("ann\u{e9}e@b\u{fc}ro.example", "gr\u{f6}\u{df}e::\u{6771}\u{4eac}");
    let properties =
        json!({"\u{1f3ba}": "</script> \u{201c}na\u{ef}ve\u{201d} \u{2028} \"\\ \u{0} +1.50", "n": 1.5e300});
    let answer = json!([{"pollId": "p", "pollType": "FreeForm", "response": "\u{bf}Qu\u{e9}?\n", "duration": 5}]);
    let mut items = [
        events::identify(visitor, account),
        events::track(visitor, "K\u{e4}se & M\u{fc}sli", properties),
        events::guide_seen(visitor, &["FreeForm", "NPSRating"]),
        events::poll_response(visitor, answer),
        events::nps_response(visitor, json!({"rating": 9, "reason": "\u{1f44d}\u{1f3fd}", "source": "web"})),
    ];
    items.iter_mut().for_each(|item| item["accountId"] = json!(account));
    node.events(&items);
    8
}

/// What arrives of each event at a webhook with both signatures, and of one more while its keys are replaced.
fn deliveries() -> Vec<Case> {
    let (node, receiver) = (Node::start(), Receiver::ok());
    let webhook = node.webhook(&receiver.url(), json!({"secret": SECRET}));
    let requests = receiver.wait(send_all(&node));
    let genuine = requests.iter().map(|request| Case::genuine(request, SECRET, webhook.signing_key()));
    let mut genuine: Vec<Case> = genuine.collect();
    let events: BTreeSet<&str> = genuine.iter().map(|case| case.what.as_str()).collect();
    assert_eq!(events.len(), 8, "one of each: {events:?}");
    genuine.extend(while_keys_change(&node, &receiver, &webhook));
    genuine
}

/// A delivery during rotation, as receivers see it that have the old signing key, the new one, or a secret alone.
fn while_keys_change(node: &Node, receiver: &Receiver, webhook: &Webhook) -> Vec<Case> {
    let new_key = rotate(node, webhook, 3600);
    node.patch(webhook, json!({"secret": NEXT_SECRET, "secret_overlap_s": 3600}));
    node.track("During");
    let during = receiver.wait_for("During");
    assert_eq!(during.header("webhook-signature").unwrap().split(' ').count(), 4);
    let of_secret = |secret: &str| format!("whsec_{}", STANDARD.encode(secret));
    let keys = [
        ("the old signing key", webhook.signing_key().to_owned()),
        ("the new signing key", new_key.clone()),
        ("the old secret", of_secret(SECRET)),
        ("the new secret", of_secret(NEXT_SECRET)),
    ];
    let mut cases: Vec<Case> = Vec::new();
    for (name, key) in keys {
        cases.push(Case::genuine(&during, NEXT_SECRET, &key).but(&format!("by {name}"), (true, true), |_| ()));
    }
    rotate(node, webhook, 0);
    node.track("After");
    let after = Case::genuine(&receiver.wait_for("After"), NEXT_SECRET, &new_key);
    cases.push(after.but("by a signing key whose time is over", (true, false), |_| ()));
    cases
}

/// Another signing key; the one before it signs too for this long.
fn rotate(node: &Node, webhook: &Webhook, overlap_s: u64) -> String {
    let path = format!("/webhooks/{}/signing-key/rotate", webhook.id);
    let answer = node.api("POST", &path, Some(json!({"overlap_s": overlap_s}))).expect(200).json();
    answer["signing_key"].as_str().expect("a signing key").to_owned()
}
