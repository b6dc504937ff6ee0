//! The master key, and sealing what must be readable again but never in the store: AES-256-GCM with a random nonce,
//! bound to the place where the value is kept, so that one row's sealed value opens in no other.

mod address;
mod operator;
mod peer;
pub mod rotation;

pub use address::AddressKey;
pub use operator::{OperatorCall, OperatorKey};
pub use peer::{PeerKey, Side};

use crate::clock::Random;
use crate::model::Secret;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file that holds the key, in the data directory.
const FILE: &str = "master.key";

/// Stands before every sealed value, so that a later release can seal differently and still read this.
const VERSION: &str = "v1.";

/// Under this name the store keeps a sealed value that tells the right key from a wrong one.
pub const CHECK: &str = "master_key_check";

/// A sealed value does not open although the master key is right: it was damaged, or moved from another row.
#[derive(Debug, thiserror::Error)]
#[error("the sealed value {0} does not open: it is damaged or was moved there from another place")]
pub struct Unopened(String);

/// Why the master key cannot be used. Says where to look, shows nothing of the key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// Neither the variable nor the file.
    #[error(
        "the master key is missing: set FANFARE_MASTER_KEY, or put back {0}; without it the stored secrets cannot be \
         read"
    )]
    Missing(PathBuf),
    /// Not base64 of 32 bytes.
    #[error("{0} must hold the base64 of exactly 32 bytes")]
    Malformed(String),
    /// It opens nothing that the store holds.
    #[error("the master key is not the one that the store's secrets were sealed with; use the one of that time")]
    Wrong,
    /// The file cannot be read or written.
    #[error("the master key's file {path}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// The key that seals secrets at rest. It is neither printed nor stored in the store.
pub struct MasterKey {
    sealing: LessSafeKey,
    operator: OperatorKey,
    addresses: AddressKey,
    peers: PeerKey,
}

impl MasterKey {
    /// The key from the variable `FANFARE_MASTER_KEY` where it is set, else from `master.key` in the data directory.
    ///
    /// # Errors
    /// [`MasterKeyError`] when there is none, or what is there is no key.
    pub fn find(variable: Option<&str>, data_dir: &Path) -> Result<Self, MasterKeyError> {
        if let Some(text) = variable {
            return Self::from_base64(text, "FANFARE_MASTER_KEY");
        }
        let path = data_dir.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Self::from_base64(&text, &path.display().to_string()),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(MasterKeyError::Missing(path)),
            Err(source) => Err(MasterKeyError::Io { path, source }),
        }
    }

    /// Like [`Self::find`], but makes the file when there is neither variable nor file.
    ///
    /// # Errors
    /// [`MasterKeyError`].
    pub fn find_or_make(variable: Option<&str>, data_dir: &Path, random: &dyn Random) -> Result<Self, MasterKeyError> {
        match Self::find(variable, data_dir) {
            Err(MasterKeyError::Missing(path)) => {
                make(&path, random).map_err(|source| MasterKeyError::Io { path, source })?;
                Self::find(None, data_dir)
            }
            found => found,
        }
    }

    /// The key that this text is; `place` says in an error where it came from.
    ///
    /// # Errors
    /// [`MasterKeyError::Malformed`].
    pub fn from_base64(text: &str, place: &str) -> Result<Self, MasterKeyError> {
        let malformed = || MasterKeyError::Malformed(place.to_owned());
        let bytes = BASE64_STANDARD.decode(text.trim()).map_err(|_| malformed())?;
        let sealing = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| malformed())?);
        Ok(Self {
            sealing,
            operator: OperatorKey::of(&bytes),
            addresses: AddressKey::of(&bytes),
            peers: PeerKey::of(&bytes),
        })
    }

    /// By which the operator's command line is known.
    pub fn operator(&self) -> &OperatorKey {
        &self.operator
    }

    /// What makes addresses of this installation unguessable.
    pub fn addresses(&self) -> &AddressKey {
        &self.addresses
    }

    /// By which the nodes of a cluster know each other.
    pub fn peers(&self) -> &PeerKey {
        &self.peers
    }

    /// Seals a value for one place.
    #[expect(clippy::expect_used, reason = "AES-GCM refuses only inputs of more than 64 GB")]
    pub fn seal(&self, place: &str, value: &[u8], random: &dyn Random) -> String {
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce);
        let mut sealed = value.to_vec();
        let aad = Aad::from(place.as_bytes());
        self.sealing
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .expect("a value is short");
        format!("{VERSION}{}", BASE64_STANDARD.encode([&nonce, sealed.as_slice()].concat()))
    }

    /// Opens what was sealed for this place with this key.
    ///
    /// # Errors
    /// [`Unopened`].
    pub fn open(&self, place: &str, sealed: &str) -> Result<Secret, Unopened> {
        self.try_open(place, sealed).ok_or_else(|| Unopened(place.to_owned()))
    }

    fn try_open(&self, place: &str, sealed: &str) -> Option<Secret> {
        let mut bytes = BASE64_STANDARD.decode(sealed.strip_prefix(VERSION)?).ok()?;
        let nonce = Nonce::try_assume_unique_for_key(bytes.get(..NONCE_LEN)?).ok()?;
        let aad = Aad::from(place.as_bytes());
        let value = self.sealing.open_in_place(nonce, aad, bytes.get_mut(NONCE_LEN..)?).ok()?;
        Some(Secret::new(&*value))
    }

    /// The value by which [`Self::check`] knows this key again.
    pub fn seal_check(&self, random: &dyn Random) -> String {
        self.seal(CHECK, CHECK.as_bytes(), random)
    }

    /// Whether the store's values were sealed with this key.
    ///
    /// # Errors
    /// [`MasterKeyError::Wrong`].
    pub fn check(&self, sealed: Option<&str>) -> Result<(), MasterKeyError> {
        let opened = sealed.and_then(|sealed| self.try_open(CHECK, sealed));
        if opened.is_some_and(|value| value.expose() == CHECK.as_bytes()) { Ok(()) } else { Err(MasterKeyError::Wrong) }
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// The key for one purpose that follows from the master key.
fn derived(master_key: &[u8], purpose: &str) -> hmac::Key {
    let master = hmac::Key::new(hmac::HMAC_SHA256, master_key);
    let tag = hmac::sign(&master, format!("fanfare {purpose} v1").as_bytes());
    hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref())
}

