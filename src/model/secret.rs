//! A value that must never be printed.

use std::fmt;

/// Secret bytes. `Debug` shows nothing of them, there is no `Display`, and it cannot be serialised by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes as they are: no trimming, no normalisation.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for signing, sealing and comparing only.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The last four characters, as the API shows them; "" when there are fewer than eight, since four of so few
    /// would give most of it away.
    pub fn last4(&self) -> String {
        let text = String::from_utf8_lossy(&self.0);
        let length = text.chars().count();
        if length < 8 { String::new() } else { text.chars().skip(length - 4).collect() }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
