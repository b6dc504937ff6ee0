//! Erasing a person from the records: on the thread that writes them, between two transactions.

use super::follow::Follower;
use super::{Error, Meta, Projection, Shared, add_meta, guides, int, upkeep};
use crate::model::{PersonKind, Position, SubscriptionId};
use crate::store::db::{self, Connection, params};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How long the thread may take to come to a request. It works off the journal first, which a rebuild may make long.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is done with the database.
type Work = Box<dyn FnOnce(&Connection) -> Result<(), Error> + Send>;

/// Something to be done by the writing thread once it has projected a position.
pub(super) struct Request {
    after: Position,
    work: Work,
    done: Sender<Result<(), Error>>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("after", &self.after).finish_non_exhaustive()
    }
}

impl Shared {
    /// Nothing is asked of the thread any more; whoever waits for something learns that it will not be done.
    pub(super) fn end_requests(&self) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        self.requests_end.store(true, Ordering::SeqCst);
        requests.clear();
    }

    /// The requests whose position is reached.
    fn due_requests(&self, projected: Position) -> Vec<Request> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.extract_if(.., |request| request.after <= projected).collect()
    }
}

impl Follower {
    /// Does what was asked for, and makes it durable.
    pub(super) fn serve_requests(&mut self) {
        for request in self.shared.due_requests(self.position) {
            self.shared.serving.store(true, Ordering::SeqCst);
            let outcome = upkeep::durably(&self.db, request.work);
            self.shared.serving.store(false, Ordering::SeqCst);
            // What is remembered of people and rows may be of those that are gone.
            self.applier.forget();
            let _gone = request.done.send(outcome);
        }
    }
}

impl Projection {
    /// Forgets what is known of a visitor or an account up to a position; returns once that is durable. Blocking.
    ///
    /// # Errors
    /// [`Error`].
    pub fn forget_person(
        &self,
        subscription: SubscriptionId,
        (kind, id): (PersonKind, &str),
        cut: Position,
    ) -> Result<(), Error> {
        let id = id.to_owned();
        self.ask(cut, move |db| {
            let transaction = db.transaction()?;
            delete_person(db, subscription, (kind, &id), cut)?;
            Ok(transaction.commit()?)
        })
    }

    /// Takes the events at these positions, and what came of them, out of the records, cancels what waits of them, lets
    /// nobody be known any more as who these visitors were, each up to a position, before they had a name, and compacts the
    /// file, so that nothing of what was deleted is left in it. `cut`: the last position that has to do with them.
    /// Blocking, and as long as copying the file takes; nothing is projected meanwhile.
    ///
    /// # Errors
    /// [`Error`].
    pub fn erase(
        &self,
        gone: Vec<Position>,
        visitors: Vec<(SubscriptionId, String, Position)>,
        cut: Position,
    ) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        self.ask(cut, move |db| {
            let transaction = db.transaction()?;
            delete_of_events(db, &gone)?;
            for (subscription, id, until) in &visitors {
                add_meta(db, Meta::PeopleBytes, -guides::forget_merged(db, *subscription, id, *until)?)?;
            }
            transaction.commit()?;
            upkeep::compact(db, &shared)
        })
    }

    /// Breaks off what is being erased: it may take longer than stopping may. It can be asked for again after the next
    /// start.
    pub fn break_off_erasing(&self) {
        self.shared.end_requests();
        if self.shared.serving.load(Ordering::SeqCst) {
            self.shared.interrupt();
        }
    }

    pub(super) fn ask(
        &self,
        after: Position,
        work: impl FnOnce(&Connection) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let (done, answer) = mpsc::channel();
        let shared = Arc::clone(&self.shared);
        let request = Request { after, work: Box::new(work), done };
        {
            let mut requests = shared.requests.lock().unwrap_or_else(PoisonError::into_inner);
            if shared.requests_end.load(Ordering::SeqCst) {
                return Err(Error::Stuck(String::from("it is stopping")));
            }
            requests.push(request);
        }
        shared.requested.notify_one();
        let late = |_| Error::Stuck(self.problem().unwrap_or_else(|| String::from("it does not get there")));
        answer.recv_timeout(PATIENCE).map_err(late)?
    }
}

fn delete_person(
    db: &Connection,
    subscription: SubscriptionId,
    (kind, id): (PersonKind, &str),
    cut: Position,
) -> db::Result<()> {
    let whose = params![int(subscription.0), kind as u8, id];
    let sql = "DELETE FROM people WHERE subscription = $1 AND kind = $2 AND id = $3
               AND (seen_position IS NULL OR seen_position <= $4)";
    let deleted = db.execute(sql, params![int(subscription.0), kind as u8, id, int(cut.0)])?;
    if deleted > 0 {
        let sql =
            "SELECT COALESCE(SUM(LENGTH(fields)), 0) FROM metadata WHERE subscription = $1 AND kind = $2 AND id = $3";
        let bytes: i64 = db.query_row(sql, whose, |row| row.get(0))?;
        add_meta(db, Meta::PeopleBytes, -bytes - super::people::row_bytes(id))?;
        db.execute("DELETE FROM metadata WHERE subscription = $1 AND kind = $2 AND id = $3", whose)?;
    }
    if kind == PersonKind::Visitor {
        add_meta(db, Meta::PeopleBytes, -guides::forget(db, subscription, id, cut)?)?;
    }
    if kind == PersonKind::Account {
        let visitor = PersonKind::Visitor as u8;
        let sql = "UPDATE people SET account_id = '' WHERE subscription = $1 AND kind = $2 AND account_id = $3";
        db.execute(sql, params![int(subscription.0), visitor, id])?;
    }
    Ok(())
}

fn delete_of_events(db: &Connection, gone: &[Position]) -> db::Result<()> {
    db.execute_batch("CREATE TEMP TABLE gone (position INTEGER PRIMARY KEY)")?;
    {
        let mut insert = db.prepare_cached("INSERT INTO gone (position) VALUES ($1) ON CONFLICT DO NOTHING")?;
        for position in gone {
            insert.execute([int(position.0)])?;
        }
    }
    db.execute_batch(
        "UPDATE deliveries SET state = 'cancelled', next_attempt_at = NULL
             WHERE next_attempt_at IS NOT NULL AND event IN (SELECT position FROM gone);
         DELETE FROM attempts WHERE delivery IN
             (SELECT listed FROM deliveries WHERE event IN (SELECT position FROM gone));
         DELETE FROM held WHERE position IN (SELECT position FROM gone);
         DROP TABLE gone;",
    )
}
