//! Bursts of quick beeps in a room: the echo of each beep fills the pause after it, but the level repeats itself with every beep.
//!
//! A burst is a sound of the length of four beeps of a tenth of a second whose level is the same a fifth of a second before, and at
//! no shorter distance. The interference of a tone with its echoes makes any shape of each beep, yet the same one.

use super::pulses::{Clock, Pulse};

/// The length of a burst, from and to, in seconds.
const LENGTH_S: (f64, f64) = (0.62, 0.87);
/// The part of a burst that is looked at, from its beginning on, in seconds.
const LOOK_S: f64 = 0.68;
/// The distance of two beeps, from and to, in seconds.
const PERIOD_S: (f64, f64) = (0.18, 0.22);
/// The shorter distances, from and to, in seconds.
const SHORTER_S: (f64, f64) = (0.04, 0.13);
/// The greatest mean difference of the level from that of the beep before, in dB.
const SAME_DB: f32 = 2.0;
/// The least mean difference from the level at any shorter distance, beyond twice the former, in dB.
const OTHER_DB: f32 = 1.5;

/// The levels of each channel over the time of a burst.
#[derive(Debug)]
pub(super) struct Bursts {
    clock: Clock,
    /// The newest levels in dB, `[channels, memory]`; that of frame t is at t % memory.
    levels: Vec<f32>,
    memory: usize,
}

impl Bursts {
    pub fn new(n_channels: usize, clock: Clock) -> Self {
        // A sound is judged when it has ended, and a dip later.
        let memory = clock.frames(LENGTH_S.1 + 0.3) as usize + 1;
        Self { clock, levels: vec![0.0; n_channels * memory], memory }
    }

    /// Remembers the level of a channel in frame `now`.
    pub fn remember(&mut self, channel: usize, now: u64, level_db: f32) {
        let place = channel * self.memory + (now % self.memory as u64) as usize;
        self.levels[place] = level_db;
    }

    /// Judges a step of a sound in a channel: a burst is a pulse, and no other sound is.
    pub fn judge(&self, channel: usize, step: Pulse) -> Pulse {
        match step {
            Pulse::Began { .. } => step,
            Pulse::Ended { start, end, level_db } | Pulse::Other { start, end, level_db } => {
                if self.is_burst(channel, start, end) {
                    Pulse::Ended { start, end, level_db }
                } else {
                    Pulse::Other { start, end, level_db }
                }
            }
        }
    }

    fn is_burst(&self, channel: usize, start: u64, end: u64) -> bool {
        let length_s = self.clock.seconds(end - start);
        if !(LENGTH_S.0..=LENGTH_S.1).contains(&length_s) {
            return false;
        }
        let least = |range: (f64, f64)| {
            let distances = self.clock.frames(range.0)..=self.clock.frames(range.1);
            distances.map(|back| self.difference(channel, start, back)).fold(f32::INFINITY, f32::min)
        };
        let same = least(PERIOD_S);
        same <= SAME_DB && least(SHORTER_S) >= 2.0 * same + OTHER_DB
    }

    /// The mean difference of the level in a burst that began at `start` from the level this many frames before, in dB.
    fn difference(&self, channel: usize, start: u64, back: u64) -> f32 {
        let memory = self.memory as u64;
        let level = |frame: u64| self.levels[channel * self.memory + (frame % memory) as usize];
        // The first frames of a sound belong to its rise.
        let (from, to) = (start + 2 + back, start + self.clock.frames(LOOK_S));
        let sum: f32 = (from..to).map(|frame| (level(frame) - level(frame - back)).abs()).sum();
        sum / to.saturating_sub(from).max(1) as f32
    }
}
