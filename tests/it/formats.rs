//! What bodies are turned into, and further headers (docs/formats.md).

use crate::support::smtp::python;
use crate::support::{Node, Receiver, Reply, events, node::SHORT_RETRIES, sign, wait_until};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

const EVENTS: [&str; 9] = [
    "guideDisplayed",
    "pollDisplayed",
    "pollSubmitted",
    "npsDisplayed",
    "npsSubmitted",
    "visitorCreated",
    "accountCreated",
    "trackEventReceived",
    "auditRecorded",
];

/// What would do harm if it were anything but text, and is longer than any of the services takes.
fn hostile() -> String {
    "<!channel> <@U1> @everyone &amp; [x](https://evil.example) **b** `c` \n\"\\\u{1f600}".repeat(60)
}

/// Fails unless each of these messages is what the service takes.
fn assert_valid(service: &str, messages: &[String]) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support");
    let mut command = Command::new(python());
    command.arg(format!("{folder}/validate.py")).arg(format!("{folder}/schemas/{service}.json"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3 starts");
    child.stdin.take().unwrap().write_all((messages.join("\n") + "\n").as_bytes()).unwrap();
    let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(
        said.trim(),
        format!("{} looked at", messages.len()),
        "{service} (`make test` installs what this needs)"
    );
}

/// UTF-16 units of all strings.
fn texts(value: &Value) -> usize {
    match value {
        Value::String(text) => text.encode_utf16().count(),
        Value::Array(all) => all.iter().map(texts).sum(),
        Value::Object(fields) => fields.values().map(texts).sum(),
        _ => 0,
    }
}

/// What a format makes of something: `of` says of what.
fn made(node: &Node, format: &Value, of: Value) -> Value {
    let mut body = of;
    body["format"] = format.clone();
    node.api("POST", "/webhooks/try-format", Some(body)).expect(200).json()
}

#[test]
fn the_presets_messages_are_what_the_services_take() {
    let (node, receiver) = (Node::start(), Receiver::ok());
    let hostile = hostile();
    let id: &str = &hostile.chars().take(200).collect::<String>();
    node.events(&[
        events::nps_response(id, json!({"rating": 10, "reason": hostile, "source": "web"})),
        events::poll_response(id, json!([{"pollId": "p", "pollType": "FreeForm", "response": hostile, "duration": 1}])),
        events::identify(id, id),
    ]);
    node.try_track(events::server_track(id, id, json!({"a": hostile, "b": {"c": [1, null]}}))).expect(200);
    for service in ["slack", "teams", "discord"] {
        let format = json!({"preset": service});
        let tested = |query: &str| {
            let body = json!({"url": receiver.url(), "format": format, "secret": "s"});
            let tested = node.api("POST", &format!("/webhooks/test{query}"), Some(body)).expect(200).json();
            tested["request"]["body"].as_str().unwrap().to_owned()
        };
        let mut messages = vec![tested("")];
        messages.extend(EVENTS.map(|event| tested(&format!("?event={event}"))));
        let sent = receiver.requests();
        for (request, message) in sent[sent.len() - messages.len()..].iter().zip(&messages) {
            assert_eq!(request.body, message.as_bytes(), "the test shows what it sent");
            sign::assert_pendo(request, "s");
        }
        let rows = node.list("/events");
        assert!(rows.len() >= 5, "{rows:?}");
        messages.extend(rows.iter().map(|row| {
            let made = made(&node, &format, json!({"event_id": row["id"]}));
            made["body"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
        }));
        assert_valid(service, &messages);
        if service == "discord" {
            for message in &messages {
                let embed = &serde_json::from_str::<Value>(message).unwrap()["embeds"][0];
                assert!(texts(embed) <= 6000, "all texts of an embed together: {message}");
            }
        }
    }
}

/// The judge finds what is wrong.
#[test]
#[should_panic(expected = "message 1")]
fn a_message_that_a_service_would_refuse_is_found() {
    assert_valid(
        "discord",
        &[json!({"embeds": [{"title": "x".repeat(257)}], "allowed_mentions": {"parse": []}}).to_string()],
    );
}

const TEMPLATE: &str =
    r#"{"uniqueId":"{{ uniqueId }}","event":"{{ event }}","who":"{{ visitorId }}","all":{{ properties | tojson }}}"#;

#[test]
fn a_templates_body_is_sent_signed_and_logged() {
    let mut node = Node::with(&SHORT_RETRIES, &[]);
    let receiver = Receiver::sequence(vec![Reply::Status(200), Reply::Status(503), Reply::Status(200)]);
    let format = json!({"template": TEMPLATE, "content_type": "application/vnd.acme+json"});
    let settings =
        json!({"secret": "s", "format": format, "headers": {"X-Api-Key": "k-e-y", "authorization": "Bearer t"}});
    let webhook = node.webhook(&receiver.url(), settings);
    assert_eq!(webhook.created["format"], format);
    assert_eq!(webhook.created["headers"], json!({"X-Api-Key": true, "authorization": true}));
    node.try_track(events::server_track("a\"n\\n", "one", json!({"x": [1, {"y": "z"}]}))).expect(200);
    let request = receiver.wait(1)[0].clone();
    sign::assert_pendo(&request, "s");
    sign::assert_standard(&request, webhook.signing_key());
    assert_eq!(request.header("content-type"), Some("application/vnd.acme+json"));
    assert!(request.headers.contains(&(String::from("X-Api-Key"), String::from("k-e-y"))), "{:?}", request.headers);
    assert_eq!(request.header("authorization"), Some("Bearer t"));
    let sent = request.json();
    assert_eq!((&sent["who"], &sent["event"]), (&json!("a\"n\\n"), &json!("trackEventReceived")));
    assert_eq!(sent["all"]["eventProperties"], json!({"x": [1, {"y": "z"}]}));

    let delivered = node.settled(&webhook, "delivered");
    let attempt = &delivered["attempts"][0];
    assert_eq!(attempt["request_body"].as_str().map(str::as_bytes), Some(&*request.body));
    let value = |name: &str| {
        let headers = attempt["request_headers"].as_array().unwrap();
        headers.iter().find(|header| header["name"] == name).unwrap_or_else(|| panic!("no {name}"))["value"].clone()
    };
    assert_eq!((value("X-Api-Key"), value("Authorization")), (json!("***"), json!("Bearer ***")));

    // A retry, and what is recorded of it, is the same; values that are kept by true still go out.
    node.patch(&webhook, json!({"headers": {"x-api-key": true}}));
    node.track("two");
    let requests = receiver.wait(3);
    assert_eq!(requests[1].body, requests[2].body);
    assert_eq!((requests[2].header("x-api-key"), requests[2].header("authorization")), (Some("k-e-y"), None));
    let rows = wait_until("both are delivered", || {
        let rows = node.deliveries(&webhook);
        rows.iter().all(|row| row["status"] == "delivered").then_some(rows).filter(|rows| rows.len() == 2)
    });
    node.restart();
    for row in rows {
        let shown = node.get(&format!("/deliveries/{}", row["id"].as_str().unwrap()));
        for attempt in shown["attempts"].as_array().unwrap() {
            let body = attempt["request_body"].as_str().unwrap();
            assert!(requests.iter().any(|request| request.body == body.as_bytes()), "{body}");
        }
    }
    // Without a format the attempts have nothing of their own to show.
    node.patch(&webhook, json!({"format": null}));
    node.track("three");
    receiver.wait(4);
    let plain = wait_until("the third is delivered", || {
        (node.deliveries(&webhook).len() == 3).then(|| node.deliveries(&webhook).remove(0))
    });
    let plain = node.get(&format!("/deliveries/{}", plain["id"].as_str().unwrap()));
    assert_eq!(plain["attempts"][0]["request_body"], Value::Null);
}

#[test]
fn a_long_body_is_kept_in_part() {
    let (node, receiver) = (Node::start(), Receiver::ok());
    let webhook = node.webhook(&receiver.url(), json!({"format": {"template": TEMPLATE}}));
    node.try_track(events::server_track("ann", "long", json!({"p": "é".repeat(20_000)}))).expect(200);
    let delivered = node.settled(&webhook, "delivered");
    let attempt = &delivered["attempts"][0];
    assert_eq!((&attempt["request_body_cut"], &attempt["request_body_encoding"]), (&json!(true), &Value::Null));
    let kept = attempt["request_body"].as_str().unwrap();
    assert!((16 * 1024 - 1..=16 * 1024).contains(&kept.len()), "{}", kept.len());
    assert!(receiver.requests()[0].body.starts_with(kept.as_bytes()));
}

#[test]
fn an_event_that_a_template_does_not_fit_fails_and_says_where() {
    let (node, receiver) = (Node::start(), Receiver::ok());
    let template = "{\"rating\":\n  {{ properties.nps.rating }}}";
    let webhook = node.webhook(&receiver.url(), json!({"format": {"template": template}}));
    node.track("one");
    let failed = node.settled(&webhook, "failed");
    let attempt = &failed["attempts"][0];
    assert_eq!((&failed["attempt_count"], &attempt["reason"]), (&json!(1), &json!("cannot_send")));
    let detail = attempt["detail"].as_str().unwrap();
    assert!(detail.starts_with("line 2: ") && detail.contains("nps"), "{detail}");
    assert_eq!(node.list("/error-log")[0]["detail"], detail);
    node.events(&[events::nps_response("ann", json!({"rating": 7, "reason": "", "source": "web"}))]);
    let rating = receiver.wait(1)[0].json();
    assert_eq!((rating, receiver.requests().len()), (json!({"rating": 7}), 1));
}

#[test]
fn what_cannot_be_a_format_or_a_header_is_refused_when_it_is_saved() {
    let node = Node::start();
    let long = "x".repeat(32 * 1024 + 1);
    for (settings, field, words) in [
        (json!({"format": {"template": "{\n\n\"a\": {{ event }"}}), "format.template", "line 3"),
        (json!({"format": {"template": "{{ visitorID }}"}}), "format.template", "visitorID"),
        (json!({"format": {"template": "{{ event | nosuch }}{% include 'x' %}"}}), "format.template", "line 1"),
        (json!({"format": {"template": long}}), "format.template", "32768"),
        (json!({"format": {"template": "x", "content_type": "text"}}), "format.content_type", "media type"),
        (json!({"format": {"template": "x", "content_type": "a/b\r\nX: y"}}), "format.content_type", "media type"),
        (json!({"format": {"preset": "irc"}}), "format.preset", "slack, teams, discord"),
        (json!({"format": {"preset": "slack", "template": "x"}}), "format.template", "alone"),
        (json!({"format": "slack"}), "format", "object"),
        (json!({"headers": {"webhook-id": "x"}}), "headers", "set by Fanfare"),
        (json!({"headers": {"X-Pendo-Signature": "x"}}), "headers", "set by Fanfare"),
        (json!({"headers": {"Transfer-Encoding": "chunked"}}), "headers", "set by Fanfare"),
        (json!({"headers": {"X-A": "b\r\nX-C: d"}}), "headers", "printable"),
        (json!({"headers": {"X-A": true}}), "headers", "no value yet"),
        (json!({"headers": {"X-A": 1}}), "headers.X-A", "a string"),
        (json!({"headers": {"not a name": "x"}}), "headers", "name"),
    ] {
        let mut body = json!({"name": "n", "type": "url", "url": "http://127.0.0.1:1/"});
        body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let problem = node.api("POST", "/webhooks", Some(body)).expect(422).json();
        assert_eq!(problem["field"], field, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
    }
}

#[test]
fn a_format_can_be_tried_before_it_is_saved() {
    let node = Node::start();
    node.try_track(events::server_track("ann", "one", json!({"n": 7}))).expect(200);
    let id = node.taken_in()[0]["id"].clone();
    let plain = made(&node, &Value::Null, json!({"event_id": id}));
    let event = node.get(&format!("/events/{}", id.as_str().unwrap()));
    assert_eq!((&plain["body"], &plain["content_type"]), (&event["body"], &json!("application/json")));

    let text = |template: &str| json!({"template": template, "content_type": "text/plain; charset=utf-8"});
    let tried = made(&node, &text("{{ title }} n={{ properties.eventProperties.n }}"), json!({"event_id": id}));
    let expected =
        json!({"body": "one: ann n=7", "content_type": "text/plain; charset=utf-8", "error": null, "line": null});
    assert_eq!(tried, expected);
    for event in EVENTS.into_iter().chain(["ping"]) {
        assert_eq!(made(&node, &text("{{ event }}"), json!({"event": event}))["body"], event);
    }
    assert_eq!(made(&node, &text("{{ event }}"), json!({}))["body"], "ping");
    for (template, line, words) in [("a\n{{ properties.nps }}", 2, "nps"), ("a\n\n{{ event", 3, "syntax error")] {
        let tried = made(&node, &text(template), json!({}));
        assert_eq!((&tried["body"], &tried["line"]), (&Value::Null, &json!(line)), "{tried}");
        assert!(tried["error"].as_str().unwrap().contains(words), "{tried}");
    }
    let refused = |body: Value, status| node.api("POST", "/webhooks/try-format", Some(body)).expect(status).json();
    assert_eq!(refused(json!({"event": "weather"}), 422)["field"], "event");
    assert_eq!(refused(json!({"event": "ping", "event_id": id}), 422)["field"], "event_id");
    assert_eq!(refused(json!({"format": {"template": "x", "content_type": ""}}), 422)["field"], "format.content_type");
    refused(json!({"event_id": "evt_ffffff"}), 404);
}
