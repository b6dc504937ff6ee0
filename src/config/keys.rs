//! The list of settings, read out of `config.default.toml`, which is part of the program. Flags and their help texts
//! come from it too, so that there is one place where a setting is described.

use figment::providers::{Format, Toml};
use figment::value::{Dict, Value};

/// `config.default.toml` as it was when this program was built.
pub(super) const DEFAULTS: &str = include_str!("../../config.default.toml");

/// One setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// In snake case, as in the file.
    pub name: String,
    /// The comment above it, as one paragraph.
    pub help: String,
    /// What it takes.
    pub kind: Kind,
    /// Its default as flags would write it; "" for an empty list.
    pub default: String,
}

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// true or false.
    Switch,
    /// One value.
    Single,
    /// Any number of values.
    List,
}

impl Key {
    /// `--retry-delays`, without the dashes before it.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// `FANFARE_RETRY_DELAYS`
    pub fn variable(&self) -> String {
        format!("FANFARE_{}", self.name.to_ascii_uppercase())
    }
}

/// All settings, in the order of the file.
pub fn keys() -> Vec<Key> {
    let values = default_values();
    let mut help: Vec<&str> = Vec::new();
    let mut keys = Vec::new();
    for line in DEFAULTS.lines() {
        if let Some(comment) = line.strip_prefix('#') {
            help.push(comment.trim());
        } else if let Some((name, _)) = line.split_once(" = ") {
            if let Some(value) = values.get(name) {
                keys.push(key(name, &help.join(" "), value));
            }
            help.clear();
        } else {
            help.clear();
        }
    }
    keys
}

/// The defaults as values. Empty when the file is not TOML, which [`super::Settings::defaults`] reports.
fn default_values() -> Dict {
    Toml::from_str(DEFAULTS).unwrap_or_default()
}

fn key(name: &str, help: &str, value: &Value) -> Key {
    let kind = match value {
        Value::Bool(..) => Kind::Switch,
        Value::Array(..) => Kind::List,
        _ => Kind::Single,
    };
    Key { name: name.to_owned(), help: help.to_owned(), kind, default: plain(value) }
}

/// A value as a person would type it.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(_, text) => text.clone(),
        Value::Char(_, c) => c.to_string(),
        Value::Bool(_, yes) => yes.to_string(),
        Value::Num(_, number) => match (number.to_i128(), number.to_u128(), number.to_f64()) {
            (Some(integer), ..) => integer.to_string(),
            (_, Some(integer), _) => integer.to_string(),
            (_, _, Some(float)) => float.to_string(),
            _ => String::new(),
        },
        Value::Array(_, items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        Value::Empty(..) => String::new(),
        Value::Dict(..) => "{…}".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_of_the_file_has_a_kind_a_default_and_a_reason() {
        let keys = keys();
        assert_eq!(keys.len(), default_values().len(), "a line of config.default.toml was not understood");
        for key in &keys {
            assert!(key.help.len() > 20 && key.help.ends_with('.'), "{} needs a reason", key.name);
            assert!(key.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", key.name);
        }
        let delays = keys.iter().find(|key| key.name == "retry_delays").unwrap();
        assert_eq!((delays.kind, delays.default.as_str()), (Kind::List, "1s,5s,30s,2m,10m"));
        assert_eq!((delays.flag().as_str(), delays.variable().as_str()), ("retry-delays", "FANFARE_RETRY_DELAYS"));
        assert_eq!(keys[0].name, "listen");
        assert_eq!(keys.iter().find(|key| key.name == "allow_private").unwrap().kind, Kind::Switch);
    }
}
