//! What the API asks of the records: a seam, so that its tests can put anything behind it.

use super::Span;
use crate::filter::Interest;
use crate::model::{DeliveryId, EventId, PersonKind, Position, Replay, ReplayId, SubscriptionId, WebhookId};
use crate::record::view::{
    DeliveryDetail, DeliveryQuery, DeliverySummary, ErrorItem, ErrorQuery, EventDetail, EventQuery, EventSummary,
    FigureStep, KnownGroup, LogItem, Missed, Newer, Page, PersonDetail, PersonSummary, RangeSummary, ReplayAsk,
    ReplayView, Tried, WebhookStats,
};
use crate::record::{Explained, RecordError, Records};
use tokio::sync::watch;

/// What the API needs of the records. Every method blocks.
pub trait RecordReader: Send + Sync + 'static {
    /// A webhook's deliveries, newest first.
    ///
    /// # Errors
    /// [`RecordError`].
    fn deliveries(&self, query: &DeliveryQuery) -> Result<Page<DeliverySummary>, RecordError>;

    /// What has become of a webhook's deliveries since `seen`, and how `watched` stand.
    ///
    /// # Errors
    /// [`RecordError`].
    fn newer(
        &self,
        query: &DeliveryQuery,
        seen: Option<Position>,
        watched: &[DeliveryId],
    ) -> Result<Newer, RecordError>;

    /// Tells that there is something new on record. It does not block.
    fn changes(&self) -> watch::Receiver<Position>;

    /// The same, each with all its attempts, and what was done about the webhook because it was failing.
    ///
    /// # Errors
    /// [`RecordError`].
    fn log(&self, query: &DeliveryQuery) -> Result<Page<LogItem>, RecordError>;

    /// A webhook's newest ranges of events that ended without an attempt, newest first.
    ///
    /// # Errors
    /// [`RecordError`].
    fn ranges(&self, webhook: WebhookId) -> Result<Vec<RangeSummary>, RecordError>;

    /// One delivery, if the subscription has it.
    ///
    /// # Errors
    /// [`RecordError`].
    fn delivery(&self, subscription: SubscriptionId, id: DeliveryId) -> Result<Option<DeliveryDetail>, RecordError>;

    /// What a replay is to send, with its place in the journal.
    ///
    /// # Errors
    /// [`RecordError`].
    fn plan_replay(&self, ask: &ReplayAsk) -> Result<Replay, RecordError>;

    /// A webhook's replays, newest first.
    ///
    /// # Errors
    /// [`RecordError`].
    fn replays(&self, webhook: WebhookId, cursor: Option<&str>, limit: usize) -> Result<Page<ReplayView>, RecordError>;

    /// One replay.
    ///
    /// # Errors
    /// [`RecordError`].
    fn replay(&self, id: ReplayId) -> Result<Option<ReplayView>, RecordError>;

    /// How many of a subscription's replays are not over.
    ///
    /// # Errors
    /// [`RecordError`].
    fn open_replays(&self, subscription: SubscriptionId) -> Result<usize, RecordError>;

    /// What a webhook has missed since it went off last, of what `interest` asks for.
    ///
    /// # Errors
    /// [`RecordError`].
    fn missed(
        &self,
        subscription: SubscriptionId,
        webhook: WebhookId,
        interest: &Interest,
    ) -> Result<Missed, RecordError>;

    /// The newest events of the categories that `interest` names, newest first, and what its filter says of each.
    ///
    /// # Errors
    /// [`RecordError`].
    fn try_filter(
        &self,
        subscription: SubscriptionId,
        interest: &Interest,
        most: usize,
    ) -> Result<Vec<Tried>, RecordError>;

    /// A subscription's failed attempts, and what was done about failing webhooks, newest first.
    ///
    /// # Errors
    /// [`RecordError`].
    fn errors(&self, query: &ErrorQuery) -> Result<Page<ErrorItem>, RecordError>;

    /// A subscription's events, newest first.
    ///
    /// # Errors
    /// [`RecordError`].
    fn events(&self, query: &EventQuery) -> Result<Page<EventSummary>, RecordError>;

    /// One event, if the subscription has it.
    ///
    /// # Errors
    /// [`RecordError`].
    fn event(&self, subscription: SubscriptionId, id: EventId) -> Result<Option<EventDetail>, RecordError>;

    /// What became of an event for each of these webhooks; `None` when the subscription has no such event.
    ///
    /// # Errors
    /// [`RecordError`].
    fn explain(
        &self,
        subscription: SubscriptionId,
        id: EventId,
        webhooks: &[WebhookId],
    ) -> Result<Option<Explained>, RecordError>;

    /// A visitor or an account, if the subscription knows it.
    ///
    /// # Errors
    /// [`RecordError`].
    fn person(
        &self,
        subscription: SubscriptionId,
        kind: PersonKind,
        id: &str,
    ) -> Result<Option<PersonDetail>, RecordError>;

    /// The first `limit` visitors or accounts whose ids begin with `prefix`, in the order of their ids, behind `after`.
    ///
    /// # Errors
    /// [`RecordError`].
    fn people(
        &self,
        of: (SubscriptionId, PersonKind),
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<PersonSummary>, RecordError>;

    /// Returns once everything that is in the journal now is on record.
    ///
    /// # Errors
    /// [`RecordError`].
    fn catch_up(&self) -> Result<(), RecordError>;

    /// One group of metadata of each of these ids, as far as it is on record: `None` for somebody unknown.
    ///
    /// # Errors
    /// [`RecordError`].
    fn metadata(
        &self,
        subscription: SubscriptionId,
        kind: PersonKind,
        group: &str,
        ids: &[String],
    ) -> Result<Vec<Option<KnownGroup>>, RecordError>;

    /// How a webhook did between two times, in steps of so many minutes.
    ///
    /// # Errors
    /// [`RecordError`].
    fn figures(&self, webhook: WebhookId, span: Span, step_min: i64) -> Result<Vec<FigureStep>, RecordError>;

    /// How a webhook is doing.
    ///
    /// # Errors
    /// [`RecordError`].
    fn webhook_stats(&self, webhook: WebhookId) -> Result<WebhookStats, RecordError>;
}

