use super::*;
use crate::deliver::Message;
use crate::filter::Judgement;
use crate::limits;
use crate::model::{AppId, Category, CategorySet, EventEntry, EventKind, Selection, UniqueId};
use bytes::Bytes;

mod ordered;
mod world;

const WEBHOOK: WebhookId = WebhookId(1);
const SUBSCRIPTION: SubscriptionId = SubscriptionId(1);
const LIMITS: LaneLimits = LaneLimits {
    waiting: 1000,
    probe_pause: Duration::from_secs(30),
    backlog_max_age: Duration::from_secs(14 * 24 * 3600),
    backlog_max_bytes: u64::MAX,
    parked: 16,
};
const PACE: Pace = Pace { concurrency: 32, rate_per_s: None, ordered: false };

fn lane_with(limits: LaneLimits) -> Lane {
    let eras = Eras::from([(Position::ZERO, Interest::of(&CategorySet::All.into()))]);
    let mut lane = Lane::new(WEBHOOK, SUBSCRIPTION, eras, limits);
    lane.adopt(PACE, UnixMs(0));
    lane
}

/// A lane with that many requests in flight.
fn lane_of(concurrency: usize) -> Lane {
    let mut lane = lane_with(LIMITS);
    lane.adopt(Pace { concurrency, ..PACE }, UnixMs(0));
    lane
}

/// Five visitors take turns.
fn visitor(position: u64) -> Option<Visitor> {
    Visitor::of(&format!("v{}", position % 5))
}

fn event(position: u64) -> Arc<Event> {
    Arc::new(Event {
        position: Position(position),
        subscription: SUBSCRIPTION,
        kind: EventKind::TrackEventReceived,
        visitor: visitor(position),
        accepted_at: UnixMs(position as i64),
        message: Message { unique_id: String::new(), body: Bytes::from_static(b"{}") },
    })
}

/// What a restart reads of an event.
fn about(position: Position) -> (UnixMs, Option<Visitor>) {
    (UnixMs(position.0 as i64), visitor(position.0))
}

fn mark_at(next: u64) -> LaneMark {
    LaneMark { webhook: WEBHOOK, next: Some(Position(next)), open: vec![], settled: vec![], behind: Backlog::default() }
}

fn retry(due: i64) -> Verdict {
    Verdict::Retry { due: UnixMs(due) }
}

fn take(lane: &mut Lane, now: i64) -> Option<(u64, u8)> {
    lane.take(UnixMs(now)).map(|job| (job.position.0, job.attempt))
}

#[test]
fn a_lane_at_the_head_sends_what_it_is_handed_in_order_up_to_its_concurrency() {
    let mut lane = lane_of(3);
    (1..=4).for_each(|position| assert!(lane.hand(&event(position), true)));
    let jobs: Vec<_> = std::iter::from_fn(|| lane.take(UnixMs(0))).collect();
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
    let mut lane = lane_of(1);
    (1..=2).for_each(|position| assert!(lane.hand(&event(position), true)));
    let job = lane.take(UnixMs(0)).unwrap();
    lane.settle(&job, retry(1000), Some(true), UnixMs(0));
    assert_eq!(lane.next_due(UnixMs(0)), Some(UnixMs(1000)));
    let second = lane.take(UnixMs(999)).unwrap();
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
    let jobs: Vec<_> = (0..3).map(|_| lane.take(UnixMs(0)).unwrap()).collect();
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
    let first: Vec<_> = (0..3).map(|_| lane.take(UnixMs(0)).unwrap()).collect();
    lane.narrow(false, UnixMs(0));
    assert!(lane.is_behind(), "what waits is left to the journal");
    assert_eq!(take(&mut lane, 50), None, "the next new event waits for the pause");
    lane.settle(&first[0], retry(60), Some(false), UnixMs(50));
    let probe = lane.take(UnixMs(60)).unwrap();
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
            match lane.take(UnixMs(now)) {
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
        let job = lane.take(UnixMs(0)).unwrap();
        lane.settle(&job, retry(100), Some(true), UnixMs(0));
    }
    assert_eq!(take(&mut lane, 50), None);
    assert_eq!(take(&mut lane, 100), Some((1, 2)));
}

