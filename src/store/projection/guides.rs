//! What visitors have done with guides, and who anonymous visitors turned out to be.
//!
//! A row tells of a visitor and a guide (its step is "") or of a visitor and a step. Rows of visitors stay as visitors do;
//! those of anonymous ones go when they are old. An entry that is applied again changes nothing.

use super::{Error, Projection, int};
use crate::model::{GuideDid, GuideEntry, GuideHistory, MergedEntry, Position, SubscriptionId, UnixMs};
use crate::store::db::{self, Connection, params};
use std::collections::HashMap;

/// About what a row takes.
pub(super) const ROW_BYTES: i64 = 150;

/// What comes of two rows about the same: the later one decides, but what has ended or was answered once stays so.
const ON_CONFLICT: &str = "
    ON CONFLICT (subscription, visitor_id, guide_id, step_id) DO UPDATE SET
        done_at = CASE WHEN excluded.position > guides.position THEN COALESCE(excluded.done_at, guides.done_at)
            ELSE COALESCE(guides.done_at, excluded.done_at) END,
        snoozed_until = CASE WHEN excluded.position > guides.position THEN excluded.snoozed_until
            ELSE guides.snoozed_until END,
        at = CASE WHEN excluded.position > guides.position THEN excluded.at ELSE guides.at END,
        position = CASE WHEN excluded.position > guides.position THEN excluded.position ELSE guides.position END";

/// Notes what a visitor has done; how many bytes came.
pub(super) fn note(db: &Connection, position: Position, entry: &GuideEntry<'_>) -> db::Result<i64> {
    let (step, done_at, snoozed_until) = match entry.did {
        GuideDid::Ended => ("", Some(entry.at.0), None),
        GuideDid::Snoozed { until } => ("", None, Some(until.0)),
        GuideDid::Answered => (entry.step_id, Some(entry.at.0), None),
    };
    let before = count(db, entry.subscription, entry.visitor_id)?;
    let sql = format!(
        "INSERT INTO guides (subscription, visitor_id, guide_id, step_id, position, at, done_at, snoozed_until)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) {ON_CONFLICT}"
    );
    db.prepare_cached(&sql)?.execute_later(params![
        int(entry.subscription.0),
        entry.visitor_id,
        entry.guide_id,
        step,
        int(position.0),
        entry.at.0,
        done_at,
        snoozed_until,
    ])?;
    Ok((count(db, entry.subscription, entry.visitor_id)? - before) * ROW_BYTES)
}

/// What the anonymous visitor has done is the visitor's from here on; how many bytes came.
pub(super) fn merge(db: &Connection, position: Position, entry: &MergedEntry<'_>) -> db::Result<i64> {
    let of = |id: &str| count(db, entry.subscription, id);
    let before = of(entry.anonymous_id)? + of(entry.visitor_id)?;
    let sql = format!(
        "INSERT INTO guides (subscription, visitor_id, guide_id, step_id, position, at, done_at, snoozed_until)
         SELECT subscription, $1, guide_id, step_id, position, at, done_at, snoozed_until FROM guides
         WHERE subscription = $2 AND visitor_id = $3 AND position < $4 {ON_CONFLICT}"
    );
    let subscription = int(entry.subscription.0);
    let values = params![entry.visitor_id, subscription, entry.anonymous_id, int(position.0)];
    db.prepare_cached(&sql)?.execute_later(values)?;
    db.prepare_cached("DELETE FROM guides WHERE subscription = $1 AND visitor_id = $2 AND position < $3")?
        .execute_later(params![subscription, entry.anonymous_id, int(position.0)])?;
    let new = db
        .prepare_cached(
            "INSERT INTO merged (subscription, visitor_id, anonymous_id, position) VALUES ($1, $2, $3, $4)
             ON CONFLICT (subscription, visitor_id, anonymous_id) DO NOTHING",
        )?
        .execute(params![subscription, entry.visitor_id, entry.anonymous_id, int(position.0)])?;
    Ok((of(entry.anonymous_id)? + of(entry.visitor_id)? - before + new as i64) * ROW_BYTES)
}

