//! The few requests that go to the provider: one connection each, bounded in time and size. The provider is named by
//! whoever runs the installation, so the address guard of webhooks has no say here.

use super::OidcError;
use crate::deliver::Tls;
use crate::model::{Endpoint, Scheme};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// For a whole exchange.
const PATIENCE: Duration = Duration::from_secs(10);

/// Of an answer at most this is read.
const ANSWER_BYTES: usize = 1024 * 1024;

/// Makes requests.
#[derive(Debug)]
pub(super) struct Fetch(Tls);

impl Fetch {
    pub(super) fn new(tls: Tls) -> Self {
        Self(tls)
    }

    /// A document.
    pub(super) async fn get(&self, url: &str) -> Result<Value, OidcError> {
        let (status, answer) = self.send(Method::GET, url, None, String::new()).await?;
        if status == StatusCode::OK { Ok(answer) } else { Err(OidcError::Provider(format!("{url} answered {status}"))) }
    }

    /// What the provider answers to a form.
    pub(super) async fn post_form(
        &self,
        url: &str,
        authorization: Option<&str>,
        form: String,
    ) -> Result<Value, OidcError> {
        let (status, answer) = self.send(Method::POST, url, authorization, form).await?;
        match status {
            StatusCode::OK => Ok(answer),
            // Its `error` is one of a few words (RFC 6749, 5.2).
            status if status.is_client_error() => {
                Err(OidcError::Refused(answer["error"].as_str().unwrap_or(status.as_str()).to_owned()))
            }
            status => Err(OidcError::Provider(format!("{url} answered {status}"))),
        }
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        authorization: Option<&str>,
        form: String,
    ) -> Result<(StatusCode, Value), OidcError> {
        let failed = |error: anyhow::Error| OidcError::Provider(format!("{url}: {error:#}"));
        let exchange = tokio::time::timeout(PATIENCE, self.exchange(method, url, authorization, form));
        let timed_out = |_| OidcError::Provider(format!("{url} had not answered after {PATIENCE:?}"));
        exchange.await.map_err(timed_out)?.map_err(failed)
    }

    async fn exchange(
        &self,
        method: Method,
        url: &str,
        authorization: Option<&str>,
        form: String,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let to = Endpoint::parse(url)?;
        let mut request = Request::builder()
            .method(method)
            .uri(&to.path_and_query)
            .header(HOST, &to.authority)
            .header(USER_AGENT, concat!("Fanfare/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "application/json");
        if !form.is_empty() {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(Bytes::from(form)))?;
        let stream = TcpStream::connect((to.host.as_str(), to.port)).await?;
        match to.scheme {
            Scheme::Http => over(stream, request).await,
            Scheme::Https => over(self.0.handshake(&to.host, stream).await?, request).await,
        }
    }
}

async fn over<S>(stream: S, request: Request<Full<Bytes>>) -> anyhow::Result<(StatusCode, Value)>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let driving = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body =
        Limited::new(response.into_body(), ANSWER_BYTES).collect().await.map_err(|error| anyhow::anyhow!(error))?;
    driving.abort();
    Ok((status, serde_json::from_slice(&body.to_bytes()).unwrap_or_default()))
}
