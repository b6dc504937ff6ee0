//! Checks both signatures as a receiver should (docs/delivery.md).

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
    Invalid(String),
}

/// `X-Pendo-Signature`: HMAC-SHA256 of the body in lower-case hex.
pub(super) fn pendo(secret: Option<&str>, header: Option<&str>, body: &[u8]) -> Check {
    let Some(secret) = secret else { return Check::NotChecked };
    let Some(header) = header else {
        return invalid("no X-Pendo-Signature: does the webhook have a secret?");
    };
    let Ok(signature) = hex::decode(header) else { return invalid("X-Pendo-Signature is not hex") };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    // ring compares in constant time.
    match hmac::verify(&key, body, &signature) {
        Ok(()) => Check::Valid,
        Err(_) => invalid("X-Pendo-Signature does not match: another secret, or the body was changed"),
    }
}

/// The three headers of Standard Webhooks.
#[derive(Debug, Clone, Copy)]
pub(super) struct StandardHeaders<'a> {
    pub id: Option<&'a str>,
    pub timestamp: Option<&'a str>,
    pub signature: Option<&'a str>,
}

/// `webhook-signature`: one of its `v1,` parts is HMAC-SHA256 of `id.timestamp.body` in base64, with the key that
/// stands, in base64, behind `whsec_`.
pub(super) fn standard(key: Option<&[u8]>, headers: StandardHeaders<'_>, body: &[u8], now: UnixMs) -> Check {
    let Some(key) = key else { return Check::NotChecked };
    let StandardHeaders { id: Some(id), timestamp: Some(timestamp), signature: Some(signature) } = headers else {
        return invalid("webhook-id, webhook-timestamp or webhook-signature is missing");
    };
    match timestamp.parse::<i64>() {
        Ok(seconds) if seconds.abs_diff(now.seconds()) <= TOLERANCE_S => {}
        Ok(_) => return invalid("webhook-timestamp is more than five minutes away from this machine's clock"),
        Err(_) => return invalid("webhook-timestamp is not a number"),
    }
    let message = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let matches = |part: &str| {
        let signature = part.strip_prefix("v1,").and_then(|encoded| STANDARD.decode(encoded).ok());
        signature.is_some_and(|signature| hmac::verify(&key, &message, &signature).is_ok())
    };
    if signature.split(' ').any(matches) {
        return Check::Valid;
    }
    invalid("webhook-signature does not match: another signing key, or the body was changed")
}

/// The bytes of a `whsec_…` key.
pub(super) fn signing_key(text: &str) -> anyhow::Result<Vec<u8>> {
    let encoded = text.strip_prefix("whsec_").unwrap_or(text);
    STANDARD.decode(encoded).map_err(|error| anyhow::anyhow!("--signing-key must be whsec_ and base64: {error}"))
}

fn invalid(why: &str) -> Check {
    Check::Invalid(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn the_published_vector_of_the_body_signature_is_valid() {
        let secret = Some("It's a Secret to Everybody");
        assert_eq!(pendo(secret, Some(HELLO), b"Hello, World!"), Check::Valid);
        assert_eq!(pendo(None, Some(HELLO), b"Hello, World!"), Check::NotChecked);
        for (secret, header, body) in [
            ("It's a Secret to Everybody", Some(HELLO), "Hello, World"),
            ("it's a Secret to Everybody", Some(HELLO), "Hello, World!"),
            ("It's a Secret to Everybody", Some(&HELLO[2..]), "Hello, World!"),
            ("It's a Secret to Everybody", Some("sha256=00"), "Hello, World!"),
            ("It's a Secret to Everybody", None, "Hello, World!"),
        ] {
            assert!(matches!(pendo(Some(secret), header, body.as_bytes()), Check::Invalid(_)), "{header:?}");
        }
    }

    #[test]
    fn the_published_vector_of_standard_webhooks_is_valid() {
        let key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let right = StandardHeaders {
            id: Some("msg_p5jXN8AQM9LWM0D4loKWxJek"),
            timestamp: Some("1614265330"),
            signature: Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        };
        let body = br#"{"test": 2432232314}"#;
        let check = |headers, at: i64| standard(Some(&key), headers, body, UnixMs(at * 1000));
        assert_eq!(check(right, 1_614_265_330), Check::Valid);
        assert_eq!(check(right, 1_614_265_630), Check::Valid);
        assert!(matches!(check(right, 1_614_265_631), Check::Invalid(why) if why.contains("five minutes")));
        let rotating = "v1,AAAA v2,x v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(check(StandardHeaders { signature: Some(rotating), ..right }, 1_614_265_330), Check::Valid);
        for wrong in [
            StandardHeaders { id: Some("msg_other"), ..right },
            StandardHeaders { signature: Some("g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="), ..right },
            StandardHeaders { signature: None, ..right },
            StandardHeaders { timestamp: Some("soon"), ..right },
        ] {
            assert!(matches!(check(wrong, 1_614_265_330), Check::Invalid(_)), "{wrong:?}");
        }
        assert_eq!(standard(None, right, body, UnixMs(0)), Check::NotChecked);
        assert!(signing_key("whsec_not base64").is_err());
    }
}
