//! The byte stream below HTTP: plain or TLS, and the moment at which the receiver was first heard.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

/// When the first byte of a response came. hyper tells only of a complete head, which a dripping receiver never sends.
///
/// Shared by the stream, which lives inside hyper's connection, and the line. Both are used by one task, so that relaxed
/// ordering suffices.
#[derive(Debug)]
pub(super) struct Heard {
    epoch: Instant,
    /// Nanoseconds since `epoch`, [`Heard::LISTENING`], or [`Heard::NOT_LISTENING`].
    at: AtomicU64,
}

impl Heard {
    const LISTENING: u64 = u64::MAX;
    const NOT_LISTENING: u64 = u64::MAX - 1;

    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { epoch: Instant::now(), at: AtomicU64::new(Self::NOT_LISTENING) })
    }

    /// From now on the next byte is the first one.
    pub(super) fn listen(&self) {
        self.at.store(Self::LISTENING, Ordering::Relaxed);
    }

    /// When the first byte since [`Heard::listen`] came, if one has.
    pub(super) fn at(&self) -> Option<Instant> {
        match self.at.load(Ordering::Relaxed) {
            Self::LISTENING | Self::NOT_LISTENING => None,
            nanoseconds => Some(self.epoch + std::time::Duration::from_nanos(nanoseconds)),
        }
    }

    fn byte_came(&self) {
        if self.at.load(Ordering::Relaxed) == Self::LISTENING {
            self.at.store(self.epoch.elapsed().as_nanos() as u64, Ordering::Relaxed);
        }
    }
}

/// A connection to a receiver.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    heard: Arc<Heard>,
}

#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    pub(super) fn new(stream: Stream, heard: Arc<Heard>) -> Self {
        Self { stream, heard }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Stream::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        };
        if buf.filled().len() > before {
            self.heard.byte_came();
        }
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Stream::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Stream::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
