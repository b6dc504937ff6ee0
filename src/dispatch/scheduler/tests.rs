use super::*;
use crate::catalog::{WebhookValues, parcels};
use crate::clock::SeededRandom;
use crate::config::Settings;
use crate::deliver::{Destination, Line, Message, Quiet};
use crate::dispatch::Dispatcher;
use crate::dispatch::lane::{Eras, Lane};
use crate::dispatch::restart::Restart;
use crate::dispatch::worker::event_at;
use crate::filter::Interest;
use crate::model::{CategorySet, Keys, Reason, Switch};
use crate::store::projection::memory::MemoryJournal;
use std::pin::Pin;
use std::sync::atomic::AtomicI64;

const WEBHOOK: WebhookId = WebhookId(1);
const SUBSCRIPTION: SubscriptionId = SubscriptionId(1);
const EVENTS: usize = 400;

/// A clock that has moved on whenever it is looked at again. Nobody waits for long.
#[derive(Debug, Default)]
struct Hasty(AtomicI64);

impl Clock for Hasty {
    fn now(&self) -> UnixMs {
        UnixMs(self.0.fetch_add(1, Ordering::SeqCst))
    }

    fn wait(&self, until: UnixMs) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.0.fetch_max(until.0, Ordering::SeqCst);
        Box::pin(std::future::ready(()))
    }
}

/// A receiver that answers at once, each time with the next one of these in turn.
struct Answers {
    reasons: &'static [Reason],
    asked: AtomicUsize,
    /// With this request the journal begins to refuse.
    refusal: Option<(usize, Arc<MemoryJournal>)>,
}

impl Courier for Answers {
    fn attempt<'a>(
        &'a self,
        _: &'a mut Line,
        _: &'a Arc<Destination>,
        _: &'a Message,
        _: Quiet<'a>,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        if let Some((at, journal)) = &self.refusal
            && *at == number
        {
            journal.refuse(true);
        }
        let reason = self.reasons[number % self.reasons.len()];
        Box::pin(std::future::ready(Outcome { status: 200, ..Outcome::unsent(reason, "") }))
    }
}

/// Events, and a webhook that wants all of them.
fn journal() -> Arc<MemoryJournal> {
    let journal = Arc::new(MemoryJournal::new());
    let (selection, at) = (CategorySet::All.into(), UnixMs(0));
    journal.add(&Entry::Switch(Switch { webhook: WEBHOOK, subscription: SUBSCRIPTION, on: true, selection, at }));
    for _ in 0..EVENTS {
        journal.accept(b"{}");
    }
    journal
}

/// What dispatch needs, for a webhook of this rate and order whose receiver answers so.
fn parts(
    journal: &Arc<MemoryJournal>,
    (rate_limit_per_s, ordered): (Option<u32>, bool),
    reasons: &'static [Reason],
) -> Parts {
    let keys = Keys { signing_key: None, old_signing_key: None, old_secret: None };
    let values = WebhookValues { rate_limit_per_s, ordered, ..parcels::plain("http://receiver.test/") };
    let webhook = Arc::new(parcels::webhook(WEBHOOK.0, values, keys));
    let mut snapshot = Snapshot::default();
    snapshot.webhooks.insert(WEBHOOK, webhook);
    let snapshot = Arc::new(snapshot);
    let mut settings = Settings::defaults().dispatch;
    // Whichever answers fall to an event, it is not given up.
    settings.retry_delays = vec![Duration::from_millis(5); 200];
    settings.backlog_max_age = Duration::MAX;
    Parts {
        journal: Arc::clone(journal) as Arc<dyn Journal>,
        courier: Arc::new(Answers { reasons, asked: AtomicUsize::new(0), refusal: None }),
        peers: None,
        catalog: Arc::new(move || Arc::clone(&snapshot)),
        clock: Arc::new(Hasty::default()),
        random: Arc::new(SeededRandom::new(1)),
        settings,
        metrics: Arc::new(Metrics::new()),
        defects: Defects::default(),
    }
}

