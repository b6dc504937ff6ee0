//! A configured webhook: what a person sets of it, what its requests need, and its row with everything secret sealed.

mod keys;
mod parcel;
mod receiver;
mod sealed;
mod segment;
mod shown;
mod values;

pub use receiver::{Kept, ReceiverPatch, check_format};
pub use shown::{auth_json, categories_json, format_json};
pub use values::{WebhookPatch, WebhookValues};

pub(super) use values::toggled;

#[cfg(test)]
pub(crate) use parcel::tests as parcels;

use super::{CatalogError, InvalidValue};
use crate::clock::Random;
use crate::deliver::Destination;
use crate::filter::Interest;
use crate::model::{
    Keys, Old, Position, Secret, Selection, SigningKey, SubscriptionId, UnixMs, UserId, WebhookId, WebhookState,
};
use crate::seal::{self, MasterKey};
use crate::store::configured::WebhookRow;
use std::sync::Arc;

/// One configured webhook.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Whose it is.
    pub subscription: SubscriptionId,
    /// On, off, or turned off by Fanfare.
    pub state: WebhookState,
    /// The position from which `state` and what it is told of hold.
    pub since: Position,
    /// What a person has set.
    pub values: Arc<WebhookValues>,
    /// Its keys that no person types.
    pub keys: Keys,
    /// What its requests need, secrets opened.
    pub destination: Arc<Destination>,
    /// Which events it is told of, its filter made ready.
    pub interest: Interest,
    /// Created when.
    pub created_at: UnixMs,
    /// Changed when.
    pub updated_at: UnixMs,
}

/// What only Fanfare sets of a webhook.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) id: WebhookId,
    pub(super) subscription: SubscriptionId,
    pub(super) state: WebhookState,
    pub(super) since: Position,
    pub(super) created_at: UnixMs,
    pub(super) updated_at: UnixMs,
}

impl Webhook {
    /// A webhook of these values.
    pub(super) fn new(identity: &Identity, values: WebhookValues, keys: Keys) -> Result<Self, InvalidValue> {
        let destination = Arc::new(values.destination(&keys)?);
        let Identity { id, subscription, state, since, created_at, updated_at } = *identity;
        let interest = Interest::of(&values.selection());
        let values = Arc::new(values);
        Ok(Self { id, subscription, state, since, values, keys, destination, interest, created_at, updated_at })
    }

    /// From now on it is told of these events.
    pub(super) fn select(&mut self, selection: &Selection) {
        let Selection { categories, audit, filter } = selection.clone();
        let values = Arc::make_mut(&mut self.values);
        (values.categories, values.audit, values.filter) = (categories, audit, filter);
        self.interest = Interest::of(selection);
    }

    /// Whether events accepted from now on are sent.
    pub fn is_on(&self) -> bool {
        self.state == WebhookState::On
    }

    /// A webhook from its row. Its values were checked when they were saved: one that cannot be taken any more is a
    /// damaged row.
    pub(super) fn of_row(row: WebhookRow, key: &MasterKey) -> Result<Self, CatalogError> {
        let place = |column| seal::place("webhooks", row.id, column);
        let open = |column, sealed: &Option<String>| {
            sealed.as_ref().map(|sealed| key.open(&place(column), sealed)).transpose()
        };
        let open_old = |column, sealed: &Option<(String, UnixMs)>| {
            let open = |(sealed, until): &(String, UnixMs)| {
                key.open(&place(column), sealed).map(|value| Old { value, until: *until })
            };
            sealed.as_ref().map(open).transpose()
        };
        let old_key = open_old("old_signing_key", &row.old_signing_key_sealed)?;
        let keys = Keys {
            signing_key: open("signing_key", &row.signing_key_sealed)?.map(SigningKey),
            old_signing_key: old_key.map(|Old { value, until }| Old { value: SigningKey(value), until }),
            old_secret: open_old("old_secret", &row.old_secret_sealed)?,
        };
        let secret = open("secret", &row.secret_sealed)?;
        let headers = open("headers", &row.headers_sealed)?;
        let auth = open("auth", &row.auth_sealed)?;
        let certificate = open("client_certificate", &row.client_certificate_sealed)?;
        let values = WebhookValues {
            kind: row.kind,
            name: row.name,
            url: row.url,
            secret,
            categories: row.categories,
            audit: row.audit,
            filter: row.filter,
            timeout_s: row.timeout_s,
            concurrency: row.concurrency,
            rate_limit_per_s: row.rate_limit_per_s,
            ordered: row.ordered,
            standard_webhooks: row.standard_webhooks,
            format: read(row.format.as_deref(), "webhooks.format", sealed::format_of)?,
            headers: read_secret(headers, "webhooks.headers", sealed::headers_of)?.unwrap_or_default(),
            auth: read_secret(auth, "webhooks.auth", sealed::auth_of)?,
            client_certificate: read_secret(certificate, "webhooks.client_certificate", sealed::certificate_of)?,
        };
        let identity = Identity {
            id: row.id,
            subscription: row.subscription,
            state: row.state,
            since: row.since,
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        Self::new(&identity, values, keys).map_err(|_| CatalogError::Unreadable("webhooks.url"))
    }

    /// Its row.
    pub(super) fn row(&self, owner: Option<UserId>, key: &MasterKey, random: &dyn Random) -> WebhookRow {
        let place = |column| seal::place("webhooks", self.id, column);
        let seal = |column, value: Option<&[u8]>| value.map(|value| key.seal(&place(column), value, random));
        let secret = |column, secret: Option<&Secret>| seal(column, secret.map(Secret::expose));
        let text = |column, text: Option<String>| seal(column, text.as_deref().map(str::as_bytes));
        let (values, keys) = (&*self.values, &self.keys);
        let old_secret = keys.old_secret.as_ref();
        let old_key = keys.old_signing_key.as_ref();
        WebhookRow {
            id: self.id,
            subscription: self.subscription,
            kind: values.kind,
            name: values.name.clone(),
            url: values.url.clone(),
            state: self.state,
            categories: values.categories,
            audit: values.audit,
            filter: values.filter.clone(),
            since: self.since,
            timeout_s: values.timeout_s,
            concurrency: values.concurrency,
            rate_limit_per_s: values.rate_limit_per_s,
            ordered: values.ordered,
            standard_webhooks: values.standard_webhooks,
            format: values.format.as_ref().map(|format| format_json(format).to_string()),
            secret_sealed: secret("secret", values.secret.as_ref()),
            old_secret_sealed: secret("old_secret", old_secret.map(|old| &old.value))
                .zip(old_secret.map(|old| old.until)),
            signing_key_sealed: secret("signing_key", keys.signing_key.as_ref().map(|key| &key.0)),
            old_signing_key_sealed: secret("old_signing_key", old_key.map(|old| &old.value.0))
                .zip(old_key.map(|old| old.until)),
            headers_sealed: text("headers", sealed::headers_json(&values.headers)),
            auth_sealed: text("auth", values.auth.as_ref().map(sealed::auth_json)),
            client_certificate_sealed: text(
                "client_certificate",
                values.client_certificate.as_ref().map(sealed::certificate_json),
            ),
            owner,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

fn read<T>(
    text: Option<&str>,
    column: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, CatalogError> {
    text.map(|text| read(text).ok_or(CatalogError::Unreadable(column))).transpose()
}

fn read_secret<T>(
    opened: Option<Secret>,
    column: &'static str,
    reader: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, CatalogError> {
    let text = opened.as_ref().map(|secret| std::str::from_utf8(secret.expose()));
    read(text.transpose().map_err(|_| CatalogError::Unreadable(column))?, column, reader)
}
