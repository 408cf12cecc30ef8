//! Chooses one candidate threshold for each label, so that it is good also on recordings that it was not tuned by.
//!
//! The best candidate on a few recordings may be best by chance. Therefore the criterion is the mean over the bootstrap, smoothed
//! over neighbouring candidates. The choice is the middle of all candidates that are as good as the best one. It is drawn towards
//! the effective threshold, the more the fewer examples there are.

use super::candidates::{RELUCTANT, USUAL, expit, logit};
use crate::evaluate::bootstrap::{Draws, quantile};
use crate::evaluate::matching::Counts;

/// The number of examples that weigh as much as the effective threshold.
const PRIOR_EXAMPLES: f64 = 4.0;
/// The weights of a candidate and its neighbours in the smoothed criterion.
const KERNEL: [f64; 5] = [1.0, 2.0, 3.0, 2.0, 1.0];
/// The largest difference in the criterion at which a candidate is as good as the best one.
const HAIR: f64 = 0.01;
/// The part of the replicates in which another gate, or another release than the usual one, must be better before it is chosen.
const SURE: f64 = 0.9;

/// The counts of every candidate of one label, block by block.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The effective threshold.
    pub threshold: f64,
    /// The counts of the effective gate.
    pub in_force: Vec<Counts>,
    /// The candidate thresholds, rising.
    pub thresholds: Vec<f64>,
    /// The counts by manner (of the [`MANNERS`](super::candidates::MANNERS)), threshold and block.
    pub tried: Vec<Vec<Vec<Counts>>>,
}

/// The goal of the choice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// The highest F1.
    F1,
    /// The highest recall with at most this number of false alarms in all blocks together.
    FalseAlarms(f64),
}

/// The choice for one label.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The threshold; the effective one if no candidate is better.
    pub threshold: f64,
    /// The range in which the best threshold of other such recordings lies in 9 of 10 cases.
    pub interval: (f64, f64),
    /// The number of true events.
    pub n_examples: u32,
    /// The counts of the effective gate.
    pub before: Counts,
    /// The counts of the candidate nearest to the choice.
    pub after: Counts,
    /// The indices of that candidate's manner and threshold; `None` if the effective gate stays.
    pub nearest: Option<(usize, usize)>,
}

impl Evidence {
    /// Chooses the threshold and the release.
    pub fn choose(&self, goal: Goal, draws: &Draws) -> Choice {
        let before = sum(&self.in_force);
        let n_examples = before.hits + before.missed;
        let usual = &self.tried[USUAL];
        let drawn: Vec<Vec<f64>> =
            draws.replicates().map(|times| criteria(usual.iter().map(|b| drawn(b, times)), goal)).collect();
        let mut best: Vec<f64> = drawn.iter().filter_map(|criteria| self.peak(criteria)).collect();
        let interval = (expit(quantile(&mut best, 0.05)), expit(quantile(&mut best, 0.95)));
        let kept = Choice { threshold: self.threshold, interval, n_examples, before, after: before, nearest: None };
        let asked = match goal {
            Goal::F1 => means(&drawn),
            // The limit applies to the false alarms of these recordings, which are known. The bootstrap would only blur it.
            Goal::FalseAlarms(_) => criteria(usual.iter().map(|blocks| sum(blocks)), goal),
        };
        let highest = || (goal != Goal::F1).then(|| self.thresholds.last().copied().map(logit)).flatten();
        let Some(peak) = self.peak(&asked).or_else(highest) else { return kept };
        let weight = f64::from(n_examples) / (f64::from(n_examples) + PRIOR_EXAMPLES);
        let mut chosen = weight * peak + (1.0 - weight) * logit(self.threshold.clamp(1e-4, 1.0 - 1e-4));
        if let Goal::FalseAlarms(_) = goal {
            // The draw towards the effective threshold must not exceed the limit of false alarms.
            let least = asked.iter().rposition(|criterion| criterion.is_infinite()).map_or(0, |over| over + 1);
            chosen = chosen.max(self.thresholds.get(least).copied().map_or(peak, logit));
        }
        let nearest = self.nearest(chosen);
        let manner = if goal == Goal::F1 { self.manner(nearest, draws) } else { USUAL };
        let after = sum(&self.tried[manner][nearest]);
        let is_better = match goal {
            Goal::F1 => is_sure(&gains(&self.in_force, &self.tried[manner][nearest], draws)),
            Goal::FalseAlarms(most) => f64::from(before.false_alarms) > most || after.recall() > before.recall(),
        };
        if !is_better {
            return kept;
        }
        Choice { threshold: expit(chosen), after, nearest: Some((manner, nearest)), ..kept }
    }

