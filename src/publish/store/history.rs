//! Answers from the file: events page by page, (`count`) their numbers by hour, day, weekday and label, (`gaps`) the times in which
//! nothing was heard, and (`summary`) what was heard in a day. It only reads.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::clips::{self, ClipRow};
use super::db::{Cell, Database, DbError, Kind, Row};
use super::embeddings::{self, MarkedEmbedding};
use super::marks::{self, KeptMark, WantedMark};
use super::rows::{Directory, MADE_UP, Outcome, from_level_number, from_milliseconds, from_score_number, reason};
use super::{schema, sums};
use crate::event::{EndReason, SoundEvent, Subject};
use crate::text::{did_you_mean, nearest, shown};

mod count;
pub mod gaps;
pub mod summary;

/// The events that are asked for. An empty list names all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// The earliest onset.
    pub from: Option<Timestamp>,
    /// The time before which the onset is.
    pub until: Option<Timestamp>,
    /// The names, slugs or ids of labels and groups, as the event's own name or another of the same sound.
    pub labels: Vec<String>,
    /// The names of sources. Without any: all but that of made-up events.
    pub sources: Vec<String>,
    /// Which outcomes.
    pub outcome: WantedOutcome,
    /// Which marks.
    pub marked: WantedMark,
}

/// The events that are asked for, by whether they were borne out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WantedOutcome {
    /// All, those that were taken back too.
    #[default]
    Any,
    /// Only those that the confirmed score has borne out.
    Confirmed,
}

impl Wanted {
    /// Whether an event that has just ended, and has no mark yet, is one of those that are asked for.
    pub fn has(&self, event: &SoundEvent, reason: Option<EndReason>) -> bool {
        let is_called = |name: &String| {
            std::iter::once(&event.subject)
                .chain(&event.also)
                .any(|subject| subject.is_called(name) || subject.id.eq_ignore_ascii_case(name))
        };
        let is_borne_out = event.is_confirmed && reason != Some(EndReason::Unconfirmed);
        let is_of_source = if self.sources.is_empty() {
            *event.source != *MADE_UP
        } else {
            self.sources.iter().any(|name| **name == *event.source)
        };
        self.from.is_none_or(|from| event.onset >= from)
            && self.until.is_none_or(|until| event.onset < until)
            && (self.labels.is_empty() || self.labels.iter().any(is_called))
            && is_of_source
            && (is_borne_out || self.outcome == WantedOutcome::Any)
            && !self.marked.is_of_marked()
    }
}

/// Which end comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The newest.
    Newest,
    /// The oldest.
    Oldest,
}

/// A place between two events: that behind the one with this onset in milliseconds and this number in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub i64, pub i64);

/// An event as the file has it.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptEvent {
    /// Its place.
    pub cursor: Cursor,
    /// The event.
    pub event: SoundEvent,
    /// Why it ended; `None` while it lasts.
    pub reason: Option<EndReason>,
    /// When it was announced.
    pub announced: Timestamp,
    /// When it was confirmed; `None` where it is not.
    pub confirmed: Option<Timestamp>,
    /// The machine that heard it.
    pub node: Arc<str>,
    /// The model by which it was heard.
    pub model: Arc<str>,
    /// The numbers of its first and its last line.
    pub seq: (u64, u64),
    /// How many updates it had.
    pub updates: u64,
    /// The mark that a person has made; `None` where there is none.
    pub mark: Option<KeptMark>,
    /// What became of its clip; `None` where none was to be kept.
    pub clip: Option<ClipRow>,
}

/// What events are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The hour of the day, 0 to 23.
    Hour,
    /// The day.
    Day,
    /// The day of the week, from Monday on.
    Weekday,
    /// The label or group.
    Label,
}

impl By {
    /// Every one with its name.
    pub const NAMES: [(&str, Self); 4] =
        [("hour", Self::Hour), ("day", Self::Day), ("weekday", Self::Weekday), ("label", Self::Label)];
}

/// A value by which events are counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A number: of an hour, or of a weekday, where Monday is 1.
    Number(i8),
    /// A name, or a day as `2026-11-29`.
    Text(String),
}

/// Numbers of events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// All.
    pub events: u64,
    /// Those that were confirmed.
    pub confirmed: u64,
    /// Those that were taken back.
    pub unconfirmed: u64,
}

