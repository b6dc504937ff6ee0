//! How a webhook's requests are shaped, and what they carry so that the receiver lets them in.

use super::{Secret, SigningKey, UnixMs};

/// What stands at the other end of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum WebhookKind {
    /// Any URL.
    #[default]
    Url,
    /// Twilio Segment's tracking API.
    Segment,
}

impl WebhookKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Url, Self::Segment];

    /// Its name in the API and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Segment => "segment",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What a body is turned into before it is sent. Without a format the stored bytes are sent as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// The message that a well-known service takes.
    Preset(Preset),
    /// What a template makes of the event.
    Template {
        /// The template, in MiniJinja's language.
        text: String,
        /// The `Content-Type` of what it makes.
        content_type: String,
    },
}

/// A service whose messages are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Preset {
    /// Slack's incoming webhooks.
    Slack,
    /// Workflows of Microsoft Teams.
    Teams,
    /// Discord's webhooks.
    Discord,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Slack, Self::Teams, Self::Discord];

    /// Its name in the API and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Teams => "teams",
            Self::Discord => "discord",
        }
    }

    /// The preset with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == name)
    }
}

/// A header that a person wants on each request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// As entered; names are compared without regard to case.
    pub name: String,
    /// Often a key: never shown again.
    pub value: Secret,
}

/// How the receiver is shown who is asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer`.
    Bearer {
        /// What follows.
        token: Secret,
    },
    /// `Authorization: Basic`.
    Basic {
        /// Before the colon.
        username: String,
        /// Behind it.
        password: Secret,
    },
    /// A bearer token that another server gives (RFC 6749, client credentials).
    OAuth2(ClientCredentials),
}

/// By what an OAuth 2 server gives a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCredentials {
    /// Where it gives them.
    pub token_url: String,
    /// Who asks.
    pub client_id: String,
    /// What shows it.
    pub client_secret: Secret,
    /// What for; "" when the server need not be told.
    pub scope: String,
    /// For which service; "" when the server need not be told.
    pub audience: String,
    /// Id and secret go in the body, for servers that know no Basic.
    pub in_body: bool,
}

/// By what a receiver with mutual TLS knows its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, and those that lead to its root, in PEM.
    pub certificate: String,
    /// Its key, in PEM.
    pub private_key: Secret,
}

/// What still holds beside its successor, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Old<T> {
    /// It.
    pub value: T,
    /// Until when.
    pub until: UnixMs,
}

/// A webhook's keys that no person types, and those whose time is ending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// The key of `webhook-signature`, kept also while that header is off.
    pub signing_key: Option<SigningKey>,
    /// The one before it.
    pub old_signing_key: Option<Old<SigningKey>>,
    /// The secret before the present one.
    pub old_secret: Option<Old<Secret>>,
}
