//! `fanfare listen`: a receiver for developers. It verifies signatures, shows each event, and can fail on purpose.

mod show;
mod verify;

use crate::clock::{Clock, SystemClock};
use crate::config::parse_duration;
use crate::http::{Limits, serve};
use crate::observe::HttpMetrics;
use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use show::{Received, Style};
use std::collections::{HashMap, VecDeque};
use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use verify::{Check, Headers};

/// How many ids are remembered to recognise repeats.
const SEEN: usize = 100_000;

/// The largest body that is taken.
const BODY_BYTES: usize = 16 * 1024 * 1024;

/// Requests at a time; Fanfare sends 32 at a time to one webhook by itself.
const CONNECTIONS: usize = 1024;

pub(super) fn command() -> Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Command::new("listen")
        .about("Receive webhooks on this machine, verify their signatures and show each event")
        .arg(option("listen", "ADDRESS", "Where to listen").default_value("127.0.0.1:9000"))
        .arg(
            option("port", "PORT", "The same, by its port on 127.0.0.1")
                .value_parser(value_parser!(u16))
                .conflicts_with("listen"),
        )
        .arg(option("secret", "SECRET", "The webhook's secret, to verify X-Pendo-Signature [env: FANFARE_SECRET]"))
        .arg(option("signing-key", "whsec_…", "To verify webhook-signature [env: FANFARE_SIGNING_KEY]"))
        .arg(
            option("status", "STATUS", "Answer with this status: 200 if not given, 500 with --fail-first")
                .value_parser(value_parser!(u16).range(200..600)),
        )
        .arg(option("delay", "DURATION", "Wait before each answer, for example 2s").value_parser(parse_duration))
        .arg(
            option("fail-first", "N", "Answer the first N attempts of each event with --status, later ones with 200")
                .value_parser(value_parser!(u32)),
        )
        .arg(
            option("count", "N", "Exit after N different events were answered with 2xx")
                .value_parser(value_parser!(u64).range(1..)),
        )
        .arg(Arg::new("body").long("body").action(ArgAction::SetTrue).help("Show bodies too"))
}

/// Exit code 0 when every signature that could be checked was right, else 1.
pub(super) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let (address, options) = Options::of(matches)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    let summary = runtime.block_on(async {
        let listener = TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
        let mut out = std::io::stdout();
        writeln!(out, "Listening on http://{}/ - Ctrl-C ends.", listener.local_addr()?)?;
        writeln!(out, "{}", options.what_is_verified())?;
        let receiver = Receiver::new(options, Box::new(out));
        let stop = receiver.finished.clone();
        tokio::spawn(async move {
            let _signal = tokio::signal::ctrl_c().await;
            stop.cancel();
        });
        anyhow::Ok(receive(listener, receiver).await)
    })?;
    writeln!(std::io::stdout(), "\n{}", summary.line())?;
    Ok(if summary.invalid == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was asked for.
#[derive(Debug, Clone)]
struct Options {
    secret: Option<String>,
    signing_key: Option<Vec<u8>>,
    status: Option<u16>,
    delay: Duration,
    fail_first: Option<u32>,
    count: Option<u64>,
    style: Style,
}

impl Options {
    fn of(matches: &ArgMatches) -> anyhow::Result<(SocketAddr, Self)> {
        let listen = matches.get_one::<String>("listen").map_or("", String::as_str);
        let address = match matches.get_one::<u16>("port") {
            Some(port) => SocketAddr::from((Ipv4Addr::LOCALHOST, *port)),
            None => listen.parse().with_context(|| format!("--listen {listen}, for example 127.0.0.1:9000"))?,
        };
        let given = |name: &str, variable: &str| {
            let from_environment = || std::env::var(variable).ok().filter(|value| !value.is_empty());
            matches.get_one::<String>(name).cloned().or_else(from_environment)
        };
        let signing_key = given("signing-key", "FANFARE_SIGNING_KEY");
        let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let options = Self {
            secret: given("secret", "FANFARE_SECRET"),
            signing_key: signing_key.map(|text| verify::signing_key(&text)).transpose()?,
            status: matches.get_one("status").copied(),
            delay: matches.get_one("delay").copied().unwrap_or_default(),
            fail_first: matches.get_one("fail-first").copied(),
            count: matches.get_one("count").copied(),
            style: Style { colours, bodies: matches.get_flag("body") },
        };
        Ok((address, options))
    }

    /// Which signatures are checked, and how to have the others checked too.
    fn what_is_verified(&self) -> &'static str {
        match (&self.secret, &self.signing_key) {
            (Some(_), Some(_)) => "Verifies X-Pendo-Signature and webhook-signature.",
            (Some(_), None) => "Verifies X-Pendo-Signature; with --signing-key whsec_… webhook-signature too.",
            (None, Some(_)) => "Verifies webhook-signature; with --secret X-Pendo-Signature too.",
            (None, None) => "Verifies nothing: give --secret, --signing-key or both.",
        }
    }

    /// The status for the `sighting`th request with the same uniqueId.
    fn status_for(&self, sighting: u32) -> u16 {
        match (self.fail_first, self.status) {
            (Some(first), status) if sighting <= first => status.unwrap_or(500),
            (Some(_), _) | (None, None) => 200,
            (None, Some(status)) => status,
        }
    }
}

