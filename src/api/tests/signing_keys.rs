//! Keys that are replaced with an overlap: what is shown of them, and what requests are signed with.

use super::support::{MEMBER, NOW, Node, OTHER, SECRET};
use crate::clock::ManualClock;
use crate::deliver::sign::write_signing_key;
use crate::model::{UnixMs, WebhookId};
use serde_json::{Value, json};

const DAY_LATER: &str = "2021-07-21T17:58:20Z";

/// The keys that requests are signed with: those that stay, and those that end, each with its end.
fn keys(node: &Node, id: &str) -> (Vec<String>, Vec<(String, i64)>) {
    let current = node.catalog.current();
    let destination = &current.webhooks[&id.parse::<WebhookId>().unwrap()].destination;
    let ending = destination.ending_keys.iter().map(|old| (write_signing_key(&old.value), old.until.0 - NOW.0));
    (destination.signing_keys.iter().map(write_signing_key).collect(), ending.collect())
}

/// A text as a signing key whose bytes it is.
fn as_key(secret: &str) -> String {
    write_signing_key(&crate::model::SigningKey(crate::model::Secret::new(secret)))
}

struct Bench {
    node: Node,
    id: String,
    path: String,
}

impl Bench {
    async fn new() -> (Self, String) {
        let node = Node::new();
        let body = json!({"name": "CRM", "url": "https://example.com/hook", "secret": SECRET});
        let created = node.call("POST", "/api/v1/webhooks", Some(body)).await.ok(201);
        let text = |field: &str| created[field].as_str().unwrap().to_owned();
        let (id, key) = (text("id"), text("signing_key"));
        let path = format!("/api/v1/webhooks/{id}");
        (Self { node, id, path }, key)
    }

    async fn rotate(&self, body: Option<Value>) -> Value {
        self.node.call("POST", &format!("{}/signing-key/rotate", self.path), body).await.ok(200)
    }

    async fn patch(&self, body: Value) -> Value {
        self.node.call("PATCH", &self.path, Some(body)).await.ok(200)
    }

    async fn refused(&self, body: Value) -> String {
        let answer = self.node.call("PATCH", &self.path, Some(body)).await.ok(422);
        assert_eq!(answer["field"], "secret_overlap_s", "{answer}");
        answer["detail"].as_str().unwrap().to_owned()
    }

    fn keys(&self) -> (Vec<String>, Vec<(String, i64)>) {
        keys(&self.node, &self.id)
    }

    fn clock(&self) -> &ManualClock {
        &self.node.clock
    }
}

#[tokio::test]
async fn a_rotated_signing_key_signs_beside_its_successor_for_the_overlap() {
    let (mut bench, first) = Bench::new().await;
    let rotated = bench.rotate(None).await;
    let second = rotated["signing_key"].as_str().unwrap().to_owned();
    assert_eq!(rotated["old_signing_key_until"], DAY_LATER);
    assert_eq!(bench.keys(), (vec![second.clone()], vec![(first, 86_400_000)]));
    let shown = bench.node.get(&bench.path).await.ok(200);
    assert!(shown.get("signing_key").is_none() && second.starts_with("whsec_"), "{shown}");

    // Another one ends the first at once; it is as after a restart.
    let third = bench.rotate(Some(json!({"overlap_s": 60}))).await["signing_key"].as_str().unwrap().to_owned();
    let expected = (vec![third.clone()], vec![(second, 60_000)]);
    assert_eq!(bench.keys(), expected);
    bench.node = bench.node.restart();
    assert_eq!(bench.keys(), expected);
    bench.clock().set(UnixMs(NOW.0 + 60_000));
    assert_eq!(bench.node.get(&bench.path).await.ok(200)["old_signing_key_until"], Value::Null);

    // Without an overlap there is none; switched off, there are no keys at all.
    let fourth = bench.rotate(Some(json!({"overlap_s": 0}))).await;
    assert_eq!(fourth["old_signing_key_until"], Value::Null);
    assert_eq!(bench.keys(), (vec![fourth["signing_key"].as_str().unwrap().to_owned()], vec![]));
    bench.rotate(None).await;
    bench.patch(json!({"standard_webhooks": false})).await;
    assert_eq!(bench.keys(), (vec![], vec![]));

    let log = bench.node.get("/api/v1/audit-log").await.ok(200);
    let until = NOW.0 + 60_000 + 86_400_000;
    assert_eq!(log["data"][1]["after"], json!({"signing_key": "changed", "old_signing_key_until": until}));
    assert_eq!(log["data"][1]["before"], json!({"signing_key": "set", "old_signing_key_until": null}));
    assert!(!log.to_string().contains(&third));
}

