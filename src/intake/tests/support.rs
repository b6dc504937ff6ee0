//! A journal and a store in memory that do as they are told, and an intake over them.

use crate::catalog::{App, Guide, Showing, Snapshot, StepContent, Subscription};
use crate::clock::{Clock, ManualClock, SeededRandom};
use crate::config::IntakeSettings;
use crate::intake::keys::lock;
use crate::intake::{GuideStore, Intake, IntakeParts, Recall, Restored, Seen, SeenError, router};
use crate::journal::{AppendError, Chunk, Group, Holder, Journal, ReadError};
use crate::model::{
    AppId, Choice, Entry, EventKind, GuideHistory, GuideProperties, GuideState, GuideStep, PersonKind, Platform, Poll,
    PollType, Position, SubscriptionId, UnixMs, UserRef, Withheld,
};
use ::http::{HeaderMap, Request, StatusCode};
use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use ring::digest;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

pub(super) const NOW: UnixMs = UnixMs(1_626_804_144_500);
pub(super) const SUBSCRIPTION: SubscriptionId = SubscriptionId(4_802_463_602_049_999);

/// A journal in memory.
pub(super) struct FakeJournal {
    groups: Mutex<Vec<(Position, Bytes)>>,
    next: AtomicU64,
    durable: watch::Sender<Position>,
    /// Answers wait for a permit each, once `gated`.
    pub(super) gate: Arc<Semaphore>,
    pub(super) gated: AtomicBool,
    /// Every n-th append fails; 0: none, 1: each.
    pub(super) fail_every: AtomicU64,
    pub(super) appends: AtomicU64,
    pub(super) error: Mutex<AppendError>,
}

impl Default for FakeJournal {
    fn default() -> Self {
        Self {
            groups: Mutex::default(),
            next: AtomicU64::new(1),
            durable: watch::Sender::new(Position::ZERO),
            gate: Arc::new(Semaphore::new(0)),
            gated: AtomicBool::new(false),
            fail_every: AtomicU64::new(0),
            appends: AtomicU64::new(0),
            error: Mutex::new(AppendError::Overloaded),
        }
    }
}

impl FakeJournal {
    fn chunk(&self) -> Chunk {
        Chunk::new(lock(&self.groups).clone(), Position::ZERO, Position::ZERO)
    }

    /// How many appends were asked for.
    pub(super) fn appends(&self) -> u64 {
        self.appends.load(Ordering::SeqCst)
    }

    pub(super) fn fail_every(&self, n: u64) {
        self.fail_every.store(n, Ordering::SeqCst);
    }

    pub(super) fn group_count(&self) -> usize {
        lock(&self.groups).len()
    }
}

impl Journal for FakeJournal {
    fn append(&self, group: Group) -> Pin<Box<dyn Future<Output = Result<Position, AppendError>> + Send>> {
        assert!(!group.is_empty(), "a group of nothing");
        let number = self.appends.fetch_add(1, Ordering::SeqCst) + 1;
        let every = self.fail_every.load(Ordering::SeqCst);
        let gate = self.gated.load(Ordering::SeqCst).then(|| self.gate.clone());
        let result = if every > 0 && number.is_multiple_of(every) {
            Err(lock(&self.error).clone())
        } else {
            let mut groups = lock(&self.groups);
            let position = Position(self.next.fetch_add(u64::from(group.count()), Ordering::SeqCst));
            groups.push((position, Bytes::copy_from_slice(group.bytes())));
            Ok(position)
        };
        Box::pin(async move {
            match gate {
                Some(gate) => gate.acquire().await.unwrap().forget(),
                None => tokio::task::yield_now().await,
            }
            result
        })
    }

    fn record(&self, _: Group) {
        panic!("intake records nothing");
    }

    fn read(&self, _: Position, _: usize) -> Result<Chunk, ReadError> {
        Ok(self.chunk())
    }

    fn durable(&self) -> watch::Receiver<Position> {
        self.durable.subscribe()
    }

    fn oldest(&self) -> Position {
        Position(1)
    }

    fn accepting(&self) -> Result<(), AppendError> {
        Ok(())
    }

    fn outgrown(&self) -> Position {
        Position(1)
    }

    fn release(&self, _: Holder, _: Position) {}
}

