//! How long what was heard waits for its scores, as a histogram that any thread may add to and any thread may read.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// Buckets to an octave: a percentile is right to a fifth.
const PER_OCTAVE: f64 = 4.0;
/// From 1 ms to 65 s.
const BUCKETS: usize = 64;
/// Beyond so many, about an hour of one source, what is old counts half.
const MOST: u32 = 36_000;

/// A histogram of the lately measured.
#[derive(Debug)]
pub struct Latency {
    buckets: [AtomicU32; BUCKETS],
    total: AtomicU32,
}

impl Default for Latency {
    fn default() -> Self {
        Self { buckets: std::array::from_fn(|_| AtomicU32::new(0)), total: AtomicU32::new(0) }
    }
}

impl Latency {
    /// Adds one. Only one thread may, or a few are lost; nobody is ever hindered from reading.
    pub fn add(&self, latency: Duration) {
        let octaves = (latency.as_secs_f64() * 1e3).max(1.0).log2();
        let bucket = ((octaves * PER_OCTAVE) as usize).min(BUCKETS - 1);
        self.buckets[bucket].fetch_add(1, Relaxed);
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

    /// What part `part` of them, 0…1, took no longer than, in milliseconds; `None` before the first.
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
