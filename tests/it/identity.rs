//! `JSON.stringify(JSON.parse(body)) === body`, judged by a JavaScript engine, through the whole program.

use crate::support::events::server_track;
use crate::support::{Node, Receiver};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

/// Prints the index of each line (base64 of a body) that is not the same after parsing and writing.
const JUDGE: &str = "
const lines = require('fs').readFileSync(0, 'utf8').trim().split('\\n');
lines.forEach((line, index) => {
  const body = Buffer.from(line, 'base64').toString('utf8');
  if (JSON.stringify(JSON.parse(body)) !== body) console.log(index, body);
});
console.log('judged', lines.length);
";

#[test]
fn bodies_survive_a_javascript_round_trip() {
    let node = Node::start();
    let receiver = Receiver::ok();
    node.webhook(&receiver.url(), json!({}));
    let texts = [
        "\"quoted\" \\ /",
        "<>&'",
        "\u{2028}\u{2029}",
        "\u{1f469}\u{200d}\u{1f680}",
        "\u{0}\u{1f}\u{7f}\t\n",
        "\u{fffd}\u{feff}é",
    ];
    let numbers: Vec<Value> = [
        "0",
        "-0",
        "1e21",
        "1E-7",
        "0.1",
        "123456789012345680000",
        "9007199254740991",
        "-9007199254740991",
        "5e-324",
        "1.7976931348623157e308",
        "100",
        "1.0",
        "1e2",
    ]
    .iter()
    .map(|text| serde_json::from_str(text).unwrap())
    .collect();
    for (index, text) in texts.iter().enumerate() {
        let properties = json!({"text": text, (*text): {"\u{e9}": 1, "z": [numbers, text, null, true]}});
        node.try_track(server_track(text, &format!("{index}{text}"), properties)).expect(200);
    }
    let requests = receiver.wait(texts.len());
    for text in texts {
        assert!(requests.iter().any(|request| request.json()["visitorId"] == text), "{text:?}");
    }
    let bodies: Vec<&[u8]> = requests.iter().map(|request| request.body.as_slice()).collect();
    assert_eq!(judge(&bodies), format!("judged {}\n", texts.len()));
}

/// Integers beyond 2^53 keep their digits: the one place where a body is more exact than JavaScript.
#[test]
fn big_integers_keep_their_digits() {
    let node = Node::start();
    let receiver = Receiver::ok();
    node.webhook(&receiver.url(), json!({}));
    let body = r#"{"type":"track","event":"big","visitorId":"v","properties":{"a":12345678901234567890123,"b":-9007199254740993}}"#;
    let headers = [("x-pendo-integration-key", node.keys.track_secret.as_str()), ("Content-Type", "application/json")];
    node.raw("POST", "/data/track", &headers, body.as_bytes()).expect(200);
    let request = receiver.wait_for("big");
    let text = String::from_utf8(request.body).unwrap();
    assert!(text.contains(r#""eventProperties":{"a":12345678901234567890123,"b":-9007199254740993}"#), "{text}");
}

fn judge(bodies: &[&[u8]]) -> String {
    use base64::Engine;
    let mut node = Command::new("node")
        .args(["-e", JUDGE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs node");
    let lines: Vec<String> = bodies.iter().map(|body| base64::engine::general_purpose::STANDARD.encode(body)).collect();
    node.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
    String::from_utf8(node.wait_with_output().unwrap().stdout).unwrap()
}
