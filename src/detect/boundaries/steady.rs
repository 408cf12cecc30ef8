//! Steadiness: whether the newest part of a sound is as loud as the part before it in every group of bands. It knows nothing of
//! events.

use super::BoundaryRefiner;

/// The newest part of the sound, in frames.
const NEW_FRAMES: u64 = 5;
/// The part before it, in frames.
const OLD_FRAMES: u64 = 20;
/// The greatest difference of their mean levels in a steady sound, in dB.
const STEADY_DB: f32 = 2.5;
/// The number of groups of neighbouring bands that are compared.
const GROUPS: usize = 8;

impl BoundaryRefiner {
    /// Whether the sound just before the sample index `at` has the same spectrum as the sound before that.
    pub fn is_steady(&self, at: u64) -> bool {
        let end = (at / self.samples_per_frame).min(self.n_frames);
        if end < self.first + OLD_FRAMES + NEW_FRAMES {
            return false;
        }
        let mean = |bands: std::ops::Range<usize>, from: u64, to: u64| {
            let n = bands.len() as f32 * (to - from) as f32;
            bands.map(|band| self.levels(band, from, to).sum::<f32>()).sum::<f32>() / n
        };
        let (old, new) = (end - NEW_FRAMES - OLD_FRAMES, end - NEW_FRAMES);
        let size = self.n_bands.div_ceil(GROUPS);
        (0..self.n_bands).step_by(size).all(|first| {
            let bands = first..(first + size).min(self.n_bands);
            (mean(bands.clone(), new, end) - mean(bands, old, new)).abs() < STEADY_DB
        })
    }
}
