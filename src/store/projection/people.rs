//! Visitors and accounts: known in any way, seen in-app, with their visits and metadata.
//!
//! Somebody is known who was in the app, of whom a server told through the Track API, or whom the Metadata API has
//! made; seen is who was in the app and not excluded (docs/intake.md). `seen_position` is where the journal says so.

use super::{Error, Meta, Projection, add_meta, guides, int};
use crate::limits;
use crate::model::{
    EventEntry, EventKind, GuideEntry, MergedEntry, MetadataEntry, PersonKind, Position, SubscriptionId, UnixMs,
    VisitEntry, metadata,
};
use crate::store::db::{self, Connection, OptionalExtension, Row, params};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// People of whom it is remembered that they have a row, so that the next event of theirs costs no statement: about 20
/// bytes each.
const REMEMBERED: usize = 500_000;

/// About what a person's row takes, without what varies.
const ROW_BYTES: usize = 100;

/// A visitor or an account, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonRow {
    /// Known since.
    pub known_at: UnixMs,
    /// First seen in-app; `None`: not yet.
    pub first_visit: Option<UnixMs>,
    /// Last seen in-app, to the minute.
    pub last_visit: Option<UnixMs>,
    /// The browser of the last visit and its version; `None` for an account.
    pub browser: Option<(String, String)>,
    /// The account of the last visit; "" for none, `None` for an account.
    pub account_id: Option<String>,
    /// Groups of metadata by name, each a JSON object.
    pub metadata: Vec<(String, String)>,
}

/// Writes people, and remembers who has a row already.
#[derive(Debug, Default)]
pub(super) struct People {
    hasher: RandomState,
    young: HashSet<u64>,
    old: HashSet<u64>,
    /// Bytes that have come since the last flush.
    bytes: i64,
}

/// About what a row about somebody with this id takes.
pub(super) fn row_bytes(id: &str) -> i64 {
    (ROW_BYTES + id.len()) as i64
}

/// Whose row.
type Whose<'a> = (SubscriptionId, PersonKind, &'a str);

impl People {
    /// An event makes its visitor and its account known, and seen if it says so.
    pub(super) fn event(&mut self, db: &Connection, position: Position, event: &EventEntry<'_>) -> db::Result<()> {
        // Who administers Fanfare is no visitor of the product.
        if event.kind == EventKind::AuditRecorded {
            return Ok(());
        }
        let visitor = (event.subscription, PersonKind::Visitor, event.visitor_id);
        let account = (event.subscription, PersonKind::Account, event.account_id);
        self.know(db, visitor, event.accepted_at)?;
        self.know(db, account, event.accepted_at)?;
        // What somebody does while excluded does not use up 'first seen'.
        match event.kind {
            EventKind::VisitorCreated if event.withheld.is_none() => see(db, visitor, position, event.occurred_at),
            EventKind::AccountCreated if event.withheld.is_none() => see(db, account, position, event.occurred_at),
            _ => Ok(()),
        }
    }

    /// A visit of a visitor, and with it of their account.
    pub(super) fn visit(&mut self, db: &Connection, visit: &VisitEntry<'_>) -> db::Result<()> {
        let visitor = (visit.subscription, PersonKind::Visitor, visit.visitor_id);
        let account = (visit.subscription, PersonKind::Account, visit.account_id);
        for (whose, values) in [(visitor, visit.visitor), (account, visit.account)] {
            let (subscription, kind, id) = whose;
            if !self.know(db, whose, visit.at)? {
                continue;
            }
            let of_visitor = kind == PersonKind::Visitor;
            db.prepare_cached(
                "UPDATE people SET last_visit = $1, browser_name = $2, browser_version = $3, account_id = $4
                 WHERE subscription = $5 AND kind = $6 AND id = $7 AND (last_visit IS NULL OR last_visit <= $1)",
            )?
            .execute_later(params![
                visit.at.0,
                of_visitor.then_some(visit.browser_name),
                of_visitor.then_some(visit.browser_version),
                of_visitor.then_some(visit.account_id),
                int(subscription.0),
                kind as u8,
                id,
            ])?;
            if !values.is_empty() {
                self.merge(db, whose, metadata::AGENT_GROUP, values)?;
            }
        }
        Ok(())
    }

    /// Values that the Metadata API has set.
    pub(super) fn metadata(&mut self, db: &Connection, entry: &MetadataEntry<'_>) -> db::Result<()> {
        let whose = (entry.subscription, entry.kind, entry.id);
        if self.know(db, whose, entry.at)? {
            self.merge(db, whose, entry.group, entry.values)?;
        }
        Ok(())
    }

