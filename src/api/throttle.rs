//! How often a caller may call, and an address may guess. Token buckets in bounded tables.

use crate::clock::Clock;
use crate::config::{ApiSettings, SignInSettings};
use crate::limits;
use crate::model::UnixMs;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue};
use ring::digest::{SHA256, digest};
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// Pruning a full table looks at every bucket, so it is not done at every call.
const PRUNE_EVERY: Duration = Duration::from_secs(1);

/// Counts valid keys' calls and wrong keys' addresses.
#[derive(Debug)]
pub struct Throttle {
    calls: Mutex<Buckets<u64>>,
    wrong: Mutex<Buckets<IpAddr>>,
    accounts: Mutex<Buckets<[u8; 32]>>,
    visitors: Mutex<Buckets<IpAddr>>,
    clock: Arc<dyn Clock>,
}

impl Throttle {
    /// With the rates of these settings.
    pub fn new(settings: &ApiSettings, sign_in: &SignInSettings, clock: Arc<dyn Clock>) -> Self {
        let calls = Rate::new(settings.calls_per_second, Duration::from_secs(1), settings.calls_burst);
        let per_minute = settings.wrong_keys_per_minute;
        let wrong = Rate::new(per_minute, Duration::from_secs(60), per_minute);
        let accounts = Rate::new(1, limits::SIGN_IN_ACCOUNT_PAUSE, sign_in.tries_per_account);
        let visitors = Rate::new(1, limits::SIGN_IN_ADDRESS_PAUSE, sign_in.tries_per_address);
        Self {
            calls: Mutex::new(Buckets::new(calls, limits::CALLERS_COUNTED)),
            wrong: Mutex::new(Buckets::new(wrong, limits::WRONG_KEY_ADDRESSES)),
            accounts: Mutex::new(Buckets::new(accounts, limits::SIGN_INS_COUNTED)),
            visitors: Mutex::new(Buckets::new(visitors, limits::SIGN_INS_COUNTED)),
            clock,
        }
    }

    /// A call with the valid credential `id`, which is told in `standing` how many more may come.
    ///
    /// # Errors
    /// It is one too many; how long until the next may come.
    pub fn call(&self, id: u64, standing: &StandingCell) -> Result<(), Duration> {
        let (taken, left) = {
            let mut calls = locked(&self.calls);
            (calls.take(id, self.clock.now()), calls.standing(&id))
        };
        let _told_once = standing.0.set(left);
        taken
    }

    /// A wrong key from this address.
    ///
    /// # Errors
    /// As with [`Self::call`].
    pub fn wrong_key(&self, address: IpAddr) -> Result<(), Duration> {
        locked(&self.wrong).take(network(address), self.clock.now())
    }

    /// Somebody tries a password or a code of this account. Counted before it is looked at, so that tries that come at
    /// once are all counted; [`Self::proved`] takes it back.
    ///
    /// # Errors
    /// As with [`Self::call`].
    pub fn try_account(&self, account: &str, address: IpAddr) -> Result<(), Duration> {
        self.try_secret(address)?;
        locked(&self.accounts).take(hashed(account), self.clock.now())
    }

    /// The password or code of this account was right.
    pub fn proved(&self, account: &str, address: IpAddr) {
        locked(&self.accounts).give_back(&hashed(account));
        self.proved_secret(address);
    }

    /// Somebody tries the token of a link, or has a mail sent. [`Self::proved_secret`] takes it back.
    ///
    /// # Errors
    /// As with [`Self::call`].
    pub fn try_secret(&self, address: IpAddr) -> Result<(), Duration> {
        locked(&self.visitors).take(network(address), self.clock.now())
    }

    /// The token was right.
    pub fn proved_secret(&self, address: IpAddr) {
        locked(&self.visitors).give_back(&network(address));
    }
}

/// How many calls a credential has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Calls that may come at once.
    limit: u32,
    /// Of these, how many may come now.
    remaining: u32,
    /// In how many seconds all may come again.
    reset_s: u64,
}

/// Where a request finds its caller's standing once that is known.
#[derive(Debug, Clone, Default)]
pub struct StandingCell(Arc<OnceLock<Standing>>);

/// Tells each caller how many calls they have left, in the headers that clients of APIs look for.
pub async fn tell(mut request: Request, next: Next) -> Response {
    let cell = StandingCell::default();
    request.extensions_mut().insert(cell.clone());
    let mut response = next.run(request).await;
    if let Some(Standing { limit, remaining, reset_s }) = cell.0.get() {
        let headers = response.headers_mut();
        headers.insert(HeaderName::from_static("ratelimit-limit"), HeaderValue::from(*limit));
        headers.insert(HeaderName::from_static("ratelimit-remaining"), HeaderValue::from(*remaining));
        headers.insert(HeaderName::from_static("ratelimit-reset"), HeaderValue::from(*reset_s));
    }
    response
}

fn locked<T>(buckets: &Mutex<T>) -> MutexGuard<'_, T> {
    buckets.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Accounts are counted by what was typed, whether there are such or not: so nobody learns which there are.
fn hashed(account: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, account.trim().to_lowercase().as_bytes()).as_ref());
    bytes
}

/// What one guesser holds: an IPv4 address, or the whole /64 that every IPv6 customer gets.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

#[derive(Debug, Clone, Copy)]
struct Rate {
    per_ms: f64,
    burst: f64,
}

