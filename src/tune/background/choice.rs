//! The lowest thresholds that keep all alarms of ordinary background together within a budget.
//!
//! The budget is shared out so that no label pays more than another for the same gain: each gets alarms in proportion to how slowly
//! its tail thins out. Raising follows the evidence at once, lowering follows it the more the longer was heard. What is in force is
//! taken for good where nothing speaks against it: somebody found it with other recordings, or set it.

use super::statistics::{Alarm, Record, Statistics, log_odds, score_of};
use super::tail::Tail;
use crate::detect::peaks::CurveKind;
use crate::detect::rule::Rule;
use crate::model::Labels;
use crate::tune::bootstrap::upper_rate;

/// A threshold in force that nothing reached counts as much as so many hours without an alarm.
const TRUST_HOURS: f64 = 24.0;
/// A label that needs a threshold above this, or above the highest score that it is likely to reach, is heard all the time, or as
/// good as never: it is better ignored.
const CEILING: f32 = 0.95;
/// A threshold is so far above the highest alarm that was seen, in log-odds, where the budget allows for none.
const MARGIN: f64 = 0.2;
/// After so many hours half of what could be lowered is.
const LOWERING_HOURS: f64 = 48.0;
/// What would be raised, or lowered, by less than this from what is in force, in log-odds, stays.
const SAME: (f64, f64) = (0.1, 0.25);

/// What is advised for one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The rule, by its index.
    pub rule: usize,
    /// What confirms an event.
    pub threshold: Number,
    /// What announces one.
    pub start_threshold: Number,
    /// No threshold would do: it is better not reported here.
    pub ignore: bool,
    /// Its strongest alarms: the announced ones where more are announced than confirmed.
    pub strongest: Vec<Alarm>,
}

/// One of a rule's two thresholds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    /// What is in force, 0…1.
    pub in_force: f32,
    /// What is advised, 0…1; the same where nothing is to be changed.
    pub advised: f32,
    /// How many alarms reached what is in force.
    pub n_in_force: u64,
    /// How many reach what is advised.
    pub n_advised: u64,
}

impl Number {
    /// Whether another number is advised.
    pub fn is_changed(&self) -> bool {
        self.advised != self.in_force
    }
}

impl Choice {
    /// About how many alarms it would have made at the thresholds in force: what is announced is mostly what is confirmed as well.
    pub fn n_in_force(&self) -> u64 {
        self.threshold.n_in_force.max(self.start_threshold.n_in_force)
    }

    /// About how many are left.
    pub fn n_advised(&self) -> u64 {
        if self.ignore { 0 } else { self.threshold.n_advised.max(self.start_threshold.n_advised) }
    }

    /// Whether anything is to be changed.
    pub fn is_change(&self) -> bool {
        self.ignore || self.threshold.is_changed() || self.start_threshold.is_changed()
    }
}

/// What is advised for all rules, and how sure it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    /// One for each rule, in their order.
    pub choices: Vec<Choice>,
    /// The hours heard.
    pub hours: f64,
    /// How many alarms a day were asked for, of all rules together.
    pub per_day: f64,
    /// About how many alarms of the hours heard are left.
    pub n_left: u64,
    /// With 95 % certainty no more than so many alarms a day remain, by what was heard alone.
    pub at_most_per_day: f64,
    /// So many hours without an alarm would make sure of the budget.
    pub hours_to_be_sure: f64,
}

/// The thresholds for `rules` over a model's labels that keep all of them within `per_day` alarms a day.
pub fn advise(statistics: &Statistics, rules: &[Rule], labels: &Labels, per_day: f64) -> Advice {
    let hours = statistics.hours().max(1e-3);
    let records = |kind| rules.iter().map(move |rule| statistics.record(&rule.members, kind)).collect::<Vec<Record>>();
    let (two_sided, causal) = (records(CurveKind::Confirmed), records(CurveKind::Causal));
    // An alarm is announced, or confirmed, or both: half of the budget for each stays within it whichever they are.
    let budget = per_day / 24.0 * hours / 2.0;
    let thresholds: Vec<f32> = rules.iter().map(|rule| rule.gate.threshold).collect();
    let starts: Vec<f32> = rules.iter().map(|rule| rule.gate.start_threshold).collect();
    let ceilings: Vec<f64> = rules.iter().map(|rule| ceiling(rule, labels)).collect();
    let places = place_all(&two_sided, &thresholds, &ceilings, hours, budget);
    let start_places = place_all(&causal, &starts, &ceilings, hours, budget);
    let choices: Vec<Choice> = (0..rules.len())
        .map(|rule| {
            let threshold = number(&two_sided[rule], thresholds[rule], places[rule], ceilings[rule]);
            let start_threshold = number(&causal[rule], starts[rule], start_places[rule], ceilings[rule]);
            let is_announced = start_threshold.n_in_force > threshold.n_in_force;
            let record = if is_announced { &causal[rule] } else { &two_sided[rule] };
            let ignore = places[rule] > ceilings[rule];
            Choice { rule, threshold, start_threshold, ignore, strongest: record.strongest.clone() }
        })
        .collect();
    let n_left = choices.iter().map(Choice::n_advised).sum();
    Advice {
        choices,
        hours,
        per_day,
        n_left,
        at_most_per_day: upper_rate(u32::try_from(n_left).unwrap_or(u32::MAX), hours / 24.0),
        hours_to_be_sure: upper_rate(0, per_day / 24.0),
    }
}

