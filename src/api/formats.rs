//! Trying out a format: what it makes of an event, without sending anything.

use super::auth::{Admin, Caller};
use super::body::Fields;
use super::problem::ApiError;
use super::receiver_input::FormatDoc;
use super::{Api, paths, receiver_input};
use crate::catalog::check_format;
use crate::deliver::Form;
use crate::model::{EventId, EventKind};
use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

/// A format, and what to apply it to.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = TryFormat)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct TryFormatInput {
    /// As a webhook's; null shows the body as it is.
    #[schema(value_type = Option<FormatDoc>)]
    pub format: Option<Value>,
    /// The event whose sample it is applied to: one of the eight names, or ping (the default).
    #[schema(example = "npsSubmitted")]
    pub event: Option<String>,
    /// Instead of `event`: an event that was accepted.
    pub event_id: Option<String>,
}

/// What a format makes of an event.
#[derive(Debug, Serialize, ToSchema)]
pub struct TriedFormat {
    /// What would be sent and signed; null when there is an error.
    pub body: Option<String>,
    /// Its `Content-Type`.
    pub content_type: String,
    /// Why there is no such body; null when there is one.
    pub error: Option<String>,
    /// The template's line that the error is in, from 1, where it is known.
    pub line: Option<usize>,
}

/// Shows what a format makes of an event. Nothing is sent.
#[utoipa::path(
    post,
    path = paths::WEBHOOKS_TRY_FORMAT,
    request_body = Option<TryFormatInput>,
    tag = "webhooks",
    responses((status = 200, body = TriedFormat), ApiError)
)]
pub async fn try_out(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    mut fields: Fields,
) -> Result<Json<TriedFormat>, ApiError> {
    let format = receiver_input::format_of(&mut fields)?.flatten();
    let event = fields.take::<String>("event", "a string")?;
    let event_id = fields.take::<String>("event_id", "a string")?;
    fields.finish()?;
    let body = match (event, event_id) {
        (Some(_), Some(_)) => return Err(ApiError::field("event_id", "leave out either event or event_id")),
        (event, None) => (api.parts.sampler)(&caller.subscription, sample(event.as_deref())?).1,
        (None, Some(id)) => real(&api, &caller, &id).await?,
    };
    let Some(format) = format else { return Ok(Json(TriedFormat::of(&body, "application/json"))) };
    check_format(&format)?;
    let form = Form::new(&format);
    Ok(Json(match form.shape(&body) {
        Ok(made) => TriedFormat::of(&made, form.content_type()),
        Err(error) => TriedFormat {
            body: None,
            content_type: form.content_type().to_owned(),
            error: Some(error.problem),
            line: error.line,
        },
    }))
}

/// The event whose sample is meant; nothing for the ping.
fn sample(name: Option<&str>) -> Result<Option<EventKind>, ApiError> {
    let Some(name) = name.filter(|name| *name != "ping") else { return Ok(None) };
    let names = || EventKind::ALL.map(EventKind::name).join(", ");
    let unknown = || ApiError::field("event", format!("must be ping or one of {}", names()));
    EventKind::from_name(name).map(Some).ok_or_else(unknown)
}

async fn real(api: &Api, caller: &Caller, id: &str) -> Result<Bytes, ApiError> {
    let id: EventId = id.parse().map_err(|_| ApiError::NotFound("event"))?;
    let subscription = caller.subscription.id;
    let found = api.records(move |records| records.event(subscription, id)).await?;
    Ok(found.ok_or(ApiError::NotFound("event"))?.body)
}

impl TriedFormat {
    fn of(body: &[u8], content_type: &str) -> Self {
        let body = Some(String::from_utf8_lossy(body).into_owned());
        Self { body, content_type: content_type.to_owned(), error: None, line: None }
    }
}
