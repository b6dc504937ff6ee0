//! The console's cookie: what it is called, how it is set, and the token that shows that a call comes from our page.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, header};
use ring::digest::{SHA256, digest};
use std::time::Duration;

/// The session's cookie, and the one that remembers what is under way with the sign-in provider.
const SESSION: &str = "fanfare_session";
const PENDING: &str = "fanfare_sign_in";

/// The session's token, if the browser sent one.
pub fn token(headers: &HeaderMap, secure: bool) -> Option<&str> {
    get(headers, SESSION, secure)
}

/// A header that makes the browser keep the token: out of reach of scripts, and not sent when another site causes a
/// request.
pub fn set(token: &str, lasts: Duration, secure: bool) -> Option<HeaderValue> {
    put((SESSION, token), lasts, "Strict", secure)
}

/// A header that makes the browser forget it.
pub fn clear(secure: bool) -> Option<HeaderValue> {
    set("", Duration::ZERO, secure)
}

/// What the browser was given when it left for the provider.
pub fn pending(headers: &HeaderMap, secure: bool) -> Option<&str> {
    get(headers, PENDING, secure)
}

/// A header that makes the browser keep that. It comes back from another site, which "Strict" would not allow.
pub fn set_pending(sealed: &str, lasts: Duration, secure: bool) -> Option<HeaderValue> {
    put((PENDING, sealed), lasts, "Lax", secure)
}

/// A header that makes the browser forget it.
pub fn clear_pending(secure: bool) -> Option<HeaderValue> {
    set_pending("", Duration::ZERO, secure)
}

fn get<'a>(headers: &'a HeaderMap, name: &str, secure: bool) -> Option<&'a str> {
    let name = name_of(name, secure);
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, value)| *found == name && !value.is_empty()).map(|(_, value)| value)
}

fn put((name, value): (&str, &str), lasts: Duration, same_site: &str, secure: bool) -> Option<HeaderValue> {
    let (name, flag) = (name_of(name, secure), if secure { "; Secure" } else { "" });
    let seconds = lasts.as_secs();
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite={same_site}{flag}");
    HeaderValue::try_from(text).ok()
}

/// Over https the prefix makes browsers refuse a cookie of this name from anybody but this host.
fn name_of(name: &str, secure: bool) -> String {
    format!("{}{name}", if secure { "__Host-" } else { "" })
}

/// The token that calls other than GET carry in a header. Another site can neither read nor guess it. It follows from
/// the session's token, so nothing more has to be kept.
pub fn csrf_token(session_token: &str) -> String {
    let hash = digest(&SHA256, format!("csrf:{session_token}").as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(hash.as_ref())
}

/// Whether this is that token. Hashes are compared, so the time that it takes says nothing.
pub fn is_csrf_token(session_token: &str, shown: &str) -> bool {
    let hash = |text: &str| digest(&SHA256, text.as_bytes());
    hash(&csrf_token(session_token)).as_ref() == hash(shown).as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others_and_only_under_its_name() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=b; fanfare_session=tok"));
        headers.append(header::COOKIE, HeaderValue::from_static("__Host-fanfare_session=safe; c"));
        assert_eq!((token(&headers, false), token(&headers, true)), (Some("tok"), Some("safe")));
        headers.remove(header::COOKIE);
        headers.append(header::COOKIE, HeaderValue::from_static("fanfare_session=; xfanfare_session=no"));
        assert_eq!(token(&headers, false), None);
    }

    #[test]
    fn the_cookie_is_out_of_reach() {
        let value = set("tok", Duration::from_secs(60), true).unwrap();
        let whole = "__Host-fanfare_session=tok; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure";
        assert_eq!(value, whole);
        assert!(clear(false).unwrap().to_str().unwrap().starts_with("fanfare_session=; Path=/; Max-Age=0"));
    }

    #[test]
    fn a_csrf_token_belongs_to_one_session() {
        assert!(is_csrf_token("one", &csrf_token("one")));
        assert!(!is_csrf_token("two", &csrf_token("one")) && !is_csrf_token("one", ""));
    }
}
