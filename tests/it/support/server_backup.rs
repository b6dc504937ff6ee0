//! A backup of what a node keeps on servers, made and restored as the servers' own tools do: `pg_dump` and `pg_restore`, and what
//! `nats stream backup` and `nats stream restore` say to the server.

use super::backend::{Backend, server};
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// A backup.
#[derive(Debug)]
pub struct ServerBackup {
    dump: tempfile::TempPath,
    /// The stream's configuration and state.
    stream: Value,
    chunks: Vec<Bytes>,
}

impl ServerBackup {
    /// First the store, then the journal (docs/cluster.md).
    pub fn of(backend: &Backend) -> Self {
        let Backend::Cluster(database) = backend else { panic!("it is on files") };
        let dump = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        run(Command::new("pg_dump").args(["--format=custom", "--file"]).arg(&dump).arg(database.url()));
        let (stream, chunks) = in_runtime(back_up(&database.name));
        Self { dump, stream, chunks }
    }

    /// Puts it in the place of everything that is there now.
    pub fn restore(&self, backend: &Backend) {
        let Backend::Cluster(database) = backend else { panic!("it is on files") };
        database.run(&format!("DROP DATABASE {} WITH (FORCE)", database.name));
        database.run(&format!("CREATE DATABASE {}", database.name));
        let dump: &Path = &self.dump;
        run(Command::new("pg_restore").args(["--exit-on-error", "--dbname", &database.url()]).arg(dump));
        in_runtime(restore(&database.name, &self.stream, &self.chunks));
    }
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn in_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

async fn ask(client: &async_nats::Client, subject: String, question: &Value) -> Value {
    let answer = client.request(subject, question.to_string().into()).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
    assert!(answer["error"].is_null(), "{answer}");
    answer
}

async fn back_up(stream: &str) -> (Value, Vec<Bytes>) {
    let client = async_nats::connect(server(super::backend::NATS)).await.unwrap();
    let inbox = client.new_inbox();
    let mut chunks = client.subscribe(inbox.clone()).await.unwrap();
    let question = json!({"deliver_subject": inbox, "no_consumers": true, "chunk_size": 128 * 1024});
    let answer = ask(&client, format!("$JS.API.STREAM.SNAPSHOT.{stream}"), &question).await;
    let mut all = Vec::new();
    while let Some(chunk) = chunks.next().await.filter(|chunk| !chunk.payload.is_empty()) {
        all.push(chunk.payload);
        // Where it asks for it, it sends the next ones when it knows that these have come.
        if let Some(reply) = chunk.reply {
            client.publish(reply, Bytes::new()).await.unwrap();
        }
    }
    (json!({"config": answer["config"], "state": answer["state"]}), all)
}

async fn restore(name: &str, stream: &Value, chunks: &[Bytes]) {
    let client = async_nats::connect(server(super::backend::NATS)).await.unwrap();
    ask(&client, format!("$JS.API.STREAM.DELETE.{name}"), &json!({})).await;
    let answer = ask(&client, format!("$JS.API.STREAM.RESTORE.{name}"), stream).await;
    let to = answer["deliver_subject"].as_str().unwrap().to_owned();
    for chunk in chunks {
        client.request(to.clone(), chunk.clone()).await.unwrap();
    }
    let answer = client.request(to, Bytes::new()).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
    assert_eq!(answer["state"]["messages"], stream["state"]["messages"], "{answer}");
}
