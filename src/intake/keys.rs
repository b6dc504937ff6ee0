//! Keys by which intake knows people, items and ratings again, and locks on them.

use crate::model::{AppId, SubscriptionId};
use ring::digest;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The first 128 bits of a SHA-256: two different things never share one, also when somebody tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u128);

impl Key {
    /// A visitor of a subscription.
    pub fn visitor(subscription: SubscriptionId, visitor_id: &str) -> Self {
        Self::of(b'v', subscription, AppId(0), &[visitor_id])
    }

    /// An account of a subscription.
    pub fn account(subscription: SubscriptionId, account_id: &str) -> Self {
        Self::of(b'a', subscription, AppId(0), &[account_id])
    }

    /// An item's own id within its app.
    pub fn item(subscription: SubscriptionId, app: AppId, id: &str) -> Self {
        Self::of(b'i', subscription, app, &[id])
    }

    /// What a visitor says about NPS on a step of a guide.
    pub fn nps(subscription: SubscriptionId, app: AppId, visitor_id: &str, guide_id: &str, step_id: &str) -> Self {
        Self::of(b'n', subscription, app, &[visitor_id, guide_id, step_id])
    }

    /// A visitor who is here for an account.
    pub fn visit(subscription: SubscriptionId, visitor_id: &str, account_id: &str) -> Self {
        Self::of(b's', subscription, AppId(0), &[visitor_id, account_id])
    }

    /// The 64 bits by which the journal knows an item again.
    pub fn fingerprint(self) -> u64 {
        self.0 as u64
    }

    fn of(kind: u8, subscription: SubscriptionId, app: AppId, parts: &[&str]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        let mut head = [kind; 17];
        head[1..9].copy_from_slice(&subscription.0.to_le_bytes());
        head[9..].copy_from_slice(&app.0.to_le_bytes());
        context.update(&head);
        for part in parts {
            context.update(&(part.len() as u32).to_le_bytes());
            context.update(part.as_bytes());
        }
        let mut first = [0; 16];
        first.copy_from_slice(&context.finish().as_ref()[..16]);
        Self(u128::from_le_bytes(first))
    }
}

/// A hasher for what is a hash already.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoHash(u64);

impl Hasher for NoHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = (hash >> 64) as u64;
    }
}

/// A map by keys.
pub type KeyMap<K, V> = HashMap<K, V, BuildHasherDefault<NoHash>>;
/// A set of keys.
pub type KeySet<K> = HashSet<K, BuildHasherDefault<NoHash>>;

/// Locks a mutex of intake's. None of them is held where a panic could leave its data half-changed.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks on keys, held across the journal's answer: who meets a key in somebody else's hand waits until it is known
/// what became of it. So a repeat is never confirmed before the original is durable, and a first sighting that could
/// not be written is raised by whoever waited behind it.
///
/// Each lock waits in memory only as long as one request; their number is bounded by the items of the open requests.
#[derive(Debug, Clone, Default)]
pub struct KeyLocks(Arc<Mutex<KeyMap<Key, watch::Receiver<()>>>>);

/// Keys in one's own hand. Dropping it lets those who wait look again.
#[derive(Debug)]
pub struct Held {
    locks: KeyLocks,
    keys: Vec<Key>,
    released: Vec<watch::Sender<()>>,
}

impl Held {
    /// All of these in one; `None` when there are none.
    pub fn all(held: Vec<Self>) -> Option<Self> {
        held.into_iter().reduce(|mut all, mut one| {
            all.keys.append(&mut one.keys);
            all.released.append(&mut one.released);
            all
        })
    }
}

impl KeyLocks {
    /// Takes all of `keys`, or waits and tries again: nobody waits with a key in hand, so there is no deadlock.
    pub async fn take(&self, keys: Vec<Key>) -> Held {
        let mut keys = keys;
        keys.sort_unstable();
        keys.dedup();
        loop {
            let mut other = match self.try_take(keys) {
                Ok(held) => return held,
                Err((returned, other)) => {
                    keys = returned;
                    other
                }
            };
            // The sender never sends: an error says that it was dropped, which is what is waited for.
            let _ = other.changed().await;
        }
    }

    /// Takes one key if nobody holds it.
    pub fn try_one(&self, key: Key) -> Option<Held> {
        self.try_take(vec![key]).ok()
    }

    fn try_take(&self, keys: Vec<Key>) -> Result<Held, (Vec<Key>, watch::Receiver<()>)> {
        if keys.is_empty() {
            return Ok(Held { locks: self.clone(), keys, released: Vec::new() });
        }
        let mut map = lock(&self.0);
        if let Some(other) = keys.iter().find_map(|key| map.get(key)) {
            let other = other.clone();
            return Err((keys, other));
        }
        let (sender, receiver) = watch::channel(());
        map.extend(keys.iter().map(|key| (*key, receiver.clone())));
        Ok(Held { locks: self.clone(), keys, released: vec![sender] })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.keys.is_empty() {
            let mut map = lock(&self.locks.0);
            for key in &self.keys {
                map.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_different_things_differ() {
        let (one, two) = (SubscriptionId(1), SubscriptionId(2));
        let keys = [
            Key::visitor(one, "x"),
            Key::visitor(two, "x"),
            Key::account(one, "x"),
            Key::item(one, AppId(0), "x"),
            Key::item(one, AppId(1), "x"),
            Key::nps(one, AppId(0), "x", "yz", ""),
            Key::nps(one, AppId(0), "x", "y", "z"),
            Key::nps(one, AppId(0), "xy", "z", ""),
        ];
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len());
    }

    #[tokio::test]
    async fn a_key_is_in_one_hand_at_a_time() {
        let locks = KeyLocks::default();
        let first = locks.take(vec![Key(1), Key(2), Key(1)]).await;
        assert!(locks.try_one(Key(2)).is_none());
        assert!(locks.try_one(Key(3)).is_some());
        let waiting = tokio::spawn({
            let locks = locks.clone();
            async move { locks.take(vec![Key(2), Key(3)]).await.keys.len() }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        assert_eq!(waiting.await.unwrap(), 2);
        assert!(lock(&locks.0).is_empty(), "nothing is left behind");
    }
}
