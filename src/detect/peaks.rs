//! The peaks of the two curves of every label, reported or not, from which `mimid tune --background` chooses thresholds.
//!
//! A peak of the confirmed curve has the evidence that an event would have; a peak of the causal curve, as far as it rises above
//! the label's background, decides whether the event would be announced. Peaks are numbers alone, from which no sound can be made.

use std::sync::Arc;

use super::boundaries::BoundaryRefiner;
use super::evidence::{EvidenceOf, SegmentEvidence};
use super::rule_detector::CurveTime;
use super::scoring::{CurveBank, Scoring};
use super::segments::{Segment, SegmentFinder, SegmentUpdate};

/// The lowest peak that is kept: no threshold is as low, and there are very many lower peaks.
pub(crate) const FLOOR: f32 = 2e-3;

/// The lowest evidence of a segment whose boundaries, and with them its signal-to-noise ratio, are refined.
const REFINED: f32 = 0.02;

/// The two curves of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CurveKind {
    /// The confirmed scores, which decide whether there was an event.
    Confirmed,
    /// The causal scores, which announce events.
    Causal,
}

/// A peak of a label's curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ScorePeak {
    /// The label, by its index among the model's outputs.
    pub label: usize,
    /// The curve.
    pub kind: CurveKind,
    /// The place of the peak, as a sample index.
    pub at: u64,
    /// The score at the peak, 0…1.
    pub score: f32,
}

/// Finds the peaks of every label's curves, hop by hop.
#[derive(Debug)]
pub(crate) struct PeakFinder {
    scoring: Arc<Scoring>,
    bank: CurveBank,
    evidence: EvidenceOf,
    labels: Vec<LabelPeaks>,
    found: Vec<ScorePeak>,
    /// The sample index at which value 0 of the curves begins.
    base: u64,
}

/// The two curves of one label.
#[derive(Debug, Clone)]
struct LabelPeaks {
    confirmed: CurvePeaks,
    evidence: SegmentEvidence,
    causal: CurvePeaks,
}

/// The segment finder of one curve, and the peak of the segment that goes on.
#[derive(Debug, Clone)]
struct CurvePeaks {
    finder: SegmentFinder,
    n_values: u64,
    at: u64,
    /// The highest value of the segment that goes on; 0 between two segments.
    peak: f32,
}

impl PeakFinder {
    /// A finder for `n_labels` labels; the next window ends a hop after the sample index `base`.
    pub fn new(scoring: Arc<Scoring>, n_labels: usize, base: u64, sample_rate_hz: u32) -> Self {
        let bank = CurveBank::new(&scoring, n_labels);
        let evidence = EvidenceOf::new(&scoring, n_labels, sample_rate_hz);
        Self { bank, evidence, labels: vec![LabelPeaks::new(&scoring); n_labels], found: Vec::new(), base, scoring }
    }

    /// Takes the scores of the windows that end at the next hop, `[windows, labels]`, as far as `is_fresh` says that they were
    /// scored.
    pub fn push(&mut self, scores: &[f32], is_fresh: &[bool], refiner: Option<&BoundaryRefiner>) {
        let n_labels = self.labels.len();
        let time = CurveTime { base: self.base, hop: self.scoring.hop_samples() };
        self.bank.push(&self.scoring, is_fresh, |window, row| row.copy_from_slice(&scores[window * n_labels..][..n_labels]));
        self.evidence.push(self.bank.causal());
        for (label, row) in self.labels.iter_mut().enumerate() {
            let causal = row.causal.push(self.evidence.rises(label, self.bank.causal()[label]));
            let confirmed = self.bank.confirmed().map(|values| row.confirmed.push(values[label]));
            let peaks = [(CurveKind::Causal, causal), (CurveKind::Confirmed, confirmed.unwrap_or_default())];
            for (kind, (at, update)) in peaks {
                if let Some(segment) = update.closed {
                    self.found.extend(row.peak(label, kind, (at, segment), &self.evidence, time, refiner));
                }
                if let (CurveKind::Confirmed, Some(open)) = (kind, update.open) {
                    row.evidence.follow(&self.evidence, label, &open);
                }
            }
        }
    }

