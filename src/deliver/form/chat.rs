//! Messages for Slack, Microsoft Teams and Discord: within what these services take, and so that nothing a visitor has
//! typed becomes markup, a link or a mention there.

use super::FormError;
use super::words::Words;
use crate::model::Preset;
use serde_json::{Value, json};

/// Longest title and value, in UTF-16 units with everything that is escaped in them. Slack takes titles of 150 and values
/// of 2,000, Discord 256 and 1,024, and 6,000 in all.
const TITLE_UNITS: usize = 150;
/// See [`TITLE_UNITS`].
const VALUE_UNITS: usize = 500;

/// Fields of one section of a Slack message: a name and a value each.
const SLACK_PAIRS: usize = 5;

/// What has a meaning in Discord's Markdown, begins a mention, or makes a link of a text.
const DISCORD_MARKUP: &str = "\\*_~`|<>[]()#-+:@";

/// The message of an event.
pub(super) fn message(preset: Preset, body: &[u8]) -> Result<Vec<u8>, FormError> {
    let event = serde_json::from_slice(body).map_err(|error| FormError::unreadable(&error))?;
    let words = Words::of(&event);
    let message = match preset {
        Preset::Slack => slack(&words),
        Preset::Teams => teams(&words),
        Preset::Discord => discord(&words),
    };
    Ok(message.to_string().into_bytes())
}

/// For an incoming webhook. Plain text has no markup but the three characters by which Slack's own is written; those
/// are escaped.
fn slack(words: &Words) -> Value {
    let text =
        |text: &str, most| json!({"type": "plain_text", "text": fitted(text, most, escape_slack), "emoji": false});
    let field = |(name, value): &(&str, String)| {
        [json!({"type": "mrkdwn", "text": format!("*{name}*")}), text(value, VALUE_UNITS)]
    };
    let section = |facts: &[(&str, String)]| json!({"type": "section", "fields": facts.iter().flat_map(field).collect::<Vec<_>>()});
    let mut blocks = vec![json!({"type": "header", "text": text(&words.title, TITLE_UNITS)})];
    blocks.extend(words.facts.chunks(SLACK_PAIRS).map(section));
    blocks.push(json!({"type": "context", "elements": [text(&footer(words), VALUE_UNITS)]}));
    let notification = fitted(&words.title, TITLE_UNITS, escape_slack);
    json!({"text": notification, "blocks": blocks, "mrkdwn": false, "unfurl_links": false, "unfurl_media": false})
}

/// For a workflow that posts a card. Runs of a rich text take no Markdown, which text blocks and facts do; a mention would
/// need an entity, and there is none.
fn teams(words: &Words) -> Value {
    let text = |text: &str, most| fitted(text, most, escape_nothing);
    let line = |runs: Vec<Value>| json!({"type": "RichTextBlock", "inlines": runs});
    let title = text(&words.title, TITLE_UNITS);
    let mut body = vec![line(vec![json!({"type": "TextRun", "text": title, "size": "Medium", "weight": "Bolder"})])];
    body.extend(words.facts.iter().map(|(name, value)| {
        let name = json!({"type": "TextRun", "text": format!("{name}: "), "weight": "Bolder"});
        line(vec![name, json!({"type": "TextRun", "text": text(value, VALUE_UNITS)})])
    }));
    let footer = text(&footer(words), VALUE_UNITS);
    body.push(line(vec![json!({"type": "TextRun", "text": footer, "size": "Small", "isSubtle": true})]));
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    });
    let attachment =
        json!({"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card});
    json!({"type": "message", "attachments": [attachment]})
}

/// For a webhook of a channel. Footers take no Markdown.
fn discord(words: &Words) -> Value {
    let text = |text: &str, most| fitted(text, most, escape_discord);
    let field =
        |(name, value): &(&str, String)| json!({"name": name, "value": text(value, VALUE_UNITS), "inline": false});
    let embed = json!({
        "title": text(&words.title, TITLE_UNITS),
        "fields": words.facts.iter().map(field).collect::<Vec<_>>(),
        "footer": {"text": fitted(&words.source, TITLE_UNITS, escape_nothing)},
        "timestamp": words.time,
    });
    json!({"embeds": [embed], "allowed_mentions": {"parse": []}})
}

fn footer(words: &Words) -> String {
    format!("{} · {}", words.source, words.time)
}

/// Text on one line, escaped, and cut so that it has at most so many UTF-16 units then. Never empty: none of these
/// services takes an empty text.
fn fitted(text: &str, most: usize, escape: fn(char, &mut String)) -> String {
    let mut out = String::with_capacity(text.len().min(most));
    let mut units = 0;
    for c in text.chars().filter(|c| !is_invisible(*c)) {
        let before = out.len();
        escape(if c.is_control() || c == '\u{2028}' || c == '\u{2029}' { ' ' } else { c }, &mut out);
        units += out[before..].encode_utf16().count();
        // One unit is kept for the mark of a cut.
        if units >= most {
            out.truncate(before);
            out.push('…');
            break;
        }
    }
    if out.trim().is_empty() { String::from("–") } else { out }
}

/// What turns the direction of the text around it, or takes no room: it would make a text look like another one.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn escape_slack(c: char, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        c => out.push(c),
    }
}

