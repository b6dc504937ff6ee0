//! `/do-not-process` and `/forget-jobs`: people whose data is not taken any more, and people whose data is erased
//! (docs/privacy.md). Neither shows who they are: only a keyed hash of their ids is kept.

use super::answer::{List, rfc3339};
use super::auth::{Admin, Caller};
use super::body::Fields;
use super::list::{self, Asked};
use super::paths::Id;
use super::problem::ApiError;
use super::{Api, paths};
use crate::catalog::{ChangeError, DoNotProcess, ForgetJob};
use crate::model::{DoNotProcessId, ForgetJobId, PersonKind};
use crate::record::RecordError;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Whose data is not to be processed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct DoNotProcessInput {
    /// visitor or account.
    #[schema(example = "visitor")]
    pub kind: String,
    /// Their id, as the product names them; case-sensitive.
    #[schema(example = "ann")]
    pub id: String,
}

/// A rule that nothing of somebody is processed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DoNotProcess)]
pub struct DoNotProcessJson {
    /// `dnp_` and 16 hex digits.
    pub id: String,
    /// visitor or account.
    pub kind: &'static str,
    /// A keyed hash of who it is about: the id itself is not kept. The audit log names them so too.
    pub person: String,
    /// When it was made.
    pub created_at: String,
}

/// A job that forgets somebody.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ForgetJob)]
pub struct ForgetJobJson {
    /// `fgt_` and 16 hex digits.
    pub id: String,
    /// visitor or account.
    pub kind: &'static str,
    /// A keyed hash of whom it forgets.
    pub person: String,
    /// waiting, running or done.
    pub state: &'static str,
    /// When it was asked for.
    pub asked_at: String,
    /// When everything was erased; null until then.
    pub done_at: Option<String>,
    /// Entries of the journal that were erased so far.
    pub erased_entries: u64,
    /// Why it does not get on at the moment; it is tried again by itself. null when there is no problem.
    pub problem: Option<String>,
}

/// Which rules to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DoNotProcessQuery {
    /// Only the rule about the visitor with this id.
    visitor: Option<String>,
    /// Only the rule about the account with this id.
    account: Option<String>,
    /// Rows at most: 1 to 500, 50 by default.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Which jobs to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ForgetJobQuery {
    /// Rows at most: 1 to 500, 50 by default.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

impl DoNotProcessJson {
    fn of(rule: &DoNotProcess) -> Self {
        Self {
            id: rule.id.to_string(),
            kind: rule.kind.name(),
            person: rule.person.to_string(),
            created_at: rfc3339(rule.created_at),
        }
    }
}

impl ForgetJobJson {
    fn of(job: &ForgetJob) -> Self {
        Self {
            id: job.id.to_string(),
            kind: job.kind.name(),
            person: job.person.to_string(),
            state: job.state.name(),
            asked_at: rfc3339(job.asked_at),
            done_at: job.done_at.map(rfc3339),
            erased_entries: job.erased_entries,
            problem: job.problem.clone(),
        }
    }
}

/// Processes nothing of a visitor or an account from now on: what comes in is thrown away. What is there already stays;
/// to erase it, forget them.
#[utoipa::path(
    post,
    path = paths::DO_NOT_PROCESS,
    request_body = DoNotProcessInput,
    tag = "privacy",
    responses((status = 201, body = DoNotProcessJson), ApiError)
)]
pub async fn create_rule(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let kind: String = fields.require("kind", "a string")?;
    let kind = PersonKind::from_name(&kind).ok_or_else(|| ApiError::field("kind", "must be visitor or account"))?;
    let id = fields.require("id", "a string")?;
    fields.finish()?;
    let made = api.parts.catalog.do_not_process(caller.actor(), caller.subscription.id, (kind, id)).await;
    let made = made.map_err(from_change)?.ok_or(ApiError::SameDoNotProcess)?;
    Ok((StatusCode::CREATED, Json(DoNotProcessJson::of(&made))).into_response())
}

/// Lists the rules, oldest first.
#[utoipa::path(
    get,
    path = paths::DO_NOT_PROCESS,
    params(DoNotProcessQuery),
    tag = "privacy",
    responses((status = 200, body = List<DoNotProcessJson>), ApiError)
)]
pub async fn list_rules(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Asked(asked): Asked<DoNotProcessQuery>,
) -> Result<Json<List<DoNotProcessJson>>, ApiError> {
    let limit = list::limit(asked.limit)?;
    let current = api.parts.catalog.current();
    let mut rules: Vec<DoNotProcess> = Vec::new();
    if let Some(privacy) = current.privacy(caller.subscription.id) {
        let of = |kind, id: &Option<String>| id.as_ref().and_then(|id| privacy.rule_for(kind, id)).copied();
        match (&asked.visitor, &asked.account) {
            (None, None) => rules.extend(privacy.rules()),
            (visitor, account) => {
                rules.extend(of(PersonKind::Visitor, visitor));
                rules.extend(of(PersonKind::Account, account));
            }
        }
    }
    let from = match &asked.cursor {
        None => 0,
        Some(cursor) => {
            let place = rules.iter().position(|rule| rule.id.to_string() == *cursor);
            place.ok_or(ApiError::from(RecordError::Cursor))?
        }
    };
    let data: Vec<_> = rules[from..].iter().take(limit).map(DoNotProcessJson::of).collect();
    let next = rules.get(from + data.len()).map(|rule| rule.id.to_string());
    Ok(Json(List { data, next }))
}