/// A store in memory that knows who is in the journal when it is told to look.
#[derive(Default)]
pub(super) struct FakeStore {
    pub(super) visitors: Mutex<HashSet<String>>,
    pub(super) accounts: Mutex<HashSet<String>>,
    projected: AtomicU64,
    pub(super) broken: AtomicBool,
    pub(super) asked: AtomicU64,
}

impl FakeStore {
    pub(super) fn project(&self, entries: &[Stored]) {
        for entry in entries {
            match entry.kind {
                Some(EventKind::VisitorCreated) => drop(lock(&self.visitors).insert(entry.visitor_id.clone())),
                Some(EventKind::AccountCreated) => drop(lock(&self.accounts).insert(entry.account_id.clone())),
                _ => {}
            }
            self.projected.fetch_max(entry.position.0, Ordering::SeqCst);
        }
    }

    fn answer(&self, set: &Mutex<HashSet<String>>, id: &str) -> Result<bool, SeenError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.broken.load(Ordering::SeqCst) {
            return Err(SeenError(String::from("the disk is gone")));
        }
        Ok(lock(set).contains(id))
    }
}

impl Seen for FakeStore {
    fn visitor(&self, _: SubscriptionId, id: &str) -> Result<bool, SeenError> {
        self.answer(&self.visitors, id)
    }

    fn account(&self, _: SubscriptionId, id: &str) -> Result<bool, SeenError> {
        self.answer(&self.accounts, id)
    }

    fn projected(&self) -> Position {
        Position(self.projected.load(Ordering::SeqCst))
    }
}

/// Nobody has done anything with guides.
impl GuideStore for FakeStore {
    fn histories(
        &self,
        _: SubscriptionId,
        visitor_id: &str,
        _: bool,
    ) -> Result<HashMap<String, GuideHistory>, SeenError> {
        self.answer(&self.visitors, visitor_id).map(|_| HashMap::new())
    }

    fn metadata(&self, _: SubscriptionId, _: PersonKind, _: &str) -> Result<Vec<(String, String)>, SeenError> {
        Ok(Vec::new())
    }
}

/// One entry of the journal, owned.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) position: Position,
    /// `None` for what is not an event.
    pub(super) kind: Option<EventKind>,
    pub(super) visitor_id: String,
    pub(super) account_id: String,
    pub(super) withheld: Option<Withheld>,
    pub(super) item: Option<u64>,
    pub(super) closes: Option<Position>,
    pub(super) items: Vec<u64>,
    pub(super) body: String,
}

