//! Erasing entries of sealed segments.
//!
//! A segment with something to erase is copied, frame by frame, and the copy takes its place with a rename: at every
//! moment one whole file is there. An erased entry keeps its length, so that nothing else in the file moves: what
//! decodes as [`Entry::Erased`] is one byte, and zeros follow it. The newest segment is sealed first, ahead of its time.

use super::control::Shared;
use super::disk::{Disk, DiskFile, read_fully, write_fully};
use super::segment::{self, Frames, Header, Step};
use super::{FileJournal, frame, lock};
use crate::journal::{Chunk, Erase, EraseError, Pick};
use crate::model::{Entry, Position};
use bytes::Bytes;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a copy's file is called until it takes the segment's place.
const COPY_SUFFIX: &str = ".erasing";

/// How long the newest segment may take to be sealed.
const SEAL_PATIENCE: Duration = Duration::from_secs(60);

/// Bytes that are copied at a time.
const COPY_BYTES: usize = 1024 * 1024;

impl Erase for FileJournal {
    fn erase(&self, (from, through): (Position, Position), pick: Pick<'_>) -> Result<u64, EraseError> {
        self.seal_through(through)?;
        let mut erased = 0;
        for id in self.shared.library.segments_between(from, through) {
            erased += erase_in(&self.shared, id, (from, through), pick)?;
        }
        self.shared.library.drop_tail_through(through);
        Ok(erased)
    }
}

