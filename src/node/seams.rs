//! Where one stage asks another: each seam that a stage declares, met by the stage that can.

use crate::api::{RecordReader, Tester};
use crate::deliver::{Client, Destination, Line, Message, Outcome, Quiet};
use crate::intake::{Seen, SeenError};
use crate::model::{DeliveryId, EventId, Position, SubscriptionId, WebhookId};
use crate::record::RecordError;
use crate::record::Records;
use crate::record::view::{
    DeliveryDetail, DeliveryQuery, DeliverySummary, EventDetail, EventQuery, EventSummary, Page, WebhookStats,
};
use crate::store::projection::Projection;
use std::pin::Pin;
use std::sync::Arc;

/// What the store knows of who was seen.
pub(super) struct SeenInStore(pub(super) Arc<Projection>);

impl Seen for SeenInStore {
    fn visitor(&self, subscription: SubscriptionId, id: &str) -> Result<bool, SeenError> {
        self.0.visitor(subscription, id).map_err(|error| SeenError(error.to_string()))
    }

    fn account(&self, subscription: SubscriptionId, id: &str) -> Result<bool, SeenError> {
        self.0.account(subscription, id).map_err(|error| SeenError(error.to_string()))
    }

    fn projected(&self) -> Position {
        self.0.projected()
    }
}

impl RecordReader for Records {
    fn deliveries(&self, query: &DeliveryQuery) -> Result<Page<DeliverySummary>, RecordError> {
        Self::deliveries(self, query)
    }

    fn delivery(&self, subscription: SubscriptionId, id: DeliveryId) -> Result<Option<DeliveryDetail>, RecordError> {
        Self::delivery(self, subscription, id)
    }

    fn events(&self, query: &EventQuery) -> Result<Page<EventSummary>, RecordError> {
        Self::events(self, query)
    }

    fn event(&self, subscription: SubscriptionId, id: EventId) -> Result<Option<EventDetail>, RecordError> {
        Self::event(self, subscription, id)
    }

    fn webhook_stats(&self, webhook: WebhookId) -> Result<WebhookStats, RecordError> {
        Self::webhook_stats(self, webhook)
    }
}

/// Makes the request of a test on a connection of its own.
pub(super) struct OneRequest(pub(super) Arc<Client>);

impl Tester for OneRequest {
    fn send(&self, destination: Arc<Destination>, message: Message) -> Pin<Box<dyn Future<Output = Outcome> + Send>> {
        let client = Arc::clone(&self.0);
        Box::pin(async move {
            // Nobody waits for a sign of life: with the deadline's own time the quiet time never ends first.
            let quiet = Quiet { after: destination.timeout, call: &mut || {} };
            client.attempt(&mut Line::new(), &destination, &message, quiet).await
        })
    }
}
