//! One rule's way from its curve of scores to the steps of its events: the segment finder, the tracker, and between them the
//! places of segments in time.

use super::SoundMeasures;
use super::boundaries::{Boundary, BoundaryRefiner, CoarseSegment, SegmentBounds};
use super::evidence::{EvidenceOf, SegmentEvidence};
use super::rule::Rule;
use super::scoring::Scoring;
use super::segments::{Segment, SegmentFinder, SegmentUpdate};
use super::standing::Fate;
use super::trace::{self, TracedSegment};
use super::tracker::{PlacedSegment, Tracker};

/// The length of a segment, in values of the curve, from which on its onset is refined while it still goes on: later the sound at
/// the onset would have been forgotten.
const LONG_SEGMENT: u64 = 50;

/// The distance in values of the curve at which the boundaries of a segment are measured while it goes on.
const MEASURED_EVERY: u64 = 4;
/// The least duration that a segment that goes on is taken to have, in seconds: it may only have begun.
const GOING_S: f32 = 1.0;

/// The segment that goes on, as far as it is known.
#[derive(Debug, Clone, Copy, Default)]
struct GoingSegment {
    /// The highest evidence so far. Whoever was told of the sound is not told otherwise because it goes on.
    evidence: f32,
    /// The newest signal-to-noise ratio in dB; `None` before the first.
    snr_db: Option<f32>,
    /// The value at which the segment began when its boundaries were measured last; `None` before the first time.
    measured_from: Option<u64>,
    /// The newest refined onset; `None` before the first. That of a long segment is final.
    onset: Option<Boundary>,
    /// Whether it was heard beside others already.
    is_beside: bool,
}

/// The segment finder and the tracker of one rule.
#[derive(Debug, Clone)]
pub(super) struct RuleDetector {
    pub finder: SegmentFinder,
    pub tracker: Tracker,
    evidence: SegmentEvidence,
    /// The evidence of the segment that ended last, and the log odds that its parts added.
    last: LastEvidence,
    going: GoingSegment,
}

/// The part of the odds that make an event, with which a label is named beside another one's event.
const BESIDE: f32 = 1.0 / 3.0;

/// The evidence with which a label is named beside another one's event, where `threshold` makes an event.
fn beside(threshold: f32) -> f32 {
    let odds = BESIDE * threshold / (1.0 - threshold).max(f32::EPSILON);
    odds / (1.0 + odds)
}

/// The evidence of a segment, 0…1, and the log odds of its parts, as `Evidence::weighed` has them.
pub(super) type LastEvidence = (f32, Option<[f32; 5]>);

/// Where the values of a curve lie in time.
#[derive(Debug, Clone, Copy)]
pub(super) struct CurveTime {
    /// The sample index at which value 0 begins.
    pub base: u64,
    /// The distance of two values in samples.
    pub hop: u64,
}

impl CurveTime {
    /// The sample index at which a value begins.
    pub fn sample(self, value: u64) -> u64 {
        self.base + value * self.hop
    }

    /// The uncertainty of a boundary that only the curve tells, in samples.
    fn coarse_uncertainty(self) -> u64 {
        self.hop * 3
    }

    fn coarse(self, value: u64) -> Boundary {
        Boundary { at: self.sample(value), uncertainty: self.coarse_uncertainty() }
    }

    /// The boundaries of a segment as the curve alone tells them.
    fn coarse_bounds(self, segment: &Segment) -> SegmentBounds {
        SegmentBounds { onset: self.coarse(segment.onset), offset: self.coarse(segment.offset), snr_db: None }
    }

    /// The boundaries of a segment, refined by the sound where there is a refiner. `finder` is the one that found the segment.
    pub fn refine(self, segment: &Segment, finder: &SegmentFinder, refiner: Option<&BoundaryRefiner>) -> SegmentBounds {
        let Some(refiner) = refiner else { return self.coarse_bounds(segment) };
        let value = |sample: u64| sample.saturating_sub(self.base) / self.hop;
        let curve = |from: u64, to: u64| finder.median(value(from), (to.saturating_sub(self.base)).div_ceil(self.hop));
        let coarse = CoarseSegment {
            onset: self.sample(segment.onset),
            offset: self.sample(segment.offset),
            peak: segment.peak,
            curve: &curve,
            vanished: self.sample(segment.vanished),
        };
        refiner.refine(&coarse, self.coarse_uncertainty())
    }
}

impl RuleDetector {
    /// A detector for `rule` whose curve has had `n_values` values, in which there was nothing.
    pub fn new(rule: &Rule, scoring: &Scoring, n_values: u64, sample_rate_hz: u32) -> Self {
        let mut finder = new_finder(rule, scoring);
        finder.skip_to(n_values);
        let tracker = Tracker::new(rule.gate, scoring.hop_samples(), sample_rate_hz);
        Self { finder, tracker, evidence: SegmentEvidence::default(), last: (0.0, None), going: GoingSegment::default() }
    }

    /// The evidence of the segment that ended last.
    pub fn last_evidence(&self) -> LastEvidence {
        self.last
    }

    /// Begins a new curve; every event must have ended.
    pub fn reset(&mut self, rule: &Rule, scoring: &Scoring) {
        self.finder = new_finder(rule, scoring);
        self.evidence = SegmentEvidence::default();
        self.going = GoingSegment::default();
    }

