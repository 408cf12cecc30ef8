//! What was heard in a day, and what of it was new or more than usual.

use jiff::Timestamp;

/// What was heard in a stretch of time, as a rule a day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end.
    pub until: Timestamp,
    /// The days before it with which it is compared; too few of them say nothing.
    pub n_days: usize,
    /// The labels and groups that were heard, the most frequent first.
    pub heard: Vec<Heard>,
    /// The times in which something could not be heard, summed up by source and reason.
    pub unheard: Vec<Unheard>,
}

/// The confirmed events of a label or a group in a summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The name of the label or the group.
    pub label: String,
    /// How many.
    pub events: u64,
    /// How long they lasted together, in milliseconds.
    pub duration_ms: u64,
    /// How many there are on a day otherwise, in tenths.
    pub usual_tenths: u64,
    /// How long they last together on a day otherwise, in milliseconds.
    pub usual_duration_ms: u64,
    /// When the last one before began; `None` where none is kept.
    pub before: Option<Timestamp>,
    /// Whether it was never heard before, or not for long.
    pub is_new: bool,
    /// Whether there are more than usual.
    pub is_more: bool,
    /// Whether they lasted longer than usual.
    pub is_longer: bool,
}

/// A time in which something could not be heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unheard {
    /// The source; `None` for all.
    pub source: Option<String>,
    /// Why, as the gaps of the history name it: `lost`, `paused` or `stopped`.
    pub kind: String,
    /// For how long, in milliseconds.
    pub duration_ms: u64,
}
