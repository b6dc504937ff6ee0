//! The stream as the server keeps it: what is asked of it, and what its answers mean.

use super::OpenError;
use crate::config::NatsSettings;
use crate::journal::AppendError;
use crate::model::{Position, UnixMs};
use async_nats::jetstream::{self, stream};
use async_nats::{Client, ConnectOptions, HeaderMap, Message, RequestErrorKind, StatusCode};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// How long an answer may take before what became of the question is unknown.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a connection may take to be made, before another server is tried.
const CONNECT: Duration = Duration::from_secs(2);

/// How often a server is asked for a sign of life. One that has given none for three times as long counts as lost, where a
/// network or a machine that is gone says nothing, and another one is connected to.
const PING: Duration = Duration::from_secs(2);

/// Which commit a message was the first of.
const COMMIT: &str = "Fanfare-Commit";

/// Most messages that a fetch asks for.
const FETCH_MESSAGES: usize = 1000;

/// What a message may be larger than its entry: the subject, and headers.
const OVERHEAD_BYTES: usize = 512;

/// How the server says that the stream has another end than expected.
const WRONG_LAST: [u64; 2] = [10_071, 10_164];

/// The stream.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    client: Client,
    context: jetstream::Context,
    stream: stream::Stream<()>,
    name: String,
    /// The subject under which everything is published.
    subject: String,
}

/// Where the stream begins and ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) oldest: Position,
    pub(super) last: Position,
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

/// What became of a commit that was not acknowledged.
#[derive(Debug)]
pub(super) enum Unpublished {
    /// Nothing of it is in the stream.
    Refused(AppendError),
    /// It may be in the stream, or come there yet.
    Unknown(String),
    /// The stream goes on otherwise than this node knows.
    WrongEnd,
}

/// A message as the server keeps it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) position: Position,
    pub(super) entry: Bytes,
    pub(super) at: UnixMs,
    pub(super) commit: Option<String>,
}

impl Stream {
    /// Connects, and makes the stream where there is none.
    pub(super) async fn open(settings: &NatsSettings, ca_file: Option<&Path>) -> Result<Self, OpenError> {
        Self::connect(settings, ca_file, None).await
    }

    /// Connects, and makes a stream whose first message will be at this position; `None` when there is one that is not
    /// empty.
    pub(super) async fn make(
        settings: &NatsSettings,
        ca_file: Option<&Path>,
        first: Position,
    ) -> Result<Option<Self>, OpenError> {
        let stream = Self::connect(settings, ca_file, Some(first)).await?;
        let extent = stream.extent().await.map_err(OpenError::Unreachable)?;
        Ok(if extent.messages == 0 && extent.last.next() == first { Some(stream) } else { None })
    }

    async fn connect(
        settings: &NatsSettings,
        ca_file: Option<&Path>,
        first: Option<Position>,
    ) -> Result<Self, OpenError> {
        let mut options = ConnectOptions::new()
            .name("fanfare")
            .connection_timeout(CONNECT)
            .ping_interval(PING)
            .request_timeout(Some(PATIENCE));
        if let Some(path) = ca_file {
            options = options.add_root_certificates(path.to_owned());
        }
        let urls = String::from_utf8_lossy(settings.urls.expose()).into_owned();
        let urls: Vec<_> = urls.split(',').map(str::trim).map(str::to_owned).collect();
        let client = options.connect(urls).await.map_err(|error| OpenError::Unreachable(error.to_string()))?;
        if !client.is_server_compatible(2, 12, 0) {
            return Err(OpenError::OldServer(client.server_info().version));
        }
        let context = jetstream::new(client.clone());
        let (name, subject) = (settings.stream.clone(), format!("fanfare.{}", settings.stream));
        let config = stream::Config {
            name: name.clone(),
            subjects: vec![subject.clone()],
            description: Some(String::from("The journal of Fanfare")),
            storage: stream::StorageType::File,
            num_replicas: settings.replicas,
            discard: stream::DiscardPolicy::New,
            allow_direct: true,
            allow_atomic_publish: true,
            first_sequence: first.map(|first| first.0),
            ..stream::Config::default()
        };
        let made = make(&context, config).await;
        made.map_err(|why| OpenError::Stream { name: name.clone(), why, replicas: settings.replicas })?;
        let stream =
            context.get_stream_no_info(&name).await.map_err(|error| OpenError::Unreachable(error.to_string()))?;
        Ok(Self { client, context, stream, name, subject })
    }

