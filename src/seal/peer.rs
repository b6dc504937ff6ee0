//! How the nodes of a cluster know each other: each shows that it holds the master key.

use super::derived;
use crate::limits::PEER_WORD_TTL;
use crate::model::UnixMs;
use ring::hmac;
use std::fmt;
use std::net::IpAddr;

/// Who says something in a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The active node.
    Active,
    /// The other one.
    Peer,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Peer => "peer",
        }
    }
}

/// Makes proofs and gives its word, and knows its own again.
#[derive(Clone)]
pub struct PeerKey(hmac::Key);

impl PeerKey {
    /// The key that follows from the master key.
    pub(super) fn of(master_key: &[u8]) -> Self {
        Self(derived(master_key, "peer"))
    }

    /// What one side shows the other, after each has thought of a number: it opens nothing else.
    pub fn proof(&self, side: Side, numbers: [u64; 2]) -> String {
        hex::encode(hmac::sign(&self.0, handshake(side, numbers).as_bytes()))
    }

    /// Whether this is that side's proof.
    pub fn proves(&self, side: Side, numbers: [u64; 2], proof: &str) -> bool {
        let proof = hex::decode(proof).unwrap_or_default();
        hmac::verify(&self.0, handshake(side, numbers).as_bytes(), &proof).is_ok()
    }

    /// A node's word, as a header's value, that a request which it passes on came from this address.
    pub fn word(&self, client: IpAddr, now: UnixMs) -> String {
        let stamp = format!("{} {client}", now.0);
        let tag = hmac::sign(&self.0, client_of(&stamp).as_bytes());
        format!("{stamp} {}", hex::encode(tag))
    }

    /// The address, if this is a node's word and given a moment ago.
    pub fn client(&self, word: &str, now: UnixMs) -> Option<IpAddr> {
        let (stamp, tag) = word.rsplit_once(' ')?;
        let (at, client) = stamp.split_once(' ')?;
        let at = UnixMs(at.parse().ok()?);
        let is_young = now.since(at) < PEER_WORD_TTL && at.since(now) < PEER_WORD_TTL;
        let tag = hex::decode(tag).ok()?;
        let is_known = hmac::verify(&self.0, client_of(stamp).as_bytes(), &tag).is_ok();
        client.parse().ok().filter(|_| is_young && is_known)
    }
}

fn handshake(side: Side, numbers: [u64; 2]) -> String {
    format!("handshake {} {:016x} {:016x}", side.name(), numbers[0], numbers[1])
}

fn client_of(stamp: &str) -> String {
    format!("client {stamp}")
}

impl fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_proof_is_of_one_side_one_handshake_and_one_key() {
        let (key, other) = (PeerKey::of(&[1; 32]), PeerKey::of(&[2; 32]));
        let proof = key.proof(Side::Peer, [1, 2]);
        assert!(key.proves(Side::Peer, [1, 2], &proof));
        assert!(!key.proves(Side::Active, [1, 2], &proof) && !key.proves(Side::Peer, [2, 1], &proof));
        assert!(!other.proves(Side::Peer, [1, 2], &proof) && !key.proves(Side::Peer, [1, 2], "nonsense"));
    }

    #[test]
    fn a_word_holds_for_its_address_and_for_a_moment() {
        let (key, now) = (PeerKey::of(&[1; 32]), UnixMs(1_790_000_000_000));
        for client in ["203.0.113.7", "2001:db8::7"].map(|text| text.parse::<IpAddr>().unwrap()) {
            let word = key.word(client, now);
            assert_eq!(key.client(&word, now.after(Duration::from_secs(5))), Some(client));
            assert_eq!(key.client(&word, now.after(PEER_WORD_TTL)), None);
            assert_eq!(key.client(&word, now.before(PEER_WORD_TTL)), None);
            assert_eq!(PeerKey::of(&[2; 32]).client(&word, now), None);
            let other = word.replace(&client.to_string(), "203.0.113.8");
            assert_eq!(key.client(&other, now), None);
        }
        for nonsense in ["", " ", "1 2", "1 2 3", "x y z"] {
            assert_eq!(key.client(nonsense, now), None);
        }
    }
}