/// The log-odds above which a threshold is as good as none.
fn ceiling(rule: &Rule, labels: &Labels) -> f64 {
    let highest = |label: &usize| labels.thresholds(*label).and_then(|suited| suited.highest).unwrap_or(1.0);
    let highest = rule.members.iter().map(highest).fold(0.0, f32::max);
    log_odds(highest.min(CEILING)).into()
}

/// A threshold at the log-odds `place`, in words of scores.
fn number(record: &Record, in_force: f32, place: f64, ceiling: f64) -> Number {
    let score = score_of(place as f32);
    // Rounded up: a threshold must not fall below what it was made to exceed. Above the ceiling nothing is announced at all.
    let unit = if score < 0.1 { 1e-4 } else { 1e-3 };
    let rounded = if place > ceiling { 1.0 } else { (score / unit).ceil() * unit };
    let n_in_force = record.n_reaching(in_force);
    let step = place - f64::from(log_odds(in_force));
    let is_same = step < SAME.0 && step > -SAME.1;
    let advised = if is_same { in_force } else { rounded };
    Number { in_force, advised, n_in_force, n_advised: record.n_reaching(advised) }
}

/// What is known of one curve.
struct Curve {
    tail: Tail,
    /// The threshold in force, in log-odds.
    in_force: f64,
    /// The log-odds above which a threshold is as good as none.
    ceiling: f64,
    /// Hours by which what is in force is trusted beyond what was heard.
    trust: f64,
}

/// For each record the log-odds of its threshold, so that `budget` alarms are expected in as long a time as was heard.
fn place_all(records: &[Record], in_force: &[f32], ceilings: &[f64], hours: f64, budget: f64) -> Vec<f64> {
    let tails = Tail::all(records);
    let curves: Vec<Curve> = records
        .iter()
        .zip(&tails)
        .zip(in_force.iter().zip(ceilings))
        .map(|((record, tail), (in_force, ceiling))| Curve {
            tail: *tail,
            ceiling: *ceiling,
            in_force: log_odds(*in_force).into(),
            trust: if record.n_reaching(*in_force) == 0 { TRUST_HOURS } else { 0.0 },
        })
        .collect();
    let all = |price: f64| curves.iter().map(move |curve| curve.place(price, hours, budget)).collect::<Vec<f64>>();
    let expected = |price: f64| curves.iter().zip(all(price)).map(|(curve, at)| curve.expected(at, hours)).sum::<f64>();
    // The higher the price of a step in log-odds, the lower the thresholds: by halves to the highest that can be paid.
    let (mut low, mut high) = (-60.0f64, 30.0f64);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if expected(middle.exp()) <= budget { low = middle } else { high = middle }
    }
    all(low.exp())
}

impl Curve {
    /// Where the threshold goes if `price` alarms may be had for each step in log-odds that the tail thins out in.
    fn place(&self, price: f64, hours: f64, budget: f64) -> f64 {
        let share = price * self.tail.scale;
        // Where no whole alarm is allowed, none that was seen may come again.
        let least = if budget < 1.0 { self.tail.highest + MARGIN } else { f64::NEG_INFINITY };
        let raised = self.tail.reached_by(share * (hours + self.trust) / hours).max(least);
        if raised >= self.in_force {
            return raised;
        }
        let lowered = self.tail.reached_by(share).max(least).min(self.in_force);
        self.in_force + hours / (hours + LOWERING_HOURS) * (lowered - self.in_force)
    }

    /// How many alarms are expected at the log-odds `at` in as long a time as was heard; none of what is ignored.
    fn expected(&self, at: f64, hours: f64) -> f64 {
        if at > self.ceiling {
            return 0.0;
        }
        let trust = if at >= self.in_force { self.trust } else { 0.0 };
        self.tail.reaching(at) * hours / (hours + trust)
    }
}

#[cfg(test)]
mod tests;
