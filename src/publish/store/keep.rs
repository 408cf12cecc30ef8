//! Writes reports into the file: each event's row with its whole life, its lines, the counts, and the reports of health. It decides
//! nothing about failures, which are the writer's.

use std::collections::HashMap;
use std::path::Path;

use jiff::Timestamp;
use uuid::Uuid;

use super::db::{Cell, Database, DbError};
use super::marks::{self, Mark, Unmarked};
use super::numbers::{self, BLOCK, Numbers, reserve};
use super::rows::{Directory, LINE_COLUMNS, MADE_UP, Names, Outcome, level_number, line_report, nanoseconds};
use super::rows::{reason_number, score_number};
use super::sums::Sums;
use super::{Circumstances, schema};
use crate::event::{EndReason, Report, SoundEvent};
use crate::publish::hub::Published;

/// What a report changes of an event that is kept, but for its onset and the reason of its end, which have indexes.
const UPDATE: &str = "UPDATE events SET subject=?, duration=?, confirmed=?, also=?, score=?, peak=?, threshold=?, level=?, \
     onset_uncertainty=?, offset_uncertainty=?, last_seq=?, updates=updates+? WHERE key=?";
/// A new event.
const INSERT: &str = "INSERT INTO events(subject, duration, confirmed, also, score, peak, threshold, level, onset_uncertainty, \
     offset_uncertainty, last_seq, onset, reason, id, source, session, announced, first_seq, updates) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)";

/// An open file, and the events in it that have not ended.
#[derive(Debug)]
pub struct Keeper {
    /// The file.
    pub db: Database,
    names: Names,
    session: i64,
    reserved: u64,
    open: HashMap<Uuid, Kept>,
    /// The numbers that are not written yet.
    sums: Sums,
}

/// An open event as it is kept.
#[derive(Debug, Clone)]
struct Kept {
    key: i64,
    confirmed: Option<i64>,
    place: Place,
}

/// Where an event is found and counted.
#[derive(Debug, Clone, PartialEq)]
struct Place {
    onset: i64,
    source: i64,
    is_counted: bool,
    outcome: Outcome,
    /// The event's own name, then the others.
    subjects: Vec<i64>,
}

impl Keeper {
    /// Opens the file, and begins a session in it, whose first number is above all that were given and at least `next`. Where the numbers
    /// of this daemon go on from `told` already, it begins there.
    pub fn open(path: &Path, circumstances: &Circumstances, next: u64, told: Option<u64>) -> Result<(Self, Numbers), DbError> {
        let db = schema::open(path)?;
        let (given, mut last) = numbers::given_and_last(&db)?;
        last = told.map_or(last, |told| told.max(given));
        let sql = "SELECT id FROM sessions WHERE id=(SELECT max(id) FROM sessions) AND instance=?";
        let own = db.number(sql, &[Cell::from(&*circumstances.instance)])?;
        if own.is_some() {
            // The same daemon opens its file again.
            last = given;
        }
        let mut keeper = Self {
            db,
            names: Names::default(),
            session: own.unwrap_or(0),
            reserved: 0,
            open: HashMap::new(),
            sums: Sums::default(),
        };
        // Those that were told are given already.
        let first = if own.is_none() && told.is_some() { last + 1 } else { (last + 1).max(next) };
        keeper.session = keeper.db.whole(|| {
            reserve(&keeper.db, first + BLOCK)?;
            // An event without a line cannot be told any more.
            let sql = "UPDATE events SET reason=?, duration=coalesce(duration, 0) WHERE reason IS NULL AND last_seq NOT IN (SELECT seq FROM lines)";
            keeper.db.run(sql, &[reason_number(EndReason::Shutdown).into()])?;
            own.map_or_else(|| begin(&keeper.db, circumstances, first, last - given), Ok)
        })?;
        keeper.reserved = first + BLOCK;
        let left_open = keeper.left_open()?;
        Ok((keeper, Numbers { last, left_open }))
    }

    /// Begins another session of the same daemon, under other circumstances.
    pub fn change(&mut self, circumstances: &Circumstances, first: u64) -> Result<(), DbError> {
        self.session = self.db.whole(|| begin(&self.db, circumstances, first, 0))?;
        Ok(())
    }

