//! A subscription's exclusions, made ready for intake: what a rule costs does not grow with how many there are.
//!
//! A rule without `*` is looked up whole. One with `*` is looked up by the text before its first one, or by the text after
//! its last one: for each length that such a text has, once. Those that have neither are found by their longest part, all
//! in one pass over the text. Networks are looked up by their lengths.

use super::Exclusion;
use crate::model::{ExclusionId, ExclusionKind};
use aho_corasick::AhoCorasick;
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// What is known of a sighting that a rule may look at.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// As it came.
    pub visitor_id: &'a str,
    /// As it came; "" for none.
    pub account_id: &'a str,
    /// Where it came from, if that is known.
    pub ip: Option<IpAddr>,
    /// The host of its page; "" when that is not known.
    pub host: &'a str,
}

/// All rules of a subscription.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Oldest first. A rule is known by its place in it.
    all: Vec<Arc<Exclusion>>,
    visitors: Texts,
    accounts: Texts,
    addresses: Texts,
    hosts: Texts,
    networks: Networks,
}

impl Rules {
    /// Makes rules ready; they come oldest first.
    pub fn new(all: Vec<Arc<Exclusion>>) -> Self {
        let mut rules = Self::default();
        for (place, rule) in all.iter().enumerate() {
            let (place, pattern) = (place as u32, rule.pattern.as_str());
            match (rule.kind, parse_network(pattern)) {
                (ExclusionKind::Visitor, _) => rules.visitors.add(pattern, place),
                (ExclusionKind::Account, _) => rules.accounts.add(pattern, place),
                (ExclusionKind::Host, _) => rules.hosts.add(pattern, place),
                (ExclusionKind::Ip, Some(network)) => rules.networks.add(network, place),
                (ExclusionKind::Ip, None) => rules.addresses.add(pattern, place),
            }
        }
        for texts in [&mut rules.visitors, &mut rules.accounts, &mut rules.addresses, &mut rules.hosts] {
            texts.loose.prepare();
        }
        Self { all, ..rules }
    }

    /// All of them, oldest first.
    pub fn all(&self) -> &[Arc<Exclusion>] {
        &self.all
    }

    /// The one with this id.
    pub fn get(&self, id: ExclusionId) -> Option<&Arc<Exclusion>> {
        self.all.iter().find(|rule| rule.id == id)
    }

    /// The oldest rule that excludes this sighting.
    pub fn excluding(&self, facts: &Facts<'_>) -> Option<ExclusionId> {
        let by_host = || if self.hosts.is_empty() { None } else { self.hosts.first(&facts.host.to_ascii_lowercase()) };
        let by_ip = |ip: IpAddr| {
            let by_text = if self.addresses.is_empty() { None } else { self.addresses.first(&ip.to_string()) };
            earlier(self.networks.first(ip), by_text)
        };
        let by_id = earlier(self.visitors.first(facts.visitor_id), self.accounts.first(facts.account_id));
        let by_place = earlier(facts.ip.and_then(by_ip), by_host());
        earlier(by_id, by_place).and_then(|place| self.all.get(place as usize)).map(|rule| rule.id)
    }
}

/// An address or a network, as a network.
pub fn parse_network(pattern: &str) -> Option<IpNet> {
    let address = pattern.parse::<IpAddr>().map(IpNet::from);
    address.or_else(|_| pattern.parse::<IpNet>()).ok().map(|network| network.trunc())
}

fn earlier(a: Option<u32>, b: Option<u32>) -> Option<u32> {
    [a, b].into_iter().flatten().min()
}

/// Patterns over texts of one kind.
#[derive(Debug, Clone, Default)]
struct Texts {
    whole: HashMap<String, u32>,
    starts: Ends,
    ends: Ends,
    loose: Loose,
}

impl Texts {
    fn add(&mut self, pattern: &str, place: u32) {
        let Some((start, rest)) = pattern.split_once('*') else {
            self.whole.entry(pattern.to_owned()).or_insert(place);
            return;
        };
        let end = rest.rsplit('*').next().unwrap_or_default();
        let glob = Glob::new(pattern);
        match (start, end) {
            ("", "") => self.loose.globs.push((glob, place)),
            ("", end) => self.ends.add(end, glob, place),
            (start, _) => self.starts.add(start, glob, place),
        }
    }

