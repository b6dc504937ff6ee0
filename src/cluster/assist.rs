//! Makes attempts for the active node, and keeps the connections to receivers that this takes.

use super::link::{self, Ended, Heard, Lines, Say, ToActive, ToPeer};
use crate::catalog::Webhook;
use crate::deliver::{Courier, Destination, Line, Message, Outcome, Quiet};
use crate::limits::{PEER_RECEIVER_UNUSED, PEER_SIGN_EVERY};
use crate::model::WebhookId;
use crate::observe::ClusterMetrics;
use crate::seal::MasterKey;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// From the end of the last attempt to the end of the link: for what is said of it.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// What making attempts takes.
#[derive(Clone)]
pub struct Assistant {
    /// Opens what comes sealed.
    pub key: Arc<MasterKey>,
    /// Makes the requests.
    pub courier: Arc<dyn Courier>,
    /// Connections without a request that are kept at most.
    pub idle: usize,
    /// Looks whether this node reaches the journal. Blocking.
    pub reaches_journal: ReachesJournal,
    /// What is counted.
    pub metrics: ClusterMetrics,
}

/// Whether a node reaches the journal.
pub type ReachesJournal = Arc<dyn Fn() -> bool + Send + Sync>;

/// One link's worth of work.
struct Work {
    parts: Assistant,
    says: mpsc::UnboundedSender<Said>,
    idle: AtomicUsize,
    /// A token for each attempt.
    under_way: TaskTracker,
    /// The active node gives no more attempts.
    farewell: CancellationToken,
    /// The link is over: so is everything that was done for it.
    over: CancellationToken,
}

/// A receiver that the active node has named.
struct Receiver {
    destination: Arc<Destination>,
    /// Tasks that hold an open connection and no attempt, the longest idle first.
    parked: Mutex<Vec<oneshot::Sender<Attempt>>>,
    used: Mutex<Instant>,
}

struct Attempt {
    id: u64,
    quiet_after: Duration,
    message: Message,
    /// Held until it is said how it ended.
    _under_way: TaskTrackerToken,
}

enum Said {
    Leaving,
    Proof(String),
    Quiet(u64),
    Unknown(u64),
    Ended(u64, Outcome),
    Journal(bool),
}

impl Say for Said {
    fn say(&self, to: &mut Lines) {
        to.push(&match self {
            Self::Leaving => ToActive::Leaving,
            Self::Proof(proof) => ToActive::Proof(proof),
            Self::Quiet(id) => ToActive::Quiet { id: *id },
            Self::Unknown(id) => ToActive::Unknown { id: *id },
            Self::Ended(id, outcome) => ToActive::Ended { id: *id, how: Ended::from(outcome) },
            Self::Journal(is_reached) => ToActive::Journal { is_reached: *is_reached },
        });
    }
}

impl Assistant {
    /// Does what the active node says over this link, until the link breaks or this is dropped. What is under way then is
    /// broken off: the active node, or the next one, makes these attempts again. After `leave` nothing more is begun, and what is
    /// under way ends first.
    ///
    /// # Errors
    /// Why the link broke.
    pub async fn serve<S>(&self, stream: S, proof: String, leave: &CancellationToken) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (from, to) = tokio::io::split(stream);
        let (says, said) = mpsc::unbounded_channel();
        let over = CancellationToken::new();
        let _over = over.clone().drop_guard();
        let _ = says.send(Said::Proof(proof));
        let (parts, tasks) = (self.clone(), TaskTracker::new());
        let farewell = CancellationToken::new();
        let work = Arc::new(Work { parts, says, idle: AtomicUsize::new(0), under_way: tasks, farewell, over });
        tokio::select! {
            ended = link::write(to, said, ToActive::Sign) => ended,
            ended = work.listen(Heard::new(from)) => ended,
            () = work.leave(leave) => Ok(()),
        }
    }
}

impl Work {
    /// Resolves when it may leave after it was told to.
    async fn leave(&self, leave: &CancellationToken) {
        leave.cancelled().await;
        self.say(Said::Leaving);
        self.farewell.cancelled().await;
        self.under_way.close();
        self.under_way.wait().await;
        // What the last ones met is written after this.
        tokio::time::sleep(LAST_WORDS).await;
    }

    async fn listen(self: &Arc<Self>, mut heard: Heard<impl AsyncRead + Unpin>) -> io::Result<()> {
        let mut receivers = HashMap::new();
        let mut swept = Instant::now();
        loop {
            heard
                .next(|bytes| {
                    self.heard(postcard::from_bytes(bytes)?, &mut receivers);
                    Ok(())
                })
                .await?;
            // The active node's signs see to it that this point is reached.
            if swept.elapsed() >= PEER_SIGN_EVERY {
                swept = Instant::now();
                receivers.retain(|_, receiver: &mut Arc<Receiver>| receiver.is_wanted(swept));
            }
        }
    }

