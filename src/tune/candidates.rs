//! The thresholds and releases that are tried.

use crate::config::Gate;
use crate::config::raw::STANDARD_GATE;

/// The lowest and the highest threshold that is tried.
const RANGE: (f64, f64) = (0.003, 0.97);
/// How many are tried, evenly in log-odds.
const COUNT: usize = 40;
/// The releases that are tried, as parts of the threshold; the first is what the configuration takes where nothing is set.
pub const RELEASE_RATIOS: [f64; 4] = [STANDARD_GATE.release_ratio, 0.3, 0.5, 0.7];

/// The thresholds that are tried, rising.
pub fn thresholds() -> Vec<f64> {
    let (low, high) = (logit(RANGE.0), logit(RANGE.1));
    (0..COUNT).map(|at| expit(low + (high - low) * at as f64 / (COUNT - 1) as f64)).collect()
}

/// The gate in force with another threshold, and the release and the start threshold that go with it.
pub fn gate(in_force: &Gate, threshold: f64, release_ratio: f64) -> Gate {
    // A start threshold that was set higher than the usual part of the threshold was set so against false starts, and stays.
    let usual = |threshold: f64| STANDARD_GATE.start_ratio * threshold;
    let is_raised = f64::from(in_force.start_threshold) > 1.001 * usual(in_force.threshold.into());
    let least = if is_raised { in_force.start_threshold.into() } else { 0.0 };
    Gate {
        threshold: threshold as f32,
        release: (release_ratio * threshold) as f32,
        start_threshold: usual(threshold).max(least) as f32,
        ..*in_force
    }
}

/// The log-odds of a probability between 0 and 1.
pub fn logit(probability: f64) -> f64 {
    (probability / (1.0 - probability)).ln()
}

/// The probability of log-odds.
pub fn expit(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}
