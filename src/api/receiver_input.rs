//! How a webhook's requests are shaped and let in, as a body names it. Where a secret is set, `true` stands for it: that
//! is how it is shown, and how it is kept.

use super::body::{Fields, inside};
use super::problem::ApiError;
use crate::catalog::{Kept, ReceiverPatch};
use crate::model::{Auth, ClientCertificate, ClientCredentials, Format, Header, Preset, Secret};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// The content type of what a template makes, where it names none.
const TEMPLATE_TYPE: &str = "application/json";

/// A secret: its text, or true in its place, which keeps the one that is set.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Secret)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes bodies in the OpenAPI document")]
pub enum SecretDoc {
    /// As typed. Never shown again.
    Text(String),
    /// true: one is set.
    Set(bool),
}

/// What shows the receiver who is asking.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Auth)]
#[serde(tag = "type", rename_all = "lowercase")]
#[expect(dead_code, reason = "it describes bodies in the OpenAPI document")]
pub enum AuthDoc {
    /// `Authorization: Bearer …`
    Bearer {
        /// The token.
        token: SecretDoc,
    },
    /// `Authorization: Basic …`
    Basic {
        /// "" for none.
        username: Option<String>,
        /// The password.
        password: SecretDoc,
    },
    /// A bearer token from a token server, by client credentials.
    OAuth2 {
        /// Where tokens are asked for.
        token_url: String,
        /// The client's id.
        client_id: String,
        /// The client's secret.
        client_secret: SecretDoc,
        /// "" for none.
        scope: Option<String>,
        /// "" for none.
        audience: Option<String>,
        /// Whether id and secret go in the body, not in the Authorization header.
        in_body: Option<bool>,
    },
}

/// A certificate by which the receiver knows who is asking.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ClientCertificate)]
#[expect(dead_code, reason = "it describes bodies in the OpenAPI document")]
pub struct ClientCertificateDoc {
    /// With what leads to its root, in PEM.
    pub certificate: String,
    /// In PEM.
    pub private_key: SecretDoc,
}

/// What bodies are turned into: what a preset or a template makes of them.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Format)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes bodies in the OpenAPI document")]
pub enum FormatDoc {
    /// A message for a chat.
    Preset {
        /// Of which service.
        preset: PresetDoc,
    },
    /// Anything.
    Template {
        /// In the language of Jinja2.
        template: String,
        /// Of what the template makes; application/json by default.
        content_type: Option<String>,
    },
}

/// The services that there are messages for.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Preset)]
#[serde(rename_all = "lowercase")]
pub enum PresetDoc {
    /// Slack.
    Slack,
    /// Microsoft Teams.
    Teams,
    /// Discord.
    Discord,
}

/// Takes out of a body what it changes of these.
///
/// # Errors
/// A field has the wrong type or cannot be what it says.
pub fn patch(fields: &mut Fields) -> Result<ReceiverPatch, ApiError> {
    Ok(ReceiverPatch {
        format: format_of(fields)?,
        headers: fields.take::<Map<String, Value>>("headers", "an object")?.map(headers).transpose()?,
        auth: optional(fields, "auth", auth)?,
        client_certificate: optional(fields, "client_certificate", client_certificate)?,
    })
}

/// Takes a format out of a body: an object, or null for none.
///
/// # Errors
/// It has the wrong type, or cannot be what it says.
pub fn format_of(fields: &mut Fields) -> Result<Option<Option<Format>>, ApiError> {
    optional(fields, "format", format)
}

/// An object, or null to take away what is set.
fn optional<T>(
    fields: &mut Fields,
    field: &str,
    read: impl Fn(&mut Fields) -> Result<T, ApiError>,
) -> Result<Option<Option<T>>, ApiError> {
    match fields.take_any(field) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(None)),
        Some(value) => inside(field, value, read).map(|value| Some(Some(value))),
    }
}

fn format(fields: &mut Fields) -> Result<Format, ApiError> {
    let preset: Option<String> = fields.take("preset", "a string")?;
    let template: Option<String> = fields.take("template", "a string")?;
    let content_type: Option<String> = fields.take("content_type", "a string")?;
    match (preset, template, content_type) {
        (Some(name), None, None) => {
            let names = Preset::ALL.map(Preset::name).join(", ");
            let unknown = || ApiError::field("preset", format!("must be one of {names}"));
            Preset::from_name(&name).map(Format::Preset).ok_or_else(unknown)
        }
        (None, Some(text), content_type) => {
            Ok(Format::Template { text, content_type: content_type.unwrap_or_else(|| TEMPLATE_TYPE.to_owned()) })
        }
        _ => Err(ApiError::field("template", "is required, or preset alone, without content_type")),
    }
}

fn headers(fields: Map<String, Value>) -> Result<Vec<Kept<Header>>, ApiError> {
    let one = |(name, value): (String, Value)| {
        let kept = secret(&value).ok_or_else(|| ApiError::field(format!("headers.{name}"), must_be_secret()))?;
        Ok(Kept { value: Header { name, value: kept.value }, keeps_secret: kept.keeps_secret })
    };
    fields.into_iter().map(one).collect()
}

fn auth(fields: &mut Fields) -> Result<Kept<Auth>, ApiError> {
    let kind: String = fields.require("type", "a string")?;
    let name = match kind.as_str() {
        "bearer" => "token",
        "basic" => "password",
        "oauth2" => "client_secret",
        _ => return Err(ApiError::field("type", "must be one of bearer, basic, oauth2")),
    };
    let Kept { value, keeps_secret } = required_secret(fields, name)?;
    let value = match kind.as_str() {
        "bearer" => Auth::Bearer { token: value },
        "basic" => Auth::Basic { username: optional_text(fields, "username")?, password: value },
        _ => Auth::OAuth2(ClientCredentials {
            token_url: fields.require("token_url", "a string")?,
            client_id: fields.require("client_id", "a string")?,
            client_secret: value,
            scope: optional_text(fields, "scope")?,
            audience: optional_text(fields, "audience")?,
            in_body: fields.take("in_body", "true or false")?.unwrap_or_default(),
        }),
    };
    Ok(Kept { value, keeps_secret })
}

fn client_certificate(fields: &mut Fields) -> Result<Kept<ClientCertificate>, ApiError> {
    let certificate = fields.require("certificate", "a string in PEM")?;
    let Kept { value: private_key, keeps_secret } = required_secret(fields, "private_key")?;
    Ok(Kept { value: ClientCertificate { certificate, private_key }, keeps_secret })
}

fn required_secret(fields: &mut Fields, name: &str) -> Result<Kept<Secret>, ApiError> {
    let value = fields.take_any(name).ok_or_else(|| ApiError::field(name, "is required"))?;
    secret(&value).ok_or_else(|| ApiError::field(name, must_be_secret()))
}

/// What may be written where a secret stands.
fn secret(value: &Value) -> Option<Kept<Secret>> {
    match value {
        Value::String(text) => Some(Kept { value: Secret::new(text.as_str()), keeps_secret: false }),
        Value::Bool(true) => Some(Kept { value: Secret::new(""), keeps_secret: true }),
        _ => None,
    }
}

fn must_be_secret() -> &'static str {
    "must be a string, or true to keep what is set"
}

fn optional_text(fields: &mut Fields, name: &str) -> Result<String, ApiError> {
    Ok(fields.take(name, "a string")?.unwrap_or_default())
}
