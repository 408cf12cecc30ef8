//! Boundary refinement: moves the onset and the offset of a segment to where the sound itself begins and ends in the log-mel.
//!
//! A segment of a curve of scores places an event to within half a second. The event's own spectrum is more precise: it is taken
//! inside the segment, above the noise floor of each band, and it weights the bands (`energy`). A boundary is where the weighted
//! energy rises from the noise floor or falls back to it, if that is near the segment's own boundary (`refine`). `floors` learns
//! the noise floors, and `steady` says whether a sound changes at all.
//!
//! Refinement knows no labels. Where the sound shows no boundary, as within a steady sound, the segment's own stays. It also
//! ignores everything after the moment that is being decided, so that the results do not depend on how far a batch of windows
//! runs ahead of the decisions.

mod energy;
mod floors;
mod refine;
mod steady;

use std::cell::RefCell;

use crate::features::LogMel;
use energy::Workspace;

/// Frames of the log-mel that are averaged into one frame of the refiner.
const FRAMES: u64 = 2;
/// The length of the remembered past, in seconds.
const MEMORY_S: f64 = 20.0;
/// The noise floor of a band is this quantile of its levels.
const FLOOR_QUANTILE: f64 = 0.2;
/// The distance of two estimates of the noise floor, in frames.
const FLOOR_FRAMES: u64 = 25;
/// The noise floor is estimated from every n-th level; this is n.
const FLOOR_STEP: usize = 5;
/// Lower levels are raised to this, in dB: above a digital silence every noise would count as sound.
const QUIETEST_DB: f32 = -95.0;

/// The level of each band over the recent past, and the boundaries of sounds in it.
#[derive(Debug)]
pub struct BoundaryRefiner {
    n_bands: usize,
    samples_per_frame: u64,
    /// The newest frames in dB, `[n_bands, capacity]`; frame t is in column t % capacity.
    frames: Vec<f32>,
    capacity: u64,
    /// The length of the remembered past in frames, counted back from the moment that is being decided.
    memory: u64,
    /// The number of frames that have come or were skipped: the index of the next.
    n_frames: u64,
    /// The number of frames before the moment that is being decided; later ones are ignored.
    known: u64,
    /// The first frame after the last skip; from it on the noise floors are estimated at regular distances.
    first: u64,
    /// The newest noise floors of the bands in dB, `[sets, n_bands]`; estimate k is at k % sets.
    floors: Vec<f32>,
    n_learnt: u64,
    /// Whether the sound is over. The silence appended after it must not change the noise floors.
    is_over: bool,
    sorted: Vec<f32>,
    /// Buffers that are used again, so that nothing is allocated for a segment.
    workspace: RefCell<Workspace>,
}

/// A segment before refinement, with the curve around it; times are sample indices.
pub struct CoarseSegment<'a> {
    /// Where the segment begins.
    pub onset: u64,
    /// Where the segment ends.
    pub offset: u64,
    /// The segment's peak, 0…1.
    pub peak: f32,
    /// The median of the curve between two sample indices.
    pub curve: &'a dyn Fn(u64, u64) -> f32,
    /// Where the curve vanished after the segment.
    pub vanished: u64,
}

impl std::fmt::Debug for CoarseSegment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CoarseSegment").field("onset", &self.onset).field("offset", &self.offset).finish_non_exhaustive()
    }
}

/// An onset or an offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Boundary {
    /// The best estimate, as a sample index.
    pub at: u64,
    /// How far the estimate may be from the truth, in samples.
    pub uncertainty: u64,
}

/// The boundaries of a segment in time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SegmentBounds {
    /// The beginning of the sound.
    pub onset: Boundary,
    /// The end of the sound; after the onset.
    pub offset: Boundary,
    /// The signal-to-noise ratio: how far the event exceeds the noise floor in its own bands, in dB. `None` where it was not
    /// measured.
    pub snr_db: Option<f32>,
}

impl BoundaryRefiner {
    /// A refiner for a log-mel with `n_bands` bands and a frame every `hop` samples. At most `ahead` samples come between a
    /// moment and its decision.
    pub fn new(n_bands: usize, hop: usize, sample_rate_hz: u32, ahead: u64) -> Self {
        let samples_per_frame = hop as u64 * FRAMES;
        let memory = (MEMORY_S * f64::from(sample_rate_hz) / samples_per_frame as f64).ceil() as u64 + 1;
        let n_ahead = ahead.div_ceil(samples_per_frame) + 1;
        let (capacity, sets) = (memory + n_ahead, n_ahead / FLOOR_FRAMES + 2);
        Self {
            n_bands,
            samples_per_frame,
            frames: vec![QUIETEST_DB; capacity as usize * n_bands],
            capacity,
            memory,
            n_frames: 0,
            known: 0,
            first: 0,
            floors: vec![QUIETEST_DB; sets as usize * n_bands],
            n_learnt: 0,
            is_over: false,
            sorted: Vec::with_capacity(memory as usize / FLOOR_STEP + 1),
            workspace: RefCell::default(),
        }
    }