impl Stored {
    fn of(position: Position, entry: &Entry<'_>) -> Self {
        let mut stored = Self {
            position,
            kind: None,
            visitor_id: String::new(),
            account_id: String::new(),
            withheld: None,
            item: None,
            closes: None,
            items: Vec::new(),
            body: String::new(),
        };
        match entry {
            Entry::Event(event) => {
                stored.kind = Some(event.kind);
                stored.visitor_id = event.visitor_id.to_owned();
                stored.account_id = event.account_id.to_owned();
                stored.withheld = event.withheld.clone();
                stored.item = event.item;
                stored.closes = event.closes;
                stored.body = String::from_utf8(event.body.to_vec()).unwrap();
            }
            Entry::Held(held) => stored.item = held.item,
            Entry::Items(items) => stored.items = items.fingerprints.clone(),
            other => panic!("intake wrote {other:?}"),
        }
        stored
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(super) fn properties(&self) -> Value {
        self.json()["properties"].take()
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(super) fn reason(&self, at: usize) -> String {
        self.json()["rejected"][at]["reason"].as_str().unwrap_or_default().to_owned()
    }
}

/// An intake with everything around it.
#[derive(Clone)]
pub(super) struct Rig {
    pub(super) intake: Arc<Intake>,
    pub(super) journal: Arc<FakeJournal>,
    pub(super) store: Arc<FakeStore>,
    pub(super) clock: Arc<ManualClock>,
    service: TowerToHyperService<axum::Router>,
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(settings())
    }

    pub(super) fn with(settings: IntakeSettings) -> Self {
        let clock = Arc::new(ManualClock::at(NOW));
        Self::over(settings, Arc::default(), Arc::default(), clock, Restored::default())
    }

    fn over(
        settings: IntakeSettings,
        journal: Arc<FakeJournal>,
        store: Arc<FakeStore>,
        clock: Arc<ManualClock>,
        restored: Restored,
    ) -> Self {
        let snapshot = Arc::new(snapshot());
        let intake = Intake::new(IntakeParts {
            catalog: Arc::new(move || snapshot.clone()),
            journal: journal.clone(),
            seen: store.clone(),
            guides: store.clone(),
            clock: clock.clone(),
            random: Arc::new(SeededRandom::new(clock.now().0 as u64 ^ journal.appends())),
            settings,
            public_origin: String::from("https://fanfare.test"),
            trusted_proxies: Vec::new(),
            restored,
            metrics: Arc::new(crate::observe::Metrics::new()),
        });
        let service = TowerToHyperService::new(router(intake.clone()));
        Self { intake, journal, store, clock, service }
    }

    /// What a crash leaves: the journal, projected before the next start.
    pub(super) fn restart(&self) -> Self {
        let entries = self.entries();
        self.store.project(&entries);
        let mut recall = Recall::new(1000);
        for entry in self.journal.chunk().entries() {
            let (position, entry) = entry.unwrap();
            recall.observe(position, &entry);
        }
        Self::over(settings(), self.journal.clone(), self.store.clone(), self.clock.clone(), recall.finish())
    }

    /// What was written, visits left out.
    pub(super) fn entries(&self) -> Vec<Stored> {
        let chunk = self.journal.chunk();
        let is_told_elsewhere =
            |entry: &Entry<'_>| matches!(entry, Entry::Visit(_) | Entry::Guide(_) | Entry::Merged(_));
        let entries = chunk.entries().map(Result::unwrap).filter(|(_, entry)| !is_told_elsewhere(entry));
        entries.map(|(position, entry)| Stored::of(position, &entry)).collect()
    }

    /// What visitors did with guides, and who they turned out to be: visitor, step or anonymous id, what.
    pub(super) fn guides(&self) -> Vec<(String, String, String)> {
        let text = |(visitor, other, what): (&str, &str, String)| (visitor.to_owned(), other.to_owned(), what);
        let guide = |(_, entry): (Position, Entry<'_>)| match entry {
            Entry::Guide(g) => Some(text((g.visitor_id, g.step_id, format!("{:?}", g.did)))),
            Entry::Merged(m) => Some(text((m.visitor_id, m.anonymous_id, String::from("Merged")))),
            _ => None,
        };
        self.journal.chunk().entries().map(Result::unwrap).filter_map(guide).collect()
    }

    /// The visits that were written: visitor, account, time, browser, the metadata of visitor and account.
    pub(super) fn visits(&self) -> Vec<(String, String, i64, String, String, String)> {
        let visit = |(_, entry): (Position, Entry<'_>)| match entry {
            Entry::Visit(v) => Some((
                v.visitor_id.to_owned(),
                v.account_id.to_owned(),
                v.at.0,
                format!("{} {}", v.browser_name, v.browser_version),
                v.visitor.to_owned(),
                v.account.to_owned(),
            )),
            _ => None,
        };
        self.journal.chunk().entries().map(Result::unwrap).filter_map(visit).collect()
    }

    /// The names of all entries, in order; "held" and "items" for those that are no events.
    pub(super) fn names(&self) -> Vec<&'static str> {
        let name =
            |entry: &Stored| entry.kind.map_or(if entry.items.is_empty() { "held" } else { "items" }, EventKind::name);
        self.entries().iter().map(name).collect()
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.service.call(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, text: String::from_utf8(body.to_vec()).unwrap() }
    }

    pub(super) async fn track(&self, body: &str) -> Answer {
        self.send(track_request(body.to_owned())).await
    }

    /// A batch of these items from a current agent.
    pub(super) async fn items(&self, items: &[Value]) -> Answer {
        self.batch(&serde_json::json!({"agentVersion": "2.33.0", "events": items})).await
    }

    pub(super) async fn batch(&self, batch: &Value) -> Answer {
        self.send(events_request(batch.to_string())).await
    }
}

pub(super) fn track_request(body: impl Into<Body>) -> Request<Body> {
    Request::post("/data/track")
        .header("content-type", "application/json")
        .header("x-pendo-integration-key", "track-secret")
        .body(body.into())
        .unwrap()
}

