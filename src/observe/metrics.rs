//! What is counted, stage by stage. A value, not a global: two nodes in one process count for themselves.
//!
//! Every label has a small fixed set of values, so that no client or receiver can add a series; webhooks one by one are
//! bounded by a setting ([`webhooks`]). Counters on the way of an event are reached without a look-up or a lock.

mod background;
mod cluster;
mod journal;
mod webhooks;

pub use background::{HealthMetrics, MailMetrics, ReplayMetrics, TurnOff};
pub use cluster::ClusterMetrics;
pub use journal::{JournalMetrics, Refusal};
pub use webhooks::{LaneFigures, LaneTally, WebhookMetrics};

use crate::model::{EventKind, Reason};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Seconds from 100 µs to 100 s: fine where a healthy node works, coarse where it does not.
const SECONDS: [f64; 16] =
    [1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 100.0];

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// All metrics of a node.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// The HTTP server.
    pub http: HttpMetrics,
    /// What comes in.
    pub intake: IntakeMetrics,
    /// What is made durable.
    pub journal: JournalMetrics,
    /// What is sent when.
    pub dispatch: DispatchMetrics,
    /// What is sent.
    pub delivery: DeliveryMetrics,
    /// What becomes rows.
    pub projection: ProjectionMetrics,
    /// What is configured.
    pub store: StoreMetrics,
    /// What is done about failing webhooks.
    pub health: HealthMetrics,
    /// Mail.
    pub mail: MailMetrics,
    /// What is sent once more.
    pub replay: ReplayMetrics,
    /// Nodes that work together.
    pub cluster: ClusterMetrics,
    /// Webhooks, one by one.
    pub webhooks: Arc<WebhookMetrics>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Everything at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("fanfare");
        let build: Family<Labels<1>, Gauge> = Family::default();
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
        registry.register("build_info", "The running version", build);
        let webhooks = Arc::new(WebhookMetrics::default());
        registry.sub_registry_with_prefix("webhook").register_collector(Box::new(Arc::clone(&webhooks)));
        Self {
            http: HttpMetrics::new(registry.sub_registry_with_prefix("http")),
            intake: IntakeMetrics::new(registry.sub_registry_with_prefix("intake")),
            journal: JournalMetrics::new(registry.sub_registry_with_prefix("journal")),
            dispatch: DispatchMetrics::new(registry.sub_registry_with_prefix("dispatch")),
            delivery: DeliveryMetrics::new(registry.sub_registry_with_prefix("delivery")),
            projection: ProjectionMetrics::new(registry.sub_registry_with_prefix("projection")),
            store: StoreMetrics::new(registry.sub_registry_with_prefix("store")),
            health: HealthMetrics::new(registry.sub_registry_with_prefix("health")),
            mail: MailMetrics::new(registry.sub_registry_with_prefix("mail")),
            replay: ReplayMetrics::new(registry.sub_registry_with_prefix("replay")),
            cluster: ClusterMetrics::new(registry.sub_registry_with_prefix("cluster")),
            webhooks,
            registry,
        }
    }

    /// As Prometheus reads it (the OpenMetrics text format).
    ///
    /// # Errors
    /// A value that cannot be written, which the fixed labels rule out.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::with_capacity(16 * 1024);
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Of the HTTP server.
#[derive(Debug, Clone, Default)]
pub struct HttpMetrics {
    /// Connections that are open.
    pub connections: Gauge,
    /// Times that a connection could not be accepted, mostly for want of file descriptors.
    pub accept_errors: Counter,
}

/// Counts a connection for as long as it lives.
#[derive(Debug)]
pub struct OpenConnection(Gauge);

impl HttpMetrics {
    fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("connections", "Open client connections", metrics.connections.clone());
        registry.register("accept_errors", "Connections that could not be accepted", metrics.accept_errors.clone());
        metrics
    }

    /// A connection was opened; it is closed when what is returned is dropped.
    pub fn opened(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Where intake's requests come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `/data/track`
    Track,
    /// `/data/events`
    Events,
    /// `/data/guides`
    Guides,
}

