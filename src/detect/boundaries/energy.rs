//! The energy of an event above the noise floor over time, and the runs of sound in it. It knows nothing of segments or labels.

use super::refine::OUTSIDE_S;
use super::{BoundaryRefiner, quantile};

/// The level of an event in a band is this quantile of the levels within the segment, which may be silent for the most part.
const LOUD_QUANTILE: f64 = 0.85;
/// The highest excess over the noise floor that counts in a band, in dB.
const LOUDEST_DB: f32 = 40.0;
/// The least excess over the noise floor that counts as sound, in dB.
const LEAST_DB: f32 = 4.0;
/// The least excess of an event that can be told from the noise, in dB: the noise's own levels vary by as much.
const LEAST_EXCESS_DB: f32 = 5.0;
/// The least excess that counts as sound, as a part of the event's excess; the higher of the two limits holds.
const LEAST_PART: f32 = 0.2;

/// The buffers for the refinement of one segment, which are used again.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    /// The energy of the event around its onset.
    pub early: EventEnergy,
    /// The energy of the event around its offset.
    pub late: EventEnergy,
    pub weights: Vec<f32>,
    pub sorted: Vec<f32>,
    pub runs: Vec<(usize, usize)>,
}

/// The energy of an event above the noise floor, weighted by the bands in which the event is loud.
#[derive(Debug, Default)]
pub(super) struct EventEnergy {
    /// The first frame of `energies`.
    pub first: u64,
    /// One value a frame, in dB above the noise floor.
    pub energies: Vec<f32>,
    /// How far the event exceeds the noise floor, in dB.
    pub excess_db: f32,
}

impl EventEnergy {
    /// Writes the runs of sound into `runs`, each as its first frame and the frame after its last, counted from `first`. A pause
    /// of up to `pause` frames does not part a run.
    pub fn runs(&self, pause: usize, runs: &mut Vec<(usize, usize)>) {
        let least = LEAST_DB.max(LEAST_PART * self.excess_db);
        runs.clear();
        let mut at = 0;
        while at < self.energies.len() {
            let length = self.energies[at..].iter().take_while(|energy| **energy > least).count();
            // A single frame is a spike of the noise.
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

impl BoundaryRefiner {
    /// Measures the energy around the event that lies between the frames `from` and `to`, in the event's own bands, and writes it
    /// into `energy`. Returns whether the event stands out of the noise at all.
    pub(super) fn measure(
        &self,
        energy: &mut EventEnergy,
        from: u64,
        to: u64,
        weights: &mut Vec<f32>,
        sorted: &mut Vec<f32>,
    ) -> bool {
        let (oldest, floors) = (self.oldest(self.known), self.floors());
        let from = from.max(oldest);
        let to = to.max(from + 3).min(self.known);
        if to < from + 3 {
            return false;
        }
        weights.clear();
        for (band, floor) in floors.iter().enumerate() {
            sorted.clear();
            sorted.extend(self.levels(band, from, to).map(|level| (level - floor).clamp(0.0, LOUDEST_DB)));
            // The noise of every band varies a little. Many such bands must not outweigh the few in which the event is loud.
            weights.push((quantile(sorted, LOUD_QUANTILE) - LEAST_DB).max(0.0));
        }
        let sum: f32 = weights.iter().sum();
        if sum < 1.0 {
            return false;
        }
        let margin = self.frames_in(OUTSIDE_S + 1.5);
        let first = from.saturating_sub(margin).max(oldest);
        let last = (to + margin).min(self.known);
        energy.first = first;
        energy.energies.clear();
        energy.energies.resize(last.saturating_sub(first) as usize, 0.0);
        for (band, (floor, weight)) in floors.iter().zip(&*weights).enumerate().filter(|(_, (_, weight))| **weight > 0.0) {
            for (energy, level) in energy.energies.iter_mut().zip(self.levels(band, first, last)) {
                *energy += weight * (level - floor).clamp(0.0, LOUDEST_DB);
            }
        }
        energy.energies.iter_mut().for_each(|energy| *energy /= sum);
        sorted.clear();
        sorted.extend_from_slice(&energy.energies[(from - first) as usize..(to - first) as usize]);
        energy.excess_db = quantile(sorted, LOUD_QUANTILE);
        energy.excess_db >= LEAST_EXCESS_DB
    }
}