fn escape_discord(c: char, out: &mut String) {
    if DISCORD_MARKUP.contains(c) {
        out.push('\\');
    }
    out.push(c);
}

fn escape_nothing(c: char, out: &mut String) {
    out.push(c);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::sample;
    use crate::model::EventKind;

    /// What would do harm if it were anything but text.
    const HOSTILE: &str =
        "<!channel> <@U1> @everyone <@&1> [x](https://evil.example) *b* _i_ `c` ||s||\n# h\u{202e}<at>Ann</at> :smile:";

    fn shaped(preset: Preset, body: &[u8]) -> Value {
        serde_json::from_slice(&message(preset, body).unwrap()).unwrap()
    }

    fn hostile(text: &str) -> Vec<u8> {
        let nps = json!({"rating": 9, "reason": text, "source": "web"});
        let event = json!({
            "app": {"id": 1, "name": text, "platform": "web"}, "accountId": text, "subscription": {"id": 1, "name": text},
            "userAgent": text, "event": "npsSubmitted", "timestamp": 1_626_804_144, "visitorId": text, "uniqueId": "u",
            "properties": {"nps": nps, "guideProperties": {"name": text}},
        });
        event.to_string().into_bytes()
    }

    /// Every string of a message with the key under which it stands.
    fn strings(value: &Value, key: &str, found: &mut Vec<(String, String)>) {
        match value {
            Value::String(text) => found.push((key.to_owned(), text.clone())),
            Value::Array(all) => all.iter().for_each(|one| strings(one, key, found)),
            Value::Object(fields) => fields.iter().for_each(|(key, one)| strings(one, key, found)),
            _ => {}
        }
    }

    #[test]
    fn what_a_visitor_typed_stays_text() {
        let body = hostile(HOSTILE);
        for preset in Preset::ALL {
            let mut found = Vec::new();
            strings(&shaped(preset, &body), "", &mut found);
            assert!(found.len() > 8, "{found:?}");
            for (key, text) in found.iter().filter(|(_, text)| text.contains("everyone")) {
                assert!(!text.contains(['\n', '\u{202e}']), "{text}");
                match preset {
                    Preset::Slack => assert!(!text.contains(['<', '>']) && !text.contains("& "), "{text}"),
                    Preset::Discord if key == "text" => {}
                    Preset::Discord => {
                        let bare = text
                            .replace("\\\\", "")
                            .match_indices(|c| DISCORD_MARKUP.contains(c))
                            .any(|(at, c)| c != "\\" && !text[..at].ends_with('\\'));
                        assert!(!bare, "{text}");
                    }
                    Preset::Teams => assert_eq!(key, "text"),
                }
            }
        }
        // What a visitor typed is never in the one kind of text that takes markup.
        let slack = shaped(Preset::Slack, &body);
        let texts = slack["blocks"].as_array().unwrap().iter().filter_map(|block| block["fields"].as_array()).flatten();
        let marked: Vec<&str> =
            texts.filter(|text| text["type"] == "mrkdwn").filter_map(|text| text["text"].as_str()).collect();
        assert_eq!(marked, ["*Reason*", "*Guide*", "*Visitor*", "*Account*", "*App*"]);
        assert_eq!(shaped(Preset::Discord, &body)["allowed_mentions"], json!({"parse": []}));
        let card = shaped(Preset::Teams, &body)["attachments"][0]["content"].clone();
        assert!(card["body"].as_array().unwrap().iter().all(|block| block["type"] == "RichTextBlock"));
        assert_eq!(card.get("msteams"), None);
    }

    #[test]
    fn a_text_is_cut_where_the_services_would_refuse_it() {
        for text in ["&".repeat(5000), "*".repeat(5000), "\u{1f600}".repeat(5000), "x".repeat(5000)] {
            for escape in [escape_slack as fn(char, &mut String), escape_discord, escape_nothing] {
                let cut = fitted(&text, TITLE_UNITS, escape);
                let units = cut.encode_utf16().count();
                assert!((TITLE_UNITS - 5..=TITLE_UNITS).contains(&units) && cut.ends_with('…'), "{units} {cut}");
            }
        }
        assert_eq!(fitted(&"x".repeat(149), 150, escape_nothing), "x".repeat(149));
        assert_eq!(fitted("\u{200b}\n\t", 150, escape_nothing), "–");
        assert_eq!(fitted("a<b>&amp;", 150, escape_slack), "a&lt;b&gt;&amp;amp;");
        assert_eq!(fitted("https://e.x/_a", 150, escape_discord), "https\\://e.x/\\_a");
    }

    #[test]
    fn messages_as_they_are() {
        let body = sample::documented(EventKind::NpsSubmitted);
        let messages = Preset::ALL.map(|preset| serde_json::to_string_pretty(&shaped(preset, &body)).unwrap());
        insta::assert_snapshot!(messages.join("\n\n"));
    }
}
