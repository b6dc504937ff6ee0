//! What the documentation promises of who is seen, who is excluded, what the Metadata API does and what is tried again,
//! sentence by sentence. Each row has people of its own, so that all rows of a table share a node.

use crate::support::{Node, Receiver, Reply, events};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What is done in a row. Ids are those of the row.
enum Do {
    /// An agent's item of this type, about visitor "v" of account "a".
    Item(&'static str),
    /// The same, about these ids as they stand.
    Exactly(&'static str, &'static str),
    /// The same from another app of the subscription.
    InOtherApp,
    /// A call of the Track API about visitor "v" of account "a".
    Server,
    /// Metadata for visitor "v" and account "a" that makes them.
    Metadata,
    /// An exclusion of this kind and pattern, in which `@` stands for the row's own prefix.
    Exclude(&'static str, &'static str),
    /// The row's exclusions end.
    Include,
    /// Nothing of visitor "v" is processed.
    Unprocess,
}

use Do::*;

/// A sentence, what is done, and the events that are pushed.
type Row = (&'static str, &'static [Do], &'static [&'static str]);

struct Table {
    node: Node,
    receiver: Receiver,
    other_app: String,
}

impl Table {
    fn new() -> Self {
        let node = Node::with(&["--trusted-proxy", "127.0.0.1"], &[]);
        let receiver = Receiver::ok();
        // One request at a time: then they arrive in the order in which they were accepted.
        node.webhook(&receiver.url(), json!({"concurrency": 1}));
        let app = node.api("POST", "/apps", Some(json!({"name": "Other"}))).expect(201).json();
        Self { node, receiver, other_app: app["agent_key"].as_str().unwrap().to_owned() }
    }

    /// Carries out all rows, and compares what each pushed.
    fn check(&self, rows: &[Row]) {
        for (number, (_, steps, _)) in rows.iter().enumerate() {
            let mut rules = Vec::new();
            for step in *steps {
                self.carry_out(&format!("row{number}-"), step, &mut rules);
            }
        }
        self.node.track("End");
        self.receiver.wait_for("End");
        let mut pushed: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for request in self.receiver.requests() {
            let json = request.json();
            let id = |name: &str| json[name].as_str().unwrap().split_once('-').map(|(row, _)| row.to_owned());
            let row = id("visitorId").filter(|row| row.starts_with("row")).or_else(|| id("accountId"));
            pushed.entry(row.unwrap_or_default()).or_default().push(request.event());
        }
        for (number, (sentence, _, expected)) in rows.iter().enumerate() {
            let found = pushed.remove(&format!("row{number}")).unwrap_or_default();
            assert_eq!(found, *expected, "{sentence}");
        }
    }

    fn carry_out(&self, prefix: &str, step: &Do, rules: &mut Vec<String>) {
        let (visitor, account) = (format!("{prefix}v"), format!("{prefix}a"));
        match step {
            Item(kind) => self.send(&self.node.keys.agent_key, prefix, about(kind, &visitor, &account)),
            Exactly(visitor, account) => {
                let account = account.replace('@', prefix);
                self.send(&self.node.keys.agent_key, prefix, about("identify", visitor, &account));
            }
            InOtherApp => self.send(&self.other_app, prefix, about("identify", &visitor, &account)),
            Server => {
                let mut call = events::server_track(&visitor, "Bought", json!({}));
                call["accountId"] = json!(account);
                call["context"] = json!({"ip": address(prefix), "url": format!("https://{prefix}host.example/x")});
                self.node.try_track(call).expect(200);
            }
            Metadata => {
                for (kind, key, id) in [("visitor", "visitorId", &visitor), ("account", "accountId", &account)] {
                    let rows = json!([{key: id, "values": {"plan": "pro"}}]);
                    let path = format!("/metadata/{kind}/custom/value?create=true");
                    assert_eq!(self.node.api("POST", &path, Some(rows)).expect(200).json()["updated"], 1);
                }
            }
            Exclude(kind, pattern) => {
                let pattern = pattern.replace("@ip", &address(prefix)).replace('@', prefix);
                let rule = json!({"kind": kind, "pattern": pattern});
                let made = self.node.api("POST", "/exclusions", Some(rule)).expect(201).json();
                rules.push(made["id"].as_str().unwrap().to_owned());
            }
            Include => rules.drain(..).for_each(|rule| {
                self.node.api("DELETE", &format!("/exclusions/{rule}"), None).expect(204);
            }),
            Unprocess => {
                let rule = json!({"kind": "visitor", "id": visitor});
                self.node.api("POST", "/do-not-process", Some(rule)).expect(201);
            }
        }
    }

