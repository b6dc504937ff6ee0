//! Both families of signatures, and the text form of Standard Webhooks keys (docs/delivery.md).

use crate::clock::Random;
use crate::model::{Old, Secret, SigningKey, UnixMs};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderValue;
use ring::hmac;

/// What a signing key's text starts with.
const KEY_PREFIX: &str = "whsec_";

/// How long a signing key may be, in bytes (standardwebhooks.com).
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// How long the keys are that we make, in bytes.
const NEW_KEY_BYTES: usize = 32;

/// The text is not a signing key. The text itself is never part of the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// Something else than base64 after the prefix.
    #[error("a signing key must be base64, with or without {KEY_PREFIX} before it")]
    Base64,
    /// Too short or too long.
    #[error("a signing key must have 24 to 64 bytes, this one has {0}")]
    Length(usize),
}

/// Reads a signing key: base64, with or without `whsec_` before it.
///
/// # Errors
/// [`SigningKeyError`] when it is not base64 or not of 24 to 64 bytes.
pub fn parse_signing_key(text: &str) -> Result<SigningKey, SigningKeyError> {
    let encoded = text.strip_prefix(KEY_PREFIX).unwrap_or(text);
    let bytes = BASE64.decode(encoded).map_err(|_| SigningKeyError::Base64)?;
    if !KEY_BYTES.contains(&bytes.len()) {
        return Err(SigningKeyError::Length(bytes.len()));
    }
    Ok(SigningKey(Secret::new(bytes)))
}

/// Writes a signing key as its receiver enters it: `whsec_` and base64.
pub fn write_signing_key(key: &SigningKey) -> String {
    format!("{KEY_PREFIX}{}", BASE64.encode(key.0.expose()))
}

/// A new signing key.
pub fn new_signing_key(random: &dyn Random) -> SigningKey {
    let mut bytes = [0; NEW_KEY_BYTES];
    random.fill(&mut bytes);
    SigningKey(Secret::new(bytes))
}

/// The keys of one destination, prepared once: HMAC's two key blocks are hashed here and not per request.
#[derive(Debug)]
pub(super) struct Signer {
    secret: Option<hmac::Key>,
    signing_keys: Vec<hmac::Key>,
    /// These sign beside them until then.
    ending_keys: Vec<(hmac::Key, UnixMs)>,
}

impl Signer {
    pub(super) fn new(secret: Option<&Secret>, signing_keys: &[SigningKey], ending_keys: &[Old<SigningKey>]) -> Self {
        let prepare = |bytes: &Secret| hmac::Key::new(hmac::HMAC_SHA256, bytes.expose());
        Self {
            secret: secret.map(prepare),
            signing_keys: signing_keys.iter().map(|key| prepare(&key.0)).collect(),
            ending_keys: ending_keys.iter().map(|old| (prepare(&old.value.0), old.until)).collect(),
        }
    }

    /// `X-Pendo-Signature`; nothing without a secret.
    pub(super) fn body_signature(&self, body: &[u8]) -> Option<HeaderValue> {
        let tag = hmac::sign(self.secret.as_ref()?, body);
        let mut digits = [0; 64];
        hex::encode_to_slice(tag.as_ref(), &mut digits).ok()?;
        HeaderValue::from_bytes(&digits).ok()
    }

    /// `webhook-signature` over id, timestamp and body: one entry per key, those whose time is ending last; nothing
    /// without keys.
    pub(super) fn standard_signatures(&self, signed: (&str, &str, &[u8]), now: UnixMs) -> Option<HeaderValue> {
        if self.signing_keys.is_empty() {
            return None;
        }
        let (id, timestamp, body) = signed;
        let mut text = String::with_capacity(48 * (self.signing_keys.len() + self.ending_keys.len()));
        let ending = self.ending_keys.iter().filter(|(_, until)| now < *until).map(|(key, _)| key);
        for key in self.signing_keys.iter().chain(ending) {
            let mut context = hmac::Context::with_key(key);
            for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
                context.update(part);
            }
            text.push_str(if text.is_empty() { "v1," } else { " v1," });
            BASE64.encode_string(context.sign().as_ref(), &mut text);
        }
        HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SeededRandom;

    #[test]
    fn the_published_vectors() {
        let signer = Signer::new(Some(&Secret::new("It's a Secret to Everybody")), &[], &[]);
        let expected = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(signer.body_signature(b"Hello, World!").unwrap(), expected);
        assert_eq!(signer.standard_signatures(("id", "1", b""), UnixMs(0)), None);

        let key = parse_signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let second = new_signing_key(&SeededRandom::new(1));
        let sign = |keys: &[SigningKey]| {
            let signer = Signer::new(None, keys, &[]);
            assert_eq!(signer.body_signature(b"x"), None);
            let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
            let value = signer.standard_signatures((id, "1614265330", br#"{"test": 2432232314}"#), UnixMs(0));
            value.unwrap().to_str().unwrap().to_owned()
        };
        let first = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(sign(std::slice::from_ref(&key)), first);
        let other = sign(std::slice::from_ref(&second));
        assert_eq!(sign(&[second, key]), format!("{other} {first}"));
    }

    #[test]
    fn a_key_whose_time_is_ending_signs_until_then() {
        let keys: Vec<_> = (1..=3).map(|seed| new_signing_key(&SeededRandom::new(seed))).collect();
        let ending = |key: usize, until| Old { value: keys[key].clone(), until: UnixMs(until) };
        let entries = |ending: &[Old<SigningKey>], now| {
            let signer = Signer::new(None, &keys[..1], ending);
            let value = signer.standard_signatures(("id", "1", b"body"), UnixMs(now)).unwrap();
            value.to_str().unwrap().split(' ').map(str::to_owned).collect::<Vec<_>>()
        };
        let alone = |key: usize| {
            let signer = Signer::new(None, &keys[key..=key], &[]);
            signer.standard_signatures(("id", "1", b"body"), UnixMs(0)).unwrap().to_str().unwrap().to_owned()
        };
        let both = [ending(1, 1000), ending(2, 2000)];
        assert_eq!(entries(&both, 999), [alone(0), alone(1), alone(2)]);
        assert_eq!(entries(&both, 1000), [alone(0), alone(2)]);
        assert_eq!(entries(&both, 2000), [alone(0)]);
    }

    #[test]
    fn any_character_may_be_in_a_secret() {
        for secret in ["", " padded ", "\0\n\u{feff}é", &"long".repeat(100)] {
            let signer = Signer::new(Some(&Secret::new(secret)), &[], &[]);
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            let expected = hex::encode(hmac::sign(&key, b"body"));
            assert_eq!(signer.body_signature(b"body").unwrap(), expected.as_str());
        }
    }

    #[test]
    fn keys_read_back_as_written() {
        let key = new_signing_key(&SeededRandom::new(7));
        let text = write_signing_key(&key);
        assert!(text.starts_with("whsec_") && text.len() == 50, "{text}");
        assert_eq!(parse_signing_key(&text), Ok(key.clone()));
        assert_eq!(parse_signing_key(&text[6..]), Ok(key));
        assert_eq!(parse_signing_key("whsec_no base64"), Err(SigningKeyError::Base64));
        assert_eq!(parse_signing_key("whsec_AAAA"), Err(SigningKeyError::Length(3)));
        assert_eq!(parse_signing_key(&BASE64.encode([1; 65])), Err(SigningKeyError::Length(65)));
    }
}