    /// What a visitor has done with a guide.
    pub(super) fn guide(&mut self, db: &Connection, position: Position, entry: &GuideEntry<'_>) -> db::Result<()> {
        self.bytes += guides::note(db, position, entry)?;
        Ok(())
    }

    /// An anonymous visitor turned out to be somebody.
    pub(super) fn merged(&mut self, db: &Connection, position: Position, entry: &MergedEntry<'_>) -> db::Result<()> {
        self.bytes += guides::merge(db, position, entry)?;
        Ok(())
    }

    /// Writes what was added up.
    pub(super) fn flush(&mut self, db: &Connection) -> db::Result<()> {
        match std::mem::take(&mut self.bytes) {
            0 => Ok(()),
            bytes => add_meta(db, Meta::PeopleBytes, bytes),
        }
    }

    /// Sees to it that somebody has a row; whether the id names somebody at all.
    fn know(&mut self, db: &Connection, whose: Whose<'_>, at: UnixMs) -> db::Result<bool> {
        let (subscription, kind, id) = whose;
        if !kind.is_somebody(id) {
            return Ok(false);
        }
        let hash = self.hasher.hash_one(whose);
        if self.young.contains(&hash) {
            return Ok(true);
        }
        if !self.old.contains(&hash) {
            let sql = "INSERT INTO people (subscription, kind, id, known_at) VALUES ($1, $2, $3, $4)
                       ON CONFLICT (subscription, kind, id) DO NOTHING";
            let new = db.prepare_cached(sql)?.execute(params![int(subscription.0), kind as u8, id, at.0])?;
            self.bytes += new as i64 * row_bytes(id);
        }
        if self.young.len() >= REMEMBERED / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash);
        Ok(true)
    }

    /// A group that would grow beyond its bound keeps what came last: the agent of a page may make up new names
    /// without end.
    fn merge(
        &mut self,
        db: &Connection,
        (subscription, kind, id): Whose<'_>,
        group: &str,
        values: &str,
    ) -> db::Result<()> {
        let key = params![int(subscription.0), kind as u8, id, group];
        let kept: Option<String> = db
            .prepare_cached(
                "SELECT fields FROM metadata WHERE subscription = $1 AND kind = $2 AND id = $3 AND name = $4",
            )?
            .query_row(key, |row| row.get(0))
            .optional()?;
        let before = kept.unwrap_or_default();
        let Some(mut after) = metadata::merge(&before, values) else { return Ok(()) };
        if after.len() > limits::METADATA_BYTES {
            after = metadata::merge("", values).unwrap_or_default();
        }
        if after == before {
            return Ok(());
        }
        self.bytes += after.len() as i64 - before.len() as i64;
        db.prepare_cached(
            "INSERT INTO metadata (subscription, kind, id, name, fields) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (subscription, kind, id, name) DO UPDATE SET fields = excluded.fields",
        )?
        .execute_later(params![int(subscription.0), kind as u8, id, group, after])?;
        Ok(())
    }
}

/// Only the first time counts: an entry that is applied again changes nothing.
fn see(
    db: &Connection,
    (subscription, kind, id): Whose<'_>,
    position: Position,
    occurred_at: UnixMs,
) -> db::Result<()> {
    db.prepare_cached(
        "UPDATE people SET seen_position = $1, first_visit = $2
         WHERE subscription = $3 AND kind = $4 AND id = $5 AND seen_position IS NULL",
    )?
    .execute_later(params![int(position.0), occurred_at.0, int(subscription.0), kind as u8, id])?;
    Ok(())
}

/// What [`person`] reads.
const COLUMNS: &str = "known_at, first_visit, last_visit, browser_name, browser_version, account_id";

/// Somebody, without their metadata.
fn person(row: &Row<'_>) -> db::Result<PersonRow> {
    let browser: (Option<String>, Option<String>) = (row.get(3)?, row.get(4)?);
    Ok(PersonRow {
        known_at: UnixMs(row.get(0)?),
        first_visit: row.get::<Option<i64>>(1)?.map(UnixMs),
        last_visit: row.get::<Option<i64>>(2)?.map(UnixMs),
        browser: browser.0.zip(browser.1),
        account_id: row.get(5)?,
        metadata: Vec::new(),
    })
}

impl Projection {
    /// Whether this visitor or account was seen in-app.
    ///
    /// # Errors
    /// [`Error`].
    pub fn is_seen(&self, subscription: SubscriptionId, kind: PersonKind, id: &str) -> Result<bool, Error> {
        let sql =
            "SELECT 1 FROM people WHERE subscription = $1 AND kind = $2 AND id = $3 AND seen_position IS NOT NULL";
        self.read(|db| Ok(db.prepare_cached(sql)?.exists(params![int(subscription.0), kind as u8, id])?))
    }

