//! Alarm patterns: the evidence that the sound keeps the temporal pattern of a safety alarm, from the log-mel alone.
//!
//! A smoke alarm is told by its rhythm or its sweep, which standards prescribe, more surely than by its timbre. `pulses` follows
//! the pulses of each band, and `trains` recognises the trains of ISO 8201 (three pulses of half a second) and of carbon monoxide
//! alarms (four pulses of a tenth). `glides` follows the pitch of the strongest tone, and `sweeps` recognises the falling sweep of
//! DIN 33404, the slow whoop, and the warbles and alternating tones of BS 5839. `scores` adds the evidence to the scores of the
//! labels that the model's manifest lists.
//!
//! The watch never finds an alarm by itself: it moves the log odds of scores that the model gave. It knows no threshold, ignores
//! all frames after the moment that is being decided, and allocates nothing after construction.

mod bursts;
mod glides;
mod pulses;
mod scores;
mod sweeps;
mod trains;

use crate::features::LogMel;
use crate::features::mel::band_centres_hz;
use crate::model::Labels;
use crate::model::manifest::{Detection, Input};

use glides::PitchFollower;
use pulses::{Channels, Clock};
use scores::ScoreShift;
use sweeps::Sweeps;
use trains::{N_KINDS, Trains};

/// The strength from which a pattern counts as recognised.
const RECOGNISED: f32 = 0.5;

/// The watch of one source for the patterns of alarms.
#[derive(Debug)]
pub(crate) struct AlarmWatch {
    samples_per_frame: u64,
    /// The newest frame in dB, `[bands]`.
    levels: Vec<f32>,
    channels: Channels,
    trains: Vec<Trains>,
    pitch: PitchFollower,
    sweeps: Sweeps,
    /// The strength of the patterns after each of the newest frames, 0…1; that after frame t is at t % length.
    strengths: Vec<f32>,
    /// The number of frames that have come or were skipped: the index of the next.
    n_frames: u64,
    /// The strength at the moment that is being decided.
    strength: f32,
    shift: ScoreShift,
}

impl AlarmWatch {
    /// A watch for a model; at most `ahead` samples come between a moment and its decision. `None` where the manifest lists no labels
    /// of alarms, or where the model takes the waveform.
    pub fn new(detection: &Detection, input: &Input, labels: &Labels, ahead: u64) -> Option<Self> {
        let (alarms, log_mel) = (detection.alarms.as_ref()?, input.log_mel.as_ref()?);
        let samples_per_frame = log_mel.hop_length as u64;
        let clock = Clock::new(f64::from(input.sample_rate_hz) / samples_per_frame as f64);
        let centres_hz: Vec<f32> = band_centres_hz(log_mel).into_iter().map(|hz| hz as f32).collect();
        let channels = Channels::new(&centres_hz, clock);
        let listed = alarms.labels.iter().filter_map(|name| labels.find(name)).collect();
        // Each frame of a decision is still there when the newest has come.
        let n_strengths = ahead.div_ceil(samples_per_frame) + 64;
        Some(Self {
            samples_per_frame,
            levels: vec![0.0; log_mel.n_mels],
            trains: vec![Trains::new(clock); channels.len()],
            channels,
            pitch: PitchFollower::new(&centres_hz, clock),
            sweeps: Sweeps::new(clock),
            strengths: vec![0.0; n_strengths as usize],
            n_frames: 0,
            strength: 0.0,
            shift: ScoreShift::new(alarms, listed, labels.len(), detection.windows_ms.len()),
        })
    }

    /// Takes the frames that the log-mel has made since the last call.
    pub fn follow(&mut self, log_mel: &LogMel) {
        while self.n_frames < log_mel.n_frames() {
            for (level, new) in self.levels.iter_mut().zip(log_mel.frame(self.n_frames)) {
                *level = new;
            }
            self.take_frame();
        }
    }

    /// Follows the newest frame, whose levels are in `levels`.
    fn take_frame(&mut self) {
        let now = self.n_frames;
        let mut strength = 0.0f32;
        self.channels.follow(now, &self.levels, |channel, pace, pulse| self.trains[channel].take(now, pace, pulse));
        let mut going_on = [None; N_KINDS];
        for train in &self.trains {
            for (latest, last) in going_on.iter_mut().zip(train.going_on()) {
                *latest = last.max(*latest);
            }
        }
        for train in &mut self.trains {
            strength = strength.max(train.strength(now, &going_on));
        }
        if let Some(glide) = self.pitch.follow(now, &self.levels) {
            self.sweeps.take(&glide);
        }
        strength = strength.max(self.sweeps.strength(now, self.pitch.current()));
        let place = (now % self.strengths.len() as u64) as usize;
        self.strengths[place] = strength;
        self.n_frames += 1;
    }

    /// Adds the evidence at the sample index `now` to the scores of the windows, `[windows, labels]`, of which `is_fresh` names
    /// those that were scored. All later sound is ignored. Returns the scores with the evidence and the windows that have changed:
    /// all of them where a pattern has just been recognised.
    pub fn add_evidence(&mut self, now: u64, scores: &[f32], is_fresh: &[bool]) -> (&[f32], &[bool]) {
        let frame = now / self.samples_per_frame;
        let known = frame.min(self.n_frames.saturating_sub(1));
        let before = self.strength;
        self.strength = self.strengths[(known % self.strengths.len() as u64) as usize];
        let is_recognised = self.strength >= RECOGNISED && before < RECOGNISED;
        self.shift.add(frame, scores, is_fresh, self.strength, is_recognised)
    }

    /// Continues at the sample index `at` and forgets everything before it.
    pub fn skip_to(&mut self, at: u64) {
        self.n_frames = at.div_ceil(self.samples_per_frame);
        self.channels.reset();
        self.trains.iter_mut().for_each(Trains::reset);
        self.pitch.reset();
        self.sweeps.reset();
        self.strengths.fill(0.0);
        self.strength = 0.0;
        self.shift.reset();
    }
}

#[cfg(test)]
mod tests;
