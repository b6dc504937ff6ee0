//! What metrics show of the lanes. They are looked at when somebody asks, one after the other, each under its own lock for
//! about as long as counting its waiting retries takes; on the way of an event nothing is added up but a lane's own tally.

use super::scheduler::Scheduler;
use crate::model::UnixMs;
use crate::observe::{LaneFigures, Metrics};
use std::sync::atomic::Ordering;

/// All lanes together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Webhooks that are on.
    pub lanes: usize,
    /// Lanes that read the journal.
    pub behind: usize,
    /// Lanes that start one probe at a time.
    pub narrowed: usize,
    /// Lanes that wait because their receiver has asked for fewer requests.
    pub paused: usize,
    /// Requests in flight.
    pub in_flight: usize,
    /// Deliveries that wait for a retry.
    pub waiting: usize,
    /// Bytes of event bodies in the lanes' queues, counted once per lane.
    pub queued_bytes: usize,
    /// Since when the oldest event that some lane has not delivered waits, as far as it is known.
    pub oldest: Option<UnixMs>,
}

impl Scheduler {
    /// All lanes together.
    pub fn load(&self) -> Load {
        self.look().0
    }

    /// Sets the gauges, and shows the webhooks one by one.
    pub fn show(&self, metrics: &Metrics) {
        let (load, lanes) = self.look();
        let dispatch = &metrics.dispatch;
        dispatch.lanes.set(load.lanes as i64);
        dispatch.lanes_behind.set(load.behind as i64);
        dispatch.lanes_narrowed.set(load.narrowed as i64);
        dispatch.lanes_paused.set(load.paused as i64);
        dispatch.in_flight.set(load.in_flight as i64);
        dispatch.waiting_retries.set(load.waiting as i64);
        let age = load.oldest.map_or(0.0, |oldest| self.parts.clock.now().since(oldest).as_secs_f64());
        dispatch.oldest_undelivered_seconds.set(age);
        metrics.webhooks.show(lanes, self.parts.settings.metrics_webhooks);
    }

    fn look(&self) -> (Load, Vec<LaneFigures>) {
        let now = self.parts.clock.now();
        let mut load = Load { in_flight: self.budget.lock().in_flight(), ..Load::default() };
        load.queued_bytes = self.queued_bytes.load(Ordering::Relaxed);
        let cells = self.all();
        let mut lanes = Vec::with_capacity(cells.len());
        for cell in cells {
            let state = cell.state.lock();
            let lane = &state.lane;
            let oldest = lane.oldest_undelivered();
            let figures = LaneFigures {
                webhook: cell.webhook,
                queue_age: oldest.map(|oldest| now.since(oldest)).unwrap_or_default(),
                waiting_retries: lane.waiting(),
                backlog_events: lane.unattempted(),
                is_narrowed: lane.is_narrowed(),
                is_paused: lane.is_paused(now),
                tally: state.tally,
            };
            load.behind += usize::from(lane.is_behind());
            drop(state);
            load.lanes += 1;
            load.paused += usize::from(figures.is_paused);
            load.narrowed += usize::from(figures.is_narrowed);
            load.waiting += figures.waiting_retries;
            load.oldest = load.oldest.into_iter().chain(oldest).min();
            lanes.push(figures);
        }
        (load, lanes)
    }
}
