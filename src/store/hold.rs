//! The lock of the node that is active, and its term: what keeps a node away from the store that has lost the lock without
//! having noticed yet.
//!
//! Whoever takes the lock begins a term, notes it in the store, and then ends the connections of every other term, before it
//! reads anything. A connection of a term looks, once it is there, whether the term is still the one that is noted. So a node
//! that was frozen while another took its place has done what it did before the other one read it, or does it not at all.

use super::db::{self, Connection, OptionalExtension, PostgresPlace, PostgresServer};
use super::{Place, StoreError, configured, migrate};
use crate::limits::NODE_ADDRESS_BYTES;
use std::time::{Duration, Instant};

/// Its place.
const PLACE: PostgresPlace = PostgresPlace { schema: "fanfare_configured", lock: 6_479_643_202 };

/// The number of the lock itself.
const LOCK: i64 = PLACE.lock + 1;

/// After this time without a sign the server ends the connection of a node that holds it: it is frozen, or cut off.
const SILENCE: &str = "15s";

/// The connection of who holds the lock is called so, and where the node is reached.
const NAME: &str = "fanfare active ";

/// The other connections of a node that is active are called so, and its term.
const TERM_NAME: &str = "fanfare term ";

/// How long the connections of the term before may take to end.
const ENDING: Duration = Duration::from_secs(10);

/// How long PostgreSQL waits for one of them, in milliseconds, before it says how far it is.
const ENDING_WAIT_MS: u64 = 1000;

/// PostgreSQL keeps this much of a connection's name, in bytes.
const _: () = assert!(NAME.len() + NODE_ADDRESS_BYTES <= 63);

/// A node that would like to be the active one.
#[derive(Debug)]
pub struct Candidate {
    connection: Connection,
    server: PostgresServer,
}

/// Held by one node at a time, as long as its connection lives and it gives signs.
#[derive(Debug)]
pub struct Hold {
    by: Candidate,
    term: String,
}

/// What came of trying to take it.
#[derive(Debug)]
pub enum Turn {
    /// It is this node's turn.
    Taken(Hold),
    /// Another node's, which is reached at this address; it is not known when it has just begun or ended.
    Others(Candidate, Option<String>),
}

/// What came of trying to take it again.
#[derive(Debug)]
pub enum Again {
    /// It is held again.
    Taken(Hold),
    /// The connection that was lost is still there as PostgreSQL sees it, or another node is about to take the hold.
    NotYet,
    /// Another node has it, or has had it since.
    Replaced,
}

impl Candidate {
    /// Connects. Blocking.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn connect(server: &PostgresServer) -> Result<Self, StoreError> {
        let connection = Connection::to_server(server, &PLACE)?;
        connection.execute_batch(&format!("SET idle_session_timeout = '{SILENCE}'"))?;
        Ok(Self { connection, server: server.clone() })
    }

    /// Takes the hold, where nobody has it, for the node that is reached at `address`, and begins a term. Blocking, up to
    /// some seconds where a node before this one has left connections behind.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is held then.
    pub fn try_take(self, address: &str) -> Result<Turn, StoreError> {
        if !self.try_lock()? {
            let holder = self.who()?;
            return Ok(Turn::Others(self, holder));
        }
        self.be_known_at(address)?;
        Ok(Turn::Taken(self.begin_term()?))
    }

    fn try_lock(&self) -> Result<bool, StoreError> {
        Ok(self.connection.query_row(&format!("SELECT pg_try_advisory_lock({LOCK})"), (), |row| row.get(0))?)
    }

    /// Says where the node is reached that holds it: `address` is nothing but a host and a port, as the settings have seen to.
    fn be_known_at(&self, address: &str) -> Result<(), StoreError> {
        Ok(self.connection.execute_batch(&format!("SET application_name = '{NAME}{address}'"))?)
    }

    /// Holds it from now on, alone.
    fn begin_term(self) -> Result<Hold, StoreError> {
        let term = note_term(&self.connection)?;
        end_other_terms(&self.connection, &term)?;
        Ok(Hold { by: self, term })
    }

    /// Where the node is reached that holds it. Blocking.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn who(&self) -> Result<Option<String>, StoreError> {
        // A lock of 64 bits is shown as two numbers.
        let sql = format!(
            "SELECT application_name FROM pg_stat_activity WHERE pid = (SELECT pid FROM pg_locks \
             WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid = {} AND objid = {} \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))",
            LOCK >> 32,
            LOCK & 0xffff_ffff
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let names = statement.query_map((), |row| row.get::<Option<String>>(0))?;
        let name = names.filter_map(Result::ok).flatten().next();
        Ok(name.and_then(|name| name.strip_prefix(NAME).map(str::to_owned)))
    }
}