    /// The log-odds in the middle of the candidates around the best one that are as good as it; `None` if no candidate finds
    /// anything.
    fn peak(&self, criteria: &[f64]) -> Option<f64> {
        let (at, best) = criteria.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
        if best <= 0.0 {
            return None;
        }
        let is_as_good = |criterion: &&f64| **criterion >= best - HAIR;
        let low = at - criteria[..at].iter().rev().take_while(is_as_good).count();
        let high = at + criteria[at + 1..].iter().take_while(is_as_good).count();
        Some((logit(self.thresholds[low]) + logit(self.thresholds[high])) / 2.0)
    }

    /// The index of the threshold nearest to these log-odds.
    fn nearest(&self, chosen: f64) -> usize {
        let far = |threshold: &f64| (logit(*threshold) - chosen).abs();
        (0..self.thresholds.len()).min_by(|a, b| far(&self.thresholds[*a]).total_cmp(&far(&self.thresholds[*b]))).unwrap_or(0)
    }

    /// The best manner for a threshold: the usual one, unless another release is surely better.
    fn manner(&self, threshold: usize, draws: &Draws) -> usize {
        let at = |manner: usize| &self.tried[manner][threshold];
        let gains = (USUAL + 1..RELUCTANT).map(|manner| (manner, gains(at(USUAL), at(manner), draws)));
        let sure = gains.filter(|(_, gains)| is_sure(gains)).map(|(manner, gains)| (manner, gains.iter().sum::<f64>()));
        sure.max_by(|a, b| a.1.total_cmp(&b.1)).map_or(USUAL, |(manner, _)| manner)
    }
}

/// The gain in F1 from `old` to `new`, replicate by replicate.
fn gains(old: &[Counts], new: &[Counts], draws: &Draws) -> Vec<f64> {
    draws.replicates().map(|times| drawn(new, times).f1() - drawn(old, times).f1()).collect()
}

/// Whether there is a gain in at least the part [`SURE`] of the replicates.
fn is_sure(gains: &[f64]) -> bool {
    gains.iter().filter(|gain| **gain > 0.0).count() as f64 >= SURE * gains.len() as f64
}

/// The criterion of each candidate, from the lowest threshold on. It is minus infinity if the candidate or one with a higher
/// threshold exceeds the limit of false alarms.
fn criteria(counts: impl DoubleEndedIterator<Item = Counts>, goal: Goal) -> Vec<f64> {
    match goal {
        Goal::F1 => smooth(&counts.map(Counts::f1).collect::<Vec<_>>()),
        Goal::FalseAlarms(most) => {
            let mut is_over = false;
            let mut criteria: Vec<f64> = counts
                .rev()
                .map(|counts| {
                    is_over |= f64::from(counts.false_alarms) > most;
                    if is_over { f64::NEG_INFINITY } else { counts.recall() }
                })
                .collect();
            criteria.reverse();
            criteria
        }
    }
}

/// Each value as the mean of itself and its neighbours, weighted by [`KERNEL`].
fn smooth(values: &[f64]) -> Vec<f64> {
    let reach = KERNEL.len() / 2;
    let at = |at: usize| {
        let near = (0..KERNEL.len()).filter_map(|k| Some((KERNEL[k], *values.get((at + k).checked_sub(reach)?)?)));
        let (sum, weight) = near.fold((0.0, 0.0), |(sum, weight), (k, value)| (sum + k * value, weight + k));
        sum / weight
    };
    (0..values.len()).map(at).collect()
}

fn means(replicates: &[Vec<f64>]) -> Vec<f64> {
    let n = replicates.first().map_or(0, Vec::len);
    (0..n).map(|at| replicates.iter().map(|replicate| replicate[at]).sum::<f64>() / replicates.len() as f64).collect()
}