    fn heard(self: &Arc<Self>, message: ToPeer<'_>, receivers: &mut HashMap<u64, Arc<Receiver>>) {
        match message {
            ToPeer::Sign => {}
            ToPeer::Farewell => self.farewell.cancel(),
            ToPeer::Receiver { number, webhook, parcel } => {
                match Webhook::unpack(WebhookId(webhook), parcel, &self.parts.key) {
                    Ok(destination) => drop(receivers.insert(number, Arc::new(Receiver::new(destination)))),
                    Err(error) => tracing::error!(webhook, %error, "what the active node says of a webhook"),
                }
            }
            ToPeer::Attempt { id, receiver, quiet_after, unique_id, body } => {
                let message = Message { unique_id: unique_id.to_owned(), body: Bytes::copy_from_slice(body.0) };
                match receivers.get(&receiver) {
                    Some(receiver) => {
                        let _under_way = self.under_way.token();
                        self.employ(receiver, Attempt { id, quiet_after, message, _under_way });
                    }
                    None => self.say(Said::Unknown(id)),
                }
            }
            ToPeer::Journal => {
                let work = Arc::clone(self);
                tokio::task::spawn_blocking(move || work.say(Said::Journal((work.parts.reaches_journal)())));
            }
        }
    }

    /// A parked task has a connection open; the one that parked last most likely still.
    fn employ(self: &Arc<Self>, receiver: &Arc<Receiver>, attempt: Attempt) {
        let mut parked = receiver.parked.lock();
        *receiver.used.lock() = Instant::now();
        let mut attempt = attempt;
        while let Some(task) = parked.pop() {
            match task.send(attempt) {
                Ok(()) => return,
                Err(unsent) => attempt = unsent,
            }
        }
        drop(parked);
        let (work, receiver) = (Arc::clone(self), Arc::clone(receiver));
        tokio::spawn(async move {
            let over = work.over.clone();
            over.run_until_cancelled(work.run(&receiver, attempt)).await;
        });
    }

    /// Makes one attempt after the other as long as a connection is open.
    async fn run(&self, receiver: &Receiver, first: Attempt) {
        let mut line = Line::new();
        let mut next = Some(first);
        while let Some(attempt) = next {
            let outcome = self.attempt(&mut line, receiver, &attempt).await;
            // Parked before it is known that the attempt has ended: the next one finds the connection.
            let place = if line.is_open() { self.park(receiver) } else { None };
            self.parts.metrics.attempts_made.inc();
            self.say(Said::Ended(attempt.id, outcome));
            drop(attempt);
            next = match place {
                Some(place) => self.parked(&mut line, place).await,
                None => None,
            };
        }
    }

    async fn attempt(&self, line: &mut Line, receiver: &Receiver, attempt: &Attempt) -> Outcome {
        let mut went_quiet = || self.say(Said::Quiet(attempt.id));
        let quiet = Quiet { after: attempt.quiet_after, call: &mut went_quiet };
        self.parts.courier.attempt(line, &receiver.destination, &attempt.message, quiet).await
    }

    /// A place for the next attempt, unless too many wait for one.
    fn park(&self, receiver: &Receiver) -> Option<oneshot::Receiver<Attempt>> {
        if self.idle.fetch_add(1, Ordering::Relaxed) >= self.parts.idle {
            self.idle.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let (gives, next) = oneshot::channel();
        let mut parked = receiver.parked.lock();
        parked.retain(|task| !task.is_closed());
        parked.push(gives);
        Some(next)
    }

    /// Waits for an attempt as long as the connection is worth keeping.
    async fn parked(&self, line: &mut Line, mut next: oneshot::Receiver<Attempt>) -> Option<Attempt> {
        let given = tokio::select! {
            given = &mut next => given.ok(),
            () = line.closed() => {
                next.close();
                next.try_recv().ok()
            }
        };
        self.idle.fetch_sub(1, Ordering::Relaxed);
        given
    }

    /// A link that is over hears nothing, and needs not.
    fn say(&self, said: Said) {
        let _ = self.says.send(said);
    }
}

impl Receiver {
    fn new(destination: Destination) -> Self {
        Self { destination: Arc::new(destination), parked: Mutex::default(), used: Mutex::new(Instant::now()) }
    }

    /// Whether it was of use lately. The active node tells of it again when it is asked for later.
    fn is_wanted(&self, now: Instant) -> bool {
        now.duration_since(*self.used.lock()) < PEER_RECEIVER_UNUSED
    }
}
