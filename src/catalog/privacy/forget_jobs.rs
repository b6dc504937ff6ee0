//! Jobs that forget somebody: asked for, worked off one after the other, watched.

use super::do_not_process::check_id;
use super::target;
use crate::catalog::audit::{Actor, Deed, fields};
use crate::catalog::change::to_its_end;
use crate::catalog::{Catalog, CatalogError, ChangeError};
use crate::limits;
use crate::model::{ForgetJobId, PersonHash, PersonKind, Position, SubscriptionId, UnixMs};
use crate::seal;
use crate::store::StoreError;
use crate::store::configured::{ForgetJobRow, ForgetState};
use crate::store::db::Connection;
use serde_json::{Map, json};
use std::sync::Arc;

/// A job that forgets somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgetJob {
    /// Unique in the installation.
    pub id: ForgetJobId,
    /// Whose.
    pub subscription: SubscriptionId,
    /// A visitor or an account.
    pub kind: PersonKind,
    /// Who, as rules and the audit log name them.
    pub person: PersonHash,
    /// Where it stands.
    pub state: ForgetState,
    /// What was accepted up to here is erased; set once the person is no longer known.
    pub cut: Option<Position>,
    /// Asked for when.
    pub asked_at: UnixMs,
    /// Done when.
    pub done_at: Option<UnixMs>,
    /// Entries of the journal that were erased so far.
    pub erased_entries: u64,
    /// Why it does not get on, if it does not.
    pub problem: Option<String>,
}

/// A job that is to be worked on.
#[derive(Debug)]
pub struct ForgetWork {
    /// The job.
    pub job: ForgetJob,
    /// Who is to be forgotten.
    pub person_id: String,
    /// Entries that had been erased when the work was taken up.
    pub erased_before: u64,
    row: ForgetJobRow,
}

impl ForgetJob {
    fn of(row: &ForgetJobRow) -> Self {
        let ForgetJobRow { id, subscription, kind, person, state, cut, asked_at, done_at, erased_entries, .. } = *row;
        let problem = row.problem.clone();
        Self { id, subscription, kind, person, state, cut, asked_at, done_at, erased_entries, problem }
    }
}

fn place(id: ForgetJobId) -> String {
    seal::place("forget_jobs", id, "person")
}

impl Catalog {
    /// Asks for somebody to be forgotten. A job that is waiting for the same person serves for both.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn ask_to_forget(
        self: &Arc<Self>,
        by: Actor,
        subscription: SubscriptionId,
        (kind, person_id): (PersonKind, String),
    ) -> Result<ForgetJob, ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move {
            check_id(&person_id)?;
            let _changing = catalog.changes.lock().await;
            let person = catalog.privacy_of(subscription).await?.hash(kind, &person_id);
            let same =
                move |connection: &mut Connection| ForgetJobRow::waiting_for(connection, (subscription, kind, person));
            if let Some(row) = catalog.store.call(same).await? {
                return Ok(ForgetJob::of(&row));
            }
            let open = catalog.store.call(move |connection| ForgetJobRow::count_open(connection, subscription)).await?;
            if open >= limits::FORGET_JOBS {
                return Err(ChangeError::TooMany(open));
            }
            let (now, id) = (catalog.clock.now(), ForgetJobId(catalog.random.id()));
            let row = ForgetJobRow {
                id,
                subscription,
                kind,
                person,
                person_sealed: Some(catalog.key.seal(&place(id), person_id.as_bytes(), &*catalog.random)),
                state: ForgetState::Waiting,
                cut: None,
                asked_at: now,
                done_at: None,
                erased_entries: 0,
                problem: None,
            };
            let deed = Deed { subscription, at: now, action: "forget.asked", target: &target(kind, person) };
            let entry = deed.by(&by, Map::new(), fields(json!({"job": id.to_string()})));
            let job = ForgetJob::of(&row);
            catalog.write(Some(entry), move |connection| -> Result<(), StoreError> { row.write(connection) }).await?;
            catalog.forget_asked.notify_one();
            Ok(job)
        })
        .await
    }

    /// Resolves when another job may be there.
    pub async fn forget_asked(&self) {
        self.forget_asked.notified().await;
    }

    /// The oldest jobs that are not done, with the ids of whom they forget.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn next_forget_works(&self, most: usize) -> Result<Vec<ForgetWork>, ChangeError> {
        let rows = self.store.call(move |connection| ForgetJobRow::next(connection, most)).await?;
        rows.into_iter().map(|row| self.forget_work(row)).collect()
    }

    fn forget_work(&self, row: ForgetJobRow) -> Result<ForgetWork, ChangeError> {
        let sealed = row.person_sealed.as_deref().ok_or(CatalogError::Unreadable("forget_jobs.person_sealed"))?;
        let opened = self.key.open(&place(row.id), sealed).map_err(CatalogError::from)?;
        let person_id = String::from_utf8(opened.expose().to_vec());
        let person_id = person_id.map_err(|_| CatalogError::Unreadable("forget_jobs.person_sealed"))?;
        Ok(ForgetWork { job: ForgetJob::of(&row), person_id, erased_before: row.erased_entries, row })
    }

    /// Keeps how far a job has come.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn keep_forget_work(&self, work: &mut ForgetWork) -> Result<(), ChangeError> {
        let ForgetJob { state, cut, done_at, erased_entries, .. } = work.job;
        let row = &mut work.row;
        (row.state, row.cut, row.done_at, row.erased_entries) = (state, cut, done_at, erased_entries);
        row.problem.clone_from(&work.job.problem);
        if state == ForgetState::Done {
            row.person_sealed = None;
        }
        let deed = Deed {
            subscription: row.subscription,
            at: self.clock.now(),
            action: "forget.done",
            target: &target(row.kind, row.person),
        };
        let entry = (state == ForgetState::Done).then(|| deed.by(&Actor::system(), Map::new(), Map::new()));
        let row = row.clone();
        let change = move |connection: &Connection| -> Result<(), StoreError> {
            row.write(connection)?;
            ForgetJobRow::keep_newest(connection, row.subscription, limits::FORGET_JOBS)
        };
        Ok(self.write(entry, change).await?)
    }

    /// The job, if this subscription has it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_job(
        &self,
        subscription: SubscriptionId,
        id: ForgetJobId,
    ) -> Result<Option<ForgetJob>, StoreError> {
        let found = self.store.call(move |connection| ForgetJobRow::find(connection, id)).await?;
        Ok(found.filter(|row| row.subscription == subscription).map(|row| ForgetJob::of(&row)))
    }

    /// A subscription's jobs, newest first, from behind `after` on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_jobs(
        &self,
        subscription: SubscriptionId,
        after: Option<&ForgetJob>,
        limit: usize,
    ) -> Result<Vec<ForgetJob>, StoreError> {
        let after = after.map(|job| (job.asked_at, job.id));
        let page = self.store.call(move |connection| ForgetJobRow::page(connection, subscription, after, limit));
        Ok(page.await?.iter().map(ForgetJob::of).collect())
    }
}
