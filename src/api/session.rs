//! `/session`: signing in and out, and what people do for their own account while they are signed in.

use super::auth::{Anybody, Person};
use super::body::Fields;
use super::problem::{ApiError, SubscriptionJson};
use super::users::UserJson;
use super::{Api, cookie, paths};
use crate::catalog::{Session, SignIn, SignInError, SignedIn};
use crate::model::{Secret, SubscriptionId};
use axum::Json;
use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// What to sign in with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct SignInInput {
    /// Upper and lower case are the same.
    #[schema(example = "ada@example.com")]
    pub email: String,
    /// As typed.
    pub password: String,
    /// From the authenticator app, or a recovery code; needed when the answer is 401 `code_needed`.
    #[schema(example = "123456")]
    pub code: Option<String>,
    /// Needed when the answer is 409 `choose_subscription`.
    pub subscription_id: Option<u64>,
}

/// What another password takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct PasswordInput {
    /// The one that holds until now.
    pub current_password: String,
    /// At least 12 characters.
    pub password: String,
}

/// What another e-mail address takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct EmailInput {
    /// Asked for again.
    pub current_password: String,
    /// The new one.
    #[schema(example = "ada@example.org")]
    pub email: String,
}

/// A password, asked for again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct CurrentPasswordInput {
    /// Asked for again.
    pub current_password: String,
}

/// A code of the authenticator app.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct CodeInput {
    /// The one that the app shows now.
    #[schema(example = "123456")]
    pub code: String,
}

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionJson {
    /// Who.
    pub user: UserJson,
    /// In which subscription.
    pub subscription: SubscriptionJson,
    /// To be sent as X-CSRF-Token with every call other than GET.
    pub csrf_token: String,
    /// When the session ends, however much it is used.
    pub expires_at: String,
}

/// The seed of a second factor. Only in the answer to the call that made it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SecondFactorSeed)]
pub struct SeedJson {
    /// In base32, to be typed into the app.
    pub secret: String,
    /// `otpauth://…`, to be shown as a QR code.
    pub url: String,
}

/// The recovery codes of a second factor. Only in the answer to the call that made them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecoveryCodes)]
pub struct RecoveryCodesJson {
    /// Each opens once in place of a code.
    pub recovery_codes: Vec<String>,
}

/// Signs in. The answer sets the session's cookie.
#[utoipa::path(
    post,
    path = paths::SESSION,
    request_body = SignInInput,
    tag = "session",
    security(()),
    responses((status = 201, body = SessionJson), ApiError)
)]
pub async fn sign_in(
    Anybody(visit): Anybody,
    State(api): State<Arc<Api>>,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let email: String = fields.require("email", "a string")?;
    let password = secret(&mut fields, "password")?;
    let code = fields.take::<Option<String>>("code", "a string")?.flatten();
    let subscription = fields.take::<Option<u64>>("subscription_id", "a number")?.flatten().map(SubscriptionId);
    fields.finish()?;
    let address = visit.address;
    api.throttle.try_account(&email, address).map_err(ApiError::TooManyTries)?;
    let asked = SignIn { email: email.clone(), password, code, subscription };
    let signed_in = api.parts.catalog.sign_in(asked, visit).await;
    // The password was right in these cases too: who has a second factor, or two subscriptions, comes twice.
    if matches!(signed_in, Ok(_) | Err(SignInError::CodeNeeded | SignInError::Choose(_))) {
        api.throttle.proved(&email, address);
    }
    opened(&api, &signed_in.map_err(ApiError::from_sign_in)?)
}

/// Says who is signed in.
#[utoipa::path(get, path = paths::SESSION, tag = "session", responses((status = 200, body = SessionJson), ApiError))]
pub async fn read(person: Person, State(api): State<Arc<Api>>, headers: HeaderMap) -> Json<SessionJson> {
    let token = cookie::token(&headers, api.parts.secure).unwrap_or_default();
    Json(SessionJson::of(&person.session, SubscriptionJson::of(&person.subscription), token))
}

/// Signs out.
#[utoipa::path(delete, path = paths::SESSION, tag = "session", responses((status = 204), ApiError))]
pub async fn sign_out(person: Person, State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    let ended = api.parts.catalog.sign_out(&person.session, &person.visit).await;
    ended.map_err(|error| ApiError::internal(&error))?;
    Ok(closed(&api))
}

/// Signs out everywhere: all of the caller's sessions end at once, this one too.
#[utoipa::path(delete, path = paths::SESSIONS, tag = "session", responses((status = 204), ApiError))]
pub async fn sign_out_everywhere(person: Person, State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    let ended = api.parts.catalog.sign_out_everywhere(&person.session.user, &person.visit).await;
    ended.map_err(|error| ApiError::internal(&error))?;
    Ok(closed(&api))
}

