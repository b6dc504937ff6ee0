//! `/keys`: integration keys. Made with a role and an expiry, shown once, kept hashed.

use super::answer::{List, rfc3339};
use super::auth::{Admin, Caller, Who};
use super::body::Fields;
use super::paths::Id;
use super::problem::ApiError;
use super::{Api, list, paths, users};
use crate::catalog::{ApiKey, KeyValues};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// What a body says of a new key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct KeyInput {
    /// 1 to 255 characters.
    #[schema(example = "deploy script")]
    pub name: String,
    /// "admin" (changes things) or "member" (reads).
    #[schema(example = "admin")]
    pub role: String,
    /// RFC 3339; null or left out: never.
    #[schema(example = "2027-01-31T12:00:00Z")]
    pub expires_at: Option<String>,
}

/// An integration key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
pub struct KeyJson {
    /// `key_` and 16 hex digits.
    pub id: String,
    /// For people.
    pub name: String,
    /// "admin" or "member".
    pub role: &'static str,
    /// The key itself. Only in the answer to the call that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The e-mail address of the user who made it; null for the key that `init` made.
    pub made_by: Option<String>,
    /// From when on it opens nothing; null: never.
    pub expires_at: Option<String>,
    /// When it was last used, to the minute; null: never.
    pub last_used_at: Option<String>,
    /// When it was made.
    pub created_at: String,
}

impl KeyJson {
    fn of(api: &Api, key: &ApiKey) -> Self {
        let current = api.parts.catalog.current();
        let maker = key.made_by.and_then(|id| current.users.get(&id));
        Self {
            id: key.id.to_string(),
            name: key.name.clone(),
            role: key.role.name(),
            key: None,
            made_by: maker.map(|user| user.email.clone()),
            expires_at: key.expires_at.map(rfc3339),
            last_used_at: api.parts.catalog.key_used_at(key.id).map(rfc3339),
            created_at: rfc3339(key.created_at),
        }
    }
}

/// Makes a key. The answer holds `key`, which no later answer shows again.
#[utoipa::path(
    post,
    path = paths::KEYS,
    request_body = KeyInput,
    tag = "keys",
    responses((status = 201, body = KeyJson), ApiError)
)]
pub async fn create(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let name = fields.require("name", "a string")?;
    let role = users::role(fields.require("role", "a string")?)?;
    let expires_at = fields.take::<Option<String>>("expires_at", "a string or null")?.flatten();
    fields.finish()?;
    let expires_at = list::time_field("expires_at", expires_at.as_deref())?;
    let whose = (caller.subscription.id, caller.owner());
    let made = api.parts.catalog.make_key(caller.actor(), whose, KeyValues { name, role, expires_at }).await;
    let made = made.map_err(ApiError::from_key_change)?;
    let location = format!("{}/{}", paths::KEYS, made.key.id);
    let shown = KeyJson { key: Some(made.text), ..KeyJson::of(&api, &made.key) };
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(shown)).into_response())
}

/// Lists the subscription's keys, oldest first, all on one page.
#[utoipa::path(get, path = paths::KEYS, tag = "keys", responses((status = 200, body = List<KeyJson>), ApiError))]
pub async fn list(caller: Caller, State(api): State<Arc<Api>>) -> Json<List<KeyJson>> {
    let keys = api.parts.catalog.keys(caller.subscription.id);
    Json(List { data: keys.iter().map(|key| KeyJson::of(&api, key)).collect(), next: None })
}

/// Reads one key.
#[utoipa::path(
    get,
    path = paths::KEY,
    params(("id" = String, Path)),
    tag = "keys",
    responses((status = 200, body = KeyJson), ApiError)
)]
pub async fn read(caller: Caller, State(api): State<Arc<Api>>, Id(id): Id) -> Result<Json<KeyJson>, ApiError> {
    let key = find(&api, &caller, &id)?;
    Ok(Json(KeyJson::of(&api, &key)))
}

/// Revokes a key: it opens nothing any more. A key cannot revoke itself.
#[utoipa::path(
    delete,
    path = paths::KEY,
    params(("id" = String, Path)),
    tag = "keys",
    responses((status = 204), ApiError)
)]
pub async fn revoke(Admin(caller): Admin, State(api): State<Arc<Api>>, Id(id): Id) -> Result<StatusCode, ApiError> {
    let key = find(&api, &caller, &id)?;
    if matches!(&caller.who, Who::Key(own) if own.id == key.id) {
        return Err(ApiError::OwnKey);
    }
    let revoked = api.parts.catalog.revoke_key(caller.actor(), (caller.subscription.id, key.id)).await;
    revoked.map_err(ApiError::from_key_change)?;
    Ok(StatusCode::NO_CONTENT)
}

fn find(api: &Api, caller: &Caller, id: &str) -> Result<Arc<ApiKey>, ApiError> {
    let current = api.parts.catalog.current();
    let key = id.parse().ok().and_then(|id| current.key_with_id(caller.subscription.id, id));
    key.cloned().ok_or(ApiError::NotFound("key"))
}
