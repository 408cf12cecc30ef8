//! Which moment a window's score speaks of.
//!
//! A clip tagger's score of the window that ends at e rises once about ρ of a sound lies in the window, and falls once all but
//! about φ of it has left again: a rise speaks of e − ρ, a fall of e − W + φ. That undoes the smear of a window of length W without
//! a second look at it; ρ and φ belong to the model. How several windows become one curve is decided here and nowhere else.

use crate::model::manifest::Detection;

/// How windows stand to time; all in samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scoring {
    window: u64,
    hop: u64,
    rise: u64,
    fall: u64,
}

/// What moment the score of a window speaks of, as sample indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// If the score rose in this window, the sound began here.
    pub rise: u64,
    /// If the score fell in this window, the sound ended here.
    pub fall: u64,
}

impl Scoring {
    /// The placing that a model's manifest asks for.
    pub fn new(detection: &Detection, sample_rate_hz: u32) -> Self {
        Self {
            window: detection.window_samples(sample_rate_hz) as u64,
            hop: detection.hop_samples(sample_rate_hz) as u64,
            rise: detection.rise_samples(sample_rate_hz) as u64,
            fall: detection.fall_samples(sample_rate_hz) as u64,
        }
    }

    /// The distance of two windows in samples.
    pub fn hop_samples(&self) -> u64 {
        self.hop
    }

    /// The length of a window in samples.
    pub fn window_samples(&self) -> u64 {
        self.window
    }

    /// How long after a sound's end its last window comes, in samples: so much silence settles every score.
    pub fn latency_samples(&self) -> u64 {
        self.window
    }

    /// What moment the window that ends at the sample index `end` speaks of.
    pub fn place(&self, end: u64) -> Moment {
        Moment { rise: end.saturating_sub(self.rise), fall: (end + self.fall).saturating_sub(self.window) }
    }

    /// The stretch that a window's score is written for in a score curve: one hop around the window's centre.
    pub fn curve_span(&self, end: u64) -> (u64, u64) {
        let centre = end.saturating_sub(self.window / 2);
        (centre.saturating_sub(self.hop / 2), centre + self.hop.div_ceil(2))
    }
}
