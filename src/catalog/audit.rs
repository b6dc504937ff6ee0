//! Who changes what, for the audit log (docs/api.md). Secrets are never in it: it says that there is one, and whether it
//! was changed.

use super::{ApiKey, App, Exclusion, Guide, User, Webhook, auth_json, categories_json, format_json};
use crate::model::{SubscriptionId, UnixMs, WebhookKind};
use crate::store::configured::AuditEntry;
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// Who makes a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    kind: &'static str,
    id: String,
    name: String,
    address: Option<IpAddr>,
}

impl Actor {
    /// The holder of an integration key.
    pub fn key(key: &ApiKey, address: IpAddr) -> Self {
        Self { kind: "key", id: key.id.to_string(), name: key.name.clone(), address: Some(address) }
    }

    /// Somebody who has signed in, or is just doing so.
    pub fn user(user: &User, address: IpAddr) -> Self {
        Self { kind: "user", id: user.id.to_string(), name: user.email.clone(), address: Some(address) }
    }

    /// Who they are to somebody whom they invite: a key has no face.
    pub(super) fn face(&self) -> &str {
        if self.kind == "user" { &self.name } else { "An admin" }
    }

    /// The user's e-mail address, or the key's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whoever runs the installation, at its command line.
    pub fn operator() -> Self {
        Self { kind: "operator", id: String::new(), name: String::from("operator"), address: None }
    }

    /// Fanfare itself.
    pub fn system() -> Self {
        Self { kind: "system", id: String::new(), name: String::from("Fanfare"), address: None }
    }
}

/// What was done, to what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deed<'a> {
    pub(super) subscription: SubscriptionId,
    pub(super) at: UnixMs,
    pub(super) action: &'static str,
    pub(super) target: &'a str,
}

impl Deed<'_> {
    /// The entry of this deed.
    pub(super) fn by(self, actor: &Actor, before: Map<String, Value>, after: Map<String, Value>) -> AuditEntry {
        AuditEntry {
            subscription: self.subscription,
            at: self.at,
            actor_kind: actor.kind.to_owned(),
            actor_id: actor.id.clone(),
            actor_name: actor.name.clone(),
            address: actor.address.map(|address| address.to_string()).unwrap_or_default(),
            action: self.action.to_owned(),
            target: self.target.to_owned(),
            before: Value::Object(before).to_string(),
            after: Value::Object(after).to_string(),
        }
    }
}

/// What a person sets of a webhook, secrets masked.
pub(super) fn webhook(webhook: &Webhook) -> Map<String, Value> {
    let values = &*webhook.values;
    let set = |is_set: bool| is_set.then_some("set");
    let mut shown = fields(json!({
        "name": values.name,
        "categories": categories_json(values.categories),
        "state": webhook.state.name(),
        "timeout_s": values.timeout_s,
        "concurrency": values.concurrency,
        "standard_webhooks": values.standard_webhooks,
        "audit": values.audit,
        "filter": values.filter,
        "ordered": values.ordered,
        "rate_limit_per_s": values.rate_limit_per_s,
        "format": values.format.as_ref().map(format_json),
        "headers": values.headers.iter().map(|header| &header.name).collect::<Vec<_>>(),
        "auth": values.auth.as_ref().map(auth_json),
        "client_certificate": values.client_certificate.as_ref().map(|certificate| &certificate.certificate),
    }));
    let (place, secret) = match values.kind {
        WebhookKind::Url => ("url", "secret"),
        WebhookKind::Segment => ("endpoint", "write_key"),
    };
    shown.insert(place.to_owned(), json!(values.url));
    shown.insert(secret.to_owned(), json!(set(values.secret.is_some())));
    shown
}

