//! What a person sets of how a webhook's requests are shaped and let in: changed, and judged.

use super::{WebhookValues, segment};
use crate::catalog::InvalidValue;
use crate::deliver::{ClientIdentity, Form};
use crate::limits;
use crate::model::{Auth, ClientCertificate, Endpoint, Format, Header, Secret, WebhookKind};

/// A value that holds a secret, as somebody sets it who may not have been shown the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept<T> {
    /// The value; where the secret is to be kept, without it.
    pub value: T,
    /// The secret that is set stays.
    pub keeps_secret: bool,
}

/// A change of how requests are shaped and let in: what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceiverPatch {
    /// `Some(None)`: bodies are sent as they are.
    pub format: Option<Option<Format>>,
    /// All of them.
    pub headers: Option<Vec<Kept<Header>>>,
    /// `Some(None)`: none.
    pub auth: Option<Option<Kept<Auth>>>,
    /// `Some(None)`: none.
    pub client_certificate: Option<Option<Kept<ClientCertificate>>>,
}

/// Headers that are part of the request itself, or of its signatures: they say what is true, not what somebody wishes.
const OURS: [&str; 17] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
];

/// Which secrets a change leaves as they are that are sent as they are. The others sign, and are never sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keeps {
    headers: bool,
    auth: bool,
    write_key: bool,
}

impl Keeps {
    /// What of `before` a change keeps. `is_new_secret`: it brings another secret.
    pub(super) fn of(patch: &ReceiverPatch, is_new_secret: bool, before: &WebhookValues) -> Self {
        let headers = patch.headers.as_ref();
        let auth = patch.auth.as_ref();
        Self {
            headers: headers.map_or(!before.headers.is_empty(), |all| all.iter().any(|header| header.keeps_secret)),
            auth: auth.map_or(before.auth.is_some(), |auth| auth.as_ref().is_some_and(|auth| auth.keeps_secret)),
            write_key: before.kind == WebhookKind::Segment && before.secret.is_some() && !is_new_secret,
        }
    }

    /// Whoever may change where a webhook leads, but was never shown its secrets, does not get them sent to a place of
    /// their own: where it leads elsewhere, they are entered again.
    pub(super) fn check(self, before: &WebhookValues, after: &WebhookValues) -> Result<(), InvalidValue> {
        if let (true, Some(Auth::OAuth2(old)), Some(Auth::OAuth2(new))) = (self.auth, &before.auth, &after.auth)
            && leads_elsewhere(&old.token_url, &new.token_url)
        {
            return Err(again("auth.token_url", "the client secret"));
        }
        if !leads_elsewhere(&before.url, &after.url) {
            return Ok(());
        }
        match self {
            Self { write_key: true, .. } if !segment::is_own(&after.url) => Err(again("endpoint", "the write key")),
            Self { auth: true, .. } => Err(again("url", "the secret of auth")),
            Self { headers: true, .. } => Err(again("url", "the values of the headers")),
            _ => Ok(()),
        }
    }
}

/// Whether requests go to another server. What is no URL is refused elsewhere.
fn leads_elsewhere(before: &str, after: &str) -> bool {
    match (Endpoint::parse(before), Endpoint::parse(after)) {
        (Ok(before), Ok(after)) => !before.same_peer(&after),
        _ => before != after,
    }
}

fn again(field: &'static str, what: &str) -> InvalidValue {
    InvalidValue::new(field, format!("leads to another server: enter {what} again, which would be sent there"))
}

impl ReceiverPatch {
    /// Puts the patch's values in place of those that are set.
    pub(super) fn apply(self, values: &mut WebhookValues) -> Result<(), InvalidValue> {
        if let Some(format) = self.format {
            values.format = format;
        }
        if let Some(headers) = self.headers {
            let old = std::mem::take(&mut values.headers);
            values.headers = headers.into_iter().map(|header| kept_header(header, &old)).collect::<Result<_, _>>()?;
        }
        if let Some(auth) = self.auth {
            let old = values.auth.take();
            values.auth = auth.map(|auth| kept_auth(auth, old)).transpose()?;
        }
        if let Some(certificate) = self.client_certificate {
            let old = values.client_certificate.take();
            values.client_certificate = certificate.map(|new| kept_certificate(new, old)).transpose()?;
        }
        Ok(())
    }
}