    /// Keeps reports, all or none of them.
    pub fn keep(&mut self, reports: &[std::sync::Arc<Published>]) -> Result<(), DbError> {
        let last = reports.last().map_or(0, |report| report.seq);
        let needs_more = last + BLOCK / 2 > self.reserved;
        self.db.batch("BEGIN IMMEDIATE")?;
        let kept = reports.iter().try_for_each(|report| self.keep_one(report)).and_then(|()| {
            self.sums.write(&self.db)?;
            if needs_more {
                reserve(&self.db, last + BLOCK)?;
            }
            self.db.batch("COMMIT")
        });
        if kept.is_ok() && needs_more {
            self.reserved = last + BLOCK;
        }
        if kept.is_err() {
            let _ = self.db.batch("ROLLBACK");
            // The file has nothing of it, so neither may these.
            self.names = Names::default();
            self.sums.forget();
            self.load_open()?;
        }
        kept
    }

    /// Marks the event of this id, or takes its mark away.
    pub fn mark(&mut self, id: Uuid, mark: Option<&Mark>) -> Result<(), Unmarked> {
        let Self { db, names, .. } = self;
        let marked = db.whole(|| Ok(marks::set(db, names, id, mark, Timestamp::now())));
        // A name that the file does not have after all may not be remembered.
        if !matches!(marked, Ok(Ok(()))) {
            *names = Names::default();
        }
        marked?
    }

    /// Records that the last number is known exactly, because nobody is given another one.
    pub fn finish(&self, last: u64) -> Result<(), DbError> {
        self.db.whole(|| {
            for name in ["given", "reserved"] {
                self.db.run("INSERT OR REPLACE INTO facts VALUES (?, ?)", &[name.into(), last.into()])?;
            }
            self.live()
        })
    }

    /// Records that the daemon runs, so that a later one knows since when nothing was heard.
    pub fn live(&self) -> Result<(), DbError> {
        let cells = [Timestamp::now().as_millisecond().into(), self.session.into()];
        self.db.run("UPDATE sessions SET alive=? WHERE id=?", &cells).map(drop)
    }

    /// Writes something that changes nothing, to see whether the disk takes it.
    pub fn probe(&mut self) -> Result<(), DbError> {
        self.db.whole(|| reserve(&self.db, self.reserved))
    }

    /// Ends the events that an earlier daemon left open, where nobody is told.
    pub fn close_left_open(&mut self) -> Result<(), DbError> {
        let sql = "UPDATE events SET reason=?, offset_uncertainty=0, duration=max(0, announced, \
                   coalesce((SELECT at / 1000000 - events.onset FROM lines WHERE seq=last_seq), 0)) \
                   WHERE reason IS NULL AND session IN (SELECT id FROM sessions WHERE instance<>(SELECT instance FROM sessions WHERE id=?))";
        self.db.whole(|| self.db.run(sql, &[reason_number(EndReason::Shutdown).into(), self.session.into()]))?;
        self.load_open()
    }

    fn keep_one(&mut self, published: &Published) -> Result<(), DbError> {
        match &published.report {
            Report::EventStart(event) => self.keep_event(published, event, 0, None),
            Report::EventUpdate(event) => self.keep_event(published, event, 1, None),
            Report::EventEnd(event, reason) => self.keep_event(published, event, 2, Some(*reason)),
            other => {
                let cells = [
                    published.seq.into(),
                    nanoseconds(published.at).into(),
                    crate::publish::wire::kind(other).into(),
                    published.line().trim_end().into(),
                ];
                self.db.run("INSERT OR REPLACE INTO health(seq, at, kind, line) VALUES (?, ?, ?, ?)", &cells).map(drop)
            }
        }
    }

