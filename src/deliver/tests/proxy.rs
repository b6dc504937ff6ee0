//! Proxies of a few lines, which note what they are asked for and connect names to 127.0.0.1.

use super::receiver::{Peer, Receiver};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio::io::{AsyncReadExt, copy_bidirectional};
use tokio::net::TcpStream;

/// Name and password that a proxy asks for.
pub(super) type Credentials = Option<(&'static str, &'static str)>;

/// Where a proxy goes when it is asked for this.
fn goal(text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|_| {
        let (_, port) = text.rsplit_once(':').unwrap();
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.parse().unwrap())
    })
}

async fn pass_on(mut peer: Peer, mut to: TcpStream) {
    // Either side may go at any time.
    drop(copy_bidirectional(&mut peer.stream, &mut to).await);
}

/// Takes CONNECT.
pub(super) async fn http(credentials: Credentials) -> Receiver {
    Receiver::new(move |mut peer| async move {
        if !peer.read().await {
            return;
        }
        let asked = peer.said();
        if let Some((user, password)) = credentials {
            let expected = BASE64_STANDARD.encode(format!("{user}:{password}"));
            if !asked.contains(&format!("\r\nProxy-Authorization: Basic {expected}\r\n")) {
                return peer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
            }
        }
        match TcpStream::connect(goal(asked.split(' ').nth(1).unwrap())).await {
            Ok(to) => {
                peer.write(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n").await;
                pass_on(peer, to).await;
            }
            Err(_) => peer.write(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await,
        }
    })
    .await
}

/// Speaks SOCKS5.
pub(super) async fn socks(credentials: Credentials) -> Receiver {
    Receiver::new(move |mut peer| async move {
        drop(serve_socks(&mut peer, credentials).await);
    })
    .await
}

async fn serve_socks(peer: &mut Peer, credentials: Credentials) -> std::io::Result<()> {
    assert_eq!(peer.stream.read_u8().await?, 5);
    let methods = counted(peer).await?;
    let method = if credentials.is_some() { 2 } else { 0 };
    if !methods.contains(&method) {
        peer.write(&[5, 0xff]).await;
        return Ok(());
    }
    peer.write(&[5, method]).await;
    if let Some((user, password)) = credentials {
        assert_eq!(peer.stream.read_u8().await?, 1);
        let right = counted(peer).await? == user.as_bytes();
        let right = counted(peer).await? == password.as_bytes() && right;
        peer.write(&[1, u8::from(!right)]).await;
        if !right {
            return Ok(());
        }
    }
    let mut head = [0; 4];
    peer.stream.read_exact(&mut head).await?;
    let host = match head {
        [5, 1, 0, 1] => Ipv4Addr::from_bits(peer.stream.read_u32().await?).to_string(),
        [5, 1, 0, 3] => String::from_utf8(counted(peer).await?).unwrap(),
        other => panic!("{other:?}"),
    };
    let asked = format!("{host}:{}", peer.stream.read_u16().await?);
    peer.note(asked.clone());
    match TcpStream::connect(goal(&asked)).await {
        Ok(mut to) => {
            // It names what it is bound to, as a name for once.
            peer.write(b"\x05\x00\x00\x03\x05proxy\x04\x38").await;
            drop(copy_bidirectional(&mut peer.stream, &mut to).await);
        }
        Err(_) => peer.write(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).await,
    }
    Ok(())
}

/// Bytes with their number before them.
async fn counted(peer: &mut Peer) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(peer.stream.read_u8().await?)];
    peer.stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}
