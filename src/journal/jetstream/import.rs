//! Moving a journal of files into a stream. Positions stay: records, lanes and replays name them.

use super::OpenError;
use super::stream::{Stream, Unpublished};
use crate::blocking::Driver;
use crate::config::NatsSettings;
use crate::journal::{Group, Journal, ReadError};
use crate::limits;
use crate::model::{Entry, Position};
use bytes::Bytes;
use std::path::Path;

/// Messages that are published as one.
const MESSAGES: usize = 500;

/// How many entries pass between two words of how far it is.
const TELL_EVERY: u64 = 50_000;

/// Why a journal cannot be moved.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The servers.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is something in the stream.
    #[error("the stream holds a journal already; nothing was changed")]
    NotEmpty,
    /// The files.
    #[error("the journal cannot be read")]
    Read(#[from] ReadError),
    /// The servers stopped taking it. What they have is a part; the stream has to be deleted before the next try.
    #[error("the servers took the journal up to position {after} only: {why}")]
    Stopped {
        /// The last position that they have.
        after: Position,
        /// Why.
        why: String,
    },
}

/// Copies everything that a journal retains into a stream that is made for it, at the same positions, and looks whether the
/// last one is there; how many entries that were. `told` hears how many are done of how many. Blocking.
///
/// # Errors
/// [`ImportError`].
pub fn import(
    journal: &dyn Journal,
    nats: &NatsSettings,
    ca_file: Option<&Path>,
    told: &mut dyn FnMut(u64, u64),
) -> Result<u64, ImportError> {
    let (oldest, last) = (journal.oldest(), *journal.durable().borrow());
    let driver = Driver::start("nats").map_err(OpenError::from)?;
    let (settings, path) = (nats.clone(), ca_file.map(Path::to_owned));
    let opening = async move { Stream::make(&settings, path.as_deref(), oldest).await };
    let stream = driver.run(opening).map_err(OpenError::Unreachable)??.ok_or(ImportError::NotEmpty)?;
    let nothing = Group::of(&Entry::Erased).into_bytes();
    let (mut next, mut waiting, mut entries) = (oldest, Vec::<Bytes>::new(), 0);
    let mut after = Position(oldest.0.saturating_sub(1));
    let publish = |waiting: &mut Vec<Bytes>, after: &mut Position| -> Result<(), ImportError> {
        let (batch, last, stream) = (std::mem::take(waiting), *after, stream.clone());
        let count = batch.len() as u64;
        match driver.run(async move { stream.publish(&batch, last, &format!("import-{last}")).await }) {
            Ok(Ok(_)) => *after = last.plus(count),
            Ok(Err(Unpublished::Refused(error))) => return Err(stopped(last, &error.to_string())),
            Ok(Err(Unpublished::Unknown(why))) | Err(why) => return Err(stopped(last, &why)),
            Ok(Err(Unpublished::WrongEnd)) => return Err(stopped(last, "somebody else writes there")),
        }
        Ok(())
    };
    let mut from = oldest;
    while from <= last {
        let chunk = journal.read(from, limits::JOURNAL_READ_BYTES)?;
        for item in chunk.entries() {
            let (position, entry) = item?;
            // A position without an entry is taken by one of no meaning.
            while next < position {
                waiting.push(nothing.clone());
                next = next.next();
            }
            waiting.push(Group::of(&entry).into_bytes());
            next = next.next();
            entries += 1;
            if waiting.len() >= MESSAGES {
                publish(&mut waiting, &mut after)?;
            }
            if entries % TELL_EVERY == 0 {
                told(entries, last.0 + 1 - oldest.0);
            }
        }
        from = chunk.next();
    }
    if !waiting.is_empty() {
        publish(&mut waiting, &mut after)?;
    }
    let there = {
        let stream = stream.clone();
        driver.run(async move { stream.extent().await })
    };
    match there.and_then(|there| there) {
        Ok(extent) if extent.last == last || entries == 0 => Ok(entries),
        Ok(extent) => Err(stopped(extent.last, "the end is missing")),
        Err(why) => Err(stopped(after, &why)),
    }
}

fn stopped(after: Position, why: &str) -> ImportError {
    ImportError::Stopped { after, why: why.to_owned() }
}
