//! `/mails`: the outbox. What the mails say stays sealed: links in them open accounts.

use super::answer::{List, rfc3339};
use super::auth::{Admin, Caller};
use super::list::{self, Asked};
use super::paths::Id;
use super::problem::ApiError;
use super::{Api, paths};
use crate::mail::MailRow;
use crate::model::UnixMs;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Which mails to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MailListQuery {
    /// Rows at most: 1 to 500, 50 by default.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A mail to one of the subscription's people.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Mail)]
pub struct MailJson {
    /// 16 hex digits.
    pub id: String,
    /// The address that it goes to.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// waiting, sent or failed.
    pub state: &'static str,
    /// How often it was tried.
    pub attempts: u32,
    /// Why the last attempt failed; "" when none did.
    pub last_error: String,
    /// Not before then it is tried again; null once it was sent or given up.
    pub next_attempt_at: Option<String>,
    /// When it was written.
    pub created_at: String,
    /// When anything became of it.
    pub updated_at: String,
}

impl MailJson {
    fn of(mail: &MailRow) -> Self {
        Self {
            id: format!("{:016x}", mail.id),
            to: mail.recipient.clone(),
            subject: mail.subject.clone(),
            state: mail.state.name(),
            attempts: mail.attempts,
            last_error: mail.last_error.clone(),
            next_attempt_at: mail.is_waiting().then(|| rfc3339(mail.next_attempt_at)),
            created_at: rfc3339(mail.created_at),
            updated_at: rfc3339(mail.updated_at),
        }
    }
}

/// Lists the mails to the subscription's people, newest first. Without a mail server they wait here.
#[utoipa::path(
    get,
    path = paths::MAILS,
    params(MailListQuery),
    tag = "users",
    responses((status = 200, body = List<MailJson>), ApiError)
)]
pub async fn list(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Asked(asked): Asked<MailListQuery>,
) -> Result<Json<List<MailJson>>, ApiError> {
    let limit = list::limit(asked.limit)?;
    let behind = asked.cursor.as_deref().map(place).transpose()?;
    let mails = api.parts.catalog.mail().of_subscription(caller.subscription.id, behind, limit).await;
    let mails = mails.map_err(|error| ApiError::internal(&error))?;
    let next = mails.last().filter(|_| mails.len() == limit).map(cursor);
    Ok(Json(List { data: mails.iter().map(MailJson::of).collect(), next }))
}

/// Sends a mail now that waits or was given up, as if it were new. Links in it may have expired.
#[utoipa::path(
    post,
    path = paths::MAIL_TRY_AGAIN,
    params(("id" = String, Path)),
    tag = "users",
    responses((status = 202), ApiError)
)]
pub async fn try_again(Admin(caller): Admin, State(api): State<Arc<Api>>, Id(id): Id) -> Result<StatusCode, ApiError> {
    let id = u64::from_str_radix(&id, 16).map_err(|_| ApiError::NotFound("mail"))?;
    let again = api.parts.catalog.mail().try_again(caller.subscription.id, id).await;
    if again.map_err(|error| ApiError::internal(&error))? {
        Ok(StatusCode::ACCEPTED)
    } else {
        Err(ApiError::NotFound("mail that was not sent"))
    }
}

fn cursor(mail: &MailRow) -> String {
    format!("m{:x}-{:x}", mail.created_at.0, mail.id)
}

fn place(cursor: &str) -> Result<(UnixMs, u64), ApiError> {
    let read = || {
        let (at, id) = cursor.strip_prefix('m')?.split_once('-')?;
        Some((UnixMs(i64::from_str_radix(at, 16).ok()?), u64::from_str_radix(id, 16).ok()?))
    };
    read().ok_or_else(|| ApiError::Query(String::from("cursor: it does not belong to this list")))
}
