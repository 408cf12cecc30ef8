//! The bootstrap over blocks of sound: it shows how much a result would differ with other recordings of the same kind.
//!
//! Each replicate draws blocks with replacement. The seed is fixed, so the same recordings give the same numbers each time.

/// The number of replicates.
const REPLICATES: usize = 400;
const SEED: u64 = 527;

/// The replicates: for each, the number of times that each block is in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Draws(Vec<Vec<u16>>);

impl Draws {
    /// Draws the replicates. Each has as many blocks as the recordings.
    pub fn new(n_blocks: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(SEED);
        let draw = |_| {
            let mut times = vec![0; n_blocks];
            for _ in 0..n_blocks {
                times[random.usize(..n_blocks)] += 1;
            }
            times
        };
        Self((0..REPLICATES).map(draw).collect())
    }

    /// The replicates.
    pub fn replicates(&self) -> impl Iterator<Item = &[u16]> {
        self.0.iter().map(Vec::as_slice)
    }
}

/// The quantile of the values at `part`, 0…1. Sorts the values.
pub fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (part * values.len().saturating_sub(1) as f64).round() as usize;
    values.get(at).copied().unwrap_or(f64::NAN)
}

/// The upper 95 % bound of a rate of which `count` events were seen in `time`: a higher rate gives so few events with a chance
/// below 5 %.
pub fn upper_rate(count: u32, time: f64) -> f64 {
    // The chance of at most `count` events of a Poisson distribution with this mean.
    let chance = |mean: f64| {
        let terms = (1..=count).scan(1.0, |term, k| {
            *term *= mean / f64::from(k);
            Some(*term)
        });
        (-mean).exp() * (1.0 + terms.sum::<f64>())
    };
    let (mut low, mut high) = (f64::from(count), f64::from(count) * 3.0 + 10.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if chance(middle) > 0.05 { low = middle } else { high = middle }
    }
    low / time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_draws_are_the_same_each_time_and_draw_as_many_as_there_are() {
        let draws = Draws::new(7);
        assert_eq!(draws, Draws::new(7));
        assert!(draws.replicates().all(|times| times.iter().map(|times| u32::from(*times)).sum::<u32>() == 7));
        assert!(draws.replicates().any(|times| times.contains(&0)));
        assert_eq!(Draws::new(0).replicates().next(), Some(&[][..]));
    }

    #[test]
    fn a_rate_leaves_room_for_more_than_was_seen() {
        // After zero events a mean of three is still possible, after ten a mean of nearly seventeen.
        assert!((upper_rate(0, 1.0) - 2.996).abs() < 0.01);
        assert!((upper_rate(10, 2.0) - 16.96 / 2.0).abs() < 0.01);
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        assert_eq!(quantile(&mut [3.0, 1.0, 2.0, 5.0, 4.0], 0.5), 3.0);
        assert_eq!(quantile(&mut [3.0, 1.0], 1.0), 3.0);
        assert!(quantile(&mut [], 0.5).is_nan());
    }
}
