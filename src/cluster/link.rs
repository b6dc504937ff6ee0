//! The connection between the active node and another one, and the messages on it.
//!
//! Each is its length (4 bytes, little-endian) and its postcard encoding. Both sides give a sign each second, so that the
//! loss of a machine is noticed as fast as that of a process.

use crate::deliver::Outcome;
use crate::limits::{PEER_FRAME_BYTES, PEER_SIGN_EVERY, PEER_SILENCE};
use crate::model::{Reason, Timings};
use bytes::{Buf, Bytes, BytesMut};
use serde::{Deserialize, Serialize, Serializer};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// The version of what is spoken here: nodes of different versions pass requests on, and make no attempts for each other.
pub const PROTOCOL: &str = "fanfare-link/1";

/// Messages that are written as one.
const AT_ONCE: usize = 512;

/// A buffer grows by this at least when it is read into.
const READ_BYTES: usize = 64 * 1024;

/// What the active node says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToPeer<'a> {
    /// It is there.
    Sign,
    /// It has heard that this node leaves: no attempt comes any more.
    Farewell,
    /// From now on this number means this receiver.
    Receiver {
        /// The number.
        number: u64,
        /// Of which webhook.
        webhook: u64,
        /// See [`crate::catalog::Webhook::pack`].
        parcel: &'a str,
    },
    /// Make an attempt.
    Attempt {
        /// Names it.
        id: u64,
        /// At which receiver.
        receiver: u64,
        /// After which silence word is wanted.
        quiet_after: Duration,
        /// See [`crate::deliver::Message`].
        unique_id: &'a str,
        /// See [`crate::deliver::Message`].
        body: Raw<'a>,
    },
    /// Say whether the journal is within reach.
    Journal,
}

/// What another node says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToActive<'a> {
    /// It is there.
    Sign,
    /// It is about to leave: what it has begun may end, and nothing more is to be begun here.
    Leaving,
    /// By this it shows that it holds the master key: the first message.
    Proof(&'a str),
    /// No receiver has the number that the attempt named: it was not made.
    Unknown {
        /// Which attempt.
        id: u64,
    },
    /// The receiver was silent for the quiet time.
    Quiet {
        /// In which attempt.
        id: u64,
    },
    /// An attempt ended.
    Ended {
        /// Which.
        id: u64,
        /// How.
        #[serde(borrow)]
        how: Ended<'a>,
    },
    /// Whether the journal is within this node's reach.
    Journal {
        /// It is.
        is_reached: bool,
    },
}

/// An [`Outcome`], borrowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended<'a> {
    status: u16,
    reason: Reason,
    detail: &'a str,
    retry_after: Option<Duration>,
    timings: Timings,
    request_headers: &'a str,
    request_body: Option<Raw<'a>>,
    response_headers: &'a str,
    response_body: Raw<'a>,
    response_cut: bool,
}

impl<'a> From<&'a Outcome> for Ended<'a> {
    fn from(outcome: &'a Outcome) -> Self {
        Self {
            status: outcome.status,
            reason: outcome.reason,
            detail: &outcome.detail,
            retry_after: outcome.retry_after,
            timings: outcome.timings,
            request_headers: &outcome.request_headers,
            request_body: outcome.request_body.as_deref().map(Raw),
            response_headers: &outcome.response_headers,
            response_body: Raw(&outcome.response_body),
            response_cut: outcome.response_cut,
        }
    }
}

impl From<Ended<'_>> for Outcome {
    fn from(ended: Ended<'_>) -> Self {
        Self {
            status: ended.status,
            reason: ended.reason,
            detail: ended.detail.to_owned(),
            retry_after: ended.retry_after,
            timings: ended.timings,
            request_headers: ended.request_headers.to_owned(),
            request_body: ended.request_body.map(|body| Bytes::copy_from_slice(body.0)),
            response_headers: ended.response_headers.to_owned(),
            response_body: Bytes::copy_from_slice(ended.response_body.0),
            response_cut: ended.response_cut,
        }
    }
}

/// Bytes that are written in one go, not one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Raw<'a>(pub &'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// What has a borrowed form for the link.
pub trait Say: Send + 'static {
    /// Writes its messages behind what is there.
    fn say(&self, to: &mut Lines);
}

/// Messages, encoded one behind the other.
#[derive(Debug, Default)]
pub struct Lines(Vec<u8>);

