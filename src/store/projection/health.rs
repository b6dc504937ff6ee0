//! How webhooks are doing, counted delivery by delivery: when their owner is to be warned, and when they are to be turned
//! off (docs/delivery.md, "Turning off by itself").
//!
//! What follows from an entry of the journal depends on the entries before it and on nothing else. So the same incident
//! stands at the same position however often the journal is read, and whoever acts on it knows whether that was done.

use super::{Error, Projection, int, position};
use crate::config::HealthSettings;
use crate::model::{
    IncidentKind, OutcomeEntry, Position, ReceiverIs, ReceiverNews, Switch, UnixMs, Verdict, WebhookId,
};
use crate::store::db::{self, Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

/// Parts into which the window of the failure rate is divided.
const WINDOW_PARTS: i64 = 60;

/// Webhooks whose counts are kept in memory between transactions.
const REMEMBERED: usize = 16 * 1024;

/// Something that its owner should know of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incident {
    /// The entry that brought it about.
    pub position: Position,
    /// Which webhook.
    pub webhook: WebhookId,
    /// When.
    pub at: UnixMs,
    /// What is to be done.
    pub kind: IncidentKind,
    /// Deliveries that failed, in a row or within the window.
    pub failed: u64,
    /// Deliveries within the window, for [`IncidentKind::FailureRate`]; otherwise the same as `failed`.
    pub of: u64,
    /// When the first of a row failed.
    pub since: UnixMs,
}

/// How a webhook stands between two incidents.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Health {
    /// It is on: nothing is counted otherwise.
    on: bool,
    /// Deliveries that have failed since the last that was delivered.
    pub failures_in_a_row: u64,
    /// When the first of them failed.
    pub failing_since: Option<UnixMs>,
    /// When its receiver ceased to answer, while it gives no answer: what begins after that is a probe.
    silent_since: Option<UnixMs>,
    /// Its owner has been warned of this row of failures.
    pub warned: bool,
    /// It is to be turned off; nothing more is counted until it is on again.
    tripped: bool,
    window: VecDeque<Part>,
    /// Its receiver has asked for no requests before this.
    rests_until: Option<UnixMs>,
}

/// What is known of the receiver of a webhook that is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptReceiver {
    /// Whose.
    pub webhook: WebhookId,
    /// It gave no answer last.
    pub is_silent: bool,
    /// It has asked for no requests before this.
    pub rests_until: Option<UnixMs>,
}

/// What was counted in a part of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    number: i64,
    delivered: u32,
    failed: u32,
}

impl Health {
    /// Whether an incident of this kind is still true: the webhook has not been switched off and on again, nor has a
    /// delivery ended a row of failures that was only warned of.
    pub fn stands(&self, kind: IncidentKind) -> bool {
        match kind {
            IncidentKind::Warning => self.warned,
            IncidentKind::FailuresInARow | IncidentKind::FailureRate => self.tripped,
        }
    }

    /// The webhook was switched: on from off, everything begins anew. While it is off, it shows what it was turned off
    /// with.
    fn switch(&mut self, on: bool) {
        match (self.on, on) {
            (false, true) => *self = Self { on, ..Self::default() },
            _ => self.on = on,
        }
    }

    /// There is something new to be known of its receiver.
    fn receiver(&mut self, is: ReceiverIs, at: UnixMs) {
        match is {
            _ if !self.on => {}
            ReceiverIs::Silent => drop(self.silent_since.get_or_insert(at)),
            ReceiverIs::Resting { until } => self.rests_until = self.rests_until.max(Some(until)),
        }
    }

