//! Runs the sinks of the configuration. Each is a task of the tokio runtime, which is started again when its section of the
//! configuration changes.
//!
//! A sink is a subscriber of the hub like a client of the socket: it takes reports from a bounded queue, and the pipeline answers
//! its requests. Invariant: a sink that fails or stalls disturbs neither the other sink, nor the clients, nor the engine.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::shared::{Shared, down};
use super::{hooks, http, mqtt, summary};
use crate::publish::settings::{MqttConfig, SinksConfig};
use crate::stats::sink::SinkStats;

/// The time that a sink has for its last messages.
const CLOSING: Duration = Duration::from_secs(1);
/// The time of a sink that takes away what it has told: whatever it leaves stays at the broker.
const LEAVING: Duration = Duration::from_secs(8);

/// The things that a sink needs beside its section of the configuration.
#[derive(Debug)]
pub struct Context {
    /// The hub, the daemon's health, and the way to the pipeline.
    pub shared: Arc<Shared>,
    /// The sink's own counters.
    pub stats: Arc<SinkStats>,
    /// Becomes true when the sink is to end.
    pub stop: watch::Receiver<bool>,
    /// Whether, when it ends, nothing of what it has told is to stay: the next configuration has other names, or no such sink.
    pub leaves: Arc<AtomicBool>,
}

/// Runs the sinks of `config`, and those of each later configuration, until `shutdown` is true.
pub async fn run(shared: Arc<Shared>, mut config: watch::Receiver<SinksConfig>, mut shutdown: watch::Receiver<bool>) {
    let mut mqtt = Sink::new("mqtt");
    let mut http = Sink::new("http");
    let mut hooks = Sink::new("hooks");
    let mut summary = Sink::new("summary");
    // The runs of a hook outlive a change of the hooks.
    let left = hooks::Left::default();
    // Drops what it runs at the end.
    let mut cleaning = JoinSet::new();
    loop {
        let wanted = config.borrow_and_update().clone();
        let leaves = |from: &MqttConfig, to: Option<&MqttConfig>| !to.is_some_and(|to| to.has_names_of(from));
        if wanted.mqtt != mqtt.config || cleaning.is_empty() {
            let to = wanted.mqtt.clone();
            mqtt.apply(wanted.mqtt, &shared, leaves, mqtt::run).await;
            cleaning.abort_all();
            cleaning.spawn(mqtt::clean::leftovers(to));
        }
        http.apply(wanted.http, &shared, |_, _| false, http::run).await;
        hooks.apply(wanted.hooks, &shared, |_, _| false, |config, context| hooks::run(config, context, left.clone())).await;
        summary.apply(wanted.summary, &shared, |_, _| false, summary::run).await;
        tokio::select! {
            // The daemon drops the sender only at its end.
            changed = config.changed() => if changed.is_err() { break },
            () = down(&mut shutdown) => break,
        }
    }
    // All end at the same time, so a sink that hangs does not shorten another's time.
    tokio::join!(mqtt.stop(&shared), http.stop(&shared), hooks.stop(&shared), summary.stop(&shared));
}

/// A sink that may be running.
struct Sink<C> {
    name: &'static str,
    config: Option<C>,
    running: Option<Running>,
}

struct Running {
    stop: watch::Sender<bool>,
    leaves: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl<C: Clone + PartialEq> Sink<C> {
    fn new(name: &'static str) -> Self {
        Self { name, config: None, running: None }
    }

    /// Runs the sink with the section `wanted`. A sink with the same section as before goes on undisturbed.
    /// `leaves` says whether one with the section before has to take away what it has told.
    async fn apply<F>(
        &mut self,
        wanted: Option<C>,
        shared: &Arc<Shared>,
        leaves: impl FnOnce(&C, Option<&C>) -> bool,
        run: impl FnOnce(C, Context) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        if wanted == self.config {
            return;
        }
        if let (Some(config), Some(running)) = (&self.config, &self.running) {
            running.leaves.store(leaves(config, wanted.as_ref()), Relaxed);
        }
        self.stop(shared).await;
        self.config.clone_from(&wanted);
        if let Some(config) = wanted {
            let stats = Arc::new(SinkStats::new(self.name));
            shared.stats.sinks.write().unwrap_or_else(PoisonError::into_inner).push(stats.clone());
            let (stop, stopped) = watch::channel(false);
            let leaves = Arc::new(AtomicBool::new(false));
            let context = Context { shared: shared.clone(), stats, stop: stopped, leaves: leaves.clone() };
            self.running = Some(Running { stop, leaves, task: tokio::spawn(run(config, context)) });
        }
    }

    async fn stop(&mut self, shared: &Arc<Shared>) {
        if let Some(Running { stop, leaves, mut task }) = self.running.take() {
            let _ = stop.send(true);
            let time = if leaves.load(Relaxed) { LEAVING } else { CLOSING };
            if tokio::time::timeout(time, &mut task).await.is_err() {
                task.abort();
            }
            shared.stats.sinks.write().unwrap_or_else(PoisonError::into_inner).retain(|stats| stats.name != self.name);
        }
    }
}