/// The statuses that intake answers with; anything else is counted as "other".
const STATUSES: [(u16, &str); 10] = [
    (200, "200"),
    (204, "204"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (413, "413"),
    (415, "415"),
    (422, "422"),
    (429, "429"),
    (503, "503"),
];

/// Of intake.
#[derive(Debug)]
pub struct IntakeMetrics {
    requests: [[Counter; STATUSES.len() + 1]; 3],
    durations: [Histogram; 3],
    events: [Counter; EventKind::ALL.len()],
    /// Items of a batch that were rejected.
    pub rejected: Counter,
    /// Items that had been taken before and were not taken again.
    pub repeated: Counter,
    /// Events that were kept but are pushed to nobody (excluded, or from an agent that is too old).
    pub withheld: Counter,
    /// Items and calls of people who must not be processed: thrown away.
    pub not_processed: Counter,
    /// NPS ratings that wait for their reason.
    pub held: Gauge,
}

impl IntakeMetrics {
    fn new(registry: &mut Registry) -> Self {
        const ROUTES: [&str; 3] = ["track", "events", "guides"];
        let requests = Family::<Labels<2>, Counter>::default();
        let status_name = |index: usize| STATUSES.get(index).map_or("other", |(_, name)| *name);
        let request = |route: usize, status: usize| {
            requests.get_or_create_owned(&[("route", ROUTES[route]), ("status", status_name(status))])
        };
        let durations = Family::<Labels<1>, Histogram>::new_with_constructor(|| Histogram::new(SECONDS));
        let events = Family::<Labels<1>, Counter>::default();
        let metrics = Self {
            requests: std::array::from_fn(|route| std::array::from_fn(|status| request(route, status))),
            durations: std::array::from_fn(|route| durations.get_or_create_owned(&[("route", ROUTES[route])])),
            events: std::array::from_fn(|kind| events.get_or_create_owned(&[("event", EventKind::ALL[kind].name())])),
            rejected: Counter::default(),
            repeated: Counter::default(),
            withheld: Counter::default(),
            not_processed: Counter::default(),
            held: Gauge::default(),
        };
        registry.register("requests", "Requests by route and status", requests);
        let help = "From a request's head to its answer, durable where it is a 2xx";
        registry.register_with_unit("request_duration", help, Unit::Seconds, durations);
        registry.register("events", "Accepted events by name", events);
        registry.register("rejected", "Rejected items", metrics.rejected.clone());
        registry.register("repeated", "Items that had been taken before", metrics.repeated.clone());
        registry.register("withheld", "Events kept but pushed to nobody", metrics.withheld.clone());
        let help = "Items of people who must not be processed, thrown away";
        registry.register("not_processed", help, metrics.not_processed.clone());
        registry.register("held", "NPS ratings that wait for their reason", metrics.held.clone());
        metrics
    }

    /// A request was answered.
    pub fn request(&self, route: Route, status: u16, took: Duration) {
        let index = STATUSES.iter().position(|(known, _)| *known == status).unwrap_or(STATUSES.len());
        self.requests[route as usize][index].inc();
        self.durations[route as usize].observe(took.as_secs_f64());
    }

    /// Accepted events of one kind.
    pub fn event(&self, kind: EventKind) -> &Counter {
        &self.events[kind as usize]
    }
}

/// Of dispatch.
#[derive(Debug, Default)]
pub struct DispatchMetrics {
    /// Webhooks that are on.
    pub lanes: Gauge,
    /// Lanes that read the journal because they have fallen behind.
    pub lanes_behind: Gauge,
    /// Lanes that are sent one probe at a time because their receiver gives no answer.
    pub lanes_narrowed: Gauge,
    /// Lanes that wait because their receiver has asked for fewer requests (429 with Retry-After).
    pub lanes_paused: Gauge,
    /// Webhooks that were turned off because their deliveries fail, and are off still.
    pub turned_off: Gauge,
    /// Requests in flight.
    pub in_flight: Gauge,
    /// Retries that wait for their time.
    pub waiting_retries: Gauge,
    /// Age of the oldest event that some lane has not delivered, in seconds.
    pub oldest_undelivered_seconds: Gauge<f64, AtomicU64>,
    /// Retries scheduled.
    pub retries: Counter,
    /// Events that fell out of a backlog.
    pub expired: Counter,
    /// Events written once more because a delivery was under way when the journal had outgrown them.
    pub carried: Counter,
    /// Events and retries cancelled because their webhook was turned off or deleted.
    pub cancelled: Counter,
    /// Webhooks that were found standing still although they had something to send.
    pub woken: Counter,
    /// Looks of a filter at an event that ended without an answer; a field that an event lacks does not count.
    pub filter_failures: Counter,
}

impl DispatchMetrics {
    fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("lanes", "Webhooks that are on", metrics.lanes.clone());
        registry.register("lanes_behind", "Webhooks that read the journal to catch up", metrics.lanes_behind.clone());
        registry.register("lanes_narrowed", "Webhooks whose receiver gives no answer", metrics.lanes_narrowed.clone());
        registry.register("lanes_paused", "Webhooks whose receiver asked for a pause", metrics.lanes_paused.clone());
        registry.register("turned_off", "Webhooks turned off because they fail", metrics.turned_off.clone());
        registry.register("in_flight", "Requests in flight", metrics.in_flight.clone());
        registry.register("waiting_retries", "Retries that wait for their time", metrics.waiting_retries.clone());
        let oldest = metrics.oldest_undelivered_seconds.clone();
        registry.register_with_unit(
            "oldest_undelivered",
            "Age of the oldest event that is neither delivered nor has failed for good",
            Unit::Seconds,
            oldest,
        );
        registry.register("retries", "Retries scheduled", metrics.retries.clone());
        registry.register("expired", "Events that fell out of a backlog", metrics.expired.clone());
        let help = "Events kept for their retries beyond the journal's bounds";
        registry.register("carried", help, metrics.carried.clone());
        registry.register("cancelled", "Events and retries cancelled by turning off", metrics.cancelled.clone());
        let help = "Webhooks found standing still with something to send: a defect";
        registry.register("woken", help, metrics.woken.clone());
        let failures = metrics.filter_failures.clone();
        registry.register("filter_failures", "Events that a webhook's filter has no answer for", failures);
        metrics
    }
}

