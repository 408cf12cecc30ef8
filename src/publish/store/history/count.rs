//! Numbers of events: those of whole half hours are kept as numbers, and the rest is counted from the events.

use std::collections::HashSet;

use jiff::ZonedDateTime;
use jiff::tz::TimeZone;

use super::{By, Groups, HalfHour, History, KeptEvent, Key, Order, Resolved, Tally, Wanted};
use crate::event::EndReason;
use crate::publish::store::db::{Cell, DbError};
use crate::publish::store::marks::WantedMark;
use crate::publish::store::rows::{BUCKET_S, Directory, Outcome, from_milliseconds};
use crate::publish::store::sums;

const BUCKET_MS: i64 = BUCKET_S * 1_000;
/// The events that are read at a time where they are counted by their marks.
const PAGE: usize = 1_000;

impl History {
    /// The events from a half hour on.
    pub fn half_hours(&self, from: i64) -> Result<Vec<HalfHour>, DbError> {
        let sql = "SELECT bucket, own - own_unconfirmed FROM sums WHERE subject=? AND source=? AND bucket >= ? AND own > own_unconfirmed";
        let mut all = Vec::new();
        for (subject_id, subject) in &self.names.subjects {
            for (source_id, source) in &self.names.sources {
                let cells = [*subject_id, *source_id, from].map(Cell::from);
                all.extend(self.db.rows(sql, &cells, |row| {
                    let events = row.int(1).unsigned_abs();
                    HalfHour { bucket: row.int(0), subject: subject.clone(), source: source.clone(), events }
                })?);
            }
        }
        Ok(all)
    }

    /// The numbers of events by these values, with days and hours as clocks show them in `zone`.
    pub fn count(&self, wanted: &Wanted, by: &[By], zone: &TimeZone) -> Result<Groups, DbError> {
        if wanted.marked == WantedMark::None {
            // Marks are few: what has none is all but those.
            let with = |marked| self.count(&Wanted { marked, ..wanted.clone() }, by, zone);
            let mut groups = with(WantedMark::Any)?;
            for (key, marked) in with(WantedMark::Marked)? {
                if let Some(all) = groups.get_mut(&key) {
                    *all = all.without(marked);
                }
            }
            groups.retain(|_, tally| tally.events > 0);
            return Ok(groups);
        }
        let resolved = self.resolve(wanted)?;
        let mut counter =
            Counter { by, zone, names: &self.names, is_confirmed: resolved.is_confirmed, at: None, groups: Groups::new() };
        if wanted.marked.is_of_marked() {
            self.count_by_marks(wanted, &mut counter)?;
            return Ok(counter.groups);
        }
        // What is older has been cleared, and its numbers are about to be.
        let oldest = self.db.number("SELECT min(onset) FROM events", &[])?.unwrap_or(i64::MAX / 2);
        let from = resolved.from.max(oldest);
        let (by_label, label) = (by.contains(&By::Label), resolved.labels.first().copied());
        let is_summed = resolved.labels.len() <= usize::from(!by_label);
        // Whole half hours are counted already; the events at both ends are not.
        let (first, last) = (-((-from).div_euclid(BUCKET_MS)), resolved.until.div_euclid(BUCKET_MS));
        match &resolved.summed {
            Some(sources) if is_summed && first < last => {
                self.count_one_by_one(&resolved, from, first * BUCKET_MS, &mut counter)?;
                let every = || self.names.subjects.keys().copied().collect();
                let subjects: Vec<i64> = if by_label { every() } else { vec![label.unwrap_or(sums::ALL)] };
                for subject in subjects {
                    for source in sources {
                        self.count_sums(subject, *source, (first, last), by_label, &mut counter)?;
                    }
                }
                self.count_one_by_one(&resolved, last * BUCKET_MS, resolved.until, &mut counter)?;
            }
            _ => self.count_one_by_one(&resolved, from, resolved.until, &mut counter)?,
        }
        Ok(counter.groups)
    }

    /// Counts events of a label in some half hours, by the numbers that are kept: those of which it is the own name, or any.
    fn count_sums(
        &self,
        subject: i64,
        source: i64,
        buckets: (i64, i64),
        is_own: bool,
        counter: &mut Counter,
    ) -> Result<(), DbError> {
        let numbers = if is_own { "own, own_confirmed, own_unconfirmed" } else { "n, confirmed, unconfirmed" };
        let sql = format!("SELECT bucket, {numbers} FROM sums WHERE subject=? AND source=? AND bucket >= ? AND bucket < ?");
        let cells = [subject, source, buckets.0, buckets.1].map(Cell::from);
        self.db.rows(&sql, &cells, |row| {
            let [events, confirmed, unconfirmed] = [1, 2, 3].map(|column| row.int(column).max(0).unsigned_abs());
            counter.add(row.int(0) * BUCKET_MS, subject, Tally { events, confirmed, unconfirmed });
        })?;
        Ok(())
    }

