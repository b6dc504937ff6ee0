//! What comes in over HTTP: judged, serialised, journalled.
//!
//! Two endpoints ([`router`]) take something in: [`track`] one event from a server, [`agent`] a batch from a browser. Both end
//! in a [`plan`], one group for the journal, and answer when it is durable. A third, [`guides`], tells a browser what to show. What may happen once only is decided with a lock
//! in hand that is held until the journal has answered ([`keys`]): who is new ([`first_seen`]), which item is a repeat
//! ([`item_ids`]), which rating a reason belongs to ([`nps`], [`submit`]).
//!
//! The bytes that leave are made here, once: [`body`], with callers' own values brought into [`canonical`] form.

pub mod agent;
mod batch;
pub mod body;
pub mod canonical;
mod cors;
mod fields;
mod first_seen;
mod guides;
mod item;
mod item_ids;
mod judge;
mod keys;
mod nps;
mod plan;
mod problem;
mod recall;
mod request;
pub mod sample;
mod submit;
#[cfg(test)]
mod tests;
pub mod track;
mod user_agent;
mod visits;

pub use first_seen::{Seen, SeenError};
pub use guides::GuideStore;
pub use nps::{Whose, who_rated};
pub use recall::{Recall, Restored, RestoredHeld};
pub use request::client;

use crate::catalog::Snapshot;
use crate::clock::{Clock, Random};
use crate::config::IntakeSettings;
use crate::journal::Journal;
use crate::limits;
use crate::model::{PersonKind, Position};
use crate::observe::Metrics;
use axum::Router;
use axum::routing::post;
use first_seen::FirstSeen;
use guides::GuideNews;
use ipnet::IpNet;
use item_ids::ItemIds;
use keys::{Held, Key, KeyLocks};
use nps::{Draft, HeldRating, HeldRatings};
use plan::Plan;
use problem::Refusal;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use visits::Visits;

/// What an event has besides a caller's own properties is never larger than this.
const ENVELOPE_BYTES: usize = 32 * 1024;

/// The longest sleep while ratings wait: the wall clock may be set, and the journal may be failing.
const HELD_PAUSE: Duration = Duration::from_secs(1);

/// Where intake reads what is configured.
pub type Catalog = Arc<dyn Fn() -> Arc<Snapshot> + Send + Sync>;

/// What intake is made of.
pub struct IntakeParts {
    /// What is configured, as of now.
    pub catalog: Catalog,
    /// Where events go.
    pub journal: Arc<dyn Journal>,
    /// Who was seen. Must have projected everything that was in the journal at the start.
    pub seen: Arc<dyn Seen>,
    /// What visitors did with guides, and what is known of them.
    pub guides: Arc<dyn GuideStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For the ids of events.
    pub random: Arc<dyn Random>,
    /// Intake's settings.
    pub settings: IntakeSettings,
    /// The installation's own origin, e.g. `https://fanfare.example.com`.
    pub public_origin: String,
    /// Peers whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// What was known before the start.
    pub restored: Restored,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// The intake of one node.
pub struct Intake {
    catalog: Catalog,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    settings: IntakeSettings,
    public_origin: String,
    trusted_proxies: Vec<IpNet>,
    locks: KeyLocks,
    first_seen: Arc<FirstSeen>,
    item_ids: ItemIds,
    held: HeldRatings,
    visits: Visits,
    guide_store: Arc<dyn GuideStore>,
    guide_news: GuideNews,
    metrics: Arc<Metrics>,
}

/// The routes of intake.
pub fn router(intake: Arc<Intake>) -> Router {
    let wrong_method = || async { Refusal::Method.response() };
    Router::new()
        .route("/data/track", post(track::post).fallback(wrong_method))
        .route("/data/events", post(agent::post).options(agent::options).fallback(wrong_method))
        .route("/data/guides", post(guides::post).options(agent::options).fallback(wrong_method))
        .with_state(intake)
}

impl Intake {
    /// Puts the parts together and takes up what was known before the start.
    pub fn new(parts: IntakeParts) -> Arc<Self> {
        let IntakeParts { settings, restored, clock, .. } = parts;
        let now = clock.now();
        let item_ids = ItemIds::new(settings.item_id_ttl, settings.item_id_count, restored.item_ids, now);
        let held = HeldRatings::default();
        restored.held.into_iter().for_each(|rating| restore(&held, &rating));
        Arc::new(Self {
            catalog: parts.catalog,
            journal: parts.journal,
            first_seen: FirstSeen::new(parts.seen, settings.first_seen_pending),
            clock,
            random: parts.random,
            settings,
            public_origin: parts.public_origin,
            trusted_proxies: parts.trusted_proxies,
            locks: KeyLocks::default(),
            item_ids,
            held,
            visits: Visits::default(),
            guide_store: parts.guides,
            guide_news: GuideNews::default(),
            metrics: parts.metrics,
        })
    }

