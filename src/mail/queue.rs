//! The queue of mails in the store, their texts sealed: links in them open accounts.

use super::{Letter, Letters, Occasion, Refusal};
use crate::clock::{Clock, Random};
use crate::limits;
use crate::model::{SubscriptionId, UnixMs};
use crate::seal::{self, MasterKey};
use crate::store::configured::{MailRow, MailState};
use crate::store::db::Connection;
use crate::store::{Shared, StoreError};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// Queues mails and keeps what became of them.
#[derive(Debug)]
pub struct Queue {
    store: Shared,
    key: Arc<MasterKey>,
    letters: Letters,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    queued: Notify,
    counts: Counts,
}

/// What was done since the start.
#[derive(Debug, Default)]
struct Counts {
    queued: AtomicU64,
    sent: AtomicU64,
    failed: AtomicU64,
}

/// How the queue stands. Counts are since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MailStats {
    /// Mails that were queued.
    pub queued: u64,
    /// Mails that a server has taken.
    pub sent: u64,
    /// Mails that were given up.
    pub failed: u64,
    /// Mails that wait to be sent, or sent again.
    pub waiting: u64,
}

/// A mail, opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// What is known of it.
    pub row: MailRow,
    /// Its words; `None` once it was sent, and when they do not open.
    pub letter: Option<Letter>,
}

impl Queue {
    /// The queue in this store.
    pub fn new(
        (store, key): (Shared, Arc<MasterKey>),
        letters: Letters,
        (clock, random): (Arc<dyn Clock>, Arc<dyn Random>),
    ) -> Self {
        Self { store, key, letters, clock, random, queued: Notify::new(), counts: Counts::default() }
    }

    /// What links look like.
    pub fn letters(&self) -> &Letters {
        &self.letters
    }

    /// Writes a mail to somebody in a subscription. It is queued by [`Self::put`], in the transaction of what caused it.
    pub fn write(&self, (subscription, recipient): (SubscriptionId, &str), occasion: Occasion<'_>) -> MailRow {
        let letter = self.letters.write(occasion);
        let (id, now) = (self.random.id(), self.clock.now());
        let body = json!({"text": letter.text, "html": letter.html}).to_string();
        MailRow {
            id,
            subscription: Some(subscription),
            recipient: recipient.to_owned(),
            subject: letter.subject,
            body_sealed: Some(self.key.seal(&place(id), body.as_bytes(), &*self.random)),
            state: MailState::Waiting,
            attempts: 0,
            next_attempt_at: now,
            last_error: String::new(),
            created_at: now,
            updated_at: now,
        }
    }

    /// Puts a mail into the queue, and forgets old ones. Call [`Self::note_queued`] once the transaction is committed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put(connection: &Connection, mail: &MailRow) -> Result<(), StoreError> {
        mail.insert(connection)?;
        MailRow::prune(connection, mail.created_at.before(limits::MAIL_KEPT), limits::MAILS)
    }

    /// A mail was queued: tells whoever sends.
    pub fn note_queued(&self) {
        self.counts.queued.fetch_add(1, Ordering::Relaxed);
        self.queued.notify_one();
    }

    /// Waits until [`Self::note_queued`] is called, or was since the last wait.
    pub async fn woken(&self) {
        self.queued.notified().await;
    }

    /// How long until that time.
    pub fn until(&self, due: UnixMs) -> Duration {
        due.since(self.clock.now())
    }

    /// The mail to be sent next, whenever that is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn next(&self) -> Result<Option<Outgoing>, StoreError> {
        let waiting = self.store.call(|connection| MailRow::waiting(connection, 1)).await?;
        Ok(waiting.into_iter().next().map(|row| self.open(row)))
    }

    /// The newest mails.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn newest(&self, limit: usize) -> Result<Vec<Outgoing>, StoreError> {
        let rows = self.store.call(move |connection| MailRow::newest(connection, limit)).await?;
        Ok(rows.into_iter().map(|row| self.open(row)).collect())
    }

    /// A subscription's mails, newest first, behind the one with that time and id; their words stay sealed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn of_subscription(
        &self,
        subscription: SubscriptionId,
        behind: Option<(UnixMs, u64)>,
        limit: usize,
    ) -> Result<Vec<MailRow>, StoreError> {
        self.store.call(move |connection| MailRow::of_subscription(connection, subscription, behind, limit)).await
    }

    /// Has a mail sent now that waits or was given up. `false`: the subscription has no such mail.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn try_again(&self, subscription: SubscriptionId, id: u64) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let again = self.store.call(move |connection| MailRow::try_again(connection, (subscription, id), now)).await?;
        if again {
            self.note_queued();
        }
        Ok(again)
    }

    /// Writes down what became of an attempt; one that was refused is tried again after the next of these pauses.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn settle(
        &self,
        mail: MailRow,
        result: Result<(), Refusal>,
        pauses: &[Duration],
    ) -> Result<(), StoreError> {
        let settled = settled(mail, result, (self.clock.now(), pauses));
        let state = settled.state;
        self.store.call(move |connection| settled.update(connection)).await?;
        match state {
            MailState::Sent => drop(self.counts.sent.fetch_add(1, Ordering::Relaxed)),
            MailState::Failed => drop(self.counts.failed.fetch_add(1, Ordering::Relaxed)),
            MailState::Waiting => {}
        }
        Ok(())
    }

    /// How it stands.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn stats(&self) -> Result<MailStats, StoreError> {
        let waiting = self.store.call(|connection| MailRow::count_waiting(connection)).await?;
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { queued, sent, failed } = &self.counts;
        Ok(MailStats { queued: get(queued), sent: get(sent), failed: get(failed), waiting })
    }

    fn open(&self, row: MailRow) -> Outgoing {
        let body = row.body_sealed.as_ref().and_then(|sealed| self.key.open(&place(row.id), sealed).ok());
        let body = body.and_then(|body| serde_json::from_slice::<serde_json::Value>(body.expose()).ok());
        let text = |body: &serde_json::Value, name: &str| body[name].as_str().map(ToOwned::to_owned);
        let letter = body.and_then(|body| {
            Some(Letter { subject: row.subject.clone(), text: text(&body, "text")?, html: text(&body, "html")? })
        });
        Outgoing { row, letter }
    }
}

