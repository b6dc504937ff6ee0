//! A real OpenID Connect provider (oidc-provider-mock) on a port of its own.

use super::http::{self, Answer};
use super::smtp::python;
use super::wait_until;
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

/// A provider under test; dropping it ends it.
#[derive(Debug)]
pub struct Provider {
    child: Child,
    pub addr: SocketAddr,
    pub client_id: String,
    pub client_secret: String,
}

impl Provider {
    /// Starts one that knows us, and sends browsers back to a path of `http://fanfare.test`.
    pub fn start(callback: &str) -> Self {
        let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(python());
        command.args(["-W", "ignore", "-m", "oidc_provider_mock", "--port", &addr.port().to_string()]);
        command.args(["--require-registration", "true", "--require-nonce", "true"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.expect("python3 starts");
        let mut provider = Self { child, addr, client_id: String::new(), client_secret: String::new() };
        let what = "the provider answers (it needs oidc-provider-mock: `make test` installs it)";
        let client = wait_until(what, || {
            assert!(provider.child.try_wait().unwrap().is_none(), "it ended: {what}");
            let body = json!({"redirect_uris": [format!("http://fanfare.test{callback}")]}).to_string();
            let answer = call(addr, "POST", "/oauth2/clients", "application/json", &body).ok()?;
            (answer.status == 201).then(|| answer.json())
        });
        client["client_id"].as_str().unwrap().clone_into(&mut provider.client_id);
        client["client_secret"].as_str().unwrap().clone_into(&mut provider.client_secret);
        provider
    }

    /// The flags of a node that knows it.
    pub fn flags(&self) -> Vec<String> {
        let issuer = format!("http://{}", self.addr);
        let flags = ["--oidc-issuer", &issuer, "--oidc-client-id", &self.client_id];
        flags.iter().chain(&["--public-url", "http://fanfare.test"]).map(ToString::to_string).collect()
    }

    /// What it knows of somebody.
    pub fn knows(&self, subject: &str, claims: Value) {
        let path = format!("/users/{subject}");
        call(self.addr, "PUT", &path, "application/json", &claims.to_string()).unwrap().expect(204);
    }

    /// Somebody signs in there, having been sent to this URL; the path and query with which they come back.
    pub fn sign_in(&self, url: &str, subject: &str) -> String {
        let target = url.strip_prefix(&format!("http://{}", self.addr)).expect("a URL of the provider");
        let form = format!("sub={subject}");
        let answer = call(self.addr, "POST", target, "application/x-www-form-urlencoded", &form).unwrap().expect(302);
        let back = answer.header("location").unwrap();
        back.strip_prefix("http://fanfare.test").expect("back to us").to_owned()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

fn call(addr: SocketAddr, method: &str, target: &str, kind: &str, body: &str) -> std::io::Result<Answer> {
    http::call(addr, method, target, &[("Content-Type", kind)], body.as_bytes())
}
