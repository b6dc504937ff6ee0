// Rust with the crates ring, hex and base64
use base64::{Engine, engine::general_purpose::STANDARD};
use ring::hmac;
use std::time::{SystemTime, UNIX_EPOCH};

const TOLERANCE_S: u64 = 300;

/// Checks `X-Pendo-Signature`. A missing header is "", and refused.
pub fn verify_pendo(secret: &str, body: &[u8], signature: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    // hmac::verify compares in constant time.
    hex::decode(signature).is_ok_and(|given| hmac::verify(&key, body, &given).is_ok())
}

/// Checks the three headers of Standard Webhooks.
pub fn verify_standard(signing_key: &str, body: &[u8], id: &str, timestamp: &str, signatures: &str) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if !timestamp.parse::<u64>().is_ok_and(|sent| sent.abs_diff(now) <= TOLERANCE_S) {
        return false;
    }
    let Ok(key) = STANDARD.decode(signing_key.strip_prefix("whsec_").unwrap_or(signing_key)) else { return false };
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    signatures
        .split(' ')
        .filter_map(|signature| signature.strip_prefix("v1,"))
        .any(|text| STANDARD.decode(text).is_ok_and(|given| hmac::verify(&key, &signed, &given).is_ok()))
}
