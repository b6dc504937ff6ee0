//! The task that publishes: everything that waits goes as one commit, and the next one when that is acknowledged.
//!
//! A commit names the position behind which it belongs, and the server takes it only there. So nobody else can write
//! between what this node knows and what it writes, and a commit of which the answer was lost can be published again: it
//! is either there already, or comes there now.

use super::Shared;
use super::stream::{Stream, Unpublished};
use crate::journal::AppendError;
use crate::journal::waiting::{Queued, Reply};
use crate::limits;
use crate::model::Position;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Most messages of a commit: what a server takes of them unless it is told otherwise (`max_msgs` of `batch`).
const COMMIT_MESSAGES: usize = 1000;

/// Pause before a commit is tried again.
const PAUSE: Duration = Duration::from_millis(250);

/// Pause before it is asked whether the servers are back.
const LOOK: Duration = Duration::from_secs(1);

/// A group in the commit at hand.
struct Committed {
    reply: Option<Reply>,
    entries: Vec<Bytes>,
    bytes: usize,
}

/// Why the task ended before the journal was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TakenOver;

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) stream: Stream,
    /// The last position of the stream.
    pub(super) last: Position,
    /// Names commits: unique for this opening of the journal.
    pub(super) name: String,
    pub(super) commits: u64,
}

