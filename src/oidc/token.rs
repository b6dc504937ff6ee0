//! ID tokens: read by jsonwebtoken, their signatures verified by ring, their claims held against what we asked for.

use super::{Identity, OidcError};
use crate::model::UnixMs;
use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result as JwtResult};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, Validation, decode, decode_header};
use ring::signature::{self as ring_signature, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;
use serde_json::Value;

/// How far the provider's clock may be from ours, in seconds.
const LEEWAY_S: i64 = 60;

/// What a token must say.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) audience: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now: UnixMs,
}

/// What an ID token says (OpenID Connect Core, 2).
#[derive(Debug, Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    azp: Option<String>,
    #[serde(default)]
    email: Option<String>,
    /// Some providers write it as text.
    #[serde(default)]
    email_verified: Value,
}

/// Makes ring the verifier of signatures. jsonwebtoken knows one per process; there is no other that we would want.
pub(super) fn install() {
    static RING: CryptoProvider = CryptoProvider {
        signer_factory: |_, _| Err(ErrorKind::InvalidAlgorithm.into()),
        verifier_factory: verifier,
        key_utils: KeyUtils::new_unimplemented(),
    };
    // The second time it is there already.
    let _installed = RING.install_default();
}

/// Whether the key that signed this token is among these.
pub(super) fn knows_key(token: &str, keys: &JwkSet) -> bool {
    decode_header(token).is_ok_and(|header| key(header.kid.as_deref(), keys).is_some())
}

/// Who the token is about, if it is to be trusted.
pub(super) fn identity(token: &str, keys: &JwkSet, expected: &Expected<'_>) -> Result<Identity, OidcError> {
    let untrusted = |why: &str| OidcError::Untrusted(why.to_owned());
    let header = decode_header(token).map_err(|_| untrusted("it is no token"))?;
    let key = key(header.kid.as_deref(), keys).ok_or_else(|| untrusted("its key is not among the provider's"))?;
    let key = DecodingKey::from_jwk(key).map_err(|_| untrusted("its key cannot be used"))?;
    // An algorithm of the key's own kind, so that a public key is never taken for a shared secret.
    let mut validation = Validation::new(header.alg);
    validation.set_issuer(&[expected.issuer, expected.issuer.trim_end_matches('/')]);
    validation.set_audience(&[expected.audience]);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
    // By our own clock, below.
    validation.validate_exp = false;
    let claims = decode::<Claims>(token, &key, &validation).map_err(|error| untrusted(&error.to_string()))?.claims;

    let now = expected.now.seconds();
    if claims.exp + LEEWAY_S <= now || claims.nbf.is_some_and(|nbf| nbf - LEEWAY_S > now) {
        return Err(untrusted("it does not hold now; are both clocks right?"));
    }
    if claims.nonce.as_deref() != Some(expected.nonce) {
        return Err(untrusted("it was made for another sign-in"));
    }
    if claims.azp.is_some_and(|azp| azp != expected.audience) {
        return Err(untrusted("it was made for another application"));
    }
    let is_verified = claims.email_verified == true || claims.email_verified == "true";
    Ok(Identity { subject: claims.sub, verified_email: claims.email.filter(|_| is_verified) })
}

/// The key of this id; the only one, when the token names none.
fn key<'a>(id: Option<&str>, keys: &'a JwkSet) -> Option<&'a Jwk> {
    let for_signing = |key: &&Jwk| !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption));
    let mut candidates = keys.keys.iter().filter(for_signing);
    match id {
        Some(id) => candidates.find(|key| key.common.key_id.as_deref() == Some(id)),
        None => candidates.next().filter(|_| candidates.next().is_none()),
    }
}

