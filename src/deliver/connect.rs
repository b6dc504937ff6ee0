//! From a host name to a connection: resolve, judge, connect to what was judged, directly or through the proxy.

use super::client::ClientConfig;
use super::failure::Failure;
use super::guard::Guard;
use super::proxy::{Goal, Proxy};
use super::resolve::Resolver;
use crate::limits;
use crate::model::{Endpoint, Reason};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How a host is reached.
#[derive(Debug)]
pub(super) enum Way {
    /// At one of these addresses, all of them judged.
    Direct(Vec<IpAddr>),
    /// At one of these, through the proxy.
    Proxied(Arc<Proxy>, Vec<IpAddr>),
    /// By its name, through a proxy that the operator trusts to judge.
    Named(Arc<Proxy>),
}

/// Finds the way to a host now.
pub(super) async fn way(config: &ClientConfig, host: &str) -> Result<Way, Failure> {
    match &config.proxy {
        Some(proxy) if proxy.resolves && !needs_no_lookup(host) => Ok(Way::Named(Arc::clone(proxy))),
        Some(proxy) => {
            let found = addresses(&*config.resolver, &config.guard, host).await?;
            let directly = found.iter().all(|address| proxy.excepts(*address));
            Ok(if directly { Way::Direct(found) } else { Way::Proxied(Arc::clone(proxy), found) })
        }
        None => addresses(&*config.resolver, &config.guard, host).await.map(Way::Direct),
    }
}

/// Goes this way: connects to one of its addresses, and to no other.
pub(super) async fn open(config: &ClientConfig, way: &Way, endpoint: &Endpoint) -> Result<TcpStream, Failure> {
    match way {
        Way::Direct(addresses) => tcp(addresses, endpoint.port).await,
        Way::Proxied(proxy, addresses) => {
            let tunnel = |address| Arc::clone(proxy).tunnel(Arc::clone(&config.resolver), Goal::Address(address));
            first_of(addresses, endpoint.port, tunnel).await
        }
        Way::Named(proxy) => {
            let goal = Goal::Name(endpoint.host.clone(), endpoint.port);
            Arc::clone(proxy).tunnel(Arc::clone(&config.resolver), goal).await
        }
    }
}

/// Whether it is plain what a host stands for: these are judged here, also where names are not. No name's last part is a
/// number, so that resolvers take `127.1` and `0x7f000001` for addresses, and `localhost` is nobody but this machine
/// (RFC 6761): at the proxy it would be the proxy's.
fn needs_no_lookup(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    host.parse::<IpAddr>().is_ok()
        || last.eq_ignore_ascii_case("localhost")
        || digits(last)
        || hex.is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The addresses that a host stands for now, all of them judged: one that is refused refuses the host, since a name
/// that points inside, even in part, has no good reason to.
async fn addresses(resolver: &dyn Resolver, guard: &Guard, host: &str) -> Result<Vec<IpAddr>, Failure> {
    let found = resolved(resolver, host).await?;
    for address in &found {
        guard.judge(*address).map_err(|refusal| Failure::new(Reason::AddressRefused, refused_words(host, refusal)))?;
    }
    Ok(found)
}

/// The addresses that a host stands for now; nobody has judged them.
pub(super) async fn resolved(resolver: &dyn Resolver, host: &str) -> Result<Vec<IpAddr>, Failure> {
    let found = match host.parse() {
        Ok(literal) => vec![literal],
        Err(_) => {
            let failed = |error| Failure::new(Reason::DnsFailed, format!("{host}: {error}"));
            resolver.resolve(host).await.map_err(failed)?
        }
    };
    match found.is_empty() {
        true => Err(Failure::new(Reason::DnsFailed, format!("{host}: the name has no address"))),
        false => Ok(found),
    }
}

fn refused_words(host: &str, refusal: super::guard::Refusal) -> String {
    if host.parse() == Ok(refusal.address) { refusal.to_string() } else { format!("{host} resolves to {refusal}") }
}

/// Connects to one of these addresses.
pub(super) async fn tcp(addresses: &[IpAddr], port: u16) -> Result<TcpStream, Failure> {
    first_of(addresses, port, one).await
}

/// The first connection that `open` makes to one of these addresses.
///
/// They are tried in order. The next one starts when one fails or has been silent for a moment, so that a dead
/// address costs a moment and not the whole deadline; the first connection wins and the rest are given up.
async fn first_of<F>(addresses: &[IpAddr], port: u16, open: impl Fn(SocketAddr) -> F) -> Result<TcpStream, Failure>
where
    F: Future<Output = Result<TcpStream, Failure>> + Send + 'static,
{
    let mut waiting = addresses.iter().take(limits::CONNECT_ADDRESSES).map(|address| SocketAddr::new(*address, port));
    let (Some(first), Some(second)) = (waiting.next(), waiting.next()) else {
        let only = addresses.first().ok_or_else(|| Failure::new(Reason::DnsFailed, "the name has no address"))?;
        return open(SocketAddr::new(*only, port)).await;
    };
    let mut waiting = std::iter::once(second).chain(waiting);
    let mut racing = JoinSet::from_iter([open(first)]);
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
            Some(next) => drop(racing.spawn(open(next))),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_odd_forms_and_this_machine_need_no_lookup() {
        for host in [
            "127.0.0.1",
            "::1",
            "127.1",
            "0x7f.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "127.0.0.1.",
            "a.0x",
            "localhost",
            "a.LocalHost.",
        ] {
            assert!(needs_no_lookup(host), "{host}");
        }
        for host in ["example.com", "localhost.example", "1.example", "0x7f.example.", "4chan", "x0"] {
            assert!(!needs_no_lookup(host), "{host}");
        }
    }
}
