//! `fanfare ready`: whether a Fanfare takes events, for whoever watches over it in a place without curl.

use super::client::{self, Client, explanation};
use super::{settings_arguments, settings_of};
use anyhow::Context;
use clap::{Arg, ArgMatches, Command};
use http::{Method, StatusCode, header};
use std::io::Write;
use std::process::ExitCode;

pub(super) fn command() -> Command {
    let server = Arg::new("server").long("server").value_name("URL");
    let command = Command::new("ready").about("Ask a running Fanfare whether it takes events: exits with 0 if it does");
    settings_arguments(command.arg(server.help("Where Fanfare listens: http:// and the listen address, if not given")))
}

pub(super) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let listen = settings_of(matches)?.listen;
    let given = matches.get_one::<String>("server").cloned();
    let server = client::server(&given.unwrap_or_else(|| format!("http://{listen}")))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    let (status, answer) = runtime.block_on(async {
        let any = (header::ACCEPT, "*/*");
        Client::connect(&server).await?.call((Method::GET, "/readyz"), any, String::new()).await
    })?;
    let words = answer.as_str().map_or_else(|| explanation(&answer), |text| text.trim().to_owned());
    writeln!(std::io::stdout(), "{words}")?;
    Ok(if status == StatusCode::OK { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
