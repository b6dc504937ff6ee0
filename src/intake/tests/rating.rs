//! NPS: a rating and its reason, together or one after the other.

use super::support::{NOW, Rig, on_step, settings};
use crate::config::IntakeSettings;
use crate::model::{Position, Withheld};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// By an anonymous visitor, so that nobody is new.
fn nps(fields: &Value) -> Value {
    let mut item = on_step("npsResponse", &json!({"visitorId": "_PENDO_T_1"}));
    for (key, value) in fields.as_object().unwrap() {
        item[key] = value.clone();
    }
    item
}

fn submitted(rig: &Rig) -> Vec<(u64, String, Option<Position>)> {
    let entries = rig.entries().into_iter().filter(|entry| entry.kind.is_some());
    entries
        .map(|entry| {
            let nps = entry.properties()["nps"].take();
            (nps["rating"].as_u64().unwrap(), nps["reason"].as_str().unwrap().to_owned(), entry.closes)
        })
        .collect()
}

#[tokio::test]
async fn a_rating_waits_for_its_reason() {
    let rig = Rig::new();
    rig.items(&[nps(&json!({"rating": 9, "id": "1"}))]).await;
    assert_eq!(rig.names(), ["held"]);
    rig.clock.set(NOW.after(Duration::from_millis(1999)));
    rig.intake.close_due().await.unwrap();
    assert_eq!(rig.items(&[nps(&json!({"reason": "why", "id": "2"}))]).await.json()["accepted"], 1);
    assert_eq!(submitted(&rig), [(9, String::from("why"), Some(Position(1)))]);
    let answer = rig.items(&[nps(&json!({"reason": "again"}))]).await;
    assert!(answer.reason(0).contains("already left"), "{}", answer.text);
    rig.clock.set(NOW.after(Duration::from_secs(9)));
    rig.intake.close_due().await.unwrap();
    assert_eq!(submitted(&rig).len(), 1);
    assert_eq!(rig.entries()[1].json()["timestamp"], (NOW.0 - 1000) / 1000, "the time of the rating");
}

#[tokio::test]
async fn a_rating_leaves_alone_when_its_time_is_over() {
    let rig = Rig::new();
    rig.items(&[nps(&json!({"rating": 3})), nps(&json!({"rating": 4, "guideStepId": "t"}))]).await;
    rig.clock.set(NOW.after(Duration::from_secs(2)));
    rig.journal.fail_every(1);
    assert!(rig.intake.close_due().await.is_err());
    rig.journal.fail_every(0);
    rig.intake.close_due().await.unwrap();
    let mut left = submitted(&rig);
    left.sort();
    assert_eq!(left, [(3, String::new(), Some(Position(1))), (4, String::new(), Some(Position(2)))]);
    assert!(rig.items(&[nps(&json!({"reason": "late"}))]).await.reason(0).contains("already left"));
}

#[tokio::test]
async fn what_comes_together_leaves_together() {
    type Case<'a> = (&'a [Value], &'a [(u64, &'a str)], &'a [&'a str]);
    let cases: [Case<'_>; 6] = [
        (&[nps(&json!({"rating": 1, "reason": "r"}))], &[(1, "r")], &["npsSubmitted"]),
        (
            &[nps(&json!({"rating": 1, "id": "1"})), nps(&json!({"reason": "r", "id": "2"}))],
            &[(1, "r")],
            &["npsSubmitted", "items"],
        ),
        (&[nps(&json!({"rating": 1})), nps(&json!({"rating": 2, "reason": "r"}))], &[(2, "r")], &["npsSubmitted"]),
        (&[nps(&json!({"rating": 1})), nps(&json!({"rating": 2}))], &[(1, "")], &["npsSubmitted", "held"]),
        (&[nps(&json!({"reason": "r"})), nps(&json!({"rating": 1}))], &[], &["held"]),
        (&[nps(&json!({"rating": 1})), nps(&json!({"reason": "r", "visitorId": "_PENDO_T_2"}))], &[], &["held"]),
    ];
    for (items, wanted, names) in cases {
        let rig = Rig::new();
        rig.items(items).await;
        let left: Vec<_> = submitted(&rig).into_iter().map(|(rating, reason, _)| (rating, reason)).collect();
        let wanted: Vec<_> = wanted.iter().map(|(rating, reason)| (*rating, (*reason).to_owned())).collect();
        assert_eq!((left, rig.names()), (wanted, names.to_vec()), "{items:?}");
    }
}