/// What differs between two states of a webhook; `None` when nothing does.
pub(super) fn webhook_change(old: &Webhook, new: &Webhook) -> Option<(Map<String, Value>, Map<String, Value>)> {
    let (mut before, mut after) = (webhook(old), webhook(new));
    keys_change((old, &mut before), (new, &mut after));
    let (old, new) = (&*old.values, &*new.values);
    let changed = [
        ("secret", old.secret != new.secret),
        ("write_key", old.secret != new.secret),
        ("headers", old.headers != new.headers),
        ("auth", old.auth != new.auth),
        ("client_certificate", old.client_certificate != new.client_certificate),
    ];
    // Where the change is in what is not shown, it says only that there was one.
    for (field, changed) in changed {
        if changed && after.contains_key(field) && before[field] == after[field] {
            after.insert(field.to_owned(), json!("changed"));
        }
    }
    drop_same(&mut before, &mut after);
    (!after.is_empty()).then_some((before, after))
}

/// What has become of the keys that no person types: that there is another, and until when the one before it holds.
fn keys_change((old, before): (&Webhook, &mut Map<String, Value>), (new, after): (&Webhook, &mut Map<String, Value>)) {
    if old.keys.signing_key.is_some() && old.keys.signing_key != new.keys.signing_key {
        before.insert(String::from("signing_key"), json!("set"));
        after.insert(String::from("signing_key"), json!("changed"));
    }
    // What ended by itself is nobody's deed.
    let now = new.updated_at;
    for (webhook, shown) in [(old, before), (new, after)] {
        let until = |until: Option<UnixMs>| until.filter(|until| now < *until).map(|until| until.0);
        let (key, secret) = (webhook.keys.old_signing_key.as_ref(), webhook.keys.old_secret.as_ref());
        shown.insert(String::from("old_signing_key_until"), json!(until(key.map(|old| old.until))));
        shown.insert(String::from("old_secret_until"), json!(until(secret.map(|old| old.until))));
    }
}

/// Leaves only the fields that differ.
pub(super) fn drop_same(before: &mut Map<String, Value>, after: &mut Map<String, Value>) {
    before.retain(|name, value| {
        let same = after.get(name) == Some(value);
        if same {
            after.remove(name);
        }
        !same
    });
}

/// What a person sets of an app.
pub(super) fn app(app: &App) -> Map<String, Value> {
    fields(json!({
        "name": app.name,
        "platform": app.platform.name(),
        "origins": app.origins,
        "respect_do_not_track": app.respects_do_not_track,
        "agent_key": app.agent_key,
    }))
}

/// What a person sets of a key.
pub(super) fn key(key: &ApiKey) -> Map<String, Value> {
    fields(json!({"name": key.name, "role": key.role.name(), "expires_at": key.expires_at.map(|at| at.0)}))
}

/// What is set of an exclusion.
pub(super) fn exclusion(rule: &Exclusion) -> Map<String, Value> {
    fields(json!({"kind": rule.kind.name(), "pattern": rule.pattern}))
}

/// What is set of a guide.
pub(super) fn guide(guide: &Guide) -> Map<String, Value> {
    let properties = &guide.properties;
    let steps = properties.steps.iter().zip(guide.polls.iter().zip(&guide.contents)).map(|(step, (polls, content))| {
        json!({
            "id": step.id, "type": step.kind, "resetAt": step.reset_at, "polls": polls,
            "text": content.text, "element": content.element,
        })
    });
    let showing = &guide.showing;
    fields(json!({
        "name": properties.name, "state": guide.state.name(), "steps": steps.collect::<Vec<_>>(),
        "layout": showing.layout, "audience": showing.audience, "pages": showing.pages,
        "everyDays": showing.every_days, "startsAt": showing.starts_at.map(|at| at.0),
        "endsAt": showing.ends_at.map(|at| at.0),
    }))
}

/// What is set of a user.
pub(super) fn user(user: &User) -> Map<String, Value> {
    fields(json!({"email": user.email, "name": user.name, "role": user.role.name()}))
}

/// The fields of an object.
pub(super) fn fields(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
