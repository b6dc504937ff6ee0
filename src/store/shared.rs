//! One connection for async code.

use super::db::Connection;
use super::{Part, Place, StoreError};
use std::sync::{Arc, Mutex, PoisonError};

/// A connection that async code may use: each call runs on the runtime's threads for blocking work, one at a time. A
/// connection that was lost is made anew by the next call.
#[derive(Debug, Clone)]
pub struct Shared(Arc<Held>);

#[derive(Debug)]
struct Held {
    place: Place,
    part: Part,
    connection: Mutex<Connection>,
}

impl Shared {
    /// Shares this connection, which leads to this part of a store.
    pub fn new(connection: Connection, place: Place, part: Part) -> Self {
        Self(Arc::new(Held { place, part, connection: Mutex::new(connection) }))
    }

    /// Runs `work` with the connection and waits for its end. A call whose future is dropped still runs to its end.
    ///
    /// # Errors
    /// What `work` returns; [`StoreError::Interrupted`] when it did not run to its end.
    pub async fn call<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    {
        let held = Arc::clone(&self.0);
        let run = move || work(&mut *held.ready()?);
        tokio::task::spawn_blocking(run).await.unwrap_or_else(|_| Err(StoreError::Interrupted.into()))
    }
}

impl Held {
    fn ready(&self) -> Result<std::sync::MutexGuard<'_, Connection>, StoreError> {
        // A panic inside a transaction has rolled it back while unwinding, so the connection is good to go on with.
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if connection.is_broken() {
            *connection = self.place.open(self.part)?;
        }
        Ok(connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_that_panics_leaves_the_connection_usable() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::Directory(dir.path().to_owned());
        let shared = Shared::new(place.open(Part::Configured).unwrap(), place, Part::Configured);
        let broken: Result<(), StoreError> = shared.call(|_| panic!("on purpose")).await;
        assert!(matches!(broken, Err(StoreError::Interrupted)));
        let one: i64 =
            shared.call(|c| c.query_row("SELECT 1", (), |row| row.get(0)).map_err(StoreError::from)).await.unwrap();
        assert_eq!(one, 1);
    }
}
