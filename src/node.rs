//! Wiring: open what is kept, start the stages, stop them in reverse order.

mod cut_off;
mod member;
mod observation;
mod reach;
mod seams;
mod tasks;

use self::member::{AmongOthers, Member};
use self::seams::{OneRequest, PeopleInStore};
use crate::api::{self, ApiParts, Sampler, WebhookDefaults};
use crate::audit;
use crate::catalog::{self, Catalog, CatalogParts, InitOptions, Snapshot};
use crate::clock::{Clock, Random, SystemClock, SystemRandom};
use crate::config::{JournalAddress, Settings};
use crate::defect::Defects;
use crate::deliver::{Client, ClientConfig, Courier, Guard, Proxy, ProxyKind, SystemResolver, Tls};
use crate::dispatch::{self, Dispatcher, KnownReceiver, Restart, Waiting};
use crate::forget;
use crate::health;
use crate::http;
use crate::inspector::Inspector;
use crate::intake::{self, Intake, IntakeParts, Restored, RestoredHeld, sample};
use crate::journal::file::{FileJournal, SystemDisk};
use crate::journal::jetstream::{self, JetStreamJournal};
use crate::journal::{Backend, Erase, Journal};
use crate::mail::{self, Letters, Smtp};
use crate::model::Secret;
use crate::observe::Metrics;
use crate::oidc::Provider;
use crate::record::Records;
use crate::replay;
use crate::seal::{MasterKey, rotation};
use crate::store::projection::{KeptReceiver, Projection};
use crate::store::{Part, Place, StoreError};
use crate::upkeep;
use anyhow::Context;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use crate::catalog::Initialised;

/// Of the time to stop, this much is kept for writing down where everything stands.
const STOP_RESERVE: Duration = Duration::from_secs(3);

/// How long a start waits for servers that do not answer yet, and between two looks.
const INIT_PATIENCE: Duration = Duration::from_secs(30);
const INIT_PAUSE: Duration = Duration::from_millis(500);

/// A node that listens.
pub struct Started {
    /// The address bound: with the port that the system chose, where the setting said 0.
    pub address: SocketAddr,
    /// What was made, when the data directory was empty.
    pub initialised: Option<Initialised>,
}

/// Runs a node until `stop` is cancelled, then finishes or parks what is in flight. `started` is called once requests
/// are served.
///
/// # Errors
/// What prevents the node from starting.
pub async fn serve(
    settings: Settings,
    stop: CancellationToken,
    started: impl FnOnce(&Started) + Send,
) -> anyhow::Result<()> {
    let system = System::default();
    let place = store_of(&settings)?;
    wait_for_servers(&settings, &place).await?;
    let initialised = initialise_if_empty(&settings, &place, &system)?;
    let listener =
        TcpListener::bind(settings.listen).await.with_context(|| format!("listening on {}", settings.listen))?;
    let started_at = Started { address: listener.local_addr()?, initialised };
    let started = || {
        started(&started_at);
        tracing::info!(address = %started_at.address, data_dir = %settings.data_dir.display(), "serving");
    };
    if let Place::Server(server) = &place {
        let member = Member::new(&settings, &system, (place.clone(), server.clone()), started_at.address)?;
        member.serve(listener, stop, started).await?;
    } else {
        serve_alone(&settings, &system, &place, listener, stop, started).await?;
    }
    tracing::info!("stopped");
    Ok(())
}

/// A node that shares nothing with others.
async fn serve_alone(
    settings: &Settings,
    system: &System,
    place: &Place,
    listener: TcpListener,
    stop: CancellationToken,
    started: impl FnOnce() + Send,
) -> anyhow::Result<()> {
    let courier = Arc::new(client(settings, system)?);
    let node = Node::open((settings, system), place, courier, Arc::default(), None).await?;
    let router = node.router(settings, system, &stop);
    node.metrics.cluster.active.set(1);
    started();
    let end = node.stop_when_it_cannot_go_on(&stop);
    let tasks = node.start(settings, system, &stop)?;
    http::serve(listener, router, bounds(settings), node.metrics.http.clone(), stop).await;
    tasks.end().await;
    node.close(settings.stop_timeout.saturating_sub(STOP_RESERVE)).await;
    end.verdict()
}

