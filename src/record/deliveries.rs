//! Deliveries: in lists, and one with everything known of it.

use super::lookup::{LookUp, Sent};
use super::view::{AttemptView, DeliveryDetail, DeliveryQuery, DeliverySummary, LogItem, Page};
use super::{RecordError, Records, cursor, place};
use crate::model::{
    DeliveryId, DeliveryState, Entry, EventEntry, EventId, EventKind, OutcomeEntry, Position, Reason, ReplayId,
    SubscriptionId, UniqueId, UnixMs,
};
use crate::store::projection::{DeliveryRow, KeptNotice, Listed, RowFilter, Success};
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap};

/// What a delivery shows of its event.
struct EventFacts {
    subscription: SubscriptionId,
    kind: EventKind,
    unique_id: UniqueId,
    accepted_at: UnixMs,
}

/// What a delivery shows of its last attempt.
struct LastAttempt {
    attempt: u8,
    started_at: UnixMs,
    status: u16,
    reason: Reason,
    total_us: u32,
}

/// A line of a webhook's log, before it is filled in.
enum LogLine {
    Delivery(Listed),
    Notice(KeptNotice),
}

impl LogLine {
    fn place(&self) -> Position {
        match self {
            Self::Delivery(listed) => listed.place(),
            Self::Notice(kept) => kept.position,
        }
    }
}

impl Records {
    /// A page of a webhook's deliveries, newest first by the end of their first attempt. A delivery whose first
    /// attempt has not ended is not among them; ranges that were never attempted are in [`Records::ranges`].
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn deliveries(&self, query: &DeliveryQuery) -> Result<Page<DeliverySummary>, RecordError> {
        let page = self.projection.list(&filter(query)?)?;
        Ok(Page { data: self.summaries(query, &page.lines)?, next: page.next.map(cursor) })
    }

    /// What a list shows of these lines, without those that are not the query's.
    pub(super) fn summaries(
        &self,
        query: &DeliveryQuery,
        lines: &[Listed],
    ) -> Result<Vec<DeliverySummary>, RecordError> {
        let facts = self.facts(lines)?;
        let mut data = Vec::with_capacity(lines.len());
        for line in lines {
            match line {
                Listed::Row(row) if row.subscription == Some(query.subscription) => data.extend(of_row(row)),
                Listed::Row(_) => {}
                Listed::Success(success) => {
                    let Some(event) = facts.events.get(&success.event) else { continue };
                    if let Some(last) = facts.outcomes.get(&success.outcome)
                        && event.subscription == query.subscription
                        && event.accepted_at.is_within(query.from, query.to)
                    {
                        let id = DeliveryId { webhook: query.webhook, origin: success.event };
                        data.push(of_success(id, *success, event, last));
                    }
                }
            }
        }
        Ok(data)
    }

