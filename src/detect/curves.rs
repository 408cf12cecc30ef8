//! The curve of confirmed scores of every label, as its segments with their refined boundaries and their evidence.
//!
//! It serves `mimid scan --scores` and `--segments` alone. The segments of a whole recording are few, so that all of them are kept and put on a
//! grid in the end.

use std::sync::Arc;

use super::boundaries::BoundaryRefiner;
use super::evidence::{EvidenceOf, EvidenceParts, SegmentEvidence};
use super::rule_detector::CurveTime;
use super::scoring::{CurveBank, Scoring};
use super::segments::{FLOOR, Segment, SegmentFinder};

/// The lowest peak of a segment whose boundaries are refined.
const REFINED: f32 = 2e-3;

/// The longest pause between two segments of a label that is filled with the lower of their scores, as the hangover of a tracker
/// bridges it, in milliseconds.
const PAUSE_MS: u64 = 600;

/// The segments of every label's curve.
#[derive(Debug)]
pub struct Curves {
    scoring: Arc<Scoring>,
    bank: CurveBank,
    evidence: EvidenceOf,
    labels: Vec<LabelCurve>,
    spans: Vec<ScoredSpan>,
    base: u64,
    pause: u64,
}

/// The segment finder of one label.
#[derive(Debug, Clone)]
struct LabelCurve {
    finder: SegmentFinder,
    evidence: SegmentEvidence,
    /// The segment before the one that goes on.
    last: Option<ScoredSpan>,
}

/// A segment of a label's curve, or a filled pause; times are sample indices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoredSpan {
    /// The label, by its index among the model's outputs.
    pub label: usize,
    /// The beginning.
    pub onset: u64,
    /// The end.
    pub offset: u64,
    /// The score from the beginning to the end, 0…1: the evidence.
    pub score: f32,
    /// The facts from which the evidence follows; `None` of a filled pause.
    pub(crate) parts: Option<EvidenceParts>,
}

impl Curves {
    /// The curves of `n_labels` labels, without a segment yet.
    pub fn new(scoring: Arc<Scoring>, n_labels: usize, sample_rate_hz: u32) -> Self {
        let pause = PAUSE_MS * u64::from(sample_rate_hz) / 1_000;
        let bank = CurveBank::new(&scoring, n_labels);
        let evidence = EvidenceOf::new(&scoring, n_labels, sample_rate_hz);
        Self { bank, evidence, labels: vec![LabelCurve::new(&scoring); n_labels], spans: Vec::new(), base: 0, scoring, pause }
    }

    /// Takes the scores of the windows that end at the next hop, `[windows, labels]`, as far as `is_fresh` says that they were
    /// scored.
    pub fn push(&mut self, scores: &[f32], is_fresh: &[bool], refiner: Option<&BoundaryRefiner>) {
        let n_labels = self.labels.len();
        self.bank.push(&self.scoring, is_fresh, |window, row| row.copy_from_slice(&scores[window * n_labels..][..n_labels]));
        self.evidence.push(self.bank.causal());
        for label in 0..n_labels {
            let Some(value) = self.bank.confirmed().map(|values| values[label]) else { return };
            let row = &mut self.labels[label];
            let update = row.finder.push(value);
            if let Some(segment) = update.closed {
                self.add(label, segment, refiner);
            }
            if let Some(open) = update.open {
                self.labels[label].evidence.follow(&self.evidence, label, &open);
            }
        }
    }

    /// Ends every segment that goes on; the next window ends a hop after the sample index `base`.
    pub fn finish(&mut self, base: u64, refiner: Option<&BoundaryRefiner>) {
        for label in 0..self.labels.len() {
            if let Some(segment) = self.labels[label].finder.finish() {
                self.add(label, segment, refiner);
            }
            self.labels[label] = LabelCurve::new(&self.scoring);
        }
        self.bank.reset();
        self.evidence.reset();
        self.base = base;
    }

    /// The segments so far, in the order of their ends.
    pub fn spans(&self) -> &[ScoredSpan] {
        &self.spans
    }

    fn add(&mut self, label: usize, segment: Segment, refiner: Option<&BoundaryRefiner>) {
        let row = &mut self.labels[label];
        let mut parts = row.evidence.close(&self.evidence, label, &segment);
        if segment.peak < FLOOR {
            return;
        }
        // The boundaries of very low peaks matter to nobody, and there are many of them.
        let refiner = refiner.filter(|_| segment.peak >= REFINED);
        let time = CurveTime { base: self.base, hop: self.scoring.hop_samples() };
        let bounds = time.refine(&segment, &row.finder, refiner);
        parts.snr_db = bounds.snr_db;
        let score = self.evidence.of(&parts);
        let new = ScoredSpan { label, onset: bounds.onset.at, offset: bounds.offset.at, score, parts: Some(parts) };
        if let Some(last) = row.last.replace(new)
            && last.offset < new.onset
            && new.onset - last.offset <= self.pause
        {
            let score = last.score.min(new.score);
            self.spans.push(ScoredSpan { label, onset: last.offset, offset: new.onset, score, parts: None });
        }
        self.spans.push(new);
    }
}

impl LabelCurve {
    fn new(scoring: &Scoring) -> Self {
        Self {
            finder: SegmentFinder::new(scoring.extent(), scoring.valley(), 0.0),
            evidence: SegmentEvidence::default(),
            last: None,
        }
    }
}
