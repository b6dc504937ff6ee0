//! `/webhooks`: create, list, read, edit, delete.

use super::answer::List;
use super::auth::{Admin, Caller};
use super::body::Fields;
use super::list::{self, Asked};
use super::paths::Id;
use super::problem::ApiError;
use super::webhook_answer::WebhookJson;
use super::webhook_input::{self, WebhookInput};
use super::{Api, paths};
use crate::catalog::{Created, Webhook};
use crate::limits;
use crate::model::{SigningKey, SubscriptionId, UnixMs, WebhookId, WebhookState};
use crate::record::view::WebhookStats;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use http::{StatusCode, header};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// Which webhooks to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WebhookListQuery {
    /// Rows at most: 1 to 500, 50 by default.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// What an admin confirms who turns a webhook on again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TurnOn)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct TurnOnInput {
    /// true: they have reviewed the webhook's log, and the receiver is repaired.
    pub reviewed_logs: bool,
}

/// Creates a webhook. It is created off; turn it on with PATCH. The answer holds `signing_key`, which no later answer
/// shows again.
#[utoipa::path(
    post,
    path = paths::WEBHOOKS,
    request_body = WebhookInput,
    tag = "webhooks",
    responses((status = 201, body = WebhookJson), ApiError)
)]
pub async fn create(Admin(caller): Admin, State(api): State<Arc<Api>>, fields: Fields) -> Result<Response, ApiError> {
    let values = webhook_input::new_values(fields, api.parts.defaults)?;
    let whose = (caller.subscription.id, caller.owner());
    let created = api.parts.catalog.create(caller.actor(), whose, values).await;
    let created = created.map_err(ApiError::from_change)?;
    let location = format!("{}/{}", paths::WEBHOOKS, created.webhook.id);
    let shown = changed(&api, &created, &WebhookStats::default());
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(shown)).into_response())
}

/// Lists the subscription's webhooks, oldest first.
#[utoipa::path(
    get,
    path = paths::WEBHOOKS,
    params(WebhookListQuery),
    tag = "webhooks",
    responses((status = 200, body = List<WebhookJson>), ApiError)
)]
pub async fn list(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Asked(query): Asked<WebhookListQuery>,
) -> Result<Json<List<WebhookJson>>, ApiError> {
    let limit = list::limit(query.limit)?;
    let after = query.cursor.as_deref().map(parse_cursor).transpose()?;
    let (page, next) = page(&api, caller.subscription.id, after, limit);
    Ok(Json(List { data: shown(&api, page).await?, next }))
}

/// Reads one webhook.
#[utoipa::path(
    get,
    path = paths::WEBHOOK,
    params(("id" = String, Path)),
    tag = "webhooks",
    responses((status = 200, body = WebhookJson), ApiError)
)]
pub async fn read(caller: Caller, State(api): State<Arc<Api>>, Id(id): Id) -> Result<Json<WebhookJson>, ApiError> {
    let webhook = find(&api, &caller, &id)?;
    Ok(Json(one(&api, webhook).await?))
}

/// Edits a webhook; what the body leaves out stays. `{"enabled":true}` and `{"enabled":false}` are the toggle.
#[utoipa::path(
    patch,
    path = paths::WEBHOOK,
    params(("id" = String, Path)),
    request_body = Option<WebhookInput>,
    tag = "webhooks",
    responses((status = 200, body = WebhookJson), ApiError)
)]
pub async fn patch(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    Id(id): Id,
    fields: Fields,
) -> Result<Json<WebhookJson>, ApiError> {
    let webhook = find(&api, &caller, &id)?;
    let (id, patch) = (webhook.id, webhook_input::change(fields, webhook.values.kind)?);
    let of = (caller.subscription.id, id);
    // Asked for before the change: once it is made nothing may keep its answer back, and with it a signing key.
    let stats = api.records(move |records| records.webhook_stats(id)).await?;
    let patched = api.parts.catalog.patch(caller.actor(), Arc::clone(&api.parts.journal), of, patch).await;
    let patched = patched.map_err(ApiError::from_change)?;
    Ok(Json(changed(&api, &patched, &stats)))
}

