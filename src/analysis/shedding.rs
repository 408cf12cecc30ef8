//! Load shedding: an analysis that does not keep up scores fewer hops.
//!
//! Every source is then scored at every second hop, or at every fourth or eighth. Scores between lie on a straight line, and no
//! sample is lost. The stride shrinks again once there is time enough. Nothing here reads a clock; the loop passes the time in.

use std::time::{Duration, Instant};

/// A source that waits longer than this for its scores is behind.
const BEHIND: Duration = Duration::from_millis(400);
/// How long the effect of a change is awaited before the next one.
const SETTLE: Duration = Duration::from_millis(600);
/// The period over which the load is measured.
const PERIOD: Duration = Duration::from_secs(5);
/// Up to this load there is time enough to score twice as many hops.
const SPARE: f64 = 0.4;
/// The widest stride.
const WIDEST: u64 = 8;

/// The stride in force, and the measurements that it follows.
#[derive(Debug)]
pub(super) struct LoadShedding {
    hop_stride: u64,
    changed: Instant,
    /// The beginning of the present period, over which `busy` and `is_behind` are gathered.
    since: Instant,
    busy: Duration,
    is_behind: bool,
    /// The busy part of the last period, 0…1.
    busy_part: f64,
}

impl LoadShedding {
    pub fn new(now: Instant) -> Self {
        Self { hop_stride: 1, changed: now, since: now, busy: Duration::ZERO, is_behind: false, busy_part: 0.0 }
    }

    /// The distance of two scored hops, in hops: 1, 2, 4 or 8.
    pub fn hop_stride(&self) -> u64 {
        self.hop_stride
    }

    /// The busy part of the last period, 0…1.
    pub fn busy_part(&self) -> f64 {
        self.busy_part
    }

    /// Takes the measurements of a step that ended at `now`: it took `busy`, and the source that waits longest has waited for
    /// `lag`. Returns whether the stride has changed.
    pub fn take(&mut self, now: Instant, busy: Duration, lag: Duration) -> bool {
        self.busy += busy;
        self.is_behind |= lag > BEHIND / 2;
        let before = self.hop_stride;
        if lag > BEHIND && self.hop_stride < WIDEST && now.duration_since(self.changed) >= SETTLE {
            self.hop_stride *= 2;
            self.begin(now);
            self.changed = now;
        } else if now.duration_since(self.since) >= PERIOD {
            self.busy_part = (self.busy.as_secs_f64() / now.duration_since(self.since).as_secs_f64()).min(1.0);
            if self.hop_stride > 1 && self.busy_part < SPARE && !self.is_behind {
                self.hop_stride /= 2;
                self.changed = now;
            }
            self.begin(now);
        }
        self.hop_stride != before
    }

    fn begin(&mut self, now: Instant) {
        self.since = now;
        self.busy = Duration::ZERO;
        self.is_behind = false;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Steps of 100 ms whose sound costs `cost_ms` of work at a stride of 1; returns the stride and the lag in ms after each.
    fn run(load: &mut LoadShedding, now: &mut Instant, lag_ms: &mut f64, cost_ms: f64, steps: usize) -> Vec<(u64, f64)> {
        (0..steps)
            .map(|_| {
                // Work that does not fit into the step becomes lag.
                let work = *lag_ms * cost_ms / 100.0 / load.hop_stride() as f64 + cost_ms / load.hop_stride() as f64;
                let done = work.min(100.0);
                *lag_ms = (work - done) * 100.0 / cost_ms * load.hop_stride() as f64;
                *now += Duration::from_millis(100);
                load.take(*now, Duration::from_secs_f64(done / 1e3), Duration::from_secs_f64(*lag_ms / 1e3));
                (load.hop_stride(), *lag_ms)
            })
            .collect()
    }

    #[test]
    fn too_much_work_widens_the_stride_until_the_lag_is_gone_and_less_work_narrows_it_again() {
        let (mut now, mut lag) = (Instant::now(), 0.0);
        let mut load = LoadShedding::new(now);
        let heavy = run(&mut load, &mut now, &mut lag, 170.0, 300);
        assert!(heavy.iter().all(|(_, lag)| *lag < 1_500.0), "{heavy:?}");
        assert!(heavy[100..].iter().all(|(stride, lag)| *stride == 2 && *lag < 400.0), "{heavy:?}");
        let light = run(&mut load, &mut now, &mut lag, 30.0, 200);
        assert_eq!(light.last().map(|(stride, _)| *stride), Some(1));
    }

    #[test]
    fn work_that_fits_is_never_shed() {
        let (mut now, mut lag) = (Instant::now(), 0.0);
        let mut load = LoadShedding::new(now);
        assert!(run(&mut load, &mut now, &mut lag, 95.0, 300).iter().all(|(stride, _)| *stride == 1));
    }

    proptest! {
        #[test]
        fn the_stride_is_a_power_of_two_and_changes_one_step_at_a_time(
            steps in prop::collection::vec((0u64..200, 0u64..2_000), 1..300),
        ) {
            let mut now = Instant::now();
            let mut load = LoadShedding::new(now);
            for (busy_ms, lag_ms) in steps {
                now += Duration::from_millis(busy_ms.max(10));
                let before = load.hop_stride();
                let changed = load.take(now, Duration::from_millis(busy_ms), Duration::from_millis(lag_ms));
                let stride = load.hop_stride();
                prop_assert!(stride.is_power_of_two() && stride <= WIDEST);
                prop_assert_eq!(changed, stride != before);
                prop_assert!(stride == before || stride == before * 2 || stride * 2 == before);
                prop_assert!((0.0..=1.0).contains(&load.busy_part()));
            }
        }
    }
}
