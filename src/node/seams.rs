//! Where one stage asks another: each seam that a stage declares, met by the stage that can.

use crate::api::Tester;
use crate::deliver::{Courier, Destination, Line, Message, Outcome, Quiet};
use crate::intake::{GuideStore, Seen, SeenError};
use crate::model::{GuideHistory, PersonKind, Position, SubscriptionId};
use crate::store::projection::Projection;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

/// What the store knows of visitors and accounts.
pub(super) struct PeopleInStore(pub(super) Arc<Projection>);

impl Seen for PeopleInStore {
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

impl GuideStore for PeopleInStore {
    fn histories(
        &self,
        subscription: SubscriptionId,
        visitor_id: &str,
        everything: bool,
    ) -> Result<HashMap<String, GuideHistory>, SeenError> {
        let read = || {
            if everything {
                self.0.catch_up()?;
            }
            self.0.guide_histories(subscription, visitor_id)
        };
        read().map_err(|error| SeenError(error.to_string()))
    }

    fn metadata(
        &self,
        subscription: SubscriptionId,
        kind: PersonKind,
        id: &str,
    ) -> Result<Vec<(String, String)>, SeenError> {
        let person = self.0.person(subscription, kind, id).map_err(|error| SeenError(error.to_string()))?;
        Ok(person.map(|person| person.metadata).unwrap_or_default())
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
