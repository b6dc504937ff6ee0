//! `/events`: list and read what was accepted, whether or not a webhook was told.

use super::answer::{DeliveryJson, EventDetailJson, EventJson, List};
use super::auth::Caller;
use super::list::{self, Asked};
use super::paths::Id;
use super::problem::ApiError;
use super::{Api, paths, webhooks};
use crate::model::{EventId, WebhookId};
use crate::record::view::EventQuery;
use crate::record::{Explained, RecordError};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Which events to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventListQuery {
    /// An event's name.
    event: Option<String>,
    /// A visitor's id.
    visitor: Option<String>,
    /// An account's id.
    account: Option<String>,
    /// A webhook's id: only events that it asked for and that its filter let pass, accepted while it was on.
    webhook: Option<String>,
    /// no, excluded or agent_too_old: whether and why they were pushed to nobody.
    withheld: Option<String>,
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
    let webhook = asked.webhook.as_deref().map(|id| webhooks::find(&api, &caller, id)).transpose()?;
    let query = EventQuery {
        subscription: caller.subscription.id,
        visitor: asked.visitor,
        account: asked.account,
        webhook: webhook.map(|webhook| webhook.id),
        withheld: list::withheld(asked.withheld.as_deref())?,
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

/// Which webhooks to explain an event for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExplainQuery {
    /// Only this webhook.
    webhook: Option<String>,
    /// Webhooks at most: 1 to 500, 50 by default.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// What became of an event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventExplanation)]
pub struct ExplanationJson {
    /// The event; null when it is older than the journal.
    pub event: Option<EventJson>,
    /// What became of it for each webhook of the subscription, in the order of their ids.
    pub data: Vec<ReasonJson>,
    /// The next page's `cursor`; null at the end.
    pub next: Option<String>,
}

/// Why a webhook was told of an event, or was not.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventReason)]
pub struct ReasonJson {
    /// Which webhook.
    pub webhook_id: String,
    /// Its name.
    pub webhook_name: String,
    /// excluded, agent_too_old, webhook_off, category_not_chosen, filtered, filter_failed, delivered, failed, retrying,
    /// turned_off_in_between, expired, on_its_way or older_than_journal.
    pub reason: &'static str,
    /// The same as a sentence.
    pub sentence: &'static str,
    /// The exclusion that matched.
    pub excluded_by: Option<String>,
    /// The filter that did not let the event pass, as it was then.
    pub filter: Option<String>,
    /// Why the filter had no answer, such as a field that the event does not have.
    pub filter_error: Option<String>,
    /// The delivery, once its first attempt has ended.
    pub delivery: Option<DeliveryJson>,
}

/// Tells for each webhook why it was told of an event, or was not.
#[utoipa::path(
    get,
    path = paths::EVENT_EXPLAIN,
    params(("id" = String, Path), ExplainQuery),
    tag = "events",
    responses((status = 200, body = ExplanationJson), ApiError)
)]
pub async fn explain(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Id(id): Id,
    Asked(asked): Asked<ExplainQuery>,
) -> Result<Json<ExplanationJson>, ApiError> {
    let id: EventId = id.parse().map_err(|_| ApiError::NotFound("event"))?;
    let (webhooks, next) = asked_webhooks(&api, &caller, &asked)?;
    let subscription = caller.subscription.id;
    let explained = api.records(move |records| records.explain(subscription, id, &webhooks)).await?;
    let Explained { event, reasons } = explained.ok_or(ApiError::NotFound("event"))?;
    let event = event.as_ref().map(EventJson::of);
    let current = api.parts.catalog.current();
    let excluded_by = event.as_ref().and_then(|event| event.excluded_by.clone());
    let data = reasons.iter().map(|reason| ReasonJson {
        webhook_id: reason.webhook.to_string(),
        webhook_name: current
            .webhooks
            .get(&reason.webhook)
            .map(|webhook| webhook.values.name.clone())
            .unwrap_or_default(),
        reason: reason.why.code(),
        sentence: reason.why.sentence(),
        excluded_by: excluded_by.clone(),
        filter: reason.filter.clone(),
        filter_error: reason.failure.clone(),
        delivery: reason.delivery.as_deref().map(DeliveryJson::of),
    });
    Ok(Json(ExplanationJson { data: data.collect(), event, next }))
}

/// A page of the subscription's webhooks, or the one that is asked for, and where the next page begins.
fn asked_webhooks(
    api: &Api,
    caller: &Caller,
    asked: &ExplainQuery,
) -> Result<(Vec<WebhookId>, Option<String>), ApiError> {
    let limit = list::limit(asked.limit)?;
    if let Some(id) = &asked.webhook {
        return Ok((vec![webhooks::find(api, caller, id)?.id], None));
    }
    let after: Option<WebhookId> = match &asked.cursor {
        None => None,
        Some(cursor) => Some(cursor.parse().map_err(|_| ApiError::from(RecordError::Cursor))?),
    };
    let current = api.parts.catalog.current();
    let of = current.webhooks.values().filter(|webhook| webhook.subscription == caller.subscription.id);
    let mut ids: Vec<_> = of.map(|webhook| webhook.id).filter(|id| after.is_none_or(|after| *id > after)).collect();
    ids.sort_unstable();
    let more = ids.len() > limit;
    ids.truncate(limit);
    let next = ids.last().filter(|_| more).map(ToString::to_string);
    Ok((ids, next))
}
