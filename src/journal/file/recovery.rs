//! What is done when a journal is opened: finding out what is in it, and dropping what was never acknowledged.
//!
//! The segments form a chain: each one's header names the last position that was durable before it. Sealed segments
//! are believed by their footers and not read. Only a segment without a footer (the one that was written to at a
//! crash, at most one more before it) is scanned.

use super::disk::{Disk, DiskFile, read_fully, write_fully};
use super::erase;
use super::segment::{self, Contents, HEADER_BYTES, Header, Stop};
use crate::model::Position;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What was found when a journal was opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecoveryReport {
    /// The last durable position.
    pub last: Position,
    /// Segments with entries.
    pub segments: usize,
    /// Bytes of a write that a crash cut off, dropped from the end. Nothing in them was acknowledged.
    pub torn_bytes: u64,
    /// Places where a failed write may have left entries that were never acknowledged.
    pub abandoned: Vec<Place>,
    /// Segments whose footer was missing and was made anew.
    pub rebuilt: Vec<String>,
    /// Files that are too short for a header. A crash while a segment's file is made leaves one, and so does cutting it.
    pub unfinished: Vec<String>,
    /// Damage in sealed segments. Reading there is an error; everything else can be read.
    pub damaged: Vec<Place>,
}

/// A place in a segment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file's name.
    pub file: String,
    /// The byte.
    pub offset: u64,
    /// What is there.
    pub what: String,
}

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the journal in {0} is in use by another process")]
    InUse(PathBuf),
    /// The segment size cannot be used.
    #[error("segments must have at least {0} bytes")]
    SegmentTooSmall(u64),
    /// Acknowledged entries cannot be read, in the segment that was written to last.
    #[error("the journal is damaged in {} at byte {}: {}", .0.file, .0.offset, .0.what)]
    Damaged(Place),
    /// Segments are missing from the middle.
    #[error("the journal lacks positions {from} to {to}: a segment before {file} is missing")]
    Missing {
        /// The file before which something is missing.
        file: String,
        /// First position missing.
        from: Position,
        /// Last position missing.
        to: Position,
    },
    /// The operating system says no.
    #[error("opening the journal")]
    Io(#[from] io::Error),
}

/// A segment as found, not yet touched.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) header: Header,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) file_bytes: u64,
    pub(super) contents: Contents,
    /// Whether the contents were read from a footer.
    pub(super) sealed: bool,
    /// Where and why its frames end before they should.
    pub(super) damage: Option<Stop>,
    /// For the last segment: what was durable before its last write.
    synced: Position,
}

impl Found {
    pub(super) fn name(&self) -> String {
        file_name(&self.path)
    }
}

/// A journal's directory as found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Segments with a header, in order.
    pub(super) segments: Vec<Found>,
    /// Files that hold nothing: prepared ahead, or abandoned before their first frame.
    pub(super) unused: Vec<PathBuf>,
    pub(super) next_id: u64,
    pub(super) report: RecoveryReport,
}

impl Survey {
    /// The next position to give: after everything durable and everything given to what was abandoned.
    pub(super) fn next_position(&self) -> Position {
        let reserved = self.segments.last().map_or(Position(1), |found| found.header.first);
        self.report.last.next().max(reserved)
    }
}

/// Looks at a journal without changing anything.
///
/// # Errors
/// [`OpenError`].
pub(super) fn survey(disk: &dyn Disk, dir: &Path) -> Result<Survey, OpenError> {
    let mut ids: Vec<u64> = disk.list(dir)?.iter().filter_map(|name| segment::id_of(name)).collect();
    ids.sort_unstable();
    let mut survey = Survey { next_id: ids.last().map_or(1, |id| id + 1), ..Survey::default() };
    let (mut opened, mut suspicious) = (Vec::new(), Vec::new());
    for id in &ids {
        let path = segment::path(dir, *id);
        let file = disk.open(&path, false)?;
        if file.size()? < HEADER_BYTES {
            survey.report.unfinished.push(file_name(&path));
        }
        match Header::read(&*file, *id)? {
            Some(header) => opened.push((header, path, file)),
            // A prepared file is always the newest, and one that could not be begun has whole ones before it.
            None if opened.is_empty() && Some(id) != ids.last() => suspicious.push(path),
            None => survey.unused.push(checked_unused(&*file, path)?),
        }
    }
    let fences: Vec<_> = opened.iter().skip(1).map(|(header, ..)| header.previous).map(Some).chain([None]).collect();
    for ((header, path, file), fence) in opened.into_iter().zip(fences) {
        let found = examine(header, path, file, fence, &mut survey.report)?;
        link(&mut survey, found)?;
    }
    report_headless(&mut survey, suspicious);
    survey.report.segments = survey.segments.iter().filter(|found| found.contents.last.is_some()).count();
    Ok(survey)
}

/// A header is durable before anything is written behind it. So a file without one holds nothing, or is damaged.
fn checked_unused(file: &dyn DiskFile, path: PathBuf) -> Result<PathBuf, OpenError> {
    let mut bytes = vec![0; 64 * 1024];
    let mut offset = HEADER_BYTES;
    loop {
        let read = read_fully(file, &mut bytes, offset)?;
        if let Some(at) = bytes[..read].iter().position(|byte| *byte != 0) {
            let what = String::from("the segment has entries but no header");
            return Err(OpenError::Damaged(Place { file: file_name(&path), offset: offset + at as u64, what }));
        }
        if read < bytes.len() {
            return Ok(path);
        }
        offset += read as u64;
    }
}

