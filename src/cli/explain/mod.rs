//! `mimid explain`: why a recording has these events and no others, in words and as a picture.
//!
//! It runs the engine of `scan` with a trace, and never changes an event. Labels that the report leaves out are heard as well,
//! each with a rule of its own, so that their scores can be explained too.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{ConfigArg, Failure, ListeningArgs, exit, load, say};
use crate::cli::progress::progress;
use crate::config::origin::{Origin, Reported};
use crate::config::{Loaded, Raw};
use crate::detect::Detection;
use crate::detect::rule::Rule;
use crate::detect::step::Step;
use crate::detect::trace::Trace;
use crate::model::onnx::{self, Runtime};
use crate::model::{Labels, Model};
use crate::recording::{self, Engine, Listening, RecordingError};

mod findings;
mod picture;
pub(super) mod plot;
mod story;

use findings::{ExplainedEvent, Findings};

/// The time span that is traced before and after the moment that is asked about, in seconds.
const AROUND_S: f64 = 10.0;
/// The longest time span that is drawn, in seconds.
const LONGEST_PICTURE_S: f64 = 600.0;

/// Say why each event of a recording came, and why others did not.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The recording, in any common format
    file: PathBuf,
    /// Explain one moment instead, in seconds from the recording's start: how the strongest labels stood then
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    at: Option<f64>,
    /// Explain this label or group: all its events, and every segment of its score that became none; may be given several times
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// Also draw the spectrogram, the scores with their thresholds, and the events into this file (.svg or .png)
    #[arg(long, value_name = "OUT")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    listening: ListeningArgs,
    #[command(flatten)]
    config: ConfigArg,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => Ok(seconds),
        _ => Err("it must be a number of seconds, 0 or more".to_owned()),
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let format = args.plot.as_deref().map(PictureFormat::of).transpose()?;
    let Loaded { raw, config, origins, model, .. } = load(&args.config)?;
    let n_reported = config.rules.len();
    let mut rules = config.rules;
    rules.extend(unreported(&raw, &model.labels, &rules));
    let asked = args.labels.iter().map(|label| find(label, &rules, &model.labels)).collect::<Result<Vec<_>, _>>()?;
    let runtime = Runtime::load(&onnx::find_runtime(config.model.runtime.as_deref())?)?;
    let engine = Engine::open(&model, &runtime, config.model.n_threads())?;
    let why_not = rules.iter().map(|rule| why_not(rule, &origins, &model.labels, raw.path.as_deref())).collect();
    let findings = hear(args, &model, engine, rules, n_reported, why_not)?;
    if let Some(at_s) = args.at.filter(|at_s| *at_s > findings.length_s) {
        let message = format!("{} ends at {:.2} s, before the moment {at_s} s", args.file.display(), findings.length_s);
        return Err(Failure::new(message, exit::USAGE));
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    out.write_all(story::tell(&findings, &args.file, &asked, args.at).as_bytes())?;
    out.flush()?;
    match (format, &args.plot) {
        (Some(format), Some(path)) => {
            format.draw(path, &findings, (&args.file, args.listening.listening()), &asked, args.at, &model)
        }
        _ => Ok(()),
    }
}

/// A rule for each label that the report leaves out, with the thresholds and conditions that it would have.
fn unreported(raw: &Raw, labels: &Labels, rules: &[Rule]) -> Vec<Rule> {
    // Only the report is taken out of a valid file, which stays valid without it.
    let Ok(all) = raw.reporting_all().validate(labels) else { return Vec::new() };
    let is_new = |rule: &Rule| !rule.subject.is_group() && !rules.iter().any(|own| own.subject == rule.subject);
    all.config.rules.into_iter().filter(is_new).map(|rule| Rule { merge: false, ..rule }).collect()
}

/// Why the report leaves a rule's label out, with the line that does so; empty where it does not leave it out.
fn why_not(rule: &Rule, origins: &[Origin], labels: &Labels, file: Option<&Path>) -> String {
    let origin = labels.find(&rule.subject.id).and_then(|label| origins.get(label));
    let Some(origin) = origin.filter(|_| !rule.subject.is_group()) else { return String::new() };
    let place = match (file, origin.reported_line) {
        (Some(file), Some(line)) => format!(" ({}:{line})", file.display()),
        _ => String::new(),
    };
    match &origin.reported {
        Reported::Yes => String::new(),
        Reported::Group(group) => format!("reported as the group {group}{place}"),
        Reported::LeftOut => format!("[report] does not name it{place}"),
        Reported::Ignored => format!("[report] ignore leaves it out{place}"),
    }
}

