//! A lane's events in memory.

use crate::dispatch::job::Event;
use crate::model::Position;
use std::collections::VecDeque;
use std::sync::Arc;

/// Events in memory, and the bytes of their bodies.
#[derive(Debug, Default)]
pub struct Queue {
    /// In the journal's order.
    pub events: VecDeque<Arc<Event>>,
    /// Of their bodies.
    pub bytes: usize,
}

impl Queue {
    /// Adds the next one.
    pub fn push(&mut self, event: Arc<Event>) {
        self.bytes += event.message.body.len();
        self.events.push_back(event);
    }

    /// Takes the first one.
    pub fn pop(&mut self) -> Option<Arc<Event>> {
        let event = self.events.pop_front()?;
        self.bytes -= event.message.body.len();
        Some(event)
    }

    /// Where the first one stands.
    pub fn first(&self) -> Option<Position> {
        self.events.front().map(|event| event.position)
    }

    /// Adds those of `later` behind its own.
    pub fn append(&mut self, mut later: Self) {
        self.events.append(&mut later.events);
        self.bytes += later.bytes;
    }
}