    fn keep_event(&mut self, of: &Published, event: &SoundEvent, kind: i64, reason: Option<EndReason>) -> Result<(), DbError> {
        let onset = event.onset.as_millisecond();
        let subject = self.names.subject(&self.db, &event.subject)?;
        let mut subjects = vec![subject];
        for other in &event.also {
            let id = self.names.subject(&self.db, other)?;
            if !subjects.contains(&id) {
                subjects.push(id);
            }
        }
        let source = self.names.source(&self.db, &event.source)?;
        let outcome = match (reason, event.is_confirmed) {
            (Some(EndReason::Unconfirmed), _) => Outcome::Unconfirmed,
            (_, true) => Outcome::Confirmed,
            (_, false) => Outcome::Open,
        };
        let also: Vec<String> = subjects[1..].iter().map(i64::to_string).collect();
        let also = Cell::from((!also.is_empty()).then(|| also.join(",")).as_deref());
        let place = Place { onset, source, is_counted: *event.source != *MADE_UP, outcome, subjects };
        let after_onset = of.at.as_millisecond() - onset;
        let before = self.open.get(&event.id).cloned();
        let confirmed = event.is_confirmed.then(|| before.as_ref().and_then(|kept| kept.confirmed).unwrap_or(after_onset));
        let reason = reason.map(reason_number);
        let numbers = [
            subject.into(),
            event.offset.map(|offset| offset.as_millisecond() - onset).into(),
            confirmed.into(),
            also.clone(),
            score_number(event.score).into(),
            score_number(event.peak_score).into(),
            score_number(event.threshold).into(),
            level_number(event.level_dbfs).into(),
            event.onset_uncertainty_ms.into(),
            event.offset_uncertainty_ms.into(),
            of.seq.into(),
        ];
        let key = match &before {
            Some(kept) => {
                let more = i64::from(kind == 1).into();
                self.db.run(UPDATE, &[&numbers[..], &[more, kept.key.into()]].concat())?;
                // SQLite writes the indexes of a column that is set, whether its value is another one or not.
                if kept.place.onset != onset {
                    self.db.run("UPDATE events SET onset=? WHERE key=?", &[onset.into(), kept.key.into()])?;
                }
                if reason.is_some() {
                    self.db.run("UPDATE events SET reason=? WHERE key=?", &[reason.into(), kept.key.into()])?;
                }
                kept.key
            }
            None => {
                let id = Cell::Blob(event.id.as_bytes().to_vec());
                let more =
                    [onset.into(), reason.into(), id, source.into(), self.session.into(), after_onset.into(), of.seq.into()];
                self.db.insert(INSERT, &[&numbers[..], &more].concat())?
            }
        };
        self.put(key, before.as_ref().map(|kept| &kept.place), &place)?;
        let line = [
            of.seq.into(),
            key.into(),
            nanoseconds(of.at).into(),
            kind.into(),
            subject.into(),
            nanoseconds(event.onset).into(),
            event.offset.map(nanoseconds).into(),
            numbers[4].clone(),
            numbers[5].clone(),
            numbers[6].clone(),
            numbers[7].clone(),
            numbers[8].clone(),
            numbers[9].clone(),
            also,
            i64::from(event.is_confirmed).into(),
            reason.into(),
        ];
        let sql = "INSERT OR REPLACE INTO lines(seq, event, at, kind, subject, onset, offset, score, peak, threshold, level, \
                   onset_uncertainty, offset_uncertainty, also, confirmed, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        self.db.run(sql, &line)?;
        if let Some(embedding) = event.embedding.as_ref().filter(|_| *event.source != *MADE_UP) {
            let cells = [key.into(), Cell::Blob(embedding.to_vec())];
            self.db.run("INSERT OR REPLACE INTO embeddings(event, embedding) VALUES (?, ?)", &cells)?;
        }
        if reason.is_some() {
            self.open.remove(&event.id);
        } else {
            self.open.insert(event.id, Kept { key, confirmed, place });
        }
        Ok(())
    }

