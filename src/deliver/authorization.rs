//! What shows the receiver who is asking: a value that stays, or a token that another server gives.

use super::token::TokenSource;
use crate::model::{Auth, EndpointError, Secret};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use std::sync::Arc;

/// The `Authorization` header of a destination's requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// Always this. It is marked as sensitive, so that it is shown nowhere.
    Fixed(HeaderValue),
    /// A token that is asked for, and kept while it holds.
    Token(Arc<TokenSource>),
}

/// Why there can be no such header. The text never repeats a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationError {
    /// The token server's address.
    #[error(transparent)]
    TokenUrl(#[from] EndpointError),
    /// A character that no header may hold.
    #[error("it cannot be sent in a header")]
    Value,
}

impl Authorization {
    /// What somebody has set, made ready.
    ///
    /// # Errors
    /// [`AuthorizationError`].
    pub fn new(auth: &Auth) -> Result<Self, AuthorizationError> {
        match auth {
            Auth::Bearer { token } => Ok(Self::Fixed(bearer(token.expose())?)),
            Auth::Basic { username, password } => Ok(Self::Fixed(basic(username.as_bytes(), password)?)),
            Auth::OAuth2(client) => Ok(Self::Token(Arc::new(TokenSource::new(client.clone())?))),
        }
    }
}

/// A bearer token as a header's value.
pub(super) fn bearer(token: &[u8]) -> Result<HeaderValue, AuthorizationError> {
    hidden(&[b"Bearer ", token].concat())
}

/// Name and password as a header's value.
pub(super) fn basic(username: &[u8], password: &Secret) -> Result<HeaderValue, AuthorizationError> {
    let pair = [username, b":", password.expose()].concat();
    hidden(format!("Basic {}", BASE64_STANDARD.encode(pair)).as_bytes())
}

fn hidden(bytes: &[u8]) -> Result<HeaderValue, AuthorizationError> {
    let mut value = HeaderValue::from_bytes(bytes).map_err(|_| AuthorizationError::Value)?;
    value.set_sensitive(true);
    Ok(value)
}
