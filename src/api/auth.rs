//! Who calls, and what they may do.

use super::answer::rfc3339;
use super::problem::ApiError;
use super::throttle::StandingCell;
use super::{Api, cookie};
use crate::catalog::{Actor, ApiKey, Role, Session, Subscription, Visit};
use crate::intake;
use crate::limits;
use crate::model::UserId;
use axum::extract::FromRequestParts;
use http::header::{AUTHORIZATION, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Method};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// The header in which Pendo's clients send their key.
const KEY_HEADER: &str = "x-pendo-integration-key";

/// The header by which the console shows that a call comes from itself.
const CSRF_HEADER: &str = "x-csrf-token";

/// Somebody with a valid credential: may read what is their subscription's.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The subscription that everything they ask for must belong to.
    pub subscription: Arc<Subscription>,
    /// What they came with.
    pub who: Who,
    /// From where.
    pub visit: Visit,
}

/// A valid credential.
#[derive(Debug, Clone)]
pub enum Who {
    /// An integration key.
    Key(Arc<ApiKey>),
    /// A session of the console.
    Session(Session),
}

impl Caller {
    /// Who they are for the audit log.
    pub fn actor(&self) -> Actor {
        match &self.who {
            Who::Key(key) => Actor::key(key, self.visit.address),
            Who::Session(session) => Actor::user(&session.user, self.visit.address),
        }
    }

    /// Who owns what they make: the user, or the user who made the key.
    pub fn owner(&self) -> Option<UserId> {
        match &self.who {
            Who::Key(key) => key.made_by,
            Who::Session(session) => Some(session.user.id),
        }
    }

    fn role(&self) -> Role {
        match &self.who {
            Who::Key(key) => key.role,
            Who::Session(session) => session.user.role,
        }
    }
}

/// A [`Caller`] who may also change things.
#[derive(Debug, Clone)]
pub struct Admin(pub Caller);

/// A person at the console, whatever their role.
#[derive(Debug, Clone)]
pub struct Person {
    /// Their subscription.
    pub subscription: Arc<Subscription>,
    /// Their session.
    pub session: Session,
    /// From where.
    pub visit: Visit,
}

/// Anybody at all.
#[derive(Debug, Clone)]
pub struct Anybody(pub Visit);

impl FromRequestParts<Arc<Api>> for Anybody {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        Ok(Self(visit(parts, &api.parts.trusted_proxies)))
    }
}

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let visit = visit(parts, &api.parts.trusted_proxies);
        let standing = parts.extensions.get::<StandingCell>().cloned().unwrap_or_default();
        match key_text(&parts.headers) {
            Some(text) => with_key(api, text, (visit, &standing)),
            None => with_session(api, parts, (visit, &standing)).await,
        }
    }
}

impl FromRequestParts<Arc<Api>> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, api).await?;
        if caller.role() == Role::Admin { Ok(Self(caller)) } else { Err(ApiError::Forbidden) }
    }
}

impl FromRequestParts<Arc<Api>> for Person {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let Caller { subscription, who, visit } = Caller::from_request_parts(parts, api).await?;
        match who {
            Who::Session(session) => Ok(Self { subscription, session, visit }),
            Who::Key(_) => Err(ApiError::NoSession),
        }
    }
}

fn with_key(api: &Api, text: &str, (visit, standing): (Visit, &StandingCell)) -> Result<Caller, ApiError> {
    let current = api.parts.catalog.current();
    // Looked up before anything is counted, so that somebody's guesses never slow a valid key. The look-up is by
    // hash: how long it takes says nothing about how much of a key was right.
    let key = (text.len() <= limits::KEY_BYTES).then(|| current.key(text)).flatten();
    let Some(key) = key else { return Err(wrong(api, visit.address, ApiError::WrongKey)) };
    api.throttle.call(key.id.0, standing).map_err(ApiError::TooManyCalls)?;
    let now = api.parts.clock.now();
    if let Some(at) = key.expires_at.filter(|_| key.has_expired(now)) {
        return Err(ApiError::KeyExpired(rfc3339(at)));
    }
    let subscription = current.subscriptions.get(&key.subscription).ok_or(ApiError::WrongKey)?;
    api.parts.catalog.note_key_use(key.id, now);
    Ok(Caller { subscription: Arc::clone(subscription), who: Who::Key(Arc::clone(key)), visit })
}

async fn with_session(api: &Api, parts: &Parts, (visit, standing): (Visit, &StandingCell)) -> Result<Caller, ApiError> {
    let token = cookie::token(&parts.headers, api.parts.secure).ok_or(ApiError::NoKey)?;
    let session = match token.len() <= limits::KEY_BYTES {
        true => api.parts.catalog.session(token).await.map_err(|error| ApiError::internal(&error))?,
        false => None,
    };
    let Some(session) = session else { return Err(wrong(api, visit.address, ApiError::SessionEnded)) };
    api.throttle.call(session.user.id.0, standing).map_err(ApiError::TooManyCalls)?;
    let is_safe = matches!(parts.method, Method::GET | Method::HEAD);
    let shown = parts.headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
    if !is_safe && !shown.is_some_and(|shown| cookie::is_csrf_token(token, shown)) {
        return Err(ApiError::Csrf);
    }
    let current = api.parts.catalog.current();
    let subscription = current.subscriptions.get(&session.user.subscription).ok_or(ApiError::SessionEnded)?;
    Ok(Caller { subscription: Arc::clone(subscription), who: Who::Session(session), visit })
}

/// Whether what somebody came with still opens what it did: for answers that go on after that was looked at.
pub async fn still_opens(api: &Api, headers: &HeaderMap, caller: &Caller) -> bool {
    match &caller.who {
        Who::Key(key) => {
            let current = api.parts.catalog.current();
            let found = key_text(headers).and_then(|text| current.key(text));
            found.is_some_and(|found| {
                found.id == key.id && found.role == key.role && !found.has_expired(api.parts.clock.now())
            })
        }
        Who::Session(session) => {
            let Some(token) = cookie::token(headers, api.parts.secure) else { return false };
            let found = api.parts.catalog.session(token).await.ok().flatten();
            found.is_some_and(|found| found.user.id == session.user.id && found.user.role == session.user.role)
        }
    }
}

/// Counts a credential that nobody has.
fn wrong(api: &Api, address: IpAddr, error: ApiError) -> ApiError {
    api.throttle.wrong_key(address).map_or_else(ApiError::TooManyWrongKeys, |()| error)
}

/// The key as sent, in either of its two places. An Authorization header of another scheme is none of ours.
fn key_text(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
    });
    bearer.or_else(|| headers.get(KEY_HEADER)?.to_str().ok()).filter(|key| !key.is_empty())
}

fn visit(parts: &Parts, trusted: &[IpNet]) -> Visit {
    let user_agent = parts.headers.get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let address = intake::client(&parts.headers, &parts.extensions, trusted);
    let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    Visit { address, user_agent: user_agent.unwrap_or_default() }
}
