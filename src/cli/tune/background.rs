//! `mimid tune --background` and `--background-live`: thresholds from hours of ordinary background.
//!
//! What is gathered, and may be kept in a state file, are counts and times of peaks; never a sound.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use super::outcome::{self, Unwritten};
use super::{Args, live};
use crate::cli::progress::progress;
use crate::cli::{Failure, exit, load, say};
use crate::config::edit::{self, Assignment, EditError};
use crate::config::{Config, Raw};
use crate::detect::rule::{Gate, Rule};
use crate::model::onnx::{self, Runtime};
use crate::model::{Labels, Model};
use crate::recording::{self, Engine, RecordingError};
use crate::tune::background::choice::{Advice, Choice, advise};
use crate::tune::background::report;
use crate::tune::background::state::{self, StateError};
use crate::tune::background::statistics::{Gatherer, Moment, Place, Statistics};

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        Self::new(error, exit::FAILED)
    }
}

/// The statistics so far, and the file that they are kept in.
pub(super) struct State {
    pub statistics: Statistics,
    path: Option<PathBuf>,
}

impl State {
    /// What the file holds, if there is one.
    fn open(path: Option<PathBuf>, model: &Model) -> Result<Self, Failure> {
        let statistics = path.as_deref().map(|path| state::read(path, model.into())).transpose()?.flatten().unwrap_or_default();
        Ok(Self { statistics, path })
    }

    /// Takes these in the place of what there was, and writes the file.
    pub fn save(&mut self, statistics: Statistics, model: &Model) -> Result<(), Failure> {
        self.statistics = statistics;
        Ok(self.path.as_deref().map_or(Ok(()), |path| state::write(path, &self.statistics, model.into()))?)
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let budget = args.false_alarms_per_day.unwrap_or(1.0);
    let (loaded, model) = load(&args.config)?;
    let config = loaded.config;
    let (state, failed) = match args.background_live {
        Some(goal) => {
            let path = args.state.clone().or_else(standard_state).ok_or_else(|| {
                Failure::new("there is no home folder to keep the state in; name a file with --state", exit::USAGE)
            })?;
            let mut state = State::open(Some(path), &model)?;
            live::gather(args.socket.as_deref(), goal, &config.rules, &model, &mut state)?;
            (state, 0)
        }
        None => {
            let mut state = State::open(args.state.clone(), &model)?;
            let failed = gather(&args.files, &config, &model, &mut state)?;
            (state, failed)
        }
    };
    if state.statistics.heard_ms == 0 {
        return Err(Failure::new("nothing has been heard, so nothing can be said of it", exit::FAILED));
    }
    let advice = advise(&state.statistics, &config.rules, &model.labels, budget);
    tell(args, &advice, &state.statistics, &config.rules, &model)?;
    match failed {
        0 => Ok(()),
        _ => Err(Failure::new(
            format_args!("{failed} of {} recordings could not be heard whole and do not count", args.files.len()),
            exit::FAILED,
        )),
    }
}

/// Where the state is kept if nothing else is said.
fn standard_state() -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let folder = folder("XDG_STATE_HOME").or_else(|| folder("HOME").map(|home| home.join(".local/state")));
    folder.map(|folder| folder.join("mimid/background.json"))
}

/// Hears recordings, and says how many could not be heard whole; those that the state holds already are not heard again.
fn gather(files: &[PathBuf], config: &Config, model: &Model, state: &mut State) -> Result<usize, Failure> {
    let runtime = Runtime::load(&onnx::find_runtime(config.model.runtime.as_deref())?)?;
    let mut engine = Engine::open(model, &runtime, config.model.n_threads())?;
    let mut failed = 0;
    for file in files {
        let name = std::fs::canonicalize(file).unwrap_or(file.clone()).display().to_string();
        if state.statistics.recordings.contains(&name) {
            say(format_args!("mimid: {} has been heard already, and counts once", file.display()));
            continue;
        }
        match hear(file, model, &mut engine) {
            Ok(mut heard) => {
                heard.recordings.insert(name);
                let mut all = std::mem::take(&mut state.statistics);
                all.merge(&heard);
                state.save(all, model)?;
            }
            Err(error) if error.is_fatal() => return Err(error.into()),
            Err(error) => {
                failed += 1;
                say(format_args!("mimid: {error}"));
            }
        }
    }
    Ok(failed)
}

