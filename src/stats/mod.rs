//! Counters that any thread may increase and any thread may read. The analysis increases none that is behind a lock.
//!
//! They decide nothing: they are read by people (`status`), by the checks of whether the daemon hears, and by tests.

use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::event::Pause;
use clips::ClipStats;
use hook::HookStats;
use latency::Latency;
use sink::SinkStats;

pub mod clips;
pub mod hook;
pub mod latency;
pub mod sink;

/// The state of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum SourceState {
    /// It is being opened for the first time.
    Opening = 0,
    /// It delivers samples.
    Live = 1,
    /// It is lost, and opened again and again.
    Lost = 2,
    /// It is paused, by a request or by quiet hours.
    Paused = 3,
    /// It is a recording or standard input that came to its end.
    Ended = 4,
}

/// Counters of one source.
#[derive(Debug)]
pub struct SourceStats {
    /// The source's name.
    pub name: Arc<str>,
    state: AtomicU8,
    /// The source's rate in Hz; 0 until it is open.
    pub rate_hz: AtomicU32,
    /// The number of samples taken out of the ring, at the source's rate.
    pub samples: AtomicU64,
    /// The number of samples lost because the ring was full.
    pub overrun_samples: AtomicU64,
    /// The number of windows that the model has scored.
    pub windows: AtomicU64,
    /// The number of events begun.
    pub events: AtomicU64,
    /// The number of times that the source was lost.
    pub losses: AtomicU64,
    /// The time from a sample's capture to its scores.
    pub latency: Latency,
    /// The recent number of windows a second, in hundredths.
    pub windows_per_100_s: AtomicU64,
    /// The reason why it is lost or paused, while it is.
    reason: Mutex<Option<String>>,
    /// The duration of the present digital silence in milliseconds, once it is long; 0 otherwise.
    silence_ms: AtomicU64,
    last_event_ms: AtomicU64,
    level_millidb: AtomicI64,
    last_sample_ms: AtomicU64,
    epoch: Instant,
}

/// Counters of the whole daemon.
#[derive(Debug)]
pub struct Stats {
    /// The time of the daemon's start.
    pub started: Instant,
    /// The counters of each source, in the configuration's order.
    pub sources: std::sync::RwLock<Vec<Arc<SourceStats>>>,
    /// The pause that is in force; `None` where the daemon hears.
    pause: Mutex<Option<Pause>>,
    /// The number of passes of the analysis' loop, each of which scored the hops that were due.
    pub steps: AtomicU64,
    /// The number of inference runs.
    pub inferences: AtomicU64,
    /// The time spent in inference, in microseconds.
    pub inference_us: AtomicU64,
    /// The part of the last seconds in which the analysis was busy, in percent.
    pub busy_percent: AtomicU64,
    /// The present distance of two scored windows, in milliseconds.
    pub hop_ms: AtomicU64,
    /// The number of connected clients.
    pub clients: AtomicU64,
    /// The number of lines that slow clients did not take.
    pub dropped_lines: AtomicU64,
    /// The number of reports that the publishing stage did not take in time.
    pub dropped_reports: AtomicU64,
    /// The sinks that are on.
    pub sinks: std::sync::RwLock<Vec<Arc<SinkStats>>>,
    /// The hooks of the configuration.
    pub hooks: std::sync::RwLock<Vec<Arc<HookStats>>>,
    /// The clips; `None` while they are off.
    clips: std::sync::RwLock<Option<Arc<ClipStats>>>,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            sources: std::sync::RwLock::default(),
            pause: Mutex::new(None),
            steps: AtomicU64::new(0),
            inferences: AtomicU64::new(0),
            inference_us: AtomicU64::new(0),
            busy_percent: AtomicU64::new(0),
            hop_ms: AtomicU64::new(0),
            clients: AtomicU64::new(0),
            dropped_lines: AtomicU64::new(0),
            dropped_reports: AtomicU64::new(0),
            sinks: std::sync::RwLock::default(),
            hooks: std::sync::RwLock::default(),
            clips: std::sync::RwLock::default(),
        }
    }
}

impl Stats {
    /// The counters of the source `name`, which are made at the first call.
    pub fn source(&self, name: &Arc<str>) -> Arc<SourceStats> {
        let mut sources = self.sources.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = sources.iter().find(|source| source.name == *name) {
            return known.clone();
        }
        let new = Arc::new(SourceStats::new(name.clone()));
        sources.push(new.clone());
        new
    }

