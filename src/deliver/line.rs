//! A line: one slot for a kept-alive connection, owned by the task that sends over it.
//!
//! hyper's connection is driven by the same task that waits for the response. A task of its own for each connection
//! would cost two wake-ups across tasks per request.

use super::Destination;
use super::failure::Failure;
use super::request::Prepared;
use super::watch::Timer;
use super::wire::{Heard, Wire};
use crate::limits;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// One slot for a connection to a receiver.
///
/// It remembers where it is connected to, and reconnects when asked for another destination.
#[derive(Debug, Default)]
pub struct Line {
    pub(super) prepared: Option<Prepared>,
    pub(super) open: Option<Open>,
    pub(super) timer: Option<Timer>,
}

impl Line {
    /// A line that is not connected.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a connection is kept. Who waits for work then waits for [`Line::closed`] too.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Closes the kept connection, if there is one.
    pub fn close(&mut self) {
        self.open = None;
    }

    /// Resolves when the receiver closed the kept connection, or when it was unused for as long as it may be; the line
    /// is closed then. Without a connection it never resolves. May be dropped at any time without harm.
    pub async fn closed(&mut self) {
        let Some(open) = self.open.as_mut() else { return std::future::pending().await };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(open.usable_until)));
        timer.as_mut().reset(open.usable_until);
        std::future::poll_fn(|cx| {
            open.drive(cx);
            if open.is_gone() { Poll::Ready(()) } else { timer.as_mut().poll(cx) }
        })
        .await;
        self.open = None;
    }

    /// Makes the line ready for this destination: forgets what it knew of another one, and a connection that goes
    /// elsewhere or is too old.
    pub(super) fn turn_to(&mut self, destination: &Arc<Destination>, now: Instant) -> Result<(), Failure> {
        // Mostly it is the very same one: to compare all of it for each request would cost more than it may.
        let is_known =
            |known: &Prepared| Arc::ptr_eq(&known.destination, destination) || known.destination == *destination;
        if !self.prepared.as_ref().is_some_and(is_known) {
            let prepared = Prepared::new(destination)?;
            let known = self.prepared.replace(prepared);
            if known.is_none_or(|known| !known.destination.shares_connections_with(destination)) {
                self.open = None;
            }
        }
        self.open.take_if(|open| open.is_gone() || now >= open.usable_until);
        Ok(())
    }
}

/// A live connection.
pub(super) struct Open {
    sender: SendRequest<Full<Bytes>>,
    /// Gone once hyper is done with it: only its drop gives back a request that was never sent.
    connection: Option<Connection<TokioIo<Wire>, Full<Bytes>>>,
    pub(super) heard: Arc<Heard>,
    opened: Instant,
    usable_until: Instant,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open").field("opened", &self.opened).finish_non_exhaustive()
    }
}

impl Open {
    pub(super) async fn new(wire: Wire, heard: Arc<Heard>) -> hyper::Result<Self> {
        let mut builder = Builder::new();
        builder.title_case_headers(true).max_buf_size(limits::RESPONSE_HEAD_BYTES);
        let (sender, connection) = builder.handshake(TokioIo::new(wire)).await?;
        let opened = Instant::now();
        Ok(Self { sender, connection: Some(connection), heard, opened, usable_until: opened })
    }

    /// Sends a request; resolves with the response's head.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        self.heard.listen();
        let mut response = pin!(self.sender.try_send_request(request));
        std::future::poll_fn(|cx| {
            self.drive(cx);
            response.as_mut().poll(cx)
        })
        .await
    }

    /// The next part of a response's body; `None` at its end.
    pub(super) async fn next_frame(&mut self, body: &mut Incoming) -> Option<hyper::Result<Frame<Bytes>>> {
        std::future::poll_fn(|cx| {
            // The first poll tells hyper that more is wanted, so that driving the connection can bring it.
            if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
                return Poll::Ready(frame);
            }
            self.drive(cx);
            Pin::new(&mut *body).poll_frame(cx)
        })
        .await
    }

    /// After a complete response: how long the connection may stay unused, and whether it can be used at all.
    pub(super) fn keep(mut self, unused: Duration) -> Option<Self> {
        let now = Instant::now();
        let oldest = self.opened + Duration::from_secs(limits::CONNECTION_AGE_S);
        self.usable_until = oldest.min(now + unused);
        // Not ready: the receiver said that it closes, or answered before it had read the request.
        (!self.is_gone() && self.sender.is_ready() && now < self.usable_until).then_some(self)
    }

    fn is_gone(&self) -> bool {
        self.connection.is_none()
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && Pin::new(connection).poll(cx).is_ready()
        {
            // Errors reach the caller through the request or the body that they concern.
            self.connection = None;
        }
    }
}
