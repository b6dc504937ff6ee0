//! A node that reaches the store and not the journal: it holds its place, and can do nothing in it.

use crate::cluster::{Peers, ReachesJournal};
use crate::config::{JournalAddress, Settings};
use crate::journal::Journal;
use crate::journal::jetstream;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long the journal may take nothing before it is asked why.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Looks whether the journal of these settings is within this node's reach. One in a directory is within no other node's.
pub(super) fn probe(settings: &Settings) -> ReachesJournal {
    let (journal, ca_file) = (settings.journal_at.clone(), settings.delivery.ca_file.clone());
    Arc::new(move || match &journal {
        JournalAddress::Nats(nats) => jetstream::reach(nats, ca_file.as_deref()).is_ok(),
        JournalAddress::Directory(_) => false,
    })
}

/// Resolves when this node has not reached the journal for a while, and another one does: its name. Where nobody reaches it,
/// or it is reached and takes nothing, another node would do no better.
pub(super) async fn another_reaches(journal: &dyn Journal, peers: &Peers, reaches: &ReachesJournal) -> String {
    let mut failing_since = None;
    loop {
        tokio::time::sleep(EVERY).await;
        if journal.accepting().is_ok() {
            failing_since = None;
            continue;
        }
        let since = *failing_since.get_or_insert_with(Instant::now);
        if since.elapsed() < PATIENCE || peers.is_alone() {
            continue;
        }
        let reaches = Arc::clone(reaches);
        let is_reached = tokio::task::spawn_blocking(move || reaches()).await;
        if let Ok(false) = is_reached
            && let Some(name) = peers.who_reaches_journal().await
        {
            return name;
        }
    }
}
