//! The journal as a whole, on the system's disk and on one that fails as told.

use super::control::SpareSlot;
use super::disk_memory::{Failure, MemoryDisk};
use super::{Disk, FileJournal, OpenError, SystemDisk, lock, verify};
use crate::clock::{Random, SeededRandom, SystemClock};
use crate::config::JournalSettings;
use crate::journal::{AppendError, Backend, Group, Holder, Journal, ReadError, contract};
use crate::model::{Entry, HeldEntry, Position};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

impl FileJournal {
    fn unsealed(&self) -> usize {
        self.shared.library.unsealed()
    }

    fn has_spare(&self) -> bool {
        matches!(lock(&self.shared.control).spare, SpareSlot::Ready(_))
    }
}

fn settings(segment_bytes: u64) -> JournalSettings {
    JournalSettings { segment_bytes, max_age: Duration::from_secs(3600), max_bytes: u64::MAX }
}

#[tokio::test]
async fn the_contract_holds_on_the_systems_disk() {
    for segment_bytes in [16 * 1024, 1024 * 1024] {
        let dir = tempfile::tempdir().unwrap();
        let open = || -> Arc<dyn Journal> {
            let settings = settings(segment_bytes);
            Arc::new(FileJournal::open(dir.path(), &settings, Arc::new(SystemClock), Arc::new(SystemDisk)).unwrap())
        };
        contract::every_rule(&open).await;
    }
}

pub(super) const DIR: &str = "/journal";
const SMALL: u64 = 16 * 1024;

pub(super) fn open_on(disk: &MemoryDisk) -> Result<FileJournal, OpenError> {
    FileJournal::open(Path::new(DIR), &settings(SMALL), Arc::new(SystemClock), Arc::new(disk.clone()))
}

/// A group of one entry of a few hundred bytes that carries a number.
fn big(n: u64) -> Group {
    let headers = "x".repeat(300 + n as usize % 200);
    let draft = [n.to_le_bytes().as_slice(), headers.as_bytes()].concat();
    let (subscription, due) = (crate::model::SubscriptionId(1), crate::model::UnixMs(0));
    Group::of(&Entry::Held(HeldEntry { subscription, due, item: None, draft: &draft }))
}

fn number_of(entry: &Entry<'_>) -> u64 {
    let Entry::Held(held) = entry else { panic!("{entry:?}") };
    u64::from_le_bytes(held.draft[..8].try_into().unwrap())
}

