//! A node through two weeks of simulated time: real journal, records, lanes, health and catalog; receivers and clock are
//! simulated. What it does is held against what the documents promise ([`reference`]), fact by fact.

mod receivers;
mod reference;

use self::receivers::{Fact, Mood, Receivers, Seen};
use self::reference::{Done, Fate};
use super::{Node, System, initialise, store_of};
use crate::catalog::Initialised;
use crate::clock::{Clock, ManualClock, Random, SeededRandom};
use crate::config::{JournalAddress, Settings, StoreAddress};
use crate::deliver::Courier;
use crate::health;
use crate::model::{Position, UnixMs};
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const START: UnixMs = UnixMs(1_791_763_200_000);
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const LENGTH: i64 = 16 * DAY;
/// Then everything is still in the records; a day later they forget the first of it.
const KEPT: i64 = 13 * DAY;

const ADMIN: &str = "ada@example.com";
const PASSWORD: &str = "correct horse battery";

/// The receivers, by their number.
const STEADY: usize = 0;
const DIES: usize = 1;
const FLAPS: usize = 2;
const SLOW: usize = 3;
const PICKY: usize = 4;
const HANGS: usize = 5;
const BUSY: usize = 6;
/// Its webhook's owner leaves the subscription.
const LEFT_ALONE: usize = 7;
const HALF: usize = 8;
const GONE: usize = 9;
const COUNT: usize = 10;

/// What happens at a time.
#[derive(Debug, Clone, Copy)]
enum Act {
    Track,
    Identify,
    Turns(usize, Mood),
    /// The node goes down and comes up again.
    Restart,
    OwnerLeaves,
    /// An admin who has reviewed the logs turns it on.
    TurnOn(usize),
    /// An admin tries that, too late.
    TurnOnRefused(usize),
}

type Script = Vec<(UnixMs, Act)>;

/// Two weeks and two days, the same for the same seed.
fn script(seed: u64) -> Script {
    let random = SeededRandom::new(seed);
    let mut acts = fixed();
    let after = |from: i64, spread: i64| from + (random.fraction() * spread as f64) as i64;
    let mut at = 0;
    while at < LENGTH {
        at = after(at + 60 * MINUTE, 60 * MINUTE);
        let is_kept_free = (9 * DAY + 7 * HOUR..9 * DAY + 12 * HOUR).contains(&at);
        if !is_kept_free {
            acts.push((at, if random.fraction() < 0.3 { Act::Identify } else { Act::Track }));
        }
    }
    // One busy hour.
    acts.extend((0..120).map(|n| (9 * DAY + 10 * HOUR + n * 20_000, Act::Track)));
    let ill = [Mood::Refuses, Mood::Answers(503, 40), Mood::Answers(200, 1500), Mood::Hangs, Mood::Answers(500, 2500)];
    for hour in (0..LENGTH / HOUR).step_by(3) {
        let mood = ill[(random.fraction() * ill.len() as f64) as usize];
        acts.push((hour * HOUR, Act::Turns(FLAPS, mood)));
        acts.push(((hour + 2) * HOUR, Act::Turns(FLAPS, Mood::Answers(200, 15))));
        acts.push((hour * HOUR, Act::Turns(SLOW, Mood::Answers(200, after(1000, 290_000)))));
    }
    for day in 0..LENGTH / DAY {
        let from = after(day * DAY, 20 * HOUR);
        acts.push((from, Act::Turns(BUSY, Mood::Busy(after(30, 3000) as u64))));
        acts.push((from + 2 * HOUR, Act::Turns(BUSY, Mood::Answers(204, 9))));
        acts.push((after(day * DAY, DAY), Act::Restart));
    }
    acts.retain(|(at, _)| *at < LENGTH);
    let mut script: Script = acts.into_iter().map(|(at, act)| (UnixMs(START.0 + at), act)).collect();
    script.sort_by_key(|(at, _)| *at);
    script
}

