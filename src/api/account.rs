//! What people do before they can sign in, with the token of a link: set up, accept an invitation, reset a password,
//! confirm an address.

use super::auth::Anybody;
use super::body::Fields;
use super::problem::ApiError;
use super::session::{SessionJson, opened, secret};
use super::{Api, paths};
use crate::catalog::{ChangeError, NewAdmin};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use utoipa::ToSchema;

/// The first admin.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct SetUpInput {
    /// From the link that `fanfare init` printed.
    pub token: String,
    /// Where mails about webhooks go.
    #[schema(example = "ada@example.com")]
    pub email: String,
    /// 1 to 255 characters.
    #[schema(example = "Ada Lovelace")]
    pub name: String,
    /// At least 12 characters.
    pub password: String,
}

/// Whether there is a first admin.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SetUp)]
pub struct SetUpJson {
    /// Whether the set-up link waits to be used.
    pub needed: bool,
}

/// What accepting an invitation takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct AcceptInput {
    /// From the link in the mail.
    pub token: String,
    /// At least 12 characters.
    pub password: String,
    /// Another name than the one in the invitation.
    pub name: Option<String>,
}

/// Who has forgotten a password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct ForgottenInput {
    /// Where the mail goes, if somebody has this address.
    #[schema(example = "ada@example.com")]
    pub email: String,
}

/// What a reset takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PasswordResetInput)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct ResetInput {
    /// From the link in the mail.
    pub token: String,
    /// At least 12 characters.
    pub password: String,
}

/// What confirming an address takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct ConfirmInput {
    /// From the link in the mail.
    pub token: String,
}

/// Says whether the installation waits for its first admin.
#[utoipa::path(
    get,
    path = paths::SET_UP,
    tag = "account",
    security(()),
    responses((status = 200, body = SetUpJson), ApiError)
)]
pub async fn needs_set_up(State(api): State<Arc<Api>>) -> Result<Json<SetUpJson>, ApiError> {
    let needed = api.parts.catalog.needs_set_up().await.map_err(|error| ApiError::internal(&error))?;
    Ok(Json(SetUpJson { needed }))
}

/// Makes the first admin, by the link that `fanfare init` printed, and signs them in. It works once.
#[utoipa::path(
    post,
    path = paths::SET_UP,
    request_body = SetUpInput,
    tag = "account",
    security(()),
    responses((status = 201, body = SessionJson), ApiError)
)]
pub async fn set_up(
    Anybody(visit): Anybody,
    State(api): State<Arc<Api>>,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let token = secret(&mut fields, "token")?;
    let email = fields.require("email", "a string")?;
    let name = fields.require("name", "a string")?;
    let password = secret(&mut fields, "password")?;
    fields.finish()?;
    let (address, admin) = (visit.address, NewAdmin { token, email, name, password });
    let signed_in = guarded(&api, address, api.parts.catalog.set_up(admin, visit)).await?;
    opened(&api, &signed_in)
}

/// Accepts an invitation: chooses a password, and signs in.
#[utoipa::path(
    post,
    path = paths::INVITATION,
    request_body = AcceptInput,
    tag = "account",
    security(()),
    responses((status = 201, body = SessionJson), ApiError)
)]
pub async fn accept(
    Anybody(visit): Anybody,
    State(api): State<Arc<Api>>,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let (token, password) = (secret(&mut fields, "token")?, secret(&mut fields, "password")?);
    let name = fields.take::<Option<String>>("name", "a string")?.flatten();
    fields.finish()?;
    let address = visit.address;
    let accepted = api.parts.catalog.accept_invitation(token, (name, password), visit);
    opened(&api, &guarded(&api, address, accepted).await?)
}

/// Mails a link for another password, if somebody has this address. The answer is the same when nobody has.
#[utoipa::path(
    post,
    path = paths::PASSWORD_RESET,
    request_body = ForgottenInput,
    tag = "account",
    security(()),
    responses((status = 202), ApiError)
)]
pub async fn forgot(
    Anybody(visit): Anybody,
    State(api): State<Arc<Api>>,
    mut fields: Fields,
) -> Result<StatusCode, ApiError> {
    let email: String = fields.require("email", "a string")?;
    fields.finish()?;
    // Not taken back: each may send a mail.
    api.throttle.try_secret(visit.address).map_err(ApiError::TooManyTries)?;
    // Not waited for: how long it takes would tell whether there is somebody.
    tokio::spawn(async move {
        if let Err(error) = api.parts.catalog.forgot_password(&email).await {
            tracing::error!(%error, "a mail for another password was not queued");
        }
    });
    Ok(StatusCode::ACCEPTED)
}

/// Sets another password, by the link that was mailed. All sessions of the account end.
#[utoipa::path(
    put,
    path = paths::PASSWORD_RESET,
    request_body = ResetInput,
    tag = "account",
    security(()),
    responses((status = 204), ApiError)
)]
pub async fn reset(
    Anybody(visit): Anybody,
    State(api): State<Arc<Api>>,
    mut fields: Fields,
) -> Result<StatusCode, ApiError> {
    let (token, password) = (secret(&mut fields, "token")?, secret(&mut fields, "password")?);
    fields.finish()?;
    guarded(&api, visit.address, api.parts.catalog.reset_password(token, password, visit)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a new e-mail address somebody's own, by the link that was mailed to it.
#[utoipa::path(
    post,
    path = paths::EMAIL_CHANGE,
    request_body = ConfirmInput,
    tag = "account",
    security(()),
    responses((status = 204), ApiError)
)]
pub async fn confirm_email(
    Anybody(visit): Anybody,
    State(api): State<Arc<Api>>,
    mut fields: Fields,
) -> Result<StatusCode, ApiError> {
    let token = secret(&mut fields, "token")?;
    fields.finish()?;
    guarded(&api, visit.address, api.parts.catalog.confirm_email(token, visit)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Counts tokens that open nothing.
async fn guarded<T>(
    api: &Api,
    address: IpAddr,
    change: impl Future<Output = Result<T, ChangeError>>,
) -> Result<T, ApiError> {
    api.throttle.try_secret(address).map_err(ApiError::TooManyTries)?;
    let changed = change.await;
    if !matches!(changed, Err(ChangeError::Link)) {
        api.throttle.proved_secret(address);
    }
    changed.map_err(ApiError::from_user_change)
}