    /// The oldest that matches.
    fn first(&self, text: &str) -> Option<u32> {
        if self.is_empty() || text.is_empty() {
            return None;
        }
        let bytes = text.as_bytes();
        let start = self.starts.first(text, |length| bytes.get(..length));
        let end = self.ends.first(text, |length| bytes.get(bytes.len().checked_sub(length)?..));
        earlier(earlier(self.whole.get(text).copied(), self.loose.first(text)), earlier(start, end))
    }

    fn is_empty(&self) -> bool {
        self.whole.is_empty()
            && self.starts.lengths.is_empty()
            && self.ends.lengths.is_empty()
            && self.loose.globs.is_empty()
    }
}

/// Patterns with a `*` at both ends, by the longest of their parts.
#[derive(Debug, Clone, Default)]
struct Loose {
    globs: Vec<(Glob, u32)>,
    /// Finds the longest part of each.
    parts: Option<AhoCorasick>,
}

impl Loose {
    /// Call it when all patterns are there.
    fn prepare(&mut self) {
        let longest = |glob: &Glob| glob.0.iter().max_by_key(|part| part.len()).cloned().unwrap_or_default();
        if !self.globs.is_empty() {
            self.parts = AhoCorasick::new(self.globs.iter().map(|(glob, _)| longest(glob))).ok();
        }
    }

    fn first(&self, text: &str) -> Option<u32> {
        let found = self.parts.as_ref()?.find_overlapping_iter(text);
        let globs = found.filter_map(|found| self.globs.get(found.pattern().as_usize()));
        globs.filter(|(glob, _)| glob.fits(text)).map(|(_, place)| *place).min()
    }
}

/// Patterns by their text at one end.
#[derive(Debug, Clone, Default)]
struct Ends {
    lengths: Vec<usize>,
    by_text: HashMap<Vec<u8>, Vec<(Glob, u32)>>,
}

impl Ends {
    fn add(&mut self, text: &str, glob: Glob, place: u32) {
        if let Err(at) = self.lengths.binary_search(&text.len()) {
            self.lengths.insert(at, text.len());
        }
        self.by_text.entry(text.as_bytes().to_vec()).or_default().push((glob, place));
    }

    fn first<'t>(&self, text: &str, part: impl Fn(usize) -> Option<&'t [u8]>) -> Option<u32> {
        let with_length = self.lengths.iter().filter_map(|length| self.by_text.get(part(*length)?));
        with_length.flatten().filter(|(glob, _)| glob.fits(text)).map(|(_, place)| *place).min()
    }
}

/// A pattern, taken apart at its `*`s.
#[derive(Debug, Clone)]
struct Glob(Vec<String>);

impl Glob {
    fn new(pattern: &str) -> Self {
        Self(pattern.split('*').map(ToOwned::to_owned).collect())
    }

    /// Each part after the one before it, the first at the start and the last at the end.
    fn fits(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.0.as_slice() else {
            return self.0.first().is_some_and(|whole| whole == text);
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str())) else {
            return false;
        };
        middle.iter().all(|part| {
            let found = rest.find(part.as_str());
            rest = found.map_or(rest, |at| &rest[at + part.len()..]);
            found.is_some()
        })
    }
}

/// Networks by their length.
#[derive(Debug, Clone, Default)]
struct Networks {
    lengths: Vec<u8>,
    by_network: HashMap<IpNet, u32>,
}

impl Networks {
    fn add(&mut self, network: IpNet, place: u32) {
        if !self.lengths.contains(&network.prefix_len()) {
            self.lengths.push(network.prefix_len());
        }
        self.by_network.entry(network).or_insert(place);
    }

