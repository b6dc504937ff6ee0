//! What happens once only: first sightings, and items with an id.

use super::support::{NOW, Rig, events_request, item, settings};
use crate::config::IntakeSettings;
use crate::model::EventKind;
use serde_json::json;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn identify(visitor: &str, account: &str) -> serde_json::Value {
    item("identify", &json!({"visitorId": visitor, "accountId": account}))
}

/// Lets every task go on as far as it can.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
}

#[tokio::test]
async fn somebody_is_new_once() {
    let rig = Rig::new();
    rig.items(&[identify("v", "a"), identify("v", "b"), identify("w", "a")]).await;
    assert_eq!(rig.names(), ["visitorCreated", "accountCreated", "accountCreated", "visitorCreated"]);
    assert_eq!(rig.items(&[identify("v", "a")]).await.json()["accepted"], 1);
    assert_eq!(rig.journal.appends(), 1, "a repeat has nothing to write");
    // Known to the store, from before.
    crate::intake::keys::lock(&rig.store.visitors).insert(String::from("old"));
    rig.items(&[identify("old", "a")]).await;
    rig.items(&[identify("old", "a")]).await;
    assert_eq!(rig.names().len(), 4);
    assert_eq!(rig.store.asked.load(Ordering::SeqCst), 5, "the store is asked once about each");
}

#[tokio::test]
async fn the_anonymous_are_never_new() {
    let rig = Rig::new();
    for visitor in ["", "_PENDO_T_abc", "VISITOR-UNIQUE-ID", "null", "undefined", " \t"] {
        let answer = rig.items(&[item("track", &json!({"name": "n", "visitorId": visitor}))]).await;
        assert_eq!(answer.json()["accepted"], 1, "{visitor:?}");
    }
    rig.items(&[identify("v", ""), identify("v", " "), identify("v", "null")]).await;
    assert_eq!(
        rig.names().iter().filter(|name| **name != "trackEventReceived").collect::<Vec<_>>(),
        [&"visitorCreated"]
    );
}

#[tokio::test]
async fn a_visitor_is_new_to_a_subscription_not_to_an_app() {
    let rig = Rig::new();
    rig.items(&[identify("v", "a")]).await;
    let mut request = events_request(json!({"events": [identify("v", "a")]}).to_string());
    request.headers_mut().insert("x-fanfare-agent-key", "ios-key".parse().unwrap());
    assert_eq!(rig.send(request).await.json()["accepted"], 1);
    assert_eq!(rig.names().len(), 2);
}

#[tokio::test]
async fn a_first_sighting_that_failed_is_raised_by_the_next() {
    let rig = Rig::new();
    rig.journal.fail_every(1);
    assert_eq!(rig.items(&[identify("v", "a")]).await.status, 503);
    rig.journal.fail_every(0);
    rig.items(&[identify("v", "a")]).await;
    assert_eq!(rig.names(), ["visitorCreated", "accountCreated"]);
}

#[tokio::test]
async fn whoever_waits_behind_a_failed_first_sighting_raises_it() {
    let rig = Rig::new();
    rig.journal.gated.store(true, Ordering::SeqCst);
    rig.journal.fail_every(1);
    let first = tokio::spawn({
        let rig = rig.clone();
        async move { rig.items(&[identify("v", "a")]).await.status }
    });
    settle().await;
    assert_eq!(rig.journal.appends(), 1);
    rig.journal.fail_every(0);
    let second = tokio::spawn({
        let rig = rig.clone();
        async move { rig.items(&[item("track", &json!({"name": "n"}))]).await.status }
    });
    settle().await;
    assert_eq!(rig.journal.appends(), 1, "the second waits for what becomes of the first");
    rig.journal.gate.add_permits(2);
    assert_eq!((first.await.unwrap().as_u16(), second.await.unwrap().as_u16()), (503, 200));
    assert_eq!(rig.names(), ["visitorCreated", "accountCreated", "trackEventReceived"]);
}

