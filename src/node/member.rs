//! A node of a cluster: stands beside the active one and helps it, and goes on in its place when it ends.
//!
//! Who is active holds a lock of the database's for as long as its connection lives and it gives a sign on it. That makes
//! two at once unlikely, no more: what makes it harmless are the journal, which takes from the newest writer only, and the
//! store, which ends the connections of a node that was replaced.

use super::reach::Reach;
use super::{Node, STOP_RESERVE, System, bounds, client, cut_off, master_key};
use crate::cluster::{self, Active, Assistant, Entrance, Forwarder, Peers, ReachesJournal, Role, Serving};
use crate::config::Settings;
use crate::deliver::Courier;
use crate::http;
use crate::limits::{PEER_HANDSHAKES, PEER_SILENCE};
use crate::observe::{self, Metrics};
use crate::seal::MasterKey;
use crate::store::db::PostgresServer;
use crate::store::{Again, Candidate, Hold, Place, StoreError, Turn};
use anyhow::Context;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// How often a node looks whether it is its turn, and an active one gives its sign.
const EVERY: Duration = Duration::from_millis(250);

/// When PostgreSQL is back after it was away, the node that was active has this long to take its hold again before another
/// one tries.
const HEAD_START: Duration = Duration::from_secs(2);

/// How long a node that was replaced gives to what it is asked: for the answers that are ready, no longer. The sooner it is
/// started again, the sooner it stands beside the one that has taken its place.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// How long a node that ends looks for the one that goes on in its place.
const SUCCESSION: Duration = Duration::from_secs(5);

/// What a node among others has besides what one alone has.
pub(super) struct AmongOthers {
    /// Who makes its attempts.
    pub(super) peers: Arc<Peers>,
    /// Cancelled when another node has taken this one's place.
    pub(super) replaced: CancellationToken,
}

/// A node's time as the active one.
#[derive(Debug, Clone, Default)]
struct Tenure {
    /// Cancelled when the next one may go on.
    ends: CancellationToken,
    /// Cancelled when the next one does, and what is under way here is its own to make again.
    replaced: CancellationToken,
}

impl Tenure {
    /// Leaves everything to the next one, as it is.
    fn give_up(&self) {
        self.ends.cancel();
        self.replaced.cancel();
    }
}

/// What came of looking whose turn it is.
enum Look {
    /// There is a connection again.
    Connected(Candidate),
    /// The store was asked.
    Asked(Turn),
}

/// A node of a cluster. See the module's documentation.
pub(super) struct Member<'a> {
    settings: &'a Settings,
    system: &'a System,
    server: PostgresServer,
    /// Where other nodes reach this one.
    address: String,
    key: Arc<MasterKey>,
    courier: Arc<dyn Courier>,
    metrics: Arc<Metrics>,
    role: watch::Sender<Role>,
    reach: Arc<Reach>,
    reaches_journal: ReachesJournal,
}

impl<'a> Member<'a> {
    /// A node that listens there.
    ///
    /// # Errors
    /// The settings, or the master key, cannot be used.
    pub(super) fn new(
        settings: &'a Settings,
        system: &'a System,
        (place, server): (Place, PostgresServer),
        listens: SocketAddr,
    ) -> anyhow::Result<Self> {
        let address = match &settings.node_address {
            Some(address) => address.clone(),
            None if !listens.ip().is_unspecified() => listens.to_string(),
            None => {
                let ip = server
                    .own_address()
                    .context("it cannot be told where other nodes reach this one: set node_address")?;
                SocketAddr::new(ip, listens.port()).to_string()
            }
        };
        Ok(Self {
            settings,
            system,
            address,
            key: Arc::new(master_key(settings, &place)?),
            server,
            courier: Arc::new(client(settings, system)?),
            metrics: Arc::default(),
            role: watch::Sender::new(Role::Waiting),
            reach: Arc::default(),
            reaches_journal: cut_off::probe(settings),
        })
    }

    /// Serves until `stop`, in whatever role. `started` is called once requests are served.
    ///
    /// # Errors
    /// What prevents it from starting, or from going on.
    pub(super) async fn serve(
        &self,
        listener: TcpListener,
        stop: CancellationToken,
        started: impl FnOnce() + Send,
    ) -> anyhow::Result<()> {
        let stop_serving = CancellationToken::new();
        let (router, limits, metrics) = (self.router(), bounds(self.settings), self.metrics.http.clone());
        let serving = tokio::spawn(http::serve(listener, router, limits, metrics, stop_serving.clone()));
        let ended = self.take_part(&stop, started).await;
        self.role.send_if_modified(|role| {
            let has_successor = matches!(role, Role::Beside(_));
            if !has_successor {
                *role = Role::Ending;
            }
            !has_successor
        });
        stop_serving.cancel();
        let _ = serving.await;
        ended
    }