impl FileJournal {
    /// Sees to it that everything up to a position is in sealed segments.
    fn seal_through(&self, through: Position) -> Result<(), EraseError> {
        let began = Instant::now();
        while self.shared.library.is_unsealed_through(through) {
            lock(&self.shared.control).rotate = true;
            self.shared.writer.notify_one();
            if began.elapsed() > SEAL_PATIENCE {
                return Err(EraseError::Unsealed);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

/// Removes copies that a crash has left.
pub(super) fn remove_copies(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    for name in disk.list(dir)?.iter().filter(|name| name.ends_with(COPY_SUFFIX)) {
        disk.remove(&dir.join(name))?;
    }
    Ok(())
}

/// Erases what is picked of one segment; how many entries that were. One that retention removes meanwhile is gone.
fn erase_in(shared: &Shared, id: u64, range: (Position, Position), pick: Pick<'_>) -> Result<u64, EraseError> {
    let path = segment::path(&shared.dir, id);
    let file = match shared.disk.open(&path, false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    let damaged = |offset: u64, what: &str| {
        let what = what.to_owned();
        EraseError::Damaged { file: format!("{id:016x}.seg"), offset, what }
    };
    let header = Header::read(&*file, id)?.ok_or_else(|| damaged(0, "the header does not match its checksum"))?;
    let contents = segment::read_footer(&*file, header.seed())?;
    let contents = contents.ok_or_else(|| damaged(0, "the footer does not match its checksum"))?;
    let mut copy = Copy { shared, source: &*file, path: path.clone(), target: None, written: 0 };
    let mut frames = Frames::new(&*file, &header, contents.end);
    let mut erased = 0;
    loop {
        match frames.step()? {
            Step::End => break,
            Step::Stop(stop) => return Err(damaged(stop.offset, stop.fault.what())),
            Step::Frame(at, head, payload) => {
                let Some((count, payload)) = without(head.first, payload, range, pick)? else { continue };
                let mut bytes = Vec::with_capacity(head.frame_bytes());
                frame::encode(header.seed(), head, &payload, &mut bytes);
                copy.replace(at, &bytes)?;
                erased += count;
            }
        }
    }
    copy.take_place(id)?;
    Ok(erased)
}

/// A group's payload with what is picked erased, and how many entries that were; `None` when it stays as it is.
fn without(
    first: Position,
    payload: &[u8],
    (from, through): (Position, Position),
    pick: Pick<'_>,
) -> Result<Option<(u64, Vec<u8>)>, EraseError> {
    let chunk = Chunk::new(vec![(first, Bytes::copy_from_slice(payload))], Position::ZERO, first);
    let mut changed: Option<Vec<u8>> = None;
    let (mut offset, mut count) = (0, 0);
    for entry in chunk.entries() {
        let (position, entry) = entry?;
        let length = payload[offset..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize);
        let bytes = offset + 4..offset + 4 + length;
        offset = bytes.end;
        if !(from..=through).contains(&position) {
            continue;
        }
        let ControlFlow::Continue(wanted) = pick(position, &entry) else { return Err(EraseError::Stopped) };
        if wanted && entry != Entry::Erased {
            let erased = &mut changed.get_or_insert_with(|| payload.to_vec())[bytes];
            erased.fill(0);
            erased[0] = Entry::ERASED_BYTE;
            count += 1;
        }
    }
    Ok(changed.map(|payload| (count, payload)))
}

/// A copy of a segment, begun with the first frame that is another.
struct Copy<'a> {
    shared: &'a Shared,
    source: &'a dyn DiskFile,
    path: PathBuf,
    target: Option<(PathBuf, Arc<dyn DiskFile>)>,
    /// Up to here the copy is written.
    written: u64,
}

impl Copy<'_> {
    /// Writes these bytes in place of those that stand at `offset`.
    fn replace(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.copy_to(offset)?;
        if let Some((_, target)) = &self.target {
            write_fully(&**target, bytes, offset)?;
            self.written = offset + bytes.len() as u64;
        }
        Ok(())
    }

    /// Copies what is not yet there, up to byte `end`.
    fn copy_to(&mut self, end: u64) -> io::Result<()> {
        let target = match &self.target {
            Some((_, target)) => Arc::clone(target),
            None => {
                let mut path = self.path.clone().into_os_string();
                path.push(COPY_SUFFIX);
                let path = PathBuf::from(path);
                // One that an earlier try has left, if there is one.
                let _gone_or_not = self.shared.disk.remove(&path);
                let target = self.shared.disk.create(&path, self.source.size()?)?;
                self.target = Some((path, Arc::clone(&target)));
                target
            }
        };
        let mut buffer = vec![0; COPY_BYTES];
        while self.written < end {
            let wanted = (end - self.written).min(COPY_BYTES as u64) as usize;
            let read = read_fully(self.source, &mut buffer[..wanted], self.written)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            write_fully(&*target, &buffer[..read], self.written)?;
            self.written += read as u64;
        }
        Ok(())
    }

    /// Puts the copy, if there is one, in the segment's place.
    fn take_place(mut self, id: u64) -> io::Result<()> {
        if self.target.is_none() {
            return Ok(());
        }
        self.copy_to(self.source.size()?)?;
        let Some((copy, target)) = self.target.take() else { return Ok(()) };
        target.sync()?;
        self.shared.library.replace(id, &copy, &self.path)
    }
}

impl Drop for Copy<'_> {
    fn drop(&mut self) {
        if let Some((path, _)) = &self.target {
            // If it stays, the next start removes it.
            let _gone_or_not = self.shared.disk.remove(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk_memory::{Failure, MemoryDisk};
    use super::super::tests::{DIR, open_on};
    use super::*;
    use crate::journal::{Backend, Group, Journal};
    use crate::model::{HeldEntry, SubscriptionId, UnixMs};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Groups of three entries, each with its number in it, until several segments are full; the last is not.
    fn filled(disk: &MemoryDisk, entries: u64) -> FileJournal {
        let journal = open_on(disk).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for first in (1..=entries).step_by(3) {
            let mut group = Group::new();
            (first..first + 3).for_each(|n| group.push(&entry(&text(n))));
            runtime.block_on(journal.append(group)).unwrap();
        }
        journal
    }

    fn text(n: u64) -> String {
        format!("number {n:06} {}", "x".repeat((n % 97) as usize * 4))
    }

    fn entry(draft: &str) -> Entry<'_> {
        let (subscription, due) = (SubscriptionId(1), UnixMs(0));
        Entry::Held(HeldEntry { subscription, due, item: None, draft: draft.as_bytes() })
    }

    /// What stands at each position: its text, or nothing where it was erased.
    fn all(journal: &FileJournal) -> Vec<(u64, Option<String>)> {
        let (mut from, mut found) = (journal.oldest(), Vec::new());
        loop {
            let chunk = journal.read(from, 4000).unwrap();
            if chunk.is_empty() {
                return found;
            }
            for item in chunk.entries() {
                found.push(match item.unwrap() {
                    (at, Entry::Held(held)) => (at.0, Some(String::from_utf8(held.draft.to_vec()).unwrap())),
                    (at, Entry::Erased) => (at.0, None),
                    other => panic!("{other:?}"),
                });
            }
            from = chunk.next();
        }
    }

    fn expected(entries: u64, erased: &BTreeSet<u64>) -> Vec<(u64, Option<String>)> {
        (1..=entries).map(|n| (n, (!erased.contains(&n)).then(|| text(n)))).collect()
    }

    fn erase(journal: &FileJournal, range: (u64, u64), wanted: &BTreeSet<u64>) -> Result<u64, EraseError> {
        let mut pick = |position: Position, _: &Entry<'_>| ControlFlow::Continue(wanted.contains(&position.0));
        journal.erase((Position(range.0), Position(range.1)), &mut pick)
    }

    fn holds(disk: &MemoryDisk, text: &str) -> bool {
        disk.contents().iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn what_is_erased_is_gone_and_everything_else_stays(
            wanted in prop::collection::btree_set(1_u64..300, 0..40),
            from in 1_u64..300,
            length in 0_u64..300,
        ) {
            let disk = MemoryDisk::default();
            let journal = filled(&disk, 300);
            let through = from + length;
            let inside: BTreeSet<u64> = wanted.iter().copied().filter(|n| (from..=through).contains(n)).collect();
            let through_durable = through.min(300);
            prop_assert_eq!(erase(&journal, (from, through_durable), &wanted).unwrap(), inside.len() as u64);
            prop_assert_eq!(all(&journal), expected(300, &inside));
            for n in &inside {
                prop_assert!(!holds(&disk, &format!("number {n:06}")), "{} is still somewhere", n);
            }
            prop_assert_eq!(erase(&journal, (from, through_durable), &wanted).unwrap(), 0, "once is enough");
            journal.close();
            drop(journal);
            prop_assert_eq!(all(&open_on(&disk.killed()).unwrap()), expected(300, &inside));
        }
    }

    #[test]
    fn each_failing_call_and_each_power_cut_leaves_all_of_a_segment_or_what_is_left_of_it() {
        let wanted: BTreeSet<u64> = (1..=240).step_by(7).collect();
        let mut seed = 0_u32;
        for call in 1..60 {
            for failure in [Failure::Io, Failure::Full, Failure::Short] {
                let disk = MemoryDisk::default();
                let journal = filled(&disk, 240);
                // Sealing is the writer's business, and has tests of its own.
                journal.seal_through(Position(240)).unwrap();
                disk.fail(failure, call, 1);
                let outcome = erase(&journal, (1, 240), &wanted);
                disk.heal();
                let cut = disk.cut(&mut || {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    seed & 0x10000 != 0
                });
                for (what, found) in [("running", all(&journal)), ("cut", all(&open_on(&cut).unwrap()))] {
                    assert_eq!(found.len(), 240, "{what} {call}: no position is lost");
                    for (n, shown) in found {
                        match shown {
                            Some(shown) => assert_eq!(shown, text(n), "{what} {call}"),
                            None => assert!(wanted.contains(&n), "{what} {call}: {n} is gone"),
                        }
                    }
                }
                assert!(
                    !cut.paths().iter().any(|(path, _)| path.to_string_lossy().ends_with(COPY_SUFFIX)),
                    "tidied up"
                );
                assert!(erase(&journal, (1, 240), &wanted).is_ok(), "{outcome:?}");
                assert_eq!(all(&journal), expected(240, &wanted), "done again");
            }
        }
    }

    #[test]
    fn the_newest_segment_is_sealed_ahead_of_its_time_and_writing_goes_on() {
        let disk = MemoryDisk::default();
        let journal = filled(&disk, 3);
        assert_eq!(erase(&journal, (1, 3), &BTreeSet::from([2])).unwrap(), 1);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let after = text(4);
        assert_eq!(runtime.block_on(journal.append(Group::of(&entry(&after)))).unwrap(), Position(4));
        assert_eq!(all(&journal), [(1, Some(text(1))), (2, None), (3, Some(text(3))), (4, Some(after))]);
        let report = super::super::verify(Path::new(DIR), &disk).unwrap();
        assert!(report.damaged.is_empty() && report.last == Position(4), "{report:?}");
    }
}
