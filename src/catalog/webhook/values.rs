//! A webhook's values: what may be set, and what of it is acceptable.

use super::receiver::{self, Keeps, ReceiverPatch};
use super::{Webhook, segment};
use crate::catalog::name::check_name;
use crate::catalog::{ChangeError, InvalidValue};
use crate::deliver::{Authorization, Destination, Form};
use crate::filter::Filter;
use crate::limits::{WEBHOOK_CONCURRENCY, WEBHOOK_RATE_PER_S, WEBHOOK_SECRET_BYTES, WEBHOOK_TIMEOUT_S};
use crate::model::{
    Auth, CategorySet, ClientCertificate, Endpoint, Format, Header, Keys, Secret, Selection, UnixMs, WebhookKind,
    WebhookState,
};
use std::sync::Arc;
use std::time::Duration;

/// Everything about a webhook that a person sets, except whether it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookValues {
    /// Any URL, or Segment.
    pub kind: WebhookKind,
    /// For people.
    pub name: String,
    /// The URL exactly as entered; a Segment webhook's endpoint.
    pub url: String,
    /// The key of `X-Pendo-Signature`, as typed; a Segment webhook's write key.
    pub secret: Option<Secret>,
    /// What it is sent.
    pub categories: CategorySet,
    /// Whether it is sent administrative changes too.
    pub audit: bool,
    /// Which of these events it is sent, in CEL; all of them without one.
    pub filter: Option<String>,
    /// The total deadline in seconds.
    pub timeout_s: u32,
    /// Requests in flight at most.
    pub concurrency: u32,
    /// Requests a second at most; as many as the receiver takes without one.
    pub rate_limit_per_s: Option<u32>,
    /// Whether each visitor's events arrive in order.
    pub ordered: bool,
    /// Whether the three Standard Webhooks headers are sent.
    pub standard_webhooks: bool,
    /// What bodies are turned into.
    pub format: Option<Format>,
    /// Further headers.
    pub headers: Vec<Header>,
    /// How the receiver is shown who is asking.
    pub auth: Option<Auth>,
    /// For receivers with mutual TLS.
    pub client_certificate: Option<ClientCertificate>,
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
    /// How long the secret before it can be checked with too: see [`WebhookValues::keys_after`].
    pub secret_overlap: Option<Duration>,
    /// See [`WebhookValues::categories`].
    pub categories: Option<CategorySet>,
    /// See [`WebhookValues::audit`].
    pub audit: Option<bool>,
    /// See [`WebhookValues::filter`]; `Some(None)` takes it away.
    pub filter: Option<Option<String>>,
    /// See [`WebhookValues::timeout_s`].
    pub timeout_s: Option<u32>,
    /// See [`WebhookValues::concurrency`].
    pub concurrency: Option<u32>,
    /// See [`WebhookValues::rate_limit_per_s`]; `Some(None)` takes it away.
    pub rate_limit_per_s: Option<Option<u32>>,
    /// See [`WebhookValues::ordered`].
    pub ordered: Option<bool>,
    /// See [`WebhookValues::standard_webhooks`].
    pub standard_webhooks: Option<bool>,
    /// How requests are shaped and let in.
    pub receiver: ReceiverPatch,
    /// The toggle.
    pub enabled: Option<bool>,
}

impl WebhookValues {
    /// Puts the patch's values in place of these.
    ///
    /// # Errors
    /// A secret is to be kept where none is set, or would be sent to another server than it was entered for.
    pub fn apply(&mut self, patch: WebhookPatch) -> Result<(), InvalidValue> {
        let keeps = Keeps::of(&patch.receiver, patch.secret.is_some(), self);
        let before = self.clone();
        fn set<T>(value: &mut T, patch: Option<T>) {
            if let Some(patch) = patch {
                *value = patch;
            }
        }
        set(&mut self.name, patch.name);
        set(&mut self.url, patch.url);
        set(&mut self.secret, patch.secret);
        set(&mut self.categories, patch.categories);
        set(&mut self.audit, patch.audit);
        set(&mut self.filter, patch.filter);
        set(&mut self.timeout_s, patch.timeout_s);
        set(&mut self.concurrency, patch.concurrency);
        set(&mut self.rate_limit_per_s, patch.rate_limit_per_s);
        set(&mut self.ordered, patch.ordered);
        set(&mut self.standard_webhooks, patch.standard_webhooks);
        // A secret without characters signs nothing that anybody could check: it means "no secret".
        self.secret = self.secret.take().filter(|secret| !secret.expose().is_empty());
        patch.receiver.apply(self)?;
        keeps.check(&before, self)
    }

