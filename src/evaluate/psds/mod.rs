//! The polyphonic sound detection score (PSDS) over every threshold at once.
//!
//! `changes` finds, for a label in a recording, each score at which a count changes when the threshold falls below it; `roc` sums these
//! changes over recordings, and has the curves and their areas. Both are exact: no threshold is left out. The method is that of Ebbers,
//! Serizel and Haeb-Umbach (ICASSP 2022), the measure that of Bilen and others (ICASSP 2020).

mod changes;
mod roc;

pub use changes::{Change, Curve, changes};
pub use roc::{Changes, Outcome, Point};

/// A scenario: how exact events must be, and how hard false alarms and confusions count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scenario {
    /// The part of a heard event that true events of its label must cover (detection tolerance criterion).
    pub heard_part: f64,
    /// The part of a true event that such heard events must cover (ground truth intersection criterion).
    pub true_part: f64,
    /// The part of a false alarm that true events of another label must cover, for it to be a confusion with that label (cross-trigger
    /// tolerance criterion); `None` where confusions count as other false alarms do.
    pub cross_part: Option<f64>,
    /// The weight of the mean rate of confusions in the rate of false alarms.
    pub cross_weight: f64,
    /// The weight of the standard deviation over labels, which is taken from the mean over labels.
    pub spread_weight: f64,
    /// The highest rate of false alarms an hour.
    pub most_per_hour: f64,
}

/// Scenario 1 of DCASE task 4, for which exact times matter.
pub const PSDS1: Scenario =
    Scenario { heard_part: 0.7, true_part: 0.7, cross_part: None, cross_weight: 0.0, spread_weight: 1.0, most_per_hour: 100.0 };

/// Scenario 2 of DCASE task 4, for which the right label matters.
pub const PSDS2: Scenario = Scenario {
    heard_part: 0.1,
    true_part: 0.1,
    cross_part: Some(0.3),
    cross_weight: 0.5,
    spread_weight: 1.0,
    most_per_hour: 100.0,
};
