//! The domain's own types: sound events, and the reports of the engine about events, sources and the daemon.
//!
//! Nothing here is serialised, which is `publish::wire`'s part, and nothing here reads a clock: times are given.

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

mod summary;

pub use summary::{Heard, Summary, Unheard};

/// The name under which an event is reported: a label of the model, or a group of labels from the configuration.
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
    /// Whether it is a group of the configuration, which has no place in the ontology.
    pub fn is_group(&self) -> bool {
        self.id.is_empty()
    }

    /// Whether `key` is its name or its slug, in upper or lower case.
    pub fn is_called(&self, key: &str) -> bool {
        self.name.eq_ignore_ascii_case(key) || self.slug.eq_ignore_ascii_case(key)
    }
}

/// One sound event as far as it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct SoundEvent {
    /// Unique, sortable by time (UUID version 7).
    pub id: Uuid,
    /// The label or group.
    pub subject: Arc<Subject>,
    /// The name of the source that heard it.
    pub source: Arc<str>,
    /// The beginning of the sound, by the sample clock.
    pub onset: Timestamp,
    /// The end of the sound, by the sample clock; `None` while it lasts. Of an open event it is the end so far: the sound may go on.
    pub offset: Option<Timestamp>,
    /// The newest score, 0…1.
    pub score: f32,
    /// The highest score so far, 0…1.
    pub peak_score: f32,
    /// The threshold in force when the event began, 0…1.
    pub threshold: f32,
    /// The root mean square level of the sound so far, in dB relative to full scale.
    pub level_dbfs: f32,
    /// How far the onset may be from the truth, in milliseconds.
    pub onset_uncertainty_ms: u64,
    /// How far the offset may be from the truth, in milliseconds; `None` where there is no offset.
    pub offset_uncertainty_ms: Option<u64>,
    /// The other labels and groups that the same sound was found as, such as the parents of a label.
    pub also: Vec<Arc<Subject>>,
    /// Whether the confirmed score has borne it out under its present name.
    pub is_confirmed: bool,
    /// The embedding of its sound, floats of 16 bits with the lowest byte first, once it has ended; for the store alone, and `None` where
    /// that keeps none.
    pub embedding: Option<Arc<[u8]>>,
}

#[cfg(test)]
impl SoundEvent {
    /// A sound that began at the epoch and lasts.
    pub(crate) fn example(id: u128, name: &str, source: &str) -> Self {
        Self {
            id: Uuid::from_u128(id),
            subject: Subject::example(name),
            source: source.into(),
            onset: Timestamp::UNIX_EPOCH,
            offset: None,
            score: 0.5,
            peak_score: 0.5,
            threshold: 0.1,
            level_dbfs: -20.0,
            onset_uncertainty_ms: 0,
            offset_uncertainty_ms: None,
            also: Vec::new(),
            is_confirmed: false,
            embedding: None,
        }
    }
}

#[cfg(test)]
impl Subject {
    /// A label of this name.
    pub(crate) fn example(name: &str) -> Arc<Self> {
        Arc::new(Self { name: name.to_owned(), slug: name.to_lowercase(), id: format!("/m/{}", name.to_lowercase()) })
    }
}

/// The reason why an event ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The score fell below the release threshold and stayed there.
    Decay,
    /// The confirmed score did not confirm the announced event.
    Unconfirmed,
    /// The event reached the longest duration; if the sound goes on, another event begins.
    MaxDuration,
    /// The source was lost.
    SourceLost,
    /// The daemon was paused, or a change of the configuration removed the label.
    Paused,
    /// The daemon is shutting down.
    Shutdown,
}

/// The reason of a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseReason {
    /// A request.
    Request,
    /// The configuration's quiet hours.
    QuietHours,
}

/// A pause, in which the devices are closed and nothing is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// The reason.
    pub reason: PauseReason,
    /// The time at which it ends by itself; `None` where it does not.
    pub until: Option<Timestamp>,
}

impl Pause {
    /// The pause in words, such as `quiet hours until 06:30`, as clocks show it at `now` in `zone`.
    pub fn describe(&self, now: Timestamp, zone: &TimeZone) -> String {
        let why = match self.reason {
            PauseReason::Request => "paused by a request",
            PauseReason::QuietHours => "quiet hours",
        };
        let Some(until) = self.until else { return why.to_owned() };
        let (shown, is_soon) = (zone.to_datetime(until), until.duration_since(now) < SignedDuration::from_hours(24));
        let day = if is_soon { String::new() } else { format!("{} ", shown.date()) };
        let second = if shown.second() == 0 { String::new() } else { format!(":{:02}", shown.second()) };
        format!("{why} until {day}{:02}:{:02}{second}", shown.hour(), shown.minute())
    }
}

/// What became of the clip of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClipState {
    /// It is being written.
    Writing,
    /// It is kept.
    Kept,
    /// It was withheld, because a voice is near it.
    Withheld,
    /// It was lost before it was written.
    Dropped,
    /// Its file is gone, and nobody deleted it.
    Missing,
    /// It is being deleted.
    Deleting,
    /// It was deleted, by a request or to make room.
    Cleared,
}

