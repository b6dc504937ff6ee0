//! Signing in with an OpenID Connect provider: the authorization code flow with PKCE, for any provider that publishes a
//! discovery document.
//!
//! What has to be remembered between leaving for the provider and coming back ([`Pending`]) is kept by the browser,
//! sealed; so any node can end what another began.

mod fetch;
mod token;

use crate::clock::{Clock, Random};
use crate::config::OidcSettings;
use crate::deliver::Tls;
use crate::model::{Secret, UnixMs};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use fetch::Fetch;
use form_urlencoded::Serializer;
use jsonwebtoken::jwk::JwkSet;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long what a provider says of itself is believed.
const BELIEVED: Duration = Duration::from_secs(3600);

/// How long somebody may take at the provider.
pub const PENDING_TTL: Duration = Duration::from_secs(600);

/// Why somebody could not be signed in with the provider.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// It cannot be reached, or answers what no provider answers.
    #[error("the sign-in provider does not answer as it should: {0}")]
    Provider(String),
    /// It says no.
    #[error("the sign-in provider refused: {0}")]
    Refused(String),
    /// What it says is not for us, not now, or not by it.
    #[error("what the sign-in provider says of the user cannot be trusted: {0}")]
    Untrusted(String),
    /// The browser comes back without having left, or too late.
    #[error("this sign-in was not begun in this browser, or too long ago: begin again")]
    NotPending,
}

/// Somebody who has left for the provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pending {
    state: String,
    nonce: String,
    verifier: String,
    at: i64,
    /// In which subscription they want to be signed in, if they said so.
    pub subscription: Option<u64>,
}

/// Who somebody is, says the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Never changes, and is never given to another.
    pub subject: String,
    /// Their address, if the provider knows that it is theirs.
    pub verified_email: Option<String>,
}

/// What a provider says of itself (its discovery document).
#[derive(Debug, Clone, Deserialize)]
struct Discovery {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// What is known of it, since when.
#[derive(Debug, Clone)]
struct Known {
    at: UnixMs,
    discovery: Discovery,
    keys: JwkSet,
}

/// The provider that the settings name.
#[derive(Debug)]
pub struct Provider {
    settings: OidcSettings,
    issuer: String,
    secret: Option<Secret>,
    redirect_uri: String,
    fetch: Fetch,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    known: Mutex<Option<Known>>,
}

impl Provider {
    /// The settings' provider; `None` when they name none. `callback` is the URL to which it sends browsers back.
    pub fn new(
        settings: &OidcSettings,
        secret: Option<Secret>,
        callback: String,
        tls: Tls,
        (clock, random): (Arc<dyn Clock>, Arc<dyn Random>),
    ) -> Option<Self> {
        token::install();
        Some(Self {
            issuer: settings.issuer.clone()?,
            settings: settings.clone(),
            secret,
            redirect_uri: callback,
            fetch: Fetch::new(tls),
            clock,
            random,
            known: Mutex::default(),
        })
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// The URL at the provider to which the browser goes, and what it has to bring back.
    ///
    /// # Errors
    /// [`OidcError::Provider`].
    pub async fn begin(&self, subscription: Option<u64>) -> Result<(String, Pending), OidcError> {
        let discovery = self.known(false).await?.discovery;
        let pending = Pending {
            state: self.token(),
            nonce: self.token(),
            verifier: self.token(),
            at: self.clock.now().0,
            subscription,
        };
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, pending.verifier.as_bytes()));
        let query = Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", "openid email")
            .append_pair("state", &pending.state)
            .append_pair("nonce", &pending.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .finish();
        let separator = if discovery.authorization_endpoint.contains('?') { '&' } else { '?' };
        Ok((format!("{}{separator}{query}", discovery.authorization_endpoint), pending))
    }

    /// Who it was that came back with this code and this state.
    ///
    /// # Errors
    /// [`OidcError`].
    pub async fn finish(&self, pending: &Pending, code: &str, state: &str) -> Result<Identity, OidcError> {
        let now = self.clock.now();
        let is_late = now >= UnixMs(pending.at).after(PENDING_TTL);
        if is_late || digest(&SHA256, pending.state.as_bytes()).as_ref() != digest(&SHA256, state.as_bytes()).as_ref() {
            return Err(OidcError::NotPending);
        }
        let known = self.known(false).await?;
        let id_token = self.exchange(&known.discovery, pending, code).await?;
        // A key that is not known yet may be new: the provider is asked again, once.
        let known = if token::knows_key(&id_token, &known.keys) { known } else { self.known(true).await? };
        let expected =
            token::Expected { issuer: &self.issuer, audience: &self.settings.client_id, nonce: &pending.nonce, now };
        token::identity(&id_token, &known.keys, &expected)
    }

    /// Gives the code for the ID token.
    async fn exchange(&self, discovery: &Discovery, pending: &Pending, code: &str) -> Result<String, OidcError> {
        let (form, authorization) = self.token_request(discovery, pending, code);
        let answer = self.fetch.post_form(&discovery.token_endpoint, authorization.as_deref(), form).await?;
        let token = answer["id_token"].as_str().map(ToOwned::to_owned);
        token.ok_or_else(|| OidcError::Provider(String::from("its token endpoint gave no ID token")))
    }

    /// The form that asks for the token, and the Authorization header. The secret is in the header, unless the provider
    /// says that it takes it in the form only.
    fn token_request(&self, discovery: &Discovery, pending: &Pending, code: &str) -> (String, Option<String>) {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("code_verifier", &pending.verifier);
        let id = &self.settings.client_id;
        let Some(secret) = &self.secret else { return (form.append_pair("client_id", id).finish(), None) };
        let secret = String::from_utf8_lossy(secret.expose());
        let methods = discovery.token_endpoint_auth_methods_supported.as_deref().unwrap_or_default();
        if methods.is_empty() || methods.iter().any(|method| method == "client_secret_basic") {
            return (form.finish(), Some(basic(id, &secret)));
        }
        (form.append_pair("client_id", id).append_pair("client_secret", &secret).finish(), None)
    }

    /// What is known of the provider: from memory, unless that is too old or `again` is asked for.
    async fn known(&self, again: bool) -> Result<Known, OidcError> {
        let mut known = self.known.lock().await;
        let now = self.clock.now();
        if let Some(known) = known.as_ref().filter(|known| !again && now.since(known.at) < BELIEVED) {
            return Ok(known.clone());
        }
        let wrong = |what: &str| OidcError::Provider(format!("{what} cannot be read"));
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let document = self.fetch.get(&url).await?;
        let discovery: Discovery = serde_json::from_value(document).map_err(|_| wrong(&url))?;
        if discovery.issuer.trim_end_matches('/') != self.issuer.trim_end_matches('/') {
            return Err(OidcError::Provider(format!("{url} is about another issuer, {:?}", discovery.issuer)));
        }
        let keys = self.fetch.get(&discovery.jwks_uri).await?;
        let keys = serde_json::from_value(keys).map_err(|_| wrong(&discovery.jwks_uri))?;
        Ok(known.insert(Known { at: now, discovery, keys }).clone())
    }

    fn token(&self) -> String {
        let mut bytes = [0; 32];
        self.random.fill(&mut bytes);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }
}

/// Both parts are form-encoded first (RFC 6749, 2.3.1).
fn basic(id: &str, secret: &str) -> String {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret))))
}
