//! The audit log as the operator meets it.

use crate::support::Node;
use serde_json::json;

/// `fanfare audit verify` with these arguments: whether it found the log whole, and what it said.
fn verify(node: &Node, arguments: &[&str]) -> (bool, String) {
    let output = node.command(&[&["audit", "verify"], arguments].concat());
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_changed_or_cut_log_is_found() {
    let mut node = Node::start();
    assert!(verify(&node, &[]).1.starts_with("whole: 0 entries"));
    let webhook = node.create(json!({"url": "https://example.com/"}));
    node.patch(&webhook, json!({"name": "renamed"}));
    let (whole, said) = verify(&node, &[]);
    assert!(whole && said.starts_with("whole: 2 entries"), "also while the server runs: {said}");
    let head = said.split_once("head ").unwrap().1.lines().next().unwrap().to_owned();
    assert!(verify(&node, &["--head", &head]).0);

    node.kill();
    let store = rusqlite::Connection::open(node.data_dir().join("fanfare.db")).unwrap();
    store.execute("DELETE FROM audit_log WHERE seq = 2", []).unwrap();
    assert!(verify(&node, &[]).0, "the chain itself does not tell that its end is missing");
    let (whole, said) = verify(&node, &["--head", &head]);
    assert!(!whole && said.contains(&head), "{said}");
    store.execute("UPDATE audit_log SET actor_name = 'somebody else'", []).unwrap();
    let (whole, said) = verify(&node, &[]);
    assert!(!whole && said.contains("entry 1"), "{said}");
}
