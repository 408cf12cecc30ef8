//! The sample clock: places the samples of a source on the machine's clocks.
//!
//! Sample 0 has a place on the steady clock, which also runs while the machine sleeps. The place moves by a fraction of a
//! millisecond a second, because the crystal of the device drifts against that of the machine. Sound that is later than any drift
//! is missing, and the length of the gap is reported. A step of the wall clock moves the times that are reported from then on,
//! never a duration. Only [`Now::read`] reads clocks; everything else has the time passed in.

use crate::capture::Pace;
use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};

/// Sound that is missing for longer than this is a gap, in nanoseconds. Less is jitter of the device or of its reader.
const GAP_NS: i64 = 300_000_000;
/// A wall clock that moves by more than this at once was set, in nanoseconds.
const STEP_NS: i64 = 500_000_000;
/// The period of which only the least late arrival counts, in nanoseconds, for an arrival can be late but never early.
const PERIOD_NS: i64 = 1_000_000_000;
/// The fewest arrivals of a period.
const ARRIVALS: u32 = 3;
/// The most that sample 0 is moved in a period to follow the crystal, in nanoseconds: 500 parts in a million.
const SLEW_NS: i64 = 500_000;

/// A moment on both clocks, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    /// The time of the steady clock, which is never set and runs while the machine sleeps.
    pub steady_ns: i64,
    /// The time of the wall clock since 1970.
    pub wall_ns: i64,
}

impl Now {
    /// This moment.
    pub fn read() -> Self {
        Self { steady_ns: steady_ns(), wall_ns: i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX) }
    }

    /// The moment on the wall clock.
    pub fn wall(self) -> Timestamp {
        Timestamp::from_nanosecond(self.wall_ns.into()).unwrap_or_default()
    }

    fn offset_ns(self) -> i64 {
        self.wall_ns.saturating_sub(self.steady_ns)
    }
}

/// The clock that also runs while the machine sleeps, where there is one.
#[cfg(target_os = "linux")]
const STEADY: ClockId = ClockId::CLOCK_BOOTTIME;
#[cfg(not(target_os = "linux"))]
const STEADY: ClockId = ClockId::CLOCK_MONOTONIC;

