//! Which of the candidates is taken, so that it is good on recordings that nobody has tuned by.
//!
//! The best candidate of a few recordings is best by chance. So the mean over the bootstrap is asked and not the recordings alone,
//! neighbours speak for each other, the middle of all that are as good as the best is taken, and that is drawn towards the
//! threshold in force, the more the fewer examples there are.

use super::bootstrap::{Draws, quantile};
use super::candidates::{RELEASE_RATIOS, expit, logit};
use super::matching::Counts;

/// So many examples weigh as much as the threshold in force.
const PRIOR_EXAMPLES: f64 = 4.0;
/// How much each neighbour of a candidate speaks for it, the farthest first.
const KERNEL: [f64; 5] = [1.0, 2.0, 3.0, 2.0, 1.0];
/// Candidates that are no more than this below the best are as good.
const HAIR: f64 = 0.01;
/// Another release than the usual one must be better in so many of the replicates.
const SURE: f64 = 0.95;

/// What every candidate of one label did, block by block.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The threshold in force.
    pub threshold: f64,
    /// What the gate in force did.
    pub in_force: Vec<Counts>,
    /// The thresholds that were tried, rising.
    pub thresholds: Vec<f64>,
    /// What they did, for each of [`RELEASE_RATIOS`].
    pub tried: Vec<Vec<Vec<Counts>>>,
}

/// What the thresholds are to reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// The highest F1.
    F1,
    /// The highest recall with so many false alarms at most in the time of all blocks together.
    FalseAlarms(f64),
}

/// What was chosen for one label.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The threshold; the one in force where nothing better was found.
    pub threshold: f64,
    /// The release as a part of the threshold.
    pub release_ratio: f64,
    /// Between these lies the best threshold of other such recordings in 9 of 10 cases.
    pub interval: (f64, f64),
    /// How many true events there are.
    pub n_examples: u32,
    /// What the gate in force did.
    pub before: Counts,
    /// What the candidate nearest to the choice did.
    pub after: Counts,
    /// Which candidate that is, and with which of the releases; `None` where the gate in force stays.
    pub nearest: Option<(usize, usize)>,
}

impl Evidence {
    /// Chooses the threshold and the release.
    pub fn choose(&self, goal: Goal, draws: &Draws) -> Choice {
        let before = sum(&self.in_force);
        let n_examples = before.hits + before.missed;
        let usual = &self.tried[0];
        let drawn: Vec<Vec<f64>> =
            draws.replicates().map(|times| criteria(usual.iter().map(|b| drawn(b, times)), goal)).collect();
        let mut best: Vec<f64> = drawn.iter().filter_map(|criteria| self.peak(criteria)).collect();
        let interval = (expit(quantile(&mut best, 0.05)), expit(quantile(&mut best, 0.95)));
        let release_ratio = RELEASE_RATIOS[0];
        let kept =
            Choice { threshold: self.threshold, release_ratio, interval, n_examples, before, after: before, nearest: None };
        let asked = match goal {
            Goal::F1 => means(&drawn),
            // How many false alarms there were is known; to draw them anew would only blur it.
            Goal::FalseAlarms(_) => criteria(usual.iter().map(|blocks| sum(blocks)), goal),
        };
        let highest = || (goal != Goal::F1).then(|| self.thresholds.last().copied().map(logit)).flatten();
        let Some(peak) = self.peak(&asked).or_else(highest) else { return kept };
        let weight = f64::from(n_examples) / (f64::from(n_examples) + PRIOR_EXAMPLES);
        let mut chosen = weight * peak + (1.0 - weight) * logit(self.threshold.clamp(1e-4, 1.0 - 1e-4));
        if let Goal::FalseAlarms(_) = goal {
            // Few examples are no reason to give more false alarms than were asked for.
            let least = asked.iter().rposition(|criterion| criterion.is_infinite()).map_or(0, |over| over + 1);
            chosen = chosen.max(self.thresholds.get(least).copied().map_or(peak, logit));
        }
        let nearest = self.nearest(chosen);
        let release = if goal == Goal::F1 { self.release(nearest, draws) } else { 0 };
        let after = sum(&self.tried[release][nearest]);
        let is_better = match goal {
            Goal::F1 => after.f1() > before.f1(),
            Goal::FalseAlarms(most) => f64::from(before.false_alarms) > most || after.recall() > before.recall(),
        };
        if !is_better {
            return kept;
        }
        let release_ratio = RELEASE_RATIOS[release];
        Choice { threshold: expit(chosen), release_ratio, after, nearest: Some((release, nearest)), ..kept }
    }

    /// The log-odds in the middle of all candidates that are as good as the best and lie around it; `None` where none finds anything.
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

    /// The candidate that is nearest to these log-odds.
    fn nearest(&self, chosen: f64) -> usize {
        let far = |threshold: &f64| (logit(*threshold) - chosen).abs();
        (0..self.thresholds.len()).min_by(|a, b| far(&self.thresholds[*a]).total_cmp(&far(&self.thresholds[*b]))).unwrap_or(0)
    }

    /// Which release goes best with a threshold: the usual one, unless another is better for sure.
    fn release(&self, threshold: usize, draws: &Draws) -> usize {
        let f1 = |release: usize, times: &[u16]| {
            let around = |at: usize| &self.tried[release][at];
            let near = threshold.saturating_sub(1)..(threshold + 2).min(self.thresholds.len());
            near.clone().map(|at| drawn(around(at), times).f1()).sum::<f64>() / near.len() as f64
        };
        let gains = |release: usize| -> Vec<f64> { draws.replicates().map(|times| f1(release, times) - f1(0, times)).collect() };
        let sure = (1..self.tried.len()).filter_map(|release| {
            let gains = gains(release);
            let n_better = gains.iter().filter(|gain| **gain > 0.0).count();
            (n_better as f64 >= SURE * gains.len() as f64).then(|| (release, gains.iter().sum::<f64>()))
        });
        sure.max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(release, _)| release)
    }
}

/// How good each candidate is, rising thresholds; minus infinity where it gives more false alarms than are allowed, or a higher one
/// does.
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

/// Each value as the mean of its neighbours, weighed by [`KERNEL`].
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

    /// `n` blocks with one true event each, which thresholds up to `found` find; those up to `noisy` give a false alarm as well.
    fn evidence(n: usize, noisy: f64, found: f64, in_force: f64) -> Evidence {
        let thresholds = candidates::thresholds();
        let did = |threshold: f64| {
            let hits = u32::from(threshold <= found);
            vec![at(hits, 1 - hits, u32::from(threshold <= noisy)); n]
        };
        let usual: Vec<_> = thresholds.iter().map(|threshold| did(*threshold)).collect();
        Evidence { threshold: in_force, in_force: did(in_force), tried: vec![usual; RELEASE_RATIOS.len()], thresholds }
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
        // And so it does where nothing is ever found.
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
        assert_eq!(choose(&evidence, Goal::F1).release_ratio, RELEASE_RATIOS[0]);
        for release in [0, 1, 3] {
            for blocks in &mut evidence.tried[release] {
                blocks[..8].fill(at(0, 1, 1));
            }
        }
        assert_eq!(choose(&evidence, Goal::F1).release_ratio, RELEASE_RATIOS[2]);
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
