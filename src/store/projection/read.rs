//! What the projection is asked: who was seen, how things stood at a restart, and the rows that records show.

use super::codec::{self, Success};
use super::{Error, Meta, Projection, get_meta, int, position};
use crate::model::{
    Backlog, CategorySet, ClosedWhy, DeliveryId, DeliveryState, EventKind, LaneMark, Position, Reason, Selection,
    SubscriptionId, Switch, UniqueId, UnixMs, WebhookId,
};
use crate::store::db::{self, Connection, OptionalExtension, Row};
use crate::store::{Part, Place};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Connections that read. Calls are short, so a few serve many threads.
const READERS: usize = 4;

/// The connections that read, each used by one call at a time.
pub(super) struct Readers {
    place: Place,
    connections: Vec<Mutex<Connection>>,
    next: AtomicUsize,
}

impl Readers {
    pub(super) fn open(place: &Place) -> Result<Self, Error> {
        let open = |_| Ok(Mutex::new(place.open_reader(Part::Records)?));
        let connections = (0..READERS).map(open).collect::<Result<_, Error>>()?;
        Ok(Self { place: place.clone(), connections, next: AtomicUsize::new(0) })
    }

    /// Runs `work` on a free connection, or in turn on one that is not.
    fn with<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let turn = (0..READERS).map(|step| &self.connections[(first + step) % READERS]);
        let free = turn.clone().find_map(|connection| connection.try_lock().ok());
        let mut connection =
            free.unwrap_or_else(|| self.connections[first % READERS].lock().unwrap_or_else(PoisonError::into_inner));
        if connection.is_broken() {
            *connection = self.place.open_reader(Part::Records)?;
        }
        work(&connection)
    }
}

/// A held rating.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Where its entry stands; the event that closes it names this.
    pub position: Position,
    /// When it leaves without a reason.
    pub due: UnixMs,
    /// What intake wrote.
    pub draft: Vec<u8>,
}

/// How the lanes stood at the newest checkpoint. What ended since is read from the journal, from `checkpoint` on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LaneRestart {
    /// Every lane at the head had dispatched all events up to and including this position.
    pub head: Position,
    /// Where the newest checkpoint entry stands; zero when there is none.
    pub checkpoint: Position,
    /// Every lane that any checkpoint named, as named last.
    pub lanes: Vec<LaneMark>,
}

/// A delivery that waits for its next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingRetry {
    /// Which delivery.
    pub delivery: DeliveryId,
    /// Where its event stands.
    pub event: Position,
    /// What happened; `None` for a redelivery of an event that had left the journal.
    pub kind: Option<EventKind>,
    /// Attempts so far; 0 for a redelivery that was not attempted yet.
    pub attempts: u8,
    /// When the next attempt may start.
    pub due: UnixMs,
    /// The replay that it is part of.
    pub replay: Option<Position>,
    /// When the event was accepted, or the redelivery asked for.
    pub created_at: UnixMs,
}

/// A range of events that ended without an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Where its entry stands.
    pub position: Position,
    /// Why.
    pub why: ClosedWhy,
    /// First position of the range, inclusive.
    pub from: Position,
    /// Last position of the range, inclusive.
    pub to: Position,
    /// How many events, where it was counted.
    pub events: Option<u64>,
    /// How many waiting retries ended with it.
    pub retries: u64,
    /// When.
    pub at: UnixMs,
}

/// What a webhook's counts add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Deliveries that succeeded.
    pub delivered: u64,
    /// Deliveries that failed for good.
    pub failed: u64,
    /// Attempts.
    pub attempts: u64,
    /// Attempts that failed.
    pub failed_attempts: u64,
    /// What the attempts took together, in microseconds.
    pub total_us: u64,
    /// Deliveries that wait for their next attempt now.
    pub waiting: u64,
    /// When a delivery last succeeded, ever.
    pub last_success_at: Option<UnixMs>,
    /// When an attempt last failed, ever.
    pub last_error_at: Option<UnixMs>,
}

