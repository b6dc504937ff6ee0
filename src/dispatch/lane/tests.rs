use super::*;
use crate::deliver::Message;
use crate::filter::Judgement;
use crate::limits;
use crate::model::{AppId, Category, CategorySet, EventEntry, EventKind, Selection, UniqueId};
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::HashSet;
use std::sync::Arc;

const WEBHOOK: WebhookId = WebhookId(1);
const SUBSCRIPTION: SubscriptionId = SubscriptionId(1);
const LIMITS: LaneLimits = LaneLimits {
    waiting: 1000,
    probe_pause: Duration::from_secs(30),
    backlog_max_age: Duration::from_secs(14 * 24 * 3600),
    backlog_max_bytes: u64::MAX,
};

fn lane_with(limits: LaneLimits) -> Lane {
    Lane::new(WEBHOOK, SUBSCRIPTION, Eras::from([(Position::ZERO, Interest::of(&CategorySet::All.into()))]), limits)
}

fn event(position: u64) -> Arc<Event> {
    Arc::new(Event {
        position: Position(position),
        subscription: SUBSCRIPTION,
        kind: EventKind::TrackEventReceived,
        accepted_at: UnixMs(position as i64),
        message: Message { unique_id: String::new(), body: Bytes::from_static(b"{}") },
    })
}

fn accepted_at(position: Position) -> UnixMs {
    UnixMs(position.0 as i64)
}

fn mark_at(next: u64) -> LaneMark {
    LaneMark { webhook: WEBHOOK, next: Some(Position(next)), open: vec![], settled: vec![], behind: Backlog::default() }
}

fn retry(due: i64) -> Verdict {
    Verdict::Retry { due: UnixMs(due) }
}

fn take(lane: &mut Lane, now: i64) -> Option<(u64, u8)> {
    lane.take(UnixMs(now), 32).map(|job| (job.position.0, job.attempt))
}

