use super::support::{ADMIN_SESSION, MEMBER, NOW, Node, OTHER};
use crate::api::cookie;
use crate::model::UnixMs;
use serde_json::{Value, json};

const GUIDES: &str = "/api/v1/guides";

fn survey() -> Value {
    json!({"name": "Survey", "steps": [
        {"polls": [
            {"type": "NumberScale", "question": "How easy was it?"},
            {"type": "PickList", "question": "Your role?", "choices": [{"text": "Engineer"}, {"id": "pm", "text": "Manager"}]},
        ]},
        {"id": "nps", "type": "", "polls": [
            {"type": "NPSRating", "question": "Would you recommend us?"}, {"type": "NPSReason", "question": "Why?"},
        ]},
    ]})
}

async fn make(node: &Node, body: Value) -> Value {
    node.call("POST", GUIDES, Some(body)).await.ok(201)
}

fn at(node: &Node, seconds: i64) -> i64 {
    node.clock.set(UnixMs(NOW.0 + seconds * 1000));
    NOW.0 + seconds * 1000
}

#[tokio::test]
async fn a_guides_life() {
    let node = Node::with_sessions();
    assert_eq!(node.get(GUIDES).await.ok(200), json!({"data": [], "next": null}));
    let made = make(&node, survey()).await;
    let id = made["id"].as_str().unwrap();
    assert_eq!((id.len(), &made["state"], &made["createdAt"]), (27, &json!("draft"), &json!(NOW.0)));
    let steps = made["steps"].as_array().unwrap();
    assert_eq!(
        (&steps[0]["type"], &steps[1]["type"], &steps[1]["id"]),
        (&json!("building-block"), &json!(""), &json!("nps"))
    );
    assert_eq!(steps[0]["polls"][1]["choices"][1], json!({"id": "pm", "text": "Manager"}));
    assert_eq!(steps[0]["polls"][0].get("choices"), None);
    let path = format!("{GUIDES}/{id}");

    // Published and edited by a person: receivers are told who.
    let csrf = cookie::csrf_token(ADMIN_SESSION);
    let browse =
        async |method: &str, path: &str, body| node.browse((ADMIN_SESSION, &csrf), method, path, body).await.ok(200);
    let published_at = at(&node, 10);
    let published = browse("POST", &format!("{path}/publish"), None).await;
    assert_eq!((&published["state"], &published["lastUpdatedAt"]), (&json!("published"), &json!(published_at)));
    assert!(published["lastUpdatedByUser"]["username"].as_str().unwrap().contains('@'), "{published}");
    let again = browse("POST", &format!("{path}/publish"), None).await;
    assert_eq!(again, published, "nothing changed, nobody changed it");

    let reset_at = at(&node, 20);
    let reset = node.call("POST", &format!("{path}/reset"), Some(json!({"steps": ["nps"]}))).await.ok(200);
    let resets =
        |guide: &Value| guide["steps"].as_array().unwrap().iter().map(|s| s["resetAt"].clone()).collect::<Vec<_>>();
    assert_eq!(resets(&reset), [json!(0), json!(reset_at)]);
    node.call("POST", &format!("{path}/reset"), Some(json!({"steps": ["x"]}))).await.problem(422, "wrong_field");

    // A step that stays as it is keeps its times; one that changes has new ones, but keeps when it was reset.
    let edited_at = at(&node, 30);
    let mut steps = reset["steps"].clone();
    for step in steps.as_array_mut().unwrap() {
        let step = step.as_object_mut().unwrap();
        step.remove("lastUpdatedAt");
        step.remove("resetAt");
    }
    steps[1]["polls"][0]["question"] = json!("And now?");
    let edited = node.call("PATCH", &path, Some(json!({"name": "New", "steps": steps}))).await.ok(200);
    assert_eq!((&edited["name"], resets(&edited)), (&json!("New"), resets(&reset)));
    assert_eq!(edited["steps"][0]["lastUpdatedAt"], NOW.0);
    assert_eq!(edited["steps"][1]["lastUpdatedAt"], edited_at);
    let all = at(&node, 40);
    assert_eq!(resets(&node.call("POST", &format!("{path}/reset"), None).await.ok(200)), [json!(all), json!(all)]);
    let archived = node.call("POST", &format!("{path}/archive"), None).await.ok(200);
    assert_eq!(archived["state"], "archived");

    let node = node.restart();
    assert_eq!(node.get(&path).await.ok(200), archived);
    let log = node.get("/api/v1/audit-log").await.ok(200);
    let actions: Vec<_> = log["data"].as_array().unwrap().iter().map(|row| row["action"].as_str().unwrap()).collect();
    let expected =
        ["guide.archived", "guide.reset", "guide.changed", "guide.reset", "guide.published", "guide.created"];
    assert_eq!(actions[..6], expected);
    node.call_as(OTHER, "GET", &path, None).await.problem(404, "not_found");
    node.call_as(MEMBER, "POST", &format!("{path}/publish"), None).await.problem(403, "forbidden");
}

