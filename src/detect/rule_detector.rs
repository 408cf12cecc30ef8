//! One rule's way from its curve of scores to the steps of its events: the segment finder, the tracker, and between them the
//! places of segments in time.

use super::SoundMeasures;
use super::boundaries::{Boundary, BoundaryRefiner, CoarseSegment, SegmentBounds};
use super::rule::Rule;
use super::scoring::Scoring;
use super::segments::{Segment, SegmentFinder, SegmentUpdate};
use super::standing::Fate;
use super::trace::{self, TracedSegment};
use super::tracker::{PlacedSegment, Tracker};

/// The length of a segment, in values of the curve, from which on its onset is refined while it still goes on: later the sound at
/// the onset would have been forgotten.
const LONG_SEGMENT: u64 = 50;

/// The segment finder and the tracker of one rule.
#[derive(Debug, Clone)]
pub(super) struct RuleDetector {
    pub finder: SegmentFinder,
    pub tracker: Tracker,
    /// The refined onset of a long segment that goes on.
    early_onset: Option<Boundary>,
}

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
    fn sample(self, value: u64) -> u64 {
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
        Self { finder, tracker, early_onset: None }
    }

    /// Begins a new curve; every event must have ended.
    pub fn reset(&mut self, rule: &Rule, scoring: &Scoring) {
        self.finder = new_finder(rule, scoring);
        self.early_onset = None;
    }

    /// Places the segment that the newest value of the curve closed, and the one that it left open, in time. A segment whose peak
    /// is below the rule's threshold is left out.
    pub fn place(
        &mut self,
        update: SegmentUpdate,
        rule: &Rule,
        time: CurveTime,
        measures: SoundMeasures,
    ) -> (Option<PlacedSegment>, Option<PlacedSegment>) {
        let reaches_threshold = |segment: &Segment| segment.peak >= rule.gate.threshold;
        let is_long = |segment: &Segment| segment.offset - segment.onset >= LONG_SEGMENT;
        let closed = update.closed.filter(reaches_threshold).map(|segment| {
            let mut bounds = time.refine(&segment, &self.finder, measures.refiner);
            if let Some(onset) = self.early_onset.take().filter(|_| is_long(&segment)) {
                bounds.onset = onset;
            }
            let is_loud = rule.is_loud(|| measures.meter.level_dbfs(bounds.onset.at, bounds.offset.at));
            let is_clear = bounds.snr_db.is_none_or(|snr| snr >= rule.gate.min_snr_db);
            PlacedSegment { bounds, peak: segment.peak, is_loud, is_clear }
        });
        let going = update.open.filter(reaches_threshold).map(|segment| {
            if self.early_onset.is_none() && is_long(&segment) {
                self.early_onset = Some(time.refine(&segment, &self.finder, measures.refiner).onset);
            }
            let coarse = time.coarse_bounds(&segment);
            let bounds = SegmentBounds { onset: self.early_onset.unwrap_or(coarse.onset), ..coarse };
            // The signal-to-noise ratio is compared at the end of the segment: before that the noise floor is not certain.
            let is_loud = rule.is_loud(|| measures.meter.level_dbfs(coarse.onset.at, coarse.offset.at));
            PlacedSegment { bounds, peak: segment.peak, is_loud, is_clear: true }
        });
        if update.open.is_none() {
            self.early_onset = None;
        }
        (closed, going)
    }
}

/// The trace of a segment that ended; `None` where its peak is too low to be recorded.
pub(super) fn traced(
    rule: usize,
    segment: &Segment,
    closed: Option<PlacedSegment>,
    fate: Option<Fate>,
    time: CurveTime,
    measures: SoundMeasures,
) -> Option<TracedSegment> {
    if segment.peak < trace::LEAST_PEAK {
        return None;
    }
    let bounds = closed.map_or(time.coarse_bounds(segment), |placed| placed.bounds);
    let level_dbfs = measures.meter.level_dbfs(bounds.onset.at, bounds.offset.at);
    // A segment below the threshold does not come to the tracker.
    Some(TracedSegment { rule, bounds, peak: segment.peak, level_dbfs, fate: fate.unwrap_or(Fate::Below) })
}

fn new_finder(rule: &Rule, scoring: &Scoring) -> SegmentFinder {
    SegmentFinder::new(scoring.extent(), scoring.valley(), rule.gate.release)
}
