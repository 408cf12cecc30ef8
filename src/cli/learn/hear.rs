//! Hears a recording for learning: the embedding, the level and the time of its windows, of each length that the model has.
//!
//! Of a long recording fewer windows are kept, evenly spread, so that an hour of background takes no more memory than two minutes.

use std::path::Path;

use crate::capture::file::Status;
use crate::detect::level::LevelMeter;
use crate::ear::MAX_PUSH;
use crate::features::FrontEnd;
use crate::learn::example::{HeardRecording, HeardWindow};
use crate::model::{Model, ModelError, Scores, Tagger};
use crate::recording::{self, Listening, RecordingError};
use crate::resample::Resampler;

/// The distance of two windows in seconds, and that of two windows of the longer lengths.
const STEP_S: f64 = 0.2;
const LONG_STEP_S: f64 = 0.4;
/// The silence before and after a recording, in seconds, so that a sound at its edge has a window in which it is whole.
const MARGIN_S: f64 = 0.5;
/// The most windows of a length that are kept.
const MOST: usize = 600;
/// A window below this level is not worth an inference, in dBFS.
const SILENCE_DBFS: f32 = -80.0;

/// Hears recordings with one tagger, which gives embeddings.
pub struct Hearing<'a> {
    model: &'a Model,
    tagger: Tagger,
    input: Vec<f32>,
    scores: Scores,
}

/// The windows of one length while a recording is heard.
struct Track {
    length: usize,
    samples: u64,
    /// The distance of two windows in samples.
    step: u64,
    /// The end of the next window as a sample index.
    next: u64,
    /// Only every n-th window is kept.
    stride: usize,
    n_passed: usize,
    /// The windows that wait for their inference, by their ends.
    due: Vec<(u64, f32)>,
    windows: Vec<HeardWindow>,
}

impl<'a> Hearing<'a> {
    /// A hearing with this tagger, which must give embeddings.
    pub fn new(model: &'a Model, tagger: Tagger) -> Self {
        Self { model, tagger, input: Vec::new(), scores: Scores::default() }
    }

    /// Hears a recording to its end.
    pub fn hear(&mut self, path: &Path, listening: Listening) -> Result<HeardRecording, RecordingError> {
        let mut decoder = recording::open(path, listening)?;
        let (name, rate_hz) = (path.display().to_string(), decoder.rate_hz());
        self.hear_pieces(name, rate_hz, |samples| match decoder.read(samples) {
            Ok(status) => Ok(status == Status::More),
            Err(error) => Err(RecordingError::Recording(error.to_string())),
        })
    }

    /// Hears samples that are there already, at a rate of so many Hz.
    pub fn hear_samples(&mut self, name: &str, rate_hz: u32, samples: &[f32]) -> Result<HeardRecording, RecordingError> {
        let mut pieces = samples.chunks(MAX_PUSH);
        self.hear_pieces(name.to_owned(), rate_hz, |samples| {
            let piece = pieces.next();
            samples.extend_from_slice(piece.unwrap_or_default());
            Ok(piece.is_some())
        })
    }

