//! A lane as it is shared between the dispatcher, its workers and the timer.

use super::budget::Share;
use super::job::Job;
use super::lane::Lane;
use crate::model::{Reason, SubscriptionId, UnixMs, Verdict, WebhookId};
use crate::observe::LaneTally;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::Notify;

/// One webhook's lane behind its own lock: no lane ever waits for another one's.
#[derive(Debug)]
pub struct LaneCell {
    /// Which webhook.
    pub webhook: WebhookId,
    /// Whose.
    pub subscription: SubscriptionId,
    /// The lane and what belongs to it.
    pub state: Mutex<CellState>,
}

/// What the lock of a [`LaneCell`] guards.
#[derive(Debug)]
pub struct CellState {
    /// What is to be sent.
    pub lane: Lane,
    /// Workers that hold an open connection and no job, the longest idle first.
    pub parked: Vec<Arc<Slot>>,
    /// From which share its places are counted.
    pub share: Share,
    /// It stands in the budget's queue.
    pub queued: bool,
    /// The earliest alarm that is set for it.
    pub alarm: Option<UnixMs>,
    /// It stood still when that was asked last, and nobody has looked at it since.
    pub stood_still: bool,
    /// It stands in the list for the next checkpoint.
    pub listed: bool,
    /// Bytes of its queue that are counted in the total.
    pub counted_bytes: usize,
    /// What it has done.
    pub tally: LaneTally,
}

impl CellState {
    /// Whether the lane could do something and nobody would look at it before its next event.
    pub fn stands_still(&self, now: UnixMs) -> bool {
        let has_alarm = self.alarm.is_some_and(|alarm| alarm > now);
        !self.queued && !has_alarm && self.lane.is_idle() && (self.lane.can_take(now) || self.lane.wants_to_read(now))
    }

    /// Counts an attempt that has ended.
    pub fn count(&mut self, reason: Reason, verdict: Verdict) {
        self.tally.attempts[reason.class() as usize] += 1;
        match verdict {
            Verdict::Delivered => self.tally.delivered += 1,
            Verdict::Failed => self.tally.failed += 1,
            Verdict::Retry { .. } | Verdict::Cancelled => {}
        }
    }
}

impl LaneCell {
    /// A lane at work.
    pub fn new(lane: Lane) -> Arc<Self> {
        Arc::new(Self {
            webhook: lane.webhook(),
            subscription: lane.subscription(),
            state: Mutex::new(CellState {
                lane,
                parked: Vec::new(),
                share: Share::Unproven,
                queued: false,
                alarm: None,
                stood_still: false,
                listed: false,
                counted_bytes: 0,
                tally: LaneTally::default(),
            }),
        })
    }
}

/// Where a parked worker finds its next job.
#[derive(Debug, Default)]
pub struct Slot {
    job: Mutex<Option<Job>>,
    filled: Notify,
}

impl Slot {
    /// Hands a job to the worker.
    pub fn fill(&self, job: Job) {
        *self.job.lock() = Some(job);
        self.filled.notify_one();
    }

    /// The job that was handed over, if one was.
    pub fn take(&self) -> Option<Job> {
        self.job.lock().take()
    }

    /// Waits until a job was handed over.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }
}
