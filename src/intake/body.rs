//! The bytes that leave: one compact JSON object per event, its keys in a fixed order (docs/events.md).
//!
//! Written by hand into one buffer: what would be a tree of values elsewhere is here a few copies, and the order of the
//! keys can be read off the code.

use super::canonical::append_string;
use super::user_agent::Browser;
use crate::catalog::App;
use crate::model::{AppId, EventKind, GuideProperties, Platform, PollType, SubscriptionId, UniqueId, UnixMs, UserRef};
use ring::digest;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::io::Write;

/// What every body has around its properties.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// The app's id.
    pub app_id: AppId,
    /// The app's name.
    pub app_name: &'a str,
    /// The app's platform.
    pub platform: Platform,
    /// "" for none.
    pub account_id: &'a str,
    /// The subscription's id.
    pub subscription_id: SubscriptionId,
    /// The subscription's name.
    pub subscription_name: &'a str,
    /// "" when unknown.
    pub user_agent: &'a str,
    /// An event's name, or "ping".
    pub event: &'a str,
    /// When it happened.
    pub occurred_at: UnixMs,
    /// Who did it.
    pub visitor_id: &'a str,
    /// Names the event to receivers.
    pub unique_id: UniqueId,
}

impl<'a> Envelope<'a> {
    /// The envelope of an event in `app`, with nobody's ids in it yet.
    pub fn of(app: &'a App, event: &'a str, occurred_at: UnixMs, unique_id: UniqueId) -> Self {
        Self {
            app_id: app.id,
            app_name: &app.name,
            platform: app.platform,
            account_id: "",
            subscription_id: app.subscription.id,
            subscription_name: &app.subscription.name,
            user_agent: "",
            event,
            occurred_at,
            visitor_id: "",
            unique_id,
        }
    }
}

/// The step of a guide that an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Which guide.
    pub guide_id: String,
    /// Its facts.
    pub guide: GuideProperties,
    /// Which step.
    pub step_id: String,
    /// The language it was shown in; "" when unknown.
    pub language: String,
}

/// One answer of a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<'a> {
    /// How long the visitor took, in milliseconds.
    pub duration_ms: i64,
    /// Which poll.
    pub poll_id: Cow<'a, str>,
    /// What kind of poll.
    pub poll_type: PollType,
    /// The answer as JSON: a number or a string.
    pub response: Cow<'a, [u8]>,
    /// The poll's place on its step, where that is known: answers leave in question order.
    pub place: Option<usize>,
}

/// Where an NPS answer was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NpsSource {
    /// In the app.
    #[default]
    Web,
    /// In an e-mail.
    Email,
}

impl NpsSource {
    fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Email => "email",
        }
    }
}

/// An entry of the audit log.
#[derive(Debug, Clone, Copy)]
pub struct Audit<'a> {
    /// What was done.
    pub action: &'a str,
    /// By whom: kind, id and name.
    pub actor: (&'a str, &'a str, &'a str),
    /// What it was before, a JSON object as the log keeps it.
    pub before: &'a str,
    /// What it was after.
    pub after: &'a str,
    /// When.
    pub at: UnixMs,
    /// To what.
    pub target: &'a str,
}

