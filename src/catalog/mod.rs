//! What is configured and changes slowly: subscriptions, apps, keys, webhooks. Kept in the store, read from memory.
//!
//! Every change goes through [`Catalog`], one at a time: validated, in the store, then in the [`Snapshot`] that
//! everybody reads. Secrets are sealed with the [`MasterKey`] before they reach the store.

mod apps;
mod audit;
mod change;
mod error;
mod exclusions;
mod guides;
mod health;
mod init;
mod keys;
mod name;
mod people;
mod privacy;
mod rotation;
mod showing;
mod subscriptions;
mod token;
mod webhook;

pub use crate::store::configured::ForgetState;
pub use crate::store::configured::{AuditQuery, AuditRow};
pub use apps::{AppPatch, AppValues, MadeApp};
pub use audit::Actor;
pub use change::{Catalog, CatalogParts, Created, Patched};
pub use error::{CatalogError, ChangeError, InvalidValue};
pub use exclusions::{Exclusion, ExclusionValues, Facts, Rules};
pub use guides::{Guide, GuideDeed, GuideValues, Guides, StepValues};
pub use health::{Acted, Told};
pub use init::{InitOptions, Initialised, init, is_initialised};
pub use keys::{KeyValues, MadeKey};
pub use people::{
    NewAdmin, NewSeed, Session, SignIn, SignInError, SignedIn, User, UserPatch, UserState, UserValues, Visit,
};
pub use privacy::{DoNotProcess, ForgetJob, ForgetWork, Privacy};
pub use rotation::{is_sealed_with, rotate};
pub use showing::{GuideLayout, Showing, ShowingValues, StepContent};
pub use subscriptions::MadeSubscription;
pub use webhook::{
    Kept, ReceiverPatch, Webhook, WebhookPatch, WebhookValues, auth_json, categories_json, check_format, format_json,
};

#[cfg(test)]
pub(crate) use webhook::parcels;

use crate::model::{AppId, KeyId, Platform, SubscriptionId, UnixMs, UserId, WebhookId};
use crate::seal::MasterKey;
use crate::store::configured::Configured;
use std::collections::HashMap;
use std::sync::Arc;

/// Everything configured, as one consistent picture. Replaced as a whole by each change.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// All subscriptions.
    pub subscriptions: HashMap<SubscriptionId, Arc<Subscription>>,
    /// All apps.
    pub apps: HashMap<(SubscriptionId, AppId), Arc<App>>,
    /// Apps by their agent key, also the one before it.
    agent_keys: HashMap<String, Arc<App>>,
    /// Apps by the SHA-256 of their track secret, also the one before it.
    track_secrets: HashMap<[u8; 32], Arc<App>>,
    /// All webhooks.
    pub webhooks: HashMap<WebhookId, Arc<Webhook>>,
    /// Who created each webhook, where that is known.
    pub owners: HashMap<WebhookId, UserId>,
    /// All users, removed ones too: they stay known as owners of what they made.
    pub users: HashMap<UserId, Arc<User>>,
    /// Each subscription's exclusions, made ready for intake.
    exclusions: HashMap<SubscriptionId, Arc<Rules>>,
    /// Each subscription's guides.
    guides: HashMap<SubscriptionId, Arc<Guides>>,
    /// Whose data each subscription does not process.
    privacy: HashMap<SubscriptionId, Arc<Privacy>>,
    /// Integration keys by the SHA-256 of the key.
    pub keys: HashMap<[u8; 32], Arc<ApiKey>>,
}

/// What somebody may do (docs/api.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Member,
    /// Sees and changes everything of the subscription.
    Admin,
}

impl Role {
    /// Its name in the API and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }

    /// The role with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Member, Self::Admin].into_iter().find(|role| role.name() == name)
    }
}

/// An integration key, without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Unique in the installation.
    pub id: KeyId,
    /// Whose.
    pub subscription: SubscriptionId,
    /// For people.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// The user who made it: the owner of what is created with it.
    pub made_by: Option<UserId>,
    /// Made when.
    pub created_at: UnixMs,
    /// From when on it opens nothing; `None`: never.
    pub expires_at: Option<UnixMs>,
}

impl ApiKey {
    /// Whether its time is over.
    pub fn has_expired(&self, now: UnixMs) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// A customer of this installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// 16 digits.
    pub id: SubscriptionId,
    /// Shown in every body.
    pub name: String,
}

/// One product of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Whose it is.
    pub subscription: Arc<Subscription>,
    /// Its id, unique within the subscription.
    pub id: AppId,
    /// Shown in every body.
    pub name: String,
    /// web, ios or android.
    pub platform: Platform,
    /// Origins from which its agent may send, e.g. `https://example.com`. The installation's own is always allowed.
    pub origins: Vec<String>,
    /// Whether nothing is taken from browsers that ask not to be tracked.
    pub respects_do_not_track: bool,
    /// The agent's key, which is public.
    pub agent_key: String,
    /// The agent key before it, and until when it opens.
    pub old_agent_key: Option<(String, UnixMs)>,
    /// SHA-256 of the track secret.
    pub track_secret_hash: [u8; 32],
    /// The hash of the track secret before it, and until when that opens.
    pub old_track_secret: Option<([u8; 32], UnixMs)>,
    /// Made when.
    pub created_at: UnixMs,
}

impl App {
    /// Its agent key, and the one before it.
    fn agent_keys(&self) -> impl Iterator<Item = &str> {
        let old = self.old_agent_key.as_ref().map(|(key, _)| key.as_str());
        [self.agent_key.as_str()].into_iter().chain(old)
    }

    /// The hash of its track secret, and of the one before it.
    fn track_secret_hashes(&self) -> impl Iterator<Item = [u8; 32]> {
        [self.track_secret_hash].into_iter().chain(self.old_track_secret.map(|(hash, _)| hash))
    }
}

