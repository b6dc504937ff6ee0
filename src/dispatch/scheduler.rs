//! The loop around the lanes: gives their jobs to workers, within the budget, and what came of them back.
//!
//! Locks are taken in this order: a lane's, then the budget's, the timer's or the journal's. No two lanes' locks are
//! ever held together.

use super::backlog::{self, Runs};
use super::budget::{Budget, Share};
use super::carry::Carried;
use super::cell::{CellState, LaneCell, Slot};
use super::job::Job;
use super::lane::{Expired, LaneLimits, Pace};
use super::retry::RetryRules;
use super::timer::{Alarm, Timer};
use super::worker;
use crate::catalog::{Snapshot, Webhook};
use crate::clock::{Clock, Random};
use crate::cluster::Peers;
use crate::config::DispatchSettings;
use crate::defect::Defects;
use crate::deliver::{Courier, Outcome};
use crate::journal::{AppendError, Group, Journal};
use crate::limits;
use crate::model::{
    Closed, ClosedWhy, Entry, Position, Reason, ReceiverIs, ReceiverNews, SubscriptionId, UnixMs, Verdict, WebhookId,
};
use crate::observe::Metrics;
use parking_lot::{Mutex, MutexGuard, RwLock};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What dispatch needs of the rest.
pub struct Parts {
    /// Where events come from and outcomes go to.
    pub journal: Arc<dyn Journal>,
    /// Makes the requests.
    pub courier: Arc<dyn Courier>,
    /// The nodes that make a part of them, where there is a cluster.
    pub peers: Option<Arc<Peers>>,
    /// What is configured now.
    pub catalog: Arc<dyn Fn() -> Arc<Snapshot> + Send + Sync>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For jitter.
    pub random: Arc<dyn Random>,
    /// The bounds and delays.
    pub settings: DispatchSettings,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// A panic of dispatch's own ends the node.
    pub defects: Defects,
}

/// All lanes, and what they share. See the module's documentation.
pub struct Scheduler {
    pub(super) parts: Parts,
    pub(super) rules: RetryRules,
    pub(super) timer: Timer,
    /// The last position that lanes at the head are being handed, set before the first of them is.
    pub(super) feeding: AtomicU64,
    pub(super) workers: TaskTracker,
    /// Whose turn it is to read the journal for a lane that is behind.
    pub(super) reads: Semaphore,
    /// What was read so.
    pub(super) runs: Runs,
    /// Parked workers end.
    pub(super) stopping: CancellationToken,
    lanes: RwLock<HashMap<WebhookId, Arc<LaneCell>>>,
    pub(super) budget: Mutex<Budget>,
    pub(super) queued_bytes: AtomicUsize,
    parked: AtomicUsize,
    changed: Mutex<Vec<Arc<LaneCell>>>,
    /// Attempts in flight whose events were forgotten: nothing of what they meet is kept.
    forgotten: Mutex<HashSet<(WebhookId, Position)>>,
    /// Where events stand that are no longer where they were accepted.
    pub(super) carried: RwLock<Carried>,
    /// Held from reading an event to writing it once more.
    pub(super) carrying: Mutex<()>,
    /// Nothing new starts: during a restart's catching-up, and when stopping.
    held: AtomicBool,
    /// Some lane wanted to go on while the journal refused, be it for a moment.
    turned_away: AtomicBool,
}

impl Scheduler {
    /// A scheduler without lanes that starts nothing until [`Scheduler::release`].
    pub fn new(parts: Parts) -> Arc<Self> {
        let settings = &parts.settings;
        Arc::new(Self {
            rules: RetryRules {
                delays: settings.retry_delays.clone(),
                jitter: settings.retry_jitter,
                retry_no_answer: settings.retry_no_answer,
            },
            timer: Timer::new(Arc::clone(&parts.clock)),
            feeding: AtomicU64::new(0),
            workers: TaskTracker::new(),
            reads: Semaphore::new(limits::BACKLOG_READS),
            runs: Runs::default(),
            stopping: CancellationToken::new(),
            lanes: RwLock::new(HashMap::new()),
            budget: Mutex::new(Budget::new(settings.concurrency_total, settings.troubled_per_s)),
            queued_bytes: AtomicUsize::new(0),
            parked: AtomicUsize::new(0),
            changed: Mutex::new(Vec::new()),
            forgotten: Mutex::default(),
            carried: RwLock::default(),
            carrying: Mutex::default(),
            held: AtomicBool::new(true),
            turned_away: AtomicBool::new(false),
            parts,
        })
    }

