//! Follows the journal and hands each event to the lanes that want it.

use super::carry::{self, Carried};
use super::cell::LaneCell;
use super::figures::Load;
use super::job::{Event, Visitor, Waiting};
use super::lane::{Eras, Lane, Undone};
use super::matching::{Index, Wants};
use super::restart::{KnownReceiver, Refeed, Restart, lanes_at_checkpoint};
use super::scheduler::{Parts, Scheduler};
use super::timer::Alarm;
use super::worker::event_at;
use crate::catalog::Snapshot;
use crate::filter::{Facts, Interest};
use crate::journal::{Chunk, Group, ReadError};
use crate::limits;
use crate::model::{
    Backlog, Checkpoint, Closed, ClosedWhy, DeliveryId, Entry, EventEntry, LaneMark, Position, Redelivery, ReplayEnded,
    Resend, SubscriptionId, Switch, WebhookId,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often the lanes' progress is recorded while there is any. What lies behind the last checkpoint is fed again
/// after a restart, so this bounds what a restart reads.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// Ended replays that are remembered: what was sent of one a moment before its end was known may come after it.
const ENDED_REPLAYS: usize = 1024;

/// The running dispatch: one task that follows the journal, one that minds the time, one that lets go of the
/// journal's oldest part, and the workers.
pub struct Dispatcher {
    scheduler: Arc<Scheduler>,
    applied: watch::Receiver<Position>,
    stop: CancellationToken,
    follow: JoinHandle<()>,
    timer: JoinHandle<()>,
    carrier: JoinHandle<()>,
}

impl Dispatcher {
    /// Rebuilds the lanes, catches up with the journal, and starts.
    ///
    /// # Errors
    /// [`ReadError`] when the journal cannot be read from the last checkpoint on.
    pub fn start(parts: Parts, restart: &Restart) -> Result<Self, ReadError> {
        let scheduler = Scheduler::new(parts);
        let mut feeder = Feeder::rebuild(Arc::clone(&scheduler), restart)?;
        feeder.feed_all()?;
        feeder.end_refeed(restart);
        scheduler.release();
        let stop = CancellationToken::new();
        let applied = feeder.applied.subscribe();
        let follow = tokio::spawn(feeder.follow(stop.clone()));
        let timer = tokio::spawn(mind_the_time(Arc::clone(&scheduler), stop.clone()));
        let carrier = tokio::spawn(carry::run(Arc::clone(&scheduler), applied.clone(), stop.clone()));
        Ok(Self { scheduler, applied, stop, follow, timer, carrier })
    }

    /// The last position whose entry every lane knows of.
    pub fn applied(&self) -> watch::Receiver<Position> {
        self.applied.clone()
    }

    /// Numbers for metrics.
    pub fn load(&self) -> Load {
        self.scheduler.load()
    }

    /// The scheduler, for numbers that outlive a borrow of this.
    pub fn scheduler(&self) -> Arc<Scheduler> {
        Arc::clone(&self.scheduler)
    }

    /// Starts nothing new, waits up to `patience` for what is in flight, and records how far the lanes have come. What
    /// is still in flight then is made again after the next start.
    pub async fn stop(self, patience: Duration) {
        self.scheduler.hold();
        self.scheduler.workers.close();
        self.scheduler.stopping.cancel();
        if tokio::time::timeout(patience, self.scheduler.workers.wait()).await.is_err() {
            let in_flight = self.scheduler.load().in_flight;
            tracing::warn!(in_flight, "requests still in flight are made again after the next start");
        }
        self.stop.cancel();
        // They only end by the token, or by a panic, which ends the node.
        let _ = self.timer.await;
        let _ = self.carrier.await;
        let _ = self.follow.await;
    }
}

async fn mind_the_time(scheduler: Arc<Scheduler>, stop: CancellationToken) {
    let _ends_node = scheduler.parts.defects.guard();
    loop {
        let due = tokio::select! {
            due = scheduler.timer.next() => due,
            () = stop.cancelled() => return,
        };
        due.into_iter().for_each(|alarm| match alarm {
            Alarm::Places => scheduler.serve_waiters(),
            Alarm::Lane(webhook) => scheduler.lane(webhook).iter().for_each(|cell| scheduler.look_at(cell)),
        });
    }
}

struct Feeder {
    scheduler: Arc<Scheduler>,
    index: Index,
    fed: Position,
    applied: watch::Sender<Position>,
    /// Set while the journal behind the last checkpoint is fed again.
    refeed: Option<Refeed>,
    /// The replays that ended last.
    ended_replays: VecDeque<Position>,
    /// Something other than checkpoints was fed since the last checkpoint.
    moved: bool,
    /// What was configured when lanes were last told.
    told: Arc<Snapshot>,
}

impl Feeder {
    fn rebuild(scheduler: Arc<Scheduler>, restart: &Restart) -> Result<Self, ReadError> {
        let refeed = Refeed::scan(scheduler.parts.journal.as_ref(), restart.head)?;
        *scheduler.carried.write() = Carried::restored(restart);
        let told = (scheduler.parts.catalog)();
        let mut index = Index::default();
        for lane in lanes_at_checkpoint(restart, &refeed, scheduler.lane_limits()) {
            let interest = lane.interest();
            let cell = LaneCell::new(lane);
            index.set(&cell, &interest);
            scheduler.add(&cell);
        }
        let applied = watch::Sender::new(restart.head);
        Ok(Self {
            scheduler,
            index,
            fed: restart.head,
            applied,
            refeed: Some(refeed),
            ended_replays: VecDeque::new(),
            moved: true,
            told,
        })
    }

    async fn follow(mut self, stop: CancellationToken) {
        let _ends_node = self.scheduler.parts.defects.guard();
        let mut durable = self.scheduler.parts.journal.durable();
        let mut checkpoint = tokio::time::interval(CHECKPOINT_EVERY);
        // A node that was frozen makes up for nothing.
        checkpoint.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                changed = durable.changed() => if changed.is_err() { return },
                _ = checkpoint.tick() => self.every_second(),
                () = stop.cancelled() => break,
            }
            if let Err(error) = self.feed_all() {
                // What is damaged is not guessed: nothing behind it is dispatched until the operator has seen to it.
                tracing::error!(%error, position = %self.fed.next(), "dispatch cannot read the journal");
                tokio::time::sleep(CHECKPOINT_EVERY).await;
            }
        }
        self.checkpoint();
    }

    /// Lanes that stood still while the journal refused outcomes are looked at when it takes them again, and those that
    /// may do more than before, because their webhooks were edited, too.
    fn every_second(&mut self) {
        self.scheduler.runs.grow_old();
        self.scheduler.look_at_turned_away();
        self.scheduler.wake_who_stands_still();
        let configured = (self.scheduler.parts.catalog)();
        if !Arc::ptr_eq(&configured, &self.told) {
            self.told = configured;
            self.scheduler.look_at_edited();
        }
        self.checkpoint();
    }

    fn feed_all(&mut self) -> Result<(), ReadError> {
        loop {
            let from = self.fed.next();
            let chunk = match self.scheduler.parts.journal.read(from, limits::JOURNAL_READ_BYTES) {
                Err(ReadError::Gone { oldest, .. }) => {
                    self.skip_to(oldest);
                    continue;
                }
                chunk => chunk?,
            };
            if chunk.is_empty() {
                return Ok(());
            }
            self.feed(&chunk)?;
        }
    }

    /// Retention overtook dispatch itself, which only a start on an old copy of the store can bring about.
    fn skip_to(&mut self, oldest: Position) {
        tracing::error!(from = %self.fed.next(), to = %oldest, "the journal no longer holds what dispatch had not seen");
        self.fed = Position(oldest.0 - 1);
    }

    fn feed(&mut self, chunk: &Chunk) -> Result<(), ReadError> {
        // Before the first lane is handed anything: a lane that joins meanwhile must know what it may have missed.
        self.scheduler.feeding.store(chunk.next().0 - 1, Ordering::SeqCst);
        let first = self.fed.next();
        let mut others = 0;
        for entry in chunk.entries_but_outcomes() {
            let (position, entry) = entry?;
            self.feed_entry(position, &entry);
            self.fed = position;
            others += 1;
        }
        // What was skipped were outcomes: with them there is something new to write down.
        self.moved |= others < chunk.next().0 - first.0;
        self.fed = Position(chunk.next().0 - 1);
        self.applied.send_replace(self.fed);
        Ok(())
    }

    fn feed_entry(&mut self, position: Position, entry: &Entry<'_>) {
        self.moved |= !matches!(entry, Entry::Checkpoint(_));
        match entry {
            Entry::Event(event) if event.withheld.is_none() => self.hand_out(position, event),
            Entry::Switch(switch) => self.switch(position, switch),
            Entry::CategorySwitch(switch) => self.switch(position, &Switch::from(*switch)),
            Entry::Redelivery(Redelivery { webhook, event, at }) => {
                let delivery = DeliveryId { webhook: *webhook, origin: position };
                let (due, event, replay) = (*at, *event, None);
                self.send_again(
                    Waiting { due, delivery, event, attempts: 0, replay, since: *at, visitor: None },
                    false,
                );
            }
            Entry::Resend(Resend { webhook, event, replay, forced, at }) => {
                let delivery = DeliveryId { webhook: *webhook, origin: position };
                let (due, event, replay) = (*at, *event, Some(*replay));
                self.send_again(
                    Waiting { due, delivery, event, attempts: 0, replay, since: *at, visitor: None },
                    *forced,
                );
            }
            Entry::ReplayEnded(ended) => self.end_replay(ended),
            Entry::Carried(carried) => self.scheduler.carried.write().note(carried.event, position),
            _ => {}
        }
    }

    fn hand_out(&self, position: Position, entry: &EventEntry<'_>) {
        let lanes = self.index.lanes(entry.subscription, entry.kind);
        if lanes.is_empty() {
            return;
        }
        let facts = Facts::of(entry);
        let mut event = None;
        for wants in lanes.iter().filter(|wants| self.passes(wants, &facts)) {
            let event = event.get_or_insert_with(|| Arc::new(Event::from_entry(position, entry)));
            let cell = &wants.cell;
            let mut state = cell.state.lock();
            state.lane.hand(event, self.scheduler.memory_left());
            self.scheduler.go_on(cell, state, self.scheduler.parts.clock.now());
        }
    }

    /// Whether the filter lets the event pass; a webhook without one pays for nothing here.
    fn passes(&self, wants: &Wants, facts: &Facts<'_>) -> bool {
        let Some(filter) = &wants.filter else { return true };
        filter.passes(facts).unwrap_or_else(|failure| {
            self.scheduler.parts.metrics.dispatch.filter_failures.inc_by(u64::from(!failure.is_missing()));
            false
        })
    }

    fn switch(&mut self, position: Position, switch: &Switch) {
        match (switch.on, self.scheduler.lane(switch.webhook)) {
            (true, Some(cell)) => {
                let interest = Interest::of(&switch.selection);
                self.index.set(&cell, &interest);
                cell.state.lock().lane.change(position, interest);
            }
            (true, None) => self.open(position, switch),
            (false, _) => self.close(position, switch.webhook, switch.subscription),
        }
    }

    fn open(&mut self, position: Position, switch: &Switch) {
        let interest = Interest::of(&switch.selection);
        let eras = Eras::from([(position, interest.clone())]);
        let mut lane = Lane::new(switch.webhook, switch.subscription, eras, self.scheduler.lane_limits());
        if let Some(refeed) = &self.refeed {
            let (webhook, behind) = (switch.webhook, Backlog::default());
            let mark = LaneMark { webhook, next: None, open: vec![], settled: vec![], behind };
            lane.resume(&mark, refeed.settled(webhook, position));
        }
        let cell = LaneCell::new(lane);
        self.index.set(&cell, &interest);
        self.scheduler.add(&cell);
    }

    /// Nothing of the webhook starts any more; what had not started is recorded as cancelled.
    fn close(&mut self, position: Position, webhook: WebhookId, subscription: SubscriptionId) {
        self.index.remove(subscription, webhook);
        let Some(cell) = self.scheduler.remove(webhook) else { return };
        let mut state = cell.state.lock();
        let undone = state.lane.close();
        let was_closed = self.refeed.as_ref().is_some_and(|refeed| refeed.was_closed(webhook, position));
        if !was_closed {
            self.record_cancelled(webhook, position, undone);
        }
    }

    fn record_cancelled(&self, webhook: WebhookId, to: Position, undone: Undone) {
        let Undone { from, events, waiting } = undone;
        self.scheduler.parts.metrics.dispatch.cancelled.inc_by(events + waiting);
        let at = self.scheduler.parts.clock.now();
        let (why, from, events) = (ClosedWhy::Cancelled, from.unwrap_or(to), Some(events));
        let closed = Closed { webhook, why, from, to, events, retries: true, at };
        self.scheduler.parts.journal.record(Group::of(&Entry::Closed(closed)));
    }

    /// A person asked for one more delivery of an event, or for a replay that it is part of.
    fn send_again(&self, waiting: Waiting, forced: bool) {
        if self.refeed.is_some() || waiting.replay.is_some_and(|replay| self.ended_replays.contains(&replay)) {
            return; // What is still to be done of these is among the waiting deliveries that were kept.
        }
        if waiting.replay.is_some() {
            self.scheduler.parts.metrics.replay.events.inc();
        }
        let DeliveryId { webhook, origin } = waiting.delivery;
        let lane = self.scheduler.lane(webhook);
        let Some(cell) = lane.or_else(|| if forced { self.open_for_replays(webhook) } else { None }) else {
            let undone = Undone { from: Some(origin), events: 0, waiting: 1 };
            self.record_cancelled(webhook, origin, undone);
            return;
        };
        let visitor = self.visitor(webhook, waiting.event);
        cell.state.lock().lane.wait(Waiting { visitor, ..waiting });
        self.scheduler.look_at(&cell);
    }

    /// Whose event stands at a position, if the webhook is sent its events in order: only then somebody must know.
    fn visitor(&self, webhook: WebhookId, event: Position) -> Option<Visitor> {
        self.scheduler.webhook(webhook).filter(|webhook| webhook.values.ordered)?;
        self.read(event)?.visitor
    }

    /// The event at a position. What cannot be read cannot be sent either, and its attempt says why.
    fn read(&self, position: Position) -> Option<Event> {
        let at = self.scheduler.carried.read().place_of(position).ok()?;
        event_at(self.scheduler.parts.journal.as_ref(), at).ok().flatten()
    }

    /// The lane of a webhook that is off: it is handed no events, and sends what a forced replay brings. When the webhook
    /// is switched on, it becomes a lane like any other.
    fn open_for_replays(&self, webhook: WebhookId) -> Option<Arc<LaneCell>> {
        let subscription = self.scheduler.webhook(webhook)?.subscription;
        let eras = Eras::from([(self.fed, Interest::nothing())]);
        let cell = LaneCell::new(Lane::new(webhook, subscription, eras, self.scheduler.lane_limits()));
        self.scheduler.add(&cell);
        Some(cell)
    }

    fn end_replay(&mut self, ended: &ReplayEnded) {
        if self.refeed.is_none() {
            self.scheduler.parts.metrics.replay.ended(ended.end).inc();
        }
        self.ended_replays.truncate(ENDED_REPLAYS - 1);
        self.ended_replays.push_front(ended.replay);
        if let Some(cell) = self.scheduler.lane(ended.webhook) {
            let cancelled = cell.state.lock().lane.end_replay(ended.replay);
            self.scheduler.parts.metrics.dispatch.cancelled.inc_by(cancelled);
        }
    }

    /// The lanes are where they were; what waits for its time is theirs again.
    fn end_refeed(&mut self, restart: &Restart) {
        self.refeed = None;
        let now = self.scheduler.parts.clock.now();
        let lanes = self.scheduler.all();
        for cell in &lanes {
            self.scheduler.set_pace(&mut cell.state.lock(), now);
        }
        self.recall_receivers(restart);
        let has_lane = |waiting: &&Waiting| self.scheduler.lane(waiting.delivery.webhook).is_some();
        let (ours, others): (Vec<&Waiting>, Vec<&Waiting>) = restart.waiting.iter().partition(has_lane);
        let is_forced = |waiting: &&Waiting| waiting.replay.is_some_and(|replay| restart.forced.contains(&replay));
        for waiting in ours.into_iter().chain(others.into_iter().filter(is_forced)) {
            let webhook = waiting.delivery.webhook;
            if let Some(cell) = self.scheduler.lane(webhook).or_else(|| self.open_for_replays(webhook)) {
                let visitor = self.visitor(webhook, waiting.event);
                cell.state.lock().lane.wait(Waiting { visitor, ..*waiting });
            }
        }
        for cell in lanes {
            // These are no more than were in flight, and what was parked behind them.
            cell.state.lock().lane.end_refeed(now, |event| {
                self.read(event).map_or((now, None), |event| (event.accepted_at, event.visitor))
            });
        }
    }

    /// Who gave no answer is probed, and who has asked for a rest has it.
    fn recall_receivers(&self, restart: &Restart) {
        let now = self.scheduler.parts.clock.now();
        for KnownReceiver { webhook, is_silent, rests_until } in restart.receivers.iter().copied() {
            if let Some(cell) = self.scheduler.lane(webhook) {
                cell.state.lock().lane.recall_receiver(is_silent, rests_until, now);
            }
        }
    }

    /// Records how far the lanes have come, if they have.
    fn checkpoint(&mut self) {
        let changed = self.scheduler.take_changed();
        if changed.is_empty() && !self.moved {
            return;
        }
        self.moved = false;
        let lanes = changed.iter().filter_map(mark).collect();
        let checkpoint = Checkpoint { head: self.fed, lanes };
        self.scheduler.parts.journal.record(Group::of(&Entry::Checkpoint(checkpoint)));
    }
}

fn mark(cell: &Arc<LaneCell>) -> Option<LaneMark> {
    let mut state = cell.state.lock();
    state.listed = false;
    state.lane.take_dirty();
    state.lane.is_on().then(|| state.lane.mark())
}
