//! Testing a webhook: one request, at once, with values that need not be saved, counted for nothing.

use super::answer::{HeaderJson, ResponseJson, TimingsJson, headers, text_or_base64};
use super::auth::{Admin, Caller};
use super::body::Fields;
use super::list::{self, Asked};
use super::paths::Id;
use super::problem::ApiError;
use super::webhook_input::{self, WebhookInput};
use super::{Api, paths, webhooks};
use crate::catalog::WebhookValues;
use crate::deliver::{Message, Outcome};
use crate::limits;
use crate::model::{EventKind, Keys, Reason, WebhookId, WebhookKind, WebhookState};
use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// What to send.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TestQuery {
    /// The event whose sample is sent; the ping by default.
    event: Option<String>,
}

/// What came of a test.
#[derive(Debug, Serialize, ToSchema)]
pub struct TestResult {
    /// Whether the receiver accepted it.
    pub delivered: bool,
    /// The status received; 408 for a timeout of our own; null when there was none.
    pub status: Option<u16>,
    /// Why it ended as it did, for programs.
    pub reason: &'static str,
    /// The same, for people, and what to do about it.
    pub sentence: &'static str,
    /// More about the reason; "" when there is nothing to add.
    pub detail: String,
    /// What was sent.
    pub request: TestRequest,
    /// What came back.
    pub response: ResponseJson,
    /// How long its parts took.
    pub timings: TimingsJson,
    /// How the webhook is turned on again. Only when Fanfare has turned it off, and the receiver accepted the test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn_on: Option<TurnOnOffer>,
}

/// How a webhook that Fanfare has turned off is turned on again.
#[derive(Debug, Serialize, ToSchema)]
pub struct TurnOnOffer {
    /// Who may do it: admin, after reviewing the log, while the last error is not more than 14 days ago; otherwise operator.
    pub by: TurnOnBy,
    /// How: an admin's call, or the operator's command.
    pub call: String,
    /// Whether what was tested is what is saved. Otherwise it is to be saved first.
    pub is_saved: bool,
    /// All of this, for people.
    pub sentence: String,
}

/// Who may turn a webhook on again.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TurnOnBy {
    /// An admin of the subscription.
    Admin,
    /// Whoever runs the installation.
    Operator,
}

/// What a success means at Segment.
const SEGMENT_ACCEPTS: &str = "Segment answers 200 also when the write key is wrong, when the endpoint is another region's, \
                               and when it drops the event: look for this one in the source's Debugger.";

/// What was sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct TestRequest {
    /// As sent.
    pub headers: Vec<HeaderJson>,
    /// As sent and signed; "" when it could not be put into the form that the webhook asks for.
    pub body: String,
    /// "base64" when `body` is not text.
    pub body_encoding: Option<&'static str>,
}

/// Sends a test with the body's values, of which none is saved. `webhook-signature` is made with a key of its own,
/// since the webhook has none yet.
#[utoipa::path(
    post,
    path = paths::WEBHOOKS_TEST,
    params(TestQuery),
    request_body = WebhookInput,
    tag = "webhooks",
    responses((status = 200, body = TestResult), ApiError)
)]
pub async fn unsaved(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    Asked(query): Asked<TestQuery>,
    fields: Fields,
) -> Result<Json<TestResult>, ApiError> {
    let event = list::event(query.event.as_deref())?;
    let values = webhook_input::unsaved_values(fields, api.parts.defaults)?;
    run(&api, &caller, (values, Keys::default()), event).await
}

