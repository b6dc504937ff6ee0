//! Deliveries as they happen, as somebody sees them who looks on.

use crate::support::{Node, PATIENCE, Receiver, Reply, Webhook, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// One message of a stream: its name and its data. A beat has neither.
type Message = (String, Value);

/// An open stream.
struct Stream {
    reader: BufReader<TcpStream>,
    status: u16,
    pending: String,
}

impl Stream {
    fn open(node: &Node, webhook: &Webhook, query: &str, key: &str) -> Self {
        let mut socket = TcpStream::connect(node.addr).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let path = format!("/api/v1/webhooks/{}/deliveries/live{query}", webhook.id);
        write!(socket, "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {key}\r\n\r\n", node.addr).unwrap();
        let mut reader = BufReader::new(socket);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        while !line.trim().is_empty() {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        Self { reader, status, pending: String::new() }
    }

    fn of_admin(node: &Node, webhook: &Webhook) -> Self {
        let stream = Self::open(node, webhook, "", &node.keys.integration_key);
        assert_eq!(stream.status, 200);
        stream
    }

    /// The next chunk of the response's body; nothing at its end.
    fn chunk(&mut self) -> Option<String> {
        let mut size = String::new();
        self.reader.read_line(&mut size).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        self.reader.read_exact(&mut chunk).unwrap();
        chunk.truncate(size);
        (size > 0).then(|| String::from_utf8(chunk).unwrap())
    }

    /// The next message that is not a beat; nothing at the end of the stream.
    fn next(&mut self) -> Option<Message> {
        loop {
            while let Some((message, rest)) = self.pending.split_once("\n\n") {
                let fields: Vec<_> = message.lines().filter_map(|line| line.split_once(": ")).collect();
                let field = |name: &str| fields.iter().find(|(of, _)| *of == name).map(|(_, value)| *value);
                let found = field("event").zip(field("data"));
                let found = found.map(|(name, data)| (name.to_owned(), serde_json::from_str(data).unwrap()));
                self.pending = rest.to_owned();
                if found.is_some() {
                    return found;
                }
            }
            let chunk = self.chunk()?;
            self.pending.push_str(&chunk);
        }
    }

    /// Reads on until a delivery stands so.
    fn until(&mut self, status: &str) -> Value {
        loop {
            let (name, data) = self.next().expect("the stream goes on");
            let rows = data.as_array().filter(|_| name == "deliveries").into_iter().flatten();
            if let Some(found) = rows.into_iter().find(|row| row["status"] == status) {
                return found.clone();
            }
        }
    }
}

#[test]
fn what_happens_is_told_to_those_who_look_on() {
    let node = Node::with(&["--retry-delays", "300ms", "--retry-jitter", "0"], &[]);
    let receiver = Receiver::ok();
    let webhook = node.webhook(&receiver.url(), json!({}));
    node.track("before");
    node.settled(&webhook, "delivered");
    let mut stream = Stream::of_admin(&node, &webhook);
    let (name, first) = stream.next().unwrap();
    assert_eq!((name.as_str(), first.as_array().unwrap().len()), ("deliveries", 1));

    node.track("after");
    let told = stream.until("delivered");
    assert_ne!(told["id"], first[0]["id"]);
    let listed = node.get(&format!("/webhooks/{}/deliveries", webhook.id));
    assert_eq!(listed["data"][0], told, "as a page has it");

    let failing = Receiver::always(Reply::Status(503));
    node.patch(&webhook, json!({"url": failing.url()}));
    node.track("unlucky");
    let retrying = stream.until("retrying");
    let failed = stream.until("failed");
    assert_eq!(retrying["id"], failed["id"]);
    assert_eq!((retrying["attempt_count"].as_u64(), failed["attempt_count"].as_u64()), (Some(1), Some(2)));
}

#[test]
fn a_burst_is_told_as_rows_and_as_a_number_of_those_left_out() {
    let node = Node::start();
    let receiver = Receiver::ok();
    let webhook = node.webhook(&receiver.url(), json!({}));
    let mut stream = Stream::of_admin(&node, &webhook);
    assert_eq!(stream.next().unwrap().1, json!([]));
    let items: Vec<_> = (0..400).map(|_| json!({"type": "track", "visitorId": "ann", "name": "burst"})).collect();
    let batch = json!({"agentVersion": "2.33.0", "events": items});
    node.call("POST", "/data/events", &[("x-fanfare-agent-key", &node.keys.agent_key)], Some(batch)).expect(200);
    // The batch is also Ann's first sight.
    let (mut rows, mut skipped) = (BTreeMap::new(), 0);
    while rows.len() as u64 + skipped < 401 {
        let (name, data) = stream.next().expect("the stream goes on");
        if name == "skipped" {
            assert_eq!(data["at_least"], false);
            skipped += data["deliveries"].as_u64().unwrap();
        } else {
            let told = data.as_array().unwrap();
            assert!(told.len() <= 100, "{}", told.len());
            rows.extend(told.iter().map(|row| (row["id"].to_string(), row.clone())));
        }
    }
    assert_eq!(rows.len() as u64 + skipped, 401);
}

#[test]
fn a_stream_tells_of_what_was_asked_for() {
    let node = Node::with(&["--retry-delays", "50ms"], &[]);
    let receiver = Receiver::always(Reply::Status(404));
    let webhook = node.webhook(&receiver.url(), json!({}));
    node.track("unlucky");
    node.settled(&webhook, "failed");
    let mut stream = Stream::open(&node, &webhook, "?status=failed", &node.keys.integration_key);
    assert_eq!(stream.until("failed")["event"], "trackEventReceived");
    let mut other = Stream::open(&node, &webhook, "?status=delivered", &node.keys.integration_key);
    assert_eq!(other.next().unwrap().1, json!([]));
    assert_eq!(Stream::open(&node, &webhook, "?status=nonsense", &node.keys.integration_key).status, 400);
}

#[test]
fn a_stream_ends_with_the_credential_that_opened_it() {
    let node = Node::start();
    let receiver = Receiver::ok();
    let webhook = node.webhook(&receiver.url(), json!({}));
    let made = node.api("POST", "/keys", Some(json!({"name": "m", "role": "member"}))).expect(201).json();
    let mut stream = Stream::open(&node, &webhook, "", made["key"].as_str().unwrap());
    assert_eq!(stream.next().unwrap().1, json!([]));
    node.api("DELETE", &format!("/keys/{}", made["id"].as_str().unwrap()), None).expect(204);
    while stream.next().is_some() {}
}

#[test]
fn a_stream_ends_with_its_webhook_and_with_the_node() {
    let mut node = Node::start();
    let receiver = Receiver::ok();
    let webhook = node.webhook(&receiver.url(), json!({}));
    let mut stream = Stream::of_admin(&node, &webhook);
    assert!(stream.next().is_some());
    node.api("DELETE", &format!("/webhooks/{}", webhook.id), None).expect(204);
    while stream.next().is_some() {}

    let webhook = node.webhook(&receiver.url(), json!({}));
    let mut stream = Stream::of_admin(&node, &webhook);
    assert!(stream.next().is_some());
    node.terminate();
    while stream.next().is_some() {}
    assert!(node.ended().success());
}

#[test]
fn streams_are_counted() {
    let node = Node::start();
    let webhook = node.webhook(&Receiver::ok().url(), json!({}));
    let key = node.keys.integration_key.clone();
    let open: Vec<_> = (0..16).map(|_| Stream::of_admin(&node, &webhook)).collect();
    assert_eq!(Stream::open(&node, &webhook, "", &key).status, 429);
    drop(open);
    wait_until("there is a place again", || (Stream::open(&node, &webhook, "", &key).status == 200).then_some(()));
}