/// Where a sealed value is kept: the name of its table, its row and its column.
pub fn place(table: &str, id: impl fmt::Display, column: &str) -> String {
    format!("{table}/{id}/{column}")
}

/// Writes a new key to a new file, readable for its owner only.
fn write_new(path: &Path, random: &dyn Random) -> io::Result<()> {
    let mut key = [0; 32];
    random.fill(&mut key);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(BASE64_STANDARD.encode(key).as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

/// Makes the key's file, readable for its owner only. It appears whole or not at all, and never replaces another:
/// of two processes that make it at once, the slower one finds the other's.
fn make(path: &Path, random: &dyn Random) -> io::Result<()> {
    let draft = path.with_extension(format!("{:016x}", random.id()));
    write_new(&draft, random)?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemRandom;
    use std::os::unix::fs::PermissionsExt;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn what_is_sealed_opens_only_in_its_place_with_its_key_and_unchanged() {
        let (key, random) = (MasterKey::from_base64(KEY, "x").unwrap(), SystemRandom::default());
        let sealed = key.seal("webhooks/wh_1/secret", b"hush", &random);
        assert_eq!(key.open("webhooks/wh_1/secret", &sealed).unwrap().expose(), b"hush");
        assert_ne!(sealed, key.seal("webhooks/wh_1/secret", b"hush", &random), "each sealing has its own nonce");
        assert!(key.open("webhooks/wh_2/secret", &sealed).is_err());
        let other = MasterKey::from_base64(&BASE64_STANDARD.encode([9; 32]), "x").unwrap();
        assert!(other.open("webhooks/wh_1/secret", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(key.open("webhooks/wh_1/secret", &changed).is_err(), "changed at {at}");
        }
        for nonsense in ["", "v1.", "v1.AAAA", "v2.AAAA", "hush"] {
            assert!(key.open("webhooks/wh_1/secret", nonsense).is_err());
        }
    }

    #[test]
    fn the_file_is_made_once_private_and_found_again() {
        let (dir, random) = (tempfile::tempdir().unwrap(), SystemRandom::default());
        let first = MasterKey::find_or_make(None, dir.path(), &random).unwrap();
        let path = dir.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the draft is gone");
        let check = first.seal_check(&random);
        make(&path, &random).unwrap();
        MasterKey::find_or_make(None, dir.path(), &random).unwrap().check(Some(&check)).unwrap();
        let variable = MasterKey::find(Some(KEY), dir.path()).unwrap();
        assert!(
            matches!(variable.check(Some(&check)), Err(MasterKeyError::Wrong)),
            "the variable goes before the file"
        );
        assert!(matches!(variable.check(None), Err(MasterKeyError::Wrong)));
    }

    #[test]
    fn what_is_no_key_is_refused_without_showing_it() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(MasterKey::find(None, dir.path()), Err(MasterKeyError::Missing(_))));
        for text in ["", "short", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==", "not!base64"] {
            let error = MasterKey::find(Some(text), dir.path()).unwrap_err();
            assert!(matches!(&error, MasterKeyError::Malformed(place) if place == "FANFARE_MASTER_KEY"));
        }
        let shown = format!("{:?}", MasterKey::find(Some(KEY), dir.path()).unwrap());
        assert_eq!(shown, "MasterKey(…)");
    }
}
