//! From a host name to a connection: resolve, judge, connect to what was judged, TLS.

use super::failure::Failure;
use super::guard::Guard;
use super::resolve::Resolver;
use crate::limits;
use crate::model::Reason;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The addresses that a host stands for now, all of them judged: one that is refused refuses the host, since a name
/// that points inside, even in part, has no good reason to.
pub(super) async fn addresses(resolver: &dyn Resolver, guard: &Guard, host: &str) -> Result<Vec<IpAddr>, Failure> {
    let found = match host.parse() {
        Ok(literal) => vec![literal],
        Err(_) => {
            let failed = |error| Failure::new(Reason::DnsFailed, format!("{host}: {error}"));
            resolver.resolve(host).await.map_err(failed)?
        }
    };
    if found.is_empty() {
        return Err(Failure::new(Reason::DnsFailed, format!("{host}: the name has no address")));
    }
    for address in &found {
        guard.judge(*address).map_err(|refusal| Failure::new(Reason::AddressRefused, refused_words(host, refusal)))?;
    }
    Ok(found)
}

fn refused_words(host: &str, refusal: super::guard::Refusal) -> String {
    if host.parse() == Ok(refusal.address) { refusal.to_string() } else { format!("{host} resolves to {refusal}") }
}

/// Connects to one of these addresses, and to no other.
///
/// They are tried in order. The next one starts when one fails or has been silent for a moment, so that a dead
/// address costs a moment and not the whole deadline; the first connection wins and the rest are given up.
pub(super) async fn tcp(addresses: &[IpAddr], port: u16) -> Result<TcpStream, Failure> {
    let mut waiting = addresses.iter().take(limits::CONNECT_ADDRESSES).map(|address| SocketAddr::new(*address, port));
    let (Some(first), Some(second)) = (waiting.next(), waiting.next()) else {
        let only = addresses.first().ok_or_else(|| Failure::new(Reason::DnsFailed, "the name has no address"))?;
        return one(SocketAddr::new(*only, port)).await;
    };
    let mut waiting = std::iter::once(second).chain(waiting);
    let mut racing = JoinSet::from_iter([one(first)]);
    let mut failures: Vec<Failure> = vec![];
    loop {
        let stagger = tokio::time::sleep(Duration::from_millis(limits::CONNECT_STAGGER_MS));
        tokio::select! {
            Some(ended) = racing.join_next() => match ended {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(failure)) => failures.push(failure),
                Err(_) => {}
            },
            () = stagger => {}
        }
        match waiting.next() {
            Some(next) => drop(racing.spawn(one(next))),
            None if racing.is_empty() => return Err(together(&failures)),
            None => {}
        }
    }
}

async fn one(address: SocketAddr) -> Result<TcpStream, Failure> {
    let stream = TcpStream::connect(address).await.map_err(|error| Failure::from_connect(&error, address))?;
    // Without it, a request in two packets waits for the acknowledgement of the first. A failure costs only time.
    drop(stream.set_nodelay(true));
    Ok(stream)
}

/// What all addresses said; the first one's reason counts, since it is the one that should have worked.
fn together(failures: &[Failure]) -> Failure {
    let details: Vec<&str> = failures.iter().map(|failure| failure.detail.as_str()).collect();
    let reason = failures.first().map_or(Reason::ConnectFailed, |failure| failure.reason);
    Failure::new(reason, details.join("; "))
}
