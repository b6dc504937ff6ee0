//! What requests to a webhook's receiver need, packed and sealed for another node with the same master key.

use super::sealed::{
    auth_json, auth_of, certificate_json, certificate_of, encoded, format_of, headers_json, headers_of,
};
use super::sealed::{secret, text};
use super::{Webhook, WebhookValues, format_json};
use crate::catalog::CatalogError;
use crate::clock::Random;
use crate::deliver::Destination;
use crate::model::{CategorySet, Keys, Old, Secret, SigningKey, UnixMs, WebhookId, WebhookKind};
use crate::seal::{self, MasterKey};
use serde_json::{Value, json};

/// Why a parcel cannot be opened.
const UNREADABLE: CatalogError = CatalogError::Unreadable("a parcel of another node");

impl Webhook {
    /// Packs and seals it.
    pub fn pack(&self, key: &MasterKey, random: &dyn Random) -> String {
        let (values, keys) = (&*self.values, &self.keys);
        let parcel = json!({
            "kind": values.kind.name(),
            "url": values.url,
            "secret": values.secret.as_ref().map(encoded),
            "timeout_s": values.timeout_s,
            "standard_webhooks": values.standard_webhooks,
            "format": values.format.as_ref().map(|format| format_json(format).to_string()),
            "headers": headers_json(&values.headers),
            "auth": values.auth.as_ref().map(auth_json),
            "client_certificate": values.client_certificate.as_ref().map(certificate_json),
            "signing_key": keys.signing_key.as_ref().map(|key| encoded(&key.0)),
            "old_signing_key": keys.old_signing_key.as_ref().map(|old| old_json(&old.value.0, old.until)),
            "old_secret": keys.old_secret.as_ref().map(|old| old_json(&old.value, old.until)),
        });
        key.seal(&place(self.id), parcel.to_string().as_bytes(), random)
    }

    /// Opens what was packed of this webhook.
    ///
    /// # Errors
    /// [`CatalogError`]: it was sealed with another key or for another webhook, or made by a release that knows more.
    pub fn unpack(id: WebhookId, parcel: &str, key: &MasterKey) -> Result<Destination, CatalogError> {
        let opened = key.open(&place(id), parcel)?;
        let json: Value = serde_json::from_slice(opened.expose()).map_err(|_| UNREADABLE)?;
        let (values, keys) = read(&json).ok_or(UNREADABLE)?;
        values.destination(&keys).map_err(|_| UNREADABLE)
    }
}

fn place(id: WebhookId) -> String {
    seal::place("webhooks", id, "parcel")
}

fn read(json: &Value) -> Option<(WebhookValues, Keys)> {
    let values = WebhookValues {
        kind: WebhookKind::from_name(json["kind"].as_str()?)?,
        url: text(&json["url"])?,
        secret: optional(&json["secret"], secret)?,
        timeout_s: u32::try_from(json["timeout_s"].as_u64()?).ok()?,
        standard_webhooks: json["standard_webhooks"].as_bool()?,
        format: optional(&json["format"], |value| format_of(value.as_str()?))?,
        headers: optional(&json["headers"], |value| headers_of(value.as_str()?))?.unwrap_or_default(),
        auth: optional(&json["auth"], |value| auth_of(value.as_str()?))?,
        client_certificate: optional(&json["client_certificate"], |value| certificate_of(value.as_str()?))?,
        // What no request needs.
        name: String::new(),
        categories: CategorySet::All,
        audit: false,
        filter: None,
        concurrency: 1,
        rate_limit_per_s: None,
        ordered: false,
    };
    let signing_key = optional(&json["signing_key"], secret)?.map(SigningKey);
    let old_key = optional(&json["old_signing_key"], old_of)?;
    let old_signing_key = old_key.map(|Old { value, until }| Old { value: SigningKey(value), until });
    let old_secret = optional(&json["old_secret"], old_of)?;
    Some((values, Keys { signing_key, old_signing_key, old_secret }))
}

