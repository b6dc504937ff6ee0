//! Time and randomness, injected: production takes them from the system, a test holds them in its hand.

use crate::model::UnixMs;
use parking_lot::Mutex;
use ring::rand::SecureRandom;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// The wall clock.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Now.
    fn now(&self) -> UnixMs;

    /// Waits for `until`. It may be over before, so whoever waits looks at the time again.
    fn wait(&self, until: UnixMs) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// The longest sleep: a wall clock that is set is noticed after so long.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the system's time comes in")]
    fn now(&self) -> UnixMs {
        let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        UnixMs(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
    }

    fn wait(&self, until: UnixMs) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let sleep = until.since(self.now()).clamp(Duration::from_millis(1), LONGEST_SLEEP);
        Box::pin(tokio::time::sleep(sleep))
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
pub struct ManualClock {
    now: watch::Sender<UnixMs>,
    awaited: Mutex<Vec<UnixMs>>,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: UnixMs) -> Self {
        Self { now: watch::Sender::new(now), awaited: Mutex::default() }
    }

    /// Moves it to `now`, and ends what waited for that.
    pub fn set(&self, now: UnixMs) {
        self.now.send_replace(now);
    }

    /// The earliest time that somebody waits for.
    pub fn awaited(&self) -> Option<UnixMs> {
        self.awaited.lock().iter().min().copied()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMs {
        *self.now.borrow()
    }

    fn wait(&self, until: UnixMs) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut changes = self.now.subscribe();
        Box::pin(async move {
            let _awaited = Awaited::new(self, until);
            // The sender is the clock itself, which outlives this.
            let _ = changes.wait_for(|now| *now >= until).await;
        })
    }
}

/// Somebody waits, until this is dropped.
struct Awaited<'a>(&'a ManualClock, UnixMs);

impl<'a> Awaited<'a> {
    fn new(clock: &'a ManualClock, until: UnixMs) -> Self {
        clock.awaited.lock().push(until);
        Self(clock, until)
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        let mut awaited = self.0.awaited.lock();
        if let Some(index) = awaited.iter().position(|until| *until == self.1) {
            awaited.swap_remove(index);
        }
    }
}

/// A source of random bytes.
pub trait Random: Debug + Send + Sync + 'static {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);

    /// A number below 2^63, so that every store can keep it in a signed column.
    fn id(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes) >> 1
    }

    /// A number in 0..1, for jitter.
    fn fraction(&self) -> f64 {
        self.id() as f64 / (1_u64 << 63) as f64
    }
}

/// The operating system's generator: for keys and ids.
#[derive(Debug)]
pub struct SystemRandom(ring::rand::SystemRandom);

impl Default for SystemRandom {
    fn default() -> Self {
        Self(ring::rand::SystemRandom::new())
    }
}

impl Random for SystemRandom {
    #[expect(clippy::expect_used, reason = "a system without randomness can make no key: going on would be worse")]
    fn fill(&self, bytes: &mut [u8]) {
        self.0.fill(bytes).expect("the operating system's random generator failed");
    }
}

/// A generator that gives the same numbers for the same seed (splitmix64). For tests, and for jitter.
#[derive(Debug)]
pub struct SeededRandom(AtomicU64);

impl SeededRandom {
    /// A generator for this seed.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn what_waits_for_a_time_goes_on_when_the_clock_is_moved_there() {
        let clock = Arc::new(ManualClock::at(UnixMs(5)));
        clock.wait(UnixMs(5)).await;
        let waits = |until| {
            let clock = Arc::clone(&clock);
            tokio::spawn(async move { clock.wait(UnixMs(until)).await })
        };
        let (first, second) = (waits(10), waits(20));
        tokio::task::yield_now().await;
        assert_eq!(clock.awaited(), Some(UnixMs(10)));
        clock.set(UnixMs(19));
        first.await.unwrap();
        assert_eq!((clock.awaited(), second.is_finished()), (Some(UnixMs(20)), false));
        second.abort();
        assert!(second.await.is_err());
        assert_eq!(clock.awaited(), None, "who was dropped waits no more");
    }
}
