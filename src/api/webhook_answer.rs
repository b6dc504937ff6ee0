//! A webhook as the API shows it.

use super::answer::rfc3339;
use super::receiver_input::{AuthDoc, ClientCertificateDoc, FormatDoc, SecretDoc};
use crate::catalog::{Snapshot, User, Webhook, auth_json, categories_json, format_json};
use crate::model::{UnixMs, WebhookKind};
use crate::record::view::WebhookStats;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// A webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub struct WebhookJson {
    /// `wh_` and 16 hex digits.
    pub id: String,
    /// For people.
    pub name: String,
    /// "url" or "segment".
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Exactly as entered. A Segment webhook has `endpoint` instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Where a Segment webhook's events go, without `/v1/track`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// "all", or a list of guides, polls, nps, track_events, visitors, accounts.
    #[schema(schema_with = super::webhook_input::categories_schema)]
    pub categories: Value,
    /// Whether events accepted from now on are sent.
    pub enabled: bool,
    /// on, off, or turned_off (by Fanfare, after repeated failures).
    pub state: &'static str,
    /// The user who created it; null while none is known.
    pub owner: Option<OwnerJson>,
    /// The total deadline of an attempt, in seconds.
    pub timeout_s: u32,
    /// Whether it is sent administrative changes too.
    pub audit: bool,
    /// Which of the events of its categories it is sent, in CEL; null: all of them.
    pub filter: Option<String>,
    /// What bodies are turned into; null: they are sent as they are.
    #[schema(value_type = Option<FormatDoc>)]
    pub format: Option<Value>,
    /// Further headers: each name, and true for its value, which is never shown.
    #[schema(value_type = HashMap<String, SecretDoc>)]
    pub headers: Map<String, Value>,
    /// How the receiver is shown who is asking, with true where a secret is set; null: by nothing but signatures.
    #[schema(value_type = Option<AuthDoc>)]
    pub auth: Option<Value>,
    /// Certificate and (never shown) key for receivers with mutual TLS; null: none.
    #[schema(value_type = Option<ClientCertificateDoc>)]
    pub client_certificate: Option<Value>,
    /// Whether each visitor's events arrive in order.
    pub ordered: bool,
    /// Requests a second at most; null: as many as the receiver takes.
    pub rate_limit_per_s: Option<u32>,
    /// Requests in flight at most.
    pub concurrency: u32,
    /// Whether the three Standard Webhooks headers are sent.
    pub standard_webhooks: bool,
    /// The key of `webhook-signature`, `whsec_` and base64. Only in the answer to the call that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<String>,
    /// Until when the signing key before it signs too; null when there is none.
    pub old_signing_key_until: Option<String>,
    /// Whether it has a secret. The secret itself is never shown. A Segment webhook has `write_key_set` instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_set: Option<bool>,
    /// The secret's last four characters; "" when it is shorter than eight, null when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub secret_last4: Option<Option<String>>,
    /// Until when `webhook-signature` can be checked with the secret too, and with the one before it; null when there is
    /// none.
    pub old_secret_until: Option<String>,
    /// Whether a Segment webhook has a write key. The key itself is never shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_key_set: Option<bool>,
    /// The write key's last four characters; "" when it is shorter than eight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_key_last4: Option<String>,
    /// How it is doing.
    pub health: HealthJson,
    /// When an attempt last failed.
    pub last_error_at: Option<String>,
    /// Created when.
    pub created_at: String,
    /// Changed when.
    pub updated_at: String,
}

/// Who created a webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Owner)]
pub struct OwnerJson {
    /// The user's id.
    pub id: String,
    /// Their name.
    pub name: String,
    /// Their e-mail address.
    pub email: String,
}

/// How a webhook is doing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
pub struct HealthJson {
    /// When the receiver last answered 2xx.
    pub last_success_at: Option<String>,
    /// Deliveries of the last 24 hours that succeeded.
    pub delivered_24h: u64,
    /// Deliveries of the last 24 hours that failed for good.
    pub failed_24h: u64,
    /// The part of these that succeeded, from 0 to 1; null when there were none.
    pub success_rate_24h: Option<f64>,
    /// Deliveries that wait for their next attempt.
    pub waiting_retries: u64,
    /// Deliveries that have failed since the last that succeeded.
    pub failures_in_a_row: u64,
    /// When the first of them failed.
    pub failing_since: Option<String>,
    /// Whether the owner has been warned of them. If they go on, the webhook is turned off.
    pub warned: bool,
}

impl OwnerJson {
    /// An owner as they are shown.
    pub fn of(user: &User) -> Self {
        Self { id: user.id.to_string(), name: user.name.clone(), email: user.email.clone() }
    }
}

impl WebhookJson {
    /// A webhook as it is shown.
    pub fn of(webhook: &Webhook, snapshot: &Snapshot, stats: &WebhookStats, now: UnixMs) -> Self {
        let owner = snapshot.owners.get(&webhook.id).and_then(|id| snapshot.users.get(id));
        let values = &*webhook.values;
        let last4 = values.secret.as_ref().map(crate::model::Secret::last4);
        let is_url = values.kind == WebhookKind::Url;
        let keys = &webhook.keys;
        let until = |until: Option<UnixMs>| until.filter(|until| now < *until).map(rfc3339);
        Self {
            id: webhook.id.to_string(),
            name: values.name.clone(),
            kind: values.kind.name(),
            url: is_url.then(|| values.url.clone()),
            endpoint: (!is_url).then(|| values.url.clone()),
            categories: categories_json(values.categories),
            enabled: webhook.is_on(),
            state: webhook.state.name(),
            owner: owner.map(|user| OwnerJson::of(user)),
            timeout_s: values.timeout_s,
            audit: values.audit,
            filter: values.filter.clone(),
            format: values.format.as_ref().map(format_json),
            headers: values.headers.iter().map(|header| (header.name.clone(), Value::Bool(true))).collect(),
            auth: values.auth.as_ref().map(auth_json),
            client_certificate: values
                .client_certificate
                .as_ref()
                .map(|client| json!({"certificate": client.certificate, "private_key": true})),
            ordered: values.ordered,
            rate_limit_per_s: values.rate_limit_per_s,
            concurrency: values.concurrency,
            standard_webhooks: values.standard_webhooks,
            signing_key: None,
            old_signing_key_until: until(keys.old_signing_key.as_ref().map(|old| old.until)),
            secret_set: is_url.then_some(last4.is_some()),
            secret_last4: is_url.then(|| last4.clone()),
            old_secret_until: until(keys.old_secret.as_ref().map(|old| old.until)),
            write_key_set: (!is_url).then_some(last4.is_some()),
            write_key_last4: last4.filter(|_| !is_url),
            health: HealthJson {
                last_success_at: stats.last_success_at.map(rfc3339),
                delivered_24h: stats.delivered_24h,
                failed_24h: stats.failed_24h,
                success_rate_24h: success_rate(stats),
                waiting_retries: stats.waiting_retries,
                failures_in_a_row: stats.failures_in_a_row,
                failing_since: stats.failing_since.map(rfc3339),
                warned: stats.warned,
            },
            last_error_at: stats.last_error_at.map(rfc3339),
            created_at: rfc3339(webhook.created_at),
            updated_at: rfc3339(webhook.updated_at),
        }
    }
}

fn success_rate(stats: &WebhookStats) -> Option<f64> {
    let total = stats.delivered_24h + stats.failed_24h;
    (total > 0).then(|| stats.delivered_24h as f64 / total as f64)
}