/// A delivery that has a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Its place in lists: its first outcome's, or its redelivery's entry.
    pub listed: Position,
    /// Which delivery.
    pub id: DeliveryId,
    /// Where its event stands.
    pub event: Position,
    /// Whose event; `None` when the event had left the journal before it was recorded.
    pub subscription: Option<SubscriptionId>,
    /// What happened.
    pub kind: Option<EventKind>,
    /// The event's `uniqueId`.
    pub unique_id: Option<UniqueId>,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// The last attempt's status.
    pub status: Option<u16>,
    /// Why the last attempt ended as it did.
    pub reason: Option<Reason>,
    /// How long the last attempt took, in microseconds.
    pub total_us: Option<u32>,
    /// When the event was accepted, or the redelivery asked for.
    pub created_at: UnixMs,
    /// When the last attempt began.
    pub last_attempt_at: Option<UnixMs>,
    /// When the next attempt is due.
    pub next_attempt_at: Option<UnixMs>,
    /// The replay that it is part of.
    pub replay: Option<Position>,
}

/// One line of a list: a row, or a success of the sparse index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// It has a row.
    Row(Box<DeliveryRow>),
    /// It succeeded at once; everything else is in the journal.
    Success(Success),
}

impl Listed {
    /// Its place in the list.
    pub fn place(&self) -> Position {
        match self {
            Self::Row(row) => row.listed,
            Self::Success(success) => success.outcome,
        }
    }
}

/// What a list is asked for.
#[derive(Debug, Clone, Copy)]
pub struct RowFilter {
    /// Of which webhook.
    pub webhook: WebhookId,
    /// Only those in this state.
    pub state: Option<DeliveryState>,
    /// Only those of this event.
    pub kind: Option<EventKind>,
    /// About when: rows that are certainly outside are left out, those near its ends are for the caller to judge.
    pub from: Option<UnixMs>,
    /// See `from`.
    pub to: Option<UnixMs>,
    /// Only places below this.
    pub before: Position,
    /// How many at most.
    pub limit: usize,
}

/// Lines of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPage {
    /// The lines.
    pub lines: Vec<Listed>,
    /// Everything at or above this place has been looked at; `None` at the end of the list.
    pub next: Option<Position>,
}

impl Projection {
    /// Gives the newest `max` item ids since `since`, oldest first.
    ///
    /// # Errors
    /// [`Error`].
    pub fn items(&self, since: UnixMs, max: usize, each: &mut dyn FnMut(u64, UnixMs)) -> Result<(), Error> {
        self.readers.with(|db| {
            let snapshot = db.snapshot()?;
            let (first, mut skip) = first_item_row(&snapshot, max)?;
            let mut statement = snapshot
                .prepare_cached("SELECT items FROM items WHERE first_position >= $1 ORDER BY first_position")?;
            let mut rows = statement.query([first])?;
            while let Some(row) = rows.next()? {
                let items = codec::items(row.blob(0)?);
                for (fingerprint, at) in items.ok_or(Error::Damaged { table: "items" })? {
                    if skip > 0 {
                        skip -= 1;
                    } else if at >= since {
                        each(fingerprint, at);
                    }
                }
            }
            Ok(())
        })
    }

    /// The ratings that wait for their reason, oldest first.
    ///
    /// # Errors
    /// [`Error`].
    pub fn held(&self) -> Result<Vec<Held>, Error> {
        let held =
            |row: &Row<'_>| Ok(Held { position: position(row.get(0)?), due: UnixMs(row.get(1)?), draft: row.get(2)? });
        self.all("SELECT position, due, draft FROM held ORDER BY position", &[], held)
    }

    /// How the lanes stood at the newest checkpoint.
    ///
    /// # Errors
    /// [`Error`].
    pub fn lane_state(&self) -> Result<LaneRestart, Error> {
        self.readers.with(|db| {
            let snapshot = db.snapshot()?;
            let mut lanes = Vec::new();
            let mut statement = snapshot.prepare_cached(
                "SELECT webhook, next, open, settled, behind_events, behind_bytes FROM lanes ORDER BY webhook",
            )?;
            let mut rows = statement.query(())?;
            while let Some(row) = rows.next()? {
                let positions = |column| {
                    let blob = row.blob(column)?;
                    codec::unpack_positions(blob).ok_or(Error::Damaged { table: "lanes" })
                };
                lanes.push(LaneMark {
                    webhook: WebhookId(row.get::<i64>(0)? as u64),
                    next: row.get::<Option<i64>>(1)?.map(position),
                    open: positions(2)?,
                    settled: positions(3)?,
                    behind: Backlog { events: row.get::<i64>(4)? as u64, bytes: row.get::<i64>(5)? as u64 },
                });
            }
            let head = position(get_meta(&snapshot, Meta::Head)?);
            Ok(LaneRestart { head, checkpoint: position(get_meta(&snapshot, Meta::Checkpoint)?), lanes })
        })
    }

