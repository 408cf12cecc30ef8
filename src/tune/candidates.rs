//! The candidate gates: thresholds, each with several manners of release and start threshold.

use crate::detect::rule::Gate;
use crate::detect::rule::STANDARD_GATE;

/// The lowest and the highest candidate threshold.
const RANGE: (f64, f64) = (0.003, 0.97);
/// The number of candidate thresholds, evenly spaced in log-odds.
const COUNT: usize = 40;
/// A manner: the way in which the release and the start threshold follow from a threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Manner {
    /// The release divided by the threshold.
    pub release_ratio: f64,
    /// Whether the start threshold must be no lower than the effective one. If not, it is the usual part of the threshold.
    pub keeps_start: bool,
}

/// The manner of the configuration where only a threshold is set.
pub const USUAL: usize = 0;
/// The usual manner with a start threshold that is no lower than the effective one.
pub const RELUCTANT: usize = 4;
/// The manners that are tried with each threshold.
pub const MANNERS: [Manner; 5] = [
    Manner { release_ratio: STANDARD_GATE.release_ratio, keeps_start: false },
    Manner { release_ratio: 0.3, keeps_start: false },
    Manner { release_ratio: 0.5, keeps_start: false },
    Manner { release_ratio: 0.7, keeps_start: false },
    Manner { release_ratio: STANDARD_GATE.release_ratio, keeps_start: true },
];

/// The candidate thresholds, rising.
pub fn thresholds() -> Vec<f64> {
    let (low, high) = (logit(RANGE.0), logit(RANGE.1));
    (0..COUNT).map(|at| expit(low + (high - low) * at as f64 / (COUNT - 1) as f64)).collect()
}

/// The effective gate with another threshold, and with a release and a start threshold in this manner.
pub fn gate(in_force: &Gate, threshold: f64, manner: Manner) -> Gate {
    let least = if manner.keeps_start { in_force.start_threshold.into() } else { 0.0 };
    Gate {
        threshold: threshold as f32,
        release: (manner.release_ratio * threshold) as f32,
        start_threshold: (STANDARD_GATE.start_ratio * threshold).max(least) as f32,
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
