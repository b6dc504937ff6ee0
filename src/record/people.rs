//! One visitor or account with everything known of it.

use super::view::{EventQuery, KnownGroup, PersonDetail, PersonSummary};
use super::{RecordError, Records};
use crate::model::{PersonKind, SubscriptionId};
use crate::store::projection::PersonRow;

/// Recent events that are shown with somebody.
const RECENT_EVENTS: usize = 20;

/// Sub-accounts that are shown with an account.
const SUB_ACCOUNTS: usize = 100;

impl Records {
    /// The first `limit` visitors or accounts whose ids begin with `prefix`, in the order of their ids, behind `after`.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn people(
        &self,
        of: (SubscriptionId, PersonKind),
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<PersonSummary>, RecordError> {
        let summary = |(id, row): (String, PersonRow)| {
            let PersonRow { known_at, first_visit, last_visit, account_id, .. } = row;
            PersonSummary { id, known_at, first_visit, last_visit, account_id }
        };
        Ok(self.projection.people(of, prefix, after, limit)?.into_iter().map(summary).collect())
    }

    /// A visitor or an account with its newest events; `None` when it is not known in this subscription. Everything that was in the
    /// journal when this was called is taken into account.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn person(
        &self,
        subscription: SubscriptionId,
        kind: PersonKind,
        id: &str,
    ) -> Result<Option<PersonDetail>, RecordError> {
        self.projection.catch_up()?;
        let Some(row) = self.projection.person(subscription, kind, id)? else { return Ok(None) };
        let PersonRow { known_at, first_visit, last_visit, browser, account_id, metadata } = row;
        let of = |wanted: PersonKind| (kind == wanted).then(|| id.to_owned());
        let query = EventQuery {
            visitor: of(PersonKind::Visitor),
            account: of(PersonKind::Account),
            limit: RECENT_EVENTS,
            ..EventQuery::of(subscription)
        };
        let sub_accounts = match kind {
            PersonKind::Visitor => Vec::new(),
            PersonKind::Account => self.projection.sub_accounts(subscription, id, SUB_ACCOUNTS)?,
        };
        let anonymous_ids = match kind {
            PersonKind::Visitor => self.projection.anonymous_ids(subscription, id)?,
            PersonKind::Account => Vec::new(),
        };
        let events = self.events(&query)?.data;
        Ok(Some(PersonDetail {
            known_at,
            first_visit,
            last_visit,
            browser,
            account_id,
            metadata,
            sub_accounts,
            anonymous_ids,
            events,
        }))
    }

    /// Returns once everything that is in the journal now is on record.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn catch_up(&self) -> Result<(), RecordError> {
        Ok(self.projection.catch_up()?)
    }

    /// One group of metadata of each of these ids, in their order, as far as it is on record: `None` for somebody
    /// unknown.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn metadata(
        &self,
        subscription: SubscriptionId,
        kind: PersonKind,
        group: &str,
        ids: &[String],
    ) -> Result<Vec<Option<KnownGroup>>, RecordError> {
        let known = self.projection.metadata(subscription, kind, group, ids)?.into_iter();
        Ok(known.map(|found| found.map(|(fields, groups)| KnownGroup { fields, groups })).collect())
    }
}
