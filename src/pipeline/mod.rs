//! The pipeline: starts the stages, supervises them, applies changes, and shuts them down in the order of the data.
//!
//! It runs on the main thread, never touches a sample and never waits for a client.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, never, select, tick};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::analysis::backgrounds::Backgrounds;
use crate::analysis::{Analysis, Command, Now, Outcome, Ruleset};
use crate::capture::CaptureError;
use crate::capture::source::SourceConfig;
use crate::config::stamp::Stamp;
use crate::config::{Config, QuietHours, Raw};
use crate::event::{EndReason, Pause, Report};
use crate::inference::Inference;
use crate::limits;
use crate::model::Model;
use crate::model::onnx::{self, Runtime};
use crate::publish::clips::Clips;
use crate::publish::socket;
use crate::publish::wire;
use crate::stats::Stats;
use crate::systemd;

mod backgrounds;
mod clips;
mod directory;
mod editor;
mod error;
mod liveness;
mod made_up;
mod pause;
mod publisher;
mod reload;
mod requests;
mod source;
mod watch;

use directory::directory;
use editor::Editor;
pub use error::DaemonError;
use liveness::Liveness;
use made_up::MadeUpEvents;
use pause::{PauseChange, Pauses};
use publisher::Publisher;
pub use publisher::Signal;
use source::{Opened, Order, SourceThread};
use watch::Watch;

/// The time in which the sources have to open at the start.
const OPENING: Duration = Duration::from_secs(8);
/// The time that the stages have to end.
const CLOSING: Duration = Duration::from_millis(1_500);
/// The highest number of reports on their way to the hub.
const REPORTS: usize = 1_024;
/// The interval of the checks whether the first window was scored.
const SETTLING: Duration = Duration::from_millis(50);
/// The number of checks, one a second, after which an analysis that stands still is given up.
const STUCK_LOOKS: u32 = 60;

/// The behaviour of a daemon that cannot open a single source at the start.
#[derive(Debug, Clone)]
pub enum WithoutSource {
    /// It ends with an error.
    Fail,
    /// It runs and tries again until a source can be opened.
    Wait,
    /// It plays these sources instead, if the others are missing devices.
    Play(Vec<SourceConfig>),
}

/// The arguments of [`Daemon::start`].
#[derive(Debug)]
pub struct Setup {
    /// The configuration as the file has it.
    pub raw: Raw,
    /// The configuration.
    pub config: Config,
    /// The file that the command line names; `None` for the standard one.
    pub config_file: Option<PathBuf>,
    /// Whether the command line names the sources, so that a reload does not replace them.
    pub fixed_sources: bool,
    /// The model that the configuration names.
    pub model: Model,
    /// The behaviour if no source can be opened.
    pub without_source: WithoutSource,
}

/// A running daemon.
pub struct Daemon {
    /// The effective configuration: as the file has it, and as requests have set it since.
    raw: Raw,
    config: Config,
    config_file: Option<PathBuf>,
    fixed_sources: bool,
    /// The model that runs, with the numbers of `[detection]` in place of its own.
    model: Model,
    runtime: Runtime,
    stats: Arc<Stats>,
    sources: HashMap<Arc<str>, SourceThread>,
    opened: (Sender<Opened>, Receiver<Opened>),
    commands: Sender<Command>,
    outcomes: Receiver<Outcome>,
    reports: Sender<Report>,
    analysis: JoinHandle<Backgrounds>,
    publisher: Publisher,
    /// The clips; `None` while they are off.
    clips: Option<Clips>,
    socket: PathBuf,
    pauses: Pauses,
    made_up: MadeUpEvents,
    watch: Watch,
    editor: Editor,
    /// The sources that have not ended.
    unfinished: Vec<Arc<str>>,
    liveness: Liveness,
    /// The status that the service manager was told last; `None` until the daemon is ready.
    status: Option<String>,
}

impl Daemon {
    /// Starts every stage, and returns after the first attempt to open the sources.
    pub fn start(setup: Setup) -> Result<Self, DaemonError> {
        let Setup { raw, config, config_file, fixed_sources, mut model, without_source } = setup;
        let keeps_embeddings = config.store.as_ref().is_some_and(|store| store.embeddings);
        model.gives_embeddings = keeps_embeddings && model.output.embedding.is_some();
        let system = |error: std::io::Error| DaemonError::System(limits::explain(&error));
        let watch = Watch::new(raw.stamp);
        let runtime = Runtime::load(&onnx::find_runtime(config.model.runtime.as_deref())?)?;
        let inference = Inference::open(&model, &runtime, config.model.n_threads())?;
        let bound = socket::open(&config.socket)?;
        let socket = bound.path.clone();
        let stats = Arc::new(Stats::default());
        // The sources are known to clients before they are open.
        for source in &config.sources {
            stats.source(&source.name);
        }
        let directory = directory(&model, &raw, &config);
        let (commands, obeyed) = bounded(256);
        let (reports, published) = bounded(REPORTS);
        let (told, outcomes) = bounded(256);
        let analysis = Analysis {
            model: model.clone(),
            inference,
            ruleset: ruleset(&config),
            commands: obeyed,
            reports: reports.clone(),
            outcomes: told,
            stats: stats.clone(),
            backgrounds: backgrounds::load(&model.sha256),
        };
        let publisher =
            Publisher::start(bound, published, directory, (config.sinks.clone(), config.store.clone()), stats.clone())
                .map_err(system)?;
        let analysis = std::thread::Builder::new().name("analysis".to_owned()).spawn(move || analysis.run()).map_err(system)?;
        let mut daemon = Self {
            raw,
            config,
            config_file,
            fixed_sources,
            model,
            runtime,
            stats,
            sources: HashMap::new(),
            opened: bounded(1_024),
            commands,
            outcomes,
            reports,
            analysis,
            publisher,
            clips: None,
            socket,
            pauses: Pauses::default(),
            made_up: MadeUpEvents::default(),
            watch,
            editor: Editor::default(),
            unfinished: Vec::new(),
            liveness: Liveness::default(),
            status: None,
        };
        daemon.start_clips();
        if let Err(error) = daemon.open_first(without_source) {
            daemon.shut_down();
            return Err(error);
        }
        Ok(daemon)
    }

