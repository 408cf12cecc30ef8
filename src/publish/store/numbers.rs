//! How the numbers of reports go on in a file over starts and kills: those that may be given are reserved ahead, so that none is given twice.

use std::path::Path;

use super::db::{Database, DbError};
use super::schema;
use crate::event::Report;

/// How many numbers are reserved at a time: those that could be given while the disk takes nothing, before a kill.
pub const BLOCK: u64 = 100_000;

/// How the numbers go on in a file.
#[derive(Debug)]
pub struct Numbers {
    /// The highest number that may have been given.
    pub last: u64,
    /// The ends of events that were open when an earlier daemon was killed.
    pub left_open: Vec<Report>,
}

/// The highest number that was given in a file, and the highest that may have been.
pub fn given_and_last(db: &Database) -> Result<(u64, u64), DbError> {
    let fact = |name: &str| db.number("SELECT value FROM facts WHERE name=?", &[name.into()]);
    let newest = |table: &str| db.number(&format!("SELECT max(seq) FROM {table}"), &[]);
    let number = |found: Option<i64>| found.map_or(0, i64::unsigned_abs);
    let given = number(newest("lines")?).max(number(newest("health")?)).max(number(fact("given")?));
    Ok((given, given.max(number(fact("reserved")?))))
}

/// Reserves the numbers up to this one.
pub fn reserve(db: &Database, to: u64) -> Result<(), DbError> {
    db.run("INSERT OR REPLACE INTO facts VALUES ('reserved', ?)", &[to.into()]).map(drop)
}

/// The highest number that may have been given in a file of an older version. It reserves those after it, with which a start goes on while
/// the file is brought up to date. `None` where there is no such file.
pub fn of_older(path: &Path) -> Result<Option<u64>, DbError> {
    let Some(db) = schema::open_older(path)? else { return Ok(None) };
    let (_, last) = given_and_last(&db)?;
    db.whole(|| reserve(&db, last + BLOCK))?;
    Ok(Some(last))
}
