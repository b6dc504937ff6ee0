//! What dispatch knows after a restart, and how lanes are rebuilt from it.
//!
//! A checkpoint says how far every lane had come at its `head`. What the journal holds behind it is fed again, by the
//! same code as ever; the first attempts that ended meanwhile are known from their outcomes and skipped. So after a
//! crash exactly those attempts are made again whose outcome was not durable.

use super::job::Waiting;
use super::lane::{Eras, Lane, LaneLimits};
use crate::filter::Interest;
use crate::journal::{Journal, ReadError};
use crate::limits;
use crate::model::{Entry, LaneMark, Position, SubscriptionId, Switch, UnixMs, WebhookId};
use std::collections::{BTreeSet, HashMap, HashSet};

/// What was kept.
#[derive(Debug, Default)]
pub struct Restart {
    /// The last checkpoint's head; zero when there was none.
    pub head: Position,
    /// Each lane's newest mark.
    pub marks: Vec<LaneMark>,
    /// Every switch of every webhook that may still matter, oldest first.
    pub switches: Vec<(Position, Switch)>,
    /// The deliveries that wait for their time, as of the last durable position.
    pub waiting: Vec<Waiting>,
    /// Where events stand that were carried on, by where they were accepted.
    pub carried: HashMap<Position, Position>,
    /// The replays that are sent while their webhook is off, too.
    pub forced: HashSet<Position>,
    /// What was known of the receivers of webhooks that are on.
    pub receivers: Vec<KnownReceiver>,
}

/// What was known of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownReceiver {
    /// Whose.
    pub webhook: WebhookId,
    /// It gave no answer: it is probed until it does.
    pub is_silent: bool,
    /// It has asked for no requests before this.
    pub rests_until: Option<UnixMs>,
}

/// What the journal holds behind the checkpoint, as far as feeding it again must know.
#[derive(Debug, Default)]
pub struct Refeed {
    /// Up to here the journal is fed again.
    pub until: Position,
    /// First attempts that ended.
    settled: HashMap<WebhookId, BTreeSet<Position>>,
    /// Webhooks whose switching off (at this position) was carried out.
    closed: HashSet<(WebhookId, Position)>,
}

impl Refeed {
    /// Looks through the journal behind `head`.
    ///
    /// # Errors
    /// [`ReadError`], also when the journal no longer reaches back to `head`.
    pub fn scan(journal: &dyn Journal, head: Position) -> Result<Self, ReadError> {
        let mut refeed = Self { until: *journal.durable().borrow(), ..Self::default() };
        let mut next = head.next().max(journal.oldest());
        loop {
            let chunk = journal.read(next, limits::JOURNAL_READ_BYTES)?;
            if chunk.is_empty() || next > refeed.until {
                return Ok(refeed);
            }
            for entry in chunk.entries() {
                let (_, entry) = entry?;
                refeed.note(&entry);
            }
            next = chunk.next();
        }
    }

    fn note(&mut self, entry: &Entry<'_>) {
        if let Some(outcome) = entry.outcome() {
            if outcome.attempt == 1 && outcome.delivery.origin == outcome.event {
                self.settled.entry(outcome.delivery.webhook).or_default().insert(outcome.event);
            }
        } else if let Entry::Closed(closed) = entry {
            self.closed.insert((closed.webhook, closed.to));
        }
    }

    /// The webhook's first attempts that ended, of what was accepted after `since`. A webhook that is switched off and on
    /// again behind the checkpoint has two lanes in turn, and each must know its own.
    pub fn settled(&self, webhook: WebhookId, since: Position) -> BTreeSet<Position> {
        let settled = self.settled.get(&webhook);
        settled.map(|settled| settled.range(since..).copied().collect()).unwrap_or_default()
    }

    /// Whether the webhook's switching off at `position` was carried out before the restart.
    pub fn was_closed(&self, webhook: WebhookId, position: Position) -> bool {
        self.closed.contains(&(webhook, position))
    }
}

