//! Names to addresses.

use crate::limits;
use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, watch};

/// What a lookup gives: addresses in the order in which they should be tried.
pub type Lookup<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Turns a host name into addresses. Judging them is not its affair.
pub trait Resolver: Debug + Send + Sync + 'static {
    /// All addresses of `host`, in the order in which they should be tried.
    ///
    /// # Errors
    /// Whatever kept the name from being resolved, in words for a person.
    fn resolve<'a>(&'a self, host: &'a str) -> Lookup<'a>;
}

/// The operating system's resolver: its hosts file, its search order, its understanding of odd forms (`0x7f.1`).
///
/// Each lookup takes a thread until the system gives up, also when nobody waits any more. So lookups are bounded
/// ([`limits::DNS_LOOKUPS`]), and connections that open to the same name at the same time share one: a name whose
/// servers hang takes one place, not one per connection.
#[derive(Debug, Clone)]
pub struct SystemResolver {
    places: Arc<Semaphore>,
    running: Arc<Mutex<HashMap<String, Running>>>,
}

type Answer = Result<Vec<IpAddr>, (io::ErrorKind, String)>;
type Running = watch::Receiver<Option<Answer>>;

impl Default for SystemResolver {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(limits::DNS_LOOKUPS)), running: Arc::default() }
    }
}

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> Lookup<'a> {
        let mut running = self.join(host);
        Box::pin(async move {
            let gone = |_| io::Error::other("the lookup was abandoned");
            let answer = running.wait_for(Option::is_some).await.map_err(gone)?.clone();
            answer.unwrap_or(Ok(vec![])).map_err(|(kind, words)| io::Error::new(kind, words))
        })
    }
}

impl SystemResolver {
    /// The running lookup of this name, or a new one.
    fn join(&self, host: &str) -> Running {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lookup) = running.get(host) {
            return lookup.clone();
        }
        let (done, lookup) = watch::channel(None);
        running.insert(host.to_owned(), lookup.clone());
        tokio::spawn(self.clone().run(host.to_owned(), done));
        lookup
    }

    async fn run(self, host: String, done: watch::Sender<Option<Answer>>) {
        let place = self.places.acquire().await;
        let answer = lookup(&host).await.map_err(|error| (error.kind(), error.to_string()));
        drop(place);
        // Out of the map first: who comes after the answer must not get it, but ask anew.
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&host);
        done.send_replace(Some(answer));
    }
}

async fn lookup(host: &str) -> io::Result<Vec<IpAddr>> {
    let mut addresses: Vec<IpAddr> =
        tokio::net::lookup_host((host, 0)).await?.map(|found: SocketAddr| found.ip()).collect();
    let mut seen = std::collections::HashSet::new();
    addresses.retain(|address| seen.insert(*address));
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_system_resolves_names_and_odd_forms() {
        let resolver = SystemResolver::default();
        for host in ["127.0.0.1", "127.1", "0x7f.1", "2130706433", "0177.0.0.1"] {
            assert_eq!(resolver.resolve(host).await.unwrap(), [IpAddr::from([127, 0, 0, 1])], "{host}");
        }
        let local = resolver.resolve("localhost").await.unwrap();
        assert!(!local.is_empty() && local.iter().all(IpAddr::is_loopback), "{local:?}");
        assert!(resolver.running.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn lookups_of_one_name_are_shared_and_survive_who_asked_first() {
        let resolver = SystemResolver::default();
        let all = resolver.places.clone().acquire_many_owned(limits::DNS_LOOKUPS as u32).await.unwrap();
        let first = resolver.resolve("127.0.0.1");
        let second = resolver.resolve("127.0.0.1");
        assert_eq!(resolver.running.lock().unwrap().len(), 1);
        drop(first);
        drop(all);
        assert_eq!(second.await.unwrap(), [IpAddr::from([127, 0, 0, 1])]);
    }
}