    /// Counts events by their marks, which have no numbers that are kept.
    fn count_by_marks(&self, wanted: &Wanted, counter: &mut Counter) -> Result<(), DbError> {
        let mut after = None;
        loop {
            let page = self.page(wanted, Order::Oldest, after, PAGE)?;
            for KeptEvent { event, reason, .. } in &page {
                let tally = Tally::one(event.is_confirmed, *reason == Some(EndReason::Unconfirmed));
                counter.add_named(event.onset.as_millisecond(), &event.subject.name, tally);
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.cursor),
                _ => return Ok(()),
            }
        }
    }

    /// Counts events of some labels, or all, one by one.
    fn count_one_by_one(&self, resolved: &Resolved, from: i64, until: i64, counter: &mut Counter) -> Result<(), DbError> {
        match (from < until, resolved.labels.is_empty()) {
            (false, _) => Ok(()),
            (true, true) => self.count_events(resolved, from, until, counter),
            (true, false) => self.count_named(resolved, from, until, counter),
        }
    }

    fn count_events(&self, resolved: &Resolved, from: i64, until: i64, counter: &mut Counter) -> Result<(), DbError> {
        let sql = format!(
            "SELECT onset, subject, confirmed IS NOT NULL, reason IS 1 FROM events WHERE onset >= ? AND onset < ?{}",
            resolved.sources
        );
        self.db.rows(&sql, &[from.into(), until.into()], |row| {
            counter.add(row.int(0), row.int(1), Tally::one(row.int(2) != 0, row.int(3) != 0));
        })?;
        Ok(())
    }

    fn count_named(&self, resolved: &Resolved, from: i64, until: i64, counter: &mut Counter) -> Result<(), DbError> {
        let Resolved { labels, sources, .. } = resolved;
        let by_label = counter.by.contains(&By::Label);
        let sources = sources.replace(" source", " named.source");
        let (subject, join) = if by_label { ("events.subject", " JOIN events ON events.key=named.key") } else { ("0", "") };
        let sql = format!(
            "SELECT named.onset, {subject}, named.outcome, named.key FROM named{join} \
             WHERE named.subject=? AND named.onset >= ? AND named.onset < ?{sources}"
        );
        let mut seen = HashSet::new();
        for label in labels {
            self.db.rows(&sql, &[(*label).into(), from.into(), until.into()], |row| {
                // An event may have several of the names.
                if labels.len() == 1 || seen.insert(row.int(3)) {
                    let outcome = row.int(2);
                    let tally = Tally::one(outcome == Outcome::Confirmed as i64, outcome == Outcome::Unconfirmed as i64);
                    counter.add(row.int(0), row.int(1), tally);
                }
            })?;
        }
        Ok(())
    }
}

impl Tally {
    fn one(is_confirmed: bool, is_unconfirmed: bool) -> Self {
        let is_confirmed = is_confirmed && !is_unconfirmed;
        Self { events: 1, confirmed: u64::from(is_confirmed), unconfirmed: u64::from(is_unconfirmed) }
    }

    fn without(self, part: Self) -> Self {
        Self {
            events: self.events.saturating_sub(part.events),
            confirmed: self.confirmed.saturating_sub(part.confirmed),
            unconfirmed: self.unconfirmed.saturating_sub(part.unconfirmed),
        }
    }
}

/// Sums events up by their values.
struct Counter<'a> {
    by: &'a [By],
    zone: &'a TimeZone,
    names: &'a Directory,
    is_confirmed: bool,
    /// The half hour that was met last, in local time: no zone changes within one.
    at: Option<(i64, ZonedDateTime)>,
    groups: Groups,
}

impl Counter<'_> {
    fn add(&mut self, onset: i64, subject: i64, tally: Tally) {
        // All share the directory, so that the name is only copied where it is a value.
        let names = self.names;
        let subject = names.subjects.get(&subject).map_or("", |subject| &*subject.name);
        self.add_named(onset, subject, tally);
    }

    fn add_named(&mut self, onset: i64, name: &str, tally: Tally) {
        let tally = if self.is_confirmed { Tally { events: tally.confirmed, unconfirmed: 0, ..tally } } else { tally };
        if tally.events == 0 {
            return;
        }
        // Quarter hours, because a zone may be off by so many.
        let quarter = onset.div_euclid(BUCKET_MS / 2);
        if self.at.as_ref().is_none_or(|(known, _)| *known != quarter) {
            self.at = Some((quarter, from_milliseconds(quarter * BUCKET_MS / 2).to_zoned_datetime(self.zone.clone())));
        }
        let Some((_, local)) = &self.at else { return };
        let key = |by: &By| match by {
            By::Hour => Key::Number(local.hour()),
            By::Day => Key::Text(local.date().to_string()),
            By::Weekday => Key::Number(local.weekday().to_monday_one_offset()),
            By::Label => Key::Text(name.to_owned()),
        };
        let sum = self.groups.entry(self.by.iter().map(key).collect()).or_default();
        sum.events += tally.events;
        sum.confirmed += tally.confirmed;
        sum.unconfirmed += tally.unconfirmed;
    }
}
