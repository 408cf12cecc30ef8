//! The table of the clips: for each event that was to have one what became of it, and its file's name. It knows no folder.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use uuid::Uuid;

use super::db::{Cell, Database, DbError, Row};
use super::rows::{from_milliseconds, from_score_number, score_number};
use super::schema;
use crate::event::ClipState;

/// What became of the clip of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipRow {
    /// The event.
    pub event: Uuid,
    /// The name of its file; `None` where there is none. Several events can share one.
    pub file: Option<String>,
    /// What became of it.
    pub state: ClipState,
    /// Why it is not kept, as a sentence.
    pub reason: Option<String>,
    /// The size of the file.
    pub bytes: u64,
    /// The beginning of its sound.
    pub from: Timestamp,
    /// The end of its sound.
    pub to: Timestamp,
    /// Whether it is never cleared by itself.
    pub is_locked: bool,
    /// The name of the event's label or group.
    pub label: String,
    /// The name of the source.
    pub source: String,
    /// The event's highest score.
    pub score: f32,
}

const COLUMNS: &str = "event, file, state, why, bytes, began, ended, locked, label, heard_by, best";

fn id_cell(event: Uuid) -> Cell {
    Cell::Blob(event.as_bytes().to_vec())
}

fn read(row: &Row) -> ClipRow {
    let text = |column| Some(row.text(column)).filter(|text| !text.is_empty());
    let word = row.text(2);
    ClipRow {
        event: Uuid::from_slice(&row.bytes(0)).unwrap_or_default(),
        file: text(1),
        state: ClipState::NAMES.iter().find(|(name, _)| *name == word).map_or(ClipState::Dropped, |(_, state)| *state),
        reason: text(3),
        bytes: row.int(4).unsigned_abs(),
        from: from_milliseconds(row.int(5)),
        to: from_milliseconds(row.int(6)),
        is_locked: row.int(7) != 0,
        label: row.text(8),
        source: row.text(9),
        score: from_score_number(row.int(10)),
    }
}

/// Whether there is any row.
pub fn has_any(db: &Database) -> Result<bool, DbError> {
    Ok(db.number("SELECT 1 FROM clips LIMIT 1", &[])?.is_some())
}

/// What became of the clip of an event.
pub fn of(db: &Database, event: Uuid) -> Result<Option<ClipRow>, DbError> {
    Ok(db.rows(&format!("SELECT {COLUMNS} FROM clips WHERE event=?"), &[id_cell(event)], read)?.pop())
}

/// The newest rows, up to so many.
pub fn newest(db: &Database, limit: usize) -> Result<Vec<ClipRow>, DbError> {
    db.rows(&format!("SELECT {COLUMNS} FROM clips ORDER BY began DESC, event DESC LIMIT ?"), &[(limit as u64).into()], read)
}

/// The table, open to be written.
#[derive(Debug)]
pub struct ClipTable {
    db: Database,
    path: PathBuf,
    /// The device and the inode of the open file.
    file: Option<(u64, u64)>,
}

fn on_disk(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

impl ClipTable {
    /// Opens the table in the store's file, which must be there.
    pub fn open(path: &Path) -> Result<Self, DbError> {
        let file = on_disk(path);
        Ok(Self { db: schema::open_beside(path)?, path: path.to_owned(), file })
    }

    /// Whether the open file is still the one at its path.
    pub fn is_there(&self) -> bool {
        self.file.is_some() && on_disk(&self.path) == self.file
    }

    /// Puts rows in the place of those of the same events, all or none.
    pub fn put(&self, rows: &[ClipRow]) -> Result<(), DbError> {
        self.db.whole(|| {
            for row in rows {
                let cells = [
                    id_cell(row.event),
                    row.file.as_deref().into(),
                    row.state.word().into(),
                    row.reason.as_deref().into(),
                    row.bytes.into(),
                    row.from.as_millisecond().into(),
                    row.to.as_millisecond().into(),
                    i64::from(row.is_locked).into(),
                    (&*row.label).into(),
                    (&*row.source).into(),
                    score_number(row.score).into(),
                ];
                let sql = format!("INSERT OR REPLACE INTO clips({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
                self.db.run(&sql, &cells)?;
            }
            Ok(())
        })
    }

    /// What became of the clip of an event.
    pub fn of(&self, event: Uuid) -> Result<Option<ClipRow>, DbError> {
        of(&self.db, event)
    }

    /// The rows that have a file, the oldest first.
    pub fn with_files(&self) -> Result<Vec<ClipRow>, DbError> {
        self.db.rows(&format!("SELECT {COLUMNS} FROM clips WHERE file IS NOT NULL ORDER BY began, event"), &[], read)
    }

    /// Changes what became of a file, for all its events.
    pub fn set(&self, file: &str, state: ClipState, reason: Option<&str>, bytes: u64) -> Result<(), DbError> {
        let cells = [state.word().into(), reason.into(), bytes.into(), file.into()];
        self.db.whole(|| self.db.run("UPDATE clips SET state=?, why=?, bytes=? WHERE file=?", &cells)).map(drop)
    }

    /// Records that there is no such file any more.
    pub fn end(&self, file: &str, state: ClipState, reason: &str) -> Result<(), DbError> {
        let cells = [state.word().into(), reason.into(), file.into()];
        self.db
            .whole(|| self.db.run("UPDATE clips SET state=?, why=?, bytes=0, locked=0, file=NULL WHERE file=?", &cells))
            .map(drop)
    }

    /// Has a file never cleared by itself, or has it again.
    pub fn lock(&self, file: &str, is_locked: bool) -> Result<(), DbError> {
        let cells = [i64::from(is_locked).into(), file.into()];
        self.db.whole(|| self.db.run("UPDATE clips SET locked=? WHERE file=?", &cells)).map(drop)
    }

    /// Forgets what became of clips without a file, where the event itself is no longer kept.
    pub fn forget_old(&self) -> Result<(), DbError> {
        let sql = "DELETE FROM clips WHERE file IS NULL AND NOT EXISTS (SELECT 1 FROM events WHERE events.id=clips.event) \
                   AND began < (SELECT min(onset) FROM events)";
        self.db.whole(|| self.db.run(sql, &[])).map(drop)
    }

    /// When the store itself began, which knows nothing of the time before.
    pub fn began(&self) -> Result<Option<Timestamp>, DbError> {
        Ok(self.db.number("SELECT min(began) FROM sessions", &[])?.map(from_milliseconds))
    }
}
