//! A rule: which labels are reported under which name, and the gate that turns their score curve into events. Plain data; the
//! configuration fills it.

use std::sync::Arc;

use crate::event::Subject;

/// When a label or a group of labels is reported.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The name that its events carry.
    pub subject: Arc<Subject>,
    /// The labels whose highest score counts, by their index among the model's outputs; never empty.
    pub members: Vec<usize>,
    /// When and how long.
    pub gate: Gate,
    /// Whether it is one event with what is above or below it in the ontology.
    pub merge: bool,
}

impl Rule {
    /// Whether a level in dBFS is as loud as the rule asks for; it is measured only if it does.
    pub fn is_loud(&self, level_dbfs: impl FnOnce() -> f32) -> bool {
        self.gate.min_level_dbfs.is_none_or(|least| level_dbfs() >= least)
    }
}

/// The numbers that turn a score curve into events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gate {
    /// An event is one whose two-sided score reaches this, 0…1.
    pub threshold: f32,
    /// An event ends where its score stays below this, if it has not before that; at most the threshold.
    pub release: f32,
    /// An event is announced at once when its causal score reaches this, 0…1.
    pub start_threshold: f32,
    /// It is announced only when this many …
    pub confirm_k: usize,
    /// … of the last so many windows reach the start threshold.
    pub confirm_n: usize,
    /// Shorter events are not reported, in milliseconds.
    pub min_duration_ms: u64,
    /// Longer events end and begin anew, in milliseconds; `None` lets them last.
    pub max_duration_ms: Option<u64>,
    /// A gap in the sound is bridged up to this length, in milliseconds; in a long event a longer one.
    pub hangover_ms: u64,
    /// After an event's end no other of its label begins for so long, in milliseconds.
    pub cooldown_ms: u64,
    /// Quieter sounds are not reported; the root mean square level in dBFS.
    pub min_level_dbfs: Option<f32>,
    /// Nor are sounds that exceed the noise floor in their own bands by less, in dB.
    pub min_snr_db: f32,
}

/// The thresholds of a label or a group, 0…1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// The threshold of the confirmed score.
    pub threshold: f32,
    /// The threshold of the causal score, at which an event is announced at once.
    pub start_threshold: f32,
    /// The score below which an event ends.
    pub release: f32,
}

impl From<&Gate> for Thresholds {
    fn from(gate: &Gate) -> Self {
        Self { threshold: gate.threshold, start_threshold: gate.start_threshold, release: gate.release }
    }
}

/// The numbers in force where the file says nothing.
#[derive(Debug, Clone, Copy)]
pub struct StandardGate {
    /// See [`RawGate`]; 0…1.
    pub threshold: f64,
    /// The release threshold where none is set, as a part of the threshold in force.
    pub release_ratio: f64,
    /// The start threshold where none is set, as a part of the threshold in force.
    pub start_ratio: f64,
    /// k of n windows.
    pub confirm: &'static str,
    /// In milliseconds.
    pub min_duration_ms: f64,
    /// In seconds; 0 lets events last.
    pub max_duration_s: f64,
    /// In milliseconds.
    pub hangover_ms: f64,
    /// In seconds.
    pub cooldown_s: f64,
    /// In dB.
    pub min_snr_db: f64,
}

/// The one set of default numbers.
pub const STANDARD_GATE: StandardGate = StandardGate {
    threshold: 0.2,
    release_ratio: 0.1,
    start_ratio: 0.7,
    confirm: "1/1",
    min_duration_ms: 0.0,
    max_duration_s: 600.0,
    hangover_ms: 400.0,
    cooldown_s: 0.0,
    min_snr_db: 0.0,
};