    /// Ends every curve; the next window ends a hop after the sample index `base`.
    pub fn finish(&mut self, base: u64, refiner: Option<&BoundaryRefiner>) {
        let time = CurveTime { base: self.base, hop: self.scoring.hop_samples() };
        for (label, row) in self.labels.iter_mut().enumerate() {
            for (kind, last) in [(CurveKind::Causal, row.causal.finish()), (CurveKind::Confirmed, row.confirmed.finish())] {
                let peak = last.and_then(|last| row.peak(label, kind, last, &self.evidence, time, refiner));
                self.found.extend(peak);
            }
            *row = LabelPeaks::new(&self.scoring);
        }
        self.bank.reset();
        self.evidence.reset();
        self.base = base;
    }

    /// Takes the peaks that were found since the last call.
    pub fn take(&mut self) -> impl Iterator<Item = ScorePeak> {
        self.found.drain(..)
    }
}

impl LabelPeaks {
    fn new(scoring: &Scoring) -> Self {
        let summit =
            CurvePeaks { finder: SegmentFinder::new(scoring.extent(), scoring.valley(), 0.0), n_values: 0, at: 0, peak: 0.0 };
        Self { confirmed: summit.clone(), evidence: SegmentEvidence::default(), causal: summit }
    }

    /// The peak of a segment that has ended, with its place in values of the curve; `None` where it is too low to be kept.
    fn peak(
        &mut self,
        label: usize,
        kind: CurveKind,
        (at, segment): (u64, Segment),
        evidence: &EvidenceOf,
        time: CurveTime,
        refiner: Option<&BoundaryRefiner>,
    ) -> Option<ScorePeak> {
        let score = match kind {
            CurveKind::Causal => segment.peak,
            CurveKind::Confirmed => {
                let mut parts = self.evidence.close(evidence, label, &segment);
                if evidence.at_most(&parts) >= REFINED {
                    parts.snr_db = time.refine(&segment, &self.confirmed.finder, refiner).snr_db;
                }
                evidence.of(&parts)
            }
        };
        (score >= FLOOR).then_some(ScorePeak { label, kind, at: time.sample(at), score })
    }
}

impl CurvePeaks {
    /// Takes the next value. Returns the segments that it changes, and the place of the peak of the one that it ends, in values.
    fn push(&mut self, value: f32) -> (u64, SegmentUpdate) {
        let found = self.finder.push(value);
        let at = self.at;
        let before = if found.closed.is_some() { 0.0 } else { self.peak };
        self.peak = found.open.map_or(0.0, |segment| segment.peak);
        if self.peak > before {
            self.at = self.n_values;
        }
        self.n_values += 1;
        (at, found)
    }