#[tokio::test]
async fn a_replaced_secret_can_be_checked_beside_its_successor() {
    let (bench, key) = Bench::new().await;
    let patched = bench.patch(json!({"secret": "the second secret", "secret_overlap_s": 60})).await;
    assert_eq!(patched["old_secret_until"], "2021-07-20T17:59:20Z");
    let both = |new: &str, old: &str, until| vec![(as_key(new), until), (as_key(old), until)];
    assert_eq!(bench.keys(), (vec![key.clone()], both("the second secret", SECRET, 60_000)));

    // What says nothing of the secret, or says the same, leaves it; its end can be moved.
    bench.patch(json!({"name": "x"})).await;
    bench.patch(json!({"secret": "the second secret"})).await;
    assert_eq!(bench.keys().1, both("the second secret", SECRET, 60_000));
    bench.patch(json!({"secret_overlap_s": 90})).await;
    assert_eq!(bench.keys().1, both("the second secret", SECRET, 90_000));

    // A third one beside the second, and the first no more; a fourth one at once, and no other.
    bench.patch(json!({"secret": "the third secret", "secret_overlap_s": 30})).await;
    assert_eq!(bench.keys().1, both("the third secret", "the second secret", 30_000));
    bench.patch(json!({"secret": "the fourth secret"})).await;
    assert_eq!(bench.keys(), (vec![key], vec![]));

    // It can be ended early; and without a secret nothing is checked with it.
    bench.patch(json!({"secret": "the fifth secret", "secret_overlap_s": 30})).await;
    assert_eq!(bench.patch(json!({"secret_overlap_s": 0})).await["old_secret_until"], Value::Null);
    bench.patch(json!({"secret": "the sixth secret", "secret_overlap_s": 30})).await;
    let without = bench.patch(json!({"secret": null})).await;
    assert_eq!((&without["old_secret_until"], bench.keys().1), (&Value::Null, vec![]));
    let log = bench.node.get("/api/v1/audit-log").await.ok(200).to_string();
    assert!(log.contains("old_secret_until") && !log.contains("the third secret"), "{log}");
}

#[tokio::test]
async fn overlaps_that_nobody_could_make_use_of_are_refused() {
    let (bench, _) = Bench::new().await;
    let no_new = bench.refused(json!({"secret_overlap_s": 60})).await;
    assert!(no_new.contains("no old one is ending"), "{no_new}");
    let none = bench.refused(json!({"secret": null, "secret_overlap_s": 60})).await;
    assert!(none.contains("nothing is signed"), "{none}");
    let headers_off = json!({"secret": "x", "secret_overlap_s": 60, "standard_webhooks": false});
    let off = bench.refused(headers_off).await;
    assert!(off.contains("only webhook-signature can carry"), "{off}");
    bench.refused(json!({"secret": "x", "secret_overlap_s": 2_592_001})).await;
    let creating = json!({"name": "CRM", "url": "https://h", "secret": "x", "secret_overlap_s": 60});
    let created = bench.node.call("POST", "/api/v1/webhooks", Some(creating)).await.ok(422);
    assert_eq!(created["field"], "secret_overlap_s");
    assert_eq!(bench.keys().1, vec![], "and nothing was changed");
}

#[tokio::test]
async fn who_may_not_and_what_cannot_be_rotated() {
    let (bench, _) = Bench::new().await;
    let rotate = format!("{}/signing-key/rotate", bench.path);
    bench.node.call_as(MEMBER, "POST", &rotate, None).await.problem(403, "forbidden");
    bench.node.call_as(OTHER, "POST", &rotate, None).await.problem(404, "not_found");
    let too_long = bench.node.call("POST", &rotate, Some(json!({"overlap_s": 2_592_001}))).await;
    assert_eq!(too_long.ok(422)["field"], "overlap_s");
    let body = json!({"name": "plain", "url": "https://h", "standard_webhooks": false});
    let plain = bench.node.call("POST", "/api/v1/webhooks", Some(body)).await.ok(201);
    let rotate = format!("/api/v1/webhooks/{}/signing-key/rotate", plain["id"].as_str().unwrap());
    assert_eq!(bench.node.call("POST", &rotate, None).await.ok(422)["field"], "standard_webhooks");
}

/// A test with unsaved values is signed as these would be.
#[tokio::test]
async fn a_test_shows_the_overlap_before_it_is_saved() {
    let (bench, _) = Bench::new().await;
    let body = json!({"secret": "the second secret", "secret_overlap_s": 60});
    bench.node.call("POST", &format!("{}/test", bench.path), Some(body)).await.ok(200);
    let sent = bench.node.receiver.sent.lock().unwrap();
    assert_eq!(sent.last().unwrap().0.ending_keys.len(), 2);
    assert_eq!(bench.keys().1, vec![]);
}
