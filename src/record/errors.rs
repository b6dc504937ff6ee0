//! The error log: every failed attempt of a subscription, and what was done about failing webhooks, newest first.

use super::deliveries::{attempt, kept};
use super::view::{ErrorEntry, ErrorItem, ErrorQuery, ErrorStatus, Page};
use super::{RecordError, Records, cursor};
use crate::model::{Position, Verdict};
use crate::store::projection::{KeptAttempt, KeptNotice};
use std::iter::Peekable;
use std::vec::IntoIter;

/// Attempts that are read at a time.
const STEP: usize = 500;

/// Attempts that one page looks at, at most.
const PAGE_ATTEMPTS: usize = 5000;

impl Records {
    /// A page of what failed, newest first: attempts by their end, and notices by when they were written.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn errors(&self, query: &ErrorQuery) -> Result<Page<ErrorItem>, RecordError> {
        let before = self.page_start(query.cursor.as_deref())?;
        let notices = self.notices_among_errors(query, before)?.into_iter().peekable();
        let mut page = ErrorPage { records: self, query, notices, before, data: Vec::new() };
        let is_whole = match query.status {
            Some(ErrorStatus::TurnedOff | ErrorStatus::Warned) => page.end()?,
            _ => page.fill()?,
        };
        let next = (!is_whole).then(|| cursor(page.before));
        Ok(Page { data: page.data, next })
    }
}

/// A page that is being filled. Everything at and behind `before` was looked at.
struct ErrorPage<'a> {
    records: &'a Records,
    query: &'a ErrorQuery,
    notices: Peekable<IntoIter<KeptNotice>>,
    before: Position,
    data: Vec<ErrorItem>,
}

impl ErrorPage<'_> {
    /// Whether the end was reached.
    fn fill(&mut self) -> Result<bool, RecordError> {
        for _ in 0..PAGE_ATTEMPTS / STEP {
            let page = self.records.projection.attempts_before(self.before, STEP)?;
            let is_end = page.len() < STEP;
            for one in page {
                self.add_notices(one.position)?;
                if self.data.len() == self.query.limit {
                    return Ok(false);
                }
                self.before = one.position;
                if one.subscription == Some(self.query.subscription) {
                    self.data.extend(entry(&one, self.query)?);
                }
            }
            if is_end {
                return self.end();
            }
        }
        Ok(false)
    }

    /// Only notices are left. Whether the end was reached.
    fn end(&mut self) -> Result<bool, RecordError> {
        self.add_notices(Position::ZERO)?;
        Ok(self.notices.peek().is_none())
    }

    /// Adds the notices that stand behind `after`, as far as there is room.
    fn add_notices(&mut self, after: Position) -> Result<(), RecordError> {
        while self.data.len() < self.query.limit {
            let Some(kept) = self.notices.next_if(|kept| kept.position > after) else { break };
            self.before = kept.position;
            self.data.push(ErrorItem::Notice(self.records.notice_view(kept)?));
        }
        Ok(())
    }
}

/// The attempt as an entry, if it failed and is asked for.
fn entry(one: &KeptAttempt, query: &ErrorQuery) -> Result<Option<ErrorItem>, RecordError> {
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
        ErrorStatus::TurnedOff | ErrorStatus::Warned => false,
    };
    let is_asked_for = query.webhook.is_none_or(|webhook| webhook == outcome.delivery.webhook)
        && query.event.is_none_or(|kind| kind == outcome.kind)
        && query.status.is_none_or(has_status);
    let entry = || ErrorEntry {
        delivery: outcome.delivery,
        event: crate::model::EventId(outcome.event),
        kind: outcome.kind,
        next_attempt_at,
        attempt: attempt(&outcome, sent),
    };
    Ok(is_asked_for.then(|| ErrorItem::Attempt(Box::new(entry()))))
}
