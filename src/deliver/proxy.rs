//! A proxy between us and receivers: HTTP CONNECT (RFC 9110, 9.3.6) or SOCKS5 (RFC 1928 and 1929). Either gives a tunnel,
//! over which everything is as without it: `Host`, TLS and its name are the receiver's.

use super::authorization::basic;
use super::connect;
use super::failure::Failure;
use super::resolve::Resolver;
use crate::limits;
use crate::model::{Reason, Secret};
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How a proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyKind {
    /// HTTP CONNECT.
    Http,
    /// SOCKS5.
    Socks5,
}

/// The proxy through which receivers are reached.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// How it is spoken to.
    pub kind: ProxyKind,
    /// Its host; the operator named it, so the guard has no say about it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// User name and password, where it asks for them.
    pub credentials: Option<(String, Secret)>,
    /// It resolves names, and so it alone decides to which addresses they may lead.
    pub resolves: bool,
    /// What is in these networks is connected to directly.
    pub except: Vec<IpNet>,
}

/// What a tunnel leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Goal {
    /// An address that was judged.
    Address(SocketAddr),
    /// A name that nobody has judged.
    Name(String, u16),
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

impl Proxy {
    /// Whether this address is to be reached without the proxy.
    pub(super) fn excepts(&self, address: IpAddr) -> bool {
        self.except.iter().any(|net| net.contains(&address))
    }

    /// Opens a tunnel.
    pub(super) async fn tunnel(self: Arc<Self>, resolver: Arc<dyn Resolver>, goal: Goal) -> Result<TcpStream, Failure> {
        let unreachable = |failure: Failure| self.failed(Reason::ProxyFailed, &failure.detail);
        let addresses = connect::resolved(&*resolver, &self.host).await.map_err(unreachable)?;
        let mut stream = connect::tcp(&addresses, self.port).await.map_err(unreachable)?;
        match self.kind {
            ProxyKind::Http => self.connect_http(&mut stream, &goal).await?,
            ProxyKind::Socks5 => self.connect_socks(&mut stream, &goal).await?,
        }
        Ok(stream)
    }

    fn failed(&self, reason: Reason, words: &str) -> Failure {
        Failure::new(reason, format!("the proxy {}:{}: {words}", self.host, self.port))
    }

    fn broken(&self, error: &std::io::Error) -> Failure {
        let words = match error.kind() {
            std::io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
            _ => error.to_string(),
        };
        self.failed(Reason::ProxyFailed, &words)
    }

