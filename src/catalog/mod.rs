//! What is configured and changes slowly: subscriptions, apps, keys, webhooks. Kept in the store, read from memory.

use crate::deliver::Destination;
use crate::model::{AppId, CategorySet, Platform, Position, SubscriptionId, UnixMs, WebhookId, WebhookState};
use std::collections::HashMap;
use std::sync::Arc;

/// Everything configured, as one consistent picture. Replaced as a whole by each change.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// All subscriptions.
    pub subscriptions: HashMap<SubscriptionId, Arc<Subscription>>,
    /// All apps.
    pub apps: HashMap<(SubscriptionId, AppId), Arc<App>>,
    /// Apps by their agent key.
    pub agent_keys: HashMap<String, Arc<App>>,
    /// Apps by the SHA-256 of their track secret.
    pub track_secrets: HashMap<[u8; 32], Arc<App>>,
    /// All webhooks.
    pub webhooks: HashMap<WebhookId, Arc<Webhook>>,
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
    /// The agent's key, which is public.
    pub agent_key: String,
}

/// One configured URL webhook.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Whose it is.
    pub subscription: SubscriptionId,
    /// Its name, for people.
    pub name: String,
    /// The URL exactly as entered.
    pub url: String,
    /// On, off, or turned off by Fanfare.
    pub state: WebhookState,
    /// What it is sent.
    pub categories: CategorySet,
    /// The position from which `state` and `categories` hold.
    pub since: Position,
    /// The deadline as configured, in whole seconds (1 to 300).
    pub timeout_s: u32,
    /// Requests in flight at most.
    pub concurrency: u32,
    /// Whether the three Standard Webhooks headers are sent.
    pub standard_webhooks: bool,
    /// What its requests need, secrets opened.
    pub destination: Arc<Destination>,
    /// Created when.
    pub created_at: UnixMs,
    /// Changed when.
    pub updated_at: UnixMs,
}
