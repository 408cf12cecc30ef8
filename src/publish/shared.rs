//! The state that the socket's clients and all sinks share: the hub, the channel to the pipeline, the daemon's counters, and the
//! directory of the effective model, labels and configuration. Nothing here listens or sends.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError, RwLock};

use crossbeam_channel::Sender;
use jiff::Timestamp;
use tokio::sync::watch;

use super::access::Access;
use super::hub::Hub;
use super::wire::{Body, ClipsStatus, HookStatus, Line, ModelInfo, PauseStatus, SinkStatus, SourceStatus, Status};
use crate::control::Control;
use crate::detect::rule::{self, Rule};
use crate::limits;
use crate::model::Labels;
use crate::stats::Stats;

/// The most clients at a time, where the process may open as many files.
const MAX_CLIENTS: u64 = 2_048;

/// The facts that clients ask for, beside the reports.
#[derive(Debug)]
pub struct Directory {
    /// The effective model.
    pub model: ModelInfo,
    /// The model's labels.
    pub labels: Labels,
    /// The configuration file, if there is one.
    pub config: Option<String>,
    /// The effective configuration as TOML.
    pub effective: String,
    /// The rules, which name the labels that are reported.
    pub rules: Vec<Rule>,
    /// The labels that `[report] ignore` names, by their indices among the model's outputs.
    pub ignored: Vec<usize>,
    /// The names of the configured sources.
    pub sources: Vec<Arc<str>>,
    /// The places of the sources that have one, by the source's name.
    pub areas: Vec<(Arc<str>, String)>,
}

/// The most clients at a time. They leave the process enough file descriptors for its own files.
pub fn max_clients() -> u64 {
    limits::files().saturating_sub(limits::OWN_FILES).min(MAX_CLIENTS)
}

/// The shared state.
#[derive(Debug)]
pub struct Shared {
    /// The hub of the reports.
    pub hub: Arc<Hub>,
    /// Takes requests to the pipeline.
    pub control: Sender<Control>,
    /// The daemon's counters.
    pub stats: Arc<Stats>,
    /// The users who may change the daemon.
    pub access: Access,
    /// The directory, which a reload replaces.
    pub directory: RwLock<Arc<Directory>>,
    /// The most clients of the socket at a time.
    pub max_clients: u64,
}

impl Directory {
    /// The names of the groups that are reported.
    pub fn groups(&self) -> Vec<String> {
        rule::groups(&self.rules).map(|group| group.name.clone()).collect()
    }
}

impl Shared {
    /// The present directory.
    pub fn directory(&self) -> Arc<Directory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the directory.
    pub fn set_directory(&self, directory: Directory) {
        if let Some(store) = &self.hub.store
            && self.directory().model != directory.model
        {
            store.change(&directory.model, self.hub.seq() + 1);
        }
        *self.directory.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(directory);
    }

    /// The first line of a stream; `seq` is the number of the newest report.
    pub fn hello(&self, seq: u64) -> Line {
        let sources = self.stats.sources.read().unwrap_or_else(PoisonError::into_inner);
        let hello = Body::Hello {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instance: self.hub.instance.to_string(),
            model: self.directory().model.clone(),
            sources: sources.iter().map(|source| source.name.to_string()).collect(),
        };
        Line { seq: Some(seq), ..Line::new(Timestamp::now(), hello) }
    }

    /// The daemon's present health.
    pub fn status(&self) -> Status {
        let (stats, directory) = (&self.stats, self.directory());
        let sources = stats.sources.read().unwrap_or_else(PoisonError::into_inner);
        let sinks = stats.sinks.read().unwrap_or_else(PoisonError::into_inner);
        let hooks = stats.hooks.read().unwrap_or_else(PoisonError::into_inner);
        let inferences = stats.inferences.load(Relaxed);
        let mean = |us: u64| (us as f64 / inferences as f64 / 10.0).round() / 100.0;
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instance: self.hub.instance.to_string(),
            pid: std::process::id(),
            uptime_s: (stats.started.elapsed().as_secs_f64() * 10.0).round() / 10.0,
            config: directory.config.clone(),
            model: directory.model.clone(),
            paused: stats.pause().as_ref().map(PauseStatus::from),
            sources: sources.iter().map(|source| SourceStatus::from(&**source)).collect(),
            inferences,
            inference_ms: (inferences > 0).then(|| mean(stats.inference_us.load(Relaxed))),
            busy: (stats.busy_percent.load(Relaxed) as f64) / 100.0,
            hop_ms: stats.hop_ms.load(Relaxed),
            clients: stats.clients.load(Relaxed),
            dropped_lines: stats.dropped_lines.load(Relaxed),
            dropped_reports: stats.dropped_reports.load(Relaxed),
            sinks: sinks.iter().map(|sink| SinkStatus::from(&**sink)).collect(),
            hooks: hooks.iter().map(|hook| HookStatus::from(&**hook)).collect(),
            clips: stats.clips().as_deref().map(ClipsStatus::from),
        }
    }
}

/// Waits until the value is true, or until its sender is gone.
pub(crate) async fn down(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|down| *down).await;
}
