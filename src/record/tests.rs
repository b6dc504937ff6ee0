use super::view::{
    DeliveryQuery, DeliverySummary, ErrorItem, ErrorQuery, ErrorStatus, EventQuery, EventSummary, LogItem, Page,
};
use super::{RecordError, Records};
use crate::clock::ManualClock;
use crate::journal::Journal;
use crate::model::{
    ClosedWhy, DeliveryId, DeliveryState, Entry, EventId, EventKind, IncidentKind, Notice, Position, Redelivery,
    Resend, ShapedOutcome, SubscriptionId, UnixMs, Verdict, WebhookId,
};
use crate::store::projection::Projection;
use crate::store::projection::history::{
    OTHER, SENT, START, SUBSCRIPTION, Step, World, intake_settings, is_shaped, record_settings, steps,
};
use crate::store::projection::memory::MemoryJournal;
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;
use tempfile::TempDir;

struct Rig {
    _dir: TempDir,
    journal: Arc<MemoryJournal>,
    projection: Arc<Projection>,
    records: Records,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = Arc::new(MemoryJournal::new());
        let seam: Arc<dyn Journal> = Arc::<MemoryJournal>::clone(&journal);
        let clock = Arc::new(ManualClock::at(START));
        let settings = (record_settings(), intake_settings());
        let projection = Arc::new(
            Projection::open(&dir.path().into(), Arc::clone(&seam), &settings.0, &settings.1, clock.clone()).unwrap(),
        );
        let records = Records::new(Arc::clone(&projection), seam, clock);
        Self { _dir: dir, journal, projection, records }
    }

    fn play(&self, world: &mut World, steps: &[Step]) {
        steps.iter().for_each(|step| world.play(&self.journal, step));
        self.projection.catch_up().unwrap();
    }

    /// Every page of a list, and what happens between two of them.
    fn pages<T>(&self, mut page: impl FnMut(Option<String>) -> Page<T>, mut between: impl FnMut(&Self)) -> Vec<T> {
        let (mut all, mut cursor) = (Vec::new(), None);
        for _ in 0..10_000 {
            let Page { mut data, next } = page(cursor);
            all.append(&mut data);
            if next.is_none() {
                return all;
            }
            cursor = next;
            between(self);
        }
        panic!("the pages have no end");
    }
}

/// What a list shows of a delivery, derived in the simplest way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    place: Position,
    id: DeliveryId,
    event: Position,
    kind: EventKind,
    state: DeliveryState,
    attempts: u32,
    created_at: UnixMs,
    replay: Option<Position>,
}

fn model(journal: &MemoryJournal) -> Vec<Line> {
    let mut events = HashMap::new();
    let mut lines: Vec<Line> = Vec::new();
    let mut over = Vec::new();
    for entry in journal.read(Position(1), usize::MAX).unwrap().entries() {
        let (at, entry) = entry.unwrap();
        match entry {
            Entry::Event(event) => {
                events.insert(at, (event.accepted_at, event.kind));
            }
            Entry::Redelivery(Redelivery { webhook, event, at: asked_at }) => {
                lines.push(asked_again(at, webhook, (event, events[&event].1), asked_at, None));
            }
            Entry::Resend(Resend { webhook, event, replay, at: asked_at, .. }) if !over.contains(&replay) => {
                lines.push(asked_again(at, webhook, (event, events[&event].1), asked_at, Some(replay)));
            }
            Entry::ReplayEnded(ended) => {
                over.push(ended.replay);
                let waiting =
                    |line: &&mut Line| line.replay == Some(ended.replay) && line.state == DeliveryState::Retrying;
                lines.iter_mut().filter(waiting).for_each(|line| line.state = DeliveryState::Cancelled);
            }
            Entry::Outcome(outcome) | Entry::ShapedOutcome(ShapedOutcome { outcome, .. }) => {
                let state = state_after(outcome.verdict);
                let attempts = u32::from(outcome.attempt);
                match lines.iter_mut().find(|line| line.id == outcome.delivery) {
                    Some(line) => {
                        let is_over = line.replay.is_some_and(|replay| over.contains(&replay));
                        let is_void = is_over && state == DeliveryState::Retrying;
                        line.state = if is_void { DeliveryState::Cancelled } else { state };
                        line.attempts = attempts;
                    }
                    None => lines.push(Line {
                        place: at,
                        id: outcome.delivery,
                        event: outcome.event,
                        kind: outcome.kind,
                        state,
                        attempts,
                        created_at: events[&outcome.event].0,
                        replay: None,
                    }),
                }
            }
            Entry::Closed(closed) if closed.retries => {
                let state = match closed.why {
                    ClosedWhy::Cancelled => DeliveryState::Cancelled,
                    ClosedWhy::Expired => DeliveryState::Expired,
                };
                let waiting =
                    |line: &&mut Line| line.id.webhook == closed.webhook && line.state == DeliveryState::Retrying;
                lines.iter_mut().filter(waiting).for_each(|line| line.state = state);
            }
            _ => {}
        }
    }
    lines.sort_by_key(|line| std::cmp::Reverse(line.place));
    lines
}

