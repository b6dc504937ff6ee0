//! "Why did my webhook not fire?" for any event, and events by who and what.

use crate::support::{Node, Receiver, Reply, Webhook, events, wait_until};
use serde_json::{Value, json};

/// What the event's explanation says of a webhook.
fn explain(node: &Node, event: &str, webhook: &Webhook) -> Value {
    node.get(&format!("/events/{event}/explain?webhook={}", webhook.id))["data"][0].clone()
}

/// Waits for this reason.
#[track_caller]
fn explained(node: &Node, event: &str, webhook: &Webhook, reason: &str) -> Value {
    wait_until(&format!("the reason is {reason}"), || {
        let told = explain(node, event, webhook);
        (told["reason"] == reason).then_some(told)
    })
}

/// The id of the newest event of this kind.
fn newest(node: &Node, query: &str) -> String {
    node.get(&format!("/events?{query}&limit=1"))["data"][0]["id"].as_str().expect("an event").to_owned()
}

#[test]
fn every_reason_is_the_true_one() {
    let node = Node::with(&["--retry-delays", "300s"], &[]);
    let (good, bad, busy) =
        (Receiver::ok(), Receiver::always(Reply::Status(400)), Receiver::always(Reply::Status(503)));
    let delivered = node.webhook(&good.url(), json!({"name": "good"}));
    let failed = node.webhook(&bad.url(), json!({}));
    let retrying = node.webhook(&busy.url(), json!({}));
    let guides = node.webhook(&good.url(), json!({"categories": ["guides"]}));
    let off = node.webhook(&good.url(), json!({}));
    node.switch(&off, false);
    let rule =
        node.api("POST", "/exclusions", Some(json!({"kind": "visitor", "pattern": "test-*"}))).expect(201).json();

    node.track("One");
    let one = newest(&node, "event=trackEventReceived");
    let told = explained(&node, &one, &delivered, "delivered");
    assert_eq!((&told["webhook_name"], &told["delivery"]["status"]), (&json!("good"), &json!("delivered")));
    assert_eq!(explained(&node, &one, &failed, "failed")["delivery"]["response_status"], 400);
    assert!(explained(&node, &one, &retrying, "retrying")["delivery"]["next_attempt_at"].is_string());
    explained(&node, &one, &guides, "category_not_chosen");
    explained(&node, &one, &off, "webhook_off");
    let late = node.webhook(&good.url(), json!({}));
    explained(&node, &one, &late, "webhook_off");
    let all = node.get(&format!("/events/{one}/explain"));
    assert_eq!((all["data"].as_array().unwrap().len(), &all["event"]["visitor_id"]), (6, &json!("ann")));

    // What is changed later changes no reason, but for what was still waiting.
    node.switch(&off, true);
    node.patch(&guides, json!({"categories": "all"}));
    node.switch(&retrying, false);
    node.switch(&delivered, false);
    explained(&node, &one, &off, "webhook_off");
    explained(&node, &one, &guides, "category_not_chosen");
    explained(&node, &one, &retrying, "turned_off_in_between");
    explained(&node, &one, &delivered, "delivered");

    node.events(&[events::track("test-1", "Clicked", json!({}))]);
    let excluded = newest(&node, "withheld=excluded");
    assert_eq!(explain(&node, &excluded, &late)["excluded_by"], rule["id"]);
    explained(&node, &excluded, &late, "excluded");

    let old = json!({"agentVersion": "2.32.9", "events": [events::guide_seen("ann", &["NPSRating"])]});
    node.try_events(old).expect(200);
    explained(&node, &newest(&node, "withheld=agent_too_old"), &late, "agent_too_old");
    explained(&node, &newest(&node, "event=guideDisplayed"), &late, "delivered");
    node.api("GET", "/events/evt_ffffff/explain", None).expect(404);
}