    fn finish(&mut self) -> Option<(u64, Segment)> {
        let at = self.at;
        self.finder.finish().map(|segment| (at, segment))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::manifest::Detection;

    const HOP: u64 = 100;
    const WINDOW_HOPS: usize = 10;

    /// A window of 1 s, scored ten times a second, at 1 kHz.
    fn scoring() -> Arc<Scoring> {
        let detection = Detection::of_tests();
        Arc::new(Scoring::new(&detection, 1_000))
    }

    /// The scores of windows, each as high as the strongest hop of a sound in it: (first hop, hop after the last, strength).
    fn scores(sounds: &[(usize, usize, f32)], n_hops: usize) -> Vec<f32> {
        let strength = |hop: usize| {
            sounds.iter().filter(|(from, to, _)| (*from..*to).contains(&hop)).map(|sound| sound.2).fold(1e-4, f32::max)
        };
        (0..n_hops).map(|end| ((end + 1).saturating_sub(WINDOW_HOPS)..=end).map(strength).fold(0.0, f32::max)).collect()
    }

    /// The peaks of one label beside a silent one, taken after every `chunk` hops.
    fn peaks(scores: &[f32], base: u64, chunk: usize) -> Vec<ScorePeak> {
        let (mut peaks, mut found) = (PeakFinder::new(scoring(), 2, base, 1_000), Vec::new());
        for hops in scores.chunks(chunk) {
            hops.iter().for_each(|score| peaks.push(&[1e-4, *score], &[true], None));
            found.extend(peaks.take());
        }
        peaks.finish(0, None);
        found.extend(peaks.take());
        found
    }

    fn of(kind: CurveKind, peaks: &[ScorePeak]) -> Vec<(u64, f32)> {
        peaks.iter().filter(|peak| peak.kind == kind).map(|peak| (peak.at, (peak.score * 1e3).round() / 1e3)).collect()
    }

    /// Whether each peak lies in the sound from hop 30 to 34, and how high it is.
    fn hops(kind: CurveKind, peaks: &[ScorePeak], base: u64) -> Vec<(bool, f32)> {
        let is_there = |at: u64| (base + 30 * HOP..=base + 34 * HOP).contains(&at);
        of(kind, peaks).into_iter().map(|(at, score)| (is_there(at), score)).collect()
    }

    #[test]
    fn a_sound_is_a_peak_of_both_curves_where_it_is() {
        let found = peaks(&scores(&[(30, 34, 0.6)], 100), 0, 7);
        assert!(found.iter().all(|peak| peak.label == 1), "{found:?}");
        // The causal curve is high from the onset on, the confirmed one while the sound lasts.
        assert_eq!(of(CurveKind::Causal, &found), [(30 * HOP, 0.6)]);
        assert_eq!(hops(CurveKind::Confirmed, &found, 0), [(true, 0.6)]);
    }

    #[test]
    fn two_sounds_are_two_peaks_and_what_is_below_the_floor_is_none() {
        let found = peaks(&scores(&[(20, 24, 0.6), (60, 64, 0.3), (120, 124, 0.9 * FLOOR)], 200), 5_000, 200);
        assert_eq!(of(CurveKind::Confirmed, &found).iter().map(|(_, score)| *score).collect::<Vec<_>>(), [0.6, 0.3]);
        assert_eq!(of(CurveKind::Causal, &found), [(5_000 + 20 * HOP, 0.6), (5_000 + 60 * HOP, 0.3)]);
    }

    #[test]
    fn a_sound_that_goes_on_to_the_end_is_a_peak_and_the_next_begins_anew() {
        let scoring = scoring();
        let mut peaks = PeakFinder::new(scoring, 1, 0, 1_000);
        scores(&[(30, 50, 0.6)], 50).iter().for_each(|score| peaks.push(&[*score], &[true], None));
        assert_eq!(peaks.take().count(), 0);
        peaks.finish(9_000, None);
        assert_eq!(hops(CurveKind::Confirmed, &peaks.take().collect::<Vec<_>>(), 0), [(true, 0.6)]);
        scores(&[(30, 34, 0.5)], 100).iter().for_each(|score| peaks.push(&[*score], &[true], None));
        assert_eq!(hops(CurveKind::Confirmed, &peaks.take().collect::<Vec<_>>(), 9_000), [(true, 0.5)]);
    }

    proptest! {
        #[test]
        fn when_they_are_taken_changes_nothing_and_the_highest_is_the_curves(
            steps in prop::collection::vec(-2.0f32..2.0, 1..300), chunk in 1usize..50,
        ) {
            let mut level = -5.0f32;
            let scores: Vec<f32> = steps.iter().map(|step| { level = (level + step).clamp(-9.0, -0.01); level.exp() }).collect();
            let (whole, parts) = (peaks(&scores, 0, scores.len()), peaks(&scores, 0, chunk));
            prop_assert_eq!(&whole, &parts);
            let highest = scores.iter().copied().fold(0.0, f32::max);
            let found = of(CurveKind::Causal, &whole).into_iter().map(|(_, score)| score).fold(0.0, f32::max);
            // A curve that never falls has no peak until it ends, and the first value can be no rise.
            if highest >= 2.0 * FLOOR && scores[0] < 0.3 * highest {
                prop_assert!((found - highest).abs() < 2e-3, "{found} {highest}");
            }
            for kind in [CurveKind::Causal, CurveKind::Confirmed] {
                prop_assert!(of(kind, &whole).is_sorted_by(|a, b| a.0 < b.0));
            }
        }
    }
}
