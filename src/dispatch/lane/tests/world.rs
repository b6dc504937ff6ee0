//! A lane in a world that does to it whatever may happen, crashes too.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashSet};

/// Requests in flight at most.
const CONCURRENCY: usize = 4;

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
    Replay(u8),
    EndReplay,
    Redeliver(u8),
    Order(bool),
}

fn steps(order: impl Strategy<Value = bool> + 'static) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => any::<u8>().prop_map(Step::Accept),
        6 => any::<u8>().prop_map(Step::Feed),
        4 => Just(Step::StartRead),
        4 => any::<u8>().prop_map(Step::EndRead),
        16 => Just(Step::Take),
        12 => (any::<u8>(), 0..6_u8).prop_map(|(which, how)| Step::Settle(which, how)),
        1 => Just(Step::Quiet),
        2 => any::<u16>().prop_map(Step::Wait),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Restart),
        2 => (1..8_u8).prop_map(Step::Replay),
        1 => Just(Step::EndReplay),
        1 => any::<u8>().prop_map(Step::Redeliver),
        1 => order.prop_map(Step::Order),
    ];
    proptest::collection::vec(step, 0..400)
}

/// A journal in which every third position is an event that the lane wants, and a lane that follows it.
struct World {
    lane: Lane,
    ordered: bool,
    durable: u64,
    fed: u64,
    now: i64,
    read: Option<ReadPlan>,
    in_flight: Vec<Job>,
    /// First attempts of events that came from the queue, in order, since the last restart.
    begun: Vec<u64>,
    done: HashSet<u64>,
    /// All events before this one are over.
    first_open: u64,
    /// What the store knows to wait, by event and origin: retries, redeliveries, replays.
    rows: BTreeMap<(u64, u64), Waiting>,
    /// The replay that is under way, and the last event that it has sent.
    replay: (Position, u64),
    /// The position of the next entry that is no event.
    entries: u64,
    /// What was fed at the last checkpoint, and the lane's mark.
    checkpoint: (u64, LaneMark),
    /// First attempts that ended since then.
    settled: BTreeSet<Position>,
    /// Set while the journal is fed again after a restart: up to where.
    refeed: Option<u64>,
}

impl World {
    fn new(ordered: bool) -> Self {
        let lane = Self::lane(ordered);
        Self {
            checkpoint: (0, lane.mark()),
            lane,
            ordered,
            durable: 0,
            fed: 0,
            now: 0,
            read: None,
            in_flight: vec![],
            begun: vec![],
            done: HashSet::new(),
            first_open: 3,
            rows: BTreeMap::new(),
            replay: (Position(1_000_000), 0),
            entries: 1_000_001,
            settled: BTreeSet::new(),
            refeed: None,
        }
    }

