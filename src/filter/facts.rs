//! What rules look at.

use crate::model::{EventEntry, EventKind};
use serde_json::Value;
use std::cell::OnceCell;

/// What one rule looks at.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject<'e> {
    /// An event.
    Event(&'e Facts<'e>),
    /// A visitor and their account, an object each.
    People(&'e Value),
}

impl<'e> Subject<'e> {
    /// What happened, if something did.
    pub(super) fn kind(self) -> Option<EventKind> {
        match self {
            Self::Event(facts) => Some(facts.kind),
            Self::People(_) => None,
        }
    }

    /// All that is to be looked at; `None` when it cannot be read.
    pub(super) fn object(self) -> Option<&'e Value> {
        match self {
            Self::Event(facts) => facts.envelope(),
            Self::People(people) => Some(people),
        }
    }
}

/// One event, as filters see it. Its body is taken apart when the first filter asks for more than its kind, and then once
/// for all of them.
#[derive(Debug)]
pub struct Facts<'a> {
    kind: EventKind,
    body: &'a [u8],
    envelope: OnceCell<Option<Value>>,
}

impl<'a> Facts<'a> {
    /// An event of this kind with this body.
    pub fn new(kind: EventKind, body: &'a [u8]) -> Self {
        Self { kind, body, envelope: OnceCell::new() }
    }

    /// The event of a journal's entry.
    pub fn of(entry: &EventEntry<'a>) -> Self {
        Self::new(entry.kind, entry.body)
    }

    /// What happened.
    pub fn kind(&self) -> EventKind {
        self.kind
    }

    /// The body; `None` when it cannot be read.
    fn envelope(&self) -> Option<&Value> {
        self.envelope.get_or_init(|| serde_json::from_slice(self.body).ok()).as_ref()
    }
}
