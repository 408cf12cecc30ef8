//! How often a curve would rise above a threshold that it never reached: what was seen, drawn on as an exponential in log-odds.
//!
//! Far out every label's alarms thin out by the same factor with each step in log-odds, some faster than others. Where a label has
//! few alarms of its own, the tail that all labels have in common speaks for it.

use super::statistics::{Record, log_odds};
use crate::detect::peaks::FLOOR;

/// The common tail counts as much as so many alarms of a label's own.
const COMMON_ALARMS: f64 = 10.0;
/// What has not been seen once may be half an alarm away.
const UNSEEN: f64 = 0.5;
/// The narrowest and the widest tail that is believed, in log-odds.
const SCALES: (f64, f64) = (0.2, 2.0);

/// The tail of one curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tail {
    /// Where it begins, in log-odds.
    pub from: f64,
    /// How many alarms are in it.
    pub n: f64,
    /// By how much, in log-odds, they exceed its beginning in all.
    excess: f64,
    /// In how many log-odds it thins out to 1/e.
    pub scale: f64,
    /// The highest alarm of all, in log-odds; where it begins if there is none.
    pub highest: f64,
}

impl Tail {
    /// The tail of a record: its strongest alarms, above the weakest of them.
    pub fn new(record: &Record) -> Self {
        let strongest: Vec<f64> = record.strongest.iter().map(|alarm| log_odds(alarm.score).into()).collect();
        let floor = f64::from(log_odds(FLOOR));
        // Where there are more alarms than are kept one by one, the weakest of these is where the tail begins.
        let is_cut = record.n_alarms() > strongest.len() as u64;
        let (from, n) = match strongest.last() {
            Some(weakest) if is_cut => (*weakest, strongest.len() - 1),
            _ => (floor, strongest.len()),
        };
        let excess = strongest[..n].iter().map(|at| (at - from).max(0.0)).sum();
        let highest = strongest.first().copied().unwrap_or(floor);
        Self { from, n: n as f64, excess, scale: SCALES.1, highest }
    }

    /// Lets the tail that all have in common speak where a tail has few alarms of its own.
    pub fn share(tails: &mut [Tail]) {
        let (excess, n) = tails.iter().fold((0.0, 0.0), |(excess, n), tail| (excess + tail.excess, n + tail.n));
        let common = if n > 0.0 { (excess / n).clamp(SCALES.0, SCALES.1) } else { 1.0 };
        for tail in tails {
            let scale = (COMMON_ALARMS * common + tail.excess) / (COMMON_ALARMS + tail.n);
            tail.scale = scale.clamp(SCALES.0, SCALES.1);
        }
    }

    /// How many alarms reach the log-odds `at` in as long a time as was heard.
    pub fn reaching(&self, at: f64) -> f64 {
        (self.n + UNSEEN) * (-(at - self.from) / self.scale).exp()
    }

    /// The log-odds that `n` alarms reach in as long a time as was heard.
    pub fn reached_by(&self, n: f64) -> f64 {
        self.from + self.scale * ((self.n + UNSEEN) / n).ln()
    }
}
