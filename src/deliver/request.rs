//! The request as it leaves (docs/delivery.md): headers in their order and spelling, signed over the body as sent.

use super::failure::Failure;
use super::sign::Signer;
use super::{Authorization, Destination, Message};
use crate::model::{Endpoint, Header, Reason, UnixMs};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use std::sync::Arc;

/// The name of the page's signature header.
const BODY_SIGNATURE: HeaderName = HeaderName::from_static("x-pendo-signature");
const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// What the log shows instead of a secret value.
const MASK: &str = "***";

/// What may be shown of a secret value: how somebody says who they are, but not by what.
const SCHEMES: [&str; 2] = ["Basic ", "Bearer "];

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Who we say that we are.
pub(super) const AGENT: HeaderValue = HeaderValue::from_static(concat!("Fanfare/", env!("CARGO_PKG_VERSION")));

/// What requests to one destination have in common, made once per line and destination.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) destination: Arc<Destination>,
    uri: Uri,
    host: HeaderValue,
    content_type: HeaderValue,
    /// Further headers, marked as what must not be shown.
    further: Vec<(HeaderName, HeaderValue)>,
    signer: Signer,
}

impl Prepared {
    pub(super) fn new(destination: &Arc<Destination>) -> Result<Self, Failure> {
        let endpoint = &destination.endpoint;
        let uri = uri(endpoint)?;
        let host = HeaderValue::from_str(&endpoint.authority).map_err(|_| cannot("host"))?;
        let content_type = match &destination.form {
            None => JSON,
            Some(form) => HeaderValue::from_str(form.content_type())
                .map_err(|_| Failure::new(Reason::CannotSend, "the format's content type cannot be sent"))?,
        };
        let further = destination.headers.iter().map(secret_header).collect::<Result<_, _>>()?;
        let signer = Signer::new(destination.secret.as_ref(), &destination.signing_keys, &destination.ending_keys);
        Ok(Self { destination: Arc::clone(destination), uri, host, content_type, further, signer })
    }

    /// The headers of one attempt, with the token that it was given. Their order is the order on the wire.
    pub(super) fn headers(&self, message: &Message, now: UnixMs, token: Option<&HeaderValue>) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(9 + self.further.len());
        headers.insert(HOST, self.host.clone());
        headers.insert(CONTENT_TYPE, self.content_type.clone());
        if let Some(signature) = self.signer.body_signature(&message.body) {
            headers.insert(BODY_SIGNATURE, signature);
        }
        let timestamp = now.seconds().to_string();
        let signed = (message.unique_id.as_str(), timestamp.as_str(), message.body.as_ref());
        if let Some(signature) = self.signer.standard_signatures(signed, now)
            && let Ok(id) = HeaderValue::from_str(&message.unique_id)
            && let Ok(timestamp) = HeaderValue::from_str(&timestamp)
        {
            headers.insert(ID, id);
            headers.insert(TIMESTAMP, timestamp);
            headers.insert(SIGNATURE, signature);
        }
        headers.insert(USER_AGENT, AGENT);
        for (name, value) in &self.further {
            headers.insert(name, value.clone());
        }
        let fixed = match &self.destination.authorization {
            Some(Authorization::Fixed(value)) => Some(value),
            _ => token,
        };
        if let Some(value) = fixed {
            headers.insert(AUTHORIZATION, value.clone());
        }
        headers.insert(CONTENT_LENGTH, HeaderValue::from(message.body.len()));
        headers
    }

    pub(super) fn request(&self, headers: HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
        post(self.uri.clone(), headers, body)
    }
}

/// A POST of these.
pub(super) fn post(uri: Uri, headers: HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request
}

/// Path and query as a request line takes them.
pub(super) fn uri(endpoint: &Endpoint) -> Result<Uri, Failure> {
    let uri = Uri::try_from(&endpoint.path_and_query).map_err(|_| cannot("path or query"))?;
    // Uri takes more than a path; what is not a path as it stands would be written differently.
    if uri.authority().is_some() || uri.path_and_query().is_none_or(|kept| *kept != *endpoint.path_and_query) {
        return Err(cannot("path or query"));
    }
    Ok(uri)
}

fn cannot(what: &str) -> Failure {
    Failure::new(Reason::CannotSend, format!("the URL's {what} cannot be sent"))
}

/// A header that a person wants. It may not hold what only we can say: that is checked when it is saved.
fn secret_header(header: &Header) -> Result<(HeaderName, HeaderValue), Failure> {
    let cannot = || Failure::new(Reason::CannotSend, format!("the header {} cannot be sent", header.name));
    let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| cannot())?;
    let mut value = HeaderValue::from_bytes(header.value.expose()).map_err(|_| cannot())?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// Headers as text, spelled as hyper sends them: each word of a name begins with a capital letter. Secret values are
/// masked.
pub(super) fn headers_as_sent(headers: &HeaderMap) -> String {
    let mut text = String::with_capacity(512);
    for (name, value) in headers {
        let mut capital = true;
        text.extend(name.as_str().chars().map(|c| {
            let written = if capital { c.to_ascii_uppercase() } else { c };
            capital = c == '-';
            written
        }));
        text.push_str(": ");
        let shown = value.to_str().unwrap_or_default();
        if value.is_sensitive() {
            text.push_str(SCHEMES.into_iter().find(|scheme| shown.starts_with(scheme)).unwrap_or_default());
            text.push_str(MASK);
        } else {
            text.push_str(shown);
        }
        text.push_str("\r\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Endpoint;
    use proptest::prelude::*;
    use std::time::Duration;

    fn prepared(endpoint: Endpoint) -> Result<Prepared, Failure> {
        Prepared::new(&Arc::new(Destination::plain(endpoint, Duration::from_secs(1))))
    }

    proptest! {
        /// Whatever may be saved can be sent, byte for byte.
        #[test]
        fn every_endpoint_can_be_sent_as_entered(path in "(/|\\?)?[!-~]{0,40}", host in "[a-zA-Z0-9._-]{1,20}") {
            if let Ok(endpoint) = Endpoint::parse(&format!("http://{host}:8080{path}")) {
                let expected = endpoint.path_and_query.clone();
                prop_assert_eq!(&prepared(endpoint).unwrap().uri.to_string(), &expected);
            }
        }
    }

    #[test]
    fn paths_that_look_like_something_else_stay_paths() {
        for path in ["//evil.example/x", "/http://h/", "/*", "/?", "/??", "//", "/a?b?c", "/%zz", "/{|}'", "/?{|}'"] {
            let endpoint = Endpoint::parse(&format!("http://h{path}")).unwrap();
            assert_eq!(prepared(endpoint).unwrap().uri.to_string(), path);
        }
    }
}
