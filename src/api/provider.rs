//! Signing in with the OpenID Connect provider: away to it, and back with what it says.

use super::auth::Anybody;
use super::list::Asked;
use super::problem::ApiError;
use super::session::session_cookie;
use super::{Api, cookie, paths};
use crate::model::SubscriptionId;
use crate::oidc::{OidcError, PENDING_TTL, Pending, Provider};
use axum::Json;
use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// How people may sign in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignInMethods)]
pub struct MethodsJson {
    /// Always true.
    pub password: bool,
    /// The OpenID Connect provider; null when there is none.
    pub provider: Option<ProviderJson>,
}

/// A provider.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignInProvider)]
pub struct ProviderJson {
    /// What people call it.
    pub name: String,
    /// Where a browser goes to sign in with it.
    pub path: &'static str,
}

/// How to leave for the provider.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BeginQuery {
    /// In which subscription to sign in, for somebody who belongs to several.
    subscription_id: Option<u64>,
}

/// What the provider sends back. It may send more, which is ignored.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CallbackQuery {
    /// What stands for the sign-in.
    code: Option<String>,
    /// What it was sent.
    state: Option<String>,
    /// Why it refuses.
    error: Option<String>,
}

/// Says how people may sign in.
#[utoipa::path(
    get,
    path = paths::SIGN_IN_METHODS,
    tag = "session",
    security(()),
    responses((status = 200, body = MethodsJson), ApiError)
)]
pub async fn methods(State(api): State<Arc<Api>>) -> Json<MethodsJson> {
    let shown =
        |provider: &Arc<Provider>| ProviderJson { name: provider.name().to_owned(), path: paths::SESSION_PROVIDER };
    Json(MethodsJson { password: true, provider: api.parts.provider.as_ref().map(shown) })
}

/// Sends a browser to the sign-in provider.
#[utoipa::path(
    get,
    path = paths::SESSION_PROVIDER,
    params(BeginQuery),
    tag = "session",
    security(()),
    responses((status = 303, description = "To the provider."), ApiError)
)]
pub async fn begin(
    Anybody(visit): Anybody,
    State(api): State<Arc<Api>>,
    Asked(asked): Asked<BeginQuery>,
) -> Result<Response, ApiError> {
    let provider = api.parts.provider.as_ref().ok_or(ApiError::NoProvider)?;
    api.throttle.try_secret(visit.address).map_err(ApiError::TooManyTries)?;
    let (url, pending) = provider.begin(asked.subscription_id).await.map_err(failed)?;
    api.throttle.proved_secret(visit.address);
    let text = serde_json::to_string(&pending).map_err(|error| ApiError::internal(&error))?;
    let kept = cookie::set_pending(&api.parts.catalog.seal_for_browser(&text), PENDING_TTL, api.parts.secure);
    Ok((AppendHeaders(kept.map(|value| (header::SET_COOKIE, value))), Redirect::to(&url)).into_response())
}

/// Signs in whoever comes back from the provider, and goes on to the console.
#[utoipa::path(
    get,
    path = paths::SESSION_PROVIDER_CALLBACK,
    params(CallbackQuery),
    tag = "session",
    security(()),
    responses((status = 303, description = "To the console, with a session."), ApiError)
)]
pub async fn callback(
    Anybody(visit): Anybody,
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Asked(asked): Asked<CallbackQuery>,
) -> Result<Response, ApiError> {
    let provider = api.parts.provider.as_ref().ok_or(ApiError::NoProvider)?;
    if let Some(error) = asked.error {
        // The provider's own word, shortened: it comes through the browser, which may be anybody's.
        let word: String = error.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect();
        return Err(failed(OidcError::Refused(word)));
    }
    let kept = cookie::pending(&headers, api.parts.secure).and_then(|kept| api.parts.catalog.open_from_browser(kept));
    let pending = kept.and_then(|text| serde_json::from_str::<Pending>(&text).ok()).ok_or(ApiError::NotPending)?;
    let (code, state) = asked.code.zip(asked.state).ok_or(ApiError::NotPending)?;
    let address = visit.address;
    api.throttle.try_secret(address).map_err(ApiError::TooManyTries)?;
    let identity = provider.finish(&pending, &code, &state).await.map_err(failed)?;
    let subscription = pending.subscription.map(SubscriptionId);
    let signed_in = api.parts.catalog.sign_in_with_provider(identity, subscription, visit).await;
    let signed_in = signed_in.map_err(ApiError::from_sign_in)?;
    api.throttle.proved_secret(address);
    let cookies = [session_cookie(&api, &signed_in), cookie::clear_pending(api.parts.secure)];
    let cookies: Vec<_> = cookies.into_iter().flatten().map(|value| (header::SET_COOKIE, value)).collect();
    Ok((AppendHeaders(cookies), Redirect::to(&api.parts.home)).into_response())
}

/// What went wrong with the provider, for whoever stands before it; the log has it too, for whoever can mend it.
fn failed(error: OidcError) -> ApiError {
    match error {
        OidcError::NotPending => ApiError::NotPending,
        error => {
            tracing::warn!(error = ?error.to_string(), "a sign-in with the provider failed");
            ApiError::Provider(error.to_string())
        }
    }
}
