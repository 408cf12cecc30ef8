//! Which moment a window's score speaks of.
//!
//! A clip tagger's score of the window that ends at e rises once about δ of a sound lies in the window, and falls once all but
//! about δ of it has left again: a rise speaks of e − δ, a fall of e − W + δ. That undoes the smear of a window of length W without
//! a second look at it. How several windows become one curve is decided here and nowhere else.

use crate::model::manifest::Detection;

/// How windows stand to time; all in samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scoring {
    window: u64,
    hop: u64,
    delta: u64,
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
            delta: detection.delta_samples(sample_rate_hz) as u64,
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
        Moment { rise: end.saturating_sub(self.delta), fall: (end + self.delta).saturating_sub(self.window) }
    }

    /// The stretch that a window's score is written for in a score curve: one hop around the window's centre.
    pub fn curve_span(&self, end: u64) -> (u64, u64) {
        let centre = end.saturating_sub(self.window / 2);
        (centre.saturating_sub(self.hop / 2), centre + self.hop.div_ceil(2))
    }
}
