//! Where Segment takes messages, and by what it knows whose they are (docs/segment.md).

use crate::catalog::InvalidValue;
use crate::model::{Auth, Endpoint, Scheme, Secret};

/// Where Segment takes track calls, below an endpoint.
const TRACK: &str = "/v1/track";

/// Where the messages of an endpoint go.
///
/// # Errors
/// It is no URL, or one that nothing can be added to.
pub(super) fn endpoint(entered: &str) -> Result<Endpoint, InvalidValue> {
    let invalid = |problem: String| InvalidValue::new("endpoint", problem);
    let base = entered.trim_end_matches('/');
    if base.contains('?') {
        return Err(invalid(String::from("must not hold a query: /v1/track is added to it")));
    }
    if base.ends_with(TRACK) || base.ends_with("/v1") {
        return Err(invalid(String::from("must not end with /v1 or /v1/track, which is added to it; leave that out")));
    }
    Endpoint::parse(&format!("{base}{TRACK}")).map_err(|error| invalid(error.to_string()))
}

/// Whether this endpoint is one of Segment's own, in whichever region: who is at the other end of all of them is the same.
pub(super) fn is_own(entered: &str) -> bool {
    let Ok(Endpoint { scheme: Scheme::Https, host, port: 443, .. }) = endpoint(entered) else { return false };
    let host = host.to_ascii_lowercase();
    host == "api.segment.io" || host.ends_with(".segmentapis.com")
}

/// Whether a write key can be sent.
///
/// # Errors
/// It holds what no write key does.
pub(super) fn check_write_key(key: &Secret) -> Result<(), InvalidValue> {
    // A colon would end the user's name, which the key is sent as.
    match key.expose().iter().all(|byte| byte.is_ascii_graphic() && *byte != b':') {
        true => Ok(()),
        false => Err(InvalidValue::new("write_key", "must be as Segment shows it: letters and digits, without spaces")),
    }
}

/// By what Segment knows the source: the write key as the user's name, with an empty password.
pub(super) fn auth(key: &Secret) -> Auth {
    let username = String::from_utf8_lossy(key.expose()).into_owned();
    Auth::Basic { username, password: Secret::new("") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_own_endpoints_are_known() {
        for own in ["https://api.segment.io", "https://events.eu1.segmentapis.com/"] {
            assert!(is_own(own), "{own}");
        }
        for other in [
            "http://api.segment.io",
            "https://api.segment.io:8443",
            "https://segmentapis.com.example",
            "https://xapi.segment.io",
        ] {
            assert!(!is_own(other), "{other}");
        }
    }

    #[test]
    fn messages_go_below_the_endpoint() {
        for entered in ["https://api.segment.io", "https://api.segment.io/"] {
            let endpoint = endpoint(entered).unwrap();
            assert_eq!(
                (endpoint.authority.as_str(), endpoint.path_and_query.as_str()),
                ("api.segment.io", "/v1/track")
            );
        }
        assert_eq!(endpoint("http://h:1/proxy").unwrap().path_and_query, "/proxy/v1/track");
        for wrong in ["https://h?x", "https://h/v1", "https://h/v1/track", "h", "", "https://u:p@h", "https://h#f"] {
            assert_eq!(endpoint(wrong).unwrap_err().field, "endpoint", "{wrong}");
        }
    }

    #[test]
    fn a_write_key_is_the_users_name() {
        let wanted = Auth::Basic { username: String::from("abc123"), password: Secret::new("") };
        assert_eq!(auth(&Secret::new("abc123")), wanted);
        assert!(check_write_key(&Secret::new("aB3-_")).is_ok());
        for wrong in ["a:b", "a b", "\u{e9}"] {
            assert!(check_write_key(&Secret::new(wrong)).is_err(), "{wrong}");
        }
    }
}
