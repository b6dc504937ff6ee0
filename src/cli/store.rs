//! `fanfare store rebuild`: derives the records again from the journal.

use super::{settings_arguments, settings_of};
use crate::clock::{Clock, SystemClock};
use crate::config::{IntakeSettings, RecordSettings};
use crate::journal::Journal;
use crate::node;
use crate::store::Place;
use crate::store::projection::{self, Projection};
use clap::{ArgMatches, Command};
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

pub(super) fn command() -> Command {
    let rebuild =
        Command::new("rebuild").about("Derive the records again from the journal; the server must be stopped");
    Command::new("store")
        .about("Mend what is kept beside the journal")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(settings_arguments(rebuild))
}

pub(super) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let Some(("rebuild", matches)) = matches.subcommand() else { return Ok(ExitCode::from(2)) };
    let settings = settings_of(matches)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    // The hold of a server, or the journal's lock, keeps nodes out while this goes on.
    let (place, _hold) = node::store_of(&settings)?.for_work()?;
    let journal = node::open_journal(&settings, &clock)?;
    let mut out = io::stdout().lock();
    let kept = (&settings.records, &settings.intake);
    rebuild(&place, journal, kept, clock, &mut out)?;
    Ok(ExitCode::SUCCESS)
}

/// Why the records could not be rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The records or the journal fail.
    #[error("the records could not be rebuilt")]
    Records(#[from] projection::Error),
    /// The result could not be told.
    #[error("writing the result")]
    Write(#[from] std::io::Error),
}

/// Rebuilds the records of the store at `place` from `journal` and tells `out` what was done. The caller holds the
/// journal's lock, so no server writes at the same time.
///
/// # Errors
/// [`RebuildError`].
pub fn rebuild(
    place: &Place,
    journal: Arc<dyn Journal>,
    (records, intake): (&RecordSettings, &IntakeSettings),
    clock: Arc<dyn Clock>,
    out: &mut dyn Write,
) -> Result<(), RebuildError> {
    let oldest = journal.oldest();
    let durable = *journal.durable().borrow();
    writeln!(out, "Reading the journal from position {oldest} to {durable}.")?;
    let projection = Projection::rebuild(place, journal, records, intake, clock)?;
    projection.stop();
    writeln!(out, "The records are derived again. Who was seen, and what is older than the journal, was kept.")?;
    Ok(())
}
