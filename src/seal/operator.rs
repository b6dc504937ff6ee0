//! How the operator's command line shows the server that it holds the master key: each call is signed with a key made
//! from it, and its signature opens once, within a minute.

use super::derived;
use crate::clock::Random;
use crate::limits::{OPERATOR_CALL_TTL, OPERATOR_CALLS_REMEMBERED};
use crate::model::UnixMs;
use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use ring::hmac;
use std::collections::HashMap;
use std::fmt;

/// The scheme in the Authorization header.
const SCHEME: &str = "Operator ";

/// What a signature covers.
#[derive(Debug, Clone, Copy)]
pub struct OperatorCall<'a> {
    /// The method.
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// Signs the operator's calls, and knows its own signatures again.
pub struct OperatorKey {
    key: hmac::Key,
    seen: Mutex<HashMap<String, UnixMs>>,
}

impl OperatorKey {
    /// The key that follows from the master key.
    pub(super) fn of(master_key: &[u8]) -> Self {
        let key = derived(master_key, "operator");
        Self { key, seen: Mutex::default() }
    }

    /// The Authorization header of a call.
    pub fn sign(&self, call: OperatorCall<'_>, now: UnixMs, random: &dyn Random) -> String {
        let stamp = format!("{}.{:016x}", now.0, random.id());
        let tag = hmac::sign(&self.key, &message(&stamp, call));
        format!("{SCHEME}{stamp}.{}", hex::encode(tag))
    }

    /// Whether this header signs this call now, for the first time.
    pub fn opens(&self, header: &str, call: OperatorCall<'_>, now: UnixMs) -> bool {
        let Some((stamp, at, tag)) = parse(header) else { return false };
        let is_young = now.since(at) < OPERATOR_CALL_TTL && at.since(now) < OPERATOR_CALL_TTL;
        if !is_young || hmac::verify(&self.key, &message(stamp, call), &tag).is_err() {
            return false;
        }
        let mut seen = self.seen.lock();
        seen.retain(|_, at| now.since(*at) < OPERATOR_CALL_TTL);
        seen.len() < OPERATOR_CALLS_REMEMBERED && seen.insert(stamp.to_owned(), at).is_none()
    }
}

impl fmt::Debug for OperatorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorKey(…)")
    }
}

fn parse(header: &str) -> Option<(&str, UnixMs, Vec<u8>)> {
    let (stamp, tag) = header.strip_prefix(SCHEME)?.rsplit_once('.')?;
    let at = stamp.split_once('.')?.0.parse().ok()?;
    Some((stamp, UnixMs(at), hex::decode(tag).ok()?))
}

/// The parts cannot run into each other: only the last one holds line breaks, as a hash it holds none.
fn message(stamp: &str, call: OperatorCall<'_>) -> Vec<u8> {
    let body = hex::encode(digest(&SHA256, call.body));
    format!("{stamp}\n{}\n{}\n{body}", call.method, call.target).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemRandom;

    const CALL: OperatorCall<'_> = OperatorCall { method: "POST", target: "/api/operator/v1/x?y=1", body: b"{}" };

    #[test]
    fn a_signature_opens_its_own_call_once_and_soon() {
        let (key, random) = (OperatorKey::of(&[7; 32]), SystemRandom::default());
        let sign = || key.sign(CALL, UnixMs(1_000_000), &random);
        let signed = sign();
        assert!(key.opens(&signed, CALL, UnixMs(1_000_100)));
        assert!(!key.opens(&signed, CALL, UnixMs(1_000_100)), "a second time");
        assert!(!key.opens(&sign(), CALL, UnixMs(1_060_000)), "too late");
        assert!(!key.opens(&sign(), CALL, UnixMs(940_000)), "too early");
        assert!(key.opens(&sign(), CALL, UnixMs(1_059_999)));
    }

    #[test]
    fn it_opens_nothing_else() {
        let (key, random, now) = (OperatorKey::of(&[7; 32]), SystemRandom::default(), UnixMs(1_000_000));
        let signed = key.sign(CALL, now, &random);
        for other in [
            OperatorCall { method: "DELETE", ..CALL },
            OperatorCall { target: "/api/operator/v1/x?y=2", ..CALL },
            OperatorCall { body: b"{ }", ..CALL },
        ] {
            assert!(!key.opens(&signed, other, now), "{other:?}");
        }
        assert!(!OperatorKey::of(&[8; 32]).opens(&signed, CALL, now), "another master key");
        for nonsense in ["", "Operator ", "Operator 1.2", "Operator 1.2.zz", &signed[..signed.len() - 2], "Bearer x"] {
            assert!(!key.opens(nonsense, CALL, now), "{nonsense}");
        }
        let moved = signed.replace("1000000.", "1000001.");
        assert!(!key.opens(&moved, CALL, now), "the time is signed too");
        assert!(key.opens(&signed, CALL, now));
    }
}