    /// A batch of one item, from the row's own address and page.
    fn send(&self, key: &str, prefix: &str, mut item: Value) {
        item["url"] = json!(format!("https://{prefix}host.example/page"));
        let from = address(prefix);
        let headers = [("x-fanfare-agent-key", key), ("X-Forwarded-For", from.as_str())];
        let answer = self.node.call("POST", "/data/events", &headers, Some(events::batch(&[item])));
        assert_eq!(answer.expect(200).json(), json!({"accepted": 1, "rejected": []}));
    }
}

/// An address for each row.
fn address(prefix: &str) -> String {
    let number: u8 = prefix.trim_start_matches("row").trim_end_matches('-').parse().unwrap();
    format!("203.0.113.{}", number + 1)
}

fn about(kind: &str, visitor: &str, account: &str) -> Value {
    let mut item = match kind {
        "identify" => events::identify(visitor, account),
        "track" => events::track(visitor, "Clicked", json!({})),
        "guideSeen" => events::guide_seen(visitor, &[]),
        "npsResponse" => events::nps_response(visitor, json!({"rating": 9, "reason": ""})),
        "pollResponse" => events::poll_response(
            visitor,
            json!([{"pollId": "p", "pollType": "FreeForm", "response": "r", "duration": 1}]),
        ),
        other => panic!("{other}"),
    };
    item["accountId"] = json!(account);
    item
}

const BOTH: &[&str] = &["visitorCreated", "accountCreated"];

#[test]
fn first_seen() {
    Table::new().check(&[
        (
            "The first time a visitor is identified in-app raises visitorCreated and accountCreated.",
            &[Item("identify")],
            BOTH,
        ),
        ("Once.", &[Item("identify"), Item("identify"), InOtherApp], BOTH),
        (
            "Any agent item does: a track event,",
            &[Item("track")],
            &["visitorCreated", "accountCreated", "trackEventReceived"],
        ),
        ("a guide,", &[Item("guideSeen")], &["visitorCreated", "accountCreated", "guideDisplayed"]),
        ("an answer to a poll,", &[Item("pollResponse")], &["visitorCreated", "accountCreated", "pollSubmitted"]),
        ("a rating.", &[Item("npsResponse")], &["visitorCreated", "accountCreated", "npsSubmitted"]),
        ("The Track API raises neither.", &[Server], &["trackEventReceived"]),
        ("The Metadata API raises neither, and no event at all.", &[Metadata], &[]),
        (
            "Who was created through the Track API is not yet seen: the first identification still fires, once.",
            &[Server, Item("identify"), Item("identify")],
            &["trackEventReceived", "visitorCreated", "accountCreated"],
        ),
        (
            "Who was created through the Metadata API is not yet seen: the first identification still fires, once.",
            &[Metadata, Item("identify"), Metadata, Item("identify")],
            BOTH,
        ),
        ("Anonymous visitors fire neither.", &[Exactly("_PENDO_T_abcdefghijk", "@a")], &[]),
        ("Non-ids never fire: the empty one,", &[Exactly("", "@a")], &[]),
        ("the snippet's own,", &[Exactly("VISITOR-UNIQUE-ID", "@a")], &[]),
        ("null,", &[Exactly("null", "@a")], &[]),
        ("undefined,", &[Exactly("undefined", "@a")], &[]),
        ("whitespace.", &[Exactly(" \t", "@a")], &[]),
        ("First seen is per subscription, not per app.", &[InOtherApp, Item("identify")], BOTH),
    ]);
}

