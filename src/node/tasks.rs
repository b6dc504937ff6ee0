//! What an open node does beside answering requests.

use super::{Node, STOP_RESERVE, System};
use crate::config::Settings;
use crate::defect::Defects;
use crate::{audit, forget, health, replay, upkeep};
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
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
        let ratings = self.spawn(Arc::clone(&self.intake).run(stop.clone()));
        let others = vec![
            // A mail whose server does not answer is sent after the next start.
            self.spawn(self.send_mail(settings, stop.clone())?),
            self.spawn(health::run(self.health(), stop.clone())),
            // A replay is in the middle of a step at most.
            self.spawn(replay::run(self.replaying(settings, system), stop.clone())),
            self.spawn(audit::run(self.auditing(system), stop.clone())),
            self.spawn(upkeep::run(self.upkeep(settings, system), stop.clone())),
            self.spawn(forget::run(self.forgetting(system), stop.clone())),
        ];
        Ok(Tasks { ratings, others })
    }

    /// Runs what the node cannot do without.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let ends_node = self.defects.guard();
        tokio::spawn(async move {
            let _ends_node = ends_node;
            task.await;
        })
    }

    /// Cancels `stop` when store or journal are another node's, or something has panicked that the node cannot do without.
    pub(super) fn stop_when_it_cannot_go_on(&self, stop: &CancellationToken) -> End {
        let (lost, replaced, defects) = (self.journal.lost(), self.replaced.clone(), self.defects.clone());
        let watching = tokio::spawn({
            let (lost, replaced, defects, stop) = (lost.clone(), replaced.clone(), defects.clone(), stop.clone());
            async move {
                tokio::select! {
                    () = lost.cancelled() => {}
                    () = replaced.cancelled() => {}
                    () = defects.met().cancelled() => {}
                }
                stop.cancel();
            }
        });
        End { lost, replaced, defects, watching }
    }
}

impl Tasks {
    /// Waits until they have ended.
    pub(super) async fn end(self) {
        // It ends by the same token, or by a panic, which ends the node.
        let _ = self.ratings.await;
        let until = Instant::now() + STOP_RESERVE;
        for task in self.others {
            let _ = tokio::time::timeout_at(until, task).await;
        }
    }
}

/// What a node has to end for without having been asked to.
pub(super) struct End {
    lost: CancellationToken,
    replaced: CancellationToken,
    defects: Defects,
    watching: JoinHandle<()>,
}

impl End {
    /// Whether store or journal are another node's: nothing that is still under way can be brought to its end.
    pub(super) fn is_replaced(&self) -> bool {
        self.lost.is_cancelled() || self.replaced.is_cancelled()
    }

    /// To be asked at the end.
    ///
    /// # Errors
    /// It could not go on.
    pub(super) fn verdict(self) -> anyhow::Result<()> {
        self.watching.abort();
        anyhow::ensure!(!self.replaced.is_cancelled(), "another node has taken this one's place");
        anyhow::ensure!(!self.lost.is_cancelled(), "the journal is another node's now");
        anyhow::ensure!(
            !self.defects.met().is_cancelled(),
            "a part of the node ended by a panic, which the log shows: please report it. Started again, the node goes on from what is durable"
        );
        Ok(())
    }
}