/// What clients may take.
fn bounds(settings: &Settings) -> http::Limits {
    let mut limits = http::Limits::new(settings.intake.connections, settings.stop_timeout);
    // The call answers 408 by itself at that time; the connection's own bound comes a moment later.
    limits.slow_bodies = Some((api::METADATA_PREFIX, settings.api.metadata_timeout + Duration::from_secs(1)));
    limits
}

/// Prepares an empty store.
///
/// # Errors
/// It is not empty, or cannot be written.
pub async fn init(settings: Settings) -> anyhow::Result<Initialised> {
    let place = store_of(&settings)?;
    wait_for_servers(&settings, &place).await?;
    initialise(&settings, &place, &System::default())
}

/// Waits until the servers answer on which store and journal are, if they are: they may have been started a moment ago.
async fn wait_for_servers(settings: &Settings, place: &Place) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        match reach(settings, place) {
            Ok(()) => return Ok(()),
            Err(error) if began.elapsed() >= INIT_PATIENCE => {
                return Err(error.context(format!("waited {} s for the servers", INIT_PATIENCE.as_secs())));
            }
            Err(error) => tracing::info!("waiting for the servers: {error:#}"),
        }
        tokio::time::sleep(INIT_PAUSE).await;
    }
}

fn reach(settings: &Settings, place: &Place) -> anyhow::Result<()> {
    if let Place::Server(_) = place {
        place.open(Part::Configured)?;
    }
    if let JournalAddress::Nats(nats) = &settings.journal_at {
        jetstream::reach(nats, settings.delivery.ca_file.as_deref())?;
    }
    Ok(())
}

/// Where the store of these settings lies.
///
/// # Errors
/// [`StoreError`].
pub fn store_of(settings: &Settings) -> Result<Place, StoreError> {
    Place::at(&settings.store, settings.delivery.ca_file.as_deref())
}

/// Time and randomness, as the system has them.
struct System {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Default for System {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), random: Arc::new(SystemRandom::default()) }
    }
}

fn initialise_if_empty(settings: &Settings, place: &Place, system: &System) -> anyhow::Result<Option<Initialised>> {
    if catalog::is_initialised(place)? {
        return Ok(None);
    }
    match initialise(settings, place, system) {
        Ok(initialised) => Ok(Some(initialised)),
        // Another process was faster; what it made is what this one serves.
        Err(_) if catalog::is_initialised(place)? => Ok(None),
        Err(error) => Err(error),
    }
}

fn initialise(settings: &Settings, place: &Place, system: &System) -> anyhow::Result<Initialised> {
    let options = InitOptions {
        subscription_name: String::from("My subscription"),
        app_name: String::from("My app"),
        public_url: settings.public_url.clone(),
    };
    let ports = (system.clock.as_ref(), system.random.as_ref());
    Ok(catalog::init(place, (master_key_variable().as_deref(), &settings.data_dir), &options, ports)?)
}

/// The master key is no setting, so that no list of settings can show it.
pub fn master_key_variable() -> Option<String> {
    std::env::var("FANFARE_MASTER_KEY").ok()
}

/// The key that the store is sealed with. A rotation that was broken off is brought to its end first.
fn master_key(settings: &Settings, place: &Place) -> anyhow::Result<MasterKey> {
    let variable = master_key_variable();
    if variable.is_none() {
        rotation::recover(&settings.data_dir, |key| catalog::is_sealed_with(place, key))?;
    }
    Ok(MasterKey::find(variable.as_deref(), &settings.data_dir)?)
}