fn sum(blocks: &[Counts]) -> Counts {
    blocks.iter().copied().sum()
}

fn drawn(blocks: &[Counts], times: &[u16]) -> Counts {
    blocks.iter().zip(times).map(|(counts, times)| *counts * *times).sum()
}

#[cfg(test)]
mod tests {
    use super::super::candidates;
    use super::*;

    fn at(hits: u32, missed: u32, false_alarms: u32) -> Counts {
        Counts { hits, missed, false_alarms }
    }

    /// `n` blocks with one true event each. Thresholds up to `found` find the event, and thresholds up to `noisy` give a false
    /// alarm as well.
    fn evidence(n: usize, noisy: f64, found: f64, in_force: f64) -> Evidence {
        let thresholds = candidates::thresholds();
        let did = |threshold: f64| {
            let hits = u32::from(threshold <= found);
            vec![at(hits, 1 - hits, u32::from(threshold <= noisy)); n]
        };
        let usual: Vec<_> = thresholds.iter().map(|threshold| did(*threshold)).collect();
        Evidence { threshold: in_force, in_force: did(in_force), tried: vec![usual; candidates::MANNERS.len()], thresholds }
    }

    fn choose(evidence: &Evidence, goal: Goal) -> Choice {
        evidence.choose(goal, &Draws::new(evidence.in_force.len()))
    }

    #[test]
    fn the_middle_of_the_best_is_found_where_examples_are_many() {
        let choice = choose(&evidence(400, 0.1, 0.4, 0.02), Goal::F1);
        let middle = expit((logit(0.1) + logit(0.4)) / 2.0);
        assert!((logit(choice.threshold) - logit(middle)).abs() < 0.3, "{choice:?}");
        assert_eq!((choice.before.f1(), choice.after.f1(), choice.n_examples), (2.0 / 3.0, 1.0, 400));
        assert!(choice.interval.0 < middle + 0.03 && choice.interval.1 > middle - 0.03, "{choice:?}");
    }

    #[test]
    fn few_examples_stay_near_the_threshold_in_force() {
        let distance = |n: usize| logit(choose(&evidence(n, 0.1, 0.4, 0.07), Goal::F1).threshold) - logit(0.07);
        let (two, five, many) = (distance(3), distance(6), distance(100));
        assert!(two > 0.0 && two < 0.5 * many && five > two && five < 0.7 * many, "{two} {five} {many}");
    }

    #[test]
    fn what_is_no_better_stays_in_force() {
        let choice = choose(&evidence(20, 0.1, 0.4, 0.2), Goal::F1);
        assert_eq!((choice.threshold, choice.nearest), (0.2, None));
        // The effective threshold stays also if no candidate finds anything.
        let choice = choose(&evidence(20, 0.9, 0.0, 0.2), Goal::F1);
        assert_eq!((choice.threshold, choice.nearest), (0.2, None));
        assert!(choice.interval.0.is_nan());
    }

    #[test]
    fn another_release_is_taken_only_if_it_is_better_for_sure() {
        let mut evidence = evidence(30, 0.1, 0.4, 0.02);
        for blocks in &mut evidence.tried[2] {
            blocks[0].false_alarms = 0;
        }
        assert_eq!(choose(&evidence, Goal::F1).nearest.map(|(manner, _)| manner), Some(USUAL));
        for release in [0, 1, 3] {
            for blocks in &mut evidence.tried[release] {
                blocks[..8].fill(at(0, 1, 1));
            }
        }
        assert_eq!(choose(&evidence, Goal::F1).nearest.map(|(manner, _)| manner), Some(2));
    }

    #[test]
    fn a_budget_of_false_alarms_is_kept_and_few_examples_do_not_stretch_it() {
        let evidence = evidence(2, 0.1, 0.05, 0.02);
        let choice = choose(&evidence, Goal::FalseAlarms(1.0));
        assert!(choice.threshold > 0.1 && choice.after.false_alarms == 0, "{choice:?}");
        let choice = choose(&evidence, Goal::FalseAlarms(2.0));
        assert!(choice.threshold < 0.05 && choice.after.hits == 2, "{choice:?}");
    }
}
