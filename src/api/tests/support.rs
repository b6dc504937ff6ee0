//! A node's API with everything around it replaced.

use crate::api::{ApiParts, RecordReader, Tester, WebhookDefaults, router};
use crate::catalog::Catalog;
use crate::catalog::tests::{MemoryJournal, initialise, parts};
use crate::clock::{Clock, ManualClock};
use crate::config::{ApiSettings, Settings};
use crate::deliver::{Destination, Message, Outcome};
use crate::filter::{Facts, Interest};
use crate::inspector::Inspector;
use crate::model::{
    AppId, DeliveryId, DeliveryState, EventId, EventKind, PersonKind, Position, Reason, Replay, ReplayChoice, ReplayId,
    SubscriptionId, Timings, UniqueId, UnixMs, WebhookId,
};
use crate::record::view::*;
use crate::record::{Explained, RecordError};
use crate::seal::MasterKey;
use crate::store::sqlite::{Sync, open};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(super) const NOW: UnixMs = UnixMs(1_626_803_900_000);
pub(super) const SECRET: &str = "It's a Secret to Everybody";
/// Keys of a member of the first subscription, and of the admin of a second one.
pub(super) const MEMBER: &str = "ff_key_member";
pub(super) const OTHER: &str = "ff_key_other";
/// Tokens of sessions of the first subscription, where there are such.
pub(super) const ADMIN_SESSION: &str = "ff_session_admin";
pub(super) const MEMBER_SESSION: &str = "ff_session_member";
pub(super) const OTHER_SUBSCRIPTION: u64 = 4_802_463_602_049_999;