    /// The bounds of a lane.
    pub(super) fn lane_limits(&self) -> LaneLimits {
        let settings = &self.parts.settings;
        LaneLimits {
            waiting: settings.waiting_retries,
            probe_pause: settings.probe_pause,
            backlog_max_age: settings.backlog_max_age,
            backlog_max_bytes: settings.backlog_max_bytes,
            parked: limits::LANE_PARKED_EVENTS,
        }
    }

    /// The lane of a webhook that is on.
    pub(super) fn lane(&self, webhook: WebhookId) -> Option<Arc<LaneCell>> {
        self.lanes.read().get(&webhook).cloned()
    }

    /// Every lane.
    pub(super) fn all(&self) -> Vec<Arc<LaneCell>> {
        self.lanes.read().values().cloned().collect()
    }

    /// Adds a lane, or replaces a closed one.
    pub(super) fn add(&self, cell: &Arc<LaneCell>) {
        self.lanes.write().insert(cell.webhook, Arc::clone(cell));
        self.note(cell, &mut cell.state.lock());
    }

    /// Takes a lane out; its requests in flight end by themselves.
    pub(super) fn remove(&self, webhook: WebhookId) -> Option<Arc<LaneCell>> {
        self.lanes.write().remove(&webhook)
    }

    /// Nothing new starts from now on.
    pub(super) fn hold(&self) {
        self.held.store(true, Ordering::SeqCst);
    }

    /// Lanes start what is due.
    pub(super) fn release(self: &Arc<Self>) {
        self.held.store(false, Ordering::SeqCst);
        self.look_at_all();
    }

    /// Looks at every lane when some were turned away and the journal takes outcomes again.
    pub(super) fn look_at_turned_away(self: &Arc<Self>) {
        if self.parts.journal.accepting().is_ok() && self.turned_away.swap(false, Ordering::SeqCst) {
            self.look_at_all();
        }
    }

    /// Looks at every lane.
    fn look_at_all(self: &Arc<Self>) {
        self.all().iter().for_each(|cell| self.look_at(cell));
    }

    /// Whether event bodies may be kept for one more lane.
    pub(super) fn memory_left(&self) -> bool {
        self.queued_bytes.load(Ordering::Relaxed) < limits::LANE_QUEUES_BYTES
    }

    /// Starts what a lane may start now.
    pub(super) fn look_at(self: &Arc<Self>, cell: &Arc<LaneCell>) {
        let mut state = cell.state.lock();
        state.alarm = None;
        self.go_on(cell, state, self.parts.clock.now());
    }

    /// What follows each change of a lane: it starts what it may, and is seen to until it is looked at again.
    ///
    /// All of that sees one moment. With a later one for the second half, what became due between the two would neither
    /// be started nor have an alarm, and a lane with nothing in flight would stand still.
    pub(super) fn go_on(self: &Arc<Self>, cell: &Arc<LaneCell>, mut state: MutexGuard<'_, CellState>, now: UnixMs) {
        state.stood_still = false;
        self.top_up(cell, &mut state, now);
        self.wrap_up(cell, state, now);
    }

    /// Gives jobs to workers as long as the lane has some and the budget allows.
    fn top_up(self: &Arc<Self>, cell: &Arc<LaneCell>, state: &mut CellState, now: UnixMs) {
        if self.is_held() {
            return;
        }
        self.set_pace(state, now);
        while !state.queued && state.lane.can_take(now) {
            let mut budget = self.budget.lock();
            let held = state.lane.in_flight();
            if !budget.take(state.share, held, now) {
                if held == 0 {
                    budget.queue(state.share, cell.webhook);
                    state.queued = true;
                    self.serve_again(&mut budget, now);
                }
                return;
            }
            drop(budget);
            match state.lane.take(now) {
                Some(job) => self.employ(cell, state, job),
                None => self.budget.lock().give_back(state.share),
            }
        }
    }

    /// The lane goes on as its webhook says now; when that is deleted, it starts nothing more. Whether that is new.
    pub(super) fn set_pace(&self, state: &mut CellState, now: UnixMs) -> bool {
        let pace = self.webhook(state.lane.webhook()).map_or(Pace::default(), |webhook| Pace {
            concurrency: webhook.values.concurrency as usize,
            rate_per_s: webhook.values.rate_limit_per_s,
            ordered: webhook.values.ordered,
        });
        state.lane.adopt(pace, now)
    }

