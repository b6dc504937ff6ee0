//! `/webhooks/{id}/replays`: events sent once more, together; and what a webhook has missed.

use super::answer::{List, rfc3339};
use super::auth::{Admin, Caller};
use super::body::Fields;
use super::list::{self, Asked};
use super::paths::{Id, ReplayIds};
use super::problem::ApiError;
use super::{Api, paths, webhooks};
use crate::catalog::Webhook;
use crate::journal::Group;
use crate::limits;
use crate::model::{Entry, EventKind, Replay, ReplayChoice, ReplayEnd, ReplayEnded, ReplayId, UnixMs};
use crate::record::view::{ReplayAsk, ReplayView};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Which events to send once more.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "it documents what `Fields` takes")]
pub struct ReplayInput {
    /// all (by default: everything that the webhook asks for now), failed (what failed for good), or missed (what was not
    /// sent because the webhook was off, or was cancelled or expired).
    status: Option<String>,
    /// Only events of this name.
    event: Option<String>,
    /// Not accepted before this time (RFC 3339). Required for all; by default failed goes back as far as the records do,
    /// and missed to where the webhook went off last.
    from: Option<String>,
    /// Accepted before this time (RFC 3339); by default now.
    to: Option<String>,
    /// Send it although the webhook is off.
    force: Option<bool>,
}

/// Which page of replays.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReplayListQuery {
    /// Rows at most: 1 to 500, 50 by default.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A replay.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Replay)]
pub struct ReplayJson {
    /// `rpl_…`
    pub id: String,
    /// The webhook that it goes to.
    pub webhook_id: String,
    /// running, done, cancelled, or webhook_off: it ended because the webhook was turned off or deleted.
    pub state: &'static str,
    /// all, failed or missed.
    pub status: &'static str,
    /// Only events of this name; null for every name.
    pub event: Option<&'static str>,
    /// Not accepted before this.
    pub from: Option<String>,
    /// Accepted before this.
    pub to: Option<String>,
    /// Whether it is sent while the webhook is off, too.
    pub force: bool,
    /// How much of what was accepted was looked through, from 0 to 1.
    pub progress: f64,
    /// Deliveries made so far.
    pub sent: u64,
    /// Of these, delivered.
    pub delivered: u64,
    /// Failed for good.
    pub failed: u64,
    /// Under way, or waiting for a retry.
    pub waiting: u64,
    /// Not attempted any more.
    pub cancelled: u64,
    /// When it was asked for.
    pub created_at: String,
    /// When it ended; null while it is running.
    pub ended_at: Option<String>,
}

/// What a webhook has missed since it went off last.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Missed)]
pub struct MissedJson {
    /// How many events that it asks for now were not delivered because it was off.
    pub events: u64,
    /// Whether all of them were counted; otherwise there are more.
    pub complete: bool,
    /// When the first of them was accepted; null when there are none.
    pub since: Option<String>,
}

impl ReplayJson {
    fn of(view: &ReplayView) -> Self {
        let asked = &view.asked;
        Self {
            id: view.id.to_string(),
            webhook_id: asked.webhook.to_string(),
            state: view.ended.map_or("running", |(end, _)| end.name()),
            status: asked.choice.name(),
            event: asked.kind.map(EventKind::name),
            from: asked.from.map(rfc3339),
            to: asked.to.map(rfc3339),
            force: asked.forced,
            progress: view.progress,
            sent: view.sent,
            delivered: view.delivered,
            failed: view.failed,
            waiting: view.open,
            cancelled: view.cancelled,
            created_at: rfc3339(asked.at),
            ended_at: view.ended.map(|(_, at)| rfc3339(at)),
        }
    }

    /// One that was just asked for.
    fn begun(id: ReplayId, asked: Replay) -> Self {
        let (progress, ended) = (0.0, None);
        Self::of(&ReplayView { id, asked, progress, sent: 0, delivered: 0, failed: 0, open: 0, cancelled: 0, ended })
    }
}

