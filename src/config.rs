//! Every setting: from flags, environment (`FANFARE_…`), `fanfare.toml` and the defaults in `config.default.toml`, in
//! this order of precedence.

mod keys;
mod layers;
mod proxy;
mod read;
mod units;

pub use keys::{Key, Kind, keys};
pub use layers::{CONFIG_KEY, Flags, OTHER_VARIABLES, Sources};
pub use units::{parse_bytes, parse_duration};

use crate::model::Secret;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where the store lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreAddress {
    /// In SQLite files of this directory.
    Directory(PathBuf),
    /// On the PostgreSQL server of this URL, in which there may be a password.
    Postgres(Secret),
}

/// Where the journal lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalAddress {
    /// In segment files of this directory.
    Directory(PathBuf),
    /// On NATS JetStream.
    Nats(NatsSettings),
}

/// The servers of a JetStream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsSettings {
    /// Their URLs, with commas between, in which there may be a password.
    pub urls: Secret,
    /// On how many of them each entry is kept (3).
    pub replicas: usize,
    /// The stream's name ("FANFARE").
    pub stream: String,
}

/// The settings of one node, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The data directory.
    pub data_dir: PathBuf,
    /// Where the store lies: in the data directory unless `store` names another place.
    pub store: StoreAddress,
    /// Where the journal lies: in the directory `journal` inside the data directory unless `journal` names another place.
    pub journal_at: JournalAddress,
    /// Where the other nodes of a cluster reach this one, as host and port; where that can be found out by itself, nothing.
    pub node_address: Option<String>,
    /// What links in mails and snippets start with.
    pub public_url: String,
    /// Peers whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Receivers on private and loopback addresses are allowed.
    pub allow_private: bool,
    /// Networks that receivers may be in although the guard would refuse them.
    pub allow_nets: Vec<IpNet>,
    /// The demo page is served.
    pub demo: bool,
    /// How long requests are served after a signal to stop.
    pub stop_timeout: Duration,
    /// Log filter, as tracing's EnvFilter takes it.
    pub log: String,
    /// "text" or "json".
    pub log_format: LogFormat,
    /// Intake's own.
    pub intake: IntakeSettings,
    /// The journal's own.
    pub journal: JournalSettings,
    /// Dispatch's own.
    pub dispatch: DispatchSettings,
    /// Delivery's own.
    pub delivery: DeliverySettings,
    /// What is kept, and how long.
    pub records: RecordSettings,
    /// The management API's own.
    pub api: ApiSettings,
    /// How people sign in.
    pub sign_in: SignInSettings,
    /// With whom people sign in besides a password.
    pub oidc: OidcSettings,
    /// How mail leaves.
    pub mail: MailSettings,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For a person.
    Text,
    /// One JSON object a line.
    Json,
}

/// Settings of intake.
#[derive(Debug, Clone)]
pub struct IntakeSettings {
    /// How long an item's id is remembered (24 h).
    pub item_id_ttl: Duration,
    /// How many item ids are remembered (10 million).
    pub item_id_count: usize,
    /// How long an NPS rating waits for its reason (2 s).
    pub nps_window: Duration,
    /// How many first sightings may be journalled but not yet projected; beyond it 503.
    pub first_seen_pending: usize,
    /// Most connections at a time.
    pub connections: usize,
}

/// Settings of the embedded journal.
#[derive(Debug, Clone)]
pub struct JournalSettings {
    /// Size of a segment file in bytes (64 MiB).
    pub segment_bytes: u64,
    /// Oldest segment kept (14 days).
    pub max_age: Duration,
    /// Most bytes of segments kept.
    pub max_bytes: u64,
}

/// Settings of dispatch.
#[derive(Debug, Clone)]
pub struct DispatchSettings {
    /// The delays before the retries (1 s, 5 s, 30 s, 2 min, 10 min); their number is the number of retries.
    pub retry_delays: Vec<Duration>,
    /// Jitter of a delay as a fraction (0.2).
    pub retry_jitter: f64,
    /// Whether "no answer" is retried like 5xx (true).
    pub retry_no_answer: bool,
    /// Requests in flight per webhook where the webhook names no number (32).
    pub concurrency: usize,
    /// Requests in flight in total.
    pub concurrency_total: usize,
    /// No byte for so long makes a receiver one that gives no answer (2 s).
    pub quiet_after: Duration,
    /// Requests a second, at most, to all receivers in trouble together (500).
    pub troubled_per_s: u32,
    /// Longest pause between probes of a receiver that gives no answer.
    pub probe_pause: Duration,
    /// Waiting retries per webhook (1,000).
    pub waiting_retries: usize,
    /// Events that a replay sends each second at most (500).
    pub replay_rate_per_s: usize,
    /// Oldest event of a backlog (14 days).
    pub backlog_max_age: Duration,
    /// Most bytes of a backlog, per webhook.
    pub backlog_max_bytes: u64,
    /// Webhooks that metrics show one by one (1,000).
    pub metrics_webhooks: usize,
}

