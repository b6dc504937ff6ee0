//! `/deliveries`: list a webhook's, read one with its attempts, send one once more.

use super::answer::{DeliveryDetailJson, DeliveryJson, DeliveryList, List, RangeJson};
use super::auth::{Admin, Caller};
use super::list::{self, Asked};
use super::notice::LogJson;
use super::paths::Id;
use super::problem::ApiError;
use super::{Api, delivery_text, export, paths, webhooks};
use crate::journal::Group;
use crate::model::{DeliveryId, Entry, Redelivery};
use crate::record::view::{DeliveryDetail, DeliveryQuery, RangeSummary};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Which deliveries to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeliveryListQuery {
    /// delivered, retrying, failed, cancelled or expired.
    status: Option<String>,
    /// An event's name.
    event: Option<String>,
    /// Not before this time (RFC 3339).
    from: Option<String>,
    /// Before this time (RFC 3339).
    to: Option<String>,
    /// Rows at most: 1 to 500, 50 by default.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// The new delivery.
#[derive(Debug, Serialize, ToSchema)]
pub struct Redelivered {
    /// Its id.
    pub id: String,
}

/// Lists a webhook's deliveries, newest first, and the ranges of its events that ended without an attempt.
#[utoipa::path(
    get,
    path = paths::WEBHOOK_DELIVERIES,
    params(("id" = String, Path), DeliveryListQuery),
    tag = "deliveries",
    responses((status = 200, body = DeliveryList), ApiError)
)]
pub async fn list(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Id(id): Id,
    Asked(asked): Asked<DeliveryListQuery>,
) -> Result<Json<DeliveryList>, ApiError> {
    let DeliveryListQuery { status, event, from, to, limit, cursor } = asked;
    let which = LogQuery { status, event, from, to };
    let query = query(&api, &caller, &id, &which)?;
    let query = DeliveryQuery { limit: list::limit(limit)?, cursor, ..query };
    let (page, ranges) = api
        .records(move |records| {
            let ranges = if query.cursor.is_none() { records.ranges(query.webhook)? } else { Vec::new() };
            let ranges = ranges.iter().filter(|range| is_asked_for(range, &query)).map(RangeJson::of).collect();
            Ok((records.deliveries(&query)?, ranges))
        })
        .await?;
    Ok(Json(DeliveryList { list: List::of(page, |row| DeliveryJson::of(&row)), ranges }))
}

/// A range may hold events of every name, and is of the time at which it ended.
fn is_asked_for(range: &RangeSummary, query: &DeliveryQuery) -> bool {
    query.status.is_none_or(|status| status == range.status) && range.at.is_within(query.from, query.to)
}

/// Which deliveries to download.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LogQuery {
    /// delivered, retrying, failed, cancelled or expired.
    status: Option<String>,
    /// An event's name.
    event: Option<String>,
    /// Not before this time (RFC 3339).
    from: Option<String>,
    /// Before this time (RFC 3339).
    to: Option<String>,
}

/// Downloads a webhook's deliveries with all their attempts as one JSON array, newest first, however many there are. When
/// it was turned off, and when its owner was warned, stands among them, unless a `status` or an `event` is asked for.
#[utoipa::path(
    get,
    path = paths::WEBHOOK_LOG,
    params(("id" = String, Path), LogQuery),
    tag = "deliveries",
    responses((status = 200, body = Vec<LogJson>), ApiError)
)]
pub async fn log(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Id(id): Id,
    Asked(asked): Asked<LogQuery>,
) -> Result<Response, ApiError> {
    let query = query(&api, &caller, &id, &asked)?;
    let file = format!("{}-log.json", query.webhook);
    let current = api.parts.catalog.current();
    let read = move |query: DeliveryQuery| {
        let api = Arc::clone(&api);
        async move {
            let asked = query.clone();
            let page = api.records(move |records| records.log(&asked)).await?;
            let next = page.next.map(|cursor| DeliveryQuery { cursor: Some(cursor), ..query });
            Ok::<_, ApiError>((page.data, next))
        }
    };
    Ok(export::download(&file, query, read, move |item| LogJson::of(&item, &current)))
}

/// What is asked of the records, from the newest on.
fn query(api: &Api, caller: &Caller, id: &str, asked: &LogQuery) -> Result<DeliveryQuery, ApiError> {
    Ok(DeliveryQuery {
        subscription: caller.subscription.id,
        webhook: webhooks::find(api, caller, id)?.id,
        status: list::status(asked.status.as_deref())?,
        event: list::event(asked.event.as_deref())?,
        from: list::time("from", asked.from.as_deref())?,
        to: list::time("to", asked.to.as_deref())?,
        limit: export::ROWS,
        cursor: None,
    })
}

/// One delivery with all its attempts as text, to be pasted into a message to whoever runs the receiver.
#[utoipa::path(
    get,
    path = paths::DELIVERY_TEXT,
    params(("id" = String, Path)),
    tag = "deliveries",
    responses((status = 200, body = String, content_type = "text/plain"), ApiError)
)]
pub async fn text(caller: Caller, State(api): State<Arc<Api>>, Id(id): Id) -> Result<String, ApiError> {
    Ok(delivery_text::write(&DeliveryDetailJson::of(&find(&api, &caller, &id).await?)))
}

/// Reads one delivery with all its attempts.
#[utoipa::path(
    get,
    path = paths::DELIVERY,
    params(("id" = String, Path)),
    tag = "deliveries",
    responses((status = 200, body = DeliveryDetailJson), ApiError)
)]
pub async fn read(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Id(id): Id,
) -> Result<Json<DeliveryDetailJson>, ApiError> {
    Ok(Json(DeliveryDetailJson::of(&find(&api, &caller, &id).await?)))
}

/// Sends a delivery's event to its webhook once more, as a new delivery: retried as usual, counted neither for nor
/// against the webhook, which must be on.
#[utoipa::path(
    post,
    path = paths::REDELIVER,
    params(("id" = String, Path)),
    tag = "deliveries",
    responses((status = 202, body = Redelivered), ApiError)
)]
pub async fn redeliver(Admin(caller): Admin, State(api): State<Arc<Api>>, Id(id): Id) -> Result<Response, ApiError> {
    let old = find(&api, &caller, &id).await?.summary;
    let webhook = old.id.webhook;
    let current = api.parts.catalog.current();
    let stored = current.webhook(caller.subscription.id, webhook).ok_or(ApiError::WebhookGone)?;
    if !stored.is_on() {
        return Err(ApiError::WebhookOff);
    }
    let (subscription, event) = (caller.subscription.id, old.event);
    let kept = api.records(move |records| records.event(subscription, event)).await?;
    kept.ok_or(ApiError::EventGone)?;
    let entry = Entry::Redelivery(Redelivery { webhook, event: event.0, at: api.parts.clock.now() });
    let origin = api.parts.journal.append(Group::of(&entry)).await.map_err(ApiError::Journal)?;
    let id = DeliveryId { webhook, origin }.to_string();
    let location = paths::DELIVERY.replace("{id}", &id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(Redelivered { id })).into_response())
}

async fn find(api: &Api, caller: &Caller, id: &str) -> Result<DeliveryDetail, ApiError> {
    let id: DeliveryId = id.parse().map_err(|_| ApiError::NotFound("delivery"))?;
    let subscription = caller.subscription.id;
    let found = api.records(move |records| records.delivery(subscription, id)).await?;
    found.ok_or(ApiError::NotFound("delivery"))
}
