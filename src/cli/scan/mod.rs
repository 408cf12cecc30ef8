//! `mimid scan`: the daemon's engine over recordings, faster than real time.
//!
//! A recording that cannot be read is reported, and never keeps the others from being scanned. Memory is bounded for any length
//! of a recording.

use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::{ConfigArg, Failure, ListeningArgs, exit, load, say};
use crate::cli::progress::progress;
use crate::config::Loaded;
use crate::detect::Detection;
use crate::detect::rule::Rule;
use crate::ear::Ear;
use crate::event::EndReason;
use crate::model::Model;
use crate::model::onnx::{self, Runtime};
use crate::recording::{self, Engine, Listening, RecordingError};

mod curve;
mod format;
mod lanes;
mod segments;
mod table;

pub use format::Format;
use format::{Found, Writer};
use indicatif::MultiProgress;
use lanes::Piecewise;
use table::TableFile;

/// Find the sound events in recordings.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The recordings, in any common format
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to print the events
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    format: Format,
    /// Also write the evidence of every label over time to DIR/NAME.tsv, one file a recording
    #[arg(long, value_name = "DIR")]
    scores: Option<PathBuf>,
    /// Also write every label's segments, with the facts from which their evidence follows, to DIR/NAME.tsv
    #[arg(long, value_name = "DIR")]
    segments: Option<PathBuf>,
    /// Also print events that a daemon would announce and take back; their reason is `unconfirmed`
    #[arg(long)]
    unconfirmed: bool,
    #[command(flatten)]
    listening: ListeningArgs,
    #[command(flatten)]
    config: ConfigArg,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    if args.format == Format::Audacity && args.files.len() > 1 {
        let message =
            "a label track of Audacity belongs to one recording; scan the recordings one at a time, or use --format tsv";
        return Err(Failure::new(message, exit::USAGE));
    }
    let folders = [&args.scores, &args.segments].map(Option::as_deref);
    if let [Some(scores), Some(segments)] = folders
        && scores == segments
    {
        let message = format!("--scores and --segments would both write to {}; give each a folder of its own", scores.display());
        return Err(Failure::new(message, exit::USAGE));
    }
    if folders.iter().any(Option::is_some)
        && let Some([first, second]) = table::same_table(&args.files)
    {
        let message = format!(
            "{} and {} would both write the table of {:?}; scan them into folders of their own",
            first.display(),
            second.display(),
            first.file_stem().unwrap_or_default()
        );
        return Err(Failure::new(message, exit::USAGE));
    }
    let Loaded { config, model, .. } = load(&args.config)?;
    let runtime = Runtime::load(&onnx::find_runtime(config.model.runtime.as_deref())?)?;
    for folder in folders.into_iter().flatten() {
        std::fs::create_dir_all(folder).map_err(|error| {
            Failure::new(format_args!("the folder {} cannot be made: {error}", folder.display()), exit::FAILED)
        })?;
    }
    let threads = config.model.n_threads();
    let scanner = Scanner {
        rules: config.rules,
        model,
        format: args.format,
        unconfirmed: args.unconfirmed,
        listening: args.listening.listening(),
        bars: MultiProgress::new(),
    };
    let mut out = BufWriter::new(io::stdout().lock());
    Writer::new(args.format, &mut out).begin()?;
    let hear = |engine: &mut Engine, file: &PathBuf, found: &mut Piecewise| scanner.scan(engine, file, folders, found);
    let mut failed = 0;
    lanes::run(&args.files, (&scanner.model, &runtime, threads), hear, &mut out, |sentence| {
        failed += 1;
        say(format_args!("mimid: {sentence}"));
    })?;
    match failed {
        0 => Ok(()),
        1 if args.files.len() == 1 => Err(Failure { message: String::new(), exit_code: exit::FAILED }),
        _ => Err(Failure::new(
            format_args!("{failed} of {} recordings could not be scanned whole", args.files.len()),
            exit::FAILED,
        )),
    }
}

/// The rules, the model and the options that all recordings share.
struct Scanner {
    rules: Vec<Rule>,
    model: Model,
    format: Format,
    unconfirmed: bool,
    listening: Listening,
    bars: MultiProgress,
}

impl Scanner {
    fn scan(
        &self,
        engine: &mut Engine,
        path: &Path,
        [scores, segments]: [Option<&Path>; 2],
        out: &mut Piecewise,
    ) -> Result<(), RecordingError> {
        let mut decoder = recording::open(path, self.listening)?;
        let mut ear = recording::ear(path, &decoder, &self.model, self.rules.clone())?;
        let create = |folder| TableFile::create(folder, path);
        let (scores, segments) = (scores.map(create).transpose()?, segments.map(create).transpose()?);
        if scores.is_some() || segments.is_some() {
            ear.keep_curves(self.model.labels.len());
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let progress = self.bars.add(progress(name, decoder.n_frames()));
        let print = |ear: &mut Ear, detections: &mut Vec<Detection>| {
            if out.is_over() {
                return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
            }
            for detection in detections.drain(..) {
                if let Some(found) = found(path, ear, &detection, self.unconfirmed) {
                    Writer::new(self.format, &mut *out).event(&found)?;
                }
            }
            Ok(())
        };
        let heard = engine.hear_piecewise(path, &mut decoder, &mut ear, |n| progress.inc(n), print);
        if heard.as_ref().is_err_and(RecordingError::is_fatal) {
            return heard;
        }
        progress.finish_and_clear();
        out.flush()?;
        recording::remarks(path, &decoder).into_iter().for_each(|sentence| out.remark(sentence));
        if let Some(table) = scores {
            table.write(|out| curve::write(&ear, &self.model, out))?;
        }
        if let Some(table) = segments {
            table.write(|out| segments::write(&ear, &self.model, out))?;
        }
        heard
    }
}

/// The event that a detection ends, as it is printed; `None` for other detections and for events that are not asked for.
fn found<'a>(path: &'a Path, ear: &'a Ear, detection: &Detection, unconfirmed: bool) -> Option<Found<'a>> {
    let ended = recording::ended(ear, detection).filter(|ended| unconfirmed || ended.reason != EndReason::Unconfirmed)?;
    let seconds = |samples: u64| samples as f64 / f64::from(ear.model_rate_hz());
    let rules = ear.rules();
    Some(Found {
        file: path,
        subject: &rules[detection.rule].subject,
        onset_s: ended.onset_s,
        offset_s: ended.offset_s,
        onset_uncertainty_s: seconds(ended.event.onset.uncertainty),
        offset_uncertainty_s: seconds(ended.offset.uncertainty),
        announced_s: seconds(ended.event.announced),
        score: ended.event.peak_score,
        level_dbfs: detection.level_dbfs,
        also: detection.also.iter().map(|other| rules[*other].subject.name.as_str()).collect(),
        reason: ended.reason,
    })
}
