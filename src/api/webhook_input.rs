//! A webhook as a body names it.

use super::WebhookDefaults;
use super::body::{Fields, type_name};
use super::problem::ApiError;
use crate::catalog::{WebhookPatch, WebhookValues};
use crate::model::{Category, CategorySet, Secret};
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
    /// Only "url" in this release.
    #[schema(rename = "type", example = "url")]
    pub kind: Option<String>,
    /// Required when creating; http or https, without user info and fragment. Kept byte for byte.
    #[schema(example = "https://example.com/hook?team=7")]
    pub url: Option<String>,
    /// The key of X-Pendo-Signature, as typed. null or "" takes it away.
    pub secret: Option<String>,
    /// "all" (the default), or a list of guides, polls, nps, track_events, visitors, accounts.
    #[schema(required = false, schema_with = categories_schema)]
    pub categories: Option<Value>,
    /// The toggle. A webhook is always created off, whatever this says.
    pub enabled: Option<bool>,
    /// 1 to 300.
    #[schema(example = 30, minimum = 1, maximum = 300)]
    pub timeout_s: Option<u32>,
    /// 1 to 1000.
    #[schema(example = 32, minimum = 1, maximum = 1000)]
    pub concurrency: Option<u32>,
    /// Whether the three Standard Webhooks headers are sent; true by default.
    pub standard_webhooks: Option<bool>,
}

/// Categories in the OpenAPI document: "all", or a list of some.
pub fn categories_schema() -> Schema {
    let all = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["all"]));
    let one = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Category::ALL.map(Category::name)));
    let some = ArrayBuilder::new().items(one.build()).min_items(Some(1));
    let example = json!(["nps", "visitors"]);
    OneOfBuilder::new().item(all.build()).item(some.build()).examples([example]).build().into()
}

/// What only Fanfare sets.
const READ_ONLY: [&str; 10] = [
    "id",
    "state",
    "owner",
    "secret_set",
    "secret_last4",
    "signing_key",
    "health",
    "last_error_at",
    "created_at",
    "updated_at",
];

/// The values of a webhook that does not exist yet.
///
/// # Errors
/// A field is unknown, has the wrong type, or cannot have this value in this release. `name` and `url` are required.
pub fn new_values(fields: Fields, defaults: WebhookDefaults) -> Result<WebhookValues, ApiError> {
    let patch = patch(fields)?;
    if patch.name.is_none() {
        return Err(ApiError::field("name", "is required"));
    }
    unsaved_values(patch, defaults)
}

/// Like [`new_values`], for a test, which needs no name.
///
/// # Errors
/// As [`new_values`].
pub fn unsaved_values(patch: WebhookPatch, defaults: WebhookDefaults) -> Result<WebhookValues, ApiError> {
    if patch.url.is_none() {
        return Err(ApiError::field("url", "is required"));
    }
    let mut values = WebhookValues {
        name: String::from("unsaved"),
        url: String::new(),
        secret: None,
        categories: CategorySet::All,
        timeout_s: defaults.timeout_s,
        concurrency: defaults.concurrency,
        standard_webhooks: true,
    };
    values.apply(patch);
    Ok(values)
}

/// What a body changes of a webhook.
///
/// # Errors
/// A field is unknown, has the wrong type, or cannot have this value in this release.
pub fn patch(mut fields: Fields) -> Result<WebhookPatch, ApiError> {
    if let Some(kind) = fields.take::<String>("type", "\"url\"")?
        && kind != "url"
    {
        return Err(ApiError::field("type", "must be \"url\": this release knows no other type"));
    }
    let secret = fields.take::<Option<String>>("secret", "a string or null")?;
    let patch = WebhookPatch {
        name: fields.take("name", "a string")?,
        url: fields.take("url", "a string")?,
        secret: secret.map(|secret| secret.map(Secret::new)),
        categories: fields.take_any("categories").map(|value| categories(&value)).transpose()?,
        timeout_s: fields.take("timeout_s", "a whole number from 1 to 300")?,
        concurrency: fields.take("concurrency", "a whole number from 1 to 1000")?,
        standard_webhooks: fields.take("standard_webhooks", "true or false")?,
        enabled: fields.take("enabled", "true or false")?,
    };
    not_yet(&mut fields)?;
    for field in READ_ONLY {
        if fields.take_any(field).is_some() {
            return Err(ApiError::field(field, "can only be read; leave it out"));
        }
    }
    fields.finish()?;
    Ok(patch)
}

/// Fields that are there to be read, but can have one value only in this release.
fn not_yet(fields: &mut Fields) -> Result<(), ApiError> {
    let off = [
        ("audit", json!(false)),
        ("filter", Value::Null),
        ("format", Value::Null),
        ("headers", json!({})),
        ("auth", Value::Null),
        ("ordered", json!(false)),
        ("rate_limit_per_s", Value::Null),
    ];
    for (field, only) in off {
        if fields.take_any(field).is_some_and(|value| value != only) {
            return Err(ApiError::field(field, format!("can only be {only} in this release; leave it out")));
        }
    }
    Ok(())
}

fn categories(value: &Value) -> Result<CategorySet, ApiError> {
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
