//! Segment's tracking API as its documentation describes it: what it refuses, and what it takes with a 200 and drops all
//! the same.

use super::receiver::{Receiver, Reply, Request};
use super::wait_until;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

/// Largest request: "32KB or smaller".
const REQUEST_BYTES: usize = 32 * 1024;

/// The longest `messageId`: "fewer than 100 characters".
const MESSAGE_ID_CHARS: usize = 99;

/// A source at Segment.
pub struct Segment {
    pub receiver: Receiver,
    source: Arc<Mutex<Source>>,
}

#[derive(Default)]
struct Source {
    write_key: String,
    /// Requests that are answered with 429 before any other is.
    limited: usize,
    accepted: Vec<Value>,
    /// What its Debugger would say of messages that were answered with 200.
    dropped: Vec<String>,
    /// By `messageId`. All tests are within its 24 hours.
    seen: HashSet<String>,
}

impl Segment {
    /// A source with this write key.
    pub fn start(write_key: &str) -> Self {
        let source = Arc::new(Mutex::new(Source { write_key: write_key.to_owned(), ..Source::default() }));
        let of_script = Arc::clone(&source);
        let receiver = Receiver::by(move |request, _| of_script.lock().unwrap().answer(request));
        Self { receiver, source }
    }

    /// Where it is.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.receiver.addr)
    }

    /// Answers the next `count` requests with 429.
    pub fn limit(&self, count: usize) {
        self.source.lock().unwrap().limited = count;
    }

    /// What it has kept, once these are so many.
    #[track_caller]
    pub fn accepted(&self, count: usize) -> Vec<Value> {
        wait_until(&format!("Segment has {count} events"), || {
            let source = self.source.lock().unwrap();
            (source.accepted.len() >= count).then(|| source.accepted.clone())
        })
    }

    /// Why it has dropped what it has answered with 200.
    pub fn dropped(&self) -> Vec<String> {
        self.source.lock().unwrap().dropped.clone()
    }
}

impl Source {
    fn answer(&mut self, request: &Request) -> Reply {
        if request.line != "POST /v1/track HTTP/1.1" {
            return refuse(404, "not found");
        }
        if self.limited > 0 {
            self.limited -= 1;
            let headers = vec![("Retry-After", String::from("1")), ("X-RateLimit-Reset", String::from("1"))];
            return Reply::Full(429, headers, b"{\"success\":false}".to_vec());
        }
        if request.header("content-type").is_none_or(|kind| !kind.starts_with("application/json")) {
            return refuse(400, "content type");
        }
        if request.body.len() > REQUEST_BYTES {
            return refuse(400, "payload too large");
        }
        let Ok(message) = serde_json::from_slice::<Value>(&request.body) else { return refuse(400, "malformed JSON") };
        match self.fault(request, &message) {
            None => self.accepted.push(message),
            Some(fault) => self.dropped.push(fault.to_owned()),
        }
        Reply::Full(200, vec![], b"{\"success\":true}".to_vec())
    }

    /// Why the message is not kept although it is answered with 200.
    fn fault(&mut self, request: &Request, message: &Value) -> Option<&'static str> {
        let text = |name: &str| message[name].as_str().filter(|text| !text.is_empty());
        let basic = request.header("authorization").and_then(|value| {
            let decoded = BASE64_STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
            String::from_utf8(decoded).ok()?.strip_suffix(':').map(str::to_owned)
        });
        let id = text("messageId").unwrap_or_default();
        let is_time = |text: &str| text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok();
        let checks = [
            (basic.as_deref().or(text("writeKey")) == Some(&self.write_key), "unknown write key"),
            (text("type") == Some("track"), "type"),
            (text("event").is_some(), "no event"),
            (text("userId").or(text("anonymousId")).is_some(), "no_user_anon_id"),
            (message["properties"].is_object(), "properties"),
            (message["context"].is_object(), "context"),
            (!id.is_empty() && id.chars().count() <= MESSAGE_ID_CHARS, "messageId"),
            (text("timestamp").is_some_and(is_time), "timestamp"),
        ];
        let fault = checks.into_iter().find(|(holds, _)| !holds).map(|(_, fault)| fault);
        fault.or_else(|| (!self.seen.insert(id.to_owned())).then_some("repeated messageId"))
    }
}

fn refuse(status: u16, why: &str) -> Reply {
    Reply::Full(status, vec![], format!("{{\"success\":false,\"message\":\"{why}\"}}").into_bytes())
}
