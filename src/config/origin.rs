//! Origins: where the threshold of each label comes from, and whether the label is reported, for `mimid labels`.
//!
//! An origin is kept apart from the rule: a number that moves to another place in the file is no change that a reload would
//! apply.

use crate::detect::rule::Announce;

/// The effective thresholds of a label, whether it is reported, and the places in the file that decide both.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// The threshold that the label has without a configuration, 0…1.
    pub default_threshold: f32,
    /// The effective threshold, 0…1; of a label that is not reported the one that it would have.
    pub threshold: f32,
    /// The effective start threshold, 0…1.
    pub start_threshold: f32,
    /// When its events are announced.
    pub announce: Announce,
    /// The section of the preset `home` that has the label; `None` where the preset does not have it.
    pub section: Option<&'static str>,
    /// How often the label is expected to be told wrongly in a day; `None` where its thresholds and its announcement are not those
    /// that this was measured with.
    pub false_alarms_per_day: Option<f64>,
    /// The origin of `threshold`.
    pub threshold_from: ThresholdFrom,
    /// The line where the threshold is set, counted from 1; `None` where the file does not set it.
    pub threshold_line: Option<usize>,
    /// Whether the label is reported.
    pub reported: Reported,
    /// The line that decides it, counted from 1; `None` where the file does not.
    pub reported_line: Option<usize>,
}

/// The origin of a threshold, by ascending priority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ThresholdFrom {
    /// The standard number of every label.
    Standard,
    /// The model's number for the label; for a group that of its label with the lowest threshold.
    Manifest,
    /// `[defaults]`
    Defaults,
    /// The group of this name.
    Group(String),
    /// The label's own table.
    Label,
    /// A client, whose number is kept over the file.
    Kept,
}

impl ThresholdFrom {
    /// The word for programs.
    pub fn word(&self) -> &'static str {
        match self {
            ThresholdFrom::Standard => "default",
            ThresholdFrom::Manifest => "manifest",
            ThresholdFrom::Defaults => "defaults",
            ThresholdFrom::Group(_) => "group",
            ThresholdFrom::Label => "label",
            ThresholdFrom::Kept => "kept",
        }
    }
}

/// Whether a label is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reported {
    /// Yes, under its own name.
    Yes,
    /// Yes, under the name of this group.
    Group(String),
    /// No: neither the preset nor the list of labels names it.
    LeftOut,
    /// No: `[report] ignore` names it.
    Ignored,
}

impl Reported {
    /// The word for programs.
    pub fn word(&self) -> &'static str {
        match self {
            Reported::Yes => "yes",
            Reported::Group(_) => "group",
            Reported::LeftOut => "left_out",
            Reported::Ignored => "ignored",
        }
    }
}
