//! Each kind of item: the events that it raises, and why it may be rejected.

use super::support::{NOW, Rig, events_request, guide, item, on_step};
use crate::intake::sample;
use crate::model::{EventKind, Withheld};
use serde_json::{Value, json};

#[tokio::test]
async fn each_item_raises_its_events_in_order() {
    let new = ["visitorCreated", "accountCreated"];
    let answers = json!([{"pollId": "p", "pollType": "FreeForm", "response": "x", "duration": 1}]);
    let cases: [(Value, &[&str]); 8] = [
        (item("identify", &json!({"visitor": {"x": 1}, "account": {}})), &[]),
        (item("track", &json!({"name": "N"})), &["trackEventReceived"]),
        (on_step("guideSeen", &json!({})), &["guideDisplayed"]),
        (on_step("guideSeen", &json!({"stepPollTypes": ["NPSReason"]})), &["guideDisplayed"]),
        (
            on_step("guideSeen", &json!({"stepPollTypes": ["NPSRating", "NPSReason", "PickList"]})),
            &["guideDisplayed", "pollDisplayed", "npsDisplayed"],
        ),
        (on_step("pollResponse", &json!({"responses": answers})), &["pollSubmitted"]),
        (on_step("npsResponse", &json!({"rating": 0, "reason": ""})), &["npsSubmitted"]),
        (on_step("npsResponse", &json!({"rating": 10})), &["held"]),
    ];
    for (item, names) in cases {
        let rig = Rig::new();
        let answer = rig.items(std::slice::from_ref(&item)).await;
        assert_eq!(answer.text, r#"{"accepted":1,"rejected":[]}"#, "{item}");
        assert_eq!(rig.names(), [&new, names].concat(), "{item}");
        assert_eq!(rig.journal.group_count(), 1, "one batch is one group");
    }
}

#[tokio::test]
async fn bodies_carry_what_the_items_say() {
    let rig = Rig::new();
    let answer =
        |kind: &str, response: Value| json!({"pollId": "p", "pollType": kind, "response": response, "duration": 11});
    let answers = [
        answer("PositiveNegative", json!(1)),
        answer("FreeForm", json!("ä\"")),
        answer("NPSRating", json!(3)),
        answer("NPSReason", json!("so")),
    ];
    rig.items(&[
        item("track", &json!({"name": "N", "properties": {"b": 1, "a": [1.0]}, "userAgent": "server's"})),
        on_step("pollResponse", &json!({"responses": answers})),
        on_step("npsResponse", &json!({"rating": 9, "reason": "fine", "source": "email"})),
    ])
    .await;
    let entries = rig.entries();
    let names: Vec<_> = rig.names();
    assert_eq!(
        names,
        ["visitorCreated", "accountCreated", "trackEventReceived", "pollSubmitted", "npsSubmitted", "npsSubmitted"]
    );
    assert_eq!(entries[0].json()["userAgent"], "server's", "the browser is the visitor's, not the sender's");
    assert_eq!(entries[1].properties(), json!({}));
    assert_eq!(entries[1].json()["timestamp"], (NOW.0 - 1000) / 1000);
    assert!(entries[2].body.contains(r#""properties":{"eventProperties":{"a":[1],"b":1},"name":"N","source":"web"}"#));
    let start = r#""properties":{"guideId":"g","guideProperties":{"createdAt":1,"createdByUser":{"username":"u"},"id":"g","lastUpdatedAt":2,"lastUpdatedByUser":{"username":"w"},"name":"G","steps":[{"id":"s","lastUpdatedAt":3,"resetAt":4,"type":"building-block"}]},"guideStepId":"s","language":"en-US","#;
    let poll = r#""pollResponses":[{"duration":11,"pollId":"p","pollType":"PositiveNegative","response":1},{"duration":11,"pollId":"p","pollType":"FreeForm","response":"ä\""}]},"#;
    assert!(entries[3].body.contains(&format!("{start}{poll}")), "{}", entries[3].body);
    assert!(entries[4].body.contains(r#""language":"en-US","nps":{"rating":3,"reason":"so","source":"web"}},"#));
    assert!(entries[5].body.contains(r#""nps":{"rating":9,"reason":"fine","source":"email"}},"#));
    assert_eq!(entries[3].json()["userAgent"], sample::USER_AGENT);

    let mut request =
        events_request(json!({"events": [item("track", &json!({"name": "N", "visitorId": "w"}))]}).to_string());
    request.headers_mut().insert("x-fanfare-agent-key", "ios-key".parse().unwrap());
    rig.send(request).await;
    let last = rig.entries().pop().unwrap();
    assert_eq!(
        (last.properties()["source"].clone(), last.json()["app"]["platform"].clone()),
        (json!("ios"), json!("ios"))
    );
}

#[tokio::test]
async fn visitor_created_names_the_browser() {
    let rig = Rig::new();
    rig.items(&[item("identify", &json!({"visitorId": "Webhook Visitor"}))]).await;
    let properties = rig.entries()[0].properties();
    assert_eq!(properties, json!({"browserName": "Chrome", "browserVersion": "91.0.4472", "sampleGroup": 2}));
}

#[tokio::test]
async fn items_that_are_wrong_are_rejected_one_by_one() {
    let rig = Rig::new();
    let with_guide = |change: Value| {
        let mut properties = guide();
        for (key, value) in change.as_object().unwrap() {
            properties[key] = value.clone();
        }
        on_step("guideSeen", &json!({"guideProperties": properties}))
    };
    let respond = |answer: Value| on_step("pollResponse", &json!({"responses": [answer]}));
    let cases = [
        (json!(5), "the item cannot be read: it is not an object"),
        (json!(["identify"]), "the item cannot be read: it is not an object"),
        (json!({"visitorId": "v"}), "type is missing"),
        (item("click", &json!({})), "type is none of identify, track"),
        (item("identify", &json!({"visitorId": null})), "visitorId is missing"),
        (item("identify", &json!({"visitorId": 5})), "visitorId must be a string"),
        (item("identify", &json!({"visitorId": "x".repeat(1025)})), "visitorId is longer than 1024 bytes"),
        (item("identify", &json!({"accountId": {}})), "accountId must be a string"),
        (item("identify", &json!({"visitor": 1})), "visitor must be an object"),
        (item("identify", &json!({"id": 1})), "id must be a string"),
        (item("identify", &json!({"browserTime": NOW.0 - 604_800_001})), "browserTime is older than 7 days"),
        (item("identify", &json!({"browserTime": "now"})), "browserTime must be a whole number"),
        (item("track", &json!({})), "name is missing"),
        (item("track", &json!({"name": ""})), "name must not be empty"),
        (item("track", &json!({"name": "n", "properties": []})), "properties must be an object"),
        (on_step("guideSeen", &json!({"padding": "x".repeat(262_144)})), "the event would be larger than"),
        (item("guideSeen", &json!({})), "guideId is missing"),
        (on_step("guideSeen", &json!({"guideStepId": ""})), "guideStepId must not be empty"),
        (on_step("guideSeen", &json!({"guideProperties": null})), "guideId names no guide that is known here"),
        (on_step("guideSeen", &json!({"guideProperties": 1})), "guideProperties must be an object"),
        (on_step("guideSeen", &json!({"stepPollTypes": "NPSRating"})), "stepPollTypes must be a list"),
        (on_step("guideSeen", &json!({"stepPollTypes": ["Quiz"]})), "stepPollTypes must be one of NumberScale"),
        (with_guide(json!({"name": null})), "guideProperties.name is missing"),
        (with_guide(json!({"createdAt": "x"})), "guideProperties.createdAt must be a whole number"),
        (with_guide(json!({"createdByUser": {}})), "guideProperties.createdByUser.username is missing"),
        (with_guide(json!({"steps": [{"id": "s"}]})), "guideProperties.steps[0].lastUpdatedAt is missing"),
        (on_step("pollResponse", &json!({})), "responses is missing"),
        (on_step("pollResponse", &json!({"responses": []})), "responses must not be empty"),
        (respond(json!({"pollType": "FreeForm", "response": "x"})), "responses[0].pollId is missing"),
        (
            respond(json!({"pollId": "p", "pollType": "FreeForm", "response": 1})),
            "responses[0].response must be a string",
        ),
        (
            respond(json!({"pollId": "p", "pollType": "NumberScale", "response": "1"})),
            "responses[0].response must be a whole",
        ),
        (respond(json!({"pollId": "p", "pollType": "Quiz", "response": "1"})), "responses[0].pollType must be one of"),
        (
            respond(json!({"pollId": "p", "pollType": "NPSRating", "response": 11})),
            "responses[0].response must be from 0 to 10",
        ),
        (on_step("npsResponse", &json!({})), "rating is missing"),
        (on_step("npsResponse", &json!({"rating": 11})), "rating must be from 0 to 10"),
        (on_step("npsResponse", &json!({"rating": 1, "reason": 1})), "reason must be a string"),
        (on_step("npsResponse", &json!({"rating": 1, "source": "fax"})), "source must be one of web, email"),
        (on_step("npsResponse", &json!({"reason": "late"})), "the rating that this reason belongs to has already left"),
    ];
    let items: Vec<Value> =
        cases.iter().map(|(item, _)| item.clone()).chain([item("track", &json!({"name": "good"}))]).collect();
    let answer = rig.items(&items).await;
    assert_eq!(answer.json()["accepted"], 1);
    for (index, (item, reason)) in cases.iter().enumerate() {
        assert_eq!(answer.json()["rejected"][index]["index"], index);
        assert!(answer.reason(index).starts_with(reason), "{item}: {}", answer.reason(index));
    }
    assert_eq!(rig.names(), ["visitorCreated", "accountCreated", "trackEventReceived"], "only by the good one");
}

#[tokio::test]
async fn times_from_the_future_become_now() {
    let rig = Rig::new();
    rig.items(&[
        item("track", &json!({"name": "n", "browserTime": NOW.0 + 5000})),
        item("track", &json!({"name": "n", "browserTime": null})),
    ])
    .await;
    for entry in rig.entries().iter().rev().take(2) {
        assert_eq!(entry.json()["timestamp"], NOW.seconds());
    }
}

#[tokio::test]
async fn polls_of_an_old_agent_are_kept_but_not_pushed() {
    for (version, old) in [
        (json!("2.32.9"), true),
        (json!("2.33.0"), false),
        (json!(null), true),
        (json!(2.33), true),
        (json!("new"), true),
    ] {
        let rig = Rig::new();
        let items = [
            on_step("guideSeen", &json!({"stepPollTypes": ["PickList", "NPSRating"]})),
            on_step("npsResponse", &json!({"rating": 5, "reason": "r"})),
            item("track", &json!({"name": "n"})),
        ];
        rig.batch(&json!({"agentVersion": version, "events": items})).await;
        let withheld: Vec<_> =
            rig.entries().iter().filter(|e| e.withheld == Some(Withheld::AgentTooOld)).filter_map(|e| e.kind).collect();
        let polls = [EventKind::PollDisplayed, EventKind::NpsDisplayed, EventKind::NpsSubmitted];
        assert_eq!(withheld, if old { polls.to_vec() } else { Vec::new() }, "{version}");
        assert_eq!(rig.names().len(), 7);
    }
}

#[tokio::test]
async fn answers_of_one_submit_are_one_event() {
    let rig = Rig::new();
    let answer = |id: &str, poll: &str, step: &str| {
        let answers = json!([{"pollId": poll, "pollType": "NumberScale", "response": 1, "duration": 1}]);
        on_step(
            "pollResponse",
            &json!({"id": id, "responses": answers, "guideStepId": step, "visitorId": "_PENDO_T_1"}),
        )
    };
    let batch = [answer("1", "a", "s"), answer("2", "b", "t"), answer("3", "c", "s"), answer("4", "d", "s")];
    assert_eq!(rig.items(&batch).await.json()["accepted"], 4);
    assert_eq!(rig.names(), ["pollSubmitted", "pollSubmitted", "items"]);
    let polls = |at: usize| {
        let answers = rig.entries()[at].properties()["pollResponses"].take();
        answers
            .as_array()
            .unwrap()
            .iter()
            .map(|answer| answer["pollId"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!((polls(0), polls(1)), (vec!["a".into(), "c".into(), "d".into()], vec!["b".into()]));
    assert_eq!(rig.entries()[2].items.len(), 2, "the ids of the two that were merged");
    // After a crash too, none of the four is taken again.
    let after = rig.restart();
    assert_eq!(after.items(&batch).await.json()["accepted"], 4);
    assert_eq!(after.names().len(), 3);
}

#[tokio::test]
async fn the_samples_raise_every_event() {
    let rig = Rig::new();
    for kind in EventKind::TAKEN_IN {
        let visitor = format!("visitor {kind:?}");
        let batch = sample::agent_batch(Some(kind), &visitor, &format!("account {kind:?}"), NOW);
        assert_eq!(rig.send(events_request(batch)).await.text, r#"{"accepted":1,"rejected":[]}"#);
        assert!(rig.entries().iter().any(|entry| entry.kind == Some(kind) && entry.visitor_id == visitor), "{kind:?}");
    }
    let all = Rig::new();
    all.send(events_request(sample::agent_batch(None, "v", "a", NOW))).await;
    let mut names = all.names();
    names.sort_unstable();
    let mut expected = EventKind::TAKEN_IN.map(EventKind::name);
    expected.sort_unstable();
    assert_eq!(names, expected, "each once");
    assert_eq!(all.track(&sample::track_call("v \"1\"", "a", NOW)).await.status, 200);
    let (sent, documented) =
        (all.entries().pop().unwrap().properties(), sample::documented(EventKind::TrackEventReceived));
    assert_eq!(
        sent["eventProperties"],
        serde_json::from_slice::<Value>(&documented).unwrap()["properties"]["eventProperties"]
    );
}

#[tokio::test]
async fn a_devices_wrong_clock_is_put_right() {
    let (day, minute) = (86_400_000, 60_000);
    for (off, told) in
        [(0, -1000), (-4 * minute, -4 * minute - 1000), (-30 * day, -1000), (30 * day, -1000), (6 * minute, -1000)]
    {
        let rig = Rig::new();
        let device = NOW.0 + off;
        let mut item = item("track", &json!({"name": "n"}));
        item["browserTime"] = json!(device - 1000);
        let batch = json!({"agentVersion": "2.33.0", "sentAt": device, "events": [item]});
        rig.batch(&batch).await;
        let body: Value = serde_json::from_str(&rig.entries().pop().unwrap().body).unwrap();
        assert_eq!(body["timestamp"], (NOW.0 + told).div_euclid(1000), "{off}");
    }
    let rig = Rig::new();
    let mut old = item("track", &json!({"name": "n"}));
    old["browserTime"] = json!(NOW.0 - 30 * day);
    for sent_at in [json!(NOW.0), json!("now"), json!(null)] {
        let batch = json!({"agentVersion": "2.33.0", "sentAt": sent_at, "events": [old]});
        assert_eq!(rig.batch(&batch).await.json()["accepted"], 0, "old by a clock that is right, or unknown");
    }
}
