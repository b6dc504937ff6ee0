//! What an open node does beside answering requests.

use super::{Node, STOP_RESERVE, System};
use crate::config::Settings;
use crate::{audit, forget, health, replay, upkeep};
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The loops of a node that is open. They end with the token that they were started with.
pub(super) struct Tasks {
    ratings: JoinHandle<()>,
    /// Each goes on where it was after the next start.
    others: Vec<JoinHandle<()>>,
}

impl Node {
    /// Starts them.
    ///
    /// # Errors
    /// The settings for mail cannot be used.
    pub(super) fn start(
        &self,
        settings: &Settings,
        system: &System,
        stop: &CancellationToken,
    ) -> anyhow::Result<Tasks> {
        let ratings = tokio::spawn(Arc::clone(&self.intake).run(stop.clone()));
        let others = vec![
            // A mail whose server does not answer is sent after the next start.
            self.send_mail(settings, stop.clone())?,
            tokio::spawn(health::run(self.health(), stop.clone())),
            // A replay is in the middle of a step at most.
            tokio::spawn(replay::run(self.replaying(settings, system), stop.clone())),
            tokio::spawn(audit::run(self.auditing(system), stop.clone())),
            tokio::spawn(upkeep::run(self.upkeep(settings, system), stop.clone())),
            tokio::spawn(forget::run(self.forgetting(system), stop.clone())),
        ];
        Ok(Tasks { ratings, others })
    }

    /// Cancels `stop` when the journal is another node's.
    pub(super) fn stop_when_lost(&self, stop: &CancellationToken) -> Lost {
        let (lost, stop) = (self.journal.lost(), stop.clone());
        let watching = tokio::spawn({
            let lost = lost.clone();
            async move {
                lost.cancelled().await;
                stop.cancel();
            }
        });
        Lost { lost, watching }
    }
}

impl Tasks {
    /// Waits until they have ended.
    pub(super) async fn end(self) {
        // It ends by the same token; a panic in it was logged when it happened.
        let _ = self.ratings.await;
        for task in self.others {
            let _ = tokio::time::timeout(STOP_RESERVE, task).await;
        }
    }
}

/// Whether the journal became another node's.
pub(super) struct Lost {
    lost: CancellationToken,
    watching: JoinHandle<()>,
}

impl Lost {
    /// At the end.
    ///
    /// # Errors
    /// It did.
    pub(super) fn verdict(self) -> anyhow::Result<()> {
        self.watching.abort();
        anyhow::ensure!(!self.lost.is_cancelled(), "the journal is another node's now");
        Ok(())
    }
}
