//! The numbers of events in half hours, by label and source, so that a year is a range of one table: what is added to them, and what goes.
//!
//! A row has a label, a source and a half hour, and the numbers of the events of which the label is the own name, and of those of which it
//! is any name. The label [`ALL`] stands for all of them and the source [`ALL`] for all of those, so that most questions read one range.

use std::collections::BTreeMap;

use super::db::{Cell, Database, DbError};
use super::rows::{BUCKET_S, Outcome};

/// In the place of a label, or of a source: all of them.
pub const ALL: i64 = 0;
/// The half hours that are cleared together, a day: there is a range for each label and source.
const TOGETHER: i64 = 48;

/// What is to be added to the numbers, by label, source and half hour: all, confirmed ones and those that were taken back, of the own name
/// and of any.
#[derive(Debug, Default)]
pub struct Sums(BTreeMap<(i64, i64, i64), [i64; 6]>);

/// The half hour of an onset in milliseconds.
pub fn bucket(onset: i64) -> i64 {
    onset.div_euclid(BUCKET_S * 1_000)
}

impl Sums {
    /// Adds so many events of these labels, of which the first is the own name.
    pub fn add(&mut self, subjects: &[i64], source: i64, onset: i64, outcome: Outcome, by: i64) {
        let bucket = bucket(onset);
        let of = |wanted| if outcome == wanted { by } else { 0 };
        let numbers = [by, of(Outcome::Confirmed), of(Outcome::Unconfirmed)];
        for source in [source, ALL] {
            for (at, subject) in [ALL].iter().chain(subjects).enumerate() {
                // The own name follows the one for all.
                let own = if at < 2 { 1 } else { 0 };
                let sum = self.0.entry((*subject, source, bucket)).or_default();
                for (place, number) in numbers.into_iter().enumerate() {
                    sum[place] += own * number;
                    sum[place + 3] += number;
                }
            }
        }
    }

    /// Writes what was added, and forgets it.
    pub fn write(&mut self, db: &Database) -> Result<(), DbError> {
        let sql = "INSERT INTO sums(subject, source, bucket, own, own_confirmed, own_unconfirmed, n, confirmed, unconfirmed) \
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET own=own+excluded.own, \
                   own_confirmed=own_confirmed+excluded.own_confirmed, own_unconfirmed=own_unconfirmed+excluded.own_unconfirmed, \
                   n=n+excluded.n, confirmed=confirmed+excluded.confirmed, unconfirmed=unconfirmed+excluded.unconfirmed";
        for ((subject, source, bucket), numbers) in std::mem::take(&mut self.0) {
            if numbers != [0; 6] {
                let cells: Vec<Cell> = [subject, source, bucket].into_iter().chain(numbers).map(Cell::from).collect();
                db.run(sql, &cells)?;
            }
        }
        Ok(())
    }

    /// Forgets what was added and not written.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

/// Clears the numbers of half hours before one, as soon as they are those of a day.
pub fn clear(db: &Database, before: i64) -> Result<(), DbError> {
    let all = [ALL.into(), ALL.into()];
    let first = db.number("SELECT min(bucket) FROM sums WHERE subject=? AND source=?", &all)?;
    if first.is_none_or(|first| before - first < TOGETHER) {
        return Ok(());
    }
    let ids = |table: &str| db.rows(&format!("SELECT id FROM {table} UNION SELECT {ALL}"), &[], |row| row.int(0));
    let sources = ids("sources")?;
    for subject in ids("subjects")? {
        for source in &sources {
            let cells = [subject, *source, before].map(Cell::from);
            db.run("DELETE FROM sums WHERE subject=? AND source=? AND bucket < ?", &cells)?;
        }
    }
    Ok(())
}
