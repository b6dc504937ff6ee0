//! Where one stage asks another: each seam that a stage declares, met by the stage that can.

use crate::api::Tester;
use crate::deliver::{Courier, Destination, Line, Message, Outcome, Quiet};
use crate::intake::{Seen, SeenError};
use crate::model::{PersonKind, Position, SubscriptionId};
use crate::store::projection::Projection;
use std::pin::Pin;
use std::sync::Arc;

/// What the store knows of who was seen.
pub(super) struct SeenInStore(pub(super) Arc<Projection>);

impl Seen for SeenInStore {
    fn visitor(&self, subscription: SubscriptionId, id: &str) -> Result<bool, SeenError> {
        self.0.is_seen(subscription, PersonKind::Visitor, id).map_err(|error| SeenError(error.to_string()))
    }

    fn account(&self, subscription: SubscriptionId, id: &str) -> Result<bool, SeenError> {
        self.0.is_seen(subscription, PersonKind::Account, id).map_err(|error| SeenError(error.to_string()))
    }

    fn projected(&self) -> Position {
        self.0.projected()
    }
}

/// Makes the request of a test on a connection of its own.
pub(super) struct OneRequest(pub(super) Arc<dyn Courier>);

impl Tester for OneRequest {
    fn send(&self, destination: Arc<Destination>, message: Message) -> Pin<Box<dyn Future<Output = Outcome> + Send>> {
        let courier = Arc::clone(&self.0);
        Box::pin(async move {
            // Nobody waits for a sign of life: with the deadline's own time the quiet time never ends first.
            let quiet = Quiet { after: destination.timeout, call: &mut || {} };
            courier.attempt(&mut Line::new(), &destination, &message, quiet).await
        })
    }
}
