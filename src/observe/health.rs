//! `/healthz`, `/readyz`, `/metrics`.

use super::Metrics;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;
use std::time::Duration;

/// How long looking at figures may take before what is known is shown.
const REFRESH_AT_MOST: Duration = Duration::from_secs(2);

/// The three routes.
///
/// `ready` says why the node cannot do its work, if it cannot: it is asked by each `/readyz`. `refresh` is waited for before
/// each `/metrics`, but not for long: it sets the gauges that are cheaper to look at than to keep up to date, and figures
/// are needed most while something hangs.
pub fn router<R, F, W>(metrics: Arc<Metrics>, ready: R, refresh: F) -> Router
where
    R: Fn() -> Result<(), String> + Clone + Send + Sync + 'static,
    F: Fn(Arc<Metrics>) -> W + Clone + Send + Sync + 'static,
    W: Future<Output = ()> + Send,
{
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(move || std::future::ready(readiness(ready()))))
        .route("/metrics", get(move || exposition(Arc::clone(&metrics), refresh.clone(), REFRESH_AT_MOST)))
}

fn readiness(ready: Result<(), String>) -> (StatusCode, String) {
    match ready {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
    }
}

async fn exposition<F, W>(metrics: Arc<Metrics>, refresh: F, patience: Duration) -> Response
where
    F: Fn(Arc<Metrics>) -> W,
    W: Future<Output = ()>,
{
    if tokio::time::timeout(patience, refresh(Arc::clone(&metrics))).await.is_err() {
        tracing::warn!("some figures are those of the last time: looking at them took too long");
    }
    match metrics.encode() {
        Ok(text) => {
            let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            (StatusCode::OK, [(header::CONTENT_TYPE, content_type)], text).into_response()
        }
        Err(error) => {
            let content_type = "text/plain; charset=utf-8";
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, content_type)], error.to_string())
                .into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_says_why_not() {
        assert_eq!(readiness(Ok(())).0, StatusCode::OK);
        let (status, text) = readiness(Err("the journal's disk is full".to_owned()));
        assert_eq!(
            (status, text.as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, "not ready: the journal's disk is full\n")
        );
    }

    async fn text_of(response: Response) -> String {
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn gauges_are_refreshed_before_they_are_shown() {
        let refresh = |metrics: Arc<Metrics>| async move {
            metrics.projection.lag.set(77);
        };
        let response = exposition(Arc::new(Metrics::new()), refresh, REFRESH_AT_MOST).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(text_of(response).await.contains("fanfare_projection_lag 77\n"));
    }

    #[tokio::test]
    async fn what_can_be_shown_is_shown_although_something_hangs() {
        let refresh = |metrics: Arc<Metrics>| async move {
            metrics.projection.lag.set(77);
            std::future::pending::<()>().await;
        };
        let response = exposition(Arc::new(Metrics::new()), refresh, Duration::ZERO).await;
        assert!(text_of(response).await.contains("fanfare_projection_lag 77\n"));
    }
}
