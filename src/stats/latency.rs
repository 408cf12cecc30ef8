//! The latency from sound to its scores, as a histogram that any thread may read while one adds to it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The number of buckets an octave: a percentile is right to a fifth.
const PER_OCTAVE: f64 = 4.0;
/// The number of buckets, which reach from 1 ms to 65 s.
const BUCKETS: usize = 64;
/// The number of recent latencies, about an hour of one source, at which all that are counted so far are halved.
const MOST: u32 = 36_000;

/// A histogram of recent latencies, and one of all latencies.
#[derive(Debug)]
pub struct Latency {
    buckets: [AtomicU32; BUCKETS],
    total: AtomicU32,
    ever: [AtomicU64; BUCKETS],
    ever_us: AtomicU64,
}

/// The latencies since the start.
#[derive(Debug, Clone, PartialEq)]
pub struct Ever {
    /// The number of latencies below each bound: the bound in seconds, and the number. Each bound is twice the one before; longer
    /// latencies count in `count` only.
    pub below: Vec<(f64, u64)>,
    /// The number of latencies.
    pub count: u64,
    /// The sum of the latencies in seconds.
    pub sum_s: f64,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            buckets: std::array::from_fn(|_| AtomicU32::new(0)),
            total: AtomicU32::new(0),
            ever: std::array::from_fn(|_| AtomicU64::new(0)),
            ever_us: AtomicU64::new(0),
        }
    }
}

impl Latency {
    /// Adds a latency. One thread alone may do so, or a few are lost; readers are never hindered.
    pub fn add(&self, latency: Duration) {
        let octaves = (latency.as_secs_f64() * 1e3).max(1.0).log2();
        let bucket = ((octaves * PER_OCTAVE) as usize).min(BUCKETS - 1);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.ever[bucket].fetch_add(1, Relaxed);
        self.ever_us.fetch_add(latency.as_micros() as u64, Relaxed);
        if self.total.fetch_add(1, Relaxed) < MOST {
            return;
        }
        let halve = |bucket: &AtomicU32| {
            let half = bucket.load(Relaxed) / 2;
            bucket.store(half, Relaxed);
            half
        };
        self.total.store(self.buckets.iter().map(halve).sum(), Relaxed);
    }

    /// The latencies since the start, whose numbers only grow.
    pub fn ever(&self) -> Ever {
        let mut count = 0;
        let mut below = Vec::new();
        for (bucket, counted) in self.ever.iter().enumerate() {
            count += counted.load(Relaxed);
            if (bucket + 1) % PER_OCTAVE as usize == 0 && bucket + 1 < BUCKETS {
                below.push((2f64.powf((bucket + 1) as f64 / PER_OCTAVE) / 1e3, count));
            }
        }
        Ever { below, count, sum_s: self.ever_us.load(Relaxed) as f64 / 1e6 }
    }

    /// The percentile `part`, 0…1, of the recent latencies in milliseconds; `None` before the first.
    pub fn percentile_ms(&self, part: f64) -> Option<f64> {
        let counts: Vec<u32> = self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        let total: u32 = counts.iter().sum();
        let mut left = (f64::from(total) * part).ceil().max(1.0) as u32;
        let bucket = counts.iter().position(|count| {
            let is_there = left <= *count;
            left = left.saturating_sub(*count);
            is_there
        })?;
        Some(2f64.powf((bucket + 1) as f64 / PER_OCTAVE))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(Latency::default().percentile_ms(0.5), None);
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let latency = Latency::default();
        (0..2 * MOST).for_each(|_| latency.add(Duration::from_secs(10)));
        (0..4 * MOST).for_each(|_| latency.add(Duration::from_millis(20)));
        assert!(latency.percentile_ms(0.9).unwrap() < 30.0, "{:?}", latency.percentile_ms(0.9));
    }

    #[test]
    fn what_was_ever_measured_only_grows() {
        let latency = Latency::default();
        (0..2 * MOST).for_each(|_| latency.add(Duration::from_millis(20)));
        latency.add(Duration::from_secs(100));
        let ever = latency.ever();
        assert_eq!((ever.count, ever.sum_s.round()), (u64::from(2 * MOST) + 1, 1_540.0));
        let at = |bound_s| ever.below.iter().find(|(bound, _)| *bound == bound_s).unwrap().1;
        assert_eq!((at(0.016), at(0.032), at(32.768)), (0, u64::from(2 * MOST), u64::from(2 * MOST)));
    }

    proptest! {
        #[test]
        fn a_percentile_is_right_to_a_fifth(mut all_ms in prop::collection::vec(1.0..60_000.0f64, 1..300), part in 0.0..=1.0f64) {
            let latency = Latency::default();
            all_ms.iter().for_each(|ms| latency.add(Duration::from_secs_f64(ms / 1e3)));
            all_ms.sort_by(f64::total_cmp);
            let exact = all_ms[((all_ms.len() as f64 * part).ceil() as usize).max(1) - 1];
            let told = latency.percentile_ms(part).unwrap();
            prop_assert!(told >= exact * 0.999 && told <= exact * 1.2, "{told} for {exact}");
        }
    }
}
