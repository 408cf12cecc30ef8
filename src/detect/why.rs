//! Why a label is an event just now, or why not, with its names and numbers: as a value, and as a sentence for people.

use std::sync::Arc;

use super::standing::Standing;
use crate::detect::rule::Gate;
use crate::event::Subject;

/// Why a label is an event just now, or why not.
#[derive(Debug, Clone, PartialEq)]
pub enum Why {
    /// An event of it is open; whether the score of both sides has borne it out.
    Open {
        /// Whether it has.
        is_confirmed: bool,
    },
    /// The same sound is told as one event with another name, a label above or below it.
    Held {
        /// That name.
        by: Arc<Subject>,
    },
    /// Its scores are below its thresholds.
    Below,
    /// Not enough of the last windows reached the start threshold yet.
    Confirming {
        /// How many did.
        hits: usize,
        /// How many must.
        needed: usize,
        /// Of how many.
        of: usize,
    },
    /// The sound is quieter than the rule asks for.
    TooQuiet {
        /// How loud it is, in dBFS.
        level_dbfs: f32,
        /// How loud it must be, in dBFS.
        least_dbfs: f32,
    },
    /// The sound has not lasted as long as the rule asks for.
    TooShort {
        /// How long it must last, in milliseconds.
        least_ms: u64,
    },
    /// The second look did not bear out what was announced; the same sound is not announced again.
    Refused,
    /// After an event of it no other begins for a while.
    CoolingDown {
        /// How much of that is left, in milliseconds.
        left_ms: u64,
    },
    /// `[report] ignore` leaves it out.
    Ignored,
    /// The report does not name it.
    NotReported,
    /// It is reported as a group.
    Grouped {
        /// The group.
        group: Arc<Subject>,
    },
}

/// The moment that a standing belongs to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// When it is, as a sample index.
    pub now: u64,
    /// The rate that times are counted in, in Hz.
    pub rate_hz: u32,
    /// How loud it is, in dBFS.
    pub loudness_dbfs: f32,
}

impl Why {
    /// How a rule with this gate stands at a moment; `told_as` is another name that its open event has.
    pub fn new(standing: Standing, told_as: Option<Arc<Subject>>, gate: &Gate, moment: Moment) -> Self {
        match standing {
            Standing::Open { is_confirmed, .. } => match told_as {
                Some(by) => Why::Held { by },
                None => Why::Open { is_confirmed },
            },
            Standing::Below => Why::Below,
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

    /// The same as a sentence without its full stop. The scores stand beside it wherever it is shown.
    pub fn because(&self) -> String {
        match self {
            Why::Open { is_confirmed: true } => "an event is open".to_owned(),
            Why::Open { is_confirmed: false } => "announced, waits for the second look".to_owned(),
            Why::Held { by } => format!("the same sound is told as {}", by.name),
            Why::Below => "below its start threshold".to_owned(),
            Why::Confirming { hits, needed, of } => format!("{hits} of the {needed} windows that confirm it, of the last {of}"),
            Why::TooQuiet { level_dbfs, least_dbfs } => format!("too quiet: {level_dbfs:.1} of {least_dbfs:.1} dBFS"),
            Why::TooShort { least_ms } => format!("not yet as long as {least_ms} ms"),
            Why::Refused => "announced and not borne out; not again until it is over".to_owned(),
            Why::CoolingDown { left_ms } => format!("cooling down for another {:.1} s", *left_ms as f64 / 1_000.0),
            Why::Ignored => "[report] ignore leaves it out".to_owned(),
            Why::NotReported => "[report] does not name it".to_owned(),
            Why::Grouped { group } => format!("reported as the group {}", group.name),
        }
    }
}
