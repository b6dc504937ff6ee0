//! `/guides`: guides with their steps and polls (docs/guides.md). Their fields are named as in `guideProperties`.

use super::answer::List;
use super::auth::{Admin, Caller};
use super::body::{Fields, inside};
use super::list::{self, Asked};
use super::paths::Id;
use super::problem::ApiError;
use super::{Api, paths};
use crate::catalog::{Guide, GuideDeed, GuideLayout, GuideValues, ShowingValues, StepContent, StepValues};
use crate::model::{Choice, Poll, PollType, UnixMs};
use crate::record::RecordError;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// What a body may say of a guide. When editing, what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct GuideInput {
    /// When making: the id that the guide has already elsewhere. Made when it is left out.
    pub id: Option<String>,
    /// Required when making; 1 to 255 characters.
    #[schema(example = "Quarterly NPS")]
    pub name: Option<String>,
    /// Required when making: all steps, in order. A step with the id of one that is there takes its place.
    pub steps: Option<Vec<StepInput>>,
    /// modal (the default), banner or tooltip.
    pub layout: Option<String>,
    /// A rule in CEL about `visitor` and `account`; null: everybody.
    #[schema(example = "visitor.agent.role == \"admin\"")]
    pub audience: Option<String>,
    /// On which pages; `[]`: on all. Paths like /settings/*, or addresses like https://app.example.com/*.
    pub pages: Option<Vec<String>>,
    /// Once more so many days after it has ended, 1 to 365; null: once.
    #[serde(rename = "everyDays")]
    pub every_days: Option<i64>,
    /// Not before this (Unix milliseconds).
    #[serde(rename = "startsAt")]
    pub starts_at: Option<i64>,
    /// Not from this on (Unix milliseconds).
    #[serde(rename = "endsAt")]
    pub ends_at: Option<i64>,
}

/// A step.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct StepInput {
    /// Unique in the guide; made when it is left out.
    pub id: Option<String>,
    /// "building-block" (the default) or "".
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Its polls, in question order.
    pub polls: Option<Vec<PollInput>>,
    /// What it says, in Markdown.
    #[schema(example = "**New**: reports can be shared.")]
    pub text: Option<String>,
    /// What a tooltip points at: a CSS selector.
    pub element: Option<String>,
}

/// A poll.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct PollInput {
    /// Unique in the guide; made when it is left out.
    pub id: Option<String>,
    /// NumberScale, PositiveNegative, FreeForm, PickList, NPSRating or NPSReason.
    #[serde(rename = "type")]
    #[schema(example = "PickList")]
    pub kind: String,
    /// What is asked.
    #[schema(example = "What is your role?")]
    pub question: String,
    /// What a PickList offers.
    pub choices: Option<Vec<ChoiceInput>>,
}

/// A choice.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct ChoiceInput {
    /// By this id the agent reports it; made when it is left out.
    pub id: Option<String>,
    /// By this text receivers are told of it.
    #[schema(example = "Product Manager")]
    pub text: String,
}

/// Which steps to reset.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct ResetInput {
    /// Their ids; all steps when it is left out.
    pub steps: Option<Vec<String>>,
}

/// A guide: its `guideProperties`, its state, and the polls of each step.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Guide)]
#[serde(rename_all = "camelCase")]
pub struct GuideJson {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// draft, published or archived.
    pub state: &'static str,
    /// Unix milliseconds.
    pub created_at: i64,
    /// Who created it.
    pub created_by_user: UserJson,
    /// Unix milliseconds.
    pub last_updated_at: i64,
    /// Who changed it last.
    pub last_updated_by_user: UserJson,
    /// Its steps, in order.
    pub steps: Vec<StepJson>,
    /// modal, banner or tooltip.
    pub layout: &'static str,
    /// A rule in CEL about `visitor` and `account`; null: everybody.
    pub audience: Option<String>,
    /// On which pages; empty: on all.
    pub pages: Vec<String>,
    /// Once more so many days after it has ended; null: once.
    pub every_days: Option<u32>,
    /// Not before this (Unix milliseconds).
    pub starts_at: Option<i64>,
    /// Not from this on (Unix milliseconds).
    pub ends_at: Option<i64>,
}