/// What befalls the webhooks that are turned off, and what is done about it.
fn fixed() -> Vec<(i64, Act)> {
    let well = Mood::Answers(200, 12);
    vec![
        (0, Act::Turns(PICKY, Mood::KnowsNoVisitors)),
        (2 * DAY, Act::Turns(DIES, Mood::Refuses)),
        (5 * DAY, Act::Turns(DIES, well)),
        (5 * DAY + HOUR, Act::TurnOn(DIES)),
        (6 * DAY, Act::Turns(DIES, Mood::Answers(502, 30))),
        (3 * DAY, Act::OwnerLeaves),
        (4 * DAY, Act::Turns(LEFT_ALONE, Mood::Answers(400, 8))),
        (7 * DAY, Act::Turns(HANGS, Mood::Hangs)),
        (7 * DAY + 12 * HOUR, Act::Turns(HANGS, well)),
        (8 * DAY, Act::TurnOn(HANGS)),
        (9 * DAY + 9 * HOUR, Act::Turns(HALF, Mood::RefusesTwoOfThree)),
        // More than two weeks later its log has nothing to review.
        (0, Act::Turns(GONE, Mood::Answers(410, 7))),
        (LENGTH - MINUTE, Act::TurnOnRefused(GONE)),
    ]
}

/// The node, and all that is around it.
struct World {
    _dir: tempfile::TempDir,
    settings: Settings,
    clock: Arc<ManualClock>,
    system: System,
    receivers: Arc<Receivers>,
    made: Initialised,
    webhooks: Vec<String>,
    owner: String,
    running: Option<Running>,
    visitors: usize,
}

struct Running {
    node: Node,
    stop: CancellationToken,
    health: JoinHandle<()>,
}

