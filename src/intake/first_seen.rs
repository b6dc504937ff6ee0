//! Who was seen in-app already: each visitor and each account of a subscription is announced once (docs/intake.md).
//!
//! Three places know: the store (everyone up to the position that it has projected), the set of those whose event is
//! in the journal but not yet in the store, and a cache of those met lately, so that the store is asked only once
//! about each. Callers hold the [`Key`]'s lock from the question until the journal has answered, so that two
//! sightings at the same time are one first and one later.

use super::keys::{Key, KeyMap, KeySet, lock};
use crate::limits;
use crate::model::{Position, SubscriptionId};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// What the store knows about people.
///
/// "Seen" are those with a `VisitorCreated` or `AccountCreated` entry in the journal up to [`Seen::projected`], whether
/// the journal still retains it or not: never those that only the Metadata API has made.
pub trait Seen: Send + Sync + 'static {
    /// Whether this visitor was seen in-app. Blocking: a point read.
    ///
    /// # Errors
    /// [`SeenError`].
    fn visitor(&self, subscription: SubscriptionId, visitor_id: &str) -> Result<bool, SeenError>;

    /// Whether this account was seen in-app. Blocking: a point read.
    ///
    /// # Errors
    /// [`SeenError`].
    fn account(&self, subscription: SubscriptionId, account_id: &str) -> Result<bool, SeenError>;

    /// Every entry up to and including this position is visible to the two calls above. Cheap: asked with each first
    /// sighting.
    fn projected(&self) -> Position;
}

/// The store could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store cannot say who was seen: {0}")]
pub struct SeenError(pub String);

/// More first sightings are journalled but not projected than may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more visitors and accounts are new than the store keeps up with")]
pub struct TooManyNew;

/// A visitor or an account that may be new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Person {
    /// A visitor's id.
    Visitor(String),
    /// An account's id.
    Account(String),
}

/// See the module.
pub struct FirstSeen {
    store: Arc<dyn Seen>,
    state: Mutex<State>,
    most_pending: usize,
}

#[derive(Default)]
struct State {
    /// Those met lately, in two generations: when the young one is full it becomes the old one.
    young: KeySet<Key>,
    old: KeySet<Key>,
    /// Journalled at this position, and perhaps not projected yet.
    pending: KeyMap<Key, Position>,
    order: VecDeque<(Position, Key)>,
    /// On their way into the journal.
    reserved: usize,
}

/// Room for first sightings that are on their way into the journal; given back when dropped.
pub struct Reservation {
    of: Arc<FirstSeen>,
    count: usize,
}

impl FirstSeen {
    /// Asks `store`, and lets at most `most_pending` be ahead of it.
    pub fn new(store: Arc<dyn Seen>, most_pending: usize) -> Arc<Self> {
        Arc::new(Self { store, state: Mutex::default(), most_pending })
    }

    /// How far the store knows the journal.
    pub fn projected(&self) -> Position {
        self.store.projected()
    }

    /// Whether it is known, without asking the store, that this one was seen.
    pub fn is_known(&self, key: Key) -> bool {
        let mut state = lock(&self.state);
        if state.young.contains(&key) || state.pending.contains_key(&key) {
            return true;
        }
        let old = state.old.contains(&key);
        if old {
            state.remember(key);
        }
        old
    }

    /// Those of `people` that were never seen. Asks the store on a thread that may block.
    ///
    /// # Errors
    /// [`SeenError`].
    pub async fn unseen(
        self: &Arc<Self>,
        subscription: SubscriptionId,
        people: Vec<(Key, Person)>,
    ) -> Result<KeySet<Key>, SeenError> {
        let asked: Vec<_> = people.into_iter().filter(|(key, _)| !self.is_known(*key)).collect();
        if asked.is_empty() {
            return Ok(KeySet::default());
        }
        let this = self.clone();
        let answer = tokio::task::spawn_blocking(move || this.ask_all(subscription, asked));
        answer.await.map_err(|error| SeenError(error.to_string()))?
    }