/// A secret from this variable, else from this file: no setting either.
fn secret_of(variable: &str, file: Option<&Path>) -> anyhow::Result<Option<Secret>> {
    if let Ok(secret) = std::env::var(variable) {
        return Ok(Some(Secret::new(secret)));
    }
    let Some(path) = file else { return Ok(None) };
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(Some(Secret::new(text.trim_end_matches(['\r', '\n']))))
}

/// The OpenID Connect provider that the settings name.
fn provider(settings: &Settings, system: &System) -> anyhow::Result<Option<Provider>> {
    let secret = secret_of("FANFARE_OIDC_CLIENT_SECRET", settings.oidc.client_secret_file.as_deref())?;
    let callback = format!("{}{}", settings.public_url.trim_end_matches('/'), api::PROVIDER_CALLBACK);
    let tls = Tls::new(settings.delivery.ca_file.as_deref(), Arc::clone(&system.clock))?;
    let ports = (Arc::clone(&system.clock), Arc::clone(&system.random));
    Ok(Provider::new(&settings.oidc, secret, callback, tls, ports))
}

/// The stages of a node, in the order in which they were started.
struct Node {
    journal: Arc<dyn Backend>,
    projection: Arc<Projection>,
    catalog: Arc<Catalog>,
    courier: Arc<dyn Courier>,
    dispatcher: Dispatcher,
    intake: Arc<Intake>,
    metrics: Arc<Metrics>,
    provider: Option<Arc<Provider>>,
    defects: Defects,
    replaced: CancellationToken,
}

impl Node {
    async fn open(
        (settings, system): (&Settings, &System),
        place: &Place,
        courier: Arc<dyn Courier>,
        metrics: Arc<Metrics>,
        among_others: Option<AmongOthers>,
    ) -> anyhow::Result<Self> {
        let (peers, replaced) = among_others.map(|others| (others.peers, others.replaced)).unzip();
        let key = master_key(settings, place)?;
        let parts = CatalogParts {
            key,
            sign_in: settings.sign_in.clone(),
            letters: Letters::new(&settings.public_url),
            clock: Arc::clone(&system.clock),
            random: Arc::clone(&system.random),
        };
        let catalog = Catalog::open(place, parts)?;
        let journal = open_journal_patiently(settings, &system.clock).await?;
        let seam: Arc<dyn Journal> = Arc::clone(&journal) as Arc<dyn Journal>;
        let projection = open_projection(settings, place, system, &seam).await?;
        // Before the first change is taken: what follows is to be told.
        catalog.audit_told(projection.audited()?).await?;
        catalog.reconcile(projection.latest_switches()?).await?;
        let defects = projection.defects();
        let parts = dispatch::Parts {
            defects: defects.clone(),
            journal: Arc::clone(&seam),
            courier: Arc::clone(&courier),
            peers,
            catalog: snapshots(&catalog),
            clock: Arc::clone(&system.clock),
            random: Arc::clone(&system.random),
            settings: settings.dispatch.clone(),
            metrics: Arc::clone(&metrics),
        };
        let dispatcher = Dispatcher::start(parts, &restart(&projection)?)?;
        let intake = open_intake(settings, system, seam, &catalog, &projection, &metrics)?;
        let provider = provider(settings, system)?.map(Arc::new);
        let replaced = replaced.unwrap_or_default();
        Ok(Self { journal, projection, catalog, courier, dispatcher, intake, metrics, provider, defects, replaced })
    }

    /// Stops what is still at work, the last first: lanes, projection, journal.
    async fn close(self, patience: Duration) {
        self.dispatcher.stop(patience).await;
        let (projection, journal, replaced) = (self.projection, self.journal, self.replaced);
        let closing = tokio::task::spawn_blocking(move || {
            // The projection follows the journal to its end first, so that the next start finds nothing to catch up.
            journal.close();
            // Where the journal is another node's, so are the records.
            if !journal.lost().is_cancelled()
                && !replaced.is_cancelled()
                && let Err(error) = projection.catch_up()
            {
                tracing::warn!(%error, "the records will catch up at the next start");
            }
            projection.stop();
        });
        if let Err(error) = closing.await {
            tracing::error!(%error, "closing the journal and the records");
        }
    }

