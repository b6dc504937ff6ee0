//! Who was in the app: last visits, browsers and metadata, written to the journal for the store (docs/intake.md).
//!
//! A visitor who clicks through a product sends many items. One visit a minute is written of them, so that telling when
//! somebody was here last costs next to nothing; what brings metadata is always written.

use super::item::{Item, What};
use super::keys::{Key, KeyMap, lock};
use super::user_agent;
use crate::journal::Group;
use crate::limits;
use crate::model::{Entry, SubscriptionId, UnixMs, VisitEntry};
use std::sync::Mutex;

/// Visits written lately, in two generations: when the young one is full it becomes the old one.
#[derive(Debug, Default)]
pub struct Visits(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: KeyMap<Key, UnixMs>,
    old: KeyMap<Key, UnixMs>,
}

/// A visit that is to be written.
pub struct Visit<'a> {
    /// The visitor and the account.
    pub key: Key,
    /// Of this item.
    pub item: &'a Item<'a>,
    /// With this User-Agent.
    pub user_agent: &'a str,
}

impl Visits {
    /// Whether a visit under this key is written so late before `at` that it stands for this one.
    pub fn stand_for(&self, key: Key, at: UnixMs) -> bool {
        let visits = lock(&self.0);
        let written = visits.young.get(&key).or_else(|| visits.old.get(&key));
        written.is_some_and(|written| at.since(*written) < limits::VISIT_EVERY)
    }

    /// Forgets them all: the next visit of each is written.
    pub fn clear(&self) {
        *lock(&self.0) = Generations::default();
    }

    /// A visit at `at` is written.
    pub fn written(&self, key: Key, at: UnixMs) {
        let mut visits = lock(&self.0);
        if visits.young.len() >= limits::VISITS_REMEMBERED / 2 {
            visits.old = std::mem::take(&mut visits.young);
        }
        visits.young.insert(key, at);
    }
}

impl Visit<'_> {
    /// Adds its entry to `group`.
    pub fn push(&self, subscription: SubscriptionId, group: &mut Group) {
        let browser = user_agent::parse(self.user_agent);
        let (visitor, account) = self.item.what.metadata();
        group.push(&Entry::Visit(VisitEntry {
            subscription,
            visitor_id: &self.item.visitor_id,
            account_id: &self.item.account_id,
            at: self.item.occurred_at,
            browser_name: browser.name,
            browser_version: &browser.version,
            visitor,
            account,
        }));
    }
}

impl What<'_> {
    /// The metadata of visitor and account that it brings: JSON objects, "" for none.
    pub fn metadata(&self) -> (&str, &str) {
        match self {
            Self::Identify { visitor, account, .. } => (visitor, account),
            _ => ("", ""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_visit_stands_for_those_of_a_minute() {
        let (visits, key) = (Visits::default(), Key(7 << 64));
        assert!(!visits.stand_for(key, UnixMs(0)));
        visits.written(key, UnixMs(1000));
        assert!(visits.stand_for(key, UnixMs(1000)) && visits.stand_for(key, UnixMs(60_999)));
        assert!(!visits.stand_for(key, UnixMs(61_000)));
        assert!(visits.stand_for(key, UnixMs(500)), "one that happened before, told later");
        for other in 0..limits::VISITS_REMEMBERED as u128 {
            visits.written(Key(other << 64 | 1), UnixMs(1000));
        }
        assert!(!visits.stand_for(key, UnixMs(1000)), "what is remembered is bounded");
    }
}
