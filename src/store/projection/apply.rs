//! What each entry does to the tables.
//!
//! SQLite takes `$1` for a name and numbers names in the order in which they first appear, so every statement here
//! names its parameters in rising order; then it means the same to PostgreSQL.

use super::carried;
use super::codec::{Success, pack_positions, push_item};
use super::figures::{Minute, waited_min};
use super::health::Healths;
use super::notices;
use super::people::People;
use super::replays;
use super::stretches::Stretches;
use super::successes::SuccessIndex;
use super::{Meta, add_meta, int, set_meta};
use crate::config::HealthSettings;
use crate::journal::Journal;
use crate::model::{
    CarriedEntry, CategorySet, Checkpoint, Closed, ClosedWhy, DeliveryState, Entry, EventEntry, EventKind, HeldEntry,
    OutcomeEntry, Position, Redelivery, Resend, Selection, ShapedOutcome, SubscriptionId, Switch, UniqueId, UnixMs,
    Verdict, WebhookId,
};
use crate::store::db::{self, Connection, OptionalExtension, params};
use std::collections::HashMap;

/// Milliseconds of a minute.
pub(super) const MINUTE_MS: i64 = 60_000;

/// Applies entries within a transaction that the caller holds. What can be added up in memory is, until
/// [`Applier::flush`] writes it together with the position.
#[derive(Debug)]
pub(super) struct Applier {
    successes: SuccessIndex,
    tallies: HashMap<WebhookId, Tally>,
    items: Items,
    people: People,
    healths: Healths,
    health_settings: HealthSettings,
    stretches: Stretches,
    marked_minute: Option<i64>,
    /// The newest mark and where it begins, where it was made by this very applier.
    newest_mark: Option<(i64, Position)>,
    position: Position,
    applied: u64,
    written_bytes: u64,
}

/// Items of a row that is still added to.
const ROW_ITEMS: i64 = 512;

/// About what a row takes, with its places in the indexes.
const ROW_BYTES: u64 = 200;

/// What is added up for one webhook.
#[derive(Debug, Default)]
struct Tally {
    minutes: Vec<(i64, Minute)>,
    last_success_at: Option<UnixMs>,
    last_error_at: Option<UnixMs>,
}

/// The row of item ids that is still added to.
#[derive(Debug, Default)]
struct Items {
    blob: Vec<u8>,
    count: i64,
    written: i64,
    first: Position,
    last: Position,
    last_at: UnixMs,
}

impl Applier {
    /// Judges webhooks by these settings.
    pub(super) fn new(health_settings: HealthSettings) -> Self {
        Self {
            successes: SuccessIndex::default(),
            tallies: HashMap::new(),
            items: Items::default(),
            people: People::default(),
            healths: Healths::default(),
            health_settings,
            stretches: Stretches::default(),
            marked_minute: None,
            newest_mark: None,
            position: Position::ZERO,
            applied: 0,
            written_bytes: 0,
        }
    }

    /// Entries applied since the last flush.
    pub(super) fn applied(&self) -> u64 {
        self.applied
    }

    /// About how many bytes were written since this was asked last.
    pub(super) fn take_written_bytes(&mut self) -> u64 {
        std::mem::take(&mut self.written_bytes)
    }

    /// Applies one entry.
    pub(super) fn apply(
        &mut self,
        db: &Connection,
        journal: &dyn Journal,
        position: Position,
        entry: &Entry<'_>,
    ) -> db::Result<()> {
        self.position = position;
        self.applied += 1;
        match entry {
            Entry::Event(event) => self.event(db, position, event),
            Entry::Outcome(outcome) => self.outcome(db, journal, position, (outcome, None)),
            Entry::ShapedOutcome(shaped) => self.outcome(db, journal, position, (&shaped.outcome, Some(shaped))),
            Entry::Switch(switch) => self.switch(db, position, switch),
            Entry::CategorySwitch(switch) => self.switch(db, position, &Switch::from(*switch)),
            Entry::Checkpoint(checkpoint) => write_checkpoint(db, position, checkpoint),
            Entry::Held(held) => self.held(db, position, held),
            Entry::Closed(closed) => close(db, position, closed),
            Entry::Redelivery(Redelivery { webhook, event, at }) => {
                insert_again(db, journal, (position, *webhook), (*event, *at), None)
            }
            Entry::Replay(replay) => replays::insert(db, position, replay),
            Entry::Resend(Resend { webhook, event, replay, at, .. }) => {
                // What was sent a moment before its replay's end was known may come after it: it is void.
                if replays::is_over(db, *replay)? {
                    return Ok(());
                }
                insert_again(db, journal, (position, *webhook), (*event, *at), Some(*replay))?;
                replays::note_sent(db, *replay, *event)
            }
            Entry::ReplayEnded(ended) => replays::end(db, position, ended),
            Entry::Audited(audited) => set_meta(db, Meta::Audited, int(audited.seq)),
            Entry::Items(items) => {
                self.mark(db, position, items.accepted_at)?;
                for fingerprint in &items.fingerprints {
                    self.items.push(position, *fingerprint, items.accepted_at);
                }
                Ok(())
            }
            Entry::Visit(visit) => self.people.visit(db, visit),
            Entry::Metadata(metadata) => self.people.metadata(db, metadata),
            Entry::Receiver(news) => self.healths.receiver(db, position, news),
            Entry::Carried(carried) => carried::note(db, position, carried.event),
            Entry::Notice(notice) => notices::insert(db, position, notice),
            Entry::Guide(guide) => self.people.guide(db, position, guide),
            Entry::Merged(merged) => self.people.merged(db, position, merged),
            Entry::Erased => Ok(()),
        }
    }

