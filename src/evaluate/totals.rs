//! Sums of tallies over recordings, the measures that follow from them, and their bootstrap intervals.

use super::bootstrap::{Draws, quantile};
use super::matching::Counts;
use super::tally::{ByFigure, ERROR_RULES, ErrorRule, Errors, FIGURES, Figure, Tally};

/// The labels over which a measure is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// One label.
    Label(usize),
    /// The mean over the labels that have true events.
    Macro,
    /// All labels' counts together.
    Micro,
}

/// The sums of some recordings.
#[derive(Debug, Clone, PartialEq)]
pub struct Totals {
    /// The counts of each label.
    pub labels: Vec<ByFigure>,
    /// The errors by each of [`ERROR_RULES`].
    pub errors: [Errors; ERROR_RULES.len()],
    /// The length of all recordings in seconds.
    pub seconds: f64,
}

impl Totals {
    /// The sums of nothing.
    pub fn empty(n_labels: usize) -> Self {
        Self { labels: vec![ByFigure::default(); n_labels], errors: Default::default(), seconds: 0.0 }
    }

    /// The sums of these recordings, each as many times as `times` says.
    pub fn of<'a>(tallies: impl Iterator<Item = (&'a Tally, u16)>, n_labels: usize) -> Self {
        let mut totals = Self::empty(n_labels);
        tallies.filter(|(_, times)| *times > 0).for_each(|(tally, times)| totals.add(tally, times));
        totals
    }

    fn add(&mut self, tally: &Tally, times: u16) {
        for (label, counts) in &tally.labels {
            for (total, counts) in self.labels[*label].iter_mut().zip(counts) {
                *total = *total + *counts * times;
            }
        }
        for (total, errors) in self.errors.iter_mut().zip(&tally.errors) {
            *total = *total + *errors * times;
        }
        self.seconds += tally.lasts_s * f64::from(times);
    }

    /// The counts of a label, or of all labels together. [`Scope::Macro`] has the same as [`Scope::Micro`].
    pub fn counts(&self, figure: Figure, scope: Scope) -> Counts {
        match scope {
            Scope::Label(label) => self.labels[label][figure as usize],
            Scope::Macro | Scope::Micro => self.labels.iter().map(|counts| counts[figure as usize]).sum(),
        }
    }

    /// A measure of the counts. `None` where there is no true event.
    pub fn measure(&self, figure: Figure, scope: Scope, of: fn(Counts) -> f64) -> Option<f64> {
        let has_truth = |counts: &Counts| counts.hits + counts.missed > 0;
        match scope {
            Scope::Macro => {
                let each = self.labels.iter().map(|counts| counts[figure as usize]).filter(has_truth);
                let (sum, n) = each.fold((0.0, 0u32), |(sum, n), counts| (sum + of(counts), n + 1));
                (n > 0).then(|| sum / f64::from(n))
            }
            scope => Some(self.counts(figure, scope)).filter(has_truth).map(of),
        }
    }

    /// The F1.
    pub fn f1(&self, figure: Figure, scope: Scope) -> Option<f64> {
        self.measure(figure, scope, Counts::f1)
    }

    /// The errors over all labels.
    pub fn errors(&self, rule: ErrorRule) -> Errors {
        self.errors[rule as usize]
    }

    /// The error rate over all labels. `None` where there is no true event.
    pub fn error_rate(&self, rule: ErrorRule) -> Option<f64> {
        let Errors { n_true, substitutions, deletions, insertions } = self.errors(rule);
        (n_true > 0).then(|| f64::from(substitutions + deletions + insertions) / f64::from(n_true))
    }

    /// The heard events that overlap no true event of their label, an hour of all recordings. `None` where they have no length.
    pub fn false_alarms_per_hour(&self, scope: Scope) -> Option<f64> {
        let count = self.counts(Figure::Overlap, scope).false_alarms;
        (self.seconds > 0.0).then(|| f64::from(count) * 3_600.0 / self.seconds)
    }
}

/// A value with the bounds between which it lies for 95 of 100 sets of such recordings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The value over all recordings.
    pub value: f64,
    /// The bounds; `None` of fewer than two recordings.
    pub bounds: Option<[f64; 2]>,
}

impl Estimate {
    /// The estimate from the value and those of the replicates.
    pub fn new(value: f64, replicates: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = replicates.collect();
        let bounds = (!values.is_empty()).then(|| [quantile(&mut values, 0.025), quantile(&mut values, 0.975)]);
        Self { value, bounds }
    }
}

/// The replicates of the recordings; none where there are fewer than two recordings.
pub fn draws(n_recordings: usize) -> Option<Draws> {
    (n_recordings > 1).then(|| Draws::new(n_recordings))
}

/// The sums of all recordings, and of each replicate.
#[derive(Debug, Clone, PartialEq)]
pub struct Resampled {
    /// The sums of all recordings.
    pub whole: Totals,
    /// Those of each replicate; none where there are fewer than two recordings.
    pub replicates: Vec<Totals>,
}

impl Resampled {
    /// Sums these recordings.
    pub fn new(tallies: &[Tally], n_labels: usize, draws: Option<&Draws>) -> Self {
        let once = tallies.iter().map(|tally| (tally, 1));
        let drawn = |times: &[u16]| Totals::of(tallies.iter().zip(times.iter().copied()), n_labels);
        let replicates = draws.map(|draws| draws.replicates().map(drawn).collect()).unwrap_or_default();
        Self { whole: Totals::of(once, n_labels), replicates }
    }

    /// The estimate of a measure; `None` where all recordings together have none.
    pub fn estimate(&self, measure: impl Fn(&Totals) -> Option<f64>) -> Option<Estimate> {
        Some(Estimate::new(measure(&self.whole)?, self.replicates.iter().filter_map(measure)))
    }
}

const _: () = {
    // The discriminants are the indices.
    let mut at = 0;
    while at < FIGURES.len() {
        assert!(FIGURES[at] as usize == at);
        at += 1;
    }
    let mut at = 0;
    while at < ERROR_RULES.len() {
        assert!(ERROR_RULES[at] as usize == at);
        at += 1;
    }
};
