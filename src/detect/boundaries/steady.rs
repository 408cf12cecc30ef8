//! Whether a sound is steady: the newest of it is as what came before, in every part of the spectrum. It knows nothing of events.

use super::BoundaryRefiner;

/// A sound is steady where the level of its newest frames …
const NEW_FRAMES: u64 = 5;
/// … is that of so many frames before them …
const OLD_FRAMES: u64 = 20;
/// … to this, in dB, in each of so many groups of bands.
const STEADY_DB: f32 = 2.5;
const GROUPS: usize = 8;

impl BoundaryRefiner {
    /// Whether the sound just before the sample index `at` is as it was before that.
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