    /// Writes what was added up, and the position. The caller commits.
    pub(super) fn flush(&mut self, db: &Connection) -> db::Result<()> {
        self.successes.flush(db)?;
        for (webhook, tally) in self.tallies.drain() {
            write_tally(db, webhook, &tally)?;
        }
        self.items.flush(db)?;
        self.people.flush(db)?;
        self.healths.flush(db)?;
        self.stretches.flush(db)?;
        self.written_bytes += self.applied * 16;
        if self.applied > 0 {
            set_meta(db, Meta::Position, int(self.position.0))?;
        }
        self.applied = 0;
        Ok(())
    }

    /// Forgets everything in memory: what it stands for was rolled back.
    pub(super) fn forget(&mut self) {
        *self = Self::new(self.health_settings.clone());
    }

    /// Forgets which rows are still added to: retention may have deleted one.
    pub(super) fn forget_rows(&mut self) {
        self.successes.forget();
        self.items = Items::default();
        self.stretches.forget();
    }

    fn event(&mut self, db: &Connection, position: Position, event: &EventEntry<'_>) -> db::Result<()> {
        self.mark(db, position, event.accepted_at)?;
        if let Some(fingerprint) = event.item {
            self.items.push(position, fingerprint, event.accepted_at);
        }
        if let Some(held) = event.closes {
            db.prepare_cached("DELETE FROM held WHERE position = $1")?.execute_later([int(held.0)])?;
        }
        self.stretches.event(position, event);
        self.people.event(db, position, event)
    }

    fn switch(&mut self, db: &Connection, position: Position, switch: &Switch) -> db::Result<()> {
        self.healths.switch(db, position, switch)?;
        insert_switch(db, position, switch)
    }

    fn held(&mut self, db: &Connection, position: Position, held: &HeldEntry<'_>) -> db::Result<()> {
        if let Some(fingerprint) = held.item {
            self.items.push(position, fingerprint, held.due);
        }
        db.prepare_cached(
            "INSERT INTO held (position, subscription, due, draft) VALUES ($1, $2, $3, $4)
             ON CONFLICT (position) DO NOTHING",
        )?
        .execute_later(params![int(position.0), int(held.subscription.0), held.due.0, held.draft])?;
        Ok(())
    }

    fn outcome(
        &mut self,
        db: &Connection,
        journal: &dyn Journal,
        position: Position,
        (outcome, shaped): (&OutcomeEntry<'_>, Option<&ShapedOutcome<'_>>),
    ) -> db::Result<()> {
        let ended_at = UnixMs(outcome.started_at.0 + i64::from(outcome.timings.total_us) / 1000);
        self.mark(db, position, ended_at)?;
        let redelivery = outcome.delivery.origin != outcome.event;
        // A delivery that a person asked for is neither for nor against the webhook (docs/delivery.md).
        if !redelivery {
            let waited = if outcome.attempt == 1 { self.waited_min(db, outcome)? } else { 0 };
            self.tallies.entry(outcome.delivery.webhook).or_default().add(position, outcome, ended_at, waited);
            self.healths.outcome(db, (position, ended_at), outcome, &self.health_settings)?;
        }
        if outcome.attempt == 1 && outcome.verdict == Verdict::Delivered && !redelivery {
            let success = Success { outcome: position, event: outcome.event, kind: outcome.kind };
            return self.successes.add(db, outcome.delivery.webhook, success, ended_at);
        }
        self.written_bytes += 2 * ROW_BYTES + write_attempt(db, journal, position, (outcome, shaped), ended_at)?;
        Ok(())
    }

