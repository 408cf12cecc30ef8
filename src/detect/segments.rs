//! Segmentation of a curve of scores: where on the curve an event begins and ends, whatever threshold is in force.
//!
//! A curve turns where it falls below a part β of a peak (`valley`) and rises again by 1/β. Each rise between two turns is one
//! segment. A segment reaches as far as the curve stays above a part α of its peak (`extent`), so that a threshold decides
//! whether an event is reported, and never how long it is. Times are counted in values of the curve.

use std::collections::VecDeque;

/// The lowest peak of a segment: no threshold is as low, and a curve that low does not turn.
pub const FLOOR: f32 = 5e-4;
/// A curve below this part of its peak has vanished: nothing of the sound is left in any window.
pub const VANISHED: f32 = 0.03;
/// The most values after the end of a segment for which the finder waits until the curve has vanished.
const PATIENCE: u64 = 25;
/// The number of remembered values. The beginning of a longer segment stays as it was known when it was forgotten.
const MEMORY: usize = 160;

/// A stretch of a curve that belongs to one peak; a part of an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// Its first value.
    pub onset: u64,
    /// The value after its last.
    pub offset: u64,
    /// The value after the last at which the curve had not vanished yet.
    pub vanished: u64,
    /// Its highest value, 0…1.
    pub peak: f32,
}

/// The segments that the newest value of the curve ended or changed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SegmentUpdate {
    /// The segment that ended.
    pub closed: Option<Segment>,
    /// The segment that goes on, as far as it is known.
    pub open: Option<Segment>,
}

/// Finds the segments of one curve, value by value.
#[derive(Debug, Clone)]
pub struct SegmentFinder {
    extent: f32,
    valley: f32,
    release: f32,
    /// The remembered values, the newest last.
    past: VecDeque<f32>,
    n_values: u64,
    state: FinderState,
}

#[derive(Debug, Clone, Copy)]
enum FinderState {
    /// After a peak, or before the first one: the lowest value since, and its place.
    Falling { low: f32, low_at: u64 },
    /// On a peak: the beginning of the rise, the boundaries of its segment so far, the peak, and the lowest value since the peak.
    Rising { began: u64, onset: u64, offset: u64, peak: f32, low: f32, low_at: u64 },
}

impl SegmentFinder {
    /// A finder of segments that reach down to `extent` of their peaks, and part at valleys below `valley` of the lower peak. No
    /// segment reaches below the score `release`.
    pub fn new(extent: f32, valley: f32, release: f32) -> Self {
        Self {
            extent,
            valley,
            release,
            past: VecDeque::with_capacity(MEMORY + 1),
            n_values: 0,
            state: FinderState::Falling { low: 0.0, low_at: 0 },
        }
    }

    /// Continues with the value `n_values` of the curve, as if all values before it had been 0.
    pub fn skip_to(&mut self, n_values: u64) {
        self.past.clear();
        self.n_values = n_values;
        self.state = FinderState::Falling { low: 0.0, low_at: n_values };
    }

    /// Sets the score below which no segment reaches from now on.
    pub fn set_release(&mut self, release: f32) {
        self.release = release;
    }

    /// Takes the next value of the curve.
    pub fn push(&mut self, value: f32) -> SegmentUpdate {
        let now = self.n_values;
        self.n_values += 1;
        if self.past.len() == MEMORY {
            self.past.pop_front();
        }
        self.past.push_back(value);
        let mut closed = None;
        match self.state {
            FinderState::Falling { low, low_at } => {
                if value < low {
                    self.state = FinderState::Falling { low: value, low_at: now };
                } else if value >= FLOOR && low <= self.valley * value {
                    self.rise(low_at, value, now);
                }
            }
            FinderState::Rising { began, peak, .. } if value > peak => self.rise(began, value, now),
            FinderState::Rising { began, onset, offset, peak, low, low_at } => {
                let (low, low_at) = if value < low { (value, now) } else { (low, low_at) };
                if value >= FLOOR && low <= self.valley * value.min(peak) {
                    let offset = offset.min(low_at).max(onset + 1);
                    // The curve rises again before it has vanished.
                    closed = Some(Segment { onset, offset, vanished: now + PATIENCE / 2, peak });
                    self.rise(low_at, value, now);
                } else if value < VANISHED * peak || now >= offset + PATIENCE {
                    closed = Some(Segment { onset, offset, vanished: now, peak });
                    self.state = FinderState::Falling { low: value, low_at: now };
                } else {
                    let offset = if value >= self.least(peak) { now + 1 } else { offset };
                    self.state = FinderState::Rising { began, onset, offset, peak, low, low_at };
                }
            }
        }
        SegmentUpdate { closed, open: self.open() }
    }