    fn first(&self, ip: IpAddr) -> Option<u32> {
        let around = |length: &u8| IpNet::new(ip, *length).ok().map(|network| network.trunc());
        self.lengths.iter().filter_map(|length| self.by_network.get(&around(length)?).copied()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{SubscriptionId, UnixMs};
    use proptest::prelude::*;

    fn rules(patterns: &[(ExclusionKind, &str)]) -> Rules {
        let rule = |(place, (kind, pattern)): (usize, &(ExclusionKind, &str))| {
            let pattern = (*pattern).to_owned();
            let (id, subscription) = (ExclusionId(place as u64), SubscriptionId(1));
            Arc::new(Exclusion { id, subscription, kind: *kind, pattern, created_at: UnixMs(0) })
        };
        Rules::new(patterns.iter().enumerate().map(rule).collect())
    }

    fn of_visitor(rules: &Rules, visitor_id: &str) -> Option<u64> {
        rules.excluding(&Facts { visitor_id, account_id: "", ip: None, host: "" }).map(|id| id.0)
    }

    #[test]
    fn wildcards_stand_for_any_text_and_ids_are_case_sensitive() {
        let cases: [(&str, &[&str], &[&str]); 7] = [
            ("ann", &["ann"], &["Ann", "anna", "an", ""]),
            ("test-*", &["test-", "test-1", "test-*"], &["Test-1", "atest-1", "test"]),
            ("*@example.com", &["a@example.com", "@example.com"], &["a@example.com.", "a@Example.com"]),
            ("*bot*", &["bot", "a-bot-b", "robot"], &["bo", "b-o-t"]),
            ("a*b*c", &["abc", "a1b2c", "abbc", "abcbc"], &["acb", "abcd", "ac"]),
            ("aa*aa", &["aaaa", "aaxaa"], &["aaa", "aa"]),
            ("über*", &["übermut"], &["ubermut", "ü"]),
        ];
        for (pattern, matching, others) in cases {
            let rules = rules(&[(ExclusionKind::Visitor, pattern)]);
            for text in matching {
                assert_eq!(of_visitor(&rules, text), Some(0), "{pattern} and {text}");
            }
            for text in others {
                assert_eq!(of_visitor(&rules, text), None, "{pattern} and {text}");
            }
        }
    }

    #[test]
    fn each_kind_looks_at_its_own_and_the_oldest_rule_is_named() {
        use ExclusionKind::{Account, Host, Ip, Visitor};
        let rules = rules(&[
            (Host, "*.example.com"),
            (Ip, "10.1.0.0/16"),
            (Ip, "2001:db8::/32"),
            (Account, "acme::*"),
            (Visitor, "ann"),
            (Ip, "192.168.*"),
            (Ip, "10.1.2.3"),
        ]);
        let found = |visitor_id, account_id, ip: &str, host| {
            let ip = ip.parse().ok();
            rules.excluding(&Facts { visitor_id, account_id, ip, host }).map(|id| id.0)
        };
        assert_eq!(found("bob", "acme", "1.1.1.1", "example.com"), None);
        assert_eq!(found("example.com", "ann", "", "ann"), None, "no kind looks at another's text");
        assert_eq!(found("ann", "", "", ""), Some(4));
        assert_eq!(found("ann", "acme::child", "", ""), Some(3));
        assert_eq!(found("ann", "", "10.1.2.3", ""), Some(1));
        assert_eq!(found("", "", "2001:db8::1", ""), Some(2));
        assert_eq!(found("", "", "192.168.7.8", ""), Some(5));
        assert_eq!(found("ann", "", "10.1.2.3", "App.Example.com"), Some(0), "hosts have no case");
    }

    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => {
                naive(rest, text) || text.split_first().is_some_and(|(_, text)| naive(pattern, text))
            }
            ([a, pattern @ ..], [b, text @ ..]) => a == b && naive(pattern, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn the_index_finds_what_trying_all_would(
            patterns in proptest::collection::vec("[ab*]{0,3}[ab][ab*]{0,3}", 0..12),
            texts in proptest::collection::vec("[ab]{1,7}", 1..12),
        ) {
            let given: Vec<_> = patterns.iter().map(|pattern| (ExclusionKind::Visitor, pattern.as_str())).collect();
            let rules = rules(&given);
            for text in &texts {
                let expected = patterns.iter().position(|pattern| naive(pattern.as_bytes(), text.as_bytes()));
                prop_assert_eq!(of_visitor(&rules, text), expected.map(|place| place as u64));
            }
        }
    }
}
