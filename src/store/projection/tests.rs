use super::apply::{Applier, stored_position};
use super::history::{START, SUBSCRIPTION, World, intake_settings, record_settings, steps};
use super::memory::MemoryJournal;
use super::retention::{Dropped, Sweeper, Swept, Table};
use super::{Projection, open_writer};
use crate::clock::ManualClock;
use crate::journal::{Holder, Journal};
use crate::model::{
    AppId, DeliveryId, Entry, EventEntry, EventKind, IncidentKind, Mailed, Notice, OutcomeEntry, PersonKind, Position,
    Reason, Timings, UniqueId, UnixMs, Verdict, WebhookId,
};
use crate::store::db::Connection;
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Every table's rows as text. Item ids are shown one by one: how they are packed depends on the transactions.
fn dump(db: &Connection) -> Vec<String> {
    let mut lines = Vec::new();
    for table in [
        "marks",
        "people",
        "metadata",
        "health",
        "incidents",
        "notices",
        "held",
        "deliveries",
        "attempts",
        "successes",
        "minutes",
        "webhooks",
        "lanes",
        "switches",
        "ranges",
        "replays",
        "carried",
        "meta",
    ] {
        let mut statement = db.prepare_cached(&format!("SELECT * FROM {table} ORDER BY 1, 2")).unwrap();
        let mut rows = statement.query(()).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let columns = (0..).map_while(|column| row.get_ref(column).ok());
            let values: Vec<_> = columns.map(|value| format!("{value:?}")).collect();
            lines.push(format!("{table}: {}", values.join(" ")));
        }
    }
    let mut statement = db.prepare_cached("SELECT items FROM items ORDER BY first_position").unwrap();
    let mut rows = statement.query(()).unwrap();
    while let Some(row) = rows.next().unwrap() {
        for (fingerprint, at) in super::codec::items(&row.get::<Vec<u8>>(0).unwrap()).unwrap() {
            lines.push(format!("item: {fingerprint} {at:?}"));
        }
    }
    lines
}

/// A database that is written without the thread, so that a test decides where transactions end.
struct Rig {
    db: Connection,
    applier: Applier,
    position: Position,
}

impl Rig {
    fn open(dir: &Path) -> Self {
        let db = open_writer(&dir.into()).unwrap();
        let position = stored_position(&db).unwrap();
        Self { db, applier: Applier::new(record_settings().health), position }
    }

    /// Applies at most `most` entries in one transaction.
    fn advance(&mut self, journal: &MemoryJournal, most: usize) {
        let transaction = self.db.transaction().unwrap();
        let chunk = journal.read(self.position.next(), usize::MAX).unwrap();
        for entry in chunk.entries().take(most) {
            let (at, entry) = entry.unwrap();
            self.applier.apply(&transaction, journal, at, &entry).unwrap();
            self.position = at;
        }
        self.applier.flush(&transaction).unwrap();
        transaction.commit().unwrap();
    }

    fn finish(&mut self, journal: &MemoryJournal) {
        while self.position < *journal.durable().borrow() {
            self.advance(journal, 1000);
        }
    }
}

fn copy(from: &Path, to: &Path) {
    for suffix in ["", "-wal"] {
        let name = format!("records.db{suffix}");
        let _ = std::fs::remove_file(to.join(&name));
        if from.join(&name).exists() {
            std::fs::copy(from.join(&name), to.join(&name)).unwrap();
        }
    }
    let _ = std::fs::remove_file(to.join("records.db-shm"));
}

fn projection(dir: &Path, journal: &Arc<MemoryJournal>) -> Projection {
    let journal: Arc<dyn Journal> = Arc::<MemoryJournal>::clone(journal);
    let clock = Arc::new(ManualClock::at(START));
    let projection = Projection::open(&dir.into(), journal, &record_settings(), &intake_settings(), clock).unwrap();
    projection.catch_up().unwrap();
    projection
}