    /// The stretch of the newest segment, as sample indices, where its evidence is too weak for an event of its own and strong
    /// enough to be named beside another label's. It is there when the segment comes to that, and when it ends. An alarm is named
    /// only where it is an event of its own.
    pub fn beside(&mut self, update: SegmentUpdate, rule: &Rule, scoring: &Scoring, time: CurveTime) -> Option<(u64, u64)> {
        let least = beside(rule.gate.threshold);
        let is_enough = |evidence: f32| evidence >= least && evidence < rule.gate.threshold;
        let heard = if let Some(closed) = update.closed {
            is_enough(self.last.0).then(|| (time.sample(closed.onset), time.sample(closed.offset)))
        } else {
            let open = update.open.filter(|_| !self.going.is_beside)?;
            self.going.is_beside = is_enough(self.going.evidence);
            self.going.is_beside.then(|| (time.sample(open.onset), time.sample(open.offset)))
        };
        heard.filter(|_| rule.merge && !scoring.has_alarm(&rule.members))
    }

    /// Places the segment that the newest value of the curve closed, and the one that it left open, in time. A segment whose
    /// evidence cannot reach the rule's threshold is left out.
    pub fn place(
        &mut self,
        update: SegmentUpdate,
        (index, rule): (usize, &Rule),
        evidence: &EvidenceOf,
        time: CurveTime,
        measures: SoundMeasures,
    ) -> (Option<PlacedSegment>, Option<PlacedSegment>) {
        let threshold = rule.gate.threshold;
        let closed = update.closed.and_then(|segment| {
            let going = std::mem::take(&mut self.going);
            let mut parts = self.evidence.close(evidence, index, &segment);
            self.last = (evidence.of(&parts), evidence.weighed(&parts));
            if evidence.at_most(&parts).max(going.evidence) < threshold {
                return None;
            }
            let mut bounds = time.refine(&segment, &self.finder, measures.refiner);
            parts.snr_db = bounds.snr_db;
            if let Some(onset) = going.onset.filter(|_| is_long(&segment)) {
                bounds.onset = onset;
            }
            self.last = (evidence.of(&parts).max(going.evidence), evidence.weighed(&parts));
            Some(self.placed(bounds, self.last.0, rule, measures))
        });
        let going = update.open.and_then(|segment| {
            let mut parts = self.evidence.parts(evidence, index, &segment);
            parts.duration_s = parts.duration_s.max(GOING_S);
            let is_due = self.going.measured_from != Some(segment.onset) || segment.vanished.is_multiple_of(MEASURED_EVERY);
            if is_due && evidence.at_most(&parts) >= threshold {
                let refined = time.refine(&segment, &self.finder, measures.refiner);
                self.going.snr_db = refined.snr_db;
                self.going.measured_from = Some(segment.onset);
                // Later the sound at the onset of a long segment is forgotten.
                self.going.onset = self.going.onset.filter(|_| is_long(&segment)).or(Some(refined.onset));
            }
            parts.snr_db = self.going.snr_db;
            self.going.evidence = self.going.evidence.max(evidence.of(&parts));
            let GoingSegment { evidence, snr_db, onset, .. } = self.going;
            let coarse = time.coarse_bounds(&segment);
            let bounds = SegmentBounds { onset: onset.unwrap_or(coarse.onset), snr_db, ..coarse };
            (evidence >= threshold).then(|| self.placed(bounds, evidence, rule, measures))
        });
        if update.open.is_none() {
            self.going = GoingSegment::default();
        }
        (closed, going)
    }

    fn placed(&self, bounds: SegmentBounds, evidence: f32, rule: &Rule, measures: SoundMeasures) -> PlacedSegment {
        let is_loud = rule.is_loud(|| measures.meter.level_dbfs(bounds.onset.at, bounds.offset.at));
        let is_clear = bounds.snr_db.is_none_or(|snr| snr >= rule.gate.min_snr_db);
        PlacedSegment { bounds, evidence, is_loud, is_clear }
    }
}

fn is_long(segment: &Segment) -> bool {
    segment.offset - segment.onset >= LONG_SEGMENT
}

/// The trace of a segment that ended; `None` where its evidence is too low to be recorded.
pub(super) fn traced(
    rule: usize,
    segment: &Segment,
    (evidence, weighed): LastEvidence,
    closed: Option<PlacedSegment>,
    fate: Option<Fate>,
    time: CurveTime,
    measures: SoundMeasures,
) -> Option<TracedSegment> {
    if evidence < trace::LEAST_EVIDENCE {
        return None;
    }
    let bounds = closed.map_or(time.coarse_bounds(segment), |placed| placed.bounds);
    let level_dbfs = measures.meter.level_dbfs(bounds.onset.at, bounds.offset.at);
    // A segment below the threshold does not come to the tracker.
    Some(TracedSegment { rule, bounds, evidence, weighed, level_dbfs, fate: fate.unwrap_or(Fate::Below) })
}

/// The confirmed score below which no segment of the rule reaches: the one at which its evidence would be the release.
pub(super) fn confirmed_release(rule: &Rule, scoring: &Scoring) -> f32 {
    let release = rule.gate.release;
    scoring.evidence().filter(|_| release > 0.0).map_or(release, |evidence| evidence.confirmed_at(release).min(release))
}

fn new_finder(rule: &Rule, scoring: &Scoring) -> SegmentFinder {
    SegmentFinder::new(scoring.extent(), scoring.valley(), confirmed_release(rule, scoring))
}