    /// The counters of every source.
    pub fn all(&self) -> Vec<Arc<SourceStats>> {
        self.sources.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The clips; `None` while they are off.
    pub fn clips(&self) -> Option<Arc<ClipStats>> {
        self.clips.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records the clips; `None` while they are off.
    pub fn set_clips(&self, clips: Option<Arc<ClipStats>>) {
        *self.clips.write().unwrap_or_else(PoisonError::into_inner) = clips;
    }

    /// Records the pause that is in force; `None` where the daemon hears.
    pub fn set_pause(&self, pause: Option<Pause>) {
        *self.pause.lock().unwrap_or_else(PoisonError::into_inner) = pause;
    }

    /// The pause that is in force; `None` where the daemon hears.
    pub fn pause(&self) -> Option<Pause> {
        *self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the source `name`.
    pub fn forget(&self, name: &str) {
        self.sources.write().unwrap_or_else(PoisonError::into_inner).retain(|source| *source.name != *name);
    }
}

impl SourceStats {
    /// Counters at zero for the source `name`.
    pub fn new(name: Arc<str>) -> Self {
        Self {
            name,
            state: AtomicU8::new(SourceState::Opening as u8),
            rate_hz: AtomicU32::new(0),
            samples: AtomicU64::new(0),
            overrun_samples: AtomicU64::new(0),
            windows: AtomicU64::new(0),
            events: AtomicU64::new(0),
            losses: AtomicU64::new(0),
            latency: Latency::default(),
            windows_per_100_s: AtomicU64::new(0),
            reason: Mutex::new(None),
            silence_ms: AtomicU64::new(0),
            last_event_ms: AtomicU64::new(u64::MAX),
            level_millidb: AtomicI64::new(i64::MIN),
            last_sample_ms: AtomicU64::new(u64::MAX),
            epoch: Instant::now(),
        }
    }

    /// The source's state.
    pub fn state(&self) -> SourceState {
        match self.state.load(Relaxed) {
            1 => SourceState::Live,
            2 => SourceState::Lost,
            3 => SourceState::Paused,
            4 => SourceState::Ended,
            _ => SourceState::Opening,
        }
    }

    /// Records a change of state.
    pub fn record_state(&self, state: SourceState) {
        self.state.store(state as u8, Relaxed);
    }

    /// Records the reason why the source is lost or paused; `None` where it is neither.
    pub fn record_reason(&self, reason: Option<String>) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// The reason why the source is lost or paused, while it is.
    pub fn reason(&self) -> Option<String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records the duration of the present digital silence in milliseconds; 0 where it is too short to be reported.
    pub fn record_silence(&self, silence_ms: u64) {
        self.silence_ms.store(silence_ms, Relaxed);
    }

    /// The duration of the present digital silence of a live source in milliseconds; `None` where it is too short to be reported.
    pub fn silence_ms(&self) -> Option<u64> {
        Some(self.silence_ms.load(Relaxed)).filter(|ms| *ms > 0 && self.state() == SourceState::Live)
    }

    /// Records that an event begins now.
    pub fn event_began(&self) {
        self.events.fetch_add(1, Relaxed);
        self.last_event_ms.store(self.epoch.elapsed().as_millis() as u64, Relaxed);
    }

    /// The time since the last event began, in milliseconds; `None` before the first.
    pub fn last_event_age_ms(&self) -> Option<u64> {
        self.age_ms(&self.last_event_ms)
    }

    fn age_ms(&self, at_ms: &AtomicU64) -> Option<u64> {
        let at_ms = at_ms.load(Relaxed);
        (at_ms != u64::MAX).then(|| (self.epoch.elapsed().as_millis() as u64).saturating_sub(at_ms))
    }

    /// Records samples that arrive now, with the level of the newest hop in dBFS.
    pub fn record_samples(&self, samples: u64, level_dbfs: f32) {
        self.samples.fetch_add(samples, Relaxed);
        self.level_millidb.store((f64::from(level_dbfs) * 1000.0) as i64, Relaxed);
        self.last_sample_ms.store(self.epoch.elapsed().as_millis() as u64, Relaxed);
    }

    /// The level of the newest hop in dBFS; `None` before the first.
    pub fn level_dbfs(&self) -> Option<f32> {
        let level = self.level_millidb.load(Relaxed);
        (level != i64::MIN).then_some(level as f32 / 1000.0)
    }

    /// The time since the last sample, in milliseconds; `None` before the first.
    pub fn last_sample_age_ms(&self) -> Option<u64> {
        self.age_ms(&self.last_sample_ms)
    }
}