    /// What acting on incidents works with.
    fn health(&self) -> health::Parts {
        health::Parts {
            catalog: Arc::clone(&self.catalog),
            journal: Arc::clone(&self.journal) as Arc<dyn Journal>,
            projection: Arc::clone(&self.projection),
            metrics: Arc::clone(&self.metrics),
        }
    }

    /// What telling of the audit log works with.
    fn auditing(&self, system: &System) -> audit::Parts {
        audit::Parts {
            catalog: Arc::clone(&self.catalog),
            journal: Arc::clone(&self.journal) as Arc<dyn Journal>,
            projection: Arc::clone(&self.projection),
            clock: Arc::clone(&system.clock),
            metrics: Arc::clone(&self.metrics),
        }
    }

    /// What working off replays needs.
    fn replaying(&self, settings: &Settings, system: &System) -> replay::Parts {
        replay::Parts {
            catalog: Arc::clone(&self.catalog),
            journal: Arc::clone(&self.journal) as Arc<dyn Journal>,
            projection: Arc::clone(&self.projection),
            records: self.records(system),
            clock: Arc::clone(&system.clock),
            rate_per_s: settings.dispatch.replay_rate_per_s,
            metrics: Arc::clone(&self.metrics),
        }
    }

    /// What cleaning up works on.
    fn upkeep(&self, settings: &Settings, system: &System) -> upkeep::Parts {
        upkeep::Parts {
            catalog: Arc::clone(&self.catalog),
            projection: Arc::clone(&self.projection),
            clock: Arc::clone(&system.clock),
            records_max_age: settings.records.max_age,
        }
    }

    fn records(&self, system: &System) -> Records {
        let journal = Arc::clone(&self.journal) as Arc<dyn Journal>;
        Records::new(Arc::clone(&self.projection), journal, Arc::clone(&system.clock))
    }

    /// What forgetting a person works on.
    fn forgetting(&self, system: &System) -> Arc<forget::Parts> {
        Arc::new(forget::Parts {
            catalog: Arc::clone(&self.catalog),
            intake: Arc::clone(&self.intake),
            journal: Arc::clone(&self.journal) as Arc<dyn Journal>,
            eraser: Arc::clone(&self.journal) as Arc<dyn Erase>,
            scheduler: self.dispatcher.scheduler(),
            projection: Arc::clone(&self.projection),
            clock: Arc::clone(&system.clock),
        })
    }

    /// Starts to send what is in the outbox, when there is a server that takes it.
    fn send_mail(
        &self,
        settings: &Settings,
        stop: CancellationToken,
    ) -> anyhow::Result<impl Future<Output = ()> + Send + use<>> {
        let password = secret_of("FANFARE_SMTP_PASSWORD", settings.mail.smtp_password_file.as_deref())?;
        let smtp = Smtp::new(&settings.mail, password, settings.delivery.ca_file.as_deref())?;
        let (queue, pauses) = (Arc::clone(self.catalog.mail()), settings.mail.retry_delays.clone());
        Ok(async move {
            match smtp {
                Some(smtp) => mail::run(&queue, (&smtp, &pauses), stop).await,
                None => tracing::info!("no smtp_host: mail stays in the outbox"),
            }
        })
    }