#[test]
fn excluded() {
    Table::new().check(&[
        (
            "An excluded visitor's events are pushed to nobody.",
            &[Exclude("visitor", "@v"), Item("identify"), Item("guideSeen"), Server],
            &[],
        ),
        ("Nor an excluded account's.", &[Exclude("account", "@a"), Item("track"), Server], &[]),
        ("Nor those of an excluded address;", &[Exclude("ip", "@ip"), Item("track")], &[]),
        ("for the Track API that is context.ip.", &[Exclude("ip", "@ip"), Server], &[]),
        ("Nor those of an excluded host's pages.", &[Exclude("host", "@host.example"), Item("track"), Server], &[]),
        ("* stands for any text.", &[Exclude("visitor", "@*"), Item("track")], &[]),
        ("Ids are case-sensitive.", &[Exclude("visitor", "@V"), Item("identify")], BOTH),
        (
            "An excluded sighting does not use up first seen.",
            &[Exclude("visitor", "@v"), Item("identify"), Include, Item("identify")],
            BOTH,
        ),
        ("Removing a rule replays nothing.", &[Exclude("visitor", "@v"), Item("track"), Server, Include], &[]),
        (
            "A rule is judged at intake: what came before it is pushed.",
            &[Server, Exclude("visitor", "@v")],
            &["trackEventReceived"],
        ),
        ("Do not process is stronger.", &[Unprocess, Item("track"), Item("npsResponse"), Server], &[]),
    ]);
}

#[test]
fn excluded_is_stored_and_not_processed_is_not() {
    let table = Table::new();
    let mut rules = Vec::new();
    for step in [Exclude("visitor", "@v"), Item("guideSeen"), Server] {
        table.carry_out("row1-", &step, &mut rules);
    }
    for step in [Unprocess, Item("guideSeen"), Server] {
        table.carry_out("row2-", &step, &mut Vec::new());
    }
    let stored = table.node.taken_in();
    assert_eq!(stored.len(), 2, "{stored:?}");
    assert!(stored.iter().all(|row| row["visitor_id"] == "row1-v" && row["excluded_by"] == rules[0]), "{stored:?}");
    table.node.api("GET", "/visitors/row2-v", None).expect(404);
}

#[test]
fn metadata_is_taken_with_any_credential_of_the_right_role() {
    let node = Node::start();
    let path = "/api/v1/metadata/visitor/custom/value?create=true";
    let rows = || Some(json!([{"visitorId": "v", "values": {"a": 1}}, {"visitorId": 7, "values": {}}]));
    let member = node.api("POST", "/keys", Some(json!({"name": "m", "role": "member"}))).expect(201).json();
    let member = member["key"].as_str().unwrap().to_owned();
    let admin = node.keys.integration_key.clone();
    for (name, value, status) in [
        ("x-pendo-integration-key", admin.clone(), 200),
        ("Authorization", format!("Bearer {admin}"), 200),
        ("x-pendo-integration-key", member, 403),
        ("x-pendo-integration-key", String::from("ff_key_nobody"), 401),
        ("x-pendo-integration-key", node.keys.track_secret.clone(), 401),
        ("x-other", String::new(), 401),
    ] {
        let answer = node.call("POST", path, &[(name, &value)], rows());
        assert_eq!(answer.status, status, "{name}");
        if status == 200 {
            let result = answer.json();
            let sum = |list: &str| result[list].as_array().unwrap().len() as u64;
            let count = |name: &str| result[name].as_u64().unwrap();
            assert_eq!(count("total"), count("updated") + count("failed"));
            assert_eq!(count("failed"), sum("missing") + sum("errors"));
            assert_eq!(result["kind"], "visitor");
        }
    }
    node.api("POST", "/metadata/visitor/custom/value", Some(json!("no list"))).expect(400);
    node.api("PUT", "/metadata/visitor/custom/value/nobody/plan", Some(json!("pro"))).expect(404);
}

/// "If I receive an error, will it be tried again?" 429 and 500 to 599: up to five times. Nothing else.
#[test]
fn errors_are_tried_again() {
    let node = Node::with(&["--retry-delays", "10ms,10ms,10ms,10ms,10ms"], &[]);
    let tries = |status: u16| {
        let receiver = Receiver::always(Reply::Status(status));
        let webhook = node.webhook(&receiver.url(), json!({"categories": ["track_events"]}));
        node.track(&format!("status {status}"));
        node.settled(&webhook, if status < 300 { "delivered" } else { "failed" });
        node.switch(&webhook, false);
        receiver.requests().len()
    };
    for (status, requests) in
        [(200, 1), (204, 1), (302, 1), (400, 1), (404, 1), (408, 1), (410, 1), (429, 6), (500, 6), (503, 6), (599, 6)]
    {
        assert_eq!(tries(status), requests, "{status}");
    }
}
