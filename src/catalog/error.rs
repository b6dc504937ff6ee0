//! What can go wrong with the configuration.

use crate::journal::AppendError;
use crate::model::WebhookId;
use crate::seal::{MasterKeyError, Unopened};
use crate::store::StoreError;
use std::path::PathBuf;

/// Why the catalog cannot be opened or made.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// `init` has not been here.
    #[error("{0} holds no subscription yet; run `fanfare init` first")]
    NotInitialised(String),
    /// `init` has been here before.
    #[error("{0} is initialised already; nothing was changed")]
    AlreadyInitialised(String),
    /// The data directory cannot be made.
    #[error("cannot create the data directory {path}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// With a server for a store, the master key has to be given.
    #[error(
        "FANFARE_MASTER_KEY is not set: with the store on a server it holds the key of what is sealed there, the same for every node; `openssl rand -base64 32` makes one"
    )]
    NoMasterKey,
    /// The master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// A sealed value does not open although the master key is right.
    #[error(transparent)]
    Sealed(#[from] Unopened),
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
    /// Of many, the one at this place (from 0) cannot be taken; none was.
    #[error("row {0}: {1}")]
    Row(usize, InvalidValue),
    /// Fanfare has turned it off: only turn-on leads out of that.
    #[error("the webhook was turned off after repeated failures")]
    TurnedOff(WebhookId),
    /// Another user of the subscription has this address.
    #[error("another user of the subscription has this e-mail address")]
    EmailTaken,
    /// Nobody would be left to manage the subscription.
    #[error("this is the subscription's last admin")]
    LastAdmin,
    /// The user has accepted the invitation already.
    #[error("the user has accepted the invitation already")]
    NotInvited,
    /// Without a subscription the next start would make a new installation.
    #[error("this is the installation's last subscription")]
    LastSubscription,
    /// Somebody changed it at the same time.
    #[error("it was changed at the same time")]
    Busy,
    /// A link that is not known, was used, or is too old.
    #[error("the link is not known, was used, or is too old")]
    Link,
    /// Somebody's own password, asked for again, was wrong.
    #[error("the password is wrong")]
    WrongPassword,
    /// A code of the second factor was wrong.
    #[error("the code is wrong")]
    WrongCode,
    /// There is a second factor in force.
    #[error("the second factor is on already")]
    SecondFactorOn,
    /// A sealed value does not open, or the store holds what no release writes.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
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
