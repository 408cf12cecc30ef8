//! `mimid scan`: the same engine over recordings, faster than real time.
//!
//! A recording that cannot be read is reported and the others are still scanned. Memory is bounded whatever a recording's length.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use super::{ConfigArg, Failure, exit, load};
use crate::capture::file::{Decoder, Status};
use crate::config::{Channel, Config};
use crate::detect::Detection;
use crate::detect::tracker::Step;
use crate::ear::{Ear, MAX_PUSH, Settling};
use crate::event::EndReason;
use crate::model::onnx::{self, Runtime};
use crate::model::{Model, Tagger};

mod format;

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
    let mut scanner = Scanner::new(config, model, tagger);
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
    found: Vec<Detection>,
}

impl Scanner {
    fn new(config: Config, model: Model, tagger: Tagger) -> Self {
        let input = vec![0.0; tagger.max_batch() * tagger.window_len()];
        Self { config, model, tagger, samples: Vec::with_capacity(MAX_PUSH), input, scores: Vec::new(), found: Vec::new() }
    }

    fn scan(&mut self, path: &Path, scores: Option<&Path>, writer: &mut Writer<impl Write>) -> Result<(), ScanError> {
        let mut decoder = Decoder::open(path, Channel::Mix, 0.0).map_err(|error| ScanError::Recording(error.to_string()))?;
        let rate_hz = decoder.rate_hz();
        let ear = Ear::new(&self.model, self.config.rules.clone(), rate_hz);
        let mut ear = ear.map_err(|error| ScanError::Recording(format!("{}: {error}", path.display())))?;
        let mut curve = scores.map(|folder| Curve::create(folder, path, &self.model)).transpose()?;
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
            for chunk in self.samples.chunks(MAX_PUSH) {
                ear.push(chunk);
                while ear.n_due() >= self.tagger.max_batch() {
                    infer(&mut self.tagger, &mut self.input, &mut self.scores, &mut self.found, &mut ear, curve.as_mut())?;
                }
            }
            progress.inc(self.samples.len() as u64);
            self.print(path, &ear, writer)?;
        }
        ear.end_input();
        loop {
            let settling = ear.settle();
            if ear.n_due() >= self.tagger.max_batch() || (settling == Settling::Done && ear.n_due() > 0) {
                infer(&mut self.tagger, &mut self.input, &mut self.scores, &mut self.found, &mut ear, curve.as_mut())?;
            } else if settling == Settling::Done {
                break;
            }
        }
        ear.close(EndReason::Decay, &mut self.found);
        self.print(path, &ear, writer)?;
        progress.finish_and_clear();
        if let Some(curve) = curve {
            curve.finish(&ear)?;
        }
        fault.map_or(Ok(()), |sentence| Err(ScanError::Recording(sentence)))
    }

    /// Prints the events that have ended.
    fn print(&mut self, path: &Path, ear: &Ear, writer: &mut Writer<impl Write>) -> io::Result<()> {
        let rate = f64::from(ear.model_rate_hz());
        for detection in self.found.drain(..) {
            let Step::End { heard, offset, .. } = detection.step else { continue };
            writer.event(&Found {
                file: path,
                subject: &ear.rules()[detection.rule].subject,
                onset_s: heard.onset as f64 / rate,
                offset_s: offset as f64 / rate,
                score: heard.peak_score,
                level_dbfs: detection.level_dbfs,
            })?;
        }
        Ok(())
    }
}

/// Scores one batch of the windows that are due.
fn infer(
    tagger: &mut Tagger,
    input: &mut [f32],
    scores: &mut Vec<f32>,
    found: &mut Vec<Detection>,
    ear: &mut Ear,
    mut curve: Option<&mut Curve>,
) -> Result<(), ScanError> {
    let batch = ear.n_due().min(tagger.max_batch());
    let length = tagger.window_len();
    for (window, place) in input.chunks_exact_mut(length).take(batch).enumerate() {
        ear.copy_window(window, place);
    }
    tagger.score(batch, &input[..batch * length], scores).map_err(|error| ScanError::Output(error.into()))?;
    for row in scores.chunks_exact(tagger.n_labels()) {
        if let Some(curve) = curve.as_deref_mut() {
            curve.row(ear, row)?;
        }
        ear.take_scores(row, found);
    }
    Ok(())
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

/// A score curve on its way into a file: rows that abut, from 0 to the recording's end.
struct Curve {
    out: BufWriter<File>,
    path: PathBuf,
    /// The last row's end, as a sample index.
    until: u64,
    /// The last row, which is kept back until it is known where it ends.
    row: Option<(u64, String)>,
}

impl Curve {
    fn create(folder: &Path, recording: &Path, model: &Model) -> Result<Self, ScanError> {
        let path = folder.join(recording.file_stem().unwrap_or_default()).with_extension("tsv");
        let failed = |error: io::Error| {
            ScanError::Output(Failure::new(format_args!("{} cannot be written: {error}", path.display()), exit::FAILED))
        };
        let mut out = BufWriter::new(File::create(&path).map_err(failed)?);
        let names: Vec<_> = model.labels.subjects().iter().map(|subject| subject.name.as_str()).collect();
        writeln!(out, "onset\toffset\t{}", names.join("\t")).map_err(failed)?;
        Ok(Self { out, path, until: 0, row: None })
    }

    fn row(&mut self, ear: &Ear, scores: &[f32]) -> Result<(), ScanError> {
        let (from, to) = ear.curve_span();
        if ear.end_of_input().is_some_and(|end| from >= end) {
            return Ok(());
        }
        let mut text = String::with_capacity(scores.len() * 8);
        for score in scores {
            text.push_str(&format!("\t{score:.5}"));
        }
        // The first windows are centred before the recording begins; the last of them stands for its beginning.
        if let Some((before, text)) = self.row.replace((to, text))
            && before < to
        {
            self.write(ear, before, &text)?;
        }
        Ok(())
    }

    fn write(&mut self, ear: &Ear, to: u64, text: &str) -> Result<(), ScanError> {
        let rate = f64::from(ear.model_rate_hz());
        let (onset, offset) = (self.until as f64 / rate, to as f64 / rate);
        self.until = to;
        writeln!(self.out, "{onset:.3}\t{offset:.3}{text}").map_err(|error| self.failed(error))
    }

    fn finish(mut self, ear: &Ear) -> Result<(), ScanError> {
        if let Some((to, text)) = self.row.take() {
            let end = ear.end_of_input().unwrap_or(to).max(self.until + 1);
            self.write(ear, end, &text)?;
        }
        self.out.flush().map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> ScanError {
        ScanError::Output(Failure::new(format_args!("{} cannot be written: {error}", self.path.display()), exit::FAILED))
    }
}
