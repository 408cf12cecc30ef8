//! From the scores of trailing windows to one curve: causal at once, two-sided a window later.
//!
//! The window that ends at t + δW is high from a sound's onset on; the one that begins at t − δW is high until its offset. Their
//! geometric mean is high during the sound only, and short and long windows are averaged in the same way: the short one knows when,
//! the long one knows what. A median takes out single values. Which windows, and δ, belong to the model's manifest.

use crate::model::manifest::Detection;

/// Keeps the logarithm of a score finite; well below any score that means something.
const EPSILON: f32 = 1e-5;

/// How windows stand to time; lengths and positions are counted in hops.
#[derive(Debug, Clone, PartialEq)]
pub struct Scoring {
    hop_samples: u64,
    /// Each window's length in samples.
    windows_samples: Vec<u64>,
    /// For each window: how far after the middle of a value the two windows that speak of it end.
    reach: Vec<(f32, f32)>,
    median: usize,
    /// How many hops of trailing scores are remembered.
    memory: usize,
    /// How many hops the two-sided curve lags behind the newest window.
    lag: u64,
    extent: f32,
    valley: f32,
}

impl Scoring {
    /// The placing that a model's manifest asks for.
    pub fn new(detection: &Detection, sample_rate_hz: u32) -> Self {
        let hop_samples = detection.hop_samples(sample_rate_hz) as u64;
        let windows_samples: Vec<u64> = detection.windows_samples(sample_rate_hz).map(|window| window as u64).collect();
        let hops = |window: &u64| *window as f32 / hop_samples as f32;
        let reach: Vec<_> = windows_samples
            .iter()
            .map(|window| (detection.delta * hops(window), (1.0 - detection.delta) * hops(window)))
            .collect();
        let furthest = reach.iter().map(|(_, far)| far - 0.5).fold(0.0, f32::max).ceil() as u64;
        let lag = furthest + (detection.median as u64 - 1) / 2;
        Self {
            hop_samples,
            windows_samples,
            reach,
            median: detection.median,
            memory: furthest as usize + 2,
            lag,
            extent: detection.extent,
            valley: detection.valley,
        }
    }

    /// The distance of two windows in samples.
    pub fn hop_samples(&self) -> u64 {
        self.hop_samples
    }

    /// The lengths of the windows in samples.
    pub fn windows_samples(&self) -> &[u64] {
        &self.windows_samples
    }

    /// The length of the longest window in samples.
    pub fn longest_samples(&self) -> u64 {
        self.windows_samples.iter().copied().max().unwrap_or(0)
    }

    /// How long after a moment its two-sided value comes, in samples.
    pub fn lag_samples(&self) -> u64 {
        (self.lag + 1) * self.hop_samples
    }

    /// An event reaches as far as its curve stays above this part of its peak.
    pub fn extent(&self) -> f32 {
        self.extent
    }

    /// Two peaks are two events if the curve between them falls below this part of the lower one.
    pub fn valley(&self) -> f32 {
        self.valley
    }
}

/// The causal score of a label: the geometric mean of the scores of the windows that end now, 0…1.
pub fn causal(scores: impl ExactSizeIterator<Item = f32>) -> f32 {
    let n_windows = scores.len().max(1) as f32;
    (scores.map(|score| (score + EPSILON).ln()).sum::<f32>() / n_windows).exp()
}

/// The curve of one rule.
#[derive(Debug, Clone)]
pub struct Curve {
    /// The newest trailing scores, `[memory, windows]`, that of hop k at k % memory.
    trailing: Vec<f32>,
    n_windows: usize,
    memory: usize,
    /// How many hops have come.
    n_hops: u64,
    /// The newest values before the median, the newest last.
    raw: Vec<f32>,
}

impl Curve {
    /// A curve without a past.
    pub fn new(scoring: &Scoring) -> Self {
        let n_windows = scoring.windows_samples.len();
        Self {
            trailing: vec![0.0; scoring.memory * n_windows],
            n_windows,
            memory: scoring.memory,
            n_hops: 0,
            raw: Vec::with_capacity(scoring.median + 1),
        }
    }

    /// Takes the scores of the windows that end at the next hop, one a length.
    ///
    /// Returns the causal score of now, and the two-sided value of `lag` hops ago once there is one.
    pub fn push(&mut self, scoring: &Scoring, scores: impl ExactSizeIterator<Item = f32> + Clone) -> (f32, Option<f32>) {
        let row = (self.n_hops % self.memory as u64) as usize * self.n_windows;
        for (place, score) in self.trailing[row..row + self.n_windows].iter_mut().zip(scores.clone()) {
            *place = score;
        }
        self.n_hops += 1;
        (causal(scores), self.two_sided(scoring))
    }

