//! Random histories, for tests: entries as a node could have written them.

use super::memory::MemoryJournal;
use crate::config::{HealthSettings, IntakeSettings, RecordSettings};
use crate::journal::Journal;
use crate::model::{
    AppId, Audited, Backlog, CategorySet, CategorySwitch, Checkpoint, Closed, ClosedWhy, DeliveryId, Entry, EventEntry,
    EventKind, HeldEntry, IncidentKind, LaneMark, LastAnswer, Mailed, MetadataEntry, Notice, OutcomeEntry, PersonKind,
    Position, Reason, ReceiverIs, ReceiverNews, Redelivery, Replay, ReplayChoice, ReplayEnd, ReplayEnded, Resend,
    Selection, ShapedOutcome, SubscriptionId, Switch, Timings, UniqueId, UnixMs, UserId, Verdict, VisitEntry,
    WebhookId, Withheld,
};
use proptest::prelude::*;
use std::time::Duration;

pub(crate) const SUBSCRIPTION: SubscriptionId = SubscriptionId(1000);
pub(crate) const OTHER: SubscriptionId = SubscriptionId(2000);
/// What a webhook's filter is, when it has one.
pub(crate) const FILTER: &str = "event in ['guideDisplayed', 'trackEventReceived']";
/// 2026-01-01.
pub(crate) const START: UnixMs = UnixMs(1_767_225_600_000);

/// One thing that happens. Numbers choose among what is there at the time.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Event { kind: usize, visitor: u8, withheld: bool, item: bool, other: bool },
    Attempt { webhook: u8, pick: usize, verdict: u8 },
    Retry { pick: usize, verdict: u8 },
    Close { webhook: u8, retries: bool },
    Checkpoint { webhook: u8, open: Vec<u64> },
    Switch { webhook: u8, on: bool, filtered: bool },
    CategorySwitch { webhook: u8, on: bool },
    Audit { seq: u64 },
    Hold,
    Release,
    Redeliver { webhook: u8, pick: usize },
    Replay { webhook: u8 },
    Resend { replay: usize, pick: usize },
    EndReplay { replay: usize },
    Receiver { webhook: u8, silent: bool },
    Notice { incident: u64, left: bool },
    Visit { visitor: u8, value: u8 },
    Metadata { visitor: u8, value: u8 },
    Wait { seconds: u32 },
}

pub(crate) fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0_usize..9, 0_u8..6, prop::bool::weighted(0.1), any::<bool>(), prop::bool::weighted(0.1)).prop_map(
            |(kind, visitor, withheld, item, other)| Step::Event { kind, visitor, withheld, item, other }
        ),
        12 => (0_u8..3, any::<usize>(), 0_u8..8).prop_map(|(webhook, pick, verdict)| {
            Step::Attempt { webhook, pick, verdict }
        }),
        4 => (any::<usize>(), 0_u8..8).prop_map(|(pick, verdict)| Step::Retry { pick, verdict }),
        1 => (0_u8..3, any::<bool>()).prop_map(|(webhook, retries)| Step::Close { webhook, retries }),
        1 => (0_u8..3, prop::collection::vec(1_u64..500, 0..4)).prop_map(|(webhook, open)| {
            Step::Checkpoint { webhook, open }
        }),
        1 => (0_u8..3, any::<bool>(), any::<bool>()).prop_map(|(webhook, on, filtered)| {
            Step::Switch { webhook, on, filtered }
        }),
        1 => (0_u8..3, any::<bool>()).prop_map(|(webhook, on)| Step::CategorySwitch { webhook, on }),
        1 => (1_u64..100).prop_map(|seq| Step::Audit { seq }),
        1 => Just(Step::Hold),
        1 => Just(Step::Release),
        1 => (0_u8..3, any::<usize>()).prop_map(|(webhook, pick)| Step::Redeliver { webhook, pick }),
        1 => (0_u8..3).prop_map(|webhook| Step::Replay { webhook }),
        2 => (any::<usize>(), any::<usize>()).prop_map(|(replay, pick)| Step::Resend { replay, pick }),
        1 => any::<usize>().prop_map(|replay| Step::EndReplay { replay }),
        1 => (0_u8..3, any::<bool>()).prop_map(|(webhook, silent)| Step::Receiver { webhook, silent }),
        1 => (0_u64..20, any::<bool>()).prop_map(|(incident, left)| Step::Notice { incident, left }),
        2 => (0_u8..6, any::<u8>()).prop_map(|(visitor, value)| Step::Visit { visitor, value }),
        2 => (0_u8..6, any::<u8>()).prop_map(|(visitor, value)| Step::Metadata { visitor, value }),
        2 => (1_u32..4000).prop_map(|seconds| Step::Wait { seconds }),
    ];
    prop::collection::vec(step, 1..most)
}

