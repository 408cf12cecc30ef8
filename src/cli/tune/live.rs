//! `mimid tune --background-live`: gathers the peaks that a running daemon reports over its socket, without a second microphone
//! or a second model.
//!
//! If the daemon goes away, the command waits for it. An interruption ends the gathering like the end of its time.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};

use super::background::StateFile;
use crate::cli::client::{ClientError, Daemon};
use crate::cli::{Failure, exit};
use crate::detect::peaks::{CurveKind, FLOOR};
use crate::detect::rule::Rule;
use crate::model::Model;
use crate::publish::wire::{Body, Peaks, Request};
use crate::tune::background::report::duration;
use crate::tune::background::statistics::{Gatherer, Moment, Place};

/// The interval of the requests for peaks. The daemon keeps the peaks of some minutes.
const EVERY: Duration = Duration::from_secs(3);
/// The interval at which the state file is written.
const SAVED_EVERY: Duration = Duration::from_secs(60);
/// The longest time without a line after which the daemon counts as gone. A daemon sends a line at least every half minute.
const PATIENCE: Duration = Duration::from_secs(40);
/// The waits between attempts to connect again: the first, and the longest.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The reason why the connection is of no more use.
enum Break {
    /// The daemon may be back later.
    Away(String),
    /// The daemon cannot be used.
    Never(Failure),
}

/// Whether the gathering goes on.
enum Next {
    GoOn,
    Stop,
}

/// Gathers until the state holds `goal`, or until an interruption.
pub fn gather(
    socket: Option<&Path>,
    goal: Duration,
    rules: &[Rule],
    model: &Model,
    state: &mut StateFile,
) -> Result<(), Failure> {
    // A daemon that is missing at the start is an error. One that goes away later is waited for.
    let mut link = Link::open(socket, model).map_err(|broken| match broken {
        Break::Away(sentence) => Failure::new(sentence, exit::FAILED),
        Break::Never(failure) => failure,
    })?;
    let stop = interruptions()?;
    let goal_ms = goal.as_millis() as u64;
    let mut gatherer = Gatherer::new(state.statistics.clone());
    let progress = progress(goal_ms);
    let (heard, goal) = (duration(Duration::from_millis(gatherer.so_far().heard_ms)), duration(goal));
    say(&progress, &format!("counting what the daemon hears, {heard} of {goal} so far; Ctrl-C ends it with a report"));
    let mut saved_at = Instant::now();
    loop {
        match link.ask().and_then(|answer| link.take(&answer, model, &mut gatherer).map(|()| answer.more)) {
            // The rest of a long answer comes at once.
            Ok(true) => continue,
            Ok(false) => {}
            Err(Break::Never(failure)) => {
                state.save(gatherer.finish(), model)?;
                return Err(failure);
            }
            Err(Break::Away(sentence)) => {
                say(&progress, &format!("{sentence}; waiting for it, what was heard so far is kept"));
                state.save(gatherer.statistics(), model)?;
                match open_again(socket, model, &stop)? {
                    Some(new) => link = new,
                    None => break,
                }
                say(&progress, "the daemon is there again");
            }
        }
        show(&progress, &gatherer, rules);
        if gatherer.so_far().heard_ms >= goal_ms {
            break;
        }
        if saved_at.elapsed() >= SAVED_EVERY {
            state.save(gatherer.statistics(), model)?;
            saved_at = Instant::now();
        }
        if let Next::Stop = pause(&stop, EVERY) {
            break;
        }
    }
    progress.finish_and_clear();
    state.save(gatherer.finish(), model)
}

/// Tries to connect until the daemon is there; `None` after an interruption.
fn open_again(socket: Option<&Path>, model: &Model, stop: &Receiver<()>) -> Result<Option<Link>, Failure> {
    let mut wait = AGAIN.0;
    loop {
        if let Next::Stop = pause(stop, wait) {
            return Ok(None);
        }
        match Link::open(socket, model) {
            Ok(link) => return Ok(Some(link)),
            Err(Break::Never(failure)) => return Err(failure),
            Err(Break::Away(_)) => wait = (wait * 2).min(AGAIN.1),
        }
    }
}

/// The connection, with the number of the next peak.
struct Link {
    daemon: Daemon,
    next: u64,
    /// The time for which the daemon had followed peaks at the last answer, in seconds.
    heard_s: f64,
}

impl Link {
    /// Connects to a daemon that runs this model, and has it follow peaks.
    fn open(socket: Option<&Path>, model: &Model) -> Result<Self, Break> {
        let away = |error: ClientError| Break::Away(error.to_string());
        let mut daemon = Daemon::connect(socket).map_err(away)?;
        daemon.set_patience(PATIENCE).map_err(away)?;
        if let Body::Hello { model: theirs, .. } = &daemon.hello.body
            && theirs.sha256 != model.sha256
        {
            let sentence = format!(
                "the daemon hears with the model {}, but the configuration here names another, {}; name the daemon's with --config",
                theirs.name, model.name
            );
            return Err(Break::Never(Failure::new(sentence, exit::USAGE)));
        }
        // A reload may bring another model. No other report matters.
        let types = vec!["config.reloaded".to_owned()];
        daemon.subscribe(&Request::of_types(types)).map_err(away)?;
        let mut link = Self { daemon, next: 0, heard_s: 0.0 };
        let first = link.request(None)?;
        (link.next, link.heard_s) = (first.next, first.heard_s);
        Ok(link)
    }