    /// How many ratings wait for their reason.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Lets held ratings leave when their time is over, until `shutdown`. What is held then is held still after the
    /// next start.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        loop {
            let pause = async {
                match self.held.next_due() {
                    Some(due) => tokio::time::sleep(due.since(self.clock.now()).min(HELD_PAUSE)).await,
                    None => self.held.changed().await,
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = pause => {}
                // One that is due earlier than the others may have come.
                () = self.held.changed() => continue,
            }
            if let Err(error) = self.close_due().await {
                tracing::warn!(%error, "held NPS ratings cannot leave at the moment; they are kept and tried again");
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(HELD_PAUSE) => {}
                }
            }
        }
    }

    /// Lets those ratings leave whose time is over. One whose lock is held is left to the request that holds it, or to
    /// the next round.
    async fn close_due(self: &Arc<Self>) -> Result<(), Refusal> {
        let now = self.clock.now();
        let mut busy = false;
        while !busy {
            let due = self.held.due(now);
            if due.is_empty() {
                return Ok(());
            }
            let mut plan = Plan::new(now, self.seed());
            let mut locks: Vec<Held> = Vec::new();
            for key in due {
                // A group that the journal refuses for its size would be refused forever.
                if plan.bytes() >= limits::EVENT_BODY_BYTES {
                    break;
                }
                match self.locks.try_one(key) {
                    Some(lock) => {
                        locks.push(lock);
                        if let Some(held) = self.held.get(key) {
                            plan.nps(&held.draft, b"\"\"", None, Some(held.position));
                            plan.close(key, &held);
                        }
                    }
                    None => busy = true,
                }
            }
            self.commit(plan, Held::all(locks), None).await?;
        }
        // Whoever holds the lock needs a moment; the round after this one must not spin.
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok(())
    }

    /// Forgets a visitor or an account: whoever is identified under this id from now on is new. `erase` is given the last
    /// position of what was accepted before; nothing more of them is accepted until it has ended. When it fails,
    /// nothing is forgotten.
    ///
    /// # Errors
    /// What `erase` says.
    pub async fn forget<E>(
        &self,
        person: &Whose<'_>,
        erase: impl AsyncFnOnce(Position) -> Result<(), E>,
    ) -> Result<Position, E> {
        let key = match person.kind {
            PersonKind::Visitor => Key::visitor(person.subscription, person.id),
            PersonKind::Account => Key::account(person.subscription, person.id),
        };
        let (held, _locks) = loop {
            let held = self.held.of(person);
            let locks = self.locks.take(held.iter().copied().chain([key]).collect()).await;
            // One more may have been held before the locks were there.
            if self.held.of(person) == held {
                break (held, locks);
            }
        };
        let cut = *self.journal.durable().borrow();
        erase(cut).await?;
        self.first_seen.forget(key);
        self.visits.clear();
        self.held.forget(&held);
        Ok(cut)
    }

    /// The random part of the ids of one request's events.
    fn seed(&self) -> [u8; 16] {
        let mut seed = [0; 16];
        self.random.fill(&mut seed);
        seed
    }
}

/// A draft that cannot be read was written by a newer version: it stays in the journal, and the log says so.
fn restore(held: &HeldRatings, rating: &RestoredHeld) {
    let draft: Draft = match serde_json::from_slice(&rating.draft) {
        Ok(draft) => draft,
        Err(error) => {
            tracing::error!(position = %rating.position, %error, "a held NPS rating cannot be read and does not leave");
            return;
        }
    };
    let mut key = draft.key();
    if held.get(key).is_some() {
        // Never seen: a new rating closes the old one. Should it happen, both leave.
        key = Key(key.0 ^ u128::from(rating.position.0));
    }
    held.insert(key, HeldRating { position: rating.position, due: rating.due, draft: Arc::new(draft) });
}

/// The origin of a URL like the installation's public one, for [`IntakeParts::public_origin`].
pub fn origin_of(url: &str) -> String {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url[after_scheme..].find('/').map_or(url.len(), |at| after_scheme + at);
    url[..end].to_owned()
}