#[tokio::test]
async fn a_second_rating_lets_the_first_leave() {
    let rig = Rig::new();
    rig.items(&[nps(&json!({"rating": 1}))]).await;
    rig.items(&[nps(&json!({"rating": 2}))]).await;
    assert_eq!(rig.names(), ["held", "npsSubmitted", "held"]);
    rig.items(&[nps(&json!({"rating": 5, "reason": "r"}))]).await;
    let left = submitted(&rig);
    assert_eq!(left, [(1, String::new(), Some(Position(1))), (5, String::from("r"), Some(Position(3)))]);
    rig.clock.set(NOW.after(Duration::from_secs(2)));
    rig.intake.close_due().await.unwrap();
    assert_eq!(submitted(&rig).len(), 2);
}

#[tokio::test]
async fn a_held_rating_survives_a_crash_and_leaves_once() {
    let rig = Rig::new();
    rig.batch(&json!({"events": [nps(&json!({"rating": 6, "id": "1"}))]})).await;
    let after = rig.restart();
    assert_eq!(after.items(&[nps(&json!({"rating": 6, "id": "1"}))]).await.json()["accepted"], 1);
    assert_eq!(after.names(), ["held"], "its id is known still");
    after.clock.set(NOW.after(Duration::from_secs(2)));
    after.intake.close_due().await.unwrap();
    assert_eq!(after.names(), ["held", "npsSubmitted"]);
    assert_eq!(after.entries()[1].withheld, Some(Withheld::AgentTooOld), "what was known of the agent is kept");
    let again = after.restart();
    again.intake.close_due().await.unwrap();
    assert_eq!(again.names().len(), 2);
}

#[tokio::test]
async fn a_reason_waits_for_its_rating_to_be_durable() {
    let rig = Rig::new();
    rig.journal.gated.store(true, Ordering::SeqCst);
    let send = |fields: Value| {
        let rig = rig.clone();
        tokio::spawn(async move { rig.items(&[nps(&fields)]).await.text })
    };
    let rating = send(json!({"rating": 8}));
    while rig.journal.appends() == 0 {
        tokio::task::yield_now().await;
    }
    let reason = send(json!({"reason": "r"}));
    rig.journal.gate.add_permits(2);
    rating.await.unwrap();
    assert_eq!(reason.await.unwrap(), r#"{"accepted":1,"rejected":[]}"#);
    assert_eq!(submitted(&rig), [(8, String::from("r"), Some(Position(1)))]);
}

/// Guides may be large: what is due leaves in as many groups as it takes, none of them without bound.
#[tokio::test]
async fn large_ratings_leave_in_several_groups() {
    let rig = Rig::new();
    let steps: Vec<_> = (0..1500).map(|n| json!({"id": format!("{n:0100}"), "lastUpdatedAt": 1})).collect();
    for n in 0..20 {
        let mut rating = nps(&json!({"rating": 1, "guideStepId": format!("s{n}")}));
        rating["guideProperties"]["steps"] = json!(steps);
        assert_eq!(rig.items(&[rating]).await.text, r#"{"accepted":1,"rejected":[]}"#);
    }
    rig.clock.set(NOW.after(Duration::from_secs(2)));
    rig.intake.close_due().await.unwrap();
    assert_eq!(submitted(&rig).len(), 20);
    assert!((3..20).contains(&(rig.journal.group_count() - 20)), "{} groups", rig.journal.group_count());
}

#[tokio::test]
async fn the_task_lets_a_rating_leave_when_it_is_due() {
    let rig = Rig::with(IntakeSettings { nps_window: Duration::from_millis(20), ..settings() });
    let stop = CancellationToken::new();
    let task = tokio::spawn(rig.intake.clone().run(stop.clone()));
    rig.items(&[nps(&json!({"rating": 8}))]).await;
    assert_eq!(rig.names(), ["held"]);
    rig.clock.set(NOW.after(Duration::from_millis(20)));
    let left = async {
        while rig.names().len() < 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), left).await.unwrap();
    assert_eq!(submitted(&rig), [(8, String::new(), Some(Position(1)))]);
    stop.cancel();
    task.await.unwrap();
}