fn kept_header(Kept { mut value, keeps_secret }: Kept<Header>, old: &[Header]) -> Result<Header, InvalidValue> {
    if keeps_secret {
        let known = old.iter().find(|header| header.name.eq_ignore_ascii_case(&value.name));
        value.value = known.ok_or_else(|| nothing_to_keep("headers"))?.value.clone();
    }
    Ok(value)
}

fn kept_auth(Kept { mut value, keeps_secret }: Kept<Auth>, old: Option<Auth>) -> Result<Auth, InvalidValue> {
    if keeps_secret {
        match (&mut value, old) {
            (Auth::Bearer { token }, Some(Auth::Bearer { token: old })) => *token = old,
            (Auth::Basic { password, .. }, Some(Auth::Basic { password: old, .. })) => *password = old,
            (Auth::OAuth2(client), Some(Auth::OAuth2(old))) => client.client_secret = old.client_secret,
            (Auth::Bearer { .. }, _) => return Err(nothing_to_keep("auth.token")),
            (Auth::Basic { .. }, _) => return Err(nothing_to_keep("auth.password")),
            (Auth::OAuth2(_), _) => return Err(nothing_to_keep("auth.client_secret")),
        }
    }
    Ok(value)
}

fn kept_certificate(
    Kept { mut value, keeps_secret }: Kept<ClientCertificate>,
    old: Option<ClientCertificate>,
) -> Result<ClientCertificate, InvalidValue> {
    if keeps_secret {
        let old = old.ok_or_else(|| nothing_to_keep("client_certificate.private_key"))?;
        value.private_key = old.private_key;
    }
    Ok(value)
}

fn nothing_to_keep(field: &'static str) -> InvalidValue {
    InvalidValue::new(field, "has no value yet that true could keep; give it one")
}

/// Whether these values can be taken together.
pub(super) fn check(values: &WebhookValues) -> Result<(), InvalidValue> {
    check_kind(values)?;
    values.format.as_ref().map_or(Ok(()), check_form)?;
    check_headers(values)?;
    values.auth.as_ref().map_or(Ok(()), check_auth)?;
    values.client_certificate.as_ref().map_or(Ok(()), |certificate| check_certificate(certificate, values))
}

/// Segment has one form of message and one way to be asked.
fn check_kind(values: &WebhookValues) -> Result<(), InvalidValue> {
    if values.kind == WebhookKind::Url {
        return Ok(());
    }
    let missing = || InvalidValue::new("write_key", "is required: copy it from the source's settings in Segment");
    segment::check_write_key(values.secret.as_ref().ok_or_else(missing)?)?;
    let none = |field, is_set: bool| match is_set {
        true => Err(InvalidValue::new(field, "cannot be set for a Segment webhook; leave it out")),
        false => Ok(()),
    };
    none("format", values.format.is_some())?;
    none("auth", values.auth.is_some())?;
    none("standard_webhooks", values.standard_webhooks)
}

/// A template that compiles may still not fit every event: which ones, a person sees by trying it.
fn check_form(format: &Format) -> Result<(), InvalidValue> {
    check_format(format)?;
    match Form::new(format).problem() {
        Some(error) => Err(InvalidValue::new("format.template", error.to_string())),
        None => Ok(()),
    }
}

/// Whether a format can be looked at: its template need not compile.
///
/// # Errors
/// The template is too long, or the content type is none.
pub fn check_format(format: &Format) -> Result<(), InvalidValue> {
    let Format::Template { text, content_type } = format else { return Ok(()) };
    if text.len() > limits::TEMPLATE_BYTES {
        return Err(InvalidValue::new("format.template", too_long(limits::TEMPLATE_BYTES)));
    }
    let media_type = content_type.split(';').next().unwrap_or_default();
    let has_both = media_type.split_once('/').is_some_and(|(a, b)| !a.is_empty() && !b.trim_end().is_empty());
    if !has_both || !is_header_value(content_type.as_bytes()) {
        return Err(InvalidValue::new("format.content_type", "must be a media type such as text/plain"));
    }
    Ok(())
}

