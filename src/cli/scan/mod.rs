//! `mimid scan`: the daemon's engine over recordings, faster than real time.
//!
//! A recording that cannot be read is reported, and never keeps the others from being scanned. Memory is bounded for any length
//! of a recording.

use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use jiff::ZonedDateTime;

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

pub(super) mod curve;
mod format;
mod inputs;
mod lanes;
mod segments;
mod table;

pub use format::Format;
use format::{Clock, Found, Writer};
use indicatif::MultiProgress;
use inputs::Folders;
use lanes::Piecewise;
use table::TableFile;

/// Find the sound events in recordings.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The recordings, in any common format; - is standard input
    #[arg(required_unless_present = "files_from", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Also scan the recordings that this file names, one a line, or each with a NUL behind it; - is standard input
    #[arg(long, value_name = "LIST")]
    files_from: Option<PathBuf>,
    /// Scan the recordings in folders and below; hidden ones are left out
    #[arg(long, short)]
    recursive: bool,
    /// Also tell the times of day, where a recording or its name says when it began; a time without a zone is local
    #[arg(long)]
    clock: bool,
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

impl Args {
    fn clock(&self) -> Clock {
        if self.clock { Clock::Told } else { Clock::Untold }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let folders = if args.recursive { Folders::Walked } else { Folders::Refused };
    let files = inputs::recordings(&args.files, args.files_from.as_deref(), folders)?;
    if args.format == Format::Audacity && files.len() > 1 {
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
        && let Some([first, second]) = table::same_table(&files)
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
        clock: args.clock(),
        bars: MultiProgress::new(),
    };
    let mut out = BufWriter::new(io::stdout().lock());
    Writer::new(args.format, args.clock(), &mut out).begin()?;
    let hear = |engine: &mut Engine, file: &PathBuf, found: &mut Piecewise| scanner.scan(engine, file, folders, found);
    let mut failed = 0;
    lanes::run(&files, (&scanner.model, &runtime, threads), hear, &mut out, |sentence| {
        failed += 1;
        say(format_args!("mimid: {sentence}"));
    })?;
    match failed {
        0 => Ok(()),
        1 if files.len() == 1 => Err(Failure { message: String::new(), exit_code: exit::FAILED }),
        _ => Err(Failure::new(format_args!("{failed} of {} recordings could not be scanned whole", files.len()), exit::FAILED)),
    }
}

/// The rules, the model and the options that all recordings share.
struct Scanner {
    rules: Vec<Rule>,
    model: Model,
    format: Format,
    unconfirmed: bool,
    listening: Listening,
    clock: Clock,
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
        let began = recording::began(&decoder).filter(|_| self.clock == Clock::Told);
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
                if let Some(found) = found(path, ear, &detection, began.as_ref(), self.unconfirmed) {
                    Writer::new(self.format, self.clock, &mut *out).event(&found)?;
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
        if began.is_none() && self.clock == Clock::Told {
            out.remark(format!("{}: neither it nor its name says when it began", path.display()));
        }
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
fn found<'a>(
    path: &'a Path,
    ear: &'a Ear,
    detection: &Detection,
    began: Option<&'a ZonedDateTime>,
    unconfirmed: bool,
) -> Option<Found<'a>> {
    let ended = recording::ended(ear, detection).filter(|ended| unconfirmed || ended.reason != EndReason::Unconfirmed)?;
    let seconds = |samples: u64| samples as f64 / f64::from(ear.model_rate_hz());
    let rules = ear.rules();
    Some(Found {
        file: path,
        began,
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
