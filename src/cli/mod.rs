//! The command line: one subcommand, one file, each with a `command()` that describes it and a `run()` that does it.
//!
//! Exit codes: 0 done, 1 failed, 2 called or configured wrongly.

mod audit;
mod client;
mod emit;
mod init;
mod journal;
mod listen;
mod master_key;
mod migrate_store;
mod openapi;
mod operator;
mod ready;
mod serve;
mod settings;
mod store;
mod version;

pub use settings::{settings_arguments, settings_of};

use crate::config::ConfigError;
use clap::{ArgMatches, Command};
use rustix::fs::Mode;
use std::io::Write;
use std::process::ExitCode;

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    // What is kept is about people, and what seals it lies beside it: no other user of the machine reads any of it.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version are "errors" of clap that go to standard output and exit with 0.
            let _closed_pipe = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(&matches) {
        Ok(code) => code,
        Err(error) => {
            let _closed_pipe = writeln!(std::io::stderr(), "fanfare: {error:#}");
            ExitCode::from(if error.is::<ConfigError>() { 2 } else { 1 })
        }
    }
}

/// Everything that the program takes.
pub fn command() -> Command {
    Command::new("fanfare")
        .about("Webhooks for product events: durable, signed, self-hosted, in one binary.")
        .version(version::VERSION)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([
            serve::command(),
            init::command(),
            listen::command(),
            emit::command(),
            operator::command(),
            ready::command(),
            master_key::command(),
            audit::command(),
            journal::command(),
            store::command(),
            migrate_store::command(),
            openapi::command(),
            version::command(),
        ])
}

fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    match matches.subcommand() {
        Some(("serve", matches)) => serve::run(matches),
        Some(("init", matches)) => init::run(matches),
        Some(("listen", matches)) => listen::run(matches),
        Some(("emit", matches)) => emit::run(matches),
        Some(("operator", matches)) => operator::run(matches),
        Some(("ready", matches)) => ready::run(matches),
        Some(("master-key", matches)) => master_key::run(matches),
        Some(("audit", matches)) => audit::run(matches),
        Some(("journal", matches)) => journal::run(matches),
        Some(("store", matches)) => store::run(matches),
        Some(("migrate-store", matches)) => migrate_store::run(matches),
        Some(("openapi", _)) => openapi::run(),
        Some(("version", _)) => version::run(),
        // clap lets only the commands above through.
        _ => Ok(ExitCode::from(2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_of_the_arguments_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn unknown_flags_are_refused_with_a_suggestion() {
        let error = command().try_get_matches_from(["fanfare", "serve", "--lisen", "x"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("--listen"), "{error}");
    }
}
