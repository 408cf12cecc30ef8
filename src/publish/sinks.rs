//! Runs the sinks that the configuration asks for: each a task of the publishing runtime, started, stopped and started anew when its
//! section changes.
//!
//! A sink is a client like those of the socket: it takes its lines from a bounded queue of the hub, and its requests are answered by the
//! pipeline. Invariant: nothing that becomes of a sink is the other's, the clients', or the engine's concern.

use std::future::Future;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::shared::{Shared, down};
use super::{http, mqtt};
use crate::publish::settings::SinksConfig;
use crate::stats::sink::SinkStats;

/// How long a sink has to say good-bye.
const CLOSING: Duration = Duration::from_secs(1);

/// What a sink is run with, beside its section of the configuration.
#[derive(Debug)]
pub struct Context {
    /// The hub, the daemon's health, and the way to the pipeline.
    pub shared: Arc<Shared>,
    /// The sink's own counters.
    pub stats: Arc<SinkStats>,
    /// Becomes true when it is to end.
    pub stop: watch::Receiver<bool>,
}

/// Runs the sinks of `config`, and those of every configuration that takes its place, until `shutdown` is true.
pub async fn run(shared: Arc<Shared>, mut config: watch::Receiver<SinksConfig>, mut shutdown: watch::Receiver<bool>) {
    let mut mqtt = Sink::new("mqtt");
    let mut http = Sink::new("http");
    loop {
        let wanted = config.borrow_and_update().clone();
        let former = mqtt.config.clone();
        mqtt.apply(wanted.mqtt, &shared, |config, context| mqtt::run(config, former, context)).await;
        http.apply(wanted.http, &shared, http::run).await;
        tokio::select! {
            // The sender is gone only when the daemon is.
            changed = config.changed() => if changed.is_err() { break },
            () = down(&mut shutdown) => break,
        }
    }
    // Side by side: one that hangs takes nothing from the other's time.
    tokio::join!(mqtt.stop(&shared), http.stop(&shared));
}

/// A sink that may be running.
struct Sink<C> {
    name: &'static str,
    config: Option<C>,
    running: Option<(watch::Sender<bool>, JoinHandle<()>)>,
}

impl<C: Clone + PartialEq> Sink<C> {
    fn new(name: &'static str) -> Self {
        Self { name, config: None, running: None }
    }

    /// Runs the sink as `wanted` says; one whose section is the same goes on.
    async fn apply<F>(&mut self, wanted: Option<C>, shared: &Arc<Shared>, run: impl FnOnce(C, Context) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if wanted == self.config {
            return;
        }
        self.stop(shared).await;
        self.config.clone_from(&wanted);
        if let Some(config) = wanted {
            let stats = Arc::new(SinkStats::new(self.name));
            shared.stats.sinks.write().unwrap_or_else(PoisonError::into_inner).push(stats.clone());
            let (stop, stopped) = watch::channel(false);
            let context = Context { shared: shared.clone(), stats, stop: stopped };
            self.running = Some((stop, tokio::spawn(run(config, context))));
        }
    }

    async fn stop(&mut self, shared: &Arc<Shared>) {
        if let Some((stop, mut task)) = self.running.take() {
            let _ = stop.send(true);
            if tokio::time::timeout(CLOSING, &mut task).await.is_err() {
                task.abort();
            }
            shared.stats.sinks.write().unwrap_or_else(PoisonError::into_inner).retain(|stats| stats.name != self.name);
        }
    }
}
