//! Keys and one-time tokens: how they are made, and how they are kept.

use crate::clock::Random;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};

/// 256 random bits after a prefix by which people, and scanners for leaked secrets, know what it is.
pub(super) fn token(prefix: &str, random: &dyn Random) -> String {
    let mut bytes = [0; 32];
    random.fill(&mut bytes);
    format!("{prefix}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// The same as the store keeps it: in hex.
pub(super) fn hex_hash(key: &[u8]) -> String {
    hex::encode(hash(key))
}

/// How keys are kept and looked up. They are 256 random bits, so a plain hash is as good as a slow one.
pub(super) fn hash(key: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, key).as_ref());
    bytes
}
