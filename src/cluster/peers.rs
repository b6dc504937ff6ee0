//! The nodes that make attempts for the active one, as it knows them.
//!
//! Each webhook has one node for all its attempts, the active one among them: that keeps a receiver's connections in one
//! place. Which one follows from their names alone, so that when one comes or goes only its part of the webhooks moves.

use super::link::{self, Heard, Lines, Raw, Say, ToActive, ToPeer};
use crate::catalog::Webhook;
use crate::clock::Random;
use crate::deliver::{Destination, Message, Outcome, Quiet};
use crate::limits::{PEER_JOURNAL_PATIENCE, PEER_SILENCE};
use crate::model::WebhookId;
use crate::observe::ClusterMetrics;
use crate::seal::{MasterKey, Side};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// The nodes of a cluster, as the active one knows them. See the module's documentation.
pub struct Peers {
    /// This node's own name.
    name: String,
    key: Arc<MasterKey>,
    random: Arc<dyn Random>,
    metrics: ClusterMetrics,
    there: RwLock<Vec<Arc<Peer>>>,
}

impl Peers {
    /// A node alone.
    pub fn new(name: String, key: Arc<MasterKey>, random: Arc<dyn Random>, metrics: ClusterMetrics) -> Arc<Self> {
        Arc::new(Self { name, key, random, metrics, there: RwLock::default() })
    }

    /// The node that makes this webhook's attempts; `None`: this one.
    pub fn of(&self, webhook: WebhookId) -> Option<Arc<Peer>> {
        let there = self.there.read();
        if there.is_empty() {
            return None;
        }
        let own = weight(&self.name, webhook);
        let staying = there.iter().filter(|peer| !peer.leaves.load(Ordering::Relaxed));
        let best = staying.max_by_key(|peer| weight(&peer.name, webhook))?;
        (weight(&best.name, webhook) > own).then(|| Arc::clone(best))
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.there.read().iter().map(|peer| peer.name.clone()).collect()
    }

    /// Whether there is any.
    pub fn is_alone(&self) -> bool {
        self.there.read().is_empty()
    }

    /// Makes an attempt through that node; `None` when it is gone, or does not know how, and whether anything was sent is
    /// unknown.
    pub async fn attempt(
        &self,
        peer: &Peer,
        webhook: &Arc<Webhook>,
        message: &Message,
        quiet: Quiet<'_>,
    ) -> Option<Outcome> {
        // What is asked for a second time is told once more; what is not understood then, never will be.
        for _ in 0..2 {
            let mut waits = peer.begin(self, webhook, message, quiet.after)?;
            loop {
                match (&mut waits.news).await.ok()? {
                    News::Ended(outcome) => {
                        self.metrics.attempts_given.inc();
                        return Some(*outcome);
                    }
                    News::Quiet(more) => {
                        (quiet.call)();
                        waits.news = more;
                    }
                    // It had forgotten the receiver, and is told again.
                    News::Unknown => break,
                }
            }
        }
        None
    }

    /// A node that reaches the journal, as it says itself; `None` when none says so in time.
    pub async fn who_reaches_journal(&self) -> Option<String> {
        let asked =
            self.there.read().iter().map(|peer| (peer.name.clone(), peer.ask_for_journal())).collect::<Vec<_>>();
        let until = Instant::now() + PEER_JOURNAL_PATIENCE;
        let mut answers: FuturesUnordered<_> = asked
            .into_iter()
            .map(
                |(name, answer)| async move { matches!(timeout_at(until, answer).await, Ok(Ok(true))).then_some(name) },
            )
            .collect();
        while let Some(answer) = answers.next().await {
            if answer.is_some() {
                return answer;
            }
        }
        None
    }

    /// What the other side of a handshake is shown.
    pub(super) fn proof(&self, numbers: [u64; 2]) -> String {
        self.key.peers().proof(Side::Active, numbers)
    }

