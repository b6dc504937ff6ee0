//! Nodes that work together.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Of the nodes of a cluster, as one of them sees it.
#[derive(Debug, Clone, Default)]
pub struct ClusterMetrics {
    /// Whether this node is the active one.
    pub active: Gauge,
    /// Other nodes that make attempts for this one.
    pub peers: Gauge,
    /// Connections by who does not hold the master key.
    pub turned_away: Counter,
    /// Attempts that other nodes have made for this one.
    pub attempts_given: Counter,
    /// Attempts that this node has made for the active one.
    pub attempts_made: Counter,
    /// Requests passed on to the active node, and answered by it.
    pub passed_on: Counter,
    /// Requests passed on to the active node to which it gave no answer.
    pub unanswered: Counter,
}

impl ClusterMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("active", "Whether this node is the active one", metrics.active.clone());
        registry.register("peers", "Other nodes that make attempts for this one", metrics.peers.clone());
        let turned_away = metrics.turned_away.clone();
        registry.register("turned_away", "Links by who does not hold the master key", turned_away);
        let given = metrics.attempts_given.clone();
        registry.register("attempts_given", "Attempts that other nodes made for this one", given);
        let made = metrics.attempts_made.clone();
        registry.register("attempts_made", "Attempts that this node made for the active one", made);
        registry.register("unanswered", "Requests passed on that got no answer", metrics.unanswered.clone());
        registry.register("passed_on", "Requests passed on to the active node", metrics.passed_on.clone());
        metrics
    }
}
