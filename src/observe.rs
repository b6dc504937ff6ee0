//! Logs and metrics, and the three addresses that an operator's tools ask (docs/operations.md).

mod health;
mod logging;
mod metrics;

pub use health::router;
pub use logging::subscriber;
pub use metrics::{
    DeliveryMetrics, DispatchMetrics, HttpMetrics, IntakeMetrics, JournalMetrics, LaneFigures, LaneTally, Metrics,
    OpenConnection, ProjectionMetrics, Refusal, Route, WebhookMetrics,
};
