//! `POST /data/events`: a batch of the browser's agent (docs/intake.md).
//!
//! A batch goes through in this order, and each step sees only what the ones before have left: read, check each item,
//! take the locks on everything that may happen once only, drop repeats, bring together what is one submission, ask who
//! is new, and write it all as one group.

use super::Intake;
use super::batch::{Batch, Taken};
use super::body::{Envelope, Properties, sample_group};
use super::canonical::append_string;
use super::first_seen::Person;
use super::item::{Clocks, Item, ItemError, What};
use super::judge::{Agent, Sighting, Whence, judge, may_be_first};
use super::keys::{Key, KeySet};
use super::nps::{Draft, HeldRating};
use super::plan::{Marks, Plan};
use super::problem::Refusal;
use super::submit::{Fate, bring_together};
use super::visits::Visit;
use super::{cors, request, user_agent};
use crate::catalog::{App, Guides, Privacy};
use crate::model::{
    EventKind, ExclusionId, GuideDid, GuideEntry, MergedEntry, PersonKind, UniqueId, UnixMs, is_anonymous,
};
use crate::observe::Route;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, header};
use std::io::Write;
use std::sync::Arc;
use tokio::time::Instant;

/// The header that carries an app's agent key; `?key=` does too.
const KEY_HEADER: &str = "x-fanfare-agent-key";

/// Takes a batch; answers when it is durable.
pub async fn post(State(intake): State<Arc<Intake>>, request: Request<Body>) -> Response {
    let started = Instant::now();
    let response =
        answer_to(&intake, request, |intake, app, request| async move { take(&intake, &app, request).await }).await;
    intake.metrics.intake.request(Route::Events, response.status().as_u16(), started.elapsed());
    response
}

/// Answers a page of an app, with what `take` makes of its request: its key and its origin are checked before.
pub(super) async fn answer_to<Taking>(
    intake: &Arc<Intake>,
    request: Request<Body>,
    take: impl FnOnce(Arc<Intake>, Arc<App>, Request<Body>) -> Taking,
) -> Response
where
    Taking: Future<Output = Result<Vec<u8>, Refusal>>,
{
    let app = match authenticate(intake, &request) {
        Ok(app) => app,
        Err(refusal) => return refusal.response(),
    };
    let origin = request.headers().get(header::ORIGIN).cloned();
    if let Some(value) = &origin {
        let text = value.to_str().unwrap_or_default();
        if !cors::is_allowed(&app, text, request.headers(), &intake.public_origin) {
            return Refusal::Origin(text.to_owned()).response();
        }
    }
    let mut response = match take(Arc::clone(intake), app, request).await {
        Ok(answer) => request::json(answer),
        Err(refusal) => refusal.response(),
    };
    if let Some(origin) = origin {
        cors::allow(&mut response, origin);
    }
    response
}

/// Answers a browser's preflight.
pub async fn options(request: Request<Body>) -> Response {
    cors::preflight(request.headers())
}

fn authenticate(intake: &Intake, request: &Request<Body>) -> Result<Arc<App>, Refusal> {
    let from_query = || {
        let pairs = request.uri().query()?.split('&');
        pairs.into_iter().find_map(|pair| pair.strip_prefix("key="))
    };
    let from_header = request.headers().get(KEY_HEADER).and_then(|value| value.to_str().ok());
    let key = from_header.or_else(from_query).ok_or(Refusal::NoKey(KEY_HEADER))?;
    let app = (intake.catalog)().app_of_agent_key(key, intake.clock.now()).cloned();
    app.ok_or_else(|| intake.wrong_key(request))
}

/// A page's request in its parts.
///
/// # Errors
/// It does not call itself JSON or text, or cannot be read.
pub(super) async fn read(request: Request<Body>) -> Result<(Parts, Bytes), Refusal> {
    // sendBeacon states text/plain for a string and nothing at all for bytes.
    let media_type = request::media_type(request.headers());
    if media_type.is_some_and(|media_type| media_type != "text/plain" && !request::is_json(&media_type)) {
        return Err(Refusal::ContentType);
    }
    let (head, body) = request.into_parts();
    let body = request::read_body(&head.headers, body).await?;
    Ok((head, body))
}

