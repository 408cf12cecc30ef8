//! Onsets and offsets sharper than the windows: where the sound itself begins and ends, from the log-mel of the recent past.
//!
//! A box of a score curve says to within half a second where an event lies. The event's own spectrum, taken inside the box and above
//! the noise floor of each band, weighs the bands; the edge is where the energy so weighed leaves the floor, if that is near. It
//! knows no labels, and changes nothing that it cannot hear: in a steady sound the box's own edges stay. Nor does it look at what has
//! come after the moment that is being decided, so that it is all the same how far a batch runs ahead of the decisions.

mod floors;
mod heard;
mod steady;

use std::cell::RefCell;

use super::segments::VANISHED;
use crate::features::LogMel;
use heard::{EventEnergy, Workspace};

/// Frames of the log-mel that are averaged into one of ours.
const FRAMES: u64 = 2;
/// How much of the past is remembered, in seconds.
const MEMORY_S: f64 = 20.0;
/// The noise floor of a band is this part of its sorted levels.
const FLOOR_QUANTILE: f64 = 0.2;
/// The floor is learnt again after so many frames.
const FLOOR_FRAMES: u64 = 25;
/// Of the levels each so-manieth is looked at for that.
const FLOOR_STEP: usize = 5;
/// The level of an event in a band is this part of the sorted levels in its box, much of which may be silent.
const LOUD_QUANTILE: f64 = 0.85;
/// Levels below this are silence; a digital silence would make every noise a sound, in dB.
const QUIETEST_DB: f32 = -95.0;
/// No band counts for more than this above the floor, in dB.
const LOUDEST_DB: f32 = 40.0;
/// Sound is what exceeds the floor by this, in dB.
const LEAST_DB: f32 = 4.0;
/// What exceeds the floor by less than this is not heard apart from the noise, whose own levels sway by as much, in dB.
const LEAST_EXCESS_DB: f32 = 5.0;
/// Pauses up to this length are part of a sound, in seconds.
const PAUSE_S: f64 = 0.3;
/// An edge this near to the box's is taken whatever the curve says, in seconds.
const NEAR_S: f64 = 0.7;
/// An edge this far inside the box is taken, in seconds.
const INSIDE_S: f64 = 1.0;
/// An edge this far outside is taken where the curve has not yet vanished there, in seconds.
const OUTSIDE_S: f64 = 4.0;
/// Where no run of sound gives an edge, the highest step of the energy does if the box is at least this long, in seconds.
const STEP_BOX_S: f64 = 1.3;
/// A step is the difference of the means over so long before and after it, in seconds …
const STEP_S: f64 = 0.2;
/// … of at least this part of what the event exceeds the floor by.
const STEP_PART: f32 = 0.25;
/// How far inside and outside of the box a step is looked for, in seconds.
const STEP_REACH_S: (f64, f64) = (0.5, 1.5);
/// How much of a long event is looked at to know its spectrum, in seconds.
const LOOK_S: f64 = 5.0;

/// The level of each band over the recent past, and where sounds begin and end in it.
#[derive(Debug)]
pub struct BoundaryRefiner {
    n_bands: usize,
    samples_per_frame: u64,
    /// The newest frames in dB, `[n_bands, capacity]`, frame t in column t % capacity.
    frames: Vec<f32>,
    capacity: u64,
    /// How many frames before the newest that is looked at are looked at.
    memory: u64,
    /// How many frames have been taken or skipped: the index of the next.
    n_frames: u64,
    /// So many of them are looked at: those before the moment that is being decided.
    known: u64,
    /// The first frame that was not skipped; floors are learnt at every so-manieth after it.
    first: u64,
    /// The newest noise floors of the bands in dB, `[sets, n_bands]`, the k-th that were learnt at k % sets.
    floors: Vec<f32>,
    n_learnt: u64,
    /// Whether the sound is over: the silence after it says nothing of its noise.
    is_over: bool,
    sorted: Vec<f32>,
    /// Workspace to work in, so that nothing is allocated for each box.
    room: RefCell<Workspace>,
}

/// A box and what the curve says around it; times are sample indices.
pub struct CoarseSegment<'a> {
    /// Where the box begins.
    pub onset: u64,
    /// Where it ends.
    pub offset: u64,
    /// The box's peak.
    pub peak: f32,
    /// The curve's median between two sample indices.
    pub curve: &'a dyn Fn(u64, u64) -> f32,
    /// Where the curve vanished after the box.
    pub vanished: u64,
}

