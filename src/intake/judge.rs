//! What is kept but pushed to nobody, and why (docs/intake.md).

use crate::catalog::{Facts, Rules};
use crate::model::{Category, EventKind, ExclusionId, Withheld};
use std::net::IpAddr;

/// Everything about a sighting that a rule asks for.
#[derive(Debug, Clone, Copy)]
pub struct Sighting {
    /// What told us.
    pub agent: Agent,
    /// The rule that excludes it.
    pub excluded: Option<ExclusionId>,
}

/// What told us of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agent {
    /// A server, over the Track API.
    Server,
    /// An agent of this version; `None` when it states none that can be read.
    Version(Option<[u32; 3]>),
}

/// From this version on, agents report polls and NPS as receivers expect it.
const POLLS_SINCE: [u32; 3] = [2, 33, 0];

/// Whether an event of this kind is withheld. An exclusion is the same for every kind.
pub fn judge(sighting: &Sighting, kind: EventKind) -> Option<Withheld> {
    if let Some(rule) = sighting.excluded {
        return Some(Withheld::Excluded { rule: rule.0 });
    }
    let needs_version = matches!(kind.category(), Category::Polls | Category::Nps);
    match sighting.agent {
        Agent::Version(version) if needs_version && version.is_none_or(|version| version < POLLS_SINCE) => {
            Some(Withheld::AgentTooOld)
        }
        _ => None,
    }
}

/// What a request says of where its events come from, as far as rules ask for it.
#[derive(Debug, Clone, Copy)]
pub struct Whence<'a> {
    /// The subscription's rules; `None` when it has none.
    pub rules: Option<&'a Rules>,
    /// The address that the request, or the server on a visitor's behalf, names.
    pub ip: Option<IpAddr>,
    /// The URL of the page, or its origin; "" when that is not known.
    pub page: &'a str,
}

impl Whence<'_> {
    /// The rule that excludes what this visitor of this account does; on `page`, if the item names one.
    pub fn excluding(&self, visitor_id: &str, account_id: &str, page: Option<&str>) -> Option<ExclusionId> {
        let rules = self.rules?;
        let host = host(page.unwrap_or(self.page));
        rules.excluding(&Facts { visitor_id, account_id, ip: self.ip, host })
    }
}

/// The host of a URL, without its port.
fn host(url: &str) -> &str {
    let Some((_, rest)) = url.split_once("://") else { return "" };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether the sighting may be somebody's first: an excluded one does not use it up.
pub fn may_be_first(sighting: &Sighting) -> bool {
    !matches!(judge(sighting, EventKind::VisitorCreated), Some(Withheld::Excluded { .. }))
}

/// A version like "2.33.0"; a missing third part is 0, and what follows it ("-beta", "_prod") does not count.
pub fn parse_version(text: &str) -> Option<[u32; 3]> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let mut parts = text[..end].split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    let patch = parts.next().map_or(Some(0), |part| part.parse().ok())?;
    Some([major, minor, patch])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_host() {
        for (url, expected) in [
            ("https://app.example.com/a?b#c", "app.example.com"),
            ("http://user@app.example.com:8080", "app.example.com"),
            ("https://[2001:db8::1]:443/", "[2001:db8::1]"),
            ("https://[2001:db8::1]/", "[2001:db8::1]"),
            ("null", ""),
            ("", ""),
        ] {
            assert_eq!(host(url), expected, "{url}");
        }
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        for new in ["2.33.0", "2.33", "2.33.1", "2.100.0", "3.0.0", "2.33.0_prod", "2.33.0-beta.1", "2.33.0.4"] {
            assert!(parse_version(new).is_some_and(|version| version >= POLLS_SINCE), "{new}");
        }
        for old in ["2.32.9", "2.4.0", "1.99.99"] {
            assert!(parse_version(old).is_some_and(|version| version < POLLS_SINCE), "{old}");
        }
        for none in ["", "2", "v2.33.0", "latest", "2.", ".1.2", "2.x"] {
            assert_eq!(parse_version(none), None, "{none}");
        }
    }
}