async fn take(intake: &Arc<Intake>, app: &Arc<App>, request: Request<Body>) -> Result<Vec<u8>, Refusal> {
    let (head, body) = read(request).await?;
    let batch = Batch::parse(request::text(&body)?)?;
    if app.respects_do_not_track && asks_not_to_be_tracked(&head.headers) {
        intake.metrics.intake.not_processed.inc_by(batch.items.len() as u64);
        return Ok(untracked(batch.items.len()));
    }
    let now = intake.clock.now();
    let current = (intake.catalog)();
    let rules = current.exclusions(app.subscription.id).map(|rules| &**rules);
    let whence = Whence {
        rules,
        ip: rules.and_then(|_| request::client(&head.headers, &head.extensions, &intake.trusted_proxies)),
        page: head.headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or_default(),
    };
    let user_agent = request::user_agent(&head.headers);
    let guides = current.guides(app.subscription.id).map(|guides| &**guides);
    let privacy = current.privacy(app.subscription.id).map(|privacy| &**privacy);
    let passage = Passage { intake, app, agent: batch.agent, user_agent, whence, guides, privacy, now };
    passage.take(batch).await
}

/// Whether the browser's user does not want to be tracked: Do Not Track, or Global Privacy Control.
pub(super) fn asks_not_to_be_tracked(headers: &HeaderMap) -> bool {
    ["dnt", "sec-gpc"].iter().any(|name| headers.get(*name).is_some_and(|value| value == "1"))
}

/// The answer to a batch of which nothing is taken. The agent sends no more.
fn untracked(total: usize) -> Vec<u8> {
    format!(r#"{{"accepted":{total},"rejected":[],"doNotTrack":true}}"#).into_bytes()
}

/// An item that was not taken: its place in the batch, and why.
pub type Rejection = (usize, ItemError);

/// One batch while it goes through.
struct Passage<'a> {
    intake: &'a Arc<Intake>,
    app: &'a App,
    agent: Agent,
    user_agent: &'a str,
    whence: Whence<'a>,
    guides: Option<&'a Guides>,
    privacy: Option<&'a Privacy>,
    now: UnixMs,
}

