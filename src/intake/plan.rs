//! What a request will leave behind: one group for the journal, and what intake itself remembers once it is durable.

use super::Intake;
use super::body::{self, Envelope, Properties};
use super::first_seen::Reservation;
use super::keys::{Held, Key};
use super::nps::{Draft, HeldRating};
use super::problem::Refusal;
use super::visits::Visit;
use crate::journal::{AppendError, Group};
use crate::model::{
    Entry, EventEntry, EventKind, GuideEntry, HeldEntry, Items, MergedEntry, Position, SubscriptionId, UniqueId,
    UnixMs, Withheld,
};
use crate::observe;
use std::sync::Arc;

/// See the module.
pub struct Plan {
    group: Group,
    accepted_at: UnixMs,
    seed: [u8; 16],
    /// Taken with the group: remembered when it is durable.
    ids: Vec<u64>,
    /// Of these, the ones that no entry carries yet.
    loose: Vec<u64>,
    /// First sightings, by the index of their entry.
    firsts: Vec<(Key, u32)>,
    holds: Vec<(Key, u32, UnixMs, Arc<Draft>)>,
    closes: Vec<(Key, Position)>,
    /// Visits that are written with it.
    visits: Vec<(Key, UnixMs)>,
    /// What visitors did with guides, by the visitors and the index of their entry.
    guides: Vec<(Key, u32)>,
    /// Events by kind, and how many of them are withheld: for metrics.
    events: [u32; EventKind::ALL.len()],
    withheld: u32,
}

/// What an entry has besides its body.
#[derive(Debug, Default)]
pub struct Marks {
    /// Kept, but not pushed.
    pub withheld: Option<Withheld>,
    /// The item's fingerprint, on the first entry that it brings.
    pub item: Option<u64>,
    /// The held rating that it closes.
    pub closes: Option<Position>,
}

impl Plan {
    /// An empty plan of a request accepted at `accepted_at`; `seed` is the random part of its events' ids.
    pub fn new(accepted_at: UnixMs, seed: [u8; 16]) -> Self {
        Self {
            group: Group::new(),
            accepted_at,
            seed,
            ids: Vec::new(),
            loose: Vec::new(),
            firsts: Vec::new(),
            holds: Vec::new(),
            closes: Vec::new(),
            visits: Vec::new(),
            guides: Vec::new(),
            events: Default::default(),
            withheld: 0,
        }
    }

    /// A new event's id.
    pub fn unique_id(&self, envelope: &Envelope<'_>, kind: EventKind) -> UniqueId {
        body::unique_id(envelope.subscription_id, envelope.app_id, kind, self.seed, self.group.count())
    }

    /// Adds an event. `envelope` is that of its sighting; name and id of the event are filled in here.
    pub fn event(&mut self, envelope: &Envelope<'_>, kind: EventKind, properties: Properties<'_>, marks: Marks) {
        let unique_id = self.unique_id(envelope, kind);
        self.push(&Envelope { event: kind.name(), unique_id, ..*envelope }, kind, properties, marks);
    }

    /// Adds somebody's first event.
    pub fn first(
        &mut self,
        key: Key,
        envelope: &Envelope<'_>,
        kind: EventKind,
        properties: Properties<'_>,
        marks: Marks,
    ) {
        self.firsts.push((key, self.group.count()));
        self.event(envelope, kind, properties, marks);
    }

    /// Adds the event of a rating, now that its reason is known or will not come.
    pub fn nps(&mut self, draft: &Draft, reason: &[u8], item: Option<u64>, closes: Option<Position>) {
        let envelope = Envelope {
            app_id: draft.app_id,
            app_name: &draft.app_name,
            platform: draft.platform,
            account_id: &draft.account_id,
            subscription_id: draft.subscription_id,
            subscription_name: &draft.subscription_name,
            user_agent: &draft.user_agent,
            event: EventKind::NpsSubmitted.name(),
            occurred_at: draft.occurred_at,
            visitor_id: &draft.visitor_id,
            unique_id: draft.unique_id,
        };
        let properties = Properties::Nps { step: &draft.step, rating: draft.rating, reason, source: draft.source };
        let marks = Marks { withheld: draft.withheld.clone(), item, closes };
        self.push(&envelope, EventKind::NpsSubmitted, properties, marks);
    }

    /// Notes that the event of the held rating `held` is in this plan.
    pub fn close(&mut self, key: Key, held: &HeldRating) {
        self.closes.push((key, held.position));
    }

    /// Holds a rating until `due`.
    pub fn hold(&mut self, key: Key, draft: Draft, due: UnixMs, item: Option<u64>) {
        // Plain data with string keys: serde_json has no way to fail on it.
        let json = serde_json::to_vec(&draft).unwrap_or_default();
        let entry = HeldEntry { subscription: draft.subscription_id, due, item, draft: &json };
        self.holds.push((key, self.group.count(), due, Arc::new(draft)));
        self.group.push(&Entry::Held(entry));
    }

    /// Adds a visit, unless one under the same key that this plan holds already stands for it.
    pub fn visit(&mut self, subscription: SubscriptionId, visit: &Visit<'_>) {
        let brings_metadata = visit.item.what.metadata() != ("", "");
        if brings_metadata || !self.visits.iter().any(|(key, _)| *key == visit.key) {
            self.visits.push((visit.key, visit.item.occurred_at));
            visit.push(subscription, &mut self.group);
        }
    }

