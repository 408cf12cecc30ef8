//! The answer to `status`: the health of the daemon, of its sources and of its sinks.

use std::sync::atomic::Ordering::Relaxed;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ModelInfo, PauseReason, SinkState, SourceState, level, round, time};
use crate::event::Pause;
use crate::stats::SourceStats;
use crate::stats::clips::ClipStats;
use crate::stats::hook::HookStats;
use crate::stats::latency::Latency;
use crate::stats::sink::SinkStats;

/// The daemon's health.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// The id of this start of the daemon; the numbers of the reports belong to it.
    #[serde(default)]
    pub instance: String,
    /// The process's id.
    pub pid: u32,
    /// Seconds since the start.
    pub uptime_s: f64,
    /// The configuration file; null where there is none.
    #[serde(default)]
    pub config: Option<String>,
    /// The model in force.
    pub model: ModelInfo,
    /// The pause; null while the daemon listens.
    #[serde(default)]
    pub paused: Option<PauseStatus>,
    /// Each source's health.
    pub sources: Vec<SourceStatus>,
    /// Inference runs since the start.
    pub inferences: u64,
    /// The mean time of an inference in milliseconds; null before the first.
    pub inference_ms: Option<f64>,
    /// The busy part of the analysis' last seconds, 0…1.
    #[serde(default)]
    pub busy: f64,
    /// The distance of two scored windows just now, in milliseconds; more than the model's hop where the analysis cannot keep up.
    #[serde(default)]
    pub hop_ms: u64,
    /// Clients connected now.
    pub clients: u64,
    /// Lines that slow clients did not take.
    pub dropped_lines: u64,
    /// Reports that could not even be queued.
    pub dropped_reports: u64,
    /// The sinks that are on.
    #[serde(default)]
    pub sinks: Vec<SinkStatus>,
    /// The hooks of the configuration.
    #[serde(default)]
    pub hooks: Vec<HookStatus>,
    /// The clips; null where they are off, and no sound is remembered for them.
    #[serde(default)]
    pub clips: Option<ClipsStatus>,
}

/// The clips, and the memory for those that may come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClipsStatus {
    /// The folder.
    pub folder: String,
    /// The memory that holds the last seconds of all sources, in bytes.
    pub memory_bytes: u64,
    /// Whether the system keeps that memory out of the swap.
    pub memory_locked: bool,
    /// Events whose clip was kept since the start.
    pub kept: u64,
    /// Events whose clip was withheld because of a voice.
    pub withheld: u64,
    /// Events whose clip was lost: the disk was slow or failed, or the daemon was paused.
    pub dropped: u64,
    /// Files that are kept now.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Files that are gone though nobody deleted them.
    pub missing: u64,
    /// Why nothing can be kept just now; null where it can.
    pub reason: Option<String>,
    /// The last clearing, as a sentence; null before the first.
    pub cleared: Option<String>,
}

/// A pause of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PauseStatus {
    /// Why.
    pub reason: PauseReason,
    /// When it ends by itself; null where it does not.
    #[schemars(extend("format" = "date-time"))]
    pub until: Option<String>,
}

/// One source's health.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: SourceState,
    /// Its sample rate in Hz; null until it is open.
    pub rate_hz: Option<u32>,
    /// The level of the newest hop, in dB relative to full scale; null before the first.
    pub level_dbfs: Option<f64>,
    /// Milliseconds since the last sample; null before the first.
    pub last_sample_age_ms: Option<u64>,
    /// Samples heard.
    pub samples: u64,
    /// Samples lost to overruns.
    pub overrun_samples: u64,
    /// Windows scored.
    pub windows: u64,
    /// Events begun.
    pub events: u64,
    /// Times it was lost.
    pub losses: u64,
    /// Why it is lost or paused, or that it is live and delivers nothing but digital silence; null where nothing is amiss.
    #[serde(default)]
    pub reason: Option<String>,
    /// Windows scored per second of late.
    #[serde(default)]
    pub windows_per_s: f64,
    /// The time from a sound to its scores; null before the first.
    #[serde(default)]
    pub latency_ms: Option<LatencyStatus>,
    /// Seconds since the last event began; null before the first.
    #[serde(default)]
    pub last_event_age_s: Option<f64>,
}

/// One sink's health.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SinkStatus {
    /// The name of its section in the configuration.
    pub name: String,
    /// Its state.
    pub state: SinkState,
    /// Why it is down; null while it is not.
    pub reason: Option<String>,
    /// Messages waiting to be sent.
    pub queued: u64,
    /// Messages sent.
    pub sent: u64,
    /// Messages given up because too many waited.
    pub dropped: u64,
    /// Clients connected to it now.
    pub clients: u64,
}