/// The lanes as they stood at the checkpoint.
pub fn lanes_at_checkpoint(restart: &Restart, refeed: &Refeed, limits: LaneLimits) -> Vec<Lane> {
    let marks: HashMap<_, _> = restart.marks.iter().map(|mark| (mark.webhook, mark)).collect();
    let on = eras_at(&restart.switches, restart.head);
    on.into_iter()
        .map(|(webhook, (subscription, eras))| {
            let since = eras.front().map_or(Position::ZERO, |(since, _)| *since);
            let mut lane = Lane::new(webhook, subscription, eras, limits);
            let mark = mark_since(since, marks.get(&webhook).copied(), webhook);
            lane.resume(&mark, refeed.settled(webhook, since));
            lane
        })
        .collect()
}

/// A mark from before the webhook was last switched on must not bring back what was cancelled.
fn mark_since(since: Position, mark: Option<&LaneMark>, webhook: WebhookId) -> LaneMark {
    let after = |positions: &[Position]| positions.iter().copied().filter(|position| *position > since).collect();
    let (open, settled) = mark.map(|mark| (after(&mark.open), after(&mark.settled))).unwrap_or_default();
    let next = mark.and_then(|mark| mark.next).map(|next| next.max(since.next()));
    LaneMark { webhook, next, open, settled, behind: mark.map(|mark| mark.behind).unwrap_or_default() }
}

type OnAt = HashMap<WebhookId, (SubscriptionId, Eras)>;

/// The webhooks that were on at `head`, with their eras since they were switched on.
fn eras_at(switches: &[(Position, Switch)], head: Position) -> OnAt {
    let mut on = OnAt::new();
    for (position, switch) in switches.iter().filter(|(position, _)| *position <= head) {
        if switch.on {
            let lane = on.entry(switch.webhook).or_insert_with(|| (switch.subscription, Eras::new()));
            lane.1.push_back((*position, Interest::of(&switch.selection)));
        } else {
            on.remove(&switch.webhook);
        }
    }
    on
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CategorySet, DeliveryId, EventKind, OutcomeEntry, Reason, Timings, Verdict};
    use std::time::Duration;

    const WEBHOOK: WebhookId = WebhookId(1);

    fn outcome(event: u64) -> Entry<'static> {
        let event = Position(event);
        Entry::Outcome(OutcomeEntry {
            delivery: DeliveryId { webhook: WEBHOOK, origin: event },
            event,
            kind: EventKind::GuideDisplayed,
            attempt: 1,
            started_at: UnixMs(0),
            verdict: Verdict::Delivered,
            status: 200,
            reason: Reason::Accepted,
            detail: "",
            timings: Timings::default(),
            request_headers: "",
            response_headers: "",
            response_body: b"",
            response_cut: false,
        })
    }

    #[test]
    fn each_lane_of_a_webhook_that_was_switched_behind_the_checkpoint_knows_what_has_ended() {
        let mut refeed = Refeed::default();
        [3, 12, 15].iter().for_each(|event| refeed.note(&outcome(*event)));
        let (subscription, selection) = (SubscriptionId(1), CategorySet::All.into());
        let on = Switch { webhook: WEBHOOK, subscription, on: true, selection, at: UnixMs(0) };
        let restart = Restart { head: Position(2), switches: vec![(Position(1), on)], ..Restart::default() };
        let limits = LaneLimits {
            waiting: 10,
            probe_pause: Duration::ZERO,
            backlog_max_age: Duration::MAX,
            backlog_max_bytes: u64::MAX,
            parked: 10,
        };
        let first = lanes_at_checkpoint(&restart, &refeed, limits);
        assert_eq!(first.len(), 1);
        let after = |since| refeed.settled(WEBHOOK, Position(since)).into_iter().map(|at| at.0).collect::<Vec<_>>();
        // It is switched off at 9 and on at 10: the lane that is opened then has 12 and 15 behind it.
        assert_eq!((after(1), after(10)), (vec![3, 12, 15], vec![12, 15]));
        assert!(refeed.settled(WebhookId(2), Position::ZERO).is_empty());
    }
}
