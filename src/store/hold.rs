//! The lock of the node that is active.

use super::StoreError;
use super::db::{Connection, PostgresPlace, PostgresServer};

/// Its place, and the number of its lock.
const PLACE: PostgresPlace = PostgresPlace { schema: "fanfare_configured", lock: 6_479_643_202 };

/// After this time without a sign the server ends the connection of a node that holds it: it is frozen, or cut off.
const SILENCE: &str = "15s";

/// Held by one node at a time, as long as its connection lives and it gives signs.
#[derive(Debug)]
pub struct Hold(Connection);

impl Hold {
    /// Takes it, where nobody holds it. Blocking.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn take(server: &PostgresServer) -> Result<Option<Self>, StoreError> {
        let connection = Connection::to_server(server, &PLACE)?;
        connection.execute_batch(&format!("SET idle_session_timeout = '{SILENCE}'"))?;
        let sql = format!("SELECT pg_try_advisory_lock({})", PLACE.lock + 1);
        let taken = connection.query_row(&sql, (), |row| row.get(0))?;
        Ok(if taken { Some(Self(connection)) } else { None })
    }

    /// Gives a sign. Blocking.
    ///
    /// # Errors
    /// [`StoreError`]: it is not held any more.
    pub fn sign(&self) -> Result<(), StoreError> {
        Ok(self.0.query_row("SELECT 1", (), |_| Ok(()))?)
    }
}
