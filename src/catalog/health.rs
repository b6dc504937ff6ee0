//! What is done about webhooks whose deliveries fail: their owner is warned, and they are turned off (docs/delivery.md).
//!
//! Each incident has a position in the journal, and they are acted on in that order. What was done is kept with what it
//! did, in one transaction: a mail that is queued, or a webhook that is turned off, is so once, whatever is derived again.
//! Before that the journal is told, for the error log; it may be told twice when the process ends in between, and whoever
//! reads it knows both as one, by the incident.

use super::audit::{Actor, Deed, fields};
use super::change::{switch_to, to_its_end};
use super::{Catalog, ChangeError, Webhook};
use crate::journal::{Group, Journal};
use crate::mail::{Occasion, Queue};
use crate::model::{Entry, IncidentKind, LastAnswer, Mailed, Notice, Position, UnixMs, WebhookState};
use crate::store::StoreError;
use crate::store::configured::{self, AuditEntry, MailRow, WebhookRow};
use crate::store::db::Connection;
use crate::store::projection::Incident;
use serde_json::{Map, json};
use std::sync::Arc;

/// Up to which position incidents were acted on.
const DONE: &str = "incidents_done";

/// The incident whose webhook is being turned off. The journal takes the switch first: after a crash in between this
/// tells that it was Fanfare, and not a person, who has switched it off.
const TURNING_OFF: &str = "turning_off";

/// An incident, with what its owner should read of it.
#[derive(Debug, Clone)]
pub struct Told {
    /// What happened.
    pub incident: Incident,
    /// What the receiver last answered, newest first.
    pub answers: Vec<LastAnswer>,
    /// The webhook has not been switched off and on again since.
    pub stands: bool,
}

impl Told {
    /// What the receiver last answered, a line each.
    fn lines(&self) -> Vec<String> {
        self.answers.iter().map(LastAnswer::line).collect()
    }

    /// The same as a part of a mail.
    fn words(&self) -> String {
        match self.answers.is_empty() {
            true => String::from("No answer of its is on record."),
            false => format!("The last answers:\n{}", self.lines().join("\n")),
        }
    }
}

/// What was done about an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acted {
    /// The owner was warned, or there was none to be.
    Warned,
    /// The webhook was turned off.
    TurnedOff,
    /// Nothing: it had been switched or deleted meanwhile.
    PassedOver,
}

