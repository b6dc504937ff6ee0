//! `/users`: who belongs to the subscription. Invited by mail, changed, removed.

use super::answer::{List, rfc3339};
use super::auth::{Admin, Caller};
use super::body::Fields;
use super::paths::Id;
use super::problem::ApiError;
use super::{Api, paths};
use crate::catalog::{Role, User, UserPatch, UserValues};
use crate::model::UserId;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Whom to invite.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct UserInput {
    /// Where the invitation goes.
    #[schema(example = "ada@example.com")]
    pub email: String,
    /// 1 to 255 characters.
    #[schema(example = "Ada Lovelace")]
    pub name: String,
    /// "admin" (changes things) or "member" (reads).
    #[schema(example = "member")]
    pub role: String,
}

/// What to change of a user; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct UserChange {
    /// 1 to 255 characters.
    pub name: Option<String>,
    /// "admin" or "member"; it holds from the user's next call.
    #[schema(example = "admin")]
    pub role: Option<String>,
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserJson {
    /// `usr_` and 16 hex digits.
    pub id: String,
    /// In lower case.
    pub email: String,
    /// For people.
    pub name: String,
    /// "admin" or "member".
    pub role: &'static str,
    /// "invited" until they have followed the invitation, then "active".
    pub state: &'static str,
    /// Whether they sign in with a second factor.
    pub second_factor: bool,
    /// When they last signed in; null: never.
    pub last_sign_in_at: Option<String>,
    /// When they were invited.
    pub created_at: String,
}

impl UserJson {
    /// A user as they are shown.
    pub fn of(user: &User) -> Self {
        Self {
            id: user.id.to_string(),
            email: user.email.clone(),
            name: user.name.clone(),
            role: user.role.name(),
            state: user.state.name(),
            second_factor: user.second_factor,
            last_sign_in_at: user.last_sign_in_at.map(rfc3339),
            created_at: rfc3339(user.created_at),
        }
    }
}

/// Invites somebody. They are mailed a link with which they choose their password.
#[utoipa::path(
    post,
    path = paths::USERS,
    request_body = UserInput,
    tag = "users",
    responses((status = 201, body = UserJson), ApiError)
)]
pub async fn invite(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let email = fields.require("email", "a string")?;
    let name = fields.require("name", "a string")?;
    let role = role(fields.require("role", "a string")?)?;
    fields.finish()?;
    let values = UserValues { email, name, role };
    let user = api.parts.catalog.invite(caller.actor(), Arc::clone(&caller.subscription), values).await;
    let user = user.map_err(ApiError::from_user_change)?;
    let location = format!("{}/{}", paths::USERS, user.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(UserJson::of(&user))).into_response())
}

/// Lists the subscription's users, oldest first, all on one page.
#[utoipa::path(get, path = paths::USERS, tag = "users", responses((status = 200, body = List<UserJson>), ApiError))]
pub async fn list(caller: Caller, State(api): State<Arc<Api>>) -> Json<List<UserJson>> {
    let users = api.parts.catalog.users(caller.subscription.id);
    Json(List { data: users.iter().map(|user| UserJson::of(user)).collect(), next: None })
}

/// Reads one user.
#[utoipa::path(
    get,
    path = paths::USER,
    params(("id" = String, Path)),
    tag = "users",
    responses((status = 200, body = UserJson), ApiError)
)]
pub async fn read(caller: Caller, State(api): State<Arc<Api>>, Id(id): Id) -> Result<Json<UserJson>, ApiError> {
    let current = api.parts.catalog.current();
    let user = current.user(caller.subscription.id, user_id(&id)?).ok_or(ApiError::NotFound("user"))?;
    Ok(Json(UserJson::of(user)))
}

/// Changes a user's name or role. The last admin cannot be made a member.
#[utoipa::path(
    patch,
    path = paths::USER,
    params(("id" = String, Path)),
    request_body = Option<UserChange>,
    tag = "users",
    responses((status = 200, body = UserJson), ApiError)
)]
pub async fn patch(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    Id(id): Id,
    mut fields: Fields,
) -> Result<Json<UserJson>, ApiError> {
    let of = (caller.subscription.id, user_id(&id)?);
    let name = fields.take("name", "a string")?;
    let role = fields.take("role", "a string")?.map(role).transpose()?;
    fields.finish()?;
    let user = api.parts.catalog.patch_user(caller.actor(), of, UserPatch { name, role }).await;
    let user = user.map_err(ApiError::from_user_change)?;
    Ok(Json(UserJson::of(&user)))
}

/// Removes a user: their sessions end at once. What they made stays theirs. The last admin cannot be removed.
#[utoipa::path(
    delete,
    path = paths::USER,
    params(("id" = String, Path)),
    tag = "users",
    responses((status = 204), ApiError)
)]
pub async fn remove(Admin(caller): Admin, State(api): State<Arc<Api>>, Id(id): Id) -> Result<StatusCode, ApiError> {
    let of = (caller.subscription.id, user_id(&id)?);
    api.parts.catalog.remove_user(caller.actor(), of).await.map_err(ApiError::from_user_change)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Mails an invitation that was not accepted yet once more, with a new link. The old link opens nothing any more.
#[utoipa::path(
    post,
    path = paths::USER_INVITE,
    params(("id" = String, Path)),
    tag = "users",
    responses((status = 202, body = UserJson), ApiError)
)]
pub async fn invite_again(Admin(caller): Admin, State(api): State<Arc<Api>>, Id(id): Id) -> Result<Response, ApiError> {
    let (id, subscription) = (user_id(&id)?, Arc::clone(&caller.subscription));
    let user = api.parts.catalog.invite_again(caller.actor(), subscription, id).await;
    let user = user.map_err(ApiError::from_user_change)?;
    Ok((StatusCode::ACCEPTED, Json(UserJson::of(&user))).into_response())
}

fn user_id(text: &str) -> Result<UserId, ApiError> {
    text.parse().map_err(|_| ApiError::NotFound("user"))
}

/// A role by its name.
pub(super) fn role(name: String) -> Result<Role, ApiError> {
    Role::from_name(&name).ok_or_else(|| ApiError::field("role", "must be \"admin\" or \"member\""))
}