/// Nothing is `Some(None)`; what cannot be read, `None`.
#[expect(clippy::option_option, reason = "what is not there is not what cannot be read")]
fn optional<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<Option<T>> {
    if value.is_null() { Some(None) } else { read(value).map(Some) }
}

fn old_json(value: &Secret, until: UnixMs) -> Value {
    json!([encoded(value), until.0])
}

fn old_of(json: &Value) -> Option<Old<Secret>> {
    Some(Old { value: secret(&json[0])?, until: UnixMs(json[1].as_i64()?) })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::catalog::webhook::Identity;
    use crate::clock::SystemRandom;
    use crate::model::{Auth, ClientCertificate, Format, Header, Position, Preset, SubscriptionId, WebhookState};
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;

    /// A webhook of these values.
    pub(crate) fn webhook(id: u64, values: WebhookValues, keys: Keys) -> Webhook {
        let identity = Identity {
            id: WebhookId(id),
            subscription: SubscriptionId(1),
            state: WebhookState::On,
            since: Position(1),
            created_at: UnixMs(0),
            updated_at: UnixMs(0),
        };
        Webhook::new(&identity, values, keys).unwrap()
    }

    /// Values without anything that need not be.
    pub(crate) fn plain(url: &str) -> WebhookValues {
        WebhookValues {
            kind: WebhookKind::Url,
            name: String::from("x"),
            url: url.to_owned(),
            secret: None,
            categories: CategorySet::All,
            audit: false,
            filter: None,
            timeout_s: 7,
            concurrency: 1,
            rate_limit_per_s: None,
            ordered: false,
            standard_webhooks: false,
            format: None,
            headers: Vec::new(),
            auth: None,
            client_certificate: None,
        }
    }

    pub(crate) fn key(byte: u8) -> MasterKey {
        MasterKey::from_base64(&BASE64_STANDARD.encode([byte; 32]), "x").unwrap()
    }

    fn everything() -> (WebhookValues, Keys) {
        let secret = |text: &str| Secret::new(text);
        let pair = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new([String::from("us")]).unwrap().self_signed(&pair).unwrap();
        let values = WebhookValues {
            secret: Some(Secret::new(vec![0, 255])),
            standard_webhooks: true,
            format: Some(Format::Preset(Preset::Slack)),
            headers: vec![Header { name: String::from("X-Key"), value: secret("hush") }],
            auth: Some(Auth::Basic { username: String::from("ada"), password: secret("pass") }),
            client_certificate: Some(ClientCertificate {
                certificate: certificate.pem(),
                private_key: Secret::new(pair.serialize_pem()),
            }),
            ..plain("https://example.com/a//b?x=1")
        };
        let keys = Keys {
            signing_key: Some(SigningKey(secret("new"))),
            old_signing_key: Some(Old { value: SigningKey(secret("old")), until: UnixMs(5) }),
            old_secret: Some(Old { value: secret("older"), until: UnixMs(6) }),
        };
        (values, keys)
    }

    #[test]
    fn another_node_sends_the_same_requests() {
        let random = SystemRandom::default();
        let template = Format::Template { text: String::from("{{ event }}"), content_type: String::from("text/x") };
        let segment = WebhookValues {
            kind: WebhookKind::Segment,
            secret: Some(Secret::new("k")),
            ..plain("https://api.segment.io")
        };
        let none = Keys { signing_key: None, old_signing_key: None, old_secret: None };
        let cases = [
            everything(),
            (WebhookValues { format: Some(template), ..plain("http://h/x") }, none.clone()),
            (segment, none),
        ];
        for (values, keys) in cases {
            let webhook = webhook(3, values, keys);
            let parcel = webhook.pack(&key(1), &random);
            assert!(!parcel.contains("hush") && !parcel.contains("example.com"), "{parcel}");
            assert_eq!(Webhook::unpack(webhook.id, &parcel, &key(1)).unwrap(), *webhook.destination);
            assert!(Webhook::unpack(WebhookId(4), &parcel, &key(1)).is_err(), "it is another webhook's");
            assert!(Webhook::unpack(webhook.id, &parcel, &key(2)).is_err(), "it is another installation's");
        }
    }
}
