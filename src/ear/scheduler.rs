//! The scheduler: which of an ear's windows are worth an inference.
//!
//! - The short window is scored at every hop.
//! - The long window costs three times as much, and its scores change a third as fast. It is scored at every n-th hop only, where
//!   n is its stride, and at once where the scores of the short window have risen: something may begin, and an announcement needs
//!   both windows.
//! - While the sound is steady, the short window is scored less often as well.
//! - A window that holds silence alone gets the scores of silence without an inference.
//!
//! The scheduler looks at the sound and at scores, never at a clock or at the load, so that the same samples are scored in the
//! same way live and from a recording. Load shedding alone comes from outside, as the hop stride.

use crate::detect::rule::Rule;
use crate::model::hierarchy::LabelHierarchy;
use crate::model::manifest::Detection;

/// The factor by which the score of a label must exceed its score at the last time that all windows were scored, to have risen.
const RISE: f32 = 2.0;

/// The source of the scores of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// An inference.
    Inference,
    /// The scores of silence.
    Silence,
    /// The scores of the window before, because the sound is steady.
    Same,
    /// The scores of the windows before and after it, between which detection interpolates.
    None,
}

/// Decides which windows of an ear are scored.
#[derive(Debug)]
pub struct Scheduler {
    /// For each length of window, its stride: the window is scored at every n-th hop, and this is n.
    strides: Vec<u64>,
    /// The stride of the first window while the sound is steady.
    steady_stride: u64,
    /// The mean square that silence stays at or below.
    gate: f32,
    /// For each label the lowest start threshold of a rule that it can start, 0…1; infinite where there is none.
    starts: Vec<f32>,
    /// The scores of the first window at the last time that the others were scored, `[labels]`.
    seen: Vec<f32>,
    /// The products of the scores of the other windows at their last regular hop, `[labels]`.
    held: Vec<f32>,
}

impl Scheduler {
    /// A scheduler with the strides that `detection` asks for. [`follow`](Self::follow) sets the rules.
    pub fn new(detection: &Detection, n_labels: usize) -> Self {
        let mut strides: Vec<u64> = detection.strides.iter().map(|stride| *stride as u64).collect();
        strides.resize(detection.windows_ms.len(), 1);
        let gate = detection.noise_gate_dbfs.map_or(0.0, |gate| 10f32.powf(gate / 10.0));
        let steady_stride = detection.steady_stride.unwrap_or(1) as u64;
        Self {
            strides,
            steady_stride,
            gate,
            starts: vec![f32::INFINITY; n_labels],
            seen: vec![0.0; n_labels],
            held: vec![0.0; n_labels],
        }
    }

    /// Puts these rules in force.
    pub fn follow(&mut self, rules: &[Rule], hierarchy: &LabelHierarchy) {
        let mut own = vec![f32::INFINITY; self.starts.len()];
        for rule in rules {
            for label in &rule.members {
                own[*label] = own[*label].min(rule.gate.start_threshold);
            }
        }
        hierarchy.propagate_to_descendants(&own, &mut self.starts);
    }

    /// The mean square that silence stays at or below.
    pub fn gate(&self) -> f32 {
        self.gate
    }

    /// The source of the scores of the window of this length that ends with `hop`.
    ///
    /// `is_silent` says whether the window holds nothing but silence, `is_steady` whether the sound is steady at both ends of the
    /// window. Only every `hop_stride`-th hop is scored at all: 1 scores every hop, and load shedding takes more.
    pub fn need(&self, length: usize, hop: u64, is_silent: bool, is_steady: impl FnOnce() -> bool, hop_stride: u64) -> Need {
        if is_silent {
            Need::Silence
        } else if !hop.is_multiple_of(self.strides[length] * hop_stride) {
            Need::None
        } else if length == 0 && !hop.is_multiple_of(self.steady_stride * hop_stride) && is_steady() {
            Need::Same
        } else {
            Need::Inference
        }
    }

