//! The catalog: opens the configuration, holds it in memory, and makes each change durable before anybody sees it.

use super::audit::{self, Actor, Deed, fields};
use super::people::Passwords;
use super::webhook::{Identity, toggled};
use super::{CatalogError, ChangeError, Snapshot, Webhook, WebhookPatch, WebhookValues};
use crate::clock::{Clock, Random};
use crate::config::SignInSettings;
use crate::journal::{Group, Journal};
use crate::limits;
use crate::mail::{Letters, Queue};
use crate::model::{
    Entry, KeyId, Keys, Position, Secret, Selection, SigningKey, SubscriptionId, Switch, UnixMs, UserId, WebhookId,
    WebhookState,
};
use crate::seal::{self, AddressKey, MasterKey, OperatorKey};
use crate::store::configured::{self, AuditEntry, AuditQuery, AuditRow, LinkRow, MailRow, SessionRow, WebhookRow};
use crate::store::db::Connection;
use crate::store::{Part, Place, Shared, StoreError};
use serde_json::Map;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{Mutex, Notify, watch};

/// Bytes of a generated signing key: what Standard Webhooks recommends at least 24 of.
const SIGNING_KEY_BYTES: usize = 32;

/// Up to which entry webhooks were told of the audit log.
const AUDIT_TOLD: &str = "audit_told";

/// Everything configured, and the only way to change it.
#[derive(Debug)]
pub struct Catalog {
    pub(super) store: Shared,
    pub(super) key: Arc<MasterKey>,
    pub(super) passwords: Passwords,
    pub(super) sign_in_settings: SignInSettings,
    pub(super) mail: Arc<Queue>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    snapshot: watch::Sender<Arc<Snapshot>>,
    /// Held through a whole change, so that journal, store and snapshot see all changes in one order.
    pub(super) changes: Mutex<()>,
    /// When each key was last used.
    pub(super) key_uses: parking_lot::Mutex<HashMap<KeyId, UnixMs>>,
    /// Told when the audit log has grown.
    pub(super) audit_grown: Notify,
    /// Told when somebody is to be forgotten.
    pub(super) forget_asked: Notify,
}

/// What the catalog needs besides its file.
#[derive(Debug)]
pub struct CatalogParts {
    /// Opens what is sealed in the file.
    pub key: MasterKey,
    /// How long sessions last.
    pub sign_in: SignInSettings,
    /// What mails say.
    pub letters: Letters,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
}

/// A webhook that was just created.
#[derive(Debug, Clone)]
pub struct Created {
    /// The webhook.
    pub webhook: Arc<Webhook>,
    /// Its signing key, if it has one: this is the only time that it can be read.
    pub signing_key: Option<SigningKey>,
}

/// A webhook that was just changed. `signing_key` is set when this change made one.
pub type Patched = Created;

impl Catalog {
    /// Opens the configured part of the store, brings its schema up to date, and reads it. Blocking.
    ///
    /// # Errors
    /// [`CatalogError::NotInitialised`] when there is nothing yet, [`CatalogError::MasterKey`] when the key is not the
    /// key that its secrets were sealed with.
    pub fn open(place: &Place, parts: CatalogParts) -> Result<Arc<Self>, CatalogError> {
        let CatalogParts { key, sign_in, letters, clock, random } = parts;
        if !place.may_exist() {
            return Err(CatalogError::NotInitialised(place.to_string()));
        }
        let connection = super::init::open(place)?;
        if !configured::initialised(&connection)? {
            return Err(CatalogError::NotInitialised(place.to_string()));
        }
        key.check(configured::meta(&connection, seal::CHECK)?.as_deref())?;
        let rows = configured::load(&connection)?;
        let key_uses = rows.keys.iter().filter_map(|row| Some((row.id, row.last_used_at?))).collect();
        let snapshot = Snapshot::of(rows, &key)?;
        let (store, key) = (Shared::new(connection, place.clone(), Part::Configured), Arc::new(key));
        let sealed_store = (store.clone(), Arc::clone(&key));
        let mail = Arc::new(Queue::new(sealed_store, letters, (Arc::clone(&clock), Arc::clone(&random))));
        Ok(Arc::new(Self {
            store,
            key,
            passwords: Passwords::default(),
            sign_in_settings: sign_in,
            mail,
            clock,
            random,
            snapshot: watch::Sender::new(Arc::new(snapshot)),
            changes: Mutex::new(()),
            key_uses: parking_lot::Mutex::new(key_uses),
            audit_grown: Notify::new(),
            forget_asked: Notify::new(),
        }))
    }