    fn router(&self, settings: &Settings, system: &System, stop: &CancellationToken) -> axum::Router {
        let seam: Arc<dyn Journal> = Arc::clone(&self.journal) as Arc<dyn Journal>;
        let api = api::router(ApiParts {
            catalog: Arc::clone(&self.catalog),
            journal: seam,
            records: Arc::new(self.records(system)),
            tester: Arc::new(OneRequest(Arc::clone(&self.courier))),
            sampler: sampler(system),
            settings: settings.api.clone(),
            sign_in: settings.sign_in.clone(),
            provider: self.provider.clone(),
            inspector: Arc::new(Inspector::new(self.catalog.addresses().clone(), Arc::clone(&system.clock))),
            public_url: settings.public_url.clone(),
            home: api::console::home(&settings.public_url),
            secure: settings.public_url.starts_with("https://"),
            defaults: WebhookDefaults {
                timeout_s: settings.delivery.timeout.as_secs() as u32,
                concurrency: settings.dispatch.concurrency as u32,
            },
            trusted_proxies: settings.trusted_proxies.clone(),
            clock: Arc::clone(&system.clock),
            stop: stop.clone(),
        });
        let intake = intake::router(Arc::clone(&self.intake));
        let demo = if settings.demo { api::demo::router(Arc::clone(&self.catalog)) } else { axum::Router::new() };
        intake
            .merge(api)
            .merge(api::agent::router())
            .merge(demo)
            .merge(api::console::router(&settings.public_url, Arc::clone(&system.random)))
            .merge(observation::router(self))
    }
}