pub(super) struct Node {
    pub(super) dir: tempfile::TempDir,
    pub(super) admin: String,
    /// The token of the set-up link.
    pub(super) setup: String,
    pub(super) subscription: SubscriptionId,
    pub(super) clock: Arc<ManualClock>,
    pub(super) catalog: Arc<Catalog>,
    pub(super) journal: Arc<MemoryJournal>,
    pub(super) records: Arc<FakeRecords>,
    pub(super) receiver: Arc<FakeReceiver>,
    router: Router,
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// Checks that it is a problem with this status and code, and gives its detail.
    pub(super) fn problem(&self, status: u16, code: &str) -> String {
        assert_eq!((self.status.as_u16(), self.json()["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.json()["status"], status);
        self.json()["detail"].as_str().unwrap().to_owned()
    }

    pub(super) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.json()
    }
}

impl Node {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = initialise(dir.path());
        let subscription = SubscriptionId(made.subscription_id);
        more_keys(&dir, subscription);
        let setup = made.setup_url.split_once("token=").unwrap().1.to_owned();
        let node = Parts { dir, admin: made.integration_key, setup, subscription };
        node.start()
    }

    /// With somebody signed in: an admin and a member of the first subscription.
    pub(super) fn with_sessions() -> Self {
        let node = Self::new();
        let (subscription, until) = (node.subscription.0, NOW.0 + 3_600_000);
        for (id, role, token) in [(21, "admin", ADMIN_SESSION), (22, "member", MEMBER_SESSION)] {
            let hash = hex::encode(digest(&SHA256, token.as_bytes()));
            node.sql(&format!(
                "INSERT INTO users (id, subscription_id, email, name, role, created_at, password_hash)
                     VALUES ({id}, {subscription}, '{role}@example.com', '{role}', '{role}', 0, 'none');
                 INSERT INTO sessions VALUES ('{hash}', {id}, 0, {0}, {until}, '', '');",
                NOW.0
            ));
        }
        node.restart()
    }

    /// The same data directory, opened again.
    pub(super) fn restart(self) -> Self {
        let (admin, setup) = (self.admin, self.setup);
        Parts { dir: self.dir, admin, setup, subscription: self.subscription }.start()
    }

    pub(super) fn sql(&self, sql: &str) {
        open(&self.dir.path().join("fanfare.db"), Sync::Full).unwrap().execute_batch(sql).unwrap();
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = TowerToHyperService::new(self.router.clone()).call(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(!text.contains(SECRET), "no answer shows a secret: {text}");
        Answer { status: parts.status, headers: parts.headers, text }
    }

    pub(super) async fn call_as(&self, key: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        let request = request(method, path).header("authorization", format!("Bearer {key}"));
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        self.send(request.unwrap()).await
    }

    pub(super) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.call_as(&self.admin, method, path, body).await
    }

    pub(super) fn clock_now(&self) -> UnixMs {
        self.clock.now()
    }

    /// A call from a browser with these cookies and this CSRF token.
    pub(super) async fn browse(
        &self,
        (cookie, csrf): (&str, &str),
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let mut request = request(method, path).header("user-agent", "Firefox");
        if !cookie.is_empty() {
            request = request.header("cookie", format!("fanfare_session={cookie}"));
        }
        if !csrf.is_empty() {
            request = request.header("x-csrf-token", csrf);
        }
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        self.send(request.unwrap()).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }

    /// Creates a webhook, and gives its id.
    pub(super) async fn webhook(&self, key: &str) -> String {
        let body = json!({"name": "CRM", "url": "https://example.com/hook", "secret": SECRET});
        let created = self.call_as(key, "POST", "/api/v1/webhooks", Some(body)).await.ok(201);
        created["id"].as_str().unwrap().to_owned()
    }
}

pub(super) fn request(method: &str, path: &str) -> http::request::Builder {
    let peer: SocketAddr = "192.0.2.7:4000".parse().unwrap();
    Request::builder().method(method).uri(path).extension(ConnectInfo(peer))
}

struct Parts {
    dir: tempfile::TempDir,
    admin: String,
    setup: String,
    subscription: SubscriptionId,
}

impl Parts {
    fn start(self) -> Node {
        let clock = Arc::new(ManualClock::at(NOW));
        let key = MasterKey::find(None, self.dir.path()).unwrap();
        let catalog = Catalog::open(&self.dir.path().into(), parts(key, clock.clone())).unwrap();
        let (journal, records, receiver) = (MemoryJournal::new(), Arc::default(), Arc::new(FakeReceiver::default()));
        let parts = ApiParts {
            catalog: catalog.clone(),
            journal: journal.clone(),
            records: Arc::clone(&records) as Arc<dyn RecordReader>,
            tester: receiver.clone(),
            sampler: Arc::new(|subscription, event| {
                let name = event.map_or("ping", EventKind::name);
                (UniqueId([9; 20]), Bytes::from(format!("{{\"event\":\"{name}\",\"of\":\"{}\"}}", subscription.name)))
            }),
            settings: ApiSettings {
                wrong_keys_per_minute: 100,
                calls_per_second: 100,
                calls_burst: 1000,
                body_bytes: 64 * 1024,
                metadata_timeout: Duration::from_secs(300),
            },
            sign_in: Settings::defaults().sign_in,
            provider: None,
            inspector: Arc::new(Inspector::new(catalog.addresses().clone(), clock.clone())),
            public_url: String::from("https://fanfare.example.com"),
            home: String::from("/"),
            secure: false,
            defaults: WebhookDefaults { timeout_s: 300, concurrency: 32 },
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            clock: clock.clone(),
            stop: CancellationToken::new(),
        };
        let (dir, admin, setup, subscription) = (self.dir, self.admin, self.setup, self.subscription);
        Node { dir, admin, setup, subscription, clock, catalog, journal, records, receiver, router: router(parts) }
    }
}

fn more_keys(dir: &tempfile::TempDir, subscription: SubscriptionId) {
    let hash = |key: &str| hex::encode(digest(&SHA256, key.as_bytes()));
    let sql = format!(
        "INSERT INTO subscriptions VALUES ({OTHER_SUBSCRIPTION}, 'Other', 1626803899000);
         INSERT INTO users (id, subscription_id, email, name, role, created_at)
             VALUES (5, {OTHER_SUBSCRIPTION}, 'ada@example.com', 'Ada', 'admin', 0);
         INSERT INTO integration_keys VALUES (1, {}, 'm', 'member', '{}', NULL, 0, NULL, NULL);
         INSERT INTO integration_keys VALUES (2, {OTHER_SUBSCRIPTION}, 'o', 'admin', '{}', 5, 0, NULL, NULL);",
        subscription.0,
        hash(MEMBER),
        hash(OTHER)
    );
    open(&dir.path().join("fanfare.db"), Sync::Full).unwrap().execute_batch(&sql).unwrap();
}

/// Records that answer what they were given.
#[derive(Debug, Default)]
pub(super) struct FakeRecords {
    pub(super) deliveries: Mutex<Vec<(SubscriptionId, DeliveryDetail)>>,
    pub(super) events: Mutex<Vec<(SubscriptionId, EventDetail)>>,
    /// Visitors and accounts that are known.
    pub(super) people: Mutex<Vec<(SubscriptionId, String)>>,
    pub(super) ranges: Mutex<Vec<RangeSummary>>,
    pub(super) stats: Mutex<WebhookStats>,
    pub(super) replays: Mutex<Vec<ReplayView>>,
    pub(super) asked: Mutex<Vec<String>>,
    pub(super) broken: Mutex<bool>,
}

impl FakeRecords {
    fn check(&self, cursor: Option<&str>) -> Result<(), RecordError> {
        if *self.broken.lock().unwrap() {
            return Err(RecordError::Damaged);
        }
        if cursor == Some("wrong") { Err(RecordError::Cursor) } else { Ok(()) }
    }
}

impl RecordReader for FakeRecords {
    fn deliveries(&self, query: &DeliveryQuery) -> Result<Page<DeliverySummary>, RecordError> {
        self.asked.lock().unwrap().push(format!("{query:?}"));
        self.check(query.cursor.as_deref())?;
        let all = self.deliveries.lock().unwrap();
        let mine = all.iter().filter(|(of, row)| *of == query.subscription && row.summary.id.webhook == query.webhook);
        Ok(Page { data: mine.map(|(_, row)| row.summary.clone()).collect(), next: Some(String::from("more")) })
    }