/// The statistics of one recording.
fn hear(path: &Path, model: &Model, engine: &mut Engine) -> Result<Statistics, RecordingError> {
    let mut decoder = recording::open(path)?;
    // Rules are not needed to see peaks.
    let mut ear = recording::ear(path, &decoder, model, Vec::new())?;
    ear.keep_peaks(model.labels.len());
    let rate_hz = u64::from(ear.model_rate_hz());
    let milliseconds = |samples: u64| samples * 1_000 / rate_hz;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let progress = progress(name, decoder.n_frames());
    let (mut gatherer, place) = (Gatherer::default(), Place::Recording(path.display().to_string().into()));
    engine.hear_piecewise(
        path,
        &mut decoder,
        &mut ear,
        |n| progress.inc(n),
        |ear, _| {
            for peak in ear.take_peaks() {
                let at_ms = milliseconds(peak.at) as i64;
                gatherer.peak((peak.label, peak.kind), peak.score, Moment { place: place.clone(), at_ms });
            }
            Ok(())
        },
    )?;
    progress.finish_and_clear();
    gatherer.heard(milliseconds(ear.end_of_input().unwrap_or(0)));
    Ok(gatherer.finish())
}

/// Says what was found, and puts it into the configuration where that is asked for.
fn tell(args: &Args, advice: &Advice, statistics: &Statistics, rules: &[Rule], model: &Model) -> Result<(), Failure> {
    let path = edit::target(args.config.config.as_deref()).map_err(|error| Failure::new(error, exit::USAGE));
    let old = match path.as_deref().map(std::fs::read_to_string) {
        Ok(Ok(text)) => text,
        // Without a configuration everything is at its default.
        Err(_) => String::new(),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Ok(Err(error)) => return Err(Failure::new(format_args!("the configuration cannot be read: {error}"), exit::FAILED)),
    };
    let assignments = assignments(&old, advice, rules, &model.labels)?;
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", report::json(advice, statistics, rules))?;
    } else {
        let _ = write!(io::stderr(), "{}", report::text(advice, statistics, rules, &TimeZone::system()));
    }
    if !args.write {
        if !args.json {
            write!(out, "{}", edit::fragment(&assignments))?;
        }
        return Ok(());
    }
    let path = path?;
    let new = edit::assign(&old, &assignments, &model.labels).map_err(unwritten)?;
    if new == old {
        say(format_args!("{} says all that already", path.display()));
        return Ok(());
    }
    let diff = edit::diff(&path, &old, &new);
    if args.json {
        let _ = write!(io::stderr(), "{diff}");
    } else {
        write!(out, "{diff}")?;
        out.flush()?;
    }
    edit::replace(&path, &old, &new).map_err(unwritten)?;
    say(format_args!("{} is written; a running daemon takes it with `systemctl reload mimid`", path.display()));
    Ok(())
}

/// What is to be changed in the configuration `text`, so that it is valid after that.
fn assignments(text: &str, advice: &Advice, rules: &[Rule], labels: &Labels) -> Result<Vec<Assignment>, Failure> {
    let is_label = |rule: &Rule| !rule.subject.id.is_empty();
    // A group has no place in the list of what is ignored; what is best for it then is the highest threshold.
    let ignores = |choice: &&Choice| choice.ignore && is_label(&rules[choice.rule]);
    let wanted: Vec<(&Rule, Gate)> = advice
        .choices
        .iter()
        .filter(|choice| choice.is_change() && !ignores(choice))
        .map(|choice| {
            let rule = &rules[choice.rule];
            let (threshold, start_threshold) = (choice.threshold.advised, choice.start_threshold.advised);
            // The release keeps its proportion to the threshold.
            let release = rule.gate.release / rule.gate.threshold * threshold;
            (rule, Gate { threshold, release, start_threshold, ..rule.gate })
        })
        .collect();
    let mut all = outcome::assignments(text, &wanted, labels).map_err(Failure::from)?.concat();
    all.extend(
        advice.choices.iter().filter(ignores).map(|choice| Assignment::Ignore { label: rules[choice.rule].subject.name.clone() }),
    );
    let new = edit::assign(text, &all, labels).map_err(unwritten)?;
    Raw::parse(&new, None).validate(labels).map_err(|faults| Failure::from(Unwritten::Faults(faults)))?;
    Ok(all)
}

fn unwritten(error: EditError) -> Failure {
    Failure::from(Unwritten::from(error))
}
