//! Checks both signatures as a receiver should (docs/receivers.md), and says what is wrong with one that is not right.

use crate::model::UnixMs;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// How far the `webhook-timestamp` may be from now, in seconds: what the Standard Webhooks libraries allow.
const TOLERANCE_S: u64 = 300;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Check {
    /// No key was given to check with.
    NotChecked,
    /// The signature is right.
    Valid,
    /// It is not, and why.
    Invalid(Fault),
}

/// Why a signature is not right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// A header that is needed did not come.
    #[error("{0} is missing: {look}", look = missing(.0))]
    Missing(&'static str),
    /// Not what HMAC-SHA256 is written as.
    #[error("X-Pendo-Signature is not 64 hex digits")]
    NotHex,
    /// `webhook-timestamp` is not what it should be.
    #[error("webhook-timestamp is not a number of seconds")]
    NotATime,
    /// So many seconds lie between `webhook-timestamp` and this machine's clock.
    #[error(
        "webhook-timestamp is {}, more than {TOLERANCE_S} s: an old request sent again, or a clock that is wrong",
        distance(*.0)
    )]
    TimeOff(i64),
    /// The header of this name does not match.
    #[error("{0} does not match: {1}")]
    Mismatch(&'static str, Suspect),
}

/// What makes a signature differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Suspect {
    /// One signature alone cannot tell.
    #[error("another key than the webhook's, or the body was changed on the way")]
    KeyOrBody,
    /// The other signature is right, so that the body is as it was sent.
    #[error("another key than the webhook's; the other signature is right, so the body is as it was sent")]
    Key,
    /// Neither matches, which two wrong keys rarely explain.
    #[error("neither signature does, so most likely the body was changed on the way")]
    Body,
    /// It would match without the white space around the key.
    #[error("it does without the white space around the secret that was given here")]
    WhiteSpace,
    /// The secret signs an entry of `webhook-signature`: what it does while another takes its place.
    #[error("the secret is being replaced, and the one given here is the old one: webhook-signature still has it")]
    Replaced,
}

const PENDO: &str = "X-Pendo-Signature";
const STANDARD_SIGNATURE: &str = "webhook-signature";

/// The headers that a request is judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Headers<'a> {
    pub pendo: Option<&'a str>,
    pub id: Option<&'a str>,
    pub timestamp: Option<&'a str>,
    pub signature: Option<&'a str>,
}

/// Both checks, each with the keys that were given: `X-Pendo-Signature` with the secret, `webhook-signature` with the
/// signing key. What one found tells more of the other.
pub(super) fn both(
    (secret, key): (Option<&str>, Option<&[u8]>),
    headers: Headers<'_>,
    body: &[u8],
    now: UnixMs,
) -> (Check, Check) {
    let found = (pendo(secret, headers.pendo, body), standard(key, headers, body, now));
    let differs = |check: &Check| matches!(check, Check::Invalid(Fault::Mismatch(_, Suspect::KeyOrBody)));
    let suspects = match &found {
        (one, _) if differs(one) && secret_signs_beside(secret, headers, body, now) => {
            (Suspect::Replaced, Suspect::Key)
        }
        (Check::Valid, other) | (other, Check::Valid) if differs(other) => (Suspect::Key, Suspect::Key),
        (one, other) if differs(one) && differs(other) => (Suspect::Body, Suspect::Body),
        _ => return found,
    };
    let closer = |check: Check, suspect| match check {
        Check::Invalid(Fault::Mismatch(name, Suspect::KeyOrBody)) => Check::Invalid(Fault::Mismatch(name, suspect)),
        other => other,
    };
    (closer(found.0, suspects.0), closer(found.1, suspects.1))
}

/// While a secret is being replaced, `webhook-signature` has an entry by the old and one by the new.
fn secret_signs_beside(secret: Option<&str>, headers: Headers<'_>, body: &[u8], now: UnixMs) -> bool {
    secret.is_some_and(|secret| standard_fault(secret.as_bytes(), headers, body, now).is_ok())
}

/// `X-Pendo-Signature`: HMAC-SHA256 of the body in lower-case hex.
fn pendo(secret: Option<&str>, header: Option<&str>, body: &[u8]) -> Check {
    let Some(secret) = secret else { return Check::NotChecked };
    let Some(header) = header else { return Check::Invalid(Fault::Missing(PENDO)) };
    let Some(signature) = hex::decode(header).ok().filter(|bytes| bytes.len() == 32) else {
        return Check::Invalid(Fault::NotHex);
    };
    // ring compares in constant time.
    let matches = |secret: &str| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        hmac::verify(&key, body, &signature).is_ok()
    };
    if matches(secret) {
        return Check::Valid;
    }
    let suspect = if matches(secret.trim()) { Suspect::WhiteSpace } else { Suspect::KeyOrBody };
    Check::Invalid(Fault::Mismatch(PENDO, suspect))
}

