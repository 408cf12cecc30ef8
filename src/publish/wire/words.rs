//! The words of the protocol: reasons, states and kinds, each from a closed set.
//!
//! A client reads a word of a newer daemon as `Other`, for a set may grow within a version as an object's fields may. The daemon
//! never sends `Other`, so the schema does not name it.

use std::fmt;

use schemars::JsonSchema;
use serde::de::IntoDeserializer;
use serde::de::value::Error;
use serde::{Deserialize, Serialize};

use crate::detect::peaks::CurveKind;
use crate::detect::why;
use crate::{event, stats};

/// Why an event ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The score fell below the release threshold and stayed there.
    Decay,
    /// The confirmed score did not bear out the announcement.
    Unconfirmed,
    /// The event reached its greatest duration; it begins anew if the sound goes on.
    MaxDuration,
    /// The source was lost.
    SourceLost,
    /// The daemon was paused, or a change of the configuration took the label away.
    Paused,
    /// The daemon shut down.
    Shutdown,
    /// A word that this version does not know.
    #[serde(untagged)]
    #[schemars(skip)]
    Other(String),
}

/// What became of the clip of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
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
    /// A word that this version does not know.
    #[serde(untagged)]
    #[schemars(skip)]
    Other(String),
}

/// Why the daemon is paused, or no longer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    /// A client asked for it, or the pause that it asked for is over.
    Request,
    /// The quiet hours of the configuration, or their end.
    QuietHours,
    /// A word that this version does not know.
    #[serde(untagged)]
    #[schemars(skip)]
    Other(String),
}

/// What a person says of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// It was what it was reported as.
    Right,
    /// It was none of it.
    Wrong,
    /// It was another sound.
    Other,
    /// Nothing: the mark that it has is taken away.
    None,
}

/// The state of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// It is being opened for the first time.
    Opening,
    /// It delivers.
    Live,
    /// It delivers nothing and is tried again.
    Lost,
    /// It is closed while the daemon is paused.
    Paused,
    /// It came to its end, as a file does.
    Ended,
    /// A word that this version does not know.
    #[serde(untagged)]
    #[schemars(skip)]
    Other(String),
}

/// The state of a sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SinkState {
    /// It is not connected yet.
    Starting,
    /// It is connected, or served.
    Up,
    /// It is not connected and tries again.
    Down,
    /// A word that this version does not know.
    #[serde(untagged)]
    #[schemars(skip)]
    Other(String),
}

/// Why a label is an event, or is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// An event of it is open.
    Open,
    /// Its sound is heard, and its event is announced when it is confirmed.
    Pending,
    /// The same sound is reported as one event under another label.
    Held,
    /// Its scores are below its thresholds.
    Below,
    /// Too few of the last windows reached the start threshold so far.
    Confirming,
    /// The sound is quieter than `min_level_dbfs`.
    TooQuiet,
    /// The sound has not lasted for `min_duration_ms` yet.
    TooShort,
    /// The confirmed score did not bear out the announcement, and the same sound is not announced again.
    Refused,
    /// No new event begins for `cooldown_s` after one.
    CoolingDown,
    /// `[report] ignore` leaves it out.
    Ignored,
    /// `[report]` does not name it.
    NotReported,
    /// It is reported as a group.
    Grouped,
    /// A word that this version does not know.
    #[serde(untagged)]
    #[schemars(skip)]
    Other(String),
}

/// Which score curve of a label a peak belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PeakKind {
    /// The confirmed score, which decides whether there was an event.
    TwoSided,
    /// The causal score, which announces events.
    Causal,
    /// A word that this version does not know.
    #[serde(untagged)]
    #[schemars(skip)]
    Other(String),
}

impl Default for Why {
    /// The empty word, where an older daemon gives no reason.
    fn default() -> Self {
        Self::Other(String::new())
    }
}

macro_rules! words {
    ($($name:ident),+) => {$(
        impl fmt::Display for $name {
            /// Writes the word as the protocol spells it.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.serialize(f)
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                let known = Self::deserialize(IntoDeserializer::<Error>::into_deserializer(word));
                known.unwrap_or_else(|_| Self::Other(word.to_owned()))
            }
        }
    )+};
}

words!(ClipState, EndReason, PauseReason, SourceState, SinkState, Why, PeakKind);

