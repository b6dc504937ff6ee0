//! The active node's side of a link and the other one's, with a stream between them and no network.

use super::{Assistant, Peers, ReachesJournal};
use crate::catalog::{Webhook, parcels};
use crate::clock::SeededRandom;
use crate::deliver::{Courier, Destination, Line, Message, Outcome, Quiet};
use crate::limits::PEER_RECEIVER_UNUSED;
use crate::model::{Keys, Reason, Timings, WebhookId};
use crate::observe::Metrics;
use crate::seal::Side;
use bytes::Bytes;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

const NUMBERS: [u64; 2] = [1, 2];

/// Answers with what it was asked to send, and where to.
#[derive(Default)]
struct Echo {
    /// Waits for this before it answers a body "quiet".
    goes_on: Notify,
    asked: AtomicUsize,
}

impl Courier for Echo {
    fn attempt<'a>(
        &'a self,
        _: &'a mut Line,
        destination: &'a Arc<Destination>,
        message: &'a Message,
        quiet: Quiet<'a>,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if *message.body == *b"quiet" {
                (quiet.call)();
                self.goes_on.notified().await;
            }
            Outcome {
                status: 200,
                reason: Reason::Accepted,
                detail: destination.endpoint.host.clone(),
                retry_after: None,
                timings: Timings::default(),
                request_headers: message.unique_id.clone(),
                request_body: None,
                response_headers: String::new(),
                response_body: message.body.clone(),
                response_cut: false,
            }
        })
    }
}

fn active() -> Arc<Peers> {
    let random = Arc::new(SeededRandom::new(1));
    Peers::new(String::from("active"), Arc::new(parcels::key(1)), random, Metrics::new().cluster)
}

/// Links another node, whose master key is made of this byte, until what is returned is dropped.
fn link(peers: &Arc<Peers>, name: &str, key: u8, courier: Arc<Echo>) -> [AbortOnDropHandle<()>; 2] {
    link_until(peers, name, (key, courier), CancellationToken::new())
}

/// The same, which leaves when it is told to.
fn link_until(
    peers: &Arc<Peers>,
    name: &str,
    (key, courier): (u8, Arc<Echo>),
    leave: CancellationToken,
) -> [AbortOnDropHandle<()>; 2] {
    let key = Arc::new(parcels::key(key));
    let proof = key.peers().proof(Side::Peer, NUMBERS);
    let (here, there) = tokio::io::duplex(256);
    let is_near = name.ends_with("near");
    let reaches_journal: ReachesJournal = Arc::new(move || is_near);
    let assistant = Assistant { key, courier, idle: 10, reaches_journal, metrics: Metrics::new().cluster };
    let keeping = Arc::clone(peers).keep(here, (name.to_owned(), NUMBERS), None, CancellationToken::new());
    [
        AbortOnDropHandle::new(tokio::spawn(keeping)),
        AbortOnDropHandle::new(tokio::spawn(async move { drop(assistant.serve(there, proof, &leave).await) })),
    ]
}

