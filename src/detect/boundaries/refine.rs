//! The boundaries of one segment: the energy of the event around it decides where the sound begins and ends.
//!
//! Three sources of a boundary are tried in this order: the first or last run of sound in the segment, the highest step of the
//! energy near the segment's own boundary, and the segment's own boundary.

use super::energy::{EventEnergy, Workspace};
use super::{Boundary, BoundaryRefiner, CoarseSegment, SegmentBounds};
use crate::detect::segments::VANISHED;

/// The longest pause within one sound, in seconds.
const PAUSE_S: f64 = 0.3;
/// A boundary within this distance of the segment's own is accepted whatever the curve shows, in seconds.
const NEAR_S: f64 = 0.7;
/// The greatest distance of an accepted boundary inside the segment, in seconds.
const INSIDE_S: f64 = 1.0;
/// The same where the sound is clear. A segment outlasts a short sound by as long as a window holds it: by the longest window and the
/// distance of two of them.
const CLEAR_INSIDE_S: f64 = 3.3;
/// A sound is clear that exceeds the noise floor by this at least, in dB.
const CLEAR_DB: f32 = 12.0;
/// The greatest distance of an accepted boundary outside the segment, in seconds; the curve must not have vanished on the way.
pub(super) const OUTSIDE_S: f64 = 4.0;
/// The shortest segment whose boundary may be a step of the energy, where no run of sound gives one, in seconds.
const STEP_BOX_S: f64 = 1.3;
/// The height of a step is the difference of the mean energies over this long before and after it, in seconds.
const STEP_S: f64 = 0.2;
/// The least height of a step, as a part of the event's excess over the noise floor.
const STEP_PART: f32 = 0.25;
/// How far a step may lie inside and outside of the segment, in seconds.
const STEP_REACH_S: (f64, f64) = (0.5, 1.5);
/// The longest part of an event from which its spectrum is taken, in seconds.
const LOOK_S: f64 = 5.0;

impl BoundaryRefiner {
    /// Refines the boundaries of a segment. A boundary that the sound does not show stays, with an uncertainty of `grain`
    /// samples.
    pub fn refine(&self, coarse: &CoarseSegment, grain: u64) -> SegmentBounds {
        let mut workspace = self.workspace.take();
        let bounds = self.refine_in(&mut workspace, coarse, grain);
        self.workspace.replace(workspace);
        bounds
    }

    fn refine_in(&self, workspace: &mut Workspace, coarse: &CoarseSegment, grain: u64) -> SegmentBounds {
        let rough = |at| Boundary { at, uncertainty: grain };
        let mut bounds = SegmentBounds { onset: rough(coarse.onset), offset: rough(coarse.offset), snr_db: None };
        let (from, to) = (self.frame_at(coarse.onset), self.frame_at(coarse.offset));
        let look = self.frames_in(LOOK_S);
        // In a long event each boundary is compared with the nearest part of the event only.
        let Workspace { early, late, weights, sorted, runs } = workspace;
        let near_onset = self.measure(early, from, to.min(from + look), weights, sorted).then_some(&*early);
        let is_long = to - from > look;
        let near_offset = (is_long && self.measure(late, to - look, to, weights, sorted)).then_some(&*late);
        if let Some(energy) = near_onset {
            bounds.snr_db = Some(energy.excess_db);
            if let Some(boundary) =
                self.onset(energy, from, to, coarse, runs).or_else(|| self.step(energy, from, to, Side::Onset))
            {
                bounds.onset = boundary;
            }
        }
        if let Some(energy) = near_offset.or(near_onset)
            && let Some(boundary) =
                self.offset(energy, from, to, coarse, runs).or_else(|| self.step(energy, from, to, Side::Offset))
        {
            bounds.offset = boundary;
        }
        if bounds.offset.at <= bounds.onset.at + self.samples_per_frame * 2 {
            bounds.onset = rough(coarse.onset);
            bounds.offset = rough(coarse.offset.max(coarse.onset + 1));
        }
        bounds
    }

    /// The onset of the sound that goes on at the sample index `now`; `None` where it lies more than `most` samples ago, or is
    /// not to be seen.
    pub fn began(&self, now: u64, most: u64) -> Option<u64> {
        let mut workspace = self.workspace.take();
        let began = self.began_in(&mut workspace, now, most);
        self.workspace.replace(workspace);
        began
    }

    fn began_in(&self, workspace: &mut Workspace, now: u64, most: u64) -> Option<u64> {
        let to = self.frame_at(now).min(self.known);
        let Workspace { early: energy, weights, sorted, runs, .. } = workspace;
        if !self.measure(energy, to.saturating_sub(self.frames_in(0.2)), to, weights, sorted) {
            return None;
        }
        energy.runs(self.frames_in(PAUSE_S) as usize / 2, runs);
        let run = runs.last()?;
        let (from, until) = (energy.first + run.0 as u64, energy.first + run.1 as u64);
        let at = from * self.samples_per_frame;
        (until + self.frames_in(0.3) >= to && at + most >= now && at < now).then_some(at)
    }