/// Sends a test to a stored webhook, also while it is off. Values in the body, unsaved ones, go before the stored. Where
/// Fanfare has turned the webhook off and the receiver accepts the test, the answer says how it is turned on again.
#[utoipa::path(
    post,
    path = paths::WEBHOOK_TEST,
    params(("id" = String, Path), TestQuery),
    request_body(content = Option<WebhookInput>),
    tag = "webhooks",
    responses((status = 200, body = TestResult), ApiError)
)]
pub async fn stored(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    Id(id): Id,
    Asked(query): Asked<TestQuery>,
    fields: Fields,
) -> Result<Json<TestResult>, ApiError> {
    let event = list::event(query.event.as_deref())?;
    let webhook = webhooks::find(&api, &caller, &id)?;
    let mut values = WebhookValues::clone(&webhook.values);
    let patch = webhook_input::change(fields, values.kind)?;
    let overlap = patch.secret_overlap;
    values.apply(patch)?;
    let keys = values.keys_after(&webhook, overlap, api.parts.clock.now())?;
    let is_saved = values == *webhook.values;
    let Json(mut result) = run(&api, &caller, (values, keys), event).await?;
    if result.delivered {
        result.turn_on = offer(&api, &caller, webhook.id, is_saved).await?;
    }
    Ok(Json(result))
}

/// How the webhook is turned on again, if Fanfare has turned it off. It may have been switched while the test was under way,
/// so it is looked at now.
async fn offer(api: &Api, caller: &Caller, id: WebhookId, is_saved: bool) -> Result<Option<TurnOnOffer>, ApiError> {
    let current = api.parts.catalog.current();
    let webhook = current.webhook(caller.subscription.id, id);
    if webhook.is_none_or(|webhook| webhook.state != WebhookState::TurnedOff) {
        return Ok(None);
    }
    let stats = api.records(move |records| records.webhook_stats(id)).await?;
    let (by, call, how) = if webhooks::is_reviewable(&stats, api.parts.clock.now()) {
        let call = format!("POST {}", paths::WEBHOOK_TURN_ON.replace("{id}", &id.to_string()));
        (TurnOnBy::Admin, call, "Review its log, then turn it on again.")
    } else {
        let command = format!("fanfare operator webhooks turn-on {id}");
        (
            TurnOnBy::Operator,
            command,
            "Its last error is too long ago to be reviewed: ask whoever runs this installation to turn it on again.",
        )
    };
    let save = if is_saved { "" } else { " What was tested is not saved yet: save it first." };
    let sentence = format!("The receiver accepts events, and the webhook is still off. {how}{save}");
    Ok(Some(TurnOnOffer { by, call, is_saved, sentence }))
}

async fn run(
    api: &Api,
    caller: &Caller,
    (values, mut keys): (WebhookValues, Keys),
    event: Option<EventKind>,
) -> Result<Json<TestResult>, ApiError> {
    values.check()?;
    keys.signing_key.get_or_insert_with(|| api.parts.catalog.new_signing_key());
    let mut destination = values.destination(&keys)?;
    destination.timeout = destination.timeout.min(Duration::from_secs(limits::TEST_TIMEOUT_S));
    let _one_of_few = api.tests.try_acquire().map_err(|_| ApiError::TooManyTests)?;
    let (unique_id, body) = (api.parts.sampler)(&caller.subscription, event);
    let message = Message { unique_id: unique_id.to_string(), body: body.clone() };
    let is_shaped = destination.form.is_some();
    let outcome = api.parts.tester.send(Arc::new(destination), message).await;
    let sent = if is_shaped { outcome.request_body.clone().unwrap_or_default() } else { body };
    let mut result = TestResult::of(outcome, &sent);
    if result.delivered && values.kind == WebhookKind::Segment {
        SEGMENT_ACCEPTS.clone_into(&mut result.detail);
    }
    Ok(Json(result))
}

impl TestResult {
    fn of(outcome: Outcome, sent: &Bytes) -> Self {
        let (body, body_encoding) = text_or_base64(sent);
        Self {
            delivered: outcome.reason == Reason::Accepted,
            status: Some(outcome.status).filter(|status| *status != 0),
            reason: outcome.reason.code(),
            sentence: outcome.reason.sentence(),
            request: TestRequest { headers: headers(&outcome.request_headers), body, body_encoding },
            response: ResponseJson::of(&outcome.response_headers, &outcome.response_body, outcome.response_cut),
            timings: TimingsJson::of(outcome.timings),
            detail: outcome.detail,
            turn_on: None,
        }
    }
}