    fn lane(ordered: bool) -> Lane {
        let mut lane = lane_of(CONCURRENCY);
        lane.adopt(Pace { concurrency: CONCURRENCY, ordered, ..PACE }, UnixMs(0));
        lane
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
            Step::Replay(count) => self.replay(u64::from(*count)),
            Step::EndReplay => self.end_replay(),
            Step::Redeliver(event) => self.again(u64::from(*event) / 3 * 3, None),
            Step::Order(ordered) => {
                self.ordered = *ordered;
                self.lane.adopt(Pace { concurrency: CONCURRENCY, ordered: *ordered, ..PACE }, UnixMs(self.now));
            }
        }
        assert!(self.lane.queue.bytes + self.lane.joined.bytes <= 2 * limits::LANE_QUEUE_EVENTS * 2);
        // What was in flight when it crashed is parked beside what had been.
        let parked = self.lane.order.as_ref().map_or(0, |order| order.unattempted());
        assert!(parked <= LIMITS.parked + CONCURRENCY, "{parked} are parked");
    }

    fn feed(&mut self, count: u64) {
        let from = self.fed;
        self.fed = self.durable.min(from + count);
        for position in (from + 1..=self.fed).filter(|position| position % 3 == 0) {
            self.lane.hand(&event(position), true);
        }
        if self.refeed.take_if(|until| self.fed >= *until).is_some() {
            self.rows.values().for_each(|waiting| self.lane.wait(*waiting));
            self.lane.end_refeed(UnixMs(self.now), about);
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
        // None starts before the journal was fed again.
        if self.refeed.is_some() {
            return;
        }
        if let Some(job) = self.lane.take(UnixMs(self.now)) {
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
        if job.attempt == 1 && job.part() == Part::Live {
            self.settled.insert(job.position);
        }
        let verdict = self.lane.settle(&job, verdict, answered, UnixMs(self.now));
        let row = (job.position.0, job.delivery.origin.0);
        if let Verdict::Retry { due } = verdict {
            self.rows.insert(row, Waiting::of(&job, due));
        } else {
            self.rows.remove(&row);
            assert!(job.part() != Part::Live || self.done.insert(row.0), "{} ended twice", row.0);
            while self.done.contains(&self.first_open) {
                self.first_open += 3;
            }
        }
    }

    /// None is made before the journal was fed again.
    fn checkpoint(&mut self) {
        if self.refeed.is_none() {
            self.checkpoint = (self.fed, self.lane.mark());
            self.settled.clear();
        }
    }

    /// A crash, and a start from the last checkpoint.
    fn restart(&mut self) {
        self.lane = Self::lane(self.ordered);
        self.fed = self.checkpoint.0;
        self.lane.resume(&self.checkpoint.1, self.settled.clone());
        self.refeed = Some(self.durable);
        self.read = None;
        self.in_flight.clear();
        self.begun.clear();
        self.feed(0);
    }

    fn again(&mut self, event: u64, replay: Option<Position>) {
        if self.refeed.is_some() || event == 0 || event > self.fed {
            return;
        }
        let delivery = DeliveryId { webhook: WEBHOOK, origin: Position(self.entries) };
        let (due, event) = (UnixMs(self.now), Position(event));
        let waiting = Waiting { due, delivery, event, attempts: 0, replay, since: due, visitor: visitor(event.0) };
        self.entries += 1;
        self.rows.insert((event.0, delivery.origin.0), waiting);
        self.lane.wait(waiting);
    }

    fn replay(&mut self, count: u64) {
        let (replay, last) = self.replay;
        for event in (last + 3..=self.fed).step_by(3).take(count as usize) {
            self.again(event, Some(replay));
            self.replay.1 = event;
        }
    }

    fn end_replay(&mut self) {
        if self.refeed.is_some() {
            return;
        }
        let over = self.replay.0;
        self.lane.end_replay(over);
        self.rows.retain(|_, waiting| waiting.replay != Some(over));
        self.replay = (Position(self.entries), 0);
        self.entries += 1;
    }

    fn finish(&mut self, each: impl Fn(&Self)) {
        for _ in 0..20_000 {
            let waits = self.lane.waiting() > 0 || self.lane.has_new();
            let parked = self.lane.order.as_ref().is_some_and(|order| order.unattempted() > 0);
            if self.in_flight.is_empty() && !waits && !parked && self.fed == self.durable && self.refeed.is_none() {
                return;
            }
            self.feed(200);
            self.step(&Step::StartRead);
            self.end_read(200);
            self.take();
            each(self);
            self.settle(0, 5);
            self.wait_as_told();
        }
        panic!("the lane stands still: {:?}", self.lane);
    }

    /// Nobody looks at a lane that can do nothing before the time that it names.
    fn wait_as_told(&mut self) {
        let now = UnixMs(self.now);
        let is_idle = self.in_flight.is_empty() && self.refeed.is_none() && !self.lane.can_take(now);
        self.step(&Step::StartRead);
        if is_idle && self.read.is_none() {
            let due = self.lane.next_due(now);
            assert!(due.is_none_or(|due| due > now), "{due:?} at {now:?}: {:?}", self.lane);
            self.now = due.map_or(self.now, |due| due.0);
        }
    }

    /// Of each visitor one request is in flight, of the oldest event that is not over.
    fn assert_order(&self) {
        let Some(job) = self.in_flight.last().filter(|_| self.ordered) else { return };
        let theirs = self.in_flight.iter().filter(|other| other.visitor == job.visitor);
        assert_eq!(theirs.count(), 1, "{:?}", self.in_flight);
        let row = (job.position.0, job.delivery.origin.0);
        match job.part() {
            Part::Live => {
                let mut before = (self.first_open..row.0).step_by(3).filter(|event| visitor(*event) == job.visitor);
                assert_eq!(before.find(|event| !self.done.contains(event)), None, "before {}", row.0);
            }
            Part::Replayed => {
                let before = self
                    .rows
                    .range(..row)
                    .find(|(_, other)| (other.replay, other.visitor) == (job.replay, job.visitor));
                assert_eq!(before, None, "before {row:?}");
            }
            Part::Again => {}
        }
    }

    /// Runs to the end of everything: no event is missing.
    fn run(steps: &[Step], ordered: bool, each: impl Fn(&Self)) {
        let mut world = Self::new(ordered);
        for step in steps {
            world.step(step);
            each(&world);
        }
        world.finish(each);
        let wanted: HashSet<u64> = (1..=world.durable).filter(|position| position % 3 == 0).collect();
        assert_eq!(wanted.difference(&world.done).min(), None, "it never came to its end");
        assert_eq!((world.done.len(), world.rows.len()), (wanted.len(), 0));
    }
}

/// A lane that reads faster than it is fed joins behind the feeder. When it leaves what it has read to the journal again,
/// it must be handed what lies between.
#[test]
fn what_was_read_ahead_of_the_feeder_is_not_lost_when_the_receiver_falls_silent() {
    use Step::*;
    let narrowed_and_answered = [Accept(250), Feed(60), Take, Quiet, Settle(0, 3)];
    let ahead_and_silent = [StartRead, EndRead(186), Take, Settle(0, 1), Wait(250), StartRead, EndRead(0)];
    let answered_and_fed = [Take, Settle(0, 3), Feed(250)];
    let steps = [&narrowed_and_answered[..], &ahead_and_silent[..], &answered_and_fed[..]].concat();
    World::run(&steps, false, |_| ());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    /// Whatever happens, each event is attempted for the first time in order and once, and reaches its end.
    #[test]
    fn every_event_reaches_its_end_and_begins_in_order(steps in steps(Just(false))) {
        World::run(&steps, false, |world| {
            assert!(world.begun.is_sorted_by(|a, b| a < b), "{:?}", world.begun);
        });
    }

    /// Whatever happens, each visitor's events come one after the other, and all of them.
    #[test]
    fn each_visitors_events_come_in_order_and_reach_their_end(steps in steps(Just(true))) {
        World::run(&steps, true, World::assert_order);
    }

    /// Order may be asked for and not at any time: every event reaches its end.
    #[test]
    fn order_comes_and_goes_and_no_event_is_lost(steps in steps(any::<bool>())) {
        World::run(&steps, true, |_| ());
    }
}