fn place(id: u64) -> String {
    seal::place("mails", format_args!("{id:016x}"), "body")
}

/// What is known of a mail after an attempt at that time.
fn settled(mut mail: MailRow, result: Result<(), Refusal>, (now, pauses): (UnixMs, &[Duration])) -> MailRow {
    mail.attempts += 1;
    mail.updated_at = now;
    match result {
        Ok(()) => (mail.state, mail.body_sealed) = (MailState::Sent, None),
        Err(refusal) => {
            let pause = pauses.get(mail.attempts as usize - 1).filter(|_| !refusal.is_final);
            match pause {
                Some(pause) => mail.next_attempt_at = now.after(*pause),
                None => mail.state = MailState::Failed,
            }
            mail.last_error = refusal.reason;
        }
    }
    mail
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn mail() -> MailRow {
        MailRow {
            id: 1,
            subscription: None,
            recipient: String::from("ada@example.com"),
            subject: String::from("s"),
            body_sealed: Some(String::from("v1.x")),
            state: MailState::Waiting,
            attempts: 0,
            next_attempt_at: UnixMs(0),
            last_error: String::new(),
            created_at: UnixMs(0),
            updated_at: UnixMs(0),
        }
    }

    fn refusal(is_final: bool) -> Result<(), Refusal> {
        Err(Refusal { is_final, reason: String::from("busy") })
    }

    #[test]
    fn a_sent_mail_forgets_its_words() {
        let sent = settled(mail(), Ok(()), (UnixMs(5), &[]));
        assert_eq!((sent.state, sent.body_sealed, sent.attempts), (MailState::Sent, None, 1));
    }

    #[test]
    fn a_refused_one_is_tried_again_later_and_later_then_given_up() {
        let allowed = Settings::defaults().mail.retry_delays;
        let mut mail = mail();
        let mut pauses = Vec::new();
        while mail.state == MailState::Waiting {
            let now = mail.next_attempt_at;
            mail = settled(mail, refusal(false), (now, &allowed));
            pauses.push(mail.next_attempt_at.since(now));
        }
        assert_eq!((mail.state, mail.attempts, mail.last_error.as_str()), (MailState::Failed, 8, "busy"));
        assert!(pauses[..7].is_sorted() && pauses[..7] == allowed, "{pauses:?}");
        assert!(mail.body_sealed.is_some(), "what was not sent can still be read");
    }

    #[test]
    fn a_final_refusal_is_not_tried_again() {
        assert_eq!(settled(mail(), refusal(true), (UnixMs(5), &[Duration::ZERO])).state, MailState::Failed);
    }
}