    /// What is known of a visitor or an account.
    ///
    /// # Errors
    /// [`Error`].
    pub fn person(&self, subscription: SubscriptionId, kind: PersonKind, id: &str) -> Result<Option<PersonRow>, Error> {
        self.read(|db| {
            let snapshot = db.snapshot()?;
            let key = params![int(subscription.0), kind as u8, id];
            let sql = format!("SELECT {COLUMNS} FROM people WHERE subscription = $1 AND kind = $2 AND id = $3");
            let found = snapshot.prepare_cached(&sql)?.query_row(key, person);
            let Some(mut person) = found.optional()? else { return Ok(None) };
            let sql =
                "SELECT name, fields FROM metadata WHERE subscription = $1 AND kind = $2 AND id = $3 ORDER BY name";
            let mut groups = snapshot.prepare_cached(sql)?;
            let groups = groups.query_map(key, |row| Ok((row.get(0)?, row.get(1)?)))?;
            person.metadata = groups.collect::<db::Result<_>>()?;
            Ok(Some(person))
        })
    }

    /// The first `limit` visitors or accounts whose ids begin with `prefix`, in the order of their ids, behind `after`; without
    /// their metadata.
    ///
    /// # Errors
    /// [`Error`].
    pub fn people(
        &self,
        (subscription, kind): (SubscriptionId, PersonKind),
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, PersonRow)>, Error> {
        let sql = format!(
            "SELECT {COLUMNS}, id FROM people
             WHERE subscription = $1 AND kind = $2 AND id >= $3 AND id < $4 AND id > $5 ORDER BY id LIMIT $6"
        );
        // Ids compare byte by byte, and no character is greater. Nobody's id is empty.
        let (end, after) = (format!("{prefix}{}", char::MAX), after.unwrap_or_default());
        self.read(|db| {
            let values = params![int(subscription.0), kind as u8, prefix, end, after, int(limit as u64)];
            let mut statement = db.prepare_cached(&sql)?;
            let rows = statement.query_map(values, |row| Ok((row.get(6)?, person(row)?)))?;
            Ok(rows.collect::<db::Result<_>>()?)
        })
    }

    /// The first `limit` sub-accounts of an account (those whose ids begin with `parent::`), in the order of their ids.
    ///
    /// # Errors
    /// [`Error`].
    pub fn sub_accounts(&self, subscription: SubscriptionId, parent: &str, limit: usize) -> Result<Vec<String>, Error> {
        // ";" is the character behind ":": ids compare byte by byte.
        let sql = "SELECT id FROM people WHERE subscription = $1 AND kind = $2 AND id > $3 AND id < $4
                   ORDER BY id LIMIT $5";
        let (from, to) = (format!("{parent}::"), format!("{parent}:;"));
        let account = PersonKind::Account as u8;
        self.read(|db| {
            let values = params![int(subscription.0), account, from, to, int(limit as u64)];
            Ok(db.prepare_cached(sql)?.query_map(values, |row| row.get(0))?.collect::<db::Result<_>>()?)
        })
    }

    /// The values of one group for each of these ids ("" for none) and the number of all their groups, in the order of
    /// the ids: `None` for somebody unknown.
    ///
    /// # Errors
    /// [`Error`].
    pub fn metadata(
        &self,
        subscription: SubscriptionId,
        kind: PersonKind,
        group: &str,
        ids: &[String],
    ) -> Result<Vec<Option<(String, usize)>>, Error> {
        let sql = "SELECT (SELECT fields FROM metadata WHERE metadata.subscription = people.subscription
                       AND metadata.kind = people.kind AND metadata.id = people.id AND metadata.name = $1),
                       (SELECT COUNT(*) FROM metadata WHERE metadata.subscription = people.subscription
                       AND metadata.kind = people.kind AND metadata.id = people.id)
                   FROM people WHERE subscription = $2 AND kind = $3 AND id = $4";
        self.read(|db| {
            let snapshot = db.snapshot()?;
            let mut statement = snapshot.prepare_cached(sql)?;
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                let values = params![group, int(subscription.0), kind as u8, id];
                let group = |row: &Row<'_>| {
                    let fields: Option<String> = row.get(0)?;
                    Ok((fields.unwrap_or_default(), row.get::<i64>(1)? as usize))
                };
                found.push(statement.query_row(values, group).optional()?);
            }
            Ok(found)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::{OTHER, START, SUBSCRIPTION, intake_settings, record_settings};
    use super::super::memory::MemoryJournal;
    use super::super::{Projection, Stretch, person_hash, schema};
    use super::*;
    use crate::clock::ManualClock;
    use crate::model::{AppId, Entry, UniqueId, Withheld};
    use crate::store::{Part, Place, migrate};
    use std::path::Path;
    use std::sync::Arc;

