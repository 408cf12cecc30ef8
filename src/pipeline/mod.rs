//! The daemon: starts the stages, watches them, applies changes, and shuts them down in the order of the data.
//!
//! Its thread is the one that `main` gave it. It never touches a sample and never waits for a client.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, never, select, tick};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::analysis::{Analysis, Command, Now, Outcome, Ruleset};
use crate::capture::CaptureError;
use crate::capture::source::SourceConfig;
use crate::config::stamp::Stamp;
use crate::config::{Config, QuietHours, Raw};
use crate::event::{EndReason, Pause, Report};
use crate::inference::Inference;
use crate::limits;
use crate::model::onnx::{self, Runtime};
use crate::model::{Labels, Model};
use crate::publish::shared::Directory;
use crate::publish::socket;
use crate::publish::wire::{self, ModelInfo};
use crate::stats::Stats;
use crate::systemd;

mod error;
mod liveness;
mod pause;
mod publisher;
mod reload;
mod requests;
mod source;
mod watch;

pub use error::DaemonError;
use liveness::Liveness;
use pause::{Change, Pauses};
use publisher::Publisher;
pub use publisher::Signal;
use source::{Opened, Order, SourceThread};
use watch::Watch;

/// How long all sources may take to open at first.
const OPENING: Duration = Duration::from_secs(8);
/// How long the stages have to end.
const CLOSING: Duration = Duration::from_millis(1_500);
/// Reports on their way to the hub.
const REPORTS: usize = 1_024;
/// How often it is looked whether the first window was scored.
const SETTLING: Duration = Duration::from_millis(50);
/// An analysis that has not moved at so many looks, one a second, will not move any more.
const STUCK_LOOKS: u32 = 60;

/// What a daemon that cannot open a single source does.
#[derive(Debug, Clone)]
pub enum WithoutSource {
    /// It gives up.
    Fail,
    /// It goes on and tries again until one is there.
    Wait,
    /// It plays these instead, if it is a device that is missing.
    Play(Vec<SourceConfig>),
}

/// What a daemon is started with.
#[derive(Debug)]
pub struct Setup {
    /// The configuration as it was read.
    pub raw: Raw,
    /// The configuration.
    pub config: Config,
    /// Where it was read from, to be read again.
    pub config_file: Option<PathBuf>,
    /// Sources that the command line gave, which a reload does not replace.
    pub fixed_sources: bool,
    /// The model of the configuration.
    pub model: Model,
    /// What to do where no source can be opened.
    pub without_source: WithoutSource,
}

/// A running daemon.
pub struct Daemon {
    /// What is in force as it was read, and as requests have set it since.
    raw: Raw,
    config: Config,
    config_file: Option<PathBuf>,
    fixed_sources: bool,
    model: ModelInfo,
    labels: Labels,
    runtime: Runtime,
    stats: Arc<Stats>,
    sources: HashMap<Arc<str>, SourceThread>,
    opened: (Sender<Opened>, Receiver<Opened>),
    commands: Sender<Command>,
    outcomes: Receiver<Outcome>,
    reports: Sender<Report>,
    analysis: JoinHandle<()>,
    publisher: Publisher,
    socket: PathBuf,
    pauses: Pauses,
    watch: Watch,
    /// Sources that have not come to their end.
    unfinished: Vec<Arc<str>>,
    liveness: Liveness,
    /// What the service manager was told last; nothing while it waits for the daemon to be ready.
    told: Option<String>,
}

impl Daemon {
    /// Starts every stage; returns when the sources have been tried.
    pub fn start(setup: Setup) -> Result<Self, DaemonError> {
        let Setup { raw, config, config_file, fixed_sources, model, without_source } = setup;
        let system = |error: std::io::Error| DaemonError::System(limits::explain(&error));
        let watch = Watch::new(raw.stamp);
        let runtime = Runtime::load(&onnx::find_runtime(config.model.runtime.as_deref())?)?;
        let inference = Inference::open(&model, &runtime, config.model.n_threads())?;
        let bound = socket::open(&config.socket)?;
        let socket = bound.path.clone();
        let stats = Arc::new(Stats::default());
        // A client that comes before the sources are open is told of them all the same.
        for source in &config.sources {
            stats.source(&source.name);
        }
        let (info, labels) = (model_info(&model), model.labels.clone());
        let directory = directory(&info, &labels, &raw, &config);
        let (commands, obeyed) = bounded(256);
        let (reports, published) = bounded(REPORTS);
        let (told, outcomes) = bounded(256);
        let analysis = Analysis {
            model,
            inference,
            ruleset: ruleset(&config),
            commands: obeyed,
            reports: reports.clone(),
            outcomes: told,
            stats: stats.clone(),
        };
        let publisher = Publisher::start(bound, published, directory, stats.clone()).map_err(system)?;
        let analysis = std::thread::Builder::new().name("analysis".to_owned()).spawn(move || analysis.run()).map_err(system)?;
        let mut daemon = Self {
            raw,
            config,
            config_file,
            fixed_sources,
            model: info,
            labels,
            runtime,
            stats,
            sources: HashMap::new(),
            opened: bounded(1_024),
            commands,
            outcomes,
            reports,
            analysis,
            publisher,
            socket,
            pauses: Pauses::default(),
            watch,
            unfinished: Vec::new(),
            liveness: Liveness::default(),
            told: None,
        };
        if let Err(error) = daemon.open_first(without_source) {
            daemon.shut_down();
            return Err(error);
        }
        Ok(daemon)
    }