    /// Keeps where each minute begins, so that a look-up by time starts at the right place. A clock that is set back
    /// makes no mark until it has caught up.
    fn mark(&mut self, db: &Connection, position: Position, at: UnixMs) -> db::Result<()> {
        let minute = at.0.div_euclid(MINUTE_MS);
        if self.marked_minute.is_some_and(|marked| minute <= marked) {
            return Ok(());
        }
        let made = db
            .prepare_cached(
                "INSERT INTO marks (minute, position)
                 SELECT $1, $2 WHERE NOT EXISTS (SELECT 1 FROM marks WHERE minute >= $1)",
            )?
            .execute([minute, int(position.0)])?;
        self.marked_minute = Some(minute);
        self.newest_mark = (made > 0).then_some((minute, position));
        Ok(())
    }

    /// How long an event had waited when its first attempt began. Mostly it is of the newest minute that has begun.
    fn waited_min(&self, db: &Connection, outcome: &OutcomeEntry<'_>) -> db::Result<u64> {
        let accepted = match self.newest_mark.filter(|(_, begins)| *begins <= outcome.event) {
            Some((minute, _)) => Some(minute),
            None => db
                .prepare_cached("SELECT minute FROM marks WHERE position <= $1 ORDER BY position DESC LIMIT 1")?
                .query_row([int(outcome.event.0)], |row| row.get(0))
                .optional()?,
        };
        Ok(accepted.map_or(0, |minute| waited_min(minute, outcome.started_at)))
    }
}

impl Items {
    fn push(&mut self, position: Position, fingerprint: u64, at: UnixMs) {
        if self.count == 0 {
            self.first = position;
            self.last_at = UnixMs(0);
        }
        push_item(&mut self.blob, self.last_at, fingerprint, at);
        self.count += 1;
        self.last = position;
        self.last_at = at;
    }

    fn flush(&mut self, db: &Connection) -> db::Result<()> {
        let added = self.count - self.written;
        if added == 0 {
            return Ok(());
        }
        db.prepare_cached(
            "INSERT INTO items (first_position, last_position, last_at, count, items)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (first_position) DO UPDATE SET last_position = excluded.last_position,
                 last_at = excluded.last_at, count = excluded.count, items = excluded.items",
        )?
        .execute_later(params![int(self.first.0), int(self.last.0), self.last_at.0, self.count, self.blob])?;
        add_meta(db, Meta::Items, added)?;
        self.written = self.count;
        if self.count >= ROW_ITEMS {
            *self = Self { blob: std::mem::take(&mut self.blob), ..Self::default() };
            self.blob.clear();
        }
        Ok(())
    }
}

impl Tally {
    fn add(&mut self, position: Position, outcome: &OutcomeEntry<'_>, ended_at: UnixMs, waited_min: u64) {
        let minute = ended_at.0.div_euclid(MINUTE_MS);
        let at = match self.minutes.iter().rposition(|(at, _)| *at == minute) {
            Some(at) => at,
            None => {
                self.minutes.push((minute, Minute::default()));
                self.minutes.len() - 1
            }
        };
        self.minutes[at].1.add(position, outcome, waited_min);
        let delivered = outcome.verdict == Verdict::Delivered;
        let last = if delivered { &mut self.last_success_at } else { &mut self.last_error_at };
        *last = (*last).max(Some(ended_at));
    }
}

fn write_tally(db: &Connection, webhook: WebhookId, tally: &Tally) -> db::Result<()> {
    for (minute, counts) in &tally.minutes {
        counts.write(db, webhook, *minute)?;
    }
    let time = |at: Option<UnixMs>| at.map(|at| at.0);
    db.prepare_cached(
        "INSERT INTO webhooks (webhook, last_success_at, last_error_at) VALUES ($1, $2, $3)
         ON CONFLICT (webhook) DO UPDATE SET
             last_success_at = CASE WHEN webhooks.last_success_at > excluded.last_success_at
                 OR excluded.last_success_at IS NULL THEN webhooks.last_success_at ELSE excluded.last_success_at END,
             last_error_at = CASE WHEN webhooks.last_error_at > excluded.last_error_at
                 OR excluded.last_error_at IS NULL THEN webhooks.last_error_at ELSE excluded.last_error_at END",
    )?
    .execute_later(params![int(webhook.0), time(tally.last_success_at), time(tally.last_error_at)])?;
    Ok(())
}