    /// Hears the pieces that `next` appends, until it says that there are no more.
    fn hear_pieces(
        &mut self,
        name: String,
        from_hz: u32,
        mut next: impl FnMut(&mut Vec<f32>) -> Result<bool, RecordingError>,
    ) -> Result<HeardRecording, RecordingError> {
        let rate_hz = self.model.input.sample_rate_hz;
        let resampler = Resampler::new(from_hz, rate_hz);
        let mut resampler = resampler.map_err(|error| RecordingError::Recording(format!("{name}: {error}")))?;
        let longest = self.model.detection.windows_samples(rate_hz).max().unwrap_or(0);
        let samples = |seconds: f64| (seconds * f64::from(rate_hz)) as u64;
        let block = 8 * samples(LONG_STEP_S) as usize;
        let mut front = FrontEnd::new(&self.model.input, longest + 2 * block + MAX_PUSH + rate_hz as usize);
        let mut meter = LevelMeter::new(rate_hz);
        let mut tracks: Vec<Track> = self
            .model
            .detection
            .windows_samples(rate_hz)
            .enumerate()
            .map(|(length, window)| {
                let step = samples(if length == 0 { STEP_S } else { LONG_STEP_S });
                let first = (window as u64).saturating_sub(samples(MARGIN_S)).max(step);
                Track {
                    length,
                    samples: window as u64,
                    step,
                    next: first,
                    stride: 1,
                    n_passed: 0,
                    due: Vec::new(),
                    windows: Vec::new(),
                }
            })
            .collect();
        let mut best: Option<(usize, f32)> = None;
        let margin = samples(MARGIN_S);
        let (mut read, mut resampled, mut position, mut ended) = (Vec::new(), Vec::new(), 0, false);
        while !ended {
            read.clear();
            resampled.clear();
            if next(&mut read)? {
                read.chunks(MAX_PUSH).for_each(|samples| resampler.process(samples, &mut resampled));
            } else {
                resampler.flush(&mut resampled);
                ended = true;
            }
            position += resampled.len() as u64;
            let sound_end = if ended { position } else { u64::MAX - margin };
            if ended {
                // The windows that reach beyond the end see silence there; the shortest recording has one window of each length.
                let last = (sound_end + margin).max(tracks.iter().map(|track| track.next).max().unwrap_or(0));
                resampled.resize(resampled.len() + (last - sound_end) as usize + front.lookahead_samples() + 1, 0.0);
            }
            for samples in resampled.chunks(block) {
                front.push(samples);
                meter.push(samples);
                for track in &mut tracks {
                    track.follow(front.available_until(), sound_end + margin, &meter);
                    self.score(track, &front, f64::from(rate_hz), &mut best)?;
                }
            }
        }
        Ok(HeardRecording {
            name,
            lasts_s: position as f64 / f64::from(rate_hz),
            windows: tracks.into_iter().map(|track| track.windows).collect(),
            sounds_like: best,
        })
    }

    /// Scores the windows of a track that wait.
    fn score(
        &mut self,
        track: &mut Track,
        front: &FrontEnd,
        rate_hz: f64,
        best: &mut Option<(usize, f32)>,
    ) -> Result<(), ModelError> {
        let size = self.tagger.window_len(track.length);
        let n_own = self.model.n_own_labels();
        for batch in track.due.chunks(self.tagger.max_batch(track.length)) {
            self.input.resize(batch.len() * size, 0.0);
            for ((end, _), window) in batch.iter().zip(self.input.chunks_exact_mut(size)) {
                front.copy_window(*end, track.samples as usize, window);
            }
            self.tagger.score(track.length, batch.len(), &self.input, &mut self.scores)?;
            let embeddings = self.scores.embeddings.chunks_exact(self.tagger.embedding_size().max(1));
            for ((end, level_dbfs), embedding) in batch.iter().zip(embeddings) {
                let begin_s = (*end as f64 - track.samples as f64) / rate_hz;
                track.windows.push(HeardWindow {
                    begin_s,
                    end_s: *end as f64 / rate_hz,
                    level_dbfs: *level_dbfs,
                    embedding: embedding.to_vec(),
                });
            }
            for row in self.scores.labels.chunks_exact(self.tagger.n_labels().max(1)) {
                let highest = row[..n_own].iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
                *best = highest.into_iter().chain(*best).max_by(|a, b| a.1.total_cmp(&b.1));
            }
        }
        track.due.clear();
        track.thin();
        Ok(())
    }
}

impl Track {
    /// Notes the windows that are complete: those that end before `available`, and not after `last` but for the first one.
    fn follow(&mut self, available: u64, last: u64, meter: &LevelMeter) {
        while self.next <= available && (self.next <= last || self.n_passed == 0) {
            let level = meter.level_dbfs(self.next.saturating_sub(self.samples), self.next);
            if self.n_passed.is_multiple_of(self.stride) && level >= SILENCE_DBFS {
                self.due.push((self.next, level));
            }
            self.n_passed += 1;
            self.next += self.step;
        }
    }

    /// Keeps every second window where there are too many.
    fn thin(&mut self) {
        while self.windows.len() > MOST {
            let mut at = 0;
            self.windows.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.stride *= 2;
        }
    }
}
