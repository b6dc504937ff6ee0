//! A webhook's keys that no person types, and those whose time is ending: a signing key is rotated, and a secret replaced,
//! with an overlap in which receivers can check with either.

use super::{Webhook, WebhookValues};
use crate::catalog::change::to_its_end;
use crate::catalog::{Actor, Catalog, ChangeError, InvalidValue, Patched};
use crate::journal::Journal;
use crate::model::{Keys, Old, SigningKey, SubscriptionId, UnixMs, WebhookId};
use std::sync::Arc;
use std::time::Duration;

impl WebhookValues {
    /// The keys that go with these values, when they take the place of `current`'s.
    ///
    /// With an `overlap`, the secret before this one can be checked with until it is over; without a new secret, it is the
    /// overlap under way that ends then. Zero ends it at once. A new secret without an overlap ends one that is under way:
    /// there are never more than two secrets that hold.
    ///
    /// # Errors
    /// An overlap that no receiver could make use of.
    pub fn keys_after(&self, current: &Webhook, overlap: Option<Duration>, now: UnixMs) -> Result<Keys, InvalidValue> {
        let is_new = self.secret != current.values.secret;
        let mut keys = current.keys.clone();
        keys.old_signing_key.take_if(|old| old.until <= now);
        keys.old_secret.take_if(|old| old.until <= now || (is_new && overlap.is_none()));
        if let Some(overlap) = overlap {
            let old = keys.old_secret.take().map(|old| old.value);
            let old = if is_new { current.values.secret.clone() } else { old };
            let until = now.after(overlap);
            keys.old_secret = old.filter(|_| !overlap.is_zero()).map(|value| Old { value, until });
            self.check_overlap(&keys, (overlap, is_new))?;
        }
        Ok(keys)
    }

    fn check_overlap(&self, keys: &Keys, (overlap, is_new): (Duration, bool)) -> Result<(), InvalidValue> {
        let problem = match () {
            () if overlap.is_zero() => return Ok(()),
            () if !self.standard_webhooks => {
                "needs standard_webhooks: X-Pendo-Signature has room for one signature, and only webhook-signature can \
                 carry one of each secret"
            }
            () if self.secret.is_none() => "needs a new secret: without one nothing is signed any more",
            () if !is_new && keys.old_secret.is_none() => "needs a new secret beside it: no old one is ending",
            () => return Ok(()),
        };
        Err(InvalidValue::new("secret_overlap_s", problem))
    }

    /// The keys that sign beside the signing key for a while, newest first. While a secret is being replaced, both of them
    /// are among these: `X-Pendo-Signature` is made with the new one alone.
    pub(super) fn ending_keys(&self, keys: &Keys) -> Vec<Old<SigningKey>> {
        let mut ending: Vec<_> = keys.old_signing_key.iter().cloned().collect();
        if let (Some(secret), Some(old)) = (&self.secret, &keys.old_secret) {
            let until = old.until;
            ending.extend([secret, &old.value].map(|secret| Old { value: SigningKey(secret.clone()), until }));
        }
        ending
    }
}

impl Catalog {
    /// Makes another signing key. The one before it signs too for that long; a third one ends at once.
    ///
    /// # Errors
    /// [`ChangeError`]; there must be a signing key.
    pub async fn rotate_signing_key(
        self: &Arc<Self>,
        by: Actor,
        journal: Arc<dyn Journal>,
        (subscription, id): (SubscriptionId, WebhookId),
        overlap: Duration,
    ) -> Result<Patched, ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move {
            let _changing = catalog.changes.lock().await;
            let snapshot = catalog.current();
            let current = snapshot.webhook(subscription, id).ok_or(ChangeError::NotFound)?;
            let now = catalog.clock.now();
            let mut keys = current.values.keys_after(current, None, now)?;
            let Some(old) = keys.signing_key.replace(catalog.new_signing_key()) else {
                let problem = "has not been on yet, so there is no signing key; switching it on makes one";
                return Err(InvalidValue::new("standard_webhooks", problem).into());
            };
            let old = Old { value: old, until: now.after(overlap) };
            keys.old_signing_key = Some(old).filter(|_| !overlap.is_zero());
            let values = WebhookValues::clone(&current.values);
            catalog.change_now(&by, &*journal, current, (current.state, values, keys)).await
        })
        .await
    }
}
