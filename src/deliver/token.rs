//! Bearer tokens of OAuth 2 (RFC 6749, client credentials): asked for at most once at a time per destination, kept while
//! they hold, and given up when the receiver no longer takes them.

use super::authorization::{basic, bearer};
use super::client::ClientConfig;
use super::connect;
use super::failure::Failure;
use super::line::Open;
use super::request;
use super::wire::{Heard, Stream, Wire};
use crate::limits;
use crate::model::{ClientCredentials, Endpoint, EndpointError, Phase, Reason, Scheme, Secret, UnixMs};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::body::Body;
use serde_json::Value;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// A server that gives tokens, and the token that it gave last.
#[derive(Debug)]
pub struct TokenSource {
    client: ClientCredentials,
    endpoint: Endpoint,
    /// Held while a token is asked for: whoever else needs one waits for this one.
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    token: Option<Token>,
    /// When asking failed last, and why.
    failed: Option<(Instant, Failure)>,
}

/// A token that was given.
#[derive(Debug, Clone)]
pub(super) struct Token {
    /// The whole value of `Authorization`.
    pub(super) value: HeaderValue,
    /// It is used until then.
    until: UnixMs,
    /// When it was asked for.
    pub(super) asked_at: Instant,
}

impl PartialEq for TokenSource {
    fn eq(&self, other: &Self) -> bool {
        self.client == other.client
    }
}

impl Eq for TokenSource {}

impl TokenSource {
    /// A source that has not been asked yet.
    ///
    /// # Errors
    /// The token URL cannot be one.
    pub fn new(client: ClientCredentials) -> Result<Self, EndpointError> {
        let endpoint = Endpoint::parse(&client.token_url)?;
        Ok(Self { client, endpoint, held: Mutex::default() })
    }