fn count(db: &Connection, subscription: SubscriptionId, visitor_id: &str) -> db::Result<i64> {
    db.prepare_cached("SELECT COUNT(*) FROM guides WHERE subscription = $1 AND visitor_id = $2")?
        .query_row(params![int(subscription.0), visitor_id], |row| row.get(0))
}

/// Deletes what a forgotten visitor has done with guides up to a position; how many bytes went.
pub(super) fn forget(
    db: &Connection,
    subscription: SubscriptionId,
    visitor_id: &str,
    cut: Position,
) -> db::Result<i64> {
    let sql = "DELETE FROM guides WHERE subscription = $1 AND visitor_id = $2 AND position <= $3";
    let rows = db.execute(sql, params![int(subscription.0), visitor_id, int(cut.0)])?;
    Ok(rows as i64 * ROW_BYTES)
}

/// Deletes who a forgotten visitor was before they had a name, up to a position; how many bytes went.
pub(super) fn forget_merged(
    db: &Connection,
    subscription: SubscriptionId,
    visitor_id: &str,
    cut: Position,
) -> db::Result<i64> {
    let sql = "DELETE FROM merged WHERE subscription = $1 AND visitor_id = $2 AND position <= $3";
    let rows = db.execute(sql, params![int(subscription.0), visitor_id, int(cut.0)])?;
    Ok(rows as i64 * ROW_BYTES)
}

impl Projection {
    /// What a visitor has done with guides, by the guides' ids.
    ///
    /// # Errors
    /// [`Error`].
    pub fn guide_histories(
        &self,
        subscription: SubscriptionId,
        visitor_id: &str,
    ) -> Result<HashMap<String, GuideHistory>, Error> {
        let sql = "SELECT guide_id, step_id, done_at, snoozed_until FROM guides
                   WHERE subscription = $1 AND visitor_id = $2";
        self.read(|db| {
            let mut histories: HashMap<String, GuideHistory> = HashMap::new();
            let mut statement = db.prepare_cached(sql)?;
            let mut rows = statement.query(params![int(subscription.0), visitor_id])?;
            while let Some(row) = rows.next()? {
                let history = histories.entry(row.get(0)?).or_default();
                let (step, done_at): (String, Option<i64>) = (row.get(1)?, row.get(2)?);
                let done_at = done_at.map(UnixMs);
                if step.is_empty() {
                    history.ended_at = done_at;
                    history.snoozed_until = row.get::<Option<i64>>(3)?.map(UnixMs);
                } else if let Some(at) = done_at {
                    history.answered.insert(step, at);
                }
            }
            Ok(histories)
        })
    }