/// Verifies signatures of one algorithm with one key.
struct RingVerifier {
    algorithm: Algorithm,
    key: DecodingKeyKind,
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> JwtResult<Box<dyn JwtVerifier>> {
    if key.family() != algorithm.family() {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    Ok(Box::new(RingVerifier { algorithm: *algorithm, key: key.kind().clone() }))
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl signature::Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signed: &Vec<u8>) -> Result<(), signature::Error> {
        let verified = match (&self.key, self.algorithm) {
            (DecodingKeyKind::RsaModulusExponent { n, e }, algorithm) => {
                let parameters = match algorithm {
                    Algorithm::RS256 => &ring_signature::RSA_PKCS1_2048_8192_SHA256,
                    Algorithm::RS384 => &ring_signature::RSA_PKCS1_2048_8192_SHA384,
                    Algorithm::RS512 => &ring_signature::RSA_PKCS1_2048_8192_SHA512,
                    Algorithm::PS256 => &ring_signature::RSA_PSS_2048_8192_SHA256,
                    Algorithm::PS384 => &ring_signature::RSA_PSS_2048_8192_SHA384,
                    Algorithm::PS512 => &ring_signature::RSA_PSS_2048_8192_SHA512,
                    _ => return Err(signature::Error::new()),
                };
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signed)
            }
            (DecodingKeyKind::SecretOrDer(key), algorithm) => {
                let algorithm: &'static dyn VerificationAlgorithm = match algorithm {
                    Algorithm::ES256 => &ring_signature::ECDSA_P256_SHA256_FIXED,
                    Algorithm::ES384 => &ring_signature::ECDSA_P384_SHA384_FIXED,
                    Algorithm::EdDSA => &ring_signature::ED25519,
                    // A shared secret (HS256) is none that a provider publishes.
                    _ => return Err(signature::Error::new()),
                };
                UnparsedPublicKey::new(algorithm, key).verify(message, signed)
            }
        };
        verified.map_err(|_| signature::Error::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use ring::hmac;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    use serde_json::json;

    const NOW: UnixMs = UnixMs(1_626_803_875_000);

    /// A provider's key, and the set that it publishes.
    struct Signer {
        pair: EcdsaKeyPair,
        keys: JwkSet,
    }

    impl Signer {
        fn new() -> Self {
            install();
            let random = SystemRandom::new();
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
            let point = pair.public_key().as_ref();
            let (x, y) = (encode(&point[1..33]), encode(&point[33..]));
            let key = json!({"kty": "EC", "crv": "P-256", "kid": "k1", "use": "sig", "x": x, "y": y});
            Self { pair, keys: serde_json::from_value(json!({"keys": [key]})).unwrap() }
        }

        fn sign(&self, claims: &Value) -> String {
            let message = message(&json!({"alg": "ES256", "kid": "k1"}), claims);
            let signed = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
            format!("{message}.{}", encode(signed.as_ref()))
        }
    }

    fn encode(bytes: &[u8]) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    fn message(header: &Value, claims: &Value) -> String {
        format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()))
    }

    fn claims() -> Value {
        json!({"iss": "https://p.example", "aud": "us", "sub": "s", "exp": 1_626_803_900, "nonce": "n",
            "email": "a@b.example", "email_verified": true})
    }

    fn read(signer: &Signer, token: &str) -> Result<Identity, OidcError> {
        let expected = Expected { issuer: "https://p.example", audience: "us", nonce: "n", now: NOW };
        identity(token, &signer.keys, &expected)
    }

    #[test]
    fn a_token_that_is_as_it_should_be_says_who_it_is() {
        let signer = Signer::new();
        let token = signer.sign(&claims());
        assert!(knows_key(&token, &signer.keys));
        let identity = read(&signer, &token).unwrap();
        assert_eq!((identity.subject.as_str(), identity.verified_email.as_deref()), ("s", Some("a@b.example")));
        let mut several = claims();
        several["aud"] = json!(["others", "us"]);
        several["email_verified"] = json!("true");
        assert!(read(&signer, &signer.sign(&several)).unwrap().verified_email.is_some());
    }

    #[test]
    fn any_claim_that_is_not_ours_is_refused() {
        let signer = Signer::new();
        for (claim, value) in [
            ("iss", json!("https://q.example")),
            ("aud", json!("others")),
            ("aud", json!([])),
            ("exp", json!(1_626_803_800)),
            ("nbf", json!(1_626_809_900)),
            ("nonce", json!("m")),
            ("nonce", Value::Null),
            ("azp", json!("others")),
            ("sub", Value::Null),
        ] {
            let mut wrong = claims();
            wrong[claim] = value;
            let refused = read(&signer, &signer.sign(&wrong));
            assert!(matches!(refused, Err(OidcError::Untrusted(_))), "{claim}: {refused:?}");
        }
        for missing in ["iss", "aud", "exp", "sub", "nonce"] {
            let mut wrong = claims();
            wrong.as_object_mut().unwrap().remove(missing);
            assert!(read(&signer, &signer.sign(&wrong)).is_err(), "without {missing}");
        }
        let mut unverified = claims();
        unverified["email_verified"] = json!(false);
        assert_eq!(read(&signer, &signer.sign(&unverified)).unwrap().verified_email, None);
    }

    #[test]
    fn only_the_providers_own_signature_counts() {
        let (signer, other) = (Signer::new(), Signer::new());
        assert!(read(&signer, &other.sign(&claims())).is_err(), "another key under the same name");
        let token = signer.sign(&claims());
        let (head, signed) = token.rsplit_once('.').unwrap();
        assert!(read(&signer, &format!("{head}.")).is_err(), "no signature");
        assert!(read(&signer, &format!("{head}x.{signed}")).is_err(), "another message");
        let none = message(&json!({"alg": "none", "kid": "k1"}), &claims());
        assert!(read(&signer, &format!("{none}.")).is_err());
        // The public key taken for a shared secret: the classic confusion.
        let confused = message(&json!({"alg": "HS256", "kid": "k1"}), &claims());
        let key = hmac::Key::new(hmac::HMAC_SHA256, signer.pair.public_key().as_ref());
        let tag = encode(hmac::sign(&key, confused.as_bytes()).as_ref());
        assert!(read(&signer, &format!("{confused}.{tag}")).is_err());
        let unknown = message(&json!({"alg": "ES256", "kid": "k2"}), &claims());
        assert!(!knows_key(&format!("{unknown}.{signed}"), &signer.keys));
        for nonsense in ["", ".", "..", "a.b.c"] {
            assert!(read(&signer, nonsense).is_err(), "{nonsense}");
        }
    }
}
