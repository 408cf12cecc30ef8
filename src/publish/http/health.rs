//! `GET /healthz`: whether every source that should be heard is heard. A source is healthy only if one of its windows was scored
//! lately; a process that runs and answers proves nothing.
//!
//! The counters are read once a second and at each request, independently of the analysis, so that an analysis that stands still
//! is noticed.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::api::Api;
use super::guard::Nameless;
use crate::stats::{SourceState, SourceStats, Stats};

/// The interval at which the counters are read.
const INTERVAL: Duration = Duration::from_secs(1);
/// The longest time since the last scored window of a healthy source. It is long enough for an analysis that cannot keep up,
/// which is reported elsewhere.
const LATELY: Duration = Duration::from_secs(5);

/// The progress of each source.
#[derive(Debug, Default)]
pub struct Health(Mutex<HashMap<Arc<str>, SourceProgress>>);

/// How many windows of a source were scored at the last reading of its counter.
#[derive(Debug, Clone, Copy)]
struct SourceProgress {
    windows: u64,
    /// When the number was last seen to grow; `None` before the first window.
    grown_at: Option<Instant>,
}

/// The answer.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Healthz {
    /// Whether there is a source and every source is healthy.
    healthy: bool,
    /// The health of each source; empty for those who bring no access token where one is needed (`public_health`).
    sources: Vec<SourceHealth>,
}

/// The health of one source.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SourceHealth {
    /// The source's name.
    source: String,
    /// Whether the source is heard, is paused, or has come to its end.
    healthy: bool,
    /// The state of the source, as a sentence.
    message: String,
}

impl Health {
    /// Reads the counters.
    fn read(&self, stats: &Stats, now: Instant) -> Healthz {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sources = stats.all();
        known.retain(|name, _| sources.iter().any(|source| source.name == *name));
        let judged = sources.iter().map(|source| {
            let windows = source.windows.load(Relaxed);
            let first = SourceProgress { windows, grown_at: (windows > 0).then_some(now) };
            let progress = known.entry(source.name.clone()).or_insert(first);
            if windows != progress.windows {
                *progress = SourceProgress { windows, grown_at: Some(now) };
            }
            let (healthy, message) = judge(source, progress.grown_at.map(|at| now.duration_since(at)));
            SourceHealth { source: source.name.to_string(), healthy, message }
        });
        let sources: Vec<SourceHealth> = judged.collect();
        Healthz { healthy: !sources.is_empty() && sources.iter().all(|source| source.healthy), sources }
    }
}

/// Whether a source is healthy, with a sentence about it. `scored` is the time since its last scored window.
fn judge(source: &SourceStats, scored: Option<Duration>) -> (bool, String) {
    let name = &source.name;
    let because = || source.reason().map(|reason| format!(": {reason}")).unwrap_or_default();
    match (source.state(), scored) {
        (SourceState::Opening, _) => (false, format!("{name} is being opened")),
        (SourceState::Lost, _) => (false, format!("{name} is lost{}", because())),
        (SourceState::Paused, _) => (true, format!("{name} is paused, as was asked for{}", because())),
        (SourceState::Ended, _) => (true, format!("{name} has come to its end")),
        (SourceState::Live, _) if source.silence_ms().is_some() => {
            (false, format!("{name} delivers nothing but digital silence"))
        }
        (SourceState::Live, Some(ago)) if ago <= LATELY => (true, format!("{name} is heard")),
        (SourceState::Live, Some(ago)) => {
            (false, format!("{name} is open, but nothing of it has been heard for {} s", ago.as_secs()))
        }
        (SourceState::Live, None) => (false, format!("{name} is open, but nothing of it has been heard yet")),
    }
}

/// Reads the counters again and again.
pub async fn watch(api: &Api) {
    loop {
        api.health.read(&api.shared.stats, Instant::now());
        tokio::time::sleep(INTERVAL).await;
    }
}

/// `GET /healthz`
pub async fn healthz(State(api): State<Arc<Api>>, nameless: Option<Extension<Nameless>>) -> Response {
    let mut health = api.health.read(&api.shared.stats, Instant::now());
    if nameless.is_some() {
        health.sources.clear();
    }
    let status = if health.healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_windows_that_were_scored_lately_are_health() {
        let (stats, health, began) = (Stats::default(), Health::default(), Instant::now());
        let source = stats.source(&"kitchen".into());
        let read = |after| {
            let health = health.read(&stats, began + Duration::from_secs(after));
            (health.healthy, health.sources.first().map(|source| source.message.clone()).unwrap_or_default())
        };
        assert_eq!(read(0), (false, "kitchen is being opened".to_owned()));
        source.record_state(SourceState::Live);
        assert_eq!(read(1), (false, "kitchen is open, but nothing of it has been heard yet".to_owned()));
        source.windows.store(3, Relaxed);
        assert_eq!(read(2), (true, "kitchen is heard".to_owned()));
        assert!(read(7).0);
        assert_eq!(read(9), (false, "kitchen is open, but nothing of it has been heard for 7 s".to_owned()));
        source.windows.store(4, Relaxed);
        assert!(read(10).0);
        source.record_silence(5_000);
        assert_eq!(read(10), (false, "kitchen delivers nothing but digital silence".to_owned()));
        source.record_silence(0);
        source.record_state(SourceState::Paused);
        source.record_reason(Some("quiet hours until 06:30".to_owned()));
        assert_eq!(read(100), (true, "kitchen is paused, as was asked for: quiet hours until 06:30".to_owned()));
        source.record_state(SourceState::Lost);
        assert!(!read(100).0);
    }

    #[test]
    fn one_deaf_source_is_enough_and_none_is_not_health() {
        let (stats, health, now) = (Stats::default(), Health::default(), Instant::now());
        assert!(!health.read(&stats, now).healthy);
        let source = |name: &str| {
            let source = stats.source(&name.into());
            source.record_state(SourceState::Live);
            source
        };
        source("a").windows.store(1, Relaxed);
        assert!(health.read(&stats, now).healthy);
        source("b");
        assert!(!health.read(&stats, now).healthy);
    }
}
