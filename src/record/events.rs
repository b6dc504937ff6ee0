//! Accepted events, newest first: the journal, walked backwards.

use super::explain::History;
use super::lookup::{LookUp, event_detail, event_summary};
use super::view::{EventDetail, EventQuery, EventSummary, Page, Tried, WithheldAs};
use super::{RecordError, Records, cursor, place};
use crate::filter::{Facts, Interest};
use crate::journal::ReadError;
use crate::limits::JOURNAL_READ_BYTES;
use crate::model::{Entry, EventEntry, EventId, PersonKind, Position, SubscriptionId};
use crate::store::projection::{Projection, Stretch, person_hash};

/// Entries of the first step back.
const STEP: u64 = 64;

/// Most entries of one step back.
const STEP_MAX: u64 = 4096;

/// Entries that one page looks at, at most. Outcomes and other subscriptions' events count too.
const PAGE_ENTRIES: u64 = 20_000;

/// The same for a page of somebody's events, which are far apart: some hundred milliseconds.
const SEEK_ENTRIES: u64 = 200_000;

/// Look-ups in the index of stretches that one page makes in vain, at most.
const LOOKS: u64 = 8;

/// Pages that are looked through for events to try a filter against.
const TRY_PAGES: usize = 10;

impl Records {
    /// A page of a subscription's events, newest first.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn events(&self, query: &EventQuery) -> Result<Page<EventSummary>, RecordError> {
        let seek = Seek::new(query, &self.projection)?;
        let (first, last) = self.projection.positions_between(query.from, query.to)?;
        let first = first.max(self.journal.oldest());
        let head = self.journal.durable().borrow().next();
        let mut end = place(query.cursor.as_deref())?.min(head).min(last.next());
        let mut data = Vec::new();
        let (mut step, mut looked_at) = (STEP, 0);
        while end > first && data.len() < query.limit && looked_at < seek.entries() {
            let back = Position(end.0.saturating_sub(step));
            let (start, stop) = match self.look_in(&seek, end)? {
                Look::Anywhere => (back.max(first), end),
                Look::From(start) => (start.max(back).max(first), end),
                Look::Within(start, stop) => (start.max(first), stop.next().min(end)),
                Look::Below(below) => {
                    looked_at += seek.entries() / LOOKS;
                    end = below.max(first);
                    continue;
                }
            };
            let mut found = match self.window(start, stop, &seek) {
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

    /// The newest events that `interest` has chosen the category of and that were pushed, newest first, `most` at most, and
    /// what its filter says of each. Looks back a bounded stretch.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn try_filter(
        &self,
        subscription: SubscriptionId,
        interest: &Interest,
        most: usize,
    ) -> Result<Vec<Tried>, RecordError> {
        let mut query = EventQuery::all_pushed(subscription, most);
        let mut tried = Vec::new();
        for _ in 0..TRY_PAGES {
            let page = self.events(&query)?;
            for event in page.data.into_iter().filter(|event| interest.asks_for(event.kind.category())) {
                if tried.len() == most {
                    return Ok(tried);
                }
                // What was erased meanwhile is not shown.
                let judge = |entry: &EventEntry<'_>| interest.judge(&Facts::of(entry));
                if let Some(judgement) = LookUp::new(&*self.journal).event(event.id.0, judge)? {
                    tried.push(Tried { event, judgement });
                }
            }
            query.cursor = page.next;
            if query.cursor.is_none() {
                break;
            }
        }
        Ok(tried)
    }

    /// Where to look for events below `end`. What is not projected yet is in no stretch.
    fn look_in(&self, seek: &Seek<'_>, end: Position) -> Result<Look, RecordError> {
        if seek.people.is_empty() {
            return Ok(Look::Anywhere);
        }
        let projected = self.projection.projected();
        if end > projected.next() {
            return Ok(Look::From(projected.next()));
        }
        Ok(match self.projection.stretch_below(end, &seek.people)? {
            Stretch::Found(first, last) => Look::Within(first, last),
            Stretch::NotFrom(position) => Look::Below(position),
            Stretch::Unknown => Look::Anywhere,
        })
    }

    /// The events of a stretch of the journal that the query asks for, oldest first.
    fn window(&self, start: Position, end: Position, seek: &Seek<'_>) -> Result<Vec<EventSummary>, RecordError> {
        let mut found = Vec::new();
        let mut from = start;
        while from < end {
            let chunk = self.journal.read(from, JOURNAL_READ_BYTES)?;
            for entry in chunk.entries() {
                match entry? {
                    (at, _) if at >= end => return Ok(found),
                    (at, Entry::Event(event)) if seek.matches(at, &event) => found.push(event_summary(at, &event)),
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

/// Where a walk looks next.
enum Look {
    /// A step back.
    Anywhere,
    /// A step back, but not below this position.
    From(Position),
    /// In this stretch, both ends inclusive.
    Within(Position, Position),
    /// Nowhere at or above this position.
    Below(Position),
}

/// What a query looks for.
struct Seek<'a> {
    query: &'a EventQuery,
    /// Who must be in an event, as stretches know them.
    people: Vec<u32>,
    /// What the webhook asked for, where one is named.
    history: Option<History>,
}

impl<'a> Seek<'a> {
    fn new(query: &'a EventQuery, projection: &Projection) -> Result<Self, RecordError> {
        let visitor = query.visitor.iter().map(|id| (PersonKind::Visitor, id));
        let account = query.account.iter().map(|id| (PersonKind::Account, id));
        let hash = |(kind, id): (PersonKind, &String)| person_hash(query.subscription, kind, id);
        let history = query.webhook.map(|webhook| History::read(projection, webhook)).transpose()?;
        Ok(Self { query, people: visitor.chain(account).map(hash).collect(), history })
    }

    /// How many entries one page looks at, at most.
    fn entries(&self) -> u64 {
        if self.people.is_empty() { PAGE_ENTRIES } else { SEEK_ENTRIES }
    }

    fn matches(&self, position: Position, event: &EventEntry<'_>) -> bool {
        let query = self.query;
        event.subscription == query.subscription
            && query.event.is_none_or(|kind| kind == event.kind)
            && query.visitor.as_ref().is_none_or(|id| id == event.visitor_id)
            && query.account.as_ref().is_none_or(|id| id == event.account_id)
            && query.withheld.is_none_or(|withheld| withheld == WithheldAs::of(event.withheld.as_ref()))
            && event.accepted_at.is_within(query.from, query.to)
            && self.history.as_ref().is_none_or(|history| event.withheld.is_none() && history.wants(position, event))
    }
}
