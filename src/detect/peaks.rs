//! The peaks of every label's curves, whatever is reported: what `mimid tune --background` counts.
//!
//! A peak of the two-sided curve is the score that an event would have, a peak of the causal curve what would announce one. Peaks
//! are numbers only; no sound can be made of them.

use std::sync::Arc;

use super::boxes::Boxes;
use super::scoring::{Curve, Scoring};

/// Lower peaks are not kept: no threshold that anybody sets is as low, and there are very many.
pub const FLOOR: f32 = 2e-3;

/// Which of a label's curves a peak is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The curve that looks at every moment from both sides, and decides whether there was an event.
    TwoSided,
    /// The curve that is known at once, and announces events.
    Causal,
}

/// A peak of a label's curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// The label, by its index among the model's outputs.
    pub label: usize,
    /// Which of its curves.
    pub kind: Kind,
    /// Where the curve is highest, as a sample index.
    pub at: u64,
    /// How high, 0…1.
    pub score: f32,
}

/// Finds the peaks of every label's curves as they come.
#[derive(Debug)]
pub struct Peaks {
    scoring: Arc<Scoring>,
    labels: Vec<Row>,
    found: Vec<Peak>,
    /// Where value 0 of the curves begins, as a sample index.
    base: u64,
}

/// The way of one label from scores to peaks.
#[derive(Debug, Clone)]
struct Row {
    curve: Curve,
    two_sided: Summit,
    causal: Summit,
}

/// The boxes of one curve, and where the peak of the one that goes on lies.
#[derive(Debug, Clone)]
struct Summit {
    boxes: Boxes,
    n_values: u64,
    at: u64,
}

impl Peaks {
    /// No peaks yet, of `n_labels` labels; the next window ends a hop after the sample index `base`.
    pub fn new(scoring: Arc<Scoring>, n_labels: usize, base: u64) -> Self {
        Self { labels: vec![Row::new(&scoring); n_labels], found: Vec::new(), base, scoring }
    }

    /// Takes the scores of the windows that end at the next hop, `[windows, labels]`.
    pub fn push(&mut self, scores: &[f32]) {
        let n_labels = self.labels.len();
        let hop = self.scoring.hop_samples();
        for (label, row) in self.labels.iter_mut().enumerate() {
            let (causal, two_sided) = row.curve.push(&self.scoring, scores.chunks_exact(n_labels).map(|scores| scores[label]));
            let peaks = [(Kind::Causal, row.causal.push(causal)), (Kind::TwoSided, two_sided.and_then(|value| row.two_sided.push(value)))];
            for (kind, peak) in peaks {
                if let Some((at, score)) = peak {
                    self.found.push(Peak { label, kind, at: self.base + at * hop, score });
                }
            }
        }
    }

    /// Ends every curve; the next window ends a hop after the sample index `base`.
    pub fn finish(&mut self, base: u64) {
        let hop = self.scoring.hop_samples();
        for (label, row) in self.labels.iter_mut().enumerate() {
            for (kind, peak) in [(Kind::Causal, row.causal.finish()), (Kind::TwoSided, row.two_sided.finish())] {
                if let Some((at, score)) = peak {
                    self.found.push(Peak { label, kind, at: self.base + at * hop, score });
                }
            }
            *row = Row::new(&self.scoring);
        }
        self.base = base;
    }

    /// The peaks since they were last taken.
    pub fn take(&mut self) -> impl Iterator<Item = Peak> {
        self.found.drain(..)
    }
}

impl Row {
    fn new(scoring: &Scoring) -> Self {
        let summit = Summit { boxes: Boxes::new(scoring.extent(), scoring.valley(), 0.0), n_values: 0, at: 0 };
        Self { curve: Curve::new(scoring), two_sided: summit.clone(), causal: summit }
    }
}

impl Summit {
    /// Takes the next value; where a box ended with it, gives where its peak lies, in values of the curve, and how high it is.
    fn push(&mut self, value: f32) -> Option<(u64, f32)> {
        let found = self.boxes.push(value);
        let ended = found.closed.map(|stretch| (self.at, stretch.peak));
        if found.open.is_some_and(|stretch| stretch.peak == value) {
            self.at = self.n_values;
        }
        self.n_values += 1;
        ended.filter(|(_, score)| *score >= FLOOR)
    }

    fn finish(&mut self) -> Option<(u64, f32)> {
        let at = self.at;
        self.boxes.finish().map(|stretch| (at, stretch.peak)).filter(|(_, score)| *score >= FLOOR)
    }
}
