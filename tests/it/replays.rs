//! Replays: events sent once more, together; and what a webhook has missed.

use crate::support::events::{batch, track};
use crate::support::{Node, Receiver, Reply, Webhook, wait_until};
use serde_json::{Value, json};
use std::collections::HashSet;

fn ask(node: &Node, webhook: &Webhook, body: Value) -> Value {
    node.api("POST", &format!("/webhooks/{}/replays", webhook.id), Some(body)).expect(202).json()
}

fn path(replay: &Value) -> String {
    let text = |field: &str| replay[field].as_str().unwrap().to_owned();
    format!("/webhooks/{}/replays/{}", text("webhook_id"), text("id"))
}

fn ended(node: &Node, replay: &Value) -> Value {
    wait_until("the replay is over", || {
        let replay = node.get(&path(replay));
        (replay["state"] != "running").then_some(replay)
    })
}

fn missed(node: &Node, webhook: &Webhook) -> Value {
    node.get(&format!("/webhooks/{}/missed", webhook.id))
}

/// The replay's counts: sent, delivered, failed, cancelled.
fn counts(replay: &Value) -> [u64; 4] {
    ["sent", "delivered", "failed", "cancelled"].map(|field| replay[field].as_u64().unwrap())
}

fn switched(node: &Node, webhook: &Webhook, on: bool) {
    node.patch(webhook, json!({"enabled": on}));
}

const START: &str = "2020-01-01T00:00:00Z";

#[test]
fn a_range_is_sent_again_in_order_with_the_same_bytes_and_is_marked() {
    let node = Node::with(&["--retry-delays", "20ms"], &[]);
    let receiver = Receiver::ok();
    let webhook = node.webhook(&receiver.url(), json!({"concurrency": 1}));
    for n in 0..40 {
        node.track(&format!("event {n}"));
    }
    let first = receiver.wait(40);
    let replay = ask(&node, &webhook, json!({"from": START}));
    assert_eq!((&replay["state"], &replay["status"]), (&json!("running"), &json!("all")));
    let done = ended(&node, &replay);
    assert_eq!((&done["state"], counts(&done), &done["progress"]), (&json!("done"), [40, 40, 0, 0], &json!(1.0)));
    let again = receiver.requests().split_off(40);
    assert_eq!(again.len(), 40);
    for (before, after) in first.iter().zip(&again) {
        assert_eq!((&before.body, before.header("webhook-id")), (&after.body, after.header("webhook-id")));
    }
    let rows = node.deliveries(&webhook);
    let marked = rows.iter().filter(|row| row["replay_id"] == replay["id"] && row["redelivery"] == true);
    assert_eq!((marked.count(), rows.len()), (40, 80));
    assert_eq!(node.get(&format!("/webhooks/{}", webhook.id))["health"]["delivered_24h"], 40, "not counted");
    assert_eq!(node.list(&format!("/webhooks/{}/replays?", webhook.id)), [done]);
    assert_eq!(node.get("/audit-log?action=replay.asked")["data"][0]["target"], json!(webhook.id));

    // A part of it: by name, and by time.
    let none = ended(&node, &ask(&node, &webhook, json!({"from": START, "event": "guideDisplayed"})));
    let late = ended(&node, &ask(&node, &webhook, json!({"from": "2999-01-01T00:00:00Z"})));
    assert_eq!((counts(&none), counts(&late)), ([0; 4], [0; 4]));
    for (series, value) in [
        ("fanfare_replay_events_total", 40.0),
        ("fanfare_replay_ended_total{end=\"done\"}", 3.0),
        ("fanfare_replay_under_way", 0.0),
    ] {
        wait_until(series, || (node.metric(series) == Some(value)).then_some(()));
    }
}

