//! A name that changes its mind: the guard judges the very address that is connected to, however the name resolves.
//! With a name server of its own, in namespaces of their own, so that nothing outside is asked or changed.

use crate::support::smtp::python;
use crate::support::{Node, Receiver, wait_until};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Set inside the namespaces.
const INSIDE: &str = "INSIDE_NAMESPACES";

/// A name server that answers with these addresses in turn.
struct NameServer {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    _dir: tempfile::TempDir,
}

impl NameServer {
    fn start(addresses: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/name_server.py");
        let mut command = Command::new(python());
        let mut child =
            command.arg(script).arg(dir.path()).args(addresses).stdout(Stdio::piped()).spawn().expect("python3 starts");
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let (stdout, lines) = (child.stdout.take().unwrap(), Arc::clone(&said));
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        let mut server = Self { child, said, _dir: dir };
        wait_until("the name server is ready", || {
            assert!(server.child.try_wait().unwrap().is_none(), "the name server ended");
            server.said.lock().unwrap().first().map(|_| ())
        });
        server
    }

    fn gave(&self, address: &str) -> bool {
        self.said.lock().unwrap().iter().any(|said| said == address)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Starts a program in namespaces of its own: as root at once, as anybody else by way of a user namespace.
fn unshare() -> Command {
    let with = |flags: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(flags).arg("--");
        command
    };
    let as_root = ["--mount", "--net"];
    match with(&as_root).arg("true").output() {
        Ok(output) if output.status.success() => with(&as_root),
        _ => with(&[&["--user", "--map-root-user"], as_root.as_slice()].concat()),
    }
}

/// Runs this test again inside network and mount namespaces; whether this is the run inside.
fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let mut command = unshare();
    command.arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]).env(INSIDE, "1");
    let output = command.output().expect("unshare (of util-linux) starts");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "inside its own namespaces:\n{said}");
    false
}

#[test]
fn a_name_that_turns_inward_reaches_nothing_that_is_not_allowed() {
    if !inside("rebinding::a_name_that_turns_inward_reaches_nothing_that_is_not_allowed") {
        return;
    }
    let names = NameServer::start(&["127.0.0.1", "127.0.0.2"]);
    let allowed = Receiver::ok();
    let port = allowed.addr.port();
    // What the attacker is after: it listens on the same port of an address that nobody has allowed.
    let inner = TcpListener::bind(("127.0.0.2", port)).unwrap();
    let reached = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reached);
    std::thread::spawn(move || {
        inner.incoming().for_each(|_| {
            counted.fetch_add(1, Ordering::SeqCst);
        });
    });

    // Every request on a connection of its own, so that each is preceded by a lookup.
    let node = Node::guarded(&["--allow-net", "127.0.0.1/32", "--keep-alive", "0s"]);
    let webhook = node.webhook(&format!("http://rebind.test:{port}/hook"), json!({"concurrency": 1}));
    for number in 0..20 {
        node.track(&format!("event {number}"));
    }
    let deliveries = wait_until("all are settled", || {
        let rows = node.deliveries(&webhook);
        let ended = rows.iter().filter(|row| row["status"] == "delivered" || row["status"] == "failed").count();
        (ended == 20).then_some(rows)
    });
    let failed: Vec<_> = deliveries.iter().filter(|row| row["status"] == "failed").collect();
    assert!(names.gave("127.0.0.1") && names.gave("127.0.0.2"));
    assert_eq!(reached.load(Ordering::SeqCst), 0, "no connection was made to the other address");
    assert_eq!(allowed.requests().len() + failed.len(), 20);
    assert!(!failed.is_empty() && !allowed.requests().is_empty(), "{deliveries:?}");
    assert!(failed.iter().all(|row| row["reason"] == "address_refused"), "{failed:?}");
    // The test of a webhook is no way around it.
    for _ in 0..4 {
        node.api("POST", &format!("/webhooks/{}/test", webhook.id), None).expect(200);
    }
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}
