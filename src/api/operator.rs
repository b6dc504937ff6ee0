//! What `fanfare operator` asks of the running server. Each call is signed with a key made from the master key, and
//! comes from this machine; none is in the OpenAPI document.

use super::answer::rfc3339;
use super::auth::Anybody;
use super::body::{self, Fields};
use super::paths::Id;
use super::problem::ApiError;
use super::users::{self, UserJson};
use super::{Api, list};
use crate::catalog::{Actor, Subscription, UserValues};
use crate::mail::Outgoing;
use crate::model::{SubscriptionId, UserId, WebhookId};
use crate::seal::OperatorCall;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use http::StatusCode;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use std::sync::Arc;

/// Everything that the operator's command line calls starts with this.
pub const PREFIX: &str = "/api/operator/v1";

/// A call that holds the operator's signature, and its body.
#[derive(Debug)]
pub struct Operator(Fields);

impl FromRequest<Arc<Api>> for Operator {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let Anybody(visit) = Anybody::from_request_parts(&mut parts, api).await?;
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let body = body::read(Request::from_parts(parts.clone(), body), api.parts.settings.body_bytes).await?;
        let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
        let call = OperatorCall { method: parts.method.as_str(), target, body: &body };
        let key = api.parts.catalog.operator_key();
        if !visit.address.is_loopback() || !key.opens(header, call, api.parts.clock.now()) {
            let refused = api.throttle.wrong_key(visit.address);
            return Err(refused.map_or_else(ApiError::TooManyWrongKeys, |()| ApiError::NotOperator));
        }
        Fields::of(&body).map(Self)
    }
}

/// The routes.
pub(super) fn router() -> Router<Arc<Api>> {
    let at = |path: &str| format!("{PREFIX}{path}");
    Router::new()
        .route(&at("/subscriptions"), get(subscriptions).post(make_subscription))
        .route(&at("/subscriptions/{id}"), delete(remove_subscription))
        .route(&at("/subscriptions/{id}/users"), get(list_users).post(invite))
        .route(&at("/users/{id}"), delete(remove_user))
        .route(&at("/users/{id}/link"), post(link))
        .route(&at("/webhooks/{id}/turn-on"), post(turn_on))
        .route(&at("/mails"), get(mails))
}

async fn subscriptions(State(api): State<Arc<Api>>, _: Operator) -> Json<Value> {
    let current = api.parts.catalog.current();
    let shown = |subscription: &Arc<Subscription>| {
        let id = subscription.id;
        let webhooks = current.webhooks.values().filter(|webhook| webhook.subscription == id).count();
        json!({
            "id": id.0,
            "name": subscription.name,
            "apps": current.apps_of(id).count(),
            "users": current.users_of(id).count(),
            "webhooks": webhooks,
        })
    };
    Json(json!({"data": api.parts.catalog.subscriptions().iter().map(shown).collect::<Vec<_>>()}))
}

async fn make_subscription(
    State(api): State<Arc<Api>>,
    Operator(mut fields): Operator,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let name: String = fields.require("name", "a string")?;
    let app = fields.take("app_name", "a string")?.unwrap_or_else(|| name.clone());
    fields.finish()?;
    let made = api.parts.catalog.make_subscription(Actor::operator(), (name, app)).await.map_err(from_change)?;
    let shown = json!({
        "subscription_id": made.id.0,
        "agent_key": made.agent_key,
        "track_secret": made.track_secret,
        "integration_key": made.integration_key,
    });
    Ok((StatusCode::CREATED, Json(shown)))
}

