//! `fanfare operator` against a running server.

use crate::support::{Node, Receiver, wait_until};
use serde_json::{Value, json};

/// Runs a command of the operator, and gives what it printed: JSON, or what it complained of.
fn operator(node: &Node, arguments: &[&str]) -> Result<Value, String> {
    let listen = node.addr.to_string();
    let output = node.command(&[&["operator"], arguments, &["--json", "--listen", &listen]].concat());
    if !output.status.success() {
        return Err(String::from_utf8(output.stderr).unwrap());
    }
    Ok(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn a_customer_comes_and_goes() {
    let node = Node::start();
    let first = node.keys.subscription_id.to_string();
    let refused = operator(&node, &["subscriptions", "remove", &first, "--yes"]).unwrap_err();
    assert!(refused.contains("409") && refused.contains("last subscription"), "{refused}");

    let made = operator(&node, &["subscriptions", "create", "--name", "Globex"]).unwrap();
    let id = made["subscription_id"].to_string();
    let listed = operator(&node, &["subscriptions", "list"]).unwrap();
    assert_eq!(listed["data"].as_array().unwrap().len(), 2, "{listed}");
    let key = format!("Bearer {}", made["integration_key"].as_str().unwrap());
    let receiver = Receiver::ok();
    let with_key = [("Authorization", key.as_str())];
    let body = json!({"name": "w", "url": receiver.url()});
    let webhook = node.call("POST", "/api/v1/webhooks", &with_key, Some(body)).expect(201).json();
    let path = format!("/api/v1/webhooks/{}", webhook["id"].as_str().unwrap());
    assert!(node.list("/webhooks").is_empty(), "the first subscription does not see it");

    // Its first admin comes by the link that the operator passes on, and owns what the first key made.
    let arguments = ["--subscription", &id, "--email", "eve@example.com", "--name", "Eve", "--role", "admin"];
    let invited = operator(&node, &[&["users", "create"], arguments.as_slice()].concat()).unwrap();
    let token = invited["link"].as_str().unwrap().split_once("/invitation?token=").unwrap().1;
    let accepted = json!({"token": token, "password": "correct horse battery"});
    node.call("POST", "/api/v1/invitation", &[], Some(accepted)).expect(201);
    let owner = node.call("GET", &path, &with_key, None).expect(200).json()["owner"].clone();
    assert_eq!(owner["email"], "eve@example.com");

    node.call("PATCH", &path, &with_key, Some(json!({"enabled": true}))).expect(200);
    let secret = made["track_secret"].as_str().unwrap();
    let track = |secret: &str| {
        let event = crate::support::events::server_track("v", "Bought", json!({}));
        node.call("POST", "/data/track", &[("x-pendo-integration-key", secret)], Some(event))
    };
    track(secret).expect(200);
    assert_eq!(receiver.wait(1)[0].json()["subscription"], json!({"id": made["subscription_id"], "name": "Globex"}));

    assert!(operator(&node, &["subscriptions", "remove", &id]).unwrap_err().contains("--yes"));
    operator(&node, &["subscriptions", "remove", &id, "--yes"]).unwrap();
    track(secret).expect(401);
    node.call("GET", &path, &with_key, None).expect(401);
    let sign_in = json!({"email": "eve@example.com", "password": "correct horse battery"});
    node.call("POST", "/api/v1/session", &[], Some(sign_in)).expect(401);
    assert!(operator(&node, &["subscriptions", "remove", &id, "--yes"]).unwrap_err().contains("404"));
    node.track("the other customer is not touched");
}

#[test]
fn a_user_who_lost_everything_gets_in_again() {
    let mut node = Node::start();
    let of = node.keys.subscription_id.to_string();
    let user = ["--subscription", &of, "--email", "ada@example.com", "--name", "Ada", "--role", "admin"];
    let ada = operator(&node, &[&["users", "create"], user.as_slice()].concat()).unwrap();
    let id = ada["user"]["id"].as_str().unwrap();
    let outbox = operator(&node, &["mail"]).unwrap();
    assert_eq!(outbox["data"][0]["to"], "ada@example.com");
    let mailed = outbox["data"][0]["text"].as_str().unwrap().split_once("token=").unwrap().1.lines().next().unwrap();
    let password = json!({"token": mailed, "password": "correct horse battery"});
    node.call("POST", "/api/v1/invitation", &[], Some(password)).expect(201);

    let reset = operator(&node, &["users", "reset-password", id, "--without-second-factor"]).unwrap();
    let token = reset["link"].as_str().unwrap().split_once("/password-reset?token=").unwrap().1;
    let password = json!({"token": token, "password": "another long one"});
    node.call("PUT", "/api/v1/password-reset", &[], Some(password)).expect(204);
    let sign_in = json!({"email": "ada@example.com", "password": "another long one"});
    node.call("POST", "/api/v1/session", &[], Some(sign_in)).expect(201);
    let listed = operator(&node, &["users", "list", "--subscription", &of]).unwrap();
    assert_eq!(listed["data"][0]["state"], "active");
    assert!(operator(&node, &["users", "remove", id, "--yes"]).unwrap_err().contains("last admin"));

    let by: Vec<_> = node.list("/audit-log").iter().map(|row| row["actor"]["kind"].clone()).collect();
    assert!(by.contains(&json!("operator")), "{by:?}");
    node.kill();
    let gone = operator(&node, &["users", "list", "--subscription", &of]).unwrap_err();
    assert!(gone.contains("is Fanfare running there?"), "{gone}");
}

#[test]
fn only_the_operator_turns_on_what_was_turned_off() {
    let mut node = Node::embedded(&[], &[]);
    let receiver = Receiver::ok();
    let webhook = node.webhook(&receiver.url(), json!({}));
    node.kill();
    let store = rusqlite::Connection::open(node.data_dir().join("fanfare.db")).unwrap();
    store.execute("UPDATE webhooks SET state = 'turned_off'", []).unwrap();
    drop(store);
    node.serve();
    node.api("PATCH", &format!("/webhooks/{}", webhook.id), Some(json!({"enabled": true}))).expect(409);
    let turned = operator(&node, &["webhooks", "turn-on", &webhook.id]).unwrap();
    assert_eq!(turned["state"], "on");
    wait_until("it is sent events again", || {
        node.track("one");
        (!receiver.requests().is_empty()).then_some(())
    });
    assert!(operator(&node, &["webhooks", "turn-on", "wh_0000000000000001"]).unwrap_err().contains("404"));
}

#[test]
fn nobody_without_the_master_key_is_the_operator() {
    let node = Node::embedded(&[], &[]);
    let path = "/api/operator/v1/subscriptions";
    node.call("GET", path, &[], None).expect(401);
    for header in [format!("Bearer {}", node.keys.integration_key), String::from("Operator 1.2.3")] {
        node.call("GET", path, &[("Authorization", &header)], None).expect(401);
    }
    let other = Node::embedded(&[], &[]);
    let listen = node.addr.to_string();
    let output = other.command(&["operator", "subscriptions", "list", "--listen", &listen]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("401") && said.contains("master key"), "{said}");
}