/// What is in `properties`, by the event's shape.
#[derive(Debug, Clone, Copy)]
pub enum Properties<'a> {
    /// `{}`: accountCreated and ping.
    None,
    /// guideDisplayed, pollDisplayed, npsDisplayed.
    Displayed(&'a Step),
    /// pollSubmitted.
    Poll(&'a Step, &'a [Answer<'a>]),
    /// npsSubmitted.
    Nps {
        /// Where it was asked.
        step: &'a Step,
        /// 0 to 10.
        rating: u8,
        /// The reason as a JSON string.
        reason: &'a [u8],
        /// Where it was given.
        source: NpsSource,
    },
    /// visitorCreated.
    Visitor {
        /// From the User-Agent.
        browser: &'a Browser,
        /// 0 to 99.
        sample_group: u32,
    },
    /// trackEventReceived.
    Track {
        /// Its name as a JSON string.
        name: &'a [u8],
        /// The caller's own properties in canonical form.
        properties: &'a [u8],
        /// "web", "server", "ios" or "android".
        source: &'a str,
    },
    /// auditRecorded.
    Audit(&'a Audit<'a>),
}

/// The body of an event.
pub fn write(envelope: &Envelope<'_>, properties: Properties<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(512 + envelope.user_agent.len() + size_hint(properties));
    raw(&mut out, "{\"app\":{\"id\":");
    integer(&mut out, envelope.app_id.0);
    string(&mut out, ",\"name\":", envelope.app_name);
    string(&mut out, ",\"platform\":", envelope.platform.name());
    string(&mut out, "},\"accountId\":", envelope.account_id);
    raw(&mut out, ",\"subscription\":{\"id\":");
    integer(&mut out, envelope.subscription_id.0.cast_signed());
    string(&mut out, ",\"name\":", envelope.subscription_name);
    string(&mut out, "},\"userAgent\":", envelope.user_agent);
    string(&mut out, ",\"event\":", envelope.event);
    raw(&mut out, ",\"properties\":");
    write_properties(&mut out, properties);
    raw(&mut out, ",\"timestamp\":");
    integer(&mut out, envelope.occurred_at.seconds());
    string(&mut out, ",\"visitorId\":", envelope.visitor_id);
    raw(&mut out, ",\"uniqueId\":\"");
    hex(&mut out, &envelope.unique_id.0);
    raw(&mut out, "\"}");
    out
}

/// `uniqueId`: SHA-1 over subscription id, app id, event name and the internal event id, NUL between.
///
/// The internal id is `seed` (16 random bytes per request, or those of a held rating) in hex, a point, and `index`, the
/// event's number within its request.
pub fn unique_id(subscription: SubscriptionId, app: AppId, event: EventKind, seed: [u8; 16], index: u32) -> UniqueId {
    let mut text = Vec::with_capacity(96);
    let _ = write!(text, "{subscription}\0{app}\0{}\0", event.name());
    hex(&mut text, &seed);
    let _ = write!(text, ".{index}");
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &text);
    let mut bytes = [0; 20];
    bytes.copy_from_slice(hash.as_ref());
    UniqueId(bytes)
}

/// The `uniqueId` of the audit log's entry with this hash: its internal id is the entry's own.
pub fn audit_id(subscription: SubscriptionId, app: AppId, hash: &str) -> UniqueId {
    let text = format!("{subscription}\0{app}\0{}\0audit.{hash}", EventKind::AuditRecorded.name());
    let mut id = UniqueId([0; 20]);
    id.0.copy_from_slice(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref());
    id
}

/// `sampleGroup`: the first four bytes of the SHA-1 of the visitor's id, big-endian, modulo 100.
pub fn sample_group(visitor_id: &str) -> u32 {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, visitor_id.as_bytes());
    let first = hash.as_ref()[..4].iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    first % 100
}

fn size_hint(properties: Properties<'_>) -> usize {
    match properties {
        Properties::Track { name, properties, .. } => name.len() + properties.len(),
        Properties::Audit(audit) => 256 + audit.before.len() + audit.after.len(),
        Properties::None | Properties::Visitor { .. } => 64,
        Properties::Displayed(step) | Properties::Poll(step, _) | Properties::Nps { step, .. } => {
            512 + 128 * step.guide.steps.len()
        }
    }
}

fn write_properties(out: &mut Vec<u8>, properties: Properties<'_>) {
    match properties {
        Properties::None => raw(out, "{"),
        Properties::Displayed(step) => write_step(out, step),
        Properties::Poll(step, answers) => {
            write_step(out, step);
            write_answers(out, answers);
        }
        Properties::Nps { step, rating, reason, source } => {
            write_step(out, step);
            raw(out, ",\"nps\":{\"rating\":");
            integer(out, i64::from(rating));
            raw(out, ",\"reason\":");
            out.extend_from_slice(reason);
            string(out, ",\"source\":", source.name());
            raw(out, "}");
        }
        Properties::Visitor { browser, sample_group } => {
            string(out, "{\"browserName\":", browser.name);
            string(out, ",\"browserVersion\":", &browser.version);
            raw(out, ",\"sampleGroup\":");
            integer(out, i64::from(sample_group));
        }
        Properties::Track { name, properties, source } => {
            raw(out, "{\"eventProperties\":");
            out.extend_from_slice(properties);
            raw(out, ",\"name\":");
            out.extend_from_slice(name);
            string(out, ",\"source\":", source);
        }
        Properties::Audit(audit) => write_audit(out, audit),
    }
    raw(out, "}");
}