    /// The peaks since the last request.
    fn ask(&mut self) -> Result<Peaks, Break> {
        self.request(Some(self.next))
    }

    fn request(&mut self, since: Option<u64>) -> Result<Peaks, Break> {
        let away = |error: ClientError| Break::Away(error.to_string());
        self.daemon.ask(&Request::Peaks { since, floor: FLOOR.into() }).map_err(away)?;
        loop {
            let line = self.daemon.read().map_err(away)?.ok_or_else(|| away(ClientError::Closed))?.0;
            match line.body {
                Body::Peaks(peaks) => return Ok(peaks),
                Body::Error { code, message } if code == "bad_request" => {
                    let sentence = format!(
                        "the daemon is older than this mimid and cannot tell its peaks ({message}); restart it with this one"
                    );
                    return Err(Break::Never(Failure::new(sentence, exit::FAILED)));
                }
                Body::Error { message, .. } => return Err(Break::Away(message)),
                Body::ConfigReloaded { .. } => {
                    return Err(Break::Away("the daemon has another configuration, and is asked again for its model".to_owned()));
                }
                _ => {}
            }
        }
    }

    /// Adds an answer to the statistics.
    fn take(&mut self, answer: &Peaks, model: &Model, gatherer: &mut Gatherer) -> Result<(), Break> {
        for peak in &answer.peaks {
            let (Some(label), Ok(at)) = (model.labels.find(&peak.label), peak.at.parse::<Timestamp>()) else {
                return Err(Break::Away(format!("the daemon sent a peak of {:?} that cannot be read", peak.label)));
            };
            // A newer daemon may follow more curves than this version counts.
            let Some(kind) = peak.kind.curve() else { continue };
            let moment = Moment { place: Place::Source(peak.source.as_str().into()), at_ms: at.as_millisecond() };
            gatherer.peak((label, kind), peak.score as f32, moment);
        }
        // Time whose peaks were lost does not count, or the room would appear quieter than it is.
        if answer.lost == 0 {
            gatherer.heard(((answer.heard_s - self.heard_s).max(0.0) * 1_000.0).round() as u64);
        }
        (self.next, self.heard_s) = (answer.next, answer.heard_s);
        Ok(())
    }
}

/// Waits, and returns whether to go on.
fn pause(stop: &Receiver<()>, time: Duration) -> Next {
    match stop.recv_timeout(time) {
        Err(RecvTimeoutError::Timeout) => Next::GoOn,
        Ok(()) | Err(RecvTimeoutError::Disconnected) => Next::Stop,
    }
}

/// A channel that receives the first interruption. The second one ends the program at once.
fn interruptions() -> Result<Receiver<()>, Failure> {
    let failed = |error: io::Error| Failure::new(format_args!("signals cannot be caught: {error}"), exit::FAILED);
    let (told, stop) = bounded(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let guard = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    drop(guard);
    let watch = move || {
        runtime.block_on(async {
            for exits in [false, true] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if exits {
                    std::process::exit(exit::INTERRUPTED.into());
                }
                let _ = told.try_send(());
            }
        });
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(watch).map_err(Failure::no_thread)?;
    Ok(stop)
}

fn progress(goal_ms: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(goal_ms);
    if let Ok(style) = ProgressStyle::with_template("{bar:20} {percent:>3} %  {wide_msg}") {
        bar.set_style(style);
    }
    bar
}

/// Prints a sentence above the progress bar.
fn say(progress: &ProgressBar, sentence: &str) {
    progress.suspend(|| {
        crate::cli::say(format_args!("mimid: {sentence}"));
    });
}

/// Shows the time heard so far, and the labels with the most alarms.
fn show(progress: &ProgressBar, gatherer: &Gatherer, rules: &[Rule]) {
    if progress.is_hidden() {
        return;
    }
    let so_far = gatherer.so_far();
    let mut rung: Vec<(u64, &str)> = rules
        .iter()
        .map(|rule| {
            (so_far.record(&rule.members, CurveKind::Confirmed).n_reaching(rule.gate.threshold), rule.subject.name.as_str())
        })
        .filter(|(n, _)| *n > 0)
        .collect();
    rung.sort_by_key(|(n, _)| std::cmp::Reverse(*n));
    let most: Vec<String> = rung.iter().take(3).map(|(n, name)| format!("{name} {n}")).collect();
    let most = if most.is_empty() { "no alarm so far".to_owned() } else { format!("most alarms: {}", most.join(", ")) };
    progress.set_position(so_far.heard_ms);
    progress.set_message(format!("heard {}; {most}", duration(Duration::from_millis(so_far.heard_ms))));
}
