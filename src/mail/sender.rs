//! The loop that sends what is queued, one mail at a time.

use super::queue::{Outgoing, Queue};
use std::pin::Pin;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long the loop waits when the store fails, and at most before it looks again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Why a mail was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// Whether trying again makes no sense.
    pub is_final: bool,
    /// What the server or the connection says.
    pub reason: String,
}

/// Whoever takes mails on.
pub trait Carrier: Send + Sync + 'static {
    /// Hands one over.
    fn send<'a>(&'a self, mail: &'a Outgoing) -> Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send + 'a>>;
}

/// Sends until `stop` is cancelled. A mail that is being handed over then is handed over.
pub async fn run(queue: &Queue, (carrier, pauses): (&dyn Carrier, &[Duration]), stop: CancellationToken) {
    while !stop.is_cancelled() {
        let pause = match queue.next().await {
            Ok(None) => LOOK_AGAIN,
            Ok(Some(mail)) => match queue.until(mail.row.next_attempt_at) {
                Duration::ZERO => {
                    send(queue, (carrier, pauses), mail, &stop).await;
                    continue;
                }
                // A clock that is set while we wait must not keep a mail back for long.
                pause => pause.min(LOOK_AGAIN),
            },
            Err(error) => {
                tracing::error!(%error, "the queue of mails cannot be read");
                LOOK_AGAIN
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = queue.woken() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn send(queue: &Queue, (carrier, pauses): (&dyn Carrier, &[Duration]), mail: Outgoing, stop: &CancellationToken) {
    let result = match &mail.letter {
        Some(_) => carrier.send(&mail).await,
        None => Err(Refusal { is_final: true, reason: String::from("its text does not open with the master key") }),
    };
    let (id, attempt) = (format!("{:016x}", mail.row.id), mail.row.attempts + 1);
    // The queue is not read again before this is written: the same mail would go out again and again.
    while let Err(error) = queue.settle(mail.row.clone(), result.clone(), pauses).await {
        tracing::error!(%error, mail = %id, "what became of a mail cannot be written");
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
    match &result {
        Ok(()) => tracing::info!(mail = %id, attempt, "mail sent"),
        Err(refusal) => tracing::warn!(mail = %id, attempt, reason = ?refusal.reason, "mail not taken"),
    }
}
