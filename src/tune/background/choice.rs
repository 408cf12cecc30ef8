//! Finds the lowest thresholds that keep the alarms of ordinary background, of all labels together, within a budget.
//!
//! Each label gets a share of the budget in proportion to the scale of its tail, because a slowly thinning tail needs a larger
//! rise of the threshold for the same reduction. A threshold is raised at once as the evidence asks. It is lowered only in part,
//! and the more the longer was heard. An effective threshold without alarms gets extra trust, because somebody found it with
//! other recordings or set it.

use super::statistics::{Alarm, Record, Statistics, log_odds, score_of};
use super::tail::Tail;
use crate::detect::peaks::CurveKind;
use crate::detect::rule::{Announce, Rule};
use crate::evaluate::bootstrap::upper_rate;
use crate::model::Labels;

/// The number of further hours without an alarm that an effective threshold counts as, if no alarm reached it.
const TRUST_HOURS: f64 = 24.0;
/// The highest threshold that is of use. A label that needs a higher one, or one above the highest score that it is likely to
/// reach, is heard all the time or hardly ever, and is better ignored.
const CEILING: f32 = 0.95;
/// The distance from the highest alarm to the threshold, in log-odds, where the budget allows for no alarm.
const MARGIN: f64 = 0.2;
/// The time heard after which half of a possible lowering is done, in hours.
const LOWERING_HOURS: f64 = 48.0;
/// The least steps up and down from the effective threshold, in log-odds. After a smaller step the effective threshold stays.
const SAME: (f64, f64) = (0.1, 0.25);

/// The advice for one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The index of the rule.
    pub rule: usize,
    /// The threshold, which confirms an event.
    pub threshold: Number,
    /// The start threshold, which announces an event.
    pub start_threshold: Number,
    /// Whether the label is better ignored, because no threshold keeps within the budget.
    pub ignore: bool,
    /// The strongest alarms: of the causal score if more alarms are announced than confirmed, or else of the confirmed score.
    pub strongest: Vec<Alarm>,
}

/// One of a rule's two thresholds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    /// The effective number, 0…1.
    pub in_force: f32,
    /// The advised number, 0…1; the effective one if nothing is to be changed.
    pub advised: f32,
    /// The number of alarms that reached the effective number.
    pub n_in_force: u64,
    /// The number of alarms that reached the advised number.
    pub n_advised: u64,
}

impl Number {
    /// Whether another number is advised.
    pub fn is_changed(&self) -> bool {
        self.advised != self.in_force
    }
}

impl Choice {
    /// The approximate number of alarms at the effective thresholds. Most alarms are both announced and confirmed, so the larger
    /// of the two numbers counts.
    pub fn n_in_force(&self) -> u64 {
        self.threshold.n_in_force.max(self.start_threshold.n_in_force)
    }

    /// The approximate number of alarms at the advised thresholds.
    pub fn n_advised(&self) -> u64 {
        if self.ignore { 0 } else { self.threshold.n_advised.max(self.start_threshold.n_advised) }
    }

    /// Whether a change is advised.
    pub fn is_change(&self) -> bool {
        self.ignore || self.threshold.is_changed() || self.start_threshold.is_changed()
    }
}

/// The advice for all rules, and its certainty.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    /// The advice for each rule, in the order of the rules.
    pub choices: Vec<Choice>,
    /// The time heard, in hours.
    pub hours: f64,
    /// The budget: the alarms a day of all rules together.
    pub per_day: f64,
    /// The approximate number of alarms in the time heard that are left.
    pub n_left: u64,
    /// The upper 95 % bound of the alarms a day that are left, by the time heard alone.
    pub at_most_per_day: f64,
    /// The hours without an alarm after which that bound is within the budget.
    pub hours_to_be_sure: f64,
}

