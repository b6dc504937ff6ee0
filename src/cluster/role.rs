//! What a node does with a request: answers it where it is the active one, else passes it on to the one that is, and
//! waits a while for one where there is none.

use super::forward::{Forwarder, Held, NotPassed};
use super::{CLIENT, LINK_PATH, entrance};
use crate::clock::Clock;
use crate::limits::PEER_PATIENCE;
use crate::observe::ClusterMetrics;
use crate::seal::MasterKey;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{Request, StatusCode, header};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// What clients are told to wait.
const RETRY_AFTER_S: &str = "1";

/// Once another node is active, the one before it has this long to answer what it was passed: it passes it on itself.
const LAST_WORD: Duration = Duration::from_secs(5);

/// What this node is.
#[derive(Clone)]
pub enum Role {
    /// No node is known to be active.
    Waiting,
    /// The one at this address is.
    Beside(Arc<str>),
    /// This one is.
    Active(Active),
    /// This one is about to end, and there is no other.
    Ending,
}

/// What the active node answers with.
#[derive(Clone)]
pub struct Active {
    /// Everything that it serves.
    pub router: Router,
    /// Where other nodes come in.
    pub entrance: Arc<entrance::Entrance>,
    /// Requests that are being answered.
    pub under_way: TaskTracker,
}

/// What serving in any role takes.
pub struct Serving {
    /// What this node is now.
    pub role: watch::Receiver<Role>,
    /// Passes on.
    pub forwarder: Forwarder,
    /// Knows nodes.
    pub key: Arc<MasterKey>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: ClusterMetrics,
}

/// Everything that a node of a cluster serves. `own` is what it answers by itself while it is not active: health and metrics.
pub fn router(serving: Serving, own: Router) -> Router {
    let serving = Arc::new(serving);
    let of_node = |path: &'static str| {
        let (serving, own) = (Arc::clone(&serving), own.clone());
        get(move |mut request: Request<Body>| {
            // By its own router's pattern.
            *request.uri_mut() = http::Uri::from_static(path);
            let role = serving.role.borrow().clone();
            match role {
                Role::Active(active) => answer(active.router, request),
                _ => answer(own, request),
            }
        })
    };
    Router::new()
        .route("/healthz", of_node("/healthz"))
        .route("/readyz", of_node("/readyz"))
        .route("/metrics", of_node("/metrics"))
        .route(LINK_PATH, get(link).with_state(Arc::clone(&serving)))
        .fallback(serve)
        .with_state(serving)
}

async fn answer(router: Router, request: Request<Body>) -> Response {
    match TowerToHyperService::new(router).call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Another node comes in.
async fn link(State(serving): State<Arc<Serving>>, request: Request<Body>) -> Response {
    let role = serving.role.borrow().clone();
    match role {
        Role::Active(active) => active.entrance.open(request),
        _ => refused("this node is not the active one"),
    }
}

async fn serve(State(serving): State<Arc<Serving>>, request: Request<Body>) -> Response {
    let role = serving.role.borrow().clone();
    if let Role::Active(active) = role {
        return serving.answer(active, request).await;
    }
    match Held::take(request).await {
        Ok(held) => serving.pass_on(held).await,
        Err(_) => (StatusCode::BAD_REQUEST, "the request's body ended before it was complete").into_response(),
    }
}

impl Serving {
    async fn answer(&self, active: Active, mut request: Request<Body>) -> Response {
        let _under_way = active.under_way.token();
        if let Some(word) = request.headers_mut().remove(CLIENT)
            && let Some(client) = word.to_str().ok().and_then(|word| self.key.peers().client(word, self.clock.now()))
        {
            request.extensions_mut().insert(ConnectInfo(SocketAddr::new(client, 0)));
        }
        answer(active.router, request).await
    }

    /// Until it is answered, by this node or another one, or nobody is there for too long.
    async fn pass_on(&self, mut held: Held) -> Response {
        let mut role = self.role.clone();
        let until = Instant::now() + PEER_PATIENCE;
        loop {
            let now = role.borrow_and_update().clone();
            match now {
                Role::Active(active) => return self.answer(active, held.into_request()).await,
                Role::Beside(node) => match self.pass(&node, &mut held).await {
                    Ok(answer) => return answer,
                    Err(NotPassed::Unknown(why)) => {
                        self.metrics.unanswered.inc();
                        tracing::debug!(%node, why, "the active node gave no answer to a request");
                        return refused("the active node gave no answer, and may have taken this request or not");
                    }
                    Err(NotPassed::NotThere) if held.is_gone() => return refused("the active node is not there"),
                    // The role is about to change.
                    Err(NotPassed::NotThere) => {}
                },
                Role::Waiting => {}
                Role::Ending => return refused("this node ends, and no other one is active"),
            }
            let changed = tokio::time::timeout_at(until.min(Instant::now() + AGAIN), role.changed()).await;
            if Instant::now() >= until || matches!(changed, Ok(Err(_))) {
                return refused("no node is active");
            }
        }
    }

    async fn pass(&self, node: &str, held: &mut Held) -> Result<Response, NotPassed> {
        let mut role = self.role.clone();
        let replaced = async {
            let is_other = |role: &Role| match role {
                Role::Beside(other) => **other != *node,
                Role::Active(_) => true,
                Role::Waiting | Role::Ending => false,
            };
            if role.wait_for(is_other).await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(LAST_WORD).await;
        };
        let answer = tokio::select! {
            answer = self.forwarder.pass(node, held) => answer,
            () = replaced => Err(NotPassed::Unknown(String::from("another node is active now"))),
        }?;
        self.metrics.passed_on.inc();
        Ok(answer)
    }
}

/// Where a node is not there any more, it is looked for again after this time.
const AGAIN: Duration = Duration::from_millis(250);

fn refused(why: &'static str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY_AFTER_S)], why).into_response()
}