    /// Whether all of them can be taken.
    ///
    /// # Errors
    /// The first value that cannot, and why.
    pub fn check(&self) -> Result<(), InvalidValue> {
        check_name(&self.name)?;
        self.endpoint()?;
        if self.secret.as_ref().is_some_and(|secret| secret.expose().len() > WEBHOOK_SECRET_BYTES) {
            let problem = format!("must not be longer than {WEBHOOK_SECRET_BYTES} bytes");
            return Err(InvalidValue::new(self.secret_field(), problem));
        }
        if self.categories == CategorySet::Some(0) && !self.audit {
            let problem = "must be \"all\" or a list of at least one category; to send nothing, set enabled to false";
            return Err(InvalidValue::new("categories", problem));
        }
        if let Some(filter) = &self.filter {
            Filter::parse(filter).map_err(|mistake| InvalidValue::new("filter", mistake.to_string()))?;
        }
        check_range("timeout_s", self.timeout_s, WEBHOOK_TIMEOUT_S)?;
        check_range("concurrency", self.concurrency, WEBHOOK_CONCURRENCY)?;
        if let Some(rate) = self.rate_limit_per_s {
            check_range("rate_limit_per_s", rate, WEBHOOK_RATE_PER_S)?;
        }
        receiver::check(self)
    }

    /// Whether what takes the place of `before` can be taken now. A certificate that has expired since it was set keeps
    /// nobody from changing something else.
    ///
    /// # Errors
    /// A new client certificate whose time is over.
    pub fn check_news(&self, before: Option<&Self>, now: UnixMs) -> Result<(), InvalidValue> {
        let Some(certificate) = &self.client_certificate else { return Ok(()) };
        if before.is_some_and(|before| before.client_certificate.as_ref() == Some(certificate)) {
            return Ok(());
        }
        match receiver::identity(certificate)?.has_expired(now) {
            true => Err(InvalidValue::new("client_certificate.certificate", "has expired")),
            false => Ok(()),
        }
    }

    /// Which events it is told of.
    pub fn selection(&self) -> Selection {
        Selection { categories: self.categories, audit: self.audit, filter: self.filter.clone() }
    }

    /// What a request needs of them.
    ///
    /// # Errors
    /// The URL cannot be a destination.
    pub fn destination(&self, keys: &Keys) -> Result<Destination, InvalidValue> {
        let timeout = Duration::from_secs(u64::from(self.timeout_s));
        let mut destination = Destination::plain(self.endpoint()?, timeout);
        if self.kind == WebhookKind::Url {
            destination.secret.clone_from(&self.secret);
        }
        if self.standard_webhooks {
            destination.signing_keys.extend(keys.signing_key.clone());
            destination.ending_keys = self.ending_keys(keys);
        }
        let auth = self.auth().as_ref().map(Authorization::new).transpose();
        destination.authorization = auth.map_err(|error| InvalidValue::new("auth", error.to_string()))?;
        destination.identity = self.client_certificate.as_ref().map(receiver::identity).transpose()?.map(Arc::new);
        destination.form = self.form().map(Arc::new);
        destination.headers.clone_from(&self.headers);
        Ok(destination)
    }

    /// By what the receiver knows us: Segment by the write key.
    fn auth(&self) -> Option<Auth> {
        match self.kind {
            WebhookKind::Url => self.auth.clone(),
            WebhookKind::Segment => self.secret.as_ref().map(segment::auth),
        }
    }

    /// What bodies are turned into.
    fn form(&self) -> Option<Form> {
        match self.kind {
            WebhookKind::Url => self.format.as_ref().map(Form::new),
            WebhookKind::Segment => Some(Form::segment()),
        }
    }

    fn endpoint(&self) -> Result<Endpoint, InvalidValue> {
        match self.kind {
            WebhookKind::Url => Endpoint::parse(&self.url).map_err(|error| InvalidValue::new("url", error.to_string())),
            WebhookKind::Segment => segment::endpoint(&self.url),
        }
    }

    /// What the API calls the secret.
    fn secret_field(&self) -> &'static str {
        match self.kind {
            WebhookKind::Url => "secret",
            WebhookKind::Segment => "write_key",
        }
    }
}

/// Where the toggle leads. A webhook that Fanfare has turned off is left as it is.
pub(in crate::catalog) fn toggled(webhook: &Webhook, enabled: Option<bool>) -> Result<WebhookState, ChangeError> {
    match (webhook.state, enabled) {
        (state, None) => Ok(state),
        (WebhookState::TurnedOff, Some(_)) => Err(ChangeError::TurnedOff(webhook.id)),
        (_, Some(true)) => Ok(WebhookState::On),
        (_, Some(false)) => Ok(WebhookState::Off),
    }
}

fn check_range(field: &'static str, value: u32, range: std::ops::RangeInclusive<u32>) -> Result<(), InvalidValue> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(InvalidValue::new(field, format!("must be from {} to {}", range.start(), range.end())))
}