#[test]
fn an_event_that_waits_for_a_dead_receiver_is_on_its_way_until_it_is_turned_off() {
    let node = Node::with(&["--retry-delays", "300s,300s,300s", "--waiting-retries", "1"], &[]);
    let receiver = Receiver::always(Reply::Status(503));
    let webhook = node.webhook(&receiver.url(), json!({}));
    node.track("One");
    receiver.wait_for("One");
    explained(&node, &newest(&node, "event=trackEventReceived"), &webhook, "retrying");
    node.track("Two");
    let two = newest(&node, "event=trackEventReceived");
    explained(&node, &two, &webhook, "on_its_way");
    node.switch(&webhook, false);
    explained(&node, &two, &webhook, "turned_off_in_between");
}

#[test]
fn what_the_journal_has_let_go_of_is_told() {
    let node = Node::with(&["--journal-segment-size", "4MiB", "--journal-max-size", "8MiB"], &[]);
    let bad = Receiver::always(Reply::Status(400));
    let webhook = node.webhook(&bad.url(), json!({"categories": ["guides"]}));
    node.events(&[events::guide_seen("ann", &[]), events::track("ann", "x", json!({}))]);
    let failed = newest(&node, "event=guideDisplayed");
    let other = newest(&node, "event=trackEventReceived");
    explained(&node, &failed, &webhook, "failed");
    wait_until("the event has left the journal", || {
        node.try_track(events::server_track("bob", "fill", json!({"pad": "x".repeat(500_000)}))).expect(200);
        (node.api("GET", &format!("/events/{failed}"), None).status == 404).then_some(())
    });
    assert_eq!(explain(&node, &failed, &webhook)["reason"], "failed", "the failure is on record");
    let told = node.get(&format!("/events/{other}/explain?webhook={}", webhook.id));
    assert_eq!((&told["event"], &told["data"][0]["reason"]), (&Value::Null, &json!("older_than_journal")));
}

#[test]
fn events_are_found_by_visitor_account_webhook_and_kind_among_many() {
    let node = Node::start();
    let receiver = Receiver::ok();
    let webhook = node.webhook(&receiver.url(), json!({"categories": ["guides", "visitors"]}));
    let crowd = |n: usize| {
        let items: Vec<_> = (0..400).map(|m| events::track(&format!("v{}", n * 400 + m), "t", json!({}))).collect();
        node.events(&items);
    };
    for n in 0..4 {
        node.events(&[events::identify("ann", "acme"), events::guide_seen("ann", &[])]);
        (n * 10..n * 10 + 10).for_each(crowd);
    }
    let all = |query: &str| node.list(&format!("/events?{query}&"));
    let names = |rows: Vec<Value>| rows.iter().map(|row| row["event"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let guides = ["guideDisplayed"; 4].map(String::from);
    assert_eq!(names(all("visitor=ann&event=guideDisplayed")), guides);
    assert_eq!(names(all("visitor=ann&event=visitorCreated")), ["visitorCreated"]);
    assert_eq!(names(all("account=acme&visitor=ann&event=accountCreated")), ["accountCreated"]);
    assert_eq!(all("visitor=v15999&event=trackEventReceived").len(), 1);
    assert_eq!(all("visitor=v1&event=trackEventReceived").len(), 1);
    assert!(all("visitor=nobody").is_empty());
    let of_webhook = all(&format!("webhook={}&visitor=ann", webhook.id));
    assert_eq!(of_webhook.len(), 5, "{of_webhook:?}");
    // An event shows at once, before the records have it.
    node.events(&[events::track("new", "t", json!({}))]);
    assert_eq!(all("visitor=new&event=trackEventReceived").len(), 1);
    let first = node.get("/events?visitor=ann&limit=2");
    assert_eq!(first["data"].as_array().unwrap().len(), 2);
    let second = node.get(&format!("/events?visitor=ann&limit=2&cursor={}", first["next"].as_str().unwrap()));
    let ids = |page: &Value| page["data"].as_array().unwrap().iter().map(|row| row["id"].clone()).collect::<Vec<_>>();
    assert!(ids(&first).iter().all(|id| !ids(&second).contains(id)));
}
