//! Protocol v1: the only types that are serialised. One JSON object a line; fields are only ever added.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{self, Report, SoundEvent};

mod live;
mod peaks;
mod request;
mod status;
mod top;
mod words;

pub use live::{Live, LiveColumns, LiveLabel, LiveStart};
pub use peaks::{Peak, Peaks};
pub use request::{BadRequest, Request};
pub use status::{LatencyStatus, PauseStatus, SinkStatus, SourceStatus, Status, duration};
pub use top::{OpenEvent, Thresholds, Top, TopLabel};
pub use words::{EndReason, PauseReason, PeakKind, SinkState, SourceState, Why};

/// The protocol's version, on every line.
pub const VERSION: u32 = 1;
/// What takes the place of a level that is no number, in dBFS: digital silence. JSON knows no infinity.
const SILENCE_DBFS: f64 = -150.0;

/// A line that the server sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The protocol's version.
    pub v: u32,
    /// The report's number; in `hello` and `subscribed` that of the last report so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// When the line was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ts: Option<String>,
    /// What it says.
    #[serde(flatten)]
    pub body: Body,
}

/// What a line says, by its `type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
#[allow(missing_docs, reason = "the fields are named and explained in docs/protocol.md")]
pub enum Body {
    /// The first line of a connection.
    #[serde(rename = "hello")]
    Hello {
        version: String,
        #[serde(default)]
        instance: String,
        model: ModelInfo,
        sources: Vec<String>,
    },
    /// The answer to `subscribe`: the filter as it was understood.
    #[serde(rename = "subscribed")]
    Subscribed {
        labels: Vec<String>,
        sources: Vec<String>,
        types: Vec<String>,
        min_score: f64,
        #[serde(default)]
        restarted: bool,
    },
    /// A sound began.
    #[serde(rename = "event.start")]
    EventStart { event: Event, latency_ms: u64 },
    /// A sound that lasts has a higher peak.
    #[serde(rename = "event.update")]
    EventUpdate { event: Event, latency_ms: u64 },
    /// A sound ended.
    #[serde(rename = "event.end")]
    EventEnd { event: Event, latency_ms: u64 },
    /// A source stopped delivering.
    #[serde(rename = "source.lost")]
    SourceLost { source: String, reason: String },
    /// A lost source delivers again.
    #[serde(rename = "source.restored")]
    SourceRestored { source: String },
    /// A source delivers nothing but digital silence.
    #[serde(rename = "source.silent")]
    SourceSilent { source: String, seconds: f64 },
    /// Sound is missing that a source never delivered.
    #[serde(rename = "source.gap")]
    SourceGap { source: String, gap_ms: u64 },
    /// A source clips.
    #[serde(rename = "source.clipping")]
    SourceClipping { source: String, samples: u64 },
    /// The analysis cannot keep up, or can again.
    #[serde(rename = "overrun")]
    Overrun { source: String, samples: u64, gap_ms: u64, hop_ms: u64 },
    /// The wall clock was set.
    #[serde(rename = "clock.stepped")]
    ClockStepped { by_ms: i64 },
    /// Nothing is heard from now on, or for another reason or until another time than before.
    #[serde(rename = "paused")]
    Paused { reason: PauseReason, until: Option<String> },
    /// Sound is heard again.
    #[serde(rename = "resumed")]
    Resumed { reason: PauseReason },
    /// A new configuration is in force.
    #[serde(rename = "config.reloaded")]
    ConfigReloaded { changes: Vec<String> },
    /// A configuration was refused.
    #[serde(rename = "config.rejected")]
    ConfigRejected { faults: Vec<String> },
    /// Lines that this client did not get.
    #[serde(rename = "dropped")]
    Dropped { count: u64 },
    /// Nothing happened for a while.
    #[serde(rename = "heartbeat")]
    Heartbeat {},
    /// The answer to `status`.
    #[serde(rename = "status")]
    Status(Box<Status>),
    /// The answer to `top`.
    #[serde(rename = "top")]
    Top { sources: Vec<Top> },
    /// The answer to `set`: the thresholds in force.
    #[serde(rename = "set")]
    Set {
        label: String,
        slug: String,
        #[serde(flatten)]
        thresholds: Thresholds,
    },
    /// The answer to `peaks`.
    #[serde(rename = "peaks")]
    Peaks(Peaks),
    /// The answer to `pause`, `resume` and `test`.
    #[serde(rename = "done")]
    Done { op: String },
    /// A request that cannot be taken.
    #[serde(rename = "error")]
    Error { code: String, message: String },
    /// A line of a newer daemon, of a type that this version does not know; never sent.
    #[serde(other)]
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
    /// The same in all lines about this event.
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
    pub onset: String,
    /// When it ended; null while it lasts.
    pub offset: Option<String>,
    /// How long it lasted; null while it lasts.
    pub duration_ms: Option<u64>,
    /// The score in the newest window, 0…1.
    pub score: f64,
    /// The highest score so far, 0…1.
    pub peak_score: f64,
    /// The threshold in force, 0…1.
    pub threshold: f64,
    /// The root mean square level so far.
    pub level_dbfs: f64,
    /// How far the onset may be from the truth, in milliseconds.
    #[serde(default)]
    pub onset_uncertainty_ms: u64,
    /// The same of the offset; null while the sound lasts.
    #[serde(default)]
    pub offset_uncertainty_ms: Option<u64>,
    /// The display names of what else the same sound was heard as.
    #[serde(default)]
    pub also: Vec<String>,
    /// Why it ended; only in `event.end`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
}

