//! `/error-log`: every failed attempt of the subscription, each with all that is needed to act on it.

use super::answer::{AttemptJson, List, rfc3339};
use super::auth::Caller;
use super::list::{self, Asked};
use super::problem::ApiError;
use super::{Api, paths, webhooks};
use crate::catalog::Snapshot;
use crate::record::view::{ErrorEntry, ErrorQuery};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Which failures to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ErrorLogQuery {
    /// A webhook's id.
    webhook: Option<String>,
    /// An event's name.
    event: Option<String>,
    /// failed (for good), retrying (tried again after it), or the status that the receiver answered, like 503.
    status: Option<String>,
    /// Rows at most: 1 to 500, 50 by default.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A failed attempt.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ErrorLogEntry)]
pub struct ErrorJson {
    /// The webhook that it was made for.
    pub webhook_id: String,
    /// Its name; null when it was deleted.
    pub webhook_name: Option<String>,
    /// The delivery, with its other attempts.
    pub delivery_id: String,
    /// The event that it carries.
    pub event_id: String,
    /// The event's name.
    pub event: &'static str,
    /// When it is tried again; null when it failed for good.
    pub next_attempt_at: Option<String>,
    /// The attempt.
    #[serde(flatten)]
    pub attempt: AttemptJson,
}

impl ErrorJson {
    fn of(entry: &ErrorEntry, snapshot: &Snapshot) -> Self {
        let webhook = snapshot.webhooks.get(&entry.delivery.webhook);
        Self {
            webhook_id: entry.delivery.webhook.to_string(),
            webhook_name: webhook.map(|webhook| webhook.values.name.clone()),
            delivery_id: entry.delivery.to_string(),
            event_id: entry.event.to_string(),
            event: entry.kind.name(),
            next_attempt_at: entry.next_attempt_at.map(rfc3339),
            attempt: AttemptJson::of(&entry.attempt),
        }
    }
}

/// Lists the failed attempts of all of the subscription's webhooks, newest first.
#[utoipa::path(
    get,
    path = paths::ERROR_LOG,
    params(ErrorLogQuery),
    tag = "deliveries",
    responses((status = 200, body = List<ErrorJson>), ApiError)
)]
pub async fn list(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Asked(asked): Asked<ErrorLogQuery>,
) -> Result<Json<List<ErrorJson>>, ApiError> {
    let webhook = asked.webhook.as_deref().map(|id| webhooks::find(&api, &caller, id)).transpose()?;
    let query = ErrorQuery {
        subscription: caller.subscription.id,
        webhook: webhook.map(|webhook| webhook.id),
        event: list::event(asked.event.as_deref())?,
        status: list::error_status(asked.status.as_deref())?,
        limit: list::limit(asked.limit)?,
        cursor: asked.cursor,
    };
    let page = api.records(move |records| records.errors(&query)).await?;
    let current = api.parts.catalog.current();
    Ok(Json(List::of(page, |entry| ErrorJson::of(&entry, &current))))
}
