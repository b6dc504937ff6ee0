//! Time limits on what a client sends and takes, at no cost while it does not stall.

use super::linger::Rest;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// A timer that exists only while something stalls.
#[derive(Debug)]
struct Stall {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    fn new(limit: Duration) -> Self {
        Self { limit, timer: None }
    }

    /// Called when there is nothing to go on with: ready when that has lasted too long.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit))).as_mut().poll(cx)
    }

    fn over(&mut self) {
        self.timer = None;
    }
}

/// A request's body that must be complete within a time from its first missing byte: one total time, so that dripping
/// bytes does not extend it.
#[derive(Debug)]
pub(super) struct TimedBody {
    inner: Incoming,
    stall: Stall,
    has_ended: bool,
    rest: Rest,
}

impl TimedBody {
    pub(super) fn new(inner: Incoming, limit: Duration, rest: Rest) -> Self {
        rest.body_begins();
        Self { inner, stall: Stall::new(limit), has_ended: false, rest }
    }
}

impl Drop for TimedBody {
    fn drop(&mut self) {
        if !self.has_ended && !self.inner.is_end_stream() {
            self.rest.body_is_left();
        }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        // The timer is asked first once it runs: a client that always has one more byte ready must not escape it.
        if self.stall.timer.is_some() && self.stall.poll(cx).is_ready() {
            return Poll::Ready(Some(Err(too_slow("the request's body took too long").into())));
        }
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.has_ended |= frame.is_none();
                Poll::Ready(frame.map(|result| result.map_err(Into::into)))
            }
            Poll::Pending => match self.stall.poll(cx) {
                Poll::Ready(()) => Poll::Ready(Some(Err(too_slow("the request's body took too long").into()))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A connection whose client must take some bytes of a response within a time.
#[derive(Debug)]
pub(super) struct TimedIo {
    /// There until it is dropped.
    inner: Option<TcpStream>,
    stall: Stall,
    rest: Rest,
}

impl TimedIo {
    pub(super) fn new(inner: TcpStream, limit: Duration, rest: Rest) -> Self {
        Self { inner: Some(inner), stall: Stall::new(limit), rest }
    }

    fn inner(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.inner.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn timed<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stall.over();
            return written;
        }
        match self.stall.poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(too_slow("the client does not take the response"))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for TimedIo {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            self.rest.socket_is_left(inner);
        }
    }
}

impl AsyncRead for TimedIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.inner()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for TimedIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.inner()?.poll_write(cx, buf);
        self.timed(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.inner()?.poll_write_vectored(cx, bufs);
        self.timed(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.as_ref().is_some_and(TcpStream::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner()?.poll_shutdown(cx)
    }
}

fn too_slow(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}
