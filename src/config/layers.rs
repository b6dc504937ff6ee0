//! The sources of settings, merged by precedence; each value remembers where it came from.

use super::keys::{self, DEFAULTS, Key};
use super::{ConfigError, keys::keys};
use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use std::path::{Path, PathBuf};

/// The one flag and variable that is not a setting: the path of the configuration file.
pub const CONFIG_KEY: &str = "config";

/// Variables that start with `FANFARE_` without being settings: the master key and the next one, the passwords of the mail
/// server and of the proxy, the path of the file, and the keys that the developer commands take.
pub const OTHER_VARIABLES: [&str; 12] = [
    "FANFARE_OIDC_CLIENT_SECRET",
    "FANFARE_MASTER_KEY",
    "FANFARE_NEXT_MASTER_KEY",
    "FANFARE_SMTP_PASSWORD",
    "FANFARE_PROXY_PASSWORD",
    "FANFARE_CONFIG",
    "FANFARE_AGENT_KEY",
    "FANFARE_TRACK_SECRET",
    "FANFARE_INTEGRATION_KEY",
    "FANFARE_SECRET",
    "FANFARE_SIGNING_KEY",
    "FANFARE_SERVER",
];

/// Settings given as flags: name in snake case and the raw values, in order.
pub type Flags = Vec<(String, Vec<String>)>;

/// Where settings come from. Given as data, so that a test needs no environment of its own.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// From the command line.
    pub flags: Flags,
    /// The environment; what does not start with `FANFARE_` is ignored.
    pub environment: Vec<(String, String)>,
    /// The file named by `--config`; it must exist.
    pub config: Option<PathBuf>,
    /// Where a `fanfare.toml` is looked for when none is named; `None`: nowhere.
    pub working_dir: Option<PathBuf>,
}

impl Sources {
    /// The process's own environment and working directory, with these flags.
    pub fn of_process(flags: Flags, config: Option<PathBuf>) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
            .collect();
        Self { flags, environment, config, working_dir: Some(PathBuf::new()) }
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.environment.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// All sources merged, and the list of keys.
pub(super) struct Merged {
    pub figment: Figment,
    pub keys: Vec<Key>,
}

/// Merges the sources: flags over environment over file over defaults.
pub(super) fn merge(sources: &Sources) -> Result<Merged, ConfigError> {
    let keys = keys();
    let defaults = Layer::of_toml("default", DEFAULTS)
        .map_err(|why| ConfigError::File { path: PathBuf::from("config.default.toml"), why })?;
    let environment = environment_layer(sources, &keys)?;
    let flags = Layer::of_lists("flag", &sources.flags, &keys);
    let without_file = Figment::new().merge(&defaults).merge(&environment).merge(&flags);
    let figment = match config_path(sources, &without_file)? {
        None => without_file,
        Some(path) => {
            Figment::new().merge(&defaults).merge(file_layer(&path, &keys)?).merge(&environment).merge(&flags)
        }
    };
    Ok(Merged { figment, keys })
}

/// The file to read: the one that is named, else `fanfare.toml` in the working directory, else in the data directory.
fn config_path(sources: &Sources, without_file: &Figment) -> Result<Option<PathBuf>, ConfigError> {
    let named = sources.config.clone().or_else(|| sources.variable("FANFARE_CONFIG").map(PathBuf::from));
    if let Some(path) = named {
        return Ok(Some(path));
    }
    let Some(working_dir) = &sources.working_dir else { return Ok(None) };
    let data_dir = without_file.find_value("data_dir").map(|value| keys::plain(&value)).unwrap_or_default();
    let candidates = [working_dir.join("fanfare.toml"), working_dir.join(data_dir).join("fanfare.toml")];
    for path in candidates {
        // A file that is there but may not be looked at is an error, not an absence.
        match path.try_exists() {
            Ok(true) => return Ok(Some(path)),
            Ok(false) => {}
            Err(error) => return Err(ConfigError::File { path, why: error.to_string() }),
        }
    }
    Ok(None)
}

fn file_layer(path: &Path, keys: &[Key]) -> Result<Layer, ConfigError> {
    let failed = |why: String| ConfigError::File { path: path.to_owned(), why };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let name = path.display().to_string();
    let layer = Layer::of_toml(&name, &text).map_err(failed)?;
    match layer.values.keys().find(|name| !keys.iter().any(|key| key.name == **name)) {
        None => Ok(layer),
        Some(unknown) => Err(ConfigError::Unknown {
            name: unknown.clone(),
            source_name: name,
            nearest: nearest(unknown, keys.iter().map(|key| key.name.clone())),
        }),
    }
}

fn environment_layer(sources: &Sources, keys: &[Key]) -> Result<Layer, ConfigError> {
    let mut settings = Vec::new();
    for (variable, value) in &sources.environment {
        if !variable.starts_with("FANFARE_") || OTHER_VARIABLES.contains(&variable.as_str()) {
            continue;
        }
        match keys.iter().find(|key| key.variable() == *variable) {
            Some(key) => settings.push((key.name.clone(), vec![value.clone()])),
            None => {
                let known = keys.iter().map(Key::variable).chain(OTHER_VARIABLES.map(str::to_owned));
                return Err(ConfigError::Unknown {
                    name: variable.clone(),
                    source_name: "environment".to_owned(),
                    nearest: nearest(variable, known),
                });
            }
        }
    }
    Ok(Layer::of_lists("environment", &settings, keys))
}

/// One source as figment takes it.
#[derive(Clone)]
struct Layer {
    name: String,
    values: Dict,
}

impl Layer {
    fn of_toml(name: &str, text: &str) -> Result<Self, String> {
        let values = Toml::from_str(text).map_err(|error| error.to_string())?;
        Ok(Self { name: name.to_owned(), values })
    }

    /// Raw texts; a list's texts are split at commas, so that `a,b` and a repeated flag mean the same.
    fn of_lists(name: &str, settings: &[(String, Vec<String>)], keys: &[Key]) -> Self {
        let is_list = |name: &str| keys.iter().any(|key| key.name == name && key.kind == keys::Kind::List);
        let value = |name: &str, texts: &[String]| {
            if is_list(name) {
                let parts = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
                Value::from(parts.filter(|part| !part.is_empty()).map(Value::from).collect::<Vec<_>>())
            } else {
                Value::from(texts.last().map_or("", String::as_str))
            }
        };
        let values = settings.iter().map(|(name, texts)| (name.clone(), value(name, texts))).collect();
        Self { name: name.to_owned(), values }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

/// What was probably meant: the known name with the fewest edits, when these are few for its length.
fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    known
        .map(|candidate| (edits(name, &candidate), candidate))
        .filter(|(edits, candidate)| *edits <= 2 + candidate.len() / 6)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, by bytes, with one row.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
