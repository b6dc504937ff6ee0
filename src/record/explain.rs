//! Why a webhook was told of an event, or was not: one true reason for each event and webhook.

use super::lookup::{LookUp, event_detail};
use super::view::{EventDetail, EventSummary, Explanation, Why};
use super::{RecordError, Records};
use crate::filter::{Facts, Interest, Judgement};
use crate::model::{
    ClosedWhy, DeliveryId, DeliveryState, EventEntry, EventId, Position, SubscriptionId, Switch, WebhookId, Withheld,
};
use crate::store::projection::Projection;
use std::cell::OnceCell;

/// What became of an event for some webhooks.
pub struct Explained {
    /// The event; `None` when it is older than the journal.
    pub event: Option<EventSummary>,
    /// The reasons, in the order of the webhooks asked for.
    pub reasons: Vec<Explanation>,
}

/// What a webhook was sent, over time.
#[derive(Debug)]
pub(super) struct History(Vec<Era>);

/// What holds after a position.
#[derive(Debug)]
struct Era {
    since: Position,
    switch: Switch,
    /// Made ready when it is first asked.
    interest: OnceCell<Interest>,
}

impl Era {
    fn interest(&self) -> &Interest {
        self.interest.get_or_init(|| Interest::of(&self.switch.selection))
    }
}

impl History {
    pub(super) fn read(projection: &Projection, webhook: WebhookId) -> Result<Self, RecordError> {
        Ok(Self::of(projection.switches(webhook)?))
    }

    fn of(switches: Vec<(Position, Switch)>) -> Self {
        let era = |(since, switch)| Era { since, switch, interest: OnceCell::new() };
        Self(switches.into_iter().map(era).collect())
    }

    /// Why an event at `position` was not for this webhook; `None` when it was.
    fn refuses(&self, position: Position, facts: &Facts<'_>) -> Option<Refused> {
        let Some(era) = self.at(position).filter(|era| era.switch.on) else {
            return Some(Refused { why: Why::Off, filter: None, failure: None });
        };
        let filter = || era.switch.selection.filter.clone();
        match era.interest().judge(facts) {
            Judgement::Wanted => None,
            Judgement::OtherCategory => Some(Refused { why: Why::CategoryNotChosen, filter: None, failure: None }),
            Judgement::Filtered => Some(Refused { why: Why::Filtered, filter: filter(), failure: None }),
            Judgement::Failed(failure) => {
                let why = if failure.is_missing() { Why::Filtered } else { Why::FilterFailed };
                Some(Refused { why, filter: filter(), failure: Some(failure.to_string()) })
            }
        }
    }

    /// Whether the webhook was off at `position`.
    pub(super) fn is_off(&self, position: Position) -> bool {
        self.at(position).is_none_or(|era| !era.switch.on)
    }

    /// What holds at `position`.
    fn at(&self, position: Position) -> Option<&Era> {
        let before = self.0.partition_point(|era| era.since < position);
        self.0[..before].last()
    }

    /// Where the webhook was switched off last.
    pub(super) fn last_off(&self) -> Option<Position> {
        self.0.iter().rev().find(|era| !era.switch.on).map(|era| era.since)
    }

    /// Whether the webhook asked for an event at `position`.
    pub(super) fn wants(&self, position: Position, event: &EventEntry<'_>) -> bool {
        self.at(position).is_some_and(|era| era.switch.on && era.interest().wants(&Facts::of(event)))
    }
}

/// Why an event was not for a webhook.
#[derive(Debug, PartialEq, Eq)]
struct Refused {
    why: Why,
    filter: Option<String>,
    failure: Option<String>,
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
        let show = |event: &EventEntry<'_>| (event.subscription == subscription).then(|| event_detail(id.0, event));
        let event = if is_gone { None } else { LookUp::new(&*self.journal).event(id.0, show)?.flatten() };
        if event.is_none() && !is_gone {
            return Ok(None);
        }
        let mut reasons = Vec::with_capacity(webhooks.len());
        for webhook in webhooks {
            reasons.push(self.explain_one(subscription, (id, event.as_ref()), *webhook)?);
        }
        Ok(Some(Explained { event: event.map(|event| event.summary), reasons }))
    }

    fn explain_one(
        &self,
        subscription: SubscriptionId,
        (id, event): (EventId, Option<&EventDetail>),
        webhook: WebhookId,
    ) -> Result<Explanation, RecordError> {
        let reason = |why| Ok(Explanation { webhook, why, filter: None, failure: None, delivery: None });
        if let Some(event) = event {
            match event.summary.withheld {
                Some(Withheld::Excluded { .. }) => return reason(Why::Excluded),
                Some(Withheld::AgentTooOld) => return reason(Why::AgentTooOld),
                None => {}
            }
            // Filters of the same event's many webhooks take its body apart each for itself: this is no hot path.
            let facts = Facts::new(event.summary.kind, &event.body);
            if let Some(refused) = History::read(&self.projection, webhook)?.refuses(id.0, &facts) {
                let Refused { why, filter, failure } = refused;
                return Ok(Explanation { webhook, why, filter, failure, delivery: None });
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
            let delivery = Some(Box::new(summary));
            return Ok(Explanation { webhook, why, filter: None, failure: None, delivery });
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
    use crate::model::{Category, CategorySet, EventKind, Selection, UnixMs};

    fn switch(at: u64, on: bool, categories: CategorySet, filter: Option<&str>) -> (Position, Switch) {
        let selection = Selection { filter: filter.map(str::to_owned), ..categories.into() };
        let (webhook, subscription) = (WebhookId(1), SubscriptionId(1000));
        (Position(at), Switch { webhook, subscription, on, selection, at: UnixMs(0) })
    }

    #[test]
    fn a_switch_holds_for_what_comes_after_it() {
        let guides = CategorySet::of([Category::Guides]);
        let history = History::of(vec![
            switch(5, true, CategorySet::All, None),
            switch(9, true, guides, None),
            switch(12, false, guides, None),
            switch(15, true, CategorySet::All, Some("properties.name == 'a'")),
            switch(18, true, CategorySet::All, Some("properties.name > 1")),
            switch(21, true, CategorySet::All, Some("properties.gone")),
        ]);
        let track = Facts::new(EventKind::TrackEventReceived, br#"{"properties":{"name":"b"}}"#);
        let cases = [
            (4, Some(Why::Off)),
            (6, None),
            (8, None),
            (10, Some(Why::CategoryNotChosen)),
            (13, Some(Why::Off)),
            (16, Some(Why::Filtered)),
            (19, Some(Why::FilterFailed)),
            (22, Some(Why::Filtered)),
        ];
        for (position, why) in cases {
            let refused = history.refuses(Position(position), &track);
            assert_eq!(refused.map(|refused| refused.why), why, "{position}");
        }
        let refused = history.refuses(Position(22), &track).unwrap();
        assert_eq!(refused.filter.as_deref(), Some("properties.gone"));
        assert_eq!(refused.failure.as_deref(), Some("the event has no gone"));
        assert!(history.refuses(Position(19), &track).unwrap().failure.unwrap().contains("a text and a whole number"));
        let guide = Facts::new(EventKind::GuideDisplayed, b"{}");
        assert_eq!(history.refuses(Position(10), &guide), None);
    }
}
