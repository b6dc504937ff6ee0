//! `fanfare openapi`

use crate::api;
use clap::Command;
use std::io::Write;
use std::process::ExitCode;

pub(super) fn command() -> Command {
    Command::new("openapi")
        .about("Print the description of the management API (OpenAPI 3.1), as a server gives it at /api/openapi.json")
}

pub(super) fn run() -> anyhow::Result<ExitCode> {
    writeln!(std::io::stdout(), "{}", api::openapi_json())?;
    Ok(ExitCode::SUCCESS)
}