/// The numbers of events for each combination of values that has any.
pub type Groups = BTreeMap<Vec<Key>, Tally>;

/// The events of a label in a source that began in a half hour, without those that were taken back.
#[derive(Debug, Clone, PartialEq)]
pub struct HalfHour {
    /// The half hour, counted from 1970.
    pub bucket: i64,
    /// The label or group.
    pub subject: Arc<Subject>,
    /// The source.
    pub source: Arc<str>,
    /// How many.
    pub events: u64,
}

/// An open file.
#[derive(Debug)]
pub struct History {
    pub(super) db: Database,
    pub(super) names: Directory,
    sessions: BTreeMap<i64, (Arc<str>, Arc<str>)>,
}

/// What is wanted, as the file has it.
struct Resolved {
    from: i64,
    until: i64,
    labels: Vec<i64>,
    /// The condition on a column `source`.
    sources: String,
    /// The sources whose numbers are kept and asked for, or the one for all; `None` where made-up events are asked for, which have none.
    summed: Option<Vec<i64>>,
    is_confirmed: bool,
}

const EVENT: &str = "events.key, events.id, events.subject, events.source, events.session, events.onset, events.duration, \
     events.announced, events.confirmed, events.also, events.score, events.peak, events.threshold, events.level, \
     events.onset_uncertainty, events.offset_uncertainty, events.reason, events.first_seq, events.updates, events.last_seq, marks.mark, marks.other, marks.at";

/// The condition on the mark, to be added to others.
fn mark_condition(wanted: WantedMark) -> String {
    match (wanted, wanted.number()) {
        (WantedMark::None, _) => " AND marks.mark IS NULL".to_owned(),
        (_, Some(number)) => format!(" AND marks.mark={number}"),
        (_, None) => String::new(),
    }
}

impl History {
    /// Opens the file.
    pub fn open(path: &Path) -> Result<Self, DbError> {
        let db = schema::open_to_read(path)?;
        let names = Directory::of(&db)?;
        let sessions = db.rows("SELECT id, node, model FROM sessions", &[], |row| {
            (row.int(0), (Arc::from(row.text(1)), Arc::from(row.text(2))))
        })?;
        Ok(Self { db, names, sessions: sessions.into_iter().collect() })
    }

    /// Copies the file, as it is at this moment, while the daemon writes.
    pub fn copy_to(&self, path: &Path) -> Result<(), DbError> {
        self.db.copy_to(path)
    }

    /// When the first daemon began to write.
    pub fn began(&self) -> Result<Option<Timestamp>, DbError> {
        Ok(self.db.number("SELECT min(began) FROM sessions", &[])?.map(from_milliseconds))
    }

    fn resolve(&self, wanted: &Wanted) -> Result<Resolved, DbError> {
        let known: Vec<&Arc<Subject>> = self.names.subjects.values().collect();
        let mut labels = Vec::new();
        for name in &wanted.labels {
            let is_it =
                |subject: &Subject| subject.is_called(name) || (!name.is_empty() && subject.id.eq_ignore_ascii_case(name));
            let before = labels.len();
            labels.extend(self.names.subjects.iter().filter(|(_, subject)| is_it(subject)).map(|(id, _)| *id));
            if labels.len() == before {
                let hint = did_you_mean(nearest(name, known.iter().map(|subject| subject.name.as_str())));
                return Err(DbError::new(Kind::Unknown, format!("no event of {:?} is kept{hint}", shown(name))));
            }
        }
        labels.sort_unstable();
        labels.dedup();
        let mut sources = Vec::new();
        for name in &wanted.sources {
            match self.names.sources.iter().find(|(_, known)| ***known == **name) {
                Some((id, _)) => sources.push(*id),
                None => {
                    let hint = did_you_mean(nearest(name, self.names.sources.values().map(|known| &**known)));
                    return Err(DbError::new(Kind::Unknown, format!("no event of the source {:?} is kept{hint}", shown(name))));
                }
            }
        }
        let made_up = self.names.sources.iter().find(|(_, name)| ***name == *MADE_UP).map(|(id, _)| *id);
        sources.sort_unstable();
        sources.dedup();
        let summed = match &sources[..] {
            [] => Some(vec![sums::ALL]),
            _ if made_up.is_some_and(|made_up| sources.contains(&made_up)) => None,
            _ => Some(sources.clone()),
        };
        let sources = match (sources.is_empty(), made_up) {
            // One source has an index; of several, that of the onsets is better.
            (false, _) if sources.len() == 1 => format!(" AND source={}", sources[0]),
            (false, _) => format!(" AND source IN ({})", sources.iter().map(i64::to_string).collect::<Vec<_>>().join(",")),
            (true, Some(made_up)) => format!(" AND source<>{made_up}"),
            (true, None) => String::new(),
        };
        Ok(Resolved {
            from: wanted.from.map_or(i64::MIN / 2, Timestamp::as_millisecond),
            until: wanted.until.map_or(i64::MAX / 2, Timestamp::as_millisecond),
            labels,
            sources,
            summed,
            is_confirmed: wanted.outcome == WantedOutcome::Confirmed,
        })
    }