    /// Looks at the lanes whose webhooks allow something else than before: one that stands still would not notice.
    pub(super) fn look_at_edited(self: &Arc<Self>) {
        for cell in self.all() {
            let mut state = cell.state.lock();
            let now = self.parts.clock.now();
            if self.set_pace(&mut state, now) {
                self.go_on(&cell, state, now);
            }
        }
    }

    /// A lane that has something to do has a request or a read under way, an alarm, or a place in the budget's queue. Should one
    /// ever have none of these, it goes on with this, and is counted as the defect that it is. To be called once a second.
    pub(super) fn wake_who_stands_still(self: &Arc<Self>) {
        if self.is_held() {
            return;
        }
        let now = self.parts.clock.now();
        for cell in self.all() {
            let mut state = cell.state.lock();
            // The second time: an alarm goes off a little after its time.
            let stands_still = state.stands_still(now);
            let stood_still = std::mem::replace(&mut state.stood_still, stands_still);
            if stood_still && stands_still && !self.turned_away.load(Ordering::SeqCst) {
                self.parts.metrics.dispatch.woken.inc();
                tracing::error!(webhook = %cell.webhook, "a webhook stood still although it has something to send; it goes on");
                self.go_on(&cell, state, now);
            }
        }
    }

    /// Nothing starts while what became of it could not be recorded.
    fn is_held(&self) -> bool {
        if self.held.load(Ordering::SeqCst) {
            return true;
        }
        let refuses = matches!(self.parts.journal.accepting(), Err(AppendError::Full | AppendError::Failing(_)));
        if refuses {
            self.turned_away.store(true, Ordering::SeqCst);
        }
        refuses
    }

    /// A parked worker has a connection open; the one that parked last most likely still.
    fn employ(self: &Arc<Self>, cell: &Arc<LaneCell>, state: &mut CellState, job: Job) {
        if let Some(slot) = state.parked.pop() {
            self.parked.fetch_sub(1, Ordering::Relaxed);
            slot.fill(job);
        } else {
            self.workers.spawn(worker::run(Arc::clone(self), Arc::clone(cell), job));
        }
    }

    /// What is configured for a webhook now.
    pub(super) fn webhook(&self, id: WebhookId) -> Option<Arc<Webhook>> {
        (self.parts.catalog)().webhooks.get(&id).cloned()
    }

    /// No byte came from the receiver for the quiet time.
    pub(super) fn went_quiet(self: &Arc<Self>, cell: &Arc<LaneCell>, job: &Job) {
        let mut state = cell.state.lock();
        let (was_narrowed, now) = (state.lane.is_narrowed(), self.parts.clock.now());
        state.lane.narrow(job.probe, now);
        if !was_narrowed {
            self.record_receiver(cell.webhook, ReceiverIs::Silent, now);
        }
        self.reassign(&mut state, 0);
        self.go_on(cell, state, now);
        self.serve_waiters();
    }

    /// An attempt ended: records what became of it, and returns the worker's next job. Without one the worker is to
    /// park in `slot`, if it has one and there is a place to park; then `slot` is in the lane's list.
    pub(super) fn settle(
        self: &Arc<Self>,
        cell: &Arc<LaneCell>,
        job: &Job,
        ended: &Ended<'_>,
        slot: Option<&Arc<Slot>>,
    ) -> AfterSettle {
        let mut state = cell.state.lock();
        let now = self.parts.clock.now();
        let forgotten = self.is_forgotten(cell.webhook, job.position);
        let verdict = if ended.cancelled {
            Verdict::Cancelled
        } else {
            match self.rules.decide(ended.outcome, job.attempt, now, &*self.parts.random) {
                Verdict::Retry { .. } if forgotten => Verdict::Cancelled,
                verdict => verdict,
            }
        };
        if let (Reason::TooManyRequests, Some(rest)) = (ended.outcome.reason, ended.outcome.retry_after) {
            let until = now.after(rest);
            if state.lane.pause(until) {
                self.record_receiver(cell.webhook, ReceiverIs::Resting { until }, now);
            }
        }
        let verdict = state.lane.settle(job, verdict, ended.outcome.reason.says_of_receiver(), now);
        state.count(ended.outcome.reason, verdict);
        self.count(ended.outcome, verdict);
        // Under the lane's lock: a checkpoint that no longer shows the attempt as open must come after its outcome.
        self.parts.journal.record(worker::outcome_group(job, ended, verdict, forgotten));
        // The place of the attempt that has just ended is still taken.
        self.reassign(&mut state, 1);
        let after = self.next_for_worker(&mut state, slot, now);
        self.go_on(cell, state, now);
        if !matches!(after, AfterSettle::Next(_)) {
            self.serve_waiters();
        }
        after
    }

