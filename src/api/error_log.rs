//! `/error-log`: every failed attempt of the subscription, each with all that is needed to act on it, and what was done
//! about the webhooks that fail.

use super::answer::{AttemptJson, List, rfc3339};
use super::auth::Caller;
use super::list::{self, Asked};
use super::notice::{NoticeJson, is_warning};
use super::problem::ApiError;
use super::{Api, export, paths, webhooks};
use crate::catalog::Snapshot;
use crate::record::view::{ErrorEntry, ErrorItem, ErrorQuery};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
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
    /// An event's name: only attempts of it.
    event: Option<String>,
    /// failed (for good), retrying (tried again after it), or the status that the receiver answered, like 503: only
    /// attempts that ended so. turned_off or warned: only when webhooks were turned off, or their owners warned.
    status: Option<String>,
    /// Rows at most: 1 to 500, 50 by default.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A failed attempt.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FailedAttempt)]
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

/// What stands in the error log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(as = ErrorLogEntry)]
pub enum ErrorLogJson {
    /// A failed attempt of a delivery.
    Delivery(Box<ErrorJson>),
    /// A webhook was turned off because its deliveries fail.
    TurnedOff(NoticeJson),
    /// A webhook's owner was warned that its deliveries fail.
    Warned(NoticeJson),
}

impl ErrorLogJson {
    fn of(item: &ErrorItem, snapshot: &Snapshot) -> Self {
        match item {
            ErrorItem::Attempt(entry) => Self::Delivery(Box::new(ErrorJson::of(entry, snapshot))),
            ErrorItem::Notice(view) if is_warning(view) => Self::Warned(NoticeJson::of(view, snapshot)),
            ErrorItem::Notice(view) => Self::TurnedOff(NoticeJson::of(view, snapshot)),
        }
    }
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

/// Lists the failed attempts of all of the subscription's webhooks, and when webhooks were turned off or their owners
/// warned, newest first.
#[utoipa::path(
    get,
    path = paths::ERROR_LOG,
    params(ErrorLogQuery),
    tag = "deliveries",
    responses((status = 200, body = List<ErrorLogJson>), ApiError)
)]
pub async fn list(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Asked(asked): Asked<ErrorLogQuery>,
) -> Result<Json<List<ErrorLogJson>>, ApiError> {
    let narrowed = Narrowed { webhook: asked.webhook, event: asked.event, status: asked.status };
    let query = narrowed.query(&api, &caller, list::limit(asked.limit)?, asked.cursor)?;
    let page = api.records(move |records| records.errors(&query)).await?;
    let current = api.parts.catalog.current();
    Ok(Json(List::of(page, |entry| ErrorLogJson::of(&entry, &current))))
}

/// Which failures to download.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Narrowed {
    /// See the list.
    webhook: Option<String>,
    /// See the list.
    event: Option<String>,
    /// See the list.
    status: Option<String>,
}

impl Narrowed {
    /// What is asked of the records.
    fn query(self, api: &Api, caller: &Caller, limit: usize, cursor: Option<String>) -> Result<ErrorQuery, ApiError> {
        let webhook = self.webhook.map(|id| webhooks::find(api, caller, &id)).transpose()?;
        Ok(ErrorQuery {
            subscription: caller.subscription.id,
            webhook: webhook.map(|webhook| webhook.id),
            event: list::event(self.event.as_deref())?,
            status: list::error_status(self.status.as_deref())?,
            limit,
            cursor,
        })
    }
}

/// Downloads the error log as one JSON array, newest first, however long it is.
#[utoipa::path(
    get,
    path = paths::ERROR_LOG_EXPORT,
    params(Narrowed),
    tag = "deliveries",
    responses((status = 200, body = Vec<ErrorLogJson>), ApiError)
)]
pub async fn export(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Asked(narrowed): Asked<Narrowed>,
) -> Result<Response, ApiError> {
    let query = narrowed.query(&api, &caller, export::ROWS, None)?;
    let current = api.parts.catalog.current();
    let read = move |query: ErrorQuery| {
        let api = Arc::clone(&api);
        async move {
            let asked = query.clone();
            let page = api.records(move |records| records.errors(&asked)).await?;
            let next = page.next.map(|cursor| ErrorQuery { cursor: Some(cursor), ..query });
            Ok::<_, ApiError>((page.data, next))
        }
    };
    Ok(export::download("error-log.json", query, read, move |entry| ErrorLogJson::of(&entry, &current)))
}
