//! The summary of a day: what was heard, beside the four weeks before. It only reads.
//!
//! A day before counts where the store knew it and something could be heard for at least half of it.

use std::collections::{BTreeMap, HashMap};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::History;
use super::gaps::Gap;
use crate::event::{Heard, Summary, Unheard};
use crate::publish::store::db::DbError;
use crate::publish::store::rows::{MADE_UP, from_milliseconds};

/// The days before that are looked at.
const DAYS: i64 = 28;
/// The fewest of them that say what is usual.
const MIN_DAYS: usize = 7;
/// How many events more than the mean are more than usual, at least.
const MORE_EVENTS: f64 = 3.0;
/// How much longer than the mean is longer than usual, at least, in milliseconds.
const LONGER_MS: f64 = 60_000.0;
/// How many times the mean is more, or longer, than usual, at least.
const TIMES: f64 = 2.0;

/// The number of events and their length together, in milliseconds.
type Sum = (u64, u64);

/// The same time of day as at `until`, so many days before, as clocks show it in `zone`.
pub fn days_before(until: Timestamp, days: i64, zone: &TimeZone) -> Timestamp {
    let shown = zone.to_datetime(until);
    let before = shown.checked_sub(jiff::Span::new().days(days)).ok().and_then(|then| zone.to_timestamp(then).ok());
    before.unwrap_or(until)
}

/// Whether a number is so much above those of the days before that it is told.
fn is_above(value: u64, before: &[u64], least: f64) -> bool {
    if before.len() < MIN_DAYS {
        return false;
    }
    let (value, mean) = (value as f64, before.iter().sum::<u64>() as f64 / before.len() as f64);
    before.iter().all(|other| value > *other as f64) && value >= TIMES * mean && value >= mean + least
}

impl History {
    /// The summary of a stretch of time, as a rule a day, beside the same stretches of the days before in `zone`.
    pub fn summary(&self, from: Timestamp, until: Timestamp, zone: &TimeZone) -> Result<Summary, DbError> {
        let began = self.began()?.unwrap_or(until);
        let mut days = Vec::new();
        for day in 1..=DAYS {
            let (from, until) = (days_before(from, day, zone), days_before(until, day, zone));
            let lasts = until.duration_since(from);
            if from >= began && unheard(&self.gaps(from, until)?, from, until) * 2 <= lasts {
                days.push(self.sums(from, until)?);
            }
        }
        let last = self.last_before(from)?;
        let mut heard: Vec<Heard> = Vec::new();
        for (subject, (events, duration_ms)) in self.sums(from, until)? {
            let of = |part: fn(&Sum) -> u64| -> Vec<u64> { days.iter().map(|day| day.get(&subject).map_or(0, part)).collect() };
            let (counts, lengths) = (of(|sum| sum.0), of(|sum| sum.1));
            let mean =
                |all: &[u64], tenths: u64| if all.is_empty() { 0 } else { tenths * all.iter().sum::<u64>() / all.len() as u64 };
            let before = last.get(&subject).copied();
            let is_long_ago = before.is_none_or(|before| before < days_before(from, DAYS, zone));
            heard.push(Heard {
                label: self.names.subject(subject).name.clone(),
                events,
                duration_ms,
                usual_tenths: mean(&counts, 10),
                usual_duration_ms: mean(&lengths, 1),
                before,
                is_new: days.len() >= MIN_DAYS && is_long_ago,
                is_more: !is_long_ago && is_above(events, &counts, MORE_EVENTS),
                is_longer: !is_long_ago && is_above(duration_ms, &lengths, LONGER_MS),
            });
        }
        heard.sort_by(|one, other| other.events.cmp(&one.events).then_with(|| one.label.cmp(&other.label)));
        Ok(Summary { from, until, n_days: days.len(), heard, unheard: summed(&self.gaps(from, until)?, from, until) })
    }

    /// The confirmed events of each label in a stretch of time.
    fn sums(&self, from: Timestamp, until: Timestamp) -> Result<BTreeMap<i64, Sum>, DbError> {
        let made_up = self.names.sources.iter().find(|(_, name)| ***name == *MADE_UP).map_or(-1, |(id, _)| *id);
        let sql = "SELECT subject, count(*), sum(coalesce(duration, 0)) FROM events WHERE onset >= ? AND onset < ? AND source <> ? \
                   AND confirmed IS NOT NULL AND reason IS NOT 1 GROUP BY subject";
        let values = [from.as_millisecond().into(), until.as_millisecond().into(), made_up.into()];
        let rows =
            self.db.rows(sql, &values, |row| (row.int(0), (row.int(1).unsigned_abs(), row.int(2).max(0).unsigned_abs())))?;
        Ok(rows.into_iter().collect())
    }

    /// When each label was heard last before a time, whatever became of it.
    fn last_before(&self, from: Timestamp) -> Result<HashMap<i64, Timestamp>, DbError> {
        let sql = "SELECT max(onset) FROM named WHERE subject=? AND onset < ?";
        let mut last = HashMap::new();
        for subject in self.names.subjects.keys() {
            let found = self.db.number(sql, &[(*subject).into(), from.as_millisecond().into()])?;
            last.extend(found.map(|at| (*subject, from_milliseconds(at))));
        }
        Ok(last)
    }
}

/// A gap within a stretch of time.
fn within(gap: &Gap, from: Timestamp, until: Timestamp) -> (Timestamp, Timestamp) {
    (gap.from.max(from), gap.until.unwrap_or(until).min(until).max(from))
}

/// How long nothing at all could be heard.
fn unheard(gaps: &[Gap], from: Timestamp, until: Timestamp) -> SignedDuration {
    let mut spans: Vec<_> = gaps.iter().filter(|gap| gap.source.is_none()).map(|gap| within(gap, from, until)).collect();
    spans.sort_unstable();
    let (mut sum, mut heard_from) = (SignedDuration::ZERO, from);
    for (begins, ends) in spans {
        if ends > heard_from {
            sum += ends.duration_since(begins.max(heard_from));
            heard_from = ends;
        }
    }
    sum
}

/// The gaps of a stretch by source and reason.
fn summed(gaps: &[Gap], from: Timestamp, until: Timestamp) -> Vec<Unheard> {
    let mut sums: BTreeMap<(Option<String>, &'static str), u64> = BTreeMap::new();
    for gap in gaps {
        let (begins, ends) = within(gap, from, until);
        let ms = u64::try_from(ends.as_millisecond() - begins.as_millisecond()).unwrap_or(0);
        *sums.entry((gap.source.as_deref().map(str::to_owned), gap.why.name())).or_default() += ms;
    }
    let of = |((source, kind), duration_ms): ((Option<String>, &'static str), u64)| Unheard {
        source,
        kind: kind.to_owned(),
        duration_ms,
    };
    sums.into_iter().filter(|(_, ms)| *ms > 0).map(of).collect()
}

#[cfg(test)]
mod tests;
