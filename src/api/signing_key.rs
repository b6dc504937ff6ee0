//! `/webhooks/{id}/signing-key`: rotation, with an overlap in which the old key signs too.

use super::apps::{self, RotateInput};
use super::auth::Admin;
use super::body::Fields;
use super::paths::Id;
use super::problem::ApiError;
use super::webhook_answer::WebhookJson;
use super::{Api, paths, webhooks};
use axum::Json;
use axum::extract::State;
use std::sync::Arc;

/// Makes another signing key; the answer holds it as `signing_key`, and no later one does. The old one signs too for a while
/// yet, so that receivers can be changed one after the other.
#[utoipa::path(
    post,
    path = paths::WEBHOOK_ROTATE_SIGNING_KEY,
    params(("id" = String, Path)),
    request_body = Option<RotateInput>,
    tag = "webhooks",
    responses((status = 200, body = WebhookJson), ApiError)
)]
pub async fn rotate(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    Id(id): Id,
    fields: Fields,
) -> Result<Json<WebhookJson>, ApiError> {
    let id = webhooks::find(&api, &caller, &id)?.id;
    let overlap = apps::overlap(fields)?;
    // Asked for before the change: once it is made nothing may keep its answer back, and with it the key.
    let stats = api.records(move |records| records.webhook_stats(id)).await?;
    let (journal, of) = (Arc::clone(&api.parts.journal), (caller.subscription.id, id));
    let rotated = api.parts.catalog.rotate_signing_key(caller.actor(), journal, of, overlap).await;
    let rotated = rotated.map_err(ApiError::from_change)?;
    Ok(Json(webhooks::changed(&api, &rotated, &stats)))
}
