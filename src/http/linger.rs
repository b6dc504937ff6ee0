//! A connection that is closed while its client still sends: the client is to hear the answer first.
//!
//! Closing a connection with bytes unread resets it, and the reset overtakes the answer (413, 401): the client sees a broken
//! connection, and sends the same again and again instead of giving it up.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How much is read of what nobody wants, and for how long.
const UNWANTED_BYTES: usize = 16 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(2);

/// What is left of a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Rest(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// The socket, when it was closed as far as HTTP is concerned.
    socket: Mutex<Option<TcpStream>>,
    /// The last request's body was not read to its end.
    is_unread: AtomicBool,
}

impl Rest {
    pub(super) fn body_begins(&self) {
        self.0.is_unread.store(false, Ordering::Relaxed);
    }

    pub(super) fn body_is_left(&self) {
        self.0.is_unread.store(true, Ordering::Relaxed);
    }

    pub(super) fn socket_is_left(&self, socket: TcpStream) {
        *self.0.socket.lock() = Some(socket);
    }

    /// Closes the socket: behind what its client is still sending, within bounds.
    pub(super) async fn close(self) {
        let socket = self.0.socket.lock().take();
        let Some(mut socket) = socket.filter(|_| self.0.is_unread.load(Ordering::Relaxed)) else { return };
        let reading = async {
            let mut unwanted = vec![0; 64 * 1024];
            let mut bytes = 0;
            // The client sees the end of the answer, and closes its side.
            let _ = socket.shutdown().await;
            while bytes < UNWANTED_BYTES
                && let Ok(more @ 1..) = socket.read(&mut unwanted).await
            {
                bytes += more;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, reading).await;
    }
}
