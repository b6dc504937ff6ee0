//! Deliveries in order, newest first: rows and the sparse index, merged. Every page looks at a bounded number of rows,
//! however few of them match; a page that ends early says where to go on.

use super::codec::{self, Success};
use super::read::{DeliveryRow, Listed, ListedPage, RowFilter, kind};
use super::{Error, Projection, int, position};
use crate::model::{
    DeliveryId, DeliveryState, LastAnswer, Position, Reason, SubscriptionId, UniqueId, UnixMs, WebhookId,
};
use crate::store::db::{self, Connection, OptionalExtension, Row, params};

/// What one page looks at, at most: some 100,000 successes.
const SCAN: ScanBounds = ScanBounds { rows: 4000, index_rows: 400 };

/// How much one page may look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScanBounds {
    /// Rows of deliveries.
    pub(super) rows: i64,
    /// Rows of the sparse index.
    pub(super) index_rows: i64,
}

/// Entries of the index by event that the search for one success looks at, at most. A success comes late in the index
/// when its receiver was slow: this many rows later, 16 million others were faster.
const SEARCH_ROWS: i64 = 65_536;

/// An attempt that has a row, as the journal had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAttempt {
    /// Where its outcome stands.
    pub position: Position,
    /// Whose it was; `None` when its event had left the journal before it was recorded.
    pub subscription: Option<SubscriptionId>,
    /// The outcome, encoded.
    pub outcome: Vec<u8>,
}

/// Clocks of several threads differ by less than this, so a mark of a minute holds for the minute beside it.
const MARK_SLACK_MINUTES: i64 = 1;

impl Projection {
    /// A page of a webhook's deliveries.
    ///
    /// # Errors
    /// [`Error`].
    pub fn list(&self, filter: &RowFilter) -> Result<ListedPage, Error> {
        self.list_within(filter, SCAN)
    }

    pub(super) fn list_within(&self, filter: &RowFilter, bounds: ScanBounds) -> Result<ListedPage, Error> {
        self.read(|db| {
            let snapshot = db.snapshot()?;
            let window = window(&snapshot, filter)?;
            let rows = scan_rows(&snapshot, filter, window, bounds.rows)?;
            let wanted = filter.state.is_none_or(|state| state == DeliveryState::Delivered);
            let successes =
                if wanted { scan_successes(&snapshot, filter, window, bounds.index_rows)? } else { Scan::default() };
            Ok(merge(rows, successes, filter.limit))
        })
    }

    /// The row of a delivery, if it has one.
    ///
    /// # Errors
    /// [`Error`].
    pub fn delivery_row(&self, id: DeliveryId) -> Result<Option<DeliveryRow>, Error> {
        let sql = format!("SELECT {ROW_COLUMNS} FROM deliveries WHERE webhook = $1 AND origin = $2");
        self.read(|db| {
            let values = [int(id.webhook.0), int(id.origin.0)];
            db.prepare_cached(&sql)?.query_row(values, |row| Ok(delivery_row(row))).optional()?.transpose()
        })
    }