/// Every reason, in the order of its declaration.
const REASONS: [Reason; 19] = [
    Reason::Accepted,
    Reason::Redirected,
    Reason::Refused,
    Reason::TooManyRequests,
    Reason::ServerError,
    Reason::UnexpectedStatus,
    Reason::DnsFailed,
    Reason::ConnectionRefused,
    Reason::ConnectFailed,
    Reason::CertificateInvalid,
    Reason::TlsFailed,
    Reason::ConnectionClosed,
    Reason::BrokenResponse,
    Reason::TimedOut,
    Reason::AddressRefused,
    Reason::CannotSend,
    Reason::AuthFailed,
    Reason::AuthUnavailable,
    Reason::ProxyFailed,
];

/// Of delivery.
#[derive(Debug)]
pub struct DeliveryMetrics {
    attempts: [Counter; REASONS.len()],
    /// How long attempts took, in seconds.
    pub seconds: Histogram,
    /// Connections made to receivers.
    pub connections: Counter,
}

impl DeliveryMetrics {
    fn new(registry: &mut Registry) -> Self {
        let attempts = Family::<Labels<2>, Counter>::default();
        let attempt = |reason: Reason| {
            attempts.get_or_create_owned(&[("outcome", reason.class().name()), ("reason", reason.code())])
        };
        let metrics =
            Self { attempts: REASONS.map(attempt), seconds: Histogram::new(SECONDS), connections: Counter::default() };
        registry.register("attempts", "Attempts by how they ended", attempts);
        registry.register_with_unit("duration", "How long attempts took", Unit::Seconds, metrics.seconds.clone());
        registry.register("connections", "Connections made to receivers", metrics.connections.clone());
        metrics
    }

    /// An attempt has ended.
    pub fn attempt(&self, reason: Reason, took: Duration) {
        self.attempts[reason as usize].inc();
        self.seconds.observe(took.as_secs_f64());
    }
}