#[test]
fn what_failed_is_sent_again_until_it_was_delivered_and_never_counts() {
    let node = Node::with(&["--retry-delays", "20ms", "--turn-off-after-failures", "6", "--turn-off-after", "0s"], &[]);
    let receiver = Receiver::always(Reply::Status(400));
    let webhook = node.webhook(&receiver.url(), json!({}));
    for n in 0..4 {
        node.track(&format!("event {n}"));
    }
    wait_until("all have failed", || (node.deliveries(&webhook).len() == 4).then_some(()));
    let failed = json!({"status": "failed"});
    for _ in 0..3 {
        assert_eq!(counts(&ended(&node, &ask(&node, &webhook, failed.clone()))), [4, 0, 4, 0]);
    }
    let health = node.get(&format!("/webhooks/{}", webhook.id));
    assert_eq!((&health["state"], &health["health"]["failures_in_a_row"]), (&json!("on"), &json!(4)));
    receiver.set(Reply::Status(200));
    assert_eq!(counts(&ended(&node, &ask(&node, &webhook, failed.clone()))), [4, 4, 0, 0]);
    assert_eq!(counts(&ended(&node, &ask(&node, &webhook, failed))), [0; 4], "delivered is delivered");
}

#[test]
fn a_webhook_catches_up_with_what_it_missed() {
    let node = Node::with(&["--retry-delays", "300s"], &[]);
    let receiver = Receiver::always(Reply::Status(503));
    let webhook = node.webhook(&receiver.url(), json!({"categories": ["track_events"], "concurrency": 1}));
    assert_eq!(
        missed(&node, &webhook),
        json!({"events": 0, "complete": true, "since": null}),
        "it was never on before"
    );
    node.track("cancelled with its retry");
    wait_until("it waits for its retry", || (node.deliveries(&webhook).len() == 1).then_some(()));
    receiver.set(Reply::Status(200));
    node.track("delivered");
    receiver.wait_for("delivered");
    switched(&node, &webhook, false);
    for n in 0..3 {
        node.track(&format!("while off {n}"));
    }
    let all = missed(&node, &webhook);
    assert_eq!((&all["events"], &all["complete"]), (&json!(4), &json!(true)));
    assert!(all["since"].is_string());

    // Off, it is sent nothing unless that is forced.
    let asked = json!({"status": "missed"});
    let refused = node.api("POST", &format!("/webhooks/{}/replays", webhook.id), Some(asked.clone())).expect(409);
    assert!(refused.json()["detail"].as_str().unwrap().contains("force"), "{}", refused.json());
    switched(&node, &webhook, true);
    node.track("on again");
    receiver.wait_for("on again");
    assert_eq!(missed(&node, &webhook)["events"], 4);
    assert_eq!(counts(&ended(&node, &ask(&node, &webhook, asked))), [4, 4, 0, 0]);
    let names = receiver.names();
    let caught_up = &names[names.len() - 4..];
    assert_eq!(caught_up, ["cancelled with its retry", "while off 0", "while off 1", "while off 2"]);
    assert_eq!(missed(&node, &webhook)["events"], 0);
}

#[test]
fn a_forced_replay_goes_on_while_the_webhook_is_off_and_after_a_kill() {
    let mut node = Node::with(&["--retry-delays", "100ms,100ms,100ms,100ms,100ms"], &[]);
    let receiver = Receiver::ok();
    let webhook = node.webhook(&receiver.url(), json!({}));
    switched(&node, &webhook, false);
    node.track("while off");
    receiver.set(Reply::Status(503));
    let replay = ask(&node, &webhook, json!({"status": "missed", "force": true}));
    receiver.wait_for("while off");
    node.kill();
    receiver.set(Reply::Status(200));
    node.serve();
    assert_eq!(counts(&ended(&node, &replay)), [1, 1, 0, 0]);
    node.track("nobody asked for this one");
    switched(&node, &webhook, true);
    node.track("on again");
    receiver.wait_for("on again");
    assert!(!receiver.names().contains(&String::from("nobody asked for this one")));
    // Without force, it ends with the webhook.
    receiver.set(Reply::Status(503));
    let replay = ask(&node, &webhook, json!({"from": START}));
    wait_until("it is under way", || (node.get(&path(&replay))["sent"] == 3).then_some(()));
    switched(&node, &webhook, false);
    let over = ended(&node, &replay);
    assert_eq!((&over["state"], counts(&over)), (&json!("webhook_off"), [3, 0, 0, 3]));
}

