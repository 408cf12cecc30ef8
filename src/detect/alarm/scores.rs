//! The shift of scores: the evidence of the patterns is added to the scores of the listed labels, in log odds.
//!
//! An alarm's pauses belong to it, although a window that holds a pause alone scores nothing. While a pattern is recognised, a
//! window therefore keeps the highest score that the label had in the newest seconds. All other labels keep their scores.

use super::RECOGNISED;
use crate::model::manifest::Alarms;

/// The stretch of time whose highest score is kept until the end of the next one, in frames: it holds the longest pause of a
/// pattern.
const STRETCH_FRAMES: u64 = 600;
/// Scores are kept this far from 0 and 1, so that their log odds are finite.
const EDGE: f32 = 1e-6;

/// The newest scores of a source, and the evidence that is added to them.
#[derive(Debug)]
pub(super) struct ScoreShift {
    n_labels: usize,
    /// The listed labels, by their index.
    listed: Vec<usize>,
    without: f32,
    with: f32,
    /// The newest scores of each window as the model gave them, `[windows, labels]`.
    given: Vec<f32>,
    /// The same with the evidence, `[windows, labels]`.
    shifted: Vec<f32>,
    /// The windows whose row in `shifted` is new.
    is_changed: Vec<bool>,
    /// The highest scores of the listed labels in the present and in the last stretch of time, `[windows, listed]` each.
    highest: [Vec<f32>; 2],
    /// The number of the present stretch of time.
    stretch: u64,
}

impl ScoreShift {
    pub fn new(alarms: &Alarms, listed: Vec<usize>, n_labels: usize, n_windows: usize) -> Self {
        let (rows, highest) = (vec![0.0; n_windows * n_labels], vec![0.0; n_windows * listed.len()]);
        Self {
            n_labels,
            listed,
            without: alarms.without,
            with: alarms.with,
            given: rows.clone(),
            shifted: rows,
            is_changed: vec![false; n_windows],
            highest: [highest.clone(), highest],
            stretch: 0,
        }
    }

    /// Takes the scores of the fresh windows at this frame, and returns them with evidence of this strength. Where `is_recognised`,
    /// the newest scores of all windows are returned.
    pub fn add(
        &mut self,
        frame: u64,
        scores: &[f32],
        is_fresh: &[bool],
        strength: f32,
        is_recognised: bool,
    ) -> (&[f32], &[bool]) {
        self.go_to(frame / STRETCH_FRAMES);
        let added = self.without + (self.with - self.without) * strength;
        let n = self.n_labels.max(1);
        for (window, (scores, is_fresh)) in scores.chunks_exact(n).zip(is_fresh).enumerate() {
            let (row, highest) = (window * n..(window + 1) * n, window * self.listed.len());
            let given = &mut self.given[row.clone()];
            if *is_fresh {
                given.copy_from_slice(scores);
            }
            self.is_changed[window] = *is_fresh || is_recognised;
            if !self.is_changed[window] {
                continue;
            }
            let shifted = &mut self.shifted[row];
            shifted.copy_from_slice(given);
            for (place, label) in self.listed.iter().enumerate() {
                let [present, last] = &mut self.highest;
                let (present, last, score) = (&mut present[highest + place], last[highest + place], &mut shifted[*label]);
                *present = present.max(*score);
                if strength >= RECOGNISED {
                    *score = present.max(last);
                }
                *score = with_log_odds(*score, added);
            }
        }
        (&self.shifted, &self.is_changed)
    }

    /// Goes on to this stretch of time.
    fn go_to(&mut self, stretch: u64) {
        if stretch == self.stretch {
            return;
        }
        let [present, last] = &mut self.highest;
        std::mem::swap(present, last);
        present.fill(0.0);
        if stretch != self.stretch + 1 {
            last.fill(0.0);
        }
        self.stretch = stretch;
    }

    /// Forgets all scores.
    pub fn reset(&mut self) {
        self.given.fill(0.0);
        self.highest.iter_mut().for_each(|highest| highest.fill(0.0));
    }
}

/// The score whose log odds are higher by `added`.
fn with_log_odds(score: f32, added: f32) -> f32 {
    let score = score.clamp(EDGE, 1.0 - EDGE);
    1.0 / (1.0 + (1.0 - score) / score * (-added).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shift() -> ScoreShift {
        ScoreShift::new(&Alarms { labels: Vec::new(), without: -1.75, with: 4.5 }, vec![1], 2, 2)
    }

    #[test]
    fn without_a_pattern_the_listed_label_alone_falls() {
        let mut shift = shift();
        let (scores, changed) = shift.add(10, &[0.3, 0.3, 0.0, 0.0], &[true, false], 0.0, false);
        assert!(scores[0] == 0.3 && (scores[1] - 0.069).abs() < 0.002, "{scores:?}");
        assert_eq!(changed, [true, false]);
    }

    #[test]
    fn a_recognised_pattern_lifts_every_window_and_keeps_its_score_over_a_pause() {
        let mut shift = shift();
        shift.add(10, &[0.0, 0.02, 0.0, 0.01], &[true, true], 0.0, false);
        let (scores, changed) = shift.add(20, &[0.0, 0.0, 0.0, 0.0], &[true, false], 1.0, true);
        assert!((scores[1] - 0.647).abs() < 0.01 && (scores[3] - 0.476).abs() < 0.01, "{scores:?}");
        assert_eq!(changed, [true, true]);
        let (scores, _) = shift.add(2_000, &[0.0; 4], &[true, true], 1.0, false);
        assert!(scores[1] < 0.001, "{scores:?}");
    }

    #[test]
    fn every_score_stays_between_0_and_1() {
        for score in [0.0, 1e-9, 0.5, 1.0, f32::NAN] {
            for added in [-10.0, 0.0, 10.0] {
                let shifted = with_log_odds(score, added);
                assert!(score.is_nan() || (0.0..=1.0).contains(&shifted), "{score} {added} {shifted}");
            }
        }
    }
}
