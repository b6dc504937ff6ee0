//! `fanfare store rebuild`: derives the records again from the journal.

use crate::clock::Clock;
use crate::config::{IntakeSettings, RecordSettings};
use crate::journal::Journal;
use crate::store::projection::{self, Projection};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

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

/// Rebuilds `records.db` in `data_dir` from `journal` and tells `out` what was done. The caller holds the data
/// directory's lock, so no server writes at the same time.
///
/// # Errors
/// [`RebuildError`].
pub fn rebuild(
    data_dir: &Path,
    journal: Arc<dyn Journal>,
    (records, intake): (&RecordSettings, &IntakeSettings),
    clock: Arc<dyn Clock>,
    out: &mut dyn Write,
) -> Result<(), RebuildError> {
    let oldest = journal.oldest();
    let durable = *journal.durable().borrow();
    writeln!(out, "Reading the journal from position {oldest} to {durable}.")?;
    let projection = Projection::rebuild(data_dir, journal, records, intake, clock)?;
    projection.stop();
    writeln!(out, "The records are derived again. Who was seen, and what is older than the journal, was kept.")?;
    Ok(())
}