/// Opens the journal of these settings. It is this process's alone then: one in a directory refuses a second one, one on
/// servers stops the first.
///
/// # Errors
/// What prevents it.
pub fn open_journal(settings: &Settings, clock: &Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Backend>> {
    let clock = Arc::clone(clock);
    match &settings.journal_at {
        JournalAddress::Directory(dir) => {
            let journal = FileJournal::open(dir, &settings.journal, clock, Arc::new(SystemDisk));
            Ok(Arc::new(journal.with_context(|| format!("opening the journal in {}", dir.display()))?))
        }
        JournalAddress::Nats(nats) => {
            let ca_file = settings.delivery.ca_file.as_deref();
            let journal = JetStreamJournal::open(nats, &settings.journal, ca_file, clock);
            Ok(Arc::new(journal.context("opening the journal")?))
        }
    }
}

/// The same, and waits where the servers' stream has no leader at the moment: where one of them was lost with the node before
/// this one, the others are about to choose one.
async fn open_journal_patiently(settings: &Settings, clock: &Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Backend>> {
    let began = Instant::now();
    loop {
        match open_journal(settings, clock) {
            Err(error) if is_unreachable(&error) && began.elapsed() < INIT_PATIENCE => {
                tracing::warn!("the journal cannot be opened yet: {error:#}");
            }
            opened => return opened,
        }
        tokio::time::sleep(INIT_PAUSE).await;
    }
}

fn is_unreachable(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(jetstream::OpenError::Unreachable(_)))
}

async fn open_projection(
    settings: &Settings,
    place: &Place,
    system: &System,
    journal: &Arc<dyn Journal>,
) -> anyhow::Result<Arc<Projection>> {
    let (journal, clock) = (Arc::clone(journal), Arc::clone(&system.clock));
    let projection = Projection::open(place, journal, &settings.records, &settings.intake, clock).map(Arc::new)?;
    let catching_up = Arc::clone(&projection);
    tokio::task::spawn_blocking(move || catching_up.catch_up()).await??;
    Ok(projection)
}

fn client(settings: &Settings, system: &System) -> anyhow::Result<Client> {
    Ok(Client::new(ClientConfig {
        guard: Guard::new(settings.allow_private, settings.allow_nets.clone()),
        resolver: Arc::new(SystemResolver::default()),
        tls: Tls::new(settings.delivery.ca_file.as_deref(), Arc::clone(&system.clock))?,
        proxy: proxy(settings)?.map(Arc::new),
        keep_alive: settings.delivery.keep_alive,
        clock: Arc::clone(&system.clock),
    }))
}

/// The proxy that the settings name.
fn proxy(settings: &Settings) -> anyhow::Result<Option<Proxy>> {
    let Some(proxy) = &settings.delivery.proxy else { return Ok(None) };
    let password = secret_of("FANFARE_PROXY_PASSWORD", proxy.password_file.as_deref())?;
    let credentials = match (&proxy.user, password) {
        (Some(user), password) => Some((user.clone(), password.unwrap_or_else(|| Secret::new("")))),
        (None, None) => None,
        (None, Some(_)) => anyhow::bail!("there is a password for the proxy, but `proxy` names no user before the @"),
    };
    if proxy.resolves {
        tracing::warn!("proxy_resolves: it is the proxy that must keep webhooks from private addresses");
    }
    Ok(Some(Proxy {
        kind: if proxy.socks { ProxyKind::Socks5 } else { ProxyKind::Http },
        host: proxy.host.clone(),
        port: proxy.port,
        credentials,
        resolves: proxy.resolves,
        except: proxy.except.clone(),
    }))
}

fn snapshots(catalog: &Arc<Catalog>) -> Arc<dyn Fn() -> Arc<Snapshot> + Send + Sync> {
    let catalog = Arc::clone(catalog);
    Arc::new(move || catalog.current())
}

fn restart(projection: &Projection) -> anyhow::Result<Restart> {
    let state = projection.lane_state()?;
    let waiting = projection.waiting_retries()?.into_iter().map(|retry| Waiting {
        due: retry.due,
        delivery: retry.delivery,
        event: retry.event,
        attempts: retry.attempts,
        replay: retry.replay,
        since: retry.created_at,
        visitor: None,
    });
    let open = projection.open_replays()?.into_iter();
    Ok(Restart {
        head: state.head,
        marks: state.lanes,
        switches: projection.all_switches()?,
        waiting: waiting.collect(),
        carried: projection.carried()?,
        forced: open.filter(|row| row.asked.forced).map(|row| row.position).collect(),
        receivers: projection.receivers()?.into_iter().map(known_receiver).collect(),
    })
}

fn known_receiver(kept: KeptReceiver) -> KnownReceiver {
    let KeptReceiver { webhook, is_silent, rests_until } = kept;
    KnownReceiver { webhook, is_silent, rests_until }
}

/// The body of a webhook's test: the ping, or an event's sample.
fn sampler(system: &System) -> Sampler {
    let (clock, random) = (Arc::clone(&system.clock), Arc::clone(&system.random));
    Arc::new(move |subscription, kind| {
        let sample = match kind {
            Some(kind) => sample::test_event(kind, subscription, clock.now(), random.as_ref()),
            None => sample::ping(subscription, clock.now(), random.as_ref()),
        };
        (sample.unique_id, sample.body.into())
    })
}

fn open_intake(
    settings: &Settings,
    system: &System,
    journal: Arc<dyn Journal>,
    catalog: &Arc<Catalog>,
    projection: &Arc<Projection>,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<Arc<Intake>> {
    let people = Arc::new(PeopleInStore(Arc::clone(projection)));
    Ok(Intake::new(IntakeParts {
        catalog: snapshots(catalog),
        journal,
        seen: people.clone(),
        guides: people,
        clock: Arc::clone(&system.clock),
        random: Arc::clone(&system.random),
        settings: settings.intake.clone(),
        public_origin: origin_of(&settings.public_url),
        trusted_proxies: settings.trusted_proxies.clone(),
        restored: restored(settings, system, projection)?,
        metrics: Arc::clone(metrics),
    }))
}

/// The scheme, host and port of a URL.
fn origin_of(url: &str) -> String {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url[after_scheme..].find('/').map_or(url.len(), |at| after_scheme + at);
    url[..end].to_owned()
}

fn restored(settings: &Settings, system: &System, projection: &Projection) -> anyhow::Result<Restored> {
    let since = system.clock.now().before(settings.intake.item_id_ttl);
    let mut item_ids = Vec::new();
    projection.items(since, settings.intake.item_id_count, &mut |id, at| item_ids.push((id, at)))?;
    let held = projection.held()?.into_iter();
    let held = held.map(|held| RestoredHeld { position: held.position, due: held.due, draft: held.draft });
    Ok(Restored { item_ids: Box::new(item_ids.into_iter()), held: held.collect() })
}

#[cfg(test)]
mod tests;
