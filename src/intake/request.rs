//! What both intake endpoints take out of a request.

use super::problem::Refusal;
use crate::limits;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http::{Extensions, HeaderMap, HeaderValue, header};
use http_body_util::BodyExt;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// Reads the whole body, up to [`limits::INTAKE_BODY_BYTES`]. Nearly every body is one frame and is not copied.
///
/// # Errors
/// [`Refusal::TooLarge`], also when the length was not announced; [`Refusal::Incomplete`].
pub async fn read_body(headers: &HeaderMap, mut body: Body) -> Result<Bytes, Refusal> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limits::INTAKE_BODY_BYTES as u64) {
        return Err(Refusal::TooLarge);
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Refusal::Incomplete)?.into_data() else { continue };
        if first.len().max(all.len()) + data.len() > limits::INTAKE_BODY_BYTES {
            return Err(Refusal::TooLarge);
        }
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// A body as text.
///
/// # Errors
/// [`Refusal::Unreadable`] names the first byte that is not UTF-8.
pub fn text(body: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(body)
        .map_err(|error| Refusal::Unreadable(format!("it is not UTF-8 at byte {}", error.valid_up_to())))
}

/// The media type of the body in lower case without parameters; `None` when it is not stated.
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().unwrap_or("?");
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// Whether a media type is JSON.
pub fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

/// The request's User-Agent; "" when there is none that is text.
pub fn user_agent(headers: &HeaderMap) -> &str {
    let value = headers.get(header::USER_AGENT).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    cut(value.unwrap_or_default())
}

/// A User-Agent, cut to [`limits::USER_AGENT_BYTES`].
pub fn cut(user_agent: &str) -> &str {
    let longest = user_agent.len().min(limits::USER_AGENT_BYTES);
    let end = (0..=longest).rev().find(|end| user_agent.is_char_boundary(*end));
    &user_agent[..end.unwrap_or(0)]
}

/// Who asks: the peer or, when the peer is a trusted proxy, the nearest address in X-Forwarded-For that is not one.
pub fn client(headers: &HeaderMap, extensions: &Extensions, trusted: &[IpNet]) -> Option<IpAddr> {
    let ConnectInfo(peer) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    let is_proxy = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    let mut client = peer.ip().to_canonical();
    for value in headers.get_all("x-forwarded-for").iter().rev() {
        for hop in value.to_str().unwrap_or_default().rsplit(',') {
            match hop.trim().parse::<IpAddr>() {
                Ok(address) if is_proxy(client) => client = address.to_canonical(),
                _ => return Some(client),
            }
        }
    }
    Some(client)
}

/// A 200 with a JSON body.
pub fn json(body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    #[test]
    fn a_long_user_agent_is_cut_between_characters() {
        assert_eq!(cut("Mozilla"), "Mozilla");
        assert_eq!(cut(&"é".repeat(600)).len(), limits::USER_AGENT_BYTES);
        assert_eq!(cut(&format!("x{}", "é".repeat(600))).len(), limits::USER_AGENT_BYTES - 1);
    }

    #[test]
    fn forwarded_addresses_are_believed_from_trusted_proxies_only() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let cases = [
            (Some("9.9.9.9"), "1.1.1.1", Some("9.9.9.9")),
            (Some("10.0.0.1"), "1.1.1.1", Some("1.1.1.1")),
            (Some("10.0.0.1"), "6.6.6.6, 1.1.1.1, 10.0.0.2", Some("1.1.1.1")),
            (Some("10.0.0.1"), "junk", Some("10.0.0.1")),
            (Some("::ffff:10.0.0.1"), "2001:db8::1", Some("2001:db8::1")),
            (None, "1.1.1.1", None),
        ];
        for (peer, forwarded, wanted) in cases {
            let mut request = Request::new(Body::empty());
            request.headers_mut().insert("x-forwarded-for", forwarded.parse().unwrap());
            if let Some(peer) = peer {
                let peer: IpAddr = peer.parse().unwrap();
                request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer, 1)));
            }
            assert_eq!(
                client(request.headers(), request.extensions(), &trusted),
                wanted.map(|ip| ip.parse().unwrap()),
                "{peer:?} {forwarded}"
            );
        }
    }
}
