//! Where the proxy is, as an operator writes it: `http://host:port` or `socks5://user@host:port`.

use crate::model::Endpoint;
use std::str::FromStr;

/// What a proxy's URL says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) socks: bool,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: Option<String>,
}

/// Why a text does not say where a proxy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum WrongPlace {
    #[error("it must start with http:// or socks5://")]
    Scheme,
    #[error("its password belongs in FANFARE_PROXY_PASSWORD or in the file that proxy_password_file names")]
    Password,
    #[error("it must name a host and a port, and nothing behind them")]
    Host,
    #[error("its user name must not be longer than 255 bytes")]
    User,
}

impl FromStr for Place {
    type Err = WrongPlace;

    fn from_str(text: &str) -> Result<Self, WrongPlace> {
        let (socks, rest) = match (text.strip_prefix("http://"), text.strip_prefix("socks5://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(WrongPlace::Scheme),
        };
        let (user, host) = match rest.rsplit_once('@') {
            Some((user, _)) if user.contains(':') => return Err(WrongPlace::Password),
            Some((user, host)) => (Some(user), host),
            None => (None, rest),
        };
        if user.is_some_and(|user| user.is_empty() || user.len() > 255) {
            return Err(WrongPlace::User);
        }
        let host = host.strip_suffix('/').unwrap_or(host);
        let endpoint = Endpoint::parse(&format!("http://{host}")).map_err(|_| WrongPlace::Host)?;
        let has_port = endpoint.authority.ends_with(&format!(":{}", endpoint.port));
        if !has_port || endpoint.authority != host {
            return Err(WrongPlace::Host);
        }
        Ok(Self { socks, host: endpoint.host, port: endpoint.port, user: user.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        let place = |socks, host: &str, port, user: Option<&str>| {
            Ok(Place { socks, host: host.to_owned(), port, user: user.map(str::to_owned) })
        };
        for (text, expected) in [
            ("http://proxy.example.com:3128", place(false, "proxy.example.com", 3128, None)),
            ("http://ada@10.0.0.1:80/", place(false, "10.0.0.1", 80, Some("ada"))),
            ("socks5://[::1]:1080", place(true, "::1", 1080, None)),
            ("socks5://ada@example.com@h:1", place(true, "h", 1, Some("ada@example.com"))),
            ("https://proxy:3128", Err(WrongPlace::Scheme)),
            ("proxy:3128", Err(WrongPlace::Scheme)),
            ("http://ada:secret@proxy:3128", Err(WrongPlace::Password)),
            ("http://@proxy:3128", Err(WrongPlace::User)),
            ("http://proxy", Err(WrongPlace::Host)),
            ("http://proxy:3128/path", Err(WrongPlace::Host)),
            ("socks5://", Err(WrongPlace::Host)),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
    }
}
