//! A webhook as a body names it.

use super::body::{Fields, type_name};
use super::problem::ApiError;
use super::receiver_input::{AuthDoc, ClientCertificateDoc, FormatDoc, SecretDoc};
use super::{WebhookDefaults, apps, receiver_input};
use crate::catalog::{WebhookPatch, WebhookValues};
use crate::model::{Category, CategorySet, Secret, WebhookKind};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, Type};

/// What a body may say of a webhook. When editing, what is left out stays.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct WebhookInput {
    /// Required when creating; 1 to 255 characters.
    #[schema(example = "Warehouse")]
    pub name: Option<String>,
    /// "url" (the default) or "segment"; it cannot be changed.
    #[schema(rename = "type", example = "url")]
    pub kind: Option<String>,
    /// Required when creating a webhook of type "url"; http or https, without user info and fragment. Kept byte for byte.
    #[schema(example = "https://example.com/hook?team=7")]
    pub url: Option<String>,
    /// The key of X-Pendo-Signature, as typed. null or "" takes it away.
    pub secret: Option<String>,
    /// For type "segment", instead of `url`: where its messages go, without /v1/track. https://api.segment.io by default.
    #[schema(example = "https://events.eu1.segmentapis.com")]
    pub endpoint: Option<String>,
    /// For type "segment", instead of `secret`, and required: the source's write key.
    pub write_key: Option<String>,
    /// How long `webhook-signature` can be checked with the secret before this one too: 0 to 2592000 (30 days), 0 by
    /// default. Without a new secret, until the overlap under way ends. Not when creating.
    pub secret_overlap_s: Option<u64>,
    /// "all" (the default), or a list of guides, polls, nps, track_events, visitors, accounts. It may be empty when `audit`
    /// is true.
    #[schema(required = false, schema_with = categories_schema)]
    pub categories: Option<Value>,
    /// Whether it is sent every entry of the audit log too, as auditRecorded; false by default.
    pub audit: Option<bool>,
    /// Which of these events it is sent, in CEL; null: all of them.
    #[schema(example = "properties.guideId in [\"a\", \"b\"]")]
    pub filter: Option<String>,
    /// The toggle. A webhook is always created off, whatever this says.
    pub enabled: Option<bool>,
    /// 1 to 300.
    #[schema(example = 30, minimum = 1, maximum = 300)]
    pub timeout_s: Option<u32>,
    /// 1 to 1000.
    #[schema(example = 32, minimum = 1, maximum = 1000)]
    pub concurrency: Option<u32>,
    /// Requests a second at most, from 1 to 100000; null (the default) for as many as the receiver takes.
    #[schema(example = 20, minimum = 1, maximum = 100_000)]
    pub rate_limit_per_s: Option<u32>,
    /// Whether each visitor's events arrive in order; false by default.
    pub ordered: Option<bool>,
    /// Whether the three Standard Webhooks headers are sent; true by default, and false for type "segment".
    pub standard_webhooks: Option<bool>,
    /// What shows the receiver who is asking: `bearer` with `token`, `basic` with `username` and `password`, or `oauth2` with
    /// `token_url`, `client_id`, `client_secret`, `scope`, `audience` and `in_body`. true in the place of a secret keeps it;
    /// null takes all of it away.
    #[schema(value_type = Option<AuthDoc>, example = json!({"type": "bearer", "token": "…"}))]
    pub auth: Option<Value>,
    /// For receivers with mutual TLS: `certificate`, with what leads to its root, and `private_key`, both in PEM. true in the
    /// place of the key keeps it; null takes both away.
    #[schema(value_type = Option<ClientCertificateDoc>)]
    pub client_certificate: Option<Value>,
    /// What bodies are turned into: {"preset": "slack" | "teams" | "discord"}, or {"template": …, "content_type": …}
    /// (application/json by default). null, the default, sends them as they are.
    #[schema(value_type = Option<FormatDoc>)]
    pub format: Option<Value>,
    /// Further headers, all of them: name and value of each, or true to keep the value that is set.
    #[schema(value_type = Option<HashMap<String, SecretDoc>>)]
    pub headers: Option<Value>,
}

/// Categories in the OpenAPI document: "all", or a list of some.
pub fn categories_schema() -> Schema {
    let all = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["all"]));
    let one = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Category::ALL.map(Category::name)));
    let some = ArrayBuilder::new().items(one.build());
    let example = json!(["nps", "visitors"]);
    OneOfBuilder::new().item(all.build()).item(some.build()).examples([example]).build().into()
}

/// What only Fanfare sets.
const READ_ONLY: [&str; 14] = [
    "id",
    "state",
    "owner",
    "secret_set",
    "secret_last4",
    "old_secret_until",
    "write_key_set",
    "write_key_last4",
    "signing_key",
    "old_signing_key_until",
    "health",
    "last_error_at",
    "created_at",
    "updated_at",
];

/// The endpoint of a Segment webhook that names none.
const SEGMENT: &str = "https://api.segment.io";

