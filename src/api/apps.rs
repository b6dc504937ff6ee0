//! `/apps`: the products of a subscription, where their agents may send from, and their keys.

use super::answer::{List, rfc3339};
use super::auth::{Admin, Caller};
use super::body::Fields;
use super::paths::Id;
use super::problem::ApiError;
use super::{Api, paths};
use crate::catalog::{App, AppPatch, AppValues, MadeApp};
use crate::limits::KEY_OVERLAP_MAX_S;
use crate::model::{AppId, Platform, UnixMs};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// What a body may say of an app. When editing, what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct AppInput {
    /// Required when making; 1 to 255 characters.
    #[schema(example = "Shop")]
    pub name: Option<String>,
    /// web (the default), ios or android; cannot be changed.
    #[schema(example = "web")]
    pub platform: Option<String>,
    /// Origins from which its agent may send, like https://app.example.com.
    #[schema(example = json!(["https://app.example.com"]))]
    pub origins: Option<Vec<String>>,
    /// Whether nothing is taken from browsers that send `DNT: 1` or `Sec-GPC: 1`; false by default.
    pub respect_do_not_track: Option<bool>,
}

/// How to rotate a key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct RotateInput {
    /// How long the old one holds yet: 0 to 2592000 (30 days), 86400 by default.
    pub overlap_s: Option<u64>,
}

/// An app.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = App)]
pub struct AppJson {
    /// As in every body.
    pub id: i64,
    /// As in every body.
    pub name: String,
    /// web, ios or android.
    pub platform: &'static str,
    /// Origins from which its agent may send, besides the installation's own.
    pub origins: Vec<String>,
    /// Whether nothing is taken from browsers that send `DNT: 1` or `Sec-GPC: 1`.
    pub respect_do_not_track: bool,
    /// Public.
    pub agent_key: String,
    /// Until when the agent key before it opens; null when there is none.
    pub old_agent_key_until: Option<String>,
    /// The key for the Track API. Only in the answer to the call that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track_secret: Option<String>,
    /// Until when the track secret before it opens; null when there is none.
    pub old_track_secret_until: Option<String>,
    /// When it was made.
    pub created_at: String,
}

impl AppJson {
    fn of(app: &App, now: UnixMs) -> Self {
        let until = |until: Option<UnixMs>| until.filter(|until| now < *until).map(rfc3339);
        Self {
            id: app.id.0,
            name: app.name.clone(),
            platform: app.platform.name(),
            origins: app.origins.clone(),
            respect_do_not_track: app.respects_do_not_track,
            agent_key: app.agent_key.clone(),
            old_agent_key_until: until(app.old_agent_key.as_ref().map(|(_, until)| *until)),
            track_secret: None,
            old_track_secret_until: until(app.old_track_secret.map(|(_, until)| until)),
            created_at: rfc3339(app.created_at),
        }
    }

    fn made(made: MadeApp, now: UnixMs) -> Self {
        Self { track_secret: made.track_secret, ..Self::of(&made.app, now) }
    }
}

/// Makes an app. The answer holds `track_secret`, which no later answer shows again.
#[utoipa::path(
    post,
    path = paths::APPS,
    request_body = AppInput,
    tag = "apps",
    responses((status = 201, body = AppJson), ApiError)
)]
pub async fn create(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let name = fields.require("name", "a string")?;
    let platform: Option<String> = fields.take("platform", "a string")?;
    let platform = platform.map_or(Some(Platform::Web), |name| Platform::from_name(&name));
    let platform = platform.ok_or_else(|| ApiError::field("platform", "must be \"web\", \"ios\" or \"android\""))?;
    let origins = fields.take("origins", "a list of strings")?.unwrap_or_default();
    let respects_do_not_track = fields.take("respect_do_not_track", "true or false")?.unwrap_or_default();
    fields.finish()?;
    let values = AppValues { name, platform, origins, respects_do_not_track };
    let made = api.parts.catalog.make_app(caller.actor(), Arc::clone(&caller.subscription), values).await;
    let made = made.map_err(ApiError::from_app_change)?;
    let location = format!("{}/{}", paths::APPS, made.app.id.0);
    let shown = AppJson::made(made, api.parts.clock.now());
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(shown)).into_response())
}