impl Line {
    /// A line that belongs to no report.
    pub fn new(now: Timestamp, body: Body) -> Self {
        Self { v: VERSION, seq: None, ts: Some(time(now)), body }
    }

    /// The line of a report.
    pub fn report(seq: u64, now: Timestamp, report: &Report) -> Self {
        Self { v: VERSION, seq: Some(seq), ts: Some(time(now)), body: body(report, now) }
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

/// A time as RFC 3339, UTC, with exactly three decimals; what is finer is cut off.
pub fn time(time: Timestamp) -> String {
    format!("{time:.3}")
}

/// The `type` of a report's line.
pub fn kind(report: &Report) -> &'static str {
    match report {
        Report::EventStart(_) => "event.start",
        Report::EventUpdate(_) => "event.update",
        Report::EventEnd(..) => "event.end",
        Report::SourceLost { .. } => "source.lost",
        Report::SourceRestored { .. } => "source.restored",
        Report::SourceSilent { .. } => "source.silent",
        Report::SourceGap { .. } => "source.gap",
        Report::SourceClipping { .. } => "source.clipping",
        Report::Overrun { .. } => "overrun",
        Report::ClockStepped { .. } => "clock.stepped",
        Report::Paused(_) => "paused",
        Report::Resumed { .. } => "resumed",
        Report::ConfigReloaded { .. } => "config.reloaded",
        Report::ConfigRejected { .. } => "config.rejected",
    }
}

fn body(report: &Report, now: Timestamp) -> Body {
    let since = |time| milliseconds(time, now);
    match report {
        Report::EventStart(event) => Body::EventStart { event: wire(event, None), latency_ms: since(event.onset) },
        Report::EventUpdate(event) => Body::EventUpdate { event: wire(event, None), latency_ms: since(event.onset) },
        Report::EventEnd(event, reason) => {
            Body::EventEnd { event: wire(event, Some(*reason)), latency_ms: since(event.offset.unwrap_or(event.onset)) }
        }
        Report::SourceLost { source, reason } => Body::SourceLost { source: source.to_string(), reason: reason.clone() },
        Report::SourceRestored { source } => Body::SourceRestored { source: source.to_string() },
        Report::SourceSilent { source, seconds } => {
            Body::SourceSilent { source: source.to_string(), seconds: round(*seconds, 1) }
        }
        Report::SourceGap { source, gap_ms } => Body::SourceGap { source: source.to_string(), gap_ms: *gap_ms },
        Report::SourceClipping { source, samples } => Body::SourceClipping { source: source.to_string(), samples: *samples },
        Report::Overrun { source, samples, gap_ms, hop_ms } => {
            Body::Overrun { source: source.to_string(), samples: *samples, gap_ms: *gap_ms, hop_ms: *hop_ms }
        }
        Report::ClockStepped { by_ms } => Body::ClockStepped { by_ms: *by_ms },
        Report::Paused(pause) => {
            let PauseStatus { reason, until } = pause.into();
            Body::Paused { reason, until }
        }
        Report::Resumed { reason } => Body::Resumed { reason: (*reason).into() },
        Report::ConfigReloaded { changes } => Body::ConfigReloaded { changes: changes.clone() },
        Report::ConfigRejected { faults } => Body::ConfigRejected { faults: faults.clone() },
    }
}

fn wire(event: &SoundEvent, reason: Option<event::EndReason>) -> Event {
    Event {
        id: event.id.to_string(),
        label: event.subject.name.clone(),
        slug: event.subject.slug.clone(),
        mid: Some(event.subject.id.clone()).filter(|id| !id.is_empty()),
        source: event.source.to_string(),
        onset: time(event.onset),
        offset: event.offset.map(time),
        duration_ms: event.offset.map(|offset| milliseconds(event.onset, offset)),
        score: score(event.score),
        peak_score: score(event.peak_score),
        threshold: score(event.threshold),
        level_dbfs: level(event.level_dbfs),
        onset_uncertainty_ms: event.onset_uncertainty_ms,
        offset_uncertainty_ms: event.offset_uncertainty_ms,
        also: event.also.iter().map(|subject| subject.name.clone()).collect(),
        reason: reason.map(Into::into),
    }
}

/// From one time to another in milliseconds, as a reader of both times on the wire reckons it. A source that is read faster than
/// real time is ahead of the clock; its latency is none, not negative.
fn milliseconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_millisecond() - from.as_millisecond()).unwrap_or(0)
}

/// A score as it is on the wire: four decimals, 0…1.
pub(in crate::publish) fn score(score: f32) -> f64 {
    let score = f64::from(score);
    if score.is_nan() { 0.0 } else { round(score.clamp(0.0, 1.0), 4) }
}

/// A level as it is on the wire: one decimal, always finite.
fn level(dbfs: f32) -> f64 {
    let dbfs = f64::from(dbfs);
    if dbfs.is_finite() { round(dbfs.max(SILENCE_DBFS), 1) } else { SILENCE_DBFS }
}

fn round(value: f64, decimals: i32) -> f64 {
    let scale = 10f64.powi(decimals);
    // Minus zero is spelt differently from zero; adding zero makes them one.
    (value * scale).round() / scale + 0.0
}
