//! One clock for all lanes: when is what to be looked at again.

use crate::clock::Clock;
use crate::model::{UnixMs, WebhookId};
use parking_lot::Mutex;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::pending;
use std::sync::Arc;
use tokio::sync::Notify;

/// What is to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    /// Who waits for a place.
    Places,
    /// A webhook's lane.
    Lane(WebhookId),
}

/// Alarms by time. An entry per lane that waits, not per delivery.
#[derive(Debug)]
pub struct Timer {
    alarms: Mutex<BinaryHeap<Reverse<(UnixMs, Alarm)>>>,
    earlier: Notify,
    clock: Arc<dyn Clock>,
}

impl Timer {
    /// A timer without alarms.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { alarms: Mutex::new(BinaryHeap::new()), earlier: Notify::new(), clock }
    }

    /// Sets an alarm. A lane may have several; it keeps to one by setting only earlier ones.
    pub fn set(&self, at: UnixMs, alarm: Alarm) {
        let mut alarms = self.alarms.lock();
        let first = alarms.peek().is_none_or(|Reverse((first, _))| at < *first);
        alarms.push(Reverse((at, alarm)));
        drop(alarms);
        if first {
            self.earlier.notify_one();
        }
    }

    /// Waits for the next alarms.
    pub async fn next(&self) -> Vec<Alarm> {
        loop {
            let (due, next) = self.take_due(self.clock.now());
            if !due.is_empty() {
                return due;
            }
            let alarm = async {
                match next {
                    Some(at) => self.clock.wait(at).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = alarm => {}
                () = self.earlier.notified() => {}
            }
        }
    }

    fn take_due(&self, now: UnixMs) -> (Vec<Alarm>, Option<UnixMs>) {
        let mut alarms = self.alarms.lock();
        let mut due = Vec::new();
        while let Some(Reverse((at, alarm))) = alarms.peek().copied() {
            if at > now {
                return (due, Some(at));
            }
            alarms.pop();
            due.push(alarm);
        }
        (due, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[tokio::test]
    async fn alarms_come_in_order_and_not_before_their_time() {
        let clock = Arc::new(ManualClock::at(UnixMs(0)));
        let timer = Timer::new(Arc::clone(&clock) as Arc<dyn Clock>);
        timer.set(UnixMs(20), Alarm::Places);
        timer.set(UnixMs(10), Alarm::Lane(WebhookId(1)));
        assert_eq!(timer.take_due(UnixMs(9)), (vec![], Some(UnixMs(10))));
        clock.set(UnixMs(10));
        assert_eq!(timer.next().await, [Alarm::Lane(WebhookId(1))]);
        let (alarms, ()) = tokio::join!(timer.next(), async { clock.set(UnixMs(30)) });
        assert_eq!(alarms, [Alarm::Places], "an alarm follows the clock");
    }
}
