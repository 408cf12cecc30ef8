//! Events as rows: whole numbers in the place of times, scores, levels, names and reasons, and back. It reads and writes nothing but
//! names.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::db::{Cell, Database, DbError, Row};
use crate::event::{EndReason, Report, SoundEvent, Subject};
use crate::publish::wire::{level, score};

/// The length of the buckets of `counts`, in seconds.
pub const BUCKET_S: i64 = 1_800;
/// The source of made-up events, which are kept but not counted: they were never heard.
pub const MADE_UP: &str = "test";

/// An event was borne out, taken back, or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Neither, or not yet.
    Open = 0,
    /// The confirmed score has borne it out.
    Confirmed = 1,
    /// It was taken back.
    Unconfirmed = 2,
}

/// Every reason of an end with its number.
const REASONS: [(EndReason, i64); 6] = [
    (EndReason::Decay, 0),
    (EndReason::Unconfirmed, 1),
    (EndReason::MaxDuration, 2),
    (EndReason::SourceLost, 3),
    (EndReason::Paused, 4),
    (EndReason::Shutdown, 5),
];

/// The number of a reason.
pub fn reason_number(reason: EndReason) -> i64 {
    REASONS.iter().find(|(known, _)| *known == reason).map_or(0, |(_, number)| *number)
}

/// The reason with a number; `None` where there is none, as while an event is open.
pub fn reason(number: Option<i64>) -> Option<EndReason> {
    REASONS.iter().find(|(_, known)| Some(*known) == number).map(|(reason, _)| *reason)
}

/// A time in nanoseconds.
pub fn nanoseconds(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(0)
}

/// The time of nanoseconds.
pub fn from_nanoseconds(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or_default()
}

/// The time of milliseconds.
pub fn from_milliseconds(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}

/// A score in ten thousandths, as it stands on the wire.
pub fn score_number(value: f32) -> i64 {
    (score(value) * 1e4).round() as i64
}

/// The score of ten thousandths.
pub fn from_score_number(number: i64) -> f32 {
    number as f32 / 1e4
}

/// A level in tenths of a dB, as it stands on the wire.
pub fn level_number(dbfs: f32) -> i64 {
    (level(dbfs) * 10.0).round() as i64
}

/// The level of tenths of a dB.
pub fn from_level_number(number: i64) -> f32 {
    number as f32 / 10.0
}

/// The names of labels and sources with their numbers in the file. Those that were met are remembered.
#[derive(Debug, Default)]
pub struct Names {
    subjects: HashMap<(String, String, String), i64>,
    sources: HashMap<String, i64>,
}

impl Names {
    /// The number of a label or a group, which is given one if it has none.
    pub fn subject(&mut self, db: &Database, subject: &Subject) -> Result<i64, DbError> {
        let key = (subject.name.clone(), subject.slug.clone(), subject.id.clone());
        if let Some(id) = self.subjects.get(&key) {
            return Ok(*id);
        }
        let cells = [Cell::from(&*subject.name), Cell::from(&*subject.slug), Cell::from(&*subject.id)];
        let known = db.number("SELECT id FROM subjects WHERE name=? AND slug=? AND mid=?", &cells)?;
        let id = match known {
            Some(id) => id,
            None => db.insert("INSERT INTO subjects(name, slug, mid) VALUES (?, ?, ?)", &cells)?,
        };
        self.subjects.insert(key, id);
        Ok(id)
    }

    /// The number of a source, which is given one if it has none.
    pub fn source(&mut self, db: &Database, name: &str) -> Result<i64, DbError> {
        if let Some(id) = self.sources.get(name) {
            return Ok(*id);
        }
        let known = db.number("SELECT id FROM sources WHERE name=?", &[name.into()])?;
        let id = match known {
            Some(id) => id,
            None => db.insert("INSERT INTO sources(name) VALUES (?)", &[name.into()])?,
        };
        self.sources.insert(name.to_owned(), id);
        Ok(id)
    }
}

/// The labels and sources of a file by their numbers.
#[derive(Debug, Default)]
pub struct Directory {
    /// The labels and groups.
    pub subjects: HashMap<i64, Arc<Subject>>,
    /// The sources.
    pub sources: HashMap<i64, Arc<str>>,
}

impl Directory {
    /// All names of a file.
    pub fn of(db: &Database) -> Result<Self, DbError> {
        let subjects = db.rows("SELECT id, name, slug, mid FROM subjects", &[], |row| {
            (row.int(0), Arc::new(Subject { name: row.text(1), slug: row.text(2), id: row.text(3) }))
        })?;
        let sources = db.rows("SELECT id, name FROM sources", &[], |row| (row.int(0), Arc::from(row.text(1))))?;
        Ok(Self { subjects: subjects.into_iter().collect(), sources: sources.into_iter().collect() })
    }

    /// A label or group; without a name where its row is lost.
    pub fn subject(&self, id: i64) -> Arc<Subject> {
        let nameless = || Arc::new(Subject { name: String::new(), slug: String::new(), id: String::new() });
        self.subjects.get(&id).cloned().unwrap_or_else(nameless)
    }

    /// A source; without a name where its row is lost.
    pub fn source(&self, id: i64) -> Arc<str> {
        self.sources.get(&id).cloned().unwrap_or_else(|| "".into())
    }

    /// The labels and groups whose numbers stand in a text.
    pub fn also(&self, text: &str) -> Vec<Arc<Subject>> {
        text.split(',').filter_map(|id| id.parse().ok()).map(|id| self.subject(id)).collect()
    }
}

/// The columns of `lines` and of its event from which [`line_report`] makes a report.
pub const LINE_COLUMNS: &str = "lines.seq, lines.at, lines.kind, events.id, lines.subject, events.source, lines.onset, lines.offset, \
     lines.score, lines.peak, lines.threshold, lines.level, lines.onset_uncertainty, lines.offset_uncertainty, lines.also, \
     lines.confirmed, lines.reason";

/// The report of a row with these columns.
pub fn line_report(row: &Row, names: &Directory) -> Report {
    let event = SoundEvent {
        id: Uuid::from_slice(&row.bytes(3)).unwrap_or_default(),
        subject: names.subject(row.int(4)),
        source: names.source(row.int(5)),
        onset: from_nanoseconds(row.int(6)),
        offset: row.maybe(7).map(from_nanoseconds),
        score: from_score_number(row.int(8)),
        peak_score: from_score_number(row.int(9)),
        threshold: from_score_number(row.int(10)),
        level_dbfs: from_level_number(row.int(11)),
        onset_uncertainty_ms: row.int(12).unsigned_abs(),
        offset_uncertainty_ms: row.maybe(13).map(i64::unsigned_abs),
        also: names.also(&row.text(14)),
        is_confirmed: row.int(15) != 0,
        embedding: None,
    };
    match (row.int(2), reason(row.maybe(16))) {
        (0, _) => Report::EventStart(event),
        (2, Some(reason)) => Report::EventEnd(event, reason),
        _ => Report::EventUpdate(event),
    }
}
