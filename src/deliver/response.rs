//! What a response means: its reason, its Retry-After, its headers as text.

use crate::limits;
use crate::model::{Reason, UnixMs};
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use std::time::Duration;

/// The reason that a complete response gives.
pub(super) fn classify(status: StatusCode) -> Reason {
    match status.as_u16() {
        200..=299 => Reason::Accepted,
        300..=399 => Reason::Redirected,
        429 => Reason::TooManyRequests,
        400..=499 => Reason::Refused,
        500..=599 => Reason::ServerError,
        _ => Reason::UnexpectedStatus,
    }
}

/// How long the receiver asks to be left alone, on 429 and 503: seconds or a date, at most an hour.
pub(super) fn retry_after(status: StatusCode, headers: &HeaderMap, now: UnixMs) -> Option<Duration> {
    if !matches!(status.as_u16(), 429 | 503) {
        return None;
    }
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // A number too large for 64 bits is longer than an hour too.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let date = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        UnixMs(i64::try_from(date.as_millis()).ok()?).since(now)
    };
    Some(asked.min(Duration::from_secs(limits::RETRY_AFTER_S)))
}

/// How long the receiver says that it keeps an unused connection (`Keep-Alive: timeout=5`).
pub(super) fn keep_alive(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("keep-alive")?.to_str().ok()?;
    let seconds = value.split(',').find_map(|part| {
        let (name, seconds) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("timeout").then(|| seconds.trim().parse().ok())?
    })?;
    Some(Duration::from_secs(seconds))
}

/// Headers as text, bounded. hyper gives names in lower case; bytes that are not UTF-8 are replaced.
pub(super) fn headers_as_text(headers: &HeaderMap) -> String {
    let mut text =
        String::with_capacity(headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum());
    for (name, value) in headers {
        let value = lossy(value);
        if text.len() + name.as_str().len() + value.len() + 4 > limits::RESPONSE_HEADERS_BYTES {
            break;
        }
        text.push_str(name.as_str());
        text.push_str(": ");
        text.push_str(&value);
        text.push_str("\r\n");
    }
    text
}

fn lossy(value: &HeaderValue) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_reason() {
        for (status, reason) in [
            (101, Reason::UnexpectedStatus),
            (200, Reason::Accepted),
            (204, Reason::Accepted),
            (299, Reason::Accepted),
            (301, Reason::Redirected),
            (399, Reason::Redirected),
            (400, Reason::Refused),
            (404, Reason::Refused),
            (408, Reason::Refused),
            (410, Reason::Refused),
            (429, Reason::TooManyRequests),
            (500, Reason::ServerError),
            (503, Reason::ServerError),
            (599, Reason::ServerError),
            (600, Reason::UnexpectedStatus),
            (999, Reason::UnexpectedStatus),
        ] {
            assert_eq!(classify(StatusCode::from_u16(status).unwrap()), reason, "{status}");
        }
    }

    #[test]
    fn retry_after_in_all_its_forms() {
        let now = UnixMs(784_111_777_000);
        let cases = [
            (429, "7", Some(7)),
            (503, "0", Some(0)),
            (503, " 12 ", Some(12)),
            (429, "99999999999999999999999", Some(3600)),
            (429, "3601", Some(3600)),
            (429, "Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            (429, "Sun, 06 Nov 1994 08:49:27 GMT", Some(0)),
            (429, "Sat, 06 Nov 2094 08:49:37 GMT", Some(3600)),
            (429, "", None),
            (429, "-1", None),
            (429, "1.5", None),
            (429, "soon", None),
            (500, "7", None),
            (200, "7", None),
            (404, "7", None),
        ];
        for (status, text, expected) in cases {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            let asked = retry_after(StatusCode::from_u16(status).unwrap(), &headers, now);
            assert_eq!(asked, expected.map(Duration::from_secs), "{status} {text:?}");
        }
    }

    #[test]
    fn keep_alive_is_understood() {
        for (text, expected) in
            [("timeout=5", Some(5)), ("max=100, Timeout = 7", Some(7)), ("max=100", None), ("timeout=x", None)]
        {
            let headers = HeaderMap::from_iter([("keep-alive".parse().unwrap(), HeaderValue::from_static(text))]);
            assert_eq!(keep_alive(&headers), expected.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn headers_are_bounded_and_readable() {
        let mut headers = HeaderMap::new();
        headers.append("x-odd", HeaderValue::from_bytes(b"a\xffb").unwrap());
        headers.append("x-odd", HeaderValue::from_static("again"));
        assert_eq!(headers_as_text(&headers), "x-odd: a\u{fffd}b\r\nx-odd: again\r\n");
        for _ in 0..90 {
            headers.append("x-long", HeaderValue::from_str(&"y".repeat(200)).unwrap());
        }
        let text = headers_as_text(&headers);
        assert!(text.len() <= limits::RESPONSE_HEADERS_BYTES && text.len() > limits::RESPONSE_HEADERS_BYTES - 300);
    }
}