#[tokio::test]
async fn guides_are_listed_in_pages_and_by_state() {
    let node = Node::new();
    for n in 0..5 {
        at(&node, n);
        let guide = make(&node, json!({"id": format!("g{n}"), "name": "G", "steps": [{}]})).await;
        if n % 2 == 0 {
            node.call("POST", &format!("{GUIDES}/{}/publish", guide["id"].as_str().unwrap()), None).await.ok(200);
        }
    }
    let ids = |page: &Value| page["data"].as_array().unwrap().iter().map(|g| g["id"].to_string()).collect::<String>();
    let first = node.get(&format!("{GUIDES}?limit=2")).await.ok(200);
    assert_eq!((ids(&first).as_str(), &first["next"]), ("\"g0\"\"g1\"", &json!("g2")));
    assert_eq!(ids(&node.get(&format!("{GUIDES}?limit=9&cursor=g2")).await.ok(200)), "\"g2\"\"g3\"\"g4\"");
    let published = node.get(&format!("{GUIDES}?state=published&limit=2")).await.ok(200);
    assert_eq!((ids(&published).as_str(), &published["next"]), ("\"g0\"\"g2\"", &json!("g4")));
    node.get(&format!("{GUIDES}?state=gone")).await.problem(400, "wrong_query");
    node.get(&format!("{GUIDES}?cursor=gone")).await.problem(400, "wrong_query");
}

#[tokio::test]
async fn what_cannot_be_a_guide_is_named() {
    let node = Node::new();
    make(&node, json!({"id": "taken", "name": "G", "steps": [{}]})).await;
    let poll = |poll: Value| json!({"name": "G", "steps": [{"polls": [poll]}]});
    let polls = |polls: Value| json!({"name": "G", "steps": [{"polls": polls}]});
    let rating = json!({"type": "NPSRating", "question": "q"});
    for (body, field, part) in [
        (json!({"steps": [{}]}), "name", "is required"),
        (json!({"name": "", "steps": [{}]}), "name", ""),
        (json!({"name": "G"}), "steps", "is required"),
        (json!({"name": "G", "steps": []}), "steps", "1 to 100 steps"),
        (json!({"name": "G", "steps": vec![json!({}); 101]}), "steps", "1 to 100 steps"),
        (json!({"name": "G", "steps": ["s"]}), "steps[0]", "must be an object"),
        (json!({"name": "G", "steps": [{"kind": ""}]}), "steps[0].kind", "is not a field"),
        (json!({"name": "G", "steps": [{"type": "modal"}]}), "steps", "step 1: type must be"),
        (json!({"name": "G", "steps": [{"id": "s"}, {"id": "s"}]}), "steps", "step 2: the id \"s\" is another step's"),
        (json!({"name": "G", "steps": [{"id": "x".repeat(1025)}]}), "steps", "at most 1024 bytes"),
        (json!({"id": "taken", "name": "G", "steps": [{}]}), "id", "another guide"),
        (poll(json!({"question": "q"})), "steps[0].polls[0].type", "is required"),
        (poll(json!({"type": "Quiz", "question": "q"})), "steps[0].polls[0].type", "one of NumberScale"),
        (poll(json!({"type": "FreeForm", "question": " "})), "steps", "question must have 1 to 4096 bytes"),
        (poll(json!({"type": "PickList", "question": "q"})), "steps", "a PickList has choices"),
        (
            poll(json!({"type": "FreeForm", "question": "q", "choices": [{"text": "t"}]})),
            "steps",
            "step 1: poll 1: a PickList has choices",
        ),
        (
            poll(
                json!({"type": "PickList", "question": "q", "choices": [{"id": "a", "text": "t"}, {"id": "a", "text": "u"}]}),
            ),
            "steps",
            "two choices have the id \"a\"",
        ),
        (poll(json!({"type": "PickList", "question": "q", "choices": [{}]})), "steps[0].polls[0].choices[0].text", ""),
        (polls(json!([rating, rating])), "steps", "poll 2: a step has one NPSRating at most"),
        (poll(json!({"type": "NPSReason", "question": "q"})), "steps", "an NPSReason needs an NPSRating"),
        (
            polls(
                json!([{"id": "p", "type": "FreeForm", "question": "q"}, {"id": "p", "type": "FreeForm", "question": "q"}]),
            ),
            "steps",
            "another poll's",
        ),
    ] {
        let answer = node.call("POST", GUIDES, Some(body.clone())).await;
        answer.problem(422, "wrong_field");
        let problem = answer.json();
        assert_eq!(problem["field"], field, "{body}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(part), "{body}: {problem}");
    }
    assert_eq!(node.get(GUIDES).await.ok(200)["data"].as_array().unwrap().len(), 1, "nothing is half-made");
}
