//! `fanfare version`

use clap::Command;
use std::io::Write;
use std::process::ExitCode;

/// The release.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn command() -> Command {
    Command::new("version").about("Print the version")
}

pub(super) fn run() -> anyhow::Result<ExitCode> {
    writeln!(std::io::stdout(), "fanfare {VERSION}")?;
    Ok(ExitCode::SUCCESS)
}
