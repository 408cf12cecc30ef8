//! The engine over recordings: it decodes a recording, scores its windows in batches, and hands over each detection as it comes.
//!
//! `scan`, `explain` and `tune` share it. Its memory is bounded, whatever the length of a recording. It reads no clock, and does
//! not decide what becomes of a detection.

use std::io;
use std::path::Path;

use jiff::ZonedDateTime;
use jiff::tz::TimeZone;

use crate::capture::file::{Decoder, Status};
use crate::capture::source::Channel;
use crate::detect::Detection;
use crate::detect::boundaries::Boundary;
use crate::detect::rule::Rule;
use crate::detect::step::{EventSoFar, Step};
use crate::ear::{Ear, MAX_PUSH, Settling};
use crate::event::EndReason;
use crate::inference::{Due, Inference};
use crate::model::onnx::Runtime;
use crate::model::{MAX_HOPS, Model, ModelError, Tagger};

/// The shortest event in seconds: an event that the end of the recording cuts to less is a click and no sound.
const SHORTEST_S: f64 = 0.02;

/// The reason why a recording was not analysed to its end.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The recording has a fault; other recordings can still be analysed.
    #[error("{0}")]
    Recording(String),
    /// The model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The caller's own output cannot be written.
    #[error(transparent)]
    Output(#[from] io::Error),
    /// A file of the caller's cannot be written; the sentence names it.
    #[error("{0}")]
    File(String),
}

impl RecordingError {
    /// Whether the error concerns every other recording as well.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, RecordingError::Recording(_))
    }
}

/// How recordings are heard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Listening {
    /// The channels that are heard.
    pub channel: Channel,
    /// The gain that is applied first, in dB.
    pub gain_db: f32,
}

/// The name by which standard input is given.
pub const STANDARD_INPUT: &str = "-";

/// Opens a recording, or standard input.
pub fn open(path: &Path, Listening { channel, gain_db }: Listening) -> Result<Decoder, RecordingError> {
    let opened = match path == Path::new(STANDARD_INPUT) {
        true => Decoder::open_standard_input(channel, gain_db),
        false => Decoder::open(path, channel, gain_db),
    };
    opened.map_err(|error| RecordingError::Recording(error.to_string()))
}

/// The oddities of a recording that was heard, a sentence each.
pub fn remarks(path: &Path, decoder: &Decoder) -> Vec<String> {
    decoder.findings().remarks.iter().map(|clause| format!("{}: {clause}", path.display())).collect()
}

/// The moment at which a recording began, if it or its name says so; a time without a zone is that of the system's.
pub fn began(decoder: &Decoder) -> Option<ZonedDateTime> {
    let start = decoder.start()?;
    let zone = start.offset.map_or_else(TimeZone::system, TimeZone::fixed);
    start.at.to_zoned_datetime(zone).ok()
}

/// An ear for a recording with `rules` in force, with room for as many hops as can be scored together.
pub fn ear(path: &Path, decoder: &Decoder, model: &Model, rules: Vec<Rule>) -> Result<Ear, RecordingError> {
    Ear::with_room(model, rules, decoder.rate_hz(), MAX_HOPS)
        .map_err(|error| RecordingError::Recording(format!("{}: {error}", path.display())))
}

/// An event of a recording that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// The event in its final state, its onset refined.
    pub event: EventSoFar,
    /// The end of the sound.
    pub offset: Boundary,
    /// Why the event ended.
    pub reason: EndReason,
    /// The onset in seconds from the start of the recording.
    pub onset_s: f64,
    /// The offset in seconds from the start of the recording.
    pub offset_s: f64,
}

/// The event that `detection` ends; `None` for the other steps, and for a click.
pub fn ended(ear: &Ear, detection: &Detection) -> Option<Ended> {
    let Step::End { so_far, offset, reason } = detection.step else { return None };
    let seconds = |samples: u64| samples as f64 / f64::from(ear.model_rate_hz());
    let is_click = seconds(offset.at.saturating_sub(so_far.onset.at)) < SHORTEST_S;
    let (onset_s, offset_s) = (seconds(so_far.onset.at), seconds(offset.at));
    (!is_click).then_some(Ended { event: so_far, offset, reason, onset_s, offset_s })
}