    fn two_sided(&mut self, scoring: &Scoring) -> Option<f32> {
        let raw_lag = scoring.lag - (scoring.median as u64 - 1) / 2;
        let at = (self.n_hops - 1).checked_sub(raw_lag)?;
        let mut sum = 0.0;
        for (window, (near, far)) in scoring.reach.iter().enumerate() {
            let product = self.ending(at, near - 0.5, window) * self.ending(at, far - 0.5, window);
            sum += (product.sqrt() + EPSILON).ln();
        }
        let value = (sum / self.n_windows as f32).exp();
        if self.raw.is_empty() {
            // Before the first value there was the same, so that the median begins at once.
            self.raw.resize(scoring.median.saturating_sub(1), value);
        }
        self.raw.push(value);
        let median = median(&self.raw);
        self.raw.remove(0);
        (self.n_hops > scoring.lag).then_some(median)
    }

    /// The trailing score of the window that ends `after` hops after that of hop `at` does, between two hops by a straight line.
    fn ending(&self, at: u64, after: f32, window: usize) -> f32 {
        // Hops are counted in integers: a service that runs for years would lose the fraction of a float.
        let whole = after.floor();
        let low = at.saturating_add_signed(whole as i64).min(self.n_hops - 1);
        let high = (low + 1).min(self.n_hops - 1);
        let score = |hop: u64| self.trailing[(hop % self.memory as u64) as usize * self.n_windows + window];
        score(low) + (score(high) - score(low)) * (after - whole)
    }
}

/// The median of an odd number of values, at most nine.
fn median(values: &[f32]) -> f32 {
    let mut sorted = [0.0; 9];
    let n = values.len().min(sorted.len());
    sorted[..n].copy_from_slice(&values[..n]);
    sorted[..n].sort_unstable_by(f32::total_cmp);
    sorted[n / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scoring() -> Scoring {
        let detection =
            Detection { windows_ms: vec![960, 2_880], hop_ms: 100, delta: 0.13, median: 3, extent: 0.12, valley: 0.3 };
        Scoring::new(&detection, 1_000)
    }

    /// What a tagger says of a window that ends at `end` and is `length` long: sure once 200 ms of the sound lie in it.
    fn tagger(end: i64, length: i64, sounds: &[(i64, i64)]) -> f32 {
        let inside: i64 = sounds.iter().map(|(from, to)| (end.min(*to) - (end - length).max(*from)).max(0)).sum();
        if inside >= 200 { 0.9 } else { 0.001 }
    }

    /// The two-sided curve as (middle of the value in ms, value).
    fn curve(sounds: &[(i64, i64)], hops: i64) -> Vec<(i64, f32)> {
        let (scoring, mut values) = (scoring(), Vec::new());
        let mut curve = Curve::new(&scoring);
        for hop in 1..=hops {
            let scores = [tagger(hop * 100, 960, sounds), tagger(hop * 100, 2_880, sounds)];
            let (causal, value) = curve.push(&scoring, scores.into_iter());
            assert!((0.0..=1.0).contains(&causal));
            values.extend(value);
        }
        values.into_iter().enumerate().map(|(index, value)| (index as i64 * 100 + 50, value)).collect()
    }

    #[test]
    fn the_curve_is_high_while_the_sound_lasts_and_not_for_a_window_longer() {
        for (from, to) in [(3_000, 3_600), (3_000, 5_000), (3_020, 9_000)] {
            let above: Vec<i64> = curve(&[(from, to)], 200).iter().filter(|(_, value)| *value > 0.3).map(|(at, _)| *at).collect();
            let (first, last) = (above[0], above[above.len() - 1]);
            assert!((first - from).abs() <= 300 && (last - to).abs() <= 300, "{from}–{to}: {first}–{last}");
        }
    }

    #[test]
    fn two_sounds_a_second_apart_are_two_rises() {
        let curve = curve(&[(3_000, 3_500), (4_900, 5_400)], 120);
        let at = |moment: i64| curve.iter().find(|(at, _)| *at == moment).unwrap().1;
        assert!(at(3_250) > 0.5 && at(5_150) > 0.5, "{curve:?}");
        assert!(at(4_250) < 0.3 * at(3_250), "{curve:?}");
    }

    #[test]
    fn the_first_value_is_that_of_the_first_hop() {
        let (scoring, mut n) = (scoring(), 0);
        let mut curve = Curve::new(&scoring);
        for hop in 0..100u64 {
            if curve.push(&scoring, [0.5, 0.5].into_iter()).1.is_some() {
                n += 1;
                assert!(hop >= n - 1 && (hop + 1 - n) * 100 < scoring.lag_samples());
            }
        }
        assert_eq!((100 - n + 1) * 100, scoring.lag_samples());
    }
}
