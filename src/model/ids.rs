//! Identifiers, and how each is written for people and programs.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The ordinal number of an entry in the journal. The first entry has 1; 0 is "before everything".
///
/// Positions only grow. A gap is possible (an append that failed after its number was given), a repeat is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    /// Before the first entry.
    pub const ZERO: Self = Self(0);

    /// The position `count` entries further on.
    #[must_use]
    pub fn plus(self, count: u64) -> Self {
        Self(self.0 + count)
    }

    /// The next position.
    #[must_use]
    pub fn next(self) -> Self {
        self.plus(1)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A customer of this installation: 16 decimal digits, below 2^53.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubscriptionId(pub u64);

/// One product of a subscription. The first app of every subscription is [`AppId::FIRST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AppId(pub i64);

impl AppId {
    /// The id of a subscription's first app.
    pub const FIRST: Self = Self(-323_232);
}

/// A configured destination. Written `wh_` and 16 hex digits. Random, below 2^63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebhookId(pub u64);

/// A person. Written `usr_` and 16 hex digits. Random, below 2^63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub u64);

/// An integration key. Written `key_` and 16 hex digits. Random, below 2^63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u64);

/// An exclusion. Written `exc_` and 16 hex digits. Random, below 2^63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExclusionId(pub u64);

/// A rule that nothing of a person is processed. Written `dnp_` and 16 hex digits. Random, below 2^63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DoNotProcessId(pub u64);

/// A job that forgets a person. Written `fgt_` and 16 hex digits. Random, below 2^63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForgetJobId(pub u64);

/// A person as rules and the audit log know them: a keyed hash of the id, from which nobody finds the id. Written as 32
/// hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonHash(pub [u8; 16]);

/// An accepted event as the API names it: `evt_` and its journal position in hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub Position);

/// A replay as the API names it: `rpl_` and the position of its journal entry in hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplayId(pub Position);

/// One event on its way to one webhook.
///
/// `origin` is the event's own position for the delivery that followed from its acceptance, and the position of the
/// redelivery's journal entry for one that a person asked for. Written `dlv_`, the webhook's 16 hex digits, `_` and
/// `origin` in hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeliveryId {
    /// The webhook it goes to.
    pub webhook: WebhookId,
    /// What caused it: see above.
    pub origin: Position,
}

/// The SHA-1 that names an event to receivers (`uniqueId`, 40 hex digits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UniqueId(pub [u8; 20]);

/// The text is not an id of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not an id of this kind")]
pub struct ParseIdError;

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How ids that are a random number are written and read: a prefix and 16 hex digits.
macro_rules! written_with {
    ($($id:ident $prefix:literal),* $(,)?) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{:016x}"), self.0)
            }
        }

        impl FromStr for $id {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                Ok(Self(parse_16(text, $prefix)?))
            }
        }
    )*};
}

written_with! {
    WebhookId "wh_",
    UserId "usr_",
    KeyId "key_",
    ExclusionId "exc_",
    DoNotProcessId "dnp_",
    ForgetJobId "fgt_",
}

/// How ids that are a journal position are written and read: a prefix and the position in hex.
macro_rules! position_written_with {
    ($($id:ident $prefix:literal),* $(,)?) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{:x}"), self.0.0)
            }
        }

        impl FromStr for $id {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                Ok(Self(Position(parse_hex(text.strip_prefix($prefix).ok_or(ParseIdError)?)?)))
            }
        }
    )*};
}

position_written_with! {
    EventId "evt_",
    ReplayId "rpl_",
}

impl fmt::Display for PersonHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dlv_{:016x}_{:x}", self.webhook.0, self.origin.0)
    }
}

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for PersonHash {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let mut hash = [0; 16];
        hex::decode_to_slice(text, &mut hash).map_err(|_| ParseIdError)?;
        Ok(Self(hash))
    }
}

impl FromStr for DeliveryId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let (webhook, origin) = text.strip_prefix("dlv_").and_then(|rest| rest.split_once('_')).ok_or(ParseIdError)?;
        if webhook.len() != 16 {
            return Err(ParseIdError);
        }
        Ok(Self { webhook: WebhookId(parse_hex(webhook)?), origin: Position(parse_hex(origin)?) })
    }
}

/// A prefix and exactly 16 digits.
fn parse_16(text: &str, prefix: &str) -> Result<u64, ParseIdError> {
    parse_hex(text.strip_prefix(prefix).filter(|digits| digits.len() == 16).ok_or(ParseIdError)?)
}

/// Lower-case hex that fits SQLite's and PostgreSQL's signed 64 bits. `from_str_radix` alone would take "+1" and "FF".
fn parse_hex(digits: &str) -> Result<u64, ParseIdError> {
    let lower = !digits.is_empty() && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let number = u64::from_str_radix(digits, 16).map_err(|_| ParseIdError)?;
    if lower && number <= i64::MAX as u64 { Ok(number) } else { Err(ParseIdError) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_as_written() {
        let delivery = DeliveryId { webhook: WebhookId(0x0123), origin: Position(77) };
        assert_eq!(delivery.to_string(), "dlv_0000000000000123_4d");
        assert_eq!(delivery.to_string().parse(), Ok(delivery));
        assert_eq!("wh_0000000000000123".parse(), Ok(WebhookId(0x123)));
        assert_eq!(UserId(5).to_string().parse(), Ok(UserId(5)));
        assert_eq!(KeyId(5).to_string().parse(), Ok(KeyId(5)));
        assert_eq!("evt_4d".parse(), Ok(EventId(Position(77))));
        assert_eq!(ReplayId(Position(77)).to_string(), "rpl_4d");
        assert_eq!("rpl_4d".parse(), Ok(ReplayId(Position(77))));
    }

    #[test]
    fn nonsense_is_not_an_id() {
        for text in ["", "wh_", "wh_12", "wh_ffffffffffffffff", "wh_+000000000000123", "evt_", "evt_G", "dlv_1_2"] {
            assert!(text.parse::<WebhookId>().is_err(), "{text}");
            assert!(text.parse::<UserId>().is_err() && text.parse::<KeyId>().is_err(), "{text}");
            assert!(text.parse::<EventId>().is_err(), "{text}");
            assert!(text.parse::<DeliveryId>().is_err(), "{text}");
        }
    }
}
