//! Items about guides that the installation knows: what it says of them goes before what an item says.

use super::support::{NOW, Rig, item, on_step};
use serde_json::{Value, json};

/// An item about a step of the guide that the installation knows.
fn on_known(kind: &str, step: &str, fields: &Value) -> Value {
    let mut item = item(kind, &json!({"guideId": "known", "guideStepId": step, "language": "en-US"}));
    item.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    item
}

fn answer(poll: &str, kind: &str, response: Value) -> Value {
    json!({"pollId": poll, "pollType": kind, "response": response, "duration": 5})
}

fn without_firsts(rig: &Rig) -> Vec<&'static str> {
    rig.names().into_iter().filter(|name| !name.ends_with("Created")).collect()
}

#[tokio::test]
async fn the_known_guide_describes_itself() {
    let rig = Rig::new();
    let brought =
        json!({"guideProperties": {"id": "known", "name": "Another", "steps": []}, "stepPollTypes": ["NPSRating"]});
    rig.items(&[on_known("guideSeen", "polls", &brought)]).await;
    assert_eq!(without_firsts(&rig), ["guideDisplayed", "pollDisplayed"], "its polls are the guide's to name");
    let properties = rig.entries().pop().unwrap().properties();
    assert_eq!((&properties["guideProperties"]["name"], &properties["guideId"]), (&json!("Known"), &json!("known")));
    assert_eq!(properties["guideProperties"]["steps"].as_array().unwrap().len(), 3);
    rig.items(&[on_known("guideSeen", "nps", &json!({})), on_known("guideSeen", "text", &brought)]).await;
    assert_eq!(without_firsts(&rig)[2..], ["guideDisplayed", "npsDisplayed", "guideDisplayed"]);
    // A step that the guide has no longer: the item's word is all that there is.
    rig.items(&[on_known("guideSeen", "gone", &brought)]).await;
    assert_eq!(without_firsts(&rig)[5..], ["guideDisplayed", "npsDisplayed"]);
}

#[tokio::test]
async fn choices_leave_as_text_and_answers_in_question_order() {
    let rig = Rig::new();
    let first = json!([answer("role", "FreeForm", json!("c2")), answer("other", "FreeForm", json!("x"))]);
    let second = json!([answer("score", "PickList", json!(7)), answer("why", "FreeForm", json!("c1"))]);
    let submit = |responses: &Value| on_known("pollResponse", "polls", &json!({"responses": responses}));
    let reply = rig.items(&[submit(&first), submit(&second)]).await.json();
    assert_eq!(reply, json!({"accepted": 2, "rejected": []}));
    assert_eq!(without_firsts(&rig), ["pollSubmitted"], "one submit");
    let responses =
        rig.entries().into_iter().find(|entry| entry.kind.is_some_and(|kind| kind.name() == "pollSubmitted"));
    let responses = responses.unwrap().properties()["pollResponses"].clone();
    let shown: Vec<_> =
        responses.as_array().unwrap().iter().map(|r| (&r["pollId"], &r["pollType"], &r["response"])).collect();
    let expected = [
        ("score", "NumberScale", json!(7)),
        ("role", "PickList", json!("Product \"Manager\"")),
        ("why", "FreeForm", json!("c1")),
        ("other", "FreeForm", json!("x")),
    ];
    for ((poll, kind, response), (expected_poll, expected_kind, expected_response)) in shown.iter().zip(&expected) {
        assert_eq!((poll.as_str(), kind.as_str()), (Some(*expected_poll), Some(*expected_kind)));
        assert_eq!(*response, expected_response);
    }
    assert_eq!(shown.len(), 4);
    // The text itself is good too.
    let by_text = json!([answer("role", "PickList", json!("Engineer"))]);
    assert_eq!(rig.items(&[submit(&by_text)]).await.json()["accepted"], 1);
}

