//! What a webhook is told of, ready to be asked.

use super::{Facts, Failure, Filter};
use crate::model::{Category, CategorySet, Selection};
use std::sync::Arc;

/// Which events a webhook is told of: a [`Selection`] whose filter was made ready, once.
#[derive(Debug, Clone, PartialEq)]
pub struct Interest {
    categories: CategorySet,
    audit: bool,
    filter: Option<Arc<Filter>>,
}

/// What an [`Interest`] says of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// The webhook is told of it.
    Wanted,
    /// It is of a category that was not chosen.
    OtherCategory,
    /// Its filter does not let it pass.
    Filtered,
    /// Its filter has no answer, so it does not pass.
    Failed(Failure),
}

impl Interest {
    /// What is selected.
    pub fn of(selection: &Selection) -> Self {
        let filter = selection.filter.as_deref().map(|text| Arc::new(Filter::saved(text)));
        Self { categories: selection.categories, audit: selection.audit, filter }
    }

    /// No event at all.
    pub fn nothing() -> Self {
        Self { categories: CategorySet::Some(0), audit: false, filter: None }
    }

    /// Whether events of this category are asked for, as far as the filter lets them pass.
    pub fn asks_for(&self, category: Category) -> bool {
        if category == Category::Audit { self.audit } else { self.categories.contains(category) }
    }

    /// The filter, where there is one.
    pub fn filter(&self) -> Option<&Arc<Filter>> {
        self.filter.as_ref()
    }

    /// What becomes of an event.
    pub fn judge(&self, facts: &Facts<'_>) -> Judgement {
        if !self.asks_for(facts.kind().category()) {
            return Judgement::OtherCategory;
        }
        match self.filter.as_ref().map(|filter| filter.passes(facts)) {
            None | Some(Ok(true)) => Judgement::Wanted,
            Some(Ok(false)) => Judgement::Filtered,
            Some(Err(failure)) => Judgement::Failed(failure),
        }
    }

    /// Whether the webhook is told of an event.
    pub fn wants(&self, facts: &Facts<'_>) -> bool {
        self.judge(facts) == Judgement::Wanted
    }
}