/// Sends events of a webhook once more, as a job that can be watched and cancelled and goes on after a restart: in the
/// order in which they were accepted, the same bytes under the same `uniqueId`, at a limited pace, retried as usual and
/// counted neither for nor against the webhook.
#[utoipa::path(
    post,
    path = paths::WEBHOOK_REPLAYS,
    params(("id" = String, Path)),
    request_body = ReplayInput,
    tag = "deliveries",
    responses((status = 202, body = ReplayJson), ApiError)
)]
pub async fn create(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    Id(id): Id,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let webhook = webhooks::find(&api, &caller, &id)?;
    let ask = ask(&mut fields, &webhook)?;
    fields.finish()?;
    if !webhook.is_on() && !ask.forced {
        return Err(ApiError::ReplayOff);
    }
    let open = api.records(move |records| records.open_replays(ask.subscription)).await?;
    if open >= limits::REPLAYS {
        return Err(ApiError::TooManyReplays(open));
    }
    let replay = api.records(move |records| records.plan_replay(&ask)).await?;
    let position = api.parts.journal.append(Group::of(&Entry::Replay(replay))).await.map_err(ApiError::Journal)?;
    let begun = ReplayJson::begun(ReplayId(position), replay);
    note(&api, &caller, "replay.asked", &begun).await?;
    let location = paths::WEBHOOK_REPLAY.replace("{id}", &begun.webhook_id).replace("{replay}", &begun.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(begun)).into_response())
}

fn ask(fields: &mut Fields, webhook: &Webhook) -> Result<ReplayAsk, ApiError> {
    let status: Option<String> = fields.take("status", "a text")?;
    let choice = status.as_deref().map_or(Some(ReplayChoice::All), ReplayChoice::from_name);
    let choice = choice.ok_or_else(|| ApiError::field("status", "must be all, failed or missed"))?;
    let event: Option<String> = fields.take("event", "a text")?;
    let kind = event.map(|name| {
        EventKind::from_name(&name)
            .ok_or_else(|| ApiError::field("event", "must be the name of one of the eight events"))
    });
    let (from, to) = (time(fields, "from")?, time(fields, "to")?);
    if choice == ReplayChoice::All && from.is_none() {
        return Err(ApiError::field("from", "is required, unless status is failed or missed"));
    }
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        return Err(ApiError::field("to", "must be later than from"));
    }
    let forced = fields.take("force", "true or false")?.unwrap_or(false);
    let (webhook, subscription) = (webhook.id, webhook.subscription);
    Ok(ReplayAsk { webhook, subscription, choice, kind: kind.transpose()?, from, to, forced })
}

fn time(fields: &mut Fields, name: &str) -> Result<Option<UnixMs>, ApiError> {
    list::time_field(name, fields.take::<String>(name, "a time")?.as_deref())
}

/// Lists a webhook's replays, newest first.
#[utoipa::path(
    get,
    path = paths::WEBHOOK_REPLAYS,
    params(("id" = String, Path), ReplayListQuery),
    tag = "deliveries",
    responses((status = 200, body = List<ReplayJson>), ApiError)
)]
pub async fn list(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Id(id): Id,
    Asked(asked): Asked<ReplayListQuery>,
) -> Result<Json<List<ReplayJson>>, ApiError> {
    let webhook = webhooks::find(&api, &caller, &id)?.id;
    let limit = list::limit(asked.limit)?;
    let page = api.records(move |records| records.replays(webhook, asked.cursor.as_deref(), limit)).await?;
    Ok(Json(List::of(page, |view| ReplayJson::of(&view))))
}

/// Reads a replay, with how far it has come.
#[utoipa::path(
    get,
    path = paths::WEBHOOK_REPLAY,
    params(("id" = String, Path), ("replay" = String, Path)),
    tag = "deliveries",
    responses((status = 200, body = ReplayJson), ApiError)
)]
pub async fn read(
    caller: Caller,
    State(api): State<Arc<Api>>,
    ReplayIds(id, replay): ReplayIds,
) -> Result<Json<ReplayJson>, ApiError> {
    Ok(Json(ReplayJson::of(&find(&api, &caller, (&id, &replay)).await?)))
}

