//! The pitch of the strongest tone, and its glides: stretches of time in which it moves evenly, or stays.
//!
//! The pitch is the power-weighted mean of the centres of three neighbouring bands, which is exact for a tone because the filters
//! are triangles. Of several tones the lowest that is nearly as loud as the loudest counts, which is the fundamental of most
//! alarms. A glide ends where the tone jumps or stops. It says nothing about the meaning of a glide.

use super::pulses::Clock;

/// The range in which tones are followed, in Hz.
const RANGE_HZ: (f32, f32) = (390.0, 1_560.0);
/// How far a tone must exceed the bands beside it, in dB.
const PROMINENCE_DB: f32 = 6.0;
/// The lowest tone that is fainter than the loudest by no more than this counts, in dB.
const NEARLY_DB: f32 = 9.0;
/// A tone that is fainter than this is none: about -70 dBFS in the log-mel, in dB.
const FAINTEST_DB: f32 = -28.0;
/// The greatest deviation of a pitch from the one expected, as a part of it.
const DEVIATION: f32 = 0.06;
/// Tones above this may be octaves of the one that is followed, in Hz.
const OCTAVE_HZ: f32 = 1_300.0;
/// The part of a deviation by which the line is corrected.
const CORRECTION: f32 = 0.4;
/// The weight of the newest step in the slope of a glide.
const NEWEST: f32 = 0.1;

/// A stretch of even pitch; times are frames.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Glide {
    /// The first frame.
    pub start: u64,
    /// The last frame.
    pub end: u64,
    /// The pitch at the start in Hz.
    pub from_hz: f32,
    /// The pitch at the end in Hz.
    pub to_hz: f32,
}

/// Follows the pitch of one source.
#[derive(Debug)]
pub(super) struct PitchFollower {
    centres_hz: Vec<f32>,
    /// The bands in the range, from the first to before the last.
    bands: (usize, usize),
    /// The present glide; `None` while there is no tone.
    glide: Option<Glide>,
    /// The change of pitch in Hz a frame.
    slope: f32,
    /// The frames since the last one that fitted.
    n_missed: u64,
    /// The first pitch that did not fit, with its frame.
    other: Option<(u64, f32)>,
    most_missed: u64,
    settled: u64,
}

impl PitchFollower {
    pub fn new(centres_hz: &[f32], clock: Clock) -> Self {
        let place = |hz: f32| centres_hz.partition_point(|centre| *centre < hz);
        Self {
            centres_hz: centres_hz.to_vec(),
            bands: (place(RANGE_HZ.0), place(RANGE_HZ.1)),
            glide: None,
            slope: 0.0,
            n_missed: 0,
            other: None,
            most_missed: clock.frames(0.05),
            settled: clock.frames(0.08),
        }
    }

    /// The present glide; its end is the last frame that fitted.
    pub fn current(&self) -> Option<&Glide> {
        self.glide.as_ref()
    }

    /// Follows frame `now` with these levels of the bands. Returns the glide that has ended.
    pub fn follow(&mut self, now: u64, levels: &[f32]) -> Option<Glide> {
        let pitch_hz = self.pitch(levels);
        let Some(glide) = &mut self.glide else {
            self.begin(now, pitch_hz);
            return None;
        };
        let since = (now - glide.end) as f32;
        // A young glide has no slope that could be relied upon.
        let slope = if glide.end - glide.start < self.settled { 0.0 } else { self.slope };
        let expected_hz = glide.to_hz + slope * since;
        // In a room the fundamental may vanish for a moment, and its octave remain. A lower octave may be a new sweep's beginning.
        let fits = |hz: f32| (hz / expected_hz - 1.0).abs() <= DEVIATION;
        let fundamental_hz = pitch_hz.map(|hz| if hz > OCTAVE_HZ && fits(hz / 2.0) { hz / 2.0 } else { hz });
        match fundamental_hz {
            Some(hz) if fits(hz) => {
                let step = (hz - glide.to_hz) / since;
                self.slope += (step - self.slope) * NEWEST.max(1.0 / ((now - glide.start) as f32 + 1.0));
                // One pitch beside the line does not lead off it.
                (glide.end, glide.to_hz) = (now, expected_hz + (hz - expected_hz) * CORRECTION);
                (self.n_missed, self.other) = (0, None);
                None
            }
            _ => {
                self.n_missed += 1;
                if self.other.is_none() {
                    self.other = pitch_hz.map(|hz| (now, hz));
                }
                if self.n_missed < self.most_missed {
                    return None;
                }
                let ended = *glide;
                let other =
                    self.other.take().filter(|(_, hz)| pitch_hz.is_some_and(|now| (now / hz - 1.0).abs() <= 2.0 * DEVIATION));
                self.begin(now, pitch_hz);
                if let (Some(glide), Some((start, hz))) = (&mut self.glide, other) {
                    (glide.start, glide.from_hz) = (start, hz);
                    self.slope = (glide.to_hz - hz) / (now - start).max(1) as f32;
                }
                Some(ended)
            }
        }
    }

    fn begin(&mut self, now: u64, pitch_hz: Option<f32>) {
        self.glide = pitch_hz.map(|hz| Glide { start: now, end: now, from_hz: hz, to_hz: hz });
        (self.slope, self.n_missed, self.other) = (0.0, 0, None);
    }

    /// The pitch of the strongest tone in Hz; `None` where there is none.
    fn pitch(&self, levels: &[f32]) -> Option<f32> {
        let (from, to) = (self.bands.0.max(1), self.bands.1.min(levels.len().saturating_sub(1)));
        let loudest = (from..to).map(|band| levels[band]).fold(f32::NEG_INFINITY, f32::max);
        if loudest < FAINTEST_DB {
            return None;
        }
        let around = |band: usize| {
            let beside = [band.wrapping_sub(4), band.wrapping_sub(3), band + 3, band + 4];
            let (sum, n) = beside.iter().filter_map(|at| levels.get(*at)).fold((0.0, 0.0f32), |(sum, n), db| (sum + db, n + 1.0));
            sum / n.max(1.0)
        };
        let is_tone = |band: &usize| {
            let level = levels[*band];
            let is_peak = level >= levels[band - 1] && level >= levels[band + 1];
            is_peak && level >= loudest - NEARLY_DB && level >= around(*band) + PROMINENCE_DB
        };
        let band = (from..to).find(is_tone)?;
        let (mut weighted, mut sum) = (0.0, 0.0);
        for at in band - 1..=band + 1 {
            let power = 10f32.powf((levels[at] - levels[band]) / 10.0);
            (weighted, sum) = (weighted + power * self.centres_hz[at], sum + power);
        }
        let hz = weighted / sum;
        (hz.is_finite() && hz > 0.0).then_some(hz)
    }

    pub fn reset(&mut self) {
        self.begin(0, None);
    }
}
