//! Moving a part of a store from files to a server.

use super::StoreError;
use super::db::{Connection, Owned};

/// Rows that one statement writes, as far as it may name so many values.
const ROWS: usize = 200;

/// Most values that a statement of PostgreSQL names.
const VALUES: usize = 30_000;

/// Copies every table of a file into the same tables on a server, which have to be there and empty, and counts them again
/// there; all or nothing. `told` hears of each table and its rows.
///
/// # Errors
/// [`StoreError`]; [`StoreError::Unequal`] when a table has other rows afterwards.
pub fn copy(file: &Connection, server: &Connection, told: &mut dyn FnMut(&str, u64)) -> Result<(), StoreError> {
    let transaction = server.transaction()?;
    for table in tables(file)? {
        let rows = copy_table(file, &transaction, &table)?;
        let there = count(&transaction, &table)?;
        if rows != there || rows != count(file, &table)? {
            return Err(StoreError::Unequal { table, rows, there });
        }
        told(&table, rows);
    }
    Ok(transaction.commit()?)
}

/// The tables, in the order in which they were made: what others refer to comes first.
fn tables(file: &Connection) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid";
    let mut statement = file.prepare_cached(sql)?;
    let names = statement.query_map((), |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

fn columns(file: &Connection, table: &str) -> Result<Vec<String>, StoreError> {
    let mut statement = file.prepare_cached("SELECT name FROM pragma_table_info($1)")?;
    let names = statement.query_map([table], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

fn count(connection: &Connection, table: &str) -> Result<u64, StoreError> {
    let rows: i64 = connection.query_row(&format!("SELECT COUNT(*) FROM {table}"), (), |row| row.get(0))?;
    Ok(rows as u64)
}

fn copy_table(file: &Connection, server: &Connection, table: &str) -> Result<u64, StoreError> {
    let columns = columns(file, table)?;
    let names = columns.join(", ");
    let rows_at_once = ROWS.min(VALUES / columns.len().max(1));
    let mut statement = file.prepare_cached(&format!("SELECT {names} FROM {table}"))?;
    let mut rows = statement.query(())?;
    let (mut waiting, mut copied): (Vec<Owned>, u64) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        for column in 0..columns.len() {
            waiting.push(row.get_ref(column)?.into());
        }
        copied += 1;
        if waiting.len() >= rows_at_once * columns.len() {
            insert(server, (table, &names, columns.len()), &waiting)?;
            waiting.clear();
        }
    }
    insert(server, (table, &names, columns.len()), &waiting)?;
    Ok(copied)
}

fn insert(server: &Connection, (table, names, width): (&str, &str, usize), values: &[Owned]) -> Result<(), StoreError> {
    if values.is_empty() {
        return Ok(());
    }
    let row = |row: usize| {
        let places: Vec<_> = (1..=width).map(|column| format!("${}", row * width + column)).collect();
        format!("({})", places.join(", "))
    };
    let rows: Vec<_> = (0..values.len() / width).map(row).collect();
    let sql = format!("INSERT INTO {table} ({names}) VALUES {}", rows.join(", "));
    server.execute(&sql, super::db::values(values))?;
    Ok(())
}