fn asked_again(
    place: Position,
    webhook: WebhookId,
    (event, kind): (Position, EventKind),
    created_at: UnixMs,
    replay: Option<Position>,
) -> Line {
    let (id, state) = (DeliveryId { webhook, origin: place }, DeliveryState::Retrying);
    Line { place, id, event, kind, state, attempts: 0, created_at, replay }
}

fn state_after(verdict: Verdict) -> DeliveryState {
    match verdict {
        Verdict::Delivered => DeliveryState::Delivered,
        Verdict::Retry { .. } => DeliveryState::Retrying,
        Verdict::Failed => DeliveryState::Failed,
        Verdict::Cancelled => DeliveryState::Cancelled,
    }
}

fn line(summary: &DeliverySummary, lines: &[Line]) -> Line {
    Line {
        place: lines.iter().find(|line| line.id == summary.id).map_or(Position::ZERO, |line| line.place),
        id: summary.id,
        event: summary.event.0,
        kind: summary.kind,
        state: summary.status,
        attempts: summary.attempts,
        created_at: summary.created_at,
        replay: summary.replay.map(|id| id.0),
    }
}

fn query(webhook: u64, limit: usize) -> DeliveryQuery {
    DeliveryQuery {
        subscription: SUBSCRIPTION,
        webhook: WebhookId(webhook),
        status: None,
        event: None,
        from: None,
        to: None,
        cursor: None,
        limit,
    }
}

/// The notices of a journal: each incident's where it was told first, with what was told last.
fn notices(journal: &MemoryJournal) -> Vec<(Position, Notice)> {
    let mut found: Vec<(Position, Notice)> = Vec::new();
    for entry in journal.read(Position(1), usize::MAX).unwrap().entries() {
        let (at, Entry::Notice(notice)) = entry.unwrap() else { continue };
        match found.iter_mut().find(|(_, known)| known.incident == notice.incident) {
            Some((_, known)) => *known = notice,
            None => found.push((at, notice)),
        }
    }
    found
}

/// What the error log shows, told apart by what it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shown {
    Attempt(DeliveryId, u32),
    Notice(Position),
    Delivery(DeliveryId),
}

/// The failed attempts and the notices of a journal that are asked for, newest first.
fn errors(journal: &MemoryJournal, query: &ErrorQuery) -> Vec<Shown> {
    let of = |webhook| query.webhook.is_none_or(|wanted| wanted == webhook);
    let mut found = Vec::new();
    for entry in journal.read(Position(1), usize::MAX).unwrap().entries() {
        let (at, entry) = entry.unwrap();
        let Some(outcome) = entry.outcome().filter(|outcome| of(outcome.delivery.webhook)) else { continue };
        let is_asked_for = match (query.status, outcome.verdict) {
            (_, Verdict::Delivered | Verdict::Cancelled) | (Some(ErrorStatus::TurnedOff | ErrorStatus::Warned), _) => {
                false
            }
            (Some(ErrorStatus::Retrying), verdict) => matches!(verdict, Verdict::Retry { .. }),
            (Some(ErrorStatus::Failed), verdict) => verdict == Verdict::Failed,
            (Some(ErrorStatus::Answered(status)), _) => outcome.status == status,
            (None, _) => true,
        };
        if is_asked_for && query.event.is_none_or(|kind| kind == outcome.kind) {
            found.push((at, Shown::Attempt(outcome.delivery, u32::from(outcome.attempt))));
        }
    }
    for (at, notice) in notices(journal) {
        let is_asked_for = match query.status {
            None => true,
            Some(ErrorStatus::Warned) => notice.kind == IncidentKind::Warning,
            Some(ErrorStatus::TurnedOff) => notice.kind != IncidentKind::Warning,
            Some(_) => false,
        };
        if is_asked_for && query.event.is_none() && of(notice.webhook) {
            found.push((at, Shown::Notice(notice.incident)));
        }
    }
    found.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    found.into_iter().map(|(_, shown)| shown).collect()
}