/// Files without a header before the oldest segment: if that one is not the first of all, they may have held what was
/// before it. They are left as they are.
fn report_headless(survey: &mut Survey, suspicious: Vec<PathBuf>) {
    if survey.segments.first().is_some_and(|found| found.header.previous == Position::ZERO) {
        survey.unused.extend(suspicious);
        return;
    }
    let what = "the oldest file has no header: its entries cannot be read";
    let places = suspicious.iter().map(|path| Place { file: file_name(path), offset: 0, what: what.to_owned() });
    survey.report.damaged.extend(places);
}

fn examine(
    header: Header,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    fence: Option<Position>,
    report: &mut RecoveryReport,
) -> Result<Found, OpenError> {
    let file_bytes = file.size()?;
    let synced = header.previous;
    if let Some(contents) = segment::read_footer(&*file, header.seed())? {
        return Ok(Found { header, path, file, file_bytes, contents, sealed: true, damage: None, synced });
    }
    let scan = segment::scan(&*file, &header, fence)?;
    let reached = scan.contents.last.unwrap_or(header.previous);
    let end = scan.contents.end;
    let name = file_name(&path);
    let remains = segment::remains(&*file, header.seed(), end, reached.next())?;
    let mut contents = scan.contents;
    let damage = match fence {
        Some(fence) => {
            let place = |what: &str| Place { file: name.clone(), offset: end, what: what.to_owned() };
            if reached < fence {
                let stop = scan.stop.unwrap_or(Stop { offset: end, fault: super::frame::Fault::Short(0) });
                report.damaged.push(place(stop.fault.what()));
                // What should be in it is known from its successor: reading there says "damaged", not "nothing".
                contents.last = Some(fence);
                Some(stop)
            } else {
                if remains.torn_bytes > 0 {
                    report.abandoned.push(place("what follows was never acknowledged"));
                }
                None
            }
        }
        None => {
            refuse_damage(&name, &header, file_bytes, end, remains)?;
            report.torn_bytes = remains.torn_bytes;
            None
        }
    };
    let synced = scan.synced;
    Ok(Found { header, path, file, file_bytes, contents, sealed: false, damage, synced })
}

/// The last segment may end in a torn write, and in nothing else.
fn refuse_damage(
    name: &str,
    header: &Header,
    file_bytes: u64,
    end: u64,
    remains: segment::Remains,
) -> Result<(), OpenError> {
    let what = if let Some(proof) = remains.proof_of_damage {
        format!("an acknowledged group cannot be read, although later ones can (at byte {proof})")
    } else if file_bytes < header.bytes {
        format!("the file was cut: it had {} bytes and has {file_bytes}", header.bytes)
    } else {
        return Ok(());
    };
    Err(OpenError::Damaged(Place { file: name.to_owned(), offset: end, what }))
}

/// Adds a segment to the chain, where it must fit.
fn link(survey: &mut Survey, found: Found) -> Result<(), OpenError> {
    let previous = found.header.previous;
    if !survey.segments.is_empty() && survey.report.last != previous {
        let (from, to) = (survey.report.last.next(), previous);
        return Err(OpenError::Missing { file: found.name(), from, to });
    }
    survey.report.last = found.contents.last.unwrap_or(previous);
    survey.segments.push(found);
    Ok(())
}

/// Brings what a crash left into order: makes what is there durable, seals it, and removes files that hold nothing.
///
/// To be called once the new segment's header is durable: only then is what was torn or abandoned dead for good.
pub(super) fn settle(disk: &dyn Disk, dir: &Path, survey: &mut Survey) -> io::Result<()> {
    erase::remove_copies(disk, dir)?;
    for path in survey.unused.drain(..) {
        disk.remove(&path)?;
    }
    let mut kept = Vec::new();
    for mut found in survey.segments.drain(..) {
        if found.contents.last.is_none() {
            disk.remove(&found.path)?;
            continue;
        }
        if !found.sealed && found.damage.is_none() {
            let file = disk.open(&found.path, true)?;
            found.file_bytes = segment::seal(&*file, found.header.seed(), &found.contents)?;
            found.sealed = true;
            survey.report.rebuilt.push(found.name());
        }
        kept.push(found);
    }
    survey.segments = kept;
    disk.sync_dir(dir)
}

/// Makes the last write before a crash durable by writing it again.
///
/// It can be read, but perhaps only from the system's cache: the crash may have come before its sync, or the sync may
/// have failed, after which the system takes the pages for clean. Nothing may be shown that a power cut could take.
pub(super) fn write_again(disk: &dyn Disk, survey: &Survey) -> io::Result<()> {
    let Some(found) = survey.segments.last().filter(|found| !found.sealed && found.contents.last.is_some()) else {
        return Ok(());
    };
    let from = found.synced.next();
    let entry = found.contents.index.iter().rev().find(|entry| entry.first <= from);
    let start = entry.map_or(HEADER_BYTES, |entry| entry.offset);
    let mut bytes = vec![0; (found.contents.end - start) as usize];
    let read = read_fully(&*found.file, &mut bytes, start)?;
    if read < bytes.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let file = disk.open(&found.path, true)?;
    write_fully(&*file, &bytes, start)?;
    file.sync()
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
