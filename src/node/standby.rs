//! One node at a time is active on a store that is on a server; others stand by, and one of them goes on when it ends.
//!
//! Who is active holds a lock of the database's for as long as its connection lives and it gives a sign on it. That makes
//! two at once unlikely, no more: what makes it harmless is the journal, which takes from the newest writer only.

use crate::http;
use crate::observe::Metrics;
use crate::store::{Hold, Place};
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How often a node that stands by looks whether it is its turn, and an active one gives its sign.
const EVERY: Duration = Duration::from_millis(500);

/// What clients are told to wait.
const RETRY_AFTER_S: &str = "1";

/// Waits until this node is the active one, answering meanwhile on the listener that it is not; `None` when it is to stop
/// first. Where the store is in files, the journal's lock decides, and there is nothing to wait for.
///
/// # Errors
/// The store's, when it cannot be asked at the start.
pub(super) async fn wait_for_turn(
    place: &Place,
    listener: TcpListener,
    limits: http::Limits,
    stop: &CancellationToken,
) -> anyhow::Result<Option<(TcpListener, Option<Hold>)>> {
    let Place::Server(server) = place else { return Ok(Some((listener, None))) };
    let ask = |server: crate::store::db::PostgresServer| tokio::task::spawn_blocking(move || Hold::take(&server));
    if let Some(hold) = ask(server.clone()).await?? {
        return Ok(Some((listener, Some(hold))));
    }
    tracing::info!("another node is active; this one stands by");
    let listener = listener.into_std()?;
    let meanwhile = CancellationToken::new();
    let answering = tokio::spawn(http::serve(
        TcpListener::from_std(listener.try_clone()?)?,
        router(),
        limits,
        Metrics::new().http,
        meanwhile.clone(),
    ));
    let hold = loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => break None,
        }
        match ask(server.clone()).await? {
            Ok(Some(hold)) => break Some(hold),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the store cannot be asked whether it is this node's turn"),
        }
    };
    meanwhile.cancel();
    let _ = answering.await;
    let Some(hold) = hold else { return Ok(None) };
    tracing::info!("it is this node's turn");
    Ok(Some((TcpListener::from_std(listener)?, Some(hold))))
}

/// Gives signs that this node is there. One that lost its hold, because the server was restarted, takes it again.
pub(super) async fn keep(mut hold: Hold, place: Place, stop: CancellationToken) {
    let Place::Server(server) = place else { return };
    let mut is_told = false;
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
        let server = server.clone();
        let kept = tokio::task::spawn_blocking(move || match hold.sign() {
            Ok(()) => (hold, None),
            Err(error) => match Hold::take(&server) {
                Ok(Some(again)) => (again, None),
                // Whoever holds it becomes the journal's writer, and this node learns it from there.
                Ok(None) | Err(_) => (hold, Some(error)),
            },
        });
        let Ok((again, error)) = kept.await else { return };
        hold = again;
        match error {
            Some(error) if !is_told => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the store does not know that this node is active"
                );
                is_told = true;
            }
            Some(_) => {}
            None if is_told => {
                tracing::info!("the store knows again that this node is active");
                is_told = false;
            }
            None => {}
        }
    }
}

fn router() -> Router {
    let not_yet = || async {
        let why = "another node is active; this one stands by";
        (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY_AFTER_S)], why).into_response()
    };
    Router::new().route("/healthz", get(|| async { "ok" })).fallback(not_yet)
}
