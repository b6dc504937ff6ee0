//! What every test needs: a node, receivers, events, patience.

pub mod backend;
pub mod events;
pub mod http;
pub mod node;
pub mod program;
pub mod provider;
pub mod proxy;
pub mod receiver;
pub mod relay;
pub mod segment;
pub mod server_backup;
pub mod sign;
pub mod smtp;

pub use node::{Node, Webhook};
pub use receiver::{Receiver, Reply, Request};
pub use relay::Relay;
pub use segment::Segment;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up. Generous: a loaded machine is not a fault.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until there is an answer.
#[track_caller]
pub fn wait_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "gave up after {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The files below `dir` that hold these bytes.
pub fn files_with(dir: &Path, needle: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(files_with(&entry, needle));
        } else {
            let bytes = std::fs::read(&entry).unwrap();
            if memchr_find(&bytes, needle.as_bytes()) {
                found.push(entry);
            }
        }
    }
    found
}

fn memchr_find(bytes: &[u8], needle: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == needle[0]) {
        if rest[at..].starts_with(needle) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}
