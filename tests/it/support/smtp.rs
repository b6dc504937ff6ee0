//! A real mail server (aiosmtpd) on a port of its own.

use super::wait_until;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// What the server asks for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asks<'a> {
    /// none, starttls or tls; "" is none.
    pub security: &'a str,
    /// Name and password, when it asks for them.
    pub login: Option<(&'a str, &'a str)>,
    /// How many messages it refuses first, and with which code.
    pub refuses: (u32, u16),
}

/// A mail server under test; dropping it ends it.
#[derive(Debug)]
pub struct Smtp {
    child: Child,
    lines: Arc<Mutex<Vec<Value>>>,
    dir: TempDir,
    pub port: u16,
}

impl Smtp {
    /// Starts one that takes everything.
    pub fn start() -> Self {
        Self::that(Asks::default())
    }

    /// Starts one that asks for something.
    pub fn that(asks: Asks<'_>) -> Self {
        let dir = TempDir::new().unwrap();
        let certified = rcgen::generate_simple_self_signed([String::from("localhost")]).unwrap();
        let (certificate, key) = (dir.path().join("certificate.pem"), dir.path().join("key.pem"));
        std::fs::write(&certificate, certified.cert.pem()).unwrap();
        std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
        let (user, password) = asks.login.unwrap_or_default();
        let (count, code) = asks.refuses;
        let security = if asks.security.is_empty() { "none" } else { asks.security };
        let mut child = Command::new(python())
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/smtp_server.py"))
            .arg(security)
            .args([&certificate, &key])
            .args([user, password, &count.to_string(), &code.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let lines: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (stdout, read) = (child.stdout.take().unwrap(), Arc::clone(&lines));
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                read.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        let mut smtp = Self { child, lines, dir, port: 0 };
        let what = "the mail server says its port (it needs aiosmtpd: `make test` installs it)";
        let port = wait_until(what, || {
            assert!(smtp.child.try_wait().unwrap().is_none(), "it ended: {what}");
            smtp.lines.lock().unwrap().first()?["port"].as_u64()
        });
        smtp.port = port as u16;
        smtp
    }

    /// The flags of a node that sends through it, with this protection.
    pub fn flags(&self, security: &str) -> Vec<String> {
        let port = self.port.to_string();
        let server = ["--smtp-host", "localhost", "--smtp-port", &port, "--smtp-security", security];
        let from = ["--mail-from", "Fanfare <mail@example.com>"];
        server.iter().chain(&from).map(ToString::to_string).collect()
    }

    /// The certificate that it shows.
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("certificate.pem")
    }

    /// Waits until it has taken or refused so many messages, and gives what it said of each.
    #[track_caller]
    pub fn wait(&self, count: usize) -> Vec<Value> {
        wait_until(&format!("{count} mails"), || {
            let lines = self.lines.lock().unwrap();
            (lines.len() > count).then(|| lines[1..].to_vec())
        })
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// The Python that `make test` has prepared: it says where, and a bare `cargo nextest run` finds its usual place.
pub fn python() -> PathBuf {
    let told = std::env::var_os("TEST_PYTHON").map(PathBuf::from);
    let usual = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/fanfare-tools/python/bin/python"));
    told.or_else(usual).filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from("python3"))
}