    fn event<'a>(kind: EventKind, visitor_id: &'a str, account_id: &'a str) -> EventEntry<'a> {
        EventEntry {
            subscription: SUBSCRIPTION,
            app: AppId::FIRST,
            kind,
            unique_id: UniqueId([1; 20]),
            visitor_id,
            account_id,
            occurred_at: START,
            accepted_at: UnixMs(START.0 + 9),
            withheld: None,
            item: None,
            closes: None,
            body: b"{}",
        }
    }

    fn visit<'a>(visitor_id: &'a str, at: i64, visitor: &'a str) -> VisitEntry<'a> {
        VisitEntry {
            subscription: SUBSCRIPTION,
            visitor_id,
            account_id: "acme",
            at: UnixMs(START.0 + at),
            browser_name: "Chrome",
            browser_version: "91.0.4472",
            visitor,
            account: "{\"plan\":\"pro\"}",
        }
    }

    fn projected(dir: &Path, journal: &Arc<MemoryJournal>) -> Projection {
        let (seam, clock) = (Arc::<MemoryJournal>::clone(journal), Arc::new(ManualClock::at(START)));
        let projection = Projection::open(&dir.into(), seam, &record_settings(), &intake_settings(), clock).unwrap();
        projection.catch_up().unwrap();
        projection
    }

    fn visitor(projection: &Projection, id: &str) -> Option<PersonRow> {
        projection.person(SUBSCRIPTION, PersonKind::Visitor, id).unwrap()
    }

    #[test]
    fn known_is_not_seen() {
        let (dir, journal) = (tempfile::tempdir().unwrap(), Arc::new(MemoryJournal::new()));
        let excluded = Some(Withheld::Excluded { rule: 1 });
        journal.add(&Entry::Event(event(EventKind::TrackEventReceived, "tracked", "acme")));
        journal
            .add(&Entry::Event(EventEntry { withheld: excluded, ..event(EventKind::GuideDisplayed, "excluded", "") }));
        journal.add(&Entry::Event(event(EventKind::TrackEventReceived, "_PENDO_T_1", "null")));
        journal.add(&Entry::Metadata(MetadataEntry {
            subscription: SUBSCRIPTION,
            kind: PersonKind::Visitor,
            id: "made",
            group: "custom",
            values: "{\"a\":1}",
            at: START,
        }));
        journal.add(&Entry::Event(event(EventKind::VisitorCreated, "seen", "acme")));
        let projection = projected(dir.path(), &journal);
        for (id, known, seen) in [
            ("tracked", true, false),
            ("excluded", true, false),
            ("_PENDO_T_1", false, false),
            ("made", true, false),
            ("seen", true, true),
            ("nobody", false, false),
        ] {
            assert_eq!(visitor(&projection, id).is_some(), known, "{id}");
            assert_eq!(projection.is_seen(SUBSCRIPTION, PersonKind::Visitor, id).unwrap(), seen, "{id}");
            assert_eq!(visitor(&projection, id).and_then(|row| row.first_visit).is_some(), seen, "{id}");
        }
        assert!(!projection.is_seen(OTHER, PersonKind::Visitor, "seen").unwrap());
        assert!(!projection.is_seen(SUBSCRIPTION, PersonKind::Account, "acme").unwrap());
        assert!(projection.person(SUBSCRIPTION, PersonKind::Account, "acme").unwrap().is_some());
        assert!(projection.person(SUBSCRIPTION, PersonKind::Account, "null").unwrap().is_none());
    }

