//! Why a webhook was told of an event, or was not: one true reason for each event and webhook.

use super::lookup::{LookUp, event_summary};
use super::view::{EventSummary, Explanation, Why};
use super::{RecordError, Records};
use crate::model::{
    CategorySet, ClosedWhy, DeliveryId, DeliveryState, EventId, EventKind, Position, SubscriptionId, WebhookId,
    Withheld,
};
use crate::store::projection::Projection;

/// What became of an event for some webhooks.
pub struct Explained {
    /// The event; `None` when it is older than the journal.
    pub event: Option<EventSummary>,
    /// The reasons, in the order of the webhooks asked for.
    pub reasons: Vec<Explanation>,
}

/// What a webhook was sent, over time.
#[derive(Debug)]
pub(super) struct History(Vec<(Position, bool, CategorySet)>);

impl History {
    pub(super) fn read(projection: &Projection, webhook: WebhookId) -> Result<Self, RecordError> {
        let switches = projection.switches(webhook)?.into_iter();
        Ok(Self(switches.map(|(position, switch)| (position, switch.on, switch.categories)).collect()))
    }

    /// Why an event at `position` was not for this webhook; `None` when it was.
    fn refuses(&self, position: Position, kind: EventKind) -> Option<Why> {
        match self.at(position) {
            Some((_, true, categories)) if categories.contains(kind.category()) => None,
            Some((_, true, _)) => Some(Why::CategoryNotChosen),
            _ => Some(Why::Off),
        }
    }

    /// Whether the webhook was off at `position`.
    pub(super) fn is_off(&self, position: Position) -> bool {
        self.at(position).is_none_or(|(_, on, _)| !on)
    }

    /// The switch that holds at `position`.
    fn at(&self, position: Position) -> Option<&(Position, bool, CategorySet)> {
        let before = self.0.partition_point(|(at, _, _)| *at < position);
        self.0[..before].last()
    }

    /// Where the webhook was switched off last.
    pub(super) fn last_off(&self) -> Option<Position> {
        self.0.iter().rev().find(|(_, on, _)| !on).map(|(position, _, _)| *position)
    }

    /// Whether the webhook asked for an event at `position`.
    pub(super) fn wants(&self, position: Position, kind: EventKind) -> bool {
        self.refuses(position, kind).is_none()
    }
}

impl Records {
    /// What became of an event for each of these webhooks of its subscription; `None` when there is no such event.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn explain(
        &self,
        subscription: SubscriptionId,
        id: EventId,
        webhooks: &[WebhookId],
    ) -> Result<Option<Explained>, RecordError> {
        self.projection.catch_up()?;
        let is_gone = id.0 < self.journal.oldest() && id.0 > Position::ZERO;
        let show = |event: &crate::model::EventEntry<'_>| {
            (event.subscription == subscription).then(|| event_summary(id.0, event))
        };
        let event = if is_gone { None } else { LookUp::new(&*self.journal).event(id.0, show)?.flatten() };
        if event.is_none() && !is_gone {
            return Ok(None);
        }
        let mut reasons = Vec::with_capacity(webhooks.len());
        for webhook in webhooks {
            reasons.push(self.explain_one(subscription, (id, event.as_ref()), *webhook)?);
        }
        Ok(Some(Explained { event, reasons }))
    }

    fn explain_one(
        &self,
        subscription: SubscriptionId,
        (id, event): (EventId, Option<&EventSummary>),
        webhook: WebhookId,
    ) -> Result<Explanation, RecordError> {
        let reason = |why| Ok(Explanation { webhook, why, delivery: None });
        if let Some(event) = event {
            match event.withheld {
                Some(Withheld::Excluded { .. }) => return reason(Why::Excluded),
                Some(Withheld::AgentTooOld) => return reason(Why::AgentTooOld),
                None => {}
            }
            if let Some(why) = History::read(&self.projection, webhook)?.refuses(id.0, event.kind) {
                return reason(why);
            }
        }
        let delivery = DeliveryId { webhook, origin: id.0 };
        if let Some(summary) = self.summary(subscription, delivery)? {
            let why = match summary.status {
                DeliveryState::Delivered => Why::Delivered,
                DeliveryState::Retrying => Why::Retrying,
                DeliveryState::Failed => Why::Failed,
                DeliveryState::Cancelled => Why::TurnedOff,
                DeliveryState::Expired => Why::Expired,
            };
            return Ok(Explanation { webhook, why, delivery: Some(Box::new(summary)) });
        }
        if event.is_none() {
            return reason(Why::OlderThanJournal);
        }
        reason(match self.projection.range_over(webhook, id.0)? {
            Some(ClosedWhy::Cancelled) => Why::TurnedOff,
            Some(ClosedWhy::Expired) => Why::Expired,
            None => Why::OnItsWay,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Category;

    #[test]
    fn a_switch_holds_for_what_comes_after_it() {
        let history = History(vec![
            (Position(5), true, CategorySet::All),
            (Position(9), true, CategorySet::of([Category::Guides])),
            (Position(12), false, CategorySet::of([Category::Guides])),
        ]);
        let track = EventKind::TrackEventReceived;
        for (position, why) in
            [(4, Some(Why::Off)), (6, None), (8, None), (10, Some(Why::CategoryNotChosen)), (13, Some(Why::Off))]
        {
            assert_eq!(history.refuses(Position(position), track), why, "{position}");
        }
        assert!(history.wants(Position(10), EventKind::GuideDisplayed));
    }
}
