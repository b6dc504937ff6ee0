use super::*;
use crate::catalog::Snapshot;
use crate::clock::{ManualClock, SeededRandom};
use crate::config::Settings;
use crate::deliver::{Courier, Destination, Line, Message, Outcome, Quiet};
use crate::dispatch::cell::LaneCell;
use crate::dispatch::job::Waiting;
use crate::dispatch::lane::{Eras, Lane, Pace};
use crate::dispatch::scheduler::Parts;
use crate::dispatch::worker::event_at;
use crate::filter::Interest;
use crate::model::{CategorySet, DeliveryId, SubscriptionId, UnixMs, WebhookId};
use crate::observe::Metrics;
use crate::store::projection::memory::MemoryJournal;
use std::pin::Pin;

const WEBHOOK: WebhookId = WebhookId(1);
const SUBSCRIPTION: SubscriptionId = SubscriptionId(1);

/// Nothing is sent here.
struct NoCourier;

impl Courier for NoCourier {
    fn attempt<'a>(
        &'a self,
        _: &'a mut Line,
        _: &'a Arc<Destination>,
        _: &'a Message,
        _: Quiet<'a>,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        Box::pin(std::future::pending())
    }
}

/// Lanes over a journal in memory. Nothing is sent: they are held.
struct Rig {
    journal: Arc<MemoryJournal>,
    scheduler: Arc<Scheduler>,
    fed: watch::Sender<Position>,
    carrier: Carrier,
}

impl Rig {
    /// Ten events, and a lane that has begun none of them.
    fn new() -> Self {
        let journal = Arc::new(MemoryJournal::new());
        let clock = Arc::new(ManualClock::at(UnixMs(0)));
        let snapshot = Arc::new(Snapshot::default());
        let scheduler = Scheduler::new(Parts {
            journal: journal.clone(),
            peers: None,
            courier: Arc::new(NoCourier),
            catalog: Arc::new(move || Arc::clone(&snapshot)),
            clock,
            random: Arc::new(SeededRandom::new(1)),
            settings: Settings::defaults().dispatch,
            metrics: Arc::new(Metrics::new()),
            defects: Default::default(),
        });
        let eras = Eras::from([(Position::ZERO, Interest::of(&CategorySet::All.into()))]);
        let mut lane = Lane::new(WEBHOOK, SUBSCRIPTION, eras, scheduler.lane_limits());
        lane.adopt(Pace { concurrency: 1, ..Pace::default() }, UnixMs(0));
        scheduler.add(&LaneCell::new(lane));
        let fed = watch::Sender::new(Position::ZERO);
        let carrier = Carrier::new(Arc::clone(&scheduler), fed.subscribe());
        let rig = Self { journal, scheduler, fed, carrier };
        for _ in 0..10 {
            rig.accept();
        }
        rig.feed();
        rig
    }

    fn accept(&self) -> Position {
        self.journal.accept(format!("{{\"durable\":{}}}", self.journal.durable().borrow().0).as_bytes())
    }

    /// What the feeder does with what was carried on.
    fn feed(&self) {
        let chunk = self.journal.read(self.fed.borrow().next().max(self.journal.oldest()), usize::MAX).unwrap();
        for entry in chunk.entries() {
            if let (at, Entry::Carried(carried)) = entry.unwrap() {
                self.scheduler.carried.write().note(carried.event, at);
            }
        }
        self.fed.send_replace(*self.journal.durable().borrow());
    }

    fn wait(&self, event: u64, replay: Option<Position>) {
        let delivery = DeliveryId { webhook: WEBHOOK, origin: Position(event) };
        let (due, event, since) = (UnixMs(i64::MAX), Position(event), UnixMs(0));
        let waiting = Waiting { due, delivery, event, attempts: 1, replay, since, visitor: None };
        self.scheduler.lane(WEBHOOK).unwrap().state.lock().lane.wait(waiting);
    }

    /// What a retry of the event would send now.
    fn body(&self, event: u64) -> Result<String, ReadError> {
        let at = self.scheduler.carried.read().place_of(Position(event))?;
        let event = event_at(self.journal.as_ref(), at)?.unwrap();
        Ok(String::from_utf8(event.message.body.to_vec()).unwrap())
    }

    /// Works until nothing is left to do; then what was let go of is deleted.
    fn outgrow(&mut self, outgrown: u64) {
        self.journal.outgrow(Position(outgrown));
        let mut passes = 0;
        while !self.carrier.pass() {
            self.feed();
            passes += 1;
            assert!(passes < 100, "it does not get there");
        }
        assert_eq!(self.journal.released(Holder::Lanes), Position(outgrown));
        self.journal.forget_before(Position(outgrown));
    }
}

