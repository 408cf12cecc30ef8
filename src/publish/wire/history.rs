//! Events as the store has them, and their numbers: the answers of `GET /api/v1/history`, and the lines of `mimid history`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::report::wire_event;
use super::{ClipState, Event, MarkKind, score, time};
use crate::publish::store::clips::ClipRow;
use crate::publish::store::history::gaps::Gap;
use crate::publish::store::history::{self, By, Groups, Key, Tally};
use crate::publish::store::marks::{KeptMark, Mark};

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeptEvent {
    /// The event as its last line told it.
    #[serde(flatten)]
    pub event: Event,
    /// When it was announced.
    #[schemars(extend("format" = "date-time"))]
    pub announced: String,
    /// When it was confirmed; null where it is not.
    #[schemars(extend("format" = "date-time"))]
    pub confirmed_at: Option<String>,
    /// The machine that heard it.
    pub node: String,
    /// The model by which it was heard.
    pub model: String,
    /// The number of its first line.
    pub first_seq: u64,
    /// The number of its last line so far.
    pub last_seq: u64,
    /// How many updates it had.
    pub updates: u64,
    /// What a person says of it; null where nobody has.
    #[serde(default)]
    pub mark: Option<EventMark>,
    /// The marks that it had before, the oldest first; only in the answer about one event, where there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_marks: Vec<EventMark>,
    /// What became of its clip; null where none was to be kept.
    #[serde(default)]
    pub clip: Option<Clip>,
}

/// What a person says of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventMark {
    /// `right`, `wrong`, or `other` for another sound.
    pub mark: MarkKind,
    /// The display name of the other sound; null where it is none.
    pub label: Option<String>,
    /// When it was marked.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
}

impl From<&KeptMark> for EventMark {
    fn from(KeptMark { mark, at }: &KeptMark) -> Self {
        let (mark, label) = match mark {
            Mark::Right => (MarkKind::Right, None),
            Mark::Wrong => (MarkKind::Wrong, None),
            Mark::Other(subject) => (MarkKind::Other, Some(subject.name.clone())),
        };
        Self { mark, label, at: time(*at) }
    }
}

/// What became of the clip of an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Clip {
    /// What became of it.
    pub state: ClipState,
    /// Why it is not kept, as a sentence; null where it is.
    pub reason: Option<String>,
    /// The name of the file; null where there is none. Events that overlap share one.
    pub file: Option<String>,
    /// When its sound begins.
    #[schemars(extend("format" = "date-time"))]
    pub from: String,
    /// When its sound ends.
    #[schemars(extend("format" = "date-time"))]
    pub to: String,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// Whether it is never cleared by itself.
    pub locked: bool,
}

/// Clips, the newest first.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ClipList {
    /// The clips.
    pub clips: Vec<ListedClip>,
}

/// An event with what became of its clip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ListedClip {
    /// The event's id.
    pub event: String,
    /// The display name of the event's label, or the group's name.
    pub label: String,
    /// The source's name.
    pub source: String,
    /// The event's highest score, 0…1.
    pub score: f64,
    /// What became of the clip.
    pub clip: Clip,
}

impl From<&ClipRow> for Clip {
    fn from(row: &ClipRow) -> Self {
        Self {
            state: row.state.into(),
            reason: row.reason.clone(),
            file: row.file.clone(),
            from: time(row.from),
            to: time(row.to),
            bytes: row.bytes,
            locked: row.is_locked,
        }
    }
}

impl From<&ClipRow> for ListedClip {
    fn from(row: &ClipRow) -> Self {
        let (event, label, source) = (row.event.to_string(), row.label.clone(), row.source.clone());
        Self { event, label, source, score: score(row.score), clip: row.into() }
    }
}

/// Events, and the place from which to ask for more.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct HistoryPage {
    /// The events, the newest onset first.
    pub events: Vec<KeptEvent>,
    /// The value of `before` that brings the next page; null on the last one.
    pub next: Option<String>,
}

/// Numbers of events.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct HistoryCounts {
    /// One for each combination of the asked values that has any event.
    pub counts: Vec<HistoryCount>,
}

/// The times in which nothing was heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HistoryGaps {
    /// When the first daemon began to keep events; null where none has. Nothing is known of the time before.
    #[schemars(extend("format" = "date-time"))]
    pub began: Option<String>,
    /// The gaps, in the order of their beginnings.
    pub gaps: Vec<HistoryGap>,
}

/// A time in which something was not heard: silence there says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HistoryGap {
    /// The source; null for all.
    pub source: Option<String>,
    /// Its beginning.
    #[schemars(extend("format" = "date-time"))]
    pub from: String,
    /// Its end; null while it lasts.
    #[schemars(extend("format" = "date-time"))]
    pub until: Option<String>,
    /// Why nothing was heard: `lost`, `paused`, or `stopped`, where no daemon ran.
    pub kind: String,
    /// The reason in words; null where there is none.
    pub reason: Option<String>,
}

impl From<&Gap> for HistoryGap {
    fn from(gap: &Gap) -> Self {
        Self {
            source: gap.source.as_deref().map(str::to_owned),
            from: time(gap.from),
            until: gap.until.map(time),
            kind: gap.why.name().to_owned(),
            reason: gap.reason.clone(),
        }
    }
}

/// The numbers of the events that have these values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryCount {
    /// The day, as `2026-11-29`; only where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    /// The day of the week, 1 for Monday to 7; only where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekday: Option<i8>,
    /// The hour of the day, 0 to 23; only where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hour: Option<i8>,
    /// The label's display name, or the group's name; only where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// How many events.
    pub events: u64,
    /// How many of them were confirmed.
    pub confirmed: u64,
    /// How many of them were taken back.
    pub unconfirmed: u64,
}

impl From<&history::KeptEvent> for KeptEvent {
    fn from(kept: &history::KeptEvent) -> Self {
        Self {
            event: wire_event(&kept.event, kept.reason),
            announced: time(kept.announced),
            confirmed_at: kept.confirmed.map(time),
            node: kept.node.to_string(),
            model: kept.model.to_string(),
            first_seq: kept.seq.0,
            last_seq: kept.seq.1,
            updates: kept.updates,
            mark: kept.mark.as_ref().map(EventMark::from),
            earlier_marks: Vec::new(),
            clip: kept.clip.as_ref().map(Clip::from),
        }
    }
}

impl HistoryCount {
    /// The lines of groups.
    pub fn all(by: &[By], groups: Groups) -> Vec<Self> {
        groups.into_iter().map(|(keys, tally)| Self::new(by, keys, tally)).collect()
    }

    fn new(by: &[By], keys: Vec<Key>, Tally { events, confirmed, unconfirmed }: Tally) -> Self {
        let mut count = Self { events, confirmed, unconfirmed, ..Self::default() };
        for (by, key) in by.iter().zip(keys) {
            match (by, key) {
                (By::Day, Key::Text(day)) => count.day = Some(day),
                (By::Label, Key::Text(label)) => count.label = Some(label),
                (By::Weekday, Key::Number(weekday)) => count.weekday = Some(weekday),
                (By::Hour, Key::Number(hour)) => count.hour = Some(hour),
                (By::Hour | By::Day | By::Weekday | By::Label, _) => {}
            }
        }
        count
    }
}
