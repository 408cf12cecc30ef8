//! The threads of the publishing stage: one takes the reports over from the analysis, and the runtime publishes them, serves
//! clients and takes signals.

use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use crate::control::Control;
use crate::event::Report;
use crate::publish::hub::Hub;
use crate::publish::settings::{SinksConfig, StoreConfig};
use crate::publish::shared::{Directory, Shared, max_clients};
use crate::publish::sinks;
use crate::publish::socket::Bound;
use crate::publish::socket::server::serve;
use crate::publish::store::{Circumstances, Opened, Store};
use crate::stats::Stats;
use crate::systemd;

/// The highest number of requests on their way to the pipeline.
const REQUESTS: usize = 256;
/// The highest number of reports on their way into the runtime.
const REPORTS: usize = 64;
/// The time that clients have at the end to read the lines that wait for them.
const CLOSING: Duration = Duration::from_millis(1_500);

/// An order to the daemon from outside, or the reason for its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// End, by an interrupt from the terminal.
    Interrupt,
    /// End, by order of the service manager.
    Terminate,
    /// Load the configuration again.
    Reload,
    /// End, because every source has ended.
    Finished,
}

/// The running publishing stage.
pub struct Publisher {
    /// Requests of clients.
    pub control: Receiver<Control>,
    /// Signals of the system.
    pub signals: Receiver<Signal>,
    shared: Arc<Shared>,
    sinks: watch::Sender<SinksConfig>,
    down: watch::Sender<bool>,
    taker: JoinHandle<()>,
    server: JoinHandle<()>,
}

impl Publisher {
    /// Starts to publish `reports` on the socket, and to keep them where there is a store. Numbers go on from what it has.
    pub fn start(
        bound: Bound,
        reports: Receiver<Report>,
        directory: Directory,
        (sinks, store): (SinksConfig, Option<StoreConfig>),
        stats: Arc<Stats>,
    ) -> std::io::Result<Self> {
        let instance = Uuid::now_v7();
        let opened = store.map(|store| Store::start(store, circumstances(instance, &directory, &sinks), &stats)).transpose()?;
        let (store, last, left_open) = match opened {
            Some(Opened { store, last, left_open }) => (Some(store), last, left_open),
            None => (None, 0, Vec::new()),
        };
        let hub = Hub::after(instance, stats.clone(), store.clone(), last);
        let (asked, control) = bounded(REQUESTS);
        let (caught, signals) = bounded(16);
        let (down, is_down) = watch::channel(false);
        let (sinks, wanted_sinks) = watch::channel(sinks);
        let shared = Arc::new(Shared {
            hub: hub.clone(),
            control: asked,
            stats,
            access: bound.access,
            directory: RwLock::new(Arc::new(directory)),
            max_clients: max_clients(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (ready, started) = bounded(1);
        let for_server = shared.clone();
        let (taken, to_publish) = mpsc::channel(REPORTS);
        let (published, all_published) = oneshot::channel();
        let server = std::thread::Builder::new().name("publish".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let begun = bound.listener.try_clone().and_then(tokio::net::UnixListener::from_std);
                match begun {
                    Ok(listener) => {
                        tokio::spawn(catch(
                            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal),
                            caught,
                        ));
                        // Whoever asks for what came since finds these ends; nobody is told that is here only now.
                        hub.publish_all(left_open.into_iter()).await;
                        tokio::spawn(async move {
                            hub.pump(to_publish).await;
                            let _ = published.send(());
                        });
                        let _ = ready.send(Ok(()));
                        let sinks = sinks::run(for_server.clone(), wanted_sinks, is_down.clone());
                        tokio::join!(serve(listener, for_server, is_down), sinks);
                    }
                    Err(error) => {
                        let _ = ready.send(Err(error));
                    }
                }
                // The socket is removed last, so that until here no other daemon could take its place.
                drop(bound);
            });
        })?;
        let taker = std::thread::Builder::new().name("reports".to_owned()).spawn(move || {
            // If the runtime has ended, no client is left.
            while let Ok(report) = reports.recv()
                && taken.blocking_send(report).is_ok()
            {}
            drop(taken);
            let _ = all_published.blocking_recv();
        })?;
        started.recv().unwrap_or(Ok(()))?;
        Ok(Self { control, signals, shared, sinks, down, taker, server })
    }

    /// The file of the store that runs; `None` where there is none.
    pub fn store_path(&self) -> Option<PathBuf> {
        self.shared.hub.store.as_ref().map(|store| store.path.clone())
    }

    /// Replaces the directory, then starts and stops the sinks that the settings ask for: a sink that starts finds the new
    /// directory.
    pub fn set_directory(&self, directory: Directory, sinks: SinksConfig) {
        self.shared.set_directory(directory);
        let _ = self.sinks.send(sinks);
    }

    /// Publishes the reports that are still on their way, lets clients read them, and removes the socket. Every sender of reports
    /// must be dropped before.
    pub fn shut_down(self) {
        join(self.taker, Instant::now() + CLOSING);
        if let Some(store) = &self.shared.hub.store {
            store.end(self.shared.hub.seq(), Instant::now() + CLOSING);
        }
        let _ = self.down.send(true);
        join(self.server, Instant::now() + CLOSING);
    }
}

/// The facts that the store keeps beside the events.
fn circumstances(instance: Uuid, directory: &Directory, sinks: &SinksConfig) -> Circumstances {
    let node = sinks.mqtt.as_ref().map_or_else(systemd::machine_name, |mqtt| mqtt.node.clone());
    let (instance, model, configuration) = (instance.to_string(), directory.model.clone(), directory.effective.clone());
    Circumstances { instance, node, model, configuration }
}

/// Waits for a thread until the deadline.
fn join(thread: JoinHandle<()>, deadline: Instant) {
    while !thread.is_finished() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    if thread.is_finished() && thread.join().is_err() {
        tracing::error!("a thread of the publishing stage panicked");
    }
}

/// Turns signals of the system into [`Signal`]s. If they cannot be caught, they keep their default effect.
async fn catch(signals: [std::io::Result<tokio::signal::unix::Signal>; 3], caught: Sender<Signal>) {
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = signals else {
        tracing::error!("signals cannot be caught");
        return;
    };
    loop {
        let signal = tokio::select! {
            _ = interrupt.recv() => Signal::Interrupt,
            _ = terminate.recv() => Signal::Terminate,
            _ = hangup.recv() => Signal::Reload,
        };
        // If the queue is full, the signal is dropped: it would repeat those that wait.
        let _ = caught.try_send(signal);
    }
}