    /// Keeps a link with another node until it breaks or `stop`. `handshake` is given back once the other one has shown that it
    /// holds the master key.
    pub(super) async fn keep<S>(
        self: Arc<Self>,
        stream: S,
        (name, numbers): (String, [u64; 2]),
        handshake: Option<OwnedSemaphorePermit>,
        stop: CancellationToken,
    ) where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (from, to) = tokio::io::split(stream);
        let mut heard = Heard::new(from);
        if let Err(error) = self.be_shown(&mut heard, numbers).await {
            self.metrics.turned_away.inc();
            // The other one, if it is a node, has seen before that the keys differ, and says so in its log.
            tracing::debug!(%name, %error, "who shows no knowledge of the master key is not taken in");
            return;
        }
        drop(handshake);
        let (says, said) = mpsc::unbounded_channel();
        let peer = Arc::new(Peer { name, says, leaves: AtomicBool::new(false), state: Mutex::default() });
        let _there = self.enter(&peer);
        let ended = tokio::select! {
            ended = link::write(to, said, ToPeer::Sign) => ended,
            ended = listen(&mut heard, &peer) => ended,
            () = stop.cancelled() => Ok(()),
        };
        if let Err(error) = ended {
            tracing::info!(node = peer.name, %error, "a node is gone; its webhooks are others' now");
        }
    }

    async fn be_shown(&self, heard: &mut Heard<impl AsyncRead + Unpin>, numbers: [u64; 2]) -> io::Result<()> {
        let mut is_shown = false;
        let first = heard.next(|bytes| {
            is_shown |= match postcard::from_bytes(bytes)? {
                ToActive::Proof(proof) => self.key.peers().proves(Side::Peer, numbers, proof),
                _ => false,
            };
            Ok(())
        });
        tokio::time::timeout(PEER_SILENCE, first).await??;
        if is_shown { Ok(()) } else { Err(io::Error::other("a wrong proof")) }
    }

    /// One that comes again, before its end was noticed, takes its own place.
    fn enter<'a>(&'a self, peer: &'a Arc<Peer>) -> There<'a> {
        let mut there = self.there.write();
        there.extract_if(.., |other| other.name == peer.name).for_each(|old| old.end());
        there.push(Arc::clone(peer));
        self.metrics.peers.set(there.len() as i64);
        tracing::info!(node = peer.name, nodes = there.len() + 1, "a node makes attempts too");
        There { peers: self, peer }
    }
}

/// A node is among the others until this is dropped.
struct There<'a> {
    peers: &'a Peers,
    peer: &'a Arc<Peer>,
}

impl Drop for There<'_> {
    fn drop(&mut self) {
        let mut there = self.peers.there.write();
        there.retain(|other| !Arc::ptr_eq(other, self.peer));
        self.peers.metrics.peers.set(there.len() as i64);
        drop(there);
        self.peer.end();
    }
}

impl std::fmt::Debug for Peers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peers").field("name", &self.name).field("there", &self.names()).finish_non_exhaustive()
    }
}

/// The highest of them decides. It is a good hash of both: evenly spread, and the same on every node.
fn weight(name: &str, webhook: WebhookId) -> u64 {
    let mut hasher = DefaultHasher::new();
    (name, webhook.0).hash(&mut hasher);
    hasher.finish()
}

/// Another node.
#[derive(Debug)]
pub struct Peer {
    name: String,
    says: mpsc::UnboundedSender<Said>,
    /// It is given nothing more.
    leaves: AtomicBool,
    state: Mutex<PeerState>,
}

/// What is under way at another node. As many attempts as the budget lets be in flight.
#[derive(Debug, Default)]
struct PeerState {
    last_id: u64,
    waiting: HashMap<u64, Waiting>,
    /// The receivers that it was told, and as what.
    receivers: HashMap<WebhookId, (u64, Arc<Destination>)>,
    /// Who wants to know whether it reaches the journal.
    asks_for_journal: Vec<oneshot::Sender<bool>>,
    has_ended: bool,
}

impl PeerState {
    /// By which number it knows the webhook's receiver. One that has changed is another one.
    fn known(&mut self, webhook: &Webhook) -> Option<u64> {
        let (number, known) = self.receivers.get_mut(&webhook.id)?;
        if !Arc::ptr_eq(known, &webhook.destination) {
            if *known != webhook.destination {
                return None;
            }
            // The next comparison is cheap again.
            *known = Arc::clone(&webhook.destination);
        }
        Some(*number)
    }
}

#[derive(Debug)]
struct Waiting {
    webhook: WebhookId,
    /// By this number the receiver was named.
    receiver: u64,
    news: oneshot::Sender<News>,
}

#[derive(Debug)]
enum News {
    Quiet(oneshot::Receiver<Self>),
    Ended(Box<Outcome>),
    Unknown,
}

/// An attempt that waits for what becomes of it. Dropped, nobody waits for it any more.
struct Waits<'a> {
    peer: &'a Peer,
    id: u64,
    news: oneshot::Receiver<News>,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.peer.state.lock().waiting.remove(&self.id);
    }
}

