//! A track call of Segment's HTTP API (docs/segment.md).

use super::FormError;
use crate::limits;
use crate::model::UnixMs;
use serde::Deserialize;
use serde_json::value::RawValue;

/// What visitors' ids begin with as long as nobody knows who they are, as JSON.
const ANONYMOUS: &str = "\"_PENDO_T_";

/// What of a body Segment is told. All but two numbers go over as they are written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    #[serde(borrow)]
    app: App<'a>,
    #[serde(borrow)]
    account_id: &'a RawValue,
    #[serde(borrow)]
    user_agent: &'a RawValue,
    #[serde(borrow)]
    event: &'a RawValue,
    #[serde(borrow)]
    properties: &'a RawValue,
    timestamp: i64,
    #[serde(borrow)]
    visitor_id: &'a RawValue,
    #[serde(borrow)]
    unique_id: &'a RawValue,
}

#[derive(Deserialize)]
struct App<'a> {
    id: i64,
    #[serde(borrow)]
    name: &'a RawValue,
}

/// The message of an event.
pub(super) fn message(body: &[u8]) -> Result<Vec<u8>, FormError> {
    let event: Event<'_> = serde_json::from_slice(body).map_err(|error| FormError::unreadable(&error))?;
    let message = write(&event, body.len());
    if message.len() > limits::SEGMENT_MESSAGE_BYTES {
        let most = limits::SEGMENT_MESSAGE_BYTES;
        let problem = format!("Segment takes messages of at most {most} bytes (32 KB); this one has {}", message.len());
        return Err(FormError::new(problem));
    }
    Ok(message.into_bytes())
}

fn write(event: &Event<'_>, body_bytes: usize) -> String {
    let visitor = event.visitor_id.get();
    let who = if visitor.starts_with(ANONYMOUS) { "anonymousId" } else { "userId" };
    let mut out = String::with_capacity(body_bytes + 256);
    let mut add = |parts: &[&str]| parts.iter().for_each(|part| out.push_str(part));
    add(&["{\"type\":\"track\",\"event\":", event.event.get(), ",\"", who, "\":", visitor]);
    add(&[",\"properties\":", event.properties.get(), ",\"context\":{"]);
    for (key, value) in [("userAgent", event.user_agent.get()), ("groupId", event.account_id.get())] {
        if value != "\"\"" {
            add(&["\"", key, "\":", value, ","]);
        }
    }
    add(&["\"app\":{\"name\":", event.app.name.get(), ",\"namespace\":\"", &event.app.id.to_string(), "\"}"]);
    add(&[",\"integration\":{\"name\":\"Fanfare\",\"version\":\"", env!("CARGO_PKG_VERSION"), "\"}}"]);
    let timestamp = UnixMs(event.timestamp.saturating_mul(1000)).rfc3339();
    add(&[",\"timestamp\":\"", &timestamp, "\",\"messageId\":", event.unique_id.get(), "}"]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::sample;
    use crate::model::EventKind;
    use serde_json::Value;

    const VERSION: &str = env!("CARGO_PKG_VERSION");

    fn body(account: &str, visitor: &str, agent: &str, properties: &str) -> String {
        format!(
            r#"{{"app":{{"id":-323232,"name":"Acme \"CRM\" é","platform":"web"}},"accountId":"{account}","subscription":{{"id":4802463602049999,"name":"s"}},"userAgent":"{agent}","event":"trackEventReceived","properties":{properties},"timestamp":1626804144,"visitorId":"{visitor}","uniqueId":"75c32838012a8311fba2b902857c2e848d98f457"}}"#
        )
    }

    fn shaped(body: &str) -> String {
        String::from_utf8(message(body.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn the_message_byte_for_byte() {
        let properties = r#"{"eventProperties":{"big":123456789012345678901234567890,"x":1.0,"<":"é\n"},"name":"n"}"#;
        let message = shaped(&body("parent::child", "ann\\\"", "Mozilla/5.0", properties));
        let wanted = format!(
            r#"{{"type":"track","event":"trackEventReceived","userId":"ann\"","properties":{properties},"context":{{"userAgent":"Mozilla/5.0","groupId":"parent::child","app":{{"name":"Acme \"CRM\" é","namespace":"-323232"}},"integration":{{"name":"Fanfare","version":"{VERSION}"}}}},"timestamp":"2021-07-20T18:02:24Z","messageId":"75c32838012a8311fba2b902857c2e848d98f457"}}"#
        );
        assert_eq!(message, wanted);
    }

    #[test]
    fn what_is_unknown_is_left_out_and_nobody_is_made_somebody() {
        let message: Value = serde_json::from_str(&shaped(&body("", "_PENDO_T_x", "", "{}"))).unwrap();
        assert_eq!((message["anonymousId"].as_str(), message.get("userId")), (Some("_PENDO_T_x"), None));
        let keys: Vec<&String> = message["context"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["app", "integration"]);
        let known = shaped(&body("", "a_PENDO_T_x", "", "{}"));
        assert!(known.contains(r#""userId":"a_PENDO_T_x""#), "{known}");
    }

    #[test]
    fn properties_are_those_of_the_body() {
        for kind in EventKind::ALL {
            let body = sample::documented(kind);
            let (before, after): (Value, Value) =
                (serde_json::from_slice(&body).unwrap(), serde_json::from_slice(&message(&body).unwrap()).unwrap());
            assert_eq!((&after["properties"], &after["event"]), (&before["properties"], &before["event"]));
        }
    }

    #[test]
    fn a_message_has_at_most_32_kb() {
        let of = |bytes: usize| message(body("", "v", "", &format!("{{\"p\":\"{}\"}}", "x".repeat(bytes))).as_bytes());
        let frame = of(0).unwrap().len();
        assert_eq!(of(32 * 1024 - frame).unwrap().len(), 32 * 1024);
        let error = of(32 * 1024 - frame + 1).unwrap_err();
        assert!(error.problem.contains("32769") && error.problem.contains("32 KB"), "{error}");
    }
}
