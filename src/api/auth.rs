//! Who calls, and what they may do.

use super::Api;
use super::answer::rfc3339;
use super::problem::ApiError;
use crate::catalog::{Actor, ApiKey, Role, Subscription};
use crate::limits;
use axum::extract::{ConnectInfo, FromRequestParts};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// The header in which Pendo's clients send their key.
const KEY_HEADER: &str = "x-pendo-integration-key";

/// Somebody with a valid key: may read what is their subscription's.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The subscription that everything they ask for must belong to.
    pub subscription: Arc<Subscription>,
    /// The key that they came with.
    pub key: Arc<ApiKey>,
    /// From where.
    pub address: IpAddr,
}

impl Caller {
    /// Who they are for the audit log.
    pub fn actor(&self) -> Actor {
        Actor::key(&self.key, self.address)
    }
}

/// A [`Caller`] who may also change things.
#[derive(Debug, Clone)]
pub struct Admin(pub Caller);

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let text = credential(&parts.headers).ok_or(ApiError::NoKey)?;
        let current = api.parts.catalog.current();
        // Looked up before anything is counted, so that somebody's guesses never slow a valid key. The look-up is by
        // hash: how long it takes says nothing about how much of a key was right.
        let key = (text.len() <= limits::KEY_BYTES).then(|| current.key(text)).flatten();
        let address = client(parts, &api.parts.trusted_proxies);
        let Some(key) = key else {
            return Err(api
                .throttle
                .wrong_key(address)
                .map_or_else(ApiError::TooManyWrongKeys, |()| ApiError::WrongKey));
        };
        api.throttle.call(key.id).map_err(ApiError::TooManyCalls)?;
        let now = api.parts.clock.now();
        if let Some(at) = key.expires_at.filter(|_| key.has_expired(now)) {
            return Err(ApiError::KeyExpired(rfc3339(at)));
        }
        let subscription = current.subscriptions.get(&key.subscription).ok_or(ApiError::WrongKey)?;
        api.parts.catalog.note_key_use(key.id, now);
        Ok(Self { subscription: Arc::clone(subscription), key: Arc::clone(key), address })
    }
}

impl FromRequestParts<Arc<Api>> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, api).await?;
        if caller.key.role == Role::Admin { Ok(Self(caller)) } else { Err(ApiError::Forbidden) }
    }
}

/// The key as sent, in either of its two places. An Authorization header of another scheme is none of ours.
fn credential(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
    });
    bearer.or_else(|| headers.get(KEY_HEADER)?.to_str().ok()).filter(|key| !key.is_empty())
}

/// Who asks: the peer or, when the peer is a trusted proxy, the nearest address in X-Forwarded-For that is not one.
fn client(parts: &Parts, trusted: &[IpNet]) -> IpAddr {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let mut client = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip().to_canonical());
    for value in parts.headers.get_all("x-forwarded-for").iter().rev() {
        for hop in value.to_str().unwrap_or_default().rsplit(',') {
            if !trusted.iter().any(|net| net.contains(&client)) {
                return client;
            }
            let Ok(address) = hop.trim().parse::<IpAddr>() else { return client };
            client = address.to_canonical();
        }
    }
    client
}
