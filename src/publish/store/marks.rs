//! The marks: what a person says of an event that is kept. A newer mark takes the place of an older one, which stays readable.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::db::{Cell, Database, DbError, Row};
use super::rows::{Directory, MADE_UP, Names, from_milliseconds};
use super::schema;
use crate::event::Subject;

/// What a person says of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// It was what it was reported as.
    Right,
    /// It was none of it.
    Wrong,
    /// It was another sound.
    Other(Arc<Subject>),
}

/// A mark as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptMark {
    /// The mark.
    pub mark: Mark,
    /// When it was made.
    pub at: Timestamp,
}

/// The events that are asked for, by their marks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WantedMark {
    /// All.
    #[default]
    Any,
    /// Those without a mark.
    None,
    /// Those with any mark.
    Marked,
    /// Those that are right.
    Right,
    /// Those that are wrong.
    Wrong,
    /// Those that were another sound.
    Other,
}

impl WantedMark {
    /// Each choice with its name, but for that of all events.
    pub const NAMES: [(&str, Self); 5] =
        [("any", Self::Marked), ("none", Self::None), ("right", Self::Right), ("wrong", Self::Wrong), ("other", Self::Other)];

    /// The number of the only kind of mark that is asked for.
    pub(super) fn number(self) -> Option<i64> {
        match self {
            Self::Any | Self::None | Self::Marked => None,
            Self::Right => Some(RIGHT),
            Self::Wrong => Some(WRONG),
            Self::Other => Some(OTHER),
        }
    }

    /// Whether only events with a mark are asked for.
    pub(super) fn is_of_marked(self) -> bool {
        !matches!(self, Self::Any | Self::None)
    }
}

pub(super) const RIGHT: i64 = 0;
const WRONG: i64 = 1;
pub(super) const OTHER: i64 = 2;

/// Why an event is not marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmarked {
    /// The file has no such event.
    NoEvent,
    /// The event has not ended.
    Lasts,
    /// The event was made up.
    MadeUp,
    /// The other sound is the name that it has already.
    Same,
    /// The file does not take it, or the disk does not in time.
    Db(DbError),
}

impl Unmarked {
    /// The code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoEvent => "unknown_name",
            Self::Lasts | Self::MadeUp | Self::Same => "conflict",
            Self::Db(_) => "store_unwritable",
        }
    }
}

impl fmt::Display for Unmarked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEvent => f.write_str("the store has no event of this id"),
            Self::Lasts => f.write_str("the event has not ended; mark it when it has"),
            Self::MadeUp => f.write_str("the event was made up by `test`, so it is neither right nor wrong"),
            Self::Same => f.write_str("the event has this name already; mark it as right"),
            Self::Db(error) => write!(f, "the store cannot be written: {error}"),
        }
    }
}

impl From<DbError> for Unmarked {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

/// Marks the event of this id, or takes its mark away. The mark that it had so far stays as an earlier one.
pub(super) fn set(db: &Database, names: &mut Names, id: Uuid, mark: Option<&Mark>, at: Timestamp) -> Result<(), Unmarked> {
    let sql = "SELECT key, onset, subject, reason IS NULL, (SELECT name FROM sources WHERE id=source) FROM events WHERE id=?";
    let found = db.rows(sql, &[Cell::Blob(id.as_bytes().to_vec())], |row| {
        (row.int(0), row.int(1), row.int(2), row.int(3) != 0, row.text(4))
    })?;
    let (key, onset, own, lasts, source) = found.into_iter().next().ok_or(Unmarked::NoEvent)?;
    if lasts {
        return Err(Unmarked::Lasts);
    }
    if source == MADE_UP {
        return Err(Unmarked::MadeUp);
    }
    let (number, other) = match mark {
        Some(Mark::Right) => (Some(RIGHT), None),
        Some(Mark::Wrong) => (Some(WRONG), None),
        Some(Mark::Other(subject)) => {
            let other = names.subject(db, subject)?;
            if other == own {
                return Err(Unmarked::Same);
            }
            (Some(OTHER), Some(other))
        }
        None => (None, None),
    };
    db.run(
        "INSERT INTO earlier_marks(event, at, mark, other) SELECT event, at, mark, other FROM marks WHERE event=?",
        &[key.into()],
    )?;
    db.run("DELETE FROM marks WHERE event=?", &[key.into()])?;
    if let Some(number) = number {
        let cells = [key.into(), onset.into(), at.as_millisecond().into(), number.into(), other.into()];
        db.run("INSERT INTO marks(event, onset, at, mark, other) VALUES (?, ?, ?, ?, ?)", &cells)?;
    }
    Ok(())
}

/// Takes all marks of an event away.
pub(super) fn clear(db: &Database, event: i64) -> Result<(), DbError> {
    db.run("DELETE FROM marks WHERE event=?", &[event.into()])?;
    db.run("DELETE FROM earlier_marks WHERE event=?", &[event.into()]).map(drop)
}

/// The marks that an event had before its present one, the oldest first.
pub(super) fn earlier(db: &Database, names: &Directory, event: i64) -> Result<Vec<KeptMark>, DbError> {
    let sql = "SELECT mark, other, at FROM earlier_marks WHERE event=? ORDER BY number";
    Ok(db.rows(sql, &[event.into()], |row| mark_of(row, 0, names))?.into_iter().flatten().collect())
}

/// The mark in three columns: its number, the other sound, and the time; `None` where there is none.
pub(super) fn mark_of(row: &Row, column: usize, names: &Directory) -> Option<KeptMark> {
    let mark = match row.maybe(column)? {
        RIGHT => Mark::Right,
        WRONG => Mark::Wrong,
        _ => Mark::Other(names.subject(row.int(column + 1))),
    };
    Some(KeptMark { mark, at: from_milliseconds(row.int(column + 2)) })
}

/// Marks an event in a file that no daemon writes, or takes its mark away.
///
/// # Errors
/// Why it is not marked.
pub fn set_in_file(path: &Path, id: Uuid, mark: Option<&Mark>) -> Result<(), Unmarked> {
    // To open it to write would make one.
    nix::unistd::access(path, nix::unistd::AccessFlags::W_OK).map_err(|error| DbError::from(std::io::Error::from(error)))?;
    let db = schema::open(path)?;
    db.whole(|| Ok(set(&db, &mut Names::default(), id, mark, Timestamp::now())))?
}

#[cfg(test)]
mod tests;