impl Writer {
    /// Publishes until the journal closes and nothing waits any more.
    pub(super) async fn run(mut self) -> Result<(), TakenOver> {
        let mut backlog: Vec<Committed> = Vec::new();
        loop {
            backlog.extend(
                self.shared.take(COMMIT_MESSAGES.saturating_sub(messages(&backlog))).into_iter().map(Committed::of),
            );
            if backlog.is_empty() {
                if self.shared.is_closing() {
                    return Ok(());
                }
                self.wait_for_more().await;
                continue;
            }
            let began = Instant::now();
            match self.commit(&backlog).await {
                Ok(first) => self.acknowledge(first, std::mem::take(&mut backlog), began.elapsed()),
                Err(Failure::TakenOver) => return Err(TakenOver),
                Err(Failure::Refused(reason)) => {
                    backlog = self.refuse(&reason, backlog);
                    if self.shared.is_closing() {
                        tracing::error!(%reason, records = backlog.len(), "what waited for the journal is lost");
                        return Ok(());
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Waits for something to publish. While appends are refused none comes: whether the servers are back is asked.
    async fn wait_for_more(&self) {
        if self.shared.control().gate.refusal.is_none() {
            return self.shared.wait_for_more().await;
        }
        tokio::select! {
            () = self.shared.more.notified() => {}
            () = tokio::time::sleep(LOOK) => if self.stream.extent().await.is_ok() {
                self.shared.recovered();
            },
        }
    }

    /// Publishes them; the first one's position. It ends with what is certain: they are there, or nothing of them is and
    /// never will be.
    async fn commit(&mut self, backlog: &[Committed]) -> Result<Position, Failure> {
        self.commits += 1;
        let commit = format!("{}-{}", self.name, self.commits);
        let entries: Vec<Bytes> = backlog.iter().flat_map(|group| group.entries.iter().cloned()).collect();
        let mut is_unknown = false;
        loop {
            match self.stream.publish(&entries, self.last, &commit).await {
                Ok(first) => return Ok(first),
                Err(Unpublished::WrongEnd) => match self.stream.next(self.last.next()).await {
                    Ok(Some(kept)) if kept.commit.as_deref() == Some(&commit) => return Ok(kept.position),
                    Ok(Some(_)) => return Err(Failure::TakenOver),
                    // The leader that said so is none any more.
                    Ok(None) | Err(_) => {}
                },
                Err(Unpublished::Refused(reason)) if !is_unknown => return Err(Failure::Refused(reason)),
                Err(Unpublished::Refused(reason)) => self.shared.fail(&reason),
                Err(Unpublished::Unknown(why)) => {
                    is_unknown = true;
                    self.shared.fail(&AppendError::Failing(why));
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn acknowledge(&mut self, first: Position, groups: Vec<Committed>, took: Duration) {
        let (count, bytes) = (groups.len(), groups.iter().map(|group| group.bytes).sum());
        let mut position = first;
        let mut told = Vec::with_capacity(count);
        {
            let mut tail = self.shared.tail();
            for group in groups {
                told.push((group.reply, position));
                for entry in group.entries {
                    tail.push(position, entry);
                    self.last = position;
                    position = position.next();
                }
            }
        }
        self.shared.counters.commit(count, bytes, took);
        self.shared.done(bytes);
        self.shared.recovered();
        self.shared.durable.send_replace(self.last);
        for (reply, position) in told {
            // Who has stopped waiting needs no answer.
            let _ = reply.map(|reply| reply.send(Ok(position)));
        }
    }

    /// Tells the appends; the records are left.
    fn refuse(&mut self, reason: &AppendError, groups: Vec<Committed>) -> Vec<Committed> {
        match reason {
            AppendError::TooLarge(_) => tracing::warn!(
                "a request's events are more than the NATS servers take as one: their setting jetstream.limits.batch.max_msgs is too small"
            ),
            reason => self.shared.fail(reason),
        }
        let (appends, records): (Vec<_>, Vec<_>) = groups.into_iter().partition(|group| group.reply.is_some());
        self.shared.done(appends.iter().map(|group| group.bytes).sum());
        for append in appends {
            let _ = append.reply.map(|reply| reply.send(Err(reason.clone())));
        }
        records
    }
}

enum Failure {
    Refused(AppendError),
    TakenOver,
}

fn messages(backlog: &[Committed]) -> usize {
    backlog.iter().map(|group| group.entries.len()).sum()
}

impl Committed {
    fn of(queued: Queued) -> Self {
        let bytes = queued.group.bytes().len();
        Self { reply: queued.reply, entries: queued.group.into_entries(), bytes }
    }
}

impl Shared {
    /// Takes groups that wait: as many messages at most.
    fn take(&self, messages: usize) -> Vec<Queued> {
        let mut control = self.control();
        let (mut count, mut bytes, mut taken) = (0, 0, 0);
        for queued in &control.waiting {
            count += queued.group.count() as usize;
            // A group that is larger than that goes by itself.
            let fits = count <= messages || (taken == 0 && messages == COMMIT_MESSAGES);
            if !fits || bytes >= limits::JOURNAL_WRITE_BYTES {
                break;
            }
            bytes += queued.group.bytes().len();
            taken += 1;
        }
        control.waiting.drain(..taken).collect()
    }

    /// Waits until something waits. What nobody waits for waits a little for more.
    async fn wait_for_more(&self) {
        self.more.notified().await;
        let only_records = {
            let control = self.control();
            !control.gate.closing && control.waiting.iter().all(|queued| queued.reply.is_none())
        };
        if only_records {
            let pause = Duration::from_micros(limits::JOURNAL_RECORD_PAUSE_US);
            // An append, or the end, is not kept waiting.
            let _ = tokio::time::timeout(pause, self.urgent.notified()).await;
        }
    }

    fn done(&self, bytes: usize) {
        let mut control = self.control();
        control.gate.waiting_bytes -= bytes;
    }

    fn recovered(&self) {
        if self.control().gate.refusal.take().is_some() {
            tracing::info!("the journal takes events again");
        }
    }

    fn fail(&self, reason: &AppendError) {
        self.counters.failures.fetch_add(1, Ordering::Relaxed);
        let mut control = self.control();
        if control.gate.refusal.as_ref() != Some(reason) {
            tracing::error!(error = %reason, "the journal takes no events at the moment; trying again");
        }
        control.gate.refusal = Some(reason.clone());
    }
}
