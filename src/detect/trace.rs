//! The trace of a detector: the scores, the segments and the reasons for its decisions, recorded for explanations. It decides
//! nothing.

use super::Glance;
use super::boundaries::SegmentBounds;
use super::standing::Fate;

/// The lowest evidence of a segment that is recorded.
pub(super) const LEAST_EVIDENCE: f32 = 2e-3;

/// A segment of a rule's curve that ended, and its fate.
#[derive(Debug, Clone, PartialEq)]
pub struct TracedSegment {
    /// The rule, as an index into the detector's rules.
    pub rule: usize,
    /// The boundaries of the segment; they are refined if its evidence can reach the threshold.
    pub bounds: SegmentBounds,
    /// The evidence of the segment, 0…1.
    pub evidence: f32,
    /// The log odds that the confirmed score, the causal score, the duration, the signal-to-noise ratio and the background add to
    /// the evidence; `None` where the confirmed score alone is the evidence.
    pub weighed: Option<[f32; 5]>,
    /// The root mean square level within the segment in dBFS.
    pub level_dbfs: f32,
    /// The event that the segment belongs to, or the reason why it belongs to none.
    pub fate: Fate,
}

/// The scores of every rule at one hop.
#[derive(Debug, Clone, PartialEq)]
pub struct HopScores {
    /// The end of the hop's windows, as a sample index.
    pub end: u64,
    /// For each rule the newest causal score and the evidence of the newest confirmed one, 0…1; NaN before the first.
    pub scores: Vec<(f32, f32)>,
}

/// The standing of every rule at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The end of the hop's windows, as a sample index.
    pub end: u64,
    /// The loudness at the moment in dBFS.
    pub loudness_dbfs: f32,
    /// The scores and the standing of each rule.
    pub(crate) glances: Vec<Glance>,
}

/// The trace of a detector.
#[derive(Debug, Clone)]
pub struct Trace {
    /// Every segment that ended with evidence that is not next to nothing.
    pub segments: Vec<TracedSegment>,
    /// The scores of the hops that end within the recorded stretch.
    pub hops: Vec<HopScores>,
    /// The standing of every rule at the first hop that ended at or after the moment that was asked for.
    pub snapshot: Option<Snapshot>,
    from: u64,
    to: u64,
    asked: Option<u64>,
}

impl Trace {
    /// A trace of the hops that end between two sample indices, and of the standing of every rule at the sample index `asked`.
    pub fn new(from: u64, to: u64, asked: Option<u64>) -> Self {
        Self { segments: Vec::new(), hops: Vec::new(), snapshot: None, from, to, asked }
    }

    /// Records a hop that ended at `end`.
    pub(super) fn hop(&mut self, end: u64, loudness_dbfs: f32, glances: impl Iterator<Item = Glance> + Clone) {
        if (self.from..=self.to).contains(&end) {
            let scores = glances.clone().map(|glance| (glance.causal, glance.confirmed.unwrap_or(f32::NAN))).collect();
            self.hops.push(HopScores { end, scores });
        }
        if self.snapshot.is_none() && self.asked.is_some_and(|asked| end >= asked) {
            self.snapshot = Some(Snapshot { end, loudness_dbfs, glances: glances.collect() });
        }
    }
}
