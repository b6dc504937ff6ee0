//! The lock of the node that is active.

use super::StoreError;
use super::db::{Connection, PostgresPlace, PostgresServer};
use crate::limits::NODE_ADDRESS_BYTES;

/// Its place.
const PLACE: PostgresPlace = PostgresPlace { schema: "fanfare_configured", lock: 6_479_643_202 };

/// The number of the lock itself.
const LOCK: i64 = PLACE.lock + 1;

/// After this time without a sign the server ends the connection of a node that holds it: it is frozen, or cut off.
const SILENCE: &str = "15s";

/// The connection of who holds the lock is called so, and where the node is reached.
const NAME: &str = "fanfare active ";

/// PostgreSQL keeps this much of a connection's name, in bytes.
const _: () = assert!(NAME.len() + NODE_ADDRESS_BYTES <= 63);

/// A node that would like to be the active one.
#[derive(Debug)]
pub struct Candidate(Connection);

/// Held by one node at a time, as long as its connection lives and it gives signs.
#[derive(Debug)]
pub struct Hold(Connection);

/// What came of trying to take it.
#[derive(Debug)]
pub enum Turn {
    /// It is this node's turn.
    Taken(Hold),
    /// Another node's, which is reached at this address; it is not known when it has just begun or ended.
    Others(Candidate, Option<String>),
}

impl Candidate {
    /// Connects. Blocking.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn connect(server: &PostgresServer) -> Result<Self, StoreError> {
        let connection = Connection::to_server(server, &PLACE)?;
        connection.execute_batch(&format!("SET idle_session_timeout = '{SILENCE}'"))?;
        Ok(Self(connection))
    }

    /// Takes the hold, where nobody has it, for the node that is reached at `address`. Blocking.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn try_take(self, address: &str) -> Result<Turn, StoreError> {
        let connection = self.0;
        if connection.query_row(&format!("SELECT pg_try_advisory_lock({LOCK})"), (), |row| row.get(0))? {
            // Nothing but a host and a port, as the settings have seen to.
            connection.execute_batch(&format!("SET application_name = '{NAME}{address}'"))?;
            return Ok(Turn::Taken(Hold(connection)));
        }
        let candidate = Self(connection);
        let holder = candidate.who()?;
        Ok(Turn::Others(candidate, holder))
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
        let mut statement = self.0.prepare_cached(&sql)?;
        let names = statement.query_map((), |row| row.get::<Option<String>>(0))?;
        let name = names.filter_map(Result::ok).flatten().next();
        Ok(name.and_then(|name| name.strip_prefix(NAME).map(str::to_owned)))
    }
}

impl Hold {
    /// Gives a sign. Blocking.
    ///
    /// # Errors
    /// [`StoreError`]: it is not held any more.
    pub fn sign(&self) -> Result<(), StoreError> {
        Ok(self.0.query_row("SELECT 1", (), |_| Ok(()))?)
    }
}