    /// Keeps what was learnt of a receiver through a restart, and for who counts probes. Under the lane's lock: it comes
    /// before the outcome of the first probe.
    fn record_receiver(&self, webhook: WebhookId, is: ReceiverIs, at: UnixMs) {
        self.parts.journal.record(Group::of(&Entry::Receiver(ReceiverNews { webhook, is, at })));
    }

    /// Whether the event of this attempt was forgotten while it was in flight.
    fn is_forgotten(&self, webhook: WebhookId, event: Position) -> bool {
        let mut forgotten = self.forgotten.lock();
        !forgotten.is_empty() && forgotten.remove(&(webhook, event))
    }

    fn count(&self, outcome: &Outcome, verdict: Verdict) {
        let metrics = &self.parts.metrics;
        metrics.delivery.attempt(outcome.reason, Duration::from_micros(u64::from(outcome.timings.total_us)));
        if outcome.timings.connect_us.is_some() {
            metrics.delivery.connections.inc();
        }
        match verdict {
            Verdict::Retry { .. } => drop(metrics.dispatch.retries.inc()),
            Verdict::Cancelled => drop(metrics.dispatch.cancelled.inc()),
            Verdict::Delivered | Verdict::Failed => {}
        }
    }

    /// A worker goes on with its place unless other lanes wait for one.
    fn next_for_worker(&self, state: &mut CellState, slot: Option<&Arc<Slot>>, now: UnixMs) -> AfterSettle {
        self.set_pace(state, now);
        let mut budget = self.budget.lock();
        if !self.is_held()
            && state.lane.can_take(now)
            && budget.keep(state.share, now)
            && let Some(job) = state.lane.take(now)
        {
            return AfterSettle::Next(job);
        }
        budget.give_back(state.share);
        drop(budget);
        match slot {
            Some(slot) if state.lane.is_on() && self.may_park() => {
                state.parked.push(Arc::clone(slot));
                AfterSettle::Park
            }
            _ => AfterSettle::End,
        }
    }

