//! One timer for an attempt: first it waits for the quiet time, then for the deadline.

use super::wire::Heard;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// What is to be called, once, when a receiver stays silent for so long. The attempt goes on meanwhile.
pub struct Quiet<'a> {
    /// How long.
    pub after: Duration,
    /// What to call.
    pub call: &'a mut (dyn FnMut() + Send),
}

impl std::fmt::Debug for Quiet<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Quiet").field("after", &self.after).finish_non_exhaustive()
    }
}

/// The timer of a line. It is set anew for each attempt instead of being made anew: setting a timer to a later time,
/// the usual case, takes no lock.
pub(super) type Timer = Pin<Box<Sleep>>;

/// Watches over the parts of one attempt.
pub(super) struct Watch<'a> {
    timer: Pin<&'a mut Sleep>,
    deadline: Instant,
    quiet: Option<&'a mut (dyn FnMut() + Send)>,
}

/// The deadline passed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Elapsed;

impl<'a> Watch<'a> {
    pub(super) fn start(
        timer: &'a mut Option<Timer>,
        now: Instant,
        timeout: Duration,
        quiet_after: Duration,
        quiet: &'a mut (dyn FnMut() + Send),
    ) -> Self {
        let deadline = now + timeout;
        let first = deadline.min(now + quiet_after);
        let timer = match timer {
            Some(timer) => {
                timer.as_mut().reset(first);
                timer.as_mut()
            }
            None => timer.insert(Box::pin(tokio::time::sleep_until(first))).as_mut(),
        };
        Self { timer, deadline, quiet: Some(quiet) }
    }

    /// Lets `work` run until it ends or the deadline passes. With `heard`, a byte heard before the quiet time is over
    /// means that the receiver is not silent.
    pub(super) async fn over<T>(&mut self, heard: Option<&Heard>, work: impl Future<Output = T>) -> Result<T, Elapsed> {
        let mut work = pin!(work);
        std::future::poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            Poll::Pending => self.poll_timer(cx, heard).map(Err),
        })
        .await
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>, heard: Option<&Heard>) -> Poll<Elapsed> {
        while self.timer.as_mut().poll(cx).is_ready() {
            if self.timer.deadline() >= self.deadline {
                return Poll::Ready(Elapsed);
            }
            let silent = heard.is_none_or(|heard| heard.at().is_none());
            if let (Some(call), true) = (self.quiet.take(), silent) {
                call();
            }
            self.timer.as_mut().reset(self.deadline);
        }
        Poll::Pending
    }
}