/// Deletes a rule: they are processed again, as if they had not been there before.
#[utoipa::path(
    delete,
    path = paths::DO_NOT_PROCESS_RULE,
    params(("id" = String, Path)),
    tag = "privacy",
    responses((status = 204), ApiError)
)]
pub async fn delete_rule(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    Id(id): Id,
) -> Result<StatusCode, ApiError> {
    let id: DoNotProcessId = id.parse().map_err(|_| ApiError::NotFound("rule"))?;
    api.parts.catalog.process_again(caller.actor(), (caller.subscription.id, id)).await.map_err(from_change)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Erases a visitor from journal, records and store, as a job that can be watched. There is no way back.
#[utoipa::path(
    post,
    path = paths::VISITOR_FORGET,
    params(("id" = String, Path)),
    tag = "privacy",
    responses((status = 202, body = ForgetJobJson), ApiError)
)]
pub async fn forget_visitor(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    Id(id): Id,
    fields: Fields,
) -> Result<Response, ApiError> {
    fields.finish()?;
    forget(&api, &caller, (PersonKind::Visitor, id)).await
}

/// Erases an account, with all its events, from journal, records and store, as a job that can be watched. Its
/// sub-accounts and its visitors are others'. There is no way back.
#[utoipa::path(
    post,
    path = paths::ACCOUNT_FORGET,
    params(("id" = String, Path)),
    tag = "privacy",
    responses((status = 202, body = ForgetJobJson), ApiError)
)]
pub async fn forget_account(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    Id(id): Id,
    fields: Fields,
) -> Result<Response, ApiError> {
    fields.finish()?;
    forget(&api, &caller, (PersonKind::Account, id)).await
}

async fn forget(api: &Api, caller: &Caller, who: (PersonKind, String)) -> Result<Response, ApiError> {
    let (kind, id) = who.clone();
    let subscription = caller.subscription.id;
    // Of nobody in particular (an anonymous visitor) there may be events, but there is nothing else to look for.
    if kind.is_somebody(&id) && api.records(move |records| records.person(subscription, kind, &id)).await?.is_none() {
        return Err(ApiError::NotFound(kind.name()));
    }
    let asked = api.parts.catalog.ask_to_forget(caller.actor(), caller.subscription.id, who).await;
    let job = asked.map_err(|error| match error {
        ChangeError::TooMany(count) => ApiError::TooManyForgetJobs(count),
        other => from_change(other),
    })?;
    let location = format!("{}/{}", paths::FORGET_JOBS, job.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(ForgetJobJson::of(&job))).into_response())
}

/// Lists the jobs that forget somebody, newest first.
#[utoipa::path(
    get,
    path = paths::FORGET_JOBS,
    params(ForgetJobQuery),
    tag = "privacy",
    responses((status = 200, body = List<ForgetJobJson>), ApiError)
)]
pub async fn list_jobs(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Asked(asked): Asked<ForgetJobQuery>,
) -> Result<Json<List<ForgetJobJson>>, ApiError> {
    let limit = list::limit(asked.limit)?;
    let after = match &asked.cursor {
        None => None,
        Some(cursor) => {
            let found = find(&api, &caller, cursor).await;
            Some(found.map_err(|_| ApiError::from(RecordError::Cursor))?)
        }
    };
    let jobs = api.parts.catalog.forget_jobs(caller.subscription.id, after.as_ref(), limit + 1).await;
    let jobs = jobs.map_err(|error| ApiError::internal(&error))?;
    let next = jobs.get(limit).and(jobs.get(limit.saturating_sub(1))).map(|job| job.id.to_string());
    Ok(Json(List { data: jobs.iter().take(limit).map(ForgetJobJson::of).collect(), next }))
}

/// Reads one job.
#[utoipa::path(
    get,
    path = paths::FORGET_JOB,
    params(("id" = String, Path)),
    tag = "privacy",
    responses((status = 200, body = ForgetJobJson), ApiError)
)]
pub async fn read_job(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Id(id): Id,
) -> Result<Json<ForgetJobJson>, ApiError> {
    Ok(Json(ForgetJobJson::of(&find(&api, &caller, &id).await?)))
}

async fn find(api: &Api, caller: &Caller, id: &str) -> Result<ForgetJob, ApiError> {
    let id: ForgetJobId = id.parse().map_err(|_| ApiError::NotFound("job"))?;
    let found = api.parts.catalog.forget_job(caller.subscription.id, id).await;
    found.map_err(|error| ApiError::internal(&error))?.ok_or(ApiError::NotFound("job"))
}

fn from_change(error: ChangeError) -> ApiError {
    match error {
        ChangeError::NotFound => ApiError::NotFound("rule"),
        ChangeError::TooMany(count) => ApiError::TooManyDoNotProcess(count),
        other => ApiError::from_change(other),
    }
}
