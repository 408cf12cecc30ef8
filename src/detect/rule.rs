//! A rule names the labels that are reported together; its gate holds the thresholds and durations that turn their curve of
//! scores into events. Plain data; the configuration fills it.

use std::sync::Arc;

use crate::event::Subject;
use crate::model::Labels;

/// One label, or a group of labels, that is reported under one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The name under which events are reported.
    pub subject: Arc<Subject>,
    /// The labels, as indices into the model's outputs; the highest of their scores counts. Never empty.
    pub members: Vec<usize>,
    /// The thresholds and durations.
    pub gate: Gate,
    /// Whether its events are merged with those of the labels above and below it in the hierarchy.
    pub merge: bool,
}

impl Rule {
    /// Whether a level in dBFS reaches the rule's `min_level_dbfs`. The level is measured only where the rule has one.
    pub(crate) fn is_loud(&self, level_dbfs: impl FnOnce() -> f32) -> bool {
        self.gate.min_level_dbfs.is_none_or(|least| level_dbfs() >= least)
    }
}

/// The groups that the rules report.
pub fn groups(rules: &[Rule]) -> impl Iterator<Item = &Arc<Subject>> {
    rules.iter().map(|rule| &rule.subject).filter(|subject| subject.is_group())
}

/// The group of this name, else the label of this name, slug or id.
///
/// # Errors
/// A sentence that says that there is neither, with the nearest name.
pub fn find_subject(rules: &[Rule], labels: &Labels, name: &str) -> Result<Arc<Subject>, String> {
    if let Some(group) = groups(rules).find(|group| group.is_called(name)) {
        return Ok(group.clone());
    }
    let unknown = || labels.unknown_beside(groups(rules).map(|group| group.name.as_str()), name);
    labels.find(name).map(|label| labels.subjects()[label].clone()).ok_or_else(unknown)
}

/// When an event is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announce {
    /// As soon as the causal score reaches the start threshold. An event that the confirmed score does not bear out is taken back.
    AtOnce,
    /// Once the confirmed score has borne it out. It is never taken back.
    Confirmed,
}

impl Announce {
    /// Each choice with its name in the file.
    pub const NAMES: [(&str, Self); 2] = [("at once", Self::AtOnce), ("confirmed", Self::Confirmed)];

    /// The name in the file.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, choice)| *choice == self).map_or("", |(name, _)| name)
    }
}

/// The thresholds and durations that turn a curve of scores into events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gate {
    /// When an event is announced.
    pub announce: Announce,
    /// The evidence that makes an event, 0…1.
    pub threshold: f32,
    /// The score below which an event ends at the latest, 0…1; at most the threshold.
    pub release: f32,
    /// The causal score that begins an event before all is known, 0…1.
    pub start_threshold: f32,
    /// The number of windows, among the last [`confirm_n`](Self::confirm_n), that must reach the start threshold for an
    /// announcement.
    pub confirm_k: usize,
    /// The number of last windows that count for an announcement.
    pub confirm_n: usize,
    /// The shortest duration of an event in milliseconds.
    pub min_duration_ms: u64,
    /// The longest duration of an event in milliseconds. A longer sound is reported as several events; `None` sets no limit.
    pub max_duration_ms: Option<u64>,
    /// The longest gap in a sound that is bridged, in milliseconds; a long event bridges longer ones.
    pub hangover_ms: u64,
    /// The time after the end of an event in which the rule has no other, in milliseconds.
    pub cooldown_ms: u64,
    /// The least root mean square level of a sound in dBFS; `None` sets no limit.
    pub min_level_dbfs: Option<f32>,
    /// The least signal-to-noise ratio of a sound, in its own bands, in dB.
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

/// The numbers of a gate as a configuration writes them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StandardGate {
    /// When an event is announced.
    pub announce: Announce,
    /// The threshold for the confirmed score, 0…1.
    pub threshold: f64,
    /// The release, as a part of the threshold in force.
    pub release_ratio: f64,
    /// The start threshold, as a part of the threshold in force.
    pub start_ratio: f64,
    /// The windows that must reach the start threshold: k of the last n.
    pub confirm: &'static str,
    /// The shortest duration of an event in milliseconds.
    pub min_duration_ms: f64,
    /// The longest duration of an event in seconds; 0 sets no limit.
    pub max_duration_s: f64,
    /// The longest gap that is bridged, in milliseconds.
    pub hangover_ms: f64,
    /// The cool-down after an event in seconds.
    pub cooldown_s: f64,
    /// The least signal-to-noise ratio in dB.
    pub min_snr_db: f64,
}

/// The numbers that hold where neither the configuration nor the model sets others.
pub(crate) const STANDARD_GATE: StandardGate = StandardGate {
    announce: Announce::AtOnce,
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
