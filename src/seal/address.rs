//! Addresses of this installation that nobody can guess and that need not be kept: each follows from the master key.

use super::derived;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::hmac;
use std::fmt;

/// Makes addresses, and knows its own again.
#[derive(Clone)]
pub struct AddressKey(hmac::Key);

impl AddressKey {
    /// The key that follows from the master key.
    pub(super) fn of(master_key: &[u8]) -> Self {
        Self(derived(master_key, "address"))
    }

    /// What makes the address of something unguessable, as a part of a path.
    pub fn token(&self, of: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, of.as_bytes()))
    }

    /// Whether this is that token.
    pub fn knows(&self, of: &str, token: &str) -> bool {
        let tag = BASE64_URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
        hmac::verify(&self.0, of.as_bytes(), &tag).is_ok()
    }
}

impl fmt::Debug for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddressKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_its_own_address_under_its_own_key() {
        let (key, other) = (AddressKey::of(&[1; 32]), AddressKey::of(&[2; 32]));
        let token = key.token("inspector/1");
        assert!(key.knows("inspector/1", &token) && token.len() == 43);
        assert!(!key.knows("inspector/2", &token) && !other.knows("inspector/1", &token));
        for nonsense in ["", "x", &token[1..], "ä"] {
            assert!(!key.knows("inspector/1", nonsense));
        }
    }
}