    /// Adds what a visitor did with a guide.
    pub fn guide(&mut self, visitor: Key, entry: &GuideEntry<'_>) {
        self.guides.push((visitor, self.group.count()));
        self.group.push(&Entry::Guide(entry.clone()));
    }

    /// Adds that an anonymous visitor turned out to be somebody, whose guides these are now.
    pub fn merged(&mut self, visitor: Key, entry: &MergedEntry<'_>) {
        self.guides.push((visitor, self.group.count()));
        self.group.push(&Entry::Merged(entry.clone()));
    }

    /// The id of an item is taken with this plan.
    pub fn id(&mut self, fingerprint: u64) {
        self.ids.push(fingerprint);
    }

    /// An item's id that none of its entries carries.
    pub fn loose_id(&mut self, fingerprint: u64) {
        self.loose.push(fingerprint);
    }

    /// How large the group is by now, in bytes.
    pub fn bytes(&self) -> usize {
        self.group.bytes().len()
    }

    /// How many first sightings there are.
    pub fn firsts(&self) -> usize {
        self.firsts.len()
    }

    /// How many ratings will be held.
    pub fn holds(&self) -> usize {
        self.holds.len()
    }

    fn push(&mut self, envelope: &Envelope<'_>, kind: EventKind, properties: Properties<'_>, marks: Marks) {
        let body = body::write(envelope, properties);
        self.events[kind as usize] += 1;
        self.withheld += u32::from(marks.withheld.is_some());
        self.group.push(&Entry::Event(EventEntry {
            subscription: envelope.subscription_id,
            app: envelope.app_id,
            kind,
            unique_id: envelope.unique_id,
            visitor_id: envelope.visitor_id,
            account_id: envelope.account_id,
            occurred_at: envelope.occurred_at,
            accepted_at: self.accepted_at,
            withheld: marks.withheld,
            item: marks.item,
            closes: marks.closes,
            body: &body,
        }));
    }

    /// Whether intake has something to remember once the group is durable.
    fn leaves_traces(&self) -> bool {
        !(self.ids.is_empty()
            && self.firsts.is_empty()
            && self.holds.is_empty()
            && self.closes.is_empty()
            && self.visits.is_empty()
            && self.guides.is_empty())
    }
}

impl Intake {
    /// Appends a plan's group and, once it is durable, remembers what follows from it. `locks` and `room` are held
    /// until then.
    ///
    /// When there is something to remember, this goes on by itself even if the caller goes away: a client that hangs up
    /// must not leave intake ignorant of what became durable.
    ///
    /// # Errors
    /// The journal's, as a refusal. Nothing was remembered then, and nothing journalled.
    pub(super) async fn commit(
        self: &Arc<Self>,
        mut plan: Plan,
        locks: Option<Held>,
        room: Option<Reservation>,
    ) -> Result<(), Refusal> {
        if plan.group.is_empty() {
            // Ids of items that raise nothing: nothing to make durable, and a repeat would raise nothing either.
            self.remember_ids(&plan);
            return Ok(());
        }
        if !plan.loose.is_empty() {
            let fingerprints = std::mem::take(&mut plan.loose);
            plan.group.push(&Entry::Items(Items { accepted_at: plan.accepted_at, fingerprints }));
        }
        // Queued at the call: what is appended first stands first.
        let appended = self.journal.append(std::mem::take(&mut plan.group));
        if !plan.leaves_traces() {
            appended.await.inspect_err(|error| self.count_refusal(error))?;
            self.count(&plan);
            return Ok(());
        }
        let this = self.clone();
        let settled = tokio::spawn(async move {
            let first = appended.await.inspect_err(|error| this.count_refusal(error))?;
            this.count(&plan);
            this.settle(&plan, first, room.as_ref());
            drop(locks);
            Ok::<_, Refusal>(())
        });
        settled.await.unwrap_or(Err(Refusal::Stopping))
    }

    fn count(&self, plan: &Plan) {
        let metrics = &self.metrics.intake;
        for (kind, count) in EventKind::ALL.into_iter().zip(plan.events).filter(|(_, count)| *count > 0) {
            metrics.event(kind).inc_by(count.into());
        }
        metrics.withheld.inc_by(plan.withheld.into());
    }

    fn count_refusal(&self, error: &AppendError) {
        let why = match error {
            AppendError::Overloaded => observe::Refusal::Overloaded,
            AppendError::Full => observe::Refusal::Full,
            AppendError::Failing(_) => observe::Refusal::Failing,
            AppendError::Closed | AppendError::TooLarge(_) => observe::Refusal::Other,
        };
        self.metrics.journal.refused(why).inc();
    }

    fn settle(&self, plan: &Plan, first: Position, room: Option<&Reservation>) {
        let at = |index: u32| first.plus(u64::from(index));
        if let Some(room) = room {
            room.journalled(plan.firsts.iter().map(|(key, index)| (*key, at(*index))));
        }
        for (key, position) in &plan.closes {
            self.held.remove(*key, *position);
        }
        for (key, index, due, draft) in &plan.holds {
            self.held.insert(*key, HeldRating { position: at(*index), due: *due, draft: draft.clone() });
        }
        for (key, at) in &plan.visits {
            self.visits.written(*key, *at);
        }
        for (visitor, index) in &plan.guides {
            self.guide_news.note(*visitor, at(*index), self.first_seen.projected());
        }
        self.remember_ids(plan);
    }

    fn remember_ids(&self, plan: &Plan) {
        for fingerprint in &plan.ids {
            self.item_ids.remember(*fingerprint, plan.accepted_at);
        }
    }
}
