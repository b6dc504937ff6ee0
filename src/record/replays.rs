//! Replays: which events one sends, how far each has come, and what a webhook has missed.

use super::explain::History;
use super::view::{Missed, Page, ReplayAsk, ReplayView};
use super::{RecordError, Records, cursor, place};
use crate::filter::{Facts, Interest};
use crate::journal::ReadError;
use crate::limits;
use crate::model::{
    DeliveryId, DeliveryState, Entry, EventEntry, Position, Replay, ReplayChoice, ReplayId, SubscriptionId, UnixMs,
    WebhookId,
};
use crate::store::projection::{Before, ReplayRow};

/// The next events of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Their places, in the order in which they were accepted.
    pub events: Vec<Position>,
    /// Everything before this was looked at.
    pub next: Position,
    /// When the first of them was accepted.
    since: Option<UnixMs>,
}

impl Records {
    /// What is asked for, with the places in the journal between which it lies. What a webhook missed begins, unless a
    /// time is named, where it went off last.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn plan_replay(&self, ask: &ReplayAsk) -> Result<Replay, RecordError> {
        self.projection.catch_up()?;
        let (mut first, last) = self.projection.positions_between(ask.from, ask.to)?;
        if ask.choice == ReplayChoice::Missed && ask.from.is_none() {
            first = self.off_since(ask.webhook)?.unwrap_or(first);
        }
        let ReplayAsk { webhook, subscription, choice, kind, from, to, forced } = *ask;
        let (first, last) = (first.max(self.journal.oldest()), last.min(*self.journal.durable().borrow()));
        Ok(Replay { webhook, subscription, choice, kind, first, last, from, to, forced, at: self.clock.now() })
    }

    /// The next events of a replay from `from` on, `most` at most. One call looks at one stretch of the journal, so
    /// there may be more although it brings none.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn choose(
        &self,
        asked: &Replay,
        interest: &Interest,
        from: Position,
        most: usize,
    ) -> Result<Chosen, RecordError> {
        let chunk = match self.journal.read(from, limits::JOURNAL_READ_BYTES) {
            Err(ReadError::Gone { oldest, .. }) => return Ok(Chosen { events: Vec::new(), next: oldest, since: None }),
            chunk => chunk?,
        };
        let next = if chunk.is_empty() { asked.last.next() } else { chunk.next() };
        let became = Became::read(self, asked, (from, next))?;
        let mut chosen = Chosen { events: Vec::new(), next: next.min(asked.last.next()), since: None };
        for entry in chunk.entries_but_outcomes() {
            let (position, entry) = entry?;
            let Entry::Event(event) = entry else { continue };
            if position > asked.last {
                break;
            }
            if is_in_range(asked, interest, &event) && became.is_chosen(self, asked, position)? {
                if chosen.events.len() == most {
                    chosen.next = position;
                    break;
                }
                chosen.events.push(position);
                chosen.since.get_or_insert(event.accepted_at);
            }
        }
        Ok(chosen)
    }

    /// What a webhook has missed since it went off last, of what it asks for now.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn missed(
        &self,
        subscription: SubscriptionId,
        webhook: WebhookId,
        interest: &Interest,
    ) -> Result<Missed, RecordError> {
        let choice = ReplayChoice::Missed;
        let ask = ReplayAsk { webhook, subscription, choice, kind: None, from: None, to: None, forced: false };
        let asked = self.plan_replay(&ask)?;
        let mut missed = Missed { is_complete: true, ..Missed::default() };
        let mut from = asked.first;
        while from <= asked.last {
            if from.0 - asked.first.0 > limits::MISSED_ENTRIES {
                missed.is_complete = false;
                break;
            }
            let chosen = self.choose(&asked, interest, from, usize::MAX)?;
            missed.events += chosen.events.len() as u64;
            missed.since = missed.since.or(chosen.since);
            from = chosen.next;
        }
        Ok(missed)
    }

    /// A webhook's replays, newest first.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn replays(
        &self,
        webhook: WebhookId,
        cursor_text: Option<&str>,
        limit: usize,
    ) -> Result<Page<ReplayView>, RecordError> {
        self.projection.catch_up()?;
        let mut rows = self.projection.replays(webhook, place(cursor_text)?, limit + 1)?;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| has_more).map(|row| cursor(row.position));
        Ok(Page { data: rows.iter().map(view).collect(), next })
    }

    /// One replay.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn replay(&self, id: ReplayId) -> Result<Option<ReplayView>, RecordError> {
        self.projection.catch_up()?;
        Ok(self.projection.replay(id.0)?.as_ref().map(view))
    }

    /// How many of a subscription's replays are not over.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn open_replays(&self, subscription: SubscriptionId) -> Result<usize, RecordError> {
        let open = self.projection.open_replays()?;
        Ok(open.iter().filter(|row| row.asked.subscription == subscription).count())
    }

    /// The first event that a webhook may have missed when it went off last: what had not been attempted then counts.
    fn off_since(&self, webhook: WebhookId) -> Result<Option<Position>, RecordError> {
        let Some(off) = History::read(&self.projection, webhook)?.last_off() else { return Ok(None) };
        let undone = self.projection.ranges(webhook, super::RANGES)?.into_iter().find(|range| range.to == off);
        let oldest_waiting = self.projection.first_cancelled(webhook, off)?;
        let from = undone.map_or(off, |range| range.from.min(off));
        Ok(Some(oldest_waiting.map_or(from, |event| event.min(from))))
    }
}

