//! Guides as a browser asks for them: to whom and when they are shown, and what visitors have done with them.

use crate::support::http::Answer;
use crate::support::{Node, events, wait_until};
use serde_json::{Value, json};

fn ask(node: &Node, body: &Value) -> Answer {
    let target = format!("/data/guides?key={}", node.keys.agent_key);
    node.call("POST", &target, &[], Some(body.clone()))
}

/// Guide by guide, the steps that this visitor is shown.
fn shown(node: &Node, visitor: &str) -> Vec<(String, Vec<String>)> {
    let answer = ask(node, &json!({"visitorId": visitor, "agentVersion": "2.33.0"})).expect(200).json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let steps = |guide: &Value| guide["steps"].as_array().unwrap().iter().map(|step| text(&step["id"])).collect();
    answer["guides"].as_array().unwrap().iter().map(|guide| (text(&guide["id"]), steps(guide))).collect()
}

fn guide(guide: &str, steps: &[&str]) -> (String, Vec<String>) {
    (guide.to_owned(), steps.iter().map(|step| (*step).to_owned()).collect())
}

/// Makes a guide of two steps, with these fields besides, and publishes it.
fn publish(node: &Node, id: &str, more: Value) {
    let mut body = json!({"id": id, "name": id, "steps": [
        {"id": "one", "text": "# Hello", "polls": [{"id": "p", "type": "NumberScale", "question": "How was it?"}]},
        {"id": "two", "polls": [{"id": "r", "type": "NPSRating", "question": "Would you?"}]}]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    node.api("POST", "/guides", Some(body)).expect(201);
    assert!(shown(node, "nobody").iter().all(|(shown, _)| shown != id), "a draft is not shown");
    node.api("POST", &format!("/guides/{id}/publish"), None).expect(200);
}

fn item(kind: &str, visitor: &str, guide: &str, step: &str, more: Value) -> Value {
    let mut item = json!({"type": kind, "visitorId": visitor, "guideId": guide, "guideStepId": step});
    for (name, value) in more.as_object().unwrap() {
        item[name] = value.clone();
    }
    item
}

fn answer(visitor: &str) -> Value {
    item("pollResponse", visitor, "survey", "one", json!({"responses": [{"pollId": "p", "response": 4}]}))
}

#[test]
fn what_a_visitor_has_done_decides_also_after_a_crash() {
    let mut node = Node::start();
    publish(&node, "survey", json!({}));
    let both = [guide("survey", &["one", "two"])];
    assert_eq!(shown(&node, "ann"), both);

    // Each is known at once, although the store hears of it later.
    node.events(&[answer("ann")]);
    assert_eq!(shown(&node, "ann"), [guide("survey", &["two"])]);
    node.events(&[item("npsResponse", "ann", "survey", "two", json!({"rating": 9, "reason": ""}))]);
    assert_eq!(shown(&node, "ann"), []);
    node.events(&[item("guideDismissed", "bob", "survey", "one", json!({}))]);
    assert_eq!(shown(&node, "bob"), []);
    node.events(&[item("guideSnoozed", "eve", "survey", "one", json!({"snoozeMs": 3_600_000}))]);
    assert_eq!(shown(&node, "eve"), []);
    assert_eq!(shown(&node, "dan"), both);
    node.kill();
    node.restart();
    for visitor in ["ann", "bob", "eve"] {
        assert_eq!(shown(&node, visitor), [], "{visitor}");
    }

    let reset = node.api("POST", "/guides/survey/reset", Some(json!({"steps": ["two"]}))).expect(200).json();
    assert!(reset["steps"][1]["resetAt"].as_i64().unwrap() > 0);
    assert_eq!(shown(&node, "ann"), [guide("survey", &["two"])]);
    assert_eq!(shown(&node, "bob"), [guide("survey", &["two"])]);
    node.api("POST", "/guides/survey/archive", None).expect(200);
    assert_eq!(shown(&node, "dan"), []);
}

#[test]
fn what_an_anonymous_visitor_did_is_theirs_once_they_have_a_name() {
    let node = Node::start();
    publish(&node, "survey", json!({}));
    let anonymous = "_PENDO_T_abcdefghijk";
    node.events(&[
        events::track(anonymous, "Looked around", json!({})),
        item("guideFinished", anonymous, "survey", "two", json!({})),
    ]);
    assert_eq!(shown(&node, anonymous), []);
    assert_eq!(shown(&node, "ann"), [guide("survey", &["one", "two"])]);
    let mut identify = events::identify("ann", "acme");
    identify["anonymousId"] = json!(anonymous);
    node.events(&[identify.clone()]);
    assert_eq!(shown(&node, "ann"), []);
    assert_eq!(node.get("/visitors/ann")["anonymous_ids"], json!([anonymous]));

    // Who forgets them forgets what they did before they had a name.
    assert_eq!(node.list(&format!("/events?visitor={anonymous}&")).len(), 1);
    let job = node.api("POST", "/visitors/ann/forget", None).expect(202).json();
    wait_until("the job is done", || {
        (node.get(&format!("/forget-jobs/{}", job["id"].as_str().unwrap()))["state"] == "done").then_some(())
    });
    assert!(node.list(&format!("/events?visitor={anonymous}&")).is_empty());
    assert_eq!(node.holding(anonymous), Vec::<String>::new());
    assert_eq!(shown(&node, "ann"), [guide("survey", &["one", "two"])]);

    identify["anonymousId"] = json!("bob");
    let refused = node.try_events(events::batch(&[identify])).expect(200).json();
    assert_eq!(refused["rejected"][0]["reason"], "anonymousId must be an anonymous visitor's id (_PENDO_T_…)");
}

#[test]
fn an_audience_knows_what_is_on_record_and_what_the_page_says() {
    let node = Node::start();
    let rule = "visitor.crm.plan == 'pro' && visitor.agent.role == 'admin' && account.id.startsWith('acme')";
    publish(&node, "survey", json!({"audience": rule, "layout": "banner", "pages": ["/settings/*"]}));
    let rows = json!([{"visitorId": "ann", "values": {"plan": "pro"}}]);
    node.api("POST", "/metadata/visitor/crm/value?create=true", Some(rows)).expect(200);
    let asked = |visitor: &str, role: &str, account: &str| {
        let body = json!({"visitorId": visitor, "accountId": account, "visitor": {"role": role}, "account": {}});
        ask(&node, &body).expect(200).json()
    };
    let first = wait_until("the metadata is on record", || {
        Some(asked("ann", "admin", "acme-east")).filter(|answer| answer["guides"] != json!([]))
    });
    assert_eq!(
        first,
        json!({"doNotTrack": false, "guides": [{"id": "survey", "name": "survey", "layout": "banner",
            "pages": ["/settings/*"], "steps": [
                {"id": "one", "text": "# Hello", "element": null,
                 "polls": [{"id": "p", "type": "NumberScale", "question": "How was it?"}]},
                {"id": "two", "text": "", "element": null,
                 "polls": [{"id": "r", "type": "NPSRating", "question": "Would you?"}]}]}]})
    );
    for (visitor, role, account) in [("ann", "user", "acme"), ("ann", "admin", "other"), ("bob", "admin", "acme")] {
        assert_eq!(asked(visitor, role, account)["guides"], json!([]), "{visitor} {role} {account}");
    }
    // What identify has said is on record, for pages that say nothing.
    let mut identify = events::identify("ann", "acme");
    identify["visitor"] = json!({"role": "admin"});
    node.events(&[identify]);
    let silent = || ask(&node, &json!({"visitorId": "ann", "accountId": "acme"})).expect(200).json();
    wait_until("it is on record", || (silent()["guides"] != json!([])).then_some(()));

    for (field, value, problem) in [
        ("audience", json!("visitor.role == 'x'"), "line 1, column 14"),
        ("pages", json!(["settings"]), "/settings/*"),
        ("everyDays", json!(0), "from 1 to 365"),
        ("layout", json!("popup"), "one of modal, banner, tooltip"),
        ("startsAt", json!("soon"), "Unix milliseconds"),
    ] {
        let refused = node.api("PATCH", "/guides/survey", Some(json!({field: value})));
        let detail = refused.expect(422).json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(field) && detail.contains(problem), "{detail}");
    }
    node.api("PATCH", "/guides/survey", Some(json!({"audience": null, "endsAt": 1}))).expect(200);
    assert_eq!(asked("bob", "", "")["guides"], json!([]), "its time is over");
}

#[test]
fn who_must_not_be_told_or_asked_is_not() {
    let node = Node::start();
    publish(&node, "survey", json!({}));
    let body = json!({"visitorId": "ann"});
    node.call("POST", "/data/guides?key=wrong", &[], Some(body.clone())).expect(401);
    let target = format!("/data/guides?key={}", node.keys.agent_key);
    node.call("POST", &target, &[("Origin", "https://elsewhere.example")], Some(body.clone())).expect(403);
    node.call("GET", &target, &[], None).expect(405);
    node.raw("POST", &target, &[], b"no").expect(400);
    let missing = ask(&node, &json!({})).expect(400).json();
    assert!(missing["detail"].as_str().unwrap().contains("visitorId is missing"), "{missing}");
    assert_eq!(ask(&node, &body).expect(200).header("cache-control"), Some("no-store"));
    let app = format!("/apps/{}", node.list("/apps")[0]["id"]);
    node.api("PATCH", &app, Some(json!({"respect_do_not_track": true}))).expect(200);
    let quiet = node.call("POST", &target, &[("DNT", "1")], Some(body)).expect(200).json();
    assert_eq!(quiet, json!({"doNotTrack": true, "guides": []}));
    node.api("POST", "/do-not-process", Some(json!({"kind": "visitor", "id": "ann"}))).expect(201);
    assert_eq!(shown(&node, "ann"), []);
    let answer = node.try_events(events::batch(&[item("guideDismissed", "bob", "gone", "one", json!({}))]));
    assert_eq!(answer.expect(200).json()["rejected"][0]["reason"], "guideId names no guide that is known here");
}
