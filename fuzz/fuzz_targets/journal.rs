//! Recovery and frames: a journal is written, its bytes are changed as the input says, and it is opened and read.
//! Nothing may panic, and what is read must be what was written: damage may hide entries, never change them.
#![no_main]

use fanfare::clock::SystemClock;
use fanfare::config::JournalSettings;
use fanfare::journal::file::{Disk, DiskFile, FileJournal, verify};
use fanfare::journal::{Group, Journal};
use fanfare::model::{Entry, HeldEntry, Position, SubscriptionId, UnixMs};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

const ENTRIES: u64 = 60;

type Files = BTreeMap<PathBuf, Arc<Mutex<Vec<u8>>>>;

#[derive(Debug, Clone, Default)]
struct Memory(Arc<Mutex<Files>>);

#[derive(Debug)]
struct MemoryFile(Arc<Mutex<Vec<u8>>>);

impl Memory {
    fn copy(&self) -> Self {
        let files = self.0.lock().unwrap();
        let copy = |(path, bytes): (&PathBuf, &Arc<Mutex<Vec<u8>>>)| {
            (path.clone(), Arc::new(Mutex::new(bytes.lock().unwrap().clone())))
        };
        Self(Arc::new(Mutex::new(files.iter().map(copy).collect())))
    }

    /// Five bytes of input are one change: which file, where (three bytes), and what to xor; 0 cuts the file there.
    fn change(&self, input: &[u8]) {
        let files = self.0.lock().unwrap();
        for step in input.chunks_exact(5) {
            let Some(file) = files.values().nth(usize::from(step[0]) % files.len()) else { return };
            let mut bytes = file.lock().unwrap();
            let at = u32::from_le_bytes([step[1], step[2], step[3], 0]) as usize;
            match (step[4], bytes.len()) {
                (_, 0) => {}
                (0, length) => bytes.truncate(at % length),
                (xor, length) => bytes[at % length] ^= xor,
            }
        }
    }
}

impl Disk for Memory {
    fn lock(&self, _: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        Ok(Some(Box::new(())))
    }
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let content = Arc::new(Mutex::new(vec![0; bytes as usize]));
        self.0.lock().unwrap().insert(path.to_owned(), content.clone());
        Ok(Arc::new(MemoryFile(content)))
    }
    fn open(&self, path: &Path, _: bool) -> io::Result<Arc<dyn DiskFile>> {
        let content = self.0.lock().unwrap().get(path).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(MemoryFile(content)))
    }
    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(self.0.lock().unwrap().keys().map(name).collect())
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.lock().unwrap().remove(path);
        Ok(())
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let bytes = self.0.lock().unwrap();
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let (mut content, end) = (self.0.lock().unwrap(), offset as usize + bytes.len());
        if content.len() < end {
            content.resize(end, 0);
        }
        content[offset as usize..end].copy_from_slice(bytes);
        Ok(bytes.len())
    }
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.0.lock().unwrap().truncate(bytes as usize);
        Ok(())
    }
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }
}

fn open(disk: &Memory) -> Option<FileJournal> {
    let (max_age, max_bytes) = (Duration::from_secs(3600), u64::MAX);
    let settings = JournalSettings { segment_bytes: 16 * 1024, max_age, max_bytes };
    FileJournal::open(Path::new("/journal"), &settings, Arc::new(SystemClock), Arc::new(disk.clone())).ok()
}

fn draft(position: u64) -> Vec<u8> {
    position.to_le_bytes().repeat(60)
}

/// A journal of a few segments, as a kill leaves it: the last segment has no footer.
fn written() -> &'static Memory {
    static WRITTEN: OnceLock<Memory> = OnceLock::new();
    WRITTEN.get_or_init(|| {
        let disk = Memory::default();
        let journal = open(&disk).expect("an empty directory opens");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        for position in 1..=ENTRIES {
            let (subscription, due, draft) = (SubscriptionId(1), UnixMs(0), draft(position));
            let group = Group::of(&Entry::Held(HeldEntry { subscription, due, item: None, draft: &draft }));
            runtime.block_on(journal.append(group)).expect("memory does not fail");
        }
        disk.copy()
    })
}

fuzz_target!(|input: &[u8]| {
    let disk = written().copy();
    disk.change(input);
    let _ = verify(Path::new("/journal"), &disk);
    let Some(journal) = open(&disk) else { return };
    let mut from = journal.oldest();
    while let Ok(chunk) = journal.read(from, 4000) {
        if chunk.is_empty() {
            break;
        }
        for (position, entry) in chunk.entries().map_while(Result::ok) {
            let Entry::Held(held) = entry else { panic!("{entry:?} was never written") };
            assert!(position >= from && position <= Position(ENTRIES));
            assert_eq!(held.draft, draft(position.0));
        }
        from = chunk.next();
    }
});
