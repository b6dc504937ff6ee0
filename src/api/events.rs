//! `/events`: list and read what was accepted, whether or not a webhook was told.

use super::answer::{EventDetailJson, EventJson, List};
use super::auth::Caller;
use super::list::{self, Asked};
use super::paths::Id;
use super::problem::ApiError;
use super::{Api, paths};
use crate::model::EventId;
use crate::record::view::EventQuery;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// Which events to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventListQuery {
    /// An event's name.
    event: Option<String>,
    /// Accepted not before this time (RFC 3339).
    from: Option<String>,
    /// Accepted before this time (RFC 3339).
    to: Option<String>,
    /// Rows at most: 1 to 500, 50 by default.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Lists accepted events, newest first.
#[utoipa::path(
    get,
    path = paths::EVENTS,
    params(EventListQuery),
    tag = "events",
    responses((status = 200, body = List<EventJson>), ApiError)
)]
pub async fn list(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Asked(asked): Asked<EventListQuery>,
) -> Result<Json<List<EventJson>>, ApiError> {
    let query = EventQuery {
        subscription: caller.subscription.id,
        event: list::event(asked.event.as_deref())?,
        from: list::time("from", asked.from.as_deref())?,
        to: list::time("to", asked.to.as_deref())?,
        limit: list::limit(asked.limit)?,
        cursor: asked.cursor,
    };
    let page = api.records(move |records| records.events(&query)).await?;
    Ok(Json(List::of(page, |row| EventJson::of(&row))))
}

/// Reads one event with its body.
#[utoipa::path(
    get,
    path = paths::EVENT,
    params(("id" = String, Path)),
    tag = "events",
    responses((status = 200, body = EventDetailJson), ApiError)
)]
pub async fn read(caller: Caller, State(api): State<Arc<Api>>, Id(id): Id) -> Result<Json<EventDetailJson>, ApiError> {
    let id: EventId = id.parse().map_err(|_| ApiError::NotFound("event"))?;
    let subscription = caller.subscription.id;
    let found = api.records(move |records| records.event(subscription, id)).await?;
    found.map(|event| Json(EventDetailJson::of(&event))).ok_or(ApiError::NotFound("event"))
}