pub(super) fn events_request(body: impl Into<Body>) -> Request<Body> {
    Request::post("/data/events")
        .header("content-type", "application/json")
        .header("x-fanfare-agent-key", "agent-key")
        .header("user-agent", crate::intake::sample::USER_AGENT)
        .body(body.into())
        .unwrap()
}

pub(super) fn settings() -> IntakeSettings {
    IntakeSettings {
        item_id_ttl: Duration::from_secs(86_400),
        item_id_count: 1000,
        nps_window: Duration::from_secs(2),
        first_seen_pending: 10_000,
        connections: 100,
    }
}

fn snapshot() -> Snapshot {
    let subscription = Arc::new(Subscription { id: SUBSCRIPTION, name: String::from("test_application") });
    let app = |id, key: &str, platform| {
        let mut track_secret_hash = [0; 32];
        let track_secret = if key == "agent-key" { "track-secret" } else { key };
        track_secret_hash.copy_from_slice(digest::digest(&digest::SHA256, track_secret.as_bytes()).as_ref());
        App {
            subscription: subscription.clone(),
            id,
            name: String::from("test_application"),
            platform,
            origins: vec![String::from("https://app.test")],
            respects_do_not_track: platform == Platform::Ios,
            agent_key: key.to_owned(),
            old_agent_key: None,
            track_secret_hash,
            old_track_secret: None,
            created_at: UnixMs(0),
        }
    };
    let web = app(AppId::FIRST, "agent-key", Platform::Web);
    let ios = app(AppId(7), "ios-key", Platform::Ios);
    let mut snapshot = Snapshot::of_apps([web, ios]);
    snapshot.insert_guide(Arc::new(known_guide()));
    snapshot
}

/// A guide of the installation itself, with a step of polls, one of NPS and one of text.
fn known_guide() -> Guide {
    let poll = |id: &str, kind, choices: &[(&str, &str)]| Poll {
        id: String::from(id),
        kind,
        question: String::from("?"),
        choices: choices.iter().map(|(id, text)| Choice { id: (*id).into(), text: (*text).into() }).collect(),
    };
    let step = |id: &str| GuideStep { id: id.into(), last_updated_at: 3, reset_at: 0, kind: String::new() };
    let user = UserRef { username: String::from("ada@example.com") };
    let choices = [("c1", "Engineer"), ("c2", "Product \"Manager\"")];
    Guide {
        subscription: SUBSCRIPTION,
        state: GuideState::Draft,
        properties: GuideProperties {
            created_at: 1,
            created_by_user: user.clone(),
            id: String::from("known"),
            last_updated_at: 2,
            last_updated_by_user: user,
            name: String::from("Known"),
            steps: vec![step("polls"), step("nps"), step("text")],
        },
        polls: vec![
            vec![
                poll("score", PollType::NumberScale, &[]),
                poll("role", PollType::PickList, &choices),
                poll("why", PollType::FreeForm, &[]),
            ],
            vec![poll("rating", PollType::NpsRating, &[]), poll("reason", PollType::NpsReason, &[])],
            vec![],
        ],
        contents: vec![StepContent::default(); 3],
        showing: Showing::default(),
    }
}

/// An item of `kind` by visitor "v" of account "a", with these fields besides.
pub(super) fn item(kind: &str, fields: &Value) -> Value {
    let mut item = serde_json::json!({"type": kind, "visitorId": "v", "accountId": "a", "browserTime": NOW.0 - 1000});
    merge(&mut item, fields);
    item
}

/// The same for items about a guide's step.
pub(super) fn on_step(kind: &str, fields: &Value) -> Value {
    let mut item = item(
        kind,
        &serde_json::json!({"guideId": "g", "guideStepId": "s", "language": "en-US", "guideProperties": guide()}),
    );
    merge(&mut item, fields);
    item
}

pub(super) fn guide() -> Value {
    serde_json::json!({
        "createdAt": 1, "createdByUser": {"username": "u"}, "id": "g", "lastUpdatedAt": 2,
        "lastUpdatedByUser": {"username": "w"}, "name": "G", "unknown": 1,
        "steps": [{"id": "s", "lastUpdatedAt": 3, "resetAt": 4, "type": "building-block"}],
    })
}

fn merge(into: &mut Value, fields: &Value) {
    for (key, value) in fields.as_object().unwrap() {
        into[key] = value.clone();
    }
}