impl Catalog {
    /// Up to which position incidents were acted on. Where that was never said, everything up to `newest` counts as done:
    /// it happened before there was anybody to act on it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn incidents_done(&self, newest: Position) -> Result<Position, StoreError> {
        let done = self.store.call(|connection| configured::meta(connection, DONE)).await?;
        if let Some(position) = done.and_then(|text| text.parse().ok()) {
            return Ok(Position(position));
        }
        let text = newest.to_string();
        self.store.call(move |connection| configured::set_meta(connection, DONE, &text)).await?;
        Ok(newest)
    }

    /// Does what an incident asks for, unless the webhook has been switched or deleted meanwhile; then only that is kept.
    ///
    /// # Errors
    /// [`ChangeError`]. It can be done again.
    pub async fn act_on(self: &Arc<Self>, journal: Arc<dyn Journal>, told: Told) -> Result<Acted, ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move {
            let _changing = catalog.changes.lock().await;
            let current = catalog.current();
            let incident = told.incident;
            let Some(webhook) = current.webhooks.get(&incident.webhook) else {
                return catalog.pass_over(incident).await;
            };
            let is_as_it_was = webhook.is_on() && told.stands;
            match incident.kind {
                IncidentKind::Warning if is_as_it_was => catalog.warn(&*journal, webhook, &told).await,
                IncidentKind::FailuresInARow | IncidentKind::FailureRate => {
                    let begun = catalog.store.call(|connection| configured::meta(connection, TURNING_OFF)).await?;
                    let was_begun = begun == Some(incident.position.to_string());
                    if is_as_it_was || (was_begun && webhook.state == WebhookState::Off) {
                        return catalog.turn_off(&*journal, webhook, &told).await;
                    }
                    catalog.pass_over(incident).await
                }
                IncidentKind::Warning => catalog.pass_over(incident).await,
            }
        })
        .await
    }

    async fn pass_over(&self, incident: Incident) -> Result<Acted, ChangeError> {
        self.store.call(move |connection| set_done(connection, incident.position)).await?;
        Ok(Acted::PassedOver)
    }

    async fn warn(&self, journal: &dyn Journal, webhook: &Webhook, told: &Told) -> Result<Acted, ChangeError> {
        let incident = told.incident;
        let (mailed, mail) = self.mail_to_owner(webhook, told);
        self.write_notice(journal, webhook, told, mailed).await?;
        let after = json!({"failed": incident.failed, "since": incident.since.0, "mailed": mail.is_some()});
        let entry = self.entry(webhook, "webhook.warned", after);
        self.finish(entry, mail, incident, None).await?;
        Ok(Acted::Warned)
    }

    async fn turn_off(&self, journal: &dyn Journal, webhook: &Webhook, told: &Told) -> Result<Acted, ChangeError> {
        let (incident, now) = (told.incident, self.clock.now());
        let mut since = webhook.since;
        if webhook.is_on() {
            let begun = incident.position.to_string();
            self.store.call(move |connection| configured::set_meta(connection, TURNING_OFF, &begun)).await?;
            let switch = switch_to(webhook, WebhookState::TurnedOff, webhook.values.selection(), now);
            since = journal.append(Group::of(&Entry::Switch(switch.clone()))).await?;
            // Dispatch follows the journal from here on, whatever becomes of the rest.
            self.switch_snapshot(since, &switch);
        }
        let (mailed, mail) = self.mail_to_owner(webhook, told);
        self.write_notice(journal, webhook, told, mailed).await?;
        let after = json!({
            "state": WebhookState::TurnedOff.name(),
            "reason": incident.kind.name(),
            "failed": incident.failed,
            "deliveries": incident.of,
            "since": incident.since.0,
            "answers": told.lines(),
            "mailed": mail.is_some(),
        });
        let entry = self.entry(webhook, "webhook.turned_off", after);
        self.finish(entry, mail, incident, Some((webhook, since, now))).await?;
        tracing::warn!(
            webhook = %webhook.id, reason = incident.kind.name(), failed = incident.failed, of = incident.of,
            "a webhook was turned off because its deliveries fail"
        );
        let id = webhook.id;
        self.replace(|snapshot| {
            if let Some(webhook) = snapshot.webhooks.get_mut(&id) {
                let webhook = Arc::make_mut(webhook);
                (webhook.state, webhook.since, webhook.updated_at) = (WebhookState::TurnedOff, since, now);
            }
        });
        Ok(Acted::TurnedOff)
    }

    /// Tells the journal what is being done, for the error log.
    async fn write_notice(
        &self,
        journal: &dyn Journal,
        webhook: &Webhook,
        told: &Told,
        mailed: Mailed,
    ) -> Result<(), ChangeError> {
        let Incident { position, kind, failed, of, since, .. } = told.incident;
        let notice = Notice {
            webhook: webhook.id,
            subscription: webhook.subscription,
            incident: position,
            kind,
            failed,
            of,
            since,
            answers: told.answers.clone(),
            mailed,
            at: self.clock.now(),
        };
        journal.append(Group::of(&Entry::Notice(notice))).await?;
        Ok(())
    }

    /// Everything that follows from an incident, and that it was done, in one transaction.
    async fn finish(
        &self,
        entry: AuditEntry,
        mail: Option<MailRow>,
        incident: Incident,
        off: Option<(&Webhook, Position, UnixMs)>,
    ) -> Result<(), ChangeError> {
        let row = off.map(|(webhook, since, now)| (webhook.id, webhook.values.selection(), (since, now)));
        let is_mailed = mail.is_some();
        let change = move |connection: &Connection| -> Result<(), StoreError> {
            if let Some((id, selection, when)) = row {
                WebhookRow::switch(connection, id, (WebhookState::TurnedOff, &selection), when)?;
            }
            if let Some(mail) = &mail {
                Queue::put(connection, mail)?;
            }
            configured::delete_meta(connection, TURNING_OFF, &incident.position.to_string())?;
            set_done(connection, incident.position)
        };
        self.write(Some(entry), change).await?;
        if is_mailed {
            self.mail.note_queued();
        }
        Ok(())
    }

    fn entry(&self, webhook: &Webhook, action: &'static str, after: serde_json::Value) -> AuditEntry {
        let target = webhook.id.to_string();
        let deed = Deed { subscription: webhook.subscription, at: self.clock.now(), action, target: &target };
        deed.by(&Actor::system(), Map::new(), fields(after))
    }

    /// To the owner, as long as they are a member of the subscription; otherwise to nobody, and the log says so.
    fn mail_to_owner(&self, webhook: &Webhook, told: &Told) -> (Mailed, Option<MailRow>) {
        let (current, incident) = (self.current(), told.incident);
        let id = current.owners.get(&webhook.id);
        let Some(owner) = id.and_then(|id| current.users.get(id)).filter(|owner| owner.is_member()) else {
            tracing::warn!(webhook = %webhook.id, incident = incident.kind.name(), "the webhook has no owner to be mailed");
            return (if id.is_some() { Mailed::OwnerHasLeft } else { Mailed::NoOwner }, None);
        };
        let (since, id, answers) = (incident.since.rfc3339(), webhook.id.to_string(), told.words());
        let why = incident.kind.why(incident.failed, incident.of, incident.since);
        let subscription = webhook.subscription;
        let (webhook, answers) = ((id.as_str(), webhook.values.name.as_str()), answers.as_str());
        let occasion = match incident.kind {
            IncidentKind::Warning => {
                Occasion::WebhookWarning { webhook, failed: incident.failed, since: &since, answers }
            }
            IncidentKind::FailuresInARow | IncidentKind::FailureRate => {
                Occasion::WebhookTurnedOff { webhook, why: &why, answers }
            }
        };
        (Mailed::Owner(owner.id), Some(self.mail.write((subscription, &owner.email), occasion)))
    }
}

fn set_done(connection: &Connection, position: Position) -> Result<(), StoreError> {
    configured::set_meta(connection, DONE, &position.to_string())
}