fn check_headers(values: &WebhookValues) -> Result<(), InvalidValue> {
    let wrong = |problem: String| Err(InvalidValue::new("headers", problem));
    if values.headers.len() > limits::WEBHOOK_HEADERS {
        return wrong(format!("must not be more than {}", limits::WEBHOOK_HEADERS));
    }
    for (index, header) in values.headers.iter().enumerate() {
        let name = header.name.to_ascii_lowercase();
        if http::HeaderName::from_bytes(header.name.as_bytes()).is_err() {
            return wrong(format!("{:?} is not the name of a header", header.name));
        }
        if OURS.contains(&name.as_str()) || name.starts_with("x-pendo-") {
            return wrong(format!("{} is set by Fanfare itself; leave it out", header.name));
        }
        if name == "authorization" && values.kind == WebhookKind::Segment {
            return wrong(String::from("Authorization carries the write key; leave it out"));
        }
        if name == "authorization" && values.auth.is_some() {
            return wrong(String::from("Authorization is what auth sets; leave one of both out"));
        }
        if values.headers[..index].iter().any(|other| other.name.eq_ignore_ascii_case(&name)) {
            return wrong(format!("{} is there twice", header.name));
        }
        check_value(&header.value, "headers")?;
    }
    Ok(())
}

fn check_auth(auth: &Auth) -> Result<(), InvalidValue> {
    match auth {
        Auth::Bearer { token } => check_value(token, "auth.token"),
        Auth::Basic { username, password } => {
            if username.contains(':') {
                return Err(InvalidValue::new("auth.username", "must not hold a colon"));
            }
            check_text(username, "auth.username")?;
            check_length(password, "auth.password")
        }
        Auth::OAuth2(client) => {
            let url = Endpoint::parse(&client.token_url);
            url.map_err(|error| InvalidValue::new("auth.token_url", error.to_string()))?;
            if client.client_id.is_empty() {
                return Err(InvalidValue::new("auth.client_id", "must not be empty"));
            }
            check_text(&client.client_id, "auth.client_id")?;
            check_text(&client.scope, "auth.scope")?;
            check_text(&client.audience, "auth.audience")?;
            check_length(&client.client_secret, "auth.client_secret")
        }
    }
}

fn check_certificate(certificate: &ClientCertificate, values: &WebhookValues) -> Result<(), InvalidValue> {
    if !values.url.to_ascii_lowercase().starts_with("https://") {
        return Err(InvalidValue::new("client_certificate", "needs a URL that starts with https://"));
    }
    if certificate.certificate.len() > limits::CERTIFICATE_BYTES {
        return Err(InvalidValue::new("client_certificate.certificate", too_long(limits::CERTIFICATE_BYTES)));
    }
    match certificate.private_key.expose().len() {
        bytes if bytes > limits::CERTIFICATE_BYTES => {
            Err(InvalidValue::new("client_certificate.private_key", too_long(limits::CERTIFICATE_BYTES)))
        }
        _ => identity(certificate).map(|_| ()),
    }
}

/// A client certificate and its key, made ready.
pub(super) fn identity(certificate: &ClientCertificate) -> Result<ClientIdentity, InvalidValue> {
    ClientIdentity::new(certificate).map_err(|error| {
        let field = match error.concerns_key() {
            true => "client_certificate.private_key",
            false => "client_certificate.certificate",
        };
        InvalidValue::new(field, error.to_string())
    })
}

fn check_text(text: &str, field: &'static str) -> Result<(), InvalidValue> {
    if text.len() > limits::WEBHOOK_SECRET_BYTES {
        return Err(InvalidValue::new(field, too_long(limits::WEBHOOK_SECRET_BYTES)));
    }
    match text.chars().any(char::is_control) {
        true => Err(InvalidValue::new(field, "must not hold line breaks or other control characters")),
        false => Ok(()),
    }
}

fn check_value(value: &Secret, field: &'static str) -> Result<(), InvalidValue> {
    check_length(value, field)?;
    if is_header_value(value.expose()) {
        return Ok(());
    }
    let problem = "must be printable ASCII without spaces at its ends: it is sent in a header";
    Err(InvalidValue::new(field, problem))
}

fn check_length(value: &Secret, field: &'static str) -> Result<(), InvalidValue> {
    match value.expose().len() {
        0 => Err(InvalidValue::new(field, "must not be empty")),
        bytes if bytes > limits::WEBHOOK_SECRET_BYTES => {
            Err(InvalidValue::new(field, too_long(limits::WEBHOOK_SECRET_BYTES)))
        }
        _ => Ok(()),
    }
}

fn too_long(most: usize) -> String {
    format!("must not be longer than {most} bytes")
}

/// What receivers of all kinds read the same way.
fn is_header_value(value: &[u8]) -> bool {
    value.trim_ascii() == value && value.iter().all(|byte| matches!(byte, b' '..=b'~'))
}