impl World {
    async fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::defaults();
        settings.data_dir = dir.path().to_owned();
        settings.store = StoreAddress::Directory(dir.path().to_owned());
        settings.journal_at = JournalAddress::Directory(dir.path().join("journal"));
        let clock = Arc::new(ManualClock::at(START));
        let random: Arc<dyn Random> = Arc::new(SeededRandom::new(seed));
        let system = System { clock: Arc::clone(&clock) as Arc<dyn Clock>, random };
        let made = initialise(&settings, &store_of(&settings).unwrap(), &system).unwrap();
        let receivers = Receivers::new(Arc::clone(&system.clock), COUNT);
        let (webhooks, owner) = (Vec::new(), String::new());
        let mut world =
            Self { _dir: dir, settings, clock, system, receivers, made, webhooks, owner, running: None, visitors: 0 };
        world.start().await;
        world.set_up().await;
        world
    }

    async fn start(&mut self) {
        let courier = Arc::clone(&self.receivers) as Arc<dyn Courier>;
        let place = store_of(&self.settings).unwrap();
        let node = Node::open((&self.settings, &self.system), &place, courier, Arc::default(), None).await.unwrap();
        let stop = CancellationToken::new();
        let health = tokio::spawn(health::run(node.health(), stop.clone()));
        self.running = Some(Running { node, stop, health });
    }

    async fn stop(&mut self) {
        let Running { node, stop, health } = self.running.take().unwrap();
        stop.cancel();
        health.await.unwrap();
        node.close(Duration::ZERO).await;
        self.receivers.break_off();
    }

    /// Down, with whatever is in flight, and up again.
    async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    fn node(&self) -> &Node {
        &self.running.as_ref().unwrap().node
    }

    async fn call(&self, headers: &[(&str, &str)], method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let peer: SocketAddr = "192.0.2.7:4000".parse().unwrap();
        let mut request = Request::builder().method(method).uri(path).extension(ConnectInfo(peer));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = request.header("content-type", "application/json").body(body).unwrap();
        let Running { node, stop, .. } = self.running.as_ref().unwrap();
        let router = node.router(&self.settings, &self.system, stop);
        let response = TowerToHyperService::new(router).call(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn api(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let key = self.made.integration_key.clone();
        self.call(&[("x-pendo-integration-key", &key)], method, &format!("/api/v1{path}"), body).await
    }

    async fn ok(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.api(method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// An admin, another one, and their webhooks, all on.
    async fn set_up(&mut self) {
        let token = self.made.setup_url.split_once("token=").unwrap().1.to_owned();
        let admin = json!({"token": token, "email": ADMIN, "name": "Ada", "password": PASSWORD});
        let (status, answer) = self.call(&[], "POST", "/api/v1/set-up", Some(admin)).await;
        assert_eq!(status, 201, "{answer}");
        let invited = json!({"email": "mia@example.com", "name": "Mia", "role": "admin"});
        self.owner = self.ok("POST", "/users", Some(invited)).await["id"].as_str().unwrap().to_owned();
        for receiver in 0..COUNT {
            let body = json!({
                "name": format!("{receiver}"), "type": "url", "url": format!("http://receiver.test/{receiver}"),
                "categories": "all",
            });
            let made = self.ok("POST", "/webhooks", Some(body)).await;
            self.webhooks.push(made["id"].as_str().unwrap().to_owned());
        }
        self.give_to_the_other(LEFT_ALONE).await;
        for receiver in 0..COUNT {
            self.ok("PATCH", &self.path(receiver), Some(json!({"enabled": true}))).await;
            self.receivers.note(Fact::On(receiver));
        }
    }

    /// The invited admin makes this webhook in place of the first one.
    async fn give_to_the_other(&mut self, receiver: usize) {
        let mail = self.node().catalog.mail().newest(1).await.unwrap().remove(0);
        let text = mail.letter.unwrap().text;
        let token = text.split_once("token=").unwrap().1.lines().next().unwrap().to_owned();
        let body = json!({"token": token, "password": PASSWORD});
        let Running { node, stop, .. } = self.running.as_ref().unwrap();
        let router = node.router(&self.settings, &self.system, stop);
        let peer: SocketAddr = "192.0.2.8:4000".parse().unwrap();
        let request = Request::post("/api/v1/invitation").extension(ConnectInfo(peer));
        let request = request.header("content-type", "application/json").body(Body::from(body.to_string())).unwrap();
        let response = TowerToHyperService::new(router).call(request).await.unwrap();
        let cookie = response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let csrf = serde_json::from_slice::<Value>(&bytes).unwrap()["csrf_token"].as_str().unwrap().to_owned();
        self.ok("DELETE", &self.path(receiver), None).await;
        let body = json!({
            "name": format!("{receiver}"), "type": "url", "url": format!("http://receiver.test/{receiver}"),
            "categories": "all",
        });
        let headers = [("cookie", cookie.as_str()), ("x-csrf-token", csrf.as_str())];
        let (status, made) = self.call(&headers, "POST", "/api/v1/webhooks", Some(body)).await;
        assert_eq!(status, 201, "{made}");
        self.webhooks[receiver] = made["id"].as_str().unwrap().to_owned();
    }

    fn path(&self, receiver: usize) -> String {
        format!("/webhooks/{}", self.webhooks[receiver])
    }

    async fn act(&mut self, act: Act) {
        match act {
            Act::Track => self.track().await,
            Act::Identify => self.identify().await,
            Act::Turns(receiver, mood) => self.receivers.set(receiver, mood),
            Act::Restart => self.restart().await,
            Act::OwnerLeaves => drop(self.ok("DELETE", &format!("/users/{}", self.owner), None).await),
            Act::TurnOn(receiver) => {
                let (status, answer) = self.api("PATCH", &self.path(receiver), Some(json!({"enabled": true}))).await;
                assert_eq!(status, 409, "{answer}");
                let on = self.turn_on(receiver).await;
                assert_eq!(
                    (on.0, &on.1["state"], &on.1["health"]["failures_in_a_row"]),
                    (200, &json!("on"), &json!(0))
                );
                self.receivers.note(Fact::On(receiver));
            }
            Act::TurnOnRefused(receiver) => {
                let (status, answer) = self.turn_on(receiver).await;
                assert_eq!((status, &answer["code"]), (409, &json!("operator_needed")), "{answer}");
            }
        }
    }

    async fn turn_on(&self, receiver: usize) -> (u16, Value) {
        let body = json!({"reviewed_logs": true});
        self.api("POST", &format!("{}/turn-on", self.path(receiver)), Some(body)).await
    }

    async fn track(&mut self) {
        let body = json!({"type": "track", "event": "Moved", "visitorId": "v", "accountId": "a"});
        let secret = self.made.track_secret.clone();
        let (status, answer) =
            self.call(&[("x-pendo-integration-key", &secret)], "POST", "/data/track", Some(body)).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// A visitor who was never seen before.
    async fn identify(&mut self) {
        self.visitors += 1;
        let item = json!({"type": "identify", "visitorId": format!("visitor {}", self.visitors),
            "browserTime": self.clock.now().0});
        let body = json!({"agentVersion": "2.33.0", "events": [item]});
        let key = self.made.agent_key.clone();
        let (status, answer) = self.call(&[("x-fanfare-agent-key", &key)], "POST", "/data/events", Some(body)).await;
        assert_eq!((status, &answer["accepted"]), (200, &json!(1)), "{answer}");
    }

    /// Until nothing more happens by itself at this time.
    async fn settle(&self) {
        let Running { node, .. } = self.running.as_ref().unwrap();
        loop {
            let stands = self.stands(node);
            let records = Arc::clone(&node.projection);
            tokio::task::spawn_blocking(move || records.catch_up()).await.unwrap().unwrap();
            let is_still = stands.is_some() && !self.has_incidents(node).await && stands == self.stands(node);
            if is_still {
                return;
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }

    /// The journal's end, if everybody has come as far and nobody is at work.
    fn stands(&self, node: &Node) -> Option<Position> {
        let stats = node.journal.stats();
        let scheduler = node.dispatcher.scheduler();
        let is_over = |at: UnixMs| at <= self.clock.now();
        let is_still = stats.pending_bytes == 0
            && *node.dispatcher.applied().borrow() == stats.durable
            && scheduler.at_work() == self.receivers.under_way()
            && !self.clock.awaited().is_some_and(is_over);
        is_still.then_some(stats.durable)
    }

    async fn has_incidents(&self, node: &Node) -> bool {
        let done = node.catalog.incidents_done(node.projection.projected()).await.unwrap();
        !node.projection.incidents_after(done, 1).unwrap().is_empty()
    }

    async fn play(&mut self, script: &[(UnixMs, Act)], until: UnixMs) {
        let mut script = script.iter().peekable();
        loop {
            self.settle().await;
            let acts = script.peek().map(|(at, _)| *at);
            let next = acts.into_iter().chain(self.receivers.next()).chain(self.clock.awaited()).min();
            let Some(next) = next.filter(|next| *next <= until) else { return };
            if next > self.clock.now() {
                self.clock.set(next);
                continue;
            }
            match script.next_if(|(at, _)| *at <= next) {
                Some((_, act)) => self.act(*act).await,
                None => drop(self.receivers.advance()),
            }
        }
    }

    /// What was done about failing webhooks, as the audit log tells it, and the mails about it.
    async fn done(&self) -> Vec<(UnixMs, usize, Done)> {
        let mut done = Vec::new();
        for (action, kind) in [("webhook.warned", None), ("webhook.turned_off", Some("reason"))] {
            for entry in self.all(&format!("/audit-log?action={action}&")).await {
                let receiver = self.webhooks.iter().position(|id| *id == entry["target"]).unwrap();
                let what = match kind.map(|reason| entry["after"][reason].as_str().unwrap()) {
                    None => Done::Warned,
                    Some("failures_in_a_row") => Done::TurnedOffForARow,
                    Some(_) => Done::TurnedOffForItsRate,
                };
                done.push((time(&entry["at"]), receiver, what));
            }
        }
        done.sort_unstable();
        done
    }

    async fn all(&self, path: &str) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.ok("GET", &format!("{path}limit=500{cursor}"), None).await;
            all.extend(page["data"].as_array().unwrap().iter().cloned());
            let Some(next) = page["next"].as_str() else { return all };
            cursor = format!("&cursor={next}");
        }
    }

    /// What the records say became of each event at a webhook.
    async fn fates(&self, receiver: usize) -> BTreeMap<String, (usize, Fate)> {
        let rows = self.all(&format!("{}/deliveries?", self.path(receiver))).await;
        let fate = |row: &Value| match row["status"].as_str().unwrap() {
            "delivered" => Fate::Delivered,
            "failed" => Fate::Failed,
            "cancelled" => Fate::Cancelled,
            "retrying" => Fate::Waits,
            other => panic!("{other}"),
        };
        let count = |row: &Value| usize::try_from(row["attempt_count"].as_u64().unwrap()).unwrap();
        rows.iter().map(|row| (row["unique_id"].as_str().unwrap().to_owned(), (count(row), fate(row)))).collect()
    }

    /// Whom mails about failing webhooks went to, by subject.
    async fn mails(&self) -> Vec<(String, String)> {
        let mails = self.node().catalog.mail().newest(1000).await.unwrap();
        let about = mails.into_iter().filter(|mail| mail.row.recipient == ADMIN || mail.row.created_at > START);
        about.map(|mail| (mail.row.recipient, mail.row.subject)).collect()
    }
}

fn time(text: &Value) -> UnixMs {
    let at: jiff::Timestamp = text.as_str().unwrap().parse().unwrap();
    UnixMs(at.as_millisecond())
}

/// Plays the two weeks, and gives what was seen.
async fn fortnight(seed: u64) -> Vec<Seen> {
    let mut world = World::new(seed).await;
    let script = script(seed);
    let (before, after): (Vec<_>, Vec<_>) = script.into_iter().partition(|(at, _)| *at < UnixMs(START.0 + KEPT));
    world.play(&before, UnixMs(START.0 + KEPT)).await;
    check_fates(&world).await;
    world.play(&after, UnixMs(START.0 + LENGTH)).await;
    check_what_was_done(&world).await;
    let seen = world.receivers.seen();
    world.stop().await;
    seen
}

/// The records say of every event what the facts do.
async fn check_fates(world: &World) {
    let expected = reference::follow(&world.receivers.seen(), COUNT);
    for (receiver, expected) in expected.fates.iter().enumerate() {
        let recorded = world.fates(receiver).await;
        let differing: Vec<_> = expected.iter().filter(|(event, fate)| recorded.get(*event) != Some(*fate)).collect();
        assert!(differing.is_empty(), "webhook {receiver}: {differing:?}");
        assert_eq!(recorded.len(), expected.len(), "webhook {receiver}");
    }
}

/// Webhooks were warned of and turned off when the rules say so and never else, and their owners mailed once each time.
async fn check_what_was_done(world: &World) {
    let expected = reference::follow(&world.receivers.seen(), COUNT).done;
    let done = world.done().await;
    assert_eq!(done, expected);
    for kind in [Done::Warned, Done::TurnedOffForARow, Done::TurnedOffForItsRate] {
        assert!(done.iter().any(|(_, _, what)| *what == kind), "{kind:?} is not among {done:?}");
    }
    assert!(done.iter().all(|(_, receiver, _)| ![STEADY, SLOW, PICKY, BUSY].contains(receiver)), "{done:?}");
    let mailed = done.iter().filter(|(_, receiver, _)| *receiver != LEFT_ALONE).count();
    let mails = world.mails().await;
    assert_eq!(mails.len(), mailed, "{mails:?}");
    assert!(mails.iter().all(|(recipient, _)| recipient == ADMIN));
}

#[test]
fn a_fortnight_is_what_the_documents_promise_and_the_same_again_for_the_same_seed() {
    let play = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(fortnight(1))
    };
    let runs = [std::thread::spawn(play), std::thread::spawn(play)];
    let [first, second] = runs.map(|run| run.join().unwrap());
    assert!(first.len() > 5000, "{} facts", first.len());
    let differs = first.iter().zip(&second).find(|(first, second)| first != second);
    assert_eq!((differs, first.len()), (None, second.len()));
}
