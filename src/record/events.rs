//! Accepted events, newest first: the journal, walked backwards.

use super::lookup::{LookUp, event_detail, event_summary};
use super::view::{EventDetail, EventQuery, EventSummary, Page};
use super::{RecordError, Records, cursor, place};
use crate::journal::ReadError;
use crate::limits::JOURNAL_READ_BYTES;
use crate::model::{Entry, EventEntry, EventId, Position, SubscriptionId};

/// Entries of the first step back.
const STEP: u64 = 64;

/// Most entries of one step back.
const STEP_MAX: u64 = 4096;

/// Entries that one page looks at, at most. Outcomes and other subscriptions' events count too.
const PAGE_ENTRIES: u64 = 20_000;

impl Records {
    /// A page of a subscription's events, newest first.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn events(&self, query: &EventQuery) -> Result<Page<EventSummary>, RecordError> {
        let (first, last) = self.projection.positions_between(query.from, query.to)?;
        let first = first.max(self.journal.oldest());
        let head = self.journal.durable().borrow().next();
        let mut end = place(query.cursor.as_deref())?.min(head).min(last.next());
        let mut data = Vec::new();
        let (mut step, mut looked_at) = (STEP, 0);
        while end > first && data.len() < query.limit && looked_at < PAGE_ENTRIES {
            let start = Position(end.0.saturating_sub(step)).max(first);
            let mut found = match self.window(start, end, query) {
                Ok(found) => found,
                // Retention has overtaken the walk: what is gone is not shown.
                Err(RecordError::Journal(ReadError::Gone { .. })) => return Ok(Page { data, next: None }),
                Err(error) => return Err(error),
            };
            found.reverse();
            looked_at += end.0 - start.0;
            end = start;
            data.append(&mut found);
            step = (step * 2).min(STEP_MAX);
        }
        if data.len() > query.limit {
            data.truncate(query.limit);
            end = data.last().map_or(end, |event| event.id.0);
        }
        Ok(Page { data, next: (end > first).then(|| cursor(end)) })
    }

    /// An event with its body; `None` when there is none with this id in this subscription, or no longer.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn event(&self, subscription: SubscriptionId, id: EventId) -> Result<Option<EventDetail>, RecordError> {
        let show = |event: &EventEntry<'_>| (event.subscription == subscription).then(|| event_detail(id.0, event));
        Ok(LookUp::new(&*self.journal).event(id.0, show)?.flatten())
    }

    /// The events of a stretch of the journal that the query asks for, oldest first.
    fn window(&self, start: Position, end: Position, query: &EventQuery) -> Result<Vec<EventSummary>, RecordError> {
        let mut found = Vec::new();
        let mut from = start;
        while from < end {
            let chunk = self.journal.read(from, JOURNAL_READ_BYTES)?;
            for entry in chunk.entries() {
                match entry? {
                    (at, _) if at >= end => return Ok(found),
                    (at, Entry::Event(event)) if matches(&event, query) => found.push(event_summary(at, &event)),
                    _ => {}
                }
            }
            if chunk.is_empty() || chunk.next() <= from {
                break;
            }
            from = chunk.next();
        }
        Ok(found)
    }
}

fn matches(event: &EventEntry<'_>, query: &EventQuery) -> bool {
    event.subscription == query.subscription
        && query.event.is_none_or(|kind| kind == event.kind)
        && query.from.is_none_or(|from| event.accepted_at >= from)
        && query.to.is_none_or(|to| event.accepted_at < to)
}
