//! `fanfare serve`: the node itself.

use super::{init, settings_arguments, settings_of};
use crate::config::Settings;
use crate::node::{self, Started};
use crate::observe;
use anyhow::Context;
use clap::{ArgMatches, Command};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

pub(super) fn command() -> Command {
    settings_arguments(Command::new("serve").about("Run Fanfare"))
}

pub(super) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let settings = settings_of(matches)?;
    start_logging(&settings)?;
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        stop_at_signal(stop.clone())?;
        let public_url = settings.public_url.clone();
        node::serve(settings, stop, move |started| announce(started, &public_url)).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Log lines go to standard error; standard output is for what was asked for.
fn start_logging(settings: &Settings) -> anyhow::Result<()> {
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let subscriber = observe::subscriber(&settings.log, settings.log_format, colours, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).context("starting the log")
}

/// Each connection is a file; the usual soft limit of 1,024 is below what the settings allow.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => tracing::debug!(from = limit.current, to = limit.maximum, "raised the limit of open files"),
        Err(error) => tracing::warn!(%error, current = limit.current, "cannot raise the limit of open files"),
    }
}

/// The first SIGTERM or SIGINT stops the node in order; a second SIGINT ends the process at once.
fn stop_at_signal(stop: CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: no new requests, those in flight may end");
        stop.cancel();
        interrupt.recv().await;
        std::process::exit(130);
    });
    Ok(())
}

fn announce(started: &Started, public_url: &str) {
    let mut out = std::io::stdout();
    // A closed standard output is no reason not to serve.
    let _closed_pipe = write_announcement(started, public_url, &mut out).and_then(|()| out.flush());
}

fn write_announcement(started: &Started, public_url: &str, out: &mut dyn Write) -> std::io::Result<()> {
    if let Some(initialised) = &started.initialised {
        init::write_text(initialised, out)?;
        writeln!(out, "They are not shown again. Put them where the next commands find them:\n")?;
        writeln!(out, "  export FANFARE_AGENT_KEY={}", initialised.agent_key)?;
        writeln!(out, "  export FANFARE_INTEGRATION_KEY={}\n", initialised.integration_key)?;
    }
    writeln!(out, "Fanfare {} listens on http://{} ({public_url})", super::version::VERSION, started.address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::init::tests::sample;

    fn announced(initialised: Option<node::Initialised>) -> String {
        let started = Started { address: "127.0.0.1:8080".parse().unwrap(), initialised };
        let mut out = Vec::new();
        write_announcement(&started, "https://f.example", &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn keys_are_shown_at_the_first_start_only() {
        let first = announced(Some(sample()));
        assert!(first.contains("export FANFARE_AGENT_KEY=agent-1\n") && first.contains("track-1"), "{first}");
        let later = announced(None);
        assert!(later.ends_with("listens on http://127.0.0.1:8080 (https://f.example)\n"), "{later}");
        assert_eq!(later.lines().count(), 1);
    }
}