    /// An attempt ended; what is to be done about it, with the counts that say so.
    fn outcome(
        &mut self,
        outcome: &OutcomeEntry<'_>,
        ended_at: UnixMs,
        settings: &HealthSettings,
    ) -> Option<(IncidentKind, u64, u64)> {
        let is_probe = self.silent_since.is_some_and(|since| outcome.started_at > since);
        match outcome.reason.says_of_receiver() {
            Some(true) => self.silent_since = None,
            Some(false) => self.receiver(ReceiverIs::Silent, ended_at),
            None => {}
        }
        // A delivery that a person asked for is neither for nor against the webhook.
        if !self.on || self.tripped || outcome.delivery.origin != outcome.event {
            return None;
        }
        match outcome.verdict {
            Verdict::Delivered => {
                (self.failures_in_a_row, self.failing_since, self.warned) = (0, None, false);
                self.part(ended_at, settings).delivered += 1;
                return None;
            }
            Verdict::Failed => self.part(ended_at, settings).failed += 1,
            // While only probes go out, each that fails counts: it stands for all that waits behind it.
            Verdict::Retry { .. } if is_probe => {}
            Verdict::Retry { .. } | Verdict::Cancelled => return None,
        }
        self.failures_in_a_row += 1;
        let since = *self.failing_since.get_or_insert(ended_at);
        self.judge(ended_at.since(since), outcome.verdict, settings)
    }

    fn judge(
        &mut self,
        lasts: std::time::Duration,
        verdict: Verdict,
        settings: &HealthSettings,
    ) -> Option<(IncidentKind, u64, u64)> {
        let row = self.failures_in_a_row;
        if row >= settings.failures && lasts >= settings.failing_for {
            self.tripped = true;
            return Some((IncidentKind::FailuresInARow, row, row));
        }
        let count = |part: &Part| (u64::from(part.delivered), u64::from(part.failed));
        let (delivered, failed) = self.window.iter().map(count).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        let too_many = failed as f64 > settings.rate * (delivered + failed) as f64;
        if verdict == Verdict::Failed && delivered + failed >= settings.rate_deliveries && too_many {
            self.tripped = true;
            return Some((IncidentKind::FailureRate, failed, delivered + failed));
        }
        if !self.warned && row >= settings.failures.div_ceil(2) && lasts >= settings.failing_for / 2 {
            self.warned = true;
            return Some((IncidentKind::Warning, row, row));
        }
        None
    }

    /// The part of the window in which something ended just now; those that are too old are dropped.
    fn part(&mut self, at: UnixMs, settings: &HealthSettings) -> &mut Part {
        let length = (settings.rate_window.as_millis() as i64 / WINDOW_PARTS).max(1);
        // A clock that was set back counts on in the newest part.
        let number = at.0.div_euclid(length).max(self.window.back().map_or(i64::MIN, |part| part.number));
        while self.window.front().is_some_and(|part| part.number <= number - WINDOW_PARTS) {
            self.window.pop_front();
        }
        if self.window.back().is_none_or(|part| part.number < number) {
            self.window.push_back(Part { number, delivered: 0, failed: 0 });
        }
        let last = self.window.len() - 1;
        &mut self.window[last]
    }
}

/// The health of all webhooks, as far as it is in memory.
#[derive(Debug, Default)]
pub(super) struct Healths {
    by_webhook: HashMap<WebhookId, Health>,
    dirty: Vec<WebhookId>,
}

impl Healths {
    /// A webhook was switched, or what it wants was changed.
    pub(super) fn switch(&mut self, db: &Connection, position: Position, switch: &Switch) -> db::Result<()> {
        self.of(db, switch.webhook, position)?.switch(switch.on);
        self.touch(switch.webhook);
        Ok(())
    }

    /// There is something new to be known of a receiver.
    pub(super) fn receiver(&mut self, db: &Connection, position: Position, news: &ReceiverNews) -> db::Result<()> {
        self.of(db, news.webhook, position)?.receiver(news.is, news.at);
        self.touch(news.webhook);
        Ok(())
    }

    /// An attempt ended: counts it, and notes the incident that it brings about.
    pub(super) fn outcome(
        &mut self,
        db: &Connection,
        (at_position, ended_at): (Position, UnixMs),
        outcome: &OutcomeEntry<'_>,
        settings: &HealthSettings,
    ) -> db::Result<()> {
        let webhook = outcome.delivery.webhook;
        let health = self.of(db, webhook, at_position)?;
        let incident = health.outcome(outcome, ended_at, settings);
        let since = health.failing_since.unwrap_or(ended_at);
        if let Some((kind, failed, of)) = incident {
            db.prepare_cached(
                "INSERT INTO incidents (position, webhook, at, kind, failed, deliveries, since)
                 VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (position) DO NOTHING",
            )?
            .execute_later(params![
                int(at_position.0),
                int(webhook.0),
                ended_at.0,
                kind.name(),
                int(failed),
                int(of),
                since.0
            ])?;
        }
        self.touch(webhook);
        Ok(())
    }