    /// Where the daemon's socket is.
    pub fn socket(&self) -> &std::path::Path {
        &self.socket
    }

    /// Runs until it is told to stop, until every source has come to its end, or until the model fails; then shuts down.
    pub fn run(mut self) -> Result<Signal, DaemonError> {
        let end = self.supervise();
        systemd::stopping();
        self.shut_down();
        end
    }

    fn supervise(&mut self) -> Result<Signal, DaemonError> {
        let looks = tick(Duration::from_secs(liveness::EVERY_S));
        loop {
            let settling = if self.told.is_none() { crossbeam_channel::after(SETTLING) } else { never() };
            let wake = self.pauses.left(Now::read()).map_or_else(never, crossbeam_channel::after);
            select! {
                recv(self.publisher.signals) -> signal => match signal {
                    Ok(Signal::Reload) => { let _ = self.reload(); }
                    Ok(signal) => return Ok(signal),
                    Err(_) => return Err(DaemonError::System("the publishing stage ended".to_owned())),
                },
                recv(self.publisher.control) -> control => match control {
                    Ok(control) => self.obey(control),
                    Err(_) => return Err(DaemonError::System("the publishing stage ended".to_owned())),
                },
                recv(self.outcomes) -> outcome => match outcome {
                    Ok(Outcome::Finished { source }) => {
                        self.unfinished.retain(|name| *name != source);
                        if self.unfinished.is_empty() {
                            return Ok(Signal::Finished);
                        }
                    }
                    Ok(Outcome::Failed(error)) => return Err(error.into()),
                    Err(_) => return Err(DaemonError::System("the analysis ended".to_owned())),
                },
                recv(self.opened.1) -> opened => {
                    // A source that a reload brought, or one that took long at the start.
                    if let Ok(Err(error)) = opened {
                        tracing::warn!("{error}; trying again");
                    }
                }
                recv(settling) -> _ => self.settle(),
                recv(looks) -> _ => self.look()?,
                recv(wake) -> _ => self.keep_quiet(),
            }
        }
    }

    /// Says that the daemon is ready once it hears, or knows that there is nothing to hear.
    fn settle(&mut self) {
        if liveness::is_settled(&self.stats) {
            let summary = self.summary();
            systemd::ready(&summary);
            self.told = Some(summary);
        }
    }

    /// Looks whether the daemon hears, and tells the service manager.
    fn look(&mut self) -> Result<(), DaemonError> {
        match self.liveness.look(&self.stats) {
            0 => systemd::alive(),
            STUCK_LOOKS => {
                let seconds = u64::from(STUCK_LOOKS) * liveness::EVERY_S;
                return Err(DaemonError::System(format!(
                    "the analysis has stood still for {seconds} s; mimid ends so that it can be started anew"
                )));
            }
            standing => tracing::warn!(standing, "the analysis stands still"),
        }
        self.keep_quiet();
        if self.config.watch && self.watch.is_changed(self.raw.path.as_deref().and_then(Stamp::of)) {
            tracing::info!("the configuration file has changed");
            let _ = self.reload();
        }
        let summary = self.summary();
        if self.told.as_ref().is_some_and(|told| *told != summary) {
            systemd::status(&summary);
            self.told = Some(summary);
        }
        Ok(())
    }