/// One hook, and what became of its runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HookStatus {
    /// Its name.
    pub name: String,
    /// Runs that wait or are being tried.
    pub waiting: u64,
    /// Runs that are done.
    pub done: u64,
    /// Tries that failed.
    pub failed: u64,
    /// Runs that were refused, or given up after too many tries.
    pub given_up: u64,
    /// Runs for which there was no room.
    pub dropped: u64,
    /// The last try; null before the first.
    pub last: Option<HookTry>,
}

/// The last try of a hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HookTry {
    /// When it ended.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// Whether it is done.
    pub ok: bool,
    /// What came of it, as a sentence.
    pub result: String,
}

/// Percentiles of a latency in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LatencyStatus {
    /// The median.
    pub p50: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
}

impl From<&SourceStats> for SourceStatus {
    fn from(stats: &SourceStats) -> Self {
        Self {
            name: stats.name.to_string(),
            state: stats.state().into(),
            rate_hz: Some(stats.rate_hz.load(Relaxed)).filter(|rate| *rate > 0),
            level_dbfs: stats.level_dbfs().map(level),
            last_sample_age_ms: stats.last_sample_age_ms(),
            samples: stats.samples.load(Relaxed),
            overrun_samples: stats.overrun_samples.load(Relaxed),
            windows: stats.windows.load(Relaxed),
            events: stats.events.load(Relaxed),
            losses: stats.losses.load(Relaxed),
            reason: stats.reason().or_else(|| stats.silence_ms().map(silence)),
            windows_per_s: stats.windows_per_100_s.load(Relaxed) as f64 / 100.0,
            latency_ms: latency(&stats.latency),
            last_event_age_s: stats.last_event_age_ms().map(|ms| round(ms as f64 / 1e3, 1)),
        }
    }
}

impl From<&ClipStats> for ClipsStatus {
    fn from(stats: &ClipStats) -> Self {
        Self {
            folder: stats.folder.display().to_string(),
            memory_bytes: stats.memory_bytes.load(Relaxed),
            memory_locked: !stats.is_unlocked.load(Relaxed),
            kept: stats.kept.load(Relaxed),
            withheld: stats.withheld.load(Relaxed),
            dropped: stats.dropped.load(Relaxed),
            files: stats.files.load(Relaxed),
            bytes: stats.bytes.load(Relaxed),
            missing: stats.missing.load(Relaxed),
            reason: stats.reason(),
            cleared: stats.cleared(),
        }
    }
}

impl From<&HookStats> for HookStatus {
    fn from(stats: &HookStats) -> Self {
        let last = stats.last().map(|last| HookTry { at: time(last.at), ok: last.is_done, result: last.said });
        Self {
            name: stats.name.clone(),
            waiting: stats.waiting.load(Relaxed),
            done: stats.done.load(Relaxed),
            failed: stats.failed.load(Relaxed),
            given_up: stats.given_up.load(Relaxed),
            dropped: stats.dropped.load(Relaxed),
            last,
        }
    }
}

impl From<&SinkStats> for SinkStatus {
    fn from(stats: &SinkStats) -> Self {
        let (state, reason) = stats.state();
        Self {
            name: stats.name.to_owned(),
            state: state.into(),
            reason,
            queued: stats.queued.load(Relaxed),
            sent: stats.sent.load(Relaxed),
            dropped: stats.dropped.load(Relaxed),
            clients: stats.clients.load(Relaxed),
        }
    }
}

fn latency(latency: &Latency) -> Option<LatencyStatus> {
    let at = |part| latency.percentile_ms(part).map(|ms| round(ms, 1));
    Some(LatencyStatus { p50: at(0.5)?, p95: at(0.95)?, p99: at(0.99)? })
}

impl From<&Pause> for PauseStatus {
    fn from(pause: &Pause) -> Self {
        Self { reason: pause.reason.into(), until: pause.until.map(time) }
    }
}

/// Digital silence as a sentence.
fn silence(ms: u64) -> String {
    let lasted = duration(ms as f64 / 1e3);
    format!("nothing but digital silence for {lasted}: it is muted, its gain is at zero, or it is the wrong device or channel")
}

/// A time in its two largest units.
pub fn duration(seconds: f64) -> String {
    let seconds = seconds as u64;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}