    /// Everything as it is now.
    pub fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.borrow())
    }

    /// Tells of each change.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshot.subscribe()
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.store.call(|connection| configured::initialised(connection).map(|_| ())).await
    }

    /// Creates a webhook. It is off: nothing is sent to it before somebody says so.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn create(
        self: &Arc<Self>,
        by: Actor,
        (subscription, owner): (SubscriptionId, Option<UserId>),
        values: WebhookValues,
    ) -> Result<Created, ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move { catalog.create_now(&by, subscription, owner, values).await }).await
    }

    /// Changes a webhook's values, on and off included. What decides about events goes through the journal first, and
    /// holds from its place there.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn patch(
        self: &Arc<Self>,
        by: Actor,
        journal: Arc<dyn Journal>,
        (subscription, id): (SubscriptionId, WebhookId),
        patch: WebhookPatch,
    ) -> Result<Patched, ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move { catalog.patch_now(&by, &*journal, (subscription, id), patch).await }).await
    }

    /// Turns a webhook on whatever it was, also one that Fanfare has turned off.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn turn_on(
        self: &Arc<Self>,
        by: Actor,
        journal: Arc<dyn Journal>,
        (subscription, id): (SubscriptionId, WebhookId),
    ) -> Result<Patched, ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move {
            let _changing = catalog.changes.lock().await;
            let snapshot = catalog.current();
            let current = snapshot.webhook(subscription, id).ok_or(ChangeError::NotFound)?;
            let values = WebhookValues::clone(&current.values);
            catalog.change_now(&by, &*journal, current, (WebhookState::On, values, current.keys.clone())).await
        })
        .await
    }

    /// Turns a webhook off, which cancels what waits for it, and deletes it.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn delete(
        self: &Arc<Self>,
        by: Actor,
        journal: Arc<dyn Journal>,
        (subscription, id): (SubscriptionId, WebhookId),
    ) -> Result<(), ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move { catalog.delete_now(&by, &*journal, (subscription, id)).await }).await
    }

    /// Brings the store up to the journal after a crash between the two: each switch that is newer than its webhook's
    /// row is written to it. Switches of webhooks that are gone are ignored. Answers how many rows were behind.
    ///
    /// `latest` holds the newest switch of each webhook that the journal knows, in any order. Call it before anything
    /// is dispatched.
    ///
    /// # Errors
    /// [`StoreError`]; the rows written before it stay written.
    pub async fn reconcile(self: &Arc<Self>, latest: Vec<(Position, Switch)>) -> Result<usize, StoreError> {
        let _changing = self.changes.lock().await;
        let current = self.current();
        let behind: Vec<(Position, Switch)> = latest
            .into_iter()
            .filter(|(position, switch)| {
                current.webhook(switch.subscription, switch.webhook).is_some_and(|webhook| webhook.since < *position)
            })
            .collect();
        for (position, switch) in &behind {
            self.switch_row(*position, switch.clone()).await?;
            self.switch_snapshot(*position, switch);
        }
        Ok(behind.len())
    }

    /// Deletes what is over: sessions, links, old mails. Much of it goes when something new takes its place; this is for
    /// when nothing does.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn prune(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let prune = move |connection: &mut Connection| -> Result<(), StoreError> {
            let transaction = connection.transaction()?;
            SessionRow::prune_ended(&transaction, now)?;
            LinkRow::prune(&transaction, now)?;
            MailRow::prune(&transaction, now.before(limits::MAIL_KEPT), limits::MAILS)?;
            Ok(transaction.commit()?)
        };
        self.store.call(prune).await
    }

    /// How many rows of each table were deleted by age or number so far.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn dropped(&self) -> Result<Vec<(&'static str, u64)>, StoreError> {
        self.store.call(|connection| configured::dropped(connection)).await
    }

    /// Entries of the audit log, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit_log(&self, query: AuditQuery) -> Result<Vec<AuditRow>, StoreError> {
        self.store.call(move |connection| configured::audit::page(connection, &query)).await
    }

    /// Ends when the audit log has grown since this was called last.
    pub fn audit_written(&self) -> impl Future<Output = ()> + '_ {
        self.audit_grown.notified()
    }

    /// Up to which entry webhooks were told of the audit log. `in_journal` is what the journal says, which is the truth as
    /// long as it says something. Where that was never said, all that there is counts as told: there was nobody to tell
    /// it to.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit_told(&self, in_journal: Option<u64>) -> Result<u64, StoreError> {
        self.store
            .call(move |connection| {
                let kept = configured::meta(connection, AUDIT_TOLD)?.and_then(|text| text.parse::<u64>().ok());
                let last = configured::audit::last(connection)?;
                let Some(told) = in_journal.max(kept) else {
                    configured::set_meta(connection, AUDIT_TOLD, &last.to_string())?;
                    return Ok(last);
                };
                // A log that is older than the journal was restored from a backup, and goes on from its own end.
                Ok(told.min(last))
            })
            .await
    }

    /// Keeps up to which entry webhooks were told of the audit log.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_audit_told(&self, seq: u64) -> Result<(), StoreError> {
        self.store.call(move |connection| configured::set_meta(connection, AUDIT_TOLD, &seq.to_string())).await
    }

    /// Entries of the audit log of all subscriptions behind `seq`, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit_after(&self, seq: u64, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        self.store.call(move |connection| configured::audit::after(connection, seq, limit)).await
    }

    /// By which the operator's command line is known.
    pub fn operator_key(&self) -> &OperatorKey {
        self.key.operator()
    }

    /// What makes addresses of this installation unguessable.
    pub fn addresses(&self) -> &AddressKey {
        self.key.addresses()
    }

    /// The mails that this catalog's changes have brought about.
    pub fn mail(&self) -> &Arc<Queue> {
        &self.mail
    }

    /// Makes a change of the store together with its entries in the audit log.
    pub(super) async fn write<E: From<StoreError> + Send + 'static>(
        &self,
        entries: impl IntoIterator<Item = AuditEntry>,
        change: impl FnOnce(&Connection) -> Result<(), E> + Send + 'static,
    ) -> Result<(), E> {
        let entries: Vec<_> = entries.into_iter().collect();
        let has_grown = !entries.is_empty();
        self.store.call(move |connection| configured::audit::with_entries(connection, &entries, change)).await?;
        if has_grown {
            self.audit_grown.notify_one();
        }
        Ok(())
    }

    /// Keeps in the audit log what somebody did that changes nothing configured.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note(
        &self,
        by: &Actor,
        subscription: SubscriptionId,
        (action, target): (&'static str, &str),
        what: serde_json::Value,
    ) -> Result<(), StoreError> {
        let deed = Deed { subscription, at: self.clock.now(), action, target };
        self.write(Some(deed.by(by, Map::new(), fields(what))), |_| Ok(())).await
    }

    /// A signing key that no other place has.
    pub fn new_signing_key(&self) -> SigningKey {
        let mut bytes = [0; SIGNING_KEY_BYTES];
        self.random.fill(&mut bytes);
        SigningKey(Secret::new(bytes))
    }

    async fn create_now(
        &self,
        by: &Actor,
        subscription: SubscriptionId,
        owner: Option<UserId>,
        values: WebhookValues,
    ) -> Result<Created, ChangeError> {
        values.check()?;
        values.check_news(None, self.clock.now())?;
        let _changing = self.changes.lock().await;
        let current = self.current();
        let has = current.webhooks.values().filter(|webhook| webhook.subscription == subscription).count();
        if has >= limits::WEBHOOKS {
            return Err(ChangeError::TooMany(has));
        }
        let signing_key = values.standard_webhooks.then(|| self.new_signing_key());
        let now = self.clock.now();
        let (id, state, since) = (WebhookId(self.random.id()), WebhookState::Off, Position::ZERO);
        let identity = Identity { id, subscription, state, since, created_at: now, updated_at: now };
        let keys = Keys { signing_key: signing_key.clone(), ..Keys::default() };
        let webhook = Webhook::new(&identity, values, keys)?;
        let row = webhook.row(owner, &self.key, &*self.random);
        let deed = Deed { subscription, at: now, action: "webhook.created", target: &id.to_string() };
        let entry = deed.by(by, Map::new(), audit::webhook(&webhook));
        self.write(Some(entry), move |connection| row.insert(connection)).await?;
        self.replace(|snapshot| snapshot.insert_webhook(webhook.clone(), owner));
        Ok(Created { webhook: Arc::new(webhook), signing_key })
    }

    async fn patch_now(
        &self,
        by: &Actor,
        journal: &dyn Journal,
        (subscription, id): (SubscriptionId, WebhookId),
        patch: WebhookPatch,
    ) -> Result<Patched, ChangeError> {
        let _changing = self.changes.lock().await;
        let snapshot = self.current();
        let current = snapshot.webhook(subscription, id).ok_or(ChangeError::NotFound)?;
        let state = toggled(current, patch.enabled)?;
        let mut values = WebhookValues::clone(&current.values);
        let overlap = patch.secret_overlap;
        values.apply(patch)?;
        values.check()?;
        values.check_news(Some(&current.values), self.clock.now())?;
        let keys = values.keys_after(current, overlap, self.clock.now())?;
        self.change_now(by, journal, current, (state, values, keys)).await
    }

    /// Call it with `changes` held.
    pub(super) async fn change_now(
        &self,
        by: &Actor,
        journal: &dyn Journal,
        current: &Webhook,
        (state, values, mut keys): (WebhookState, WebhookValues, Keys),
    ) -> Result<Patched, ChangeError> {
        let (snapshot, id, subscription) = (self.current(), current.id, current.subscription);
        if values.standard_webhooks && keys.signing_key.is_none() {
            keys.signing_key = Some(self.new_signing_key());
        }
        let made = keys.signing_key.clone().filter(|_| keys.signing_key != current.keys.signing_key);

        let now = self.clock.now();
        let mut since = current.since;
        let selection = values.selection();
        let switch = (state == WebhookState::On, &selection) != (current.is_on(), &current.values.selection());
        let switch = switch.then(|| switch_to(current, state, selection, now));
        if let Some(switch) = &switch {
            since = journal.append(Group::of(&Entry::Switch(switch.clone()))).await?;
        }
        let created_at = current.created_at;
        let identity = Identity { id, subscription, state, since, created_at, updated_at: now };
        let changed = Webhook::new(&identity, values, keys)?;
        let row = changed.row(None, &self.key, &*self.random);
        let deed = Deed { subscription, at: now, action: "webhook.changed", target: &id.to_string() };
        let entry = audit::webhook_change(current, &changed).map(|(before, after)| deed.by(by, before, after));
        if let Err(error) = self.write(entry, move |connection| row.update(connection)).await {
            // The journal has taken the switch, so dispatch follows it, and the next start will write it to the row:
            // memory must say the same until then.
            if let Some(switch) = switch {
                self.switch_snapshot(since, &switch);
            }
            return Err(error.into());
        }
        let owner = snapshot.owners.get(&id).copied();
        self.replace(|snapshot| snapshot.insert_webhook(changed.clone(), owner));
        Ok(Patched { webhook: Arc::new(changed), signing_key: made })
    }

    async fn delete_now(
        &self,
        by: &Actor,
        journal: &dyn Journal,
        (subscription, id): (SubscriptionId, WebhookId),
    ) -> Result<(), ChangeError> {
        let _changing = self.changes.lock().await;
        let snapshot = self.current();
        let current = snapshot.webhook(subscription, id).ok_or(ChangeError::NotFound)?;
        let now = self.clock.now();
        let switch = switch_to(current, WebhookState::Off, current.values.selection(), now);
        let position = journal.append(Group::of(&Entry::Switch(switch.clone()))).await?;
        let deed = Deed { subscription, at: now, action: "webhook.deleted", target: &id.to_string() };
        let entry = deed.by(by, audit::webhook(current), Map::new());
        if let Err(error) = self.write(Some(entry), move |connection| WebhookRow::delete(connection, id)).await {
            self.switch_snapshot(position, &switch);
            return Err(error.into());
        }
        self.replace(|snapshot| {
            snapshot.webhooks.remove(&id);
            snapshot.owners.remove(&id);
        });
        Ok(())
    }

    async fn switch_row(&self, since: Position, switch: Switch) -> Result<(), StoreError> {
        let current = self.current();
        let Some(webhook) = current.webhooks.get(&switch.webhook) else { return Ok(()) };
        let (id, state) = (switch.webhook, state_after(webhook.state, switch.on));
        let mut changed = Webhook::clone(webhook);
        changed.state = state;
        changed.select(&switch.selection);
        // Who asked for it was lost with the crash.
        let (subscription, at, target) = (webhook.subscription, switch.at, id.to_string());
        let deed = Deed { subscription, at, action: "webhook.changed", target: &target };
        let change = audit::webhook_change(webhook, &changed);
        let entry = change.map(|(before, after)| deed.by(&Actor::system(), before, after));
        self.write(entry, move |connection| {
            WebhookRow::switch(connection, id, (state, &switch.selection), (since, switch.at))
        })
        .await
    }

    pub(super) fn switch_snapshot(&self, since: Position, switch: &Switch) {
        self.replace(|snapshot| {
            if let Some(webhook) = snapshot.webhooks.get_mut(&switch.webhook) {
                let webhook = Arc::make_mut(webhook);
                webhook.state = state_after(webhook.state, switch.on);
                (webhook.since, webhook.updated_at) = (since, switch.at);
                webhook.select(&switch.selection);
            }
        });
    }

    /// Replaces the snapshot by a changed copy; whoever holds the old one keeps a consistent picture.
    pub(super) fn replace(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut next = Snapshot::clone(&self.snapshot.borrow());
        change(&mut next);
        self.snapshot.send_replace(Arc::new(next));
    }
}

/// Runs a change to its end, also when whoever asked for it goes away: a change that stops between the journal and the
/// store would leave memory saying what is no longer so.
pub(super) async fn to_its_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, ChangeError>> + Send + 'static,
) -> Result<T, ChangeError> {
    tokio::spawn(change).await.unwrap_or(Err(ChangeError::Store(StoreError::Interrupted)))
}

pub(super) fn switch_to(webhook: &Webhook, state: WebhookState, selection: Selection, at: UnixMs) -> Switch {
    Switch { webhook: webhook.id, subscription: webhook.subscription, on: state == WebhookState::On, selection, at }
}

/// A switch knows only on and off: a webhook that Fanfare has turned off stays turned off by an "off".
fn state_after(state: WebhookState, on: bool) -> WebhookState {
    match (state, on) {
        (_, true) => WebhookState::On,
        (WebhookState::TurnedOff, false) => WebhookState::TurnedOff,
        (_, false) => WebhookState::Off,
    }
}