/// Cancels a replay: what of it has not begun is not sent.
#[utoipa::path(
    delete,
    path = paths::WEBHOOK_REPLAY,
    params(("id" = String, Path), ("replay" = String, Path)),
    tag = "deliveries",
    responses((status = 204), ApiError)
)]
pub async fn cancel(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    ReplayIds(id, replay): ReplayIds,
) -> Result<StatusCode, ApiError> {
    let view = find(&api, &caller, (&id, &replay)).await?;
    if view.ended.is_some() {
        return Err(ApiError::ReplayOver);
    }
    end(&api, &caller, &view).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Cancels all replays of a webhook that are running.
#[utoipa::path(
    delete,
    path = paths::WEBHOOK_REPLAYS,
    params(("id" = String, Path)),
    tag = "deliveries",
    responses((status = 204), ApiError)
)]
pub async fn cancel_all(Admin(caller): Admin, State(api): State<Arc<Api>>, Id(id): Id) -> Result<StatusCode, ApiError> {
    let webhook = webhooks::find(&api, &caller, &id)?.id;
    // Those that are running are the newest, and no more than these.
    let page = api.records(move |records| records.replays(webhook, None, 2 * limits::REPLAYS)).await?;
    for view in page.data.iter().filter(|view| view.ended.is_none()) {
        end(&api, &caller, view).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn end(api: &Api, caller: &Caller, view: &ReplayView) -> Result<(), ApiError> {
    let (webhook, at) = (view.asked.webhook, api.parts.clock.now());
    let ended = ReplayEnded { replay: view.id.0, webhook, end: ReplayEnd::Cancelled, at };
    api.parts.journal.append(Group::of(&Entry::ReplayEnded(ended))).await.map_err(ApiError::Journal)?;
    note(api, caller, "replay.cancelled", &ReplayJson::of(view)).await
}

/// Counts what a webhook has missed since it went off last. A replay with the status missed sends it.
#[utoipa::path(
    get,
    path = paths::WEBHOOK_MISSED,
    params(("id" = String, Path)),
    tag = "deliveries",
    responses((status = 200, body = MissedJson), ApiError)
)]
pub async fn missed(caller: Caller, State(api): State<Arc<Api>>, Id(id): Id) -> Result<Json<MissedJson>, ApiError> {
    let webhook = webhooks::find(&api, &caller, &id)?;
    let (subscription, id, interest) = (webhook.subscription, webhook.id, webhook.interest.clone());
    let missed = api.records(move |records| records.missed(subscription, id, &interest)).await?;
    let since = missed.since.map(rfc3339);
    Ok(Json(MissedJson { events: missed.events, complete: missed.is_complete, since }))
}

async fn find(api: &Api, caller: &Caller, (id, replay): (&str, &str)) -> Result<ReplayView, ApiError> {
    let webhook = webhooks::find(api, caller, id)?.id;
    let replay: ReplayId = replay.parse().map_err(|_| ApiError::NotFound("replay"))?;
    let found = api.records(move |records| records.replay(replay)).await?;
    found.filter(|view| view.asked.webhook == webhook).ok_or(ApiError::NotFound("replay"))
}

async fn note(api: &Api, caller: &Caller, action: &'static str, replay: &ReplayJson) -> Result<(), ApiError> {
    let what = json!({"replay": replay.id, "status": replay.status, "event": replay.event, "from": replay.from,
        "to": replay.to, "force": replay.force});
    let (by, subscription) = (caller.actor(), caller.subscription.id);
    let noted = api.parts.catalog.note(&by, subscription, (action, &replay.webhook_id), what).await;
    noted.map_err(|error| ApiError::internal(&error))
}