/// `webhook-signature`: one of its `v1,` parts is HMAC-SHA256 of `id.timestamp.body` in base64, with the key that
/// stands, in base64, behind `whsec_`.
fn standard(key: Option<&[u8]>, headers: Headers<'_>, body: &[u8], now: UnixMs) -> Check {
    let Some(key) = key else { return Check::NotChecked };
    match standard_fault(key, headers, body, now) {
        Ok(()) => Check::Valid,
        Err(fault) => Check::Invalid(fault),
    }
}

fn standard_fault(key: &[u8], headers: Headers<'_>, body: &[u8], now: UnixMs) -> Result<(), Fault> {
    let id = headers.id.ok_or(Fault::Missing("webhook-id"))?;
    let timestamp = headers.timestamp.ok_or(Fault::Missing("webhook-timestamp"))?;
    let signature = headers.signature.ok_or(Fault::Missing(STANDARD_SIGNATURE))?;
    let seconds = timestamp.parse::<i64>().map_err(|_| Fault::NotATime)?;
    if seconds.abs_diff(now.seconds()) > TOLERANCE_S {
        return Err(Fault::TimeOff(seconds.saturating_sub(now.seconds())));
    }
    let message = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let matches = |part: &str| {
        let signature = part.strip_prefix("v1,").and_then(|encoded| STANDARD.decode(encoded).ok());
        signature.is_some_and(|signature| hmac::verify(&key, &message, &signature).is_ok())
    };
    if signature.split(' ').any(matches) {
        return Ok(());
    }
    Err(Fault::Mismatch(STANDARD_SIGNATURE, Suspect::KeyOrBody))
}

/// The bytes of a `whsec_…` key.
pub(super) fn signing_key(text: &str) -> anyhow::Result<Vec<u8>> {
    let encoded = text.strip_prefix("whsec_").unwrap_or(text);
    STANDARD.decode(encoded).map_err(|error| anyhow::anyhow!("--signing-key must be whsec_ and base64: {error}"))
}

/// What is asked first of a header that did not come.
fn missing(header: &str) -> &'static str {
    if header == PENDO {
        "does the webhook have a secret, and does everything in between pass headers on?"
    } else {
        "is standard_webhooks on, and does everything in between pass headers on?"
    }
}

