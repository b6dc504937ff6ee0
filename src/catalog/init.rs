//! Preparing an empty store.

use super::CatalogError;
use super::subscriptions::NewRows;
use super::token::{hex_hash, token};
use crate::clock::{Clock, Random};
use crate::model::AppId;
use crate::seal::{self, MasterKey};
use crate::store::configured::{self, MIGRATIONS};
use crate::store::db::Connection;
use crate::store::{Part, Place, StoreError, migrate};
use serde::Serialize;
use std::fmt;
use std::path::Path;

/// Under this name the store keeps the hash of the token in the set-up link.
pub(super) const SETUP_TOKEN: &str = "setup_token_hash";

/// What `init` may be told.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// The first subscription's name, shown in every body.
    pub subscription_name: String,
    /// The first app's name, shown in every body.
    pub app_name: String,
    /// What the set-up link starts with.
    pub public_url: String,
}

/// What `init` made, as `fanfare init --json` prints it. The secrets are kept hashed: this is the only time that they
/// can be read.
#[derive(Clone, Serialize)]
pub struct Initialised {
    /// The first subscription.
    pub subscription_id: u64,
    /// Its first app.
    pub app_id: i64,
    /// The app's agent key, which is public.
    pub agent_key: String,
    /// The app's key for the Track API.
    pub track_secret: String,
    /// A key of role admin for the management API.
    pub integration_key: String,
    /// Where the first admin sets up the console.
    pub setup_url: String,
}

impl fmt::Debug for Initialised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Initialised").field("subscription_id", &self.subscription_id).finish_non_exhaustive()
    }
}

/// Whether the store holds a subscription already. Makes no file.
///
/// # Errors
/// [`CatalogError::Store`].
pub fn is_initialised(place: &Place) -> Result<bool, CatalogError> {
    if !place.may_exist() {
        return Ok(false);
    }
    let connection = open(place)?;
    Ok(configured::initialised(&connection)?)
}

/// Opens the configured part of the store, and brings its schema up to date.
pub(super) fn open(place: &Place) -> Result<Connection, CatalogError> {
    let connection = place.open(Part::Configured)?;
    migrate(&connection, MIGRATIONS)?;
    Ok(connection)
}

/// Prepares an empty store, with a master key in the data directory (where `variable` gives none), the first
/// subscription, app and key.
///
/// The store's write lock is the lock: of two processes that do this at once, one prepares and the other is told that
/// it is done. Interrupted before its end it has done nothing, except perhaps for a master key, which the next run
/// uses.
///
/// # Errors
/// [`CatalogError::AlreadyInitialised`], with nothing changed; [`CatalogError`] otherwise.
pub fn init(
    place: &Place,
    (variable, data_dir): (Option<&str>, &Path),
    options: &InitOptions,
    (clock, random): (&dyn Clock, &dyn Random),
) -> Result<Initialised, CatalogError> {
    if let Place::Directory(dir) = place {
        for dir in [data_dir, dir.as_path()] {
            std::fs::create_dir_all(dir).map_err(|source| CatalogError::Directory { path: dir.to_owned(), source })?;
        }
    }
    let connection = open(place)?;
    let transaction = connection.transaction().map_err(StoreError::from)?;
    if configured::initialised(&transaction)? {
        return Err(CatalogError::AlreadyInitialised(place.to_string()));
    }
    let key = match (place, variable) {
        (Place::Directory(_), _) => MasterKey::find_or_make(variable, data_dir, random)?,
        // Every node must have the same key: a file of this one would be known to no other.
        (Place::Server(_), Some(variable)) => MasterKey::from_base64(variable, "FANFARE_MASTER_KEY")?,
        (Place::Server(_), None) => return Err(CatalogError::NoMasterKey),
    };
    configured::set_meta(&transaction, seal::CHECK, &key.seal_check(random))?;
    let made = fill(&transaction, options, clock, random)?;
    transaction.commit().map_err(StoreError::from)?;
    Ok(made)
}

fn fill(
    store: &Connection,
    options: &InitOptions,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Initialised, CatalogError> {
    let names = (options.subscription_name.as_str(), options.app_name.as_str());
    let (rows, made) = NewRows::make(names, "init", (clock.now(), random));
    rows.insert(store)?;
    let setup = token("", random);
    configured::set_meta(store, SETUP_TOKEN, &hex_hash(setup.as_bytes()))?;
    Ok(Initialised {
        subscription_id: made.id.0,
        app_id: AppId::FIRST.0,
        agent_key: made.agent_key,
        track_secret: made.track_secret,
        integration_key: made.integration_key,
        setup_url: format!("{}/setup?token={setup}", options.public_url.trim_end_matches('/')),
    })
}
