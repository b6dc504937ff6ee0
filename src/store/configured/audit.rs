//! The audit log: who changed what, append-only, each entry's hash over itself and the hash before it. Whoever changes or
//! removes an entry in the file has to rewrite all that follow it, and then the last hash is another one.

use super::rows::number;
use crate::model::{SubscriptionId, UnixMs};
use crate::store::StoreError;
use crate::store::db::{Connection, OptionalExtension, Row, params};
use ring::digest::{SHA256, digest};
use serde_json::json;

/// What somebody did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Where.
    pub subscription: SubscriptionId,
    /// When.
    pub at: UnixMs,
    /// "key", "user", "operator" or "system".
    pub actor_kind: String,
    /// The key's or the user's id.
    pub actor_id: String,
    /// The key's name or the user's e-mail address at that time.
    pub actor_name: String,
    /// From which IP address; "" when it came from none.
    pub address: String,
    /// What, like `webhook.created`.
    pub action: String,
    /// To what: its id.
    pub target: String,
    /// What it was before, as JSON; `{}` for nothing.
    pub before: String,
    /// What it was after, as JSON; `{}` for nothing.
    pub after: String,
}

/// An entry as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number, from 1.
    pub seq: u64,
    /// What somebody did.
    pub entry: AuditEntry,
    /// SHA-256 over the entry and the hash before it, in hex.
    pub hash: String,
}

/// Which entries of a subscription to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditQuery {
    /// Whose.
    pub subscription: SubscriptionId,
    /// Only those before this number.
    pub before: Option<u64>,
    /// Only those at or after this time.
    pub from: Option<UnixMs>,
    /// Only those before this time.
    pub to: Option<UnixMs>,
    /// Only this action.
    pub action: Option<String>,
    /// Only those about this.
    pub target: Option<String>,
    /// Only those by the actor of this name.
    pub actor: Option<String>,
    /// Rows at most.
    pub limit: usize,
}

/// What a walk along the chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditChain {
    /// How many entries fit.
    pub entries: u64,
    /// The last fitting entry's hash; "" when there is none.
    pub head: String,
    /// The first entry that does not follow from the one before it.
    pub broken_at: Option<u64>,
}

const COLUMNS: &str = "seq, subscription_id, at, actor_kind, actor_id, actor_name, address, action, target, \
                       before_json, after_json, hash";

/// Makes a change and writes its entries, all or nothing.
///
/// # Errors
/// [`StoreError`], or what the change itself finds wrong; then nothing was changed.
pub fn with_entries<E: From<StoreError>>(
    connection: &Connection,
    entries: &[AuditEntry],
    change: impl FnOnce(&Connection) -> Result<(), E>,
) -> Result<(), E> {
    let transaction = connection.transaction().map_err(StoreError::from)?;
    change(&transaction)?;
    for entry in entries {
        append(&transaction, entry)?;
    }
    transaction.commit().map_err(|error| StoreError::from(error).into())
}

/// Writes an entry, in the transaction of what it is about.
///
/// # Errors
/// [`StoreError`].
pub fn append(connection: &Connection, entry: &AuditEntry) -> Result<(), StoreError> {
    let last = connection
        .query_row("SELECT seq, hash FROM audit_log ORDER BY seq DESC LIMIT 1", (), |row| {
            Ok((row.get::<i64>(0)?, row.get::<String>(1)?))
        })
        .optional()?;
    let (last, previous) = last.unwrap_or_default();
    let seq = last as u64 + 1;
    let hash = hash(&previous, seq, entry);
    let sql = format!("INSERT INTO audit_log ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)");
    connection.prepare_cached(&sql)?.execute(params![
        seq as i64,
        entry.subscription.0 as i64,
        entry.at.0,
        entry.actor_kind,
        entry.actor_id,
        entry.actor_name,
        entry.address,
        entry.action,
        entry.target,
        entry.before,
        entry.after,
        hash,
    ])?;
    Ok(())
}

/// A JSON list has one reading only: no field can run into the next.
fn hash(previous: &str, seq: u64, entry: &AuditEntry) -> String {
    let text = json!([
        previous,
        seq,
        entry.subscription.0,
        entry.at.0,
        entry.actor_kind,
        entry.actor_id,
        entry.actor_name,
        entry.address,
        entry.action,
        entry.target,
        entry.before,
        entry.after,
    ]);
    hex::encode(digest(&SHA256, text.to_string().as_bytes()))
}

/// Entries of a subscription, newest first.
///
/// # Errors
/// [`StoreError`].
pub fn page(connection: &Connection, query: &AuditQuery) -> Result<Vec<AuditRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM audit_log WHERE subscription_id = $1 AND seq < $2 AND at >= $3 AND at < $4 \
         AND action = COALESCE($5, action) AND target = COALESCE($6, target) \
         AND actor_name = COALESCE($7, actor_name) ORDER BY seq DESC LIMIT $8"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![
        query.subscription.0 as i64,
        query.before.map_or(i64::MAX, |before| before as i64),
        query.from.map_or(i64::MIN, |from| from.0),
        query.to.map_or(i64::MAX, |to| to.0),
        query.action,
        query.target,
        query.actor,
        query.limit as i64,
    ])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(of(&row)?);
    }
    Ok(found)
}

/// Entries of all subscriptions behind this number, oldest first.
///
/// # Errors
/// [`StoreError`].
pub fn after(connection: &Connection, seq: u64, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM audit_log WHERE seq > $1 ORDER BY seq LIMIT $2");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![seq as i64, limit as i64])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(of(&row)?);
    }
    Ok(found)
}

