//! A trial of a model: it hears a sound, and the time of a window is taken.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

use crate::capture::file::Status;
use crate::capture::source::Channel;
use crate::ear::MAX_PUSH;
use crate::features::FrontEnd;
use crate::model::{Model, ModelError, Scores, Tagger};
use crate::recording::{self, Listening, RecordingError};
use crate::resample::Resampler;

/// The longest part of a recording that is heard, in seconds.
const LONGEST_S: usize = 60;
/// The time that is spent on measuring one length of window, and the most windows.
const MEASURED: Duration = Duration::from_millis(500);
const MOST_MEASURED: usize = 50;
/// The labels that are named, and the least score of those.
const N_NAMED: usize = 5;
const LEAST_NAMED: f32 = 0.05;

/// What came of a trial.
#[derive(Debug, Clone, Default)]
pub struct Trial {
    /// The sound's name.
    pub sound: String,
    /// The highest score of each label in a window.
    pub highest: Vec<f32>,
    /// The lowest and the highest number of all.
    pub range: (f32, f32),
    /// Whether a score was no number.
    pub has_nan: bool,
    /// For each length of window, its median processor time.
    pub costs: Vec<Duration>,
}

/// The sound to play: its name and its samples at the model's rate.
#[derive(Debug, Clone)]
pub struct Sound {
    name: String,
    samples: Vec<f32>,
}

impl Sound {
    /// The first minute of a recording, or beeps where none is named.
    pub fn of(recording: Option<&Path>, model: &Model) -> Result<Self, RecordingError> {
        let rate_hz = model.input.sample_rate_hz;
        let Some(path) = recording else { return Ok(Self::beeps(rate_hz)) };
        let mut decoder = recording::open(path, Listening { channel: Channel::Mix, gain_db: 0.0 })?;
        let fault = |error: &dyn std::fmt::Display| RecordingError::Recording(format!("{}: {error}", path.display()));
        let mut resampler = Resampler::new(decoder.rate_hz(), rate_hz).map_err(|error| fault(&error))?;
        let (mut read, mut samples) = (Vec::new(), Vec::new());
        while samples.len() < LONGEST_S * rate_hz as usize {
            read.clear();
            match decoder.read(&mut read).map_err(|error| RecordingError::Recording(error.to_string()))? {
                Status::More => read.chunks(MAX_PUSH).for_each(|read| resampler.process(read, &mut samples)),
                Status::End => {
                    resampler.flush(&mut samples);
                    break;
                }
            }
        }
        samples.truncate(LONGEST_S * rate_hz as usize);
        Ok(Self { name: path.display().to_string(), samples })
    }

    /// Three seconds of an alarm clock: beeps of 3 kHz, or lower where the rate has no 3 kHz, over faint noise.
    fn beeps(rate_hz: u32) -> Self {
        let (rate, mut state) = (rate_hz as usize, 1u32);
        let pitch_hz = (f64::from(rate_hz) / 4.0).min(3_000.0);
        let sample = |at: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = ((state >> 16) as f32 / 65_536.0 - 0.5) * 0.002;
            let is_on = (at * 8 / rate).is_multiple_of(2) && (at * 2 / rate).is_multiple_of(2);
            let tone = (std::f64::consts::TAU * pitch_hz * at as f64 / f64::from(rate_hz)).sin() as f32;
            if is_on { 0.3 * tone + noise } else { noise }
        };
        Self { name: format!("beeps of {} kHz", pitch_hz / 1_000.0), samples: (0..3 * rate).map(sample).collect() }
    }
}

impl Trial {
    /// Opens the graph's windows over the sound, every hop, and takes the time of some.
    pub fn of(model: &Model, tagger: &mut Tagger, sound: Sound) -> Result<Self, ModelError> {
        let rate_hz = model.input.sample_rate_hz;
        let lengths: Vec<usize> = model.detection.windows_samples(rate_hz).collect();
        let (longest, hop) = (lengths.iter().copied().max().unwrap_or(0), model.detection.hop_samples(rate_hz).max(1));
        let total = sound.samples.len().max(longest).next_multiple_of(hop);
        let mut front = FrontEnd::new(&model.input, total + longest + 1);
        front.push(&sound.samples);
        front.push(&vec![0.0; total - sound.samples.len() + front.lookahead_samples() + 1]);
        let mut trial = Trial {
            sound: sound.name,
            highest: vec![0.0; tagger.n_labels()],
            range: (f32::INFINITY, f32::NEG_INFINITY),
            ..Trial::default()
        };
        let mut scores = Scores::default();
        for (length, samples) in lengths.iter().enumerate() {
            let mut window = vec![0.0; tagger.window_len(length)];
            for end in (hop..=total).step_by(hop).filter(|end| end >= samples || total < samples + hop) {
                front.copy_window(end as u64, *samples, &mut window);
                tagger.score(length, 1, &window, &mut scores)?;
                trial.take(&scores.labels);
            }
            trial.costs.push(cost(tagger, length, &window)?);
        }
        Ok(trial)
    }

    fn take(&mut self, scores: &[f32]) {
        for (highest, score) in self.highest.iter_mut().zip(scores) {
            *highest = highest.max(*score);
            self.range = (self.range.0.min(*score), self.range.1.max(*score));
            self.has_nan |= score.is_nan();
        }
    }

    /// The lines for people: what was heard, and the cost.
    pub fn told(&self, model: &Model) -> String {
        let mut by_score: Vec<(usize, f32)> = self.highest.iter().copied().enumerate().collect();
        by_score.sort_by(|a, b| b.1.total_cmp(&a.1));
        let names = by_score.iter().take(N_NAMED).filter(|(_, score)| *score >= LEAST_NAMED);
        let names: Vec<String> =
            names.map(|(label, score)| format!("{} {score:.2}", model.labels.subjects()[*label].name)).collect();
        let heard = if names.is_empty() { format!("nothing above {LEAST_NAMED}") } else { names.join(", ") };
        let mut out = format!("heard in {}: {heard}\n", self.sound);
        let hop_s = f64::from(model.detection.hop_ms) / 1_000.0;
        let mut share = 0.0;
        for ((cost, window_ms), length) in self.costs.iter().zip(&model.detection.windows_ms).zip(0..) {
            let _ = writeln!(out, "cost: a window of {window_ms} ms takes {:.1} ms", cost.as_secs_f64() * 1_000.0);
            share += cost.as_secs_f64() / (hop_s * *model.detection.strides.get(length).unwrap_or(&1) as f64);
        }
        let _ = writeln!(
            out,
            "cost: a source takes {:.1} % of a core with a window every {} ms",
            share * 100.0,
            model.detection.hop_ms
        );
        if share > 1.0 {
            out.push_str("cost: this is more than there is; set a longer hop_ms or strides in the model's manifest\n");
        }
        out
    }
}

/// The processor time that this thread has taken; other programs that are busy do not count.
fn taken() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// The median of the processor times of one window, in which ONNX Runtime stays on this thread.
fn cost(tagger: &mut Tagger, length: usize, window: &[f32]) -> Result<Duration, ModelError> {
    let (begin, mut times, mut scores) = (Instant::now(), Vec::new(), Scores::default());
    while times.len() < MOST_MEASURED && (times.is_empty() || begin.elapsed() < MEASURED) {
        let before = taken();
        tagger.score(length, 1, window, &mut scores)?;
        times.push(taken().saturating_sub(before));
    }
    times.sort();
    Ok(times[times.len() / 2])
}
