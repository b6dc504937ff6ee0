//! The OpenAPI document against the server: schemathesis makes calls out of it, valid and not, as everybody.

use crate::support::smtp::python;
use crate::support::{Node, Receiver};
use serde_json::json;
use std::process::{Command, Stdio};

/// Calls per operation and phase. Enough to have found what there was; more of them cost time, not luck: the seed is
/// fixed.
const EXAMPLES: &str = "15";

/// Runs schemathesis with these headers; fails with what it says.
fn run(node: &Node, who: &str, headers: &[(&str, &str)]) {
    run_without(node, who, headers, "");
}

/// The same without further checks.
fn run_without(node: &Node, who: &str, headers: &[(&str, &str)], checks: &str) {
    let program = python().with_file_name("schemathesis");
    let mut command = Command::new(&program);
    command.args(["run", &format!("http://{}/api/openapi.json", node.addr), "--no-color", "--seed", "20"]);
    command.args(["--max-examples", EXAMPLES, "--generation-database", "none", "--workers", "2"]);
    // Whether a value is acceptable is often more than a schema says (a token that opens something, a time to come).
    command.args(["--exclude-checks", &format!("positive_data_acceptance{checks}")]);
    // A stream has no end that it could wait for.
    command.args(["--exclude-path", "/api/v1/webhooks/{id}/deliveries/live"]);
    for (name, value) in headers {
        command.args(["-H", &format!("{name}: {value}")]);
    }
    let output = command.stdin(Stdio::null()).current_dir(node.data_dir()).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}; `make test` installs it", program.display()));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("generated"), "schemathesis as {who} did not come to its end:\n{said}");
    assert!(output.status.success(), "schemathesis as {who} found:\n{said}");
}

/// A node that does not slow anybody down, with something of everything.
fn node() -> Node {
    let many = "1000000";
    let rates = ["--calls-burst", "--calls-per-second", "--wrong-keys-per-minute", "--sign-in-tries-per-address"];
    let flags: Vec<&str> = rates.iter().flat_map(|rate| [*rate, many]).collect();
    let node = Node::with(&flags, &[]);
    let receiver = Receiver::ok();
    let webhook = node.webhook(&receiver.url(), json!({}));
    node.track("one");
    node.settled(&webhook, "delivered");
    node
}

#[test]
fn nobody_finds_a_call_that_breaks() {
    run(&node(), "nobody", &[]);
}

#[test]
fn a_member_finds_no_call_that_breaks() {
    let node = node();
    let made = node.api("POST", "/keys", Some(json!({"name": "m", "role": "member"}))).expect(201).json();
    run(&node, "a member", &[("Authorization", &format!("Bearer {}", made["key"].as_str().unwrap()))]);
}

#[test]
fn an_admin_finds_no_call_that_breaks() {
    let node = node();
    run(&node, "an admin", &[("Authorization", &format!("Bearer {}", node.keys.integration_key))]);
}

#[test]
fn a_person_finds_no_call_that_breaks() {
    let node = node();
    let admin = json!({"token": node.keys.setup_token(), "email": "ada@example.com", "name": "Ada",
        "password": "correct horse battery"});
    let signed_in = node.call("POST", "/api/v1/set-up", &[], Some(admin)).expect(201);
    let cookie = signed_in.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let csrf = signed_in.json()["csrf_token"].as_str().unwrap().to_owned();
    // It adds a wrong cookie to the right one instead of replacing it, and finds that the right one still opens.
    run_without(&node, "a person", &[("Cookie", &cookie), ("X-CSRF-Token", &csrf)], ",ignored_auth");
}

#[test]
fn the_program_prints_the_document_that_a_server_gives() {
    let printed = Command::new(env!("CARGO_BIN_EXE_fanfare")).arg("openapi").output().unwrap();
    assert!(printed.status.success(), "{printed:?}");
    let served = Node::start().call("GET", "/api/openapi.json", &[], None).expect(200);
    assert_eq!(printed.stdout.strip_suffix(b"\n"), Some(&served.body[..]));
}
