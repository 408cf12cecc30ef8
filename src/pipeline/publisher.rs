//! The publishing stage's threads: one that takes the reports over, and the runtime that publishes them, serves clients and takes
//! signals.

use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};

use crate::control::Control;
use crate::event::Report;
use crate::publish::hub::Hub;
use crate::publish::settings::SinksConfig;
use crate::publish::shared::{Directory, Shared, max_clients};
use crate::publish::sinks;
use crate::publish::socket::Bound;
use crate::publish::socket::server::serve;
use crate::stats::Stats;

/// Requests on their way to the pipeline.
const REQUESTS: usize = 256;
/// Reports on their way into the runtime.
const REPORTS: usize = 64;
/// How long clients have to take what waits for them.
const CLOSING: Duration = Duration::from_millis(1_500);

/// What the world orders the daemon to do, whatever way it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// End, because somebody at the terminal said so.
    Interrupt,
    /// End, because the service manager said so.
    Terminate,
    /// Load the configuration again.
    Reload,
    /// End, because every source has come to its end.
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
    /// Starts to publish `reports` on the socket.
    pub fn start(bound: Bound, reports: Receiver<Report>, directory: Directory, stats: Arc<Stats>) -> std::io::Result<Self> {
        let hub = Hub::new(stats.clone());
        let (asked, control) = bounded(REQUESTS);
        let (caught, signals) = bounded(16);
        let (down, is_down) = watch::channel(false);
        let (sinks, wanted_sinks) = watch::channel(directory.in_force.sinks.clone());
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
                // The socket goes last: until here nobody else could take its place.
                drop(bound);
            });
        })?;
        let taker = std::thread::Builder::new().name("reports".to_owned()).spawn(move || {
            // Where nothing takes them any more, nobody is left to be told.
            while let Ok(report) = reports.recv()
                && taken.blocking_send(report).is_ok()
            {}
            drop(taken);
            let _ = all_published.blocking_recv();
        })?;
        started.recv().unwrap_or(Ok(()))?;
        Ok(Self { control, signals, shared, sinks, down, taker, server })
    }

    /// Puts another directory in force.
    pub fn set_directory(&self, directory: Directory) {
        // A sink that looks for what is in force finds the new one.
        let sinks = directory.in_force.sinks.clone();
        self.shared.set_directory(directory);
        let _ = self.sinks.send(sinks);
    }

    /// Publishes what is still on its way, lets clients take it, and takes the socket away. Every sender of reports must be gone.
    pub fn shut_down(self) {
        join(self.taker, Instant::now() + CLOSING);
        let _ = self.down.send(true);
        join(self.server, Instant::now() + CLOSING);
    }
}

/// Waits for a thread, but not for ever.
fn join(thread: JoinHandle<()>, deadline: Instant) {
    while !thread.is_finished() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    if thread.is_finished() && thread.join().is_err() {
        tracing::error!("a thread of the publishing stage panicked");
    }
}

/// Turns the system's signals into ours; a signal that cannot be caught keeps its default meaning.
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
        // The pipeline takes what it can; a flood of signals says nothing more than the first.
        let _ = caught.try_send(signal);
    }
}
