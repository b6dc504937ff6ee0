//! Guides of the installation: what receivers are told comes from them.

use crate::support::{Node, Receiver, events};
use serde_json::{Value, json};

/// An agent's item about a step of a guide that it does not describe.
fn about(kind: &str, guide: &Value, step: usize, fields: Value) -> Value {
    let mut item = json!({"type": kind, "visitorId": "ann", "accountId": "acme", "browserTime": events::now_ms(),
        "guideId": guide["id"], "guideStepId": guide["steps"][step]["id"], "language": "en-US"});
    item.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    item
}

#[test]
fn a_survey_made_over_the_api_reaches_the_receiver_with_its_own_words() {
    let mut node = Node::start();
    let receiver = Receiver::ok();
    node.webhook(&receiver.url(), json!({"categories": ["guides", "polls", "nps"]}));
    let guide = json!({"name": "Survey", "steps": [
        {"polls": [
            {"type": "NumberScale", "question": "How easy?"},
            {"type": "PickList", "question": "Your role?", "choices": [{"text": "Engineer"}, {"text": "Product Manager"}]},
        ]},
        {"polls": [{"type": "NPSRating", "question": "Recommend?"}, {"type": "NPSReason", "question": "Why?"}]},
    ]});
    let guide = node.api("POST", "/guides", Some(guide)).expect(201).json();
    let path = format!("/guides/{}", guide["id"].as_str().unwrap());
    node.api("POST", &format!("{path}/publish"), None).expect(200);
    let polls = &guide["steps"][0]["polls"];
    let answers = [
        json!({"pollId": polls[1]["id"], "pollType": "PickList", "response": polls[1]["choices"][1]["id"], "duration": 4}),
        json!({"pollId": polls[0]["id"], "pollType": "NumberScale", "response": 5, "duration": 3}),
    ];
    node.restart();
    node.events(&[
        about("guideSeen", &guide, 0, json!({})),
        about("pollResponse", &guide, 0, json!({"responses": [answers[0]]})),
        about("pollResponse", &guide, 0, json!({"responses": [answers[1]]})),
        about("guideSeen", &guide, 1, json!({})),
        about("npsResponse", &guide, 1, json!({"rating": 9, "reason": "Good"})),
    ]);
    let requests = receiver.wait(6);
    let mut names: Vec<String> = requests.iter().map(|request| request.event()).collect();
    names.sort();
    let expected =
        ["guideDisplayed", "guideDisplayed", "npsDisplayed", "npsSubmitted", "pollDisplayed", "pollSubmitted"];
    assert_eq!(names, expected);
    let submitted = requests.iter().find(|request| request.event() == "pollSubmitted").unwrap().json();
    let responses = submitted["properties"]["pollResponses"].as_array().unwrap();
    let shown: Vec<_> = responses.iter().map(|r| (&r["pollType"], &r["response"])).collect();
    assert_eq!(shown, [(&json!("NumberScale"), &json!(5)), (&json!("PickList"), &json!("Product Manager"))]);
    // What receivers get is the guide as the API shows it, without what is not theirs.
    let mut current = node.get(&path);
    let told = &submitted["properties"]["guideProperties"];
    for step in current["steps"].as_array_mut().unwrap() {
        for field in ["polls", "text", "element"] {
            step.as_object_mut().unwrap().remove(field).unwrap();
        }
    }
    for field in ["state", "layout", "audience", "pages", "everyDays", "startsAt", "endsAt"] {
        current.as_object_mut().unwrap().remove(field).unwrap();
    }
    assert_eq!(*told, current);

    // Archived: late answers still arrive. A new name holds for what comes after it.
    node.api("POST", &format!("{path}/archive"), None).expect(200);
    node.api("PATCH", &path, Some(json!({"name": "Old survey"}))).expect(200);
    node.events(&[about("guideSeen", &guide, 0, json!({}))]);
    let last = receiver.wait(8).pop().unwrap().json();
    assert_eq!(last["properties"]["guideProperties"]["name"], "Old survey");
}