/// Sets another password. All other sessions of the caller end.
#[utoipa::path(
    put,
    path = paths::SESSION_PASSWORD,
    request_body = PasswordInput,
    tag = "session",
    responses((status = 204), ApiError)
)]
pub async fn change_password(
    person: Person,
    State(api): State<Arc<Api>>,
    mut fields: Fields,
) -> Result<StatusCode, ApiError> {
    let (old, new) = (secret(&mut fields, "current_password")?, secret(&mut fields, "password")?);
    fields.finish()?;
    let (session, visit) = (person.session.clone(), person.visit.clone());
    guarded(&api, &person, api.parts.catalog.change_password(session, (old, new), visit)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Mails a link to a new e-mail address. It becomes the caller's once they have followed the link.
#[utoipa::path(
    put,
    path = paths::SESSION_EMAIL,
    request_body = EmailInput,
    tag = "session",
    responses((status = 202), ApiError)
)]
pub async fn change_email(
    person: Person,
    State(api): State<Arc<Api>>,
    mut fields: Fields,
) -> Result<StatusCode, ApiError> {
    let password = secret(&mut fields, "current_password")?;
    let email = fields.require("email", "a string")?;
    fields.finish()?;
    guarded(&api, &person, api.parts.catalog.change_email(&person.session, (password, email))).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Makes the seed of a second factor. It is in force once PUT has seen a code made from it.
#[utoipa::path(
    post,
    path = paths::SESSION_SECOND_FACTOR,
    request_body = CurrentPasswordInput,
    tag = "session",
    responses((status = 201, body = SeedJson), ApiError)
)]
pub async fn begin_second_factor(
    person: Person,
    State(api): State<Arc<Api>>,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let password = secret(&mut fields, "current_password")?;
    fields.finish()?;
    let seed = guarded(&api, &person, api.parts.catalog.begin_second_factor(&person.session, password)).await?;
    Ok((StatusCode::CREATED, Json(SeedJson { secret: seed.secret, url: seed.url })).into_response())
}

/// Puts the second factor in force, by a code made from its seed. The answer holds the recovery codes.
#[utoipa::path(
    put,
    path = paths::SESSION_SECOND_FACTOR,
    request_body = CodeInput,
    tag = "session",
    responses((status = 200, body = RecoveryCodesJson), ApiError)
)]
pub async fn confirm_second_factor(
    person: Person,
    State(api): State<Arc<Api>>,
    mut fields: Fields,
) -> Result<Json<RecoveryCodesJson>, ApiError> {
    let code: String = fields.require("code", "a string")?;
    fields.finish()?;
    let visit = person.visit.clone();
    let codes = guarded(&api, &person, api.parts.catalog.confirm_second_factor(&person.session, visit, code)).await?;
    Ok(Json(RecoveryCodesJson { recovery_codes: codes }))
}

/// Ends the second factor.
#[utoipa::path(
    delete,
    path = paths::SESSION_SECOND_FACTOR,
    request_body = CurrentPasswordInput,
    tag = "session",
    responses((status = 204), ApiError)
)]
pub async fn end_second_factor(
    person: Person,
    State(api): State<Arc<Api>>,
    mut fields: Fields,
) -> Result<StatusCode, ApiError> {
    let password = secret(&mut fields, "current_password")?;
    fields.finish()?;
    let visit = person.visit.clone();
    guarded(&api, &person, api.parts.catalog.end_second_factor(&person.session, visit, password)).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl SessionJson {
    fn of(session: &Session, subscription: SubscriptionJson, token: &str) -> Self {
        Self {
            user: UserJson::of(&session.user),
            subscription,
            csrf_token: cookie::csrf_token(token),
            expires_at: super::answer::rfc3339(session.expires_at),
        }
    }
}

/// The answer to whoever has just signed in.
pub(super) fn opened(api: &Api, signed_in: &SignedIn) -> Result<Response, ApiError> {
    let SignedIn { token, session } = signed_in;
    let current = api.parts.catalog.current();
    let subscription = current.subscriptions.get(&session.user.subscription).ok_or(ApiError::Internal)?;
    let cookie = session_cookie(api, signed_in).map(|value| (header::SET_COOKIE, value));
    let shown = SessionJson::of(session, SubscriptionJson::of(subscription), token);
    Ok((StatusCode::CREATED, AppendHeaders(cookie), Json(shown)).into_response())
}

/// The header that gives a browser its session.
pub(super) fn session_cookie(api: &Api, SignedIn { token, session }: &SignedIn) -> Option<HeaderValue> {
    cookie::set(token, session.expires_at.since(session.created_at), api.parts.secure)
}

fn closed(api: &Api) -> Response {
    let cookie = cookie::clear(api.parts.secure).map(|value| (header::SET_COOKIE, value));
    (StatusCode::NO_CONTENT, AppendHeaders(cookie)).into_response()
}

/// Counts a password or code that was asked for again like one at the door: a session that somebody found open gives
/// them no more tries.
async fn guarded<T>(
    api: &Api,
    person: &Person,
    change: impl Future<Output = Result<T, crate::catalog::ChangeError>>,
) -> Result<T, ApiError> {
    let (account, address) = (&person.session.user.email, person.visit.address);
    api.throttle.try_account(account, address).map_err(ApiError::TooManyTries)?;
    let changed = change.await.map_err(ApiError::from_user_change)?;
    api.throttle.proved(account, address);
    Ok(changed)
}

/// A field that must not be shown anywhere.
pub(super) fn secret(fields: &mut Fields, field: &str) -> Result<Secret, ApiError> {
    fields.require::<String>(field, "a string").map(Secret::new)
}
