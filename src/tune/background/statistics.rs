//! What is kept of hours of background: for each label and curve how often it rose how high, and when the strongest were.
//!
//! Peaks of one curve that follow each other within seconds are one alarm: nobody is woken twice by them. What is kept of an alarm
//! is a count and, of the strongest, score and time; its size is bounded whatever is heard, and no sound can be made of it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::detect::peaks::{CurveKind, FLOOR};

/// Peaks with less time between them are one alarm, in milliseconds …
pub const GAP_MS: i64 = 5_000;
/// … unless it lasts longer than this: what goes on and on is many alarms.
pub const LONGEST_MS: i64 = 30_000;
/// So many of the strongest alarms of each curve are kept with their times.
pub const STRONGEST: usize = 20;
/// The width of a histogram's bin, in log-odds.
pub const BIN: f32 = 0.1;
/// How many bins there are: the last one takes everything above, which is as good as 1.
pub const N_BINS: usize = 160;

/// The logarithm of a score's odds, which tells 0.9 from 0.99 as well as 0.1 from 0.01.
pub fn log_odds(score: f32) -> f32 {
    let score = score.clamp(1e-6, 1.0 - 1e-6);
    (score / (1.0 - score)).ln()
}

/// The score of these log-odds.
pub fn score_of(log_odds: f32) -> f32 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// The bin that a score belongs to.
fn bin(score: f32) -> usize {
    let above = (log_odds(score) - log_odds(FLOOR)) / BIN;
    (above.max(0.0) as usize).min(N_BINS - 1)
}

/// Where something was heard.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// In the recording with this path.
    Recording(Arc<str>),
    /// On the daemon's source with this name.
    Source(Arc<str>),
}

/// When and where something was heard.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Moment {
    /// Where.
    pub place: Place,
    /// Milliseconds from the recording's beginning, or since 1970 for a source.
    pub at_ms: i64,
}

/// The highest peak of some that are near to each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    /// How high, 0…1.
    pub score: f32,
    /// When and where.
    pub moment: Moment,
}

impl Alarm {
    /// The strongest first; of equals the one that a name or a clock puts first, so that it does not matter which came first.
    fn order(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then_with(|| self.moment.cmp(&other.moment))
    }
}

/// The alarms of one curve of one label.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// How many rose how high, by bins from the floor on; what is behind the last is nothing.
    pub counts: Vec<u32>,
    /// The strongest, the first of all first.
    pub strongest: Vec<Alarm>,
}

impl Record {
    /// How many alarms there were above the floor.
    pub fn n_alarms(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    /// How many alarms reached `score`; beyond the strongest to within a bin, rather more than fewer.
    pub fn n_reaching(&self, score: f32) -> u64 {
        let weakest = self.strongest.last().filter(|_| self.strongest.len() == STRONGEST);
        match weakest {
            Some(weakest) if weakest.score >= score => self.counts.iter().skip(bin(score)).map(|count| u64::from(*count)).sum(),
            _ => self.strongest.iter().filter(|alarm| alarm.score >= score).count() as u64,
        }
    }

    fn add(&mut self, alarm: Alarm) {
        self.count(bin(alarm.score), 1);
        let at = self.strongest.partition_point(|other| other.order(&alarm) == Ordering::Less);
        if at < STRONGEST {
            self.strongest.insert(at, alarm);
            self.strongest.truncate(STRONGEST);
        }
    }

    fn count(&mut self, bin: usize, n: u32) {
        if self.counts.len() <= bin {
            self.counts.resize(bin + 1, 0);
        }
        self.counts[bin] = self.counts[bin].saturating_add(n);
    }

    /// Takes what another stretch of background had of the same curve.
    pub fn merge(&mut self, other: &Record) {
        for (bin, count) in other.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            self.count(bin, *count);
        }
        self.strongest.extend_from_slice(&other.strongest);
        self.strongest.sort_by(Alarm::order);
        self.strongest.truncate(STRONGEST);
    }
}

/// A curve of a label: the label's index among the model's outputs, and which curve.
pub type Key = (usize, CurveKind);

/// What is kept of the hours heard.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    /// Each curve that ever rose above the floor.
    pub records: BTreeMap<Key, Record>,
    /// For how long was heard, in milliseconds.
    pub heard_ms: u64,
    /// The recordings that have been heard whole, so that none counts twice.
    pub recordings: BTreeSet<String>,
}

impl Statistics {
    /// The hours heard.
    pub fn hours(&self) -> f64 {
        self.heard_ms as f64 / 3_600_000.0
    }

    /// What one curve did, or what the curves of several labels did together, as a group of them does.
    pub fn record(&self, labels: &[usize], kind: CurveKind) -> Record {
        let mut record = Record::default();
        for label in labels {
            if let Some(own) = self.records.get(&(*label, kind)) {
                record.merge(own);
            }
        }
        record
    }

    /// Takes what another stretch of background brought.
    pub fn merge(&mut self, other: &Statistics) {
        for (key, record) in &other.records {
            self.records.entry(*key).or_default().merge(record);
        }
        self.heard_ms += other.heard_ms;
        self.recordings.extend(other.recordings.iter().cloned());
    }
}

/// Makes statistics of peaks as they come; those of one curve come in the order of time.
#[derive(Debug, Clone, Default)]
pub struct Gatherer {
    statistics: Statistics,
    /// The alarms that may go on.
    open: HashMap<(Key, Place), Cluster>,
}

#[derive(Debug, Clone)]
struct Cluster {
    began_ms: i64,
    last_ms: i64,
    strongest: Alarm,
}

impl Gatherer {
    /// Goes on from what was gathered before.
    pub fn new(statistics: Statistics) -> Self {
        Self { statistics, open: HashMap::new() }
    }

    /// Takes a peak.
    pub fn peak(&mut self, key: Key, score: f32, moment: Moment) {
        let at_ms = moment.at_ms;
        let alarm = Alarm { score, moment };
        let place = alarm.moment.place.clone();
        let cluster = self.open.entry((key, place)).or_insert_with(|| Cluster {
            began_ms: at_ms,
            last_ms: at_ms,
            strongest: alarm.clone(),
        });
        if at_ms - cluster.last_ms < GAP_MS && at_ms - cluster.began_ms < LONGEST_MS {
            cluster.last_ms = cluster.last_ms.max(at_ms);
            if alarm.order(&cluster.strongest) == Ordering::Less {
                cluster.strongest = alarm;
            }
        } else {
            let next = Cluster { began_ms: at_ms, last_ms: at_ms, strongest: alarm };
            let ended = std::mem::replace(cluster, next);
            self.statistics.records.entry(key).or_default().add(ended.strongest);
        }
    }

    /// What has been counted so far, without the alarms that may go on.
    pub fn so_far(&self) -> &Statistics {
        &self.statistics
    }

    /// So much was heard.
    pub fn heard(&mut self, milliseconds: u64) {
        self.statistics.heard_ms += milliseconds;
    }

    /// The statistics so far, as if it ended here.
    pub fn statistics(&self) -> Statistics {
        self.clone().finish()
    }

    /// Ends every alarm.
    pub fn finish(mut self) -> Statistics {
        for ((key, _), cluster) in self.open {
            self.statistics.records.entry(key).or_default().add(cluster.strongest);
        }
        self.statistics
    }
}

#[cfg(test)]
mod tests;
