//! Subscriptions: made with a first app and a first key, and removed with everything in them.

use super::audit::{Actor, Deed, fields};
use super::change::to_its_end;
use super::name::check_name;
use super::token::{hash, token};
use super::{Catalog, ChangeError, Role, Subscription, apps, keys};
use crate::clock::Random;
use crate::journal::Journal;
use crate::model::{AppId, KeyId, Platform, SubscriptionId, UnixMs};
use crate::store::StoreError;
use crate::store::configured::{self, AppRow, KeyRow, SubscriptionRow};
use crate::store::db::Connection;
use serde_json::{Map, json};
use std::sync::Arc;

/// Subscription ids have 16 decimal digits and are below 2^53: every JSON reader keeps them exact.
const SUBSCRIPTION_IDS: std::ops::Range<u64> = 1_000_000_000_000_000..(1 << 53);

/// A subscription that was just made: the only time that its secrets can be read.
pub struct MadeSubscription {
    /// The subscription.
    pub id: SubscriptionId,
    /// The agent key of its first app.
    pub agent_key: String,
    /// The track secret of its first app.
    pub track_secret: String,
    /// Its first integration key, of role admin.
    pub integration_key: String,
}

impl std::fmt::Debug for MadeSubscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MadeSubscription").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The rows of a new subscription.
pub(super) struct NewRows {
    subscription: SubscriptionRow,
    app: AppRow,
    key: KeyRow,
}

impl NewRows {
    /// Makes a subscription with its first app and key.
    pub(super) fn make(
        (name, app_name): (&str, &str),
        key_name: &str,
        (now, random): (UnixMs, &dyn Random),
    ) -> (Self, MadeSubscription) {
        let span = SUBSCRIPTION_IDS.end - SUBSCRIPTION_IDS.start;
        let id = SubscriptionId(SUBSCRIPTION_IDS.start + random.id() % span);
        let (agent_key, track_secret) = (token("ff_agent_", random), token("ff_track_", random));
        let integration_key = token("ff_key_", random);
        let app = AppRow {
            subscription: id,
            id: AppId::FIRST,
            name: app_name.to_owned(),
            platform: Platform::Web,
            origins: Vec::new(),
            respects_do_not_track: false,
            agent_key: agent_key.clone(),
            old_agent_key: None,
            track_secret_hash: hash(track_secret.as_bytes()),
            old_track_secret: None,
            created_at: now,
        };
        let key = KeyRow {
            id: KeyId(random.id()),
            subscription: id,
            name: key_name.to_owned(),
            role: Role::Admin.name().to_owned(),
            hash: hash(integration_key.as_bytes()),
            made_by: None,
            created_at: now,
            expires_at: None,
            last_used_at: None,
        };
        let subscription = SubscriptionRow { id, name: name.to_owned(), created_at: now };
        (Self { subscription, app, key }, MadeSubscription { id, agent_key, track_secret, integration_key })
    }

    /// Writes them.
    pub(super) fn insert(&self, connection: &Connection) -> Result<(), StoreError> {
        self.subscription.insert(connection)?;
        self.app.insert(connection)?;
        self.key.insert(connection)
    }
}

impl Catalog {
    /// All subscriptions, by name.
    pub fn subscriptions(&self) -> Vec<Arc<Subscription>> {
        let mut all: Vec<_> = self.current().subscriptions.values().cloned().collect();
        all.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        all
    }

    /// Makes a subscription. Its first admin is invited like any user.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn make_subscription(
        self: &Arc<Self>,
        by: Actor,
        (name, app_name): (String, String),
    ) -> Result<MadeSubscription, ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move {
            check_name(&name)?;
            check_name(&app_name)?;
            let _changing = catalog.changes.lock().await;
            let now = catalog.clock.now();
            let (rows, made) = NewRows::make((&name, &app_name), "first", (now, &*catalog.random));
            let after = fields(json!({"name": name}));
            let deed =
                Deed { subscription: made.id, at: now, action: "subscription.created", target: &made.id.to_string() };
            let entry = deed.by(&by, Map::new(), after);
            let (subscription, app, key) = (rows.subscription.clone(), rows.app.clone(), rows.key.clone());
            catalog.write(Some(entry), move |connection| rows.insert(connection)).await?;
            let key = keys::of_row(key)?;
            catalog.replace(|snapshot| {
                let subscription = Arc::new(Subscription { id: subscription.id, name: subscription.name });
                snapshot.subscriptions.insert(subscription.id, Arc::clone(&subscription));
                snapshot.insert_app(apps::of_row(subscription, app));
                snapshot.keys.insert(hash(made.integration_key.as_bytes()), Arc::new(key));
            });
            Ok(made)
        })
        .await
    }

    /// Removes a subscription with its webhooks, apps, keys and users. What waits for its webhooks is cancelled; its
    /// entries in the audit log stay.
    ///
    /// # Errors
    /// [`ChangeError::LastSubscription`]: without one the next start would make a new installation.
    pub async fn remove_subscription(
        self: &Arc<Self>,
        by: Actor,
        journal: Arc<dyn Journal>,
        id: SubscriptionId,
    ) -> Result<(), ChangeError> {
        let current = self.current();
        let name = current.subscriptions.get(&id).ok_or(ChangeError::NotFound)?.name.clone();
        if current.subscriptions.len() == 1 {
            return Err(ChangeError::LastSubscription);
        }
        // One by one: each ends at its own place in the journal. Broken off in between, it can be asked for again.
        for webhook in current.webhooks.values().filter(|webhook| webhook.subscription == id) {
            self.delete(by.clone(), Arc::clone(&journal), (id, webhook.id)).await?;
        }
        let catalog = Arc::clone(self);
        to_its_end(async move { catalog.remove_empty(&by, id, name).await }).await
    }

    async fn remove_empty(&self, by: &Actor, id: SubscriptionId, name: String) -> Result<(), ChangeError> {
        let _changing = self.changes.lock().await;
        let current = self.current();
        if !current.subscriptions.contains_key(&id) {
            return Err(ChangeError::NotFound);
        }
        if current.webhooks.values().any(|webhook| webhook.subscription == id) {
            return Err(ChangeError::Busy);
        }
        let before = fields(json!({"name": name}));
        let deed =
            Deed { subscription: id, at: self.clock.now(), action: "subscription.removed", target: &id.to_string() };
        let entry = deed.by(by, before, Map::new());
        self.write(Some(entry), move |connection| configured::remove_subscription(connection, id)).await?;
        self.replace(|snapshot| {
            snapshot.subscriptions.remove(&id);
            snapshot.remove_apps_of(id);
            snapshot.exclusions.remove(&id);
            snapshot.guides.remove(&id);
            snapshot.privacy.remove(&id);
            snapshot.keys.retain(|_, key| key.subscription != id);
            snapshot.users.retain(|_, user| user.subscription != id);
        });
        Ok(())
    }
}