/// A user, by name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GuideUser)]
pub struct UserJson {
    /// Their e-mail address; for a key that nobody owns, its name.
    pub username: String,
}

/// A step.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GuideStep)]
#[serde(rename_all = "camelCase")]
pub struct StepJson {
    /// Its id.
    pub id: String,
    /// "building-block" or "".
    #[serde(rename = "type")]
    pub kind: String,
    /// Unix milliseconds.
    pub last_updated_at: i64,
    /// Unix milliseconds of the last reset; 0: never.
    pub reset_at: i64,
    /// Its polls, in question order.
    pub polls: Vec<PollJson>,
    /// What it says, in Markdown.
    pub text: String,
    /// What a tooltip points at: a CSS selector.
    pub element: Option<String>,
}

/// A poll.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Poll)]
pub struct PollJson {
    /// Its id.
    pub id: String,
    /// NumberScale, PositiveNegative, FreeForm, PickList, NPSRating or NPSReason.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What is asked.
    pub question: String,
    /// What a PickList offers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choices: Option<Vec<ChoiceJson>>,
}

/// A choice.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PollChoice)]
pub struct ChoiceJson {
    /// By this id the agent reports it.
    pub id: String,
    /// By this text receivers are told of it.
    pub text: String,
}

/// Which guides to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct GuideListQuery {
    /// draft, published or archived.
    state: Option<String>,
    /// Rows at most: 1 to 500, 50 by default.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

impl GuideJson {
    fn of(guide: &Guide) -> Self {
        let properties = &guide.properties;
        let shown = guide.polls.iter().zip(&guide.contents);
        let steps = properties.steps.iter().zip(shown).map(|(step, (polls, content))| StepJson {
            id: step.id.clone(),
            kind: step.kind.clone(),
            last_updated_at: step.last_updated_at,
            reset_at: step.reset_at,
            polls: polls.iter().map(PollJson::of).collect(),
            text: content.text.clone(),
            element: content.element.clone(),
        });
        let showing = &guide.showing;
        Self {
            id: properties.id.clone(),
            name: properties.name.clone(),
            state: guide.state.name(),
            created_at: properties.created_at,
            created_by_user: UserJson { username: properties.created_by_user.username.clone() },
            last_updated_at: properties.last_updated_at,
            last_updated_by_user: UserJson { username: properties.last_updated_by_user.username.clone() },
            steps: steps.collect(),
            layout: showing.layout.name(),
            audience: showing.audience.as_ref().map(|audience| audience.text().to_owned()),
            pages: showing.pages.clone(),
            every_days: showing.every_days,
            starts_at: showing.starts_at.map(|at| at.0),
            ends_at: showing.ends_at.map(|at| at.0),
        }
    }
}

impl PollJson {
    fn of(poll: &Poll) -> Self {
        let choice = |choice: &Choice| ChoiceJson { id: choice.id.clone(), text: choice.text.clone() };
        let choices = (poll.kind == PollType::PickList).then(|| poll.choices.iter().map(choice).collect());
        Self { id: poll.id.clone(), kind: poll.kind.name(), question: poll.question.clone(), choices }
    }
}

/// Makes a guide, as a draft. Its id, and those of its steps, polls and choices, are made where none is given.
#[utoipa::path(
    post,
    path = paths::GUIDES,
    request_body = GuideInput,
    tag = "guides",
    responses((status = 201, body = GuideJson), ApiError)
)]
pub async fn create(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let id = fields.take("id", "a string")?;
    let name = Some(fields.require("name", "a string")?);
    let steps = Some(steps(fields.require("steps", "a list of steps")?)?);
    let showing = showing(&mut fields)?;
    fields.finish()?;
    let values = GuideValues { id, name, steps, showing };
    let made = api.parts.catalog.make_guide((caller.actor(), caller.owner()), caller.subscription.id, values).await;
    let made = made.map_err(ApiError::from_guide_change)?;
    let location = format!("{}/{}", paths::GUIDES, made.properties.id);
    let headers = header::HeaderValue::from_str(&location).map(|value| [(header::LOCATION, value)]);
    let body = Json(GuideJson::of(&made));
    // An id that was brought along may be no part of a header.
    Ok(match headers {
        Ok(headers) => (StatusCode::CREATED, headers, body).into_response(),
        Err(_) => (StatusCode::CREATED, body).into_response(),
    })
}