    /// Every delivery that waits for its next attempt, in the order of webhooks and events.
    ///
    /// # Errors
    /// [`Error`].
    pub fn waiting_retries(&self) -> Result<Vec<WaitingRetry>, Error> {
        let sql = "SELECT webhook, origin, event, kind, attempts, next_attempt_at, replay, created_at
                   FROM deliveries WHERE next_attempt_at IS NOT NULL ORDER BY webhook, event, origin";
        self.all(sql, &[], |row| {
            Ok(WaitingRetry {
                delivery: DeliveryId { webhook: WebhookId(row.get::<i64>(0)? as u64), origin: position(row.get(1)?) },
                event: position(row.get(2)?),
                kind: row.get::<Option<u8>>(3)?.and_then(kind),
                attempts: row.get(4)?,
                due: UnixMs(row.get(5)?),
                replay: row.get::<Option<i64>>(6)?.map(position),
                created_at: UnixMs(row.get(7)?),
            })
        })
    }

    /// Up to which entry the audit log was told; `None` when it never was.
    ///
    /// # Errors
    /// [`Error`].
    pub fn audited(&self) -> Result<Option<u64>, Error> {
        let found = self.all("SELECT value FROM meta WHERE name = 'audited'", &[], |row| row.get::<i64>(0))?;
        Ok(found.first().map(|seq| *seq as u64))
    }

    /// The newest switch of each webhook, with its place in the journal.
    ///
    /// # Errors
    /// [`Error`].
    pub fn latest_switches(&self) -> Result<Vec<(Position, Switch)>, Error> {
        let sql = "SELECT position, webhook, subscription, is_on, categories, at, audit, filter FROM switches
                   WHERE position IN (SELECT MAX(position) FROM switches GROUP BY webhook) ORDER BY webhook";
        self.all(sql, &[], switch)
    }

    /// Every switch of every webhook, oldest first.
    ///
    /// # Errors
    /// [`Error`].
    pub fn all_switches(&self) -> Result<Vec<(Position, Switch)>, Error> {
        let sql = "SELECT position, webhook, subscription, is_on, categories, at, audit, filter FROM switches ORDER BY position";
        self.all(sql, &[], switch)
    }

    /// Every switch of a webhook, oldest first: what was sent when.
    ///
    /// # Errors
    /// [`Error`].
    pub fn switches(&self, webhook: WebhookId) -> Result<Vec<(Position, Switch)>, Error> {
        let sql = "SELECT position, webhook, subscription, is_on, categories, at, audit, filter FROM switches
                   WHERE webhook = $1 ORDER BY position";
        self.all(sql, &[int(webhook.0)], switch)
    }

    /// The newest `limit` ranges of a webhook's events that were not attempted, newest first.
    ///
    /// # Errors
    /// [`Error`].
    pub fn ranges(&self, webhook: WebhookId, limit: usize) -> Result<Vec<Range>, Error> {
        let sql = "SELECT position, why, first_position, last_position, events, retries, at FROM ranges
                   WHERE webhook = $1 ORDER BY position DESC LIMIT $2";
        self.all(sql, &[int(webhook.0), int(limit as u64)], |row| {
            let why: String = row.get(1)?;
            Ok(Range {
                position: position(row.get(0)?),
                why: closed_why(&why),
                from: position(row.get(2)?),
                to: position(row.get(3)?),
                events: row.get::<Option<i64>>(4)?.map(|events| events as u64),
                retries: row.get::<i64>(5)? as u64,
                at: UnixMs(row.get(6)?),
            })
        })
    }

