//! The real program on a port and a data directory of its own. Dropping it fails the test when its log tells of a
//! panic.

use super::backend::Backend;
use super::http::{self, Answer};
use super::server_backup::ServerBackup;
use super::{PATIENCE, events, files_with, wait_until};
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_fanfare");

/// How long a node may take to end after SIGTERM: what docs/operations.md promises.
const STOP: Duration = Duration::from_secs(30);

/// Retries that come soon. Their number is the default's.
pub const SHORT_RETRIES: [&str; 2] = ["--retry-delays", "100ms,200ms,300ms,400ms,500ms"];

/// What `init` printed.
#[derive(Debug, Clone)]
pub struct Keys {
    pub subscription_id: u64,
    pub app_id: i64,
    pub agent_key: String,
    pub track_secret: String,
    pub integration_key: String,
    pub setup_url: String,
}

impl Keys {
    /// The token of the set-up link.
    #[track_caller]
    pub fn setup_token(&self) -> &str {
        self.setup_url.split_once("?token=").expect("a token").1
    }
}

/// A node under test.
#[derive(Debug)]
pub struct Node {
    dir: TempDir,
    backend: Arc<Backend>,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    child: Option<Child>,
    pub addr: SocketAddr,
    pub keys: Keys,
}

/// A webhook of a node.
#[derive(Debug, Clone)]
pub struct Webhook {
    pub id: String,
    /// What creating it answered.
    pub created: Value,
}

impl Webhook {
    /// Its Standard Webhooks key, which creating it answers.
    #[track_caller]
    pub fn signing_key(&self) -> &str {
        self.created["signing_key"].as_str().expect("a signing key")
    }
}

impl Node {
    /// A node with the default settings (and private addresses allowed).
    pub fn start() -> Self {
        Self::with(&[], &[])
    }

    /// A node whose retries come soon.
    pub fn with_short_retries() -> Self {
        Self::with(&SHORT_RETRIES, &[])
    }

    /// A node with more flags and environment.
    pub fn with(flags: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::that(&[&["--allow-private"], flags].concat(), environment)
    }

    /// A node whose address guard refuses private addresses.
    pub fn guarded(flags: &[&str]) -> Self {
        Self::that(flags, &[])
    }

    /// A node with these flags and no others.
    pub fn that(flags: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::on(Backend::of_this_run(), flags, environment)
    }

    /// A node that keeps everything in files, whatever the run is made with: for what there is with files only.
    pub fn embedded(flags: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::on(Backend::Embedded, &[&["--allow-private"], flags].concat(), environment)
    }

    /// A node that keeps everything on servers, whatever the run is made with.
    pub fn clustered(flags: &[&str]) -> Self {
        Self::on(Backend::cluster(), &[&["--allow-private"], flags].concat(), &[])
    }

    fn on(backend: Backend, flags: &[&str], environment: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment: Vec<_> = backend.environment().into_iter().chain(environment.iter().map(owned)).collect();
        let keys = init(&dir.path().join("data"), &environment);
        let mut node = Self {
            dir,
            backend: Arc::new(backend),
            flags: flags.iter().map(ToString::to_string).collect(),
            environment,
            child: None,
            addr: TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap(),
            keys,
        };
        node.serve();
        node
    }

    /// Another program with the same settings and the same store and journal, on another port: it is started, and not
    /// waited for.
    pub fn beside(&self) -> Self {
        let mut node = Self {
            dir: TempDir::new().unwrap(),
            backend: Arc::clone(&self.backend),
            flags: self.flags.clone(),
            environment: self.environment.clone(),
            child: None,
            addr: TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap(),
            keys: self.keys.clone(),
        };
        node.spawn();
        node
    }

    /// Where this text stands in what the node keeps: files, or tables and entries of the journal.
    pub fn holding(&self, text: &str) -> Vec<String> {
        match &*self.backend {
            Backend::Embedded => {
                files_with(&self.data_dir(), text).iter().map(|path| path.display().to_string()).collect()
            }
            Backend::Cluster(database) => database.holding(text),
        }
    }

    /// The journal's own check of itself, where it is in files.
    pub fn verify_journal(&self) {
        if self.is_embedded() {
            let verify = self.command(&["journal", "verify"]);
            let said = [verify.stdout, verify.stderr].concat();
            assert!(verify.status.success(), "{}", String::from_utf8_lossy(&said));
        }
    }

    /// Whether it keeps everything in files of its data directory.
    pub fn is_embedded(&self) -> bool {
        matches!(*self.backend, Backend::Embedded)
    }

    /// Starts the program on the data directory and waits until it is ready.
    pub fn serve(&mut self) {
        self.spawn();
        self.wait_until_ready();
    }

    /// Waits until it takes events.
    pub fn wait_until_ready(&mut self) {
        wait_until("the node is ready", || {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the node ended with {ended:?} while starting:\n{}", self.log());
            http::call(self.addr, "GET", "/readyz", &[], b"").ok().filter(|answer| answer.status == 200)
        });
    }