impl std::fmt::Debug for CoarseSegment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CoarseSegment").field("onset", &self.onset).field("offset", &self.offset).finish_non_exhaustive()
    }
}

/// An edge of an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Boundary {
    /// Where it is, as a sample index.
    pub at: u64,
    /// How far it may be from there, in samples.
    pub uncertainty: u64,
}

/// A sharpened box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SegmentBounds {
    /// When the sound began.
    pub onset: Boundary,
    /// When it ended; after its onset.
    pub offset: Boundary,
    /// How far the event exceeds the noise floor in its own bands, in dB; `None` where that is not known.
    pub snr_db: Option<f32>,
}

impl BoundaryRefiner {
    /// Remembers the newest levels of a log-mel with `n_bands` bands and a hop of `hop` samples. At most `ahead` samples come between
    /// a moment and its decision.
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
            room: RefCell::default(),
        }
    }

    /// Takes what the log-mel has made since the last time.
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

    /// What is asked from now on is asked at the sample index `now`.
    pub fn decide_at(&mut self, now: u64) {
        self.known = (now / self.samples_per_frame).min(self.n_frames);
    }

    /// What comes from now on is the silence after the sound.
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

    /// Where the floors that were learnt as the k-th begin.
    fn set(&self, k: u64) -> usize {
        k as usize % (self.floors.len() / self.n_bands) * self.n_bands
    }

    /// The noise floor of each band as it was known.
    fn floors(&self) -> &[f32] {
        let learnt = (self.known.saturating_sub(self.first) / FLOOR_FRAMES).min(self.n_learnt);
        &self.floors[self.set(learnt)..][..self.n_bands]
    }

    /// The oldest frame that is looked at where the frames before `end` are known.
    fn oldest(&self, end: u64) -> u64 {
        end.saturating_sub(self.memory).max(self.first)
    }

    /// Continues at the sample index `at`; what was before is forgotten.
    pub fn skip_to(&mut self, at: u64) {
        self.n_frames = at.div_ceil(self.samples_per_frame);
        self.known = self.n_frames;
        self.first = self.n_frames;
        // The floors are the last ones until there are others.
        let last = self.set(self.n_learnt);
        self.floors.copy_within(last..last + self.n_bands, 0);
        self.n_learnt = 0;
    }

    /// Sharpens a box. Where an edge cannot be heard, the box's own stays, with `grain` samples of uncertainty.
    pub fn refine(&self, coarse: &CoarseSegment, grain: u64) -> SegmentBounds {
        let mut room = self.room.take();
        let bounds = self.refine_in(&mut room, coarse, grain);
        self.room.replace(room);
        bounds
    }

    fn refine_in(&self, room: &mut Workspace, coarse: &CoarseSegment, grain: u64) -> SegmentBounds {
        let rough = |at| Boundary { at, uncertainty: grain };
        let mut bounds = SegmentBounds { onset: rough(coarse.onset), offset: rough(coarse.offset), snr_db: None };
        let (from, to) = (self.frame_at(coarse.onset), self.frame_at(coarse.offset));
        let look = self.frames_in(LOOK_S);
        // Of a long event each edge is compared with the nearest part of it only.
        let Workspace { early, late, weights, sorted, runs } = room;
        let near_onset = self.hear(early, from, to.min(from + look), weights, sorted).then_some(&*early);
        let is_long = to - from > look;
        let near_offset = (is_long && self.hear(late, to - look, to, weights, sorted)).then_some(&*late);
        if let Some(heard) = near_onset {
            bounds.snr_db = Some(heard.excess_db);
            if let Some(boundary) = self.onset(heard, from, to, coarse, runs).or_else(|| self.step(heard, from, to, Side::Onset))
            {
                bounds.onset = boundary;
            }
        }
        if let Some(heard) = near_offset.or(near_onset)
            && let Some(boundary) =
                self.offset(heard, from, to, coarse, runs).or_else(|| self.step(heard, from, to, Side::Offset))
        {
            bounds.offset = boundary;
        }
        if bounds.offset.at <= bounds.onset.at + self.samples_per_frame * 2 {
            bounds.onset = rough(coarse.onset);
            bounds.offset = rough(coarse.offset.max(coarse.onset + 1));
        }
        bounds
    }

    /// Where the sound that is heard at the sample index `now` began, at most `most` samples ago.
    pub fn began(&self, now: u64, most: u64) -> Option<u64> {
        let mut room = self.room.take();
        let began = self.began_in(&mut room, now, most);
        self.room.replace(room);
        began
    }

    fn began_in(&self, room: &mut Workspace, now: u64, most: u64) -> Option<u64> {
        let to = self.frame_at(now).min(self.known);
        let Workspace { early: heard, weights, sorted, runs, .. } = room;
        if !self.hear(heard, to.saturating_sub(self.frames_in(0.2)), to, weights, sorted) {
            return None;
        }
        heard.runs(self.frames_in(PAUSE_S) as usize / 2, runs);
        let run = runs.last()?;
        let (from, until) = (heard.first + run.0 as u64, heard.first + run.1 as u64);
        let at = from * self.samples_per_frame;
        (until + self.frames_in(0.3) >= to && at + most >= now && at < now).then_some(at)
    }

    fn frame_at(&self, sample: u64) -> u64 {
        (sample + self.samples_per_frame / 2) / self.samples_per_frame
    }

    fn frames_in(&self, seconds: f64) -> u64 {
        // The memory says how long a frame is: it holds MEMORY_S.
        (seconds / MEMORY_S * (self.memory - 1) as f64).round() as u64
    }

    /// Writes each `step`-th of the newest levels of a band into `out`, from the oldest on.
    fn every(&self, step: usize, band: usize, out: &mut Vec<f32>) {
        let capacity = self.capacity as usize;
        let band = &self.frames[band * capacity..(band + 1) * capacity];
        let oldest = self.oldest(self.n_frames);
        let mut column = (oldest % self.capacity) as usize;
        out.resize(((self.n_frames - oldest) as usize).div_ceil(step), 0.0);
        for place in out {
            *place = band[column];
            column += step;
            // Cheaper than a division for each.
            column -= if column >= capacity { capacity } else { 0 };
        }
    }

    /// The levels of a band from one remembered frame to another.
    fn levels(&self, band: usize, from: u64, to: u64) -> impl Iterator<Item = f32> {
        let capacity = self.capacity as usize;
        let band = &self.frames[band * capacity..(band + 1) * capacity];
        let (first, n) = ((from % self.capacity) as usize, to.saturating_sub(from) as usize);
        let n_straight = n.min(capacity - first);
        band[first..first + n_straight].iter().chain(&band[..n - n_straight]).copied()
    }

    /// Puts the energy of the event between the frames `from` and `to` in its own bands, around it, into `heard`; says whether it is
    /// heard at all.
    fn hear(&self, heard: &mut EventEnergy, from: u64, to: u64, weights: &mut Vec<f32>, sorted: &mut Vec<f32>) -> bool {
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
            // Every band's noise sways a little; many such bands must not outweigh the few that the event lives in.
            weights.push((quantile(sorted, LOUD_QUANTILE) - LEAST_DB).max(0.0));
        }
        let sum: f32 = weights.iter().sum();
        if sum < 1.0 {
            return false;
        }
        let margin = self.frames_in(OUTSIDE_S + 1.5);
        let first = from.saturating_sub(margin).max(oldest);
        let last = (to + margin).min(self.known);
        heard.first = first;
        heard.energies.clear();
        heard.energies.resize(last.saturating_sub(first) as usize, 0.0);
        for (band, (floor, weight)) in floors.iter().zip(&*weights).enumerate().filter(|(_, (_, weight))| **weight > 0.0) {
            for (energy, level) in heard.energies.iter_mut().zip(self.levels(band, first, last)) {
                *energy += weight * (level - floor).clamp(0.0, LOUDEST_DB);
            }
        }
        heard.energies.iter_mut().for_each(|energy| *energy /= sum);
        sorted.clear();
        sorted.extend_from_slice(&heard.energies[(from - first) as usize..(to - first) as usize]);
        heard.excess_db = quantile(sorted, LOUD_QUANTILE);
        heard.excess_db >= LEAST_EXCESS_DB
    }

    fn onset(
        &self,
        heard: &EventEnergy,
        from: u64,
        to: u64,
        coarse: &CoarseSegment,
        runs: &mut Vec<(usize, usize)>,
    ) -> Option<Boundary> {
        self.runs_inside(heard, from, to, runs);
        let at = heard.first + runs.first()?.0 as u64;
        let sample = at * self.samples_per_frame;
        let taken = self.is_near(at, from) || (at > from && at - from <= self.frames_in(INSIDE_S)) || {
            at < from && from - at <= self.frames_in(OUTSIDE_S) && (coarse.curve)(sample, coarse.onset) >= VANISHED * coarse.peak
        };
        let rise = heard.energies[(at - heard.first) as usize..].iter().take_while(|db| **db < heard.excess_db / 2.0).count();
        taken.then(|| self.boundary(at, rise))
    }

    fn offset(
        &self,
        heard: &EventEnergy,
        from: u64,
        to: u64,
        coarse: &CoarseSegment,
        runs: &mut Vec<(usize, usize)>,
    ) -> Option<Boundary> {
        self.runs_inside(heard, from, to, runs);
        let at = heard.first + runs.last()?.1 as u64;
        let sample = at * self.samples_per_frame;
        // A sound that goes on at the newest frame has no end yet.
        let is_over = at < self.known;
        let taken = self.is_near(at, to) || (at < to && to - at <= self.frames_in(INSIDE_S)) || {
            // For half of the way at least the curve had not vanished yet.
            at > to && at - to <= self.frames_in(OUTSIDE_S) && sample + coarse.offset <= 2 * coarse.vanished
        };
        let before = &heard.energies[..(at - heard.first) as usize];
        let fall = before.iter().rev().take_while(|db| **db < heard.excess_db / 2.0).count();
        (taken && is_over).then(|| self.boundary(at, fall))
    }

    /// The highest step of the energy near one side of the box: a sound that begins or ends in another that goes on.
    fn step(&self, heard: &EventEnergy, from: u64, to: u64, side: Side) -> Option<Boundary> {
        let (inside, outside) = (self.frames_in(STEP_REACH_S.0), self.frames_in(STEP_REACH_S.1));
        let half = self.frames_in(STEP_S);
        if to - from < self.frames_in(STEP_BOX_S) {
            return None;
        }
        let (first, last, sign) = match side {
            Side::Onset => (from.saturating_sub(outside), from + inside, 1.0),
            Side::Offset => (to - inside, to + outside, -1.0),
        };
        let newest = heard.first + heard.energies.len() as u64;
        let mean = |begin: u64, end: u64| {
            let energies = &heard.energies[(begin - heard.first) as usize..(end - heard.first) as usize];
            energies.iter().sum::<f32>() / energies.len() as f32
        };
        (first.max(heard.first + half)..last.min(newest.saturating_sub(half)))
            .map(|at| (at, sign * (mean(at, at + half) - mean(at - half, at))))
            .filter(|(_, height)| *height >= STEP_PART * heard.excess_db)
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(at, _)| self.boundary(at, half as usize))
    }

    /// The runs of sound that lie in the box by more than its rim.
    fn runs_inside(&self, heard: &EventEnergy, from: u64, to: u64, runs: &mut Vec<(usize, usize)>) {
        let (from, to) = (from.saturating_sub(heard.first) as usize, to.saturating_sub(heard.first) as usize);
        heard.runs(self.frames_in(PAUSE_S) as usize, runs);
        runs.retain(|(begin, end)| *begin < to && *end > from);
        let rim = (to - from) / 10;
        while runs.len() > 1 && runs[0].1 < from + rim {
            runs.remove(0);
        }
        while runs.len() > 1 && runs[runs.len() - 1].0 + rim > to {
            runs.pop();
        }
    }

    fn is_near(&self, a: u64, b: u64) -> bool {
        a.abs_diff(b) <= self.frames_in(NEAR_S)
    }

    /// An edge at frame `at` that takes `slope` frames: the sound may have been there, unheard, for as long as it takes to rise.
    fn boundary(&self, at: u64, slope: usize) -> Boundary {
        Boundary { at: at * self.samples_per_frame, uncertainty: self.samples_per_frame * (2 + slope as u64).min(25) }
    }
}

/// Which of a box's edges is meant.
#[derive(Debug, Clone, Copy)]
enum Side {
    Onset,
    Offset,
}

/// The value at the part `q` of the sorted values; 0 of none.
fn quantile(values: &mut [f32], q: f64) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let at = ((values.len() - 1) as f64 * q).round() as usize;
    *values.select_nth_unstable_by(at, f32::total_cmp).1
}

#[cfg(test)]
mod tests;
