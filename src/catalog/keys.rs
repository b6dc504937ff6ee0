//! Integration keys: made, listed, revoked, noted when used.

use super::audit::{self, Actor, Deed};
use super::change::to_its_end;
use super::token::{hash, token};
use super::{ApiKey, Catalog, CatalogError, ChangeError, InvalidValue, Role};
use crate::limits;
use crate::model::{KeyId, SubscriptionId, UnixMs, UserId};
use crate::store::StoreError;
use crate::store::configured::KeyRow;
use serde_json::Map;
use std::sync::Arc;
use std::time::Duration;

/// How exactly it is known when a key was last used: a write per call would cost more than the call.
const USE_NOTED_EVERY: Duration = Duration::from_secs(60);

/// What a person sets of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValues {
    /// For people.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// From when on it opens nothing; `None`: never.
    pub expires_at: Option<UnixMs>,
}

impl KeyValues {
    fn check(&self, now: UnixMs) -> Result<(), InvalidValue> {
        super::name::check_name(&self.name)?;
        if self.expires_at.is_some_and(|at| at <= now) {
            return Err(InvalidValue::new("expires_at", "must be in the future, or null for never"));
        }
        Ok(())
    }
}

/// A key that was just made. `text` is the key itself, kept nowhere: this is the only time that it can be read.
pub struct MadeKey {
    /// What is known of it.
    pub key: Arc<ApiKey>,
    /// The key.
    pub text: String,
}

impl std::fmt::Debug for MadeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MadeKey").field("key", &self.key).finish_non_exhaustive()
    }
}

/// A key from its row.
pub(super) fn of_row(row: KeyRow) -> Result<ApiKey, CatalogError> {
    Ok(ApiKey {
        id: row.id,
        subscription: row.subscription,
        name: row.name,
        role: Role::from_name(&row.role).ok_or(CatalogError::Unreadable("integration_keys.role"))?,
        made_by: row.made_by,
        created_at: row.created_at,
        expires_at: row.expires_at,
    })
}

impl Catalog {
    /// Makes a key.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn make_key(
        self: &Arc<Self>,
        by: Actor,
        (subscription, made_by): (SubscriptionId, Option<UserId>),
        values: KeyValues,
    ) -> Result<MadeKey, ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move { catalog.make_key_now(&by, (subscription, made_by), values).await }).await
    }

    /// Revokes a key: from now on it opens nothing.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn revoke_key(
        self: &Arc<Self>,
        by: Actor,
        (subscription, id): (SubscriptionId, KeyId),
    ) -> Result<(), ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move { catalog.revoke_key_now(&by, (subscription, id)).await }).await
    }

    /// A subscription's keys, oldest first.
    pub fn keys(&self, subscription: SubscriptionId) -> Vec<Arc<ApiKey>> {
        let mut keys: Vec<_> = self.current().keys_of(subscription).cloned().collect();
        keys.sort_by_key(|key| (key.created_at, key.id));
        keys
    }

    /// When a key was last used, to the minute.
    pub fn key_used_at(&self, id: KeyId) -> Option<UnixMs> {
        self.key_uses.lock().get(&id).copied()
    }

    /// Notes that a key is being used. The store learns of it by and by: nobody waits for that.
    pub fn note_key_use(self: &Arc<Self>, id: KeyId, now: UnixMs) {
        {
            let mut uses = self.key_uses.lock();
            if uses.get(&id).is_some_and(|before| now.since(*before) < USE_NOTED_EVERY) {
                return;
            }
            uses.insert(id, now);
        }
        let catalog = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = catalog.write(None, move |connection| KeyRow::used(connection, id, now)).await {
                tracing::warn!(%error, "a key's last use was not noted in the store");
            }
        });
    }

    async fn make_key_now(
        &self,
        by: &Actor,
        (subscription, made_by): (SubscriptionId, Option<UserId>),
        values: KeyValues,
    ) -> Result<MadeKey, ChangeError> {
        let now = self.clock.now();
        values.check(now)?;
        let _changing = self.changes.lock().await;
        let has = self.current().keys_of(subscription).count();
        if has >= limits::KEYS {
            return Err(ChangeError::TooMany(has));
        }
        let KeyValues { name, role, expires_at } = values;
        let key =
            ApiKey { id: KeyId(self.random.id()), subscription, name, role, made_by, created_at: now, expires_at };
        let text = token("ff_key_", &*self.random);
        let hash = hash(text.as_bytes());
        let deed = Deed { subscription, at: now, action: "key.created", target: &key.id.to_string() };
        let entry = deed.by(by, Map::new(), audit::key(&key));
        let row = KeyRow {
            id: key.id,
            subscription,
            name: key.name.clone(),
            role: key.role.name().to_owned(),
            hash,
            made_by: key.made_by,
            created_at: now,
            expires_at,
            last_used_at: None,
        };
        self.write(Some(entry), move |connection| row.insert(connection)).await?;
        let key = Arc::new(key);
        self.replace(|snapshot| drop(snapshot.keys.insert(hash, Arc::clone(&key))));
        Ok(MadeKey { key, text })
    }

    async fn revoke_key_now(&self, by: &Actor, (subscription, id): (SubscriptionId, KeyId)) -> Result<(), ChangeError> {
        let _changing = self.changes.lock().await;
        let key = Arc::clone(self.current().key_with_id(subscription, id).ok_or(ChangeError::NotFound)?);
        let (at, target) = (self.clock.now(), key.id.to_string());
        let deed = Deed { subscription, at, action: "key.revoked", target: &target };
        let entry = deed.by(by, audit::key(&key), Map::new());
        self.write(Some(entry), move |connection| -> Result<(), StoreError> { KeyRow::delete(connection, id) }).await?;
        self.replace(|snapshot| snapshot.keys.retain(|_, key| key.id != id));
        self.key_uses.lock().remove(&id);
        Ok(())
    }
}
