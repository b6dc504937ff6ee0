//! Backups as docs/operations.md tells to make them, restored; and the question that a supervisor asks.

use crate::support::{Node, Receiver, Reply, wait_until};
use serde_json::json;
use std::fs;
use std::path::Path;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy(&source, &target);
        } else {
            fs::copy(&source, &target).unwrap();
        }
    }
}

#[test]
fn a_copied_directory_is_everything_that_was_there_and_goes_on_from_there() {
    let mut node = Node::embedded(&["--retry-delays", "300s"], &[]);
    // What is refused waits for its retry.
    let receiver = Receiver::by(|request, _| Reply::Status(if request.name() == "waits" { 503 } else { 200 }));
    let webhook = node.webhook(&receiver.url(), json!({"auth": {"type": "bearer", "token": "s3cret"}}));
    // One after the other, and each on record: in this order they are listed.
    for (name, state) in [("before", "delivered"), ("waits", "retrying")] {
        node.track(name);
        node.settled(&webhook, state);
    }
    node.stop();
    let aside = tempfile::tempdir().unwrap();
    copy(&node.data_dir(), aside.path());

    node.serve();
    node.track("after the backup");
    receiver.wait_for("after the backup");
    node.stop();
    fs::remove_dir_all(node.data_dir()).unwrap();
    copy(aside.path(), &node.data_dir());
    node.serve();

    let deliveries =
        wait_until("the records have caught up", || Some(node.deliveries(&webhook)).filter(|all| all.len() >= 2));
    let states: Vec<_> = deliveries.iter().map(|delivery| delivery["status"].as_str().unwrap()).collect();
    assert_eq!(states, ["retrying", "delivered"], "the newest first, and nothing of what came after the backup");
    assert_eq!(node.list("/events?event=trackEventReceived&").len(), 2);
    let waiting = deliveries[0]["id"].as_str().unwrap();
    node.api("POST", &format!("/deliveries/{waiting}/redeliver"), None).expect(202);
    node.track("after the restore");
    let request = receiver.wait_for("after the restore");
    assert_eq!(request.header("authorization"), Some("Bearer s3cret"), "secrets open with the key beside them");
    let delivered = receiver.requests().iter().filter(|request| request.name() == "before").count();
    assert_eq!(delivered, 1, "what was known to be delivered is not sent again");
}

#[test]
fn a_backup_of_the_servers_is_everything_that_was_there_and_goes_on_from_there() {
    let mut node = Node::clustered(&["--retry-delays", "300s"]);
    let receiver = Receiver::by(|request, _| Reply::Status(if request.name() == "waits" { 503 } else { 200 }));
    let webhook = node.webhook(&receiver.url(), json!({"auth": {"type": "bearer", "token": "s3cret"}}));
    for (name, state) in [("before", "delivered"), ("waits", "retrying")] {
        node.track(name);
        node.settled(&webhook, state);
    }
    // It goes on taking events meanwhile.
    let deliveries = node.deliveries(&webhook);
    let backup = node.back_up();
    node.track("after the backup");
    receiver.wait_for("after the backup");
    node.stop();
    node.restore(&backup);
    node.serve();
    wait_until("the records have caught up", || (node.deliveries(&webhook) == deliveries).then_some(()));
    let waiting = deliveries[0]["id"].as_str().unwrap();
    node.api("POST", &format!("/deliveries/{waiting}/redeliver"), None).expect(202);
    node.track("after the restore");
    let request = receiver.wait_for("after the restore");
    assert_eq!(request.header("authorization"), Some("Bearer s3cret"), "secrets open with the key kept apart");
    let times = |name: &str| receiver.requests().iter().filter(|request| request.name() == name).count();
    wait_until("what waited is sent", || (times("waits") >= 2).then_some(()));
    assert_eq!(times("before"), 1, "what was known to be delivered is not sent again");
}

#[test]
fn whether_it_takes_events_is_told_by_a_command() {
    let mut node = Node::start();
    let listen = node.addr.to_string();
    let ask = |node: &Node| {
        let output = node.command(&["ready", "--listen", &listen]);
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    assert_eq!(ask(&node).0, Some(0));
    node.stop();
    let (code, said) = ask(&node);
    assert!(code == Some(1) && said.contains("is Fanfare running there?"), "{said}");
}