/// Whether the webhook asks for the event, and it is of the kind and time asked for.
fn is_in_range(asked: &Replay, interest: &Interest, event: &EventEntry<'_>) -> bool {
    event.subscription == asked.subscription
        && event.withheld.is_none()
        && asked.kind.is_none_or(|kind| kind == event.kind)
        && event.accepted_at.is_within(asked.from, asked.to)
        && interest.wants(&Facts::of(event))
}

/// What became of a stretch of events, as far as the choice asks.
enum Became {
    Anything,
    Failed(Before),
    Missed(Before, History),
}

impl Became {
    fn read(records: &Records, asked: &Replay, (from, next): (Position, Position)) -> Result<Self, RecordError> {
        let projection = &records.projection;
        Ok(match asked.choice {
            ReplayChoice::All => Self::Anything,
            ReplayChoice::Failed => Self::Failed(projection.before(asked.webhook, from, next)?),
            ReplayChoice::Missed => {
                let before = projection.before(asked.webhook, from, next)?;
                Self::Missed(before, History::read(projection, asked.webhook)?)
            }
        })
    }

    fn is_chosen(&self, records: &Records, asked: &Replay, event: Position) -> Result<bool, RecordError> {
        let (before, history) = match self {
            Self::Anything => return Ok(true),
            Self::Failed(before) | Self::Missed(before, _) if before.delivered_again.contains(&event) => {
                return Ok(false);
            }
            Self::Failed(before) => return Ok(before.states.get(&event) == Some(&DeliveryState::Failed)),
            Self::Missed(before, history) => (before, history),
        };
        Ok(match before.states.get(&event) {
            Some(state) => matches!(state, DeliveryState::Cancelled | DeliveryState::Expired),
            None if history.is_off(event) => true,
            // A range may span what had been delivered ahead of the rest.
            None if before.ranges.iter().any(|(first, last)| (*first..=*last).contains(&event)) => {
                records.projection.success(DeliveryId { webhook: asked.webhook, origin: event })?.is_none()
            }
            None => false,
        })
    }
}

fn view(row: &ReplayRow) -> ReplayView {
    let asked = row.asked;
    let length = (asked.last.next().0).saturating_sub(asked.first.0);
    let done = row.last_event.next().0.saturating_sub(asked.first.0);
    let progress = match row.ended {
        None if length > 0 => (done as f64 / length as f64).min(1.0),
        None => 0.0,
        Some(_) => 1.0,
    };
    ReplayView {
        id: ReplayId(row.position),
        asked,
        progress,
        sent: row.sent,
        delivered: row.delivered,
        failed: row.failed,
        open: row.open,
        cancelled: row.cancelled(),
        ended: row.ended,
    }
}