async fn until_delivered(lane: &LaneCell, count: usize) -> bool {
    let all = async {
        while lane.state.lock().tally.delivered < count as u64 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.is_ok()
}

/// Whether all events are delivered, though every look at the clock shows another time, and no lane had to be woken for that.
async fn delivers_all(journal: Arc<MemoryJournal>, pace: (Option<u32>, bool), reasons: &'static [Reason]) -> bool {
    let parts = parts(&journal, pace, reasons);
    let metrics = Arc::clone(&parts.metrics);
    let dispatcher = Dispatcher::start(parts, &Restart::default()).unwrap();
    let lane = dispatcher.scheduler().lane(WEBHOOK).unwrap();
    let delivered = until_delivered(&lane, EVENTS).await;
    dispatcher.stop(Duration::ZERO).await;
    delivered && metrics.dispatch.woken.get() == 0
}

#[tokio::test]
async fn a_lane_that_waits_for_its_rate_goes_on_whatever_the_clock_does_between_two_looks() {
    // Each time another number of looks lies between two requests.
    for pause_ms in 1..40 {
        let rate = 1000 / pause_ms;
        assert!(delivers_all(journal(), (Some(rate), false), &[Reason::Accepted]).await, "at {rate} a second");
    }
}

#[tokio::test]
async fn a_lane_that_waits_for_retries_and_probes_goes_on_whatever_the_clock_does_between_two_looks() {
    let reasons = &[Reason::Accepted, Reason::ServerError, Reason::ConnectionRefused];
    for ordered in [false, true] {
        assert!(delivers_all(journal(), (None, ordered), reasons).await, "ordered: {ordered}");
    }
}

#[tokio::test]
async fn a_retry_whose_event_cannot_be_read_now_is_made_when_it_can() {
    let journal = journal();
    journal.fail_one_read_in(50);
    assert!(delivers_all(journal, (None, false), &[Reason::Accepted, Reason::ServerError]).await);
}

#[tokio::test]
async fn a_lane_goes_on_after_a_moment_in_which_the_journal_refused() {
    let journal = journal();
    let refusal = Some((EVENTS / 4, Arc::clone(&journal)));
    let courier = Arc::new(Answers { reasons: &[Reason::Accepted], asked: AtomicUsize::new(0), refusal });
    let parts = Parts { courier, ..parts(&journal, (None, false), &[]) };
    let metrics = Arc::clone(&parts.metrics);
    let dispatcher = Dispatcher::start(parts, &Restart::default()).unwrap();
    let lane = dispatcher.scheduler().lane(WEBHOOK).unwrap();
    assert!(until_delivered(&lane, EVENTS / 4).await);
    while lane.state.lock().lane.in_flight() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(lane.state.lock().tally.delivered < EVENTS as u64);
    journal.refuse(false);
    assert!(until_delivered(&lane, EVENTS).await);
    assert_eq!(metrics.dispatch.woken.get(), 0);
    dispatcher.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_panic_of_dispatch_ends_the_node() {
    let journal = journal();
    let parts = parts(&journal, (None, false), &[Reason::Accepted]);
    let (panics, defects, catalog) = (Arc::new(AtomicBool::new(false)), parts.defects.clone(), parts.catalog.clone());
    let panicking = Arc::clone(&panics);
    let catalog = Arc::new(move || {
        assert!(!panicking.load(Ordering::SeqCst), "as it is told");
        catalog()
    });
    let dispatcher = Dispatcher::start(Parts { catalog, ..parts }, &Restart::default()).unwrap();
    let lane = dispatcher.scheduler().lane(WEBHOOK).unwrap();
    assert!(until_delivered(&lane, EVENTS).await);
    assert!(!defects.met().is_cancelled());
    panics.store(true, Ordering::SeqCst);
    defects.met().cancelled().await;
}

/// What the rest of this file says never happens: nobody would look at the lane.
#[tokio::test]
async fn a_lane_that_stands_still_is_found_and_counted() {
    let journal = journal();
    let scheduler = Scheduler::new(parts(&journal, (None, false), &[Reason::Accepted]));
    let metrics = Arc::clone(&scheduler.parts.metrics);
    let eras = Eras::from([(Position::ZERO, Interest::of(&CategorySet::All.into()))]);
    let cell = LaneCell::new(Lane::new(WEBHOOK, SUBSCRIPTION, eras, scheduler.lane_limits()));
    scheduler.add(&cell);
    scheduler.release();
    scheduler.wake_who_stands_still();
    assert_eq!(metrics.dispatch.woken.get(), 0, "it has nothing to do");
    let event = Arc::new(event_at(journal.as_ref(), Position(2)).unwrap().unwrap());
    cell.state.lock().lane.hand(&event, true);
    scheduler.wake_who_stands_still();
    assert_eq!(metrics.dispatch.woken.get(), 0, "somebody may be about to look");
    scheduler.wake_who_stands_still();
    scheduler.wake_who_stands_still();
    assert_eq!(metrics.dispatch.woken.get(), 1);
    assert!(until_delivered(&cell, 1).await);
}
