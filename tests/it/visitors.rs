//! Visitors and accounts: seen once, read with what is known of them, and given metadata through the API.

use crate::support::{Node, Receiver, events, http, wait_until};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const CLIENTS: usize = 64;
const VISITORS: usize = 1000;
const BATCH: usize = 50;

fn set(node: &Node, path: &str, rows: Value) -> Value {
    node.api("POST", &format!("/metadata{path}"), Some(rows)).expect(200).json()
}

/// Every client identifies every visitor, each beginning somewhere else; in batches, and until each is acknowledged.
fn identify_all(node_addr: std::net::SocketAddr, agent_key: &str, client: usize, done: &AtomicBool) {
    let headers = [("x-fanfare-agent-key", agent_key), ("Content-Type", "application/json")];
    for batch in 0..VISITORS / BATCH {
        let first = (batch * BATCH + client * 97) % VISITORS;
        let item = |n: usize| {
            let visitor = format!("visitor {}", (first + n) % VISITORS);
            match n % 3 {
                0 => events::identify(&visitor, "acme"),
                1 => events::track(&visitor, "Clicked", json!({})),
                _ => events::guide_seen(&visitor, &[]),
            }
        };
        let body = events::batch(&(0..BATCH).map(item).collect::<Vec<_>>()).to_string();
        // No answer is what a kill looks like from here; 503 is what a start looks like.
        while !http::call(node_addr, "POST", "/data/events", &headers, body.as_bytes()).is_ok_and(|a| a.status == 200) {
            assert!(!done.load(Ordering::SeqCst), "the test has given up");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn who_is_known_is_listed_by_the_beginning_of_the_id() {
    let node = Node::start();
    assert_eq!(node.get("/visitors"), json!({"data": [], "next": null}));
    for visitor in ["ann@a.example", "ann@b.example", "Ann", "änn", "ben", "a::b"] {
        node.events(&[events::identify(visitor, "acme::west")]);
    }
    let list = |kind: &str, prefix: &str| {
        let mut found = Vec::new();
        let mut next = String::new();
        loop {
            let page = node.get(&format!("/{kind}?prefix={prefix}&limit=2{next}"));
            found.extend(page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()));
            let Some(cursor) = page["next"].as_str() else { return found };
            next = format!("&cursor={cursor}");
        }
    };
    wait_until("all are on record", || (list("visitors", "").len() == 6).then_some(()));
    assert_eq!(list("visitors", ""), ["Ann", "a::b", "ann@a.example", "ann@b.example", "ben", "änn"]);
    assert_eq!(list("visitors", "ann"), ["ann@a.example", "ann@b.example"]);
    assert_eq!(list("visitors", "%C3%A4"), ["änn"]);
    assert_eq!(list("visitors", "c"), Vec::<String>::new());
    assert_eq!(list("accounts", ""), ["acme::west"]);
    let row = &node.get("/visitors?prefix=ben")["data"][0];
    assert_eq!((&row["account_id"], row["last_visit"].is_string()), (&json!("acme::west"), true));
    node.api("GET", "/visitors?cursor=%21", None).expect(400);
}

#[test]
fn a_thousand_visitors_identified_by_64_clients_at_once_are_new_once_each() {
    let mut node = Node::start();
    let receiver = Receiver::ok();
    node.webhook(&receiver.url(), json!({"categories": ["visitors", "accounts"]}));
    let (addr, key, done) = (node.addr, node.keys.agent_key.clone(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn({
                    let (key, done) = (&key, &done);
                    move || identify_all(addr, key, client, done)
                })
            })
            .collect();
        // Killed in the middle: what was acknowledged is known, what was not is sent again.
        wait_until("some are seen", || (receiver.requests().len() >= VISITORS / 4).then_some(()));
        node.restart();
        for client in clients {
            client.join().inspect_err(|_| done.store(true, Ordering::SeqCst)).unwrap();
        }
    });
    // The journal says how often each was announced; receivers may see one twice after a kill, under the same id.
    let created: Vec<Value> = node.list("/events?event=visitorCreated&").into_iter().collect();
    let who: HashSet<&str> = created.iter().map(|row| row["visitor_id"].as_str().unwrap()).collect();
    assert_eq!((created.len(), who.len()), (VISITORS, VISITORS));
    assert_eq!(node.list("/events?event=accountCreated&").len(), 1);
    let ids = || receiver.requests().iter().map(|r| r.json()["uniqueId"].to_string()).collect::<HashSet<_>>();
    wait_until("each is delivered", || (ids().len() == VISITORS + 1).then_some(()));
}

#[test]
fn made_through_an_api_is_not_seen() {
    let mut node = Node::start();
    let receiver = Receiver::ok();
    node.webhook(&receiver.url(), json!({}));
    // Unknown to everybody; then made through the Metadata API, and through the Track API.
    let rows = json!([{"visitorId": "made", "values": {"plan": "pro"}}]);
    assert_eq!(set(&node, "/visitor/custom/value", rows.clone())["missing"], json!(["made"]));
    assert_eq!(set(&node, "/visitor/custom/value?create=true", rows)["updated"], 1);
    let account = json!([{"accountId": "acme::east", "values": {"tier": 1}}]);
    assert_eq!(set(&node, "/account/custom/value?create=true", account)["updated"], 1);
    node.try_track(events::server_track("tracked", "Bought", json!({}))).expect(200);
    assert_eq!(set(&node, "/visitor/custom/value", json!([{"visitorId": "tracked", "values": {}}]))["updated"], 1);
    for id in ["made", "tracked"] {
        assert_eq!(node.get(&format!("/visitors/{id}"))["first_visit"], Value::Null, "{id}");
    }
    receiver.wait_for("Bought");
    assert_eq!(receiver.names(), ["Bought"], "none of it raises another event");
    node.restart();
    // Now they come.
    for id in ["made", "tracked", "made"] {
        node.events(&[events::identify(id, "acme::east")]);
    }
    node.track("End");
    receiver.wait_for("End");
    let mut events: Vec<String> = receiver.requests().iter().map(|request| request.event()).collect();
    events.sort();
    let seen = ["accountCreated", "trackEventReceived", "trackEventReceived", "visitorCreated", "visitorCreated"];
    assert_eq!(events, seen);
    let visitor = node.get("/visitors/made");
    assert!(visitor["first_visit"].is_string() && visitor["metadata"]["custom"]["plan"] == "pro", "{visitor}");
}

