//! `/healthz`, `/readyz`, `/metrics`.

use super::Metrics;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;

/// The three routes.
///
/// `ready` says why the node cannot do its work, if it cannot: it is asked by each `/readyz`. `refresh` is called before
/// each `/metrics`, to set the gauges that are cheaper to look at than to keep up to date.
pub fn router<R, F>(metrics: Arc<Metrics>, ready: R, refresh: F) -> Router
where
    R: Fn() -> Result<(), String> + Clone + Send + Sync + 'static,
    F: Fn(&Metrics) + Clone + Send + Sync + 'static,
{
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(move || std::future::ready(readiness(ready()))))
        .route("/metrics", get(move || std::future::ready(exposition(&metrics, &refresh))))
}

fn readiness(ready: Result<(), String>) -> (StatusCode, String) {
    match ready {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
    }
}

fn exposition(metrics: &Metrics, refresh: &impl Fn(&Metrics)) -> Response {
    refresh(metrics);
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

    #[test]
    fn gauges_are_refreshed_before_they_are_shown() {
        let metrics = Metrics::new();
        let response = exposition(&metrics, &|metrics: &Metrics| {
            metrics.projection.lag.set(77);
        });
        assert_eq!(response.status(), StatusCode::OK);
        assert!(metrics.encode().unwrap().contains("fanfare_projection_lag 77\n"));
    }
}
