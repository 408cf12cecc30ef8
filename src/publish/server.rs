//! Accepts connections and serves each as a task of its own, until it is told to shut down.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crossbeam_channel::Sender;
use jiff::Timestamp;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::access::Access;
use super::client::Connection;
use super::hub::Hub;
use super::wire::{Body, Line, ModelInfo, PauseStatus, SinkStatus, SourceStatus, Status};
use crate::config::Config;
use crate::control::Control;
use crate::limits;
use crate::model::Labels;
use crate::stats::Stats;

/// How many clients may be connected at a time, where the process may open as many files.
const MAX_CLIENTS: u64 = 2_048;
/// How long clients have at the end to take what waits for them.
const FLUSH: Duration = Duration::from_secs(1);
/// How long to wait after the system gave no connection, for want of file descriptors say.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// What clients are told of, beside the reports.
#[derive(Debug)]
pub struct Directory {
    /// The model in force.
    pub model: ModelInfo,
    /// Its labels.
    pub labels: Labels,
    /// The names of the labels that the report is told to ignore.
    pub ignored: Vec<String>,
    /// The configuration file, if there is one.
    pub config: Option<String>,
    /// The configuration in force.
    pub in_force: Config,
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
        self.in_force.groups().map(|group| group.name.clone()).collect()
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

/// Serves connections of `listener` until `shutdown` is true, then lets clients take what waits for them, but not for long.
pub async fn serve(listener: UnixListener, shared: Arc<Shared>, mut shutdown: watch::Receiver<bool>) {
    let mut clients = JoinSet::new();
    let for_clients = shutdown.clone();
    let mut is_refused = false;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    is_refused = false;
                    welcome(stream, &shared, &mut clients, for_clients.clone());
                }
                Err(error) => {
                    // Whoever waits is tried again and again; once is enough to be told of it.
                    if !std::mem::replace(&mut is_refused, true) {
                        tracing::warn!("connections cannot be accepted just now: {}", limits::explain(&error));
                    }
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            },
            // The sender is gone only when the daemon is.
            () = down(&mut shutdown) => break,
            Some(_) = clients.join_next() => {}
        }
    }
    drop(listener);
    let all = async { while clients.join_next().await.is_some() {} };
    if tokio::time::timeout(FLUSH, all).await.is_err() {
        clients.shutdown().await;
    }
}

fn welcome(stream: UnixStream, shared: &Arc<Shared>, clients: &mut JoinSet<()>, shutdown: watch::Receiver<bool>) {
    if shared.stats.clients.fetch_add(1, Relaxed) >= shared.max_clients {
        shared.stats.clients.fetch_sub(1, Relaxed);
        clients.spawn(refuse(stream, shared.max_clients));
        return;
    }
    let shared = shared.clone();
    clients.spawn(async move {
        let stats = shared.stats.clone();
        Connection::new(stream, shared).serve(shutdown).await;
        stats.clients.fetch_sub(1, Relaxed);
    });
}

async fn refuse(mut stream: UnixStream, max_clients: u64) {
    let message = format!("{max_clients} clients are connected already");
    let line = Line::new(Timestamp::now(), Body::Error { code: "busy".to_owned(), message }).to_line();
    let _ = tokio::time::timeout(FLUSH, stream.write_all(line.as_bytes())).await;
}

/// Waits until the daemon shuts down; a sender that is gone means the same.
pub(super) async fn down(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|down| *down).await;
}
