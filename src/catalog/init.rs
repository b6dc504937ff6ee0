//! Preparing an empty data directory.

use super::CatalogError;
use super::subscriptions::NewRows;
use super::token::{hex_hash, token};
use crate::clock::{Clock, Random};
use crate::model::AppId;
use crate::seal::{self, MasterKey};
use crate::store::configured::{self, MIGRATIONS};
use crate::store::sqlite::{self, StoreError, Sync};
use rusqlite::{Connection, TransactionBehavior};
use serde::Serialize;
use std::fmt;
use std::path::Path;

/// The file of the configured part, in the data directory.
pub const FILE: &str = "fanfare.db";

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

/// Whether the data directory holds a subscription already. Creates nothing.
///
/// # Errors
/// [`CatalogError::Store`].
pub fn is_initialised(data_dir: &Path) -> Result<bool, CatalogError> {
    let path = data_dir.join(FILE);
    if !path.exists() {
        return Ok(false);
    }
    let mut connection = sqlite::open(&path, Sync::Full)?;
    sqlite::migrate(&mut connection, MIGRATIONS)?;
    Ok(configured::initialised(&connection)?)
}

/// Prepares an empty data directory: store, master key (where `variable` gives none), first subscription, app and key.
///
/// The store's write lock is the lock: of two processes that do this at once, one prepares and the other is told that
/// it is done. Interrupted before its end it has done nothing, except perhaps for a master key, which the next run
/// uses.
///
/// # Errors
/// [`CatalogError::AlreadyInitialised`], with nothing changed; [`CatalogError`] otherwise.
pub fn init(
    data_dir: &Path,
    variable: Option<&str>,
    options: &InitOptions,
    (clock, random): (&dyn Clock, &dyn Random),
) -> Result<Initialised, CatalogError> {
    std::fs::create_dir_all(data_dir)
        .map_err(|source| CatalogError::Directory { path: data_dir.to_owned(), source })?;
    let path = data_dir.join(FILE);
    let mut connection = sqlite::open(&path, Sync::Full)?;
    sqlite::migrate(&mut connection, MIGRATIONS)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::from)?;
    if configured::initialised(&transaction)? {
        return Err(CatalogError::AlreadyInitialised(path));
    }
    let key = MasterKey::find_or_make(variable, data_dir, random)?;
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