    fn newer(&self, query: &DeliveryQuery, seen: Option<Position>, _: &[DeliveryId]) -> Result<Newer, RecordError> {
        let rows = self.deliveries(query)?.data;
        let seen = seen.unwrap_or(Position(1));
        Ok(Newer { rows, skipped: 0, is_complete: true, watched: Vec::new(), seen })
    }

    fn figures(&self, _: WebhookId, (from, to): (UnixMs, UnixMs), by: i64) -> Result<Vec<FigureStep>, RecordError> {
        self.asked.lock().unwrap().push(format!("figures {} to {} by {by}", from.rfc3339(), to.rfc3339()));
        let (delivered, failed, attempts, failed_attempts, took_ms) = (9, 1, 12, 3, [1.5, 20.0, 250.0]);
        Ok(vec![FigureStep { at: from, delivered, failed, attempts, failed_attempts, took_ms, waited_min: 0 }])
    }

    /// Whoever tells of changes is gone: a stream ends after its first message.
    fn changes(&self) -> watch::Receiver<Position> {
        watch::channel(Position::ZERO).1
    }

    fn log(&self, query: &DeliveryQuery) -> Result<Page<LogItem>, RecordError> {
        self.asked.lock().unwrap().push(format!("{query:?}"));
        self.check(query.cursor.as_deref())?;
        Ok(Page { data: Vec::new(), next: None })
    }

    fn ranges(&self, _: WebhookId) -> Result<Vec<RangeSummary>, RecordError> {
        self.check(None)?;
        Ok(self.ranges.lock().unwrap().clone())
    }

    fn delivery(&self, subscription: SubscriptionId, id: DeliveryId) -> Result<Option<DeliveryDetail>, RecordError> {
        self.check(None)?;
        let all = self.deliveries.lock().unwrap();
        Ok(all.iter().find(|(of, row)| *of == subscription && row.summary.id == id).map(|(_, row)| row.clone()))
    }

    fn plan_replay(&self, ask: &ReplayAsk) -> Result<Replay, RecordError> {
        self.check(None)?;
        let ReplayAsk { webhook, subscription, choice, kind, from, to, forced } = *ask;
        let (first, last, at) = (Position(1), Position(9), NOW);
        Ok(Replay { webhook, subscription, choice, kind, first, last, from, to, forced, at })
    }

    fn replays(&self, of: WebhookId, cursor: Option<&str>, _: usize) -> Result<Page<ReplayView>, RecordError> {
        self.check(cursor)?;
        let all = self.replays.lock().unwrap();
        Ok(Page { data: all.iter().filter(|view| view.asked.webhook == of).copied().collect(), next: None })
    }

    fn replay(&self, id: ReplayId) -> Result<Option<ReplayView>, RecordError> {
        self.check(None)?;
        Ok(self.replays.lock().unwrap().iter().find(|view| view.id == id).copied())
    }