fn read_big(journal: &FileJournal) -> Result<BTreeMap<u64, u64>, ReadError> {
    let (mut from, mut all) = (journal.oldest(), BTreeMap::new());
    loop {
        let chunk = journal.read(from, 3000)?;
        if chunk.is_empty() {
            return Ok(all);
        }
        for item in chunk.entries() {
            let (position, entry) = item?;
            assert!(all.last_key_value().is_none_or(|(last, _)| *last < position.0), "in order");
            all.insert(position.0, number_of(&entry));
        }
        from = chunk.next();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

/// A journal of a few segments with one entry in each write, and the disk just before it would have been closed.
fn written(count: u64) -> (MemoryDisk, BTreeMap<u64, u64>) {
    let disk = MemoryDisk::default();
    let journal = open_on(&disk).unwrap();
    let acked = (0..count).map(|n| (runtime().block_on(journal.append(big(n))).unwrap().0, n)).collect();
    // Sealing goes on in the background: wait until only the newest is open.
    while journal.unsealed() > 1 {
        std::thread::yield_now();
    }
    (disk.killed(), acked)
}

#[test]
fn a_second_process_is_kept_out() {
    let disk = MemoryDisk::default();
    let journal = open_on(&disk).unwrap();
    assert!(matches!(open_on(&disk), Err(OpenError::InUse(_))));
    drop(journal);
    open_on(&disk).unwrap();
}

#[test]
fn what_was_acknowledged_is_read_back_from_many_segments_and_at_each_position() {
    let (disk, acked) = written(150);
    let journal = open_on(&disk).unwrap();
    assert!(journal.stats().segments > 3);
    assert_eq!(read_big(&journal).unwrap(), acked);
    for (position, number) in &acked {
        let chunk = journal.read(Position(*position), 1).unwrap();
        let (found, entry) = chunk.entries().next().unwrap().unwrap();
        assert_eq!((found.0, number_of(&entry)), (*position, *number));
    }
    assert_eq!(verify(Path::new(DIR), &disk).unwrap().damaged, []);
}

/// What opening and reading say about a changed disk: all that can be read, and whether anything was reported.
fn judge(disk: &MemoryDisk, acked: &BTreeMap<u64, u64>, what: &str) {
    let Ok(journal) = open_on(disk) else { return };
    let report = journal.report().clone();
    let Ok(all) = read_big(&journal) else { return };
    for (position, number) in &all {
        assert_eq!(acked.get(position), Some(number), "{what}: garbage at {position}");
    }
    let reported = report.torn_bytes > 0 || !report.damaged.is_empty() || !report.unfinished.is_empty();
    assert!(all == *acked || reported, "{what}: lost {} of {} silently", acked.len() - all.len(), acked.len());
}

#[test]
fn a_flipped_bit_in_any_byte_is_reported_or_harmless() {
    let (disk, acked) = written(40);
    for (path, size) in disk.paths() {
        for at in 0..size {
            let disk = disk.killed();
            disk.change(&path, |bytes| bytes[at] ^= 1 << (at % 8));
            judge(&disk, &acked, &format!("{} byte {at}", path.display()));
        }
    }
}

#[test]
fn a_file_cut_at_any_byte_is_reported_or_harmless() {
    let (disk, acked) = written(40);
    for (path, size) in disk.paths() {
        for at in 0..size {
            let disk = disk.killed();
            disk.change(&path, |bytes| bytes.truncate(at));
            judge(&disk, &acked, &format!("{} cut at {at}", path.display()));
        }
    }
}

/// Appends and records while calls fail; then cuts the power. Whatever was acknowledged must be there, whatever was
/// refused must not.
fn survives(failure: Option<Failure>, from: u64, count: u64, seed: u64) {
    let what = format!("{failure:?} from call {from} for {count}, seed {seed}");
    let disk = MemoryDisk::default();
    let random = SeededRandom::new(seed);
    let journal = open_on(&disk).unwrap();
    if let Some(failure) = failure {
        disk.fail(failure, from, count);
    }
    let answers: Vec<_> = (0..90)
        .map(|n| {
            if n % 3 == 0 {
                journal.record(big(n));
                None
            } else {
                let answer = journal.append(big(n));
                if random.id().is_multiple_of(4) {
                    std::thread::yield_now();
                }
                Some((n, answer))
            }
        })
        .collect();
    disk.heal();
    let (mut acked, mut refused) = (BTreeMap::new(), Vec::new());
    for (n, answer) in answers.into_iter().flatten() {
        match runtime().block_on(answer) {
            Ok(position) => drop(acked.insert(position.0, n)),
            Err(_) => refused.push(n),
        }
    }
    // Read first: what is not yet durable when the power goes may become so behind it.
    let live = read_big(&journal).unwrap();
    let cut = disk.cut(&mut || random.id().is_multiple_of(2));
    drop(journal);
    for (disk, place, whole) in [(cut, "after the power cut", false), (disk, "after a close", true)] {
        let journal = open_on(&disk).unwrap_or_else(|error| panic!("{what}, {place}: {error:?}"));
        let all = read_big(&journal).unwrap_or_else(|error| panic!("{what}, {place}: {error:?}"));
        for (position, n) in acked.iter().chain(&live) {
            assert_eq!(all.get(position), Some(n), "{what}, {place}: lost");
        }
        let numbers: Vec<u64> = all.into_values().collect();
        assert!(refused.iter().all(|n| !numbers.contains(n)), "{what}, {place}: refused, but there");
        let records = (0..90).step_by(3).filter(|n| numbers.contains(n)).count();
        assert!(!whole || records == 30, "{what}, {place}: {records} of 30 records");
        let next = runtime().block_on(journal.append(big(1000))).unwrap();
        assert!(live.last_key_value().is_none_or(|(last, _)| next.0 > *last), "{what}, {place}: a position again");
    }
}

#[test]
fn every_failing_call_loses_nothing_and_lies_to_nobody() {
    for failure in [Failure::Full, Failure::Io, Failure::Short] {
        for from in 1..40 {
            survives(Some(failure), from, 1 + from % 3, from);
        }
    }
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    for seed in 0..100 {
        survives(None, 0, 0, seed);
    }
}

#[test]
fn a_full_disk_refuses_appends_keeps_records_and_resumes_by_itself() {
    let disk = MemoryDisk::default();
    let journal = open_on(&disk).unwrap();
    let rt = runtime();
    while !journal.has_spare() {
        std::thread::yield_now();
    }
    // Only creating fails on a disk that is full: what is preallocated can be written.
    disk.fill(true);
    let mut acked = 0;
    let refused = (0..1000).find_map(|n| rt.block_on(journal.append(big(n))).map(|_| acked += 1).err());
    assert_eq!(refused, Some(AppendError::Full));
    assert_eq!(journal.accepting(), Err(AppendError::Full));
    journal.record(big(2000));
    rt.block_on(async {
        let mut durable = journal.durable();
        while durable.borrow_and_update().0 < acked + 1 {
            durable.changed().await.unwrap();
        }
    });
    disk.fill(false);
    while journal.accepting().is_err() {
        std::thread::yield_now();
    }
    rt.block_on(journal.append(big(3000))).unwrap();
    let numbers: Vec<_> = read_big(&journal).unwrap().into_values().collect();
    assert_eq!(numbers, (0..acked).chain([2000, 3000]).collect::<Vec<_>>());
}

#[test]
fn retention_removes_what_was_released_and_says_gone() {
    let (disk, acked) = written(150);
    let small = JournalSettings { max_bytes: 3 * SMALL, ..settings(SMALL) };
    let journal = FileJournal::open(Path::new(DIR), &small, Arc::new(SystemClock), Arc::new(disk.clone())).unwrap();
    journal.retire();
    assert_eq!(journal.oldest(), Position(1), "nothing was released yet");
    let outgrown = journal.outgrown();
    assert!(outgrown > Position(100), "by size alone more would go: {outgrown}");
    journal.release(Holder::Lanes, Position(1000));
    journal.retire();
    assert_eq!(journal.oldest(), Position(1), "only one of two holders has let go");
    journal.release(Holder::Records, Position(100));
    journal.retire();
    let oldest = journal.oldest();
    assert!(oldest > Position(1) && oldest <= Position(100));
    assert!(matches!(journal.read(Position(1), 1000), Err(ReadError::Gone { .. })));
    assert_eq!(read_big(&journal).unwrap().len() as u64, acked.len() as u64 + 1 - oldest.0);
    assert_eq!(journal.outgrown(), outgrown, "what is held on to is outgrown all the same");
    drop(journal);
    assert_eq!(open_on(&disk).unwrap().oldest(), oldest, "after a restart");
}

#[test]
fn a_missing_segment_is_noticed() {
    let (disk, _) = written(150);
    let (second, _) = disk.paths()[1].clone();
    disk.remove(&second).unwrap();
    assert!(matches!(open_on(&disk), Err(OpenError::Missing { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_append_while_others_read() {
    let disk = MemoryDisk::default();
    let journal = Arc::new(open_on(&disk).unwrap());
    let writers: Vec<_> = (0..4_u64)
        .map(|writer| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move {
                let mut last = Position::ZERO;
                for n in 0..200 {
                    let position = journal.append(big(writer * 1000 + n)).await.unwrap();
                    assert!(position > last);
                    last = position;
                }
            })
        })
        .collect();
    let (mut from, mut seen, mut durable) = (Position(1), Vec::new(), journal.durable());
    while seen.len() < 800 {
        durable.borrow_and_update();
        let chunk = journal.read(from, 2000).unwrap();
        if chunk.is_empty() {
            durable.changed().await.unwrap();
            continue;
        }
        seen.extend(chunk.entries().map(|item| number_of(&item.unwrap().1)));
        from = chunk.next();
    }
    for writer in writers {
        writer.await.unwrap();
    }
    for writer in 0..4 {
        let own: Vec<_> = seen.iter().filter(|n| **n / 1000 == writer).copied().collect();
        assert_eq!(own, (0..200).map(|n| writer * 1000 + n).collect::<Vec<_>>());
    }
}
