//! The key that secrets are sealed with: missing, wrong, and rotated.

use crate::support::sign::assert_pendo;
use crate::support::{Node, Receiver, Webhook};
use serde_json::json;

const FIRST: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SECOND: &str = "ICECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A webhook with a secret, of which one event was received.
fn with_webhook(node: &Node) -> (Webhook, Receiver) {
    let receiver = Receiver::ok();
    let webhook = node.webhook(&receiver.url(), json!({"secret": "s3cret!"}));
    check(node, &webhook, &receiver, 1);
    (webhook, receiver)
}

/// The webhook's secret and signing key are what they were.
fn check(node: &Node, webhook: &Webhook, receiver: &Receiver, requests: usize) {
    node.track("one");
    let request = receiver.wait(requests).pop().unwrap();
    assert_pendo(&request, "s3cret!");
    crate::support::sign::assert_standard(&request, webhook.signing_key());
}

/// What `fanfare serve` complains of when it does not start.
fn refused(node: &Node, environment: &[(&str, &str)]) -> String {
    let output = node.command_with(&["serve", "--listen", "127.0.0.1:0"], environment);
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn it_is_rotated_while_the_server_is_stopped() {
    let mut node = Node::embedded(&[], &[]);
    let (webhook, receiver) = with_webhook(&node);
    let invited = json!({"email": "ada@example.com", "name": "Ada", "role": "admin"});
    node.api("POST", "/users", Some(invited)).expect(201);
    let running = node.command(&["master-key", "rotate"]);
    assert!(String::from_utf8(running.stderr).unwrap().contains("must be stopped"));
    node.stop();
    let file = node.data_dir().join("master.key");
    let before = std::fs::read(&file).unwrap();
    let rotated = node.command(&["master-key", "rotate"]);
    let said = String::from_utf8(rotated.stdout).unwrap();
    assert!(rotated.status.success() && said.starts_with("Sealed 3 values"), "{said}");
    assert_ne!(std::fs::read(&file).unwrap(), before);
    node.serve();
    check(&node, &webhook, &receiver, 2);
    assert_eq!(node.list("/audit-log")[0]["action"], "master_key.rotated");
    node.kill();
    std::fs::write(&file, before).unwrap();
    assert!(refused(&node, &[]).contains("is not the one"), "the old key opens nothing any more");
}

#[test]
fn a_rotation_that_was_broken_off_is_ended_by_the_next_start() {
    let mut node = Node::embedded(&[], &[]);
    let (webhook, receiver) = with_webhook(&node);
    node.stop();
    let (file, next) = (node.data_dir().join("master.key"), node.data_dir().join("master.key.next"));
    let before = std::fs::read(&file).unwrap();
    // As if it had been killed before the store was written: the next key is there, and unused.
    std::fs::write(&next, SECOND).unwrap();
    node.serve();
    check(&node, &webhook, &receiver, 2);
    assert!(!next.exists());
    node.stop();
    // As if it had been killed after the store was written: both keys are there, and the next one holds.
    assert!(node.command(&["master-key", "rotate"]).status.success());
    std::fs::rename(&file, &next).unwrap();
    std::fs::write(&file, before).unwrap();
    node.serve();
    check(&node, &webhook, &receiver, 3);
    assert!(!next.exists());
}

#[test]
fn a_key_from_a_variable_is_rotated_by_another_variable() {
    let mut node = Node::embedded(&[], &[("FANFARE_MASTER_KEY", FIRST)]);
    let (webhook, receiver) = with_webhook(&node);
    node.stop();
    let without = node.command_with(&["master-key", "rotate"], &[("FANFARE_MASTER_KEY", FIRST)]);
    assert!(String::from_utf8(without.stderr).unwrap().contains("FANFARE_NEXT_MASTER_KEY"));
    let keys = [("FANFARE_MASTER_KEY", FIRST), ("FANFARE_NEXT_MASTER_KEY", SECOND)];
    assert!(node.command_with(&["master-key", "rotate"], &keys).status.success());
    assert!(refused(&node, &[("FANFARE_MASTER_KEY", FIRST)]).contains("is not the one"));
    node.set_environment(&[("FANFARE_MASTER_KEY", SECOND)]);
    node.serve();
    check(&node, &webhook, &receiver, 2);
}

#[test]
fn without_it_nothing_starts_and_the_reason_is_said() {
    let mut node = Node::embedded(&[], &[]);
    node.stop();
    assert!(refused(&node, &[("FANFARE_MASTER_KEY", FIRST)]).contains("is not the one"));
    assert!(refused(&node, &[("FANFARE_MASTER_KEY", "short")]).contains("base64 of exactly 32 bytes"));
    std::fs::remove_file(node.data_dir().join("master.key")).unwrap();
    assert!(refused(&node, &[]).contains("the master key is missing"));
}