#[test]
fn a_receiver_that_asks_for_fewer_requests_is_left_alone_until_then() {
    let mut lane = lane_with(LIMITS);
    (1..=3).for_each(|position| assert!(lane.hand(&event(position), true)));
    let job = lane.take(UnixMs(0)).unwrap();
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

#[test]
fn after_a_restart_a_silent_receiver_is_probed_at_once_and_one_that_rests_is_left_alone() {
    let mut lane = lane_with(LIMITS);
    lane.resume(&mark_at(1), BTreeSet::new());
    (1..=3).for_each(|position| assert!(!lane.hand(&event(position), true)));
    lane.end_refeed(UnixMs(100), |_| (UnixMs(0), None));
    lane.recall_receiver(true, Some(UnixMs(2000)), UnixMs(100));
    assert!(lane.is_narrowed() && lane.start_read(UnixMs(100)).is_some_and(|plan| plan.room == 1));
    assert!(lane.take_read(event(1), UnixMs(100)) && !lane.take_read(event(2), UnixMs(100)));
    lane.read_done(Position(2), Position(3));
    assert_eq!((take(&mut lane, 1999), lane.next_due(UnixMs(100))), (None, Some(UnixMs(2000))));
    let probe = lane.take(UnixMs(2000)).unwrap();
    assert_eq!((probe.position.0, probe.probe), (1, true));
    assert_eq!(take(&mut lane, 2000), None, "one probe at a time");
}

fn of_replay(event: u64) -> Waiting {
    let delivery = DeliveryId { webhook: WEBHOOK, origin: Position(100 + event) };
    let (replay, visitor) = (Some(Position(99)), visitor(event));
    Waiting { due: UnixMs(0), delivery, event: Position(event), attempts: 0, replay, since: UnixMs(0), visitor }
}

#[test]
fn a_replay_takes_a_quarter_at_most_in_order_and_never_two_in_a_row_while_others_wait() {
    let mut lane = lane_of(8);
    (1..=4).rev().for_each(|event| lane.wait(of_replay(event)));
    (11..=20).for_each(|position| assert!(lane.hand(&event(position), true)));
    let jobs: Vec<_> = std::iter::from_fn(|| lane.take(UnixMs(0))).collect();
    assert_eq!(jobs.iter().map(|job| job.position.0).collect::<Vec<_>>(), [1, 11, 2, 12, 13, 14, 15, 16]);
    let mut lane = lane_of(8);
    (1..=4).for_each(|event| lane.wait(of_replay(event)));
    let alone: Vec<_> = std::iter::from_fn(|| lane.take(UnixMs(0))).collect();
    assert_eq!(alone.len(), 2, "with nothing else to send, too: what comes next must find a place");
}

#[test]
fn of_a_replay_that_is_over_nothing_is_sent_and_nothing_is_retried() {
    let mut lane = lane_of(1);
    (1..=4).for_each(|event| lane.wait(of_replay(event)));
    let job = lane.take(UnixMs(0)).unwrap();
    assert_eq!((lane.end_replay(Position(99)), lane.waiting()), (3, 0));
    assert_eq!(lane.settle(&job, retry(5), Some(true), UnixMs(1)), Verdict::Cancelled);
    lane.wait(Waiting { replay: Some(Position(200)), ..of_replay(7) });
    let job = lane.take(UnixMs(10)).unwrap();
    assert_eq!(lane.settle(&job, retry(50), Some(true), UnixMs(11)), retry(50), "another replay's is");
    assert_eq!(lane.next_due(UnixMs(0)), Some(UnixMs(50)));
}

#[test]
fn a_silent_receiver_is_probed_with_a_replay_only_when_nothing_else_waits() {
    let mut lane = lane_with(LIMITS);
    lane.wait(of_replay(1));
    lane.wait(of_replay(2));
    let job = lane.take(UnixMs(0)).unwrap();
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
    let in_flight = lane.take(UnixMs(0)).unwrap();
    let waits = lane.take(UnixMs(0)).unwrap();
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
    lane.resume(&mark_at(5), BTreeSet::new());
    lane.lost_until(Position(9));
    assert_eq!(lane.take_expired(), [Expired { from: Position(5), to: Position(8), events: None }]);
    assert_eq!(lane.mark().next, Some(Position(9)));
}

#[test]
fn what_the_journal_outgrows_expires_unless_a_delivery_of_it_is_under_way() {
    let mut lane = lane_with(LIMITS);
    (1..=4).for_each(|position| assert!(lane.hand(&event(position), true)));
    let jobs = [lane.take(UnixMs(0)).unwrap(), lane.take(UnixMs(0)).unwrap()];
    lane.settle(&jobs[0], retry(1000), Some(true), UnixMs(0));
    lane.wait(Waiting { event: Position(3), ..of_replay(3) });
    lane.let_go(Position(4));
    assert_eq!(lane.take_expired(), [Expired { from: Position(3), to: Position(3), events: Some(1) }]);
    let mut under_way: Vec<_> = lane.under_way_before(Position(4)).map(|event| event.0).collect();
    under_way.sort_unstable();
    assert_eq!(under_way, [1, 2, 3], "what is retried, what is in flight, what a replay sends");
    assert_eq!(lane.under_way_before(Position(2)).count(), 1);
    assert_eq!(
        (take(&mut lane, 0), take(&mut lane, 0)),
        (Some((3, 1)), Some((4, 1))),
        "the replay's, and what is left"
    );
}

#[test]
fn a_lane_that_reads_what_the_journal_outgrows_goes_on_behind_it_and_joins() {
    let mut lane = lane_with(LIMITS);
    lane.resume(&mark_at(5), BTreeSet::new());
    let plan = lane.start_read(UnixMs(0)).unwrap();
    lane.let_go(Position(8));
    assert_eq!(lane.take_expired(), [Expired { from: Position(5), to: Position(7), events: None }]);
    // What the read that was under way brings of it is not taken.
    assert!((plan.from.0..=9).all(|position| lane.take_read(event(position), UnixMs(0))));
    lane.read_done(Position(10), Position(12));
    assert_eq!((take(&mut lane, 0), take(&mut lane, 0), take(&mut lane, 0)), (Some((8, 1)), Some((9, 1)), None));
    // It has joined: from 13 on it is handed events, and reads up to there.
    assert!(lane.hand(&event(13), true) && lane.hand(&event(14), true));
    lane.let_go(Position(14));
    let expired = lane.take_expired();
    assert_eq!(expired[0], Expired { from: Position(10), to: Position(12), events: None });
    assert_eq!(expired[1], Expired { from: Position(13), to: Position(13), events: Some(1) });
    assert!(lane.start_read(UnixMs(0)).is_some());
    lane.read_done(Position(13), Position(14));
    assert_eq!((lane.is_behind(), take(&mut lane, 0)), (false, Some((14, 1))));
}

#[test]
fn what_is_selected_holds_from_their_position_on_for_a_lane_that_reads_later() {
    let only = |category, filter: Option<&str>| {
        let filter = filter.map(str::to_owned);
        Interest::of(&Selection { filter, ..CategorySet::of([category]).into() })
    };
    let eras = Eras::from([(Position::ZERO, only(Category::TrackEvents, None))]);
    let mut lane = Lane::new(WEBHOOK, SUBSCRIPTION, eras, LIMITS);
    lane.resume(&mark_at(1), BTreeSet::new());
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
    let jobs: Vec<_> = (0..3).map(|_| lane.take(UnixMs(20)).unwrap()).collect();
    assert_eq!(lane.oldest_undelivered(), Some(UnixMs(11)), "in flight");
    lane.settle(&jobs[0], retry(1000), Some(true), UnixMs(20));
    lane.settle(&jobs[1], Verdict::Delivered, Some(true), UnixMs(20));
    assert_eq!(lane.oldest_undelivered(), Some(UnixMs(11)), "to be retried");
    let again = lane.take(UnixMs(1000)).unwrap();
    lane.settle(&again, retry(5000), Some(true), UnixMs(1000));
    assert_eq!(lane.oldest_undelivered(), Some(UnixMs(11)), "however often it was tried");
    let last = lane.take(UnixMs(5000)).unwrap();
    lane.settle(&last, Verdict::Failed, Some(true), UnixMs(5000));
    assert_eq!(lane.oldest_undelivered(), Some(UnixMs(13)));
    lane.settle(&jobs[2], Verdict::Delivered, Some(true), UnixMs(5000));
    lane.wait(of_replay(1));
    assert_eq!(lane.oldest_undelivered(), None, "what a replay sends is old from the start");
    lane.take(UnixMs(5000)).unwrap();
    assert_eq!((lane.in_flight(), lane.oldest_undelivered()), (1, None));
}

#[test]
fn the_age_of_what_was_in_flight_outlives_a_restart() {
    let mut lane = lane_with(LIMITS);
    let mark = LaneMark { open: vec![Position(7), Position(5)], next: None, ..mark_at(0) };
    lane.resume(&mark, BTreeSet::new());
    lane.end_refeed(UnixMs(900), about);
    assert_eq!(lane.oldest_undelivered(), Some(UnixMs(5)));
}
