mod pruned;

use super::*;
use crate::clock::{Clock, ManualClock, Random, SystemRandom};
use crate::config::Settings;
use crate::journal::{AppendError, Chunk, Group, Holder, Journal, ReadError};
use crate::mail::Letters;
use crate::model::{
    Category, CategorySet, ClientCertificate, DeliveryId, Entry, IncidentKind, LastAnswer, Mailed, Position, Reason,
    Secret, Selection, Switch, WebhookKind, WebhookState,
};
use crate::seal::MasterKeyError;
use crate::store::projection::Incident;
use crate::store::sqlite::{self, Sync};
use std::path::Path;
use std::pin::Pin;
use std::sync::Mutex;
use tokio::sync::watch;

/// A journal in memory that can be told to refuse.
#[derive(Debug)]
pub(crate) struct MemoryJournal {
    groups: Mutex<Vec<Group>>,
    durable: watch::Sender<Position>,
    refuse: Mutex<Option<AppendError>>,
}

impl MemoryJournal {
    pub(crate) fn new() -> Arc<Self> {
        let durable = watch::Sender::new(Position::ZERO);
        Arc::new(Self { groups: Mutex::default(), durable, refuse: Mutex::default() })
    }

    pub(crate) fn refuse(&self, error: Option<AppendError>) {
        *self.refuse.lock().unwrap() = error;
    }

    /// What was appended, as text, one entry each.
    pub(crate) fn entries(&self) -> Vec<String> {
        self.each_entry(|entry| Some(format!("{entry:?}")))
    }

    /// What `show` makes of what was appended.
    pub(crate) fn each_entry<T>(&self, show: impl FnMut(Entry<'_>) -> Option<T>) -> Vec<T> {
        let mut show = show;
        let groups = self.groups.lock().unwrap();
        let groups = groups.iter().map(|group| (Position(1), bytes::Bytes::copy_from_slice(group.bytes()))).collect();
        let chunk = Chunk::new(groups, Position::ZERO, Position(1));
        chunk.entries().filter_map(|entry| show(entry.unwrap().1)).collect()
    }
}

impl Journal for MemoryJournal {
    fn append(&self, group: Group) -> Pin<Box<dyn Future<Output = Result<Position, AppendError>> + Send>> {
        let refused = self.refuse.lock().unwrap().clone();
        let result = refused.map_or_else(
            || {
                let first = self.durable.borrow().next();
                self.durable.send_replace(first.plus(u64::from(group.count()) - 1));
                self.groups.lock().unwrap().push(group);
                Ok(first)
            },
            Err,
        );
        Box::pin(std::future::ready(result))
    }

    fn record(&self, group: Group) {
        self.groups.lock().unwrap().push(group);
    }

