//! The lines that the hub no longer holds, made again from the file, in their order.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use super::db::{Database, DbError};
use super::rows::{Directory, LINE_COLUMNS, from_nanoseconds, line_report};
use super::schema;
use crate::event::Report;
use crate::publish::hub::{Delivery, Published};
use crate::publish::wire::Line;

/// The lines that are read at a time.
const PAGE: i64 = 512;

/// The lines of a file.
#[derive(Debug)]
pub struct Lines {
    db: Database,
    names: Directory,
    /// Numbers that nobody was given: the last of each stretch, and how many.
    skipped: Vec<(u64, u64)>,
}

/// Some lines in their order.
#[derive(Debug)]
pub struct Page {
    /// The lines, and in their places how many are missing.
    pub lines: Vec<Delivery>,
    /// The number up to which nothing is left to read.
    pub until: u64,
}

impl Lines {
    /// Opens the file.
    pub fn open(path: &Path) -> Result<Self, DbError> {
        let db = schema::open_to_read(path)?;
        let names = Directory::of(&db)?;
        let skipped = db.rows("SELECT first_seq, skipped FROM sessions WHERE skipped > 0 ORDER BY first_seq", &[], |row| {
            (row.int(0).unsigned_abs() - 1, row.int(1).unsigned_abs())
        })?;
        Ok(Self { db, names, skipped })
    }

    /// Whether a start of the daemon wrote into this file.
    pub fn knows(&self, instance: &str) -> bool {
        let found = self.db.number("SELECT 1 FROM sessions WHERE instance=? LIMIT 1", &[instance.into()]);
        found.is_ok_and(|found| found.is_some())
    }

    /// The first number of a start of the daemon in this file.
    pub fn first_of(&self, instance: &str) -> Option<u64> {
        let sql = "SELECT min(first_seq) FROM sessions WHERE instance=?";
        self.db.number(sql, &[instance.into()]).ok().flatten().map(i64::unsigned_abs)
    }

    /// The lines after one number and before another.
    pub fn page(&mut self, after: u64, before: u64) -> Result<Page, DbError> {
        let mut found = self.reports(after, before)?;
        let is_last = found.len() < PAGE as usize;
        found.truncate(PAGE as usize);
        let until = if is_last { before - 1 } else { found.back().map_or(before - 1, |published| published.seq) };
        let (mut lines, mut expected) = (Vec::with_capacity(found.len()), after + 1);
        for published in found {
            lines.extend(self.missing(expected, published.seq));
            expected = published.seq + 1;
            lines.push(Delivery::Published(published));
        }
        lines.extend(self.missing(expected, until + 1));
        Ok(Page { lines, until })
    }

    /// The count of the numbers from one to below another that were given.
    fn missing(&self, from: u64, to: u64) -> Option<Delivery> {
        let stretch = to.saturating_sub(from);
        let never = |(last, n): &(u64, u64)| (last + 1).min(to).saturating_sub((last + 1 - n).max(from));
        let count = stretch - self.skipped.iter().map(never).sum::<u64>().min(stretch);
        (count > 0).then_some(Delivery::Dropped(count))
    }

    fn reports(&mut self, after: u64, before: u64) -> Result<VecDeque<Arc<Published>>, DbError> {
        let cells = [after.into(), before.into(), PAGE.into()];
        let sql = format!(
            "SELECT {LINE_COLUMNS} FROM lines JOIN events ON events.key=lines.event WHERE lines.seq > ? AND lines.seq < ? \
             ORDER BY lines.seq LIMIT ?"
        );
        // There may be new ones among the lines.
        self.names = Directory::of(&self.db)?;
        let mut found = self.db.rows(&sql, &cells, |row| {
            let report = line_report(row, &self.names);
            Arc::new(Published::new(row.int(0).unsigned_abs(), from_nanoseconds(row.int(1)), report))
        })?;
        let sql = "SELECT seq, at, line FROM health WHERE seq > ? AND seq < ? ORDER BY seq LIMIT ?";
        let health = self.db.rows(sql, &cells, |row| {
            let report = serde_json::from_str::<Line>(&row.text(2)).ok().and_then(|line| Report::try_from(line.body).ok());
            report.map(|report| Arc::new(Published::new(row.int(0).unsigned_abs(), from_nanoseconds(row.int(1)), report)))
        })?;
        found.extend(health.into_iter().flatten());
        found.sort_by_key(|published| published.seq);
        Ok(found.into())
    }
}
