//! On what a node under test keeps its things: files of its own, or the servers that `tests/services` has started.

use fanfare::store::db::{Connection, PostgresPlace, PostgresServer};
use std::sync::atomic::{AtomicU32, Ordering};

/// Says with which of the two a run is made: "embedded", which is also what it is without, or "cluster".
const BACKEND: &str = "TEST_BACKEND";

/// The URL of a PostgreSQL server on which a test may make databases, without the database's name.
const POSTGRES: &str = "TEST_POSTGRES";

/// The URL of a NATS server on which a test may make streams.
pub(super) const NATS: &str = "TEST_NATS";

/// What secrets are sealed with where the store is on a server.
const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

static DATABASES: AtomicU32 = AtomicU32::new(0);

/// What one node keeps its things on.
#[derive(Debug)]
pub enum Backend {
    /// Files in its data directory.
    Embedded,
    /// A database and a stream of its own.
    Cluster(Database),
}

impl Backend {
    /// What this run is made with; a fresh one.
    #[track_caller]
    pub fn of_this_run() -> Self {
        match std::env::var(BACKEND).as_deref() {
            Err(_) | Ok("embedded") => Self::Embedded,
            Ok("cluster") => Self::cluster(),
            Ok(other) => panic!("{BACKEND} is {other:?}; it can be embedded or cluster"),
        }
    }

    /// Servers, whatever the run is made with.
    #[track_caller]
    pub fn cluster() -> Self {
        Self::Cluster(Database::create())
    }

    /// How a program is told.
    pub fn environment(&self) -> Vec<(String, String)> {
        match self {
            Self::Embedded => Vec::new(),
            Self::Cluster(database) => vec![
                (String::from("FANFARE_STORE"), database.url()),
                (String::from("FANFARE_MASTER_KEY"), String::from(MASTER_KEY)),
                (String::from("FANFARE_JOURNAL"), server(NATS)),
                (String::from("FANFARE_JOURNAL_REPLICAS"), String::from("1")),
                (String::from("FANFARE_JOURNAL_STREAM"), database.name.clone()),
            ],
        }
    }
}

#[track_caller]
pub(super) fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: `make test` starts the servers, or `tests/services <command>` does")
    })
}

/// A database that is there as long as this is.
#[derive(Debug)]
pub struct Database {
    server: String,
    pub(super) name: String,
}

impl Database {
    #[track_caller]
    fn create() -> Self {
        let server = server(POSTGRES);
        let name = format!("t{}_{}", std::process::id(), DATABASES.fetch_add(1, Ordering::Relaxed));
        let database = Self { server, name };
        database.run(&format!("CREATE DATABASE {}", database.name));
        database
    }

    /// The tables, and the entries of the stream, in which this text stands.
    pub fn holding(&self, text: &str) -> Vec<String> {
        let mut found = self.tables_holding(text);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        found.extend(runtime.block_on(self.messages_holding(text)));
        found
    }

    fn tables_holding(&self, text: &str) -> Vec<String> {
        let server = PostgresServer::new(&self.url(), &[]).unwrap();
        let connection = Connection::to_server(&server, &PostgresPlace { schema: "tests", lock: 1 }).unwrap();
        let sql = "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname LIKE 'fanfare%'";
        let mut statement = connection.prepare_cached(sql).unwrap();
        let tables = statement.query_map((), |row| row.get::<String>(0)).unwrap();
        // Bytes are shown in hexadecimal.
        let patterns = [format!("%{text}%"), format!("%{}%", hex::encode(text))];
        let holds = |table: &String| {
            let sql = format!("SELECT 1 FROM {table} AS t WHERE CAST(t AS TEXT) LIKE $1 OR CAST(t AS TEXT) LIKE $2");
            connection.prepare_cached(&sql).unwrap().exists([&patterns[0], &patterns[1]]).unwrap()
        };
        let tables = tables.map(Result::unwrap).collect::<Vec<_>>();
        assert!(tables.len() > 20, "{tables:?}");
        tables.into_iter().filter(holds).collect()
    }

    async fn messages_holding(&self, text: &str) -> Vec<String> {
        let client = async_nats::connect(server(NATS)).await.unwrap();
        let stream = async_nats::jetstream::new(client).get_stream(&self.name).await.unwrap();
        let state = stream.cached_info().state.clone();
        let mut found = Vec::new();
        for sequence in state.first_sequence..=state.last_sequence {
            // What was erased is not there.
            let Ok(message) = stream.get_raw_message(sequence).await else { continue };
            if message.payload.windows(text.len()).any(|part| part == text.as_bytes()) {
                found.push(format!("message {sequence}"));
            }
        }
        found
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("{}/{}", self.server, self.name)
    }

    #[track_caller]
    pub(super) fn run(&self, sql: &str) {
        let place = PostgresPlace { schema: "tests", lock: 1 };
        let server = PostgresServer::new(&format!("{}/postgres", self.server), &[]).unwrap();
        Connection::to_server(&server, &place).unwrap().execute_batch(sql).unwrap();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.run(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}
