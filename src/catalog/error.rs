//! What can go wrong with the configuration.

use crate::journal::AppendError;
use crate::model::WebhookId;
use crate::store::sqlite::StoreError;
use std::path::PathBuf;

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

/// Why the catalog cannot be opened or made.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// `init` has not been here.
    #[error("{0} holds no subscription yet; run `fanfare init` first")]
    NotInitialised(PathBuf),
    /// `init` has been here before.
    #[error("{0} is initialised already; nothing was changed")]
    AlreadyInitialised(PathBuf),
    /// The data directory cannot be made.
    #[error("cannot create the data directory {path}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// A sealed value does not open although the master key is right: it was damaged, or moved from another row.
    #[error("the sealed value {0} does not open: it is damaged or was moved there from another place")]
    Sealed(String),
    /// A value in the store cannot be what any release wrote.
    #[error("the store holds a value that no release writes: {0}")]
    Unreadable(&'static str),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A value that cannot be taken, by the field's name in the API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidValue {
    /// Which field.
    pub field: &'static str,
    /// What is wrong with it and what would be right.
    pub problem: String,
}

impl InvalidValue {
    /// A wrong value of `field`.
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The subscription has no such webhook or key.
    #[error("the subscription has no such thing")]
    NotFound,
    /// A value cannot be taken.
    #[error(transparent)]
    Invalid(#[from] InvalidValue),
    /// Fanfare has turned it off: only turn-on leads out of that.
    #[error("the webhook was turned off after repeated failures")]
    TurnedOff(WebhookId),
    /// The subscription has as many of these as it may have.
    #[error("the subscription has {0} of these, and may not have more")]
    TooMany(usize),
    /// The journal did not take the switch; nothing was changed.
    #[error(transparent)]
    Journal(#[from] AppendError),
    /// The store failed. A switch that the journal has taken holds; everything else is as it was.
    #[error(transparent)]
    Store(#[from] StoreError),
}
