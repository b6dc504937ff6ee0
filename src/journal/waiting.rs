//! What waits to become durable, and whether more may: the same for every journal.

use super::{AppendError, Group};
use crate::limits;
use crate::model::Position;
use std::pin::Pin;
use tokio::sync::oneshot;

/// How an append's caller is told.
pub(super) type Reply = oneshot::Sender<Result<Position, AppendError>>;

/// Where an append's caller waits.
pub(super) type Answer = oneshot::Receiver<Result<Position, AppendError>>;

/// A group that waits to be written. Without a reply it is a record, which is never refused.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) group: Group,
    pub(super) reply: Option<Reply>,
}

/// Whether groups are taken.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Bytes of what waits and of what is being written.
    pub(super) waiting_bytes: usize,
    /// Why appends are refused, if they are.
    pub(super) refusal: Option<AppendError>,
    pub(super) closing: bool,
}

impl Gate {
    /// Whether a group of so many bytes may be appended.
    pub(super) fn admit(&self, length: usize) -> Result<(), AppendError> {
        if self.closing {
            return Err(AppendError::Closed);
        }
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        if self.waiting_bytes + length > limits::JOURNAL_PENDING_BYTES {
            return Err(AppendError::Overloaded);
        }
        Ok(())
    }

    /// Why appends are refused at the moment, if they are.
    pub(super) fn accepting(&self) -> Result<(), AppendError> {
        if self.closing {
            return Err(AppendError::Closed);
        }
        if self.waiting_bytes >= limits::JOURNAL_PENDING_BYTES {
            return Err(AppendError::Overloaded);
        }
        self.refusal.clone().map_or(Ok(()), Err)
    }

    /// Whether nothing is taken any more, records included.
    pub(super) fn is_shut(&self) -> bool {
        self.refusal == Some(AppendError::Closed)
    }
}

/// What [`super::Journal::append`] gives its caller.
pub(super) fn answered(
    queued: Result<Answer, AppendError>,
) -> Pin<Box<dyn Future<Output = Result<Position, AppendError>> + Send>> {
    match queued {
        Ok(answer) => Box::pin(async move {
            let lost = String::from("the journal's writer ended; whether this was written is not known");
            answer.await.unwrap_or(Err(AppendError::Failing(lost)))
        }),
        Err(error) => Box::pin(std::future::ready(Err(error))),
    }
}