#[test]
fn a_lane_at_the_head_sends_what_it_is_handed_in_order_up_to_its_concurrency() {
    let mut lane = lane_with(LIMITS);
    (1..=4).for_each(|position| assert!(lane.hand(&event(position), true)));
    let jobs: Vec<_> = std::iter::from_fn(|| lane.take(UnixMs(0), 3)).collect();
    assert_eq!(jobs.iter().map(|job| job.position.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(
        lane.mark(),
        LaneMark {
            webhook: WEBHOOK,
            next: Some(Position(4)),
            open: vec![Position(1), Position(2), Position(3)],
            settled: vec![],
            behind: Backlog { events: 1, bytes: 2 },
        }
    );
    lane.settle(&jobs[1], Verdict::Delivered, Some(true), UnixMs(0));
    assert_eq!(take(&mut lane, 0), Some((4, 1)));
}

#[test]
fn a_retry_waits_for_its_time_and_goes_before_new_events() {
    let mut lane = lane_with(LIMITS);
    (1..=2).for_each(|position| assert!(lane.hand(&event(position), true)));
    let job = lane.take(UnixMs(0), 1).unwrap();
    lane.settle(&job, retry(1000), Some(true), UnixMs(0));
    assert_eq!(lane.next_due(UnixMs(0)), Some(UnixMs(1000)));
    let second = lane.take(UnixMs(999), 1).unwrap();
    assert_eq!(second.position, Position(2));
    lane.settle(&second, Verdict::Delivered, Some(true), UnixMs(999));
    assert_eq!(take(&mut lane, 999), None);
    assert_eq!(take(&mut lane, 1000), Some((1, 2)));
    assert!(lane.mark().open.is_empty(), "a retry is a row of the store, not an open first attempt");
}

#[test]
fn what_is_forgotten_is_not_sent_and_what_is_in_flight_is_named() {
    let mut lane = lane_with(LIMITS);
    (1..=6).for_each(|position| assert!(lane.hand(&event(position), true)));
    let jobs: Vec<_> = (0..3).map(|_| lane.take(UnixMs(0), 32).unwrap()).collect();
    lane.settle(&jobs[0], retry(1000), Some(true), UnixMs(0));
    lane.settle(&jobs[1], retry(1000), Some(true), UnixMs(0));
    let gone = [1, 3, 5].map(Position);
    assert_eq!(lane.forget(&gone), (vec![Position(3)], 1));
    assert_eq!((lane.waiting(), lane.in_flight()), (1, 1));
    // The rest is read again from the journal, where what is gone no longer is.
    let plan = lane.start_read(UnixMs(0)).unwrap();
    assert_eq!(plan.from, Position(4));
    assert!(lane.take_read(event(4), UnixMs(0)) && lane.take_read(event(6), UnixMs(0)));
    lane.read_done(Position(7), Position(6));
    assert_eq!((take(&mut lane, 0), take(&mut lane, 0), take(&mut lane, 0)), (Some((4, 1)), Some((6, 1)), None));
    lane.settle(&jobs[2], Verdict::Delivered, Some(true), UnixMs(0));
    assert_eq!(take(&mut lane, 1000), Some((2, 2)));
    assert!(lane.hand(&event(7), true));
    assert_eq!(take(&mut lane, 1000), Some((7, 1)));
}

#[test]
fn a_receiver_without_an_answer_gets_one_probe_at_a_time_until_one_is_answered() {
    let mut lane = lane_with(LIMITS);
    (1..=10).for_each(|position| assert!(lane.hand(&event(position), true)));
    let first: Vec<_> = (0..3).map(|_| lane.take(UnixMs(0), 32).unwrap()).collect();
    lane.narrow(false, UnixMs(0));
    assert!(lane.is_behind(), "what waits is left to the journal");
    assert_eq!(take(&mut lane, 50), None, "the next new event waits for the pause");
    lane.settle(&first[0], retry(60), Some(false), UnixMs(50));
    let probe = lane.take(UnixMs(60), 32).unwrap();
    assert_eq!((probe.position.0, probe.attempt, probe.probe), (1, 2, true));
    lane.settle(&first[1], retry(61), Some(false), UnixMs(60));
    assert_eq!(take(&mut lane, 100), None, "one probe at a time");
    lane.settle(&probe, retry(5000), Some(false), UnixMs(100));
    assert_eq!(take(&mut lane, 101), Some((2, 2)), "a retry that is due is a probe too");
    lane.settle(&first[2], Verdict::Delivered, Some(true), UnixMs(110));
    assert!(!lane.is_narrowed());
}

#[test]
fn the_pause_between_probes_doubles_to_its_bound() {
    let mut lane = lane_with(LaneLimits { probe_pause: Duration::from_millis(350), ..LIMITS });
    let mut now = 0;
    let mut pauses = vec![];
    for position in 1..=5 {
        assert!(lane.hand(&event(position), true));
        let from = now;
        let job = loop {
            match lane.take(UnixMs(now), 32) {
                Some(job) => break job,
                None => now += 10,
            }
        };
        pauses.push(now - from);
        lane.settle(&job, Verdict::Failed, Some(false), UnixMs(now));
    }
    assert_eq!(pauses, [0, 100, 200, 350, 350]);
}

#[test]
fn at_the_bound_of_waiting_retries_no_new_event_is_attempted() {
    let mut lane = lane_with(LaneLimits { waiting: 2, ..LIMITS });
    (1..=3).for_each(|position| assert!(lane.hand(&event(position), true)));
    for _ in 0..2 {
        let job = lane.take(UnixMs(0), 32).unwrap();
        lane.settle(&job, retry(100), Some(true), UnixMs(0));
    }
    assert_eq!(take(&mut lane, 50), None);
    assert_eq!(take(&mut lane, 100), Some((1, 2)));
}

#[test]
fn a_receiver_that_asks_for_fewer_requests_is_left_alone_until_then() {
    let mut lane = lane_with(LIMITS);
    (1..=3).for_each(|position| assert!(lane.hand(&event(position), true)));
    let job = lane.take(UnixMs(0), 32).unwrap();
    lane.settle(&job, retry(5000), Some(true), UnixMs(0));
    lane.pause(UnixMs(2000));
    lane.pause(UnixMs(1000));
    assert_eq!((take(&mut lane, 1999), lane.is_paused(UnixMs(1999))), (None, true));
    assert_eq!(lane.next_due(UnixMs(10)), Some(UnixMs(2000)));
    assert_eq!(
        (take(&mut lane, 2000), take(&mut lane, 2000), take(&mut lane, 2000)),
        (Some((2, 1)), Some((3, 1)), None)
    );
    assert_eq!(lane.next_due(UnixMs(2000)), Some(UnixMs(5000)));
}

fn of_replay(event: u64) -> Waiting {
    let delivery = DeliveryId { webhook: WEBHOOK, origin: Position(100 + event) };
    let replay = Some(Position(99));
    Waiting { due: UnixMs(0), delivery, event: Position(event), attempts: 0, replay, since: UnixMs(0) }
}

#[test]
fn a_replay_takes_a_quarter_at_most_in_order_and_never_two_in_a_row_while_others_wait() {
    let mut lane = lane_with(LIMITS);
    (1..=4).rev().for_each(|event| lane.wait(of_replay(event)));
    (11..=20).for_each(|position| assert!(lane.hand(&event(position), true)));
    let jobs: Vec<_> = std::iter::from_fn(|| lane.take(UnixMs(0), 8)).collect();
    assert_eq!(jobs.iter().map(|job| job.position.0).collect::<Vec<_>>(), [1, 11, 2, 12, 13, 14, 15, 16]);
    let mut lane = lane_with(LIMITS);
    (1..=4).for_each(|event| lane.wait(of_replay(event)));
    let alone: Vec<_> = std::iter::from_fn(|| lane.take(UnixMs(0), 8)).collect();
    assert_eq!(alone.len(), 2, "with nothing else to send, too: what comes next must find a place");
}

#[test]
fn of_a_replay_that_is_over_nothing_is_sent_and_nothing_is_retried() {
    let mut lane = lane_with(LIMITS);
    (1..=4).for_each(|event| lane.wait(of_replay(event)));
    let job = lane.take(UnixMs(0), 1).unwrap();
    assert_eq!((lane.end_replay(Position(99)), lane.waiting()), (3, 0));
    assert_eq!(lane.settle(&job, retry(5), Some(true), UnixMs(1)), Verdict::Cancelled);
    lane.wait(Waiting { replay: Some(Position(200)), ..of_replay(7) });
    let job = lane.take(UnixMs(10), 1).unwrap();
    assert_eq!(lane.settle(&job, retry(50), Some(true), UnixMs(11)), retry(50), "another replay's is");
    assert_eq!(lane.next_due(UnixMs(0)), Some(UnixMs(50)));
}

#[test]
fn a_silent_receiver_is_probed_with_a_replay_only_when_nothing_else_waits() {
    let mut lane = lane_with(LIMITS);
    lane.wait(of_replay(1));
    lane.wait(of_replay(2));
    let job = lane.take(UnixMs(0), 32).unwrap();
    lane.settle(&job, Verdict::Failed, Some(false), UnixMs(0));
    assert_eq!(
        (take(&mut lane, 50), lane.next_due(UnixMs(0))),
        (None, Some(UnixMs(100))),
        "the pause holds for it too"
    );
    assert!(lane.hand(&event(11), true));
    assert_eq!(take(&mut lane, 100), Some((11, 1)));
}

#[test]
fn a_closed_lane_starts_nothing_and_says_what_it_left() {
    let mut lane = lane_with(LIMITS);
    (1..=4).for_each(|position| assert!(lane.hand(&event(position), true)));
    let in_flight = lane.take(UnixMs(0), 32).unwrap();
    let waits = lane.take(UnixMs(0), 32).unwrap();
    lane.settle(&waits, retry(1), Some(true), UnixMs(0));
    assert_eq!(lane.close(), Undone { from: Some(Position(3)), events: 2, waiting: 1 });
    assert_eq!(take(&mut lane, 10), None);
    assert_eq!(lane.settle(&in_flight, retry(9), Some(true), UnixMs(5)), Verdict::Cancelled);
}

#[test]
fn what_is_older_than_the_backlog_may_be_expires_as_one_range() {
    let mut lane = lane_with(LaneLimits { backlog_max_age: Duration::from_millis(100), ..LIMITS });
    (1..=3).for_each(|position| assert!(lane.hand(&event(position), true)));
    assert_eq!(take(&mut lane, 104), None);
    assert_eq!(lane.take_expired(), [Expired { from: Position(1), to: Position(3), events: Some(3) }]);
}

#[test]
fn what_the_journal_no_longer_has_expires_uncounted() {
    let mut lane = lane_with(LIMITS);
    lane.resume(&mark_at(5), BTreeSet::new(), UnixMs(0), &accepted_at);
    lane.lost_until(Position(9));
    assert_eq!(lane.take_expired(), [Expired { from: Position(5), to: Position(8), events: None }]);
    assert_eq!(lane.mark().next, Some(Position(9)));
}

#[test]
fn what_is_selected_holds_from_their_position_on_for_a_lane_that_reads_later() {
    let only = |category, filter: Option<&str>| {
        let filter = filter.map(str::to_owned);
        Interest::of(&Selection { filter, ..CategorySet::of([category]).into() })
    };
    let eras = Eras::from([(Position::ZERO, only(Category::TrackEvents, None))]);
    let mut lane = Lane::new(WEBHOOK, SUBSCRIPTION, eras, LIMITS);
    lane.resume(&mark_at(1), BTreeSet::new(), UnixMs(0), &accepted_at);
    lane.change(Position(5), only(Category::Guides, None));
    lane.change(Position(9), only(Category::Guides, Some("visitorId == 'v'")));
    let plan = lane.start_read(UnixMs(0)).unwrap();
    let judge = |position, subscription, kind| plan.judge(Position(position), &entry(subscription, kind));
    let wants = |position, kind| judge(position, SUBSCRIPTION, kind) == Judgement::Wanted;
    assert!(wants(4, EventKind::TrackEventReceived) && !wants(4, EventKind::GuideDisplayed));
    assert!(!wants(6, EventKind::TrackEventReceived) && wants(6, EventKind::GuideDisplayed));
    assert_eq!(judge(6, SubscriptionId(2), EventKind::GuideDisplayed), Judgement::OtherCategory);
    assert_eq!(judge(10, SUBSCRIPTION, EventKind::GuideDisplayed), Judgement::Filtered);
}

fn entry(subscription: SubscriptionId, kind: EventKind) -> EventEntry<'static> {
    EventEntry {
        subscription,
        app: AppId::FIRST,
        kind,
        unique_id: UniqueId([0; 20]),
        visitor_id: "w",
        account_id: "",
        occurred_at: UnixMs(0),
        accepted_at: UnixMs(0),
        withheld: None,
        item: None,
        closes: None,
        body: br#"{"visitorId":"w"}"#,
    }
}

#[test]
fn the_oldest_undelivered_event_is_waiting_in_flight_or_to_be_retried() {
    let mut lane = lane_with(LIMITS);
    assert_eq!(lane.oldest_undelivered(), None);
    (11..=13).for_each(|position| assert!(lane.hand(&event(position), true)));
    assert_eq!(lane.oldest_undelivered(), Some(UnixMs(11)), "not attempted");
    let jobs: Vec<_> = (0..3).map(|_| lane.take(UnixMs(20), 32).unwrap()).collect();
    assert_eq!(lane.oldest_undelivered(), Some(UnixMs(11)), "in flight");
    lane.settle(&jobs[0], retry(1000), Some(true), UnixMs(20));
    lane.settle(&jobs[1], Verdict::Delivered, Some(true), UnixMs(20));
    assert_eq!(lane.oldest_undelivered(), Some(UnixMs(11)), "to be retried");
    let again = lane.take(UnixMs(1000), 32).unwrap();
    lane.settle(&again, retry(5000), Some(true), UnixMs(1000));
    assert_eq!(lane.oldest_undelivered(), Some(UnixMs(11)), "however often it was tried");
    let last = lane.take(UnixMs(5000), 32).unwrap();
    lane.settle(&last, Verdict::Failed, Some(true), UnixMs(5000));
    assert_eq!(lane.oldest_undelivered(), Some(UnixMs(13)));
    lane.settle(&jobs[2], Verdict::Delivered, Some(true), UnixMs(5000));
    lane.wait(of_replay(1));
    assert_eq!(lane.oldest_undelivered(), None, "what a replay sends is old from the start");
    lane.take(UnixMs(5000), 32).unwrap();
    assert_eq!((lane.in_flight(), lane.oldest_undelivered()), (1, None));
}

#[test]
fn the_age_of_what_was_in_flight_outlives_a_restart() {
    let mut lane = lane_with(LIMITS);
    let mark = LaneMark { open: vec![Position(7), Position(5)], next: None, ..mark_at(0) };
    lane.resume(&mark, BTreeSet::new(), UnixMs(900), &accepted_at);
    assert_eq!(lane.oldest_undelivered(), Some(UnixMs(5)));
}

/// What the world may do to a lane next.
#[derive(Debug, Clone)]
enum Step {
    Accept(u8),
    Feed(u8),
    StartRead,
    EndRead(u8),
    Take,
    Settle(u8, u8),
    Quiet,
    Wait(u16),
    Checkpoint,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => any::<u8>().prop_map(Step::Accept),
        6 => any::<u8>().prop_map(Step::Feed),
        4 => Just(Step::StartRead),
        4 => any::<u8>().prop_map(Step::EndRead),
        8 => Just(Step::Take),
        8 => (any::<u8>(), 0..6_u8).prop_map(|(which, how)| Step::Settle(which, how)),
        1 => Just(Step::Quiet),
        2 => any::<u16>().prop_map(Step::Wait),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 0..400)
}