    fn spawn(&mut self) {
        let log = OpenOptions::new().create(true).append(true).open(self.log_path()).unwrap();
        let child = Command::new(PROGRAM)
            .args(["serve", "--listen", &self.addr.to_string(), "--data-dir"])
            .arg(self.data_dir())
            .args(&self.flags)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// Freezes it, or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        let pid = rustix::process::Pid::from_child(self.child.as_ref().expect("the node runs"));
        let signal = if frozen { rustix::process::Signal::STOP } else { rustix::process::Signal::CONT };
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Flags for the next start.
    pub fn add_flags(&mut self, flags: &[String]) {
        self.flags.extend_from_slice(flags);
    }

    /// The environment of the next start.
    pub fn set_environment(&mut self, environment: &[(&str, &str)]) {
        let given = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.environment = self.backend.environment().into_iter().chain(given).collect();
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// kill -9, then start again on the same data directory.
    pub fn restart(&mut self) {
        self.kill();
        self.serve();
    }

    /// Sends SIGTERM and goes on.
    pub fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(self.child.as_ref().expect("the node runs"));
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// Waits for the end of a node that was told to end.
    pub fn ended(&mut self) -> ExitStatus {
        let began = Instant::now();
        let mut child = self.child.take().expect("the node runs");
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            if began.elapsed() > STOP {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("the node had not ended {STOP:?} after SIGTERM:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGTERM; it must end with 0 in time.
    pub fn stop(&mut self) {
        self.terminate();
        let status = self.ended();
        assert!(status.success(), "the node ended with {status}:\n{}", self.log());
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A backup of what it keeps on servers.
    pub fn back_up(&self) -> ServerBackup {
        ServerBackup::of(&self.backend)
    }

    /// Puts a backup in the place of what is on the servers.
    pub fn restore(&self, backup: &ServerBackup) {
        backup.restore(&self.backend);
    }

    /// What it keeps in files is moved to servers, and it is started there: it has to be stopped, and is embedded.
    pub fn move_to_servers(&mut self) {
        let backend = Backend::cluster();
        let key = std::fs::read_to_string(self.data_dir().join("master.key")).unwrap();
        let mut environment = backend.environment();
        environment.retain(|(name, _)| name != "FANFARE_MASTER_KEY");
        environment.push((String::from("FANFARE_MASTER_KEY"), key.trim().to_owned()));
        let given: Vec<_> = environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let moved = self.command_with(&["migrate-store"], &given);
        let said = String::from_utf8([moved.stdout, moved.stderr].concat()).unwrap();
        assert!(moved.status.success() && said.contains("entries of the journal"), "{said}");
        let again = self.command_with(&["migrate-store"], &given);
        let said = String::from_utf8(again.stderr).unwrap();
        assert!(!again.status.success() && said.contains("nothing was changed"), "{said}");
        (self.backend, self.environment) = (Arc::new(backend), environment);
        std::fs::rename(self.data_dir(), self.dir.path().join("moved")).unwrap();
        self.serve();
    }

    /// Runs another subcommand of the program on this node's data directory.
    pub fn command(&self, arguments: &[&str]) -> std::process::Output {
        self.command_with(arguments, &[])
    }

    /// The same with this environment.
    pub fn command_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> std::process::Output {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).arg("--data-dir").arg(self.data_dir());
        command.envs(self.backend.environment()).envs(environment.iter().copied());
        command.output().unwrap()
    }

    /// Everything that the node has logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("node.log")
    }
}

/// Calls.
impl Node {
    /// A management call with the integration key. `path` starts after `/api/v1`.
    #[track_caller]
    pub fn api(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let key = format!("Bearer {}", self.keys.integration_key);
        self.call(method, &format!("/api/v1{path}"), &[("Authorization", &key)], body)
    }

    /// A management GET that must answer 200.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        self.api("GET", path, None).expect(200).json()
    }

    /// Any call with a JSON body.
    #[track_caller]
    pub fn call(&self, method: &str, target: &str, headers: &[(&str, &str)], body: Option<Value>) -> Answer {
        let mut headers = headers.to_vec();
        let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        if !bytes.is_empty() && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            headers.push(("Content-Type", "application/json"));
        }
        self.raw(method, target, &headers, &bytes)
    }

    /// Any call with any bytes.
    #[track_caller]
    pub fn raw(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        http::call(self.addr, method, target, headers, body)
            .unwrap_or_else(|error| panic!("{method} {target}: {error}\n{}", self.log()))
    }

    /// Sends a track event through the Track API; the answer, whatever it is.
    #[track_caller]
    pub fn try_track(&self, body: Value) -> Answer {
        self.call("POST", "/data/track", &[("x-pendo-integration-key", &self.keys.track_secret)], Some(body))
    }

    /// Sends a track event named `name` that must be accepted.
    #[track_caller]
    pub fn track(&self, name: &str) {
        self.try_track(events::server_track("ann", name, json!({}))).expect(200);
    }

    /// Sends an agent's batch; the answer, whatever it is.
    #[track_caller]
    pub fn try_events(&self, batch: Value) -> Answer {
        let headers = [("x-fanfare-agent-key", self.keys.agent_key.as_str()), ("User-Agent", events::CHROME)];
        self.call("POST", "/data/events", &headers, Some(batch))
    }

    /// Sends an agent's items, all of which must be accepted.
    #[track_caller]
    pub fn events(&self, items: &[Value]) {
        let answer = self.try_events(events::batch(items)).expect(200).json();
        assert_eq!(answer, json!({"accepted": items.len(), "rejected": []}));
    }

    /// Creates a webhook; it is off.
    #[track_caller]
    pub fn create(&self, settings: Value) -> Webhook {
        let mut body = json!({"name": "test", "type": "url", "categories": "all"});
        body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let created = self.api("POST", "/webhooks", Some(body)).expect(201).json();
        Webhook { id: created["id"].as_str().expect("an id").to_owned(), created }
    }

    /// Creates a webhook and switches it on.
    #[track_caller]
    pub fn webhook(&self, url: &str, settings: Value) -> Webhook {
        let mut body = json!({"url": url});
        body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let webhook = self.create(body);
        self.switch(&webhook, true);
        webhook
    }

    /// Switches a webhook on or off.
    #[track_caller]
    pub fn switch(&self, webhook: &Webhook, on: bool) {
        self.patch(webhook, json!({"enabled": on}));
    }

    /// Edits a webhook.
    #[track_caller]
    pub fn patch(&self, webhook: &Webhook, body: Value) -> Value {
        self.api("PATCH", &format!("/webhooks/{}", webhook.id), Some(body)).expect(200).json()
    }

    /// All deliveries of a webhook that the API shows, newest first.
    #[track_caller]
    pub fn deliveries(&self, webhook: &Webhook) -> Vec<Value> {
        self.list(&format!("/webhooks/{}/deliveries", webhook.id))
    }

    /// What was accepted of what happened in the product: without the events of administrative changes.
    #[track_caller]
    pub fn taken_in(&self) -> Vec<Value> {
        self.list("/events").into_iter().filter(|row| row["event"] != "auditRecorded").collect()
    }

    /// All pages of a list. A query that `path` carries ends with "&".
    #[track_caller]
    pub fn list(&self, path: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        let join = if path.contains('?') { "" } else { "?" };
        let mut page = self.get(&format!("{path}{join}limit=500"));
        loop {
            rows.extend(page["data"].as_array().expect("data").iter().cloned());
            let Some(next) = page["next"].as_str() else { return rows };
            page = self.get(&format!("{path}{join}limit=500&cursor={next}"));
        }
    }

    /// What `/metrics` says now.
    #[track_caller]
    pub fn metrics(&self) -> String {
        String::from_utf8(self.raw("GET", "/metrics", &[], b"").expect(200).body).unwrap()
    }

    /// The value of one series, named as `/metrics` writes it.
    #[track_caller]
    pub fn metric(&self, series: &str) -> Option<f64> {
        let text = self.metrics();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        Some(value.parse().unwrap())
    }

    /// Waits until the webhook's only delivery has this state; the delivery with all its attempts.
    #[track_caller]
    pub fn settled(&self, webhook: &Webhook, state: &str) -> Value {
        let row = wait_until(&format!("a delivery is {state}"), || {
            self.deliveries(webhook).into_iter().find(|row| row["status"] == state)
        });
        self.get(&format!("/deliveries/{}", row["id"].as_str().expect("an id")))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        let log = self.log();
        if std::thread::panicking() {
            eprintln!("--- the node's log ends:\n{}", &log[floor(&log, log.len().saturating_sub(8000))..]);
        } else {
            assert!(!log.contains("panicked at"), "the node panicked:\n{log}");
            assert!(!log.contains("a webhook stood still"), "an alarm was lost:\n{log}");
        }
    }
}

fn init(data_dir: &std::path::Path, environment: &[(String, String)]) -> Keys {
    let mut command = Command::new(PROGRAM);
    command.arg("init").arg("--data-dir").arg(data_dir).arg("--json").envs(environment.iter().cloned());
    let output = command.output().unwrap();
    assert!(output.status.success(), "init: {}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("init prints one JSON object");
    let text = |name: &str| answer[name].as_str().unwrap_or_else(|| panic!("init: no {name} in {answer}")).to_owned();
    Keys {
        subscription_id: answer["subscription_id"].as_u64().expect("subscription_id"),
        app_id: answer["app_id"].as_i64().expect("app_id"),
        agent_key: text("agent_key"),
        track_secret: text("track_secret"),
        integration_key: text("integration_key"),
        setup_url: text("setup_url"),
    }
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

/// Deadlines of tests are longer than a node may take to stop.
const _: () = assert!(PATIENCE.as_secs() > STOP.as_secs());