    /// The path of the daemon's socket.
    pub fn socket(&self) -> &std::path::Path {
        &self.socket
    }

    /// Runs until a signal to end, until every source has ended, or until the model fails; then shuts down.
    pub fn run(mut self) -> Result<Signal, DaemonError> {
        let end = self.supervise();
        systemd::stopping();
        self.shut_down();
        end
    }

    fn supervise(&mut self) -> Result<Signal, DaemonError> {
        let looks = tick(Duration::from_secs(liveness::EVERY_S));
        loop {
            let settling = if self.status.is_none() { crossbeam_channel::after(SETTLING) } else { never() };
            let wakes = [self.pauses.left(Now::read()), self.made_up.left(Instant::now())];
            let wake = wakes.into_iter().flatten().min().map_or_else(never, crossbeam_channel::after);
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
                    // A source that a reload added, or one that took long at the start.
                    if let Ok(Err(error)) = opened {
                        tracing::warn!("{error}; trying again");
                    }
                }
                recv(settling) -> _ => self.settle(),
                recv(looks) -> _ => self.look()?,
                recv(wake) -> _ => {
                    self.keep_quiet();
                    self.end_made_up(EndReason::Decay, false);
                }
            }
        }
    }

    /// Tells the service manager that the daemon is ready, once it hears or has nothing to hear.
    fn settle(&mut self) {
        if liveness::is_settled(&self.stats) {
            let summary = self.summary();
            systemd::ready(&summary);
            self.status = Some(summary);
        }
    }

    /// Checks once a second whether the daemon hears, whether quiet hours begin or end, and whether the configuration file has
    /// changed.
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
        if self.status.as_ref().is_some_and(|told| *told != summary) {
            systemd::status(&summary);
            self.status = Some(summary);
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
        // In quiet hours no source is opened.
        self.keep_quiet();
        for source in self.config.sources.clone() {
            self.start_source(source).map_err(|error| DaemonError::System(limits::explain(&error)))?;
        }
        let deadline = Instant::now() + OPENING;
        let mut errors = Vec::new();
        for _ in 0..self.config.sources.len() {
            // A source that takes longer is neither open nor refused. Its thread goes on.
            let Ok(opened) = self.opened.1.recv_deadline(deadline) else { break };
            errors.extend(opened.err());
        }
        Ok(errors)
    }

    fn start_source(&mut self, source: SourceConfig) -> std::io::Result<()> {
        let name = source.name.clone();
        let paused = self.pauses.current().map(described);
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

    /// The present quiet hours.
    fn quiet(&self, now: Now) -> Option<Pause> {
        let hours = &self.config.quiet_hours;
        // Without quiet hours the time zone need not be looked up.
        if *hours == QuietHours::default() { None } else { hours.pause(now.wall(), &TimeZone::system()) }
    }

    /// Pauses or resumes the sources as requests and quiet hours ask for at this moment, and reports it.
    fn keep_quiet(&mut self) {
        let now = Now::read();
        let Some(change) = self.pauses.look(now, self.quiet(now)) else { return };
        // The status changes before the report: a client that asks after the report is answered the same.
        self.stats.set_pause(self.pauses.current());
        let (order, report) = match change {
            PauseChange::Paused(pause) => {
                let reason = described(pause);
                tracing::info!(reason, "nothing is heard");
                (Order::Pause(reason), Report::Paused(pause))
            }
            PauseChange::Resumed(reason) => {
                tracing::info!(reason = wire::PauseReason::from(reason).to_string(), "sound is heard again");
                (Order::Resume, Report::Resumed { reason })
            }
        };
        // The report goes first, so that the ends of the open events always follow it.
        let _ = self.reports.send(report);
        self.sources.values().for_each(|source| source.order(order.clone()));
    }

    fn summary(&self) -> String {
        liveness::summary(&self.stats, self.config.rules.len())
    }

    /// Shutdown follows the data: capture, analysis, hub, clients, socket.
    fn shut_down(mut self) {
        self.end_made_up(EndReason::Shutdown, true);
        let deadline = Instant::now() + CLOSING;
        self.sources.values().for_each(|source| source.order(Order::Stop(EndReason::Shutdown)));
        self.sources.into_values().for_each(|source| source.join(deadline));
        let _ = self.commands.send(Command::Shutdown);
        while !self.analysis.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        if self.analysis.is_finished()
            && let Ok(backgrounds) = self.analysis.join()
        {
            backgrounds::save(&self.model.sha256, backgrounds);
        }
        // What the analysis has handed over is written.
        if let Some(clips) = self.clips.take() {
            clips.end(&self.stats, deadline + CLOSING);
        }
        drop(self.reports);
        // Clients that wait for an edit get its answer before they are disconnected.
        self.editor.finish(deadline);
        self.publisher.shut_down();
    }
}

/// A pause in words, with its end in local time.
fn described(pause: Pause) -> String {
    pause.describe(Timestamp::now(), &TimeZone::system())
}

fn ruleset(config: &Config) -> Ruleset {
    Ruleset { rules: config.rules.clone(), ignored: config.ignored.clone() }
}