/// The rule of the label or group that the command line names.
fn find(name: &str, rules: &[Rule], labels: &Labels) -> Result<usize, Failure> {
    if let Some(group) = rules.iter().position(|rule| rule.subject.is_group() && rule.subject.is_called(name)) {
        return Ok(group);
    }
    let label = labels.find(name).ok_or_else(|| Failure::new(labels.unknown(name), exit::USAGE))?;
    let is_it = |rule: &Rule| rule.subject == labels.subjects()[label];
    rules.iter().position(is_it).ok_or_else(|| Failure::new(labels.unknown(name), exit::USAGE))
}

/// Runs the engine over the recording. The first `n_reported` of the rules are in force, the others are for comparison.
fn hear(
    args: &Args,
    model: &Model,
    mut engine: Engine,
    rules: Vec<Rule>,
    n_reported: usize,
    why_not: Vec<String>,
) -> Result<Findings, RecordingError> {
    let path = args.file.as_path();
    let mut decoder = recording::open(path, args.listening.listening())?;
    let mut ear = recording::ear(path, &decoder, model, rules)?;
    let samples = |seconds: f64| (seconds.max(0.0) * f64::from(ear.model_rate_hz())) as u64;
    let (from, to) = match args.at {
        Some(at) => (samples(at - AROUND_S), samples(at + AROUND_S) + ear.lag_samples()),
        None => (0, samples(LONGEST_PICTURE_S) + ear.lag_samples()),
    };
    // The scores of each hop are needed for a picture and for a moment, and cost memory otherwise.
    let to = if args.plot.is_some() || args.at.is_some() { to } else { 0 };
    let asked = args.at.map(samples);
    ear.keep_trace(Trace::new(from, to, asked));
    let progress = progress(path.file_name().unwrap_or_default().to_string_lossy().into_owned(), decoder.n_frames());
    let mut events = Vec::new();
    let heard = engine.hear(
        path,
        &mut decoder,
        &mut ear,
        |n| progress.inc(n),
        |_, detection| {
            note(&mut events, detection);
            Ok(())
        },
    );
    progress.finish_and_clear();
    match heard {
        // A truncated recording is explained as far as it goes, with a sentence that it is truncated.
        Err(RecordingError::Recording(sentence)) if ear.now() > 0 => {
            say(format_args!("mimid: {sentence}"));
        }
        other => other?,
    }
    recording::remarks(path, &decoder).iter().for_each(|sentence| say(format_args!("mimid: {sentence}")));
    Ok(Findings::new(&ear, events, n_reported, why_not))
}

/// Adds the start or the end of an event to `events`.
fn note(events: &mut Vec<ExplainedEvent>, detection: Detection) {
    match detection.step {
        Step::Start(so_far) => events.push(ExplainedEvent::new(detection.event, so_far, detection.rule)),
        Step::Update(_) => {}
        Step::End { so_far, offset, reason } => {
            if let Some(event) = events.iter_mut().rfind(|event| event.number == detection.event && event.end.is_none()) {
                event.rule = detection.rule;
                event.also = detection.also;
                event.level_dbfs = detection.level_dbfs;
                event.end = Some((so_far, offset, reason));
            }
        }
    }
}

/// The format of the picture, by its file's ending.
pub(super) enum PictureFormat {
    Svg,
    Png,
}

impl PictureFormat {
    /// The format of the picture at `path`.
    pub fn of(path: &Path) -> Result<Self, Failure> {
        match path.extension().and_then(|ending| ending.to_str()).map(str::to_lowercase).as_deref() {
            Some("svg") => Ok(PictureFormat::Svg),
            Some("png") => Ok(PictureFormat::Png),
            _ => Err(Failure::new(
                format_args!("{} names no picture format; give --plot a file that ends in .svg or .png", path.display()),
                exit::USAGE,
            )),
        }
    }

    fn draw(
        &self,
        path: &Path,
        findings: &Findings,
        recording: (&Path, Listening),
        asked: &[usize],
        at_s: Option<f64>,
        model: &Model,
    ) -> Result<(), Failure> {
        self.write(path, picture::svg(findings, recording, asked, at_s, model)?)
    }

    /// Writes an SVG document as a picture.
    pub fn write(&self, path: &Path, svg: String) -> Result<(), Failure> {
        let bytes = match self {
            PictureFormat::Svg => svg.into_bytes(),
            PictureFormat::Png => plot::png(&svg).map_err(|error| Failure::new(error, exit::FAILED))?,
        };
        std::fs::write(path, bytes)
            .map_err(|error| Failure::new(format_args!("{} cannot be written: {error}", path.display()), exit::FAILED))
    }
}
