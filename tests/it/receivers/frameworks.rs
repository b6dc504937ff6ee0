//! The receivers built on frameworks, run as they stand: the program delivers to them, and a forger tries.

use super::{SECRET, send_all};
use crate::support::http::{self, Answer};
use crate::support::program::Program;
use crate::support::{Node, events, sign, wait_until};
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use tempfile::TempDir;

static EXPRESS: Program = Program {
    name: "express.mjs",
    needs: "tests/package.json",
    files: &[("docs/snippets/express.mjs", "express.mjs"), ("docs/snippets/verify.mjs", "verify.mjs")],
    build: &[],
    run: &["node", "express.mjs"],
};

static FLASK: Program = Program {
    name: "flask_inbox.py",
    needs: "tests/requirements.txt",
    files: &[("docs/snippets/flask_inbox.py", "flask_inbox.py"), ("docs/snippets/verify.py", "verify.py")],
    build: &[],
    run: &["python", "-m", "flask", "--app", "flask_inbox", "run", "--port"],
};

static FASTAPI: Program = Program {
    name: "fastapi_standard.py",
    needs: "tests/requirements.txt",
    files: &[("docs/snippets/fastapi_standard.py", "fastapi_standard.py")],
    build: &[],
    run: &["python", "-m", "uvicorn", "fastapi_standard:app", "--port"],
};

/// A receiver that runs; dropping it ends it.
struct Running {
    child: Child,
    dir: TempDir,
    addr: SocketAddr,
}

impl Running {
    fn start(program: &'static Program, signing_key: &str) -> Self {
        let built = program.build();
        let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let port = addr.port().to_string();
        let mut command = built.start();
        command.args(program.run.last().filter(|word| **word == "--port").map(|_| &port));
        command.env("PORT", &port).env("WEBHOOK_SECRET", SECRET).env("WEBHOOK_SIGNING_KEY", signing_key);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut running = Self { child, dir: built.dir, addr };
        wait_until(&format!("{} listens", program.name), || {
            let ended = running.child.try_wait().unwrap();
            assert!(ended.is_none(), "{} ended with {ended:?}: `make test` installs {}", program.name, program.needs);
            TcpStream::connect(addr).ok()
        });
        running
    }

    fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let headers = [&[("Content-Type", "application/json")], headers].concat();
        http::call(self.addr, "POST", "/hook", &headers, body).expect("an answer")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Has the program deliver one of each event, all of which must be taken; one of the bodies.
fn deliver(program: &'static Program) -> (Running, String, Vec<u8>) {
    let node = Node::start();
    let webhook = node.create(json!({"url": "http://127.0.0.1:9/hook", "secret": SECRET}));
    let running = Running::start(program, webhook.signing_key());
    node.patch(&webhook, json!({"url": format!("http://{}/hook", running.addr), "enabled": true}));
    let count = send_all(&node);
    let delivered = wait_until(&format!("{} takes {count} events", program.name), || {
        let rows = node.deliveries(&webhook);
        assert!(rows.iter().all(|row| row["status"] != "failed"), "{}: {rows:#?}", program.name);
        (rows.len() == count && rows.iter().all(|row| row["status"] == "delivered")).then_some(rows)
    });
    let delivery = node.get(&format!("/deliveries/{}", delivered[0]["id"].as_str().unwrap()));
    let body = delivery["request_body"].as_str().unwrap().as_bytes().to_vec();
    (running, webhook.signing_key().to_owned(), body)
}

/// Sends what is forged or broken, which must be refused, and a repeat, which must be taken.
fn forge(running: &Running, body: &[u8], genuine: &[(&str, &str)]) {
    let mut changed = body.to_vec();
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(running.post(genuine, &changed).status, 401, "a changed byte");
    assert_eq!(running.post(genuine, b"").status, 401, "no body");
    assert_eq!(running.post(&[], body).status, 401, "no signature");
    assert_eq!(running.post(&[], b"").status, 401, "nothing at all");
    let mut garbage = genuine.to_vec();
    *garbage.last_mut().unwrap() = (genuine.last().unwrap().0, "v1 v1,v1,v1 v1,\u{e9}");
    assert_eq!(running.post(&garbage, body).status, 401, "garbage");
    assert_eq!(running.post(genuine, body).status, 204, "a repeat");
}

fn forge_pendo(running: &Running, body: &[u8]) {
    forge(running, body, &[("X-Pendo-Signature", &sign::pendo(SECRET, body))]);
}

/// What Flask's receiver has in its table.
fn inbox(dir: &Path) -> Vec<Value> {
    let table = rusqlite::Connection::open(dir.join("inbox.db")).unwrap();
    let mut rows = table.prepare("SELECT body FROM inbox").unwrap();
    let bodies = rows.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    bodies.map(|body| serde_json::from_slice(&body.unwrap()).unwrap()).collect()
}

#[test]
fn express_takes_what_is_genuine() {
    let (running, _, body) = deliver(&EXPRESS);
    forge_pendo(&running, &body);
}

#[test]
fn flask_takes_what_is_genuine_once() {
    let (running, _, body) = deliver(&FLASK);
    forge_pendo(&running, &body);
    let mut events: Vec<String> =
        inbox(running.dir.path()).iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect();
    events.sort();
    events.dedup();
    assert_eq!((inbox(running.dir.path()).len(), events.len()), (8, 8), "{events:?}");
}

#[test]
fn fastapi_takes_what_is_genuine() {
    let (running, key, body) = deliver(&FASTAPI);
    let timestamp = (events::now_ms() / 1000).to_string();
    let id = serde_json::from_slice::<Value>(&body).unwrap()["uniqueId"].as_str().unwrap().to_owned();
    let signature = sign::standard(&key, &id, &timestamp, &body);
    let genuine = [("webhook-id", &*id), ("webhook-timestamp", &timestamp), ("webhook-signature", &signature)];
    forge(&running, &body, &genuine);
}