    /// The same page, each delivery with all its attempts, and among them what was done about the webhook because it was
    /// failing.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn log(&self, query: &DeliveryQuery) -> Result<Page<LogItem>, RecordError> {
        let before = self.page_start(query.cursor.as_deref())?;
        let page = self.projection.list(&RowFilter { before, ..filter(query)? })?;
        let notices = self.notices_in_log(query, (page.next.unwrap_or_default(), before))?;
        let mut lines: Vec<LogLine> = page.lines.into_iter().map(LogLine::Delivery).collect();
        lines.extend(notices.into_iter().map(LogLine::Notice));
        lines.sort_by_key(|line| std::cmp::Reverse(line.place()));
        let is_cut = lines.len() > query.limit;
        lines.truncate(query.limit);
        let next = if is_cut { lines.last().map(LogLine::place) } else { page.next };
        let mut data = Vec::with_capacity(lines.len());
        for line in lines {
            data.extend(self.log_item(query, line)?);
        }
        Ok(Page { data, next: next.map(cursor) })
    }

    /// A line with everything that belongs to it; `None` when it is not the subscription's, or not of the time asked for.
    fn log_item(&self, query: &DeliveryQuery, line: LogLine) -> Result<Option<LogItem>, RecordError> {
        let detail = match line {
            LogLine::Notice(kept) => return Ok(Some(LogItem::Notice(self.notice_view(kept)?))),
            LogLine::Delivery(Listed::Row(row)) if row.subscription == Some(query.subscription) => {
                self.detail_of_row(&row)?
            }
            LogLine::Delivery(Listed::Row(_)) => None,
            LogLine::Delivery(Listed::Success(success)) => {
                let id = DeliveryId { webhook: query.webhook, origin: success.event };
                let detail = self.detail_at(query.subscription, id, success)?;
                detail.filter(|detail| detail.summary.created_at.is_within(query.from, query.to))
            }
        };
        Ok(detail.map(|detail| LogItem::Delivery(Box::new(detail))))
    }

    /// A delivery with all attempts; `None` when there is none with this id in this subscription, or when its first
    /// attempt has not ended.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn delivery(
        &self,
        subscription: SubscriptionId,
        id: DeliveryId,
    ) -> Result<Option<DeliveryDetail>, RecordError> {
        // What has a row is not in the index of successes, and the other way round.
        match self.projection.delivery_row(id)? {
            Some(row) if row.subscription == Some(subscription) => self.detail_of_row(&row),
            Some(_) => Ok(None),
            None => self.detail_of_success(subscription, id),
        }
    }

    /// The same as a list shows it: without its attempts and bodies.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(super) fn summary(
        &self,
        subscription: SubscriptionId,
        id: DeliveryId,
    ) -> Result<Option<DeliverySummary>, RecordError> {
        match self.projection.delivery_row(id)? {
            Some(row) if row.subscription == Some(subscription) => Ok(of_row(&row)),
            Some(_) => Ok(None),
            None => Ok(self.detail_of_success(subscription, id)?.map(|detail| detail.summary)),
        }
    }

    fn detail_of_row(&self, row: &DeliveryRow) -> Result<Option<DeliveryDetail>, RecordError> {
        let Some(summary) = of_row(row) else { return Ok(None) };
        let mut attempts = Vec::new();
        for bytes in self.projection.attempts(row.listed)? {
            let (outcome, sent) = kept(&bytes)?;
            attempts.push(attempt(&outcome, sent));
        }
        let body = |event: &EventEntry<'_>| Bytes::copy_from_slice(event.body);
        let mut look_up = LookUp::new(&*self.journal);
        let request_body = match self.projection.carried_to(row.event)? {
            Some(at) => look_up.carried(at, body)?,
            None => look_up.event(row.event, body)?,
        };
        Ok(Some(DeliveryDetail { summary, request_body, attempts }))
    }

    fn detail_of_success(
        &self,
        subscription: SubscriptionId,
        id: DeliveryId,
    ) -> Result<Option<DeliveryDetail>, RecordError> {
        match self.projection.success(id)? {
            Some(success) => self.detail_at(subscription, id, success),
            None => Ok(None),
        }
    }

    fn detail_at(
        &self,
        subscription: SubscriptionId,
        id: DeliveryId,
        success: Success,
    ) -> Result<Option<DeliveryDetail>, RecordError> {
        let mut look_up = LookUp::new(&*self.journal);
        let event = look_up.event(success.event, |event| (facts_of(event), Bytes::copy_from_slice(event.body)))?;
        let show = |outcome: &OutcomeEntry<'_>, sent: Option<Sent<'_>>| (last_attempt(outcome), attempt(outcome, sent));
        let outcome = look_up.outcome(success.outcome, show)?;
        let Some((last, attempt)) = outcome else { return Ok(None) };
        let Some((event, body)) = event else { return Ok(None) };
        if event.subscription != subscription {
            return Ok(None);
        }
        let summary = of_success(id, success, &event, &last);
        Ok(Some(DeliveryDetail { summary, request_body: Some(body), attempts: vec![attempt] }))
    }

    /// What the journal tells of the successes of a page, read in the journal's order.
    fn facts(&self, lines: &[Listed]) -> Result<Facts, RecordError> {
        let successes = || {
            lines.iter().filter_map(|line| match line {
                Listed::Success(success) => Some(success),
                Listed::Row(_) => None,
            })
        };
        let wanted: BTreeSet<Position> = successes().flat_map(|success| [success.event, success.outcome]).collect();
        let mut facts = Facts::default();
        let mut look_up = LookUp::new(&*self.journal);
        for position in wanted {
            look_up.entry(position, |entry| {
                if let Entry::Event(event) = &entry {
                    facts.events.insert(position, facts_of(event));
                } else if let Some(outcome) = entry.outcome() {
                    facts.outcomes.insert(position, last_attempt(outcome));
                }
                Some(())
            })?;
        }
        Ok(facts)
    }
}