fn write_attempt(
    db: &Connection,
    journal: &dyn Journal,
    position: Position,
    (outcome, shaped): (&OutcomeEntry<'_>, Option<&ShapedOutcome<'_>>),
    ended_at: UnixMs,
) -> db::Result<u64> {
    let (state, due) = match outcome.verdict {
        Verdict::Delivered => (DeliveryState::Delivered, None),
        Verdict::Retry { due } => (DeliveryState::Retrying, Some(due.0)),
        Verdict::Failed => (DeliveryState::Failed, None),
        Verdict::Cancelled => (DeliveryState::Cancelled, None),
    };
    let delivery: Option<(i64, Option<i64>)> = db
        .prepare_cached(
            "UPDATE deliveries SET kind = $1, state = $2, attempts = $3, status = $4, reason = $5, total_us = $6,
                 last_attempt_at = $7, updated_at = $8, next_attempt_at = $9
             WHERE webhook = $10 AND origin = $11 RETURNING listed, replay",
        )?
        .query_row(
            params![
                outcome.kind as u8,
                state.name(),
                outcome.attempt,
                outcome.status,
                outcome.reason as u8,
                outcome.timings.total_us,
                outcome.started_at.0,
                ended_at.0,
                due,
                int(outcome.delivery.webhook.0),
                int(outcome.delivery.origin.0),
            ],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let delivery = match delivery {
        Some((delivery, replay)) => {
            if let Some(replay) = replay {
                replays::note_state(db, (super::position(replay), delivery), state)?;
            }
            delivery
        }
        None => insert_delivery(db, journal, position, outcome, (state, due, ended_at))?,
    };
    // Kept whole here, because the record outlives the journal's own limit of bytes.
    let bytes = match shaped {
        Some(shaped) => postcard::to_stdvec(shaped),
        None => postcard::to_stdvec(outcome),
    };
    let bytes = bytes.map_err(|error| db::Error::Value(error.to_string()))?;
    db.prepare_cached(
        "INSERT INTO attempts (position, delivery, outcome) VALUES ($1, $2, $3) ON CONFLICT (position) DO NOTHING",
    )?
    .execute_later(params![int(position.0), delivery, bytes])?;
    Ok(bytes.len() as u64)
}

fn insert_delivery(
    db: &Connection,
    journal: &dyn Journal,
    position: Position,
    outcome: &OutcomeEntry<'_>,
    (state, due, ended_at): (DeliveryState, Option<i64>, UnixMs),
) -> db::Result<i64> {
    let facts = facts_of(db, journal, outcome.event)?;
    db.prepare_cached(
        "INSERT INTO deliveries (listed, webhook, origin, event, subscription, kind, unique_id, state, attempts,
             status, reason, total_us, created_at, last_attempt_at, updated_at, next_attempt_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
    )?
    .execute_later(params![
        int(position.0),
        int(outcome.delivery.webhook.0),
        int(outcome.delivery.origin.0),
        int(outcome.event.0),
        facts.as_ref().map(|facts| int(facts.subscription.0)),
        outcome.kind as u8,
        facts.as_ref().map(|facts| facts.unique_id.0),
        state.name(),
        outcome.attempt,
        outcome.status,
        outcome.reason as u8,
        outcome.timings.total_us,
        facts.map_or(outcome.started_at, |facts| facts.accepted_at).0,
        outcome.started_at.0,
        ended_at.0,
        due,
    ])?;
    Ok(int(position.0))
}

/// A redelivery, or a delivery of a replay, waits like a retry that is due at once, so that it survives a restart.
fn insert_again(
    db: &Connection,
    journal: &dyn Journal,
    (position, webhook): (Position, WebhookId),
    (event, at): (Position, UnixMs),
    replay: Option<Position>,
) -> db::Result<()> {
    let facts = facts_of(db, journal, event)?;
    db.prepare_cached(
        "INSERT INTO deliveries (listed, webhook, origin, event, subscription, kind, unique_id, state, attempts,
             created_at, updated_at, next_attempt_at, replay)
         VALUES ($1, $2, $1, $3, $4, $5, $6, $7, 0, $8, $8, $8, $9) ON CONFLICT (listed) DO NOTHING",
    )?
    .execute_later(params![
        int(position.0),
        int(webhook.0),
        int(event.0),
        facts.as_ref().map(|facts| int(facts.subscription.0)),
        facts.as_ref().map(|facts| facts.kind as u8),
        facts.as_ref().map(|facts| facts.unique_id.0),
        DeliveryState::Retrying.name(),
        at.0,
        replay.map(|replay| int(replay.0)),
    ])?;
    Ok(())
}