/// Lists the guides, oldest first.
#[utoipa::path(
    get,
    path = paths::GUIDES,
    params(GuideListQuery),
    tag = "guides",
    responses((status = 200, body = List<GuideJson>), ApiError)
)]
pub async fn list(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Asked(asked): Asked<GuideListQuery>,
) -> Result<Json<List<GuideJson>>, ApiError> {
    let limit = list::limit(asked.limit)?;
    let state = list::guide_state(asked.state.as_deref())?;
    let current = api.parts.catalog.current();
    let Some(guides) = current.guides(caller.subscription.id) else {
        return Ok(Json(List { data: Vec::new(), next: None }));
    };
    if asked.cursor.as_deref().is_some_and(|id| guides.get(id).is_none()) {
        return Err(RecordError::Cursor.into());
    }
    // A cursor is the id of the page's first guide: guides are never deleted.
    let from = guides.all().skip_while(|guide| asked.cursor.as_ref().is_some_and(|id| *id != guide.properties.id));
    let mut wanted = from.filter(|guide| state.is_none_or(|state| state == guide.state));
    let data: Vec<_> = wanted.by_ref().take(limit).map(|guide| GuideJson::of(guide)).collect();
    let next = wanted.next().map(|guide| guide.properties.id.clone());
    Ok(Json(List { data, next }))
}

/// Reads one guide.
#[utoipa::path(
    get,
    path = paths::GUIDE,
    params(("id" = String, Path)),
    tag = "guides",
    responses((status = 200, body = GuideJson), ApiError)
)]
pub async fn read(caller: Caller, State(api): State<Arc<Api>>, Id(id): Id) -> Result<Json<GuideJson>, ApiError> {
    let current = api.parts.catalog.current();
    let guide = current.guides(caller.subscription.id).and_then(|guides| guides.get(&id));
    Ok(Json(GuideJson::of(guide.ok_or(ApiError::NotFound("guide"))?)))
}

/// Edits a guide; what the body leaves out stays.
#[utoipa::path(
    patch,
    path = paths::GUIDE,
    params(("id" = String, Path)),
    request_body = Option<GuideInput>,
    tag = "guides",
    responses((status = 200, body = GuideJson), ApiError)
)]
pub async fn patch(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    Id(id): Id,
    mut fields: Fields,
) -> Result<Json<GuideJson>, ApiError> {
    let name = fields.take("name", "a string")?;
    let steps = fields.take("steps", "a list of steps")?.map(steps).transpose()?;
    let showing = showing(&mut fields)?;
    fields.finish()?;
    let (who, of) = ((caller.actor(), caller.owner()), (caller.subscription.id, id));
    let changed = api.parts.catalog.patch_guide(who, of, GuideValues { id: None, name, steps, showing }).await;
    Ok(Json(GuideJson::of(&*changed.map_err(ApiError::from_guide_change)?)))
}

/// Publishes a guide: agents show it from now on. One that was archived comes back.
#[utoipa::path(
    post,
    path = paths::GUIDE_PUBLISH,
    params(("id" = String, Path)),
    tag = "guides",
    responses((status = 200, body = GuideJson), ApiError)
)]
pub async fn publish(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    Id(id): Id,
    fields: Fields,
) -> Result<Json<GuideJson>, ApiError> {
    fields.finish()?;
    change(&api, &caller, id, GuideDeed::Publish).await
}

