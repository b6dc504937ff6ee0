//! Looking at a journal without opening it: nothing is locked, changed or repaired, so a running one can be looked at.

use super::disk::Disk;
use super::frame::Head;
use super::recovery::{self, Found, OpenError, Place};
use super::segment::{Frames, Step};
use crate::journal::Chunk;
use crate::model::{Position, UnixMs};
use bytes::Bytes;
use std::path::Path;

/// What a check of every frame of every segment found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifyReport {
    /// One for each segment, oldest first.
    pub segments: Vec<SegmentReport>,
    /// Damage: acknowledged entries that cannot be read.
    pub damaged: Vec<Place>,
    /// Bytes at the end that were never acknowledged. Normal after a crash, and while the journal is being written to.
    pub torn_bytes: u64,
    /// The last readable position.
    pub last: Position,
}

/// One segment, as checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentReport {
    /// The file's name.
    pub file: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Groups in it.
    pub groups: u64,
    /// Entries in it.
    pub entries: u64,
    /// Its first and last position; `None` when it holds nothing.
    pub range: Option<(Position, Position)>,
    /// When its newest group was written.
    pub newest: UnixMs,
    /// Whether it has a footer.
    pub sealed: bool,
}

/// One group of a journal, as [`walk`] shows it.
#[derive(Debug)]
pub struct Visit {
    /// The group, decoded entry by entry with [`Chunk::entries`].
    pub chunk: Chunk,
    /// When it was written.
    pub written_at: UnixMs,
    /// The segment's file name.
    pub file: String,
}

/// Checks every frame of the journal in `dir`, and that each entry can be decoded.
///
/// # Errors
/// [`OpenError`], where the journal could not be opened either.
pub fn verify(dir: &Path, disk: &dyn Disk) -> Result<VerifyReport, OpenError> {
    let survey = recovery::survey(disk, dir)?;
    let mut report = VerifyReport {
        torn_bytes: survey.report.torn_bytes,
        last: survey.report.last,
        damaged: survey.report.damaged,
        ..VerifyReport::default()
    };
    for found in &survey.segments {
        let segment = verify_segment(found, &mut report.damaged)?;
        report.segments.push(segment);
    }
    Ok(report)
}

fn verify_segment(found: &Found, damaged: &mut Vec<Place>) -> Result<SegmentReport, OpenError> {
    let (mut groups, mut entries, mut last) = (0, 0, None);
    let already = damaged.iter().any(|place| place.file == found.name());
    let mut place = |offset, what: &str| {
        if !already {
            damaged.push(Place { file: found.name(), offset, what: what.to_owned() });
        }
    };
    let mut frames = Frames::new(&*found.file, &found.header, found.contents.end);
    loop {
        match frames.step()? {
            Step::Frame(offset, head, payload) => {
                (groups, entries, last) = (groups + 1, entries + u64::from(head.count), Some(head.last()));
                if let Some(error) = chunk_of(&head, payload).entries().find_map(Result::err) {
                    place(offset, &error.to_string());
                }
            }
            Step::Stop(stop) => {
                place(stop.offset, stop.fault.what());
                break;
            }
            Step::End => {
                if last != found.contents.last {
                    place(found.contents.end, "entries that were acknowledged are missing");
                }
                break;
            }
        }
    }
    Ok(SegmentReport {
        file: found.name(),
        bytes: found.file_bytes,
        groups,
        entries,
        range: last.map(|last| (found.header.first, last)),
        newest: found.contents.newest,
        sealed: found.sealed,
    })
}

/// Shows every readable group that holds a position from `from` to `to`, in order, until `visit` says no.
///
/// # Errors
/// [`OpenError`]; `Damaged` at the first frame that cannot be read.
pub fn walk(
    dir: &Path,
    disk: &dyn Disk,
    (from, to): (Position, Position),
    visit: &mut dyn FnMut(Visit) -> bool,
) -> Result<(), OpenError> {
    for found in &recovery::survey(disk, dir)?.segments {
        let wanted = found.header.first <= to && found.contents.last.is_some_and(|last| last >= from);
        if wanted && !walk_segment(found, from, to, visit)? {
            break;
        }
    }
    Ok(())
}

fn walk_segment(
    found: &Found,
    from: Position,
    to: Position,
    visit: &mut dyn FnMut(Visit) -> bool,
) -> Result<bool, OpenError> {
    let mut frames = Frames::new(&*found.file, &found.header, found.contents.end);
    loop {
        match frames.step()? {
            Step::Frame(_, head, payload) => {
                if head.first > to {
                    return Ok(false);
                }
                if head.last() < from {
                    continue;
                }
                let chunk = chunk_of(&head, payload);
                if !visit(Visit { chunk, written_at: head.written_at, file: found.name() }) {
                    return Ok(false);
                }
            }
            Step::Stop(stop) => {
                let what = stop.fault.what().to_owned();
                return Err(OpenError::Damaged(Place { file: found.name(), offset: stop.offset, what }));
            }
            Step::End => return Ok(true),
        }
    }
}

fn chunk_of(head: &Head, payload: &[u8]) -> Chunk {
    Chunk::new(vec![(head.first, Bytes::copy_from_slice(payload))], head.first, head.last().next())
}
