//! Requests to the server, built once; per event only digits are overwritten.

use super::{SEQUENCE_BASE, check_value, filler, write_digits, write_hex};
use serde::{Deserialize, Serialize};

/// How many different visitors the events are spread over.
const VISITORS: u64 = 10_000;

/// Which way the events take in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Shape {
    /// One event per request, through the Track API.
    Track {
        /// Track secrets of one app or more, all of the same length: each event is the next app's.
        secrets: Vec<String>,
    },
    /// Several track items per request, as the browser agent sends them.
    Batch {
        /// The app's agent key.
        key: String,
        /// Items per request.
        items: usize,
    },
}

impl Shape {
    /// Events per request.
    pub fn items(&self) -> usize {
        match self {
            Self::Track { .. } => 1,
            Self::Batch { items, .. } => *items,
        }
    }
}

/// A complete request, and where the values of each of its events stand in it.
#[derive(Debug, Clone)]
pub struct Template {
    bytes: Vec<u8>,
    items: Vec<Slots>,
    /// Where the key stands, and the keys that take turns there.
    key: usize,
    keys: Vec<String>,
}

#[derive(Debug, Clone, Default)]
struct Slots {
    visitor: usize,
    check: usize,
    sequence: usize,
    time: usize,
    id: Option<usize>,
    browser_time: Option<usize>,
}

impl Template {
    /// The request of this shape to the server at `host`.
    pub fn new(shape: &Shape, host: &str) -> Self {
        let (path, key_header, keys, body) = match shape {
            Shape::Track { secrets } => ("/data/track", "x-pendo-integration-key", secrets.clone(), track_body()),
            Shape::Batch { key, items } => {
                ("/data/events", "x-fanfare-agent-key", vec![key.clone()], batch_body(*items))
            }
        };
        let start = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\n{key_header}: ");
        let head = format!(
            "{start}{}\r\nContent-Type: application/json\r\n\
             User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36\r\n\
             Content-Length: {}\r\n\r\n",
            keys.first().map_or("", String::as_str),
            body.len()
        );
        let items = slots(&body, head.len());
        Self { bytes: [head.as_bytes(), body.as_bytes()].concat(), items, key: start.len(), keys }
    }

    /// Writes the events numbered `sequence(0..)`, all sent at `time_us`, into the request and shows it.
    pub fn patch(&mut self, time_us: u64, sequence: impl Fn(usize) -> u64) -> &[u8] {
        if self.keys.len() > 1 {
            let key = self.keys[sequence(0) as usize % self.keys.len()].as_bytes();
            self.bytes[self.key..self.key + key.len()].copy_from_slice(key);
        }
        for (index, slots) in self.items.iter().enumerate() {
            let number = sequence(index);
            let bytes = &mut self.bytes;
            write_digits(&mut bytes[slots.visitor..slots.visitor + 6], number % VISITORS);
            write_hex(&mut bytes[slots.check..slots.check + 16], check_value(number));
            write_digits(&mut bytes[slots.sequence..slots.sequence + 12], SEQUENCE_BASE + number);
            write_digits(&mut bytes[slots.time..slots.time + 16], time_us);
            if let Some(id) = slots.id {
                write_digits(&mut bytes[id..id + 12], number);
            }
            if let Some(browser_time) = slots.browser_time {
                write_digits(&mut bytes[browser_time..browser_time + 13], time_us / 1000);
            }
        }
        &self.bytes
    }
}

fn properties() -> String {
    format!(r#"{{"c":"0000000000000000","n":{SEQUENCE_BASE},"pad":"{}","t":1000000000000000}}"#, filler())
}

fn track_body() -> String {
    format!(
        r#"{{"type":"track","event":"Bench","visitorId":"visitor-000000","accountId":"account-1","properties":{}}}"#,
        properties()
    )
}

fn batch_body(items: usize) -> String {
    let item = format!(
        r#"{{"type":"track","id":"item-000000000000","visitorId":"visitor-000000","accountId":"account-1","browserTime":1000000000000,"name":"Bench","properties":{}}}"#,
        properties()
    );
    format!(r#"{{"agentVersion":"2.33.0","events":[{}]}}"#, vec![item; items].join(","))
}

/// Finds the places to patch: each follows a text that occurs once per event.
fn slots(body: &str, offset: usize) -> Vec<Slots> {
    let after = |from: usize, mark: &str| body[from..].find(mark).map(|at| from + at + mark.len());
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(visitor) = after(from, "\"visitorId\":\"visitor-") {
        let id = after(from, "\"id\":\"item-").filter(|at| *at < visitor);
        let check = after(visitor, "{\"c\":\"").unwrap_or(visitor);
        let browser_time = after(visitor, "\"browserTime\":").filter(|at| *at < check);
        let sequence = after(check, "\"n\":").unwrap_or(check);
        let time = after(sequence, "\"t\":").unwrap_or(sequence);
        from = time;
        found.push(Slots {
            visitor: visitor + offset,
            check: check + offset,
            sequence: sequence + offset,
            time: time + offset,
            id: id.map(|at| at + offset),
            browser_time: browser_time.map(|at| at + offset),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::{complete_message, read_digits};
    use super::*;
    use serde_json::Value;

    fn body(request: &[u8]) -> Value {
        let complete = complete_message(request).unwrap().unwrap();
        assert_eq!(complete.end, request.len());
        serde_json::from_slice(&request[complete.body..complete.end]).unwrap()
    }

    #[test]
    fn a_track_request_carries_its_values() {
        let mut template = Template::new(&Shape::Track { secrets: vec!["s".into()] }, "h");
        let json = body(template.patch(1_626_803_875_000_123, |_| 4_242));
        assert_eq!(json["properties"]["n"], SEQUENCE_BASE + 4_242);
        assert_eq!(json["properties"]["t"], 1_626_803_875_000_123_u64);
        assert_eq!(json["properties"]["c"], format!("{:016x}", check_value(4_242)));
        assert_eq!(json["visitorId"], "visitor-004242");
    }

    #[test]
    fn apps_take_turns() {
        let secrets = ["one", "two", "six"].map(String::from).to_vec();
        let mut template = Template::new(&Shape::Track { secrets }, "h");
        for (number, secret) in [(7, "two"), (8, "six"), (9, "one"), (10, "two")] {
            let request = String::from_utf8(template.patch(0, |_| number).to_vec()).unwrap();
            assert!(request.contains(&format!("\r\nx-pendo-integration-key: {secret}\r\n")), "{request}");
        }
    }

    #[test]
    fn each_item_of_a_batch_carries_its_own() {
        let mut template = Template::new(&Shape::Batch { key: "k".into(), items: 100 }, "h");
        let json = body(template.patch(1_626_803_875_000_123, |index| 7 + 2 * index as u64));
        let items = json["events"].as_array().unwrap();
        assert_eq!(items.len(), 100);
        for (index, item) in items.iter().enumerate() {
            let number = 7 + 2 * index as u64;
            assert_eq!(item["properties"]["n"], SEQUENCE_BASE + number);
            assert_eq!(item["id"], format!("item-{number:012}"));
            assert_eq!(item["browserTime"], 1_626_803_875_000_u64);
        }
    }

    #[test]
    fn digits_read_back() {
        let mut text = [0; 16];
        write_digits(&mut text, 1_626_803_875_000_123);
        assert_eq!(read_digits(&text), Some(1_626_803_875_000_123));
        assert_eq!(read_digits(b"12x"), None);
    }
}