/// The engine's inference over recordings, with its buffers.
pub struct Engine {
    inference: Inference,
    samples: Vec<f32>,
    due: Vec<Due>,
    found: Vec<Detection>,
}

impl Engine {
    /// An engine on up to `threads` threads.
    pub fn open(model: &Model, runtime: &Runtime, threads: usize) -> Result<Self, ModelError> {
        Inference::open(model, runtime, threads).map(Self::new)
    }

    /// An engine that scores with `inference`.
    pub fn new(inference: Inference) -> Self {
        Self { inference, samples: Vec::with_capacity(MAX_PUSH), due: Vec::with_capacity(MAX_HOPS), found: Vec::new() }
    }

    /// The tagger, for other use.
    pub fn into_tagger(self) -> Tagger {
        self.inference.into_tagger()
    }

    /// Runs the recording at `path` through `ear` to its end, and hands each detection to `take`; `progress` counts frames.
    ///
    /// # Errors
    /// The errors of `take`, of the model and of the recording. A recording with a fault is analysed as far as it can be read.
    pub fn hear(
        &mut self,
        path: &Path,
        decoder: &mut Decoder,
        ear: &mut Ear,
        progress: impl Fn(u64),
        mut take: impl FnMut(&Ear, Detection) -> Result<(), RecordingError>,
    ) -> Result<(), RecordingError> {
        self.hear_piecewise(path, decoder, ear, progress, |ear, found| {
            found.drain(..).try_for_each(|detection| take(ear, detection))
        })
    }

    /// Runs the recording as [`hear`](Self::hear) does, and hands the ear to `after` after each piece, with the detections so
    /// far, which `after` takes out.
    pub fn hear_piecewise(
        &mut self,
        path: &Path,
        decoder: &mut Decoder,
        ear: &mut Ear,
        progress: impl Fn(u64),
        mut after: impl FnMut(&mut Ear, &mut Vec<Detection>) -> Result<(), RecordingError>,
    ) -> Result<(), RecordingError> {
        let mut fault = None;
        loop {
            self.samples.clear();
            match decoder.read(&mut self.samples) {
                Ok(Status::More) => {}
                Ok(Status::End) => break,
                Err(error) => {
                    fault = Some(error.to_string());
                    break;
                }
            }
            let samples = std::mem::take(&mut self.samples);
            // A second at most: at the lowest rates, more would be more hops than the ear has room for.
            for chunk in samples.chunks(MAX_PUSH.min(decoder.rate_hz() as usize)) {
                ear.push(chunk);
                while !ear.has_room() {
                    self.infer(ear)?;
                }
            }
            self.samples = samples;
            progress(self.samples.len() as u64);
            after(ear, &mut self.found)?;
        }
        ear.end_input();
        loop {
            let settling = ear.settle();
            if !ear.has_room() || (settling == Settling::Done && ear.n_due() > 0) {
                self.infer(ear)?;
            } else if settling == Settling::Done {
                break;
            }
        }
        ear.close(EndReason::Decay, &mut self.found);
        after(ear, &mut self.found)?;
        let incomplete = || decoder.findings().incomplete.map(|predicate| format!("{} {predicate}", path.display()));
        fault.or_else(incomplete).map_or(Ok(()), |sentence| Err(RecordingError::Recording(sentence)))
    }

    /// Scores the hops that are due.
    fn infer(&mut self, ear: &mut Ear) -> Result<(), RecordingError> {
        self.due.clear();
        self.due.extend((0..ear.n_due().min(MAX_HOPS)).map(|ahead| Due { source: 0, ahead }));
        self.inference.score(&mut [&mut *ear], |ear| ear, &self.due, 1)?;
        for hop in 0..self.due.len() {
            let (scores, is_fresh) = self.inference.scores(hop);
            ear.take_scores(scores, is_fresh, &mut self.found);
        }
        Ok(())
    }
}
