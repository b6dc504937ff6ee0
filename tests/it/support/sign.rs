//! The two signature families, written down a second time from docs/delivery.md, so that the server's own code is
//! not its own judge.

use super::receiver::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// `X-Pendo-Signature` as it must be.
pub fn pendo(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hex::encode(hmac::sign(&key, body))
}

/// Fails unless a request carries the right `X-Pendo-Signature`.
#[track_caller]
pub fn assert_pendo(request: &Request, secret: &str) {
    assert_eq!(request.header("X-Pendo-Signature"), Some(pendo(secret, &request.body).as_str()));
}

/// One entry of `webhook-signature` as it must be, for a key of the form `whsec_…`.
#[track_caller]
pub fn standard(key: &str, id: &str, timestamp: &str, body: &[u8]) -> String {
    standard_by(&signing_key(key), id, timestamp, body)
}

/// The bytes of a signing key.
#[track_caller]
pub fn signing_key(key: &str) -> Vec<u8> {
    STANDARD.decode(key.strip_prefix("whsec_").expect("a signing key starts with whsec_")).unwrap()
}

fn standard_by(key: &[u8], id: &str, timestamp: &str, body: &[u8]) -> String {
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
    format!("v1,{}", STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &signed)))
}

/// Fails unless a request carries the three Standard Webhooks headers, signed with `key` (`whsec_…`).
#[track_caller]
pub fn assert_standard(request: &Request, key: &str) {
    assert_standard_by(request, &[&signing_key(key)]);
}

/// The same with one entry for each of these keys, in this order, and no other.
#[track_caller]
pub fn assert_standard_by(request: &Request, keys: &[&[u8]]) {
    let id = request.header("webhook-id").expect("webhook-id");
    let timestamp = request.header("webhook-timestamp").expect("webhook-timestamp");
    assert_eq!(id, request.json()["uniqueId"].as_str().unwrap());
    assert!(timestamp.parse::<u64>().is_ok(), "{timestamp}");
    let expected: Vec<_> = keys.iter().map(|key| standard_by(key, id, timestamp, &request.body)).collect();
    assert_eq!(request.header("webhook-signature"), Some(expected.join(" ").as_str()));
}

/// The known vectors: this judge is right.
#[test]
fn the_judge_knows_the_vectors() {
    let expected = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(pendo("It's a Secret to Everybody", b"Hello, World!"), expected);
}
