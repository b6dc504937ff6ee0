//! An event in words, for people: a title, a few facts, and where it comes from.

use crate::model::UnixMs;
use serde_json::Value;

/// Answers of a poll that are told one by one.
const ANSWERS: usize = 3;

/// An event in words. All but the facts' names may hold anything that a visitor has typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    /// One sentence.
    pub(super) title: String,
    /// Names and values; none is empty. At most [`Words::FACTS`].
    pub(super) facts: Vec<(&'static str, String)>,
    /// The subscription's name.
    pub(super) source: String,
    /// ISO 8601.
    pub(super) time: String,
}

impl Words {
    /// How many facts there are at most: what a poll with many answers has.
    pub(super) const FACTS: usize = 8;

    /// Tells of an event.
    pub(super) fn of(event: &Value) -> Self {
        let (visitor, account) = (text(&event["visitorId"]), text(&event["accountId"]));
        let mut facts = facts(event);
        facts.extend([
            ("Visitor", visitor.clone()),
            ("Account", account.clone()),
            ("App", text(&event["app"]["name"])),
        ]);
        facts.retain(|(_, value)| !value.trim().is_empty());
        facts.truncate(Self::FACTS);
        Self {
            title: title(event, &visitor, &account),
            facts,
            source: text(&event["subscription"]["name"]),
            time: UnixMs(event["timestamp"].as_i64().unwrap_or_default().saturating_mul(1000)).rfc3339(),
        }
    }
}

fn title(event: &Value, visitor: &str, account: &str) -> String {
    let properties = &event["properties"];
    match event["event"].as_str().unwrap_or_default() {
        "guideDisplayed" => format!("A guide was shown to {visitor}"),
        "pollDisplayed" => format!("A poll was shown to {visitor}"),
        "pollSubmitted" => format!("{visitor} answered a poll"),
        "npsDisplayed" => format!("The NPS survey was shown to {visitor}"),
        "npsSubmitted" => format!("{visitor} rated {} of 10", text(&properties["nps"]["rating"])),
        "visitorCreated" => format!("New visitor: {visitor}"),
        "accountCreated" => format!("New account: {account}"),
        "trackEventReceived" => format!("{}: {visitor}", text(&properties["name"])),
        "auditRecorded" => format!("{visitor}: {}", text(&properties["action"])),
        "ping" => String::from("A test from Fanfare"),
        other => format!("{other}: {visitor}"),
    }
}

/// What an event tells beside who and where.
fn facts(event: &Value) -> Vec<(&'static str, String)> {
    let properties = &event["properties"];
    let guide = || ("Guide", text(&properties["guideProperties"]["name"]));
    match event["event"].as_str().unwrap_or_default() {
        "guideDisplayed" | "pollDisplayed" | "npsDisplayed" => vec![guide()],
        "pollSubmitted" => {
            let responses = properties["pollResponses"].as_array().map(Vec::as_slice).unwrap_or_default();
            let mut facts = vec![guide()];
            facts.extend(responses.iter().take(ANSWERS).map(|response| ("Answer", text(&response["response"]))));
            match responses.len().saturating_sub(ANSWERS) {
                0 => {}
                more => facts.push(("Further answers", more.to_string())),
            }
            facts
        }
        "npsSubmitted" => vec![("Reason", text(&properties["nps"]["reason"])), guide()],
        "visitorCreated" => {
            let (name, version) = (text(&properties["browserName"]), text(&properties["browserVersion"]));
            vec![("Browser", format!("{name} {version}"))]
        }
        "trackEventReceived" => vec![("Properties", list(&properties["eventProperties"]))],
        "auditRecorded" => vec![("Concerns", text(&properties["target"]))],
        _ => Vec::new(),
    }
}

/// `fromTier: basic, toTier: pro`
fn list(object: &Value) -> String {
    let pairs = object.as_object().into_iter().flatten();
    pairs.map(|(name, value)| format!("{name}: {}", text(value))).collect::<Vec<_>>().join(", ")
}

/// A string as it is; anything else as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::sample;
    use crate::model::EventKind;

    #[test]
    fn every_event_has_its_words() {
        let told = EventKind::ALL.map(|kind| {
            let words = Words::of(&serde_json::from_slice(&sample::documented(kind)).unwrap());
            let facts: Vec<String> = words.facts.iter().map(|(name, value)| format!("  {name}: {value}")).collect();
            format!("{}\n{}\n  ({}, {})", words.title, facts.join("\n"), words.source, words.time)
        });
        insta::assert_snapshot!(told.join("\n"));
    }
}