#[test]
fn what_is_retried_outlives_its_place_and_the_rest_does_not() {
    let mut rig = Rig::new();
    rig.wait(3, None);
    rig.wait(5, Some(Position(9)));
    let bodies = [3, 5].map(|event| rig.body(event).unwrap());
    rig.outgrow(8);
    assert_eq!([3, 5].map(|event| rig.body(event).unwrap()), bodies, "the same bytes");
    assert!(matches!(rig.body(4), Err(ReadError::Gone { .. })));
    let places = |rig: &Rig| rig.scheduler.carried.read().places.clone();
    assert_eq!(places(&rig), HashMap::from([(Position(3), Position(11)), (Position(5), Position(12))]));
    assert_eq!(rig.scheduler.parts.metrics.dispatch.carried.get(), 2);

    // Carried on once more when the journal has outgrown that too; what no longer waits is not.
    rig.scheduler.lane(WEBHOOK).unwrap().state.lock().lane.end_replay(Position(9));
    for _ in 0..5 {
        rig.accept();
    }
    rig.feed();
    rig.outgrow(15);
    assert_eq!(rig.body(3).unwrap(), bodies[0]);
    assert_eq!(places(&rig), HashMap::from([(Position(3), Position(18))]));
}

#[test]
fn nothing_is_released_before_what_is_needed_is_known_to_be_durable() {
    let mut rig = Rig::new();
    rig.wait(3, None);
    rig.journal.outgrow(Position(8));
    for _ in 0..3 {
        assert!(!rig.carrier.pass());
        assert_eq!(rig.journal.released(Holder::Lanes), Position::ZERO);
    }
    assert_eq!(*rig.journal.durable().borrow(), Position(11), "it was written once");
    rig.feed();
    assert!(rig.carrier.pass());
    assert_eq!(rig.journal.released(Holder::Lanes), Position(8));
}

#[test]
fn nothing_is_released_while_the_journal_cannot_be_read() {
    let mut rig = Rig::new();
    rig.wait(3, None);
    let body = rig.body(3).unwrap();
    rig.journal.outgrow(Position(8));
    rig.journal.fail_one_read_in(1);
    assert!(rig.carrier.pass(), "there is nothing to do now");
    assert_eq!(rig.journal.released(Holder::Lanes), Position::ZERO);
    rig.journal.fail_one_read_in(usize::MAX);
    rig.outgrow(8);
    assert_eq!(rig.body(3).unwrap(), body);
}

#[test]
fn what_comes_between_the_two_looks_is_carried_on_too_and_what_comes_later_finds_nothing() {
    let mut rig = Rig::new();
    rig.wait(3, None);
    rig.journal.outgrow(Position(8));
    assert!(!rig.carrier.pass());
    rig.wait(4, None);
    rig.outgrow(8);
    assert!(rig.body(3).is_ok() && rig.body(4).is_ok());
    rig.wait(5, None);
    assert!(matches!(rig.body(5), Err(ReadError::Gone { .. })), "its first attempt fails, and says why");
}

#[test]
fn an_erased_event_is_not_carried_on_and_holds_nothing_back() {
    let mut rig = Rig::new();
    let erased = rig.journal.add(&Entry::Erased);
    rig.accept();
    rig.feed();
    rig.wait(erased.0, None);
    rig.outgrow(erased.0 + 1);
    assert_eq!(*rig.journal.durable().borrow(), Position(12));
    // One that was forgotten on its way is never met by the feeder.
    rig.wait(12, None);
    rig.accept();
    rig.feed();
    rig.journal.outgrow(Position(13));
    assert!(!rig.carrier.pass());
    rig.scheduler.forget(SUBSCRIPTION, &[Position(12)]);
    assert!(rig.carrier.pass());
}

#[test]
fn what_was_not_begun_expires() {
    let mut rig = Rig::new();
    {
        let cell = rig.scheduler.lane(WEBHOOK).unwrap();
        let mut state = cell.state.lock();
        for position in [2, 4, 9] {
            let event = event_at(rig.journal.as_ref(), Position(position)).unwrap().unwrap();
            state.lane.hand(&Arc::new(event), true);
        }
        state.lane.take(UnixMs(0)).unwrap();
    }
    rig.outgrow(8);
    assert!(rig.body(2).is_ok(), "it is in flight, and may have to be retried");
    let closed = |entry| match entry {
        (_, Entry::Closed(closed)) => Some((closed.from, closed.to, closed.events)),
        _ => None,
    };
    let chunk = rig.journal.read(Position(8), usize::MAX).unwrap();
    let expired: Vec<_> = chunk.entries().filter_map(|entry| closed(entry.unwrap())).collect();
    assert_eq!(expired, [(Position(4), Position(4), Some(1))]);
}
