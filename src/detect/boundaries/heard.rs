//! An event as it stands out of the noise: its energy over time, and the runs of sound in it. It knows nothing of boxes.

use super::LEAST_DB;

/// Sound is what exceeds the floor by this part of what the event exceeds it by, and by the least level.
const LEAST_PART: f32 = 0.2;

/// What an edge is found with; its buffers are used again and again.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    /// The event as it is heard near its onset.
    pub early: EventEnergy,
    /// The same near its offset.
    pub late: EventEnergy,
    pub weights: Vec<f32>,
    pub sorted: Vec<f32>,
    pub runs: Vec<(usize, usize)>,
}

/// The energy of an event above the noise floor, in its own bands.
#[derive(Debug, Default)]
pub(super) struct EventEnergy {
    /// The first frame of `energies`.
    pub first: u64,
    /// In dB above the floor.
    pub energies: Vec<f32>,
    /// How far the event exceeds the floor, in dB.
    pub excess_db: f32,
}

impl EventEnergy {
    /// Writes where there is sound into `runs`, pauses up to `pause` frames included: begins and ends, counted from `first`.
    pub fn runs(&self, pause: usize, runs: &mut Vec<(usize, usize)>) {
        let least = LEAST_DB.max(LEAST_PART * self.excess_db);
        runs.clear();
        let mut at = 0;
        while at < self.energies.len() {
            let length = self.energies[at..].iter().take_while(|energy| **energy > least).count();
            // One frame alone is a spike of the noise.
            if length >= 2 {
                match runs.last_mut() {
                    Some((_, end)) if at <= *end + pause => *end = at + length,
                    _ => runs.push((at, at + length)),
                }
            }
            at += length.max(1);
        }
    }
}