async fn remove_subscription(State(api): State<Arc<Api>>, Id(id): Id, _: Operator) -> Result<StatusCode, ApiError> {
    let id = subscription_id(&id)?;
    let journal = Arc::clone(&api.parts.journal);
    api.parts.catalog.remove_subscription(Actor::operator(), journal, id).await.map_err(from_change)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_users(State(api): State<Arc<Api>>, Id(id): Id, _: Operator) -> Result<Json<Value>, ApiError> {
    let subscription = subscription(&api, &id)?;
    let users = api.parts.catalog.users(subscription.id);
    Ok(Json(json!({"data": users.iter().map(|user| UserJson::of(user)).collect::<Vec<_>>()})))
}

async fn invite(
    State(api): State<Arc<Api>>,
    Id(id): Id,
    Operator(mut fields): Operator,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let subscription = subscription(&api, &id)?;
    let email = fields.require("email", "a string")?;
    let name = fields.require("name", "a string")?;
    let role = users::role(fields.require("role", "a string")?)?;
    fields.finish()?;
    let values = UserValues { email, name, role };
    let user = api.parts.catalog.invite(Actor::operator(), subscription, values).await;
    let user = user.map_err(ApiError::from_user_change)?;
    // Also where no mail server is: the operator passes it on.
    let link = api.parts.catalog.link_for(Actor::operator(), user.id, false).await;
    let link = link.map_err(ApiError::from_user_change)?;
    Ok((StatusCode::CREATED, Json(json!({"user": UserJson::of(&user), "link": link}))))
}

async fn remove_user(State(api): State<Arc<Api>>, Id(id): Id, _: Operator) -> Result<StatusCode, ApiError> {
    let id = user_id(&id)?;
    let subscription = api.parts.catalog.current().users.get(&id).map(|user| user.subscription);
    let of = (subscription.ok_or(ApiError::NotFound("user"))?, id);
    api.parts.catalog.remove_user(Actor::operator(), of).await.map_err(ApiError::from_user_change)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn link(
    State(api): State<Arc<Api>>,
    Id(id): Id,
    Operator(mut fields): Operator,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let without_second_factor = fields.take("without_second_factor", "true or false")?.unwrap_or(false);
    fields.finish()?;
    let link = api.parts.catalog.link_for(Actor::operator(), user_id(&id)?, without_second_factor).await;
    Ok((StatusCode::CREATED, Json(json!({"link": link.map_err(ApiError::from_user_change)?}))))
}

async fn turn_on(State(api): State<Arc<Api>>, Id(id): Id, _: Operator) -> Result<Json<Value>, ApiError> {
    let id: WebhookId = id.parse().map_err(|_| ApiError::NotFound("webhook"))?;
    let subscription = api.parts.catalog.current().webhooks.get(&id).map(|webhook| webhook.subscription);
    let of = (subscription.ok_or(ApiError::NotFound("webhook"))?, id);
    let journal = Arc::clone(&api.parts.journal);
    let turned = api.parts.catalog.turn_on(Actor::operator(), journal, of).await.map_err(ApiError::from_change)?;
    Ok(Json(json!({"id": id.to_string(), "name": turned.webhook.values.name, "state": turned.webhook.state.name()})))
}

async fn mails(State(api): State<Arc<Api>>, _: Operator) -> Result<Json<Value>, ApiError> {
    let mails = api.parts.catalog.mail().newest(list::limit(None)?).await;
    let mails = mails.map_err(|error| ApiError::internal(&error))?;
    let shown = |mail: &Outgoing| {
        json!({
            "id": format!("{:016x}", mail.row.id),
            "to": mail.row.recipient,
            "subject": mail.row.subject,
            "state": mail.row.state.name(),
            "attempts": mail.row.attempts,
            "last_error": mail.row.last_error,
            "created_at": rfc3339(mail.row.created_at),
            "text": mail.letter.as_ref().map(|letter| &letter.text),
        })
    };
    Ok(Json(json!({"data": mails.iter().map(shown).collect::<Vec<_>>()})))
}

fn subscription(api: &Api, id: &str) -> Result<Arc<Subscription>, ApiError> {
    let current = api.parts.catalog.current();
    current.subscriptions.get(&subscription_id(id)?).cloned().ok_or(ApiError::NotFound("subscription"))
}

fn subscription_id(text: &str) -> Result<SubscriptionId, ApiError> {
    text.parse().map(SubscriptionId).map_err(|_| ApiError::NotFound("subscription"))
}

fn user_id(text: &str) -> Result<UserId, ApiError> {
    text.parse().map_err(|_| ApiError::NotFound("user"))
}

fn from_change(error: crate::catalog::ChangeError) -> ApiError {
    match error {
        crate::catalog::ChangeError::NotFound => ApiError::NotFound("subscription"),
        other => ApiError::from_change(other),
    }
}
