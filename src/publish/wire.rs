//! Protocol v1: its types, which alone are serialised. One JSON object a line; fields are only ever added.
//!
//! This file has the lines and the events in them; `status`, `top` and `peaks` have answers, `live` the messages of a live view, `history` events as they are kept,
//! `request` what clients send. `words` has the enums, `report` makes lines of the engine's reports, `format` the numbers in
//! them, and `schema` the JSON Schema of it all.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod format;
mod history;
mod live;
mod peaks;
mod report;
mod request;
pub mod schema;
mod status;
mod summary;
mod top;
mod words;

use format::round;
pub use format::time;
pub(in crate::publish) use format::{level, milliseconds, score};
pub(crate) use history::{
    ClipList, EventMark, HistoryCount, HistoryCounts, HistoryGap, HistoryGaps, HistoryPage, KeptEvent, ListedClip,
};
pub(crate) use live::{Live, LiveStart};
pub use peaks::{Peak, Peaks};
pub(in crate::publish) use report::kind;
pub use request::{BadRequest, Request};
pub(crate) use status::duration;
pub use status::{ClipsStatus, HookStatus, HookTry, LatencyStatus, PauseStatus, SinkStatus, SourceStatus, Status};
pub use summary::{Heard, Summary, Unheard};
pub use top::{OpenEvent, Thresholds, Top, TopLabel};
pub use words::{ClipState, EndReason, MarkKind, PauseReason, PeakKind, SinkState, SourceState, Why};

/// The protocol's version, on every line.
pub const VERSION: u32 = 1;

/// A line that the daemon sends: the fields that all lines have, and those of its `type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// The protocol's version.
    #[schemars(extend("const" = VERSION))]
    pub v: u32,
    /// The number of the report; in `hello`, `subscribed` and `status` that of the last report so far. Answers have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// When the line was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub ts: Option<String>,
    /// The fields of its type.
    #[serde(flatten)]
    pub body: Body,
}

/// The fields of a line that belong to its `type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum Body {
    /// The first line of a connection.
    #[serde(rename = "hello")]
    Hello {
        /// The daemon's version.
        version: String,
        /// The id of this start of the daemon; the numbers of the reports belong to it.
        #[serde(default)]
        instance: String,
        /// The model in force.
        model: ModelInfo,
        /// The names of the sources.
        sources: Vec<String>,
    },
    /// The answer to `subscribe`: the filter as it was understood.
    #[serde(rename = "subscribed")]
    Subscribed {
        /// The display names of labels and groups; none is all.
        labels: Vec<String>,
        /// The names of sources; none is all.
        sources: Vec<String>,
        /// Types, or their first parts; none is all.
        types: Vec<String>,
        /// The lowest peak score of an event's line, 0…1.
        min_score: f64,
        /// Whether only confirmed events come.
        #[serde(default)]
        confirmed: bool,
        /// Whether `since` belonged to another start of the daemon, whose reports are gone.
        #[serde(default)]
        restarted: bool,
    },
    /// A sound began.
    #[serde(rename = "event.start")]
    EventStart {
        /// The event.
        event: Event,
        /// Milliseconds from the onset to this line.
        latency_ms: u64,
    },
    /// The peak of an event rose, or it has a more specific label.
    #[serde(rename = "event.update")]
    EventUpdate {
        /// The event.
        event: Event,
        /// Milliseconds from the onset to this line.
        latency_ms: u64,
    },
    /// A sound ended. Every start has exactly one end.
    #[serde(rename = "event.end")]
    EventEnd {
        /// The event, with refined times and a reason.
        event: Event,
        /// Milliseconds from the offset to this line.
        latency_ms: u64,
    },
    /// The sound of an event is kept, or is not for a reason; after its end, or within a long event.
    #[serde(rename = "clip")]
    Clip {
        /// The event's id.
        event: String,
        /// The display name of the event's label, or the group's name.
        label: String,
        /// The name as an identifier.
        slug: String,
        /// The source's name.
        source: String,
        /// What became of it.
        state: ClipState,
        /// Why it is not kept, as a sentence; null where it is.
        reason: Option<String>,
        /// The name of the file; null where there is none. Events that overlap share one.
        file: Option<String>,
        /// When its sound begins.
        #[schemars(extend("format" = "date-time"))]
        from: String,
        /// When its sound ends.
        #[schemars(extend("format" = "date-time"))]
        to: String,
        /// The size of the file in bytes.
        bytes: u64,
    },
    /// A source stopped delivering.
    #[serde(rename = "source.lost")]
    SourceLost {
        /// The source's name.
        source: String,
        /// Why, as a sentence.
        reason: String,
    },
    /// A lost source delivers again.
    #[serde(rename = "source.restored")]
    SourceRestored {
        /// The source's name.
        source: String,
    },
    /// A source delivers nothing but digital silence.
    #[serde(rename = "source.silent")]
    SourceSilent {
        /// The source's name.
        source: String,
        /// For how many seconds so far.
        seconds: f64,
    },
    /// Sound is missing that a source never delivered.
    #[serde(rename = "source.gap")]
    SourceGap {
        /// The source's name.
        source: String,
        /// The length of the gap in milliseconds.
        gap_ms: u64,
    },
    /// A source clips.
    #[serde(rename = "source.clipping")]
    SourceClipping {
        /// The source's name.
        source: String,
        /// Samples at full scale.
        samples: u64,
    },
    /// The analysis cannot keep up, or can again.
    #[serde(rename = "overrun")]
    Overrun {
        /// The source's name.
        source: String,
        /// Samples that were lost, at the source's own rate.
        samples: u64,
        /// Their length in milliseconds.
        gap_ms: u64,
        /// The distance of two scored windows just now, in milliseconds.
        hop_ms: u64,
    },
    /// The wall clock was set.
    #[serde(rename = "clock.stepped")]
    ClockStepped {
        /// By how many milliseconds; below zero where it was set back.
        by_ms: i64,
    },
    /// The daemon is paused, or for another reason or until another time than before.
    #[serde(rename = "paused")]
    Paused {
        /// Why.
        reason: PauseReason,
        /// When the pause ends by itself; null where it does not.
        #[schemars(extend("format" = "date-time"))]
        until: Option<String>,
    },
    /// The daemon listens again.
    #[serde(rename = "resumed")]
    Resumed {
        /// Why.
        reason: PauseReason,
    },
    /// A new configuration is in force.
    #[serde(rename = "config.reloaded")]
    ConfigReloaded {
        /// The changes, a sentence each.
        changes: Vec<String>,
    },
    /// A configuration was refused.
    #[serde(rename = "config.rejected")]
    ConfigRejected {
        /// Its faults, a sentence each.
        faults: Vec<String>,
    },
    /// What was heard in the last day, where the configuration asks for it.
    #[serde(rename = "summary")]
    Summary(Summary),
    /// Lines are missing here that this client did not take in time, or that the daemon no longer holds.
    #[serde(rename = "dropped")]
    Dropped {
        /// How many.
        count: u64,
    },
    /// Nothing was sent for 30 seconds.
    #[serde(rename = "heartbeat")]
    Heartbeat {},
    /// The answer to `status`.
    #[serde(rename = "status")]
    Status(Box<Status>),
    /// The answer to `top`.
    #[serde(rename = "top")]
    Top {
        /// The sources.
        sources: Vec<Top>,
    },
    /// The answer to `set`: the thresholds in force.
    #[serde(rename = "set")]
    Set {
        /// The label's display name, or the group's name.
        label: String,
        /// The name as an identifier.
        slug: String,
        /// The thresholds in force.
        #[serde(flatten)]
        thresholds: Thresholds,
    },
    /// The answer to `peaks`.
    #[serde(rename = "peaks")]
    Peaks(Peaks),
    /// The answer to `pause`, `resume`, `test` and `mark`.
    #[serde(rename = "done")]
    Done {
        /// The request that is done.
        op: String,
        /// A remark, as a sentence, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// A request that cannot be taken.
    #[serde(rename = "error")]
    Error {
        /// Why, for programs.
        code: String,
        /// Why, as a sentence.
        message: String,
    },
    /// A line of a newer daemon, of a type that this version does not know; never sent.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// The model that is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelInfo {
    /// The name in its manifest.
    pub name: String,
    /// The graph's sha256.
    pub sha256: String,
    /// How many labels it has.
    pub labels: usize,
}