impl Snapshot {
    /// The webhook, if this subscription has it.
    pub fn webhook(&self, subscription: SubscriptionId, id: WebhookId) -> Option<&Arc<Webhook>> {
        self.webhooks.get(&id).filter(|webhook| webhook.subscription == subscription)
    }

    /// A subscription's apps, in any order.
    pub fn apps_of(&self, subscription: SubscriptionId) -> impl Iterator<Item = &Arc<App>> {
        self.apps.values().filter(move |app| app.subscription.id == subscription)
    }

    /// A subscription's integration keys, in any order.
    pub fn keys_of(&self, subscription: SubscriptionId) -> impl Iterator<Item = &Arc<ApiKey>> {
        self.keys.values().filter(move |key| key.subscription == subscription)
    }

    /// The integration key, if this subscription has it.
    pub fn key_with_id(&self, subscription: SubscriptionId, id: KeyId) -> Option<&Arc<ApiKey>> {
        self.keys_of(subscription).find(|key| key.id == id)
    }

    /// The integration key that this text is, if it is one.
    pub fn key(&self, text: &str) -> Option<&Arc<ApiKey>> {
        self.keys.get(&token::hash(text.as_bytes()))
    }

    /// The app that this track secret opens now, if it opens one.
    pub fn app_of_track_secret(&self, text: &[u8], now: UnixMs) -> Option<&Arc<App>> {
        let hash = token::hash(text);
        let opens = |app: &Arc<App>| app.track_secret_hash == hash || is_valid(app.old_track_secret.as_ref(), now);
        self.track_secrets.get(&hash).filter(|app| opens(app))
    }

    /// The app that this agent key opens now, if it opens one.
    pub fn app_of_agent_key(&self, key: &str, now: UnixMs) -> Option<&Arc<App>> {
        let opens = |app: &Arc<App>| app.agent_key == key || is_valid(app.old_agent_key.as_ref(), now);
        self.agent_keys.get(key).filter(|app| opens(app))
    }

    /// Puts the picture together from rows, opening what is sealed.
    fn of(rows: Configured, key: &MasterKey) -> Result<Self, CatalogError> {
        let mut snapshot = Self::default();
        for row in rows.subscriptions {
            snapshot.subscriptions.insert(row.id, Arc::new(Subscription { id: row.id, name: row.name }));
        }
        for row in rows.apps {
            let subscription = snapshot.subscriptions.get(&row.subscription).cloned();
            let subscription = subscription.ok_or(CatalogError::Unreadable("apps.subscription_id"))?;
            snapshot.insert_app(apps::of_row(subscription, row));
        }
        for row in rows.users {
            snapshot.users.insert(row.id, Arc::new(User::of(row)?));
        }
        for row in rows.keys {
            snapshot.keys.insert(row.hash, Arc::new(keys::of_row(row)?));
        }
        snapshot.set_all_exclusions(rows.exclusions);
        for row in rows.guides {
            snapshot.insert_guide_row(row)?;
        }
        for row in rows.person_keys {
            snapshot.insert_person_key(&row, key)?;
        }
        for row in rows.do_not_process {
            snapshot.insert_do_not_process(row)?;
        }
        for row in rows.webhooks {
            let owner = row.owner;
            snapshot.insert_webhook(Webhook::of_row(row, key)?, owner);
        }
        Ok(snapshot)
    }

    /// A picture of these apps and nothing else.
    #[cfg(test)]
    pub(crate) fn of_apps(apps: impl IntoIterator<Item = App>) -> Self {
        let mut snapshot = Self::default();
        for app in apps {
            snapshot.subscriptions.insert(app.subscription.id, Arc::clone(&app.subscription));
            snapshot.insert_app(app);
        }
        snapshot
    }

    fn insert_app(&mut self, app: App) {
        let app = Arc::new(app);
        if let Some(old) = self.apps.insert((app.subscription.id, app.id), Arc::clone(&app)) {
            self.forget_keys_of(&old);
        }
        for agent_key in app.agent_keys() {
            self.agent_keys.insert(agent_key.to_owned(), Arc::clone(&app));
        }
        for hash in app.track_secret_hashes() {
            self.track_secrets.insert(hash, Arc::clone(&app));
        }
    }

    fn remove_apps_of(&mut self, subscription: SubscriptionId) {
        for app in self.apps.extract_if(|(of, _), _| *of == subscription).map(|(_, app)| app).collect::<Vec<_>>() {
            self.forget_keys_of(&app);
        }
    }

    fn forget_keys_of(&mut self, app: &App) {
        for agent_key in app.agent_keys() {
            self.agent_keys.remove(agent_key);
        }
        for hash in app.track_secret_hashes() {
            self.track_secrets.remove(&hash);
        }
    }

    /// What nobody owns yet in a subscription becomes this user's.
    fn give_to(&mut self, subscription: SubscriptionId, user: UserId) {
        for webhook in self.webhooks.values().filter(|webhook| webhook.subscription == subscription) {
            self.owners.entry(webhook.id).or_insert(user);
        }
        for key in self.keys.values_mut().filter(|key| key.subscription == subscription && key.made_by.is_none()) {
            Arc::make_mut(key).made_by = Some(user);
        }
    }

    fn insert_webhook(&mut self, webhook: Webhook, owner: Option<UserId>) {
        let id = webhook.id;
        if let Some(owner) = owner {
            self.owners.insert(id, owner);
        }
        self.webhooks.insert(id, Arc::new(webhook));
    }
}

fn is_valid<T>(old: Option<&(T, UnixMs)>, now: UnixMs) -> bool {
    old.is_some_and(|(_, until)| now < *until)
}

#[cfg(test)]
pub(crate) mod tests;
