//! The independent declaration of the protocol. A line has all the fields of its type and no others. `Option` is for fields that
//! can be null.
#![allow(dead_code, reason = "what is parsed is the test")]

use serde::{Deserialize, Deserializer};

/// A field that may be null but not absent. serde by itself would accept an absent `Option` as null.
fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

macro_rules! lines {
    ($($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty),* $(,)? })*) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $name { $($(#[$field_meta])* pub $field: $type),* }
        )*
    };
}

lines! {
    Hello { v: u8, seq: u64, ts: String, r#type: String, version: String, instance: String, model: Model, sources: Vec<String> }
    Model { name: String, sha256: String, labels: u64 }
    Subscribed {
        v: u8, seq: u64, ts: String, r#type: String,
        labels: Vec<String>, sources: Vec<String>, types: Vec<String>, min_score: f64, confirmed: bool, restarted: bool,
    }
    Event { v: u8, seq: u64, ts: String, r#type: String, event: Sound, latency_ms: u64 }
    Sound {
        id: String, label: String, slug: String, #[serde(deserialize_with = "nullable")] mid: Option<String>,
        source: String, onset: String, #[serde(deserialize_with = "nullable")] offset: Option<String>,
        #[serde(deserialize_with = "nullable")] duration_ms: Option<u64>,
        score: f64, peak_score: f64, threshold: f64, level_dbfs: f64,
        onset_uncertainty_ms: u64, #[serde(deserialize_with = "nullable")] offset_uncertainty_ms: Option<u64>, also: Vec<String>,
        confirmed: bool,
    }
    EventEnd { v: u8, seq: u64, ts: String, r#type: String, event: EndedSound, latency_ms: u64 }
    EndedSound {
        id: String, label: String, slug: String, #[serde(deserialize_with = "nullable")] mid: Option<String>,
        source: String, onset: String, offset: String, duration_ms: u64,
        score: f64, peak_score: f64, threshold: f64, level_dbfs: f64, reason: EndReason,
        onset_uncertainty_ms: u64, offset_uncertainty_ms: u64, also: Vec<String>,
        confirmed: bool,
    }
    SourceLost { v: u8, seq: u64, ts: String, r#type: String, source: String, reason: String }
    SourceRestored { v: u8, seq: u64, ts: String, r#type: String, source: String }
    SourceSilent { v: u8, seq: u64, ts: String, r#type: String, source: String, seconds: f64 }
    SourceGap { v: u8, seq: u64, ts: String, r#type: String, source: String, gap_ms: u64 }
    Clip {
        v: u8, seq: u64, ts: String, r#type: String, event: String, label: String, slug: String, source: String, state: ClipState,
        #[serde(deserialize_with = "nullable")] reason: Option<String>, #[serde(deserialize_with = "nullable")] file: Option<String>,
        from: String, to: String, bytes: u64,
    }
    Clips {
        folder: String, memory_bytes: u64, memory_locked: bool, kept: u64, withheld: u64, dropped: u64, files: u64, bytes: u64, missing: u64,
        #[serde(deserialize_with = "nullable")] reason: Option<String>, #[serde(deserialize_with = "nullable")] cleared: Option<String>,
    }
    SourceClipping { v: u8, seq: u64, ts: String, r#type: String, source: String, samples: u64 }
    Overrun { v: u8, seq: u64, ts: String, r#type: String, source: String, samples: u64, gap_ms: u64, hop_ms: u64 }
    ClockStepped { v: u8, seq: u64, ts: String, r#type: String, by_ms: i64 }
    Paused {
        v: u8, seq: u64, ts: String, r#type: String, reason: PauseReason,
        #[serde(deserialize_with = "nullable")] until: Option<String>,
    }
    Resumed { v: u8, seq: u64, ts: String, r#type: String, reason: PauseReason }
    ConfigReloaded { v: u8, seq: u64, ts: String, r#type: String, changes: Vec<String> }
    Summary {
        v: u8, seq: u64, ts: String, r#type: String, from: String, until: String, days: u64, heard: Vec<Heard>, unheard: Vec<Unheard>,
    }
    Heard {
        label: String, events: u64, duration_ms: u64, usual_events: f64, usual_duration_ms: u64,
        #[serde(deserialize_with = "nullable")] before: Option<String>, new: bool, more: bool, longer: bool,
    }
    Unheard { #[serde(deserialize_with = "nullable")] source: Option<String>, kind: String, duration_ms: u64 }
    ConfigRejected { v: u8, seq: u64, ts: String, r#type: String, faults: Vec<String> }
    Dropped { v: u8, ts: String, r#type: String, count: u64 }
    Heartbeat { v: u8, ts: String, r#type: String }
    Status {
        v: u8, seq: u64, ts: String, r#type: String, version: String, instance: String, pid: u32, uptime_s: f64,
        #[serde(deserialize_with = "nullable")] config: Option<String>, model: Model,
        #[serde(deserialize_with = "nullable")] paused: Option<Pause>, sources: Vec<Source>, inferences: u64, #[serde(deserialize_with = "nullable")] inference_ms: Option<f64>,
        busy: f64, hop_ms: u64, clients: u64, dropped_lines: u64, dropped_reports: u64,
        sinks: Vec<Sink>, hooks: Vec<Hook>, #[serde(deserialize_with = "nullable")] clips: Option<Clips>,
    }
    Hook {
        name: String, waiting: u64, done: u64, failed: u64, given_up: u64, dropped: u64,
        #[serde(deserialize_with = "nullable")] last: Option<HookTry>,
    }
    HookTry { at: String, ok: bool, result: String }
    Sink {
        name: String, state: SinkState, #[serde(deserialize_with = "nullable")] reason: Option<String>,
        queued: u64, sent: u64, dropped: u64, clients: u64,
    }
    Pause { reason: PauseReason, #[serde(deserialize_with = "nullable")] until: Option<String> }
    Source {
        name: String, state: State, #[serde(deserialize_with = "nullable")] rate_hz: Option<u32>,
        #[serde(deserialize_with = "nullable")] level_dbfs: Option<f64>,
        #[serde(deserialize_with = "nullable")] last_sample_age_ms: Option<u64>,
        samples: u64, overrun_samples: u64, windows: u64, events: u64, losses: u64,
        #[serde(deserialize_with = "nullable")] reason: Option<String>, windows_per_s: f64,
        #[serde(deserialize_with = "nullable")] latency_ms: Option<Latency>,
        #[serde(deserialize_with = "nullable")] last_event_age_s: Option<f64>,
    }
    Latency { p50: f64, p95: f64, p99: f64 }
    Top { v: u8, ts: String, r#type: String, sources: Vec<TopSource> }
    TopSource {
        source: String, level_dbfs: f64, noise_floor_dbfs: f64, clipped_samples: u64, hops: u64, hop_ms: u32,
        two_sided_lag_ms: u64, open: Vec<TopEvent>, labels: Vec<TopLabel>,
    }
    TopEvent { id: String, label: String, slug: String, onset: String, peak_score: f64, confirmed: bool, also: Vec<String> }
    TopLabel {
        label: String, slug: String, score: f64, #[serde(deserialize_with = "nullable")] two_sided: Option<f64>,
        #[serde(deserialize_with = "nullable")] background: Option<f64>,
        #[serde(deserialize_with = "nullable")] threshold: Option<f64>,
        #[serde(deserialize_with = "nullable")] start_threshold: Option<f64>,
        #[serde(deserialize_with = "nullable")] release: Option<f64>, why: Why, because: String,
    }
    Set { v: u8, ts: String, r#type: String, label: String, slug: String, threshold: f64, start_threshold: f64, release: f64 }
    Peaks {
        v: u8, ts: String, r#type: String,
        next: u64, lost: u64, more: bool, heard_s: f64, sources: Vec<String>, peaks: Vec<Peak>,
    }
    Peak { source: String, label: String, kind: PeakKind, score: f64, at: String }
    Done { v: u8, ts: String, r#type: String, op: String, note: String }
    Error { v: u8, ts: String, r#type: String, code: String, message: String }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClipState {
    Kept,
    Withheld,
    Dropped,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    Decay,
    Unconfirmed,
    MaxDuration,
    SourceLost,
    Paused,
    Shutdown,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    Request,
    QuietHours,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    Open,
    Pending,
    Held,
    Below,
    Confirming,
    TooQuiet,
    TooShort,
    Refused,
    CoolingDown,
    Ignored,
    NotReported,
    Grouped,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeakKind {
    TwoSided,
    Causal,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SinkState {
    Starting,
    Up,
    Down,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Opening,
    Live,
    Lost,
    Paused,
    Ended,
}
