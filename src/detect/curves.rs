//! The score curve of every label, as the trackers see it: each box with its edges and its peak.
//!
//! For `mimid scan --scores` only; it keeps the boxes of a whole recording, which are few, and paints them on a grid at the end.

use std::sync::Arc;

use super::boundaries::BoundaryRefiner;
use super::refine;
use super::scoring::{CurveBank, Scoring};
use super::segments::{FLOOR, Segment, SegmentFinder};

/// SegmentFinder with a lower peak keep their coarse edges.
const REFINED: f32 = 2e-3;

/// A pause up to this length between two boxes of a label is bridged at the lower of their scores, as hangover bridges it in a
/// tracker, in milliseconds.
const PAUSE_MS: u64 = 600;

/// The curves of every label.
#[derive(Debug)]
pub struct Curves {
    scoring: Arc<Scoring>,
    bank: CurveBank,
    labels: Vec<LabelCurve>,
    spans: Vec<ScoredSpan>,
    base: u64,
    pause: u64,
}

/// The way of one label from its curve to boxes.
#[derive(Debug, Clone)]
struct LabelCurve {
    finder: SegmentFinder,
    /// The box before this one.
    last: Option<ScoredSpan>,
}

/// A box of a label's curve; times are sample indices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoredSpan {
    /// The label, by its index among the model's outputs.
    pub label: usize,
    /// Where it begins.
    pub onset: u64,
    /// Where it ends.
    pub offset: u64,
    /// The score over all of it, 0…1.
    pub score: f32,
}

impl Curves {
    /// Empty curves of `n_labels` labels.
    pub fn new(scoring: Arc<Scoring>, n_labels: usize, sample_rate_hz: u32) -> Self {
        let pause = PAUSE_MS * u64::from(sample_rate_hz) / 1_000;
        let bank = CurveBank::new(&scoring, n_labels);
        Self { bank, labels: vec![LabelCurve::new(&scoring); n_labels], spans: Vec::new(), base: 0, scoring, pause }
    }

    /// Takes the scores of the windows that end at the next hop, `[windows, labels]`, as far as `is_fresh` says.
    pub fn push(&mut self, scores: &[f32], is_fresh: &[bool], refiner: Option<&BoundaryRefiner>) {
        let n_labels = self.labels.len();
        self.bank.push(&self.scoring, is_fresh, |window, row| row.copy_from_slice(&scores[window * n_labels..][..n_labels]));
        for label in 0..n_labels {
            let Some(value) = self.bank.confirmed().map(|values| values[label]) else { return };
            if let Some(segment) = self.labels[label].finder.push(value).closed {
                self.add(label, segment, refiner);
            }
        }
    }

    /// Ends every box that goes on; the next window ends a hop after the sample index `base`.
    pub fn finish(&mut self, base: u64, refiner: Option<&BoundaryRefiner>) {
        for label in 0..self.labels.len() {
            if let Some(segment) = self.labels[label].finder.finish() {
                self.add(label, segment, refiner);
            }
            self.labels[label] = LabelCurve::new(&self.scoring);
        }
        self.bank.reset();
        self.base = base;
    }

    /// The boxes so far.
    pub fn spans(&self) -> &[ScoredSpan] {
        &self.spans
    }

    fn add(&mut self, label: usize, segment: Segment, refiner: Option<&BoundaryRefiner>) {
        if segment.peak < FLOOR {
            return;
        }
        let row = &mut self.labels[label];
        // The edges of what is hardly there matter to nobody, and there is much of it.
        let refiner = refiner.filter(|_| segment.peak >= REFINED);
        let bounds = refine(&segment, &row.finder, self.base, self.scoring.hop_samples(), refiner);
        let new = ScoredSpan { label, onset: bounds.onset.at, offset: bounds.offset.at, score: segment.peak };
        if let Some(last) = row.last.replace(new)
            && last.offset < new.onset
            && new.onset - last.offset <= self.pause
        {
            self.spans.push(ScoredSpan { label, onset: last.offset, offset: new.onset, score: last.score.min(new.score) });
        }
        self.spans.push(new);
    }
}

impl LabelCurve {
    fn new(scoring: &Scoring) -> Self {
        Self { finder: SegmentFinder::new(scoring.extent(), scoring.valley(), 0.0), last: None }
    }
}