/// Settings of delivery.
#[derive(Debug, Clone)]
pub struct DeliverySettings {
    /// The total deadline where the webhook names none (5 min).
    pub timeout: Duration,
    /// How long an unused connection is kept.
    pub keep_alive: Duration,
    /// Certificate authorities besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy through which receivers are reached.
    pub proxy: Option<ProxySettings>,
}

/// Settings of the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxySettings {
    /// SOCKS5, or else HTTP CONNECT.
    pub socks: bool,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The name to sign in with at it.
    pub user: Option<String>,
    /// The file with the password for that.
    pub password_file: Option<PathBuf>,
    /// It resolves names, instead of being given judged addresses.
    pub resolves: bool,
    /// Networks that are reached without it.
    pub except: Vec<IpNet>,
}

/// Settings of records.
#[derive(Debug, Clone)]
pub struct RecordSettings {
    /// How long deliveries and attempts are kept (14 days).
    pub max_age: Duration,
    /// How many bytes of them are kept.
    pub max_bytes: u64,
    /// When webhooks are turned off by themselves.
    pub health: HealthSettings,
}

/// Settings of the management API.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Wrong keys per minute and address before 429 (100).
    pub wrong_keys_per_minute: u32,
    /// Calls per second of a valid key (100).
    pub calls_per_second: u32,
    /// Burst of a valid key (1,000).
    pub calls_burst: u32,
    /// The largest body of a management call, in bytes.
    pub body_bytes: usize,
    /// How long a batch of the Metadata API may take, its body included.
    pub metadata_timeout: Duration,
}

/// When a webhook is turned off by itself (docs/delivery.md).
#[derive(Debug, Clone, PartialEq)]
pub struct HealthSettings {
    /// So many failed deliveries in a row (20) …
    pub failures: u64,
    /// … over at least this time (10 min) turn it off.
    pub failing_for: Duration,
    /// More than this part (0.5) …
    pub rate: f64,
    /// … of at least so many deliveries (100) …
    pub rate_deliveries: u64,
    /// … within this time (1 h) do so too.
    pub rate_window: Duration,
}

/// Settings of sessions and of signing in.
#[derive(Debug, Clone)]
pub struct SignInSettings {
    /// How long a session lasts without being used (24 h).
    pub session_idle: Duration,
    /// How long a session lasts at most (30 d).
    pub session_max_age: Duration,
    /// Wrong passwords for one account that may come at once (10).
    pub tries_per_account: u32,
    /// Wrong passwords from one address that may come at once (60).
    pub tries_per_address: u32,
}

/// Settings of the OpenID Connect provider.
#[derive(Debug, Clone)]
pub struct OidcSettings {
    /// Its issuer; `None`: there is none.
    pub issuer: Option<String>,
    /// By what it knows this installation.
    pub client_id: String,
    /// The file with the client secret.
    pub client_secret_file: Option<PathBuf>,
    /// What people call it.
    pub name: String,
}

/// Settings of mail.
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// The server that takes it; `None`: it stays in the outbox.
    pub smtp_host: Option<String>,
    /// Its port (587).
    pub smtp_port: u16,
    /// How the connection to it is protected.
    pub smtp_security: SmtpSecurity,
    /// The name to sign in with at it.
    pub smtp_user: Option<String>,
    /// The file with the password for that.
    pub smtp_password_file: Option<PathBuf>,
    /// The pauses before further attempts (1 min to 1 d); their number bounds the attempts.
    pub retry_delays: Vec<Duration>,
    /// Whom mail comes from.
    pub mail_from: lettre::message::Mailbox,
}

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// Not at all.
    None,
    /// TLS after a greeting in the clear; without it nothing is sent.
    Starttls,
    /// TLS from the first byte.
    Tls,
}

impl Settings {
    /// The settings with nothing configured: what `config.default.toml` says.
    #[expect(clippy::expect_used, reason = "the defaults are part of the program, and a test reads them")]
    pub fn defaults() -> Self {
        Self::load(&Sources::default()).expect("config.default.toml is valid")
    }

    /// Reads, merges and checks all sources.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting, where its value came from, and what would be accepted.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        read::settings(&layers::merge(sources)?)
    }
}

/// Why the configuration cannot be used. The text is for the person who wrote it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value that cannot be used.
    #[error("{key} = {value} ({source_name}): {why}; for example: {example}")]
    Invalid {
        /// The setting.
        key: String,
        /// Where the value came from.
        source_name: String,
        /// The value as given.
        value: String,
        /// What is wrong with it.
        why: String,
        /// A value that would do.
        example: String,
    },
    /// A setting that does not exist.
    #[error("there is no setting {name} ({source_name}){}", nearest_hint(.nearest.as_deref()))]
    Unknown {
        /// As it was given.
        name: String,
        /// Where it was given.
        source_name: String,
        /// What was probably meant, written as in that source.
        nearest: Option<String>,
    },
    /// The file cannot be opened or is not TOML.
    #[error("{}: {why}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

fn nearest_hint(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}
