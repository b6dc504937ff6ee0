//! Another master key in place of the one in the data directory. The new key is in a file of its own before anything is
//! sealed with it, so that at every moment one of the two files opens the store.

use super::{FILE, MasterKey, MasterKeyError, write_new};
use crate::clock::Random;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The file of a key that is about to take the place of the one before it.
const NEXT_FILE: &str = "master.key.next";

/// Makes the next key, durably, beside the one that holds.
///
/// # Errors
/// [`MasterKeyError::Io`].
pub fn begin(data_dir: &Path, random: &dyn Random) -> Result<MasterKey, MasterKeyError> {
    let path = data_dir.join(NEXT_FILE);
    let written = remove(&path).and_then(|()| write_new(&path, random)).and_then(|()| sync(data_dir));
    written.map_err(failed(&path))?;
    load(&path)
}

/// Puts the next key in the place of the one before it. Everything in the store must be sealed with it by now.
///
/// # Errors
/// [`MasterKeyError::Io`].
pub fn finish(data_dir: &Path) -> Result<(), MasterKeyError> {
    let path = data_dir.join(NEXT_FILE);
    fs::rename(&path, data_dir.join(FILE)).and_then(|()| sync(data_dir)).map_err(failed(&path))
}

/// Brings a rotation that was broken off to an end: the next key takes over if the store is sealed with it already, and
/// is forgotten if not.
///
/// # Errors
/// [`MasterKeyError::Io`], or what `opens` says.
pub fn recover<E: From<MasterKeyError>>(
    data_dir: &Path,
    opens: impl FnOnce(&MasterKey) -> Result<bool, E>,
) -> Result<(), E> {
    let path = data_dir.join(NEXT_FILE);
    if !path.exists() {
        return Ok(());
    }
    // A file that was not written to its end was never used.
    let taken_over = match load(&path) {
        Ok(next) => opens(&next)?,
        Err(MasterKeyError::Malformed(_)) => false,
        Err(error) => return Err(error.into()),
    };
    if taken_over {
        return Ok(finish(data_dir)?);
    }
    remove(&path).and_then(|()| sync(data_dir)).map_err(failed(&path))?;
    Ok(())
}

fn load(path: &Path) -> Result<MasterKey, MasterKeyError> {
    let text = fs::read_to_string(path).map_err(failed(path))?;
    MasterKey::from_base64(&text, &path.display().to_string())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn failed(path: &Path) -> impl Fn(io::Error) -> MasterKeyError {
    let path = PathBuf::from(path);
    move |source| MasterKeyError::Io { path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemRandom;
    use std::os::unix::fs::PermissionsExt;

    /// A data directory with a key, and the value by which that is known again.
    fn scratch() -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let key = MasterKey::find_or_make(None, dir.path(), &SystemRandom::default()).unwrap();
        (dir, key.seal_check(&SystemRandom::default()))
    }

    fn recover_by(dir: &Path, check: &str) -> MasterKey {
        recover(dir, |key| Ok::<_, MasterKeyError>(key.check(Some(check)).is_ok())).unwrap();
        assert!(!dir.join(NEXT_FILE).exists());
        MasterKey::find(None, dir).unwrap()
    }

    #[test]
    fn whichever_key_the_store_is_sealed_with_is_left() {
        let (dir, before) = scratch();
        let next = begin(dir.path(), &SystemRandom::default()).unwrap();
        let mode = fs::metadata(dir.path().join(NEXT_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        recover_by(dir.path(), &before).check(Some(&before)).unwrap();

        let next_again = begin(dir.path(), &SystemRandom::default()).unwrap();
        let after = next_again.seal_check(&SystemRandom::default());
        assert!(next.check(Some(&after)).is_err(), "each begin makes a key of its own");
        recover_by(dir.path(), &after).check(Some(&after)).unwrap();
        recover_by(dir.path(), &after).check(Some(&after)).unwrap();
    }

    #[test]
    fn a_file_that_was_cut_off_is_forgotten() {
        let (dir, before) = scratch();
        begin(dir.path(), &SystemRandom::default()).unwrap();
        fs::write(dir.path().join(NEXT_FILE), "AAEC").unwrap();
        recover_by(dir.path(), &before).check(Some(&before)).unwrap();
    }
}
