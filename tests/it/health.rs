//! Webhooks whose deliveries fail: warned of, turned off, and turned on again.

use crate::support::smtp::Smtp;
use crate::support::{Node, Receiver, Reply, Webhook, wait_until};
use serde_json::{Value, json};

/// Short times: a warning at the second failure, off at the fourth.
const SHORT: [&str; 6] = ["--turn-off-after-failures", "4", "--turn-off-after", "0s", "--retry-delays", "50ms"];

fn node(smtp: &Smtp, more: &[&str]) -> Node {
    let flags = smtp.flags("none");
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(SHORT).chain(more.iter().copied()).collect();
    let node = Node::with(&flags, &[]);
    let password = "correct horse battery";
    let admin =
        json!({"token": node.keys.setup_token(), "email": "ada@example.com", "name": "Ada", "password": password});
    node.call("POST", "/api/v1/set-up", &[], Some(admin)).expect(201);
    node
}

fn state(node: &Node, webhook: &Webhook) -> Value {
    node.get(&format!("/webhooks/{}", webhook.id))
}

fn wait_for_state(node: &Node, webhook: &Webhook, wanted: &str) -> Value {
    wait_until(&format!("the webhook is {wanted}"), || {
        let webhook = state(node, webhook);
        (webhook["state"] == wanted).then_some(webhook)
    })
}

/// Sends events one after the other until so many deliveries have ended in this state.
fn fail(node: &Node, webhook: &Webhook, count: usize) {
    for n in 0..count {
        node.track(&format!("event {n}"));
        let before = node.deliveries(webhook).len();
        wait_until("the delivery has ended", || {
            let rows = node.deliveries(webhook);
            (rows.len() >= before && rows.iter().all(|row| row["status"] != "retrying")).then_some(())
        });
    }
}

fn entries(node: &Node, action: &str) -> Vec<Value> {
    node.get(&format!("/audit-log?action={action}"))["data"].as_array().unwrap().clone()
}

