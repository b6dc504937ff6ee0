//! Ids of items that were taken already: the same one is not taken twice (docs/intake.md).
//!
//! An id is known by 64 bits of a hash over subscription, app and id. They are kept for a time and up to a number,
//! whichever is less, in shards: each a set, a ring in order of arrival, and marks that say when a stretch of the ring
//! arrived. That is 8 bytes in the ring and about 10.4 in the set per id (9 per slot, filled to 7/8 at most).
//!
//! Forgetting is exact in number, and late by at most 1/1440 of the time (a minute of a day).

use super::keys::{KeySet, lock};
use crate::model::UnixMs;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

/// A set of `2^17` slots takes this many before it doubles; a shard stays just below.
const SHARD_IDS: usize = 114_688;

/// Stretches into which the time is divided for forgetting.
const STRETCHES: u32 = 1440;

/// See the module.
pub struct ItemIds {
    shards: Vec<Mutex<Shard>>,
    per_shard: usize,
    ttl: Duration,
}

#[derive(Default)]
struct Shard {
    known: KeySet<u64>,
    ring: VecDeque<u64>,
    /// When a stretch of the ring ended at the latest, and how many ids it holds. Oldest first, as in the ring.
    marks: VecDeque<(UnixMs, u32)>,
}

impl ItemIds {
    /// Remembers at most about `count` ids, each for `ttl`. `restored` are those of before the start, oldest first,
    /// with the times at which they were accepted.
    pub fn new(ttl: Duration, count: usize, restored: impl Iterator<Item = (u64, UnixMs)>, now: UnixMs) -> Self {
        let shards = count.div_ceil(SHARD_IDS).max(1);
        let per_shard = count.div_ceil(shards);
        let ids = Self { shards: (0..shards).map(|_| Mutex::default()).collect(), per_shard, ttl };
        for (fingerprint, accepted_at) in restored.filter(|(_, at)| now.since(*at) <= ttl) {
            ids.remember(fingerprint, accepted_at);
        }
        ids
    }

    /// Whether this id was taken.
    pub fn contains(&self, fingerprint: u64, now: UnixMs) -> bool {
        let mut shard = lock(self.shard(fingerprint));
        shard.forget(now.before(self.ttl));
        shard.known.contains(&fingerprint)
    }

    /// This id is taken from now on.
    pub fn remember(&self, fingerprint: u64, now: UnixMs) {
        if self.per_shard == 0 {
            return;
        }
        let stretch = self.ttl / STRETCHES;
        let mut shard = lock(self.shard(fingerprint));
        shard.forget(now.before(self.ttl));
        if !shard.known.insert(fingerprint) {
            return;
        }
        if shard.ring.len() >= self.per_shard {
            shard.forget_one();
        }
        shard.push(fingerprint, now.after(stretch), now);
    }

    /// The middle of the hash chooses the shard, because the set uses its lowest and its highest bits.
    fn shard(&self, fingerprint: u64) -> &Mutex<Shard> {
        let index = ((fingerprint >> 20 & 0xffff_ffff) * self.shards.len() as u64) >> 32;
        &self.shards[index as usize]
    }
}

impl Shard {
    fn push(&mut self, fingerprint: u64, stretch_end: UnixMs, now: UnixMs) {
        // Doubling would leave half of the ring empty.
        if self.ring.len() == self.ring.capacity() {
            self.ring.reserve_exact((self.ring.len() / 8).max(64));
        }
        self.ring.push_back(fingerprint);
        match self.marks.back_mut() {
            Some((end, count)) if now <= *end => *count += 1,
            _ => self.marks.push_back((stretch_end, 1)),
        }
    }

    fn forget(&mut self, before: UnixMs) {
        while let Some((end, count)) = self.marks.front().copied() {
            if end >= before {
                break;
            }
            self.marks.pop_front();
            for fingerprint in self.ring.drain(..(count as usize).min(self.ring.len())) {
                self.known.remove(&fingerprint);
            }
        }
    }

    fn forget_one(&mut self) {
        if let Some(oldest) = self.ring.pop_front() {
            self.known.remove(&oldest);
        }
        if let Some((_, count)) = self.marks.front_mut() {
            *count -= 1;
            if *count == 0 {
                self.marks.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    /// Fingerprints are hashes: spread a counter over all bits.
    fn hash(n: u64) -> u64 {
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn an_id_is_known_for_its_time_and_no_longer() {
        let start = UnixMs(1_000_000_000);
        let ids = ItemIds::new(DAY, 1000, std::iter::empty(), start);
        ids.remember(hash(1), start);
        ids.remember(hash(2), start.after(DAY / 2));
        assert!(ids.contains(hash(1), start.after(DAY)));
        assert!(!ids.contains(hash(1), start.after(DAY + Duration::from_secs(61))));
        assert!(ids.contains(hash(2), start.after(DAY + Duration::from_secs(61))));
        assert!(!ids.contains(hash(3), start));
    }

    #[test]
    fn the_oldest_makes_room_for_the_newest() {
        let ids = ItemIds::new(DAY, 3, std::iter::empty(), UnixMs(0));
        (0..5).for_each(|n| ids.remember(hash(n), UnixMs(n as i64)));
        ids.remember(hash(4), UnixMs(9));
        let known: Vec<_> = (0..5).filter(|n| ids.contains(hash(*n), UnixMs(9))).collect();
        assert_eq!(known, [2, 3, 4]);
    }

    #[test]
    fn what_was_known_before_the_start_is_known_after() {
        let now = UnixMs(10).after(DAY * 3);
        let restored = [(hash(1), UnixMs(0)), (hash(2), now.before(DAY / 2))];
        let ids = ItemIds::new(DAY, 10, restored.into_iter(), now);
        assert!(!ids.contains(hash(1), now) && ids.contains(hash(2), now));
        assert!(!ids.contains(hash(2), now.after(DAY / 2 + Duration::from_secs(61))));
    }

    #[test]
    fn an_id_costs_about_twenty_bytes() {
        let count = 300_000;
        let ids = ItemIds::new(DAY, count, std::iter::empty(), UnixMs(0));
        (0..400_000).for_each(|n| ids.remember(hash(n), UnixMs(0)));
        let (mut bytes, mut kept) = (0, 0);
        for shard in &ids.shards {
            let shard = lock(shard);
            bytes += shard.known.capacity() * 8 / 7 * 9 + shard.ring.capacity() * 8 + shard.marks.capacity() * 16;
            kept += shard.known.len();
        }
        assert!(kept <= count && kept > count * 9 / 10, "{kept}");
        assert!(bytes / kept <= 22, "{} bytes per id", bytes / kept);
    }
}
