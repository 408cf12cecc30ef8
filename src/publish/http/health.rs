//! `GET /healthz`: whether every source that should be heard is heard. A process that runs and an address that answers are not health: what
//! counts is that windows were scored lately.
//!
//! It looks at the counters by itself, once a second and when it is asked, so that it notices the rest of the daemon standing still.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::api::Api;
use crate::stats::{SourceState, SourceStats, Stats};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);
/// A source is heard that had a window scored so lately: long enough for an analysis that cannot keep up, and says so elsewhere.
const LATELY: Duration = Duration::from_secs(5);

/// How far each source was, and since when.
#[derive(Debug, Default)]
pub struct Health(Mutex<HashMap<Arc<str>, Progress>>);

/// How far a source was.
#[derive(Debug, Clone, Copy)]
struct Progress {
    windows: u64,
    /// When it was seen that there were more; nothing before the first.
    moved: Option<Instant>,
}

/// The answer.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Healthz {
    /// Whether all is well.
    healthy: bool,
    /// Each source.
    sources: Vec<SourceHealth>,
}

/// Whether one source is heard.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SourceHealth {
    /// Its name.
    source: String,
    /// Whether it is as it should be.
    healthy: bool,
    /// How it stands with it, in a sentence.
    message: String,
}

impl Health {
    /// Looks at the counters.
    fn look(&self, stats: &Stats, now: Instant) -> Healthz {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sources = stats.all();
        known.retain(|name, _| sources.iter().any(|source| source.name == *name));
        let judged = sources.iter().map(|source| {
            let windows = source.windows.load(Relaxed);
            let first = Progress { windows, moved: (windows > 0).then_some(now) };
            let progress = known.entry(source.name.clone()).or_insert(first);
            if windows != progress.windows {
                *progress = Progress { windows, moved: Some(now) };
            }
            let (healthy, message) = judge(source, progress.moved.map(|moved| now.duration_since(moved)));
            SourceHealth { source: source.name.to_string(), healthy, message }
        });
        let sources: Vec<SourceHealth> = judged.collect();
        Healthz { healthy: !sources.is_empty() && sources.iter().all(|source| source.healthy), sources }
    }
}

/// Whether a source is as it should be that had a window scored so long ago, and the sentence.
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

/// Looks again and again.
pub async fn watch(api: &Api) {
    loop {
        api.health.look(&api.shared.stats, Instant::now());
        tokio::time::sleep(EVERY).await;
    }
}

/// `GET /healthz`
pub async fn healthz(State(api): State<Arc<Api>>) -> Response {
    let health = api.health.look(&api.shared.stats, Instant::now());
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
        let look = |after| {
            let health = health.look(&stats, began + Duration::from_secs(after));
            (health.healthy, health.sources.first().map(|source| source.message.clone()).unwrap_or_default())
        };
        assert_eq!(look(0), (false, "kitchen is being opened".to_owned()));
        source.enter(SourceState::Live);
        assert_eq!(look(1), (false, "kitchen is open, but nothing of it has been heard yet".to_owned()));
        source.windows.store(3, Relaxed);
        assert_eq!(look(2), (true, "kitchen is heard".to_owned()));
        assert!(look(7).0);
        assert_eq!(look(9), (false, "kitchen is open, but nothing of it has been heard for 7 s".to_owned()));
        source.windows.store(4, Relaxed);
        assert!(look(10).0);
        source.silent(5_000);
        assert_eq!(look(10), (false, "kitchen delivers nothing but digital silence".to_owned()));
        source.silent(0);
        source.enter(SourceState::Paused);
        source.blame(Some("quiet hours until 06:30".to_owned()));
        assert_eq!(look(100), (true, "kitchen is paused, as was asked for: quiet hours until 06:30".to_owned()));
        source.enter(SourceState::Lost);
        assert!(!look(100).0);
    }

    #[test]
    fn one_deaf_source_is_enough_and_none_is_not_health() {
        let (stats, health, now) = (Stats::default(), Health::default(), Instant::now());
        assert!(!health.look(&stats, now).healthy);
        let source = |name: &str| {
            let source = stats.source(&name.into());
            source.enter(SourceState::Live);
            source
        };
        source("a").windows.store(1, Relaxed);
        assert!(health.look(&stats, now).healthy);
        source("b");
        assert!(!health.look(&stats, now).healthy);
    }
}