    /// Up to so many events behind a place.
    pub fn page(&self, wanted: &Wanted, order: Order, after: Option<Cursor>, limit: usize) -> Result<Vec<KeptEvent>, DbError> {
        let Resolved { from, until, labels, sources, is_confirmed, .. } = self.resolve(wanted)?;
        let (compare, direction) = if order == Order::Newest { ("<", "DESC") } else { (">", "ASC") };
        let start = if order == Order::Newest { Cursor(i64::MAX, 0) } else { Cursor(i64::MIN, 0) };
        let Cursor(onset, key) = after.unwrap_or(start);
        let cells = |more: Option<i64>| -> Vec<Cell> {
            more.into_iter().chain([from, until, onset, key, limit as i64]).map(Cell::from).collect()
        };
        let read = |row: &Row| self.event(row);
        let (is_of_marked, mark) = (wanted.marked.is_of_marked(), mark_condition(wanted.marked));
        if labels.is_empty() {
            let confirmed = if is_confirmed { " AND confirmed IS NOT NULL AND reason IS NOT 1" } else { "" };
            // Marks are few, so the events that have one are found from there.
            let (of, key, from) = if is_of_marked {
                ("marks", "event", "marks CROSS JOIN events ON events.key=marks.event")
            } else {
                ("events", "key", "events LEFT JOIN marks ON marks.event=events.key")
            };
            // The plain bound on the onset lets the index begin at the place.
            let sql = format!(
                "SELECT {EVENT} FROM {from} WHERE {of}.onset >= ? AND {of}.onset < ? AND ({of}.onset, {of}.{key}) {compare} (?, ?)\
                 {sources}{confirmed}{mark} ORDER BY {of}.onset {direction}, {of}.{key} {direction} LIMIT ?"
            );
            return self.with_clips(self.db.rows(&sql, &cells(None), read)?);
        }
        let confirmed = if is_confirmed { format!(" AND outcome={}", Outcome::Confirmed as i64) } else { String::new() };
        let sources = sources.replace(" source", " named.source");
        let (of, key, from) = if is_of_marked {
            let from = "marks CROSS JOIN named ON named.subject=? AND named.onset=marks.onset AND named.key=marks.event \
                        JOIN events ON events.key=marks.event WHERE true";
            ("marks", "event", from)
        } else {
            let from =
                "named JOIN events ON events.key=named.key LEFT JOIN marks ON marks.event=events.key WHERE named.subject=?";
            ("named", "key", from)
        };
        let sql = format!(
            "SELECT {EVENT} FROM {from} AND {of}.onset >= ? AND {of}.onset < ? AND ({of}.onset, {of}.{key}) {compare} (?, ?)\
             {sources}{confirmed}{mark} ORDER BY {of}.onset {direction}, {of}.{key} {direction} LIMIT ?"
        );
        let mut all = Vec::new();
        for label in labels {
            all.extend(self.db.rows(&sql, &cells(Some(label)), read)?);
        }
        all.sort_by_key(|kept| kept.cursor);
        all.dedup_by_key(|kept| kept.cursor);
        if order == Order::Newest {
            all.reverse();
        }
        all.truncate(limit);
        self.with_clips(all)
    }