    /// Idle connections are bounded like requests in flight.
    fn may_park(&self) -> bool {
        let bound = self.parts.settings.concurrency_total;
        self.parked.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < bound).then_some(n + 1)).is_ok()
    }

    /// A parked worker's connection ended: takes it from the list. Returns the job that it was given meanwhile.
    pub(super) fn unpark(&self, cell: &LaneCell, slot: &Arc<Slot>) -> Option<Job> {
        let mut state = cell.state.lock();
        if let Some(index) = state.parked.iter().position(|other| Arc::ptr_eq(other, slot)) {
            state.parked.remove(index);
            self.parked.fetch_sub(1, Ordering::Relaxed);
        }
        slot.take()
    }

    /// Moves a lane's places when its receiver began or ceased to answer.
    fn reassign(&self, state: &mut CellState, ending: usize) {
        let share = state.lane.share();
        if share != state.share {
            self.budget.lock().reassign(state.share, share, state.lane.in_flight() + ending);
            state.share = share;
        }
    }

    /// Gives free places to the lanes that wait for one.
    pub(super) fn serve_waiters(self: &Arc<Self>) {
        loop {
            let now = self.parts.clock.now();
            let mut budget = self.budget.lock();
            let Some((webhook, share)) = budget.serve_next(now) else { return self.serve_again(&mut budget, now) };
            drop(budget);
            match self.lane(webhook) {
                Some(cell) => self.start_with_place(&cell, share),
                None => self.budget.lock().give_back(share),
            }
        }
    }

    /// Those who wait for their time, not for a place, are served when it comes.
    fn serve_again(&self, budget: &mut Budget, now: UnixMs) {
        if let Some(at) = budget.next_alarm(now) {
            self.timer.set(at, Alarm::Places);
        }
    }

    /// The lane's turn has come: a place was taken for it.
    fn start_with_place(self: &Arc<Self>, cell: &Arc<LaneCell>, share: Share) {
        let mut state = cell.state.lock();
        state.queued = false;
        let now = self.parts.clock.now();
        self.set_pace(&mut state, now);
        let job = if self.is_held() { None } else { state.lane.take(now) };
        match job {
            Some(job) => {
                self.budget.lock().reassign(share, state.share, 1);
                self.employ(cell, &mut state, job);
            }
            None => self.budget.lock().give_back(share),
        }
        self.wrap_up(cell, state, now);
    }

    /// Records what expired, reads on, sets the alarm, counts.
    fn wrap_up(self: &Arc<Self>, cell: &Arc<LaneCell>, mut state: MutexGuard<'_, CellState>, now: UnixMs) {
        let expired = state.lane.take_expired();
        self.record_expired(cell.webhook, &expired, now);
        if !self.is_held()
            && let Some(plan) = state.lane.start_read(now)
        {
            backlog::spawn_read(Arc::clone(self), Arc::clone(cell), plan);
        }
        self.set_alarm(cell, &mut state, now);
        self.note(cell, &mut state);
    }

    fn record_expired(&self, webhook: WebhookId, expired: &[Expired], at: UnixMs) {
        for Expired { from, to, events } in expired.iter().copied() {
            self.parts.metrics.dispatch.expired.inc_by(events.unwrap_or(1));
            let closed = Closed { webhook, why: ClosedWhy::Expired, from, to, events, retries: false, at };
            self.parts.journal.record(Group::of(&Entry::Closed(closed)));
        }
    }

    fn set_alarm(&self, cell: &LaneCell, state: &mut CellState, now: UnixMs) {
        let Some(due) = state.lane.next_due(now).filter(|due| *due > now) else { return };
        if state.alarm.is_none_or(|alarm| due < alarm) {
            state.alarm = Some(due);
            self.timer.set(due, Alarm::Lane(cell.webhook));
        }
    }

    /// The events of a subscription at these positions, in order, were erased from the journal: they are sent no more.
    /// What is in flight ends, and nothing of its answer is kept.
    pub fn forget(self: &Arc<Self>, subscription: SubscriptionId, gone: &[Position]) {
        // What was read before it was erased is written once more before whatever the caller writes next.
        drop(self.carrying.lock());
        self.runs.clear();
        for cell in self.all().iter().filter(|cell| cell.subscription == subscription) {
            let mut state = cell.state.lock();
            let (in_flight, cancelled) = state.lane.forget(gone);
            self.parts.metrics.dispatch.cancelled.inc_by(cancelled);
            self.forgotten.lock().extend(in_flight.into_iter().map(|position| (cell.webhook, position)));
            self.go_on(cell, state, self.parts.clock.now());
        }
    }

    /// Looks at the lane again at `at`, whatever else happens.
    pub(super) fn look_again_at(&self, cell: &LaneCell, at: UnixMs) {
        self.timer.set(at, Alarm::Lane(cell.webhook));
    }

    /// Keeps the total of queued bytes, and the list for the next checkpoint.
    fn note(&self, cell: &Arc<LaneCell>, state: &mut CellState) {
        let bytes = state.lane.queued_bytes();
        if bytes != state.counted_bytes {
            self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
            self.queued_bytes.fetch_sub(state.counted_bytes, Ordering::Relaxed);
            state.counted_bytes = bytes;
        }
        if state.lane.take_dirty() && !state.listed {
            state.listed = true;
            self.changed.lock().push(Arc::clone(cell));
        }
    }

    /// The lanes that have changed since the last call.
    pub(super) fn take_changed(&self) -> Vec<Arc<LaneCell>> {
        std::mem::take(&mut *self.changed.lock())
    }

    /// Attempts and reads under way.
    #[cfg(test)]
    pub(crate) fn at_work(&self) -> usize {
        self.workers.len()
    }

    /// Everything at or before this position was handed to the lanes at the head.
    pub(super) fn feeding(&self) -> Position {
        Position(self.feeding.load(Ordering::SeqCst))
    }
}

/// How an attempt ended.
#[derive(Debug)]
pub struct Ended<'a> {
    /// What the client says.
    pub outcome: &'a Outcome,
    /// When it began.
    pub started_at: UnixMs,
    /// The event, for the log.
    pub kind: crate::model::EventKind,
    /// The webhook was deleted, or the event erased, before the attempt: whatever the outcome, the delivery is cancelled.
    pub cancelled: bool,
}

/// What a worker does next.
#[derive(Debug)]
pub enum AfterSettle {
    /// This.
    Next(Job),
    /// Wait in its slot.
    Park,
    /// Nothing.
    End,
}

#[cfg(test)]
mod tests;