    /// Takes the scores of the next hop, `[lengths, labels]`: those of all windows where `is_complete`, else those of the first
    /// window alone. Returns whether the other windows must be scored at this hop as well, because a label has risen that their
    /// last scores do not announce.
    pub fn is_raised(&mut self, scores: &[f32], is_complete: bool) -> bool {
        let (first, others) = scores.split_at(self.starts.len());
        if is_complete {
            self.seen.copy_from_slice(first);
            self.held.fill(1.0);
            for row in others.chunks_exact(self.starts.len()) {
                self.held.iter_mut().zip(row).for_each(|(held, score)| *held *= score);
            }
            return false;
        }
        let n = self.strides.len() as i32;
        // The hops at which the other windows were asked for count in `seen` alone, because their scores may still be on their
        // way.
        let labels = first.iter().zip(&self.starts).zip(self.seen.iter().zip(&self.held));
        let is_raised = labels
            .into_iter()
            .any(|((score, start), (seen, held))| score >= start && *score >= RISE * seen && score * held < start.powi(n));
        if is_raised {
            self.seen.copy_from_slice(first);
        }
        is_raised
    }

    /// Forgets all scores.
    pub fn reset(&mut self) {
        self.seen.fill(0.0);
        self.held.fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheduler(start: f32) -> Scheduler {
        let detection = Detection {
            windows_ms: vec![960, 2_880],
            strides: vec![1, 4],
            steady_stride: Some(2),
            noise_gate_dbfs: Some(-70.0),
            delta: 0.13,
            median: 3,
            ..Detection::of_tests()
        };
        let mut scheduler = Scheduler::new(&detection, 2);
        scheduler.starts[1] = start;
        scheduler
    }

    #[test]
    fn the_long_window_is_scored_at_every_fourth_hop_and_silence_never() {
        let scheduler = scheduler(0.2);
        let needs = |length, is_silent| (0..8).map(|hop| scheduler.need(length, hop, is_silent, || false, 1)).collect::<Vec<_>>();
        assert_eq!(needs(0, false), [Need::Inference; 8]);
        let n_long = needs(1, false).iter().filter(|need| **need == Need::Inference).count();
        assert_eq!((needs(1, false)[0], needs(1, false)[4], n_long), (Need::Inference, Need::Inference, 2));
        assert_eq!(needs(1, true), [Need::Silence; 8]);
    }

    #[test]
    fn in_a_steady_sound_the_short_window_is_scored_less_often_and_the_long_one_as_ever() {
        let scheduler = scheduler(0.2);
        let scored = |length, hop| scheduler.need(length, hop, false, || true, 1) == Need::Inference;
        assert_eq!((0..6).filter(|hop| scored(0, *hop)).collect::<Vec<u64>>(), [0, 2, 4]);
        assert_eq!((0..6).filter(|hop| scored(1, *hop)).collect::<Vec<u64>>(), [0, 4]);
    }

    #[test]
    fn a_hop_stride_widens_every_grid_alike() {
        let scheduler = scheduler(0.2);
        for (length, hops) in [(0, vec![0, 2, 4, 6]), (1, vec![0, 8])] {
            let scored = |hop: &u64| scheduler.need(length, *hop, false, || false, 2) == Need::Inference;
            assert_eq!((0..9).filter(scored).filter(|hop| length == 1 || *hop < 8).collect::<Vec<u64>>(), hops);
        }
    }

    #[test]
    fn a_rise_above_the_start_threshold_asks_for_the_long_window_once() {
        let mut scheduler = scheduler(0.2);
        let mut is_raised = |short: [f32; 2]| scheduler.is_raised(&[short[0], short[1], 0.0, 0.0], false);
        assert!(!is_raised([0.9, 0.01]), "nobody asks for the first label");
        assert!(is_raised([0.0, 0.3]));
        assert!(!is_raised([0.0, 0.4]), "it has been seen");
        assert!(is_raised([0.0, 0.6]));
        assert!(!scheduler.is_raised(&[0.0, 0.1, 0.0, 0.3], true), "all windows are scored already");
        assert!(scheduler.is_raised(&[0.0, 0.2, 0.0, 0.0], false) == (0.2 * 0.3 < 0.2f32 * 0.2));
        assert!(!scheduler.is_raised(&[0.0, 0.9, 0.0, 0.0], false), "the long window from before announces it");
    }
}
