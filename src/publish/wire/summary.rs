//! The line of a summary.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{duration, time};
use crate::event;

/// What was heard in a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Its beginning.
    #[schemars(extend("format" = "date-time"))]
    pub from: String,
    /// Its end.
    #[schemars(extend("format" = "date-time"))]
    pub until: String,
    /// The days before it with which it is compared; below 7 nothing is told to be new, more or longer.
    pub days: usize,
    /// The labels and groups that were heard, the most frequent first.
    pub heard: Vec<Heard>,
    /// The times in which something could not be heard, summed up by source and reason.
    pub unheard: Vec<Unheard>,
}

/// The confirmed events of a label or a group in a summary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Heard {
    /// The label's display name, or the group's name.
    pub label: String,
    /// How many events.
    pub events: u64,
    /// How long they lasted together.
    pub duration_ms: u64,
    /// How many there are on a day otherwise: the mean of the days before.
    pub usual_events: f64,
    /// How long they last together on a day otherwise.
    pub usual_duration_ms: u64,
    /// The onset of the last one before; null where none is kept.
    #[schemars(extend("format" = "date-time"))]
    pub before: Option<String>,
    /// Whether it was never heard before, or not for four weeks.
    pub new: bool,
    /// Whether there are more events than usual.
    pub more: bool,
    /// Whether they lasted longer than usual.
    pub longer: bool,
}

impl Eq for Heard {}

/// A time in which something could not be heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unheard {
    /// The source; null for all.
    pub source: Option<String>,
    /// Why: `lost`, `paused`, or `stopped`, where no daemon ran.
    pub kind: String,
    /// For how long.
    pub duration_ms: u64,
}

impl From<&event::Summary> for Summary {
    fn from(summary: &event::Summary) -> Self {
        let heard = |heard: &event::Heard| Heard {
            label: heard.label.clone(),
            events: heard.events,
            duration_ms: heard.duration_ms,
            usual_events: heard.usual_tenths as f64 / 10.0,
            usual_duration_ms: heard.usual_duration_ms,
            before: heard.before.map(time),
            new: heard.is_new,
            more: heard.is_more,
            longer: heard.is_longer,
        };
        let unheard = |event::Unheard { source, kind, duration_ms }: &event::Unheard| Unheard {
            source: source.clone(),
            kind: kind.clone(),
            duration_ms: *duration_ms,
        };
        Self {
            from: time(summary.from),
            until: time(summary.until),
            days: summary.n_days,
            heard: summary.heard.iter().map(heard).collect(),
            unheard: summary.unheard.iter().map(unheard).collect(),
        }
    }
}

/// The summary of a line that was kept.
impl TryFrom<Summary> for event::Summary {
    type Error = ();

    fn try_from(summary: Summary) -> Result<Self, ()> {
        let heard = |heard: Heard| event::Heard {
            label: heard.label,
            events: heard.events,
            duration_ms: heard.duration_ms,
            usual_tenths: (heard.usual_events * 10.0).round().max(0.0) as u64,
            usual_duration_ms: heard.usual_duration_ms,
            before: heard.before.and_then(|before| before.parse().ok()),
            is_new: heard.new,
            is_more: heard.more,
            is_longer: heard.longer,
        };
        let unheard = |Unheard { source, kind, duration_ms }| event::Unheard { source, kind, duration_ms };
        Ok(Self {
            from: summary.from.parse().map_err(drop)?,
            until: summary.until.parse().map_err(drop)?,
            n_days: summary.days,
            heard: summary.heard.into_iter().map(heard).collect(),
            unheard: summary.unheard.into_iter().map(unheard).collect(),
        })
    }
}

impl Summary {
    /// The most labels that the sentence names.
    const NAMED: usize = 8;

    /// The summary as one sentence for people.
    pub(crate) fn sentence(&self) -> String {
        if self.heard.is_empty() {
            return format!("Nothing was heard{}", self.gaps());
        }
        let counted: Vec<String> =
            self.heard.iter().take(Self::NAMED).map(|heard| format!("{} {}", heard.label, heard.events)).collect();
        let more = if self.heard.len() > Self::NAMED {
            format!(" and {} other sounds", self.heard.len() - Self::NAMED)
        } else {
            String::new()
        };
        let mut sentence = format!("Heard: {}{more}", counted.join(", "));
        let named = |fits: fn(&Heard) -> bool| {
            self.heard.iter().filter(|heard| fits(heard)).map(|heard| heard.label.clone()).collect::<Vec<_>>()
        };
        for (what, names) in [
            ("new", named(|heard| heard.new)),
            ("more than usual", named(|heard| heard.more)),
            ("longer than usual", named(|heard| heard.longer)),
        ] {
            if !names.is_empty() {
                sentence += &format!("; {what}: {}", names.join(", "));
            }
        }
        sentence + &self.gaps()
    }

    fn gaps(&self) -> String {
        let gaps = self.unheard.iter().map(|Unheard { source, kind, duration_ms }| {
            let source = source.as_ref().map(|source| format!(" {source}")).unwrap_or_default();
            format!("{kind}{source} {}", duration(*duration_ms as f64 / 1e3))
        });
        match gaps.collect::<Vec<_>>() {
            gaps if gaps.is_empty() => String::new(),
            gaps => format!("; could not be heard: {}", gaps.join(", ")),
        }
    }
}