    fn onset(
        &self,
        energy: &EventEnergy,
        from: u64,
        to: u64,
        coarse: &CoarseSegment,
        runs: &mut Vec<(usize, usize)>,
    ) -> Option<Boundary> {
        self.runs_inside(energy, from, to, runs);
        let at = energy.first + runs.first()?.0 as u64;
        let sample = at * self.samples_per_frame;
        let taken = self.is_near(at, from) || (at > from && at - from <= self.inside(energy)) || {
            at < from && from - at <= self.frames_in(OUTSIDE_S) && (coarse.curve)(sample, coarse.onset) >= VANISHED * coarse.peak
        };
        let rise = energy.energies[(at - energy.first) as usize..].iter().take_while(|db| **db < energy.excess_db / 2.0).count();
        taken.then(|| self.boundary(at, rise))
    }

    fn offset(
        &self,
        energy: &EventEnergy,
        from: u64,
        to: u64,
        coarse: &CoarseSegment,
        runs: &mut Vec<(usize, usize)>,
    ) -> Option<Boundary> {
        self.runs_inside(energy, from, to, runs);
        let at = energy.first + runs.last()?.1 as u64;
        let sample = at * self.samples_per_frame;
        // A sound that goes on at the newest frame has no end yet.
        let is_over = at < self.known;
        let taken = self.is_near(at, to) || (at < to && to - at <= self.inside(energy)) || {
            // The curve had not vanished for the first half of the way, at least.
            at > to && at - to <= self.frames_in(OUTSIDE_S) && sample + coarse.offset <= 2 * coarse.vanished
        };
        let before = &energy.energies[..(at - energy.first) as usize];
        let fall = before.iter().rev().take_while(|db| **db < energy.excess_db / 2.0).count();
        (taken && is_over).then(|| self.boundary(at, fall))
    }

    /// The highest step of the energy near one boundary of the segment, for a sound that begins or ends within another one.
    fn step(&self, energy: &EventEnergy, from: u64, to: u64, side: Side) -> Option<Boundary> {
        let (inside, outside) = (self.frames_in(STEP_REACH_S.0), self.frames_in(STEP_REACH_S.1));
        let half = self.frames_in(STEP_S);
        if to - from < self.frames_in(STEP_BOX_S) {
            return None;
        }
        let (first, last, sign) = match side {
            Side::Onset => (from.saturating_sub(outside), from + inside, 1.0),
            Side::Offset => (to - inside, to + outside, -1.0),
        };
        let newest = energy.first + energy.energies.len() as u64;
        let mean = |begin: u64, end: u64| {
            let energies = &energy.energies[(begin - energy.first) as usize..(end - energy.first) as usize];
            energies.iter().sum::<f32>() / energies.len() as f32
        };
        (first.max(energy.first + half)..last.min(newest.saturating_sub(half)))
            .map(|at| (at, sign * (mean(at, at + half) - mean(at - half, at))))
            .filter(|(_, height)| *height >= STEP_PART * energy.excess_db)
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(at, _)| self.boundary(at, half as usize))
    }

    /// Leaves the runs of sound that lie in the segment by more than a tenth of its length, and one run at least.
    fn runs_inside(&self, energy: &EventEnergy, from: u64, to: u64, runs: &mut Vec<(usize, usize)>) {
        let (from, to) = (from.saturating_sub(energy.first) as usize, to.saturating_sub(energy.first) as usize);
        energy.runs(self.frames_in(PAUSE_S) as usize, runs);
        runs.retain(|(begin, end)| *begin < to && *end > from);
        let rim = (to - from) / 10;
        while runs.len() > 1 && runs[0].1 < from + rim {
            runs.remove(0);
        }
        while runs.len() > 1 && runs[runs.len() - 1].0 + rim > to {
            runs.pop();
        }
    }

    /// The greatest distance of an accepted boundary inside the segment, in frames.
    fn inside(&self, energy: &EventEnergy) -> u64 {
        self.frames_in(if energy.excess_db >= CLEAR_DB { CLEAR_INSIDE_S } else { INSIDE_S })
    }

    fn is_near(&self, a: u64, b: u64) -> bool {
        a.abs_diff(b) <= self.frames_in(NEAR_S)
    }

    /// A boundary at frame `at` where the energy takes `slope` frames to rise or fall. While it rises, the sound may have been
    /// there below the noise, so the slope counts as uncertainty.
    fn boundary(&self, at: u64, slope: usize) -> Boundary {
        Boundary { at: at * self.samples_per_frame, uncertainty: self.samples_per_frame * (2 + slope as u64).min(25) }
    }
}

/// One of the two boundaries of a segment.
#[derive(Debug, Clone, Copy)]
enum Side {
    Onset,
    Offset,
}