fn event_query(limit: usize) -> EventQuery {
    EventQuery { limit, ..EventQuery::of(SUBSCRIPTION) }
}

fn times() -> impl Strategy<Value = Option<UnixMs>> {
    prop::option::weighted(0.5, (0_i64..40_000_000).prop_map(|ms| UnixMs(START.0 + ms)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn deliveries_are_what_a_naive_list_has(
        before in steps(400), later in steps(60), webhook in 1_u64..4, limit in 1_usize..12,
        status in prop::option::of(0_usize..5), kind in prop::option::weighted(0.3, 0_usize..8),
        from in times(), to in times(),
    ) {
        let rig = Rig::new();
        let mut world = World::new();
        rig.play(&mut world, &before);
        let lines = model(&rig.journal);
        let status = status.map(|index| DeliveryState::ALL[index]);
        let kind = kind.map(|index| EventKind::ALL[index]);
        let wanted = |line: &&Line| {
            line.id.webhook == WebhookId(webhook)
                && status.is_none_or(|status| line.state == status)
                && kind.is_none_or(|kind| line.kind == kind)
                && from.is_none_or(|from| line.created_at >= from)
                && to.is_none_or(|to| line.created_at < to)
        };
        // What is new arrives between the pages. Only first attempts: a retry changes what an older line says.
        let new = later.iter().filter(|step| matches!(step, Step::Event { .. } | Step::Wait { .. })).cloned();
        let mut new = new.collect::<Vec<_>>().into_iter();
        let found = rig.pages(
            |cursor| rig.records.deliveries(&DeliveryQuery { status, event: kind, from, to, cursor, ..query(webhook, limit) }).unwrap(),
            |rig| if let Some(step) = new.next() {
                let attempt = Step::Attempt { webhook: webhook as u8 - 1, pick: usize::MAX, verdict: 0 };
                rig.play(&mut world, &[step, attempt]);
            },
        );
        let found: Vec<_> = found.iter().map(|summary| line(summary, &lines)).collect();
        let expected: Vec<_> = lines.iter().filter(wanted).cloned().collect();
        // A delivery that was not there at the first page stands above it, so the pages never meet it.
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn the_error_log_is_what_a_naive_list_has(
        before in steps(400), later in steps(40), limit in 1_usize..12, webhook in prop::option::of(1_u64..4),
        status in prop::option::weighted(0.5, 0_usize..5), kind in prop::option::weighted(0.2, 0_usize..8),
    ) {
        let rig = Rig::new();
        let mut world = World::new();
        rig.play(&mut world, &before);
        let all = [
            ErrorStatus::Retrying, ErrorStatus::Failed, ErrorStatus::Answered(503), ErrorStatus::TurnedOff,
            ErrorStatus::Warned,
        ];
        let query = ErrorQuery {
            subscription: SUBSCRIPTION,
            webhook: webhook.map(WebhookId),
            event: kind.map(|index| EventKind::ALL[index]),
            status: status.map(|index| all[index]),
            cursor: None,
            limit,
        };
        let expected = errors(&rig.journal, &query);
        // What is new stands above the first page.
        let mut new = later.into_iter();
        let found = rig.pages(
            |cursor| rig.records.errors(&ErrorQuery { cursor, ..query.clone() }).unwrap(),
            |rig| if let Some(step) = new.next() { rig.play(&mut world, &[step]) },
        );
        let shown = |item: &ErrorItem| match item {
            ErrorItem::Attempt(entry) => Shown::Attempt(entry.delivery, entry.attempt.attempt),
            ErrorItem::Notice(view) => Shown::Notice(view.notice.incident),
        };
        prop_assert_eq!(found.iter().map(shown).collect::<Vec<_>>(), expected);
        let others = rig.records.errors(&ErrorQuery { subscription: OTHER, ..query }).unwrap();
        prop_assert!(others.data.is_empty());
    }

    #[test]
    fn a_log_is_its_deliveries_and_notices_in_one_order(
        before in steps(400), webhook in 1_u64..4, limit in 1_usize..12, status in prop::option::weighted(0.2, 0_usize..5),
        from in times(), to in times(),
    ) {
        let rig = Rig::new();
        rig.play(&mut World::new(), &before);
        let status = status.map(|index| DeliveryState::ALL[index]);
        let (webhook, is_within) = (WebhookId(webhook), |at: UnixMs| at.is_within(from, to));
        let lines = model(&rig.journal).into_iter().filter(|line| {
            line.id.webhook == webhook && is_within(line.created_at) && status.is_none_or(|status| status == line.state)
        });
        let mut expected: Vec<_> = lines.map(|line| (line.place, Shown::Delivery(line.id))).collect();
        let notices = notices(&rig.journal).into_iter();
        let asked_for = notices.filter(|(_, notice)| status.is_none() && notice.webhook == webhook && is_within(notice.at));
        expected.extend(asked_for.map(|(at, notice)| (at, Shown::Notice(notice.incident))));
        expected.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let query = DeliveryQuery { status, from, to, ..query(webhook.0, limit) };
        let found = rig.pages(|cursor| rig.records.log(&DeliveryQuery { cursor, ..query.clone() }).unwrap(), |_| {});
        let shown = |item: &LogItem| match item {
            LogItem::Delivery(detail) => Shown::Delivery(detail.summary.id),
            LogItem::Notice(view) => Shown::Notice(view.notice.incident),
        };
        let expected: Vec<_> = expected.into_iter().map(|(_, shown)| shown).collect();
        prop_assert_eq!(found.iter().map(shown).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn one_delivery_is_what_the_list_says_of_it(before in steps(200)) {
        let rig = Rig::new();
        rig.play(&mut World::new(), &before);
        for line in model(&rig.journal) {
            let detail = rig.records.delivery(SUBSCRIPTION, line.id).unwrap().unwrap();
            prop_assert_eq!(detail.summary.status, line.state);
            prop_assert_eq!(detail.attempts.len(), line.attempts as usize);
            prop_assert!(detail.attempts.iter().zip(1_u32..).all(|(attempt, number)| attempt.attempt == number));
            let sent = is_shaped(line.id.webhook).then_some(SENT);
            prop_assert!(detail.attempts.iter().all(|attempt| attempt.request_body.as_deref() == sent));
            let body = detail.request_body.unwrap_or_default();
            prop_assert!(body.starts_with(br#"{"event""#), "the body as it was accepted");
            prop_assert_eq!(rig.records.delivery(OTHER, line.id).unwrap(), None);
            let page = rig.records.deliveries(&DeliveryQuery { subscription: OTHER, ..query(line.id.webhook.0, 100) });
            prop_assert!(page.unwrap().data.is_empty());
        }
    }

    #[test]
    fn events_are_what_a_naive_list_has(
        before in steps(600), later in steps(40), limit in 1_usize..20, other in any::<bool>(),
        kind in prop::option::weighted(0.3, 0_usize..8), from in times(), to in times(),
    ) {
        let rig = Rig::new();
        let mut world = World::new();
        rig.play(&mut world, &before);
        let subscription: SubscriptionId = if other { OTHER } else { SUBSCRIPTION };
        let kind = kind.map(|index| EventKind::ALL[index]);
        let mut expected = Vec::new();
        for entry in rig.journal.read(Position(1), usize::MAX).unwrap().entries() {
            let (at, Entry::Event(event)) = entry.unwrap() else { continue };
            let inside = from.is_none_or(|from| event.accepted_at >= from) && to.is_none_or(|to| event.accepted_at < to);
            if event.subscription == subscription && inside && kind.is_none_or(|kind| event.kind == kind) {
                expected.insert(0, at);
            }
        }
        let mut new = later.into_iter();
        let found = rig.pages(
            |cursor| rig.records.events(&EventQuery { subscription, event: kind, from, to, cursor, ..event_query(limit) }).unwrap(),
            |rig| if let Some(step) = new.next() { rig.play(&mut world, &[step]) },
        );
        let found: Vec<_> = found.into_iter().map(|event: EventSummary| event.id.0).collect();
        prop_assert_eq!(found, expected);
    }
}

fn deliver(count: usize) -> Vec<Step> {
    let event = Step::Event { kind: 7, visitor: 1, withheld: false, item: false, other: false };
    let attempt = |pick| Step::Attempt { webhook: 0, pick, verdict: 0 };
    (0..count).flat_map(|index| [event.clone(), attempt(index)]).collect()
}

#[test]
fn a_rare_state_among_many_successes_is_found_in_bounded_pages() {
    let rig = Rig::new();
    let mut world = World::new();
    let event = Step::Event { kind: 7, visitor: 1, withheld: false, item: false, other: false };
    rig.play(&mut world, &[event, Step::Attempt { webhook: 0, pick: 0, verdict: 6 }]);
    rig.play(&mut world, &[Step::Event { kind: 0, visitor: 1, withheld: false, item: false, other: false }]);
    rig.play(&mut world, &[Step::Attempt { webhook: 0, pick: 1, verdict: 0 }]);
    let many: Vec<_> = deliver(2000)
        .into_iter()
        .map(|step| match step {
            Step::Attempt { webhook, pick, verdict } => Step::Attempt { webhook, pick: pick + 2, verdict },
            step => step,
        })
        .collect();
    rig.play(&mut world, &many);
    let failed = DeliveryQuery { status: Some(DeliveryState::Failed), ..query(1, 10) };
    let found = rig.records.deliveries(&failed).unwrap();
    assert_eq!((found.data.len(), found.next), (1, None));
    let rare = DeliveryQuery { event: Some(EventKind::GuideDisplayed), ..query(1, 10) };
    let found = rig.pages(|cursor| rig.records.deliveries(&DeliveryQuery { cursor, ..rare.clone() }).unwrap(), |_| {});
    assert_eq!(found.len(), 1);
    let all = rig.pages(|cursor| rig.records.deliveries(&DeliveryQuery { cursor, ..query(1, 500) }).unwrap(), |_| {});
    assert_eq!(all.len(), 2002);
}

#[test]
fn what_left_the_journal_is_said_to_be_gone() {
    let rig = Rig::new();
    let mut world = World::new();
    rig.play(&mut world, &[Step::Event { kind: 7, visitor: 1, withheld: false, item: false, other: false }]);
    rig.play(&mut world, &[Step::Attempt { webhook: 0, pick: 0, verdict: 6 }]);
    rig.play(&mut world, &deliver(3));
    rig.journal.forget_before(Position(3));
    let id = DeliveryId { webhook: WebhookId(1), origin: Position(1) };
    let detail = rig.records.delivery(SUBSCRIPTION, id).unwrap().unwrap();
    assert_eq!((detail.request_body, detail.attempts.len()), (None, 1), "the attempt outlives the body");
    assert_eq!(rig.records.event(SUBSCRIPTION, EventId(Position(1))).unwrap(), None);
    let events = rig.records.events(&event_query(10)).unwrap();
    assert_eq!((events.data.len(), events.next), (3, None));
}

#[test]
fn a_cursor_that_no_page_gave_is_refused() {
    let rig = Rig::new();
    for cursor in ["", "c", "7", "c-1", "c+1", "cffffffffffffffff", "c 1"] {
        let query = DeliveryQuery { cursor: Some(cursor.to_owned()), ..query(1, 10) };
        assert!(matches!(rig.records.deliveries(&query), Err(RecordError::Cursor)), "{cursor}");
    }
}

#[test]
fn counts_leave_out_what_a_person_asked_for() {
    let rig = Rig::new();
    let mut world = World::new();
    rig.play(&mut world, &deliver(2));
    rig.play(&mut world, &[Step::Redeliver { webhook: 0, pick: 0 }]);
    assert_eq!(rig.records.webhook_stats(WebhookId(1)).unwrap().waiting_retries, 1);
    rig.play(&mut world, &[Step::Retry { pick: 0, verdict: 0 }]);
    let stats = rig.records.webhook_stats(WebhookId(1)).unwrap();
    assert_eq!((stats.delivered_24h, stats.failed_24h, stats.waiting_retries), (2, 0, 0));
    assert!(stats.last_success_at.is_some() && stats.last_error_at.is_none());
    let page = rig.records.deliveries(&query(1, 10)).unwrap();
    assert_eq!(page.data.iter().filter(|delivery| delivery.redelivery).count(), 1);
}
