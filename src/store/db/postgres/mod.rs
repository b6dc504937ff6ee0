//! PostgreSQL behind blocking calls.
//!
//! The driver is an async one. Its connections live on a runtime of their own, so that a caller may block as it may with a
//! file.

mod tls;
mod wire;

pub use wire::value;

use super::value::{Owned, ToValue, Value};
use super::{Error, Result};
use crate::blocking::{Driver, wait};
use crate::limits;
use crate::model::OutOfReach;
use futures_util::TryStreamExt;
use rustls::pki_types::CertificateDer;
use std::cell::RefCell;
use std::collections::HashMap;
use std::error::Error as _;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::vec;
use tls::MakeTls;
use tokio_postgres::config::Host;
use tokio_postgres::{CancelToken, Client, Config, Row, Statement};

/// Where a server listens whose URL names no port.
const POSTGRES_PORT: u16 = 5432;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a server may leave what was sent to it unacknowledged, and how long it may be silent, before the connection
/// is given up.
const NETWORK_TIMEOUT: Duration = Duration::from_secs(20);

/// What each connection is set to: a statement and a wait for a lock that take this long are broken off, and a
/// transaction that nobody goes on with frees what it holds.
const SESSION: &str = "SET statement_timeout = '60s'; SET lock_timeout = '30s'; \
                       SET idle_in_transaction_session_timeout = '15s'; SET TIME ZONE 'UTC';";

/// A server, and what its connections run on.
#[derive(Clone)]
pub struct PostgresServer {
    server: Arc<Server>,
    pass: Option<Arc<Pass>>,
}

struct Server {
    config: Config,
    tls: MakeTls,
    driver: Driver,
}

/// Who may connect, and for how long.
struct Pass {
    /// What the connections are called, by which others can end them.
    name: String,
    /// Finds a row as long as it is good.
    check: String,
}

/// Where the tables of one part of the store lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostgresPlace {
    /// The schema.
    pub schema: &'static str,
    /// Under this number a transaction that writes here locks others out.
    pub lock: i64,
}

impl std::fmt::Debug for PostgresServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PostgresServer").field(&self.server.config.get_hosts()).finish()
    }
}