#[tokio::test]
async fn what_contradicts_the_known_guide_is_rejected() {
    let rig = Rig::new();
    let polls = |responses: Value| on_known("pollResponse", "polls", &json!({"responses": responses}));
    let rating = json!({"rating": 9, "reason": ""});
    let reply = rig
        .items(&[
            polls(json!([answer("score", "FreeForm", json!("seven"))])),
            polls(json!([answer("role", "PickList", json!("c9"))])),
            on_known("npsResponse", "polls", &rating),
            on_known("npsResponse", "nps", &rating),
            on_known("npsResponse", "gone", &rating),
        ])
        .await;
    assert_eq!(reply.reason(0), "responses[0].response must be a whole number within ±(2^53-1)");
    assert_eq!(reply.reason(1), "responses[0].response is none of the poll's choices");
    assert_eq!(reply.reason(2), "the guide asks for no NPS rating on this step");
    assert_eq!((&reply.json()["accepted"], without_firsts(&rig)), (&json!(2), vec!["npsSubmitted", "npsSubmitted"]));
}

#[tokio::test]
async fn nps_answers_among_a_known_guides_polls_are_nps() {
    let rig = Rig::new();
    let responses = json!([answer("reason", "FreeForm", json!("Fine")), answer("rating", "NumberScale", json!(10))]);
    rig.items(&[on_known("pollResponse", "nps", &json!({"responses": responses}))]).await;
    assert_eq!(without_firsts(&rig), ["npsSubmitted"]);
    let nps = rig.entries().pop().unwrap().properties()["nps"].clone();
    assert_eq!(nps, json!({"rating": 10, "reason": "Fine", "source": "web"}));
}

#[tokio::test]
async fn what_visitors_do_with_the_known_guide_is_kept() {
    let rig = Rig::new();
    let score = |id: &str| json!({"id": id, "responses": [answer("score", "NumberScale", json!(7))]});
    let at = |kind: &str, more: Value| on_known(kind, "polls", &more);
    let as_anonymous = |kind: &str, more: Value| {
        let mut item = at(kind, more);
        item["visitorId"] = json!("_PENDO_T_1");
        item
    };
    rig.items(&[at("pollResponse", score("1")), at("pollResponse", score("2"))]).await;
    rig.items(&[at("pollResponse", score("1"))]).await;
    rig.items(&[at("guideDismissed", json!({})), as_anonymous("guideFinished", json!({"id": "3"}))]).await;
    let of_nobody = |id: &str| {
        let mut item = at("guideDismissed", json!({}));
        item["visitorId"] = json!(id);
        item
    };
    rig.items(&[of_nobody("null"), of_nobody("")]).await;
    let month = 30 * 24 * 3_600_000;
    rig.items(&[at("guideSnoozed", json!({"snoozeMs": 1000})), at("guideSnoozed", json!({"snoozeMs": 2 * month}))])
        .await;
    let until = |ms: i64| format!("Snoozed {{ until: UnixMs({}) }}", NOW.0 + ms);
    let expected = [
        ("v", "polls", String::from("Answered")),
        ("v", "polls", String::from("Ended")),
        ("_PENDO_T_1", "polls", String::from("Ended")),
        ("v", "polls", until(1000)),
        ("v", "polls", until(month)),
    ];
    let found = rig.guides();
    let found: Vec<_> = found.iter().map(|(who, what, did)| (who.as_str(), what.as_str(), did.clone())).collect();
    assert_eq!(found, expected);
    assert_eq!(without_firsts(&rig), ["pollSubmitted", "items", "items"], "nothing else is told to receivers");

    let rig = Rig::new();
    let named = |id: &str| item("identify", &json!({"anonymousId": "_PENDO_T_1", "visitorId": id}));
    rig.items(&[named("ann"), named("null"), named("_PENDO_T_2")]).await;
    assert_eq!(rig.guides(), [("ann", "_PENDO_T_1", "Merged")].map(|(a, b, c)| (a.into(), b.into(), c.into())));
    let refused = rig.items(&[at("guideSnoozed", json!({})), on_step("guideDismissed", &json!({}))]).await.json();
    let reasons = ["snoozeMs is missing", "guideId names no guide that is known here"];
    assert_eq!([&refused["rejected"][0]["reason"], &refused["rejected"][1]["reason"]], reasons);
}
