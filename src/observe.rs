//! Logs and metrics, and the three addresses that an operator's tools ask (docs/operations.md).

mod health;
mod logging;
mod metrics;

pub use health::router;
pub use logging::subscriber;
pub use metrics::{
    ClusterMetrics, DeliveryMetrics, DispatchMetrics, HealthMetrics, HttpMetrics, IntakeMetrics, JournalMetrics,
    LaneFigures, LaneTally, MailMetrics, Metrics, OpenConnection, ProjectionMetrics, Refusal, ReplayMetrics, Route,
    StoreMetrics, TurnOff, WebhookMetrics,
};