impl Rate {
    fn new(count: u32, per: Duration, burst: u32) -> Self {
        Self { per_ms: f64::from(count) / per.as_millis() as f64, burst: f64::from(burst) }
    }
}

/// Tokens left, and when they were counted.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: UnixMs,
}

impl Bucket {
    fn full(rate: Rate, now: UnixMs) -> Self {
        Self { tokens: rate.burst, at: now }
    }

    /// A clock that was set back adds nothing, and counting goes on from the new time.
    fn fill(&mut self, rate: Rate, now: UnixMs) {
        let gained = now.since(self.at).as_millis() as f64 * rate.per_ms;
        *self = Self { tokens: (self.tokens + gained).min(rate.burst), at: now };
    }

    fn take(&mut self, rate: Rate, now: UnixMs) -> Result<(), Duration> {
        self.fill(rate, now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        let wait_ms = ((1.0 - self.tokens) / rate.per_ms).ceil();
        Err(Duration::from_millis(if wait_ms.is_finite() { wait_ms as u64 } else { 60_000 }))
    }
}

/// A bucket for each of at most `max` keys; all keys beyond share one.
#[derive(Debug)]
struct Buckets<K> {
    rate: Rate,
    max: usize,
    each: HashMap<K, Bucket>,
    rest: Option<Bucket>,
    pruned_at: UnixMs,
}

impl<K: Eq + Hash> Buckets<K> {
    fn new(rate: Rate, max: usize) -> Self {
        Self { rate, max, each: HashMap::new(), rest: None, pruned_at: UnixMs::default() }
    }

    fn take(&mut self, key: K, now: UnixMs) -> Result<(), Duration> {
        let rate = self.rate;
        if let Some(bucket) = self.each.get_mut(&key) {
            return bucket.take(rate, now);
        }
        if self.each.len() >= self.max {
            self.prune(now);
        }
        if self.each.len() >= self.max {
            return self.rest.get_or_insert(Bucket::full(rate, now)).take(rate, now);
        }
        self.each.entry(key).or_insert(Bucket::full(rate, now)).take(rate, now)
    }

    /// How many tokens this key has left. One of those that share a bucket is told of that.
    fn standing(&self, key: &K) -> Standing {
        let tokens = self.each.get(key).or(self.rest.as_ref()).map_or(self.rate.burst, |bucket| bucket.tokens);
        let reset_ms = (self.rate.burst - tokens) / self.rate.per_ms;
        Standing { limit: self.rate.burst as u32, remaining: tokens as u32, reset_s: (reset_ms / 1000.0).ceil() as u64 }
    }

    /// Takes back what was taken. Where all beyond the bound share one bucket, it stays taken.
    fn give_back(&mut self, key: &K) {
        if let Some(bucket) = self.each.get_mut(key) {
            bucket.tokens = (bucket.tokens + 1.0).min(self.rate.burst);
        }
    }

    /// Forgets the buckets that are full again: they say nothing that a new one does not.
    fn prune(&mut self, now: UnixMs) {
        if now >= self.pruned_at && now < self.pruned_at.after(PRUNE_EVERY) {
            return;
        }
        self.pruned_at = now;
        let rate = self.rate;
        self.each.retain(|_, bucket| {
            bucket.fill(rate, now);
            bucket.tokens < rate.burst
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate() -> Rate {
        Rate::new(100, Duration::from_secs(1), 1000)
    }

    #[test]
    fn a_burst_then_the_rate() {
        let mut buckets = Buckets::new(rate(), 10);
        let allowed =
            |buckets: &mut Buckets<u8>, at, tries| (0..tries).filter(|_| buckets.take(1, UnixMs(at)).is_ok()).count();
        assert_eq!(allowed(&mut buckets, 5000, 1500), 1000);
        assert_eq!(buckets.take(1, UnixMs(5000)), Err(Duration::from_millis(10)));
        assert_eq!(allowed(&mut buckets, 6000, 500), 100);
        assert_eq!(allowed(&mut buckets, 1000, 500), 0, "a clock set back gives nothing");
        assert_eq!(allowed(&mut buckets, 2000, 500), 100, "and does not stop it either");
        assert_eq!(allowed(&mut buckets, 9_000_000, 2000), 1000, "never more than the burst");
        assert!(buckets.take(2, UnixMs(9_000_000)).is_ok(), "another key has its own");
        assert!(buckets.take(1, UnixMs(9_000_000)).is_err());
        buckets.give_back(&1);
        assert!(buckets.take(1, UnixMs(9_000_000)).is_ok(), "what was given back can be taken again");
    }

    #[test]
    fn a_full_table_shares_one_bucket_and_recovers() {
        let mut buckets = Buckets::new(Rate::new(60, Duration::from_secs(60), 2), 3);
        for key in 0..3 {
            buckets.take(key, UnixMs(10_000)).unwrap();
        }
        let shared = (3..100).filter(|key| buckets.take(*key, UnixMs(10_000)).is_ok()).count();
        assert_eq!((shared, buckets.each.len()), (2, 3));
        assert!(buckets.take(1, UnixMs(10_000)).is_ok(), "who is counted alone is not slowed by the rest");
        assert!(buckets.take(200, UnixMs(60_000)).is_ok());
        assert_eq!(buckets.each.len(), 1, "recovered buckets were forgotten");
    }

    #[test]
    fn an_ipv6_customer_is_one_guesser() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