    /// Why an event of a webhook ended without an attempt, if it is in such a range.
    ///
    /// # Errors
    /// [`Error`].
    pub fn range_over(&self, webhook: WebhookId, event: Position) -> Result<Option<ClosedWhy>, Error> {
        let sql = "SELECT why FROM ranges WHERE webhook = $1 AND first_position <= $2 AND last_position >= $2
                   ORDER BY position LIMIT 1";
        let values = [int(webhook.0), int(event.0)];
        let found: Option<String> =
            self.readers.with(|db| Ok(db.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()?))?;
        Ok(found.map(|why| closed_why(&why)))
    }

    /// What a webhook's counts since the minute of `since` add up to.
    ///
    /// # Errors
    /// [`Error`].
    pub fn counts(&self, webhook: WebhookId, since: UnixMs) -> Result<Counts, Error> {
        let minute = since.0.div_euclid(super::apply::MINUTE_MS);
        let sql = "SELECT COALESCE(SUM(delivered), 0), COALESCE(SUM(failed), 0), COALESCE(SUM(attempts), 0),
                       COALESCE(SUM(failed_attempts), 0), COALESCE(SUM(total_us), 0),
                       (SELECT COUNT(*) FROM deliveries WHERE webhook = $1 AND next_attempt_at IS NOT NULL),
                       (SELECT last_success_at FROM webhooks WHERE webhook = $1),
                       (SELECT last_error_at FROM webhooks WHERE webhook = $1)
                   FROM minutes WHERE webhook = $1 AND minute >= $2";
        self.readers.with(|db| {
            Ok(db.prepare_cached(sql)?.query_row([int(webhook.0), minute], |row| {
                let number = |index| row.get::<i64>(index).map(|number| number as u64);
                Ok(Counts {
                    delivered: number(0)?,
                    failed: number(1)?,
                    attempts: number(2)?,
                    failed_attempts: number(3)?,
                    total_us: number(4)?,
                    waiting: number(5)?,
                    last_success_at: row.get::<Option<i64>>(6)?.map(UnixMs),
                    last_error_at: row.get::<Option<i64>>(7)?.map(UnixMs),
                })
            })?)
        })
    }

    pub(super) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        self.readers.with(work)
    }

    fn all<T>(&self, sql: &str, values: &[i64], each: impl FnMut(&Row<'_>) -> db::Result<T>) -> Result<Vec<T>, Error> {
        self.readers.with(|db| {
            let mut statement = db.prepare_cached(sql)?;
            let rows = statement.query_map(db::values(values), each)?;
            Ok(rows.collect::<db::Result<_>>()?)
        })
    }
}

fn closed_why(name: &str) -> ClosedWhy {
    if name == DeliveryState::Cancelled.name() { ClosedWhy::Cancelled } else { ClosedWhy::Expired }
}

/// The kind with this number in the store.
pub(super) fn kind(number: u8) -> Option<EventKind> {
    EventKind::ALL.get(usize::from(number)).copied()
}

/// The row of item ids to begin with so that `max` follow, and how many of that row's first ids are too many.
fn first_item_row(db: &Connection, max: usize) -> Result<(i64, usize), Error> {
    let mut statement = db.prepare_cached("SELECT first_position, count FROM items ORDER BY first_position DESC")?;
    let mut rows = statement.query(())?;
    let (mut first, mut kept) = (0, 0_usize);
    while let Some(row) = rows.next()? {
        first = row.get(0)?;
        kept += row.get::<i64>(1)? as usize;
        if kept >= max {
            return Ok((first, kept - max));
        }
    }
    Ok((first, 0))
}

fn switch(row: &Row<'_>) -> db::Result<(Position, Switch)> {
    let switch = Switch {
        webhook: WebhookId(row.get::<i64>(1)? as u64),
        subscription: SubscriptionId(row.get::<i64>(2)? as u64),
        on: row.get(3)?,
        selection: Selection {
            categories: row.get::<Option<u32>>(4)?.map_or(CategorySet::All, CategorySet::Some),
            audit: row.get(6)?,
            filter: row.get(7)?,
        },
        at: UnixMs(row.get(5)?),
    };
    Ok((position(row.get(0)?), switch))
}