impl PostgresServer {
    /// A server by its URL. Certificates are checked where it offers TLS, `authorities` trusted beside the system's.
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Value`] when the URL is none; it is not in the message, because there may be a password in it.
    pub fn new(url: &str, authorities: &[CertificateDer<'static>]) -> Result<Self> {
        let mut config: Config =
            url.parse().map_err(|error: tokio_postgres::Error| Error::Value(format!("the store's URL: {error}")))?;
        config.application_name("fanfare").keepalives_idle(NETWORK_TIMEOUT).tcp_user_timeout(NETWORK_TIMEOUT);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        let tls = MakeTls::new(authorities).map_err(|error| Error::Value(error.to_string()))?;
        let driver = Driver::start("postgres").map_err(|error| Error::Value(error.to_string()))?;
        Ok(Self { server: Arc::new(Server { config, tls, driver }), pass: None })
    }

    /// The same server, each of whose connections is called `name`, and is made only where the statement `check` finds a
    /// row: otherwise it is out of reach.
    pub fn with_pass(&self, name: String, check: String) -> Self {
        Self { server: Arc::clone(&self.server), pass: Some(Arc::new(Pass { name, check })) }
    }

    /// The address of this machine from which it is reached: others in that network most likely reach this machine there.
    pub fn own_address(&self) -> Option<IpAddr> {
        let Some(Host::Tcp(host)) = self.server.config.get_hosts().first() else {
            return Some(Ipv4Addr::LOCALHOST.into());
        };
        let port = self.server.config.get_ports().first().copied().unwrap_or(POSTGRES_PORT);
        // Nothing is sent: the system says from where it would be.
        let socket = |any: &str| {
            let socket = UdpSocket::bind((any, 0)).ok()?;
            socket.connect((host.as_str(), port)).ok()?;
            Some(socket.local_addr().ok()?.ip())
        };
        socket("0.0.0.0").or_else(|| socket("::"))
    }

    /// A connection.
    pub(super) fn connect(&self, place: &PostgresPlace) -> Result<Session> {
        let (mut config, tls) = (self.server.config.clone(), self.server.tls.clone());
        if let Some(pass) = &self.pass {
            // With the very first message: from the moment that it can do anything it can be found by its name.
            config.application_name(&pass.name);
        }
        let client = self.server.driver.run(async move {
            let (client, connection) = config.connect(tls).await?;
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::warn!(error = %describe(&error), "a connection to PostgreSQL was lost");
                }
            });
            Ok(client)
        });
        let client: Client = client.map_err(unreachable)?.map_err(failed)?;
        let session = Session {
            client: Arc::new(client),
            statements: RefCell::default(),
            later: RefCell::default(),
            place: *place,
            server: self.clone(),
        };
        session.batch(&format!("{SESSION} SET search_path TO {};", place.schema))?;
        if let Some(pass) = &self.pass
            && wait(session.client.query_opt(&pass.check, &[])).map_err(failed)?.is_none()
        {
            return Err(unreachable("another node has taken this one's place"));
        }
        Ok(session)
    }
}

/// A statement on its way.
type Pending = Pin<Box<dyn Future<Output = Result<u64, tokio_postgres::Error>> + Send>>;

/// A connection.
pub(super) struct Session {
    client: Arc<Client>,
    statements: RefCell<HashMap<String, Statement>>,
    /// Statements on their way, of which nobody waits for the answer yet.
    later: RefCell<Vec<Pending>>,
    place: PostgresPlace,
    server: PostgresServer,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    pub(super) fn prepare(&self, sql: &str) -> Result<Statement> {
        if let Some(statement) = self.statements.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = wait(self.client.prepare(sql)).map_err(failed)?;
        let mut statements = self.statements.borrow_mut();
        if statements.len() >= limits::STATEMENTS {
            statements.clear();
        }
        statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    pub(super) fn execute(&self, statement: &Statement, values: &[Value<'_>]) -> Result<usize> {
        Ok(wait(self.client.execute_raw(statement, values)).map_err(failed)? as usize)
    }

    /// Sends it, and leaves its answer to [`Self::settle`].
    pub(super) fn execute_later(&self, statement: &Statement, values: &[Value<'_>]) -> Result<()> {
        let (client, statement) = (Arc::clone(&self.client), statement.clone());
        let values: Vec<Owned> = values.iter().map(|value| (*value).into()).collect();
        let mut pending: Pending = Box::pin(async move {
            let values = values.iter().map(ToValue::to_value).collect::<Vec<_>>();
            client.execute_raw(&statement, values).await
        });
        // The first look is what sends it.
        match pending.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => done.map(|_| ()).map_err(failed),
            Poll::Pending => {
                self.later.borrow_mut().push(pending);
                if self.later.borrow().len() >= limits::STATEMENTS_ON_THEIR_WAY { self.settle() } else { Ok(()) }
            }
        }
    }

    /// Waits for the statements on their way; the first error that one of them ended with.
    pub(super) fn settle(&self) -> Result<()> {
        let mut outcome = Ok(());
        for pending in self.later.take() {
            let done = wait(pending).map(|_| ()).map_err(failed);
            // What comes behind an error says no more than that there was one.
            outcome = outcome.and(done);
        }
        outcome
    }

    pub(super) fn query(&self, statement: &Statement, values: &[Value<'_>]) -> Result<vec::IntoIter<Row>> {
        // All of them at once: a connection stands still while rows that it has sent are not taken, and the caller may ask
        // it something else in the middle of them.
        let rows = async { self.client.query_raw(statement, values).await?.try_collect::<Vec<_>>().await };
        Ok(wait(rows).map_err(failed)?.into_iter())
    }

    pub(super) fn batch(&self, sql: &str) -> Result<()> {
        // A commit of a transaction that has failed says nothing: whether it has is known before.
        self.settle()?;
        wait(self.client.batch_execute(sql)).map_err(failed)
    }

    pub(super) fn begin(&self) -> Result<()> {
        // What follows must not run in a transaction that has failed.
        self.batch(&format!("BEGIN; SELECT pg_advisory_xact_lock({})", self.place.lock))
            .inspect_err(|_| self.rollback())
    }

    pub(super) fn make_schema(&self) -> Result<()> {
        self.batch(&format!("CREATE SCHEMA IF NOT EXISTS {}", self.place.schema))
    }

    pub(super) fn rollback(&self) {
        // What is taken back needs no answer.
        self.later.take();
        // It fails when the connection is gone: nothing holds then either.
        let _ = self.batch("ROLLBACK");
    }

    pub(super) fn interrupt_handle(&self) -> Interrupt {
        Interrupt { token: self.client.cancel_token(), server: self.server.clone() }
    }
}

/// Breaks off what a connection is at.
pub(super) struct Interrupt {
    token: CancelToken,
    server: PostgresServer,
}

impl Interrupt {
    /// Asks the server to do so.
    pub(super) fn interrupt(&self) {
        let (token, tls) = (self.token.clone(), self.server.server.tls.clone());
        if let Ok(Err(error)) = self.server.server.driver.run(async move { token.cancel_query(tls).await }) {
            tracing::warn!(error = %describe(&error), "a statement could not be broken off");
        }
    }
}

fn unreachable(why: impl Into<String>) -> Error {
    Error::Unreachable(OutOfReach(why.into()))
}

fn failed(error: tokio_postgres::Error) -> Error {
    let is_down = error.code().is_some_and(|code| matches!(code.code(), "57P01" | "57P02" | "57P03"));
    match error.as_db_error() {
        Some(_) if !is_down => Error::Postgres(error),
        None if !error.is_closed() && error.source().is_none() => Error::Postgres(error),
        _ => unreachable(describe(&error)),
    }
}

/// What it says, without what was to be written.
pub(super) fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => format!("{} ({})", error.message(), error.code().code()),
        None => error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}")),
    }
}
