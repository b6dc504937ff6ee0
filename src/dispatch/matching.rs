//! Which lanes want an event: an index by subscription and category, so that webhooks that do not want it cost nothing.

use super::cell::LaneCell;
use crate::model::{Category, CategorySet, EventKind, SubscriptionId, WebhookId};
use std::collections::HashMap;
use std::sync::Arc;

const CATEGORIES: usize = Category::ALL.len();

/// The lanes of all webhooks that are on.
#[derive(Debug, Default)]
pub struct Index {
    subscriptions: HashMap<SubscriptionId, [Vec<Arc<LaneCell>>; CATEGORIES]>,
}

impl Index {
    /// The lanes that want events of this kind.
    pub fn lanes(&self, subscription: SubscriptionId, kind: EventKind) -> &[Arc<LaneCell>] {
        self.subscriptions.get(&subscription).map_or(&[], |by_category| &by_category[kind.category() as usize])
    }

    /// Puts a lane in, or changes what it wants.
    pub fn set(&mut self, cell: &Arc<LaneCell>, categories: CategorySet) {
        let lists = self.subscriptions.entry(cell.subscription).or_default();
        for category in Category::ALL {
            let list = &mut lists[category as usize];
            match (place(list, cell.webhook), categories.contains(category)) {
                (Err(place), true) => list.insert(place, Arc::clone(cell)),
                (Ok(place), true) => list[place] = Arc::clone(cell),
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
fn place(list: &[Arc<LaneCell>], webhook: WebhookId) -> Result<usize, usize> {
    list.binary_search_by_key(&webhook, |cell| cell.webhook)
}
