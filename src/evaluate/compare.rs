//! Whether two results over the same recordings differ by more than chance.
//!
//! A difference has a bootstrap interval over recordings, drawn for both results alike, and a p-value from a permutation test: if
//! both were the same program, it would not matter which of the two heard a recording, so that the results of random recordings can change
//! places. The p-values of one table are corrected after Holm, so that a long table does not find differences by chance.

use super::bootstrap::Draws;
use super::tally::Tally;
use super::totals::{Estimate, Totals};

/// The number of permutations. The lowest p-value is one in so many.
const PERMUTATIONS: usize = 1_999;
const SEED: u64 = 1_202;
/// The p-value from which on a difference may be chance.
const CHANCE: f64 = 0.05;

/// A measure of the sums of recordings.
pub type Measure<'a> = Box<dyn Fn(&Totals) -> Option<f64> + 'a>;

/// The difference of two results by one measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// The measure of the first result, and of the second.
    pub values: [f64; 2],
    /// The first less the second.
    pub difference: Estimate,
    /// The chance of a difference as large or larger between two results that are the same; corrected for the number of measures.
    pub p: f64,
}

impl Difference {
    /// Whether the difference is more than chance.
    pub fn is_more_than_chance(&self) -> bool {
        self.p < CHANCE
    }
}

/// The differences by each of `measures`; `None` where a result has none. Both lists are of the same recordings in the same order.
pub fn differences(
    first: &[Tally],
    second: &[Tally],
    n_labels: usize,
    draws: Option<&Draws>,
    measures: &[Measure],
) -> Vec<Option<Difference>> {
    let sums = |tallies: &[Tally], times: &dyn Fn(usize) -> u16| {
        Totals::of(tallies.iter().enumerate().map(|(at, tally)| (tally, times(at))), n_labels)
    };
    let subtract = |measure: &Measure, a: &Totals, b: &Totals| Some(measure(a)? - measure(b)?);
    let whole = [sums(first, &|_| 1), sums(second, &|_| 1)];
    let mut drawn: Vec<Vec<f64>> = vec![Vec::new(); measures.len()];
    for times in draws.iter().flat_map(|draws| draws.replicates()) {
        let [a, b] = [first, second].map(|tallies| sums(tallies, &|at| times[at]));
        for (values, measure) in drawn.iter_mut().zip(measures) {
            values.extend(subtract(measure, &a, &b));
        }
    }
    let observed: Vec<Option<f64>> = measures.iter().map(|measure| subtract(measure, &whole[0], &whole[1])).collect();
    let mut as_large = vec![1usize; measures.len()];
    let mut random = fastrand::Rng::with_seed(SEED);
    for _ in 0..PERMUTATIONS {
        let is_swapped: Vec<bool> = first.iter().map(|_| random.bool()).collect();
        let mixed = |one: &[Tally], other: &[Tally]| {
            let mixed =
                is_swapped.iter().zip(one.iter().zip(other)).map(|(swapped, (one, other))| if *swapped { other } else { one });
            Totals::of(mixed.map(|tally| (tally, 1)).collect::<Vec<_>>().into_iter(), n_labels)
        };
        let (a, b) = (mixed(first, second), mixed(second, first));
        for (as_large, (measure, observed)) in as_large.iter_mut().zip(measures.iter().zip(&observed)) {
            let (Some(observed), Some(now)) = (observed, subtract(measure, &a, &b)) else { continue };
            // Sums in another order may differ in their last digit.
            *as_large += usize::from(now.abs() >= observed.abs() - 1e-12);
        }
    }
    let p: Vec<f64> = as_large.iter().map(|n| *n as f64 / (PERMUTATIONS + 1) as f64).collect();
    let corrected = holm(&p);
    let row = |at: usize| {
        let values = [measures[at](&whole[0])?, measures[at](&whole[1])?];
        Some(Difference { values, difference: Estimate::new(observed[at]?, drawn[at].iter().copied()), p: corrected[at] })
    };
    (0..measures.len()).map(row).collect()
}

/// The p-values after Holm: each times the number of those that are not lower, and never below a lower one's.
fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut corrected = vec![0.0; p.len()];
    let mut highest: f64 = 0.0;
    for (rank, at) in order.iter().enumerate() {
        highest = highest.max((p[*at] * (p.len() - rank) as f64).min(1.0));
        corrected[*at] = highest;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holm_never_makes_a_p_value_smaller_and_keeps_their_order() {
        assert_eq!(holm(&[0.01, 0.04, 0.03]), [0.03, 0.06, 0.06]);
        assert_eq!(holm(&[0.5, 0.9]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
