//! The inspector: a receiver of the installation's own, that shows what it was sent.

use crate::support::{Node, sign, wait_until};
use serde_json::{Value, json};

/// The inspector's address at this node.
fn here(node: &Node, url: &str) -> String {
    // Links begin with the public URL; the node under test listens at a port of its own.
    format!("http://{}/inspect/{}", node.addr, url.split_once("/inspect/").unwrap().1)
}

#[test]
fn it_shows_what_a_webhook_sends_and_hides_what_is_secret() {
    let node = Node::start();
    let empty = node.get("/inspector");
    assert_eq!((&empty["received"], &empty["requests"]), (&json!(0), &json!([])));
    let url = here(&node, empty["url"].as_str().unwrap());
    let webhook = node.webhook(
        &url,
        json!({"secret": "hush", "auth": {"type": "bearer", "token": "t0ps3cret"}, "headers": {"x-api-key": "k3y"}}),
    );
    node.track("Report exported");
    let shown = wait_until("it has arrived", || {
        let shown = node.get("/inspector");
        (shown["received"] == 1).then_some(shown)
    });
    let request = &shown["requests"][0];
    assert_eq!((&request["number"], &request["method"], &request["query"]), (&json!(1), &json!("POST"), &json!("")));
    let body = request["body"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(body).unwrap()["event"], "trackEventReceived");
    assert_eq!(request["body_bytes"], body.len());
    let value = |name: &str| {
        let headers = request["headers"].as_array().unwrap();
        headers.iter().find(|header| header["name"] == name).unwrap()["value"].as_str().unwrap().to_owned()
    };
    assert_eq!(value("x-pendo-signature"), sign::pendo("hush", body.as_bytes()));
    assert!(value("webhook-id").len() > 10);
    assert!(!shown.to_string().contains("t0ps3cret") && !shown.to_string().contains("k3y"));
    assert_eq!(
        (value("authorization"), value("x-api-key")),
        (String::from("(not shown)"), String::from("(not shown)"))
    );
    node.settled(&webhook, "delivered");

    node.api("DELETE", "/inspector", None).expect(204);
    assert_eq!(node.get("/inspector")["requests"], json!([]));
}

#[test]
fn it_answers_as_the_query_says_and_only_at_its_address() {
    let mut node = Node::start();
    let url = node.get("/inspector")["url"].as_str().unwrap().to_owned();
    let path = format!("/inspect/{}", url.split_once("/inspect/").unwrap().1);
    node.raw("POST", &format!("{path}?status=503"), &[], b"a").expect(503);
    node.raw("PUT", &path, &[("content-type", "text/plain")], &vec![b'x'; 40_000]).expect(200);
    let shown = node.get("/inspector");
    let (newest, first) = (&shown["requests"][0], &shown["requests"][1]);
    assert_eq!((&first["query"], &first["body"]), (&json!("?status=503"), &json!("a")));
    assert_eq!((newest["body_bytes"].as_u64(), newest["body"].as_str().unwrap().len()), (Some(40_000), 16 * 1024));
    node.raw("POST", &path, &[], &vec![b'x'; 1024 * 1024 + 1]).expect(413);

    let last = path.chars().last().unwrap();
    for wrong in [path.trim_end_matches(last).to_owned(), path.replace("/inspect/", "/inspect/1"), format!("{path}/x")]
    {
        node.raw("POST", &wrong, &[], b"").expect(404);
    }
    assert_eq!(node.get("/inspector")["received"], 2);

    node.restart();
    let after = node.get("/inspector");
    assert_eq!((after["url"].as_str(), &after["received"]), (Some(url.as_str()), &json!(0)), "the address stays");
}