    fn open_replays(&self, of: SubscriptionId) -> Result<usize, RecordError> {
        self.check(None)?;
        let all = self.replays.lock().unwrap();
        Ok(all.iter().filter(|view| view.asked.subscription == of && view.ended.is_none()).count())
    }

    fn try_filter(&self, of: SubscriptionId, interest: &Interest, most: usize) -> Result<Vec<Tried>, RecordError> {
        self.check(None)?;
        let all = self.events.lock().unwrap();
        let mine = all.iter().filter(|(subscription, _)| *subscription == of).map(|(_, detail)| detail);
        let tried = mine.map(|detail| {
            let judgement = interest.judge(&Facts::new(detail.summary.kind, &detail.body));
            Tried { event: detail.summary.clone(), judgement }
        });
        Ok(tried.take(most).collect())
    }

    fn missed(&self, _: SubscriptionId, _: WebhookId, _: &Interest) -> Result<Missed, RecordError> {
        self.check(None)?;
        Ok(Missed { since: None, events: 0, is_complete: true })
    }

    fn errors(&self, query: &ErrorQuery) -> Result<Page<ErrorItem>, RecordError> {
        self.asked.lock().unwrap().push(format!("{query:?}"));
        self.check(query.cursor.as_deref())?;
        Ok(Page { data: Vec::new(), next: None })
    }

    fn events(&self, query: &EventQuery) -> Result<Page<EventSummary>, RecordError> {
        self.asked.lock().unwrap().push(format!("{query:?}"));
        self.check(query.cursor.as_deref())?;
        let all = self.events.lock().unwrap();
        let mine = all.iter().filter(|(of, _)| *of == query.subscription);
        Ok(Page { data: mine.map(|(_, row)| row.summary.clone()).collect(), next: None })
    }

    fn event(&self, subscription: SubscriptionId, id: EventId) -> Result<Option<EventDetail>, RecordError> {
        let all = self.events.lock().unwrap();
        Ok(all.iter().find(|(of, row)| *of == subscription && row.summary.id == id).map(|(_, row)| row.clone()))
    }

    fn explain(
        &self,
        subscription: SubscriptionId,
        id: EventId,
        webhooks: &[WebhookId],
    ) -> Result<Option<Explained>, RecordError> {
        let event = self.event(subscription, id)?.map(|event| event.summary);
        let reason = |webhook: &WebhookId| Explanation {
            webhook: *webhook,
            why: Why::OnItsWay,
            filter: None,
            failure: None,
            delivery: None,
        };
        Ok(event.map(|event| Explained { event: Some(event), reasons: webhooks.iter().map(reason).collect() }))
    }