/// A journal in which every third position is an event that the lane wants, and a lane that follows it.
struct World {
    lane: Lane,
    durable: u64,
    fed: u64,
    now: i64,
    read: Option<ReadPlan>,
    in_flight: Vec<Job>,
    /// First attempts begun, in order, since the last restart.
    begun: Vec<u64>,
    done: HashSet<u64>,
    /// What was fed at the last checkpoint, and the lane's mark.
    checkpoint: (u64, LaneMark),
    /// First attempts that ended since then.
    settled: BTreeSet<Position>,
    /// Set while the journal is fed again after a restart: up to where, and what waits then.
    refeed: Option<(u64, Vec<Waiting>)>,
}

impl World {
    fn new() -> Self {
        let lane = lane_with(LIMITS);
        let checkpoint = (0, lane.mark());
        let (read, in_flight, begun, done, settled) = (None, vec![], vec![], HashSet::new(), BTreeSet::new());
        Self { lane, durable: 0, fed: 0, now: 0, read, in_flight, begun, done, checkpoint, settled, refeed: None }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Accept(count) => self.durable += u64::from(*count),
            Step::Feed(count) => self.feed(u64::from(*count)),
            Step::StartRead => self.read = self.read.take().or_else(|| self.lane.start_read(UnixMs(self.now))),
            Step::EndRead(length) => self.end_read(u64::from(*length) + 1),
            Step::Take => self.take(),
            Step::Settle(which, how) => self.settle(usize::from(*which), *how),
            Step::Quiet => self.lane.narrow(false, UnixMs(self.now)),
            Step::Wait(ms) => self.now += i64::from(*ms),
            Step::Checkpoint => self.checkpoint(),
            Step::Restart => self.restart(),
        }
        assert!(self.lane.queued_bytes() <= 2 * limits::LANE_QUEUE_EVENTS * 2);
    }

    fn feed(&mut self, count: u64) {
        let from = self.fed;
        self.fed = self.durable.min(from + count);
        for position in (from + 1..=self.fed).filter(|position| position % 3 == 0) {
            self.lane.hand(&event(position), true);
        }
        if let Some((_, waiting)) = self.refeed.take_if(|(until, _)| self.fed >= *until) {
            self.lane.end_refeed();
            waiting.into_iter().for_each(|waiting| self.lane.wait(waiting));
        }
    }

    fn end_read(&mut self, length: u64) {
        let Some(plan) = self.read.take() else { return };
        let end = (plan.from.0 + length).min(self.durable + 1).max(plan.from.0);
        let wanted = (plan.from.0..end).filter(|position| position % 3 == 0);
        let refused = wanted.clone().take(plan.room).find(|at| !self.lane.take_read(event(*at), UnixMs(self.now)));
        let next = refused.or(wanted.clone().nth(plan.room)).unwrap_or(end);
        self.lane.read_done(Position(next), Position(self.fed));
    }

    fn take(&mut self) {
        if let Some(job) = self.lane.take(UnixMs(self.now), 4) {
            if job.attempt == 1 && job.event.is_some() {
                self.begun.push(job.position.0);
            }
            self.in_flight.push(job);
        }
    }

    fn settle(&mut self, which: usize, how: u8) {
        if self.in_flight.is_empty() {
            return;
        }
        let job = self.in_flight.swap_remove(which % self.in_flight.len());
        let (verdict, answered) = match how {
            0 => (retry(self.now + 50), Some(true)),
            1 => (retry(self.now + 50), Some(false)),
            2 => (Verdict::Failed, None),
            _ => (Verdict::Delivered, Some(true)),
        };
        if !matches!(verdict, Verdict::Retry { .. }) {
            assert!(self.done.insert(job.position.0), "{} ended twice", job.position);
        }
        if job.attempt == 1 {
            self.settled.insert(job.position);
        }
        self.lane.settle(&job, verdict, answered, UnixMs(self.now));
    }

    /// None is made before the journal was fed again.
    fn checkpoint(&mut self) {
        if self.refeed.is_none() {
            self.checkpoint = (self.fed, self.lane.mark());
            self.settled.clear();
        }
    }

    /// A crash, and a start from the last checkpoint; waiting retries are rows of the store.
    fn restart(&mut self) {
        let waiting = self.lane.waiting.iter().map(|Reverse(waiting)| *waiting).filter(|w| w.attempts > 0);
        let kept = self.refeed.take().into_iter().flat_map(|(_, waiting)| waiting);
        let mut waiting: Vec<_> = waiting.chain(kept).collect();
        let retried = self.in_flight.iter().filter(|job| job.attempt > 1);
        waiting.extend(retried.map(|job| Waiting {
            due: UnixMs(self.now),
            delivery: job.delivery,
            event: job.position,
            attempts: job.attempt - 1,
            replay: None,
            since: job.since,
        }));
        self.lane = lane_with(LIMITS);
        self.fed = self.checkpoint.0;
        self.lane.resume(&self.checkpoint.1, self.settled.clone(), UnixMs(self.now), &accepted_at);
        self.refeed = Some((self.durable, waiting));
        self.read = None;
        self.in_flight.clear();
        self.begun.clear();
    }

    fn finish(&mut self) {
        for _ in 0..20_000 {
            let idle = self.in_flight.is_empty() && self.lane.waiting() == 0 && !self.lane.has_new();
            if idle && self.fed == self.durable && self.refeed.is_none() {
                return;
            }
            self.feed(200);
            self.step(&Step::StartRead);
            self.end_read(200);
            self.take();
            self.settle(0, 5);
            self.now += 1000;
        }
        panic!("the lane stands still: {:?}", self.lane);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever happens, each event is attempted for the first time in order and once, and reaches its end.
    #[test]
    fn every_event_reaches_its_end_and_begins_in_order(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            prop_assert!(world.begun.is_sorted_by(|a, b| a < b), "{:?}", world.begun);
        }
        world.finish();
        let wanted: HashSet<u64> = (1..=world.durable).filter(|position| position % 3 == 0).collect();
        prop_assert_eq!(&world.done, &wanted);
    }
}
