//! A webhook's values: what may be set, and what of it is acceptable.

use super::{ChangeError, InvalidValue, Webhook};
use crate::deliver::Destination;
use crate::limits::{WEBHOOK_CONCURRENCY, WEBHOOK_NAME_CHARS, WEBHOOK_SECRET_BYTES, WEBHOOK_TIMEOUT_S};
use crate::model::{CategorySet, Endpoint, Secret, SigningKey, WebhookState};
use serde_json::{Value, json};
use std::time::Duration;

/// Everything about a URL webhook that a person sets, except whether it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookValues {
    /// For people.
    pub name: String,
    /// The URL exactly as entered.
    pub url: String,
    /// The key of `X-Pendo-Signature`, as typed.
    pub secret: Option<Secret>,
    /// What it is sent.
    pub categories: CategorySet,
    /// The total deadline in seconds.
    pub timeout_s: u32,
    /// Requests in flight at most.
    pub concurrency: u32,
    /// Whether the three Standard Webhooks headers are sent.
    pub standard_webhooks: bool,
}

/// A change of some values: what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookPatch {
    /// See [`WebhookValues::name`].
    pub name: Option<String>,
    /// See [`WebhookValues::url`].
    pub url: Option<String>,
    /// See [`WebhookValues::secret`]; `Some(None)` takes it away.
    pub secret: Option<Option<Secret>>,
    /// See [`WebhookValues::categories`].
    pub categories: Option<CategorySet>,
    /// See [`WebhookValues::timeout_s`].
    pub timeout_s: Option<u32>,
    /// See [`WebhookValues::concurrency`].
    pub concurrency: Option<u32>,
    /// See [`WebhookValues::standard_webhooks`].
    pub standard_webhooks: Option<bool>,
    /// The toggle.
    pub enabled: Option<bool>,
}

impl WebhookValues {
    /// The values of a stored webhook.
    pub fn of(webhook: &Webhook) -> Self {
        Self {
            name: webhook.name.clone(),
            url: webhook.url.clone(),
            secret: webhook.destination.secret.clone(),
            categories: webhook.categories,
            timeout_s: webhook.timeout_s,
            concurrency: webhook.concurrency,
            standard_webhooks: webhook.standard_webhooks,
        }
    }

    /// Puts the patch's values in place of these.
    pub fn apply(&mut self, patch: WebhookPatch) {
        fn set<T>(value: &mut T, patch: Option<T>) {
            if let Some(patch) = patch {
                *value = patch;
            }
        }
        set(&mut self.name, patch.name);
        set(&mut self.url, patch.url);
        set(&mut self.secret, patch.secret);
        set(&mut self.categories, patch.categories);
        set(&mut self.timeout_s, patch.timeout_s);
        set(&mut self.concurrency, patch.concurrency);
        set(&mut self.standard_webhooks, patch.standard_webhooks);
        // A secret without characters signs nothing that anybody could check: it means "no secret".
        self.secret = self.secret.take().filter(|secret| !secret.expose().is_empty());
    }

    /// Whether all of them can be taken.
    ///
    /// # Errors
    /// The first value that cannot, and why.
    pub fn check(&self) -> Result<(), InvalidValue> {
        check_name(&self.name)?;
        Endpoint::parse(&self.url).map_err(|error| InvalidValue::new("url", error.to_string()))?;
        if self.secret.as_ref().is_some_and(|secret| secret.expose().len() > WEBHOOK_SECRET_BYTES) {
            let problem = format!("must not be longer than {WEBHOOK_SECRET_BYTES} bytes");
            return Err(InvalidValue::new("secret", problem));
        }
        if self.categories == CategorySet::Some(0) {
            let problem = "must be \"all\" or a list of at least one category; to send nothing, set enabled to false";
            return Err(InvalidValue::new("categories", problem));
        }
        check_range("timeout_s", self.timeout_s, WEBHOOK_TIMEOUT_S)?;
        check_range("concurrency", self.concurrency, WEBHOOK_CONCURRENCY)
    }

    /// What a request needs of them.
    ///
    /// # Errors
    /// The URL cannot be a destination.
    pub fn destination(&self, signing_key: Option<&SigningKey>) -> Result<Destination, InvalidValue> {
        let endpoint = Endpoint::parse(&self.url).map_err(|error| InvalidValue::new("url", error.to_string()))?;
        Ok(Destination {
            endpoint,
            secret: self.secret.clone(),
            signing_keys: signing_key.filter(|_| self.standard_webhooks).cloned().into_iter().collect(),
            timeout: Duration::from_secs(u64::from(self.timeout_s)),
        })
    }
}

/// Categories as the API shows them: "all", or a list.
pub fn categories_json(set: CategorySet) -> Value {
    match set {
        CategorySet::All => json!("all"),
        CategorySet::Some(_) => set.iter().map(|category| category.name()).collect(),
    }
}

/// Where the toggle leads. A webhook that Fanfare has turned off is left as it is.
pub(super) fn toggled(webhook: &Webhook, enabled: Option<bool>) -> Result<WebhookState, ChangeError> {
    match (webhook.state, enabled) {
        (state, None) => Ok(state),
        (WebhookState::TurnedOff, Some(_)) => Err(ChangeError::TurnedOff(webhook.id)),
        (_, Some(true)) => Ok(WebhookState::On),
        (_, Some(false)) => Ok(WebhookState::Off),
    }
}

pub(super) fn check_name(name: &str) -> Result<(), InvalidValue> {
    if name.trim().is_empty() {
        return Err(InvalidValue::new("name", "must not be empty"));
    }
    if name.chars().count() > WEBHOOK_NAME_CHARS {
        return Err(InvalidValue::new("name", format!("must not be longer than {WEBHOOK_NAME_CHARS} characters")));
    }
    if name.chars().any(char::is_control) {
        return Err(InvalidValue::new("name", "must not hold line breaks or other control characters"));
    }
    Ok(())
}

fn check_range(field: &'static str, value: u32, range: std::ops::RangeInclusive<u32>) -> Result<(), InvalidValue> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(InvalidValue::new(field, format!("must be from {} to {}", range.start(), range.end())))
}
