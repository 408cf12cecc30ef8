//! The reason why a label is an event just now, or is none, with its names and numbers: as a value, and as a sentence for people.

use std::sync::Arc;

use super::Glance;
use super::standing::Standing;
use crate::detect::rule::{Announce, Gate};
use crate::event::Subject;

/// A background from which on it is told as a reason, 0…1.
const HEARD: f32 = 0.03;

/// The reason why a label is an event just now, or is none.
#[derive(Debug, Clone, PartialEq)]
pub enum Why {
    /// An event of the label is open.
    Open {
        /// Whether the confirmed score has confirmed it.
        is_confirmed: bool,
    },
    /// The sound is heard, and its event is announced when it is confirmed.
    Pending,
    /// The same sound is reported under another name, that of a label above or below this one.
    Held {
        /// The other name.
        by: Arc<Subject>,
    },
    /// The label's scores are below its thresholds.
    Below {
        /// The label's background, a score from 0 to 1, above which its causal score must rise.
        background: f32,
    },
    /// Fewer of the last windows reached the start threshold than the rule asks for.
    Confirming {
        /// The number of windows that reached it.
        hits: usize,
        /// The number that must reach it.
        needed: usize,
        /// The number of last windows that count.
        of: usize,
    },
    /// The sound is quieter than the rule asks for.
    TooQuiet {
        /// The present level in dBFS.
        level_dbfs: f32,
        /// The least level in dBFS.
        least_dbfs: f32,
    },
    /// The sound has not lasted as long as the rule asks for.
    TooShort {
        /// The least duration in milliseconds.
        least_ms: u64,
    },
    /// The confirmed score did not confirm the event that the causal score began; the same sound begins no other.
    Refused,
    /// A cool-down follows the last event of the label.
    CoolingDown {
        /// The rest of the cool-down in milliseconds.
        left_ms: u64,
    },
    /// `[report] ignore` leaves the label out.
    Ignored,
    /// The report does not name the label.
    NotReported,
    /// The label is reported as a group.
    Grouped {
        /// The group.
        group: Arc<Subject>,
    },
}

/// The moment at which a rule has a standing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Moment {
    /// The moment as a sample index.
    pub now: u64,
    /// The rate of the sample indices in Hz.
    pub rate_hz: u32,
    /// The loudness at the moment in dBFS.
    pub loudness_dbfs: f32,
}

impl Why {
    /// The reason behind the standing of a rule with this gate at a moment, as `glance` has it. `reported_as` is the other name under which its open
    /// event is reported, if it has one.
    pub(crate) fn new(glance: &Glance, reported_as: Option<Arc<Subject>>, gate: &Gate, moment: Moment) -> Self {
        match glance.standing {
            Standing::Open { is_confirmed, .. } => match reported_as {
                Some(by) => Why::Held { by },
                None if !is_confirmed && glance.reported_as.is_none() && gate.announce == Announce::Confirmed => Why::Pending,
                None => Why::Open { is_confirmed },
            },
            Standing::Below => Why::Below { background: glance.background },
            Standing::TooQuiet => {
                Why::TooQuiet { level_dbfs: moment.loudness_dbfs, least_dbfs: gate.min_level_dbfs.unwrap_or_default() }
            }
            Standing::Refused => Why::Refused,
            Standing::CoolingDown { until } => {
                Why::CoolingDown { left_ms: until.saturating_sub(moment.now) * 1_000 / u64::from(moment.rate_hz) }
            }
            Standing::Confirming { hits } => Why::Confirming { hits, needed: gate.confirm_k, of: gate.confirm_n },
            Standing::TooShort => Why::TooShort { least_ms: gate.min_duration_ms },
        }
    }

    /// The reason as a sentence without its full stop. The scores are shown beside it, so it does not repeat them.
    pub(crate) fn because(&self) -> String {
        match self {
            Why::Open { is_confirmed: true } => "an event is open".to_owned(),
            Why::Open { is_confirmed: false } => "announced, not yet confirmed".to_owned(),
            Why::Pending => "heard; is announced when confirmed".to_owned(),
            Why::Held { by } => format!("the same sound is reported as {}", by.name),
            Why::Below { background } if *background >= HEARD => {
                format!("below its start threshold; its background of {background:.2} is taken off its score")
            }
            Why::Below { .. } => "below its start threshold".to_owned(),
            Why::Confirming { hits, needed, of } => format!("{hits} of the last {of} windows, {needed} needed"),
            Why::TooQuiet { level_dbfs, least_dbfs } => format!("too quiet: {level_dbfs:.1} dBFS, must be {least_dbfs:.1}"),
            Why::TooShort { least_ms } => format!("shorter than {least_ms} ms so far"),
            Why::Refused => "not confirmed; nothing is announced until this sound is over".to_owned(),
            Why::CoolingDown { left_ms } => format!("cooling down for another {:.1} s", *left_ms as f64 / 1_000.0),
            Why::Ignored => "[report] ignore leaves it out".to_owned(),
            Why::NotReported => "[report] does not name it".to_owned(),
            Why::Grouped { group } => format!("reported as the group {}", group.name),
        }
    }
}
