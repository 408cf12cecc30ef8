//! `mimid scan`: the same engine over recordings, faster than real time.
//!
//! A recording that cannot be read is reported and the others are still scanned. Memory is bounded whatever a recording's length.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::recording::{self, Engine, RecordingError};
use super::{ConfigArg, Failure, exit, load};
use crate::config::Config;
use crate::detect::Detection;
use crate::ear::Ear;
use crate::event::EndReason;
use crate::model::onnx::{self, Runtime};
use crate::model::{Model, Tagger};

mod curve;
mod format;

use curve::CurveFile;
pub use format::Format;
use format::{Found, Writer};

/// Find the sound events in recordings.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The recordings: WAV, FLAC, Ogg Vorbis or MP3
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to print the events
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    format: Format,
    /// Also write each recording's score curve to DIR/NAME.tsv
    #[arg(long, value_name = "DIR")]
    scores: Option<PathBuf>,
    /// Also print what would have been announced at once and was not confirmed, with the reason `unconfirmed`
    #[arg(long)]
    unconfirmed: bool,
    #[command(flatten)]
    config: ConfigArg,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    if args.format == Format::Audacity && args.files.len() > 1 {
        let message = "audacity labels belong to one recording; scan the recordings one at a time, or use --format tsv";
        return Err(Failure::new(message, exit::USAGE));
    }
    let (loaded, model) = load(&args.config)?;
    let config = loaded.config;
    let runtime = Runtime::load(&onnx::find_runtime(config.model.runtime.as_deref())?)?;
    let tagger = Tagger::open(&model, &runtime, config.model.threads)?;
    if let Some(folder) = &args.scores {
        std::fs::create_dir_all(folder).map_err(|error| {
            Failure::new(format_args!("the folder {} cannot be made: {error}", folder.display()), exit::FAILED)
        })?;
    }
    let mut scanner = Scanner { config, model, engine: Engine::new(tagger), unconfirmed: args.unconfirmed };
    let mut writer = Writer::new(args.format, BufWriter::new(io::stdout().lock()));
    writer.begin()?;
    let mut failed = 0;
    for file in &args.files {
        let result = scanner.scan(file, args.scores.as_deref(), &mut writer);
        // What was found is printed before the next recording, or the sentence about this one, comes.
        writer.flush()?;
        match result {
            Ok(()) => {}
            Err(RecordingError::Fatal(failure)) => return Err(failure),
            Err(RecordingError::Recording(sentence)) => {
                failed += 1;
                let _ = writeln!(io::stderr(), "mimid: {sentence}");
            }
        }
    }
    match failed {
        0 => Ok(()),
        1 if args.files.len() == 1 => Err(Failure { message: String::new(), exit_code: exit::FAILED }),
        _ => Err(Failure::new(
            format_args!("{failed} of {} recordings could not be scanned whole", args.files.len()),
            exit::FAILED,
        )),
    }
}

/// The engine over recordings.
struct Scanner {
    config: Config,
    model: Model,
    engine: Engine,
    unconfirmed: bool,
}

impl Scanner {
    fn scan(&mut self, path: &Path, scores: Option<&Path>, writer: &mut Writer<impl Write>) -> Result<(), RecordingError> {
        let mut decoder = recording::open(path)?;
        let ear = Ear::new(&self.model, self.config.rules.clone(), decoder.rate_hz());
        let mut ear = ear.map_err(|error| RecordingError::Recording(format!("{}: {error}", path.display())))?;
        let curve = scores.map(|folder| CurveFile::create(folder, path)).transpose()?;
        if curve.is_some() {
            ear.keep_curves(self.model.labels.len());
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let progress = recording::progress(name, decoder.n_frames());
        let unconfirmed = self.unconfirmed;
        let print = |ear: &Ear, detection: Detection| match found(path, ear, &detection, unconfirmed) {
            Some(found) => Ok(writer.event(&found)?),
            None => Ok(()),
        };
        let heard = self.engine.hear(path, &mut decoder, &mut ear, &progress, print);
        if matches!(heard, Err(RecordingError::Fatal(_))) {
            return heard;
        }
        progress.finish_and_clear();
        if let Some(curve) = curve {
            curve.write(&ear, &self.model)?;
        }
        heard
    }
}

/// What is printed of a detection; nothing until its event has ended.
fn found<'a>(path: &'a Path, ear: &'a Ear, detection: &Detection, unconfirmed: bool) -> Option<Found<'a>> {
    let ended = recording::ended(ear, detection).filter(|ended| unconfirmed || ended.reason != EndReason::Unconfirmed)?;
    let seconds = |samples: u64| samples as f64 / f64::from(ear.model_rate_hz());
    let rules = ear.rules();
    Some(Found {
        file: path,
        subject: &rules[detection.rule].subject,
        onset_s: ended.onset_s,
        offset_s: ended.offset_s,
        onset_uncertainty_s: seconds(ended.heard.onset.uncertainty),
        offset_uncertainty_s: seconds(ended.offset.uncertainty),
        announced_s: seconds(ended.heard.announced),
        score: ended.heard.peak_score,
        level_dbfs: detection.level_dbfs,
        also: detection.also.iter().map(|other| rules[*other].subject.name.as_str()).collect(),
        reason: ended.reason,
    })
}
