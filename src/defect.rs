//! What a panic leads to. Where one request meets it, that request fails. Where it ends something that a node cannot do
//! without, the node ends: its supervisor starts it again (docs/deployment.md), and it goes on from what is durable. A node
//! that only seemed to work would be worse.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use tokio_util::sync::CancellationToken;

/// Whether something has ended by a panic that the node cannot do without. Clones are about the same node.
#[derive(Debug, Clone, Default)]
pub struct Defects(CancellationToken);

impl Defects {
    /// To be kept by what the node cannot do without, from its beginning to its end.
    pub fn guard(&self) -> EndsNode {
        EndsNode(self.0.clone())
    }

    /// Cancelled when a panic has dropped a guard.
    pub fn met(&self) -> &CancellationToken {
        &self.0
    }
}

/// See [`Defects::guard`].
#[derive(Debug)]
#[must_use = "it ends the node only when a panic drops it"]
pub struct EndsNode(CancellationToken);

impl Drop for EndsNode {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(
                "a part of the node ended by a panic, which stands above; the node ends, and goes on when it is started again"
            );
            self.0.cancel();
        }
    }
}

/// What a future comes to; `None` when it panicked, which was logged then. What it has borrowed may be left half-done.
pub async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_what_is_guarded_is_met_and_an_end_is_not() {
        let defects = Defects::default();
        let ends = |panics: bool| {
            let guard = defects.guard();
            tokio::spawn(async move {
                let _guard = guard;
                tokio::task::yield_now().await;
                assert!(!panics, "as it is told");
            })
        };
        assert!(ends(false).await.is_ok());
        let aborted = ends(true);
        aborted.abort();
        assert!(aborted.await.is_err_and(|error| error.is_cancelled()));
        assert!(!defects.met().is_cancelled());
        assert!(ends(true).await.is_err_and(|error| error.is_panic()));
        assert!(defects.met().is_cancelled());
    }

    #[tokio::test]
    async fn a_panic_is_caught_wherever_it_comes() {
        assert_eq!(caught(async { 1 }).await, Some(1));
        let later = async {
            tokio::task::yield_now().await;
            assert!(std::hint::black_box(false), "as it is told");
        };
        assert_eq!(caught(later).await, None);
    }
}