/// What the projection is asked. It looks at times roughly, so the callers look again.
pub(super) fn filter(query: &DeliveryQuery) -> Result<RowFilter, RecordError> {
    Ok(RowFilter {
        webhook: query.webhook,
        state: query.status,
        kind: query.event,
        from: query.from,
        to: query.to,
        before: place(query.cursor.as_deref())?,
        limit: query.limit,
    })
}

#[derive(Default)]
struct Facts {
    events: HashMap<Position, EventFacts>,
    outcomes: HashMap<Position, LastAttempt>,
}

fn facts_of(event: &EventEntry<'_>) -> EventFacts {
    EventFacts {
        subscription: event.subscription,
        kind: event.kind,
        unique_id: event.unique_id,
        accepted_at: event.accepted_at,
    }
}

fn last_attempt(outcome: &OutcomeEntry<'_>) -> LastAttempt {
    LastAttempt {
        attempt: outcome.attempt,
        started_at: outcome.started_at,
        status: outcome.status,
        reason: outcome.reason,
        total_us: outcome.timings.total_us,
    }
}

fn of_success(id: DeliveryId, success: Success, event: &EventFacts, last: &LastAttempt) -> DeliverySummary {
    DeliverySummary {
        id,
        event: EventId(success.event),
        kind: event.kind,
        unique_id: event.unique_id,
        status: DeliveryState::Delivered,
        attempts: u32::from(last.attempt),
        created_at: event.accepted_at,
        last_attempt_at: Some(last.started_at),
        next_attempt_at: None,
        response_status: Some(last.status),
        reason: Some(last.reason),
        total_us: Some(last.total_us),
        redelivery: false,
        replay: None,
    }
}

/// `None` when the event had left the journal before the delivery was recorded: nothing says whose it was.
fn of_row(row: &DeliveryRow) -> Option<DeliverySummary> {
    Some(DeliverySummary {
        id: row.id,
        event: EventId(row.event),
        kind: row.kind?,
        unique_id: row.unique_id?,
        status: row.state,
        attempts: row.attempts,
        created_at: row.created_at,
        last_attempt_at: row.last_attempt_at,
        next_attempt_at: row.next_attempt_at,
        response_status: row.status,
        reason: row.reason,
        total_us: row.total_us,
        redelivery: row.id.origin != row.event,
        replay: row.replay.map(ReplayId),
    })
}

/// A kept attempt: its outcome, and behind it the body that was sent where that is not the event's own.
pub(super) fn kept(bytes: &[u8]) -> Result<(OutcomeEntry<'_>, Option<Sent<'_>>), RecordError> {
    let (outcome, rest) = postcard::take_from_bytes(bytes).map_err(|_| RecordError::Damaged)?;
    if rest.is_empty() {
        return Ok((outcome, None));
    }
    let sent = postcard::from_bytes(rest).map_err(|_| RecordError::Damaged)?;
    Ok((outcome, Some(sent)))
}

/// An attempt as it is shown.
pub(super) fn attempt(outcome: &OutcomeEntry<'_>, sent: Option<Sent<'_>>) -> AttemptView {
    AttemptView {
        attempt: u32::from(outcome.attempt),
        started_at: outcome.started_at,
        status: outcome.status,
        reason: outcome.reason,
        detail: outcome.detail.to_owned(),
        timings: outcome.timings,
        request_headers: outcome.request_headers.to_owned(),
        request_body: sent.map(|(body, _)| Bytes::copy_from_slice(body)),
        request_cut: sent.is_some_and(|(_, cut)| cut),
        response_headers: outcome.response_headers.to_owned(),
        response_body: Bytes::copy_from_slice(outcome.response_body),
        response_cut: outcome.response_cut,
    }
}
