//! The level meter: the energy of the recent past in blocks of 10 ms, for the level of any stretch of it and for the noise floor.
//!
//! It decides nothing and knows nothing of events.

/// The number of blocks a second.
const BLOCKS_PER_SECOND: u32 = 100;
/// The number of blocks that are stored: 60 s.
const CAPACITY: usize = 6_000;
/// The number of blocks that may be asked for: 55 s. The rest is room for the newest sound, which runs ahead of the decisions by
/// a few seconds.
const REMEMBERED: u64 = 5_500;
/// The newest stretch from which the noise floor is estimated, in blocks: 20 s.
const FLOOR_BLOCKS: u64 = 2_000;
/// The noise floor is estimated from every n-th block; this is n.
const FLOOR_STEP: usize = 5;
/// The level of digital silence in dBFS: below that of the least 24-bit sample.
pub const SILENCE_DBFS: f32 = -150.0;

/// The energy of the recent past in blocks.
#[derive(Debug)]
pub struct LevelMeter {
    block_samples: u64,
    /// Mean squares; block b is at b % CAPACITY.
    blocks: Vec<f32>,
    sum: f64,
    n_samples: u64,
}

/// A mean square in dB relative to full scale.
pub fn dbfs(mean_square: f64) -> f32 {
    if mean_square > 0.0 { ((10.0 * mean_square.log10()) as f32).max(SILENCE_DBFS) } else { SILENCE_DBFS }
}

impl LevelMeter {
    /// A meter for sound at `sample_rate_hz`.
    pub fn new(sample_rate_hz: u32) -> Self {
        Self {
            block_samples: u64::from((sample_rate_hz / BLOCKS_PER_SECOND).max(1)),
            blocks: vec![0.0; CAPACITY],
            sum: 0.0,
            n_samples: 0,
        }
    }

    /// Takes the next samples.
    pub fn push(&mut self, samples: &[f32]) {
        let mut rest = samples;
        while !rest.is_empty() {
            let room = (self.block_samples - self.n_samples % self.block_samples) as usize;
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.sum += now.iter().map(|sample| f64::from(*sample) * f64::from(*sample)).sum::<f64>();
            self.n_samples += now.len() as u64;
            if self.n_samples.is_multiple_of(self.block_samples) {
                let block = self.n_samples / self.block_samples - 1;
                self.blocks[(block % CAPACITY as u64) as usize] = (self.sum / self.block_samples as f64) as f32;
                self.sum = 0.0;
            }
            rest = later;
        }
    }

    /// Whether every block between two sample indices has a mean square of at most `gate`.
    pub fn is_quiet(&self, from: u64, to: u64, gate: f32) -> bool {
        // A block that is not complete yet is left out, so that a later question has the same answer.
        let blocks = (from / self.block_samples)..(to / self.block_samples);
        blocks.into_iter().all(|block| self.blocks[(block % CAPACITY as u64) as usize] <= gate)
    }

    /// Continues at the sample index `at`; the skipped sound counts as silence.
    pub fn skip_to(&mut self, at: u64) {
        self.blocks.fill(0.0);
        self.sum = 0.0;
        self.n_samples = at;
    }

    /// The noise floor in dBFS: the level below which the quietest fifth of the last 20 s lies.
    pub fn floor_dbfs(&self) -> f32 {
        let newest = self.n_samples / self.block_samples;
        let oldest = newest.saturating_sub(FLOOR_BLOCKS);
        let blocks = (oldest..newest).step_by(FLOOR_STEP).map(|block| self.blocks[(block % CAPACITY as u64) as usize]);
        let mut sorted = [0.0; FLOOR_BLOCKS as usize / FLOOR_STEP];
        let mut n = 0;
        for (place, block) in sorted.iter_mut().zip(blocks) {
            *place = block;
            n += 1;
        }
        match n {
            0 => SILENCE_DBFS,
            n => dbfs(f64::from(*sorted[..n].select_nth_unstable_by(n / 5, f32::total_cmp).1)),
        }
    }

    /// The root mean square level between two sample indices in dBFS. Of a stretch longer than the memory, its last 55 s count.
    pub fn level_dbfs(&self, from: u64, to: u64) -> f32 {
        let newest = self.n_samples / self.block_samples;
        let last = to.div_ceil(self.block_samples).min(newest);
        // Older blocks may be overwritten by the time that somebody asks.
        let oldest = last.saturating_sub(REMEMBERED);
        let first = (from / self.block_samples).max(oldest).min(last.saturating_sub(1));
        if first >= last {
            return SILENCE_DBFS;
        }
        let sum: f64 = (first..last).map(|block| f64::from(self.blocks[(block % CAPACITY as u64) as usize])).sum();
        dbfs(sum / (last - first) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_scale_square_is_0_dbfs_and_its_half_is_6_less() {
        let mut meter = LevelMeter::new(16_000);
        meter.push(&[1.0; 1_600]);
        meter.push(&[0.5; 1_600]);
        assert!(meter.level_dbfs(0, 1_600).abs() < 1e-3);
        assert!((meter.level_dbfs(1_600, 3_200) + 6.02).abs() < 1e-2);
    }

    #[test]
    fn the_noise_floor_is_the_level_between_the_sounds() {
        let mut meter = LevelMeter::new(16_000);
        assert_eq!(meter.floor_dbfs(), SILENCE_DBFS);
        for _ in 0..20 {
            meter.push(&[0.001; 8_000]);
            meter.push(&[0.5; 8_000]);
        }
        assert!((meter.floor_dbfs() + 60.0).abs() < 0.1, "{}", meter.floor_dbfs());
        // A loud sound 20 seconds ago is forgotten.
        meter.push(&vec![0.5; 20 * 16_000]);
        assert!((meter.floor_dbfs() + 6.0).abs() < 0.1, "{}", meter.floor_dbfs());
    }

    #[test]
    fn silence_and_an_empty_stretch_have_the_lowest_level() {
        let mut meter = LevelMeter::new(16_000);
        assert_eq!(meter.level_dbfs(0, 0), SILENCE_DBFS);
        meter.push(&[0.0; 16_000]);
        assert_eq!(meter.level_dbfs(0, 16_000), SILENCE_DBFS);
        assert_eq!(meter.level_dbfs(500, 500), SILENCE_DBFS);
    }

    #[test]
    fn a_stretch_longer_than_the_memory_is_measured_on_what_is_left() {
        let mut meter = LevelMeter::new(16_000);
        for _ in 0..90 {
            meter.push(&[0.1; 16_000]);
        }
        assert!((meter.level_dbfs(0, 90 * 16_000) + 20.0).abs() < 1e-2);
    }
}