    /// The same events with what became of their clips.
    fn with_clips(&self, mut events: Vec<KeptEvent>) -> Result<Vec<KeptEvent>, DbError> {
        if clips::has_any(&self.db)? {
            for kept in &mut events {
                kept.clip = clips::of(&self.db, kept.event.id)?;
            }
        }
        Ok(events)
    }

    /// What became of the newest clips, up to so many.
    pub fn clips(&self, limit: usize) -> Result<Vec<ClipRow>, DbError> {
        clips::newest(&self.db, limit)
    }

    /// The event with this id.
    pub fn event_of(&self, id: uuid::Uuid) -> Result<Option<KeptEvent>, DbError> {
        let sql = format!("SELECT {EVENT} FROM events LEFT JOIN marks ON marks.event=events.key WHERE id=?");
        let found = self.db.rows(&sql, &[Cell::Blob(id.as_bytes().to_vec())], |row| self.event(row))?;
        Ok(self.with_clips(found)?.pop())
    }

    /// The marks that an event had before its present one, the oldest first.
    pub fn earlier_marks(&self, event: &KeptEvent) -> Result<Vec<KeptMark>, DbError> {
        marks::earlier(&self.db, &self.names, event.cursor.1)
    }

    /// The embedding of the event of this id by this model, floats of 16 bits with the lowest byte first; `None` where none is kept.
    pub fn embedding_of(&self, id: uuid::Uuid, model_sha256: &str) -> Result<Option<Vec<u8>>, DbError> {
        embeddings::of_event(&self.db, id, model_sha256)
    }

    /// The embeddings by this model of all events with a mark, the oldest first.
    pub fn marked_embeddings(&self, model_sha256: &str) -> Result<Vec<MarkedEmbedding>, DbError> {
        embeddings::marked(&self.db, model_sha256)
    }

    /// The number of the newest line about an event; 0 where there is none.
    pub fn newest_line(&self) -> Result<u64, DbError> {
        Ok(self.db.number("SELECT max(seq) FROM lines", &[])?.map_or(0, i64::unsigned_abs))
    }

    /// The events that ended in lines after a number, and the number of the newest line.
    pub fn ended_after(&mut self, seq: u64) -> Result<(Vec<KeptEvent>, u64), DbError> {
        let newest = self.newest_line()?.max(seq);
        if newest == seq {
            return Ok((Vec::new(), seq));
        }
        self.names = Directory::of(&self.db)?;
        let sql = format!(
            "SELECT {EVENT} FROM lines JOIN events ON events.key=lines.event LEFT JOIN marks ON marks.event=events.key \
             WHERE lines.seq > ? AND lines.seq <= ? AND lines.kind=2 \
             ORDER BY lines.seq"
        );
        let ended = self.db.rows(&sql, &[seq.into(), newest.into()], |row| self.event(row))?;
        Ok((self.with_clips(ended)?, newest))
    }

    fn event(&self, row: &Row) -> KeptEvent {
        let (node, model) = self.sessions.get(&row.int(4)).cloned().unwrap_or_else(|| ("".into(), "".into()));
        let onset = row.int(5);
        let after = |ms: i64| from_milliseconds(onset + ms);
        KeptEvent {
            cursor: Cursor(onset, row.int(0)),
            event: SoundEvent {
                id: uuid::Uuid::from_slice(&row.bytes(1)).unwrap_or_default(),
                subject: self.names.subject(row.int(2)),
                source: self.names.source(row.int(3)),
                onset: from_milliseconds(onset),
                offset: row.maybe(6).map(after),
                score: from_score_number(row.int(10)),
                peak_score: from_score_number(row.int(11)),
                threshold: from_score_number(row.int(12)),
                level_dbfs: from_level_number(row.int(13)),
                onset_uncertainty_ms: row.int(14).unsigned_abs(),
                offset_uncertainty_ms: row.maybe(15).map(i64::unsigned_abs),
                also: self.names.also(&row.text(9)),
                is_confirmed: row.maybe(8).is_some(),
                embedding: None,
            },
            reason: reason(row.maybe(16)),
            announced: after(row.int(7)),
            confirmed: row.maybe(8).map(after),
            node,
            model,
            seq: (row.int(17).unsigned_abs(), row.int(19).unsigned_abs()),
            updates: row.int(18).unsigned_abs(),
            mark: marks::mark_of(row, 20, &self.names),
            clip: None,
        }
    }
}
