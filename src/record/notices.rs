//! What was done about failing webhooks, as it stands among what failed.

use super::deliveries::kept;
use super::view::{DeliveryQuery, ErrorQuery, ErrorStatus, Excerpt, NoticeView};
use super::{RecordError, Records};
use crate::limits;
use crate::model::{LastAnswer, Position};
use crate::store::projection::{KeptNotice, NoticeFilter};
use bytes::Bytes;

impl Records {
    /// The notices that an error log's page may show, newest first: one more at most than the page has
    /// rows.
    pub(super) fn notices_among_errors(
        &self,
        query: &ErrorQuery,
        before: Position,
    ) -> Result<Vec<KeptNotice>, RecordError> {
        let is_warning = match query.status {
            None => None,
            Some(ErrorStatus::TurnedOff) => Some(false),
            Some(ErrorStatus::Warned) => Some(true),
            Some(ErrorStatus::Retrying | ErrorStatus::Failed | ErrorStatus::Answered(_)) => return Ok(Vec::new()),
        };
        if query.event.is_some() {
            // They are about no event.
            return Ok(Vec::new());
        }
        Ok(self.projection.notices(&NoticeFilter {
            subscription: query.subscription,
            webhook: query.webhook,
            is_warning,
            from: None,
            to: None,
            before,
            first: Position::ZERO,
            limit: query.limit + 1,
        })?)
    }

    /// The notices of a page of a webhook's log, which goes from `before` down to `first`: one more at most than the page
    /// has rows.
    pub(super) fn notices_in_log(
        &self,
        query: &DeliveryQuery,
        (first, before): (Position, Position),
    ) -> Result<Vec<KeptNotice>, RecordError> {
        if query.event.is_some() || query.status.is_some() {
            // They are about no event, and no delivery.
            return Ok(Vec::new());
        }
        Ok(self.projection.notices(&NoticeFilter {
            subscription: query.subscription,
            webhook: Some(query.webhook),
            is_warning: None,
            from: query.from,
            to: query.to,
            before,
            first,
            limit: query.limit + 1,
        })?)
    }

    /// A notice with what the receiver wrote.
    pub(super) fn notice_view(&self, kept: KeptNotice) -> Result<NoticeView, RecordError> {
        let notice = kept.notice;
        let excerpts = notice.answers.iter().map(|answer| self.excerpt(answer)).collect::<Result<_, _>>()?;
        Ok(NoticeView { notice, excerpts })
    }

    fn excerpt(&self, answer: &LastAnswer) -> Result<Option<Excerpt>, RecordError> {
        let Some(outcome) = answer.outcome else { return Ok(None) };
        let Some(bytes) = self.projection.attempt_at(outcome)? else { return Ok(None) };
        let (outcome, _) = kept(&bytes)?;
        let body = outcome.response_body;
        let shown = &body[..body.len().min(limits::EXCERPT_BYTES)];
        let is_cut = outcome.response_cut || shown.len() < body.len();
        Ok(Some(Excerpt { body: Bytes::copy_from_slice(shown), is_cut }))
    }
}
