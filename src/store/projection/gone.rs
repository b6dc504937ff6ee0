//! What is known of webhooks that no longer exist, and of when the others were on: nothing tells the projection of a
//! deletion, so it is told from time to time which webhooks there are.

use super::retention::{Dropped, Table};
use super::{Error, Projection, int, position};
use crate::model::{Position, UnixMs, WebhookId};
use crate::store::db::{self, Connection, params};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

impl Projection {
    /// Deletes what is known of webhooks that are not among `existing`, once the journal no longer tells of them, and
    /// switches that decide nothing any more. `old`: how far back records are kept. Blocking.
    ///
    /// # Errors
    /// [`Error`].
    pub fn forget_webhooks(&self, existing: HashSet<WebhookId>, old: UnixMs) -> Result<(), Error> {
        let (shared, oldest) = (Arc::clone(&self.shared), self.journal.oldest());
        self.ask(Position::ZERO, move |db| {
            let transaction = db.transaction()?;
            let mut dropped = Dropped::default();
            delete_gone(db, &existing, oldest, &mut dropped)?;
            dropped.add(Table::Switches, delete_superseded(db, oldest, old)?);
            transaction.commit()?;
            shared.dropped(&dropped);
            Ok(())
        })
    }
}

fn delete_gone(
    db: &Connection,
    existing: &HashSet<WebhookId>,
    oldest: Position,
    dropped: &mut Dropped,
) -> db::Result<()> {
    let latest = latest_switches(db)?;
    // The switches go last: by them it is known what is over.
    let tables = [Table::Lanes, Table::Health, Table::Webhooks, Table::Notices, Table::Switches];
    for table in tables {
        let known = webhooks_in(db, table)?.into_iter().filter(|webhook| !existing.contains(webhook));
        // One that was made since `existing` was, and is on, has a switch that the journal still tells of.
        let is_over = |webhook: &WebhookId| latest.get(webhook).is_none_or(|(at, on)| *at < oldest && !on);
        for webhook in known.filter(is_over) {
            let sql = format!("DELETE FROM {} WHERE webhook = $1", table.name());
            dropped.add(table, db.prepare_cached(&sql)?.execute([int(webhook.0)])?);
        }
    }
    Ok(())
}

fn webhooks_in(db: &Connection, table: Table) -> db::Result<Vec<WebhookId>> {
    let mut statement = db.prepare_cached(&format!("SELECT DISTINCT webhook FROM {}", table.name()))?;
    let rows = statement.query_map((), |row| Ok(WebhookId(row.get::<i64>(0)? as u64)))?;
    rows.collect()
}

/// Each webhook's last switch: where it stands, and whether it switched on.
fn latest_switches(db: &Connection) -> db::Result<HashMap<WebhookId, (Position, bool)>> {
    let sql = "SELECT webhook, position, is_on FROM switches
               WHERE position IN (SELECT MAX(position) FROM switches GROUP BY webhook)";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement
        .query_map((), |row| Ok((WebhookId(row.get::<i64>(0)? as u64), (position(row.get(1)?), row.get(2)?))))?;
    rows.collect()
}

/// Of what is older than both the journal and the records, a webhook needs when it was switched on or off last, and what it
/// asked for last: everything before its last switching off goes, and each change of categories that another has followed.
fn delete_superseded(db: &Connection, oldest: Position, old: UnixMs) -> db::Result<usize> {
    let sql = "DELETE FROM switches WHERE position IN (
                   SELECT position FROM switches AS this WHERE position < $1 AND at < $2 AND (
                       EXISTS (SELECT 1 FROM switches AS later
                               WHERE later.webhook = this.webhook AND later.position > this.position
                                 AND later.position < $1 AND later.at < $2 AND NOT later.is_on)
                       OR (this.is_on
                           AND (SELECT earlier.is_on FROM switches AS earlier
                                WHERE earlier.webhook = this.webhook AND earlier.position < this.position
                                ORDER BY earlier.position DESC LIMIT 1)
                           AND EXISTS (SELECT 1 FROM switches AS later
                                       WHERE later.webhook = this.webhook AND later.position > this.position
                                         AND later.position < $1 AND later.at < $2))))";
    db.prepare_cached(sql)?.execute(params![int(oldest.0), old.0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::projection::open_writer;

    fn switches(db: &Connection) -> Vec<(i64, i64)> {
        let mut statement = db.prepare_cached("SELECT webhook, position FROM switches ORDER BY position").unwrap();
        let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn with_switches(rows: &[(i64, i64, bool)]) -> (tempfile::TempDir, Connection) {
        let dir = tempfile::tempdir().unwrap();
        let db = open_writer(&dir.path().into()).unwrap();
        for (webhook, position, on) in rows {
            let sql = "INSERT INTO switches (position, webhook, subscription, is_on, at) VALUES ($1, $2, 1, $3, $1)";
            db.execute(sql, params![position, webhook, on]).unwrap();
        }
        (dir, db)
    }

    #[test]
    fn what_no_longer_decides_goes_and_what_holds_stays() {
        let history = [(1, 10, true), (1, 20, true), (1, 30, false), (1, 40, true), (1, 50, true), (1, 60, true)];
        let (_dir, db) = with_switches(&[&history[..], &[(2, 45, false), (2, 46, true)]].concat());
        assert_eq!(delete_superseded(&db, Position(25), UnixMs(1000)).unwrap(), 0, "20 holds where the journal begins");
        assert_eq!(delete_superseded(&db, Position(100), UnixMs(15)).unwrap(), 0, "the records still tell of it");
        assert_eq!(delete_superseded(&db, Position(100), UnixMs(1000)).unwrap(), 3);
        assert_eq!(switches(&db), [(1, 30), (1, 40), (2, 45), (2, 46), (1, 60)]);
        assert_eq!(delete_superseded(&db, Position(100), UnixMs(1000)).unwrap(), 0);
    }

    #[test]
    fn a_deleted_webhook_is_known_until_the_journal_tells_of_it_no_more() {
        let (_dir, db) = with_switches(&[(1, 10, true), (2, 11, true), (2, 20, false), (3, 12, true), (3, 90, true)]);
        for webhook in 1..=4 {
            for sql in [
                "INSERT INTO webhooks (webhook, last_error_at) VALUES ($1, 1)",
                "INSERT INTO health (webhook, health) VALUES ($1, x'00')",
                "INSERT INTO notices VALUES ($1, $1, $1, 1, FALSE, 1, x'')",
                "INSERT INTO lanes (webhook, open, settled, behind_events, behind_bytes) VALUES ($1, x'', x'', 0, 0)",
            ] {
                db.execute(sql, [webhook]).unwrap();
            }
        }
        let existing = HashSet::from([WebhookId(1)]);
        let forget = |oldest| {
            let mut dropped = Dropped::default();
            delete_gone(&db, &existing, Position(oldest), &mut dropped).unwrap();
            [Table::Webhooks, Table::Health, Table::Lanes, Table::Notices, Table::Switches]
                .map(|table| dropped.of(table))
        };
        assert_eq!(forget(20), [1, 1, 1, 1, 0], "the fourth has no switch; the others are told of, or are on");
        assert_eq!(forget(50), [1, 1, 1, 1, 2], "the second");
        assert_eq!(switches(&db), [(1, 10), (3, 12), (3, 90)], "the third is on: it was made just now");
    }
}