/// 64 tasks, each seeing the same 1,000 visitors in an order of its own, over a journal that fails now and then and a
/// store that follows: everyone is new exactly once, and before anything else of theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everyone_is_new_exactly_once_under_any_concurrency() {
    const VISITORS: usize = 1000;
    let rig = Rig::new();
    rig.journal.fail_every(7);
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let rig = rig.clone();
            tokio::spawn(async move {
                // Steps that are coprime to the number of visitors reach all of them.
                let step = [1, 3, 7, 9, 11, 13, 17, 19][task % 8];
                for batch in 0..VISITORS / 50 {
                    let sighting = |n: usize| {
                        let visitor = (task * 31 + (batch * 50 + n) * step) % VISITORS;
                        item("track", &json!({"name": "n", "visitorId": format!("v{visitor}"), "accountId": format!("a{}", visitor % 10)}))
                    };
                    let items: Vec<_> = (0..50).map(sighting).collect();
                    while rig.items(&items).await.status != 200 {}
                }
                if task % 8 == 0 {
                    rig.store.project(&rig.entries());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut accounts: HashMap<String, usize> = HashMap::new();
    for entry in rig.entries() {
        match entry.kind.unwrap() {
            EventKind::VisitorCreated => *seen.entry(entry.visitor_id).or_default() += 1,
            EventKind::AccountCreated => *accounts.entry(entry.account_id).or_default() += 1,
            _ => assert!(seen.contains_key(&entry.visitor_id), "{} was not announced before", entry.visitor_id),
        }
    }
    assert_eq!((seen.len(), accounts.len()), (VISITORS, 10));
    assert!(seen.values().chain(accounts.values()).all(|times| *times == 1));
}

#[tokio::test]
async fn too_many_new_ones_wait_for_the_store() {
    let rig = Rig::with(IntakeSettings { first_seen_pending: 3, ..settings() });
    assert_eq!(rig.items(&[identify("v", "a")]).await.status, 200);
    let answer = rig.items(&[identify("w", "b")]).await;
    assert!(answer.status == 503 && answer.headers.contains_key("retry-after"));
    assert_eq!(rig.items(&[identify("w", "")]).await.status, 200);
    assert_eq!(rig.track(r#"{"type":"track","event":"E","visitorId":"x"}"#).await.status, 200);
    assert_eq!(rig.items(&[identify("v", "a")]).await.status, 200, "whoever is known goes on");
    rig.store.project(&rig.entries());
    assert_eq!(rig.items(&[identify("x", "b")]).await.status, 200);
    assert_eq!(rig.names().iter().filter(|name| **name == "visitorCreated").count(), 3);
}

#[tokio::test]
async fn the_same_id_is_taken_once() {
    let rig = Rig::new();
    let item = |id: &str| item("track", &json!({"id": id, "name": "n", "visitorId": "_PENDO_T_1"}));
    let batch = [item("1"), item("2"), item("1")];
    assert_eq!(rig.items(&batch).await.json()["accepted"], 3);
    assert_eq!(rig.items(&batch).await.json()["accepted"], 3);
    assert_eq!(rig.names().len(), 2);
    // Another app's ids are others.
    let mut request = events_request(json!({"events": [item("1")]}).to_string());
    request.headers_mut().insert("x-fanfare-agent-key", "ios-key".parse().unwrap());
    rig.send(request).await;
    assert_eq!(rig.names().len(), 3);
    // After a crash they are known still, and after a day they are not.
    let after = rig.restart();
    after.items(&batch).await;
    assert_eq!(after.names().len(), 3);
    after.clock.set(NOW.after(Duration::from_secs(86_400 + 61)));
    after.items(&batch).await;
    assert_eq!(after.names().len(), 5);
}

#[tokio::test]
async fn an_id_that_failed_is_free_again() {
    let rig = Rig::new();
    let items = [item("track", &json!({"id": "1", "name": "n"}))];
    rig.journal.fail_every(1);
    assert_eq!(rig.items(&items).await.status, 503);
    rig.journal.fail_every(0);
    assert_eq!(rig.items(&items).await.status, 200);
    assert_eq!(rig.names(), ["visitorCreated", "accountCreated", "trackEventReceived"]);
    assert!(rig.entries()[0].item.is_some() && rig.entries()[2].item.is_none(), "the first entry carries the id");
}

#[tokio::test]
async fn a_repeat_is_confirmed_only_when_its_original_is_durable() {
    let rig = Rig::new();
    rig.journal.gated.store(true, Ordering::SeqCst);
    let send = || {
        let rig = rig.clone();
        tokio::spawn(async move {
            rig.items(&[item("track", &json!({"id": "1", "name": "n", "visitorId": ""}))]).await.status
        })
    };
    let (one, two) = (send(), send());
    settle().await;
    assert!(!one.is_finished() && !two.is_finished());
    rig.journal.gate.add_permits(1);
    assert_eq!((one.await.unwrap().as_u16(), two.await.unwrap().as_u16()), (200, 200));
    assert_eq!(rig.names(), ["trackEventReceived"]);
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_nothing_half_known() {
    let rig = Rig::new();
    rig.journal.gated.store(true, Ordering::SeqCst);
    let items = [item("track", &json!({"id": "1", "name": "n"}))];
    let gone = tokio::time::timeout(Duration::from_millis(50), rig.items(&items)).await;
    assert!(gone.is_err());
    rig.journal.gate.add_permits(1);
    assert_eq!(rig.items(&items).await.json()["accepted"], 1, "and no lock is left behind");
    assert_eq!(rig.names(), ["visitorCreated", "accountCreated", "trackEventReceived"]);
}