    /// Opens the sources of the configuration for the first time.
    fn open_first(&mut self, without: WithoutSource) -> Result<(), DaemonError> {
        let mut errors = self.open_all()?;
        if errors.len() < self.config.sources.len() || matches!(without, WithoutSource::Wait) {
            errors.iter().for_each(|error| tracing::warn!("{error}; trying again"));
            return Ok(());
        }
        match without {
            WithoutSource::Play(sources) if errors.iter().all(|error| error.exit_code() == 3) => {
                errors.iter().for_each(|error| tracing::warn!("{error}"));
                tracing::warn!("playing recorded sounds instead");
                for name in self.config.sources.iter().map(|source| source.name.clone()).collect::<Vec<_>>() {
                    self.stop_source(&name, EndReason::SourceLost);
                }
                self.config.sources = sources;
                self.fixed_sources = true;
                errors = self.open_all()?;
                if errors.len() < self.config.sources.len() { Ok(()) } else { Err(DaemonError::NoSource(errors)) }
            }
            WithoutSource::Fail | WithoutSource::Wait | WithoutSource::Play(_) => Err(DaemonError::NoSource(errors)),
        }
    }

    fn open_all(&mut self) -> Result<Vec<CaptureError>, DaemonError> {
        // A daemon that starts in quiet hours opens nothing.
        self.keep_quiet();
        for source in self.config.sources.clone() {
            self.start_source(source).map_err(|error| DaemonError::System(limits::explain(&error)))?;
        }
        let deadline = Instant::now() + OPENING;
        let mut errors = Vec::new();
        for _ in 0..self.config.sources.len() {
            // A source that is still at it after so long is neither open nor refused; its thread goes on.
            let Ok(opened) = self.opened.1.recv_deadline(deadline) else { break };
            errors.extend(opened.err());
        }
        Ok(errors)
    }

    fn start_source(&mut self, source: SourceConfig) -> std::io::Result<()> {
        let name = source.name.clone();
        let paused = self.pauses.in_force().map(described);
        let (stats, commands) = (self.stats.source(&name), self.commands.clone());
        let thread = SourceThread::spawn(source, stats, commands, self.opened.0.clone(), paused)?;
        self.unfinished.push(name.clone());
        self.sources.insert(name, thread);
        Ok(())
    }

    fn stop_source(&mut self, name: &Arc<str>, reason: EndReason) {
        if let Some(thread) = self.sources.remove(name) {
            thread.order(Order::Stop(reason));
            thread.join(Instant::now() + CLOSING);
        }
        self.unfinished.retain(|unfinished| unfinished != name);
        self.stats.forget(name);
    }

    /// The quiet hours that last just now.
    fn quiet(&self, now: Now) -> Option<Pause> {
        let hours = &self.config.quiet_hours;
        // Whoever has none need not wait for the system's list of time zones.
        if *hours == QuietHours::default() { None } else { hours.pause(now.wall(), &TimeZone::system()) }
    }

    /// Closes the sources and opens them again as requests and quiet hours have it just now, and tells.
    fn keep_quiet(&mut self) {
        let now = Now::read();
        let Some(change) = self.pauses.look(now, self.quiet(now)) else { return };
        // Before it is told: who hears of it and asks is answered the same.
        self.stats.set_pause(self.pauses.in_force());
        let (order, report) = match change {
            Change::Paused(pause) => {
                let reason = described(pause);
                tracing::info!(reason, "nothing is heard");
                (Order::Pause(reason), Report::Paused(pause))
            }
            Change::Resumed(reason) => {
                tracing::info!(reason = wire::PauseReason::from(reason).to_string(), "sound is heard again");
                (Order::Resume, Report::Resumed { reason })
            }
        };
        self.sources.values().for_each(|source| source.order(order.clone()));
        let _ = self.reports.send(report);
    }

    fn summary(&self) -> String {
        liveness::summary(&self.stats, self.config.rules.len())
    }

    /// Shutdown follows the data: capture, analysis, hub, clients, socket.
    fn shut_down(self) {
        let deadline = Instant::now() + CLOSING;
        self.sources.values().for_each(|source| source.order(Order::Stop(EndReason::Shutdown)));
        self.sources.into_values().for_each(|source| source.join(deadline));
        let _ = self.commands.send(Command::Shutdown);
        while !self.analysis.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(self.reports);
        self.publisher.shut_down();
    }
}

/// A pause in words, by the machine's clock.
fn described(pause: Pause) -> String {
    pause.describe(Timestamp::now(), &TimeZone::system())
}

fn ruleset(config: &Config) -> Ruleset {
    Ruleset { rules: config.rules.clone(), ignored: config.ignored.clone() }
}

fn model_info(model: &Model) -> ModelInfo {
    ModelInfo { name: model.name.clone(), sha256: model.sha256.clone(), labels: model.labels.len() }
}

fn directory(model: &ModelInfo, labels: &Labels, raw: &Raw, config: &Config) -> Directory {
    Directory {
        model: model.clone(),
        labels: labels.clone(),
        in_force: config.clone(),
        config: raw.path.as_ref().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone()).display().to_string()),
    }
}
