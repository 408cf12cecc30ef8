//! `mimid tune --background` and `--background-live`: finds thresholds from hours of ordinary background.
//!
//! Only the counts and times of peaks are gathered, and kept in a state file if there is one. No sound is kept.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use super::{Args, live, original, outcome};
use crate::cli::progress::progress;
use crate::cli::{Failure, exit, load, say};
use crate::config::edit::{self, Assignment, EditError, Original};
use crate::config::{Config, Loaded};
use crate::detect::rule::{Gate, Rule};
use crate::model::onnx::{self, Runtime};
use crate::model::{Labels, Model};
use crate::recording::{self, Engine, Listening, RecordingError};
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
pub(super) struct StateFile {
    pub statistics: Statistics,
    path: Option<PathBuf>,
}

impl StateFile {
    /// The state of a file, or an empty one if there is no file.
    fn open(path: Option<PathBuf>, model: &Model) -> Result<Self, Failure> {
        let statistics = path.as_deref().map(|path| state::read(path, model.into())).transpose()?.flatten().unwrap_or_default();
        Ok(Self { statistics, path })
    }

    /// Replaces the statistics, and writes the file.
    pub fn save(&mut self, statistics: Statistics, model: &Model) -> Result<(), Failure> {
        self.statistics = statistics;
        Ok(self.path.as_deref().map_or(Ok(()), |path| state::write(path, &self.statistics, model.into()))?)
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let budget = args.false_alarms_per_day.unwrap_or(1.0);
    let Loaded { config, model, .. } = load(&args.config)?;
    let (state, failed) = match args.background_live {
        Some(goal) => {
            let path = args.state.clone().or_else(standard_state).ok_or_else(|| {
                Failure::new("there is no home folder to keep the state in; name a file with --state", exit::USAGE)
            })?;
            let mut state = StateFile::open(Some(path), &model)?;
            live::gather(args.socket.as_deref(), goal, &config.rules, &model, &mut state)?;
            (state, 0)
        }
        None => {
            let mut state = StateFile::open(args.state.clone(), &model)?;
            let failed = gather(args, &config, &model, &mut state)?;
            (state, failed)
        }
    };
    if state.statistics.heard_ms == 0 {
        return Err(Failure::new("no sound has been heard, so no threshold can be suggested", exit::FAILED));
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

/// The standard path of the state file.
fn standard_state() -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let folder = folder("XDG_STATE_HOME").or_else(|| folder("HOME").map(|home| home.join(".local/state")));
    folder.map(|folder| folder.join("mimid/background.json"))
}

/// Adds the statistics of the recordings that the state does not hold yet. Returns the number of recordings that could not be
/// read to their end.
fn gather(args: &Args, config: &Config, model: &Model, state: &mut StateFile) -> Result<usize, Failure> {
    let runtime = Runtime::load(&onnx::find_runtime(config.model.runtime.as_deref())?)?;
    let mut engine = Engine::open(model, &runtime, config.model.n_threads())?;
    let mut failed = 0;
    for file in &args.files {
        let name = std::fs::canonicalize(file).unwrap_or(file.clone()).display().to_string();
        if state.statistics.recordings.contains(&name) {
            say(format_args!("mimid: {} has been heard already, and counts once", file.display()));
            continue;
        }
        match hear(file, args.listening.listening(), model, &mut engine) {
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
fn hear(path: &Path, listening: Listening, model: &Model, engine: &mut Engine) -> Result<Statistics, RecordingError> {
    let mut decoder = recording::open(path, listening)?;
    // Peaks need no rules.
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
    recording::remarks(path, &decoder).iter().for_each(|sentence| say(format_args!("mimid: {sentence}")));
    gatherer.heard(milliseconds(ear.end_of_input().unwrap_or(0)));
    Ok(gatherer.finish())
}

/// Prints the report, and the fragment of a configuration or the diff of the file that is written.
fn tell(args: &Args, advice: &Advice, statistics: &Statistics, rules: &[Rule], model: &Model) -> Result<(), Failure> {
    let original = original(args)?;
    let assignments = assignments(&original, advice, rules, &model.labels)?;
    let plan = original.plan(&assignments, &model.labels)?;
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
    if args.json {
        let _ = write!(io::stderr(), "{}", plan.diff());
    } else {
        write!(out, "{}", plan.diff())?;
        out.flush()?;
    }
    say(super::write(&plan)?);
    Ok(())
}

/// The assignments that make the advised changes in the configuration.
fn assignments(original: &Original, advice: &Advice, rules: &[Rule], labels: &Labels) -> Result<Vec<Assignment>, EditError> {
    // A group cannot be ignored, so it gets the highest threshold instead.
    let ignores = |choice: &&Choice| choice.ignore && !rules[choice.rule].subject.is_group();
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
    let mut all = outcome::assignments(original, &wanted, labels)?.concat();
    all.extend(
        advice.choices.iter().filter(ignores).map(|choice| Assignment::Ignore { label: rules[choice.rule].subject.name.clone() }),
    );
    Ok(all)
}