    /// Writes what has changed.
    pub(super) fn flush(&mut self, db: &Connection) -> db::Result<()> {
        let mut statement = db.prepare_cached(
            "INSERT INTO health (webhook, health) VALUES ($1, $2)
             ON CONFLICT (webhook) DO UPDATE SET health = excluded.health",
        )?;
        self.dirty.sort_unstable();
        self.dirty.dedup();
        for webhook in self.dirty.drain(..) {
            if let Some(health) = self.by_webhook.get(&webhook) {
                // Plain data: encoding it into memory has no way to fail.
                let bytes = postcard::to_stdvec(health).unwrap_or_default();
                statement.execute_later(params![int(webhook.0), bytes])?;
            }
        }
        if self.by_webhook.len() > REMEMBERED {
            self.by_webhook.clear();
        }
        Ok(())
    }

    fn touch(&mut self, webhook: WebhookId) {
        if self.dirty.last() != Some(&webhook) {
            self.dirty.push(webhook);
        }
    }

    /// What is counted for a webhook. Of one that nothing was counted for yet, the switches say whether it is on.
    fn of(&mut self, db: &Connection, webhook: WebhookId, before: Position) -> db::Result<&mut Health> {
        let place = match self.by_webhook.entry(webhook) {
            Entry::Occupied(place) => return Ok(place.into_mut()),
            Entry::Vacant(place) => place,
        };
        let health = match stored(db, webhook)? {
            Some(health) => health,
            None => Health { on: was_on(db, webhook, before)?, ..Health::default() },
        };
        Ok(place.insert(health))
    }
}

/// A row that cannot be read is as good as none.
fn stored(db: &Connection, webhook: WebhookId) -> db::Result<Option<Health>> {
    let sql = "SELECT health FROM health WHERE webhook = $1";
    let bytes: Option<Vec<u8>> = db.prepare_cached(sql)?.query_row([int(webhook.0)], |row| row.get(0)).optional()?;
    Ok(bytes.and_then(|bytes| postcard::from_bytes(&bytes).ok()))
}

fn was_on(db: &Connection, webhook: WebhookId, before: Position) -> db::Result<bool> {
    let sql = "SELECT is_on FROM switches WHERE webhook = $1 AND position < $2 ORDER BY position DESC LIMIT 1";
    let on = db.prepare_cached(sql)?.query_row([int(webhook.0), int(before.0)], |row| row.get(0)).optional()?;
    Ok(on.unwrap_or(false))
}

impl Projection {
    /// How a webhook stands.
    ///
    /// # Errors
    /// [`Error`].
    pub fn health(&self, webhook: WebhookId) -> Result<Health, Error> {
        self.read(|db| Ok(stored(db, webhook)?.unwrap_or_default()))
    }

    /// The receivers of webhooks that are on of which there is something to be known.
    ///
    /// # Errors
    /// [`Error`].
    pub fn receivers(&self) -> Result<Vec<KeptReceiver>, Error> {
        self.read(|db| {
            let mut statement = db.prepare_cached("SELECT webhook, health FROM health")?;
            let mut rows = statement.query(())?;
            let mut receivers = Vec::new();
            while let Some(row) = rows.next()? {
                let bytes = row.blob(1)?;
                let health = postcard::from_bytes::<Health>(bytes).ok().filter(|health| health.on);
                let Some(Health { silent_since, rests_until, .. }) = health else { continue };
                if silent_since.is_some() || rests_until.is_some() {
                    let webhook = WebhookId(row.get::<i64>(0)? as u64);
                    receivers.push(KeptReceiver { webhook, is_silent: silent_since.is_some(), rests_until });
                }
            }
            Ok(receivers)
        })
    }

