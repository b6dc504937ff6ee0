//! Trying a filter: which of the newest events it would let pass.

use super::answer::rfc3339;
use super::auth::Admin;
use super::body::Fields;
use super::problem::ApiError;
use super::webhook_input::{categories, categories_schema};
use super::{Api, paths};
use crate::filter::{Filter, Interest, Judgement};
use crate::limits;
use crate::model::{CategorySet, Selection};
use crate::record::view::Tried;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

/// What is tried.
#[derive(Debug, ToSchema)]
#[schema(as = TryFilter)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct TryFilterInput {
    /// The filter, in CEL.
    #[schema(example = "event == \"guideDisplayed\" && properties.guideId in [\"a\", \"b\"]")]
    pub filter: String,
    /// Of which categories events are looked at: "all" (the default), or a list of some.
    #[schema(required = false, schema_with = categories_schema)]
    pub categories: Option<Value>,
    /// Whether events of the audit log are looked at too; false by default.
    pub audit: Option<bool>,
}

/// What a filter says of the newest events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TriedFilter)]
pub struct TriedJson {
    /// How many events pass.
    pub passed: usize,
    /// The events that were looked at, newest first; 100 at most.
    pub data: Vec<TriedEventJson>,
}

/// What a filter says of an event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TriedEvent)]
pub struct TriedEventJson {
    /// The event's id.
    pub id: String,
    /// What happened.
    pub event: &'static str,
    /// Who did it.
    pub visitor_id: String,
    /// When it was accepted.
    pub accepted_at: String,
    /// Whether a webhook with this filter would be told of it.
    pub passes: bool,
    /// Why the filter has no answer, so that the event does not pass; null when it has one.
    pub error: Option<String>,
}

/// Looks at the last 100 events of the subscription with a filter that need not be saved, and tells which would pass.
#[utoipa::path(
    post,
    path = paths::WEBHOOKS_TRY_FILTER,
    request_body = TryFilterInput,
    tag = "webhooks",
    responses((status = 200, body = TriedJson), ApiError)
)]
pub async fn try_filter(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    mut fields: Fields,
) -> Result<Json<TriedJson>, ApiError> {
    let filter: String = fields.require("filter", "a string")?;
    let chosen = fields.take_any("categories").map(|value| categories(&value)).transpose()?;
    let audit = fields.take("audit", "true or false")?.unwrap_or(false);
    fields.finish()?;
    Filter::parse(&filter).map_err(|mistake| ApiError::field("filter", mistake.to_string()))?;
    let selection = Selection { audit, filter: Some(filter), ..chosen.unwrap_or(CategorySet::All).into() };
    let (interest, subscription) = (Interest::of(&selection), caller.subscription.id);
    let most = limits::FILTER_TRY_EVENTS;
    let tried = api.records(move |records| records.try_filter(subscription, &interest, most)).await?;
    let data: Vec<_> = tried.into_iter().map(TriedEventJson::of).collect();
    Ok(Json(TriedJson { passed: data.iter().filter(|event| event.passes).count(), data }))
}

impl TriedEventJson {
    fn of(Tried { event, judgement }: Tried) -> Self {
        let (passes, error) = match judgement {
            Judgement::Wanted => (true, None),
            Judgement::OtherCategory | Judgement::Filtered => (false, None),
            Judgement::Failed(failure) => (false, Some(failure.to_string())),
        };
        Self {
            id: event.id.to_string(),
            event: event.kind.name(),
            visitor_id: event.visitor_id,
            accepted_at: rfc3339(event.accepted_at),
            passes,
            error,
        }
    }
}
