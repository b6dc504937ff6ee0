//! Reading single entries of the journal.

use super::RecordError;
use super::view::{EventDetail, EventSummary};
use crate::journal::{Chunk, Journal, ReadError};
use crate::model::{Entry, EventEntry, EventId, OutcomeEntry, Position, ShapedOutcome};
use bytes::Bytes;

/// Bytes that one look-up reads ahead: entries that are wanted together often stand together.
const LOOK_UP_BYTES: usize = 16 * 1024;

/// The kept part of a body that was sent, and whether it was longer.
pub(super) type Sent<'a> = (&'a [u8], bool);

/// Reads entries by position. Positions that are asked for in rising order are often served by one read.
pub(super) struct LookUp<'a> {
    journal: &'a dyn Journal,
    chunk: Chunk,
    from: Position,
}

impl<'a> LookUp<'a> {
    pub(super) fn new(journal: &'a dyn Journal) -> Self {
        Self { journal, chunk: Chunk::default(), from: Position::ZERO }
    }

    /// What `show` makes of the entry at `position`; `None` when the journal no longer has it.
    pub(super) fn entry<T>(
        &mut self,
        position: Position,
        show: impl FnOnce(Entry<'_>) -> Option<T>,
    ) -> Result<Option<T>, RecordError> {
        if self.chunk.is_empty() || position < self.from || position >= self.chunk.next() {
            match self.journal.read(position, LOOK_UP_BYTES) {
                Ok(chunk) => (self.chunk, self.from) = (chunk, position),
                Err(ReadError::Gone { .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        for entry in self.chunk.entries() {
            let (at, entry) = entry?;
            if at >= position {
                return Ok(if at == position { show(entry) } else { None });
            }
        }
        Ok(None)
    }

    /// The event at `position`.
    pub(super) fn event<T>(
        &mut self,
        position: Position,
        show: impl FnOnce(&EventEntry<'_>) -> T,
    ) -> Result<Option<T>, RecordError> {
        self.entry(position, |entry| match entry {
            Entry::Event(event) => Some(show(&event)),
            _ => None,
        })
    }

    /// The event that was carried on to `position`.
    pub(super) fn carried<T>(
        &mut self,
        position: Position,
        show: impl FnOnce(&EventEntry<'_>) -> T,
    ) -> Result<Option<T>, RecordError> {
        self.entry(position, |entry| match entry {
            Entry::Carried(carried) => Some(show(&carried.entry)),
            _ => None,
        })
    }

    /// The outcome at `position`, and the body that was sent where that is not the event's own.
    pub(super) fn outcome<T>(
        &mut self,
        position: Position,
        show: impl FnOnce(&OutcomeEntry<'_>, Option<Sent<'_>>) -> T,
    ) -> Result<Option<T>, RecordError> {
        self.entry(position, |entry| match entry {
            Entry::Outcome(outcome) => Some(show(&outcome, None)),
            Entry::ShapedOutcome(ShapedOutcome { outcome, request_body, request_cut }) => {
                Some(show(&outcome, Some((request_body, request_cut))))
            }
            _ => None,
        })
    }
}

/// What lists show of an event.
pub(super) fn event_summary(position: Position, event: &EventEntry<'_>) -> EventSummary {
    EventSummary {
        id: EventId(position),
        app: event.app,
        kind: event.kind,
        unique_id: event.unique_id,
        visitor_id: event.visitor_id.to_owned(),
        account_id: event.account_id.to_owned(),
        occurred_at: event.occurred_at,
        accepted_at: event.accepted_at,
        withheld: event.withheld.clone(),
    }
}

/// An event with its body.
pub(super) fn event_detail(position: Position, event: &EventEntry<'_>) -> EventDetail {
    EventDetail { summary: event_summary(position, event), body: Bytes::copy_from_slice(event.body) }
}
