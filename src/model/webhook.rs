//! Parts of a webhook that more than one stage needs.

use super::Secret;
use serde::{Deserialize, Serialize};

/// Whether a webhook is sent events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookState {
    /// Events accepted from now on are sent.
    On,
    /// Switched off by a person, or never switched on.
    Off,
    /// Turned off by Fanfare after repeated failures; left only through turn-on.
    TurnedOff,
}

impl WebhookState {
    /// Its name in the API and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::TurnedOff => "turned_off",
        }
    }

    /// The state with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::On, Self::Off, Self::TurnedOff].into_iter().find(|state| state.name() == name)
    }
}

/// What kind of product an app is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// A web page.
    Web,
    /// An iPhone or iPad app.
    Ios,
    /// An Android app.
    Android,
}

impl Platform {
    /// The platform with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Web, Self::Ios, Self::Android].into_iter().find(|platform| platform.name() == name)
    }

    /// Its name in bodies and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Ios => "ios",
            Self::Android => "android",
        }
    }
}

/// A Standard Webhooks signing key: what follows `whsec_`, decoded. The newest stands first where several are valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey(pub Secret);

/// http or https.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain text.
    Http,
    /// TLS.
    Https,
}

/// Where a webhook's requests go: a URL taken apart once, so that nothing is parsed or normalised per delivery.
///
/// Path and query are kept byte for byte as entered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// http or https.
    pub scheme: Scheme,
    /// Host name or address as entered, without brackets around an IPv6 address.
    pub host: String,
    /// The port, given or the scheme's own.
    pub port: u16,
    /// The Host header: host as entered (with brackets), and the port where one was entered.
    pub authority: String,
    /// Path and query as entered; "/" when there is none.
    pub path_and_query: String,
}

/// Why a URL cannot be a webhook's destination. The text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Neither http nor https.
    #[error("the URL must start with http:// or https://")]
    Scheme,
    /// User name or password before the host.
    #[error("the URL must not hold a user name or password; remove what stands before the @")]
    UserInfo,
    /// Something after a '#'.
    #[error("the URL must not hold a fragment; remove the # and what follows")]
    Fragment,
    /// No host, or one that cannot be.
    #[error("the URL has no valid host")]
    Host,
    /// Not a number from 1 to 65535.
    #[error("the URL's port must be a number from 1 to 65535")]
    Port,
    /// A character that HTTP does not allow in a request line.
    #[error("the URL holds the character {0:?}, which must be percent-encoded")]
    Character(char),
    /// Longer than the limit.
    #[error("the URL is longer than {0} characters")]
    TooLong(usize),
}

impl Endpoint {
    /// The longest URL that is accepted, in bytes.
    pub const MAX_BYTES: usize = 4096;

    /// Takes a URL apart as entered.
    ///
    /// # Errors
    /// [`EndpointError`] says what is wrong with the URL and what to do about it.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        if url.len() > Self::MAX_BYTES {
            return Err(EndpointError::TooLong(Self::MAX_BYTES));
        }
        let (scheme, rest) = split_scheme(url)?;
        if rest.contains('#') {
            return Err(EndpointError::Fragment);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(EndpointError::UserInfo);
        }
        let path_and_query = checked_path(path)?;
        let (host, port) = split_authority(authority)?;
        let default_port = match scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        Ok(Self { scheme, host, port: port.unwrap_or(default_port), authority: authority.to_owned(), path_and_query })
    }

    /// Whether a connection to the one can carry requests to the other.
    pub fn same_peer(&self, other: &Self) -> bool {
        (self.scheme, self.port) == (other.scheme, other.port) && self.host.eq_ignore_ascii_case(&other.host)
    }
}

fn split_scheme(url: &str) -> Result<(Scheme, &str), EndpointError> {
    let (scheme, rest) = url.split_once("://").ok_or(EndpointError::Scheme)?;
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Ok((Scheme::Http, rest)),
        "https" => Ok((Scheme::Https, rest)),
        _ => Err(EndpointError::Scheme),
    }
}

/// What may stand in a request line: visible ASCII less the characters that the `http` crate, like RFC 3986, refuses.
fn checked_path(path: &str) -> Result<String, EndpointError> {
    let refused = |c: char| !c.is_ascii_graphic() || matches!(c, '"' | '<' | '>' | '`' | '\\' | '^');
    if let Some(c) = path.chars().find(|c| refused(*c)) {
        return Err(EndpointError::Character(c));
    }
    // "http://host?q" has an empty path, which a request line must write as "/".
    Ok(if path.starts_with('/') { path.to_owned() } else { format!("/{path}") })
}

fn split_authority(authority: &str) -> Result<(String, Option<u16>), EndpointError> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(EndpointError::Host)?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| EndpointError::Host)?;
        (host, if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or(EndpointError::Host)?) })
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    let name_character = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    if host.is_empty() || host.len() > 253 || !host.chars().all(name_character) {
        return Err(EndpointError::Host);
    }
    let port = match port {
        None => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port != 0).ok_or(EndpointError::Port)?)
        }
        Some(_) => return Err(EndpointError::Port),
    };
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_and_query_stay_as_entered() {
        let endpoint = Endpoint::parse("HTTPS://Example.com:8443/a//b/../%7e?x=1&&y={z}|'q'").unwrap();
        assert_eq!(endpoint.path_and_query, "/a//b/../%7e?x=1&&y={z}|'q'");
        assert_eq!((endpoint.scheme, endpoint.port), (Scheme::Https, 8443));
        assert_eq!((endpoint.host.as_str(), endpoint.authority.as_str()), ("Example.com", "Example.com:8443"));
        assert_eq!(Endpoint::parse("http://h?q=1").unwrap().path_and_query, "/?q=1");
        assert_eq!(Endpoint::parse("http://[::1]:81/").unwrap().host, "::1");
    }

    #[test]
    fn what_cannot_be_a_destination_is_refused_with_its_reason() {
        let cases = [
            ("ftp://h/", EndpointError::Scheme),
            ("h/", EndpointError::Scheme),
            ("http://u:p@h/", EndpointError::UserInfo),
            ("http://h/#f", EndpointError::Fragment),
            ("http:///x", EndpointError::Host),
            ("http://h ost/", EndpointError::Host),
            ("http://[::1/", EndpointError::Host),
            ("http://h:0/", EndpointError::Port),
            ("http://h:70000/", EndpointError::Port),
            ("http://h:x/", EndpointError::Port),
            ("http://h/a b", EndpointError::Character(' ')),
            ("http://h/?q=\"a\"", EndpointError::Character('"')),
            ("http://h/ü", EndpointError::Character('ü')),
        ];
        for (url, error) in cases {
            assert_eq!(Endpoint::parse(url), Err(error), "{url}");
        }
    }
}