impl Peer {
    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells it of an attempt, and first of the receiver, where it does not know that.
    fn begin(
        &self,
        peers: &Peers,
        webhook: &Arc<Webhook>,
        message: &Message,
        quiet_after: Duration,
    ) -> Option<Waits<'_>> {
        let (tells, news) = oneshot::channel();
        let mut state = self.state.lock();
        if state.has_ended || self.leaves.load(Ordering::Relaxed) {
            return None;
        }
        state.last_id += 1;
        let id = state.last_id;
        let receiver = match state.known(webhook) {
            Some(number) => number,
            None => {
                state.receivers.insert(webhook.id, (id, Arc::clone(&webhook.destination)));
                let parcel = webhook.pack(&peers.key, peers.random.as_ref());
                // Under the lock: no attempt may come before the receiver that it names.
                let _ = self.says.send(Said::Receiver { number: id, webhook: webhook.id, parcel });
                id
            }
        };
        let _ = self.says.send(Said::Attempt { id, receiver, quiet_after, message: message.clone() });
        state.waiting.insert(id, Waiting { webhook: webhook.id, receiver, news: tells });
        drop(state);
        Some(Waits { peer: self, id, news })
    }

    /// Asks whether it reaches the journal. There is no answer from one that is gone.
    fn ask_for_journal(&self) -> oneshot::Receiver<bool> {
        let (tells, answer) = oneshot::channel();
        let mut state = self.state.lock();
        if !state.has_ended {
            state.asks_for_journal.push(tells);
            let _ = self.says.send(Said::Journal);
        }
        answer
    }

    /// What it says. An attempt that nobody waits for any more is nobody's business.
    fn heard(&self, message: ToActive<'_>) {
        let mut state = self.state.lock();
        match message {
            ToActive::Sign | ToActive::Proof(_) => {}
            ToActive::Leaving => {
                // Under the lock: no attempt is told of behind this.
                self.leaves.store(true, Ordering::Relaxed);
                let _ = self.says.send(Said::Farewell);
            }
            ToActive::Quiet { id } => {
                if let Some(waiting) = state.waiting.get_mut(&id) {
                    let (tells, news) = oneshot::channel();
                    let first = std::mem::replace(&mut waiting.news, tells);
                    let _ = first.send(News::Quiet(news));
                }
            }
            ToActive::Ended { id, how } => {
                let waiting = state.waiting.remove(&id);
                drop(state);
                if let Some(waiting) = waiting {
                    let _ = waiting.news.send(News::Ended(Box::new(how.into())));
                }
            }
            ToActive::Unknown { id } => {
                let Some(waiting) = state.waiting.remove(&id) else { return };
                let named = (waiting.webhook, waiting.receiver);
                if state.receivers.get(&named.0).is_some_and(|(number, _)| *number == named.1) {
                    state.receivers.remove(&named.0);
                }
                let _ = waiting.news.send(News::Unknown);
            }
            ToActive::Journal { is_reached } => {
                for asks in state.asks_for_journal.drain(..) {
                    let _ = asks.send(is_reached);
                }
            }
        }
    }

    /// Nothing more is heard of it: who waits is told so.
    fn end(&self) {
        let mut state = self.state.lock();
        state.has_ended = true;
        state.waiting.clear();
        state.asks_for_journal.clear();
    }
}

async fn listen(heard: &mut Heard<impl AsyncRead + Unpin>, peer: &Peer) -> io::Result<()> {
    loop {
        heard
            .next(|bytes| {
                peer.heard(postcard::from_bytes(bytes)?);
                Ok(())
            })
            .await?;
    }
}

#[derive(Debug)]
enum Said {
    Farewell,
    Receiver { number: u64, webhook: WebhookId, parcel: String },
    Attempt { id: u64, receiver: u64, quiet_after: Duration, message: Message },
    Journal,
}

impl Say for Said {
    fn say(&self, to: &mut Lines) {
        to.push(&match self {
            Self::Farewell => ToPeer::Farewell,
            Self::Receiver { number, webhook, parcel } => {
                ToPeer::Receiver { number: *number, webhook: webhook.0, parcel }
            }
            Self::Attempt { id, receiver, quiet_after, message } => ToPeer::Attempt {
                id: *id,
                receiver: *receiver,
                quiet_after: *quiet_after,
                unique_id: &message.unique_id,
                body: Raw(&message.body),
            },
            Self::Journal => ToPeer::Journal,
        });
    }
}
