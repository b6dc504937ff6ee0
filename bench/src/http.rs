//! The runner's own calls of the management API: one blocking connection, kept alive.

use crate::wire::{complete_message, header, read_digits};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client of one server.
#[derive(Debug)]
pub struct Client {
    addr: SocketAddr,
    key: String,
    stream: Option<TcpStream>,
}

impl Client {
    /// A client that authenticates with an integration key.
    pub fn new(addr: SocketAddr, key: &str) -> Self {
        Self { addr, key: key.to_owned(), stream: None }
    }

    /// Authenticates with another key from now on, over a connection of its own.
    pub fn act_as(&mut self, key: &str) {
        key.clone_into(&mut self.key);
        self.stream = None;
    }

    /// Makes a call that must succeed; the rate limit of the API is waited for.
    pub fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        loop {
            let (status, answer) = self.exchange(method, path, body)?;
            match status {
                200..=299 => return Ok(answer),
                429 => std::thread::sleep(Duration::from_millis(100)),
                _ => bail!("{method} {path} was answered with {status}: {answer}"),
            }
        }
    }

    /// Reads a text.
    pub fn text(&mut self, path: &str) -> Result<String> {
        let answer = self.ask("GET", path, "text/plain", "")?;
        Ok(String::from_utf8(answer.body)?)
    }

    /// Makes a call once; the status and the body (null when it is not JSON).
    pub fn exchange(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let body = body.map(Value::to_string).unwrap_or_default();
        self.send(method, path, "application/json", &body)
    }

    /// The same with a body of any type.
    pub fn send(&mut self, method: &str, path: &str, content_type: &str, body: &str) -> Result<(u16, Value)> {
        let answer = self.ask(method, path, content_type, body)?;
        Ok((answer.status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null)))
    }

    /// After an error the next call makes a new connection. A question over one that was kept, and that the server has closed
    /// meanwhile, is asked again.
    fn ask(&mut self, method: &str, path: &str, content_type: &str, body: &str) -> Result<Answer> {
        let was_kept = self.stream.is_some();
        let mut result = self.try_send(method, path, content_type, body);
        if result.is_err() {
            self.stream = None;
            if was_kept && method == "GET" {
                result = self.try_send(method, path, content_type, body);
            }
        }
        result.with_context(|| format!("{method} {path}"))
    }

    fn try_send(&mut self, method: &str, path: &str, content_type: &str, body: &str) -> Result<Answer> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: {content_type}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.addr,
            self.key,
            body.len()
        );
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect_timeout(&self.addr, PATIENCE)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_nodelay(true)?;
                none.insert(stream)
            }
        };
        stream.write_all(request.as_bytes())?;
        let answer = read_answer(stream)?;
        if answer.closes {
            self.stream = None;
        }
        Ok(answer)
    }
}

struct Answer {
    status: u16,
    body: Vec<u8>,
    closes: bool,
}

fn read_answer(stream: &mut TcpStream) -> Result<Answer> {
    let mut bytes = Vec::new();
    let mut part = [0; 16 * 1024];
    loop {
        let read = stream.read(&mut part)?;
        if read == 0 {
            bail!("the server closed the connection");
        }
        bytes.extend_from_slice(&part[..read]);
        let Some(digits) = bytes.get(9..12) else { continue };
        let status = read_digits(digits).context("no HTTP answer")? as u16;
        if status == 204 && bytes.ends_with(b"\r\n\r\n") {
            return Ok(Answer { status, body: Vec::new(), closes: false });
        }
        if let Some(message) = complete_message(&bytes).map_err(anyhow::Error::msg)? {
            let closes = header(&bytes[..message.body], b"connection").is_some_and(|value| value == b"close");
            return Ok(Answer { status, body: bytes[message.body..message.end].to_vec(), closes });
        }
    }
}