    fn ask_all(&self, subscription: SubscriptionId, people: Vec<(Key, Person)>) -> Result<KeySet<Key>, SeenError> {
        let mut unseen = KeySet::default();
        let mut seen = Vec::new();
        for (key, person) in people {
            let known = match &person {
                Person::Visitor(id) => self.store.visitor(subscription, id)?,
                Person::Account(id) => self.store.account(subscription, id)?,
            };
            if known {
                seen.push(key);
            } else {
                unseen.insert(key);
            }
        }
        let mut state = lock(&self.state);
        for key in seen {
            state.remember(key);
        }
        Ok(unseen)
    }

    /// Knows nothing of somebody any more: the store is asked again. The caller holds the [`Key`]'s lock.
    pub fn forget(&self, key: Key) {
        let mut state = lock(&self.state);
        state.young.remove(&key);
        state.old.remove(&key);
        state.pending.remove(&key);
    }

    /// Room for `count` first sightings.
    ///
    /// # Errors
    /// [`TooManyNew`] while the store has not caught up.
    pub fn reserve(self: &Arc<Self>, count: usize) -> Result<Reservation, TooManyNew> {
        let projected = self.store.projected();
        let mut state = lock(&self.state);
        state.forget_projected(projected);
        if state.pending.len() + state.reserved + count > self.most_pending {
            return Err(TooManyNew);
        }
        state.reserved += count;
        Ok(Reservation { of: self.clone(), count })
    }
}

impl Reservation {
    /// They are in the journal. Without this call they were never seen.
    pub fn journalled(&self, firsts: impl IntoIterator<Item = (Key, Position)>) {
        let mut state = lock(&self.of.state);
        for (key, position) in firsts {
            state.pending.insert(key, position);
            state.order.push_back((position, key));
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        lock(&self.of.state).reserved -= self.count;
    }
}

impl State {
    fn remember(&mut self, key: Key) {
        if self.young.len() >= limits::SEEN_CACHE / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key);
    }

    /// Moves those that the store has taken over from the pending ones into the cache. Positions may stand slightly out
    /// of order here; one that is late only waits a little longer.
    fn forget_projected(&mut self, projected: Position) {
        while let Some((position, key)) = self.order.front().copied() {
            if position > projected {
                break;
            }
            self.order.pop_front();
            // One that was forgotten meanwhile is not remembered again.
            if self.pending.remove(&key).is_some() {
                self.remember(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody(Mutex<Position>);

    impl Seen for Nobody {
        fn visitor(&self, _: SubscriptionId, id: &str) -> Result<bool, SeenError> {
            if id == "broken" { Err(SeenError(String::from("disk"))) } else { Ok(id == "old") }
        }
        fn account(&self, _: SubscriptionId, _: &str) -> Result<bool, SeenError> {
            Ok(false)
        }
        fn projected(&self) -> Position {
            *lock(&self.0)
        }
    }

    #[tokio::test]
    async fn the_pending_are_bounded_and_leave_when_projected() {
        let store = Arc::new(Nobody(Mutex::new(Position(0))));
        let first_seen = FirstSeen::new(store.clone(), 2);
        let (a, b) = (Key(1 << 64), Key(2 << 64));
        let one = first_seen.reserve(1).ok().unwrap();
        assert!(first_seen.reserve(2).is_err());
        one.journalled([(a, Position(7))]);
        drop(one);
        assert!(first_seen.is_known(a));
        assert!(first_seen.reserve(2).is_err());
        drop(first_seen.reserve(1).ok().unwrap());
        assert!(!first_seen.is_known(b), "a reservation that is dropped leaves nothing");
        *lock(&store.0) = Position(7);
        assert!(first_seen.reserve(2).is_ok());
        assert!(first_seen.is_known(a), "it has moved into the cache");
    }

    #[tokio::test]
    async fn the_store_is_asked_and_its_failure_is_told() {
        let first_seen = FirstSeen::new(Arc::new(Nobody(Mutex::default())), 2);
        let subscription = SubscriptionId(1);
        let person = |id: &str| (Key::visitor(subscription, id), Person::Visitor(id.to_owned()));
        let unseen = first_seen.unseen(subscription, vec![person("old"), person("new")]).await.unwrap();
        assert_eq!(unseen.into_iter().collect::<Vec<_>>(), [person("new").0]);
        assert!(first_seen.is_known(person("old").0) && !first_seen.is_known(person("new").0));
        assert!(first_seen.unseen(subscription, vec![person("broken")]).await.is_err());
    }
}
