//! Where a store lies, and how its parts are opened.

use super::db::{Connection, PostgresPlace, PostgresServer};
use super::sqlite::{self, Sync};
use super::{Hold, StoreError};
use crate::config::StoreAddress;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::{Path, PathBuf};

/// Where a store lies.
#[derive(Debug, Clone)]
pub enum Place {
    /// In files of this directory.
    Directory(PathBuf),
    /// On a PostgreSQL server.
    Server(PostgresServer),
}

/// The two parts of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What is configured. It exists nowhere else: every commit is on disk when it returns.
    Configured,
    /// What is known. It can be derived again from the journal: a commit survives a crash of the process, but not always
    /// one of the machine.
    Records,
}

impl Part {
    /// Its file in a directory.
    pub fn file(self) -> &'static str {
        match self {
            Self::Configured => "fanfare.db",
            Self::Records => "records.db",
        }
    }

    fn schema(self) -> PostgresPlace {
        // Numbers of locks are of the whole database: these are so large that nobody else is likely to use them.
        match self {
            Self::Configured => PostgresPlace { schema: "fanfare_configured", lock: 6_479_643_200 },
            Self::Records => PostgresPlace { schema: "fanfare_records", lock: 6_479_643_201 },
        }
    }
}

impl From<&Path> for Place {
    fn from(dir: &Path) -> Self {
        Self::Directory(dir.to_owned())
    }
}

impl Place {
    /// The place that the settings name. The certificates in `ca_file` are trusted beside the system's.
    ///
    /// # Errors
    /// [`StoreError`] when the URL is none, or the file cannot be read. Nothing is opened yet.
    pub fn at(address: &StoreAddress, ca_file: Option<&Path>) -> Result<Self, StoreError> {
        let url = match address {
            StoreAddress::Directory(dir) => return Ok(Self::Directory(dir.clone())),
            StoreAddress::Postgres(url) => String::from_utf8_lossy(url.expose()),
        };
        let authorities = ca_file.map_or(Ok(Vec::new()), |path| {
            let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
            read.map_err(|source| StoreError::Authorities { path: path.to_owned(), source })
        })?;
        Ok(Self::Server(PostgresServer::new(&url, &authorities)?))
    }

    /// Opens a part for reading and writing, and makes it where there is none; its schema is the caller's to bring up to
    /// date.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(&self, part: Part) -> Result<Connection, StoreError> {
        match (self, part) {
            (Self::Directory(dir), Part::Configured) => sqlite::open(&dir.join(part.file()), Sync::Full),
            (Self::Directory(dir), Part::Records) => sqlite::open(&dir.join(part.file()), Sync::Normal),
            (Self::Server(server), Part::Configured) => Ok(Connection::to_server(server, &part.schema())?),
            (Self::Server(server), Part::Records) => {
                let connection = Connection::to_server(server, &part.schema())?;
                connection.execute_batch("SET synchronous_commit = off")?;
                Ok(connection)
            }
        }
    }

    /// Opens a part for reading only.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open_reader(&self, part: Part) -> Result<Connection, StoreError> {
        match self {
            Self::Directory(dir) => sqlite::open_reader(&dir.join(part.file())),
            Self::Server(server) => {
                let connection = Connection::to_server(server, &part.schema())?;
                connection.execute_batch("SET default_transaction_read_only = on")?;
                Ok(connection)
            }
        }
    }

    /// The same store for work that no node may be active beside, as long as the hold lives. In a directory nothing is held:
    /// there the journal's lock keeps nodes out. Blocking.
    ///
    /// # Errors
    /// [`StoreError::Active`] while a node is.
    pub fn for_work(self) -> Result<(Self, Option<Hold>), StoreError> {
        match &self {
            Self::Directory(_) => Ok((self, None)),
            Self::Server(server) => {
                let hold = Hold::for_work(server)?;
                Ok((hold.place(), Some(hold)))
            }
        }
    }

    /// Whether there is a store at all: opening would make none. Of a server that is not known before it is asked.
    pub fn may_exist(&self) -> bool {
        match self {
            Self::Directory(dir) => dir.join(Part::Configured.file()).exists(),
            Self::Server(_) => true,
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(dir) => write!(f, "{}", dir.display()),
            Self::Server(_) => f.write_str("the PostgreSQL server"),
        }
    }
}
