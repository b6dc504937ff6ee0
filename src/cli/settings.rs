//! The settings as flags, made from the list of settings, so that no flag can be missing or differ from its key.

use crate::config::{CONFIG_KEY, ConfigError, Flags, Key, Kind, Settings, Sources, keys};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::path::PathBuf;

/// Adds `--config` and a flag for every setting.
pub fn settings_arguments(command: Command) -> Command {
    let config = Arg::new(CONFIG_KEY)
        .long(CONFIG_KEY)
        .value_name("FILE")
        .help("The configuration file. Without it: fanfare.toml here, or in the data directory. Also FANFARE_CONFIG.");
    command
        .arg(config)
        .args(keys().iter().map(argument))
        .next_line_help(true)
        .after_help("Every flag is also FANFARE_… in the environment and a key of fanfare.toml.")
}

/// The settings from these arguments, the environment and the file.
///
/// # Errors
/// [`ConfigError`]
pub fn settings_of(matches: &ArgMatches) -> Result<Settings, ConfigError> {
    let config = matches.get_one::<String>(CONFIG_KEY).map(PathBuf::from);
    Settings::load(&Sources::of_process(flags_of(matches), config))
}

fn flags_of(matches: &ArgMatches) -> Flags {
    keys()
        .into_iter()
        .filter_map(|key| {
            let values = matches.get_many::<String>(&key.name)?.cloned().collect();
            Some((key.name, values))
        })
        .collect()
}

fn argument(key: &Key) -> Arg {
    let default = if key.default.is_empty() { String::new() } else { format!(" [default: {}]", key.default) };
    let argument = Arg::new(key.name.clone()).long(key.flag()).help(format!("{}{default}", key.help));
    match key.kind {
        // `--allow-private` alone says yes; `--retry-no-answer false` says no.
        Kind::Switch => {
            argument.num_args(0..=1).default_missing_value("true").value_name("true|false").action(ArgAction::Set)
        }
        Kind::Single => argument.value_name("VALUE").action(ArgAction::Set).allow_hyphen_values(true),
        Kind::List => argument.value_name("VALUE").action(ArgAction::Append),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(arguments: &[&str]) -> Flags {
        let command = settings_arguments(Command::new("serve"));
        flags_of(&command.try_get_matches_from([&["serve"], arguments].concat()).unwrap())
    }

    #[test]
    fn flags_reach_the_settings_under_their_keys() {
        let given = flags(&[
            "--listen",
            "127.0.0.1:1",
            "--allow-private",
            "--allow-net",
            "10.0.0.0/8",
            "--allow-net",
            "fd00::/8",
            "--retry-delays",
            "1s,2s",
            "--retry-no-answer",
            "false",
        ]);
        let settings = Settings::load(&Sources { flags: given, ..Sources::default() }).unwrap();
        assert_eq!(settings.listen.port(), 1);
        assert!(settings.allow_private && !settings.dispatch.retry_no_answer);
        assert_eq!((settings.allow_nets.len(), settings.dispatch.retry_delays.len()), (2, 2));
    }

    #[test]
    fn nothing_given_is_nothing_overridden() {
        assert_eq!(flags(&[]), Flags::new());
    }
}
