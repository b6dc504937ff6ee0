//! NPS ratings that wait for their reason, durably (docs/intake.md).
//!
//! A rating alone is journalled as held and leaves when its reason comes or its time is over; the event that it then
//! becomes names the held entry that it closes. Both are one decision per key, taken with the key's lock in hand; after
//! a crash everything held and not closed is here again.

use super::body::{NpsSource, Step};
use super::keys::{Key, KeyMap, lock};
use crate::limits;
use crate::model::{AppId, PersonKind, Platform, Position, SubscriptionId, UniqueId, UnixMs, Withheld};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// Everything that the event of a rating needs. Written to the journal as JSON: unknown keys are ignored and new ones
/// need a default, so that a later version can read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// The customer.
    pub subscription_id: SubscriptionId,
    /// Its name.
    pub subscription_name: String,
    /// The app.
    pub app_id: AppId,
    /// Its name.
    pub app_name: String,
    /// Its platform.
    pub platform: Platform,
    /// Who rated.
    pub visitor_id: String,
    /// For which account.
    pub account_id: String,
    /// With which browser.
    pub user_agent: String,
    /// When.
    pub occurred_at: UnixMs,
    /// The event's id, fixed from the beginning: it is the same however often closing is tried.
    pub unique_id: UniqueId,
    /// Where it was asked.
    pub step: Step,
    /// 0 to 10.
    pub rating: u8,
    /// Where it was given.
    pub source: NpsSource,
    /// Kept, but not pushed.
    pub withheld: Option<Withheld>,
}

impl Draft {
    /// The key on which a rating and its reason meet.
    pub fn key(&self) -> Key {
        let step = &self.step;
        Key::nps(self.subscription_id, self.app_id, &self.visitor_id, &step.guide_id, &step.step_id)
    }

    fn is_of(&self, person: &Whose<'_>) -> bool {
        person.has(self.subscription_id, &self.visitor_id, &self.account_id)
    }
}

/// A visitor or an account of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whose<'a> {
    /// The customer.
    pub subscription: SubscriptionId,
    /// A visitor or an account.
    pub kind: PersonKind,
    /// Their id.
    pub id: &'a str,
}

impl Whose<'_> {
    /// Whether something of this visitor, done for this account, is theirs.
    pub fn has(&self, subscription: SubscriptionId, visitor_id: &str, account_id: &str) -> bool {
        let id = match self.kind {
            PersonKind::Visitor => visitor_id,
            PersonKind::Account => account_id,
        };
        self.subscription == subscription && self.id == id
    }
}

/// The visitor who gave a held rating, as the journal has it, and their account. One that cannot be read was written by
/// a newer version.
pub fn who_rated(draft: &[u8]) -> Option<(String, String)> {
    let draft: Draft = serde_json::from_slice(draft).ok()?;
    Some((draft.visitor_id, draft.account_id))
}

/// A rating that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRating {
    /// Its entry in the journal.
    pub position: Position,
    /// When it leaves without a reason.
    pub due: UnixMs,
    /// What it will become.
    pub draft: Arc<Draft>,
}

/// All ratings that are held.
#[derive(Debug, Default)]
pub struct HeldRatings {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    by_key: KeyMap<Key, HeldRating>,
    by_due: BTreeSet<(UnixMs, Key)>,
}

impl HeldRatings {
    /// How many there are.
    pub fn len(&self) -> usize {
        lock(&self.state).by_key.len()
    }

    /// The rating held under this key.
    pub fn get(&self, key: Key) -> Option<HeldRating> {
        lock(&self.state).by_key.get(&key).cloned()
    }

    /// Whether `more` may be held.
    pub fn has_room(&self, more: usize) -> bool {
        lock(&self.state).by_key.len() + more <= limits::HELD_RATINGS
    }

    /// Holds a rating; the one held under the key before must have been closed.
    pub fn insert(&self, key: Key, rating: HeldRating) {
        let mut state = lock(&self.state);
        state.by_due.insert((rating.due, key));
        if let Some(before) = state.by_key.insert(key, rating) {
            state.by_due.remove(&(before.due, key));
        }
        drop(state);
        self.changed.notify_one();
    }

    /// The rating at `position` has left.
    pub fn remove(&self, key: Key, position: Position) {
        let mut state = lock(&self.state);
        if state.by_key.get(&key).is_some_and(|held| held.position == position)
            && let Some(held) = state.by_key.remove(&key)
        {
            state.by_due.remove(&(held.due, key));
        }
    }

    /// The keys of those that are of this person, in order.
    pub fn of(&self, person: &Whose<'_>) -> Vec<Key> {
        let state = lock(&self.state);
        let mut keys: Vec<_> =
            state.by_key.iter().filter(|(_, held)| held.draft.is_of(person)).map(|(key, _)| *key).collect();
        keys.sort_unstable();
        keys
    }

    /// Forgets these. The caller holds their locks.
    pub fn forget(&self, keys: &[Key]) {
        let mut state = lock(&self.state);
        for key in keys {
            if let Some(held) = state.by_key.remove(key) {
                state.by_due.remove(&(held.due, *key));
            }
        }
    }

    /// The keys of those whose time is over, oldest first, at most a group's worth.
    pub fn due(&self, now: UnixMs) -> Vec<Key> {
        let state = lock(&self.state);
        let due = state.by_due.iter().take_while(|(due, _)| *due <= now);
        due.take(limits::HELD_RATINGS_GROUP).map(|(_, key)| *key).collect()
    }

    /// When the next one's time is over.
    pub fn next_due(&self) -> Option<UnixMs> {
        lock(&self.state).by_due.first().map(|(due, _)| *due)
    }

    /// Resolves when another one was held.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}
