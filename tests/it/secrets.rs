//! No secret can be read back: not from a file of the data directory, not from the log, not from any answer.

use crate::support::{Node, Receiver, Reply};
use serde_json::json;
use std::path::{Path, PathBuf};

const SECRET: &str = "a webhook's very own secret \u{e9}";
const NEXT_SECRET: &str = "and the one that came after it";

/// Every file below a directory but the master key, which is what the secrets are sealed with.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.flat_map(below).filter(|path| !path.ends_with("master.key")).collect()
}

fn holds(bytes: &[u8], secret: &[u8]) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret)
}

#[test]
fn secrets_are_in_no_file_no_log_and_no_answer() {
    // Small journal files: each is searched byte by byte.
    let mut node = Node::with(&["--log", "debug", "--journal-segment-size", "4MiB"], &[]);
    let receiver = Receiver::always(Reply::Status(400));
    let webhook = node.webhook(&receiver.url(), json!({"secret": SECRET}));
    let signing_key = webhook.created["signing_key"].as_str().unwrap().strip_prefix("whsec_").unwrap().to_owned();
    let key = node.api("POST", "/keys", Some(json!({"name": "k", "role": "admin"}))).expect(201).json();
    let path = format!("/apps/{}/rotate-track-secret", node.keys.app_id);
    let rotated = node.api("POST", &path, None).expect(200).json();
    node.track("one");
    node.settled(&webhook, "failed");
    node.api("POST", &format!("/webhooks/{}/test", webhook.id), None).expect(200);
    node.patch(&webhook, json!({"secret": NEXT_SECRET}));
    // A wrong key must not be repeated to the log either, for it may be a right one mistyped.
    let guess = [("Authorization", "Bearer ff_key_almost_right")];
    node.call("GET", "/api/v1/keys", &guess, None).expect(401);

    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut secrets = vec![SECRET.to_owned(), NEXT_SECRET.to_owned(), signing_key];
    secrets.extend([text(&key["key"]), text(&rotated["track_secret"])]);
    secrets.extend([node.keys.integration_key.clone(), node.keys.track_secret.clone()]);
    let deliveries = format!("/webhooks/{}/deliveries", webhook.id);
    let delivery = format!("/deliveries/{}", text(&node.deliveries(&webhook)[0]["id"]));
    let webhook = format!("/webhooks/{}", webhook.id);
    for path in ["/webhooks", &webhook, &deliveries, &delivery, "/events", "/keys", "/apps", "/audit-log"] {
        let answer = node.get(path).to_string();
        assert_eq!(secrets.iter().find(|secret| answer.contains(secret.as_str())), None, "GET {path} shows it");
    }
    node.kill();
    secrets.push(String::from("ff_key_almost_right"));
    let log = node.log();
    let files = files(&node.data_dir());
    assert!(log.contains("DEBUG") && files.len() >= 4, "{files:?}\n{log}");
    for secret in &secrets {
        assert!(!log.contains(secret.as_str()), "the log shows {secret}");
        for file in &files {
            assert!(!holds(&std::fs::read(file).unwrap(), secret.as_bytes()), "{} holds {secret}", file.display());
        }
    }
}