/// Lists the subscription's apps, oldest first, all on one page.
#[utoipa::path(get, path = paths::APPS, tag = "apps", responses((status = 200, body = List<AppJson>), ApiError))]
pub async fn list(caller: Caller, State(api): State<Arc<Api>>) -> Json<List<AppJson>> {
    let now = api.parts.clock.now();
    let apps = api.parts.catalog.apps(caller.subscription.id);
    Json(List { data: apps.iter().map(|app| AppJson::of(app, now)).collect(), next: None })
}

/// Reads one app.
#[utoipa::path(
    get,
    path = paths::APP,
    params(("id" = i64, Path)),
    tag = "apps",
    responses((status = 200, body = AppJson), ApiError)
)]
pub async fn read(caller: Caller, State(api): State<Arc<Api>>, Id(id): Id) -> Result<Json<AppJson>, ApiError> {
    let current = api.parts.catalog.current();
    let app = current.apps.get(&(caller.subscription.id, app_id(&id)?)).ok_or(ApiError::NotFound("app"))?;
    Ok(Json(AppJson::of(app, api.parts.clock.now())))
}

/// Edits an app; what the body leaves out stays.
#[utoipa::path(
    patch,
    path = paths::APP,
    params(("id" = i64, Path)),
    request_body = Option<AppInput>,
    tag = "apps",
    responses((status = 200, body = AppJson), ApiError)
)]
pub async fn patch(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    Id(id): Id,
    mut fields: Fields,
) -> Result<Json<AppJson>, ApiError> {
    let (name, origins) = (fields.take("name", "a string")?, fields.take("origins", "a list of strings")?);
    let respects_do_not_track = fields.take("respect_do_not_track", "true or false")?;
    fields.finish()?;
    change(&api, &caller, &id, AppPatch { name, origins, respects_do_not_track, ..AppPatch::default() }).await
}

/// Makes a new agent key. The old one opens for a while yet, so that pages can be changed one after the other.
#[utoipa::path(
    post,
    path = paths::APP_ROTATE_AGENT_KEY,
    params(("id" = i64, Path)),
    request_body = Option<RotateInput>,
    tag = "apps",
    responses((status = 200, body = AppJson), ApiError)
)]
pub async fn rotate_agent_key(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    Id(id): Id,
    fields: Fields,
) -> Result<Json<AppJson>, ApiError> {
    let rotate_agent_key = Some(overlap(fields)?);
    change(&api, &caller, &id, AppPatch { rotate_agent_key, ..AppPatch::default() }).await
}

/// Makes a new track secret; the answer holds it, and no later one does. The old one opens for a while yet.
#[utoipa::path(
    post,
    path = paths::APP_ROTATE_TRACK_SECRET,
    params(("id" = i64, Path)),
    request_body = Option<RotateInput>,
    tag = "apps",
    responses((status = 200, body = AppJson), ApiError)
)]
pub async fn rotate_track_secret(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    Id(id): Id,
    fields: Fields,
) -> Result<Json<AppJson>, ApiError> {
    let rotate_track_secret = Some(overlap(fields)?);
    change(&api, &caller, &id, AppPatch { rotate_track_secret, ..AppPatch::default() }).await
}

async fn change(api: &Api, caller: &Caller, id: &str, patch: AppPatch) -> Result<Json<AppJson>, ApiError> {
    let of = (caller.subscription.id, app_id(id)?);
    let made = api.parts.catalog.patch_app(caller.actor(), of, patch).await.map_err(ApiError::from_app_change)?;
    Ok(Json(AppJson::made(made, api.parts.clock.now())))
}

/// How long the old key holds yet, as a body says it that says nothing else.
pub(super) fn overlap(mut fields: Fields) -> Result<Duration, ApiError> {
    let overlap = take_overlap(&mut fields, "overlap_s")?;
    fields.finish()?;
    Ok(overlap.unwrap_or(Duration::from_secs(86_400)))
}

/// How long something old holds yet, where a body says it.
pub(super) fn take_overlap(fields: &mut Fields, field: &str) -> Result<Option<Duration>, ApiError> {
    let expected = format!("a whole number from 0 to {KEY_OVERLAP_MAX_S}");
    let seconds: Option<u64> = fields.take(field, &expected)?;
    if seconds.is_some_and(|seconds| seconds > KEY_OVERLAP_MAX_S) {
        return Err(ApiError::field(field, format!("must be {expected}")));
    }
    Ok(seconds.map(Duration::from_secs))
}

fn app_id(text: &str) -> Result<AppId, ApiError> {
    text.parse().map(AppId).map_err(|_| ApiError::NotFound("app"))
}
