//! The statistics of hours of background: for each label and curve of scores, a histogram of the peaks and the strongest of them.
//!
//! Peaks of one curve that follow each other within seconds are one alarm, because they alarm a user only once. An alarm adds one
//! to the histogram, and the strongest alarms are kept with score and time. The size is bounded however much is heard, and no
//! sound can be restored from it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::detect::peaks::{CurveKind, FLOOR};

/// The time between two peaks below which they are one alarm, in milliseconds.
pub const GAP_MS: i64 = 5_000;
/// The longest duration of one alarm, in milliseconds. A sound that goes on longer is several alarms.
pub const LONGEST_MS: i64 = 30_000;
/// The number of the strongest alarms of each curve that are kept with their times.
pub const STRONGEST: usize = 20;
/// The width of a histogram's bin, in log-odds.
pub const BIN: f32 = 0.1;
/// The number of bins. The last one takes all higher scores, which are nearly 1.
pub const N_BINS: usize = 160;

/// The log-odds of a score: a scale on which 0.9 and 0.99 are as far apart as 0.1 and 0.01.
pub fn log_odds(score: f32) -> f32 {
    let score = score.clamp(1e-6, 1.0 - 1e-6);
    (score / (1.0 - score)).ln()
}

/// The score of these log-odds.
pub fn score_of(log_odds: f32) -> f32 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// The bin of a score.
fn bin(score: f32) -> usize {
    let above = (log_odds(score) - log_odds(FLOOR)) / BIN;
    (above.max(0.0) as usize).min(N_BINS - 1)
}

/// The place of a sound.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// The recording with this path.
    Recording(Arc<str>),
    /// The daemon's source with this name.
    Source(Arc<str>),
}

/// The place and the time of a sound.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Moment {
    /// The place.
    pub place: Place,
    /// The time in milliseconds from the recording's beginning; for a source, since 1970.
    pub at_ms: i64,
}

/// An alarm: the highest of the peaks that count as one.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    /// The score of the peak, 0…1.
    pub score: f32,
    /// The place and the time of the peak.
    pub moment: Moment,
}

impl Alarm {
    /// The order of alarms: by score, the strongest first, then by place and time. So the order in which they were added does not
    /// matter.
    fn order(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then_with(|| self.moment.cmp(&other.moment))
    }
}

/// The alarms of one curve of one label.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// The number of alarms in each bin, from the floor on. Bins after the last one here are empty.
    pub counts: Vec<u32>,
    /// The strongest alarms, the strongest first.
    pub strongest: Vec<Alarm>,
}

impl Record {
    /// The number of alarms above the floor.
    pub fn n_alarms(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    /// The number of alarms that reached `score`. It is exact among the strongest alarms. Below them, all alarms of the bin of
    /// `score` are counted.
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

    /// Adds the alarms of the same curve in another stretch of background.
    pub fn merge(&mut self, other: &Record) {
        for (bin, count) in other.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            self.count(bin, *count);
        }
        self.strongest.extend_from_slice(&other.strongest);
        self.strongest.sort_by(Alarm::order);
        self.strongest.truncate(STRONGEST);
    }
}

/// A curve of a label: the label's index among the model's outputs, and the kind of the curve.
pub type Key = (usize, CurveKind);

/// The statistics of the hours heard.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    /// The record of each curve that ever rose above the floor.
    pub records: BTreeMap<Key, Record>,
    /// The time heard, in milliseconds.
    pub heard_ms: u64,
    /// The recordings that have been heard whole. They are remembered so that none counts twice.
    pub recordings: BTreeSet<String>,
}

impl Statistics {
    /// The time heard, in hours.
    pub fn hours(&self) -> f64 {
        self.heard_ms as f64 / 3_600_000.0
    }

    /// The record of one label's curve, or of the curves of several labels together, as for a group.
    pub fn record(&self, labels: &[usize], kind: CurveKind) -> Record {
        let mut record = Record::default();
        for label in labels {
            if let Some(own) = self.records.get(&(*label, kind)) {
                record.merge(own);
            }
        }
        record
    }

    /// Adds the statistics of another stretch of background.
    pub fn merge(&mut self, other: &Statistics) {
        for (key, record) in &other.records {
            self.records.entry(*key).or_default().merge(record);
        }
        self.heard_ms += other.heard_ms;
        self.recordings.extend(other.recordings.iter().cloned());
    }
}

/// Makes statistics of peaks as they come. The peaks of one curve in one place must come in the order of time.
#[derive(Debug, Clone, Default)]
pub struct Gatherer {
    statistics: Statistics,
    /// The alarms to which later peaks may still belong.
    open: HashMap<(Key, Place), Cluster>,
}

#[derive(Debug, Clone)]
struct Cluster {
    began_ms: i64,
    last_ms: i64,
    strongest: Alarm,
}

impl Gatherer {
    /// Goes on from earlier statistics.
    pub fn new(statistics: Statistics) -> Self {
        Self { statistics, open: HashMap::new() }
    }

    /// Adds a peak.
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

    /// The statistics so far, without the alarms to which later peaks may still belong.
    pub fn so_far(&self) -> &Statistics {
        &self.statistics
    }

    /// Adds to the time heard.
    pub fn heard(&mut self, milliseconds: u64) {
        self.statistics.heard_ms += milliseconds;
    }

    /// The statistics so far, as if all alarms ended now.
    pub fn statistics(&self) -> Statistics {
        self.clone().finish()
    }

    /// Ends every alarm, and returns the statistics.
    pub fn finish(mut self) -> Statistics {
        for ((key, _), cluster) in self.open {
            self.statistics.records.entry(key).or_default().add(cluster.strongest);
        }
        self.statistics
    }
}

#[cfg(test)]
mod tests;
