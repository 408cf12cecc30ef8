//! Clears the oldest away, by age and by size, in pieces so small that no report waits for one. It never touches what is not the oldest.

use jiff::Timestamp;

use super::db::{Cell, Database, DbError};
use super::{marks, sums};
use crate::publish::settings::StoreConfig;

/// The events and the lines that go in one piece.
const PIECE: i64 = 400;
/// The most lines that are kept for replay: those of about 300,000 events.
pub const LINES: u64 = 1_000_000;
/// The newest events of which the embeddings are kept: some 25 MB of them.
const EMBEDDINGS: i64 = 50_000;
/// The free pages that are given back to the disk with a piece.
const PAGES: u32 = 256;
const DAY_MS: i64 = 86_400_000;

/// The part of the limit that is taken up by the file when clearing begins, in percent, so that the file never grows beyond the limit.
const FULL_PERCENT: u64 = 98;

/// Clears one piece away. Returns whether anything was cleared, so that another piece may be due.
pub fn clear(db: &Database, config: &StoreConfig, now: Timestamp) -> Result<bool, DbError> {
    let before = now.as_millisecond() - i64::from(config.keep_days) * DAY_MS;
    let is_full = db.used_bytes()? > config.max_mb * 1_048_576 / 100 * FULL_PERCENT;
    let cleared = db.whole(|| {
        let events = oldest_events(db, if is_full { i64::MAX } else { before })?;
        let lines = oldest_lines(db, before)? + oldest_embeddings(db)?;
        // Where no event is left, the lines and reports of health alone are too much.
        let rest = if is_full && events == 0 { everything_oldest(db)? } else { 0 };
        Ok(events + lines + rest)
    })?;
    if cleared > 0 {
        db.give_back(PAGES)?;
    }
    Ok(cleared > 0)
}

/// The oldest events that began before a time, with all that belongs to them.
fn oldest_events(db: &Database, before: i64) -> Result<usize, DbError> {
    let sql = "SELECT key, onset, subject, also FROM events WHERE onset < ? AND reason IS NOT NULL ORDER BY onset LIMIT ?";
    let old = db.rows(sql, &[before.into(), PIECE.into()], |row| {
        let also = row.text(3);
        let subjects: Vec<i64> = also.split(',').filter_map(|id| id.parse().ok()).chain([row.int(2)]).collect();
        (row.int(0), row.int(1), subjects)
    })?;
    for (key, onset, subjects) in &old {
        db.run("DELETE FROM events WHERE key=?", &[(*key).into()])?;
        marks::clear(db, *key)?;
        db.run("DELETE FROM embeddings WHERE event=?", &[(*key).into()])?;
        for subject in subjects {
            let cells = [(*subject).into(), (*onset).into(), (*key).into()];
            db.run("DELETE FROM named WHERE subject=? AND onset=? AND key=?", &cells)?;
        }
    }
    if let Some((key, onset, _)) = old.last() {
        sums::clear(db, sums::bucket(*onset))?;
        let first = db.number("SELECT first_seq FROM events WHERE key > ? ORDER BY key LIMIT 1", &[(*key).into()])?;
        let gone = "DELETE FROM lines WHERE seq IN (SELECT seq FROM lines WHERE seq < ? ORDER BY seq LIMIT ?)";
        db.run(gone, &[first.unwrap_or(i64::MAX).into(), (8 * PIECE).into()])?;
    }
    Ok(old.len())
}

/// Lines beyond the number that is kept, and reports of health before a time.
fn oldest_lines(db: &Database, before: i64) -> Result<usize, DbError> {
    let newest = db.number("SELECT max(seq) FROM lines", &[])?.unwrap_or(0);
    let sql = "DELETE FROM lines WHERE seq IN (SELECT seq FROM lines WHERE seq <= ? ORDER BY seq LIMIT ?)";
    let lines = db.run(sql, &[(newest - LINES as i64).into(), (2 * PIECE).into()])?;
    // Times go with the numbers, but for a clock that is set; whatever the first rows say, later ones wait for them.
    let oldest = db.rows("SELECT seq, at FROM health ORDER BY seq LIMIT ?", &[PIECE.into()], |row| (row.int(0), row.int(1)))?;
    let mut health = 0;
    for (seq, _) in oldest.iter().take_while(|(_, at)| at / 1_000_000 < before) {
        health += db.run("DELETE FROM health WHERE seq=?", &[Cell::Int(*seq)])?;
    }
    Ok(lines + health)
}

/// Embeddings beyond the number that is kept. Those of events with a mark stay: somebody may want to learn from them.
fn oldest_embeddings(db: &Database) -> Result<usize, DbError> {
    let newest = db.number("SELECT max(event) FROM embeddings", &[])?.unwrap_or(0);
    let sql = "DELETE FROM embeddings WHERE event IN (SELECT event FROM embeddings WHERE event <= ? \
               AND event NOT IN (SELECT event FROM marks) ORDER BY event LIMIT ?)";
    db.run(sql, &[(newest - EMBEDDINGS).into(), PIECE.into()])
}

fn everything_oldest(db: &Database) -> Result<usize, DbError> {
    let mut gone = 0;
    for table in ["lines", "health"] {
        let sql = format!("DELETE FROM {table} WHERE seq IN (SELECT seq FROM {table} ORDER BY seq LIMIT ?)");
        gone += db.run(&sql, &[PIECE.into()])?;
    }
    Ok(gone)
}