/// What a delivery's row repeats of its event, because the row outlives the journal's own limit of bytes.
struct Facts {
    subscription: SubscriptionId,
    kind: EventKind,
    unique_id: UniqueId,
    accepted_at: UnixMs,
}

/// The facts of an event, as far as the journal still has it.
fn facts_of(db: &Connection, journal: &dyn Journal, event: Position) -> db::Result<Option<Facts>> {
    if event >= journal.oldest() {
        return Ok(facts_at(journal, event));
    }
    Ok(carried::find(db, event)?.and_then(|at| facts_at(journal, at)))
}

fn facts_at(journal: &dyn Journal, at: Position) -> Option<Facts> {
    let chunk = journal.read(at, 1).ok()?;
    let (found, entry) = chunk.entries().next()?.ok()?;
    let event = match entry {
        Entry::Event(event) | Entry::Carried(CarriedEntry { entry: event, .. }) if found == at => event,
        _ => return None,
    };
    Some(Facts {
        subscription: event.subscription,
        kind: event.kind,
        unique_id: event.unique_id,
        accepted_at: event.accepted_at,
    })
}

fn insert_switch(db: &Connection, position: Position, switch: &Switch) -> db::Result<()> {
    let Selection { categories, audit, filter } = &switch.selection;
    let categories = match *categories {
        CategorySet::All => None,
        CategorySet::Some(bits) => Some(bits),
    };
    db.prepare_cached(
        "INSERT INTO switches (position, webhook, subscription, is_on, categories, at, audit, filter)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (position) DO NOTHING",
    )?
    .execute_later(params![
        int(position.0),
        int(switch.webhook.0),
        int(switch.subscription.0),
        switch.on,
        categories,
        switch.at.0,
        audit,
        filter,
    ])?;
    Ok(())
}

fn write_checkpoint(db: &Connection, position: Position, checkpoint: &Checkpoint) -> db::Result<()> {
    let mut statement = db.prepare_cached(
        "INSERT INTO lanes (webhook, next, open, settled, behind_events, behind_bytes) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (webhook) DO UPDATE SET next = excluded.next, open = excluded.open, settled = excluded.settled,
             behind_events = excluded.behind_events, behind_bytes = excluded.behind_bytes",
    )?;
    for lane in &checkpoint.lanes {
        let next = lane.next.map(|next| int(next.0));
        let (events, bytes) = (int(lane.behind.events), int(lane.behind.bytes));
        let (open, settled) = (pack_positions(&lane.open), pack_positions(&lane.settled));
        statement.execute_later(params![int(lane.webhook.0), next, open, settled, events, bytes])?;
    }
    set_meta(db, Meta::Head, int(checkpoint.head.0))?;
    set_meta(db, Meta::Checkpoint, int(position.0))
}

fn close(db: &Connection, position: Position, closed: &Closed) -> db::Result<()> {
    let state = match closed.why {
        ClosedWhy::Cancelled => DeliveryState::Cancelled,
        ClosedWhy::Expired => DeliveryState::Expired,
    };
    let retries = if closed.retries {
        db.prepare_cached(
            "UPDATE deliveries SET state = $1, next_attempt_at = NULL, updated_at = $2
             WHERE webhook = $3 AND next_attempt_at IS NOT NULL",
        )?
        .execute(params![state.name(), closed.at.0, int(closed.webhook.0)])?
    } else {
        0
    };
    let retries = int(retries as u64);
    db.prepare_cached(
        "INSERT INTO ranges (position, webhook, why, first_position, last_position, events, retries, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (position) DO NOTHING",
    )?
    .execute_later(params![
        int(position.0),
        int(closed.webhook.0),
        state.name(),
        int(closed.from.0),
        int(closed.to.0),
        closed.events.map(int),
        retries,
        closed.at.0,
    ])?;
    Ok(())
}

/// Where the projection stands, as its own database says.
pub(super) fn stored_position(db: &Connection) -> db::Result<Position> {
    Ok(super::position(super::get_meta(db, Meta::Position)?))
}