    /// The oldest incidents behind a position.
    ///
    /// # Errors
    /// [`Error`].
    pub fn incidents_after(&self, after: Position, most: usize) -> Result<Vec<Incident>, Error> {
        let sql = "SELECT position, webhook, at, kind, failed, deliveries, since FROM incidents
                   WHERE position > $1 ORDER BY position LIMIT $2";
        self.read(|db| {
            let mut statement = db.prepare_cached(sql)?;
            let mut rows = statement.query([int(after.0), int(most as u64)])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(incident(&row)?.ok_or(Error::Damaged { table: "incidents" })?);
            }
            Ok(found)
        })
    }
}

fn incident(row: &Row<'_>) -> db::Result<Option<Incident>> {
    let Some(kind) = IncidentKind::from_name(&row.get::<String>(3)?) else { return Ok(None) };
    Ok(Some(Incident {
        position: position(row.get(0)?),
        webhook: WebhookId(row.get::<i64>(1)? as u64),
        at: UnixMs(row.get(2)?),
        kind,
        failed: row.get::<i64>(4)? as u64,
        of: row.get::<i64>(5)? as u64,
        since: UnixMs(row.get(6)?),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeliveryId, EventKind, Reason, Timings};
    use std::time::Duration;

    const SETTINGS: HealthSettings = HealthSettings {
        failures: 20,
        failing_for: Duration::from_secs(600),
        rate: 0.5,
        rate_deliveries: 100,
        rate_window: Duration::from_secs(3600),
    };

    /// Plays attempts of a webhook: seconds, reason, verdict.
    struct Play {
        health: Health,
        incidents: Vec<(i64, IncidentKind, u64, u64)>,
    }

    impl Play {
        fn new() -> Self {
            let mut health = Health::default();
            health.switch(true);
            Self { health, incidents: Vec::new() }
        }

        fn attempt(&mut self, second: i64, reason: Reason, verdict: Verdict) {
            self.attempt_from(second, second, reason, verdict);
        }

        fn attempt_from(&mut self, began: i64, ended: i64, reason: Reason, verdict: Verdict) {
            let (started_at, second, at) = (UnixMs(began * 1000), ended, UnixMs(ended * 1000));
            let event = Position(1);
            let outcome = OutcomeEntry {
                delivery: DeliveryId { webhook: WebhookId(1), origin: event },
                event,
                kind: EventKind::GuideDisplayed,
                attempt: 1,
                started_at,
                verdict,
                status: 0,
                reason,
                detail: "",
                timings: Timings::default(),
                request_headers: "",
                response_headers: "",
                response_body: b"",
                response_cut: false,
            };
            if let Some((kind, failed, of)) = self.health.outcome(&outcome, at, &SETTINGS) {
                self.incidents.push((second, kind, failed, of));
            }
        }

        /// An attempt that ended later than it began.
        fn hang(&mut self, began: i64, ended: i64) {
            self.attempt_from(began, ended, Reason::TimedOut, Verdict::Retry { due: UnixMs(0) });
        }

        fn fail(&mut self, second: i64) {
            self.attempt(second, Reason::Refused, Verdict::Failed);
        }

        fn deliver(&mut self, second: i64) {
            self.attempt(second, Reason::Accepted, Verdict::Delivered);
        }
    }

    #[test]
    fn twenty_in_a_row_over_ten_minutes_with_a_warning_half_way() {
        let mut play = Play::new();
        (0..100).for_each(|n| play.fail(n * 30));
        assert_eq!(
            play.incidents,
            [(300, IncidentKind::Warning, 11, 11), (600, IncidentKind::FailuresInARow, 21, 21)],
            "once each, and at the first failure at which both hold"
        );
        let mut play = Play::new();
        (0..99).for_each(|n| play.fail(n));
        assert_eq!(play.incidents, [], "too short a time, and too few for the rate");
        let mut play = Play::new();
        (0..19).for_each(|n| play.fail(n * 600));
        assert_eq!(play.incidents.iter().map(|incident| incident.1).collect::<Vec<_>>(), [IncidentKind::Warning]);
    }

    #[test]
    fn one_delivered_between_begins_anew() {
        let mut play = Play::new();
        for round in 0..5 {
            let start = round * 2000;
            (0..15).for_each(|n| play.fail(start + n * 60));
            play.deliver(start + 1000);
        }
        assert!(play.incidents.iter().all(|incident| incident.1 == IncidentKind::Warning), "{:?}", play.incidents);
        assert_eq!(play.incidents.len(), 5, "one warning for each row of failures");
    }

    #[test]
    fn more_than_half_of_a_hundred_within_an_hour() {
        let mut play = Play::new();
        for n in 0..50 {
            play.deliver(n * 10);
            play.fail(n * 10 + 1);
        }
        assert_eq!(play.incidents, [], "half is not more than half");
        play.fail(600);
        assert_eq!(play.incidents, [(600, IncidentKind::FailureRate, 51, 101)]);
        // What is older than an hour does not count.
        let mut play = Play::new();
        (0..60).for_each(|n| play.deliver(n));
        for n in 0..30 {
            play.fail(4000 + n * 2);
            play.deliver(4001 + n * 2);
        }
        assert_eq!(play.incidents, []);
    }

    #[test]
    fn retries_are_no_deliveries_but_probes_that_fail_count() {
        let retry = Verdict::Retry { due: UnixMs(0) };
        let mut play = Play::new();
        (0..200).for_each(|n| play.attempt(n * 30, Reason::ServerError, retry));
        assert_eq!(
            (play.incidents.len(), play.health.failures_in_a_row),
            (0, 0),
            "deliveries are counted, not attempts"
        );
        let mut play = Play::new();
        (0..40).for_each(|n| play.attempt(n * 30, Reason::ConnectionRefused, retry));
        assert_eq!(
            play.incidents,
            [(330, IncidentKind::Warning, 11, 11), (630, IncidentKind::FailuresInARow, 21, 21)],
            "the first one made the receiver silent, and those after it are probes"
        );
        // An answer, whatever it is, ends the silence.
        let mut play = Play::new();
        for n in 0..200 {
            let reason = if n % 2 == 0 { Reason::ConnectionRefused } else { Reason::ServerError };
            play.attempt(n * 30, reason, retry);
        }
        assert_eq!(play.health.failures_in_a_row, 20, "each probe that failed, answered or not");
        assert_eq!(play.incidents.last().unwrap().1, IncidentKind::FailuresInARow);
    }

    #[test]
    fn a_probe_is_what_begins_once_the_receiver_is_silent() {
        // The first one hangs; after its quiet time probes go out, and end before it is known how it ended.
        let mut play = Play::new();
        play.health.receiver(ReceiverIs::Silent, UnixMs(2_000));
        play.hang(20, 320);
        play.hang(0, 300);
        assert_eq!(play.health.failures_in_a_row, 1, "the probe, and not what had begun before it");
        // What was in flight together when the receiver went away is no probe, also within the same millisecond.
        let retry = Verdict::Retry { due: UnixMs(0) };
        let mut play = Play::new();
        (0..32).for_each(|_| play.attempt(0, Reason::ConnectionRefused, retry));
        assert_eq!(play.health.failures_in_a_row, 0);
        // Where nothing was sent, nothing is known of the receiver.
        let mut play = Play::new();
        play.attempt(0, Reason::AddressRefused, Verdict::Failed);
        play.attempt(1, Reason::ServerError, retry);
        assert_eq!(play.health.failures_in_a_row, 1, "the failed delivery, and no retry");
    }

    #[test]
    fn off_counts_nothing_and_on_begins_anew() {
        let mut play = Play::new();
        (0..15).for_each(|n| play.fail(n));
        play.health.switch(true);
        assert_eq!(play.health.failures_in_a_row, 15, "other categories are no reason to begin anew");
        play.health.switch(false);
        (15..100).for_each(|n| play.fail(n * 60));
        assert_eq!((play.incidents.len(), play.health.failures_in_a_row), (0, 15), "it shows what it was off with");
        play.health.switch(true);
        (0..19).for_each(|n| play.fail(10_000 + n));
        assert_eq!((play.incidents.len(), play.health.failures_in_a_row), (0, 19));
    }
}
