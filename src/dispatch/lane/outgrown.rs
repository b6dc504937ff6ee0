//! What becomes of a lane's events when the journal loses its oldest part.

use super::Lane;
use crate::model::Position;
use std::cmp::Reverse;

impl Lane {
    /// The journal no longer has what lies before `oldest`.
    pub fn lost_until(&mut self, oldest: Position) {
        let Some(reading) = self.reading.as_mut() else { return };
        // What it was handed after joining is not read.
        let oldest = reading.until.map_or(oldest, |until| oldest.min(until));
        if reading.next < oldest {
            let from = reading.next;
            reading.next = oldest;
            self.expire(from, Position(oldest.0 - 1), None);
        }
    }

    /// The journal is about to lose what lies before `outgrown`: what was not attempted of it expires.
    pub fn let_go(&mut self, outgrown: Position) {
        while self.queue.first().is_some_and(|first| first < outgrown) {
            if let Some(event) = self.queue.pop() {
                self.expire(event.position, event.position, Some(1));
            }
        }
        self.lost_until(outgrown);
        while self.joined.first().is_some_and(|first| first < outgrown) {
            if let Some(event) = self.joined.pop() {
                self.expire(event.position, event.position, Some(1));
            }
        }
    }

    /// The events before `outgrown` of which a delivery is under way: it is in flight and may fail, or it waits for its time,
    /// or for its turn behind another one of its visitor's.
    pub fn under_way_before(&self, outgrown: Position) -> impl Iterator<Item = Position> {
        let in_flight = self.in_flight.iter().map(|begun| begun.event);
        let waiting = self.waiting.iter().map(|Reverse(waiting)| waiting.event);
        let kept_back = self.order.iter().flat_map(|order| order.events());
        in_flight.chain(waiting).chain(self.replayed.events()).chain(kept_back).filter(move |event| *event < outgrown)
    }
}