impl RecordReader for Records {
    fn deliveries(&self, query: &DeliveryQuery) -> Result<Page<DeliverySummary>, RecordError> {
        Self::deliveries(self, query)
    }

    fn newer(
        &self,
        query: &DeliveryQuery,
        seen: Option<Position>,
        watched: &[DeliveryId],
    ) -> Result<Newer, RecordError> {
        Self::newer(self, query, seen, watched)
    }

    fn changes(&self) -> watch::Receiver<Position> {
        Self::changes(self)
    }

    fn log(&self, query: &DeliveryQuery) -> Result<Page<LogItem>, RecordError> {
        Self::log(self, query)
    }

    fn ranges(&self, webhook: WebhookId) -> Result<Vec<RangeSummary>, RecordError> {
        Self::ranges(self, webhook)
    }

    fn delivery(&self, subscription: SubscriptionId, id: DeliveryId) -> Result<Option<DeliveryDetail>, RecordError> {
        Self::delivery(self, subscription, id)
    }

    fn plan_replay(&self, ask: &ReplayAsk) -> Result<Replay, RecordError> {
        Self::plan_replay(self, ask)
    }

    fn replays(&self, webhook: WebhookId, cursor: Option<&str>, limit: usize) -> Result<Page<ReplayView>, RecordError> {
        Self::replays(self, webhook, cursor, limit)
    }

    fn replay(&self, id: ReplayId) -> Result<Option<ReplayView>, RecordError> {
        Self::replay(self, id)
    }

    fn open_replays(&self, subscription: SubscriptionId) -> Result<usize, RecordError> {
        Self::open_replays(self, subscription)
    }

    fn missed(
        &self,
        subscription: SubscriptionId,
        webhook: WebhookId,
        interest: &Interest,
    ) -> Result<Missed, RecordError> {
        Self::missed(self, subscription, webhook, interest)
    }

    fn try_filter(
        &self,
        subscription: SubscriptionId,
        interest: &Interest,
        most: usize,
    ) -> Result<Vec<Tried>, RecordError> {
        Self::try_filter(self, subscription, interest, most)
    }

    fn errors(&self, query: &ErrorQuery) -> Result<Page<ErrorItem>, RecordError> {
        Self::errors(self, query)
    }

    fn events(&self, query: &EventQuery) -> Result<Page<EventSummary>, RecordError> {
        Self::events(self, query)
    }

    fn event(&self, subscription: SubscriptionId, id: EventId) -> Result<Option<EventDetail>, RecordError> {
        Self::event(self, subscription, id)
    }

    fn explain(
        &self,
        subscription: SubscriptionId,
        id: EventId,
        webhooks: &[WebhookId],
    ) -> Result<Option<Explained>, RecordError> {
        Self::explain(self, subscription, id, webhooks)
    }

    fn person(
        &self,
        subscription: SubscriptionId,
        kind: PersonKind,
        id: &str,
    ) -> Result<Option<PersonDetail>, RecordError> {
        Self::person(self, subscription, kind, id)
    }

    fn people(
        &self,
        of: (SubscriptionId, PersonKind),
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<PersonSummary>, RecordError> {
        Self::people(self, of, prefix, after, limit)
    }

    fn catch_up(&self) -> Result<(), RecordError> {
        Self::catch_up(self)
    }

    fn metadata(
        &self,
        subscription: SubscriptionId,
        kind: PersonKind,
        group: &str,
        ids: &[String],
    ) -> Result<Vec<Option<KnownGroup>>, RecordError> {
        Self::metadata(self, subscription, kind, group, ids)
    }

    fn figures(&self, webhook: WebhookId, span: Span, step_min: i64) -> Result<Vec<FigureStep>, RecordError> {
        Self::figures(self, webhook, span, step_min)
    }

    fn webhook_stats(&self, webhook: WebhookId) -> Result<WebhookStats, RecordError> {
        Self::webhook_stats(self, webhook)
    }
}