fn texts(mails: &[Value]) -> Vec<String> {
    mails.iter().map(|mail| mail["headers"]["subject"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_failing_webhook_is_warned_of_once_turned_off_once_and_turned_on_by_review() {
    let smtp = Smtp::start();
    let mut node = node(&smtp, &[]);
    let bad = Receiver::always(Reply::Status(400));
    let good = Receiver::ok();
    let webhook = node.webhook(&bad.url(), json!({"name": "Orders"}));
    let healthy = node.webhook(&good.url(), json!({}));
    fail(&node, &webhook, 6);
    let off = wait_for_state(&node, &webhook, "turned_off");
    assert_eq!((&off["enabled"], &off["health"]["failures_in_a_row"]), (&json!(false), &json!(4)), "{off}");
    assert_eq!(node.metric("fanfare_dispatch_turned_off"), Some(1.0));
    let mails = smtp.wait(2);
    for (series, value) in [
        ("fanfare_health_warnings_total", 1.0),
        ("fanfare_health_turned_off_total{reason=\"failures_in_a_row\"}", 1.0),
        ("fanfare_health_turned_off_total{reason=\"failure_rate\"}", 0.0),
        ("fanfare_mail_queued_total", 2.0),
        ("fanfare_mail_sent_total", 2.0),
        ("fanfare_mail_waiting", 0.0),
    ] {
        wait_until(series, || (node.metric(series) == Some(value)).then_some(()));
    }
    assert_eq!(
        texts(&mails),
        ["Deliveries to \u{201c}Orders\u{201d} are failing", "\u{201c}Orders\u{201d} was turned off"]
    );
    for mail in &mails {
        assert_eq!(mail["to"], json!(["ada@example.com"]));
        let text = mail["text"].as_str().unwrap();
        assert!(text.contains("status 400") && text.contains(&format!("/webhooks/{}", webhook.id)), "{text}");
    }
    let turned = entries(&node, "webhook.turned_off");
    assert_eq!((turned.len(), &turned[0]["after"]["reason"]), (1, &json!("failures_in_a_row")));
    assert_eq!((entries(&node, "webhook.warned").len(), &turned[0]["after"]["mailed"]), (1, &json!(true)));
    assert_eq!(state(&node, &healthy)["state"], "on", "nobody else is concerned");

    // Neither a kill nor telling the records anew repeats any of it.
    node.restart();
    node.stop();
    assert!(node.command(&["store", "rebuild"]).status.success());
    node.serve();
    node.track("after the rebuild");
    good.wait_for("after the rebuild");
    assert_eq!((entries(&node, "webhook.turned_off").len(), smtp.wait(2).len()), (1, 2));

    // The way back.
    let path = format!("/webhooks/{}", webhook.id);
    node.api("PATCH", &path, Some(json!({"enabled": true}))).expect(409);
    node.api("POST", &format!("{path}/turn-on"), Some(json!({"reviewed_logs": false}))).expect(422);
    node.api("POST", &format!("/webhooks/{}/turn-on", healthy.id), Some(json!({"reviewed_logs": true}))).expect(409);
    bad.set(Reply::Status(200));
    let on = node.api("POST", &format!("{path}/turn-on"), Some(json!({"reviewed_logs": true}))).expect(200).json();
    assert_eq!(on["state"], "on");
    node.track("welcome back");
    bad.wait_for("welcome back");
    wait_until("it is healthy", || (state(&node, &webhook)["health"]["failures_in_a_row"] == 0).then_some(()));
    bad.set(Reply::Status(400));
    fail(&node, &webhook, 6);
    wait_for_state(&node, &webhook, "turned_off");
    assert_eq!(smtp.wait(4).len(), 4, "another incident, another warning and another mail");
}

/// The entries of one kind about a webhook in the error log, once there are any.
fn noted(node: &Node, webhook: &Webhook, kind: &str) -> Vec<Value> {
    let found = wait_until(kind, || {
        let found = node.list(&format!("/error-log?webhook={}&status={kind}&", webhook.id));
        (!found.is_empty()).then_some(found)
    });
    assert!(found.iter().all(|entry| entry["kind"] == kind && entry["webhook_id"] == json!(webhook.id)), "{found:?}");
    found
}

#[test]
fn what_was_done_about_a_failing_webhook_is_in_the_logs() {
    let smtp = Smtp::start();
    let mut node = node(&smtp, &[]);
    let long = "no such field. ".repeat(100);
    let bad = Receiver::always(Reply::Full(400, vec![], long.clone().into_bytes()));
    let webhook = node.webhook(&bad.url(), json!({"name": "Orders"}));
    let other = node.webhook(&Receiver::always(Reply::Status(400)).url(), json!({"categories": ["guides"]}));
    fail(&node, &webhook, 6);
    wait_for_state(&node, &webhook, "turned_off");

    let off = noted(&node, &webhook, "turned_off").remove(0);
    assert_eq!((&off["webhook_name"], &off["rule"]), (&json!("Orders"), &json!("failures_in_a_row")));
    assert_eq!((&off["failed"], &off["deliveries"]), (&json!(4), &json!(4)));
    assert!(off["reason"].as_str().unwrap().starts_with("4 deliveries in a row failed, the first at 2"), "{off}");
    assert_eq!((&off["mailed"], &off["mailed_to"]["email"]), (&json!("owner"), &json!("ada@example.com")));
    let answers = off["answers"].as_array().unwrap();
    assert_eq!(answers.len(), 3);
    for answer in answers {
        let delivery = node.get(&format!("/deliveries/{}", answer["delivery_id"].as_str().unwrap()));
        assert_eq!((&answer["status"], &answer["reason"]), (&json!(400), &delivery["reason"]));
        assert_eq!((&answer["at"], &answer["excerpt_cut"]), (&delivery["last_attempt_at"], &json!(true)));
        assert_eq!(answer["excerpt"], &long[..512]);
    }
    let text = off["text"].as_str().unwrap();
    for part in
        ["Turned off: webhook Orders", &webhook.id, "4 deliveries in a row", "Ada <ada@example.com>", "status 400"]
    {
        assert!(text.contains(part) && text.contains("no such field"), "{part} is missing in\n{text}");
    }

    // In the order of time among the failures, in pages of any size; and in the webhook's own log.
    let log = |query: &str| node.list(&format!("/error-log?webhook={}{query}&", webhook.id));
    let kinds: Vec<_> = log("").iter().map(|entry| entry["kind"].as_str().unwrap().to_owned()).collect();
    let at = |kind: &str| kinds.iter().position(|of| of == kind).unwrap();
    assert!(at("turned_off") < at("warned") && kinds.last().unwrap() == "delivery", "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| *kind != "delivery").count(), 2);
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = node.get(&format!("/error-log?webhook={}&limit=1{cursor}", webhook.id));
        paged.extend(page["data"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, log(""));
    assert!(log("&event=trackEventReceived").iter().all(|entry| entry["kind"] == "delivery"));
    assert!(log("&status=failed").iter().all(|entry| entry["kind"] == "delivery"));
    assert!(node.list(&format!("/error-log?webhook={}&", other.id)).is_empty());
    let download = |query: &str| {
        let path = format!("/webhooks/{}/log.json{query}", webhook.id);
        node.api("GET", &path, None).expect(200).json().as_array().unwrap().clone()
    };
    let all = download("");
    let notices: Vec<_> = all.iter().filter(|row| row["kind"] != "delivery").cloned().collect();
    assert_eq!(notices, [off.clone(), noted(&node, &webhook, "warned").remove(0)]);
    assert_eq!(all.last().unwrap()["kind"], "delivery");
    assert!(download("?status=failed").iter().all(|row| row["kind"] == "delivery"));
    assert!(download("?from=2999-01-01T00:00:00Z").is_empty());

    // It stays once and the same, whatever is told anew, and outlives the webhook.
    let before = log("");
    node.stop();
    assert!(node.command(&["store", "rebuild"]).status.success());
    node.serve();
    assert_eq!(node.list(&format!("/error-log?webhook={}&", webhook.id)), before);
    node.api("DELETE", &format!("/webhooks/{}", webhook.id), None).expect(204);
    let left = node.list("/error-log?status=turned_off&");
    assert_eq!((left.len(), &left[0]["webhook_name"], &left[0]["at"]), (1, &Value::Null, &off["at"]));
}

#[test]
fn a_success_between_keeps_it_on_and_many_failures_of_many_turn_it_off() {
    let smtp = Smtp::start();
    let node = node(&smtp, &["--turn-off-rate-deliveries", "10"]);
    let receiver = Receiver::by(|_, number| Reply::Status(if number % 4 == 3 { 200 } else { 400 }));
    let webhook = node.webhook(&receiver.url(), json!({"concurrency": 1}));
    fail(&node, &webhook, 9);
    assert_eq!(state(&node, &webhook)["state"], "on", "never four in a row, and not yet ten");
    fail(&node, &webhook, 2);
    wait_for_state(&node, &webhook, "turned_off");
    assert_eq!(entries(&node, "webhook.turned_off")[0]["after"]["reason"], "failure_rate");
}

#[test]
fn a_receiver_that_is_gone_is_turned_off_by_its_probes() {
    let delays = ["--retry-delays", "10ms,10ms,10ms,10ms,10ms,300s", "--probe-pause", "20ms"];
    let node = Node::with(&[&SHORT[..4], &delays].concat(), &[]);
    let gone = Receiver::ok().url();
    let webhook = node.webhook(&gone, json!({}));
    node.track("to nobody");
    let off = wait_for_state(&node, &webhook, "turned_off");
    assert!(off["last_error_at"].is_string());
    wait_until("the retry that waited is cancelled", || {
        (node.deliveries(&webhook)[0]["status"] == "cancelled").then_some(())
    });
    assert_eq!(entries(&node, "webhook.turned_off")[0]["after"]["mailed"], false, "there is no owner yet");
    let notice = &noted(&node, &webhook, "turned_off")[0];
    assert_eq!((&notice["mailed"], &notice["mailed_to"]), (&json!("no_owner"), &Value::Null));
    assert_eq!((&notice["answers"][0]["status"], &notice["answers"][0]["excerpt"]), (&Value::Null, &json!("")));
}

#[test]
fn an_owner_who_has_left_is_not_mailed() {
    let smtp = Smtp::start();
    let node = node(&smtp, &[]);
    let invited = json!({"email": "mia@example.com", "name": "Mia", "role": "admin"});
    let mia = node.api("POST", "/users", Some(invited)).expect(201).json();
    let mail = smtp.wait(1).remove(0);
    let token = mail["text"].as_str().unwrap().split_once("token=").unwrap().1.lines().next().unwrap().to_owned();
    let body = json!({"token": token, "password": "correct horse battery"});
    let accepted = node.call("POST", "/api/v1/invitation", &[], Some(body)).expect(201);
    let cookie = accepted.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let csrf = accepted.json()["csrf_token"].as_str().unwrap().to_owned();
    let bad = Receiver::always(Reply::Status(400));
    let body = json!({"name": "Mia's", "type": "url", "url": bad.url(), "categories": "all"});
    let as_mia = [("Cookie", cookie.as_str()), ("X-CSRF-Token", csrf.as_str())];
    let made = node.call("POST", "/api/v1/webhooks", &as_mia, Some(body)).expect(201).json();
    let webhook = Webhook { id: made["id"].as_str().unwrap().to_owned(), created: made };
    node.switch(&webhook, true);
    node.api("DELETE", &format!("/users/{}", mia["id"].as_str().unwrap()), None).expect(204);
    fail(&node, &webhook, 6);
    wait_for_state(&node, &webhook, "turned_off");
    assert_eq!(entries(&node, "webhook.turned_off")[0]["after"]["mailed"], false);
    assert!(node.log().contains("no owner to be mailed"));
    assert_eq!(smtp.wait(1).len(), 1, "the invitation, and nothing since");
    for kind in ["warned", "turned_off"] {
        let notices = noted(&node, &webhook, kind);
        assert_eq!((notices.len(), &notices[0]["mailed"]), (1, &json!("owner_has_left")), "{kind}");
        assert_eq!(notices[0]["mailed_to"], Value::Null);
        assert!(notices[0]["text"].as_str().unwrap().contains("nobody: the owner is no longer a member"));
    }
}

#[test]
fn the_error_log_says_enough_to_act_on() {
    let node = Node::with(&["--retry-delays", "300s"], &[]);
    let refusing = Receiver::always(Reply::Full(422, vec![("X-Why", "schema".into())], b"no such field".to_vec()));
    let busy = Receiver::always(Reply::Status(503));
    let first = node.webhook(&refusing.url(), json!({"name": "Refusing", "categories": ["track_events"]}));
    let second = node.webhook(&busy.url(), json!({"name": "Busy", "categories": ["track_events"]}));
    let good = Receiver::ok();
    node.webhook(&good.url(), json!({}));
    for n in 0..30 {
        node.track(&format!("event {n}"));
    }
    let log = |query: &str| node.list(&format!("/error-log?{query}&"));
    wait_until("all failures are in the log", || (log("").len() == 60).then_some(()));
    let entry = &log("status=422")[0];
    assert_eq!(
        (&entry["webhook_name"], &entry["attempt"], &entry["status"]),
        (&json!("Refusing"), &json!(1), &json!(422))
    );
    assert_eq!((&entry["reason"], &entry["response"]["body"]), (&json!("refused"), &json!("no such field")));
    assert!(
        entry["request_headers"].as_array().unwrap().len() > 3 && entry["timings"]["total_ms"].is_number(),
        "{entry}"
    );
    assert_eq!((&entry["next_attempt_at"], &entry["event"]), (&Value::Null, &json!("trackEventReceived")));
    let detail = node.get(&format!("/deliveries/{}", entry["delivery_id"].as_str().unwrap()));
    assert_eq!(detail["event_id"], entry["event_id"]);
    assert!(
        log("status=retrying")
            .iter()
            .all(|entry| entry["webhook_name"] == "Busy" && entry["next_attempt_at"].is_string())
    );
    assert_eq!((log("status=retrying").len(), log("status=failed").len()), (30, 30));
    assert_eq!(
        (log(&format!("webhook={}", first.id)).len(), log(&format!("webhook={}&status=503", second.id)).len()),
        (30, 30)
    );
    assert!(log("event=guideDisplayed").is_empty());
    // Pages are stable while more is written.
    let page = node.get("/error-log?limit=10");
    node.track("one more");
    wait_until("it is in the log", || (log("").len() == 62).then_some(()));
    let next = node.get(&format!("/error-log?limit=500&cursor={}", page["next"].as_str().unwrap()));
    assert_eq!(next["data"].as_array().unwrap().len(), 50);
    // The download goes on through its pages, and is narrowed as the list is.
    for query in ["", "?status=retrying", "?event=guideDisplayed"] {
        let file = node.get(&format!("/error-log.json{query}"));
        assert_eq!(file, Value::from(log(query.trim_start_matches('?'))), "{query}");
    }
}

#[test]
fn a_webhooks_log_is_downloaded_whole_and_a_delivery_is_copied_as_text() {
    let node = Node::with(&["--retry-delays", "20ms"], &[]);
    // Every other one is delivered, after a retry; what is refused says why.
    let receiver = Receiver::by(|request, number| {
        if request.name().ends_with('1') {
            Reply::Full(422, vec![("X-Why", "schema".into())], b"no such field".to_vec())
        } else {
            Reply::Status(if number.is_multiple_of(3) { 503 } else { 200 })
        }
    });
    let webhook = node.webhook(&receiver.url(), json!({}));
    for n in 0..120 {
        node.track(&format!("event {n}"));
    }
    wait_until("all have ended", || {
        let rows = node.deliveries(&webhook);
        (rows.len() == 120 && rows.iter().all(|row| row["status"] != "retrying")).then_some(())
    });
    let log = |query: &str| {
        let answer = node.api("GET", &format!("/webhooks/{}/log.json{query}", webhook.id), None).expect(200);
        assert!(answer.header("content-disposition").unwrap().contains("-log.json"));
        answer.json().as_array().unwrap().clone()
    };
    let all = log("");
    assert_eq!(all.len(), 120);
    for (row, listed) in all.iter().zip(node.deliveries(&webhook)) {
        let mut detail = node.get(&format!("/deliveries/{}", listed["id"].as_str().unwrap()));
        detail["kind"] = json!("delivery");
        assert_eq!(*row, detail);
    }
    let failed = log("?status=failed");
    assert!(failed.len() >= 12 && failed.iter().all(|row| row["status"] == "failed"));
    assert!(log("?event=guideDisplayed").is_empty() && log("?from=2999-01-01T00:00:00Z").is_empty());
    node.api("GET", &format!("/webhooks/{}/log.json?status=lost", webhook.id), None).expect(400);

    let refused = failed.iter().find(|row| row["reason"] == "refused").unwrap();
    let path = format!("/deliveries/{}/text", refused["id"].as_str().unwrap());
    let answer = node.api("GET", &path, None).expect(200);
    let text = String::from_utf8(answer.body).unwrap();
    for part in [
        refused["id"].as_str().unwrap(),
        refused["unique_id"].as_str().unwrap(),
        refused["request_body"].as_str().unwrap(),
        "Status: failed, attempts: 1",
        "status 422, refused",
        "X-Why: schema",
        "no such field",
        "ms",
    ] {
        assert!(text.to_lowercase().contains(&part.to_lowercase()), "{part} is missing in\n{text}");
    }
}
