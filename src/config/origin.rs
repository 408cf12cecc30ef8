//! Where the threshold of each label comes from, and whether the label is reported: what `mimid labels` tells.
//!
//! It stands beside the rules and never in them: the same number from another place changes nothing that a reload would apply.

/// What the configuration makes of one label, and where it says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// The threshold that the label has without a configuration, 0…1.
    pub default_threshold: f32,
    /// The threshold in force, 0…1; of a label that is not reported the one that it would have.
    pub threshold: f32,
    /// The start threshold in force, 0…1.
    pub start_threshold: f32,
    /// Where `threshold` comes from.
    pub threshold_from: ThresholdFrom,
    /// The line where it is set, counted from 1; `None` where the file does not set it.
    pub threshold_line: Option<usize>,
    /// Whether the label is reported.
    pub reported: Reported,
    /// The line that decides it, counted from 1; `None` where the file does not.
    pub reported_line: Option<usize>,
}

/// Where a threshold comes from, the least first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ThresholdFrom {
    /// The one standard number.
    Standard,
    /// The model's own number for the label, or of a group for its most sensitive label.
    Manifest,
    /// `[defaults]`
    Defaults,
    /// The group of this name.
    Group(String),
    /// The label's own table.
    Label,
}

impl ThresholdFrom {
    /// One word, as machines read it.
    pub fn word(&self) -> &'static str {
        match self {
            ThresholdFrom::Standard => "default",
            ThresholdFrom::Manifest => "manifest",
            ThresholdFrom::Defaults => "defaults",
            ThresholdFrom::Group(_) => "group",
            ThresholdFrom::Label => "label",
        }
    }
}

/// Whether a label is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reported {
    /// Under its own name.
    Yes,
    /// Under the name of this group.
    Group(String),
    /// The preset or the list of labels does not have it.
    LeftOut,
    /// `[report] ignore` names it.
    Ignored,
}

impl Reported {
    /// One word, as machines read it.
    pub fn word(&self) -> &'static str {
        match self {
            Reported::Yes => "yes",
            Reported::Group(_) => "group",
            Reported::LeftOut => "left_out",
            Reported::Ignored => "ignored",
        }
    }
}