/// Plays steps into a journal, and remembers what a node would have to.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: UnixMs,
    events: Vec<(Position, EventKind)>,
    attempted: std::collections::HashSet<(u64, Position)>,
    waiting: Vec<(DeliveryId, Position, EventKind, u8)>,
    held: Vec<Position>,
    replays: Vec<(Position, WebhookId)>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            now: START,
            events: Vec::new(),
            attempted: std::collections::HashSet::new(),
            waiting: Vec::new(),
            held: Vec::new(),
            replays: Vec::new(),
        }
    }

    fn switch(&self, webhook: u8, on: bool, filtered: bool) -> Switch {
        let selection = Selection {
            categories: if on { CategorySet::All } else { CategorySet::Some(3) },
            audit: !filtered,
            filter: filtered.then(|| String::from(FILTER)),
        };
        let webhook = WebhookId(u64::from(webhook) + 1);
        Switch { webhook, subscription: SUBSCRIPTION, on, selection, at: self.now }
    }

    pub(crate) fn play(&mut self, journal: &MemoryJournal, step: &Step) {
        self.now.0 += 7;
        match step {
            Step::Event { kind, visitor, withheld, item, other } => {
                self.event(journal, EventKind::ALL[*kind], *visitor, (*withheld, *item, *other), None);
            }
            Step::Attempt { webhook, pick, verdict } => self.attempt(journal, u64::from(*webhook) + 1, *pick, *verdict),
            Step::Retry { pick, verdict } => self.retry(journal, *pick, *verdict),
            Step::Close { webhook, retries } => self.close(journal, WebhookId(u64::from(*webhook) + 1), *retries),
            Step::Checkpoint { webhook, open } => {
                let open = open.iter().copied().map(Position).collect();
                let lane = LaneMark {
                    webhook: WebhookId(u64::from(*webhook) + 1),
                    next: None,
                    open,
                    settled: vec![],
                    behind: Backlog::default(),
                };
                let head = self.events.last().map_or(Position::ZERO, |event| event.0);
                journal.add(&Entry::Checkpoint(Checkpoint { head, lanes: vec![lane] }));
            }
            Step::Switch { webhook, on, filtered } => {
                journal.add(&Entry::Switch(self.switch(*webhook, *on, *filtered)));
            }
            Step::CategorySwitch { webhook, on } => {
                let Switch { webhook, subscription, on, selection, at } = self.switch(*webhook, *on, false);
                let categories = selection.categories;
                journal.add(&Entry::CategorySwitch(CategorySwitch { webhook, subscription, on, categories, at }));
            }
            Step::Audit { seq } => drop(journal.add(&Entry::Audited(Audited { seq: *seq }))),
            Step::Hold => {
                let held = HeldEntry {
                    subscription: SUBSCRIPTION,
                    due: self.now,
                    item: Some(self.now.0 as u64),
                    draft: b"draft",
                };
                self.held.push(journal.add(&Entry::Held(held)));
            }
            Step::Release => {
                if let Some(held) = self.held.pop() {
                    self.event(journal, EventKind::NpsSubmitted, 1, (false, false, false), Some(held));
                }
            }
            Step::Redeliver { webhook, pick } => {
                if let Some((event, kind)) = picked(&self.events, *pick) {
                    let webhook = WebhookId(u64::from(*webhook) + 1);
                    let origin = journal.add(&Entry::Redelivery(Redelivery { webhook, event, at: self.now }));
                    self.waiting.push((DeliveryId { webhook, origin }, event, kind, 0));
                }
            }
            Step::Replay { webhook } => self.replay(journal, WebhookId(u64::from(*webhook) + 1)),
            Step::Resend { replay, pick } => self.resend(journal, *replay, *pick),
            Step::EndReplay { replay } => {
                if let Some((replay, webhook)) = picked(&self.replays, *replay) {
                    let ended = ReplayEnded { replay, webhook, end: ReplayEnd::Cancelled, at: self.now };
                    journal.add(&Entry::ReplayEnded(ended));
                }
            }
            Step::Receiver { webhook, silent } => {
                let until = UnixMs(self.now.0 + 60_000);
                let is = if *silent { ReceiverIs::Silent } else { ReceiverIs::Resting { until } };
                let webhook = WebhookId(u64::from(*webhook) + 1);
                journal.add(&Entry::Receiver(ReceiverNews { webhook, is, at: self.now }));
            }
            Step::Notice { incident, left } => self.notice(journal, *incident, *left),
            Step::Visit { visitor, value } => self.visit(journal, *visitor, *value),
            Step::Metadata { visitor, value } => self.metadata(journal, *visitor, *value),
            Step::Wait { seconds } => self.now.0 += i64::from(*seconds) * 1000,
        }
    }

    fn replay(&mut self, journal: &MemoryJournal, webhook: WebhookId) {
        let replay = journal.add(&Entry::Replay(Replay {
            webhook,
            subscription: SUBSCRIPTION,
            choice: ReplayChoice::All,
            kind: None,
            first: Position(1),
            last: Position(1000),
            from: None,
            to: None,
            forced: false,
            at: self.now,
        }));
        self.replays.push((replay, webhook));
    }

    fn resend(&mut self, journal: &MemoryJournal, replay: usize, pick: usize) {
        let Some((replay, webhook)) = picked(&self.replays, replay) else { return };
        let Some((event, kind)) = picked(&self.events, pick) else { return };
        let origin = journal.add(&Entry::Resend(Resend { webhook, event, replay, forced: false, at: self.now }));
        let is_over = journal
            .read(Position(1), usize::MAX)
            .unwrap()
            .entries()
            .any(|entry| matches!(entry.unwrap().1, Entry::ReplayEnded(ended) if ended.replay == replay));
        if !is_over {
            self.waiting.push((DeliveryId { webhook, origin }, event, kind, 0));
        }
    }

    /// Of few incidents, so that some are told more than once.
    fn notice(&self, journal: &MemoryJournal, incident: u64, left: bool) {
        let answer = |(delivery, ..): &(DeliveryId, Position, EventKind, u8)| LastAnswer {
            delivery: *delivery,
            outcome: None,
            at: self.now,
            status: 503,
            reason: Reason::ServerError,
        };
        journal.add(&Entry::Notice(Notice {
            webhook: WebhookId(incident % 3 + 1),
            subscription: SUBSCRIPTION,
            incident: Position(incident + 1),
            kind: IncidentKind::ALL[incident as usize / 3 % 3],
            failed: 3,
            of: 5,
            since: START,
            answers: self.waiting.iter().rev().take(2).map(answer).collect(),
            mailed: if left { Mailed::OwnerHasLeft } else { Mailed::Owner(UserId(7)) },
            at: self.now,
        }));
    }

    fn visit(&self, journal: &MemoryJournal, visitor: u8, value: u8) {
        journal.add(&Entry::Visit(VisitEntry {
            subscription: SUBSCRIPTION,
            visitor_id: &format!("visitor-{visitor}"),
            account_id: &format!("account-{}", visitor % 2),
            at: self.now,
            browser_name: "Chrome",
            browser_version: &format!("{value}.0.0"),
            visitor: &format!("{{\"n{}\":{value}}}", value % 3),
            account: if value.is_multiple_of(2) { "" } else { "{\"plan\":\"pro\"}" },
        }));
    }

    fn metadata(&self, journal: &MemoryJournal, visitor: u8, value: u8) {
        journal.add(&Entry::Metadata(MetadataEntry {
            subscription: SUBSCRIPTION,
            kind: PersonKind::Visitor,
            id: &format!("visitor-{visitor}"),
            group: "custom",
            values: &if value.is_multiple_of(4) { String::from("{\"x\":null}") } else { format!("{{\"x\":{value}}}") },
            at: self.now,
        }));
    }

    fn event(
        &mut self,
        journal: &MemoryJournal,
        kind: EventKind,
        visitor: u8,
        (withheld, item, other): (bool, bool, bool),
        closes: Option<Position>,
    ) {
        let subscription = if other { OTHER } else { SUBSCRIPTION };
        let position = journal.add(&Entry::Event(EventEntry {
            subscription,
            app: AppId::FIRST,
            kind,
            unique_id: UniqueId([self.events.len() as u8; 20]),
            visitor_id: &format!("visitor-{visitor}"),
            account_id: &format!("account-{visitor}"),
            occurred_at: self.now,
            accepted_at: self.now,
            withheld: withheld.then_some(Withheld::AgentTooOld),
            item: item.then_some(self.now.0 as u64),
            closes,
            body: format!("{{\"event\":{visitor}}}").as_bytes(),
        }));
        if !other && !withheld {
            self.events.push((position, kind));
        }
    }

    fn attempt(&mut self, journal: &MemoryJournal, webhook: u64, pick: usize, verdict: u8) {
        let Some((event, kind)) = picked(&self.events, pick) else { return };
        if !self.attempted.insert((webhook, event)) {
            return;
        }
        let delivery = DeliveryId { webhook: WebhookId(webhook), origin: event };
        // Most first attempts succeed.
        self.outcome(journal, (delivery, event, kind, 0), if verdict < 5 { 0 } else { verdict - 4 });
    }

    fn retry(&mut self, journal: &MemoryJournal, pick: usize, verdict: u8) {
        if !self.waiting.is_empty() {
            let waiting = self.waiting.remove(pick % self.waiting.len());
            self.outcome(journal, waiting, verdict % 4);
        }
    }

    fn outcome(
        &mut self,
        journal: &MemoryJournal,
        (delivery, event, kind, attempts): (DeliveryId, Position, EventKind, u8),
        verdict: u8,
    ) {
        let (verdict, status, reason) = match verdict {
            0 => (Verdict::Delivered, 200, Reason::Accepted),
            1 => (Verdict::Retry { due: UnixMs(self.now.0 + 1000) }, 503, Reason::ServerError),
            2 => (Verdict::Failed, 404, Reason::Refused),
            _ => (Verdict::Cancelled, 0, Reason::TimedOut),
        };
        if matches!(verdict, Verdict::Retry { .. }) {
            self.waiting.push((delivery, event, kind, attempts + 1));
        }
        let outcome = OutcomeEntry {
            delivery,
            event,
            kind,
            attempt: attempts + 1,
            started_at: self.now,
            verdict,
            status,
            reason,
            detail: "",
            timings: Timings { total_us: 2500, ..Timings::default() },
            request_headers: "webhook-id: x",
            response_headers: "",
            response_body: b"ok",
            response_cut: false,
        };
        journal.add(&if is_shaped(delivery.webhook) {
            Entry::ShapedOutcome(ShapedOutcome { outcome, request_body: SENT, request_cut: true })
        } else {
            Entry::Outcome(outcome)
        });
    }

    fn close(&mut self, journal: &MemoryJournal, webhook: WebhookId, retries: bool) {
        if retries {
            self.waiting.retain(|waiting| waiting.0.webhook != webhook);
        }
        let why = if retries { ClosedWhy::Cancelled } else { ClosedWhy::Expired };
        let (from, to) = (Position(1), Position(2));
        journal.add(&Entry::Closed(Closed { webhook, why, from, to, events: Some(2), retries, at: self.now }));
    }
}

/// What is kept of each body that a shaped webhook is sent.
pub(crate) const SENT: &[u8] = b"another form";

/// Whether a webhook has a form of its own for bodies.
pub(crate) fn is_shaped(webhook: WebhookId) -> bool {
    webhook.0.is_multiple_of(2)
}

fn picked<T: Copy>(all: &[T], pick: usize) -> Option<T> {
    (!all.is_empty()).then(|| all[pick % all.len()])
}

pub(crate) fn record_settings() -> RecordSettings {
    let health = HealthSettings {
        failures: 3,
        failing_for: Duration::from_secs(60),
        rate: 0.5,
        rate_deliveries: 5,
        rate_window: Duration::from_secs(3600),
    };
    RecordSettings { max_age: Duration::from_hours(14 * 24), max_bytes: 1 << 40, health }
}

pub(crate) fn intake_settings() -> IntakeSettings {
    IntakeSettings {
        item_id_ttl: Duration::from_hours(24),
        item_id_count: 10_000_000,
        nps_window: Duration::from_secs(2),
        first_seen_pending: 1000,
        connections: 10,
    }
}
