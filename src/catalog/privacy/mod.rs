//! Whose data must not be processed, and who must be forgotten (docs/privacy.md). People are named by a keyed hash of
//! their id, so that the rule about somebody does not itself keep who they are.

mod do_not_process;
mod forget_jobs;

pub use do_not_process::DoNotProcess;
pub use forget_jobs::{ForgetJob, ForgetWork};

use super::{Catalog, CatalogError, ChangeError, Snapshot};
use crate::model::{DoNotProcessId, PersonHash, PersonKind, SubscriptionId};
use crate::seal::{self, MasterKey};
use crate::store::StoreError;
use crate::store::configured::{DoNotProcessRow, PersonKeyRow};
use ring::hmac;
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of the key of a subscription's hashes.
const KEY_BYTES: usize = 32;

/// Whose data a subscription does not process.
#[derive(Debug, Clone)]
pub struct Privacy {
    key: hmac::Key,
    rules: HashMap<(PersonKind, PersonHash), DoNotProcess>,
    /// Oldest rule first.
    order: Vec<(PersonKind, PersonHash)>,
}

impl Privacy {
    fn new(key: &[u8]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), rules: HashMap::new(), order: Vec::new() }
    }

    /// Somebody as rules know them.
    pub fn hash(&self, kind: PersonKind, id: &str) -> PersonHash {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&[kind as u8]);
        context.update(id.as_bytes());
        let mut hash = [0; 16];
        hash.copy_from_slice(&context.sign().as_ref()[..16]);
        PersonHash(hash)
    }

    /// Whether anything of this visitor, or of this account, may be processed.
    pub fn forbids(&self, visitor_id: &str, account_id: &str) -> bool {
        !self.rules.is_empty()
            && (self.rule_for(PersonKind::Visitor, visitor_id).is_some()
                || (!account_id.is_empty() && self.rule_for(PersonKind::Account, account_id).is_some()))
    }

    /// The rule for somebody, if there is one.
    pub fn rule_for(&self, kind: PersonKind, id: &str) -> Option<&DoNotProcess> {
        if self.rules.is_empty() { None } else { self.rules.get(&(kind, self.hash(kind, id))) }
    }

    /// All rules, oldest first.
    pub fn rules(&self) -> impl Iterator<Item = &DoNotProcess> {
        self.order.iter().filter_map(|person| self.rules.get(person))
    }

    fn rule(&self, id: DoNotProcessId) -> Option<&DoNotProcess> {
        self.rules.values().find(|rule| rule.id == id)
    }

    fn insert(&mut self, rule: DoNotProcess) {
        let person = (rule.kind, rule.person);
        // As the store gives them back.
        let age = |of: &(PersonKind, PersonHash)| self.rules.get(of).map(|rule| (rule.created_at, rule.id));
        let place = self.order.partition_point(|other| age(other) < Some((rule.created_at, rule.id)));
        if self.rules.insert(person, rule).is_none() {
            self.order.insert(place, person);
        }
    }

    fn remove(&mut self, person: (PersonKind, PersonHash)) {
        self.rules.remove(&person);
        self.order.retain(|other| *other != person);
    }
}

impl Snapshot {
    /// Whose data a subscription does not process, if it has ever said so of anybody.
    pub fn privacy(&self, subscription: SubscriptionId) -> Option<&Arc<Privacy>> {
        self.privacy.get(&subscription)
    }

    pub(super) fn insert_person_key(&mut self, row: &PersonKeyRow, key: &MasterKey) -> Result<(), CatalogError> {
        let opened = key.open(&key_place(row.subscription), &row.key_sealed)?;
        self.privacy.insert(row.subscription, Arc::new(Privacy::new(opened.expose())));
        Ok(())
    }

    pub(super) fn insert_do_not_process(&mut self, row: DoNotProcessRow) -> Result<(), CatalogError> {
        let privacy = self.privacy.get_mut(&row.subscription);
        let privacy = privacy.ok_or(CatalogError::Unreadable("do_not_process.subscription_id"))?;
        Arc::make_mut(privacy).insert(DoNotProcess::of_row(row));
        Ok(())
    }
}

impl Catalog {
    /// The subscription's rules, with the key of its hashes, which is made when it is needed first. The caller holds the
    /// lock on changes.
    async fn privacy_of(&self, subscription: SubscriptionId) -> Result<Arc<Privacy>, ChangeError> {
        if let Some(privacy) = self.current().privacy(subscription) {
            return Ok(Arc::clone(privacy));
        }
        let mut key = [0; KEY_BYTES];
        self.random.fill(&mut key);
        let key_sealed = self.key.seal(&key_place(subscription), &key, &*self.random);
        let row = PersonKeyRow { subscription, key_sealed };
        self.write(None, move |connection| -> Result<(), StoreError> { row.insert(connection) }).await?;
        let privacy = Arc::new(Privacy::new(&key));
        self.replace(|snapshot| drop(snapshot.privacy.insert(subscription, Arc::clone(&privacy))));
        Ok(privacy)
    }
}

fn key_place(subscription: SubscriptionId) -> String {
    seal::place("person_keys", subscription, "key")
}

/// A person as the audit log names them.
fn target(kind: PersonKind, person: PersonHash) -> String {
    format!("{}:{person}", kind.name())
}
