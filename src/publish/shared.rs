//! The part that the socket's clients and all sinks share: the hub, the way to the pipeline, the daemon's counters, and the
//! directory of the model, labels and configuration in force. Nothing here listens or writes.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError, RwLock};

use crossbeam_channel::Sender;
use tokio::sync::watch;

use super::access::Access;
use super::hub::Hub;
use super::wire::{ModelInfo, PauseStatus, SinkStatus, SourceStatus, Status};
use crate::control::Control;
use crate::detect::rule::{self, Rule};
use crate::limits;
use crate::model::Labels;
use crate::stats::Stats;

/// How many clients may be connected at a time, where the process may open as many files.
const MAX_CLIENTS: u64 = 2_048;

/// What clients are told of, beside the reports.
#[derive(Debug)]
pub struct Directory {
    /// The model in force.
    pub model: ModelInfo,
    /// Its labels.
    pub labels: Labels,
    /// The configuration file, if there is one.
    pub config: Option<String>,
    /// The effective configuration as TOML.
    pub effective: String,
    /// The rules, which say what is reported.
    pub rules: Vec<Rule>,
    /// The labels that `[report] ignore` names, by their indices among the model's outputs.
    pub ignored: Vec<usize>,
    /// The names of the configured sources.
    pub sources: Vec<Arc<str>>,
}

/// How many clients may be connected at a time: what they leave of this process's files is enough for its own.
pub fn max_clients() -> u64 {
    limits::files().saturating_sub(limits::OWN_FILES).min(MAX_CLIENTS)
}

/// What all connections share.
#[derive(Debug)]
pub struct Shared {
    /// The hub that they are subscribed to.
    pub hub: Arc<Hub>,
    /// Takes requests to the pipeline.
    pub control: Sender<Control>,
    /// The daemon's counters.
    pub stats: Arc<Stats>,
    /// Who may change the daemon.
    pub access: Access,
    /// Replaced by a reload.
    pub directory: RwLock<Arc<Directory>>,
    /// How many clients may be connected at a time.
    pub max_clients: u64,
}

impl Directory {
    /// The names of the groups that are reported.
    pub fn groups(&self) -> Vec<String> {
        rule::groups(&self.rules).map(|group| group.name.clone()).collect()
    }
}

impl Shared {
    /// The directory in force.
    pub fn directory(&self) -> Arc<Directory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another directory in force.
    pub fn set_directory(&self, directory: Directory) {
        *self.directory.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(directory);
    }

    /// The daemon's health just now.
    pub fn status(&self) -> Status {
        let (stats, directory) = (&self.stats, self.directory());
        let sources = stats.sources.read().unwrap_or_else(PoisonError::into_inner);
        let sinks = stats.sinks.read().unwrap_or_else(PoisonError::into_inner);
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
        }
    }
}

/// Waits until the daemon shuts down; a sender that is gone means the same.
pub(crate) async fn down(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|down| *down).await;
}
