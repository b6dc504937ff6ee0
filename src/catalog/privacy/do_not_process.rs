//! Rules that nothing of somebody is processed.

use super::{Privacy, target};
use crate::catalog::audit::{Actor, Deed};
use crate::catalog::change::to_its_end;
use crate::catalog::{Catalog, ChangeError, InvalidValue};
use crate::limits;
use crate::model::{DoNotProcessId, PersonHash, PersonKind, SubscriptionId, UnixMs};
use crate::store::StoreError;
use crate::store::configured::DoNotProcessRow;
use crate::store::db::Connection;
use serde_json::Map;
use std::sync::Arc;

/// Nothing of this person is processed: what comes in is thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoNotProcess {
    /// Unique in the installation.
    pub id: DoNotProcessId,
    /// A visitor or an account.
    pub kind: PersonKind,
    /// Who.
    pub person: PersonHash,
    /// Made when.
    pub created_at: UnixMs,
}

impl DoNotProcess {
    pub(super) fn of_row(row: DoNotProcessRow) -> Self {
        let DoNotProcessRow { id, kind, person, created_at, .. } = row;
        Self { id, kind, person, created_at }
    }
}

/// The id as somebody's, if it can be.
pub(super) fn check_id(id: &str) -> Result<(), InvalidValue> {
    if id.trim().is_empty() || id.len() > limits::ID_BYTES {
        return Err(InvalidValue::new("id", format!("must name somebody, with at most {} bytes", limits::ID_BYTES)));
    }
    Ok(())
}

impl Catalog {
    /// Processes nothing of somebody from now on; `None` when that is so already.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn do_not_process(
        self: &Arc<Self>,
        by: Actor,
        subscription: SubscriptionId,
        (kind, id): (PersonKind, String),
    ) -> Result<Option<DoNotProcess>, ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move {
            check_id(&id)?;
            let _changing = catalog.changes.lock().await;
            let privacy = catalog.privacy_of(subscription).await?;
            if privacy.rule_for(kind, &id).is_some() {
                return Ok(None);
            }
            if privacy.rules.len() >= limits::DO_NOT_PROCESS {
                return Err(ChangeError::TooMany(limits::DO_NOT_PROCESS));
            }
            let (now, person) = (catalog.clock.now(), privacy.hash(kind, &id));
            let rule = DoNotProcess { id: DoNotProcessId(catalog.random.id()), kind, person, created_at: now };
            let deed = Deed { subscription, at: now, action: "do_not_process.created", target: &target(kind, person) };
            let entry = deed.by(&by, Map::new(), Map::new());
            let row = DoNotProcessRow { id: rule.id, subscription, kind, person, created_at: now };
            catalog.write(Some(entry), move |connection| -> Result<(), StoreError> { row.insert(connection) }).await?;
            catalog.replace_privacy(subscription, &privacy, |privacy| privacy.insert(rule));
            Ok(Some(rule))
        })
        .await
    }

    /// Processes somebody again. What was thrown away meanwhile is gone.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn process_again(
        self: &Arc<Self>,
        by: Actor,
        (subscription, id): (SubscriptionId, DoNotProcessId),
    ) -> Result<(), ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move {
            let _changing = catalog.changes.lock().await;
            let current = catalog.current();
            let privacy = current.privacy(subscription).ok_or(ChangeError::NotFound)?;
            let DoNotProcess { kind, person, .. } = *privacy.rule(id).ok_or(ChangeError::NotFound)?;
            let (at, target) = (catalog.clock.now(), target(kind, person));
            let deed = Deed { subscription, at, action: "do_not_process.deleted", target: &target };
            let entry = deed.by(&by, Map::new(), Map::new());
            let delete =
                move |connection: &Connection| -> Result<(), StoreError> { DoNotProcessRow::delete(connection, id) };
            catalog.write(Some(entry), delete).await?;
            catalog.replace_privacy(subscription, privacy, |privacy| privacy.remove((kind, person)));
            Ok(())
        })
        .await
    }

    fn replace_privacy(&self, of: SubscriptionId, old: &Privacy, change: impl FnOnce(&mut Privacy)) {
        let mut new = old.clone();
        change(&mut new);
        self.replace(|snapshot| drop(snapshot.privacy.insert(of, Arc::new(new))));
    }
}
