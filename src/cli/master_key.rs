//! `fanfare master-key rotate`: another key for the secrets at rest.

use super::{settings_arguments, settings_of};
use crate::catalog;
use crate::clock::{Clock, SystemClock, SystemRandom};
use crate::node;
use crate::seal::{MasterKey, rotation};
use anyhow::Context;
use clap::{ArgMatches, Command};
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

/// The next key, where the one that holds comes from a variable.
const NEXT_VARIABLE: &str = "FANFARE_NEXT_MASTER_KEY";

pub(super) fn command() -> Command {
    let rotate = Command::new("rotate").about("Seal all secrets with another key; the server must be stopped").long_about(
        "Seal all secrets with another key; the server must be stopped.\n\nWhere the key is in the data directory, the \
         next one is made there. Where it comes from FANFARE_MASTER_KEY, the next one comes from \
         FANFARE_NEXT_MASTER_KEY (base64 of 32 bytes), and belongs into FANFARE_MASTER_KEY afterwards.",
    );
    Command::new("master-key")
        .about("Look after the key that secrets are sealed with")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(settings_arguments(rotate))
}

pub(super) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let Some(("rotate", matches)) = matches.subcommand() else { return Ok(ExitCode::from(2)) };
    let settings = settings_of(matches)?;
    // The hold of a server, or the journal's lock, keeps nodes out while this goes on: they would go on sealing with the old key.
    let (place, hold) = node::store_of(&settings)?.for_work()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let locked = node::open_journal(&settings, &clock).context("the server must be stopped for this")?;
    let variable = node::master_key_variable();
    let random = SystemRandom::default();
    if variable.is_none() {
        rotation::recover(&settings.data_dir, |key| catalog::is_sealed_with(&place, key))?;
    }
    let old = MasterKey::find(variable.as_deref(), &settings.data_dir)?;
    let new = match &variable {
        None => rotation::begin(&settings.data_dir, &random)?,
        Some(_) => {
            let next = std::env::var(NEXT_VARIABLE);
            MasterKey::from_base64(
                &next.with_context(|| format!("{NEXT_VARIABLE} must hold the next key"))?,
                NEXT_VARIABLE,
            )?
        }
    };
    let values = catalog::rotate(&place, (&old, &new), (&SystemClock, &random))?;
    if variable.is_none() {
        rotation::finish(&settings.data_dir)?;
    }
    drop((locked, hold));
    let mut out = io::stdout().lock();
    writeln!(out, "Sealed {values} values with the next key.")?;
    match variable {
        None => writeln!(out, "It is in the data directory. Backups from before need the key from before.")?,
        Some(_) => writeln!(out, "Put it into FANFARE_MASTER_KEY before the next start.")?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
