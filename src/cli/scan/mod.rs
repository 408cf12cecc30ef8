//! `mimid scan`: the same engine over recordings, faster than real time.
//!
//! A recording that cannot be read is reported and the others are still scanned. Memory is bounded whatever a recording's length.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use super::{ConfigArg, Failure, exit, load};
use crate::capture::file::{Decoder, Status};
use crate::config::{Channel, Config};
use crate::detect::Detection;
use crate::detect::step::Step;
use crate::ear::{Ear, MAX_PUSH, Settling};
use crate::event::EndReason;
use crate::model::onnx::{self, Runtime};
use crate::model::{Model, Tagger};

mod curve;
mod format;

use curve::CurveFile;
pub use format::Format;
use format::{Found, Writer};

/// What the end of a recording cuts down to less than this is a click and no sound, in seconds.
const SHORTEST_S: f64 = 0.02;

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
    let mut scanner = Scanner::new(config, model, tagger, args.unconfirmed);
    let mut writer = Writer::new(args.format, BufWriter::new(io::stdout().lock()));
    writer.begin()?;
    let mut failed = 0;
    for file in &args.files {
        let result = scanner.scan(file, args.scores.as_deref(), &mut writer);
        // What was found is printed before the next recording, or the sentence about this one, comes.
        writer.flush()?;
        match result {
            Ok(()) => {}
            Err(ScanError::Output(failure)) => return Err(failure),
            Err(ScanError::Recording(sentence)) => {
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

/// Why a recording was not scanned whole.
enum ScanError {
    /// Something is wrong with the recording; the others can still be scanned.
    Recording(String),
    /// The output cannot be written, or the model failed: going on makes no sense.
    Output(Failure),
}

impl From<io::Error> for ScanError {
    fn from(error: io::Error) -> Self {
        ScanError::Output(error.into())
    }
}

/// The engine over recordings, with its buffers.
struct Scanner {
    config: Config,
    model: Model,
    tagger: Tagger,
    samples: Vec<f32>,
    input: Vec<f32>,
    scores: Vec<f32>,
    /// The scores of a batch, `[batch, lengths, labels]`.
    rows: Vec<f32>,
    found: Vec<Detection>,
    unconfirmed: bool,
}

impl Scanner {
    fn new(config: Config, model: Model, tagger: Tagger, unconfirmed: bool) -> Self {
        let batch = tagger.max_batch();
        let input = vec![0.0; batch * tagger.longest_window_len()];
        let rows = vec![0.0; batch * tagger.n_lengths() * tagger.n_labels()];
        let samples = Vec::with_capacity(MAX_PUSH);
        Self { config, model, tagger, samples, input, scores: Vec::new(), rows, found: Vec::new(), unconfirmed }
    }

    fn scan(&mut self, path: &Path, scores: Option<&Path>, writer: &mut Writer<impl Write>) -> Result<(), ScanError> {
        let mut decoder = Decoder::open(path, Channel::Mix, 0.0).map_err(|error| ScanError::Recording(error.to_string()))?;
        let rate_hz = decoder.rate_hz();
        let ear = Ear::new(&self.model, self.config.rules.clone(), rate_hz);
        let mut ear = ear.map_err(|error| ScanError::Recording(format!("{}: {error}", path.display())))?;
        let curve = scores.map(|folder| CurveFile::create(folder, path)).transpose()?;
        if curve.is_some() {
            ear.keep_curves(self.model.labels.len());
        }
        let progress = progress(path, decoder.n_frames());
        let mut fault = None;
        loop {
            self.samples.clear();
            match decoder.read(&mut self.samples) {
                Ok(Status::More) => {}
                Ok(Status::End) => break,
                Ok(Status::Truncated) => {
                    fault = Some(format!("{} is truncated; what it holds was scanned", path.display()));
                    break;
                }
                Err(error) => {
                    fault = Some(error.to_string());
                    break;
                }
            }
            let samples = std::mem::take(&mut self.samples);
            for chunk in samples.chunks(MAX_PUSH) {
                ear.push(chunk);
                while ear.n_due() >= self.tagger.max_batch() {
                    self.infer(&mut ear)?;
                }
            }
            self.samples = samples;
            progress.inc(self.samples.len() as u64);
            self.print(path, &ear, writer)?;
        }
        ear.end_input();
        loop {
            let settling = ear.settle();
            if ear.n_due() >= self.tagger.max_batch() || (settling == Settling::Done && ear.n_due() > 0) {
                self.infer(&mut ear)?;
            } else if settling == Settling::Done {
                break;
            }
        }
        ear.close(EndReason::Decay, &mut self.found);
        self.print(path, &ear, writer)?;
        progress.finish_and_clear();
        if let Some(curve) = curve {
            curve.write(&ear, &self.model)?;
        }
        fault.map_or(Ok(()), |sentence| Err(ScanError::Recording(sentence)))
    }

    /// Scores one batch of the windows that are due.
    fn infer(&mut self, ear: &mut Ear) -> Result<(), ScanError> {
        let batch = ear.n_due().min(self.tagger.max_batch());
        let (n_lengths, n_labels) = (self.tagger.n_lengths(), self.tagger.n_labels());
        let copy = |length: usize, window: usize, place: &mut [f32]| ear.copy_window(length, window, place);
        let scored = self.tagger.score_hops(batch, &mut self.input, &mut self.scores, &mut self.rows, copy);
        scored.map_err(|error| ScanError::Output(error.into()))?;
        for rows in self.rows.chunks_exact(n_lengths * n_labels).take(batch) {
            ear.take_scores(rows, &mut self.found);
        }
        Ok(())
    }

    /// Prints the events that have ended.
    fn print(&mut self, path: &Path, ear: &Ear, writer: &mut Writer<impl Write>) -> io::Result<()> {
        let rate = f64::from(ear.model_rate_hz());
        for detection in self.found.drain(..) {
            let Step::End { heard, offset, reason } = detection.step else { continue };
            if reason == EndReason::Unconfirmed && !self.unconfirmed {
                continue;
            }
            let seconds = |samples: u64| samples as f64 / rate;
            if seconds(offset.at.saturating_sub(heard.onset.at)) < SHORTEST_S {
                continue;
            }
            let rules = ear.rules();
            writer.event(&Found {
                file: path,
                subject: &rules[detection.rule].subject,
                onset_s: seconds(heard.onset.at),
                offset_s: seconds(offset.at),
                onset_uncertainty_s: seconds(heard.onset.uncertainty),
                offset_uncertainty_s: seconds(offset.uncertainty),
                announced_s: seconds(heard.announced),
                score: heard.peak_score,
                level_dbfs: detection.level_dbfs,
                also: detection.also.iter().map(|other| rules[*other].subject.name.as_str()).collect(),
                reason,
            })?;
        }
        Ok(())
    }
}

/// A progress bar on a terminal, nothing elsewhere.
fn progress(path: &Path, n_frames: Option<u64>) -> ProgressBar {
    let Some(n_frames) = n_frames.filter(|_| io::stderr().is_terminal()) else { return ProgressBar::hidden() };
    let bar = ProgressBar::new(n_frames);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {percent:>3} % {eta}") {
        bar.set_style(style);
    }
    bar.set_message(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
    bar
}
