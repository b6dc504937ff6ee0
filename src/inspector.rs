//! The inspector: a receiving address of the installation itself, one for each subscription, that shows what arrives. For
//! trying out webhooks before there is a receiver.
//!
//! What arrives is kept in memory only, the newest few: it is for looking at, not for relying on.

use crate::clock::Clock;
use crate::limits;
use crate::model::{SubscriptionId, UnixMs};
use crate::seal::AddressKey;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Where these addresses begin, behind the public URL.
pub const PREFIX: &str = "/inspect/";

/// A request that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Counts what has arrived since the start, from 1.
    pub number: u64,
    /// When.
    pub at: UnixMs,
    /// The method.
    pub method: String,
    /// What stands behind the address: the query, with its `?`, or "".
    pub query: String,
    /// Header names in lower case and their values, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The beginning of the body, up to [`limits::INSPECTED_BODY_BYTES`].
    pub body: Bytes,
    /// How long the body was.
    pub body_bytes: usize,
}

/// What has arrived, by subscription.
#[derive(Debug)]
pub struct Inspector {
    key: AddressKey,
    clock: Arc<dyn Clock>,
    shelves: Mutex<HashMap<SubscriptionId, Shelf>>,
}

/// The newest requests of one subscription.
#[derive(Debug, Default)]
struct Shelf {
    received: u64,
    newest: VecDeque<Arc<Arrival>>,
    touched: UnixMs,
}

impl Inspector {
    /// An empty one, with addresses made from this key.
    pub fn new(key: AddressKey, clock: Arc<dyn Clock>) -> Self {
        Self { key, clock, shelves: Mutex::default() }
    }

    /// The path of a subscription's address.
    pub fn path(&self, subscription: SubscriptionId) -> String {
        format!("{PREFIX}{subscription}/{}", self.key.token(&name(subscription)))
    }

    /// Whether this token belongs to the subscription's address.
    pub fn knows(&self, subscription: SubscriptionId, token: &str) -> bool {
        self.key.knows(&name(subscription), token)
    }

    /// Keeps what has arrived; its number and its time are set here. Gives the number.
    pub fn keep(&self, subscription: SubscriptionId, arrival: Arrival) -> u64 {
        let now = self.clock.now();
        let mut shelves = self.shelves.lock();
        if !shelves.contains_key(&subscription) && shelves.len() >= limits::INSPECTORS {
            let idle = shelves.iter().min_by_key(|(_, shelf)| shelf.touched).map(|(id, _)| *id);
            idle.map(|id| shelves.remove(&id));
        }
        let shelf = shelves.entry(subscription).or_default();
        shelf.received += 1;
        shelf.touched = now;
        if shelf.newest.len() >= limits::INSPECTED {
            shelf.newest.pop_back();
        }
        shelf.newest.push_front(Arc::new(Arrival { number: shelf.received, at: now, ..arrival }));
        shelf.received
    }

    /// How many have arrived since the start, and those that are kept, newest first.
    pub fn newest(&self, subscription: SubscriptionId) -> (u64, Vec<Arc<Arrival>>) {
        let shelves = self.shelves.lock();
        let shelf = shelves.get(&subscription);
        shelf.map_or_else(Default::default, |shelf| (shelf.received, shelf.newest.iter().cloned().collect()))
    }

    /// Forgets what has arrived. The count goes on.
    pub fn clear(&self, subscription: SubscriptionId) {
        if let Some(shelf) = self.shelves.lock().get_mut(&subscription) {
            shelf.newest.clear();
        }
    }
}

fn name(subscription: SubscriptionId) -> String {
    format!("inspector/{subscription}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::seal::MasterKey;

    fn inspector() -> (Inspector, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(UnixMs(1_000)));
        let key = MasterKey::from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "x").unwrap();
        (Inspector::new(key.addresses().clone(), Arc::clone(&clock) as Arc<dyn Clock>), clock)
    }

    fn arrival() -> Arrival {
        let (method, query) = (String::from("POST"), String::new());
        Arrival { number: 0, at: UnixMs(0), method, query, headers: Vec::new(), body: Bytes::new(), body_bytes: 0 }
    }

    #[test]
    fn the_newest_are_kept_and_counted_for_each_subscription_alone() {
        let (inspector, _) = inspector();
        let (one, other) = (SubscriptionId(1), SubscriptionId(2));
        for _ in 0..limits::INSPECTED + 5 {
            inspector.keep(one, arrival());
        }
        let (received, newest) = inspector.newest(one);
        assert_eq!((received as usize, newest.len()), (limits::INSPECTED + 5, limits::INSPECTED));
        assert_eq!((newest[0].number, newest[0].at), (received, UnixMs(1_000)));
        assert_eq!(inspector.newest(other), (0, Vec::new()));
        inspector.clear(one);
        assert_eq!(inspector.newest(one), (received, Vec::new()));
        assert_eq!(inspector.keep(one, arrival()), received + 1);
    }

    #[test]
    fn beyond_the_bound_the_one_that_was_idle_longest_goes() {
        let (inspector, clock) = inspector();
        for id in 0..limits::INSPECTORS as u64 {
            clock.set(UnixMs(2_000 - id as i64));
            inspector.keep(SubscriptionId(id), arrival());
        }
        let idle = SubscriptionId(limits::INSPECTORS as u64 - 1);
        inspector.keep(SubscriptionId(99_999), arrival());
        assert_eq!(inspector.newest(idle).0, 0);
        assert_eq!(inspector.newest(SubscriptionId(0)).0, 1);
    }

    #[test]
    fn an_address_is_its_own_subscriptions() {
        let (inspector, _) = inspector();
        let path = inspector.path(SubscriptionId(7));
        let (id, token) = path.strip_prefix(PREFIX).unwrap().split_once('/').unwrap();
        assert_eq!(id, "7");
        assert!(inspector.knows(SubscriptionId(7), token) && !inspector.knows(SubscriptionId(8), token));
    }
}
