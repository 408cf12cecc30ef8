//! `mimid tune --background` and `--background-live`: thresholds from hours of ordinary background.
//!
//! What is gathered, and may be kept in a state file, are counts and times of peaks; never a sound.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use super::{Args, live};
use crate::cli::recording::{self, Engine, RecordingError};
use crate::cli::{Failure, exit, load};
use crate::config::edit::{self, Assignment, EditError, Key};
use crate::config::{Config, Raw, Rule};
use crate::ear::Ear;
use crate::model::onnx::{self, Runtime};
use crate::model::{Model, Tagger};
use crate::tune::background::choice::{Advice, advise};
use crate::tune::background::report;
use crate::tune::background::state::{self, StateError};
use crate::tune::background::statistics::{Gatherer, Moment, Place, Statistics};

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        Self::new(error, exit::FAILED)
    }
}

impl From<EditError> for Failure {
    fn from(error: EditError) -> Self {
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
    if !(budget > 0.0 && budget <= 1e6) {
        let message = format!("--false-alarms-per-day {budget} is out of range; it must be above 0 and at most a million");
        return Err(Failure::new(message, exit::USAGE));
    }
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
    let advice = advise(&state.statistics, &config.rules, budget);
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
    let mut engine = Engine::new(Tagger::open(model, &runtime, config.model.threads)?);
    let mut failed = 0;
    for file in files {
        let name = std::fs::canonicalize(file).unwrap_or(file.clone()).display().to_string();
        if state.statistics.recordings.contains(&name) {
            let _ = writeln!(io::stderr(), "mimid: {} has been heard already, and counts once", file.display());
            continue;
        }
        match hear(file, model, &mut engine) {
            Ok(mut heard) => {
                heard.recordings.insert(name);
                let mut all = std::mem::take(&mut state.statistics);
                all.merge(&heard);
                state.save(all, model)?;
            }
            Err(RecordingError::Fatal(failure)) => return Err(failure),
            Err(RecordingError::Recording(sentence)) => {
                failed += 1;
                let _ = writeln!(io::stderr(), "mimid: {sentence}");
            }
        }
    }
    Ok(failed)
}

/// The statistics of one recording.
fn hear(path: &Path, model: &Model, engine: &mut Engine) -> Result<Statistics, RecordingError> {
    let mut decoder = recording::open(path)?;
    // Rules are not needed to see peaks.
    let ear = Ear::new(model, Vec::new(), decoder.rate_hz());
    let mut ear = ear.map_err(|error| RecordingError::Recording(format!("{}: {error}", path.display())))?;
    ear.keep_peaks(model.labels.len());
    let rate_hz = u64::from(ear.model_rate_hz());
    let milliseconds = |samples: u64| samples * 1_000 / rate_hz;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let progress = recording::progress(name, decoder.n_frames());
    let (mut gatherer, place) = (Gatherer::default(), Place::Recording(path.display().to_string().into()));
    engine.hear_piecewise(path, &mut decoder, &mut ear, &progress, |ear, _| {
        for peak in ear.take_peaks() {
            let at_ms = milliseconds(peak.at) as i64;
            gatherer.peak((peak.label, peak.kind), peak.score, Moment { place: place.clone(), at_ms });
        }
        Ok(())
    })?;
    progress.finish_and_clear();
    gatherer.heard(milliseconds(ear.end_of_input().unwrap_or(0)));
    Ok(gatherer.finish())
}

/// Says what was found, and puts it in force where that is asked for.
fn tell(args: &Args, advice: &Advice, statistics: &Statistics, rules: &[Rule], model: &Model) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let assignments = assignments(advice, rules);
    if args.json {
        writeln!(out, "{}", report::json(advice, statistics, rules))?;
    } else {
        let _ = write!(io::stderr(), "{}", report::text(advice, statistics, rules, &TimeZone::system()));
        if !args.write && !assignments.is_empty() {
            write!(out, "{}", edit::fragment(&assignments))?;
        }
    }
    if !args.write || assignments.is_empty() {
        return Ok(());
    }
    let path = edit::target(args.config.config.as_deref())?;
    let old = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Failure::new(format_args!("{} cannot be read: {error}", path.display()), exit::FAILED)),
    };
    let new = edit::assign(&old, &assignments, &model.labels)?;
    Raw::parse(&new, Some(&path)).validate(&model.labels).map_err(|faults| Failure::new(faults, exit::USAGE))?;
    if !args.json {
        write!(out, "{}", edit::diff(&path, &old, &new))?;
        out.flush()?;
    }
    Ok(edit::replace(&path, &old, &new)?)
}

/// What is to be changed in the configuration.
fn assignments(advice: &Advice, rules: &[Rule]) -> Vec<Assignment> {
    let mut all = Vec::new();
    for choice in advice.choices.iter().filter(|choice| choice.is_change()) {
        let rule = &rules[choice.rule];
        let name = rule.subject.name.clone();
        let is_group = rule.subject.id.is_empty();
        // A group has no place in the list of what is ignored: its labels stand there one by one where they are meant.
        if choice.ignore && !is_group {
            all.push(Assignment::Ignore { label: name });
            continue;
        }
        let mut set = |key, value: f32| {
            let (name, value) = (name.clone(), f64::from(value));
            all.push(match is_group {
                true => Assignment::Group { group: name, key, value },
                false => Assignment::Label { label: name, key, value },
            });
        };
        // Without one of its own a start threshold goes with the threshold, so both are said.
        set(Key::Threshold, choice.threshold.advised);
        if rule.gate.release > choice.threshold.advised {
            set(Key::Release, choice.threshold.advised);
        }
        set(Key::StartThreshold, choice.start_threshold.advised);
    }
    all
}