    fn read(&self, _: Position, _: usize) -> Result<Chunk, ReadError> {
        Ok(Chunk::default())
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

pub(crate) fn options() -> InitOptions {
    InitOptions {
        subscription_name: String::from("Acme"),
        app_name: String::from("Shop"),
        public_url: String::from("http://localhost:8080/"),
    }
}

pub(crate) fn initialise(dir: &Path) -> Initialised {
    let clock = ManualClock::at(UnixMs(1_626_803_875_000));
    init(&dir.into(), (None, dir), &options(), (&clock, &SystemRandom::default())).unwrap()
}

pub(crate) fn reopen(dir: &Path) -> Result<Arc<Catalog>, CatalogError> {
    let key = MasterKey::find(None, dir)?;
    let clock = Arc::new(ManualClock::at(UnixMs(1_626_803_900_000)));
    Catalog::open(&dir.into(), parts(key, clock))
}

/// What a catalog needs, as settings without a file have it.
pub(crate) fn parts(key: MasterKey, clock: Arc<ManualClock>) -> CatalogParts {
    CatalogParts {
        key,
        sign_in: Settings::defaults().sign_in,
        letters: Letters::new("http://localhost:8080"),
        clock,
        random: Arc::new(SystemRandom::default()),
    }
}

struct Bench {
    dir: tempfile::TempDir,
    catalog: Arc<Catalog>,
    journal: Arc<MemoryJournal>,
    subscription: SubscriptionId,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let subscription = SubscriptionId(initialise(dir.path()).subscription_id);
        let catalog = reopen(dir.path()).unwrap();
        Self { dir, catalog, journal: MemoryJournal::new(), subscription }
    }

    async fn create(&self) -> Arc<Webhook> {
        self.catalog.create(Actor::system(), (self.subscription, None), values()).await.unwrap().webhook
    }

    async fn patch(&self, id: WebhookId, patch: WebhookPatch) -> Result<Patched, ChangeError> {
        self.catalog.patch(Actor::system(), self.journal.clone(), (self.subscription, id), patch).await
    }

    fn sql(&self, sql: &str) {
        sqlite::open(&self.dir.path().join("fanfare.db"), Sync::Full).unwrap().execute_batch(sql).unwrap();
    }
}

fn values() -> WebhookValues {
    WebhookValues {
        name: String::from("CRM"),
        kind: WebhookKind::Url,
        url: String::from("https://example.com/a//b?x=1"),
        secret: Some(Secret::new("It's a Secret to Everybody")),
        categories: CategorySet::All,
        timeout_s: 300,
        concurrency: 32,
        standard_webhooks: true,
        audit: false,
        filter: None,
        rate_limit_per_s: None,
        ordered: false,
        format: None,
        headers: Vec::new(),
        auth: None,
        client_certificate: None,
    }
}

fn enabled(on: bool) -> WebhookPatch {
    WebhookPatch { enabled: Some(on), ..WebhookPatch::default() }
}

#[tokio::test]
async fn init_prepares_once_and_what_it_prints_opens_the_doors() {
    let dir = tempfile::tempdir().unwrap();
    assert!(!is_initialised(&dir.path().into()).unwrap());
    assert!(!dir.path().join("fanfare.db").exists(), "asking creates nothing");
    let made = initialise(dir.path());
    assert!(is_initialised(&dir.path().into()).unwrap());
    let json = serde_json::to_value(&made).unwrap();
    let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let all = ["agent_key", "app_id", "integration_key", "setup_url", "subscription_id", "track_secret"];
    assert_eq!(
        {
            let mut keys = keys;
            keys.sort_unstable();
            keys
        },
        all
    );
    assert_eq!((made.subscription_id.to_string().len(), made.app_id), (16, -323_232));
    assert!(made.subscription_id < 1 << 53);
    assert!(made.setup_url.starts_with("http://localhost:8080/setup?token="));

    let random = SystemRandom::default();
    let again = init(&dir.path().into(), (None, dir.path()), &options(), (&ManualClock::default(), &random));
    assert!(matches!(again, Err(CatalogError::AlreadyInitialised(_))));
    let snapshot = reopen(dir.path()).unwrap().current();
    assert_eq!(snapshot.app_of_agent_key(&made.agent_key, UnixMs(0)).unwrap().name, "Shop");
    assert_eq!(snapshot.app_of_track_secret(made.track_secret.as_bytes(), UnixMs(0)).unwrap().id, AppId::FIRST);
    assert_eq!(snapshot.keys[&token::hash(made.integration_key.as_bytes())].role, Role::Admin);
    assert!(!format!("{made:?}").contains(&made.integration_key));
}

#[test]
fn two_processes_that_initialise_at_once_make_one_installation() {
    let dir = tempfile::tempdir().unwrap();
    let results: Vec<Result<Initialised, CatalogError>> = std::thread::scope(|scope| {
        let run = || {
            init(
                &dir.path().into(),
                (None, dir.path()),
                &options(),
                (&ManualClock::default(), &SystemRandom::default()),
            )
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    let rest = results.iter().filter_map(|result| result.as_ref().err());
    assert!(rest.into_iter().all(|error| matches!(error, CatalogError::AlreadyInitialised(_))), "{results:?}");
    reopen(dir.path()).unwrap();
}

#[tokio::test]
async fn opening_needs_an_initialised_store_and_its_own_master_key() {
    let dir = tempfile::tempdir().unwrap();
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let path = dir.path().join("fanfare.db");
    let open = |key: MasterKey| Catalog::open(&dir.path().into(), parts(key, Arc::default()));
    let error = open(MasterKey::find(Some(key), dir.path()).unwrap()).unwrap_err();
    assert!(matches!(error, CatalogError::NotInitialised(_)));
    assert!(!path.exists());
    initialise(dir.path());
    let error = open(MasterKey::find(Some(key), dir.path()).unwrap()).unwrap_err();
    assert!(matches!(error, CatalogError::MasterKey(MasterKeyError::Wrong)), "{error}");
    std::fs::remove_file(dir.path().join("master.key")).unwrap();
    assert!(matches!(reopen(dir.path()), Err(CatalogError::MasterKey(MasterKeyError::Missing(_)))));
}

#[tokio::test]
async fn a_webhook_survives_a_restart_exactly() {
    let bench = Bench::new();
    let created = bench.catalog.create(Actor::system(), (bench.subscription, None), values()).await.unwrap();
    let (webhook, key) = (created.webhook, created.signing_key.unwrap());
    assert_eq!((webhook.state, webhook.since), (WebhookState::Off, Position::ZERO));
    assert_eq!(bench.journal.entries(), Vec::<String>::new(), "creating switches nothing");
    bench.patch(webhook.id, enabled(true)).await.unwrap();
    let before = bench.catalog.current();
    let after = reopen(bench.dir.path()).unwrap().current();
    assert_eq!(format!("{:?}", before.webhooks), format!("{:?}", after.webhooks));
    let reread = &after.webhooks[&webhook.id].destination;
    assert_eq!(reread.secret, Some(Secret::new("It's a Secret to Everybody")));
    assert_eq!(reread.signing_keys, [key]);
    assert_eq!(reread.endpoint.path_and_query, "/a//b?x=1");
}

#[tokio::test]
async fn what_decides_about_events_goes_through_the_journal_first() {
    let bench = Bench::new();
    let id = bench.create().await.id;
    let mut seen = bench.catalog.subscribe();
    let on = bench.patch(id, enabled(true)).await.unwrap().webhook;
    assert_eq!((on.state, on.since), (WebhookState::On, Position(1)));
    assert!(seen.has_changed().unwrap());
    let polls = CategorySet::of([Category::Polls]);
    let patch = WebhookPatch { categories: Some(polls), name: Some(String::from("New")), ..Default::default() };
    let changed = bench.patch(id, patch).await.unwrap().webhook;
    assert_eq!((changed.since, changed.values.categories, changed.values.name.as_str()), (Position(2), polls, "New"));
    let same = bench.patch(id, enabled(true)).await.unwrap().webhook;
    let url = WebhookPatch { url: Some(String::from("http://h/")), ..Default::default() };
    let moved = bench.patch(id, url).await.unwrap().webhook;
    assert_eq!((same.since, moved.since), (Position(2), Position(2)), "nothing that matching knows of changed");
    let filter = WebhookPatch { filter: Some(Some(String::from("visitorId == 'v'"))), ..Default::default() };
    let filtered = bench.patch(id, filter.clone()).await.unwrap().webhook;
    assert_eq!((filtered.since, bench.patch(id, filter).await.unwrap().webhook.since), (Position(3), Position(3)));
    let audit = WebhookPatch { audit: Some(true), categories: Some(CategorySet::Some(0)), ..Default::default() };
    let audited = bench.patch(id, audit).await.unwrap().webhook;
    assert_eq!(audited.since, Position(4));
    let reread = reopen(bench.dir.path()).unwrap().current().webhooks[&id].values.selection();
    assert_eq!((&reread, reread.categories), (&audited.values.selection(), CategorySet::Some(0)));
    bench.catalog.delete(Actor::system(), bench.journal.clone(), (bench.subscription, id)).await.unwrap();
    let entries = bench.journal.entries();
    assert_eq!(entries.len(), 5);
    assert!(entries[0].contains("on: true") && entries[4].contains("on: false"), "{entries:?}");
    assert!(bench.catalog.current().webhooks.is_empty());
    assert!(reopen(bench.dir.path()).unwrap().current().webhooks.is_empty());
    seen.mark_unchanged();
}

#[tokio::test]
async fn the_audit_log_is_told_from_where_the_journal_says() {
    let bench = Bench::new();
    bench.create().await;
    assert_eq!(bench.catalog.audit_told(None).await.unwrap(), 1, "what was there before there was anybody to tell");
    tokio::time::timeout(std::time::Duration::from_secs(60), bench.catalog.audit_written()).await.unwrap();
    bench.create().await;
    assert_eq!(bench.catalog.audit_told(None).await.unwrap(), 1);
    let rows = bench.catalog.audit_after(1, 10).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), [2]);
    assert_eq!(bench.catalog.audit_told(Some(2)).await.unwrap(), 2, "a crash came before the store knew of it");
    bench.catalog.set_audit_told(2).await.unwrap();
    assert_eq!(bench.catalog.audit_told(Some(1)).await.unwrap(), 2, "the journal has let go of it");
    assert_eq!(bench.catalog.audit_told(Some(9)).await.unwrap(), 2, "a log that was restored is shorter");
}

#[tokio::test]
async fn a_journal_that_refuses_leaves_everything_as_it_was() {
    let bench = Bench::new();
    let id = bench.create().await.id;
    bench.journal.refuse(Some(AppendError::Full));
    assert!(matches!(bench.patch(id, enabled(true)).await, Err(ChangeError::Journal(AppendError::Full))));
    let deleted = bench.catalog.delete(Actor::system(), bench.journal.clone(), (bench.subscription, id)).await;
    assert!(matches!(deleted, Err(ChangeError::Journal(AppendError::Full))));
    assert_eq!(bench.catalog.current().webhooks[&id].state, WebhookState::Off);
    let patch = WebhookPatch { name: Some(String::from("New")), ..Default::default() };
    assert_eq!(
        bench.patch(id, patch).await.unwrap().webhook.values.name,
        "New",
        "what needs no journal is not refused"
    );
}

#[tokio::test]
async fn a_store_that_fails_after_the_journal_leaves_memory_with_the_journal() {
    let bench = Bench::new();
    let id = bench.create().await.id;
    bench.sql("CREATE TRIGGER no BEFORE UPDATE ON webhooks BEGIN SELECT RAISE(ABORT, 'no'); END");
    let patch = WebhookPatch { name: Some(String::from("New")), ..enabled(true) };
    assert!(matches!(bench.patch(id, patch).await, Err(ChangeError::Store(_))));
    let webhook = Arc::clone(&bench.catalog.current().webhooks[&id]);
    assert_eq!((webhook.state, webhook.since, webhook.values.name.as_str()), (WebhookState::On, Position(1), "CRM"));
    bench.sql("DROP TRIGGER no");
    let reopened = reopen(bench.dir.path()).unwrap();
    assert_eq!(reopened.current().webhooks[&id].state, WebhookState::Off, "the row knows nothing of it yet");
}

#[tokio::test]
async fn after_a_crash_between_journal_and_store_the_journal_wins() {
    let bench = Bench::new();
    let (on, turned_off, untouched) = (bench.create().await.id, bench.create().await.id, bench.create().await.id);
    bench.sql(&format!("UPDATE webhooks SET state = 'turned_off', since = 5 WHERE id = {}", turned_off.0));
    bench.sql(&format!("UPDATE webhooks SET state = 'on', since = 9 WHERE id = {}", untouched.0));
    let switch = |webhook, on| Switch {
        webhook,
        subscription: bench.subscription,
        on,
        selection: Selection { filter: Some(String::from("true")), ..CategorySet::of([Category::Nps]).into() },
        at: UnixMs(7),
    };
    let catalog = reopen(bench.dir.path()).unwrap();
    let latest = vec![
        (Position(7), switch(on, true)),
        (Position(8), switch(turned_off, false)),
        (Position(6), switch(untouched, false)),
        (Position(9), switch(untouched, false)),
        (Position(10), switch(WebhookId(404), true)),
        (Position(11), Switch { subscription: SubscriptionId(1), ..switch(untouched, false) }),
    ];
    assert_eq!(catalog.reconcile(latest.clone()).await.unwrap(), 2);
    for catalog in [Arc::clone(&catalog), reopen(bench.dir.path()).unwrap()] {
        let webhooks = catalog.current();
        let of = |id| (webhooks.webhooks[&id].state, webhooks.webhooks[&id].since.0);
        assert_eq!(of(on), (WebhookState::On, 7));
        assert_eq!(of(turned_off), (WebhookState::TurnedOff, 8));
        assert_eq!(of(untouched), (WebhookState::On, 9));
        assert_eq!(webhooks.webhooks[&on].values.categories, CategorySet::of([Category::Nps]));
    }
    assert_eq!(catalog.reconcile(latest).await.unwrap(), 0);
}

#[tokio::test]
async fn turned_off_is_not_left_by_the_toggle() {
    let bench = Bench::new();
    let id = bench.create().await.id;
    bench.sql("UPDATE webhooks SET state = 'turned_off'");
    let bench = Bench { catalog: reopen(bench.dir.path()).unwrap(), ..bench };
    for on in [true, false] {
        assert!(
            matches!(bench.patch(id, enabled(on)).await, Err(ChangeError::TurnedOff(turned_off)) if turned_off == id)
        );
    }
    let patch = WebhookPatch { name: Some(String::from("New")), ..Default::default() };
    assert_eq!(bench.patch(id, patch).await.unwrap().webhook.state, WebhookState::TurnedOff);
    assert_eq!(bench.journal.entries().len(), 0);
}

/// An incident that turns a webhook off.
fn incident(webhook: WebhookId, position: u64) -> Told {
    let incident = Incident {
        position: Position(position),
        webhook,
        at: UnixMs(5),
        kind: IncidentKind::FailuresInARow,
        failed: 20,
        of: 20,
        since: UnixMs(1),
    };
    let delivery = DeliveryId { webhook, origin: Position(4) };
    let answer = LastAnswer { delivery, outcome: None, at: UnixMs(4), status: 500, reason: Reason::ServerError };
    Told { incident, answers: vec![answer], stands: true }
}

#[tokio::test]
async fn a_webhook_is_turned_off_once_whatever_breaks_in_between() {
    let bench = Bench::new();
    let id = bench.create().await.id;
    bench.patch(id, enabled(true)).await.unwrap();
    let state = |bench: &Bench| bench.catalog.current().webhooks[&id].state;
    let turned_off = async |bench: &Bench| {
        let action = Some(String::from("webhook.turned_off"));
        let subscription = bench.subscription;
        let query = AuditQuery {
            subscription,
            before: None,
            from: None,
            to: None,
            action,
            target: None,
            actor: None,
            limit: 9,
        };
        bench.catalog.audit_log(query).await.unwrap().len()
    };
    assert_eq!(bench.catalog.incidents_done(Position(3)).await.unwrap(), Position(3), "what was before is past");
    // The journal refuses: nothing happened, and it can be done again.
    bench.journal.refuse(Some(AppendError::Full));
    assert!(bench.catalog.act_on(bench.journal.clone(), incident(id, 9)).await.is_err());
    assert_eq!(
        (state(&bench), bench.catalog.incidents_done(Position(0)).await.unwrap()),
        (WebhookState::On, Position(3))
    );
    bench.journal.refuse(None);
    // The journal has taken the switch, and the store fails: after a restart it is off, and Fanfare knows that it was it.
    bench.sql("CREATE TRIGGER broken BEFORE UPDATE ON webhooks BEGIN SELECT RAISE(FAIL, 'disk'); END");
    assert!(bench.catalog.act_on(bench.journal.clone(), incident(id, 9)).await.is_err());
    assert_eq!(state(&bench), WebhookState::Off);
    bench.sql("DROP TRIGGER broken; UPDATE webhooks SET state = 'off'");
    let bench = Bench { catalog: reopen(bench.dir.path()).unwrap(), ..bench };
    bench.catalog.act_on(bench.journal.clone(), incident(id, 9)).await.unwrap();
    assert_eq!((state(&bench), turned_off(&bench).await), (WebhookState::TurnedOff, 1));
    // The journal was told twice, of one incident.
    let told = bench.journal.each_entry(|entry| match entry {
        Entry::Notice(notice) => Some((notice.incident, notice.mailed)),
        _ => None,
    });
    assert_eq!(told, [(Position(9), Mailed::NoOwner); 2]);
    assert_eq!(bench.catalog.incidents_done(Position(0)).await.unwrap(), Position(9));
    // Once more, and one about a webhook that a person has switched off: neither does anything.
    bench.catalog.act_on(bench.journal.clone(), incident(id, 9)).await.unwrap();
    bench.sql("UPDATE webhooks SET state = 'off'");
    let bench = Bench { catalog: reopen(bench.dir.path()).unwrap(), ..bench };
    bench.catalog.act_on(bench.journal.clone(), incident(id, 12)).await.unwrap();
    assert_eq!((state(&bench), turned_off(&bench).await), (WebhookState::Off, 1));
    assert_eq!(bench.catalog.incidents_done(Position(0)).await.unwrap(), Position(12));
}

#[tokio::test]
async fn one_subscription_cannot_touch_anothers_webhook() {
    let bench = Bench::new();
    let id = bench.create().await.id;
    let other = (SubscriptionId(1), id);
    let patched = bench.catalog.patch(Actor::system(), bench.journal.clone(), other, enabled(true)).await;
    assert!(matches!(patched, Err(ChangeError::NotFound)));
    assert!(matches!(
        bench.catalog.delete(Actor::system(), bench.journal.clone(), other).await,
        Err(ChangeError::NotFound)
    ));
    assert_eq!(bench.journal.entries().len(), 0);
}

#[tokio::test]
async fn a_signing_key_is_made_when_it_is_first_needed_and_then_stays() {
    let bench = Bench::new();
    let plain = WebhookValues { standard_webhooks: false, secret: None, ..values() };
    let created = bench.catalog.create(Actor::system(), (bench.subscription, None), plain).await.unwrap();
    assert!(created.signing_key.is_none() && created.webhook.destination.signing_keys.is_empty());
    let set = |on| WebhookPatch { standard_webhooks: Some(on), ..Default::default() };
    let id = created.webhook.id;
    let key = bench.patch(id, set(true)).await.unwrap().signing_key.unwrap();
    assert!(bench.patch(id, set(false)).await.unwrap().webhook.destination.signing_keys.is_empty());
    let again = bench.patch(id, set(true)).await.unwrap();
    assert!(again.signing_key.is_none());
    assert_eq!(again.webhook.destination.signing_keys, [key]);
}

#[tokio::test]
async fn no_secret_is_readable_in_any_file_nor_in_debug_output() {
    let bench = Bench::new();
    let dir = bench.dir.path().join("b");
    let ports = (&ManualClock::default() as &dyn Clock, &SystemRandom::default() as &dyn Random);
    let made = init(&dir.as_path().into(), (None, &dir), &options(), ports);
    let made = made.unwrap();
    let created = bench.catalog.create(Actor::system(), (bench.subscription, None), values()).await.unwrap();
    let key = created.signing_key.clone().unwrap().0;
    let setup = made.setup_url.split_once("token=").unwrap().1.to_owned();
    let needles = [
        b"It's a Secret".to_vec(),
        b"to Everybody".to_vec(),
        key.expose().to_vec(),
        base64::Engine::encode(&base64::prelude::BASE64_STANDARD, key.expose()).into_bytes(),
        made.track_secret.clone().into_bytes(),
        made.integration_key.clone().into_bytes(),
        setup.into_bytes(),
    ];
    let mut texts =
        vec![format!("{:?} {:?} {made:?} {created:?}", bench.catalog, bench.catalog.current()).into_bytes()];
    for dir in [bench.dir.path().to_owned(), bench.dir.path().join("b")] {
        for file in std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
            texts.push(std::fs::read(file).unwrap());
        }
    }
    assert!(texts.len() > 4, "stores, their logs and keys were searched");
    for text in texts {
        for needle in &needles {
            assert!(!text.windows(needle.len()).any(|part| part == needle), "{}", String::from_utf8_lossy(needle));
        }
    }
}

#[tokio::test]
async fn a_sealed_value_moved_to_another_row_does_not_open() {
    let bench = Bench::new();
    let (a, b) = (bench.create().await.id, bench.create().await.id);
    bench.sql(&format!(
        "UPDATE webhooks SET secret_sealed = (SELECT secret_sealed FROM webhooks WHERE id = {}) WHERE id = {}",
        a.0, b.0
    ));
    let error = reopen(bench.dir.path()).unwrap_err();
    assert!(
        matches!(&error, CatalogError::Sealed(unopened) if unopened.to_string().contains(&format!("webhooks/{b}/secret"))),
        "{error}"
    );
}

#[tokio::test]
async fn a_change_runs_to_its_end_when_nobody_waits_for_it() {
    let bench = Bench::new();
    let id = bench.create().await.id;
    let mut changes = bench.catalog.subscribe();
    let mut patch = Box::pin(bench.patch(id, enabled(true)));
    // One poll starts it; then the caller goes away.
    let waker = std::task::Waker::noop();
    assert!(patch.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
    drop(patch);
    let done = tokio::time::timeout(std::time::Duration::from_secs(10), changes.changed()).await;
    done.expect("the change runs to its end").unwrap();
    assert_eq!(bench.catalog.current().webhooks[&id].state, WebhookState::On);
}

#[tokio::test]
async fn a_certificate_that_expires_keeps_nobody_from_changing_something_else() {
    let bench = Bench::new();
    let key = rcgen::KeyPair::generate().unwrap();
    let until = |year| {
        let mut params = rcgen::CertificateParams::new(vec![String::from("client.example")]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = params.self_signed(&key).unwrap().pem();
        ClientCertificate { certificate, private_key: Secret::new(key.serialize_pem()) }
    };
    let with = |certificate| WebhookValues { client_certificate: Some(certificate), ..values() };
    let created = bench.catalog.create(Actor::system(), (bench.subscription, None), with(until(2022))).await.unwrap();
    let (id, old) = (created.webhook.id, UnixMs(1_700_000_000_000));
    let now = bench.catalog.clock.now();
    let swapped = |year| with(until(year)).check_news(Some(&created.webhook.values), old).is_ok();
    assert!(now < old && !swapped(2021) && swapped(2030), "what is set anew must hold");
    assert!(created.webhook.values.check_news(Some(&created.webhook.values), old).is_ok());
    assert_eq!(created.webhook.values.check_news(None, old).unwrap_err().field, "client_certificate.certificate");
    assert!(bench.patch(id, enabled(true)).await.unwrap().webhook.destination.identity.is_some());
}

#[test]
fn values_out_of_bounds_are_named() {
    let long = "x".repeat(300);
    let mut cases: Vec<(&str, WebhookValues)> = Vec::new();
    for name in ["", "  ", "a\nb", long.as_str()] {
        cases.push(("name", WebhookValues { name: name.to_owned(), ..values() }));
    }
    cases.push(("url", WebhookValues { url: String::from("ftp://h"), ..values() }));
    cases.push(("secret", WebhookValues { secret: Some(Secret::new(vec![b'x'; 4097])), ..values() }));
    cases.push(("categories", WebhookValues { categories: CategorySet::Some(0), ..values() }));
    for timeout_s in [0, 301] {
        cases.push(("timeout_s", WebhookValues { timeout_s, ..values() }));
    }
    for concurrency in [0, 1001] {
        cases.push(("concurrency", WebhookValues { concurrency, ..values() }));
    }
    for (field, values) in cases {
        assert_eq!(values.check().unwrap_err().field, field, "{values:?}");
    }
    for (timeout_s, concurrency) in [(1, 1), (300, 1000)] {
        WebhookValues { timeout_s, concurrency, ..values() }.check().unwrap();
    }
}