fn write_audit(out: &mut Vec<u8>, audit: &Audit<'_>) {
    let (kind, id, name) = audit.actor;
    string(out, "{\"action\":", audit.action);
    string(out, ",\"actor\":{\"id\":", id);
    string(out, ",\"kind\":", kind);
    string(out, ",\"name\":", name);
    raw(out, "},\"after\":");
    object(out, audit.after);
    raw(out, ",\"at\":");
    integer(out, audit.at.0);
    raw(out, ",\"before\":");
    object(out, audit.before);
    string(out, ",\"target\":", audit.target);
}

/// An object of the audit log, with its keys in order.
fn object(out: &mut Vec<u8>, json: &str) {
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(json) {
        Ok(object) => out.extend_from_slice(serde_json::Value::Object(object).to_string().as_bytes()),
        Err(_) => raw(out, "{}"),
    }
}

fn write_step(out: &mut Vec<u8>, step: &Step) {
    string(out, "{\"guideId\":", &step.guide_id);
    raw(out, ",\"guideProperties\":");
    write_guide(out, &step.guide);
    string(out, ",\"guideStepId\":", &step.step_id);
    string(out, ",\"language\":", &step.language);
}

fn write_guide(out: &mut Vec<u8>, guide: &GuideProperties) {
    raw(out, "{\"createdAt\":");
    integer(out, guide.created_at);
    write_user(out, ",\"createdByUser\":", &guide.created_by_user);
    string(out, ",\"id\":", &guide.id);
    raw(out, ",\"lastUpdatedAt\":");
    integer(out, guide.last_updated_at);
    write_user(out, ",\"lastUpdatedByUser\":", &guide.last_updated_by_user);
    string(out, ",\"name\":", &guide.name);
    raw(out, ",\"steps\":[");
    for (index, step) in guide.steps.iter().enumerate() {
        string(out, if index == 0 { "{\"id\":" } else { ",{\"id\":" }, &step.id);
        raw(out, ",\"lastUpdatedAt\":");
        integer(out, step.last_updated_at);
        raw(out, ",\"resetAt\":");
        integer(out, step.reset_at);
        string(out, ",\"type\":", &step.kind);
        raw(out, "}");
    }
    raw(out, "]}");
}

fn write_user(out: &mut Vec<u8>, key: &str, user: &UserRef) {
    raw(out, key);
    string(out, "{\"username\":", &user.username);
    raw(out, "}");
}

fn write_answers(out: &mut Vec<u8>, answers: &[Answer<'_>]) {
    raw(out, ",\"pollResponses\":[");
    for (index, answer) in answers.iter().enumerate() {
        raw(out, if index == 0 { "{\"duration\":" } else { ",{\"duration\":" });
        integer(out, answer.duration_ms);
        string(out, ",\"pollId\":", &answer.poll_id);
        string(out, ",\"pollType\":", answer.poll_type.name());
        raw(out, ",\"response\":");
        out.extend_from_slice(&answer.response);
        raw(out, "}");
    }
    raw(out, "]");
}

fn raw(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn string(out: &mut Vec<u8>, before: &str, text: &str) {
    raw(out, before);
    append_string(out, text);
}

/// Writing into memory has no way to fail.
fn integer(out: &mut Vec<u8>, number: i64) {
    let _ = write!(out, "{number}");
}

fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_group_is_stable() {
        assert_eq!(sample_group("Webhook Visitor"), 2);
        assert!((0..1000).all(|n| sample_group(&n.to_string()) < 100));
    }

    #[test]
    fn unique_ids_differ_by_everything_that_they_are_made_of() {
        let id = |subscription, app, kind, seed, index| {
            unique_id(SubscriptionId(subscription), AppId(app), kind, [seed; 16], index)
        };
        let base = id(1, 2, EventKind::GuideDisplayed, 3, 4);
        assert_eq!(base, id(1, 2, EventKind::GuideDisplayed, 3, 4));
        // echo -en '1\x002\x00guideDisplayed\x0003030303030303030303030303030303.4' | sha1sum
        assert_eq!(base.to_string(), "18ba0715b42ea4315cb28d296f665efcd4d679fa");
        let others = [
            id(9, 2, EventKind::GuideDisplayed, 3, 4),
            id(1, 9, EventKind::GuideDisplayed, 3, 4),
            id(1, 2, EventKind::PollDisplayed, 3, 4),
            id(1, 2, EventKind::GuideDisplayed, 9, 4),
            id(1, 2, EventKind::GuideDisplayed, 3, 9),
        ];
        assert!(others.iter().all(|other| *other != base));
    }
}