    /// The newest kept attempts, everybody's, that ended before a place in the journal, newest first.
    ///
    /// # Errors
    /// [`Error`].
    pub fn attempts_before(&self, before: Position, most: usize) -> Result<Vec<KeptAttempt>, Error> {
        let sql = "SELECT attempts.position, deliveries.subscription, attempts.outcome FROM attempts
                   LEFT JOIN deliveries ON deliveries.listed = attempts.delivery
                   WHERE attempts.position < $1 ORDER BY attempts.position DESC LIMIT $2";
        self.read(|db| {
            let mut statement = db.prepare_cached(sql)?;
            let values = [int(before.0), int(most as u64)];
            let kept = |row: &Row<'_>| {
                let subscription = row.get::<Option<i64>>(1)?.map(|id| SubscriptionId(id as u64));
                Ok(KeptAttempt { position: position(row.get(0)?), subscription, outcome: row.get(2)? })
            };
            Ok(statement.query_map(values, kept)?.collect::<db::Result<_>>()?)
        })
    }

    /// The last failed attempts of a webhook's deliveries, newest first. One for each delivery.
    ///
    /// # Errors
    /// [`Error`].
    pub fn last_failures(&self, webhook: WebhookId, most: usize) -> Result<Vec<LastAnswer>, Error> {
        let sql = format!(
            "SELECT {ROW_COLUMNS}, (SELECT MAX(position) FROM attempts WHERE delivery = listed) FROM deliveries
             WHERE webhook = $1 AND state IN ('failed', 'retrying') ORDER BY listed DESC LIMIT $2"
        );
        self.read(|db| {
            let mut statement = db.prepare_cached(&sql)?;
            let mut rows = statement.query([int(webhook.0), int(most as u64)])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let outcome = row.get::<Option<i64>>(16)?.map(position);
                let row = delivery_row(&row)?;
                if let (Some(at), Some(reason)) = (row.last_attempt_at, row.reason) {
                    let status = row.status.unwrap_or(0);
                    found.push(LastAnswer { delivery: row.id, outcome, at, status, reason });
                }
            }
            Ok(found)
        })
    }

    /// Where the outcome of a first-attempt success stands, if the delivery is one.
    ///
    /// # Errors
    /// [`Error`].
    pub fn success(&self, id: DeliveryId) -> Result<Option<Success>, Error> {
        let sql = "SELECT successes FROM successes WHERE first_outcome IN (
                       SELECT first_outcome FROM (
                           SELECT first_outcome, min_event FROM successes
                           WHERE webhook = $1 AND max_event >= $2 ORDER BY max_event LIMIT $3) AS near
                       WHERE min_event <= $2)
                   ORDER BY first_outcome";
        self.read(|db| {
            let mut statement = db.prepare_cached(sql)?;
            let mut rows = statement.query(params![int(id.webhook.0), int(id.origin.0), SEARCH_ROWS])?;
            while let Some(row) = rows.next()? {
                let found = decoded(&row, 0)?.into_iter().find(|success| success.event == id.origin);
                if found.is_some() {
                    return Ok(found);
                }
            }
            Ok(None)
        })
    }

    /// The encoded outcomes of a delivery that has a row, first to last.
    ///
    /// # Errors
    /// [`Error`].
    pub fn attempts(&self, listed: Position) -> Result<Vec<Vec<u8>>, Error> {
        self.read(|db| {
            let mut statement =
                db.prepare_cached("SELECT outcome FROM attempts WHERE delivery = $1 ORDER BY position")?;
            let rows = statement.query_map([int(listed.0)], |row| row.get(0))?;
            Ok(rows.collect::<db::Result<_>>()?)
        })
    }

    /// Positions between which everything lies that was accepted from `from` until `to`: a little more than that.
    ///
    /// # Errors
    /// [`Error`].
    pub fn positions_between(&self, from: Option<UnixMs>, to: Option<UnixMs>) -> Result<(Position, Position), Error> {
        self.read(|db| positions_between(db, from, to))
    }
}

/// What a scan has found, newest first, and down to which place it has looked; zero at the end.
#[derive(Debug, Default)]
struct Scan {
    lines: Vec<Listed>,
    floor: Position,
}

/// The places that can match, and the events that can.
#[derive(Debug, Clone, Copy)]
struct Window {
    first: Position,
    last: Position,
}

fn window(db: &Connection, filter: &RowFilter) -> Result<Window, Error> {
    let (first, last) = positions_between(db, filter.from, filter.to)?;
    Ok(Window { first, last })
}

fn positions_between(db: &Connection, from: Option<UnixMs>, to: Option<UnixMs>) -> Result<(Position, Position), Error> {
    let minute = |at: UnixMs| at.0.div_euclid(super::apply::MINUTE_MS);
    let mark = |sql: &str, minute: i64| -> db::Result<Option<i64>> {
        db.prepare_cached(sql)?.query_row([minute], |row| row.get(0)).optional()
    };
    let first = match from {
        Some(from) => mark(
            "SELECT position FROM marks WHERE minute <= $1 ORDER BY minute DESC LIMIT 1",
            minute(from) - MARK_SLACK_MINUTES,
        )?,
        None => None,
    };
    let last = match to {
        Some(to) => mark(
            "SELECT position FROM marks WHERE minute >= $1 ORDER BY minute LIMIT 1",
            minute(to) + 1 + MARK_SLACK_MINUTES,
        )?,
        None => None,
    };
    Ok((position(first.unwrap_or(0)), last.map_or(Position(i64::MAX as u64), position)))
}

fn scan_rows(db: &Connection, filter: &RowFilter, window: Window, most: i64) -> Result<Scan, Error> {
    // A delivery comes after its event, so nothing below the window's first place can match.
    let span = params![int(filter.webhook.0), int(filter.before.0), int(window.first.0), most - 1];
    let floor: Option<i64> = db
        .prepare_cached(
            "SELECT listed FROM deliveries WHERE webhook = $1 AND listed < $2 AND listed >= $3
             ORDER BY listed DESC LIMIT 1 OFFSET $4",
        )?
        .query_row(span, |row| row.get(0))
        .optional()?;
    let sql = format!(
        "SELECT {ROW_COLUMNS} FROM deliveries
         WHERE webhook = $1 AND listed < $2 AND listed >= $3 AND (CAST($4 AS TEXT) IS NULL OR state = $4)
             AND (CAST($5 AS BIGINT) IS NULL OR kind = $5)
             AND (CAST($6 AS BIGINT) IS NULL OR created_at >= $6)
             AND (CAST($7 AS BIGINT) IS NULL OR created_at < $7)
         ORDER BY listed DESC LIMIT $8"
    );
    let floor = position(floor.unwrap_or(0));
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params![
        int(filter.webhook.0),
        int(filter.before.0),
        int(floor.max(window.first).0),
        filter.state.map(DeliveryState::name),
        filter.kind.map(|kind| kind as u8),
        filter.from.map(|at| at.0),
        filter.to.map(|at| at.0),
        int(filter.limit as u64 + 1),
    ])?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        lines.push(Listed::Row(Box::new(delivery_row(&row)?)));
    }
    Ok(Scan { lines, floor })
}

