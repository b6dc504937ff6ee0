//! Which lanes want an event: an index by subscription and category, so that webhooks that do not want it cost nothing.
//! Filters are asked only where the category is wanted.

use super::cell::LaneCell;
use crate::filter::{Filter, Interest};
use crate::model::{Category, EventKind, SubscriptionId, WebhookId};
use std::collections::HashMap;
use std::sync::Arc;

/// Those that can be chosen, and the audit log's.
const CATEGORIES: usize = Category::ALL.len() + 1;

/// The lanes of all webhooks that are on.
#[derive(Debug, Default)]
pub struct Index {
    subscriptions: HashMap<SubscriptionId, [Vec<Wants>; CATEGORIES]>,
}

/// A lane that wants events of a category, as far as its filter lets them pass.
#[derive(Debug)]
pub struct Wants {
    /// The lane.
    pub cell: Arc<LaneCell>,
    /// Its webhook's filter.
    pub filter: Option<Arc<Filter>>,
}

impl Index {
    /// The lanes that want events of this kind, as far as their filters let them pass.
    pub fn lanes(&self, subscription: SubscriptionId, kind: EventKind) -> &[Wants] {
        self.subscriptions.get(&subscription).map_or(&[], |by_category| &by_category[kind.category() as usize])
    }

    /// Puts a lane in, or changes what it wants.
    pub fn set(&mut self, cell: &Arc<LaneCell>, interest: &Interest) {
        let lists = self.subscriptions.entry(cell.subscription).or_default();
        for category in Category::ALL.into_iter().chain([Category::Audit]) {
            let list = &mut lists[category as usize];
            let wants = || Wants { cell: Arc::clone(cell), filter: interest.filter().cloned() };
            match (place(list, cell.webhook), interest.asks_for(category)) {
                (Err(place), true) => list.insert(place, wants()),
                (Ok(place), true) => list[place] = wants(),
                (Ok(place), false) => drop(list.remove(place)),
                (Err(_), false) => {}
            }
        }
    }

    /// Takes a lane out.
    pub fn remove(&mut self, subscription: SubscriptionId, webhook: WebhookId) {
        for list in self.subscriptions.get_mut(&subscription).into_iter().flatten() {
            if let Ok(place) = place(list, webhook) {
                list.remove(place);
            }
        }
    }
}

/// Lists are kept in the order of ids, so that switching one of 10,000 webhooks searches none of the others.
fn place(list: &[Wants], webhook: WebhookId) -> Result<usize, usize> {
    list.binary_search_by_key(&webhook, |wants| wants.cell.webhook)
}