/// The values of a webhook that does not exist yet.
///
/// # Errors
/// A field is unknown, has the wrong type, or cannot have this value. `name` and `url` (or `write_key`) are required.
pub fn new_values(mut fields: Fields, defaults: WebhookDefaults) -> Result<WebhookValues, ApiError> {
    let kind = kind(&mut fields)?.unwrap_or_default();
    let patch = patch(fields, kind)?;
    if patch.name.is_none() {
        return Err(ApiError::field("name", "is required"));
    }
    values_of(patch, kind, defaults)
}

/// Like [`new_values`], for a test, which needs no name.
///
/// # Errors
/// As [`new_values`].
pub fn unsaved_values(mut fields: Fields, defaults: WebhookDefaults) -> Result<WebhookValues, ApiError> {
    let kind = kind(&mut fields)?.unwrap_or_default();
    values_of(patch(fields, kind)?, kind, defaults)
}

fn values_of(patch: WebhookPatch, kind: WebhookKind, defaults: WebhookDefaults) -> Result<WebhookValues, ApiError> {
    if patch.url.is_none() && kind == WebhookKind::Url {
        return Err(ApiError::field("url", "is required"));
    }
    if patch.secret_overlap.is_some() {
        return Err(ApiError::field("secret_overlap_s", "must be left out: there is no secret before the first"));
    }
    let mut values = WebhookValues {
        kind,
        name: String::from("unsaved"),
        url: SEGMENT.to_owned(),
        secret: None,
        categories: CategorySet::All,
        audit: false,
        filter: None,
        timeout_s: defaults.timeout_s,
        concurrency: defaults.concurrency,
        rate_limit_per_s: None,
        ordered: false,
        standard_webhooks: kind == WebhookKind::Url,
        format: None,
        headers: Vec::new(),
        auth: None,
        client_certificate: None,
    };
    values.apply(patch)?;
    Ok(values)
}

/// What a body changes of a webhook of kind `known`, which cannot be changed itself.
///
/// # Errors
/// A field is unknown, has the wrong type, or cannot have this value.
pub fn change(mut fields: Fields, known: WebhookKind) -> Result<WebhookPatch, ApiError> {
    if kind(&mut fields)?.is_some_and(|kind| kind != known) {
        let problem = format!("cannot be changed: this is a {} webhook. Create another one", known.name());
        return Err(ApiError::field("type", problem));
    }
    patch(fields, known)
}

fn kind(fields: &mut Fields) -> Result<Option<WebhookKind>, ApiError> {
    let Some(name) = fields.take::<String>("type", "a string")? else { return Ok(None) };
    let unknown = || ApiError::field("type", "must be \"url\" or \"segment\"");
    WebhookKind::from_name(&name).map(Some).ok_or_else(unknown)
}

fn patch(mut fields: Fields, kind: WebhookKind) -> Result<WebhookPatch, ApiError> {
    let (place, key) = match kind {
        WebhookKind::Url => ("url", "secret"),
        WebhookKind::Segment => ("endpoint", "write_key"),
    };
    let secret = fields.take::<Option<String>>(key, "a string or null")?;
    let secret_overlap = match kind {
        WebhookKind::Url => apps::take_overlap(&mut fields, "secret_overlap_s")?,
        WebhookKind::Segment => None,
    };
    let patch = WebhookPatch {
        name: fields.take("name", "a string")?,
        url: fields.take(place, "a string")?,
        secret: secret.map(|secret| secret.map(Secret::new)),
        secret_overlap,
        categories: fields.take_any("categories").map(|value| categories(&value)).transpose()?,
        audit: fields.take("audit", "true or false")?,
        filter: fields.take("filter", "a string or null")?,
        timeout_s: fields.take("timeout_s", "a whole number from 1 to 300")?,
        concurrency: fields.take("concurrency", "a whole number from 1 to 1000")?,
        rate_limit_per_s: fields.take("rate_limit_per_s", "a whole number or null")?,
        ordered: fields.take("ordered", "true or false")?,
        standard_webhooks: fields.take("standard_webhooks", "true or false")?,
        receiver: receiver_input::patch(&mut fields)?,
        enabled: fields.take("enabled", "true or false")?,
    };
    for field in READ_ONLY {
        if fields.take_any(field).is_some() {
            return Err(ApiError::field(field, "can only be read; leave it out"));
        }
    }
    fields.finish()?;
    Ok(patch)
}

/// Categories as a body names them.
///
/// # Errors
/// They are neither "all" nor a list of known ones.
pub fn categories(value: &Value) -> Result<CategorySet, ApiError> {
    let names = || Category::ALL.map(Category::name).join(", ");
    match value {
        Value::String(all) if all == "all" => Ok(CategorySet::All),
        Value::Array(chosen) => {
            let find = |name: &Value| {
                let problem = || format!("holds {name}, which is none of {}", names());
                name.as_str().and_then(Category::from_name).ok_or_else(|| ApiError::field("categories", problem()))
            };
            Ok(CategorySet::of(chosen.iter().map(find).collect::<Result<Vec<_>, _>>()?))
        }
        other => {
            let problem = format!("must be \"all\" or a list of {}, not {}", names(), type_name(other));
            Err(ApiError::field("categories", problem))
        }
    }
}
