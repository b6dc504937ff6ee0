//! The error log: every failed attempt of a subscription, newest first.

use super::deliveries::{attempt, kept};
use super::view::{ErrorEntry, ErrorQuery, ErrorStatus, Page};
use super::{RecordError, Records, cursor, place};
use crate::model::Verdict;
use crate::store::projection::KeptAttempt;

/// Attempts that are read at a time.
const STEP: usize = 500;

/// Attempts that one page looks at, at most.
const PAGE_ATTEMPTS: usize = 5000;

impl Records {
    /// A page of failed attempts, newest first by their end.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn errors(&self, query: &ErrorQuery) -> Result<Page<ErrorEntry>, RecordError> {
        let mut before = place(query.cursor.as_deref())?;
        let mut data = Vec::new();
        for _ in 0..PAGE_ATTEMPTS / STEP {
            let page = self.projection.attempts_before(before, STEP)?;
            let is_end = page.len() < STEP;
            for one in page {
                if data.len() == query.limit {
                    return Ok(Page { data, next: Some(cursor(before)) });
                }
                before = one.position;
                if one.subscription == Some(query.subscription) {
                    data.extend(entry(&one, query)?);
                }
            }
            if is_end {
                return Ok(Page { data, next: None });
            }
        }
        Ok(Page { data, next: Some(cursor(before)) })
    }
}

/// The attempt as an entry, if it failed and is asked for.
fn entry(one: &KeptAttempt, query: &ErrorQuery) -> Result<Option<ErrorEntry>, RecordError> {
    let (outcome, sent) = kept(&one.outcome)?;
    let next_attempt_at = match outcome.verdict {
        Verdict::Delivered | Verdict::Cancelled => return Ok(None),
        Verdict::Retry { due } => Some(due),
        Verdict::Failed => None,
    };
    let has_status = |status| match status {
        ErrorStatus::Retrying => next_attempt_at.is_some(),
        ErrorStatus::Failed => next_attempt_at.is_none(),
        ErrorStatus::Answered(status) => outcome.status == status,
    };
    let is_asked_for = query.webhook.is_none_or(|webhook| webhook == outcome.delivery.webhook)
        && query.event.is_none_or(|kind| kind == outcome.kind)
        && query.status.is_none_or(has_status);
    Ok(is_asked_for.then(|| ErrorEntry {
        delivery: outcome.delivery,
        event: crate::model::EventId(outcome.event),
        kind: outcome.kind,
        next_attempt_at,
        attempt: attempt(&outcome, sent),
    }))
}
