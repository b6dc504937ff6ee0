//! Feeds the Standard Webhooks library of crates.io; drive.mjs says what the lines are.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook};

fn main() {
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let decode = |field: &str| (field != "-").then(|| STANDARD.decode(&field[1..]).expect("base64"));
        let fields: Vec<Option<Vec<u8>>> = line.split(' ').map(decode).collect();
        println!("{}", if genuine(&fields) { "ok" } else { "refused" });
    }
}

fn genuine(fields: &[Option<Vec<u8>>]) -> bool {
    let key = String::from_utf8(fields[1].clone().expect("a key")).expect("text");
    let names = [HEADER_WEBHOOK_ID, HEADER_WEBHOOK_TIMESTAMP, HEADER_WEBHOOK_SIGNATURE];
    let given = names.iter().zip(&fields[4..]).filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let headers: HeaderMap = given
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(value).expect("a header")))
        .collect();
    let body = fields[2].as_deref().expect("a body");
    Webhook::new(&key).expect("a key").verify(body, &headers).is_ok()
}