impl Hold {
    /// Takes the hold for work that no node may be active beside, as long as it lives: it needs no signs. Blocking.
    ///
    /// # Errors
    /// [`StoreError::Active`] while a node is.
    pub fn for_work(server: &PostgresServer) -> Result<Self, StoreError> {
        let candidate = Candidate::connect(server)?;
        if !candidate.try_lock()? {
            return Err(StoreError::Active(candidate.who()?));
        }
        candidate.connection.execute_batch("SET idle_session_timeout = 0")?;
        // Where there is nothing yet, there is no place for a term.
        migrate(&candidate.connection, configured::MIGRATIONS)?;
        candidate.begin_term()
    }

    /// The store as its holder reaches it: until another one has taken the hold.
    pub fn place(&self) -> Place {
        Place::Server(self.by.server.with_pass(format!("{TERM_NAME}{}", self.term), noted(&self.term)))
    }

    /// Gives a sign. Blocking.
    ///
    /// # Errors
    /// [`StoreError`]: it is not held any more.
    pub fn sign(&self) -> Result<(), StoreError> {
        Ok(self.by.connection.query_row("SELECT 1", (), |_| Ok(()))?)
    }

    /// Takes it again, in the same term, after its connection was lost. Blocking.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn take_again(&self, address: &str) -> Result<Again, StoreError> {
        let by = Candidate::connect(&self.by.server)?;
        let is_free = by.try_lock()?;
        if !is_noted(&by.connection, &self.term)? {
            return Ok(Again::Replaced);
        }
        if !is_free {
            return Ok(Again::NotYet);
        }
        by.be_known_at(address)?;
        Ok(Again::Taken(Self { by, term: self.term.clone() }))
    }
}

/// Notes a new term, of which nobody has heard before: where a standby takes over that has not got the last ones yet, a
/// number that is counted up would come twice.
fn note_term(connection: &Connection) -> db::Result<String> {
    let sql = "INSERT INTO meta (name, value) VALUES ('term', CAST(gen_random_uuid() AS TEXT))
               ON CONFLICT (name) DO UPDATE SET value = excluded.value RETURNING value";
    connection.query_row(sql, (), |row| row.get(0))
}

/// Finds a row while this term is the one that is noted.
fn noted(term: &str) -> String {
    format!("SELECT 1 FROM {}.meta WHERE name = 'term' AND value = '{term}'", PLACE.schema)
}

fn is_noted(connection: &Connection, term: &str) -> db::Result<bool> {
    Ok(connection.query_row(&noted(term), (), |_| Ok(())).optional()?.is_some())
}

/// Ends what other terms have left behind: connections that are only slow to go, and those of a node that is frozen.
fn end_other_terms(connection: &Connection, term: &str) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT pg_terminate_backend(pid, {ENDING_WAIT_MS}) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name LIKE '{TERM_NAME}%'
           AND application_name <> '{TERM_NAME}{term}'"
    );
    let began = Instant::now();
    while !connection.prepare_cached(&sql)?.query_map((), |row| row.get::<bool>(0))?.collect::<Vec<_>>().is_empty() {
        if began.elapsed() > ENDING {
            return Err(StoreError::Lingering);
        }
    }
    Ok(())
}