/// A sound event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// The event's id, the same in all lines about it.
    pub id: String,
    /// The label's display name, or the group's name.
    pub label: String,
    /// The name as an identifier.
    pub slug: String,
    /// The label's id; null for a group.
    pub mid: Option<String>,
    /// The source's name.
    pub source: String,
    /// When the sound began.
    #[schemars(extend("format" = "date-time"))]
    pub onset: String,
    /// When it ended; null while it lasts. In an `event.update` the sound is over for now, and the event is open in case it goes on.
    #[schemars(extend("format" = "date-time"))]
    pub offset: Option<String>,
    /// How long it lasted; null where `offset` is.
    pub duration_ms: Option<u64>,
    /// The score in the newest window, 0…1.
    pub score: f64,
    /// The highest score so far, 0…1.
    pub peak_score: f64,
    /// The threshold in force, 0…1.
    pub threshold: f64,
    /// The root mean square level so far, in dB relative to full scale.
    pub level_dbfs: f64,
    /// The uncertainty of the onset, in milliseconds.
    #[serde(default)]
    pub onset_uncertainty_ms: u64,
    /// The uncertainty of the offset, in milliseconds; null where `offset` is.
    #[serde(default)]
    pub offset_uncertainty_ms: Option<u64>,
    /// The display names of the other labels of the same sound.
    #[serde(default)]
    pub also: Vec<String>,
    /// Whether the confirmed score has borne it out under its present label. An `event.update` tells it at once.
    #[serde(default)]
    pub confirmed: bool,
    /// Why it ended; only in `event.end`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
}

impl Line {
    /// A line that belongs to no report.
    pub fn new(now: Timestamp, body: Body) -> Self {
        Self { v: VERSION, seq: None, ts: Some(time(now)), body }
    }

    /// The line as JSON, without its newline.
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists of them cannot fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The line as JSON with its newline.
    pub fn to_line(&self) -> String {
        let mut json = self.to_json();
        json.push('\n');
        json
    }
}
