//! How much of the time there is work: whether the analysis keeps up, and how far apart it scores when it does not.
//!
//! Where it falls behind, every source is scored at every second hop, then at every fourth, alike; scores between lie on a straight
//! line, and no sample is lost. Once there is time enough it goes back by itself. It reads no clock: the loop tells it the time.

use std::time::{Duration, Instant};

/// A source that waits for its scores longer than this is behind.
const BEHIND: Duration = Duration::from_millis(400);
/// After a change it must show what it does for so long before the next one.
const SETTLE: Duration = Duration::from_millis(600);
/// Whether there is time enough is judged over so long.
const PERIOD: Duration = Duration::from_secs(5);
/// There is time enough to score twice as much where at most this part of the time is busy.
const SPARE: f64 = 0.4;
/// The widest spread.
const WIDEST: u64 = 8;

/// The spread that is in force, and what it is judged by.
#[derive(Debug)]
pub(super) struct Load {
    spread: u64,
    changed: Instant,
    /// Since when what follows is counted.
    since: Instant,
    busy: Duration,
    is_behind: bool,
    /// The part of the last period that was busy, 0…1.
    part: f64,
}

impl Load {
    pub fn new(now: Instant) -> Self {
        Self { spread: 1, changed: now, since: now, busy: Duration::ZERO, is_behind: false, part: 0.0 }
    }

    /// Only every so-manieth hop is scored.
    pub fn spread(&self) -> u64 {
        self.spread
    }

    /// The part of the last period that was busy, 0…1.
    pub fn part(&self) -> f64 {
        self.part
    }

    /// Takes note that a step took `busy` until `now`, after which the source that waits longest has waited for `lag`; says whether the
    /// spread has changed.
    pub fn take(&mut self, now: Instant, busy: Duration, lag: Duration) -> bool {
        self.busy += busy;
        self.is_behind |= lag > BEHIND / 2;
        let before = self.spread;
        if lag > BEHIND && self.spread < WIDEST && now.duration_since(self.changed) >= SETTLE {
            self.spread *= 2;
            self.begin(now);
            self.changed = now;
        } else if now.duration_since(self.since) >= PERIOD {
            self.part = (self.busy.as_secs_f64() / now.duration_since(self.since).as_secs_f64()).min(1.0);
            if self.spread > 1 && self.part < SPARE && !self.is_behind {
                self.spread /= 2;
                self.changed = now;
            }
            self.begin(now);
        }
        self.spread != before
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

    /// Steps of 100 ms of which `cost` hops are scored a second at a spread of 1; returns the spread and the lag in ms after each.
    fn run(load: &mut Load, now: &mut Instant, lag_ms: &mut f64, cost_ms: f64, steps: usize) -> Vec<(u64, f64)> {
        (0..steps)
            .map(|_| {
                // What is due takes so long at this spread; what does not fit into the step is waited for.
                let work = *lag_ms * cost_ms / 100.0 / load.spread() as f64 + cost_ms / load.spread() as f64;
                let done = work.min(100.0);
                *lag_ms = (work - done) * 100.0 / cost_ms * load.spread() as f64;
                *now += Duration::from_millis(100);
                load.take(*now, Duration::from_secs_f64(done / 1e3), Duration::from_secs_f64(*lag_ms / 1e3));
                (load.spread(), *lag_ms)
            })
            .collect()
    }

    #[test]
    fn too_much_work_is_spread_and_the_lag_goes_away_and_comes_back_only_with_the_work() {
        let (mut now, mut lag) = (Instant::now(), 0.0);
        let mut load = Load::new(now);
        let heavy = run(&mut load, &mut now, &mut lag, 170.0, 300);
        assert!(heavy.iter().all(|(_, lag)| *lag < 1_500.0), "{heavy:?}");
        assert!(heavy[100..].iter().all(|(spread, lag)| *spread == 2 && *lag < 400.0), "{heavy:?}");
        let light = run(&mut load, &mut now, &mut lag, 30.0, 200);
        assert_eq!(light.last().map(|(spread, _)| *spread), Some(1));
    }

    #[test]
    fn what_fits_is_never_spread() {
        let (mut now, mut lag) = (Instant::now(), 0.0);
        let mut load = Load::new(now);
        assert!(run(&mut load, &mut now, &mut lag, 95.0, 300).iter().all(|(spread, _)| *spread == 1));
    }

    proptest! {
        #[test]
        fn the_spread_is_a_power_of_two_and_changes_one_step_at_a_time(
            steps in prop::collection::vec((0u64..200, 0u64..2_000), 1..300),
        ) {
            let mut now = Instant::now();
            let mut load = Load::new(now);
            for (busy_ms, lag_ms) in steps {
                now += Duration::from_millis(busy_ms.max(10));
                let before = load.spread();
                let changed = load.take(now, Duration::from_millis(busy_ms), Duration::from_millis(lag_ms));
                let spread = load.spread();
                prop_assert!(spread.is_power_of_two() && spread <= WIDEST);
                prop_assert_eq!(changed, spread != before);
                prop_assert!(spread == before || spread == before * 2 || spread * 2 == before);
                prop_assert!((0.0..=1.0).contains(&load.part()));
            }
        }
    }
}
