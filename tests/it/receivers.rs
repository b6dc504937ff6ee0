//! What docs/receivers.md shows is run against what the program really sends: each language's functions, the receivers
//! built on frameworks, and the published verifiers of Standard Webhooks.

mod cases;
mod frameworks;
mod languages;
mod page;

use crate::support::{Node, Receiver, events};
use cases::Case;
use serde_json::json;
use std::collections::BTreeSet;

/// A secret with everything in it that a shell, a template or a trim could spoil.
const SECRET: &str = " It's a \"$ecret\" \\n %41 &amp; {{x}} \u{1f3ba} e\u{301} ";

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

/// What arrives of each event at a webhook with both signatures.
fn deliveries() -> Vec<Case> {
    let (node, receiver) = (Node::start(), Receiver::ok());
    let webhook = node.webhook(&receiver.url(), json!({"secret": SECRET}));
    let requests = receiver.wait(send_all(&node));
    let genuine = requests.iter().map(|request| Case::genuine(request, SECRET, webhook.signing_key()));
    let genuine: Vec<Case> = genuine.collect();
    let events: BTreeSet<&str> = genuine.iter().map(|case| case.what.as_str()).collect();
    assert_eq!(events.len(), 8, "one of each: {events:?}");
    genuine
}