    #[cfg(test)]
    pub(super) fn context(&self) -> jetstream::Context {
        self.context.clone()
    }

    /// Largest entry that a message takes.
    pub(super) fn entry_limit(&self) -> usize {
        self.client.max_payload().saturating_sub(OVERHEAD_BYTES)
    }

    /// Where it begins and ends, by the word of its leader.
    pub(super) async fn extent(&self) -> Result<Extent, String> {
        let state = self.stream.get_info().await.map_err(|error| error.to_string())?.state;
        Ok(Extent {
            oldest: Position(state.first_sequence.max(1)),
            last: Position(state.last_sequence),
            messages: state.messages,
            bytes: state.bytes,
        })
    }

    /// Publishes entries behind `last`, all or none; the first one's position. `commit` names them, should it have to be
    /// found out whether they are there.
    pub(super) async fn publish(
        &self,
        entries: &[Bytes],
        last: Position,
        commit: &str,
    ) -> Result<Position, Unpublished> {
        let count = entries.len();
        for (index, entry) in entries.iter().enumerate() {
            let mut headers = HeaderMap::new();
            if index == 0 {
                headers.insert(async_nats::header::NATS_EXPECTED_LAST_SEQUENCE, last.0.to_string().as_str());
                headers.insert(COMMIT, commit);
            }
            // A single message needs no batch around it.
            if count > 1 {
                headers.insert("Nats-Batch-Id", commit);
                headers.insert("Nats-Batch-Sequence", (index + 1).to_string().as_str());
            }
            if index + 1 < count {
                let sent = self.client.publish_with_headers(self.subject.clone(), headers, entry.clone()).await;
                sent.map_err(|error| Unpublished::Refused(AppendError::Failing(error.to_string())))?;
                continue;
            }
            if count > 1 {
                headers.insert("Nats-Batch-Commit", "1");
            }
            return self.acknowledged(headers, entry.clone(), count).await;
        }
        Err(Unpublished::Refused(AppendError::Failing(String::from("there was nothing to publish"))))
    }

    async fn acknowledged(&self, headers: HeaderMap, entry: Bytes, count: usize) -> Result<Position, Unpublished> {
        let answer = match self.client.request_with_headers(self.subject.clone(), headers, entry).await {
            Ok(answer) => answer,
            Err(error) if error.kind() == RequestErrorKind::NoResponders => {
                return Err(Unpublished::Refused(AppendError::Failing(String::from("the stream has no leader"))));
            }
            Err(error) => return Err(Unpublished::Unknown(error.to_string())),
        };
        match serde_json::from_slice(&answer.payload) {
            Ok(Ack::Stored { seq }) if seq >= count as u64 => Ok(Position(seq + 1 - count as u64)),
            Ok(Ack::Refused { error }) if WRONG_LAST.contains(&error.err_code) => Err(Unpublished::WrongEnd),
            Ok(Ack::Refused { error }) => Err(Unpublished::Refused(error.meaning())),
            Ok(Ack::Stored { .. }) | Err(_) => Err(Unpublished::Unknown(format!(
                "an answer that is none: {}",
                String::from_utf8_lossy(&answer.payload)
            ))),
        }
    }

    /// The first message at or after this position, by the word of the stream's leader.
    pub(super) async fn next(&self, from: Position) -> Result<Option<Kept>, String> {
        let ask = json!({"seq": from.0, "next_by_subj": self.subject}).to_string();
        let subject = format!("$JS.API.STREAM.MSG.GET.{}", self.name);
        let answer = self.client.request(subject, ask.into()).await.map_err(|error| error.to_string())?;
        match serde_json::from_slice(&answer.payload).map_err(|error| error.to_string())? {
            Raw::Found { message } => message.kept().map(Some),
            Raw::Refused { error } if error.code == 404 => Ok(None),
            Raw::Refused { error } => Err(error.description),
        }
    }