    fn router(&self) -> axum::Router {
        let (role, reach) = (self.role.subscribe(), Arc::clone(&self.reach));
        let ready = move || match &*role.borrow() {
            Role::Ending => Err(String::from("this node ends")),
            _ if reach.is_ready() => Ok(()),
            Role::Beside(node) => Err(format!("the active node does not answer at {node}")),
            Role::Waiting | Role::Active(_) => Err(String::from("no node is active yet")),
        };
        let serving = Serving {
            role: self.role.subscribe(),
            forwarder: Forwarder::new(Arc::clone(&self.key), Arc::clone(&self.system.clock)),
            key: Arc::clone(&self.key),
            clock: Arc::clone(&self.system.clock),
            metrics: self.metrics.cluster.clone(),
        };
        cluster::router(serving, observe::router(Arc::clone(&self.metrics), ready, |_| std::future::ready(())))
    }

    async fn take_part(&self, stop: &CancellationToken, started: impl FnOnce() + Send) -> anyhow::Result<()> {
        let mut started = Some(started);
        let mut start = || started.take().into_iter().for_each(|started| started());
        let Some(hold) = self.stand_beside(stop, &mut start).await? else { return Ok(()) };
        let (place, tenure) = (hold.place(), Tenure::default());
        let holding = tokio::spawn(keep(hold, self.address.clone(), tenure.clone()));
        let had_peers = self.be_active(&place, (stop, &tenure), &mut start).await;
        // The next one may go on only now.
        tenure.ends.cancel();
        let _ = holding.await;
        if had_peers? {
            self.find_successor().await;
        }
        Ok(())
    }

    /// Helps the active node until it is this one's turn; `None` when it is to stop first.
    ///
    /// # Errors
    /// The store's, when it cannot be asked at the start.
    async fn stand_beside(
        &self,
        stop: &CancellationToken,
        start: &mut (impl FnMut() + Send),
    ) -> anyhow::Result<Option<Hold>> {
        let leave = CancellationToken::new();
        let mut link: Option<(Arc<str>, AbortOnDropHandle<()>)> = None;
        let mut look = Ok(Look::Asked(self.ask(self.candidate().await?).await?));
        let mut is_told = false;
        loop {
            let (candidate, pause) = match look {
                Ok(Look::Asked(Turn::Taken(hold))) => {
                    self.role.send_replace(Role::Waiting);
                    self.reach.set(false);
                    tracing::info!(address = self.address, "it is this node's turn");
                    return Ok(Some(hold));
                }
                Ok(Look::Asked(Turn::Others(candidate, at))) => {
                    is_told = false;
                    if let Some(at) = at.filter(|at| link.as_ref().is_none_or(|(to, _)| **to != *at)) {
                        let at: Arc<str> = at.into();
                        tracing::info!(active = %at, "another node is active; this one stands beside it");
                        self.role.send_replace(Role::Beside(Arc::clone(&at)));
                        link = Some((Arc::clone(&at), self.assist(at, leave.clone())));
                        start();
                    }
                    (Some(candidate), EVERY)
                }
                Ok(Look::Connected(candidate)) => (Some(candidate), HEAD_START),
                Err(error) => {
                    if !is_told {
                        is_told = true;
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, "the store cannot be asked whose turn it is");
                    }
                    (None, EVERY)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {
                    leave.cancel();
                    if let Some((_, link)) = link {
                        // What has not ended by then is made again by somebody else.
                        let _ = tokio::time::timeout(self.settings.stop_timeout, link).await;
                    }
                    return Ok(None);
                }
            }
            look = self.look(candidate).await;
        }
    }

    /// Asks whose turn it is; without a connection it makes one first.
    async fn look(&self, candidate: Option<Candidate>) -> Result<Look, StoreError> {
        Ok(match candidate {
            Some(candidate) => Look::Asked(self.ask(candidate).await?),
            None => Look::Connected(self.candidate().await?),
        })
    }

    async fn candidate(&self) -> Result<Candidate, StoreError> {
        let server = self.server.clone();
        blocking(move || Candidate::connect(&server)).await
    }

    /// Tries to take the hold.
    async fn ask(&self, candidate: Candidate) -> Result<Turn, StoreError> {
        let address = self.address.clone();
        blocking(move || candidate.try_take(&address)).await
    }