impl Passage<'_> {
    async fn take(&self, batch: Batch<'_>) -> Result<Vec<u8>, Refusal> {
        let total = batch.items.len();
        let clocks = Clocks::of(self.now, batch.sent_at);
        let mut rejected: Vec<Rejection> = Vec::new();
        let mut items = Vec::with_capacity(total);
        for (index, raw) in batch.items.into_iter().enumerate() {
            match Item::parse(raw, clocks, self.guides) {
                // Nothing of them is kept, and whoever sends it learns nothing of that.
                Ok(item) if self.forbids(&item) => drop(self.intake.metrics.intake.not_processed.inc()),
                Ok(item) => items.push(self.taken(index, item)),
                Err(error) => rejected.push((index, error)),
            }
        }
        let locks = self.intake.locks.take(self.lock_keys(&items)).await;
        let before = items.len();
        self.drop_repeats(&mut items);
        self.intake.metrics.intake.repeated.inc_by((before - items.len()) as u64);
        let fates = bring_together(&mut items, &self.intake.held, &mut rejected);
        let unseen = self.unseen(&items).await?;
        let plan = self.plan(&items, fates, unseen);
        let room = if plan.firsts() > 0 { Some(self.intake.first_seen.reserve(plan.firsts())?) } else { None };
        if plan.holds() > 0 && !self.intake.held.has_room(plan.holds()) {
            return Err(Refusal::TooManyHeld);
        }
        self.intake.commit(plan, Some(locks), room).await?;
        self.intake.metrics.intake.rejected.inc_by(rejected.len() as u64);
        Ok(answer(total, rejected))
    }

    /// Everything about these items that may happen once only. Who is known to have been seen needs no lock.
    fn lock_keys(&self, items: &[Taken<'_>]) -> Vec<Key> {
        let mut keys = Vec::new();
        for taken in items {
            keys.extend(taken.id);
            keys.extend(taken.nps);
            keys.extend(taken.visitor);
            keys.extend(taken.account);
        }
        keys.sort_unstable();
        keys.dedup();
        keys.retain(|key| !self.intake.first_seen.is_known(*key));
        keys
    }

    fn forbids(&self, item: &Item<'_>) -> bool {
        self.privacy.is_some_and(|privacy| privacy.forbids(&item.visitor_id, &item.account_id))
    }

    /// Anonymous visitors, and sightings that do not count, are nobody's first.
    fn taken<'i>(&self, index: usize, item: Item<'i>) -> Taken<'i> {
        let excluded = self.whence.excluding(&item.visitor_id, &item.account_id, item.url.as_deref());
        let counts = PersonKind::Visitor.is_somebody(&item.visitor_id) && may_be_first(&self.sighting(excluded));
        let has_account = counts && PersonKind::Account.is_somebody(&item.account_id);
        let subscription = self.app.subscription.id;
        Taken {
            excluded,
            visitor: counts.then(|| Key::visitor(subscription, &item.visitor_id)),
            account: has_account.then(|| Key::account(subscription, &item.account_id)),
            ..Taken::new(self.app, index, item)
        }
    }

    /// An id taken before, or before in this batch, is accepted once more and changes nothing.
    fn drop_repeats(&self, items: &mut Vec<Taken<'_>>) {
        let mut here = KeySet::default();
        items.retain(|taken| match taken.id {
            Some(id) => here.insert(id) && !self.intake.item_ids.contains(id.fingerprint(), self.now),
            None => true,
        });
    }

    async fn unseen(&self, items: &[Taken<'_>]) -> Result<KeySet<Key>, Refusal> {
        let mut people = Vec::new();
        let mut asked = KeySet::default();
        for taken in items {
            let is_new = |key: &Key| !self.intake.first_seen.is_known(*key);
            if let Some(key) = taken.visitor.filter(is_new).filter(|key| asked.insert(*key)) {
                people.push((key, Person::Visitor(taken.item.visitor_id.to_string())));
            }
            if let Some(key) = taken.account.filter(is_new).filter(|key| asked.insert(*key)) {
                people.push((key, Person::Account(taken.item.account_id.to_string())));
            }
        }
        if people.is_empty() {
            return Ok(KeySet::default());
        }
        Ok(self.intake.first_seen.unseen(self.app.subscription.id, people).await?)
    }

    fn plan(&self, items: &[Taken<'_>], fates: Vec<Fate<'_>>, mut unseen: KeySet<Key>) -> Plan {
        let mut plan = Plan::new(self.now, self.intake.seed());
        for (at, (taken, fate)) in items.iter().zip(fates).enumerate() {
            if matches!(fate, Fate::Rejected) {
                continue;
            }
            let mut id = taken.id.map(Key::fingerprint);
            if let Some(fingerprint) = id {
                plan.id(fingerprint);
            }
            self.plan_firsts(taken, &mut unseen, &mut id, &mut plan);
            self.plan_item(taken, &mut id, &mut plan);
            self.plan_nps(items, at, fate, &mut id, &mut plan);
            self.plan_visit(taken, &mut plan);
            self.plan_guide(taken, &mut plan);
            if let Some(fingerprint) = id {
                plan.loose_id(fingerprint);
            }
        }
        plan
    }

    fn plan_firsts(&self, taken: &Taken<'_>, unseen: &mut KeySet<Key>, id: &mut Option<u64>, plan: &mut Plan) {
        let envelope = self.envelope(&taken.item);
        if let Some(key) = taken.visitor.filter(|key| unseen.remove(key)) {
            let browser = user_agent::parse(envelope.user_agent);
            let properties = Properties::Visitor { browser: &browser, sample_group: sample_group(envelope.visitor_id) };
            let marks = self.marks(taken, EventKind::VisitorCreated, id);
            plan.first(key, &envelope, EventKind::VisitorCreated, properties, marks);
        }
        if let Some(key) = taken.account.filter(|key| unseen.remove(key)) {
            let marks = self.marks(taken, EventKind::AccountCreated, id);
            plan.first(key, &envelope, EventKind::AccountCreated, Properties::None, marks);
        }
    }

    /// Whom rules exclude is not here.
    fn plan_visit(&self, taken: &Taken<'_>, plan: &mut Plan) {
        let item = &taken.item;
        if taken.visitor.is_none() {
            return;
        }
        let subscription = self.app.subscription.id;
        let key = Key::visit(subscription, &item.visitor_id, &item.account_id);
        if item.what.metadata() != ("", "") || !self.intake.visits.stand_for(key, item.occurred_at) {
            let user_agent = item.user_agent.as_deref().map_or(self.user_agent, request::cut);
            plan.visit(subscription, &Visit { key, item, user_agent });
        }
    }

    /// What a visitor does with a guide of this installation is kept; receivers are told only what they answered. And what
    /// an anonymous visitor did is from now on what they did.
    fn plan_guide(&self, taken: &Taken<'_>, plan: &mut Plan) {
        let item = &taken.item;
        let (subscription, visitor_id) = (self.app.subscription.id, &*item.visitor_id);
        let is_somebody = PersonKind::Visitor.is_somebody(visitor_id);
        // What all share who have no id is nobody's.
        if !is_somebody && !is_anonymous(visitor_id) {
            return;
        }
        // Made only where it is needed: it is a digest.
        let visitor = || Key::visitor(subscription, visitor_id);
        let (guide_id, step_id, did) = match &item.what {
            What::Guide { guide_id, step_id, did } => (&**guide_id, &**step_id, *did),
            // What became part of another item's answers is told with those.
            What::Submit { .. } if taken.merged => return,
            What::Submit { step, .. } if self.guides.is_some_and(|guides| guides.get(&step.guide_id).is_some()) => {
                (&*step.guide_id, &*step.step_id, GuideDid::Answered)
            }
            What::Identify { anonymous_id: Some(anonymous_id), .. } if is_somebody => {
                return plan.merged(visitor(), &MergedEntry { subscription, anonymous_id, visitor_id, at: self.now });
            }
            _ => return,
        };
        plan.guide(visitor(), &GuideEntry { subscription, visitor_id, guide_id, step_id, did, at: self.now });
    }

    fn plan_item(&self, taken: &Taken<'_>, id: &mut Option<u64>, plan: &mut Plan) {
        let item = &taken.item;
        let envelope = self.envelope(item);
        let mut event = |kind, properties| plan.event(&envelope, kind, properties, self.marks(taken, kind, id));
        match &item.what {
            What::Identify { .. } | What::Guide { .. } => {}
            What::Track { name, properties } => {
                // For an agent, the source of a track event is the platform that it runs on.
                let source = self.app.platform.name();
                event(EventKind::TrackEventReceived, Properties::Track { name, properties, source });
            }
            What::GuideSeen { step, poll, nps } => {
                event(EventKind::GuideDisplayed, Properties::Displayed(step));
                if *poll {
                    event(EventKind::PollDisplayed, Properties::Displayed(step));
                }
                if *nps {
                    event(EventKind::NpsDisplayed, Properties::Displayed(step));
                }
            }
            What::Submit { step, answers, .. } => {
                if !answers.is_empty() {
                    event(EventKind::PollSubmitted, Properties::Poll(step, answers));
                }
            }
        }
    }

    fn plan_nps(&self, items: &[Taken<'_>], at: usize, fate: Fate<'_>, id: &mut Option<u64>, plan: &mut Plan) {
        const NO_REASON: &[u8] = b"\"\"";
        let close = |plan: &mut Plan, key, held: &HeldRating, reason: &[u8], id: &mut Option<u64>| {
            plan.nps(&held.draft, reason, id.take(), Some(held.position));
            plan.close(key, held);
        };
        let Some(key) = items[at].nps else { return };
        match fate {
            Fate::Nothing | Fate::Rejected => {}
            Fate::Replaces(held) => close(plan, key, &held, NO_REASON, &mut None),
            Fate::Completes { held, reason } => close(plan, key, &held, &reason, id),
            Fate::Leaves { rating_of, reason: Some(reason), replaces } => {
                if let Some(draft) = self.draft(&items[rating_of], plan) {
                    plan.nps(&draft, &reason, id.take(), replaces.as_ref().map(|held| held.position));
                }
                if let Some(held) = replaces {
                    plan.close(key, &held);
                }
            }
            Fate::Leaves { rating_of, reason: None, replaces } => {
                if let Some(held) = replaces {
                    close(plan, key, &held, NO_REASON, &mut None);
                }
                if let Some(draft) = self.draft(&items[rating_of], plan) {
                    plan.nps(&draft, NO_REASON, id.take(), None);
                }
            }
            Fate::Waits { replaces } => {
                if let Some(held) = replaces {
                    close(plan, key, &held, NO_REASON, &mut None);
                }
                if let Some(draft) = self.draft(&items[at], plan) {
                    plan.hold(key, draft, self.now.after(self.intake.settings.nps_window), id.take());
                }
            }
        }
    }

    /// The event that an item's rating becomes; `None` when the item has none.
    fn draft(&self, taken: &Taken<'_>, plan: &Plan) -> Option<Draft> {
        let What::Submit { step, nps: Some(part), .. } = &taken.item.what else { return None };
        let envelope = self.envelope(&taken.item);
        Some(Draft {
            subscription_id: envelope.subscription_id,
            subscription_name: envelope.subscription_name.to_owned(),
            app_id: envelope.app_id,
            app_name: envelope.app_name.to_owned(),
            platform: envelope.platform,
            visitor_id: envelope.visitor_id.to_owned(),
            account_id: envelope.account_id.to_owned(),
            user_agent: envelope.user_agent.to_owned(),
            occurred_at: envelope.occurred_at,
            unique_id: plan.unique_id(&envelope, EventKind::NpsSubmitted),
            step: (**step).clone(),
            rating: part.rating?,
            source: part.source,
            withheld: judge(&self.sighting(taken.excluded), EventKind::NpsSubmitted),
        })
    }

    fn marks(&self, taken: &Taken<'_>, kind: EventKind, id: &mut Option<u64>) -> Marks {
        Marks { withheld: judge(&self.sighting(taken.excluded), kind), item: id.take(), closes: None }
    }

    fn sighting(&self, excluded: Option<ExclusionId>) -> Sighting {
        Sighting { agent: self.agent, excluded }
    }

    fn envelope<'i>(&'i self, item: &'i Item<'_>) -> Envelope<'i> {
        let mut envelope = Envelope::of(self.app, "", item.occurred_at, UniqueId([0; 20]));
        envelope.visitor_id = &item.visitor_id;
        envelope.account_id = &item.account_id;
        envelope.user_agent = item.user_agent.as_deref().map_or(self.user_agent, request::cut);
        envelope
    }
}

fn answer(total: usize, mut rejected: Vec<Rejection>) -> Vec<u8> {
    rejected.sort_by_key(|(index, _)| *index);
    let mut out = Vec::with_capacity(64);
    let _ = write!(out, "{{\"accepted\":{},\"rejected\":[", total - rejected.len());
    for (at, (index, error)) in rejected.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(out, "{comma}{{\"index\":{index},\"reason\":");
        append_string(&mut out, &error.to_string());
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    out
}