    #[test]
    fn the_last_visit_counts_and_metadata_adds_up() {
        let (dir, journal) = (tempfile::tempdir().unwrap(), Arc::new(MemoryJournal::new()));
        journal.add(&Entry::Visit(visit("v", 5000, "{\"name\":\"Ada\",\"n\":1}")));
        journal.add(&Entry::Visit(VisitEntry {
            account_id: "old",
            browser_name: "Firefox",
            ..visit("v", 1000, "{\"n\":null,\"role\":\"cto\"}")
        }));
        let projection = projected(dir.path(), &journal);
        let row = visitor(&projection, "v").unwrap();
        assert_eq!((row.last_visit, row.account_id.as_deref()), (Some(UnixMs(START.0 + 5000)), Some("acme")));
        assert_eq!(row.browser, Some((String::from("Chrome"), String::from("91.0.4472"))));
        assert_eq!(row.metadata, [(String::from("agent"), String::from(r#"{"name":"Ada","role":"cto"}"#))]);
        let account = projection.person(SUBSCRIPTION, PersonKind::Account, "acme").unwrap().unwrap();
        assert_eq!((account.browser, account.account_id), (None, None));
        assert_eq!(account.metadata[0].1, "{\"plan\":\"pro\"}");
        let ids = ["v", "w"].map(String::from);
        let known = projection.metadata(SUBSCRIPTION, PersonKind::Visitor, "crm", &ids).unwrap();
        assert_eq!(known, [Some((String::new(), 1)), None]);
    }

    #[test]
    fn a_group_that_would_grow_without_end_keeps_what_came_last() {
        let (dir, journal) = (tempfile::tempdir().unwrap(), Arc::new(MemoryJournal::new()));
        let large = |name: &str| format!("{{\"{name}\":\"{}\"}}", "x".repeat(limits::METADATA_BYTES - 100));
        journal.add(&Entry::Visit(visit("v", 0, &large("a"))));
        journal.add(&Entry::Visit(visit("v", 0, &large("b"))));
        let row = visitor(&projected(dir.path(), &journal), "v").unwrap();
        assert_eq!(row.metadata, [(String::from("agent"), large("b"))]);
    }

    #[test]
    fn sub_accounts_are_those_below_the_parent() {
        let (dir, journal) = (tempfile::tempdir().unwrap(), Arc::new(MemoryJournal::new()));
        for account in ["acme", "acme::west", "acme::east", "acme::east::1", "acme2::x", "acme:", "acm::y"] {
            journal.add(&Entry::Event(event(EventKind::AccountCreated, "v", account)));
        }
        let projection = projected(dir.path(), &journal);
        let below = |parent, limit| projection.sub_accounts(SUBSCRIPTION, parent, limit).unwrap();
        assert_eq!(below("acme", 10), ["acme::east", "acme::east::1", "acme::west"]);
        assert_eq!(below("acme", 1), ["acme::east"]);
        assert_eq!(below("west", 10), Vec::<String>::new());
    }

    #[test]
    fn stretches_say_where_somebody_may_be() {
        let (dir, journal) = (tempfile::tempdir().unwrap(), Arc::new(MemoryJournal::new()));
        for (n, who) in ["ada", "bob", "ada"].into_iter().enumerate() {
            // Each opening begins a stretch.
            journal.add(&Entry::Event(event(EventKind::GuideDisplayed, who, if n == 2 { "acme" } else { "" })));
            journal.add(&Entry::Event(event(EventKind::GuideDisplayed, "eve", "")));
            projected(dir.path(), &journal).stop();
        }
        let projection = projected(dir.path(), &journal);
        let hash = |id| person_hash(SUBSCRIPTION, PersonKind::Visitor, id);
        let acme = person_hash(SUBSCRIPTION, PersonKind::Account, "acme");
        let below = |end, people: &[u32]| projection.stretch_below(Position(end), people).unwrap();
        assert_eq!(below(100, &[hash("ada")]), Stretch::Found(Position(5), Position(6)));
        assert_eq!(below(5, &[hash("ada")]), Stretch::Found(Position(1), Position(2)));
        assert_eq!(below(100, &[hash("bob")]), Stretch::Found(Position(3), Position(4)));
        assert_eq!(below(5, &[hash("ada"), acme]), Stretch::NotFrom(Position(1)));
        assert_eq!(below(1, &[hash("ada")]), Stretch::Unknown);
        assert_ne!(acme, hash("acme"));
    }

    #[test]
    fn who_was_seen_before_the_schema_knew_people_stays_seen() {
        let dir = tempfile::tempdir().unwrap();
        let db = Place::from(dir.path()).open(Part::Records).unwrap();
        migrate(&db, &schema::MIGRATIONS[..1]).unwrap();
        db.execute_batch(
            "INSERT INTO seen_visitors VALUES (1000, 'v', 7, 1767225600000);
             INSERT INTO seen_accounts VALUES (1000, 'a', 8, 1767225600000);",
        )
        .unwrap();
        migrate(&db, schema::MIGRATIONS).unwrap();
        drop(db);
        let projection = projected(dir.path(), &Arc::new(MemoryJournal::new()));
        assert!(projection.is_seen(SUBSCRIPTION, PersonKind::Visitor, "v").unwrap());
        assert!(projection.is_seen(SUBSCRIPTION, PersonKind::Account, "a").unwrap());
        assert_eq!(visitor(&projection, "v").unwrap().first_visit, Some(START));
    }
}