    async fn connect_http(&self, stream: &mut TcpStream, goal: &Goal) -> Result<(), Failure> {
        let mut head = format!("CONNECT {goal} HTTP/1.1\r\nHost: {goal}\r\n");
        if let Some((user, password)) = &self.credentials {
            let cannot = |_| self.failed(Reason::ProxyFailed, "user name and password cannot be sent");
            let value = basic(user.as_bytes(), password).map_err(cannot)?;
            head.push_str("Proxy-Authorization: ");
            head.push_str(value.to_str().unwrap_or_default());
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await.map_err(|error| self.broken(&error))?;
        match self.read_status(stream).await? {
            200..=299 => Ok(()),
            407 => Err(self.failed(Reason::ProxyFailed, &self.asks_for_credentials())),
            status @ 502..=504 => {
                Err(self.failed(Reason::ConnectFailed, &format!("it cannot reach {goal} (it answered {status})")))
            }
            status => Err(self.failed(Reason::ProxyFailed, &format!("it answered {status} to CONNECT {goal}"))),
        }
    }

    /// Reads the answer to CONNECT: its head, and nothing behind it, for the receiver does not speak first.
    async fn read_status(&self, stream: &mut TcpStream) -> Result<u16, Failure> {
        let mut head = Vec::with_capacity(512);
        let end = loop {
            if let Some(at) = head.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            let read = stream.read_buf(&mut head).await.map_err(|error| self.broken(&error))?;
            if read == 0 {
                return Err(self.broken(&std::io::ErrorKind::UnexpectedEof.into()));
            }
            if head.len() > limits::PROXY_HEAD_BYTES {
                return Err(self.failed(Reason::ProxyFailed, "its answer is too long"));
            }
        };
        let status = status_of(&head).ok_or_else(|| self.failed(Reason::ProxyFailed, "its answer is not HTTP"))?;
        let refused = !(200..=299).contains(&status);
        match refused || head.len() == end {
            true => Ok(status),
            false => Err(self.failed(Reason::ProxyFailed, "it sent more than an answer")),
        }
    }

    async fn connect_socks(&self, stream: &mut TcpStream, goal: &Goal) -> Result<(), Failure> {
        self.sign_in_socks(stream).await?;
        let mut request = vec![5, 1, 0];
        match goal {
            Goal::Address(SocketAddr::V4(address)) => {
                request.push(1);
                request.extend(address.ip().octets());
                request.extend(address.port().to_be_bytes());
            }
            Goal::Address(SocketAddr::V6(address)) => {
                request.push(4);
                request.extend(address.ip().octets());
                request.extend(address.port().to_be_bytes());
            }
            Goal::Name(host, port) => {
                request.push(3);
                request.extend(self.with_length(host.as_bytes())?);
                request.extend(port.to_be_bytes());
            }
        }
        let [version, reply, _, kind] = self.ask(stream, &request).await?;
        if version != 5 {
            return Err(self.failed(Reason::ProxyFailed, "it does not speak SOCKS5"));
        }
        let refused = |reason, words: &str| Err(self.failed(reason, &format!("{words} {goal} (SOCKS5 reply {reply})")));
        match reply {
            0 => self.skip_bound_address(stream, kind).await,
            2 => refused(Reason::ProxyFailed, "it does not allow connections to"),
            3 | 4 | 6 => refused(Reason::ConnectFailed, "it cannot reach"),
            5 => refused(Reason::ConnectionRefused, "nothing accepts connections at"),
            _ => refused(Reason::ProxyFailed, "it made no connection to"),
        }
    }

    async fn sign_in_socks(&self, stream: &mut TcpStream) -> Result<(), Failure> {
        let methods: &[u8] = if self.credentials.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] };
        match (self.ask(stream, methods).await?, &self.credentials) {
            ([5, 0], _) => Ok(()),
            ([5, 2], Some((user, password))) => {
                let mut request = vec![1];
                request.extend(self.with_length(user.as_bytes())?);
                request.extend(self.with_length(password.expose())?);
                let [_, status] = self.ask(stream, &request).await?;
                let wrong = || self.failed(Reason::ProxyFailed, "it refuses user name and password");
                if status == 0 { Ok(()) } else { Err(wrong()) }
            }
            ([5, _], _) => Err(self.failed(Reason::ProxyFailed, &self.asks_for_credentials())),
            _ => Err(self.failed(Reason::ProxyFailed, "it does not speak SOCKS5")),
        }
    }

    /// What it is bound to is of no use to us, but stands before the receiver's bytes.
    async fn skip_bound_address(&self, stream: &mut TcpStream, kind: u8) -> Result<(), Failure> {
        let length = match kind {
            1 => 4,
            4 => 16,
            3 => usize::from(stream.read_u8().await.map_err(|error| self.broken(&error))?),
            _ => return Err(self.failed(Reason::ProxyFailed, "it does not speak SOCKS5")),
        };
        let mut address = vec![0; length + 2];
        stream.read_exact(&mut address).await.map_err(|error| self.broken(&error))?;
        Ok(())
    }

    /// Sends a message of SOCKS5 and reads the first bytes of the answer.
    async fn ask<const N: usize>(&self, stream: &mut TcpStream, message: &[u8]) -> Result<[u8; N], Failure> {
        let mut answer = [0; N];
        stream.write_all(message).await.map_err(|error| self.broken(&error))?;
        stream.read_exact(&mut answer).await.map_err(|error| self.broken(&error))?;
        Ok(answer)
    }

    fn with_length(&self, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
        let too_long = |_| self.failed(Reason::ProxyFailed, "SOCKS5 has no room for more than 255 bytes");
        let length = u8::try_from(bytes.len()).map_err(too_long)?;
        Ok([&[length], bytes].concat())
    }

    fn asks_for_credentials(&self) -> String {
        let has = if self.credentials.is_some() { "other ones" } else { "a user name and a password" };
        format!("it asks for {has}")
    }
}

/// `HTTP/1.1 200 …`
fn status_of(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.parse().ok().filter(|status| (100..=999).contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines() {
        for (head, status) in [
            ("HTTP/1.1 200 Connection established\r\n\r\n", Some(200)),
            ("HTTP/1.0 407\r\nX: y\r\n\r\n", Some(407)),
            ("HTTP/2 200\r\n\r\n", None),
            ("SSH-2.0-x\r\n\r\n", None),
            ("HTTP/1.1 2000 x\r\n\r\n", None),
        ] {
            assert_eq!(status_of(head.as_bytes()), status, "{head}");
        }
    }
}