/// Deletes a webhook. What waits for it is cancelled; what was delivered stays in the records.
#[utoipa::path(
    delete,
    path = paths::WEBHOOK,
    params(("id" = String, Path)),
    tag = "webhooks",
    responses((status = 204), ApiError)
)]
pub async fn delete(Admin(caller): Admin, State(api): State<Arc<Api>>, Id(id): Id) -> Result<StatusCode, ApiError> {
    let id = find(&api, &caller, &id)?.id;
    let (journal, of) = (Arc::clone(&api.parts.journal), (caller.subscription.id, id));
    let deleted = api.parts.catalog.delete(caller.actor(), journal, of).await;
    deleted.map_err(ApiError::from_change)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Turns on a webhook that Fanfare has turned off, once its log was reviewed. Its counts begin anew. Where the last error
/// is more than 14 days ago, there is no log to review, and only the installation's operator can.
#[utoipa::path(
    post,
    path = paths::WEBHOOK_TURN_ON,
    params(("id" = String, Path)),
    request_body = TurnOnInput,
    tag = "webhooks",
    responses((status = 200, body = WebhookJson), ApiError)
)]
pub async fn turn_on(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    Id(id): Id,
    mut fields: Fields,
) -> Result<Json<WebhookJson>, ApiError> {
    let webhook = find(&api, &caller, &id)?;
    let reviewed: bool = fields.require("reviewed_logs", "true")?;
    fields.finish()?;
    if !reviewed {
        return Err(ApiError::field("reviewed_logs", "must be true: review the webhook's log first"));
    }
    if webhook.state != WebhookState::TurnedOff {
        return Err(ApiError::NotTurnedOff);
    }
    let id = webhook.id;
    let stats = api.records(move |records| records.webhook_stats(id)).await?;
    if !is_reviewable(&stats, api.parts.clock.now()) {
        return Err(ApiError::OperatorNeeded(limits::REVIEW_DAYS));
    }
    let (journal, of) = (Arc::clone(&api.parts.journal), (caller.subscription.id, id));
    let turned = api.parts.catalog.turn_on(caller.actor(), journal, of).await.map_err(ApiError::from_change)?;
    Ok(Json(changed(&api, &turned, &stats.begun_anew())))
}

/// Whether a webhook's log tells of errors of late, so that an admin may review it and turn the webhook on again.
pub(super) fn is_reviewable(stats: &WebhookStats, now: UnixMs) -> bool {
    let oldest = now.before(Duration::from_secs(limits::REVIEW_DAYS * 24 * 3600));
    stats.last_error_at.is_some_and(|at| at >= oldest)
}

/// The caller's webhook with this id.
pub(super) fn find(api: &Api, caller: &Caller, id: &str) -> Result<Arc<Webhook>, ApiError> {
    let id: Option<WebhookId> = id.parse().ok();
    let current = api.parts.catalog.current();
    let webhook = id.and_then(|id| current.webhook(caller.subscription.id, id));
    webhook.cloned().ok_or(ApiError::NotFound("webhook"))
}

/// A webhook that was just changed, with its signing key if the change made one.
pub(super) fn changed(api: &Api, change: &Created, stats: &WebhookStats) -> WebhookJson {
    let shown = WebhookJson::of(&change.webhook, &api.parts.catalog.current(), stats, api.parts.clock.now());
    WebhookJson { signing_key: change.signing_key.as_ref().map(whsec), ..shown }
}

async fn one(api: &Api, webhook: Arc<Webhook>) -> Result<WebhookJson, ApiError> {
    shown(api, vec![webhook]).await?.pop().ok_or(ApiError::Internal)
}

async fn shown(api: &Api, webhooks: Vec<Arc<Webhook>>) -> Result<Vec<WebhookJson>, ApiError> {
    let (current, now) = (api.parts.catalog.current(), api.parts.clock.now());
    api.records(move |records| {
        let show = |webhook: &Arc<Webhook>| {
            records.webhook_stats(webhook.id).map(|stats| WebhookJson::of(webhook, &current, &stats, now))
        };
        webhooks.iter().map(show).collect()
    })
    .await
}

/// A place in the list: after the webhook that was created then and has this id.
type Place = (UnixMs, WebhookId);

fn place(webhook: &Webhook) -> Place {
    (webhook.created_at, webhook.id)
}

fn page(
    api: &Api,
    subscription: SubscriptionId,
    after: Option<Place>,
    limit: usize,
) -> (Vec<Arc<Webhook>>, Option<String>) {
    let current = api.parts.catalog.current();
    let mine = current.webhooks.values().filter(|webhook| webhook.subscription == subscription);
    let mut rest: Vec<_> = mine.filter(|webhook| after.is_none_or(|after| place(webhook) > after)).cloned().collect();
    rest.sort_unstable_by_key(|webhook| place(webhook));
    let more = rest.len() > limit;
    rest.truncate(limit);
    let next = rest.last().filter(|_| more).map(|last| cursor(place(last)));
    (rest, next)
}

fn cursor((at, id): Place) -> String {
    BASE64_URL_SAFE_NO_PAD.encode([at.0.to_be_bytes(), id.0.to_be_bytes()].concat())
}

fn parse_cursor(text: &str) -> Result<Place, ApiError> {
    let parse = || {
        let bytes: [u8; 16] = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let both = u128::from_be_bytes(bytes);
        Some((UnixMs((both >> 64) as i64), WebhookId(both as u64)))
    };
    parse().ok_or_else(|| ApiError::Query(String::from("cursor: it does not belong to this list")))
}

/// A signing key as Standard Webhooks writes it.
fn whsec(key: &SigningKey) -> String {
    format!("whsec_{}", BASE64_STANDARD.encode(key.0.expose()))
}