impl Lines {
    /// Adds one.
    pub fn push(&mut self, message: &impl Serialize) {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        let encoded = postcard::to_extend(message, std::mem::take(&mut self.0));
        // Writing to memory does not fail, and there is nothing in a message that has no encoding.
        let Ok(encoded) = encoded else { return };
        self.0 = encoded;
        let length = (self.0.len() - start - 4) as u32;
        self.0[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }
}

/// Writes what is said, as much at once as there is, and a sign each second, until the link breaks or nobody says anything
/// any more.
pub async fn write<S: Say>(
    mut to: impl AsyncWrite + Unpin,
    mut said: mpsc::UnboundedReceiver<S>,
    sign: impl Serialize,
) -> io::Result<()> {
    let mut lines = Lines::default();
    let mut taken = Vec::with_capacity(AT_ONCE);
    let mut signs = tokio::time::interval(PEER_SIGN_EVERY);
    loop {
        tokio::select! {
            count = said.recv_many(&mut taken, AT_ONCE) => match count {
                0 => return Ok(()),
                _ => taken.drain(..).for_each(|message| message.say(&mut lines)),
            },
            _ = signs.tick() => lines.push(&sign),
        }
        // Without a bound a link that takes nothing would be waited for, and no sign given.
        tokio::time::timeout(PEER_SILENCE, to.write_all(&lines.0)).await??;
        lines.0.clear();
        lines.0.shrink_to(PEER_FRAME_BYTES);
    }
}

/// What comes over the link.
#[derive(Debug)]
pub struct Heard<R> {
    from: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Heard<R> {
    /// Nothing yet.
    pub fn new(from: R) -> Self {
        Self { from, buffer: BytesMut::with_capacity(READ_BYTES) }
    }

    /// Hands everything that has come to `each`, in order, as soon as there is a message.
    ///
    /// # Errors
    /// The link broke, was silent, or brings what is no message.
    pub async fn next(&mut self, mut each: impl FnMut(&[u8]) -> Result<(), postcard::Error>) -> io::Result<()> {
        loop {
            let mut any = false;
            while let Some(length) = self.whole()? {
                self.buffer.advance(4);
                each(&self.buffer[..length]).map_err(io::Error::other)?;
                self.buffer.advance(length);
                any = true;
            }
            if any {
                return Ok(());
            }
            self.buffer.reserve(READ_BYTES);
            if tokio::time::timeout(PEER_SILENCE, self.from.read_buf(&mut self.buffer)).await?? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The length of the message in front, if all of it has come.
    fn whole(&self) -> io::Result<Option<usize>> {
        let Some(head) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*head) as usize;
        if length > PEER_FRAME_BYTES {
            return Err(io::Error::other("a message that is too long"));
        }
        Ok((self.buffer.len() >= 4 + length).then_some(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Text(String);

    impl Say for Text {
        fn say(&self, to: &mut Lines) {
            to.push(&ToActive::Proof(&self.0));
        }
    }

    #[tokio::test]
    async fn messages_arrive_whole_and_in_order_however_they_are_cut() {
        let texts: Vec<String> = (0..200).map(|n| "x".repeat(n * 37)).collect();
        let (here, there) = tokio::io::duplex(1000);
        let (says, said) = mpsc::unbounded_channel();
        texts.iter().for_each(|text| says.send(Text(text.clone())).unwrap());
        drop(says);
        let writing = tokio::spawn(write(here, said, ToActive::Sign));
        let (mut heard, mut got) = (Heard::new(there), Vec::new());
        let each = |bytes: &[u8], got: &mut Vec<String>| {
            if let ToActive::Proof(text) = postcard::from_bytes(bytes)? {
                got.push(text.to_owned());
            }
            Ok(())
        };
        while heard.next(|bytes| each(bytes, &mut got)).await.is_ok() {}
        writing.await.unwrap().unwrap();
        assert_eq!(got, texts);
    }

    #[tokio::test]
    async fn nonsense_and_what_is_too_long_end_the_link() {
        for bytes in [&[255, 255, 255, 255][..], &[1, 0, 0, 0, 250]] {
            let mut heard = Heard::new(bytes);
            let error = heard.next(|bytes| postcard::from_bytes::<ToPeer<'_>>(bytes).map(drop)).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Other, "{error}");
        }
    }

    #[test]
    fn an_outcome_is_the_same_on_the_other_side() {
        let outcome = Outcome {
            status: 503,
            reason: Reason::ServerError,
            detail: String::from("why"),
            retry_after: Some(Duration::from_millis(1500)),
            timings: Timings { dns_us: Some(1), total_us: 2, ..Timings::default() },
            request_headers: String::from("A: b\r\n"),
            request_body: Some(Bytes::from_static(b"\0\xff")),
            response_headers: String::from("C: d\r\n"),
            response_body: Bytes::from_static(b"\xff\0"),
            response_cut: true,
        };
        let mut lines = Lines::default();
        lines.push(&ToActive::Ended { id: 7, how: Ended::from(&outcome) });
        let Ok(ToActive::Ended { id: 7, how }) = postcard::from_bytes(&lines.0[4..]) else { panic!("another message") };
        assert_eq!(Outcome::from(how), outcome);
    }
}
