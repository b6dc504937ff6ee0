//! A small HTTP client for the commands that talk to a running Fanfare: plain HTTP, one connection.

use crate::model::{Endpoint, Scheme};
use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderName, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::time::Duration;
use tokio::net::TcpStream;

/// Longest wait for a connection, and for an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Of an answer, at most this is read.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// The server at this URL.
///
/// # Errors
/// It is no URL, or one that a command like this does not go to.
pub(super) fn server(url: &str) -> anyhow::Result<Endpoint> {
    let server = Endpoint::parse(url).with_context(|| format!("--server {url}"))?;
    if server.scheme == Scheme::Https {
        bail!("--server: this command speaks plain HTTP; name the address that Fanfare itself listens on");
    }
    Ok(server)
}

/// One connection, kept for all requests.
pub(super) struct Client {
    sender: SendRequest<Full<Bytes>>,
    authority: String,
    prefix: String,
}

impl Client {
    /// Connects to this server.
    pub(super) async fn connect(server: &Endpoint) -> anyhow::Result<Self> {
        let stream = tokio::time::timeout(PATIENCE, TcpStream::connect((server.host.as_str(), server.port))).await;
        let stream = stream.context("timed out").and_then(|result| Ok(result?));
        let stream =
            stream.with_context(|| format!("connecting to {}: is Fanfare running there?", server.authority))?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
        });
        let prefix = server.path_and_query.trim_end_matches('/').to_owned();
        Ok(Self { sender, authority: server.authority.clone(), prefix })
    }

    /// Makes a call, and reads the answer as JSON or, where it is none, as text.
    pub(super) async fn call(
        &mut self,
        (method, target): (Method, &str),
        (key_header, key): (HeaderName, &str),
        body: String,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{target}", self.prefix))
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("fanfare-cli/", env!("CARGO_PKG_VERSION")))
            .header(key_header, key)
            .body(Full::new(Bytes::from(body)))?;
        let exchange = async {
            self.sender.ready().await?;
            let response = self.sender.send_request(request).await?;
            let status = response.status();
            let body =
                Limited::new(response.into_body(), ANSWER_BYTES).collect().await.map_err(|e| anyhow::anyhow!(e))?;
            anyhow::Ok((status, body.to_bytes()))
        };
        let (status, bytes) =
            tokio::time::timeout(PATIENCE, exchange).await.with_context(|| format!("no answer to {target}"))??;
        let answer = serde_json::from_slice(&bytes);
        Ok((status, answer.unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into())))
    }
}

/// The most telling part of a problem document.
pub(super) fn explanation(answer: &Value) -> String {
    let part = |key: &str| answer[key].as_str().map(str::to_owned);
    part("detail").or_else(|| part("title")).unwrap_or_else(|| answer.to_string())
}