fn event(kind: EventKind, at: UnixMs) -> EventEntry<'static> {
    EventEntry {
        subscription: SUBSCRIPTION,
        app: AppId::FIRST,
        kind,
        unique_id: UniqueId([1; 20]),
        visitor_id: "v",
        account_id: "a",
        occurred_at: at,
        accepted_at: at,
        withheld: None,
        item: None,
        closes: None,
        body: b"{}",
    }
}

fn outcome(webhook: u64, event: Position, attempt: u8, verdict: Verdict, at: UnixMs) -> OutcomeEntry<'static> {
    OutcomeEntry {
        delivery: DeliveryId { webhook: WebhookId(webhook), origin: event },
        event,
        kind: EventKind::TrackEventReceived,
        attempt,
        started_at: at,
        verdict,
        status: 200,
        reason: Reason::Accepted,
        detail: "",
        timings: Timings::default(),
        request_headers: "",
        response_headers: "",
        response_body: b"",
        response_cut: false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn chunks_and_crashes_change_nothing(
        steps in steps(200), cuts in prop::collection::vec((1_usize..40, 0_u8..5), 1..30),
    ) {
        let journal = MemoryJournal::new();
        let mut world = World::new();
        steps.iter().for_each(|step| world.play(&journal, step));

        let whole = tempfile::tempdir().unwrap();
        let mut at_once = Rig::open(whole.path());
        at_once.advance(&journal, usize::MAX);

        let (dir, saved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut rig = Rig::open(dir.path());
        copy(dir.path(), saved.path());
        for (most, what) in cuts {
            rig.advance(&journal, most);
            match what {
                // The state of now is what a later crash finds on disk.
                0 => copy(dir.path(), saved.path()),
                // Power cut: back to the saved state.
                1 => {
                    drop(rig);
                    copy(saved.path(), dir.path());
                    rig = Rig::open(dir.path());
                }
                // A transaction that is rolled back.
                2 => {
                    rig.db.execute_batch("BEGIN").unwrap();
                    let chunk = journal.read(rig.position.next(), usize::MAX).unwrap();
                    for entry in chunk.entries().take(most) {
                        let (at, entry) = entry.unwrap();
                        rig.applier.apply(&rig.db, &journal, at, &entry).unwrap();
                    }
                    rig.db.execute_batch("ROLLBACK").unwrap();
                    rig.applier.forget();
                }
                _ => {}
            }
        }
        rig.finish(&journal);
        prop_assert_eq!(dump(&rig.db), dump(&at_once.db));
    }
}

proptest! {
    // Each case starts the thread twice, with its synced checkpoints.
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_rebuild_gives_the_same(steps in steps(150)) {
        let journal = Arc::new(MemoryJournal::new());
        let mut world = World::new();
        steps.iter().for_each(|step| world.play(&journal, step));
        let dir = tempfile::tempdir().unwrap();
        projection(dir.path(), &journal).stop();
        let before = dump(&open_writer(&dir.path().into()).unwrap());
        let clock = Arc::new(ManualClock::at(START));
        let same: Arc<dyn Journal> = Arc::<MemoryJournal>::clone(&journal);
        Projection::rebuild(&dir.path().into(), same, &record_settings(), &intake_settings(), clock).unwrap().stop();
        prop_assert_eq!(dump(&open_writer(&dir.path().into()).unwrap()), before);
    }
}

#[test]
fn a_rebuild_keeps_what_the_journal_no_longer_tells() {
    let journal = Arc::new(MemoryJournal::new());
    journal.add(&Entry::Event(event(EventKind::VisitorCreated, START)));
    journal.add(&Entry::Outcome(outcome(1, Position(1), 1, Verdict::Failed, START)));
    journal.add(&Entry::Event(event(EventKind::AccountCreated, START)));
    let second = journal.add(&Entry::Outcome(outcome(1, Position(3), 1, Verdict::Failed, START)));
    let dir = tempfile::tempdir().unwrap();
    projection(dir.path(), &journal).stop();
    journal.forget_before(Position(3));
    let clock = Arc::new(ManualClock::at(START));
    let same: Arc<dyn Journal> = Arc::<MemoryJournal>::clone(&journal);
    let rebuilt = Projection::rebuild(&dir.path().into(), same, &record_settings(), &intake_settings(), clock).unwrap();
    assert!(rebuilt.is_seen(SUBSCRIPTION, PersonKind::Visitor, "v").unwrap(), "only the database remembers");
    assert!(rebuilt.is_seen(SUBSCRIPTION, PersonKind::Account, "a").unwrap());
    for origin in [1, 3] {
        let id = DeliveryId { webhook: WebhookId(1), origin: Position(origin) };
        let row = rebuilt.delivery_row(id).unwrap().expect("both failures are still there");
        assert_eq!(rebuilt.attempts(row.listed).unwrap().len(), 1, "each attempt once");
    }
    assert_eq!(rebuilt.projected(), second);
}

#[test]
fn the_thread_follows_and_releases_what_it_has_written() {
    let journal = Arc::new(MemoryJournal::new());
    let dir = tempfile::tempdir().unwrap();
    let running = projection(dir.path(), &journal);
    assert!(!running.is_seen(SUBSCRIPTION, PersonKind::Visitor, "v").unwrap());
    for _ in 0..5 {
        journal.add(&Entry::Event(event(EventKind::VisitorCreated, START)));
    }
    let due = UnixMs(START.0 + 5);
    journal.add(&Entry::Outcome(outcome(1, Position(3), 1, Verdict::Retry { due }, START)));
    running.catch_up().unwrap();
    assert!(running.is_seen(SUBSCRIPTION, PersonKind::Visitor, "v").unwrap());
    assert_eq!((running.projected(), running.stats().lag), (Position(6), 0));
    let waiting = running.waiting_retries().unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!((waiting[0].event, waiting[0].attempts, waiting[0].due), (Position(3), 1, due));
    running.stop();
    assert_eq!(journal.released(Holder::Records), Position(7), "what waits is the lanes' to hold");

    journal.add(&Entry::Outcome(outcome(1, Position(3), 2, Verdict::Delivered, START)));
    projection(dir.path(), &journal).stop();
    assert_eq!(journal.released(Holder::Records), Position(8));
    assert_eq!(journal.released(Holder::Lanes), Position::ZERO);
}

#[test]
fn a_database_ahead_of_the_journal_is_refused() {
    let journal = Arc::new(MemoryJournal::new());
    journal.add(&Entry::Event(event(EventKind::VisitorCreated, START)));
    let dir = tempfile::tempdir().unwrap();
    projection(dir.path(), &journal).stop();
    let other: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    let clock = Arc::new(ManualClock::at(START));
    let opened = Projection::open(&dir.path().into(), other, &record_settings(), &intake_settings(), clock);
    assert!(matches!(opened, Err(super::Error::AheadOfJournal { .. })));
}

#[test]
fn what_the_journal_lost_is_skipped_and_counted() {
    let journal = Arc::new(MemoryJournal::new());
    for _ in 0..10 {
        journal.add(&Entry::Event(event(EventKind::VisitorCreated, START)));
    }
    journal.forget_before(Position(6));
    let dir = tempfile::tempdir().unwrap();
    let running = projection(dir.path(), &journal);
    assert_eq!((running.projected(), running.stats().missed), (Position(10), 5));
}

#[test]
fn items_come_back_newest_last_and_bounded() {
    let journal = Arc::new(MemoryJournal::new());
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    for index in 0..2000_u64 {
        let item = EventEntry { item: Some(index), ..event(EventKind::GuideDisplayed, UnixMs(START.0 + index as i64)) };
        journal.add(&Entry::Event(item));
        if index % 37 == 0 {
            rig.finish(&journal);
        }
    }
    rig.finish(&journal);
    let running = projection(dir.path(), &journal);
    let items = |since: i64, max: usize| {
        let mut found = Vec::new();
        running.items(UnixMs(START.0 + since), max, &mut |item, _| found.push(item)).unwrap();
        found
    };
    assert_eq!(items(0, usize::MAX), (0..2000).collect::<Vec<_>>());
    assert_eq!(items(0, 700), (1300..2000).collect::<Vec<_>>());
    assert_eq!(items(1990, 700), (1990..2000).collect::<Vec<_>>());
    drop(running);

    let few = crate::config::IntakeSettings { item_id_count: 600, ..intake_settings() };
    let rows = || rig.db.query_row("SELECT SUM(count) FROM items", (), |row| row.get::<i64>(0)).unwrap();
    Sweeper::new(&record_settings(), &few).sweep(&rig.db, START, Position(1)).unwrap();
    assert!((600..1700).contains(&rows()), "{}", rows());
    let later = START.after(Duration::from_hours(25));
    Sweeper::new(&record_settings(), &few).sweep(&rig.db, later, Position(1)).unwrap();
    assert_eq!(rig.db.query_row("SELECT COUNT(*) FROM items", (), |row| row.get::<i64>(0)).unwrap(), 0);
    assert_eq!(super::get_meta(&rig.db, super::Meta::Items).unwrap(), 0);
}

/// `rows` failures, each with `bytes` of response, and one delivery that still waits, the oldest of all.
fn failures(journal: &MemoryJournal, rows: u64, bytes: usize) {
    let body = vec![b'x'; bytes];
    let first = journal.add(&Entry::Event(event(EventKind::TrackEventReceived, START)));
    journal.add(&Entry::Outcome(outcome(1, first, 1, Verdict::Retry { due: START }, START)));
    for _ in 0..rows {
        let at = journal.add(&Entry::Event(event(EventKind::TrackEventReceived, START)));
        let failed = OutcomeEntry { response_body: &body, ..outcome(1, at, 1, Verdict::Failed, START) };
        journal.add(&Entry::Outcome(failed));
        journal.add(&Entry::Outcome(outcome(2, at, 1, Verdict::Delivered, START)));
    }
}

fn notice() -> Notice {
    Notice {
        webhook: WebhookId(1),
        subscription: SUBSCRIPTION,
        incident: Position(2),
        kind: IncidentKind::Warning,
        failed: 3,
        of: 3,
        since: START,
        answers: Vec::new(),
        mailed: Mailed::NoOwner,
        at: START,
    }
}

fn count(db: &Connection, table: &str) -> i64 {
    db.query_row(&format!("SELECT COUNT(*) FROM {table}"), (), |row| row.get(0)).unwrap()
}

#[test]
fn age_deletes_in_steps_and_spares_what_waits() {
    let journal = MemoryJournal::new();
    failures(&journal, 2500, 10);
    journal.add(&Entry::Notice(notice()));
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    rig.finish(&journal);
    let sweeper = Sweeper::new(&record_settings(), &intake_settings());
    let young = sweeper.sweep(&rig.db, START.after(Duration::from_hours(24 * 13)), Position(1)).unwrap();
    assert_eq!((young.dropped, young.more), (Dropped::default(), false));
    let later = START.after(Duration::from_hours(24 * 15));
    let mut sweeps = Vec::new();
    while sweeps.last().is_none_or(|swept: &Swept| swept.more) {
        sweeps.push(sweeper.sweep(&rig.db, later, Position(1)).unwrap());
    }
    assert!(sweeps.len() >= 3, "deleted in steps, not at once: {sweeps:?}");
    let dropped = |table| sweeps.iter().map(|swept| swept.dropped.of(table)).sum::<u64>();
    assert_eq!((count(&rig.db, "deliveries"), count(&rig.db, "attempts")), (1, 1), "only what waits is left");
    assert_eq!((count(&rig.db, "successes"), count(&rig.db, "minutes")), (0, 0));
    let tables = [
        Table::Deliveries,
        Table::Attempts,
        Table::Successes,
        Table::Minutes,
        Table::Marks,
        Table::Ranges,
        Table::Notices,
    ];
    assert_eq!(tables.map(dropped), [2500, 2500, 10, 2, 1, 0, 1]);
}

#[test]
fn bytes_delete_the_oldest_and_the_file_shrinks() {
    let journal = MemoryJournal::new();
    failures(&journal, 5000, 4000);
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    rig.finish(&journal);
    let before = super::retention::used_bytes(&rig.db).unwrap();
    let bound = before / 2;
    let settings = crate::config::RecordSettings { max_bytes: bound, ..record_settings() };
    let sweeper = Sweeper::new(&settings, &intake_settings());
    while sweeper.sweep(&rig.db, START, Position(1)).unwrap().more {}
    let after = super::retention::used_bytes(&rig.db).unwrap();
    assert!(after <= bound && after > bound / 3, "{before} to {after}");
    let newest: i64 = rig.db.query_row("SELECT MAX(listed) FROM deliveries", (), |row| row.get(0)).unwrap();
    assert_eq!(newest, 2 + 5000 * 3 - 1, "the newest is still there");
    let pages: i64 = rig.db.query_row("PRAGMA page_count", (), |row| row.get(0)).unwrap();
    assert!((pages * 4096) < (before * 9 / 10) as i64, "pages were given back: {pages}");
}

#[test]
fn counts_go_by_bytes_too_with_the_deliveries_that_they_tell_of() {
    let journal = MemoryJournal::new();
    failures(&journal, 10, 10);
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    rig.finish(&journal);
    rig.db
        .execute_batch(
            "WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 200000)
             INSERT INTO minutes (webhook, minute, delivered, failed, attempts, failed_attempts, total_us, last_position)
                 SELECT n % 1000 + 10, 29453760 + n / 1000, 1, 0, 1, 0, 5, 1 FROM n",
        )
        .unwrap();
    let bound = super::retention::used_bytes(&rig.db).unwrap() / 4;
    let settings = crate::config::RecordSettings { max_bytes: bound, ..record_settings() };
    let sweeper = Sweeper::new(&settings, &intake_settings());
    let now = START.after(Duration::from_secs(200 * 60));
    while sweeper.sweep(&rig.db, now, Position(1)).unwrap().more {}
    assert!(super::retention::used_bytes(&rig.db).unwrap() <= bound);
    let newest: i64 = rig.db.query_row("SELECT MAX(minute) FROM minutes", (), |row| row.get(0)).unwrap();
    assert_eq!(newest, 29_453_760 + 200, "the newest stay");
    assert!(count(&rig.db, "minutes") > 10_000, "{}", count(&rig.db, "minutes"));
}

#[test]
fn a_success_is_found_by_its_event_however_late_it_came() {
    let journal = Arc::new(MemoryJournal::new());
    let events: Vec<_> =
        (0..3000).map(|_| journal.add(&Entry::Event(event(EventKind::TrackEventReceived, START)))).collect();
    let slow = events[5];
    for at in events.iter().filter(|at| **at != slow) {
        journal.add(&Entry::Outcome(outcome(1, *at, 1, Verdict::Delivered, START)));
    }
    let last = journal.add(&Entry::Outcome(outcome(1, slow, 1, Verdict::Delivered, START)));
    let dir = tempfile::tempdir().unwrap();
    let running = projection(dir.path(), &journal);
    let find = |origin| running.success(DeliveryId { webhook: WebhookId(1), origin }).unwrap();
    assert_eq!(find(slow).map(|success| success.outcome), Some(last));
    assert!(events.iter().all(|at| find(*at).is_some_and(|success| success.event == *at)));
    assert_eq!(find(Position(4000)), None);
    assert_eq!(running.counts(WebhookId(1), START).unwrap().delivered, 3000);
}

#[test]
fn a_restart_finds_lanes_switches_and_held_ratings() {
    use crate::model::{Audited, CategorySet, Checkpoint, HeldEntry, LaneMark, Selection, Switch};
    let journal = Arc::new(MemoryJournal::new());
    let switch = |on| Switch {
        webhook: WebhookId(7),
        subscription: SUBSCRIPTION,
        on,
        selection: Selection { filter: Some(String::from("true")), ..CategorySet::Some(5).into() },
        at: START,
    };
    journal.add(&Entry::Switch(switch(true)));
    let second = journal.add(&Entry::Switch(switch(false)));
    for seq in [3, 12] {
        journal.add(&Entry::Audited(Audited { seq }));
    }
    let lane = |webhook, next, open: &[u64]| LaneMark {
        webhook: WebhookId(webhook),
        next,
        open: open.iter().copied().map(Position).collect(),
        settled: open.iter().map(|position| Position(position + 100)).collect(),
        behind: crate::model::Backlog { events: webhook, bytes: 7 * webhook },
    };
    let (one, two) = (lane(1, Some(Position(40)), &[9, 3]), lane(2, None, &[]));
    journal.add(&Entry::Checkpoint(Checkpoint { head: Position(50), lanes: vec![one, two.clone()] }));
    let one = lane(1, None, &[12]);
    let checkpoint = journal.add(&Entry::Checkpoint(Checkpoint { head: Position(60), lanes: vec![one.clone()] }));
    let held = |draft| HeldEntry { subscription: SUBSCRIPTION, due: START, item: None, draft };
    let first = journal.add(&Entry::Held(held(b"one")));
    journal.add(&Entry::Held(held(b"two")));
    journal.add(&Entry::Event(EventEntry { closes: Some(first), ..event(EventKind::NpsSubmitted, START) }));

    let dir = tempfile::tempdir().unwrap();
    let running = projection(dir.path(), &journal);
    let lanes = running.lane_state().unwrap();
    assert_eq!((lanes.head, lanes.checkpoint, lanes.lanes), (Position(60), checkpoint, vec![one, two]));
    assert_eq!(running.latest_switches().unwrap(), vec![(second, switch(false))]);
    assert_eq!(running.switches(WebhookId(7)).unwrap().len(), 2);
    assert_eq!(running.audited().unwrap(), Some(12));
    let drafts: Vec<_> = running.held().unwrap().into_iter().map(|held| held.draft).collect();
    assert_eq!(drafts, vec![b"two".to_vec()]);
}

#[test]
fn a_page_that_may_look_at_little_says_where_to_go_on() {
    use super::list::ScanBounds;
    use super::read::{Listed, RowFilter};
    let journal = Arc::new(MemoryJournal::new());
    for index in 0..1500 {
        let kind = if index % 90 == 0 { EventKind::GuideDisplayed } else { EventKind::TrackEventReceived };
        let at = journal.add(&Entry::Event(event(kind, START)));
        let verdict = if index % 50 == 0 { Verdict::Failed } else { Verdict::Delivered };
        journal.add(&Entry::Outcome(OutcomeEntry { kind, ..outcome(1, at, 1, verdict, START) }));
    }
    let dir = tempfile::tempdir().unwrap();
    let running = projection(dir.path(), &journal);
    for (state, kind) in [
        (None, None),
        (None, Some(EventKind::GuideDisplayed)),
        (Some(crate::model::DeliveryState::Failed), None),
        (Some(crate::model::DeliveryState::Delivered), Some(EventKind::GuideDisplayed)),
    ] {
        let all = RowFilter {
            webhook: WebhookId(1),
            state,
            kind,
            from: None,
            to: None,
            before: Position(u64::MAX >> 1),
            limit: 5000,
        };
        let whole = running.list(&all).unwrap();
        assert!(whole.next.is_none() && whole.lines.len() > 10);
        for (rows, index_rows, limit) in [(1, 1, 3), (3, 2, 5000), (7, 1, 1), (100, 1, 40)] {
            let (mut found, mut before): (Vec<Listed>, _) = (Vec::new(), Some(all.before));
            while let Some(place) = before {
                let filter = RowFilter { before: place, limit, ..all };
                let page = running.list_within(&filter, ScanBounds { rows, index_rows }).unwrap();
                assert!(page.lines.len() <= limit && page.next.is_none_or(|next| next < place));
                found.extend(page.lines);
                before = page.next;
            }
            assert_eq!(found, whole.lines);
        }
    }
}