    /// Takes the frames that the log-mel has made since the last call.
    pub fn follow(&mut self, log_mel: &LogMel) {
        while (self.n_frames + 1) * FRAMES <= log_mel.n_frames() {
            let column = (self.n_frames % self.capacity) as usize;
            let (a, b) = (log_mel.frame(self.n_frames * FRAMES), log_mel.frame(self.n_frames * FRAMES + 1));
            for ((band, a), b) in self.frames.chunks_exact_mut(self.capacity as usize).zip(a).zip(b) {
                band[column] = ((a + b) / 2.0).max(QUIETEST_DB);
            }
            self.n_frames += 1;
            if !self.is_over && (self.n_frames - self.first).is_multiple_of(FLOOR_FRAMES) {
                self.learn_floors();
            }
        }
    }

    /// Sets the moment of the next decisions to the sample index `now`; all later sound is ignored.
    pub fn decide_at(&mut self, now: u64) {
        self.known = (now / self.samples_per_frame).min(self.n_frames);
    }

    /// Marks the end of the sound: only the silence that settles the last scores follows.
    pub fn end_input(&mut self) {
        self.is_over = true;
    }

    fn learn_floors(&mut self) {
        let mut sorted = std::mem::take(&mut self.sorted);
        let (before, now) = (self.set(self.n_learnt), self.set(self.n_learnt + 1));
        for band in 0..self.n_bands {
            self.every(FLOOR_STEP, band, &mut sorted);
            self.floors[now + band] = floors::floor(&mut sorted, FLOOR_QUANTILE, self.floors[before + band]);
        }
        self.sorted = sorted;
        self.n_learnt += 1;
    }

    /// The place of estimate k among the noise floors.
    fn set(&self, k: u64) -> usize {
        k as usize % (self.floors.len() / self.n_bands) * self.n_bands
    }

    /// The noise floor of each band as it was known at the moment that is being decided.
    fn floors(&self) -> &[f32] {
        let learnt = (self.known.saturating_sub(self.first) / FLOOR_FRAMES).min(self.n_learnt);
        &self.floors[self.set(learnt)..][..self.n_bands]
    }

    /// The oldest frame that is remembered while the frames before `end` are known.
    fn oldest(&self, end: u64) -> u64 {
        end.saturating_sub(self.memory).max(self.first)
    }

    /// Continues at the sample index `at` and forgets everything before it.
    pub fn skip_to(&mut self, at: u64) {
        self.n_frames = at.div_ceil(self.samples_per_frame);
        self.known = self.n_frames;
        self.first = self.n_frames;
        // The last noise floors hold until there are new ones.
        let last = self.set(self.n_learnt);
        self.floors.copy_within(last..last + self.n_bands, 0);
        self.n_learnt = 0;
    }

    fn frame_at(&self, sample: u64) -> u64 {
        (sample + self.samples_per_frame / 2) / self.samples_per_frame
    }

    fn frames_in(&self, seconds: f64) -> u64 {
        // The memory tells the length of a frame: it holds MEMORY_S.
        (seconds / MEMORY_S * (self.memory - 1) as f64).round() as u64
    }

    /// Writes every `step`-th of the newest levels of a band into `out`, the oldest first.
    fn every(&self, step: usize, band: usize, out: &mut Vec<f32>) {
        let capacity = self.capacity as usize;
        let band = &self.frames[band * capacity..(band + 1) * capacity];
        let oldest = self.oldest(self.n_frames);
        let mut column = (oldest % self.capacity) as usize;
        out.resize(((self.n_frames - oldest) as usize).div_ceil(step), 0.0);
        for place in out {
            *place = band[column];
            column += step;
            // A comparison is cheaper than a division.
            column -= if column >= capacity { capacity } else { 0 };
        }
    }

    /// The levels of a band between two remembered frames.
    fn levels(&self, band: usize, from: u64, to: u64) -> impl Iterator<Item = f32> {
        let capacity = self.capacity as usize;
        let band = &self.frames[band * capacity..(band + 1) * capacity];
        let (first, n) = ((from % self.capacity) as usize, to.saturating_sub(from) as usize);
        let n_straight = n.min(capacity - first);
        band[first..first + n_straight].iter().chain(&band[..n - n_straight]).copied()
    }
}

/// The quantile `q` of the values, whose order is lost; 0 of none.
fn quantile(values: &mut [f32], q: f64) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let at = ((values.len() - 1) as f64 * q).round() as usize;
    *values.select_nth_unstable_by(at, f32::total_cmp).1
}

#[cfg(test)]
mod tests;
