//! What was fetched lately. Who reads event by event, as retries and replays do, asks for the next one soon.

use crate::model::Position;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;

/// Runs of entries that are kept: some megabytes.
const PAGES: usize = 64;

/// A run of entries as it was fetched: between the first and the last, all there is.
pub(super) type Page = Arc<Vec<(Position, Bytes)>>;

/// The newest runs, the newest last.
#[derive(Debug, Default)]
pub(super) struct Pages(VecDeque<Page>);

impl Pages {
    /// The run that has the entry at this position.
    pub(super) fn find(&self, position: Position) -> Option<Page> {
        let has = |page: &&Page| page.binary_search_by_key(&position, |(at, _)| *at).is_ok();
        self.0.iter().rev().find(has).cloned()
    }

    pub(super) fn keep(&mut self, page: Page) {
        if self.0.len() >= PAGES {
            self.0.pop_front();
        }
        self.0.push_back(page);
    }

    /// Something was erased: nothing that was fetched before is kept.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_runs_are_found_by_what_is_in_them() {
        let page = |positions: &[u64]| -> Page {
            Arc::new(positions.iter().map(|position| (Position(*position), Bytes::new())).collect())
        };
        let mut pages = Pages::default();
        pages.keep(page(&[1, 2, 5]));
        (0..PAGES as u64 - 1).for_each(|n| pages.keep(page(&[100 + n])));
        assert_eq!(pages.find(Position(5)).unwrap().len(), 3);
        assert!(pages.find(Position(3)).is_none(), "what was erased has no page of its own");
        pages.keep(page(&[1000]));
        assert!(pages.find(Position(5)).is_none() && pages.find(Position(100)).is_some());
        pages.clear();
        assert!(pages.find(Position(100)).is_none());
    }
}