/// The thresholds for `rules` over a model's labels that keep all rules together within `per_day` alarms a day.
pub fn advise(statistics: &Statistics, rules: &[Rule], labels: &Labels, per_day: f64) -> Advice {
    let hours = statistics.hours().max(1e-3);
    let records = |kind| rules.iter().map(move |rule| statistics.record(&rule.members, kind)).collect::<Vec<Record>>();
    let (two_sided, mut causal) = (records(CurveKind::Confirmed), records(CurveKind::Causal));
    // A causal score that nobody is told of is no alarm.
    let waits = |rule: usize| rules[rule].gate.announce == Announce::Confirmed;
    causal.iter_mut().enumerate().filter(|(rule, _)| waits(*rule)).for_each(|(_, record)| *record = Record::default());
    // An alarm is announced, confirmed, or both. Announced and confirmed alarms get half of the budget each, so their sum stays
    // within it.
    let budget = per_day / 24.0 * hours / 2.0;
    let thresholds: Vec<f32> = rules.iter().map(|rule| rule.gate.threshold).collect();
    let starts: Vec<f32> = rules.iter().map(|rule| rule.gate.start_threshold).collect();
    let ceilings: Vec<f64> = rules.iter().map(|rule| ceiling(rule, labels)).collect();
    let places = place_all(&two_sided, &thresholds, &ceilings, hours, budget);
    let start_places = place_all(&causal, &starts, &ceilings, hours, budget);
    let choices: Vec<Choice> = (0..rules.len())
        .map(|rule| {
            let threshold = number(&two_sided[rule], thresholds[rule], places[rule], ceilings[rule]);
            let in_force = starts[rule];
            let start_threshold = match waits(rule) {
                true => Number { in_force, advised: in_force, n_in_force: 0, n_advised: 0 },
                false => number(&causal[rule], in_force, start_places[rule], ceilings[rule]),
            };
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

/// The highest threshold that is of use for a rule, in log-odds.
fn ceiling(rule: &Rule, labels: &Labels) -> f64 {
    let highest = |label: &usize| labels.thresholds(*label).and_then(|suited| suited.highest).unwrap_or(1.0);
    let highest = rule.members.iter().map(highest).fold(0.0, f32::max);
    log_odds(highest.min(CEILING)).into()
}

/// The advice for a threshold that should lie at the log-odds `place`.
fn number(record: &Record, in_force: f32, place: f64, ceiling: f64) -> Number {
    let score = score_of(place as f32);
    // The score is rounded up, because the threshold must stay above the alarms that it is to exceed. Above the ceiling it is 1.
    let unit = if score < 0.1 { 1e-4 } else { 1e-3 };
    let rounded = if place > ceiling { 1.0 } else { (score / unit).ceil() * unit };
    let n_in_force = record.n_reaching(in_force);
    let step = place - f64::from(log_odds(in_force));
    let is_same = step < SAME.0 && step > -SAME.1;
    let advised = if is_same { in_force } else { rounded };
    Number { in_force, advised, n_in_force, n_advised: record.n_reaching(advised) }
}

/// The facts about one curve.
struct Curve {
    tail: Tail,
    /// The effective threshold, in log-odds.
    in_force: f64,
    /// The highest threshold that is of use, in log-odds.
    ceiling: f64,
    /// The hours without an alarm that the effective threshold counts as, beyond the time heard.
    trust: f64,
}

/// The log-odds of each record's threshold, so that at most `budget` alarms are expected in a time as long as the time heard.
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
    // A higher price gives lower thresholds and more alarms. Bisection finds the logarithm of the highest price within the
    // budget.
    let (mut low, mut high) = (-60.0f64, 30.0f64);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if expected(middle.exp()) <= budget { low = middle } else { high = middle }
    }
    all(low.exp())
}

impl Curve {
    /// The log-odds of the threshold at `price`: the number of alarms that a label may have for each unit of its tail's scale.
    fn place(&self, price: f64, hours: f64, budget: f64) -> f64 {
        let share = price * self.tail.scale;
        // If the budget is below one alarm, no alarm that was seen may reach the threshold.
        let least = if budget < 1.0 { self.tail.highest + MARGIN } else { f64::NEG_INFINITY };
        let raised = self.tail.reached_by(share * (hours + self.trust) / hours).max(least);
        if raised >= self.in_force {
            return raised;
        }
        let lowered = self.tail.reached_by(share).max(least).min(self.in_force);
        self.in_force + hours / (hours + LOWERING_HOURS) * (lowered - self.in_force)
    }

    /// The number of alarms that are expected at the log-odds `at` in a time as long as the time heard; 0 for a label that is to
    /// be ignored.
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