impl ClipState {
    /// Every state with its word.
    pub const NAMES: [(&str, Self); 7] = [
        ("writing", Self::Writing),
        ("kept", Self::Kept),
        ("withheld", Self::Withheld),
        ("dropped", Self::Dropped),
        ("missing", Self::Missing),
        ("deleting", Self::Deleting),
        ("cleared", Self::Cleared),
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::NAMES.iter().find(|(_, state)| *state == self).map_or("", |(word, _)| word)
    }
}

/// What became of the clip of an event, as it is reported.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipReport {
    /// The event's id.
    pub event: Uuid,
    /// The event's name.
    pub subject: Arc<Subject>,
    /// The name of the source.
    pub source: Arc<str>,
    /// What became of it.
    pub state: ClipState,
    /// Why it is not kept, as a sentence; `None` where it is.
    pub reason: Option<String>,
    /// The name of its file in the folder of the clips; `None` where there is none. Several events can share one.
    pub file: Option<String>,
    /// The beginning of the sound.
    pub from: Timestamp,
    /// The end of the sound.
    pub to: Timestamp,
    /// The size of the file.
    pub bytes: u64,
}

/// A report of the engine to its subscribers.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// An event begins.
    EventStart(SoundEvent),
    /// An open event has a new peak score; at most once a second.
    EventUpdate(SoundEvent),
    /// An event ends. Each start has exactly one end.
    EventEnd(SoundEvent, EndReason),
    /// The sound of an event is kept, or is not for a reason.
    Clip(Box<ClipReport>),
    /// A source stopped delivering; it is opened again and again.
    SourceLost {
        /// The source's name.
        source: Arc<str>,
        /// The reason as one sentence.
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
        /// The duration of the silence in seconds.
        seconds: f64,
    },
    /// The source did not deliver a stretch of sound, because the machine slept or the daemon stood still. Times are right again
    /// after it.
    SourceGap {
        /// The source's name.
        source: Arc<str>,
        /// The length of the gap in milliseconds.
        gap_ms: u64,
    },
    /// A source clips: the input gain is too high.
    SourceClipping {
        /// The source's name.
        source: Arc<str>,
        /// The number of samples at full scale since the last report.
        samples: u64,
    },
    /// The analysis cannot keep up: samples were lost because the ring was full, or load shedding scores windows farther apart
    /// than before. A report without lost samples, at the usual hop, says that it keeps up again.
    Overrun {
        /// The source's name.
        source: Arc<str>,
        /// The number of lost samples, at the source's own rate.
        samples: u64,
        /// The length of the gap in milliseconds.
        gap_ms: u64,
        /// The present distance of two scored windows, in milliseconds.
        hop_ms: u64,
    },
    /// The wall clock was set. Times follow the new one from now on, except those of the events that are open.
    ClockStepped {
        /// The step in milliseconds; negative where the clock was set back.
        by_ms: i64,
    },
    /// The daemon pauses from now on, or a pause goes on for another reason or until another time.
    Paused(Pause),
    /// The daemon hears again.
    Resumed {
        /// The reason of the pause that is over: a request, or the quiet hours.
        reason: PauseReason,
    },
    /// A new configuration is in force.
    ConfigReloaded {
        /// The changes, one sentence each.
        changes: Vec<String>,
    },
    /// A configuration was refused; the old one stays in force.
    ConfigRejected {
        /// The faults, one sentence each, with line numbers.
        faults: Vec<String>,
    },
    /// What was heard in the last day.
    Summary(Arc<Summary>),
}

impl Report {
    /// The name of the source that the report is about; `None` for one about the whole daemon.
    pub fn source(&self) -> Option<&Arc<str>> {
        match self {
            Report::EventStart(event) | Report::EventUpdate(event) | Report::EventEnd(event, _) => Some(&event.source),
            Report::Clip(clip) => Some(&clip.source),
            Report::SourceLost { source, .. }
            | Report::SourceRestored { source }
            | Report::SourceSilent { source, .. }
            | Report::SourceGap { source, .. }
            | Report::SourceClipping { source, .. }
            | Report::Overrun { source, .. } => Some(source),
            Report::ClockStepped { .. }
            | Report::Paused(_)
            | Report::Resumed { .. }
            | Report::ConfigReloaded { .. }
            | Report::ConfigRejected { .. }
            | Report::Summary(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_told_with_its_end_as_a_clock_on_the_wall_shows_it() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let now = "2026-11-20T21:00:00Z".parse().unwrap();
        let told =
            |reason, until: Option<&str>| Pause { reason, until: until.map(|until| until.parse().unwrap()) }.describe(now, &zone);
        assert_eq!(told(PauseReason::Request, None), "paused by a request");
        assert_eq!(told(PauseReason::Request, Some("2026-11-20T21:10:07.9Z")), "paused by a request until 22:10:07");
        assert_eq!(told(PauseReason::QuietHours, Some("2026-11-21T05:30:00Z")), "quiet hours until 06:30");
        assert_eq!(told(PauseReason::QuietHours, Some("2026-11-23T05:30:00Z")), "quiet hours until 2026-11-23 06:30");
    }
}