impl fmt::Display for MarkKind {
    /// Writes the word as the protocol spells it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl From<event::EndReason> for EndReason {
    fn from(reason: event::EndReason) -> Self {
        match reason {
            event::EndReason::Decay => Self::Decay,
            event::EndReason::Unconfirmed => Self::Unconfirmed,
            event::EndReason::MaxDuration => Self::MaxDuration,
            event::EndReason::SourceLost => Self::SourceLost,
            event::EndReason::Paused => Self::Paused,
            event::EndReason::Shutdown => Self::Shutdown,
        }
    }
}

impl From<event::PauseReason> for PauseReason {
    fn from(reason: event::PauseReason) -> Self {
        match reason {
            event::PauseReason::Request => Self::Request,
            event::PauseReason::QuietHours => Self::QuietHours,
        }
    }
}

impl From<event::ClipState> for ClipState {
    fn from(state: event::ClipState) -> Self {
        match state {
            event::ClipState::Writing => Self::Writing,
            event::ClipState::Kept => Self::Kept,
            event::ClipState::Withheld => Self::Withheld,
            event::ClipState::Dropped => Self::Dropped,
            event::ClipState::Missing => Self::Missing,
            event::ClipState::Deleting => Self::Deleting,
            event::ClipState::Cleared => Self::Cleared,
        }
    }
}

impl ClipState {
    /// The state; `None` for one that this version does not know.
    pub(crate) fn known(&self) -> Option<event::ClipState> {
        event::ClipState::NAMES.iter().find(|(_, state)| Self::from(*state) == *self).map(|(_, state)| *state)
    }
}

impl From<stats::SourceState> for SourceState {
    fn from(state: stats::SourceState) -> Self {
        match state {
            stats::SourceState::Opening => Self::Opening,
            stats::SourceState::Live => Self::Live,
            stats::SourceState::Lost => Self::Lost,
            stats::SourceState::Paused => Self::Paused,
            stats::SourceState::Ended => Self::Ended,
        }
    }
}

impl From<stats::sink::SinkState> for SinkState {
    fn from(state: stats::sink::SinkState) -> Self {
        match state {
            stats::sink::SinkState::Starting => Self::Starting,
            stats::sink::SinkState::Up => Self::Up,
            stats::sink::SinkState::Down => Self::Down,
        }
    }
}

impl From<&why::Why> for Why {
    fn from(why: &why::Why) -> Self {
        match why {
            why::Why::Open { .. } => Self::Open,
            why::Why::Pending => Self::Pending,
            why::Why::Held { .. } => Self::Held,
            why::Why::Below { .. } => Self::Below,
            why::Why::Confirming { .. } => Self::Confirming,
            why::Why::TooQuiet { .. } => Self::TooQuiet,
            why::Why::TooShort { .. } => Self::TooShort,
            why::Why::Refused => Self::Refused,
            why::Why::CoolingDown { .. } => Self::CoolingDown,
            why::Why::Ignored => Self::Ignored,
            why::Why::NotReported => Self::NotReported,
            why::Why::Grouped { .. } => Self::Grouped,
        }
    }
}

impl From<CurveKind> for PeakKind {
    fn from(kind: CurveKind) -> Self {
        match kind {
            CurveKind::Confirmed => Self::TwoSided,
            CurveKind::Causal => Self::Causal,
        }
    }
}

impl PeakKind {
    /// The curve; `None` for one that this version does not know.
    pub(crate) fn curve(&self) -> Option<CurveKind> {
        match self {
            Self::TwoSided => Some(CurveKind::Confirmed),
            Self::Causal => Some(CurveKind::Causal),
            Self::Other(_) => None,
        }
    }
}

impl PauseReason {
    /// The reason; `None` for one that this version does not know.
    pub(crate) fn known(&self) -> Option<event::PauseReason> {
        match self {
            Self::Request => Some(event::PauseReason::Request),
            Self::QuietHours => Some(event::PauseReason::QuietHours),
            Self::Other(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_and_written_as_the_protocol_spells_it() {
        for (word, read) in [("quiet_hours", PauseReason::QuietHours), ("holiday", PauseReason::Other("holiday".to_owned()))] {
            let json = format!("{word:?}");
            assert_eq!(serde_json::from_str::<PauseReason>(&json).unwrap(), read);
            assert_eq!(serde_json::to_string(&read).unwrap(), json);
            assert_eq!((read.to_string().as_str(), PauseReason::from(word)), (word, read));
        }
        assert_eq!(format!("{:<7}|{:>6}", SourceState::Live, SourceState::from("x")), "live   |     x");
        assert!(serde_json::from_str::<PauseReason>("7").is_err());
    }
}