fn scan_successes(db: &Connection, filter: &RowFilter, window: Window, most: i64) -> Result<Scan, Error> {
    let mut statement = db.prepare_cached(
        "SELECT first_outcome, min_event, max_event, successes FROM successes
         WHERE webhook = $1 AND first_outcome < $2 ORDER BY first_outcome DESC LIMIT $3",
    )?;
    let mut rows = statement.query(params![int(filter.webhook.0), int(filter.before.0), most])?;
    let mut scan = Scan::default();
    let mut looked_at = 0;
    while let Some(row) = rows.next()? {
        looked_at += 1;
        let (first, min_event, max_event) = (row.get(0)?, position(row.get(1)?), position(row.get(2)?));
        if min_event <= window.last && max_event >= window.first {
            let fits = |success: &Success| {
                success.outcome < filter.before
                    && (window.first..=window.last).contains(&success.event)
                    && filter.kind.is_none_or(|kind| kind == success.kind)
            };
            scan.lines.extend(decoded(&row, 3)?.into_iter().rev().filter(fits).map(Listed::Success));
        }
        scan.floor = position(first);
        if scan.lines.len() > filter.limit {
            return Ok(scan);
        }
        if position(first) < window.first {
            // Older outcomes are of older events still.
            break;
        }
    }
    if looked_at < most || scan.floor < window.first {
        scan.floor = Position::ZERO;
    }
    Ok(scan)
}

/// What both scans have looked at, in one order.
fn merge(rows: Scan, successes: Scan, limit: usize) -> ListedPage {
    let floor = rows.floor.max(successes.floor);
    let mut lines = rows.lines;
    lines.extend(successes.lines);
    lines.sort_unstable_by_key(|line| std::cmp::Reverse(line.place()));
    lines.retain(|line| line.place() >= floor);
    if lines.len() > limit {
        lines.truncate(limit);
        let next = lines.last().map(Listed::place);
        return ListedPage { lines, next };
    }
    ListedPage { lines, next: (floor > Position::ZERO).then_some(floor) }
}

const ROW_COLUMNS: &str = "listed, webhook, origin, event, subscription, kind, unique_id, state, attempts, status, \
                           reason, total_us, created_at, last_attempt_at, next_attempt_at, replay";

fn delivery_row(row: &Row<'_>) -> Result<DeliveryRow, Error> {
    const DAMAGED: Error = Error::Damaged { table: "deliveries" };
    let state: String = row.get(7)?;
    Ok(DeliveryRow {
        listed: position(row.get(0)?),
        id: DeliveryId { webhook: WebhookId(row.get::<i64>(1)? as u64), origin: position(row.get(2)?) },
        event: position(row.get(3)?),
        subscription: row.get::<Option<i64>>(4)?.map(|id| SubscriptionId(id as u64)),
        kind: row.get::<Option<u8>>(5)?.map(|number| kind(number).ok_or(DAMAGED)).transpose()?,
        unique_id: row.get::<Option<[u8; 20]>>(6)?.map(UniqueId),
        state: DeliveryState::from_name(&state).ok_or(DAMAGED)?,
        attempts: row.get(8)?,
        status: row.get(9)?,
        reason: row.get::<Option<u8>>(10)?.map(|number| reason(number).ok_or(DAMAGED)).transpose()?,
        total_us: row.get(11)?,
        created_at: UnixMs(row.get(12)?),
        last_attempt_at: row.get::<Option<i64>>(13)?.map(UnixMs),
        next_attempt_at: row.get::<Option<i64>>(14)?.map(UnixMs),
        replay: row.get::<Option<i64>>(15)?.map(position),
    })
}

/// A reason's number is that of its place, which is how the journal writes it too.
fn reason(number: u8) -> Option<Reason> {
    postcard::from_bytes(&[number]).ok()
}

fn decoded(row: &Row<'_>, column: usize) -> Result<Vec<Success>, Error> {
    let blob = row.blob(column)?;
    codec::successes(blob).ok_or(Error::Damaged { table: "successes" })
}
