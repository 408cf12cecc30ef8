//! The domain's own types: what was heard, and what happened to the sources that hear it.
//!
//! Nothing here is serialised (that is `publish::wire`'s part), and nothing here reads a clock: times are given.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

/// The name that an event is reported under: a label of the model, or a group of labels from the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The display name, such as `Smoke detector, smoke alarm`, or the group's name.
    pub name: String,
    /// The name as an identifier, such as `smoke_detector_smoke_alarm`.
    pub slug: String,
    /// The label's id in its ontology (AudioSet's `/m/…`); empty for a group.
    pub id: String,
}

impl Subject {
    /// Whether it has no place in an ontology: it is a group of the configuration.
    pub fn is_group(&self) -> bool {
        self.id.is_empty()
    }

    /// Whether `key` is its name or its slug, in any case.
    pub fn is_called(&self, key: &str) -> bool {
        self.name.eq_ignore_ascii_case(key) || self.slug.eq_ignore_ascii_case(key)
    }
}

/// One sound event as far as it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct SoundEvent {
    /// Unique, sortable by time (UUID version 7).
    pub id: Uuid,
    /// What was heard.
    pub subject: Arc<Subject>,
    /// The name of the source that heard it.
    pub source: Arc<str>,
    /// When the sound began, by the sample clock.
    pub onset: Timestamp,
    /// When the sound ended, by the sample clock; `None` while it lasts.
    pub offset: Option<Timestamp>,
    /// The score in the window that this report rests on, 0…1.
    pub score: f32,
    /// The highest score so far, 0…1.
    pub peak_score: f32,
    /// The threshold in force when the event began, 0…1.
    pub threshold: f32,
    /// The root mean square level of the sound so far, in dB relative to full scale.
    pub level_dbfs: f32,
    /// How far the onset may be from the truth, in milliseconds.
    pub onset_uncertainty_ms: u64,
    /// The same of the offset; `None` while the sound lasts.
    pub offset_uncertainty_ms: Option<u64>,
    /// What else the same sound was heard as, such as the parents of a label.
    pub also: Vec<Arc<Subject>>,
}

/// Why an event ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The score fell below the release threshold and stayed there.
    Decay,
    /// The score that looks at both sides of a moment did not confirm what was announced at once.
    Unconfirmed,
    /// The event reached its greatest duration; it begins anew if the sound goes on.
    MaxDuration,
    /// The source that heard it was lost.
    SourceLost,
    /// Somebody paused the daemon, or a change of the configuration took the label away.
    Paused,
    /// The daemon is shutting down.
    Shutdown,
}

/// Everything that the engine tells its subscribers.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// A sound began.
    EventStart(SoundEvent),
    /// A sound that lasts has a higher peak; at most once a second.
    EventUpdate(SoundEvent),
    /// A sound ended. Each start has exactly one end.
    EventEnd(SoundEvent, EndReason),
    /// A source stopped delivering; it is being retried.
    SourceLost {
        /// The source's name.
        source: Arc<str>,
        /// Why, as one plain sentence.
        reason: String,
    },
    /// A lost source delivers again.
    SourceRestored {
        /// The source's name.
        source: Arc<str>,
    },
    /// A source has delivered nothing but digital silence for a while.
    SourceSilent {
        /// The source's name.
        source: Arc<str>,
        /// How long, in seconds.
        seconds: f64,
    },
    /// Sound is missing that the source never delivered: the machine slept, or the daemon stood still. Times go on right after it.
    SourceGap {
        /// The source's name.
        source: Arc<str>,
        /// How long the gap is, in milliseconds.
        gap_ms: u64,
    },
    /// A source clips: the input gain is too high.
    SourceClipping {
        /// The source's name.
        source: Arc<str>,
        /// How many samples were at full scale since the last report.
        samples: u64,
    },
    /// The analysis cannot keep up: samples were lost because the ring was full, or windows are scored farther apart than before. Without
    /// lost samples and at the usual hop it says that it keeps up again.
    Overrun {
        /// The source's name.
        source: Arc<str>,
        /// How many samples at the source's own rate were lost.
        samples: u64,
        /// How long the gap is, in milliseconds.
        gap_ms: u64,
        /// How far apart windows are scored just now, in milliseconds.
        hop_ms: u64,
    },
    /// The wall clock was set: times are told by the new one from now on, but for those of the events that are open.
    ClockStepped {
        /// By how much, in milliseconds; below zero where it was set back.
        by_ms: i64,
    },
    /// A new configuration is in force.
    ConfigReloaded {
        /// What changed, one sentence each.
        changes: Vec<String>,
    },
    /// A configuration was refused; the old one stays in force.
    ConfigRejected {
        /// What is wrong with it, one sentence each, with line numbers.
        faults: Vec<String>,
    },
}

impl Report {
    /// The name of the source that the report is about; `None` for one about the whole daemon.
    pub fn source(&self) -> Option<&Arc<str>> {
        match self {
            Report::EventStart(event) | Report::EventUpdate(event) | Report::EventEnd(event, _) => Some(&event.source),
            Report::SourceLost { source, .. }
            | Report::SourceRestored { source }
            | Report::SourceSilent { source, .. }
            | Report::SourceGap { source, .. }
            | Report::SourceClipping { source, .. }
            | Report::Overrun { source, .. } => Some(source),
            Report::ClockStepped { .. } | Report::ConfigReloaded { .. } | Report::ConfigRejected { .. } => None,
        }
    }
}