fn steady_ns() -> i64 {
    // No system refuses this clock to a process. Were it refused, it would stand still.
    clock_gettime(STEADY).map_or(0, |time| time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}

/// How far the wall clock is ahead of the steady one.
#[derive(Debug, Default)]
pub(super) struct WallClock {
    offset_ns: Option<i64>,
}

impl WallClock {
    /// Compares the clocks. Returns by how many milliseconds the wall clock was set since the last time.
    pub fn look(&mut self, now: Now) -> Option<i64> {
        let before = self.offset_ns.replace(now.offset_ns())?;
        let step = now.offset_ns().saturating_sub(before);
        (step.abs() > STEP_NS).then_some(step / 1_000_000)
    }

    /// How far it is ahead just now, in nanoseconds.
    pub fn offset_ns(&self) -> i64 {
        self.offset_ns.unwrap_or(0)
    }
}

/// Where a source's samples lie on the steady clock.
#[derive(Debug, Clone)]
pub(super) struct SampleClock {
    rate_hz: u32,
    /// When sample 0 was heard; `None` before the first arrival.
    start_ns: Option<i64>,
    /// The lateness of the least late arrival of the present period.
    least_ns: i64,
    /// The arrivals of the present period.
    arrivals: u32,
    /// When the present period began.
    since_ns: i64,
    /// Whether sound may come before it can have been heard, as a recording on standard input does.
    may_be_early: bool,
}

impl SampleClock {
    /// A clock for samples at `rate_hz`, before the first arrival.
    pub fn new(rate_hz: u32, pace: Pace) -> Self {
        let may_be_early = pace == Pace::AsWritten;
        Self { rate_hz, start_ns: None, least_ns: i64::MAX, arrivals: 0, since_ns: 0, may_be_early }
    }

    /// Forgets the arrivals of the present period, whose lateness says nothing.
    pub fn disregard(&mut self, now: Now) {
        self.begin(now);
    }

    /// Takes an arrival: all samples before the index `end`, lost ones included, have arrived by now, and the newest of them is
    /// `age_ns` old. Returns the number of missing samples, where there are too many for a late arrival; they count as arrived
    /// from then on.
    pub fn arrive(&mut self, end: u64, age_ns: i64, now: Now) -> Option<u64> {
        let start_ns = now.steady_ns.saturating_sub(age_ns).saturating_sub(self.nanoseconds(end));
        let Some(believed_ns) = self.start_ns else {
            self.start_ns = Some(start_ns);
            self.begin(now);
            return None;
        };
        self.least_ns = self.least_ns.min(start_ns.saturating_sub(believed_ns));
        self.arrivals += 1;
        if now.steady_ns.saturating_sub(self.since_ns) < PERIOD_NS || self.arrivals < ARRIVALS {
            return None;
        }
        let late_ns = self.least_ns;
        self.begin(now);
        if late_ns > GAP_NS {
            return Some((i128::from(late_ns) * i128::from(self.rate_hz) / 1_000_000_000) as u64);
        }
        if late_ns < -GAP_NS && self.may_be_early {
            return None;
        }
        // Sound that arrives before it can have been heard proves that sample 0 was placed too late.
        let moved_ns = if late_ns < -GAP_NS { late_ns } else { late_ns.clamp(-SLEW_NS, SLEW_NS) };
        self.start_ns = Some(believed_ns.saturating_add(moved_ns));
        None
    }

    fn begin(&mut self, now: Now) {
        (self.least_ns, self.arrivals, self.since_ns) = (i64::MAX, 0, now.steady_ns);
    }

    /// When the sample with the index `at` at `rate_hz` was heard, by a wall clock that is `offset_ns` ahead; `None` before the
    /// first arrival.
    pub fn time(&self, at: u64, rate_hz: u32, offset_ns: i64) -> Option<Timestamp> {
        let heard_ns = i128::from(self.start_ns?) + i128::from(offset_ns) + i128::from(duration_ns(at, rate_hz));
        Some(Timestamp::from_nanosecond(heard_ns).unwrap_or(Timestamp::MAX))
    }

    /// How long ago the sample with the index `at` at `rate_hz` was heard; `None` before the first arrival.
    pub fn age_ns(&self, at: u64, rate_hz: u32, now: Now) -> Option<i64> {
        Some(now.steady_ns.saturating_sub(self.start_ns?.saturating_add(duration_ns(at, rate_hz))))
    }

    fn nanoseconds(&self, samples: u64) -> i64 {
        duration_ns(samples, self.rate_hz)
    }
}

/// The length of so many samples in nanoseconds.
pub(super) fn duration_ns(samples: u64, rate_hz: u32) -> i64 {
    i64::try_from(u128::from(samples) * 1_000_000_000 / u128::from(rate_hz.max(1))).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATE_HZ: u32 = 48_000;
    const SECOND: i64 = 1_000_000_000;
    /// 2026-11-20, in nanoseconds.
    const WALL_NS: i64 = 1_795_000_000 * SECOND;

    /// A machine, a device with a crystal of its own, and the reader of its samples.
    struct World {
        now: Now,
        clock: SampleClock,
        wall: WallClock,
        /// The samples that the device has delivered, with fractions.
        delivered: f64,
        /// The device's rate by the machine's clock.
        true_rate: f64,
        gaps: Vec<u64>,
        steps: Vec<i64>,
    }

    impl World {
        fn new(parts_per_million: f64) -> Self {
            let true_rate = f64::from(RATE_HZ) * (1.0 + parts_per_million / 1e6);
            let now = Now { steady_ns: 77 * SECOND, wall_ns: WALL_NS };
            let clock = SampleClock::new(RATE_HZ, Pace::RealTime);
            Self { now, clock, wall: WallClock::default(), delivered: 0.0, true_rate, gaps: Vec::new(), steps: Vec::new() }
        }

        fn pass(&mut self, ns: i64) {
            self.now.steady_ns += ns;
            self.now.wall_ns += ns;
        }

        /// The device delivers pieces of `piece_ms` for so many seconds, read up to `late_ms` late.
        fn hear(&mut self, seconds: f64, piece_ms: i64, late_ms: &[i64]) {
            for piece in 0..(seconds * 1_000.0) as i64 / piece_ms {
                self.pass(piece_ms * 1_000_000);
                self.delivered += self.true_rate * piece_ms as f64 / 1e3;
                let late_ns = late_ms.get(piece as usize % late_ms.len().max(1)).map_or(0, |ms| ms * 1_000_000);
                let seen = Now { steady_ns: self.now.steady_ns + late_ns, wall_ns: self.now.wall_ns + late_ns };
                self.steps.extend(self.wall.look(seen));
                let gaps: u64 = self.gaps.iter().sum();
                self.gaps.extend(self.clock.arrive(self.delivered as u64 + gaps, 0, seen));
            }
        }

        /// The error of the time that the clock gives for the newest sample, in milliseconds.
        fn error_ms(&self) -> f64 {
            let gaps: u64 = self.gaps.iter().sum();
            let told = self.clock.time(self.delivered as u64 + gaps, RATE_HZ, self.wall.offset_ns()).unwrap();
            (told.as_nanosecond() - i128::from(self.now.wall_ns)) as f64 / 1e6
        }
    }

    #[test]
    fn times_stay_right_for_a_day_with_a_crystal_that_drifts() {
        for parts_per_million in [-200.0, 0.0, 200.0] {
            let mut world = World::new(parts_per_million);
            world.hear(86_400.0, 100, &[5, 0, 3]);
            assert!(world.error_ms().abs() < 10.0, "{} ms", world.error_ms());
            assert!(world.gaps.is_empty() && world.steps.is_empty());
        }
    }

    #[test]
    fn half_a_minute_of_missing_sound_is_a_gap_of_its_length_and_later_times_are_right() {
        let mut world = World::new(20.0);
        world.hear(10.0, 40, &[0]);
        world.pass(30 * SECOND);
        world.hear(10.0, 40, &[0]);
        assert_eq!(world.gaps.len(), 1);
        let gap_s = world.gaps[0] as f64 / f64::from(RATE_HZ);
        assert!((gap_s - 30.0).abs() < 0.05, "{gap_s} s");
        assert!(world.error_ms().abs() < 20.0 && world.steps.is_empty());
    }

    #[test]
    fn a_step_of_the_wall_clock_moves_later_times_and_is_no_gap() {
        for hours in [1, -1] {
            let mut world = World::new(0.0);
            world.hear(5.0, 100, &[0]);
            world.now.wall_ns += hours * 3_600 * SECOND;
            world.hear(5.0, 100, &[0]);
            assert_eq!((world.steps.as_slice(), world.gaps.len()), (&[hours * 3_600_000][..], 0));
            assert!(world.error_ms().abs() < 1.0);
        }
    }

    #[test]
    fn a_late_first_arrival_is_corrected() {
        let mut world = World::new(0.0);
        world.hear(0.1, 100, &[400]);
        world.hear(3.0, 100, &[0]);
        assert!(world.gaps.is_empty() && world.error_ms().abs() < 5.0, "{} ms", world.error_ms());
    }

    proptest! {
        #[test]
        fn lateness_is_never_a_gap_and_times_never_go_back(
            parts_per_million in -300.0..300.0f64,
            piece_ms in 5i64..300,
            late_ms in prop::collection::vec(0i64..250, 1..20),
        ) {
            let mut world = World::new(parts_per_million);
            let mut last_ms = f64::MIN;
            for _ in 0..20 {
                world.hear(3.0, piece_ms, &late_ms);
                let told_ms = world.now.wall_ns as f64 / 1e6 + world.error_ms();
                prop_assert!(told_ms > last_ms);
                last_ms = told_ms;
            }
            prop_assert!(world.gaps.is_empty(), "{:?}", world.gaps);
            prop_assert!(world.error_ms() > -10.0 && world.error_ms() < 260.0);
        }

        #[test]
        fn a_gap_of_any_length_is_reported_once_and_no_shorter_than_it_was(
            gap_ms in 400i64..100_000,
            piece_ms in 5i64..200,
        ) {
            let mut world = World::new(0.0);
            world.hear(3.0, piece_ms, &[0]);
            world.pass(gap_ms * 1_000_000);
            world.hear(6.0, piece_ms, &[0]);
            prop_assert_eq!(world.gaps.len(), 1);
            let told_ms = world.gaps[0] as f64 * 1e3 / f64::from(RATE_HZ);
            prop_assert!((told_ms - gap_ms as f64).abs() < 2.0, "{} for {}", told_ms, gap_ms);
        }
    }
}
