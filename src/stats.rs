//! Counters that any thread may bump and any thread may read. None that the analysis bumps is behind a lock.
//!
//! Never decides anything: a counter is read by people (`status`), by whoever judges whether the daemon hears, and by tests.

use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::event::Pause;
use latency::Latency;

pub mod latency;

/// What state a source is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum SourceState {
    /// Being opened for the first time.
    Opening = 0,
    /// Delivering samples.
    Live = 1,
    /// Lost; being retried.
    Lost = 2,
    /// Paused, by a request or by quiet hours.
    Paused = 3,
    /// A recording or standard input that came to its end.
    Ended = 4,
}

/// Counters of one source.
#[derive(Debug)]
pub struct SourceStats {
    /// The source's name.
    pub name: Arc<str>,
    state: AtomicU8,
    /// The rate the source delivers at, in Hz; 0 until it is open.
    pub rate_hz: AtomicU32,
    /// Samples taken out of the ring, at the source's rate.
    pub samples: AtomicU64,
    /// Samples lost because the ring was full.
    pub overrun_samples: AtomicU64,
    /// Windows that the model has scored.
    pub windows: AtomicU64,
    /// Events begun.
    pub events: AtomicU64,
    /// Times the source was lost.
    pub losses: AtomicU64,
    /// How long what it delivered waited for its scores.
    pub latency: Latency,
    /// Windows a second of late, in hundredths.
    pub windows_per_100_s: AtomicU64,
    /// Why it is lost or paused, while it is.
    reason: Mutex<Option<String>>,
    /// For how long it has delivered nothing but digital silence, in milliseconds, once that is long; 0 while it is not.
    silence_ms: AtomicU64,
    last_event_ms: AtomicU64,
    level_millidb: AtomicI64,
    last_sample_ms: AtomicU64,
    epoch: Instant,
}

/// Counters of the whole daemon.
#[derive(Debug)]
pub struct Stats {
    /// When the daemon started.
    pub started: Instant,
    /// One entry a source, in the configuration's order.
    pub sources: std::sync::RwLock<Vec<Arc<SourceStats>>>,
    /// Why nothing is heard, while it is not.
    pause: Mutex<Option<Pause>>,
    /// Passes of the analysis' loop, each of which scored what was due.
    pub steps: AtomicU64,
    /// Inference runs.
    pub inferences: AtomicU64,
    /// Time spent in inference, in microseconds.
    pub inference_us: AtomicU64,
    /// The part of the last seconds that the analysis was busy, in percent.
    pub busy_percent: AtomicU64,
    /// How far apart windows are scored just now, in milliseconds.
    pub hop_ms: AtomicU64,
    /// Clients connected now.
    pub clients: AtomicU64,
    /// Lines that slow clients did not take.
    pub dropped_lines: AtomicU64,
    /// Reports that the publishing stage did not take in time.
    pub dropped_reports: AtomicU64,
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
        }
    }
}

impl Stats {
    /// The counters of the source `name`, made when they are first asked for.
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

    /// Records that nothing is heard and why, or that it is.
    pub fn set_pause(&self, pause: Option<Pause>) {
        *self.pause.lock().unwrap_or_else(PoisonError::into_inner) = pause;
    }

    /// Why nothing is heard, while it is not.
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
    pub fn enter(&self, state: SourceState) {
        self.state.store(state as u8, Relaxed);
    }

    /// Records why the source is lost or paused, or that it is neither.
    pub fn blame(&self, reason: Option<String>) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Why the source is lost or paused, while it is.
    pub fn reason(&self) -> Option<String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records for how long it has delivered nothing but digital silence, in milliseconds; 0 where that is not worth a word.
    pub fn silent(&self, silence_ms: u64) {
        self.silence_ms.store(silence_ms, Relaxed);
    }

    /// For how long a live source has delivered nothing but digital silence, in milliseconds, where that is worth a word.
    pub fn silence_ms(&self) -> Option<u64> {
        Some(self.silence_ms.load(Relaxed)).filter(|ms| *ms > 0 && self.state() == SourceState::Live)
    }

    /// Records that an event began just now.
    pub fn event_began(&self) {
        self.events.fetch_add(1, Relaxed);
        self.last_event_ms.store(self.epoch.elapsed().as_millis() as u64, Relaxed);
    }

    /// Milliseconds since the last event began; `None` before the first.
    pub fn last_event_age_ms(&self) -> Option<u64> {
        self.age_ms(&self.last_event_ms)
    }

    fn age_ms(&self, at_ms: &AtomicU64) -> Option<u64> {
        let at_ms = at_ms.load(Relaxed);
        (at_ms != u64::MAX).then(|| (self.epoch.elapsed().as_millis() as u64).saturating_sub(at_ms))
    }

    /// Records that samples arrived just now, with the level of the newest hop in dBFS.
    pub fn heard(&self, samples: u64, level_dbfs: f32) {
        self.samples.fetch_add(samples, Relaxed);
        self.level_millidb.store((f64::from(level_dbfs) * 1000.0) as i64, Relaxed);
        self.last_sample_ms.store(self.epoch.elapsed().as_millis() as u64, Relaxed);
    }

    /// The level of the newest hop in dBFS; `None` before the first.
    pub fn level_dbfs(&self) -> Option<f32> {
        let level = self.level_millidb.load(Relaxed);
        (level != i64::MIN).then_some(level as f32 / 1000.0)
    }

    /// Milliseconds since the last sample; `None` before the first.
    pub fn last_sample_age_ms(&self) -> Option<u64> {
        self.age_ms(&self.last_sample_ms)
    }
}