    /// The ids under which a visitor was here before they had a name, as far as the journal still tells of them.
    ///
    /// # Errors
    /// [`Error`].
    pub fn anonymous_ids(&self, subscription: SubscriptionId, visitor_id: &str) -> Result<Vec<String>, Error> {
        let sql = "SELECT anonymous_id FROM merged WHERE subscription = $1 AND visitor_id = $2 ORDER BY position";
        self.read(|db| {
            let values = params![int(subscription.0), visitor_id];
            Ok(db.prepare_cached(sql)?.query_map(values, |row| row.get(0))?.collect::<db::Result<_>>()?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Table;
    use super::super::history::{START, SUBSCRIPTION, intake_settings, record_settings};
    use super::super::memory::MemoryJournal;
    use super::super::retention::Sweeper;
    use super::*;
    use crate::clock::ManualClock;
    use crate::limits;
    use crate::model::{Entry, PersonKind};
    use std::sync::Arc;

    fn did(visitor_id: &'static str, step_id: &'static str, did: GuideDid, at: i64) -> Entry<'static> {
        let at = UnixMs(START.0 + at);
        Entry::Guide(GuideEntry { subscription: SUBSCRIPTION, visitor_id, guide_id: "g", step_id, did, at })
    }

    fn projected(entries: &[Entry<'_>]) -> (Projection, tempfile::TempDir) {
        let (dir, journal) = (tempfile::tempdir().unwrap(), Arc::new(MemoryJournal::new()));
        for entry in entries {
            journal.add(entry);
        }
        let clock = Arc::new(ManualClock::at(START));
        let projection =
            Projection::open(&dir.path().into(), journal, &record_settings(), &intake_settings(), clock).unwrap();
        projection.catch_up().unwrap();
        (projection, dir)
    }

    fn history(projection: &Projection, visitor: &str) -> Option<GuideHistory> {
        projection.guide_histories(SUBSCRIPTION, visitor).unwrap().remove("g")
    }

    fn at(ms: i64) -> UnixMs {
        UnixMs(START.0 + ms)
    }

    #[test]
    fn the_last_word_counts_and_what_was_done_stays_done() {
        let until = at(100);
        let (projection, _dir) = projected(&[
            did("v", "s", GuideDid::Answered, 1),
            did("v", "s", GuideDid::Snoozed { until }, 2),
            did("v", "s", GuideDid::Ended, 3),
            did("w", "s", GuideDid::Ended, 4),
            did("w", "s", GuideDid::Snoozed { until }, 5),
        ]);
        let answered = HashMap::from([(String::from("s"), at(1))]);
        let ended = GuideHistory { ended_at: Some(at(3)), snoozed_until: None, answered };
        assert_eq!(history(&projection, "v"), Some(ended));
        let snoozed = GuideHistory { ended_at: Some(at(4)), snoozed_until: Some(until), answered: HashMap::new() };
        assert_eq!(history(&projection, "w"), Some(snoozed));
        assert_eq!(history(&projection, "x"), None);
    }

    #[test]
    fn what_an_anonymous_visitor_did_becomes_the_visitors() {
        let merged = |at: i64| {
            let (anonymous_id, visitor_id) = ("_PENDO_T_a", "v");
            Entry::Merged(MergedEntry {
                subscription: SUBSCRIPTION,
                anonymous_id,
                visitor_id,
                at: UnixMs(START.0 + at),
            })
        };
        let (projection, _dir) = projected(&[
            did("v", "s", GuideDid::Ended, 1),
            did("_PENDO_T_a", "t", GuideDid::Answered, 2),
            did("_PENDO_T_a", "t", GuideDid::Snoozed { until: at(50) }, 3),
            merged(4),
            merged(5),
        ]);
        let found = history(&projection, "v").unwrap();
        assert_eq!((found.ended_at, found.snoozed_until), (Some(at(1)), Some(at(50))));
        assert_eq!(found.answered, HashMap::from([(String::from("t"), at(2))]));
        assert_eq!(history(&projection, "_PENDO_T_a"), None);
        assert_eq!(projection.anonymous_ids(SUBSCRIPTION, "v").unwrap(), ["_PENDO_T_a"]);
    }

    #[test]
    fn what_anonymous_visitors_did_goes_when_it_is_old() {
        let until = at(100);
        let (projection, dir) = projected(&[
            did("v", "s", GuideDid::Ended, 1),
            did("_PENDO_T_a", "s", GuideDid::Ended, 1),
            did("_PENDO_T_b", "s", GuideDid::Snoozed { until }, 60_000),
        ]);
        projection.stop();
        let db = super::super::open_writer(&dir.path().into()).unwrap();
        let kept_bytes = || super::super::get_meta(&db, super::super::Meta::PeopleBytes).unwrap();
        let before = kept_bytes();
        let now = at(2).after(limits::ANONYMOUS_GUIDES);
        let swept = Sweeper::new(&record_settings(), &intake_settings()).sweep(&db, now, Position(1)).unwrap();
        assert_eq!((swept.dropped.of(Table::Guides), before - kept_bytes()), (1, ROW_BYTES));
        let mut left = db.prepare_cached("SELECT visitor_id FROM guides ORDER BY visitor_id").unwrap();
        let left: Vec<String> = left.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(left, ["_PENDO_T_b", "v"]);
    }

    #[test]
    fn a_forgotten_visitor_has_done_nothing() {
        let (projection, _dir) = projected(&[did("v", "s", GuideDid::Answered, 1), did("v", "s", GuideDid::Ended, 2)]);
        projection.forget_person(SUBSCRIPTION, (PersonKind::Visitor, "v"), Position(1)).unwrap();
        assert_eq!(history(&projection, "v").unwrap().answered, HashMap::new(), "what came after the cut stays");
        projection.forget_person(SUBSCRIPTION, (PersonKind::Visitor, "v"), Position(2)).unwrap();
        assert_eq!(history(&projection, "v"), None);
    }
}
