//! What a detector heard and why it decided as it did, kept for whoever asks afterwards. It decides nothing.

use super::Glance;
use super::boundaries::SegmentBounds;
use super::standing::Fate;

/// SegmentFinder with a lower peak leave no trace.
pub(super) const LEAST_PEAK: f32 = 2e-3;

/// A box of a rule's curve that ended, and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct TracedSegment {
    /// The rule.
    pub rule: usize,
    /// Where it lies; its edges are sharpened if its peak reaches the threshold.
    pub bounds: SegmentBounds,
    /// Its peak, 0…1.
    pub peak: f32,
    /// Its root mean square level in dBFS.
    pub level_dbfs: f32,
    /// What became of it.
    pub fate: Fate,
}

/// The scores of every rule at one hop.
#[derive(Debug, Clone, PartialEq)]
pub struct HopScores {
    /// The end of the hop's windows, as a sample index.
    pub end: u64,
    /// For each rule its causal score and the newest value of its two-sided curve, 0…1; NaN before the first.
    pub scores: Vec<(f32, f32)>,
}

/// How everything stood at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The end of the hop's windows, as a sample index.
    pub end: u64,
    /// How loud it was, in dBFS.
    pub loudness_dbfs: f32,
    /// How each rule stood.
    pub glances: Vec<Glance>,
}

/// The trace of a detector.
#[derive(Debug, Clone)]
pub struct Trace {
    /// Every box that ended and whose peak is not next to nothing.
    pub segments: Vec<TracedSegment>,
    /// The hops of the stretch that is watched.
    pub hops: Vec<HopScores>,
    /// How everything stood at the first hop that ended at or after the moment that was asked for.
    pub snapshot: Option<Snapshot>,
    from: u64,
    to: u64,
    asked: Option<u64>,
}

impl Trace {
    /// A trace that keeps the hops that end between two sample indices, and how each rule stands at the sample index `asked`.
    pub fn new(from: u64, to: u64, asked: Option<u64>) -> Self {
        Self { segments: Vec::new(), hops: Vec::new(), snapshot: None, from, to, asked }
    }

    /// Takes note of a hop that ended at `end`.
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
