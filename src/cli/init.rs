//! `fanfare init`: prepares an empty data directory and prints its keys, once.

use super::{settings_arguments, settings_of};
use crate::node::{self, Initialised};
use anyhow::Context;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::io::{self, Write};
use std::process::ExitCode;

pub(super) fn command() -> Command {
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print one JSON object");
    settings_arguments(Command::new("init").about("Prepare an empty data directory and print its keys").arg(json))
}

pub(super) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let settings = settings_of(matches)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    let initialised = runtime.block_on(node::init(settings))?;
    let mut out = io::stdout();
    if matches.get_flag("json") { write_json(&initialised, &mut out) } else { write_text(&initialised, &mut out) }?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn write_json(initialised: &Initialised, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, initialised)?;
    writeln!(out)
}

/// The same for people.
pub(super) fn write_text(initialised: &Initialised, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "This installation is new. Its keys:\n")?;
    writeln!(out, "  subscription     {}", initialised.subscription_id)?;
    writeln!(out, "  app              {}", initialised.app_id)?;
    writeln!(out, "  agent key        {}   (public, for the browser agent)", initialised.agent_key)?;
    writeln!(out, "  track secret     {}   (for the Track API)", initialised.track_secret)?;
    writeln!(out, "  integration key  {}   (role admin, for the management API)", initialised.integration_key)?;
    writeln!(out, "  set up           {}\n", initialised.setup_url)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::cli) fn sample() -> Initialised {
        Initialised {
            subscription_id: 4_802_463_602_049_999,
            app_id: -323_232,
            agent_key: "agent-1".to_owned(),
            track_secret: "track-1".to_owned(),
            integration_key: "integration-1".to_owned(),
            setup_url: "http://127.0.0.1:8080/setup".to_owned(),
        }
    }

    #[test]
    fn json_is_one_object_on_one_line_with_these_keys() {
        let mut out = Vec::new();
        write_json(&sample(), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"subscription_id\":4802463602049999,\"app_id\":-323232,\"agent_key\":\"agent-1\",\
             \"track_secret\":\"track-1\",\"integration_key\":\"integration-1\",\
             \"setup_url\":\"http://127.0.0.1:8080/setup\"}\n"
        );
    }
}