    /// Ends the segment that goes on: no more values come.
    pub fn finish(&mut self) -> Option<Segment> {
        let open = self.open();
        self.state = FinderState::Falling { low: 0.0, low_at: self.n_values };
        open
    }

    /// The median of the remembered values between two places.
    pub fn median(&self, from: u64, to: u64) -> f32 {
        let oldest = self.n_values - self.past.len() as u64;
        let (from, to) = (from.max(oldest), to.min(self.n_values));
        let mut sorted = [0.0; MEMORY];
        let mut n = 0;
        for (place, at) in sorted.iter_mut().zip(from..to) {
            *place = self.past[(at - oldest) as usize];
            n += 1;
        }
        if n == 0 { 0.0 } else { *sorted[..n].select_nth_unstable_by(n / 2, f32::total_cmp).1 }
    }

    /// The score down to which the segment of a peak reaches.
    fn least(&self, peak: f32) -> f32 {
        (self.extent * peak).max(self.release.min(peak))
    }

    fn open(&self) -> Option<Segment> {
        match self.state {
            FinderState::Rising { onset, offset, peak, .. } => Some(Segment { onset, offset, vanished: self.n_values, peak }),
            FinderState::Falling { .. } => None,
        }
    }

    /// Takes a new peak at the place `now`: its segment begins after the last value below its extent.
    fn rise(&mut self, began: u64, peak: f32, now: u64) {
        let known = match self.state {
            FinderState::Rising { onset, .. } => onset,
            FinderState::Falling { .. } => began,
        };
        let oldest = self.n_values - self.past.len() as u64;
        let least = self.least(peak);
        let mut onset = now;
        while onset > began && onset > oldest && self.past[(onset - 1 - oldest) as usize] >= least {
            onset -= 1;
        }
        if onset == oldest {
            // The values before are forgotten; they belonged to the segment already.
            onset = known.min(onset);
        }
        self.state = FinderState::Rising { began, onset, offset: now + 1, peak, low: peak, low_at: now };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segments(curve: &[f32], release: f32) -> Vec<(u64, u64, f32)> {
        let mut finder = SegmentFinder::new(0.12, 0.3, release);
        let mut found: Vec<Segment> = curve.iter().filter_map(|value| finder.push(*value).closed).collect();
        found.extend(finder.finish());
        found.into_iter().map(|segment| (segment.onset, segment.offset, segment.peak)).collect()
    }

    #[test]
    fn a_segment_reaches_as_far_as_a_part_of_its_peak() {
        assert_eq!(segments(&[0.0, 0.05, 0.2, 0.9, 0.3, 0.105, 0.1, 0.0], 0.0), [(2, 5, 0.9)]);
        // The same curve at a tenth of the height has the same segment: no threshold decides how long an event is.
        assert_eq!(segments(&[0.0, 0.005, 0.02, 0.09, 0.03, 0.0105, 0.01, 0.0], 0.0), [(2, 5, 0.09)]);
        assert_eq!(segments(&[0.0, 0.05, 0.2, 0.9, 0.3, 0.11, 0.1, 0.0], 0.25), [(3, 5, 0.9)]);
    }

    #[test]
    fn a_deep_valley_parts_two_events_and_a_shallow_one_does_not() {
        assert_eq!(segments(&[0.0, 0.9, 0.2, 0.8, 0.0], 0.0), [(1, 2, 0.9), (2, 4, 0.8)]);
        assert_eq!(segments(&[0.0, 0.9, 0.4, 0.8, 0.0], 0.0), [(1, 4, 0.9)]);
    }

    #[test]
    fn what_is_below_the_floor_is_nothing() {
        assert!(segments(&[0.0, 1e-4, 4e-4, 1e-4, 0.0], 0.0).is_empty());
    }

    proptest! {
        #[test]
        fn segments_follow_each_other_and_hold_their_peaks(
            steps in prop::collection::vec(-3.0f32..3.0, 1..400), release in 0.0f32..0.5,
        ) {
            // A random walk of the logarithm, as real curves do.
            let mut level = -6.0f32;
            let curve: Vec<f32> = steps.iter().map(|step| { level = (level + step).clamp(-12.0, 0.0); level.exp() }).collect();
            let mut before = 0;
            for (onset, offset, peak) in segments(&curve, release) {
                prop_assert!(before <= onset && onset < offset && offset <= curve.len() as u64);
                let inside = &curve[onset as usize..offset as usize];
                prop_assert!(inside.contains(&peak) && inside.iter().all(|value| *value <= peak), "{inside:?} {peak}");
                prop_assert!(inside[0] >= (0.12 * peak).max(release.min(peak)) * 0.999);
                before = offset;
            }
        }
    }
}