/// The last entry's number; 0 when there is none.
///
/// # Errors
/// [`StoreError`].
pub fn last(connection: &Connection) -> Result<u64, StoreError> {
    let last: i64 = connection.query_row("SELECT COALESCE(MAX(seq), 0) FROM audit_log", (), |row| row.get(0))?;
    Ok(last as u64)
}

/// Whether an entry has this hash.
///
/// # Errors
/// [`StoreError`].
pub fn holds(connection: &Connection, hash: &str) -> Result<bool, StoreError> {
    let found = connection.query_row("SELECT 1 FROM audit_log WHERE hash = $1", [hash], |_| Ok(())).optional()?;
    Ok(found.is_some())
}

/// Follows the whole chain.
///
/// # Errors
/// [`StoreError`].
pub fn verify(connection: &Connection) -> Result<AuditChain, StoreError> {
    let mut chain = AuditChain { entries: 0, head: String::new(), broken_at: None };
    // Row by row: the log may be long.
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM audit_log ORDER BY seq"))?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let row = of(&row)?;
        if row.seq != chain.entries + 1 || row.hash != hash(&chain.head, row.seq, &row.entry) {
            chain.broken_at = Some(row.seq);
            return Ok(chain);
        }
        (chain.entries, chain.head) = (row.seq, row.hash);
    }
    Ok(chain)
}

fn of(row: &Row<'_>) -> Result<AuditRow, StoreError> {
    let entry = AuditEntry {
        subscription: SubscriptionId(number(row, 1)?),
        at: UnixMs(row.get(2)?),
        actor_kind: row.get(3)?,
        actor_id: row.get(4)?,
        actor_name: row.get(5)?,
        address: row.get(6)?,
        action: row.get(7)?,
        target: row.get(8)?,
        before: row.get(9)?,
        after: row.get(10)?,
    };
    Ok(AuditRow { seq: number(row, 0)?, entry, hash: row.get(11)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::configured::MIGRATIONS;
    use crate::store::migrate;
    use crate::store::sqlite::{Sync, open};

    fn entry(at: i64, action: &'static str, target: &str) -> AuditEntry {
        AuditEntry {
            subscription: SubscriptionId(1),
            at: UnixMs(at),
            actor_kind: String::from("key"),
            actor_id: String::from("key_1"),
            actor_name: String::from("ops"),
            address: String::from("192.0.2.1"),
            action: action.to_owned(),
            target: target.to_owned(),
            before: String::from("{}"),
            after: String::from("{\"name\":\"x\"}"),
        }
    }

    fn log_of(count: i64) -> (tempfile::TempDir, Connection) {
        let dir = tempfile::tempdir().unwrap();
        let connection = open(&dir.path().join("fanfare.db"), Sync::Full).unwrap();
        migrate(&connection, MIGRATIONS).unwrap();
        for at in 0..count {
            let action = if at % 2 == 0 { "webhook.created" } else { "webhook.deleted" };
            with_entries(&connection, &[entry(at, action, &format!("wh_{at}"))], |_| Ok::<_, StoreError>(())).unwrap();
        }
        (dir, connection)
    }

    #[test]
    fn every_change_of_the_file_breaks_the_chain_at_its_place() {
        let (_dir, connection) = log_of(5);
        let whole = verify(&connection).unwrap();
        assert_eq!((whole.entries, whole.head.len(), whole.broken_at), (5, 64, None));
        for column in COLUMNS.split(", ").filter(|column| *column != "actor_kind") {
            connection.execute_batch("SAVEPOINT s").unwrap();
            connection.execute(&format!("UPDATE audit_log SET {column} = '77' WHERE seq = 3"), ()).unwrap();
            let broken = verify(&connection).unwrap();
            assert!(broken.broken_at.is_some_and(|at| at >= 3) && broken.entries < 5, "{column}: {broken:?}");
            connection.execute_batch("ROLLBACK TO s").unwrap();
        }
        connection.execute("DELETE FROM audit_log WHERE seq = 2", ()).unwrap();
        assert_eq!(verify(&connection).unwrap().broken_at, Some(3));
    }

    #[test]
    fn a_change_and_its_entry_are_made_together_or_not_at_all() {
        let (_dir, connection) = log_of(1);
        let failed = with_entries(&connection, &[entry(9, "webhook.created", "wh_9")], |connection| {
            connection.execute("UPDATE audit_log SET target = 'gone'", ())?;
            Err(StoreError::Interrupted)
        });
        assert!(failed.is_err());
        assert_eq!((verify(&connection).unwrap().entries, verify(&connection).unwrap().broken_at), (1, None));
    }

    #[test]
    fn filters_and_pages() {
        let (_dir, connection) = log_of(6);
        let all = AuditQuery {
            subscription: SubscriptionId(1),
            before: None,
            from: None,
            to: None,
            action: None,
            target: None,
            actor: None,
            limit: 10,
        };
        let seqs = |query: AuditQuery| page(&connection, &query).unwrap().iter().map(|row| row.seq).collect::<Vec<_>>();
        assert_eq!(seqs(all.clone()), [6, 5, 4, 3, 2, 1]);
        assert_eq!(seqs(AuditQuery { before: Some(4), limit: 2, ..all.clone() }), [3, 2]);
        assert_eq!(seqs(AuditQuery { from: Some(UnixMs(1)), to: Some(UnixMs(3)), ..all.clone() }), [3, 2]);
        assert_eq!(seqs(AuditQuery { action: Some("webhook.deleted".into()), ..all.clone() }), [6, 4, 2]);
        assert_eq!(seqs(AuditQuery { target: Some("wh_4".into()), ..all.clone() }), [5]);
        assert_eq!(seqs(AuditQuery { actor: Some("nobody".into()), ..all.clone() }), Vec::<u64>::new());
        assert_eq!(seqs(AuditQuery { subscription: SubscriptionId(2), ..all }), Vec::<u64>::new());
    }
}