    /// A token for an attempt that began at `started`.
    pub(super) async fn token(&self, config: &ClientConfig, started: Instant) -> Result<Token, Failure> {
        let mut held = self.held.lock().await;
        let now = config.clock.now();
        if let Some(token) = held.token.as_ref().filter(|token| now < token.until) {
            return Ok(token.clone());
        }
        // Who waited while another asked in vain shares the answer: otherwise each would ask, one after the other.
        if let Some((_, failure)) = held.failed.as_ref().filter(|(at, _)| *at >= started) {
            return Err(failure.clone());
        }
        let asked_at = Instant::now();
        let patience = Duration::from_secs(limits::TOKEN_TIMEOUT_S);
        let asked = tokio::time::timeout(patience, self.ask(config)).await;
        let timed_out = |_| Failure::new(Reason::AuthUnavailable, format!("had not answered after {patience:?}"));
        match asked.map_err(timed_out).flatten() {
            Ok(Given { value, lifetime }) => {
                let token = Token { value, until: now.after(lifetime), asked_at };
                *held = Held { token: Some(token.clone()), failed: None };
                Ok(token)
            }
            Err(failure) => {
                let failure = self.of_server(failure);
                held.failed = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    /// The receiver does not take this token any more.
    pub(super) async fn forget(&self, token: &Token) {
        self.held.lock().await.token.take_if(|held| held.value == token.value);
    }

    async fn ask(&self, config: &ClientConfig) -> Result<Given, Failure> {
        let (status, body) = self.exchange(config).await?;
        match status.as_u16() {
            200..=299 => given(&body),
            429 | 500..=599 => Err(Failure::new(Reason::AuthUnavailable, format!("answered {}", status.as_u16()))),
            status => {
                let why = error_code(&body, &self.client.client_secret);
                Err(Failure::new(Reason::AuthFailed, format!("answered {status}{why}")))
            }
        }
    }

    /// One request on a connection of its own. The guard judges it like any other.
    async fn exchange(&self, config: &ClientConfig) -> Result<(StatusCode, Vec<u8>), Failure> {
        let host = self.endpoint.host.as_str();
        let way = connect::way(config, host).await?;
        let tcp = connect::open(config, &way, &self.endpoint).await?;
        let stream = match self.endpoint.scheme {
            Scheme::Http => Stream::Plain(tcp),
            Scheme::Https => Stream::Tls(Box::new(config.tls.connect(host, tcp, None).await?)),
        };
        let failed = |error: &hyper::Error, phase| Failure::from_hyper(error, phase, host);
        let heard = Heard::new();
        let wire = Wire::new(stream, heard.clone());
        let mut open = Open::new(wire, heard).await.map_err(|error| failed(&error, Phase::FirstByte))?;
        let (headers, form) = self.message()?;
        let request = request::post(request::uri(&self.endpoint)?, headers, form);
        let response = open.send(request).await.map_err(|error| failed(error.error(), Phase::FirstByte))?;
        let (head, mut body) = response.into_parts();
        let mut bytes = Vec::new();
        while !body.is_end_stream() {
            let Some(frame) = open.next_frame(&mut body).await else { break };
            let frame = frame.map_err(|error| failed(&error, Phase::Body))?;
            bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
            if bytes.len() > limits::TOKEN_ANSWER_BYTES {
                return Err(Failure::new(Reason::AuthFailed, "answered with more than a token"));
            }
        }
        Ok((head.status, bytes))
    }

    fn message(&self) -> Result<(HeaderMap, Bytes), Failure> {
        let ClientCredentials { client_id, client_secret, scope, audience, in_body, .. } = &self.client;
        let cannot = |_| Failure::new(Reason::CannotSend, "the URL's host cannot be sent");
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(HOST, HeaderValue::from_str(&self.endpoint.authority).map_err(cannot)?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, request::AGENT);
        let secret = String::from_utf8_lossy(client_secret.expose());
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        for (name, value) in [("scope", scope), ("audience", audience)] {
            if !value.is_empty() {
                form.append_pair(name, value);
            }
        }
        if *in_body {
            form.append_pair("client_id", client_id).append_pair("client_secret", &secret);
        } else {
            // Both are encoded before they are put together (RFC 6749, 2.3.1), so that an id may hold a colon.
            let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let value = basic(encoded(client_id).as_bytes(), &Secret::new(encoded(&secret)));
            let cannot = |_| Failure::new(Reason::CannotSend, "id and secret cannot be sent");
            headers.insert(AUTHORIZATION, value.map_err(cannot)?);
        }
        let form = Bytes::from(form.finish());
        headers.insert(CONTENT_LENGTH, HeaderValue::from(form.len()));
        Ok((headers, form))
    }

    /// A failure on the way to the token server, which must not be taken for one of the receiver.
    fn of_server(&self, failure: Failure) -> Failure {
        let reason = match failure.reason {
            kept @ (Reason::AddressRefused | Reason::CannotSend | Reason::ProxyFailed | Reason::AuthFailed) => kept,
            _ => Reason::AuthUnavailable,
        };
        Failure::new(reason, format!("the token server {}: {}", self.endpoint.authority, failure.detail))
    }
}

/// What a token server gave.
#[derive(Debug)]
struct Given {
    value: HeaderValue,
    lifetime: Duration,
}

/// Reads a token server's answer (RFC 6749, 5.1).
fn given(body: &[u8]) -> Result<Given, Failure> {
    let unusable = |what: &str| Failure::new(Reason::AuthFailed, format!("answered without a usable token: {what}"));
    let answer: Value = serde_json::from_slice(body).map_err(|_| unusable("it is not JSON"))?;
    let token = answer["access_token"].as_str().ok_or_else(|| unusable("there is no access_token"))?;
    if token.is_empty() || token.len() > limits::TOKEN_BYTES || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(unusable("access_token cannot be sent in a header"));
    }
    if answer["token_type"].as_str().is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(unusable("its token_type is not Bearer"));
    }
    let value = bearer(token.as_bytes()).map_err(|_| unusable("access_token cannot be sent in a header"))?;
    // Some servers write the number as a string.
    let seconds = &answer["expires_in"];
    let seconds = seconds.as_u64().or_else(|| seconds.as_str()?.parse().ok());
    Ok(Given { value, lifetime: lifetime(seconds) })
}

/// How long a token is used that holds for `expires_in_s`: a little less, for the way to the receiver takes time.
fn lifetime(expires_in_s: Option<u64>) -> Duration {
    let holds = Duration::from_secs(expires_in_s.unwrap_or(limits::TOKEN_DEFAULT_S).min(limits::TOKEN_MAX_S));
    holds.saturating_sub((holds / 10).min(Duration::from_secs(limits::TOKEN_MARGIN_S)))
}

/// The `error` of a refusal, one of a few words (RFC 6749, 5.2). Anything else, and above all what repeats the secret,
/// is left out.
fn error_code(body: &[u8], secret: &Secret) -> String {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let code = answer["error"].as_str().unwrap_or_default();
    let is_word = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    let repeats = code.contains(&*String::from_utf8_lossy(secret.expose()));
    if code.is_empty() || !is_word || repeats { String::new() } else { format!(" ({code})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_lifetimes_shortened() {
        let read = |body: &str| given(body.as_bytes()).map_err(|failure| failure.detail);
        let token = read(r#"{"access_token":"abc","token_type":"bearer","expires_in":3600}"#).unwrap();
        assert_eq!((token.value.to_str().unwrap(), token.lifetime.as_secs()), ("Bearer abc", 3540));
        assert!(token.value.is_sensitive());
        for (expires_in, lifetime_s) in [("\"100\"", 90), ("10", 9), ("0", 0), ("null", 270), ("99999999999", 86_340)] {
            let body = format!("{{\"access_token\":\"abc\",\"expires_in\":{expires_in}}}");
            assert_eq!(read(&body).unwrap().lifetime.as_secs(), lifetime_s, "{expires_in}");
        }
        for (body, words) in [
            ("<html>", "not JSON"),
            ("{}", "no access_token"),
            (r#"{"access_token":""}"#, "in a header"),
            (r#"{"access_token":"a\r\nb"}"#, "in a header"),
            (r#"{"access_token":"abc","token_type":"mac"}"#, "not Bearer"),
        ] {
            let problem = read(body).unwrap_err();
            assert!(problem.contains(words), "{body}: {problem}");
        }
    }

    #[test]
    fn of_a_refusal_only_its_code_is_repeated() {
        let secret = Secret::new("hunter2");
        for (body, code) in [
            (r#"{"error":"invalid_client","error_description":"hunter2 is wrong"}"#, " (invalid_client)"),
            (r#"{"error":"hunter2"}"#, ""),
            (r#"{"error":"what is this"}"#, ""),
            ("hunter2", ""),
        ] {
            assert_eq!(error_code(body.as_bytes(), &secret), code, "{body}");
        }
    }
}