    /// Makes attempts for the active node, over one link after the other, until it is to leave.
    fn assist(&self, active: Arc<str>, leave: CancellationToken) -> AbortOnDropHandle<()> {
        let assistant = Assistant {
            key: Arc::clone(&self.key),
            courier: Arc::clone(&self.courier),
            idle: self.settings.dispatch.concurrency_total,
            reaches_journal: Arc::clone(&self.reaches_journal),
            metrics: self.metrics.cluster.clone(),
        };
        let (name, random, reach) = (self.address.clone(), Arc::clone(&self.system.random), Arc::clone(&self.reach));
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut told = String::new();
            while !leave.is_cancelled() {
                let entering = cluster::enter(&active, &name, assistant.key.peers(), random.as_ref());
                let entering = leave.run_until_cancelled(tokio::time::timeout(PEER_SILENCE, entering)).await;
                let ended = match entering {
                    None => return,
                    Some(Ok(Ok(entered))) => {
                        reach.set(true);
                        told.clear();
                        tracing::info!(%active, "this node makes attempts for the active one");
                        assistant.serve(entered.stream, entered.proof, &leave).await
                    }
                    Some(Ok(Err(error))) => Err(error),
                    Some(Err(elapsed)) => Err(elapsed.into()),
                };
                let Err(error) = ended else { continue };
                // One of another version passes requests on all the same.
                reach.set(error.kind() == io::ErrorKind::Unsupported);
                if told != error.to_string() {
                    told = error.to_string();
                    tracing::info!(%active, %error, "this node makes no attempts for the active one");
                }
                tokio::time::sleep(EVERY).await;
            }
        }))
    }

    /// Is the active node until `stop`, or until another one has taken its place. Whether there were others.
    async fn be_active(
        &self,
        place: &Place,
        (stop, tenure): (&CancellationToken, &Tenure),
        start: &mut (impl FnMut() + Send),
    ) -> anyhow::Result<bool> {
        let random = Arc::clone(&self.system.random);
        let peers = Peers::new(self.address.clone(), Arc::clone(&self.key), random, self.metrics.cluster.clone());
        let (courier, metrics) = (Arc::clone(&self.courier), Arc::clone(&self.metrics));
        let among_others = AmongOthers { peers: Arc::clone(&peers), replaced: tenure.replaced.clone() };
        let node = Node::open((self.settings, self.system), place, courier, metrics, Some(among_others)).await?;
        // Both end later than what is asked of this node: others are to find it answering to its end.
        let (ends, links_end) = (stop.child_token(), CancellationToken::new());
        let _links_end = links_end.clone().drop_guard();
        let handshakes = Arc::new(Semaphore::new(PEER_HANDSHAKES));
        let entrance = Entrance {
            handshakes,
            peers: Arc::clone(&peers),
            random: Arc::clone(&self.system.random),
            stop: links_end,
        };
        let under_way = TaskTracker::new();
        let router = node.router(self.settings, self.system, &ends);
        let end = node.stop_when_it_cannot_go_on(&ends);
        let tasks = node.start(self.settings, self.system, &ends)?;
        self.metrics.cluster.active.set(1);
        let active = Active { router, entrance: Arc::new(entrance), under_way: under_way.clone() };
        self.role.send_replace(Role::Active(active));
        start();
        tokio::select! {
            () = ends.cancelled() => {}
            name = cut_off::another_reaches(&*node.journal, &peers, &self.reaches_journal) => {
                tracing::error!(node = name, "this node does not reach the journal, and another one does: it goes on");
                tenure.give_up();
                ends.cancelled().await;
            }
        }
        // What comes from now on waits for the next one.
        self.role.send_replace(Role::Waiting);
        self.metrics.cluster.active.set(0);
        under_way.close();
        let patience = if end.is_replaced() { LAST_ANSWERS } else { self.settings.stop_timeout };
        if tokio::time::timeout(patience, under_way.wait()).await.is_err() {
            tracing::warn!(requests = under_way.len(), "requests are still in flight: the time to stop is over");
        }
        let had_peers = !peers.is_alone();
        tasks.end().await;
        node.close(patience.saturating_sub(STOP_RESERVE)).await;
        end.verdict()?;
        Ok(had_peers)
    }

    /// Learns who goes on, so that what waits here can be passed on.
    async fn find_successor(&self) {
        let until = Instant::now() + SUCCESSION;
        while Instant::now() < until {
            if let Ok(candidate) = self.candidate().await
                && let Ok(Some(at)) = blocking(move || candidate.who()).await
            {
                tracing::info!(active = at, "another node goes on");
                self.role.send_replace(Role::Beside(at.into()));
                return;
            }
            tokio::time::sleep(EVERY).await;
        }
        tracing::warn!("no other node goes on");
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Gives signs that this node is there. One that lost its hold, because the server was restarted, takes it again, unless another
/// node had it since.
async fn keep(mut hold: Hold, address: String, tenure: Tenure) {
    let mut is_told = false;
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = tenure.ends.cancelled() => return,
        }
        let address = address.clone();
        let kept = tokio::task::spawn_blocking(move || {
            let Err(error) = hold.sign() else { return Some((hold, None)) };
            match hold.take_again(&address) {
                Ok(Again::Taken(again)) => Some((again, None)),
                Ok(Again::Replaced) => None,
                Ok(Again::NotYet) | Err(_) => Some((hold, Some(error))),
            }
        });
        let Ok(kept) = kept.await else { return };
        let Some((again, error)) = kept else {
            tracing::error!("another node has taken this one's place");
            tenure.replaced.cancel();
            return;
        };
        hold = again;
        match error {
            Some(error) if !is_told => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the store does not know that this node is active");
                is_told = true;
            }
            None if is_told => {
                tracing::info!("the store knows again that this node is active");
                is_told = false;
            }
            _ => {}
        }
    }
}