    fn people(
        &self,
        (subscription, _): (SubscriptionId, PersonKind),
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<PersonSummary>, RecordError> {
        let people = self.people.lock().unwrap();
        let is_meant = |id: &String| id.starts_with(prefix) && after.is_none_or(|after| id.as_str() > after);
        let ids = people.iter().filter(|(of, id)| *of == subscription && is_meant(id)).map(|(_, id)| id.clone());
        let (known_at, visit) = (UnixMs(0), None);
        let summary = |id| PersonSummary { id, known_at, first_visit: visit, last_visit: visit, account_id: None };
        Ok(ids.take(limit).map(summary).collect())
    }

    fn person(
        &self,
        subscription: SubscriptionId,
        _: PersonKind,
        id: &str,
    ) -> Result<Option<PersonDetail>, RecordError> {
        let is_known = self.people.lock().unwrap().contains(&(subscription, id.to_owned()));
        Ok(is_known.then(|| PersonDetail {
            known_at: UnixMs(0),
            first_visit: None,
            last_visit: None,
            browser: None,
            account_id: None,
            metadata: vec![(String::from("agent"), String::from("{\"plan\":\"pro\"}"))],
            sub_accounts: Vec::new(),
            anonymous_ids: Vec::new(),
            events: Vec::new(),
        }))
    }

    fn catch_up(&self) -> Result<(), RecordError> {
        self.check(None)
    }

    fn metadata(
        &self,
        subscription: SubscriptionId,
        _: PersonKind,
        _: &str,
        ids: &[String],
    ) -> Result<Vec<Option<KnownGroup>>, RecordError> {
        let people = self.people.lock().unwrap();
        let known = ids.iter().map(|id| people.contains(&(subscription, id.clone())).then(KnownGroup::default));
        Ok(known.collect())
    }

    fn webhook_stats(&self, _: WebhookId) -> Result<WebhookStats, RecordError> {
        self.check(None)?;
        Ok(*self.stats.lock().unwrap())
    }
}

/// A receiver that answers 200 and remembers what it was sent.
#[derive(Debug, Default)]
pub(super) struct FakeReceiver {
    pub(super) sent: Mutex<Vec<(Arc<Destination>, Message)>>,
    pub(super) fails: Mutex<bool>,
    /// Set: answers wait until it is notified.
    pub(super) hold: Mutex<Option<Arc<tokio::sync::Notify>>>,
}

impl Tester for FakeReceiver {
    fn send(&self, destination: Arc<Destination>, message: Message) -> Pin<Box<dyn Future<Output = Outcome> + Send>> {
        self.sent.lock().unwrap().push((destination, message));
        let hold = self.hold.lock().unwrap().clone();
        let (status, reason) =
            if *self.fails.lock().unwrap() { (0, Reason::ConnectionRefused) } else { (200, Reason::Accepted) };
        Box::pin(async move {
            if let Some(hold) = hold {
                hold.notified().await;
            }
            outcome(status, reason)
        })
    }
}

fn outcome(status: u16, reason: Reason) -> Outcome {
    Outcome {
        status,
        reason,
        detail: String::from("details"),
        retry_after: None,
        timings: timings(),
        request_headers: String::from("Content-Type: application/json\r\nX-Pendo-Signature: ab"),
        request_body: None,
        response_headers: String::from("server: x"),
        response_body: Bytes::from_static(b"\xff"),
        response_cut: false,
    }
}

fn timings() -> Timings {
    Timings { dns_us: None, connect_us: Some(1500), tls_us: None, first_byte_us: Some(2000), total_us: 2500 }
}

/// An event and a delivery of it, for the records.
pub(super) fn event(position: u64) -> EventDetail {
    let summary = EventSummary {
        id: EventId(Position(position)),
        app: AppId::FIRST,
        kind: EventKind::NpsSubmitted,
        unique_id: UniqueId([7; 20]),
        visitor_id: String::from("v"),
        account_id: String::from("a::b"),
        occurred_at: UnixMs(NOW.0 - 5),
        accepted_at: NOW,
        withheld: Some(crate::model::Withheld::AgentTooOld),
    };
    EventDetail { summary, body: Bytes::from_static(br#"{"event":"npsSubmitted"}"#) }
}

pub(super) fn delivery(webhook: WebhookId, position: u64) -> DeliveryDetail {
    let summary = DeliverySummary {
        id: DeliveryId { webhook, origin: Position(position) },
        event: EventId(Position(position)),
        kind: EventKind::NpsSubmitted,
        unique_id: UniqueId([7; 20]),
        status: DeliveryState::Retrying,
        attempts: 1,
        created_at: NOW,
        last_attempt_at: Some(NOW),
        next_attempt_at: Some(UnixMs(NOW.0 + 1000)),
        response_status: Some(0),
        reason: Some(Reason::ConnectionRefused),
        total_us: Some(2500),
        redelivery: false,
        replay: None,
    };
    let attempt = AttemptView {
        attempt: 1,
        started_at: NOW,
        status: 503,
        reason: Reason::ServerError,
        detail: String::new(),
        timings: timings(),
        request_headers: String::from("webhook-id: 07"),
        request_body: None,
        request_cut: false,
        response_headers: String::from("retry-after: 1"),
        response_body: Bytes::from_static(b"busy"),
        response_cut: true,
    };
    DeliveryDetail { summary, request_body: Some(Bytes::from_static(b"{}")), attempts: vec![attempt] }
}

/// A replay to this webhook that is under way.
pub(super) fn replay(subscription: SubscriptionId, webhook: WebhookId, position: u64) -> ReplayView {
    let asked = Replay {
        webhook,
        subscription,
        choice: ReplayChoice::Failed,
        kind: None,
        first: Position(1),
        last: Position(9),
        from: None,
        to: None,
        forced: false,
        at: NOW,
    };
    let (id, progress) = (ReplayId(Position(position)), 0.5);
    ReplayView { id, asked, progress, sent: 4, delivered: 2, failed: 1, open: 1, cancelled: 0, ended: None }
}