    /// Messages from this position on, at least one if there is one, from any replica: one that is behind may have none yet.
    pub(super) async fn fetch(&self, from: Position, budget: usize) -> Result<Vec<Kept>, String> {
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await.map_err(|error| error.to_string())?;
        let ask = json!({"seq": from.0, "next_by_subj": self.subject, "batch": FETCH_MESSAGES, "max_bytes": budget});
        let subject = format!("$JS.API.DIRECT.GET.{}", self.name);
        let sent = self.client.publish_with_reply(subject, inbox, ask.to_string().into()).await;
        sent.map_err(|error| error.to_string())?;
        let mut found = Vec::new();
        loop {
            let answer = tokio::time::timeout(PATIENCE, answers.next()).await;
            let answer = answer.map_err(|_| String::from("no answer in time"))?.ok_or("the connection was lost")?;
            match answer.status.as_ref().map(StatusCode::as_u16) {
                None | Some(200) => found.push(direct(answer)?),
                // The end of the batch, or nothing there.
                Some(204 | 404) => return Ok(found),
                Some(status) => return Err(format!("status {status}: {}", answer.description.unwrap_or_default())),
            }
        }
    }

    /// Deletes everything before this position.
    pub(super) async fn purge(&self, before: Position) -> Result<(), String> {
        self.stream.purge().sequence(before.0).await.map(|_| ()).map_err(|error| error.to_string())
    }

    /// Deletes one message, and overwrites where it lay; no error when it is gone already.
    pub(super) async fn delete(&self, position: Position) -> Result<(), String> {
        let ask = json!({"seq": position.0, "no_erase": false});
        let subject = format!("STREAM.MSG.DELETE.{}", self.name);
        let answer: Deleted = self.context.request(subject, &ask).await.map_err(|error| error.to_string())?;
        match answer {
            Deleted::Refused { error } if error.code != 404 && error.err_code != 10_043 => Err(error.description),
            _ => Ok(()),
        }
    }
}

/// Makes the stream, or gives the one that is there what may have changed: where it begins stays.
async fn make(context: &jetstream::Context, config: stream::Config) -> Result<(), String> {
    let found = match context.get_stream(&config.name).await {
        Ok(found) => found.cached_info().config.clone(),
        Err(_) => return context.create_stream(config).await.map(|_| ()).map_err(|error| error.to_string()),
    };
    let wanted = stream::Config {
        num_replicas: config.num_replicas,
        allow_direct: true,
        allow_atomic_publish: true,
        ..found.clone()
    };
    if wanted == found {
        return Ok(());
    }
    context.update_stream(wanted).await.map(|_| ()).map_err(|error| error.to_string())
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Deleted {
    Refused { error: ApiError },
    Done {},
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ack {
    Refused { error: ApiError },
    Stored { seq: u64 },
}

#[derive(Deserialize)]
struct ApiError {
    code: u64,
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

impl ApiError {
    fn meaning(self) -> AppendError {
        if self.description.contains("too large") {
            return AppendError::TooLarge(0);
        }
        let words = ["maximum bytes", "insufficient", "no space", "resource limits"];
        if words.iter().any(|word| self.description.contains(word)) {
            AppendError::Full
        } else {
            AppendError::Failing(self.description)
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Raw {
    Refused { error: ApiError },
    Found { message: RawMessage },
}

#[derive(Deserialize)]
struct RawMessage {
    seq: u64,
    #[serde(default)]
    data: String,
    #[serde(default)]
    hdrs: String,
    time: String,
}

impl RawMessage {
    fn kept(self) -> Result<Kept, String> {
        use base64::Engine as _;
        let decode = |text: &str| base64::prelude::BASE64_STANDARD.decode(text).map_err(|error| error.to_string());
        let headers = String::from_utf8_lossy(&decode(&self.hdrs)?).into_owned();
        let commit = headers.lines().find_map(|line| line.strip_prefix(COMMIT)?.strip_prefix(':'));
        Ok(Kept {
            position: Position(self.seq),
            entry: decode(&self.data)?.into(),
            at: time(&self.time)?,
            commit: commit.map(|commit| commit.trim().to_owned()),
        })
    }
}

fn direct(message: Message) -> Result<Kept, String> {
    let headers = message.headers.ok_or("a message without headers")?;
    let header = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
    let seq = header("Nats-Sequence").and_then(|seq| seq.parse().ok()).ok_or("a message without a sequence")?;
    Ok(Kept {
        position: Position(seq),
        entry: message.payload,
        at: time(&header("Nats-Time-Stamp").unwrap_or_default())?,
        commit: header(COMMIT),
    })
}

fn time(text: &str) -> Result<UnixMs, String> {
    let time: jiff::Timestamp = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    Ok(UnixMs(time.as_millisecond()))
}
