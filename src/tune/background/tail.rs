//! The tail of a curve: extrapolates the number of alarms to thresholds that were never reached, as an exponential in log-odds.
//!
//! High up, a label's alarms thin out by about the same factor with each step in log-odds, for some labels faster than for
//! others. A label with few alarms of its own gets the common tail of all labels.

use super::statistics::{Record, log_odds};
use crate::detect::peaks::FLOOR;

/// The number of the strongest alarms that make the tail. Weaker alarms thin out more slowly, and say little about the highest
/// scores.
const STRONGEST: usize = 8;
/// The scale of the common tail before anything was heard, in log-odds. It is that of hours of voices, music and noise.
const EXPECTED_SCALE: f64 = 0.6;
/// The number of alarms that the expected scale counts as.
const EXPECTED_ALARMS: f64 = 30.0;
/// The number of a label's own alarms that the common tail counts as.
const COMMON_ALARMS: f64 = 8.0;
/// The alarm at which a tail begins counts half, because a further alarm may lie on either side of it.
const HALF: f64 = 0.5;
/// The least number of alarms that are expected of a silent label in a time as long as the time heard.
const LEAST_UNSEEN: f64 = 0.02;
/// The bounds of a tail's scale, in log-odds.
const SCALES: (f64, f64) = (0.25, 1.5);

/// The tail of one curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tail {
    /// The beginning of the tail, in log-odds: the weakest of its alarms, or the floor if there is none.
    pub from: f64,
    /// The number of alarms above the beginning.
    n: f64,
    /// The number of alarms that are expected to reach the beginning in a time as long as the time heard.
    reaching_from: f64,
    /// The sum of the distances of those alarms from the beginning, in log-odds.
    excess: f64,
    /// The scale: the log-odds in which the tail thins out to 1/e.
    pub scale: f64,
    /// The highest alarm, in log-odds; the floor if there is none.
    pub highest: f64,
}

impl Tail {
    /// The tails of these records. The fewer alarms a record has, the nearer its scale is to the common one.
    pub fn all(records: &[Record]) -> Vec<Tail> {
        let mut tails: Vec<Tail> = records.iter().map(Tail::alone).collect();
        let expected = (EXPECTED_SCALE * EXPECTED_ALARMS, EXPECTED_ALARMS);
        let (excess, n) = tails.iter().fold(expected, |(excess, n), tail| (excess + tail.excess, n + tail.n));
        let common = excess / n;
        // The Good–Turing estimate of the unseen: the silent labels together will have as many alarms as there are labels with
        // one alarm.
        let heard = |n: u64| records.iter().filter(|record| record.n_alarms() == n).count() as f64;
        let unseen = (heard(1) / heard(0).max(1.0)).clamp(LEAST_UNSEEN, HALF);
        for (tail, record) in tails.iter_mut().zip(records) {
            if record.n_alarms() == 0 {
                tail.reaching_from = unseen;
            }
            let scale = (COMMON_ALARMS * common + tail.excess) / (COMMON_ALARMS + tail.n);
            tail.scale = scale.clamp(SCALES.0, SCALES.1);
        }
        tails
    }

    fn alone(record: &Record) -> Self {
        let strongest: Vec<f64> = record.strongest.iter().take(STRONGEST + 1).map(|alarm| log_odds(alarm.score).into()).collect();
        let floor = f64::from(log_odds(FLOOR));
        let from = strongest.last().copied().unwrap_or(floor);
        let above = strongest.len().saturating_sub(1);
        let excess = strongest.iter().map(|at| at - from).sum();
        let highest = strongest.first().copied().unwrap_or(floor);
        let n = above as f64;
        Self { from, n, reaching_from: n + HALF, excess, scale: EXPECTED_SCALE, highest }
    }

    /// The number of alarms that are expected to reach the log-odds `at` in a time as long as the time heard.
    pub fn reaching(&self, at: f64) -> f64 {
        self.reaching_from * (-(at - self.from) / self.scale).exp()
    }

    /// The log-odds that `n` alarms are expected to reach in a time as long as the time heard.
    pub fn reached_by(&self, n: f64) -> f64 {
        self.from + self.scale * (self.reaching_from / n).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::super::statistics::{Gatherer, Moment, Place, Statistics, score_of};
    use super::*;
    use crate::detect::peaks::CurveKind;

    /// The record of alarms at these log-odds, a minute apart.
    fn record(at: impl IntoIterator<Item = f64>) -> Record {
        let mut gatherer = Gatherer::default();
        for (n, at) in at.into_iter().enumerate() {
            let moment = Moment { place: Place::Source("kitchen".into()), at_ms: n as i64 * 60_000 };
            gatherer.peak((0, CurveKind::Confirmed), score_of(at as f32), moment);
        }
        let statistics: Statistics = gatherer.finish();
        statistics.record(&[0], CurveKind::Confirmed)
    }

    /// The log-odds of `n` alarms of an exponential tail with this scale.
    fn exponential(scale: f64, n: usize) -> impl Iterator<Item = f64> {
        (0..n).map(move |rank| -5.0 + scale * (n as f64 / (rank as f64 + HALF)).ln())
    }

    #[test]
    fn an_exponential_tail_is_found_and_drawn_on() {
        for scale in [0.4, 0.8] {
            let tails = Tail::all(&(0..60).map(|n| record(exponential(scale, 150 + n))).collect::<Vec<_>>());
            assert!((tails[0].scale - scale).abs() < 0.1 * scale, "{:?}", tails[0]);
            // 0.005 is a hundredth of the half alarm at the highest one, so it is reached ln 100 scales further up.
            let at = tails[0].reached_by(0.005);
            assert!((at - tails[0].highest - scale * 100f64.ln()).abs() < 0.1 * (at - tails[0].highest), "{at} {:?}", tails[0]);
            assert!((tails[0].reaching(at) - 0.005).abs() < 1e-9);
        }
    }

    #[test]
    fn a_label_with_few_alarms_has_the_common_tail() {
        let known = (0..40).map(|n| record(exponential(0.4, 100 + n)));
        let tails = Tail::all(&known.chain([record([-1.0]), record([])]).collect::<Vec<_>>());
        let tails = &tails[38..];
        for tail in &tails[2..] {
            assert!((tail.scale - 0.4).abs() < 0.05, "{tail:?}");
        }
        assert_eq!(tails[2].highest, tails[2].from);
        assert!((tails[3].from - f64::from(log_odds(FLOOR))).abs() < 1e-6);
        assert!(tails[2].reached_by(0.01) > tails[3].reached_by(0.01));
    }

    #[test]
    fn the_more_labels_were_heard_but_once_the_more_is_expected_of_the_silent_ones() {
        let silent = |n_once: usize| {
            let once = (0..n_once).map(|_| record([-3.0]));
            Tail::all(&once.chain((0..10).map(|_| record([]))).collect::<Vec<_>>())[n_once]
        };
        let reached = [0, 1, 4, 30].map(|n| silent(n).reaching(silent(n).from));
        assert!(reached.iter().zip([0.02, 0.1, 0.4, 0.5]).all(|(got, expected)| (got - expected).abs() < 1e-9), "{reached:?}");
    }

    #[test]
    fn where_nothing_at_all_was_heard_the_tail_is_the_expected_one() {
        assert!((Tail::all(&[record([])])[0].scale - EXPECTED_SCALE).abs() < 1e-9);
    }
}
