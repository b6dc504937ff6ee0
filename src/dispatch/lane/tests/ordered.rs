//! Lanes that keep each visitor's order, and lanes with a rate.

use super::*;

fn ordered(limits: LaneLimits, concurrency: usize) -> Lane {
    let mut lane = lane_with(limits);
    lane.adopt(Pace { concurrency, ordered: true, ..PACE }, UnixMs(0));
    lane
}

fn hand(lane: &mut Lane, positions: impl IntoIterator<Item = u64>) {
    positions.into_iter().for_each(|position| assert!(lane.hand(&event(position), true)));
}

/// All that may begin now.
fn begin(lane: &mut Lane, now: i64) -> Vec<Job> {
    std::iter::from_fn(|| lane.take(UnixMs(now))).collect()
}

fn begun(lane: &mut Lane, now: i64) -> Vec<u64> {
    begin(lane, now).iter().map(|job| job.position.0).collect()
}

fn settle(lane: &mut Lane, job: &Job, verdict: Verdict, now: i64) {
    lane.settle(job, verdict, Some(true), UnixMs(now));
}

#[test]
fn a_visitors_next_event_waits_for_the_retries_and_nobody_else_does() {
    let mut lane = ordered(LIMITS, 32);
    hand(&mut lane, [1, 6, 11, 2, 7]);
    let jobs = begin(&mut lane, 0);
    assert_eq!(jobs.iter().map(|job| job.position.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(lane.mark().open.iter().map(|at| at.0).collect::<BTreeSet<_>>(), BTreeSet::from([1, 2, 6, 7, 11]));
    settle(&mut lane, &jobs[0], retry(100), 0);
    settle(&mut lane, &jobs[1], Verdict::Delivered, 0);
    assert_eq!(begun(&mut lane, 99), [7]);
    let again = begin(&mut lane, 100);
    assert_eq!((again[0].position.0, again[0].attempt, again.len()), (1, 2, 1));
    settle(&mut lane, &again[0], Verdict::Failed, 101);
    assert_eq!(begun(&mut lane, 101), [6], "after a final failure the next one goes on");
}

#[test]
fn what_waits_behind_a_retry_outlives_the_journals_oldest_part_with_it() {
    let mut lane = ordered(LIMITS, 32);
    hand(&mut lane, [1, 6, 11, 2]);
    let jobs = begin(&mut lane, 0);
    settle(&mut lane, &jobs[0], retry(100), 0);
    let replayed = Waiting { visitor: Visitor::of("1"), ..of_replay(3) };
    [3, 4].into_iter().for_each(|event| lane.wait(Waiting { event: Position(event), ..replayed }));
    lane.let_go(Position(10));
    assert_eq!(lane.take_expired(), [], "what is parked has left the queue");
    let under_way: BTreeSet<_> = lane.under_way_before(Position(10)).map(|event| event.0).collect();
    assert_eq!(under_way, BTreeSet::from([1, 2, 3, 4, 6]));
}

#[test]
fn at_the_bound_of_parked_events_the_lane_waits_and_leaves_the_rest_to_the_journal() {
    let mut lane = ordered(LaneLimits { parked: 3, ..LIMITS }, 32);
    hand(&mut lane, [5, 10, 15, 20, 25, 1]);
    let jobs = begin(&mut lane, 0);
    assert_eq!(jobs.len(), 1);
    assert_eq!((lane.mark().next, lane.backlog().events), (Some(Position(25)), 2), "1 waits behind 25");
    assert!(!lane.can_take(UnixMs(0)), "and nobody looks at it in vain");
    settle(&mut lane, &jobs[0], Verdict::Delivered, 0);
    assert_eq!(begun(&mut lane, 0), [10, 1]);
}

#[test]
fn events_of_nobody_are_in_no_order() {
    let mut lane = ordered(LIMITS, 32);
    for position in 1..=3 {
        let Some(mut nobodys) = Arc::into_inner(event(position)) else { unreachable!() };
        nobodys.visitor = Visitor::of("");
        assert!(lane.hand(&Arc::new(nobodys), true));
    }
    assert_eq!(begun(&mut lane, 0), [1, 2, 3]);
    assert_eq!(["", " ", "null", "VISITOR-UNIQUE-ID"].map(Visitor::of), [None; 4]);
    assert!(Visitor::of("_PENDO_T_x").is_some() && Visitor::of("x") == Visitor::of("x"));
}

#[test]
fn after_a_restart_what_waits_for_its_retry_still_holds_up_its_visitor() {
    let mut lane = ordered(LIMITS, 32);
    let mark = LaneMark { open: vec![Position(11), Position(2), Position(6)], ..mark_at(12) };
    lane.resume(&mark, BTreeSet::new());
    lane.wait(Waiting { attempts: 1, ..lane.first_attempt(Position(1), UnixMs(500), about(Position(1))) });
    lane.end_refeed(UnixMs(0), about);
    lane.start_read(UnixMs(0)).unwrap();
    assert!(lane.take_read(event(12), UnixMs(0)) && lane.take_read(event(16), UnixMs(0)));
    lane.read_done(Position(17), Position(16));
    assert_eq!(lane.mark().open.len(), 3);
    let jobs = begin(&mut lane, 0);
    assert_eq!(jobs.iter().map(|job| job.position.0).collect::<Vec<_>>(), [2]);
    settle(&mut lane, &jobs[0], Verdict::Delivered, 0);
    assert_eq!(begun(&mut lane, 0), [12]);
    for position in [1, 6, 11, 16] {
        let job = lane.take(UnixMs(500)).unwrap();
        assert_eq!(job.position.0, position);
        settle(&mut lane, &job, Verdict::Delivered, 500);
    }
}

#[test]
fn a_replay_is_in_order_within_itself_and_never_in_flight_beside_a_live_event() {
    let mut lane = ordered(LIMITS, 32);
    for event in [1, 6] {
        lane.wait(of_replay(event));
    }
    hand(&mut lane, [11, 16]);
    let jobs = begin(&mut lane, 0);
    assert_eq!(jobs.iter().map(|job| (job.position.0, job.replay.is_some())).collect::<Vec<_>>(), [(1, true)]);
    settle(&mut lane, &jobs[0], retry(100), 0);
    let jobs = begin(&mut lane, 0);
    assert_eq!(jobs[0].position.0, 11, "its retry holds up the replay, not what is live");
    assert_eq!(begun(&mut lane, 100), [0; 0], "its retry waits for the end of the request in flight");
    settle(&mut lane, &jobs[0], retry(1000), 100);
    let jobs = begin(&mut lane, 100);
    assert_eq!((jobs[0].position.0, jobs[0].attempt), (1, 2));
    settle(&mut lane, &jobs[0], Verdict::Delivered, 100);
    assert_eq!(begun(&mut lane, 100), [6]);
}

#[test]
fn what_a_person_asks_for_goes_at_once_but_not_beside_another_request() {
    let mut lane = ordered(LIMITS, 32);
    hand(&mut lane, [1, 6]);
    let first = begin(&mut lane, 0);
    let again = Waiting { replay: None, ..of_replay(6) };
    lane.wait(again);
    assert_eq!(begun(&mut lane, 0), [0; 0]);
    settle(&mut lane, &first[0], retry(1000), 0);
    let jobs = begin(&mut lane, 0);
    assert_eq!((jobs.len(), jobs[0].delivery), (1, again.delivery), "while 1 waits for its retry");
    settle(&mut lane, &jobs[0], retry(5000), 0);
    let jobs = begin(&mut lane, 1000);
    settle(&mut lane, &jobs[0], Verdict::Delivered, 1000);
    assert_eq!(begun(&mut lane, 1000), [6], "its own retry holds up nobody");
}

#[test]
fn what_is_forgotten_lets_the_next_one_go() {
    let mut lane = ordered(LIMITS, 32);
    hand(&mut lane, [1, 6, 11]);
    let jobs = begin(&mut lane, 0);
    settle(&mut lane, &jobs[0], retry(1000), 0);
    assert_eq!(lane.forget(&[Position(1), Position(6)]), (vec![], 2));
    assert_eq!((lane.queued_bytes(), begun(&mut lane, 0)), (0, vec![11]));
    assert_eq!(lane.mark().open, [Position(11)]);
}

#[test]
fn a_silent_receiver_leaves_no_body_in_memory_and_its_order_as_it_was() {
    let mut lane = ordered(LIMITS, 32);
    hand(&mut lane, [1, 6, 11]);
    let jobs = begin(&mut lane, 0);
    assert_eq!(lane.queued_bytes(), 4);
    lane.settle(&jobs[0], Verdict::Failed, Some(false), UnixMs(0));
    assert_eq!((lane.queued_bytes(), take(&mut lane, 99)), (0, None));
    assert_eq!(lane.next_due(UnixMs(0)), Some(UnixMs(100)), "a first attempt is a probe that waits for the pause");
    let probe = lane.take(UnixMs(100)).unwrap();
    assert!(probe.probe && probe.position.0 == 6 && probe.event.is_none());
}

#[test]
fn a_closed_lane_says_what_was_parked() {
    let mut lane = ordered(LIMITS, 32);
    hand(&mut lane, [1, 6, 11, 2]);
    let jobs = begin(&mut lane, 0);
    settle(&mut lane, &jobs[1], Verdict::Delivered, 0);
    assert_eq!(lane.close(), Undone { from: Some(Position(6)), events: 2, waiting: 0 });
    settle(&mut lane, &jobs[0], Verdict::Delivered, 0);
    assert_eq!(take(&mut lane, 0), None);
}

#[test]
fn order_asked_for_later_waits_for_what_is_on_its_way() {
    let mut lane = lane_of(2);
    hand(&mut lane, [1, 6, 11, 16]);
    let jobs = begin(&mut lane, 0);
    settle(&mut lane, &jobs[0], retry(100), 0);
    lane.adopt(Pace { concurrency: 32, ordered: true, ..PACE }, UnixMs(0));
    assert_eq!(begun(&mut lane, 0), [0; 0]);
    settle(&mut lane, &jobs[1], Verdict::Delivered, 0);
    assert_eq!(begun(&mut lane, 99), [0; 0]);
    lane.adopt(PACE, UnixMs(99));
    assert_eq!(begun(&mut lane, 99), [11, 16], "and goes with the wish");
    assert_eq!(lane.mark().open, [Position(11), Position(16)]);
}

fn paced(rate_per_s: u32) -> Lane {
    let mut lane = lane_with(LIMITS);
    lane.adopt(Pace { rate_per_s: Some(rate_per_s), ..PACE }, UnixMs(0));
    lane
}

#[test]
fn a_rate_counts_every_request_and_names_the_moment_of_the_next() {
    let mut lane = paced(2);
    hand(&mut lane, [1, 2]);
    lane.wait(of_replay(3));
    let job = lane.take(UnixMs(0)).unwrap();
    settle(&mut lane, &job, retry(10), 0);
    assert!(!lane.can_take(UnixMs(499)), "neither a retry, nor a replay, nor something new");
    assert_eq!(lane.next_due(UnixMs(10)), Some(UnixMs(500)));
    let times: Vec<i64> = (0..3000).filter(|now| lane.take(UnixMs(*now)).is_some()).collect();
    assert_eq!(times, [500, 1000, 1500]);
    assert_eq!(lane.next_due(UnixMs(1500)), None);
}

#[test]
fn a_rate_that_is_edited_holds_at_once_and_a_pause_that_was_asked_for_too() {
    let mut lane = paced(1);
    hand(&mut lane, 1..=40);
    assert_eq!(begun(&mut lane, 0), [1]);
    lane.adopt(Pace { rate_per_s: Some(100), ..PACE }, UnixMs(0));
    assert_eq!(lane.next_due(UnixMs(0)), Some(UnixMs(10)));
    lane.pause(UnixMs(400));
    assert_eq!((lane.next_due(UnixMs(10)), take(&mut lane, 399)), (Some(UnixMs(400)), None));
    assert_eq!(begun(&mut lane, 400).len(), 10);
    assert_eq!(lane.next_due(UnixMs(400)), Some(UnixMs(410)));
    lane.adopt(PACE, UnixMs(400));
    assert_eq!(begun(&mut lane, 400).len(), 21, "up to its requests in flight");
}