/// Serves until the receiver has finished.
async fn receive(listener: TcpListener, receiver: Arc<Receiver>) -> Summary {
    let router =
        Router::new().fallback(answer).layer(DefaultBodyLimit::max(BODY_BYTES)).with_state(Arc::clone(&receiver));
    let limits = Limits::new(CONNECTIONS, receiver.options.delay + Duration::from_secs(1));
    serve(listener, router, limits, HttpMetrics::default(), receiver.finished.clone()).await;
    receiver.state().summary
}

async fn answer(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let status = receiver.take(&headers, &body, SystemClock.now());
    tokio::time::sleep(receiver.options.delay).await;
    receiver.end_when_complete();
    StatusCode::from_u16(status).unwrap_or(StatusCode::OK)
}

/// All that a running `listen` knows.
struct Receiver {
    options: Options,
    state: Mutex<Progress>,
    finished: CancellationToken,
}

/// What changes with each request.
struct Progress {
    seen: Seen,
    summary: Summary,
    out: Box<dyn Write + Send>,
}

/// Totals of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Summary {
    requests: u64,
    /// Different events that were answered with 2xx.
    delivered: u64,
    repeats: u64,
    verified: u64,
    invalid: u64,
}

impl Summary {
    fn line(self) -> String {
        let Self { requests, delivered, repeats, verified, invalid } = self;
        format!(
            "{requests} requests, {delivered} events taken, {repeats} repeats, {verified} verified, {invalid} not genuine"
        )
    }
}

impl Receiver {
    fn new(options: Options, out: Box<dyn Write + Send>) -> Arc<Self> {
        let state = Progress { seen: Seen::default(), summary: Summary::default(), out };
        Arc::new(Self { options, state: Mutex::new(state), finished: CancellationToken::new() })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Verifies, counts and shows one request; gives the status to answer with.
    fn take(&self, headers: &HeaderMap, body: &[u8], at: crate::model::UnixMs) -> u16 {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let judged = Headers {
            pendo: header("x-pendo-signature"),
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp"),
            signature: header("webhook-signature"),
        };
        let keys = (self.options.secret.as_deref(), self.options.signing_key.as_deref());
        let (pendo, standard) = verify::both(keys, judged, body, at);
        let mut state = self.state();
        let (sighting, taken_before) = state.seen.sighting(unique_id(body));
        let status = self.options.status_for(sighting);
        let delivered = (200..300).contains(&status);
        state.summary.count(&pendo, &standard, sighting, delivered && !taken_before);
        if delivered {
            state.seen.taken(unique_id(body));
        }
        let received = Received { at, body, pendo: &pendo, standard: &standard, sighting, status };
        // A closed standard output does not keep the receiver from answering.
        let _closed_pipe = show::event(&received, self.options.style, &mut state.out);
        status
    }

    fn end_when_complete(&self) {
        if self.options.count.is_some_and(|count| self.state().summary.delivered >= count) {
            self.finished.cancel();
        }
    }
}

impl Summary {
    fn count(&mut self, pendo: &Check, standard: &Check, sighting: u32, newly_delivered: bool) {
        self.requests += 1;
        self.delivered += u64::from(newly_delivered);
        self.repeats += u64::from(sighting > 1);
        let checks = [pendo, standard];
        let failed = checks.iter().any(|check| matches!(check, Check::Invalid(_)));
        self.invalid += u64::from(failed);
        self.verified += u64::from(!failed && checks.iter().any(|check| **check == Check::Valid));
    }
}

/// The event's uniqueId; of a body that has none, the body itself tells repeats apart.
fn unique_id(body: &[u8]) -> String {
    let parsed: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let id = parsed.and_then(|value| value["uniqueId"].as_str().map(str::to_owned));
    id.unwrap_or_else(|| hex::encode(ring::digest::digest(&ring::digest::SHA256, body)))
}

/// How often each id was seen and whether it was taken, of the last [`SEEN`] ids.
#[derive(Debug, Default)]
struct Seen {
    ids: HashMap<String, (u32, bool)>,
    order: VecDeque<String>,
}

impl Seen {
    /// Counts one more; gives the count and whether an earlier one was taken.
    fn sighting(&mut self, id: String) -> (u32, bool) {
        if let Some((count, taken)) = self.ids.get_mut(&id) {
            *count += 1;
            return (*count, *taken);
        }
        if self.order.len() == SEEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        self.order.push_back(id.clone());
        self.ids.insert(id, (1, false));
        (1, false)
    }

    fn taken(&mut self, id: String) {
        self.ids.entry(id).and_modify(|(_, taken)| *taken = true);
    }
}

#[cfg(test)]
mod tests;