/// Archives a guide: agents show it no longer. What visitors still answer is taken.
#[utoipa::path(
    post,
    path = paths::GUIDE_ARCHIVE,
    params(("id" = String, Path)),
    tag = "guides",
    responses((status = 200, body = GuideJson), ApiError)
)]
pub async fn archive(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    Id(id): Id,
    fields: Fields,
) -> Result<Json<GuideJson>, ApiError> {
    fields.finish()?;
    change(&api, &caller, id, GuideDeed::Archive).await
}

/// Resets a guide's steps: visitors who have seen them may see them again. `resetAt` becomes now.
#[utoipa::path(
    post,
    path = paths::GUIDE_RESET,
    params(("id" = String, Path)),
    request_body = Option<ResetInput>,
    tag = "guides",
    responses((status = 200, body = GuideJson), ApiError)
)]
pub async fn reset(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    Id(id): Id,
    mut fields: Fields,
) -> Result<Json<GuideJson>, ApiError> {
    let steps = fields.take("steps", "a list of step ids")?.unwrap_or_default();
    fields.finish()?;
    change(&api, &caller, id, GuideDeed::Reset(steps)).await
}

async fn change(api: &Api, caller: &Caller, id: String, deed: GuideDeed) -> Result<Json<GuideJson>, ApiError> {
    let (who, of) = ((caller.actor(), caller.owner()), (caller.subscription.id, id));
    let changed = api.parts.catalog.do_to_guide(who, of, deed).await.map_err(ApiError::from_guide_change)?;
    Ok(Json(GuideJson::of(&changed)))
}

fn showing(fields: &mut Fields) -> Result<ShowingValues, ApiError> {
    const TIME: &str = "Unix milliseconds or null";
    let ms = |time: Option<Option<i64>>| time.map(|time| time.map(UnixMs));
    Ok(ShowingValues {
        layout: fields.take("layout", &format!("one of {}", GuideLayout::NAMES))?,
        audience: fields.take("audience", "a CEL expression or null")?,
        pages: fields.take("pages", "a list of pages")?,
        every_days: fields.take("everyDays", "a number of days or null")?,
        starts_at: ms(fields.take("startsAt", TIME)?),
        ends_at: ms(fields.take("endsAt", TIME)?),
    })
}

fn steps(values: Vec<Value>) -> Result<Vec<StepValues>, ApiError> {
    let step = |(at, value)| step(&format!("steps[{at}]"), value);
    values.into_iter().enumerate().map(step).collect()
}

fn step(place: &str, value: Value) -> Result<StepValues, ApiError> {
    inside(place, value, |fields| {
        let polls: Vec<Value> = fields.take("polls", "a list of polls")?.unwrap_or_default();
        let poll = |(at, value)| poll(&format!("polls[{at}]"), value);
        Ok(StepValues {
            id: fields.take("id", "a string")?.unwrap_or_default(),
            kind: fields.take("type", "a string")?.unwrap_or_else(|| String::from("building-block")),
            polls: polls.into_iter().enumerate().map(poll).collect::<Result<_, _>>()?,
            content: StepContent {
                text: fields.take("text", "a string")?.unwrap_or_default(),
                element: fields.take::<Option<String>>("element", "a CSS selector or null")?.flatten(),
            },
        })
    })
}

fn poll(place: &str, value: Value) -> Result<Poll, ApiError> {
    inside(place, value, |fields| {
        let choices: Vec<Value> = fields.take("choices", "a list of choices")?.unwrap_or_default();
        let choice = |(at, value)| choice(&format!("choices[{at}]"), value);
        Ok(Poll {
            id: fields.take("id", "a string")?.unwrap_or_default(),
            kind: fields.require("type", &format!("one of {}", PollType::NAMES))?,
            question: fields.require("question", "a string")?,
            choices: choices.into_iter().enumerate().map(choice).collect::<Result<_, _>>()?,
        })
    })
}

fn choice(place: &str, value: Value) -> Result<Choice, ApiError> {
    inside(place, value, |fields| {
        let id = fields.take("id", "a string")?.unwrap_or_default();
        Ok(Choice { id, text: fields.require("text", "a string")? })
    })
}