#[test]
fn a_replay_is_cancelled_and_nonsense_is_refused() {
    let node = Node::with(&["--retry-delays", "300s"], &[]);
    let receiver = Receiver::always(Reply::Status(503));
    let webhook = node.webhook(&receiver.url(), json!({"concurrency": 8}));
    let items: Vec<Value> = (0..100).map(|n| track("v", &format!("event {n}"), json!({}))).collect();
    node.events(&items);
    receiver.wait(100);
    let replay = ask(&node, &webhook, json!({"from": START}));
    wait_until("its events wait for their retries", || {
        (node.get(&path(&replay))["waiting"].as_u64().unwrap() >= 100).then_some(())
    });
    node.api("DELETE", &path(&replay), None).expect(204);
    // What is in flight at that moment ends by itself, and is retried no more.
    let over = wait_until("what was in flight has ended", || {
        let over = ended(&node, &replay);
        (over["waiting"] == 0).then_some(over)
    });
    let [sent, _, _, cancelled] = counts(&over);
    assert_eq!((&over["state"], sent), (&json!("cancelled"), cancelled));
    node.api("DELETE", &path(&replay), None).expect(409);
    let second = ask(&node, &webhook, json!({"from": START}));
    let all = format!("/webhooks/{}/replays", webhook.id);
    node.api("DELETE", &all, None).expect(204);
    assert_eq!(ended(&node, &second)["state"], "cancelled");
    for (body, field) in [
        (json!({}), "from"),
        (json!({"status": "delivered"}), "status"),
        (json!({"from": "yesterday"}), "from"),
        (json!({"from": START, "to": START}), "to"),
        (json!({"from": START, "event": "nothing"}), "event"),
        (json!({"from": START, "force": "yes"}), "force"),
        (json!({"from": START, "more": 1}), "more"),
    ] {
        let refused = node.api("POST", &all, Some(body.clone())).expect(422);
        assert_eq!(refused.json()["field"], field, "{body}");
    }
    node.api("GET", &format!("{all}/rpl_1"), None).expect(404);
    node.api("GET", &format!("{all}/nonsense"), None).expect(404);
}

#[test]
fn live_events_do_not_wait_for_a_replay() {
    let node = Node::with(&["--replay-rate-per-s", "100000"], &[]);
    // A replay that its receiver holds up.
    let receiver =
        Receiver::by(
            |request, number| {
                if number >= 300 && request.name().starts_with("old") { Reply::Hang } else { Reply::Status(200) }
            },
        );
    let webhook = node.webhook(&receiver.url(), json!({"concurrency": 4, "timeout_s": 300}));
    let items: Vec<Value> = (0..300).map(|n| track("v", &format!("old {n}"), json!({}))).collect();
    node.events(&items);
    receiver.wait(300);
    // Everything old hangs from now on: one place of four is the replay's.
    ask(&node, &webhook, json!({"from": START}));
    receiver.wait(301);
    for n in 0..50 {
        let name = format!("new {n}");
        node.track(&name);
        receiver.wait_for(&name);
    }
}

#[test]
fn a_replay_of_a_hundred_thousand_survives_a_kill_and_misses_none() {
    let mut node = Node::with(&["--replay-rate-per-s", "100000"], &[]);
    // What a server is asked while this goes on takes longer than what a file is.
    let all: usize = if node.is_embedded() { 100_000 } else { 20_000 };
    let receiver = Receiver::ok();
    let webhook = node.webhook(&receiver.url(), json!({"concurrency": 64}));
    switched(&node, &webhook, false);
    for start in (0..all).step_by(500) {
        let items: Vec<Value> = (start..start + 500).map(|n| track("v", &n.to_string(), json!({}))).collect();
        node.try_events(batch(&items)).expect(200);
    }
    let replay = ask(&node, &webhook, json!({"status": "missed", "force": true}));
    for part in [1, 2] {
        wait_until("a part of it is sent", || {
            (node.get(&path(&replay))["sent"].as_u64().unwrap() as usize > all * part / 3).then_some(())
        });
        node.kill();
        node.serve();
    }
    let done = ended(&node, &replay);
    // What the visitor's first sighting raised comes with it.
    let sent = done["sent"].as_u64().unwrap() as usize;
    assert_eq!((&done["state"], done["delivered"].as_u64().unwrap() as usize), (&json!("done"), sent));
    assert!(sent > all, "{done}");
    let names: HashSet<String> = receiver
        .requests()
        .iter()
        .filter(|request| request.event() == "trackEventReceived")
        .map(|r| r.name())
        .collect();
    assert_eq!(names.len(), all);
}
