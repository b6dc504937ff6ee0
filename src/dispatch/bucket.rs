//! What keeps a number of requests a second: a webhook's rate limit, and the rate of all receivers that are in trouble.

use crate::model::UnixMs;

/// A bucket holds one in this many of the requests that its rate allows a second, and at least one.
const SHARE: u32 = 10;

const NS_PER_S: i64 = 1_000_000_000;
const NS_PER_MS: i64 = 1_000_000;

/// A token bucket, kept as the one moment at which it will be full again: every request moves that by what it takes to
/// earn another one.
#[derive(Debug, Default)]
pub struct Bucket {
    per_s: Option<u32>,
    /// Between two requests, in nanoseconds; 0 when nothing is limited.
    interval_ns: i64,
    /// Requests that it holds.
    burst: i64,
    full_at_ns: i64,
}

impl Bucket {
    /// From now on it fills at this rate. To be called before each look: after a wall clock was set back, or with a rate
    /// that was raised, nobody waits for longer than an empty bucket takes.
    pub fn set_rate(&mut self, per_s: Option<u32>, now: UnixMs) {
        if self.per_s != per_s {
            self.per_s = per_s;
            let rate = per_s.unwrap_or(0);
            // Rounded up: rather a little slower than promised than faster.
            self.interval_ns = if rate == 0 { 0 } else { (NS_PER_S as u64).div_ceil(u64::from(rate)) as i64 };
            self.burst = i64::from((rate / SHARE).max(1));
        }
        self.full_at_ns = self.full_at_ns.min(nanoseconds(now).saturating_add(self.burst * self.interval_ns));
    }

    /// When the next request may begin, if not at once.
    pub fn opens_at(&self, now: UnixMs) -> Option<UnixMs> {
        if self.interval_ns == 0 {
            return None;
        }
        let early_ns = (self.burst - 1) * self.interval_ns;
        let wait_ns = self.full_at_ns.saturating_sub(early_ns).saturating_sub(nanoseconds(now));
        let wait_ms = u64::try_from(wait_ns).unwrap_or(0).div_ceil(NS_PER_MS as u64);
        (wait_ms > 0).then(|| now.after(std::time::Duration::from_millis(wait_ms)))
    }

    /// A request begins.
    pub fn take(&mut self, now: UnixMs) {
        self.full_at_ns = self.full_at_ns.max(nanoseconds(now)).saturating_add(self.interval_ns);
    }
}

fn nanoseconds(at: UnixMs) -> i64 {
    at.0.saturating_mul(NS_PER_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bucket(per_s: u32) -> Bucket {
        let mut bucket = Bucket::default();
        bucket.set_rate(Some(per_s), UnixMs(0));
        bucket
    }

    /// Takes whenever it may, from `from` to `until`; when that was.
    fn taken(bucket: &mut Bucket, from: i64, until: i64) -> Vec<i64> {
        let (mut now, mut times) = (from, Vec::new());
        while now <= until {
            match bucket.opens_at(UnixMs(now)) {
                Some(at) => now = at.0,
                None => {
                    bucket.take(UnixMs(now));
                    times.push(now);
                }
            }
        }
        times
    }

    #[test]
    fn one_a_second_is_one_each_second() {
        assert_eq!(taken(&mut bucket(1), 500, 4000), [500, 1500, 2500, 3500]);
        assert_eq!(taken(&mut bucket(3), 0, 1000), [0, 334, 668], "never faster than promised");
    }

    #[test]
    fn a_fast_rate_begins_with_a_tenth_of_a_second_and_goes_on_smoothly() {
        let times = taken(&mut bucket(1000), 0, 1000);
        assert_eq!(times.iter().filter(|at| **at == 0).count(), 100);
        assert!((1..=1000).all(|ms| times.iter().filter(|at| **at == ms).count() == 1));
        assert_eq!(taken(&mut bucket(100_000), 1, 1000).len(), 10_000 + 99_900, "no rounding loses any");
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let mut bucket = bucket(1);
        bucket.take(UnixMs(0));
        assert_eq!(bucket.opens_at(UnixMs(0)), Some(UnixMs(1000)));
        bucket.set_rate(None, UnixMs(0));
        bucket.take(UnixMs(0));
        assert_eq!(bucket.opens_at(UnixMs(0)), None);
    }

    #[test]
    fn another_rate_holds_at_once() {
        let mut bucket = bucket(1);
        bucket.take(UnixMs(0));
        bucket.set_rate(Some(1000), UnixMs(0));
        assert_eq!(taken(&mut bucket, 0, 3), [1, 2, 3], "an empty bucket of the new kind");
        bucket.set_rate(Some(2), UnixMs(5000));
        assert_eq!(taken(&mut bucket, 5000, 6000), [5000, 5500, 6000]);
    }

    #[test]
    fn a_clock_that_was_set_back_costs_one_interval() {
        let mut bucket = bucket(2);
        bucket.take(UnixMs(10_000_000));
        bucket.set_rate(Some(2), UnixMs(1000));
        assert_eq!(taken(&mut bucket, 1000, 2000), [1500, 2000]);
    }

    proptest! {
        /// In any stretch of time there begin no more requests than the bucket holds and the rate gives, and whoever
        /// waits for the moment that is named is let through.
        #[test]
        fn never_more_than_the_burst_and_the_rate(
            per_s in prop_oneof![1..=20_u32, 1..=5000_u32],
            steps in proptest::collection::vec((0..1500_i64, 0..300_usize), 1..20),
        ) {
            let mut bucket = bucket(per_s);
            let (mut now, mut times) = (0, Vec::new());
            for (pause, wanted) in steps {
                now += pause;
                for _ in 0..wanted {
                    if let Some(at) = bucket.opens_at(UnixMs(now)) {
                        prop_assert!(at.0 > now);
                        prop_assert_eq!(bucket.opens_at(UnixMs(at.0 - 1)), Some(at), "not a moment too late");
                        now = at.0;
                        prop_assert_eq!(bucket.opens_at(at), None);
                    }
                    bucket.take(UnixMs(now));
                    times.push(now);
                }
            }
            let burst = f64::from((per_s / SHARE).max(1));
            for first in (0..times.len()).step_by(7) {
                for last in (first..times.len()).step_by(5) {
                    let most = burst + f64::from(per_s) * (times[last] - times[first]) as f64 / 1000.0;
                    prop_assert!((last - first + 1) as f64 <= most + 1e-6);
                }
            }
        }
    }
}