async fn until(ready: impl Fn() -> bool) {
    while !ready() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn webhook(id: u64, url: &str) -> Arc<Webhook> {
    let keys = Keys { signing_key: None, old_signing_key: None, old_secret: None };
    Arc::new(parcels::webhook(id, parcels::plain(url), keys))
}

/// A webhook that is the other node's.
fn others(peers: &Peers, url: &str) -> Arc<Webhook> {
    (0..).map(|id| webhook(id, url)).find(|webhook| peers.of(webhook.id).is_some()).unwrap()
}

async fn send(
    peers: &Peers,
    webhook: &Arc<Webhook>,
    body: &'static str,
    mut quiet: impl FnMut() + Send,
) -> Option<Outcome> {
    let message = Message { unique_id: String::from("id"), body: Bytes::from_static(body.as_bytes()) };
    let peer = peers.of(webhook.id)?;
    let quiet = Quiet { after: Duration::from_secs(2), call: &mut quiet };
    peers.attempt(&peer, webhook, &message, quiet).await
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_made_elsewhere_as_it_would_be_here() {
    let (peers, echo) = (active(), Arc::new(Echo::default()));
    let _link = link(&peers, "other", 1, Arc::clone(&echo));
    until(|| !peers.is_alone()).await;
    let webhook = others(&peers, "http://one.example/");
    let outcome = send(&peers, &webhook, "hello", || panic!("it is not quiet")).await.unwrap();
    assert_eq!((outcome.detail.as_str(), outcome.request_headers.as_str()), ("one.example", "id"));
    assert_eq!(outcome.response_body, Bytes::from_static(b"hello"));
    let mut was_quiet = false;
    echo.goes_on.notify_one();
    send(&peers, &webhook, "quiet", || was_quiet = true).await.unwrap();
    assert!(was_quiet);
    // The same webhook with another receiver, and one that nobody asked for in a long time.
    let changed = Arc::new(parcels::webhook(webhook.id.0, parcels::plain("http://two.example/"), webhook.keys.clone()));
    assert_eq!(send(&peers, &changed, "x", || ()).await.unwrap().detail, "two.example");
    tokio::time::sleep(PEER_RECEIVER_UNUSED * 2).await;
    assert_eq!(send(&peers, &changed, "x", || ()).await.unwrap().detail, "two.example");
    assert_eq!(echo.asked.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn what_a_lost_node_was_given_is_given_back() {
    let (peers, echo) = (active(), Arc::new(Echo::default()));
    let link = link(&peers, "other", 1, Arc::clone(&echo));
    until(|| !peers.is_alone()).await;
    let webhook = others(&peers, "http://one.example/");
    let sending = send(&peers, &webhook, "quiet", || ());
    let losing = async {
        until(|| echo.asked.load(Ordering::SeqCst) == 1).await;
        drop(link);
    };
    let (outcome, ()) = tokio::join!(sending, losing);
    assert_eq!(outcome, None);
    until(|| peers.is_alone()).await;
    assert!(peers.of(webhook.id).is_none(), "it is this node's own now");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_leaves_ends_what_it_has_begun_and_begins_nothing() {
    let (peers, echo) = (active(), Arc::new(Echo::default()));
    let leave = CancellationToken::new();
    let [keeping, serving] = link_until(&peers, "other", (1, Arc::clone(&echo)), leave.clone());
    until(|| !peers.is_alone()).await;
    let webhook = others(&peers, "http://one.example/");
    let sending = send(&peers, &webhook, "quiet", || ());
    let leaving = async {
        until(|| echo.asked.load(Ordering::SeqCst) == 1).await;
        leave.cancel();
        until(|| peers.of(webhook.id).is_none()).await;
        echo.goes_on.notify_one();
    };
    let (outcome, ()) = tokio::join!(sending, leaving);
    assert_eq!(outcome.map(|outcome| outcome.status), Some(200));
    serving.await.unwrap();
    keeping.await.unwrap();
    assert!(peers.is_alone());
}

#[tokio::test]
async fn who_reaches_the_journal_is_found_among_those_who_do_not() {
    let peers = active();
    assert_eq!(peers.who_reaches_journal().await, None, "nobody is there");
    let _far = link(&peers, "far", 1, Arc::default());
    until(|| !peers.is_alone()).await;
    assert_eq!(peers.who_reaches_journal().await, None);
    let _others = ["near", "further"].map(|name| link(&peers, name, 1, Arc::default()));
    until(|| peers.names().len() == 3).await;
    assert_eq!(peers.who_reaches_journal().await.as_deref(), Some("near"));
}

#[tokio::test(start_paused = true)]
async fn a_frozen_node_counts_as_lost() {
    let peers = active();
    let (here, _there) = tokio::io::duplex(256);
    let keeping = Arc::clone(&peers).keep(here, (String::from("frozen"), NUMBERS), None, CancellationToken::new());
    tokio::time::timeout(Duration::from_secs(60), keeping).await.unwrap();
    assert!(peers.is_alone());
}

#[tokio::test(start_paused = true)]
async fn who_does_not_hold_the_master_key_is_told_nothing() {
    let (peers, echo) = (active(), Arc::new(Echo::default()));
    let [keeping, _serving] = link(&peers, "stranger", 2, echo);
    keeping.await.unwrap();
    assert!(peers.is_alone());
}

#[tokio::test(start_paused = true)]
async fn webhooks_are_spread_evenly_and_only_those_of_a_lost_node_move() {
    const WEBHOOKS: u64 = 10_000;
    let peers = active();
    let _a = link(&peers, "a", 1, Arc::default());
    let b = link(&peers, "b", 1, Arc::default());
    until(|| peers.names().len() == 2).await;
    let place = |id| peers.of(WebhookId(id)).map(|peer| peer.name().to_owned());
    let before: Vec<Option<String>> = (0..WEBHOOKS).map(place).collect();
    for name in [None, Some("a"), Some("b")] {
        let part = before.iter().filter(|place| place.as_deref() == name).count();
        assert!((3000..3700).contains(&part), "{name:?} has {part}");
    }
    drop(b);
    until(|| peers.names().len() == 1).await;
    for (id, before) in before.into_iter().enumerate() {
        let now = place(id as u64);
        assert!(now == before || before.as_deref() == Some("b"), "{id} was moved from {before:?} to {now:?}");
    }
}