    /// Puts an event where it is found and counted, and takes it away from where it was.
    fn put(&mut self, key: i64, before: Option<&Place>, place: &Place) -> Result<(), DbError> {
        if before == Some(place) {
            return Ok(());
        }
        // An event whose onset and source stay keeps its rows, of which at most the outcome changes.
        let stays = before.filter(|before| (before.onset, before.source) == (place.onset, place.source));
        if let Some(before) = before {
            for subject in &before.subjects {
                if stays.is_none() || !place.subjects.contains(subject) {
                    let cells = [(*subject).into(), before.onset.into(), key.into()];
                    self.db.run("DELETE FROM named WHERE subject=? AND onset=? AND key=?", &cells)?;
                }
            }
            self.count(before, -1);
        }
        let outcome = place.outcome as i64;
        for subject in &place.subjects {
            match stays.filter(|before| before.subjects.contains(subject)) {
                Some(before) if before.outcome == place.outcome => {}
                Some(_) => {
                    let cells = [outcome.into(), (*subject).into(), place.onset.into(), key.into()];
                    self.db.run("UPDATE named SET outcome=? WHERE subject=? AND onset=? AND key=?", &cells)?;
                }
                None => {
                    let cells = [(*subject).into(), place.onset.into(), key.into(), place.source.into(), outcome.into()];
                    let sql = "INSERT OR REPLACE INTO named(subject, onset, key, source, outcome) VALUES (?, ?, ?, ?, ?)";
                    self.db.run(sql, &cells)?;
                }
            }
        }
        self.count(place, 1);
        Ok(())
    }

    fn count(&mut self, place: &Place, by: i64) {
        if place.is_counted {
            self.sums.add(&place.subjects, place.source, place.onset, place.outcome, by);
        }
    }

    /// Reads which events are open.
    fn load_open(&mut self) -> Result<(), DbError> {
        self.open.clear();
        let sql = "SELECT key, id, onset, source, subject, also, confirmed, (SELECT name FROM sources WHERE id=source) \
                   FROM events WHERE reason IS NULL";
        let open = self.db.rows(sql, &[], |row| {
            let mut subjects = vec![row.int(4)];
            subjects.extend(row.text(5).split(',').filter_map(|id| id.parse::<i64>().ok()));
            let confirmed = row.maybe(6);
            let outcome = if confirmed.is_some() { Outcome::Confirmed } else { Outcome::Open };
            let place = Place { onset: row.int(2), source: row.int(3), is_counted: row.text(7) != MADE_UP, outcome, subjects };
            (Uuid::from_slice(&row.bytes(1)).unwrap_or_default(), Kept { key: row.int(0), confirmed, place })
        })?;
        self.open.extend(open);
        Ok(())
    }

    /// The ends of the events that are open: nobody has heard them since the last line about them.
    fn left_open(&mut self) -> Result<Vec<Report>, DbError> {
        self.load_open()?;
        let names = Directory::of(&self.db)?;
        let sql = format!("SELECT {LINE_COLUMNS} FROM lines JOIN events ON events.key=lines.event WHERE lines.seq=?");
        let mut ends = Vec::new();
        for seq in self.db.rows("SELECT last_seq FROM events WHERE reason IS NULL ORDER BY last_seq", &[], |row| row.int(0))? {
            let last = self.db.rows(&sql, &[seq.into()], |row| {
                let at = super::rows::from_nanoseconds(row.int(1));
                (at, line_report(row, &names))
            })?;
            if let Some((at, Report::EventStart(event) | Report::EventUpdate(event))) = last.into_iter().next() {
                let silent_ms = Timestamp::now().as_millisecond() - at.as_millisecond();
                let offset = Some(at.max(event.onset));
                let offset_uncertainty_ms = Some(silent_ms.max(0).unsigned_abs());
                ends.push(Report::EventEnd(SoundEvent { offset, offset_uncertainty_ms, ..event }, EndReason::Shutdown));
            }
        }
        Ok(ends)
    }
}

fn begin(db: &Database, circumstances: &Circumstances, first: u64, skipped: u64) -> Result<i64, DbError> {
    let toml = Cell::from(&*circumstances.configuration);
    db.run("INSERT OR IGNORE INTO configurations(toml) VALUES (?)", std::slice::from_ref(&toml))?;
    let configuration = db.number("SELECT id FROM configurations WHERE toml=?", &[toml])?;
    let Circumstances { instance, node, model, .. } = circumstances;
    let now = Cell::from(Timestamp::now().as_millisecond());
    let cells = [
        Cell::from(&**instance),
        env!("CARGO_PKG_VERSION").into(),
        (&**node).into(),
        (&*model.name).into(),
        (&*model.sha256).into(),
        configuration.into(),
        now.clone(),
        first.into(),
        skipped.into(),
        now,
    ];
    let sql = "INSERT INTO sessions(instance, version, node, model, sha256, configuration, began, first_seq, skipped, alive) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    db.insert(sql, &cells)
}

#[cfg(test)]
mod tests;