#[test]
fn a_visitor_is_read_with_visits_browser_metadata_and_newest_events() {
    let mut node = Node::start();
    let mut identify = events::identify("ann/1", "acme::east");
    identify["visitor"] = json!({"name": "Ann", "email": "ann@example.com"});
    identify["account"] = json!({"plan": "pro"});
    node.events(&[identify]);
    for n in 0..30 {
        let mut item = events::track("ann/1", &format!("t{n}"), json!({}));
        item["accountId"] = json!("acme::east");
        node.events(&[item, events::track("bob", "other", json!({}))]);
    }
    let value = |value: Value| node.api("PUT", "/metadata/visitor/crm/value/ann%2F1/score", Some(value)).expect(200);
    value(json!(7));
    set(&node, "/visitor/agent/value", json!([{"visitorId": "ann/1", "values": {"name": null, "role": "cto"}}]));
    let before = node.get("/visitors/ann%2F1");
    assert_eq!(before["metadata"], json!({"agent": {"email": "ann@example.com", "role": "cto"}, "crm": {"score": 7}}));
    assert_eq!(before["browser"]["name"], "Chrome");
    assert_eq!(before["account_id"], "acme::east");
    let newest: Vec<_> = before["events"].as_array().unwrap().iter().map(|event| &event["visitor_id"]).collect();
    assert_eq!(newest, vec!["ann/1"; 20]);
    let (first, last) = (before["first_visit"].as_str().unwrap(), before["last_visit"].as_str().unwrap());
    assert!(first <= last, "{first} {last}");
    let account = node.get("/accounts/acme::east");
    assert_eq!((&account["parent_id"], &account["metadata"]["agent"]["plan"]), (&json!("acme"), &json!("pro")));
    node.api("GET", "/accounts/acme", None).expect(404);
    // The same after a kill, and after the records were told anew from the journal.
    node.restart();
    assert_eq!(node.get("/visitors/ann%2F1"), before);
    node.stop();
    let rebuilt = node.command(&["store", "rebuild"]);
    assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
    node.serve();
    assert_eq!(node.get("/visitors/ann%2F1"), before);
}

#[test]
fn a_batch_of_ten_thousand_rows_and_sixteen_mebibytes_is_taken() {
    let node = Node::start();
    let row = |n: usize| json!({"visitorId": format!("v{n}"), "values": {"bio": "x".repeat(1550), "n": n}});
    let rows = Value::Array((0..10_000).map(row).collect());
    let bytes = rows.to_string().len();
    assert!((15 << 20..=16 << 20).contains(&bytes), "{bytes}");
    let result = set(&node, "/visitor/custom/value?create=true", rows);
    assert_eq!((&result["total"], &result["updated"], &result["failed"]), (&json!(10_000), &json!(10_000), &json!(0)));
    assert_eq!(node.get("/visitors/v9999")["metadata"]["custom"]["n"], 9999);
    let too_large = json!([{"visitorId": "v1", "values": {"bio": "x".repeat(16 << 20)}}]);
    node.api("POST", "/metadata/visitor/custom/value", Some(too_large)).expect(413);
}

#[test]
fn a_batch_that_takes_too_long_is_408_and_leaves_no_half_of_a_row() {
    let node = Node::with(&["--metadata-timeout", "1s"], &[]);
    let body = json!([{"visitorId": "v", "values": {"a": 1, "b": 2}}]).to_string();
    let mut stream = TcpStream::connect(node.addr).unwrap();
    let head = format!(
        "POST /api/v1/metadata/visitor/custom/value?create=true HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
        node.addr,
        node.keys.integration_key,
        body.len(),
        &body[..body.len() / 2]
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = vec![0; 12];
    stream.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 408");
    node.api("GET", "/visitors/v", None).expect(404);
    // Many rows and no time: whatever was set is there with both of its values.
    let node = Node::with(&["--metadata-timeout", "30ms"], &[]);
    let row = |n: usize| json!({"visitorId": format!("v{n}"), "values": {"a": n, "b": n}});
    let rows = Value::Array((0..10_000).map(row).collect());
    let answer = node.api("POST", "/metadata/visitor/custom/value?create=true", Some(rows));
    assert!(matches!(answer.status, 200 | 408), "{}", answer.status);
    let halves: Mutex<Vec<Value>> = Mutex::default();
    for n in (0..10_000).step_by(500) {
        let found = node.api("GET", &format!("/visitors/v{n}"), None);
        if found.status == 200 && found.json()["metadata"]["custom"] != json!({"a": n, "b": n}) {
            halves.lock().unwrap().push(found.json());
        }
    }
    assert!(halves.into_inner().unwrap().is_empty());
}
