//! Metadata of visitors and accounts: groups of named values, kept as JSON text.

use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The values of one group by their names, each as JSON.
pub type Fields = BTreeMap<String, Box<RawValue>>;

/// The group that the agent fills.
pub const AGENT_GROUP: &str = "agent";

/// What a group holds after `values` have come to `kept`, both JSON objects, "" for an empty one: named values are
/// replaced, null takes one away, the others stay. `None` when one of the two is not an object.
pub fn merge(kept: &str, values: &str) -> Option<String> {
    let read = |json: &str| if json.is_empty() { Some(Fields::new()) } else { serde_json::from_str(json).ok() };
    let mut fields: Fields = read(kept)?;
    for (name, value) in read(values)? {
        if value.get() == "null" {
            fields.remove(&name);
        } else {
            fields.insert(name, value);
        }
    }
    serde_json::to_string(&fields).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_to_those_that_are_there() {
        for (kept, values, merged) in [
            ("", "", "{}"),
            ("", r#"{"b":1,"a":"x"}"#, r#"{"a":"x","b":1}"#),
            (r#"{"a":1,"b":2}"#, r#"{"a":[1,"y"]}"#, r#"{"a":[1,"y"],"b":2}"#),
            (r#"{"a":1,"b":2}"#, r#"{"a":null,"c":null}"#, r#"{"b":2}"#),
            (r#"{"n":12345678901234567890123}"#, r#"{"m":1.50}"#, r#"{"m":1.50,"n":12345678901234567890123}"#),
        ] {
            assert_eq!(merge(kept, values).as_deref(), Some(merged), "{kept} {values}");
        }
        assert_eq!(merge("[]", "{}"), None);
        assert_eq!(merge("{}", "no"), None);
    }
}
