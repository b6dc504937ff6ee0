//! A disk in memory whose calls can be failed, and whose power can be cut: what was not synced is then lost, wholly
//! or in part, sector by sector, as a real disk may lose it.

use super::disk::{Disk, DiskFile};
use super::lock;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

const SECTOR_BYTES: usize = 512;

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// No space left on the device.
    Full,
    /// Input/output error. A sync that fails so has written nothing, and the next one claims success.
    Io,
    /// A write takes only a part. It is no error: the rest is to be written by another call.
    Short,
}

/// Which calls fail.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Calls that change something, so far.
    pub(super) calls: u64,
    /// The calls with these numbers fail.
    pub(super) from: u64,
    pub(super) until: u64,
    pub(super) failure: Option<Failure>,
}

#[derive(Debug, Default, Clone)]
struct Content {
    /// As the system shows it.
    now: Vec<u8>,
    /// As it would be after a power cut that loses everything unsynced.
    synced: Vec<u8>,
    /// The synced size and content reached the disk, but the name did not yet.
    named: bool,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<PathBuf, Arc<Mutex<Content>>>,
    /// Removed, but they come back after a power cut.
    removed: BTreeMap<PathBuf, Arc<Mutex<Content>>>,
    /// Replaced by a file of another name, but a power cut may bring them back in its place.
    replaced: BTreeMap<PathBuf, Arc<Mutex<Content>>>,
    plan: Plan,
    locked: bool,
    full: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct MemoryDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct MemoryFile(Arc<Mutex<State>>, Arc<Mutex<Content>>);

struct Unlock(Arc<Mutex<State>>);

impl Drop for Unlock {
    fn drop(&mut self) {
        lock(&self.0).locked = false;
    }
}

impl State {
    /// Counts a call; says whether it fails.
    fn call(&mut self) -> Result<bool, io::Error> {
        let plan = &mut self.plan;
        plan.calls += 1;
        if !(plan.from..plan.until).contains(&plan.calls) {
            return Ok(false);
        }
        match plan.failure {
            Some(Failure::Full) => Err(io::ErrorKind::StorageFull.into()),
            Some(Failure::Io) => Err(io::Error::from_raw_os_error(5)),
            Some(Failure::Short) => Ok(true),
            None => Ok(false),
        }
    }
}

impl MemoryDisk {
    /// From call `from` on, counted from now and beginning with 1, `count` calls fail.
    pub(super) fn fail(&self, failure: Failure, from: u64, count: u64) {
        let until = from.saturating_add(count);
        lock(&self.0).plan = Plan { calls: 0, from, until, failure: Some(failure) };
    }

    pub(super) fn heal(&self) {
        lock(&self.0).plan = Plan::default();
    }

    /// While the disk is full nothing can be created, but what was allocated can be written.
    pub(super) fn fill(&self, full: bool) {
        lock(&self.0).full = full;
    }

    /// The disk as it is after a power cut at this moment: of each sector that was not synced, `keep` decides whether
    /// it reached the disk. Names that were not synced may be there or not as well.
    pub(super) fn cut(&self, keep: &mut dyn FnMut() -> bool) -> Self {
        let state = lock(&self.0);
        let mut after = State::default();
        for (path, content) in state.files.iter().chain(&state.removed) {
            let old = state.replaced.get(path).filter(|_| keep());
            let content = lock(old.unwrap_or(content));
            let there = if state.removed.contains_key(path) { keep() } else { content.named || keep() };
            if !there {
                continue;
            }
            let mut bytes = content.synced.clone();
            if content.now.len() > bytes.len() || (content.now.len() < bytes.len() && keep()) {
                bytes.resize(content.now.len(), 0);
            }
            for (at, sector) in bytes.chunks_mut(SECTOR_BYTES).enumerate() {
                let start = at * SECTOR_BYTES;
                let Some(now) = content.now.get(start..(start + sector.len()).min(content.now.len())) else { continue };
                if sector[..now.len()] != *now && keep() {
                    sector[..now.len()].copy_from_slice(now);
                }
            }
            let content = Content { now: bytes.clone(), synced: bytes, named: true };
            after.files.insert(path.clone(), Arc::new(Mutex::new(content)));
        }
        Self(Arc::new(Mutex::new(after)))
    }

    /// The disk as another process sees it after this one was killed.
    pub(super) fn killed(&self) -> Self {
        self.cut(&mut || true)
    }

    /// The files' names and contents, to be changed.
    pub(super) fn change(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let state = lock(&self.0);
        let mut content = lock(&state.files[path]);
        change(&mut content.now);
        content.synced = content.now.clone();
    }

    /// Every file's bytes as the system shows them.
    pub(super) fn contents(&self) -> Vec<Vec<u8>> {
        lock(&self.0).files.values().map(|content| lock(content).now.clone()).collect()
    }

    pub(super) fn paths(&self) -> Vec<(PathBuf, usize)> {
        lock(&self.0).files.iter().map(|(path, content)| (path.clone(), lock(content).now.len())).collect()
    }
}

impl Disk for MemoryDisk {
    fn lock(&self, _dir: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let mut state = lock(&self.0);
        if std::mem::replace(&mut state.locked, true) {
            return Ok(None);
        }
        Ok(Some(Box::new(Unlock(Arc::clone(&self.0)))))
    }

    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = lock(&self.0);
        state.call()?;
        if state.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let content = Content { now: vec![0; bytes as usize], ..Content::default() };
        let content = Arc::new(Mutex::new(content));
        state.files.insert(path.to_owned(), Arc::clone(&content));
        Ok(Arc::new(MemoryFile(Arc::clone(&self.0), content)))
    }

    fn open(&self, path: &Path, _write: bool) -> io::Result<Arc<dyn DiskFile>> {
        let content = lock(&self.0).files.get(path).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(MemoryFile(Arc::clone(&self.0), content)))
    }

    fn list(&self, _dir: &Path) -> io::Result<Vec<String>> {
        let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        Ok(lock(&self.0).files.keys().map(name).collect())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = lock(&self.0);
        state.call()?;
        let content = state.files.remove(path).ok_or(io::ErrorKind::NotFound)?;
        if lock(&content).named {
            state.removed.insert(path.to_owned(), content);
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = lock(&self.0);
        state.call()?;
        let content = state.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        // The name itself is there either way.
        lock(&content).named = true;
        if let Some(old) = state.files.insert(to.to_owned(), content) {
            state.replaced.entry(to.to_owned()).or_insert(old);
        }
        Ok(())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        let mut state = lock(&self.0);
        state.call()?;
        state.removed.clear();
        state.replaced.clear();
        for content in state.files.values() {
            lock(content).named = true;
        }
        Ok(())
    }
}

impl DiskFile for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = lock(&self.1);
        let rest = content.now.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let short = lock(&self.0).call()?;
        let count = if short { bytes.len().div_ceil(2) } else { bytes.len() };
        let mut content = lock(&self.1);
        let end = offset as usize + count;
        if content.now.len() < end {
            content.now.resize(end, 0);
        }
        content.now[offset as usize..end].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn sync(&self) -> io::Result<()> {
        lock(&self.0).call()?;
        let mut content = lock(&self.1);
        content.synced = content.now.clone();
        Ok(())
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        lock(&self.0).call()?;
        lock(&self.1).now.truncate(bytes as usize);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(lock(&self.1).now.len() as u64)
    }
}