fn distance(seconds: i64) -> String {
    let way = if seconds < 0 { "behind" } else { "ahead of" };
    format!("{} s {way} this machine's clock", seconds.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    const SECRET: &str = "It's a Secret to Everybody";
    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SENT_AT: i64 = 1_614_265_330;
    const SIGNED: Headers<'_> = Headers {
        pendo: None,
        id: Some("msg_p5jXN8AQM9LWM0D4loKWxJek"),
        timestamp: Some("1614265330"),
        signature: Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    };

    fn check(headers: Headers<'_>, at: i64) -> Check {
        standard(Some(&signing_key(KEY).unwrap()), headers, BODY, UnixMs(at * 1000))
    }

    fn standard_signature(key: &[u8], body: &[u8]) -> String {
        let signed = [SIGNED.id.unwrap().as_bytes(), b".1614265330.", body].concat();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &signed);
        format!("v1,{} v1,{}", STANDARD.encode([0; 32]), STANDARD.encode(tag))
    }

    #[test]
    fn the_published_vector_of_the_body_signature_is_valid() {
        let body = b"Hello, World!";
        assert_eq!(pendo(Some(SECRET), Some(HELLO), body), Check::Valid);
        assert_eq!(pendo(None, Some(HELLO), body), Check::NotChecked);
        let mismatch = |suspect| Fault::Mismatch(PENDO, suspect);
        for (secret, header, body, fault) in [
            (SECRET, Some(HELLO), "Hello, World", mismatch(Suspect::KeyOrBody)),
            ("it's a Secret to Everybody", Some(HELLO), "Hello, World!", mismatch(Suspect::KeyOrBody)),
            ("It's a Secret to Everybody\n", Some(HELLO), "Hello, World!", mismatch(Suspect::WhiteSpace)),
            (SECRET, Some(&HELLO[2..]), "Hello, World!", Fault::NotHex),
            (SECRET, Some("sha256=00"), "Hello, World!", Fault::NotHex),
            (SECRET, None, "Hello, World!", Fault::Missing(PENDO)),
        ] {
            assert_eq!(pendo(Some(secret), header, body.as_bytes()), Check::Invalid(fault), "{header:?}");
        }
    }

    #[test]
    fn the_published_vector_of_standard_webhooks_is_valid() {
        assert_eq!(check(SIGNED, SENT_AT), Check::Valid);
        assert_eq!(check(SIGNED, SENT_AT + 300), Check::Valid);
        assert_eq!(check(SIGNED, SENT_AT + 301), Check::Invalid(Fault::TimeOff(-301)));
        assert_eq!(check(SIGNED, SENT_AT - 301), Check::Invalid(Fault::TimeOff(301)));
        let rotating = "v1,AAAA v2,x v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(check(Headers { signature: Some(rotating), ..SIGNED }, SENT_AT), Check::Valid);
        let mismatch = || Fault::Mismatch(STANDARD_SIGNATURE, Suspect::KeyOrBody);
        let bare = Some("g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        for (wrong, fault) in [
            (Headers { id: Some("msg_other"), ..SIGNED }, mismatch()),
            (Headers { signature: bare, ..SIGNED }, mismatch()),
            (Headers { id: None, ..SIGNED }, Fault::Missing("webhook-id")),
            (Headers { timestamp: None, ..SIGNED }, Fault::Missing("webhook-timestamp")),
            (Headers { signature: None, ..SIGNED }, Fault::Missing(STANDARD_SIGNATURE)),
            (Headers { timestamp: Some("soon"), ..SIGNED }, Fault::NotATime),
        ] {
            assert_eq!(check(wrong, SENT_AT), Check::Invalid(fault), "{wrong:?}");
        }
        assert_eq!(standard(None, SIGNED, BODY, UnixMs(0)), Check::NotChecked);
        assert!(signing_key("whsec_not base64").is_err());
    }

    #[test]
    fn what_one_signature_shows_is_said_of_the_other() {
        let key = signing_key(KEY).unwrap();
        let signature = hex::encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), BODY));
        let headers = Headers { pendo: Some(&signature), ..SIGNED };
        let judged = |secret: &str, key: &[u8], body: &[u8]| {
            both((Some(secret), Some(key)), headers, body, UnixMs(SENT_AT * 1000))
        };
        let invalid = |name, suspect| Check::Invalid(Fault::Mismatch(name, suspect));
        let signing = |suspect| invalid(STANDARD_SIGNATURE, suspect);
        assert_eq!(judged(SECRET, &key, BODY), (Check::Valid, Check::Valid));
        assert_eq!(judged("other", &key, BODY), (invalid(PENDO, Suspect::Key), Check::Valid));
        assert_eq!(judged(SECRET, b"other", BODY), (Check::Valid, signing(Suspect::Key)));
        assert_eq!(judged(SECRET, &key, b"{}"), (invalid(PENDO, Suspect::Body), signing(Suspect::Body)));
        let padded = format!(" {SECRET}");
        assert_eq!(judged(&padded, &key, BODY), (invalid(PENDO, Suspect::WhiteSpace), Check::Valid));
        let old = standard_signature(b"old", BODY);
        let during = Headers { signature: Some(&old), ..headers };
        let (of_secret, _) = both((Some("old"), None), during, BODY, UnixMs(SENT_AT * 1000));
        assert_eq!(of_secret, invalid(PENDO, Suspect::Replaced));
        let alone = both((Some("other"), None), headers, BODY, UnixMs(0));
        assert_eq!(alone, (invalid(PENDO, Suspect::KeyOrBody), Check::NotChecked));
    }

    #[test]
    fn a_fault_says_what_to_look_at() {
        let said = |fault: Fault| fault.to_string();
        assert_eq!(
            said(Fault::Missing("webhook-id")),
            "webhook-id is missing: is standard_webhooks on, and does everything in between pass headers on?"
        );
        assert!(said(Fault::Missing(PENDO)).contains("does the webhook have a secret"));
        assert!(
            said(Fault::TimeOff(-301)).starts_with("webhook-timestamp is 301 s behind this machine's clock, more than")
        );
        assert!(said(Fault::TimeOff(301)).contains("301 s ahead of this machine's clock"));
    }
}
