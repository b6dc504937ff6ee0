//! What is kept but pushed to nobody, and why (docs/intake.md).

use crate::model::{Category, EventKind, Withheld};

/// Everything about a sighting that a rule asks for.
#[derive(Debug, Clone, Copy)]
pub struct Sighting {
    /// What told us.
    pub agent: Agent,
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
    let needs_version = matches!(kind.category(), Category::Polls | Category::Nps);
    match sighting.agent {
        Agent::Version(version) if needs_version && version.is_none_or(|version| version < POLLS_SINCE) => {
            Some(Withheld::AgentTooOld)
        }
        _ => None,
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