/// Of the projection.
#[derive(Debug, Default)]
pub struct ProjectionMetrics {
    /// Journal positions that are not yet in the store.
    pub lag: Gauge,
    dropped_rows: DroppedRows,
    /// Entries that the journal had deleted before they were in the store.
    pub missed: Counter,
}

impl ProjectionMetrics {
    fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("lag", "Journal entries not yet in the store", metrics.lag.clone());
        let help = "Rows of records.db deleted by age or size";
        registry.register("dropped_rows", help, metrics.dropped_rows.0.clone());
        registry.register("missed", "Entries deleted before they were in the store", metrics.missed.clone());
        metrics
    }

    /// Shows the projection's own figures: lag in entries, rows dropped of each table, entries missed.
    pub fn show(&self, lag: u64, dropped: impl IntoIterator<Item = (&'static str, u64)>, missed: u64) {
        self.lag.set(lag as i64);
        self.dropped_rows.show(dropped);
        self.missed.inner().store(missed, Ordering::Relaxed);
    }
}

/// Rows that retention has deleted, by table.
#[derive(Debug, Default)]
struct DroppedRows(Family<Labels<1>, Counter>);

impl DroppedRows {
    fn show(&self, dropped: impl IntoIterator<Item = (&'static str, u64)>) {
        for (table, rows) in dropped {
            self.0.get_or_create(&[("table", table)]).inner().store(rows, Ordering::Relaxed);
        }
    }
}

/// Of the configuration's store.
#[derive(Debug, Default)]
pub struct StoreMetrics {
    dropped_rows: DroppedRows,
}

impl StoreMetrics {
    fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let help = "Rows of fanfare.db deleted by age or number";
        registry.register("dropped_rows", help, metrics.dropped_rows.0.clone());
        metrics
    }

    /// Shows how many rows of each table retention has deleted.
    pub fn show(&self, dropped: impl IntoIterator<Item = (&'static str, u64)>) {
        self.dropped_rows.show(dropped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_can_be_read_line_by_line() {
        let metrics = Metrics::new();
        metrics.intake.request(Route::Events, 200, Duration::from_millis(2));
        metrics.intake.request(Route::Track, 599, Duration::from_secs(200));
        metrics.intake.event(EventKind::NpsSubmitted).inc();
        metrics.delivery.attempt(Reason::TimedOut, Duration::from_secs(1));
        metrics.journal.refused(Refusal::Full).inc();
        metrics.dispatch.oldest_undelivered_seconds.set(1.5);
        let text = metrics.encode().unwrap();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').expect(line);
            assert!(series.starts_with("fanfare_"), "{line}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
        for expected in [
            "fanfare_intake_requests_total{route=\"events\",status=\"200\"} 1\n",
            "fanfare_intake_requests_total{route=\"track\",status=\"other\"} 1\n",
            "fanfare_intake_request_duration_seconds_bucket{le=\"0.0025\",route=\"events\"} 1\n",
            "fanfare_intake_events_total{event=\"npsSubmitted\"} 1\n",
            "fanfare_delivery_attempts_total{outcome=\"no_answer\",reason=\"timed_out\"} 1\n",
            "fanfare_journal_refused_total{reason=\"full\"} 1\n",
            "fanfare_dispatch_oldest_undelivered_seconds 1.5\n",
        ] {
            assert!(text.contains(expected), "{expected} is missing in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn every_reason_counts_for_itself() {
        for (index, reason) in REASONS.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
        }
    }

    #[test]
    fn the_number_of_series_does_not_grow_with_traffic() {
        let metrics = Metrics::new();
        let lines = |metrics: &Metrics| metrics.encode().unwrap().lines().count();
        let before = lines(&metrics);
        for status in 100..600 {
            metrics.intake.request(Route::Track, status, Duration::ZERO);
        }
        REASONS.into_iter().for_each(|reason| metrics.delivery.attempt(reason, Duration::ZERO));
        assert_eq!(lines(&metrics), before);
    }

    #[test]
    fn an_open_connection_is_counted_while_it_lives() {
        let http = HttpMetrics::default();
        let open = http.opened();
        assert_eq!(http.connections.get(), 1);
        drop(open);
        assert_eq!(http.connections.get(), 0);
    }
}
